/* Any bytes as a request of Frigate's detector, by ZeroMQ, to a server that has models: up to a
 * zero its first frame, the JSON; what is behind, if there is a zero, its second. It is always
 * answered: by 20 rows, or by JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/serving.h"

#define MAX_BYTES  ((size_t)1 << 20)
#define ROWS_BYTES 480
#define FLAG_MORE  1
#define FLAG_LONG  2

static int fd = -1;

static void leave(void)
{
    if (fd >= 0)
        (void)close(fd);
    fd = -1;
}

/* What libFuzzer's clock interrupts goes on. */
static void read_all(uint8_t *to, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, to, n, 0);

        if (got == 0 || (got < 0 && errno != EINTR))
            abort();
        to += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
}

static void write_all(const uint8_t *from, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR)
            abort();
        from += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

static void enter(void)
{
    static const uint8_t greeting[64] = {0xff, [8] = 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const uint8_t ready[] = "\4\31\5READY\13Socket-Type\0\0\0\3REQ";
    uint8_t answer[64];

    if (fd >= 0)
        return;
    fd = serving_connect(serving_zmq_port());
    write_all(greeting, sizeof greeting);
    write_all(ready, sizeof ready - 1);
    read_all(answer, sizeof answer);
    read_all(answer, sizeof ready - 1);
    if (memcmp(answer + 1, ready + 1, sizeof ready - 1 - 4) != 0)
        abort();
}

static void add_frame(struct scree_buffer *to, const uint8_t *bytes, size_t n, bool more)
{
    uint8_t head[9] = {(uint8_t)(FLAG_LONG | (more ? FLAG_MORE : 0))};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    scree_buffer_add(to, head, sizeof head);
    scree_buffer_add(to, bytes, n);
}

/* A frame up to max bytes long; returns its length. */
static size_t read_frame(uint8_t *to, size_t max, bool *ret_more)
{
    uint8_t head[2];
    size_t n;

    read_all(head, 2);
    n = head[1];
    for (int i = 0; head[0] & FLAG_LONG && i < 7; i++) {
        uint8_t byte;

        read_all(&byte, 1);
        n = n << 8 | byte;
    }
    if (n > max)
        abort();
    read_all(to, n);
    *ret_more = head[0] & FLAG_MORE;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const uint8_t *zero = n_bytes > 0 ? memchr(bytes, 0, n_bytes) : NULL;
    size_t n_head = zero ? (size_t)(zero - bytes) : n_bytes, n;
    struct scree_buffer request = {.limit = MAX_BYTES};
    uint8_t answer[ROWS_BYTES];
    bool more;

    if (n_bytes > MAX_BYTES / 2)
        return 0;
    if (fd < 0)
        (void)atexit(leave);
    (void)serving();
    enter();
    add_frame(&request, NULL, 0, true);
    add_frame(&request, bytes, n_head, zero != NULL);
    if (zero)
        add_frame(&request, zero + 1, n_bytes - n_head - 1, false);
    write_all(request.bytes, request.n);
    if (read_frame(answer, 0, &more) != 0 || !more)
        abort();
    n = read_frame(answer, sizeof answer, &more);
    if (more || (n != ROWS_BYTES && (n == 0 || answer[0] != '{')))
        abort();
    scree_buffer_done(&request);
    return 0;
}
