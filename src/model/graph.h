/* model/graph.h - a .tflite file, checked: what everything behind the reader works on.
 *
 * Invariants, made by the reader and relied on by all others:
 *   1. Every index (tensor, operator code, buffer) is in range, or -1 where the schema allows
 * "absent".
 *   2. Every dimension is >= 0 (or -1 in `signature`), every rank <= SCREE_MAX_RANK, and the
 * product of the dimensions times the element size fits in int32_t's range of elements and in
 * size_t of bytes.
 *   3. A constant's data has exactly the bytes its shape and type ask for (int4: packed, two a
 * byte), and is aligned for its type.
 *   4. Operators come in an order in which each tensor is written before it is read: an input of an
 *      operator is constant, a variable, an input of the subgraph or an output of an earlier
 * operator, and no tensor is written twice.
 *   5. Enums in options are members of their enum; the rest of the options is as the file has it.
 *   6. Scales are finite and > 0; zero points fit the tensor's type; n_scales is 0, 1 or
 * dims[axis].
 *
 * Memory: a graph and all it points to live in its arena and in the file's bytes. Threads:
 * immutable. */
#ifndef SCREE_MODEL_GRAPH_H
#define SCREE_MODEL_GRAPH_H

#include "base/arena.h"
#include "base/error.h"

/* The builtin operators. SCREE_OP_CUSTOM nodes have a custom_name. */
enum scree_opcode {
#define OPERATOR(number, name, options) SCREE_OP_##name = number,
#include "model/operators.inc"
#undef OPERATOR
};

/* "CONV_2D" for 3; NULL for a number that the schema does not have. */
const char *scree_opcode_name(int32_t opcode);

enum scree_padding { SCREE_PADDING_SAME, SCREE_PADDING_VALID };

enum scree_activation {
    SCREE_ACTIVATION_NONE,
    SCREE_ACTIVATION_RELU,
    SCREE_ACTIVATION_RELU_N1_TO_1,
    SCREE_ACTIVATION_RELU6,
    SCREE_ACTIVATION_TANH,
    SCREE_ACTIVATION_SIGN_BIT,
};

enum scree_mirror { SCREE_MIRROR_REFLECT, SCREE_MIRROR_SYMMETRIC };

enum scree_lstm_kernel { SCREE_LSTM_FULL, SCREE_LSTM_BASIC };

enum scree_weights_format { SCREE_WEIGHTS_DEFAULT, SCREE_WEIGHTS_SHUFFLED4X16 };

/* A vector of the file, copied: v s32[n]. */
struct scree_i32s {
    uint32_t n;
    const int32_t *v;
};

/* The options of each operator, one struct a table of the schema: scree_conv2d_options and so on.
 */
#define SCREE_FIELD_I32        int32_t
#define SCREE_FIELD_F32        float
#define SCREE_FIELD_BOOL       bool
#define SCREE_FIELD_I32S       struct scree_i32s
#define SCREE_FIELD_PADDING    enum scree_padding
#define SCREE_FIELD_ACTIVATION enum scree_activation
#define SCREE_FIELD_TYPE       enum scree_type
#define SCREE_FIELD_LSTM       enum scree_lstm_kernel
#define SCREE_FIELD_MIRROR     enum scree_mirror
#define SCREE_FIELD_WEIGHTS    enum scree_weights_format

#define FIELD(slot, name, kind, value) SCREE_FIELD_##kind name;
#define OPTIONS(number, table, member, fields) \
    struct scree_##member##_options {          \
        fields                                 \
    };
#include "model/options.inc"
#undef OPTIONS

union scree_options {
#define OPTIONS(number, table, member, fields) struct scree_##member##_options member;
#include "model/options.inc"
#undef OPTIONS
};
#undef FIELD

/* real = scale[i] * (q - zero_point[i]); n 0: not quantized, 1: per tensor, else per slice of dim
 * `axis`. */
struct scree_quant {
    uint32_t n;
    const float *scale;        /* f32[n] */
    const int32_t *zero_point; /* s32[n] */
    int32_t axis;
};

struct scree_tensor_def {
    const char *name; /* "" if it has none */
    enum scree_type type;
    struct scree_shape shape;     /* as stored: open dimensions are 1 here */
    struct scree_shape signature; /* rank -1 if there is none; open dimensions are -1 */
    struct scree_quant quant;
    const void *data; /* contents of a constant, NULL for all others */
    size_t bytes;     /* of data; 0 for all others */
    bool is_variable;
};

struct scree_node {
    int32_t opcode;          /* enum scree_opcode, or a number scree does not know */
    const char *custom_name; /* of SCREE_OP_CUSTOM, else NULL */
    int32_t version;
    uint32_t n_inputs, n_outputs, n_intermediates;
    const int32_t *inputs;        /* s32[n_inputs], -1: an optional input left out */
    const int32_t *outputs;       /* s32[n_outputs] */
    const int32_t *intermediates; /* s32[n_intermediates], -1: left out */
    union scree_options options;  /* the schema's defaults where the file has none */
    bool has_options;
    const uint8_t *custom; /* u8[n_custom], flexbuffer of a custom operator */
    size_t n_custom;
};

struct scree_subgraph {
    const char *name;
    uint32_t n_tensors, n_nodes, n_inputs, n_outputs;
    const struct scree_tensor_def *tensors;
    const struct scree_node *nodes;
    const int32_t *inputs, *outputs; /* tensor numbers */
};

/* A name given to a tensor of a subgraph for callers from outside. */
struct scree_tensor_map {
    const char *name;
    uint32_t tensor;
};

struct scree_signature {
    const char *key;
    uint32_t subgraph, n_inputs, n_outputs;
    const struct scree_tensor_map *inputs, *outputs;
};

/* A named blob beside the graph ("TFLITE_METADATA", "min_runtime_version"): bytes u8[n_bytes]. */
struct scree_metadata {
    const char *name;
    const uint8_t *bytes;
    size_t n_bytes;
};

struct scree_graph {
    const char *description;
    uint32_t n_subgraphs, n_signatures, n_metadata;
    const struct scree_subgraph *subgraphs; /* [0] is the main one */
    const struct scree_signature *signatures;
    const struct scree_metadata *metadata;
    const uint8_t *file; /* u8[n_file], borrowed */
    size_t n_file;
    struct scree_arena arena;
};

/* "CONV_2D", or the name of a custom operator, or "operator 300". Static or of the graph. */
const char *scree_node_name(const struct scree_node *node);

/* The elements of a shape: the product of its dimensions, 1 for rank 0. No dimension may be
 * negative. Invariant 2 (and the planner's own check) makes it fit. */
size_t scree_shape_elements(const struct scree_shape *shape);

/* True if rank and dimensions are the same. */
bool scree_shape_equal(const struct scree_shape *a, const struct scree_shape *b);

/* Writes "1x224x224x3" ("scalar" for rank 0, "?" for rank -1, "-1" for an open dimension), cut to
 * fit text[n]. Returns text. 96 bytes are enough for any shape. */
char *scree_shape_text(const struct scree_shape *shape, char *text, size_t n);

#endif
