/* model/reading.h - what the files of the reader share: reader.c (the model), reader_subgraph.c (a
 * subgraph, the order of its operators), reader_tensor.c (one tensor), reader_node.c (one operator
 * and its options), reading.c (names, lists and buffers, which all have).
 *
 * Each function fills a part of the graph from a table of the file, and leaves in `err` what is
 * wrong with that part; the caller puts before it where the part is. A failed FlatBuffer read
 * (fb.rc) may go unnoticed inside a part, but not beyond the end of it: every part ends with
 * scree_fb_status(). */
#ifndef SCREE_MODEL_READING_H
#define SCREE_MODEL_READING_H

#include "model/flatbuffer.h"
#include "model/graph.h"

/* One row of the file's table of operator codes. */
struct scree_operator_code {
    int32_t opcode, version;
    const char *custom_name; /* of SCREE_OP_CUSTOM, else NULL */
};

/* A file on its way to become a graph. */
struct scree_reading {
    struct scree_graph *graph;
    struct scree_fb fb;
    struct scree_fb_vector buffers;
    uint32_t n_codes;
    const struct scree_operator_code *codes; /* [n_codes] */
};

/* The file's bytes behind a buffer number. */
struct scree_buffer {
    const uint8_t *bytes; /* u8[n_bytes]; NULL for a buffer without data */
    size_t n_bytes;
};

/* Where the data of a constant without elements is. */
extern const uint8_t scree_reading_no_elements[16];

/* An array of n zeroed elements of `type` in the graph's arena; NULL if there is no room. */
#define scree_reading_new(reading, type, n) scree_arena_new(&(reading)->graph->arena, type, (n))

/* Why there was no room for n elements of `size`: E2BIG (the graph's limit) or ENOMEM. */
int scree_reading_full(const struct scree_reading *reading, size_t n, size_t size,
                       struct scree_error *err);

/* E2BIG if n is over `most`, in the words "70000 tensors, the limit is 65536". */
int scree_reading_limit(size_t n, size_t most, const char *things, struct scree_error *err);

/* The string in a slot as a safe name (base/text.h): where it lies, or a copy made safe; "" if it
 * is absent. */
int scree_reading_name(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, const char **ret_name, struct scree_error *err);

/* A copy of the s32 vector in a slot; n 0 if it is absent. */
int scree_reading_i32s(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, struct scree_i32s *ret_values, struct scree_error *err);

/* The list of tensor numbers in a slot, each in [least, n_tensors); `what` is "input" or the like.
 * Errors: EBADMSG; E2BIG for a list over 4,096. */
int scree_reading_operands(struct scree_reading *reading, const struct scree_fb_table *table,
                           unsigned slot, const char *what, int32_t least, uint32_t n_tensors,
                           struct scree_i32s *ret_operands, struct scree_error *err);

/* The bytes of buffer `index`. Errors: EBADMSG for an index or a place out of range. */
int scree_reading_buffer(struct scree_reading *reading, uint32_t index,
                         struct scree_buffer *ret_buffer, struct scree_error *err);

/* Reads one table Tensor. Errors: EBADMSG, E2BIG, ENOTSUP, ENOMEM. */
int scree_reading_tensor(struct scree_reading *reading, const struct scree_fb_table *table,
                         struct scree_tensor_def *tensor, struct scree_error *err);

/* Reads one table SubGraph and checks the order of its operators. `err` names the part.
 * Errors: EBADMSG, E2BIG, ENOTSUP, ENOMEM. */
int scree_reading_subgraph(struct scree_reading *reading, const struct scree_fb_table *table,
                           struct scree_subgraph *subgraph, struct scree_error *err);

/* Reads one table Operator of a subgraph with n_tensors. `err` names the operator.
 * Errors: EBADMSG, E2BIG, ENOMEM. */
int scree_reading_node(struct scree_reading *reading, const struct scree_fb_table *table,
                       uint32_t n_tensors, struct scree_node *node, struct scree_error *err);

#endif
