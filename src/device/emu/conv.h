/* device/emu/conv.h - one convolution task: registers to numbers, checked.
 *
 * Specified by docs/regcmd.md; what that page does not describe is refused.
 * Memory: none. Threads: no state. */
#ifndef SCREE_DEVICE_EMU_CONV_H
#define SCREE_DEVICE_EMU_CONV_H

#include "device/emu/space.h"
#include "device/emu/stream.h"

/* BS or BN: add, multiply, ReLU; each only if its flag is set. */
struct scree_emu_stage {
    bool alu, mul, prelu, relu, relux;
    bool alu_from_memory; /* one int32 per channel instead of alu_operand */
    uint32_t algo;        /* 0 max, 1 min, 2 add */
    int32_t alu_operand;
    int32_t mul_operand; /* int16 */
    unsigned mul_shift;  /* [0, 63] */
    int32_t limit;       /* of relux */
};

/* Element-wise addition of an operand from memory. */
struct scree_emu_add {
    bool on;
    uint64_t even, odd;           /* IOVA of planes 0 and 1 */
    uint64_t even_step, odd_step; /* bytes from a plane of the same parity to the next */
    int32_t offset;
    int32_t scale;  /* int16 */
    unsigned shift; /* [0, 63] */
    bool round_up;
};

/* What a stream says of weights that a later task may reuse. */
struct scree_emu_weights {
    uint64_t iova;
    uint64_t n_bytes;
    uint32_t per_kernel; /* bytes */
    uint32_t banks;
};

struct scree_emu_conv {
    bool depthwise;
    bool bytes; /* one channel of unsigned bytes, [in_h][line] */
    uint32_t in_w, in_h, in_c;
    uint32_t out_w, out_h;
    uint32_t kw, kh, kernels;
    uint32_t stride_x, stride_y, left, top;
    int8_t pad;
    uint64_t feature;
    int64_t line, plane;
    struct scree_emu_weights weights;
    bool weights_reused;
    uint32_t channels; /* output channels computed, a multiple of 32 or 64 */
    uint32_t stored;   /* of those, how many have meaning */
    int32_t ow_op;     /* times the sum of features is added; 0 if bypassed */
    unsigned truncate; /* [0, 31] */
    bool truncate_up;
    struct scree_emu_stage bs, bn;
    uint64_t bias; /* IOVA */
    struct scree_emu_add add;
    int32_t out_scale; /* [0, 0x7fff] */
    unsigned out_shift;
    bool out_round_up;
    int32_t out_offset;
    uint64_t dst;
    uint64_t surface; /* bytes from a surface of a pass to its next */
    uint64_t pass;    /* bytes from a pass to its next */
};

/* Reads a task that enables CNA, CORE and DPU, with or without RDMA. `loaded` is what the task
 * before it in the same job left in the weight banks; n_bytes 0 for nothing.
 *
 * Errors: EBADMSG (contradictions, limits broken), ENOTSUP (not described in docs/regcmd.md). */
int scree_emu_conv_read(const struct scree_emu_regs *regs, const struct scree_emu_weights *loaded,
                        struct scree_emu_conv *ret_conv, struct scree_error *err);

/* Checks that all that the task reads and writes is mapped. Errors: EIO, with the address. */
int scree_emu_conv_check_memory(const struct scree_emu_conv *conv,
                                const struct scree_emu_space *space, struct scree_error *err);

/* IOVA of output surface s (16 channels). */
uint64_t scree_emu_conv_surface(const struct scree_emu_conv *conv, uint32_t s);

/* IOVA of plane p of the operand of the addition. */
uint64_t scree_emu_conv_operand(const struct scree_emu_conv *conv, uint32_t p);

/* Estimated time by docs/regcmd.md, "Time", without the costs per task and job: NPU cycles, and the
 * bytes moved. */
struct scree_emu_cost {
    uint64_t cycles, bytes;
};

struct scree_emu_cost scree_emu_conv_cost(const struct scree_emu_conv *conv);

#endif
