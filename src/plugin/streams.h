/* plugin/streams.h - calls that are kept open, on which every change is sent.
 *
 * Memory: at most SCREE_STREAMS calls, that belong to their connections. */
#ifndef SCREE_PLUGIN_STREAMS_H
#define SCREE_PLUGIN_STREAMS_H

#include "net/buffer.h"
#include "net/grpc.h"

#define SCREE_STREAMS 16

struct scree_streams {
    uint32_t n;
    struct scree_grpc_call *v[SCREE_STREAMS];
};

/* Keeps the call and sends it a first message; a call too many is finished at once. */
void scree_streams_add(struct scree_streams *streams, struct scree_grpc_call *call,
                       const struct scree_buffer *message);

/* The call is closed. Returns true if it was kept. */
bool scree_streams_remove(struct scree_streams *streams, const struct scree_grpc_call *call);

/* Queues a message to all; one that does not read what it was sent before is cancelled. */
void scree_streams_send(const struct scree_streams *streams, const struct scree_buffer *message);

#endif
