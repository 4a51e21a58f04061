/* device/emu/stream.h - command words to register values: what the PC does.
 *
 * Specified by docs/regcmd.md, sections "Words" and "Tasks and their tails".
 * Memory: none. Threads: no state. */
#ifndef SCREE_DEVICE_EMU_STREAM_H
#define SCREE_DEVICE_EMU_STREAM_H

#include "base/error.h"
#include "rocket/regs/regs.h"

/* The blocks whose registers a convolution uses, in the order of their targets' bits. */
enum scree_emu_block {
    SCREE_EMU_CNA,
    SCREE_EMU_CORE,
    SCREE_EMU_DPU,
    SCREE_EMU_RDMA,
    SCREE_EMU_N_BLOCKS,
};

#define SCREE_EMU_BLOCK_REGS 128 /* 4 bytes each; the highest known is 0x184 */

/* What one task wrote. */
struct scree_emu_regs {
    uint32_t value[SCREE_EMU_N_BLOCKS][SCREE_EMU_BLOCK_REGS];
    bool written[SCREE_EMU_N_BLOCKS][SCREE_EMU_BLOCK_REGS];
    uint32_t enabled; /* mask of enum scree_enable */
};

/* Runs the words u64[n_words] of one task up to its end. Each word is read once.
 *
 * Errors: EBADMSG (a word that no known block takes, reserved bits that are set, no barrier or no
 * enabling word, words behind it), with the number of the word in the text. */
int scree_emu_stream_read(const volatile uint64_t *words, size_t n_words,
                          struct scree_emu_regs *ret_regs, struct scree_error *err);

/* The value of a register that the task wrote. Errors: EBADMSG (it did not). */
int scree_emu_regs_get(const struct scree_emu_regs *regs, enum scree_reg reg, uint32_t *ret_value,
                       struct scree_error *err);

/* "CNA.CONV_CON1", or "register 0x1234" for one that has no name, into text[n]; returns text. */
const char *scree_emu_reg_name(uint32_t offset, char *text, size_t n);

#endif
