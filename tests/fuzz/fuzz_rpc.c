/* Any bytes as messages of gRPC calls to a server that has models: the first byte says which
 * method, the second into how many messages the rest is cut, or, with its highest bit, that the
 * rest is what a client of a new connection sends. No call ends with an internal error, and
 * answers are messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/serving.h"
#include "net/pb.h"

#define MAX_MESSAGES 4

static const struct scree_grpc_limits limits = {1 << 20, 1 << 20, 8, 8192};

static struct scree_grpc *client;
static int client_fd = -1;
static bool is_over; /* the call */
static int n_answers;

static void on_message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct scree_pb_field field;
    int rc;

    (void)context, (void)call;
    while ((rc = scree_pb_next(&reader, &field)) > 0)
        continue;
    if (rc < 0)
        abort();
    n_answers++;
}

static void on_closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                      const char *text)
{
    (void)context, (void)call, (void)text;
    if (status == SCREE_GRPC_INTERNAL)
        abort();
    is_over = true;
}

static const struct scree_grpc_events events = {.message = on_message, .closed = on_closed};

static void leave(void)
{
    scree_grpc_free(client);
    client = NULL;
    if (client_fd >= 0)
        (void)close(client_fd);
    client_fd = -1;
}

static void enter(void)
{
    if (client)
        return;
    client_fd = serving_connect(serving_grpc_port());
    if (scree_grpc_new_client(&limits, &events, NULL, &client, NULL) < 0)
        abort();
}

/* Sends and reads what there is; false at the end of the connection. */
static bool exchange(void)
{
    uint8_t bytes[4096];
    const uint8_t *out;
    ssize_t n;
    size_t n_out;

    while ((out = scree_grpc_output(client, &n_out))) {
        n = send(client_fd, out, n_out, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            break;
        scree_grpc_sent(client, (size_t)n);
    }
    n = recv(client_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && scree_grpc_feed(client, bytes, (size_t)n, 0, NULL) >= 0;
}

static void call(const struct scree_rpc_method *method, const uint8_t *bytes, size_t n,
                 size_t n_messages)
{
    struct scree_grpc_call *one;
    bool go;

    enter();
    is_over = false;
    n_answers = 0;
    if (scree_grpc_call(client, "localhost", method->path, &one, NULL) < 0)
        abort();
    for (size_t i = 0; i < n_messages; i++) {
        size_t from = n * i / n_messages, to = n * (i + 1) / n_messages;

        (void)scree_grpc_send(one, bytes + from, to - from, NULL);
    }
    scree_grpc_finish(one, SCREE_GRPC_OK, NULL);
    do {
        go = exchange() && !is_over && !(method->flags & SCREE_RPC_WATCH && n_answers > 0);
    } while (go && serving_wait(client_fd));
    if (!is_over)
        leave();
}

/* A connection of its own, without this client's framing. */
static void say(const uint8_t *bytes, size_t n)
{
    uint8_t answer[4096];
    int fd = serving_connect(serving_grpc_port());

    (void)!send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (serving_wait(fd) && recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        continue;
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static size_t n_methods;

    if (n_methods == 0) {
        while (scree_rpc_methods[n_methods].path)
            n_methods++;
        (void)atexit(leave);
    }
    if (n_bytes < 2)
        return 0;
    (void)serving();
    if (bytes[1] & 0x80)
        say(bytes + 2, n_bytes - 2);
    else
        call(&scree_rpc_methods[bytes[0] % n_methods], bytes + 2, n_bytes - 2,
             bytes[1] % MAX_MESSAGES + 1u);
    return 0;
}
