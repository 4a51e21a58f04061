/* ops/binary.h - what operators of two tensors have in common: broadcasting, and a kernel by type.
 *
 *     rc = scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
 *     if (rc == 0 && quantized)
 *         rc = scree_binary_prepare_quantized(call, SCREE_ACTIVATION_NONE, &binary->args, err);
 */
#ifndef SCREE_OPS_BINARY_H
#define SCREE_OPS_BINARY_H

#include "kernels/binary.h"
#include "kernels/lut.h"
#include "ops/broadcast.h"
#include "ops/ops.h"

/* The kernels of one operator by element type of the first input; NULL where it has none. */
struct scree_binary_kernels {
    scree_row_fn *f32, *f16, *i64, *i32, *i16, *i8, *u8, *u32, *u16, *boolean;
};

/* The message of prepare to run. */
struct scree_binary {
    struct scree_broadcast broadcast;
    scree_row_fn *row;
    bool same_shapes;
    bool by_table; /* the output is table[input 0] */
    struct scree_binary_params args;
    uint8_t table[SCREE_LUT_8_SIZE];
};

/* Allocates *ret_binary, the call's params; sets the output's shape, the rows, the kernel, and the
 * clamp of `activation` on types that are not quantized. Errors: ENOMEM, EBADMSG (shapes), E2BIG.
 */
int scree_binary_prepare(struct scree_call *call, const struct scree_binary_kernels *kernels,
                         enum scree_activation activation, struct scree_binary **ret_binary,
                         struct scree_error *err);

/* Checks the quantization of inputs and output, and sets the zero points and the clamp of
 * `activation`. Errors: EBADMSG. */
int scree_binary_prepare_quantized(const struct scree_call *call, enum scree_activation activation,
                                   struct scree_binary_params *args, struct scree_error *err);

/* The run function of all that cannot fail. */
scree_run_fn scree_binary_run;

#endif
