/* tests/support/graph_check.h - the invariants of model/graph.h, checked on a graph by slow and
 * plain code of its own. For tests that feed the reader what is broken. */
#ifndef SCREE_TESTS_GRAPH_CHECK_H
#define SCREE_TESTS_GRAPH_CHECK_H

#include "model/graph.h"

/* NULL if the graph keeps every invariant, else which it breaks. Reads each byte that the graph
 * promises: names to their end, options, first and last bytes of constants. */
const char *graph_check(const struct scree_graph *graph);

#endif
