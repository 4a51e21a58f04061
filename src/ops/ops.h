/* ops/ops.h - the operator table, and what its rows share.
 *
 * Each family of operators is one file that defines the prepare and run functions its rows in
 * ops.inc name. See docs/adding-an-operator.md. */
#ifndef SCREE_OPS_OPS_H
#define SCREE_OPS_OPS_H

#include "plan/op.h"

/* The row for a node.
 * Errors: ENOTSUP, naming the operator and its version: not in the table, or a newer version. */
int scree_op_find(const struct scree_node *node, const struct scree_op **ret_op,
                  struct scree_error *err);

/* Checks an operand list against the row (types, counts, quantization), then calls the row's
 * prepare, and wraps its errors with the operator's name. Returns 0, SCREE_DEFER or a negative
 * errno. */
int scree_op_prepare(struct scree_call *call, struct scree_error *err);

/* Calls the row's run; wraps its errors likewise. */
int scree_op_run(const struct scree_call *call, struct scree_error *err);

/* Every prepare and run function of the table. */
#define OP(opcode, version, prepare, run, flags, types) \
    scree_prepare_fn prepare;                           \
    scree_run_fn run;
#define CUSTOM(name, version, prepare, run, flags, types) \
    scree_prepare_fn prepare;                             \
    scree_run_fn run;
#include "ops/ops.inc"
#undef OP
#undef CUSTOM

#endif
