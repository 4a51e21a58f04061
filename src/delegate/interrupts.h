/* delegate/interrupts.h - how many tasks the NPU has done, as far as one can see.
 *
 * Its driver raises one interrupt a finished task, and the kernel counts them (device/discover.h).
 * Other processes' tasks are counted in.
 *
 * Memory: a counter owns what it knows of the machine. Threads: one at a time. */
#ifndef SCREE_DELEGATE_INTERRUPTS_H
#define SCREE_DELEGATE_INTERRUPTS_H

#include <stdint.h>

struct scree_npu_counter;

/* A counter over all cores of this machine; NULL if there are none, or no memory. */
struct scree_npu_counter *scree_npu_counter_new(void);

/* The interrupts since the machine started; 0 if they cannot be read, or for NULL. */
uint64_t scree_npu_counter_read(const struct scree_npu_counter *counter);

/* Accepts NULL. */
void scree_npu_counter_free(struct scree_npu_counter *counter);

#endif
