/* Any bytes from a peer, in pieces of sizes that the first byte says: nothing is read past a
 * request without its reply, frames lie in what was read, and one reply answers one request. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/zmtp.h"

#define MAX_BYTES 8192

static void answer(struct scree_zmtp *peer)
{
    const struct scree_span reply[] = {{(const uint8_t *)"{}", 2}, {NULL, 0}};
    size_t n = peer->out.n, sum = 0;
    uint32_t n_frames = scree_zmtp_count(peer);

    for (uint32_t i = 0; i < n_frames; i++) {
        bool is_cut;
        struct scree_span frame = scree_zmtp_frame(peer, i, &is_cut);

        for (size_t k = 0; k < frame.n; k++)
            sum += frame.bytes[k] & 1;
        if (frame.n > MAX_BYTES + 1024 || (is_cut && frame.n > 0) || sum > MAX_BYTES + 1024)
            abort();
    }
    scree_zmtp_reply(peer, reply, 1 + (n_frames & 1));
    if (peer->out.n <= n && !peer->out.failed)
        abort();
}

/* As a socket's bytes come: to where there is room, or from a buffer of their own. */
static int feed(struct scree_zmtp *peer, const uint8_t *bytes, size_t n, size_t *used)
{
    size_t n_room;
    uint8_t *room = scree_zmtp_room(peer, &n_room), *piece;
    int rc;

    if (room) {
        *used = n < n_room ? n : n_room;
        memcpy(room, bytes, *used);
        rc = scree_zmtp_filled(peer, *used, NULL);
        return rc == 0 && *used < n ? 2 : rc;
    }
    piece = malloc(n);
    if (!piece)
        return -ENOMEM;
    memcpy(piece, bytes, n);
    rc = scree_zmtp_feed(peer, piece, n, used, NULL);
    free(piece);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    size_t step = n_bytes > 0 && bytes[0] ? bytes[0] : 64, at = 1;
    struct scree_zmtp peer;

    scree_zmtp_init(&peer, MAX_BYTES);
    while (at < n_bytes) {
        size_t n = n_bytes - at < step ? n_bytes - at : step, used = 0;
        int rc = feed(&peer, bytes + at, n, &used);

        if (used > n || (rc == 0 && used < n))
            abort();
        if (rc < 0)
            break;
        if (rc == 1)
            answer(&peer);
        at += used;
        scree_buffer_drop(scree_zmtp_output(&peer), peer.out.n);
    }
    scree_zmtp_done(&peer);
    return 0;
}
