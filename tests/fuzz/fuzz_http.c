/* Any bytes as what an HTTP client sends: all routes, all of their parsers, in a server that has
 * models. "Content-Length: ~" stands for the number of bytes behind the next empty line, so that
 * bodies can grow and shrink. No answer is an internal error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/serving.h"

#define MAX_BYTES  ((size_t)512 << 10)
#define MAX_ANSWER ((size_t)1 << 20)

static const char mark[] = "Content-Length: ~";

/* Adds the bytes with the length in the place of the mark. */
static void add_request(struct scree_buffer *to, const uint8_t *bytes, size_t n)
{
    const uint8_t *at = memmem(bytes, n, mark, sizeof mark - 1), *body = NULL;
    size_t n_head = at ? (size_t)(at - bytes) + sizeof mark - 2 : 0;
    char length[24];

    if (at)
        body = memmem(at, n - (size_t)(at - bytes), "\r\n\r\n", 4);
    if (body) {
        int n_length =
            snprintf(length, sizeof length, "%zu", n - (size_t)(body - bytes) - strlen("\r\n\r\n"));

        scree_buffer_add(to, bytes, n_head);
        scree_buffer_add(to, length, (size_t)n_length);
        bytes += n_head + 1;
        n -= n_head + 1;
    }
    scree_buffer_add(to, bytes, n);
}

static void check(const struct scree_buffer *answer)
{
    const char *text = (const char *)answer->bytes;

    if (answer->n == 0)
        return;
    if (answer->n < 16 || memcmp(text, "HTTP/1.", 7) != 0 || memcmp(text + 8, " 500 ", 5) == 0)
        abort();
}

/* Sends what the socket takes while the server reads, and reads its answers; true at their end. */
static bool exchange(int fd, const struct scree_buffer *request, size_t *sent,
                     struct scree_buffer *answer)
{
    uint8_t bytes[4096];
    ssize_t n;

    if (*sent < request->n) {
        n = send(fd, request->bytes + *sent, request->n - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            *sent += (size_t)n;
    }
    n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        scree_buffer_add(answer, bytes, (size_t)n);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || answer->failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_buffer request = {.limit = MAX_BYTES}, answer = {.limit = MAX_ANSWER};
    size_t sent = 0;
    bool more = true;
    int fd;

    if (n_bytes == 0 || n_bytes > MAX_BYTES / 2)
        return 0;
    add_request(&request, bytes, n_bytes);
    fd = serving_connect(serving()->port);
    while (more) {
        bool over = exchange(fd, &request, &sent, &answer);

        more = !over && serving_wait(fd);
    }
    check(&answer);
    (void)close(fd);
    scree_buffer_done(&request);
    scree_buffer_done(&answer);
    return 0;
}
