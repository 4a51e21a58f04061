/* cli/graph.h - a model as a graph, for verbs that tell about models that cannot run.
 *
 * Memory: a struct scree_cli_graph owns the file's mapping and the graph. */
#ifndef SCREE_CLI_GRAPH_H
#define SCREE_CLI_GRAPH_H

#include "base/file.h"
#include "cli/cli.h"
#include "model/reader.h"

struct scree_cli_graph {
    struct scree_mapped mapped;
    struct scree_graph graph;
};

/* Opens the model file `path`. Returns 0, or prints what is wrong and returns an exit code. */
int scree_cli_graph_open(const char *path, struct scree_cli_graph *ret_graph);

/* Closes it. */
void scree_cli_graph_done(struct scree_cli_graph *graph);

#endif
