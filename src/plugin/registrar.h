/* plugin/registrar.h - keeps the plugin registered with the kubelet's own socket.
 *
 *      no kubelet.sock      it appears        connected          the kubelet says yes
 *      WAITING ------------> CALLING ---------------------------> REGISTERED
 *         ^                    |  fails, no answer in 30 s            |
 *         |                    v                                      | another kubelet.sock, or
 *         |                  RETRYING after 10 ms to 5 s              | no stream for 3 s
 *         +--------------------------------------- <------------------+
 *
 * The kubelet calls back before it answers, so this never waits. Its socket is known by its inode
 * and its time: a kubelet that was restarted has another. inotify tells of that at once; a look
 * every second makes sure of it, and does alone where there is no inotify. While another instance
 * has the plugin's own socket it is not for this one to register.
 *
 * Memory: owns its descriptors and one connection. */
#ifndef SCREE_PLUGIN_REGISTRAR_H
#define SCREE_PLUGIN_REGISTRAR_H

#include <time.h>

#include "plugin/answers.h"
#include "plugin/server.h"

/* What the registrar counts and knows, for metrics. */
struct scree_registrar_stats {
    uint64_t n_registered, n_failed;
    uint64_t last_ns; /* from the kubelet's socket seen until registered */
};

struct scree_registrar {
    struct scree_loop *loop;
    const struct scree_offer *offer;
    struct scree_unix_server *server; /* whose socket is registered */
    const uint32_t *n_streams;        /* of ListAndWatch, that are open */
    const char *dir, *endpoint;
    struct scree_source watch; /* inotify on dir; fd -1: there is none */
    int watched;               /* inotify's number for dir, -1 if it is not there */
    struct scree_timer second, retry;
    struct scree_peer *peer; /* while calling */
    uint64_t call_ns;        /* since when; 0 while not calling */
    bool registered;
    ino_t inode; /* of the kubelet's socket, and its time, that we are registered with */
    struct timespec changed;
    uint64_t seen_ns;   /* when that socket was first seen; 0: not seen */
    uint64_t alone_ns;  /* since when there is no stream; 0 if there is one */
    uint32_t n_retries; /* in a row */
    struct scree_registrar_stats stats;
};

/* Begins. `server` listens in the folder `dir` as `endpoint`; all pointers are borrowed.
 * Errors: EIO. */
int scree_registrar_start(struct scree_registrar *registrar, struct scree_loop *loop,
                          const struct scree_offer *offer, struct scree_unix_server *server,
                          const uint32_t *n_streams, const char *dir, const char *endpoint,
                          struct scree_error *err);

/* Accepts an all-zero one. */
void scree_registrar_done(struct scree_registrar *registrar);

#endif
