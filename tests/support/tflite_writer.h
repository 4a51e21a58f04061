/* tests/support/tflite_writer.h - makes .tflite files in memory, for tests.
 *
 *     struct tw *tw = tw_new();
 *     int32_t in = tw_tensor(tw, "in", SCREE_TYPE_INT8, TW_SHAPE(1, 4));
 *     int32_t out = tw_tensor(tw, "out", SCREE_TYPE_INT8, TW_SHAPE(1, 4));
 *     tw_quantize(tw, in, 0.5f, -3);
 *     tw_quantize(tw, out, 0.25f, 0);
 *     tw_node(tw, SCREE_OP_QUANTIZE, TW_LIST(in), TW_LIST(out), NULL);
 *     tw_ports(tw, TW_LIST(in), TW_LIST(out));
 *     bytes = tw_finish(tw, &n_bytes);
 *     ... scree_graph_read(bytes, n_bytes, &graph, &err) ...
 *     tw_free(tw);
 *
 * It checks nothing: a test that wants a wrong model writes it. What the functions do not offer is
 * set in the structs between the last tw_tensor() or tw_node() and tw_finish().
 *
 * Memory: everything belongs to the writer, arguments are copied; without memory the test aborts.
 */
#ifndef SCREE_TESTS_TFLITE_WRITER_H
#define SCREE_TESTS_TFLITE_WRITER_H

#include "model/graph.h"

#define TW_MAX_RANK 16

struct tw_tensor {
    const char *name;
    uint8_t type;
    int32_t rank, dims[TW_MAX_RANK];
    int32_t signature_rank, signature[TW_MAX_RANK]; /* rank -1: none */
    uint32_t n_scales, n_zero_points;
    const float *scales;
    const int64_t *zero_points;
    int32_t axis;
    uint8_t details; /* kind of union QuantizationDetails; 0 none */
    uint32_t buffer; /* see tw_buffer(); 0: none */
    bool is_variable, is_sparse;
    uint32_t external_buffer;
};

struct tw_buffer {
    const uint8_t *bytes; /* u8[n_bytes]; NULL: no data */
    size_t n_bytes;
    bool outside;                   /* the data goes behind the FlatBuffer */
    uint64_t offset, outside_bytes; /* instead of the real place if offset is not 0 */
};

struct tw_node {
    int32_t opcode, version;
    const char *custom_name;
    struct scree_i32s inputs, outputs, intermediates;
    union scree_options options;
    uint8_t options_number; /* in union BuiltinOptions; 0: no options */
    bool has_custom;
    const uint8_t *custom;
    size_t n_custom;
    uint64_t large_custom_offset, large_custom_bytes;
    int32_t code; /* number of the operator code; -1: its own */
};

struct tw_map {
    const char *name;
    uint32_t tensor;
};

struct tw;

/* An empty model of one subgraph, and its end. */
struct tw *tw_new(void);
void tw_free(struct tw *tw);

/* A shape, a list of numbers, an empty list. */
#define TW_SHAPE(...)                                                                 \
    ((struct scree_shape){.rank = sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
                          .dims = {__VA_ARGS__}})
#define TW_SCALAR ((struct scree_shape){0})
#define TW_LIST(...)                                                              \
    ((struct scree_i32s){.n = sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
                         .v = (const int32_t[]){__VA_ARGS__}})
#define TW_EMPTY ((struct scree_i32s){0})

/* Starts one more subgraph: what follows is added to it. */
void tw_subgraph(struct tw *tw, const char *name);

/* Adds a buffer, returns its number (1 is the first). bytes u8[n_bytes]; NULL for one without data.
 */
uint32_t tw_buffer(struct tw *tw, const void *bytes, size_t n_bytes);

/* Adds a tensor, or one with data u8[n_bytes]; returns its number in the subgraph. */
int32_t tw_tensor(struct tw *tw, const char *name, enum scree_type type, struct scree_shape shape);
int32_t tw_constant(struct tw *tw, const char *name, enum scree_type type, struct scree_shape shape,
                    const void *data, size_t n_bytes);

/* Gives a tensor of the present subgraph scales and zero points: one, or n along a dimension. */
void tw_quantize(struct tw *tw, int32_t tensor, float scale, int64_t zero_point);
void tw_quantize_axis(struct tw *tw, int32_t tensor, int32_t axis, uint32_t n, const float *scales,
                      const int64_t *zero_points);

/* Adds an operator of version 1; returns its number. `options` may be NULL: the file has none. */
int32_t tw_node(struct tw *tw, int32_t opcode, struct scree_i32s inputs, struct scree_i32s outputs,
                const union scree_options *options);

/* Adds a custom operator with options u8[n_options], usually from tw_flexmap(). */
int32_t tw_custom(struct tw *tw, const char *name, struct scree_i32s inputs,
                  struct scree_i32s outputs, const void *options, size_t n_options);

/* Names the inputs and outputs of the present subgraph. */
void tw_ports(struct tw *tw, struct scree_i32s inputs, struct scree_i32s outputs);

/* Adds a signature of a subgraph. */
void tw_signature(struct tw *tw, const char *key, uint32_t subgraph, const struct tw_map *inputs,
                  uint32_t n_inputs, const struct tw_map *outputs, uint32_t n_outputs);

/* Adds a named blob: u8[n_bytes] in a new buffer, or any buffer. */
void tw_metadata(struct tw *tw, const char *name, const void *bytes, size_t n_bytes);
void tw_metadata_buffer(struct tw *tw, const char *name, uint32_t buffer);

/* Sets the model's description and schema version ("" and 3 in a new one). */
void tw_model(struct tw *tw, const char *description, uint32_t version);

/* Writes the file: u8[*ret_n_bytes], aligned to 16. Once. */
const uint8_t *tw_finish(struct tw *tw, size_t *ret_n_bytes);

/* A copy of a list that lives as long as the writer, for changes of a node's lists. */
struct scree_i32s tw_list(struct tw *tw, struct scree_i32s list);

/* For changes: a tensor, an operator of the present subgraph; a buffer. Valid until the next of its
 * kind is added. */
struct tw_tensor *tw_tensor_at(struct tw *tw, int32_t tensor);
struct tw_node *tw_node_at(struct tw *tw, int32_t node);
struct tw_buffer *tw_buffer_at(struct tw *tw, uint32_t buffer);

/* The options of a custom operator: a FlexBuffer map. Keys in any order. */
enum tw_kind { TW_INT, TW_FLOAT, TW_BOOL };

struct tw_option {
    const char *key;
    enum tw_kind kind;
    double value;
};

/* u8[*ret_n_bytes] of a map of options[n], n <= 64. */
const uint8_t *tw_flexmap(struct tw *tw, const struct tw_option *options, uint32_t n,
                          size_t *ret_n_bytes);

/* The number of an operator's options in union BuiltinOptions, 0 if scree reads none. */
uint8_t tw_options_number(int32_t opcode);

#endif
