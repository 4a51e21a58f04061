#include "ops/ops.h"

#include <string.h>

#include "ops/types.h"

static const struct scree_op table[] = {
#define OP(opcode, version, prepare, run, flags, types) \
    {SCREE_OP_##opcode, NULL, version, types, flags, prepare, run},
#define CUSTOM(name, version, prepare, run, flags, types) \
    {SCREE_OP_CUSTOM, name, version, types, flags, prepare, run},
#include "ops/ops.inc"
#undef OP
#undef CUSTOM
};

#define N_ROWS (sizeof table / sizeof table[0])

static bool is_row_of(const struct scree_op *op, const struct scree_node *node)
{
    if (op->opcode != node->opcode)
        return false;
    return node->opcode != SCREE_OP_CUSTOM || strcmp(op->custom_name, node->custom_name) == 0;
}

int scree_op_find(const struct scree_node *node, const struct scree_op **ret_op,
                  struct scree_error *err)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!is_row_of(&table[i], node))
            continue;
        if (node->version > table[i].max_version)
            return scree_fail(err, ENOTSUP, "%s version %d: versions up to %d are supported",
                              scree_node_name(node), node->version, table[i].max_version);
        *ret_op = &table[i];
        return 0;
    }
    if (!scree_opcode_name(node->opcode))
        return scree_fail(err, ENOTSUP, "operator code %d is not known", node->opcode);
    return scree_fail(err, ENOTSUP, "%s version %d is not supported", scree_node_name(node),
                      node->version);
}

int scree_op_prepare(struct scree_call *call, struct scree_error *err)
{
    int rc = scree_types_check(call, err);

    if (rc < 0)
        return rc;
    rc = call->op->prepare(call, err);
    return rc < 0 ? scree_wrap(err, rc, "%s", scree_node_name(call->node)) : rc;
}

int scree_op_run(const struct scree_call *call, struct scree_error *err)
{
    int rc = call->op->run(call, err);

    return rc < 0 ? scree_wrap(err, rc, "%s", scree_node_name(call->node)) : 0;
}
