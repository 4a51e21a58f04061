#include "plugin/streams.h"

static void send_one(struct scree_grpc_call *call, const struct scree_buffer *message)
{
    if (message->failed || scree_grpc_send(call, message->bytes, message->n, NULL) < 0)
        scree_grpc_cancel(call);
}

void scree_streams_add(struct scree_streams *streams, struct scree_grpc_call *call,
                       const struct scree_buffer *message)
{
    if (streams->n == SCREE_STREAMS) {
        scree_grpc_finish(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "too many streams");
        return;
    }
    streams->v[streams->n++] = call;
    send_one(call, message);
}

bool scree_streams_remove(struct scree_streams *streams, const struct scree_grpc_call *call)
{
    for (uint32_t i = 0; i < streams->n; i++)
        if (streams->v[i] == call) {
            streams->v[i] = streams->v[--streams->n];
            return true;
        }
    return false;
}

void scree_streams_send(const struct scree_streams *streams, const struct scree_buffer *message)
{
    for (uint32_t i = 0; i < streams->n; i++)
        send_one(streams->v[i], message);
}
