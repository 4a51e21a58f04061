/* ops/layout.h - shapes, axes and strides, for the operators that move elements about.
 *
 * Memory: keeps nothing. Threads: no shared state. */
#ifndef SCREE_OPS_LAYOUT_H
#define SCREE_OPS_LAYOUT_H

#include "kernels/move.h"
#include "plan/op.h"

/* True if the operand's values can be read now; else prepare returns SCREE_DEFER. */
bool scree_operand_known(const struct scree_operand *operand);

/* Element i of an i8, i16, i32 or i64 operand whose values are known. */
int64_t scree_operand_index(const struct scree_operand *operand, size_t i);

/* Checks that the operand is a vector of n elements. `what` names it. Errors: EBADMSG. */
int scree_vector_check(const struct scree_operand *operand, const char *what, int32_t n,
                       struct scree_error *err);

/* scree_need_axis() for an axis that is the one element of an int32 or int64 operand.
 * Errors: EBADMSG (range, or more or less than one element). SCREE_DEFER: not known yet. */
int scree_axis_read(const struct scree_operand *operand, int32_t rank, int32_t *ret_axis,
                    struct scree_error *err);

/* The product of dimensions [from, to); 1 if there are none. Beside a dimension of 0 it may wrap:
 * then there are no elements to count. */
size_t scree_shape_span(const struct scree_shape *shape, int32_t from, int32_t to);

/* Bytes from one index to the next in each dimension of a dense tensor, all 0 if it is empty:
 * strides [shape->rank]. */
void scree_shape_strides(const struct scree_shape *shape, size_t element_bytes,
                         ptrdiff_t *ret_strides);

/* A shape that is one dimension after another. Errors: EBADMSG, if there is no room for it. */
int scree_shape_append(struct scree_shape *shape, int64_t dim, struct scree_error *err);

/* The scale and zero point of a whole tensor, 0 and 0 if it has none or one a channel: what TFLite
 * calls a tensor's params. */
float scree_operand_scale(const struct scree_operand *operand);
int32_t scree_operand_zero_point(const struct scree_operand *operand);

/* One move out of input 0 into output 0, with the bytes at which it begins in each: the params of
 * scree_layout_run(), which is the run of every operator that is one such move. */
struct scree_layout {
    struct scree_move move;
    ptrdiff_t src, dst;
    bool transposes; /* the move is done as that */
    struct scree_transposing transposing;
};

/* Such params, zeroed, as the call's. Errors: ENOMEM. */
int scree_layout_new(struct scree_call *call, struct scree_layout **ret_layout,
                     struct scree_error *err);

/* Makes the move that of a block of `shape`, with strides [shape->rank] in bytes, simplified. */
void scree_layout_block(struct scree_layout *layout, const struct scree_shape *shape,
                        const ptrdiff_t *src, const ptrdiff_t *dst);

/* Sets output 0's shape, and lets the planner know if it is, byte for byte, a part of input 0: the
 * end of prepare of what runs by scree_layout_run(). Errors: as scree_call_set_shape(). */
int scree_layout_done(struct scree_call *call, const struct scree_shape *shape,
                      struct scree_error *err);

/* Checks that two operands have the same scale and zero point, where an operator only moves
 * quantized values. Errors: EBADMSG, naming both tensors. */
int scree_quant_check_same(const struct scree_operand *a, const struct scree_operand *b,
                           struct scree_error *err);

#endif
