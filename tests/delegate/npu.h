/* Bytes through the NPU and back: what a test delegate does instead of computing there. Each chunk
 * is a task, a convolution that changes nothing, so whatever goes wrong with a job goes wrong with
 * the bytes. The device node is opened, and used by the calls of its driver, as Mesa does. */
#ifndef SCREE_TESTS_DELEGATE_NPU_H
#define SCREE_TESTS_DELEGATE_NPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct npu;

/* NULL if there is no NPU, or it has no memory. */
struct npu *npu_open(void);

/* Accepts NULL. */
void npu_close(struct npu *npu);

/* Sends bytes u8[n] through the NPU, as one job for each 200 KB, and waits. Like Mesa's driver it
 * cannot know that a job was lost: the bytes are what is found in the output then. Returns false if
 * a call of the driver fails. */
bool npu_pass(struct npu *npu, uint8_t *bytes, size_t n);

#endif
