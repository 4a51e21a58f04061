#include "serve/http_connection.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

#define NS_A_MS UINT64_C(1000000)

struct scree_connection *scree_connection_add(struct scree_connections *connections, int fd)
{
    struct scree_connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->fd = fd;
    connection->deadline_ns = UINT64_MAX;
    connection->next = connections->first;
    if (connection->next)
        connection->next->prev = connection;
    connections->first = connection;
    connections->n++;
    return connection;
}

void scree_connection_remove(struct scree_connections *connections,
                             struct scree_connection *connection)
{
    if (!connection)
        return;
    if (connection->next)
        connection->next->prev = connection->prev;
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        connections->first = connection->next;
    connections->n--;
    free(connection);
}

void scree_connection_enter(struct scree_connection *connection, enum scree_stage stage,
                            uint64_t ms)
{
    connection->stage = stage;
    connection->deadline_ns = ms == UINT64_MAX ? UINT64_MAX : scree_now_ns() + ms * NS_A_MS;
}

bool scree_connection_is_at_end(const struct scree_connection *connection)
{
    char byte;

    return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* True if the other side is to send something. Right after an answer it may have done so already.
 */
static bool is_waiting(const struct scree_connection *c, uint32_t idle_ms, uint64_t now)
{
    if (c->stage == SCREE_STAGE_IDLE)
        return c->deadline_ns <
               now + (uint64_t)idle_ms * NS_A_MS - SCREE_CONNECTION_CHECK_MS * NS_A_MS;
    return (c->stage == SCREE_STAGE_HEADERS || c->stage == SCREE_STAGE_BODY) &&
           c->deadline_ns < UINT64_MAX;
}

/* libmicrohttpd, whose epoll is edge-triggered, misses an end that comes together with bytes: hence
 * the look at each end. Not in each round of the event loop: with a thousand slow connections that
 * would be what others wait for. */
void scree_connections_close_late(struct scree_connections *connections, uint32_t idle_ms,
                                  bool is_draining)
{
    uint64_t now = scree_now_ns();

    if (now - connections->checked_ns < SCREE_CONNECTION_CHECK_MS * NS_A_MS)
        return;
    connections->checked_ns = now;
    for (struct scree_connection *c = connections->first; c; c = c->next)
        if (c->deadline_ns < now || (is_draining && c->stage == SCREE_STAGE_IDLE) ||
            (is_waiting(c, idle_ms, now) && scree_connection_is_at_end(c))) {
            (void)shutdown(c->fd, SHUT_RDWR);
            c->deadline_ns = UINT64_MAX;
        }
}
