/* serve/ids.h - what stands for a request in logs and answers, over HTTP and gRPC alike.
 *
 * Memory: none. Threads: none of its own. */
#ifndef SCREE_SERVE_IDS_H
#define SCREE_SERVE_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define SCREE_ID_BYTES    65
#define SCREE_TRACE_BYTES 33

/* The id of a request: what its header X-Request-ID says (NULL: it has none), if that is up to 64
 * of [A-Za-z0-9_.:-]; else one made of `run`, which is another at every start of a server, and
 * `number`, which is another for every request. */
void scree_id_read(const char *header, uint64_t run, uint64_t number, char id[SCREE_ID_BYTES]);

/* The trace of a header traceparent (NULL: there is none), 32 hexadecimal digits; "" if it has
 * none. Source: W3C, "Trace Context". */
void scree_trace_read(const char *header, char trace[SCREE_TRACE_BYTES]);

/* What is another at every start, for scree_id_read(). */
uint64_t scree_id_run(void);

#endif
