/* ops/broadcast.h - tensors of different shapes in one elementwise operation.
 *
 * Shapes are aligned at their last dimension; where they differ, one of them is 1 (or missing) and
 * is repeated. Neighbouring dimensions in which every input behaves alike are folded into one, so
 * equal shapes are one row, a scalar is one row, and a bias over channels is one row a pixel:
 *
 *     rc = scree_broadcast_shape(inputs, 2, &shape, err);
 *     scree_broadcast_init(&broadcast, inputs, 2, output);
 *     ...
 *     scree_broadcast_run(&broadcast, call->pool, data, output->data, scree_add_f32, &params);
 *
 * Many short rows, as of a bias over three channels, are joined to longer ones: what is repeated in
 * them is written out in a small block first, which costs less than a call for each.
 *
 * Memory: keeps nothing. Threads: no shared state. */
#ifndef SCREE_OPS_BROADCAST_H
#define SCREE_OPS_BROADCAST_H

#include "base/pool.h"
#include "kernels/rows.h"
#include "plan/op.h"

/* The most inputs that are broadcast together: those of SELECT_V2. */
#define SCREE_BROADCAST_MAX 3

/* How the inputs are cut into rows. */
struct scree_broadcast {
    uint32_t n_inputs;
    uint32_t n_loops;                     /* dimensions around the row */
    size_t loops[SCREE_MAX_RANK];         /* their sizes, outermost first */
    size_t row;                           /* elements in a row; 0 if the output is empty */
    size_t grain;                         /* elements that are worth a thread */
    size_t out_bytes;                     /* of an element of the output */
    size_t in_bytes[SCREE_BROADCAST_MAX]; /* of an element of each input */
    size_t steps[SCREE_BROADCAST_MAX];    /* in a row, in elements: 0 or 1 */
    size_t strides[SCREE_BROADCAST_MAX][SCREE_MAX_RANK]; /* of the loops, in bytes; 0: repeated */
};

/* The shape that the inputs have together. inputs [n], n in [1, SCREE_BROADCAST_MAX].
 * Errors: EBADMSG, naming two shapes that do not fit together. */
int scree_broadcast_shape(const struct scree_operand *const *inputs, uint32_t n,
                          struct scree_shape *ret_shape, struct scree_error *err);

/* Plans the rows of an output of the shape that scree_broadcast_shape gave (or any shape to which
 * each input can be repeated). Element types have a whole number of bytes. Cannot fail. */
void scree_broadcast_init(struct scree_broadcast *broadcast,
                          const struct scree_operand *const *inputs, uint32_t n,
                          const struct scree_operand *output);

/* The same for one input of the output's shape: a single row of n elements. */
void scree_broadcast_init_flat(struct scree_broadcast *broadcast, size_t n, size_t in_bytes,
                               size_t out_bytes);

/* Calls `row` for each row, or for parts or groups of rows. data [n_inputs] are the inputs' bytes;
 * pool may be NULL. Cannot fail. */
void scree_broadcast_run(const struct scree_broadcast *broadcast, struct scree_pool *pool,
                         const void *const *data, void *output, scree_row_fn *row,
                         const void *params);

#endif
