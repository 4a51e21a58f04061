/* Any bytes as what a client says to a gRPC server that echoes, or a server to a client that has
 * called: the first byte says which, the second how many bytes come at once. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "net/grpc.h"

#define MAX_MESSAGE_BYTES 4096

static const struct scree_grpc_limits limits = {MAX_MESSAGE_BYTES, 4 * MAX_MESSAGE_BYTES, 8, 1024};

static void message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    const bool *is_server = context;

    if (n > MAX_MESSAGE_BYTES)
        abort();
    if (*is_server && scree_grpc_send(call, bytes, n, NULL) < 0)
        scree_grpc_cancel(call);
}

static void ended(void *context, struct scree_grpc_call *call)
{
    (void)context;
    scree_grpc_finish(call, SCREE_GRPC_NOT_FOUND, scree_grpc_path(call));
}

static void closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                   const char *text)
{
    (void)context, (void)call, (void)status, (void)text;
}

static const struct scree_grpc_events events = {
    .message = message, .ended = ended, .closed = closed, .packed = message};

static struct scree_grpc *start(bool *is_server)
{
    struct scree_grpc *grpc = NULL;
    struct scree_grpc_call *call;

    if (*is_server) {
        (void)scree_grpc_new_server(&limits, &events, is_server, &grpc, NULL);
        return grpc;
    }
    (void)scree_grpc_new_client(&limits, &events, is_server, &grpc, NULL);
    if (grpc && scree_grpc_call(grpc, "localhost", "/a/b", &call, NULL) == 0)
        (void)scree_grpc_send(call, "hello", 5, NULL);
    return grpc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    bool is_server = n_bytes > 0 && bytes[0] & 1;
    size_t chunk = n_bytes > 1 ? bytes[1] + 1u : 1, n_out;
    struct scree_grpc *grpc = start(&is_server);

    for (size_t at = 2; grpc && at < n_bytes; at += chunk) {
        size_t n = n_bytes - at < chunk ? n_bytes - at : chunk;

        if (scree_grpc_feed(grpc, bytes + at, n, at * 1000, NULL) < 0)
            break;
        while (scree_grpc_output(grpc, &n_out))
            scree_grpc_sent(grpc, n_out);
        if (scree_grpc_is_done(grpc))
            break;
    }
    scree_grpc_free(grpc);
    return 0;
}
