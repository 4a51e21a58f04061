/* model/reader.h - bytes of a .tflite file to a checked graph. Hostile input stops here.
 *
 * The file is a FlatBuffer with identifier "TFL3" (schema version 3), perhaps followed by buffers
 * outside the FlatBuffer (models over 2 GiB) and by a ZIP archive with the files of the metadata.
 *
 * Limits, stated in docs/limits.md; above them E2BIG:
 *   file 2^40 bytes, subgraphs 64, tensors 65,536 a subgraph, operators 65,536 a subgraph, rank 8,
 *   inputs or outputs of an operator 4,096, of a subgraph 4,096, elements of a tensor 2^31 - 1.
 * Memory for the graph: at most 64 times the file's bytes plus 1 MiB; constants are used where they
 * lie. */
#ifndef SCREE_MODEL_READER_H
#define SCREE_MODEL_READER_H

#include "model/graph.h"

/* Reads file u8[n_file] (any alignment, borrowed for the graph's life) and checks every invariant
 * of graph.h. `ret_graph` is given back with scree_graph_done(). Errors: EBADMSG (malformed; what
 * and where), E2BIG, ENOTSUP (schema version; external buffers), ENOMEM. */
int scree_graph_read(const uint8_t *file, size_t n_file, struct scree_graph *ret_graph,
                     struct scree_error *err);

/* Frees the graph. Accepts an all-zero one. */
void scree_graph_done(struct scree_graph *graph);

/* Finds a file packed behind the model (a ZIP archive at the end of the file) by name; with name
 * NULL the label file that the metadata associates with the outputs, else the only .txt file. A
 * stored member is returned where it lies; a deflated one is unpacked into `arena`. ret_bytes
 * u8[*ret_n_bytes]. Errors: ENOENT, EBADMSG (a damaged archive or metadata), ENOTSUP (encrypted, or
 * another compression), E2BIG (over 16 MiB), ENOMEM. */
int scree_graph_file(const struct scree_graph *graph, const char *name, struct scree_arena *arena,
                     const uint8_t **ret_bytes, size_t *ret_n_bytes, struct scree_error *err);

#endif
