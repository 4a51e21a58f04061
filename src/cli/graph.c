#include "cli/graph.h"

int scree_cli_graph_open(const char *path, struct scree_cli_graph *ret_graph)
{
    struct scree_cli_graph graph;
    struct scree_error err;
    int rc = scree_mapped_open(path, &graph.mapped, &err);

    if (rc < 0)
        return scree_cli_fail(rc, &err);
    rc = scree_graph_read(graph.mapped.bytes, graph.mapped.n_bytes, &graph.graph, &err);
    if (rc < 0) {
        scree_mapped_done(&graph.mapped);
        rc = scree_wrap(&err, rc, "%s", path);
        return scree_cli_fail(rc, &err);
    }
    *ret_graph = graph;
    return SCREE_EXIT_OK;
}

void scree_cli_graph_done(struct scree_cli_graph *graph)
{
    scree_graph_done(&graph->graph);
    scree_mapped_done(&graph->mapped);
}
