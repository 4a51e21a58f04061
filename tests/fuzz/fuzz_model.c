/* Any bytes as a .tflite file: the reader, the packed files, the options of custom operators. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "model/flexbuffer.h"
#include "model/reader.h"
#include "support/graph_check.h"

#define UNPACK_BYTES ((size_t)32 << 20)

static void read_packed(const struct scree_graph *graph)
{
    static const char *const names[] = {NULL, "labels.txt"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct scree_arena arena;
        const uint8_t *bytes;
        size_t n_bytes;

        scree_arena_init(&arena, UNPACK_BYTES);
        if (scree_graph_file(graph, names[i], &arena, &bytes, &n_bytes, NULL) == 0 && n_bytes > 0)
            (void)*(const volatile uint8_t *)&bytes[n_bytes - 1];
        scree_arena_done(&arena);
    }
}

static void read_options(const struct scree_node *node)
{
    struct scree_flexmap map;

    if (!node->custom || scree_flexmap_open(node->custom, node->n_custom, &map, NULL) < 0)
        return;
    (void)scree_flexmap_int(&map, "max_detections", 0);
    (void)scree_flexmap_float(&map, "y_scale", 0.0f);
    (void)scree_flexmap_bool(&map, "use_regular_nms", false);
    (void)scree_flexmap_has(&map, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_graph graph;
    const char *broken;

    if (scree_graph_read(bytes, n_bytes, &graph, NULL) < 0)
        return 0;
    broken = graph_check(&graph);
    if (broken) {
        fprintf(stderr, "the graph breaks an invariant: %s\n", broken);
        abort();
    }
    for (uint32_t s = 0; s < graph.n_subgraphs; s++)
        for (uint32_t i = 0; i < graph.subgraphs[s].n_nodes; i++)
            read_options(&graph.subgraphs[s].nodes[i]);
    read_packed(&graph);
    scree_graph_done(&graph);
    return 0;
}
