#include "model/graph.h"

#include <stdio.h>
#include <string.h>

const char *scree_opcode_name(int32_t opcode)
{
    switch (opcode) {
#define OPERATOR(number, name, options) \
    case number:                        \
        return #name;
#include "model/operators.inc"
#undef OPERATOR
    default:
        return NULL;
    }
}

const char *scree_node_name(const struct scree_node *node)
{
    const char *name;

    if (node->opcode == SCREE_OP_CUSTOM && node->custom_name)
        return node->custom_name;
    name = scree_opcode_name(node->opcode);
    return name ? name : "unknown operator";
}

size_t scree_shape_elements(const struct scree_shape *shape)
{
    size_t n = 1;

    for (int32_t i = 0; i < shape->rank; i++)
        n *= (size_t)shape->dims[i];
    return n;
}

bool scree_shape_equal(const struct scree_shape *a, const struct scree_shape *b)
{
    return a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

char *scree_shape_text(const struct scree_shape *shape, char *text, size_t n)
{
    size_t used = 0;

    if (shape->rank <= 0)
        (void)snprintf(text, n, "%s", shape->rank == 0 ? "scalar" : "?");
    for (int32_t i = 0; i < shape->rank && used < n; i++)
        used += (size_t)snprintf(text + used, n - used, i ? "x%d" : "%d", shape->dims[i]);
    return text;
}

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [SCREE_TYPE_FLOAT32] = {"float32", 4},     [SCREE_TYPE_FLOAT16] = {"float16", 2},
    [SCREE_TYPE_INT32] = {"int32", 4},         [SCREE_TYPE_UINT8] = {"uint8", 1},
    [SCREE_TYPE_INT64] = {"int64", 8},         [SCREE_TYPE_STRING] = {"string", 0},
    [SCREE_TYPE_BOOL] = {"bool", 1},           [SCREE_TYPE_INT16] = {"int16", 2},
    [SCREE_TYPE_COMPLEX64] = {"complex64", 8}, [SCREE_TYPE_INT8] = {"int8", 1},
    [SCREE_TYPE_FLOAT64] = {"float64", 8},     [SCREE_TYPE_COMPLEX128] = {"complex128", 16},
    [SCREE_TYPE_UINT64] = {"uint64", 8},       [SCREE_TYPE_RESOURCE] = {"resource", 0},
    [SCREE_TYPE_VARIANT] = {"variant", 0},     [SCREE_TYPE_UINT32] = {"uint32", 4},
    [SCREE_TYPE_UINT16] = {"uint16", 2},       [SCREE_TYPE_INT4] = {"int4", 0},
    [SCREE_TYPE_BFLOAT16] = {"bfloat16", 2},
};

const char *scree_type_name(enum scree_type type)
{
    return (size_t)type < sizeof types / sizeof types[0] ? types[type].name : "unknown";
}

size_t scree_type_bytes(enum scree_type type)
{
    return (size_t)type < sizeof types / sizeof types[0] ? types[type].bytes : 0;
}
