/* plugin/cluster.h - requests to the cluster's API server: one after the other, without waiting.
 *
 * Each request is a connection of its own, with the token of the service account as it is then:
 * tokens are replaced while a pod runs. A request that takes 10 seconds has failed.
 *
 *     scree_cluster_ask(api, "GET", "/api/v1/nodes/a", NULL, on_node, context, &err);
 *
 * Memory: owns one connection and the requests that wait. Threads: one. */
#ifndef SCREE_PLUGIN_CLUSTER_H
#define SCREE_PLUGIN_CLUSTER_H

#include "net/buffer.h"
#include "plugin/loop.h"

struct scree_cluster;

/* What became of a request: the HTTP status and the body char[n], or a negative errno and its text.
 */
typedef void scree_cluster_answer_fn(void *context, int status, const char *body, size_t n);

/* Where the server is and how it is known.
 *
 * server       "ADDRESS:PORT" or "[ADDRESS]:PORT", or "" for what the environment of a pod says
 * name         of its certificate
 * credentials  folder with ca.crt and token */
struct scree_cluster_place {
    const char *server, *name, *credentials;
};

/* Errors: EINVAL (no server is told, or no address), ENOMEM. `place` is copied, its texts borrowed.
 */
int scree_cluster_new(struct scree_loop *loop, const struct scree_cluster_place *place,
                      struct scree_cluster **ret_api, struct scree_error *err);

/* Drops what waits, without answers. Accepts NULL. */
void scree_cluster_free(struct scree_cluster *api);

/* Queues a request with the JSON `body`, or NULL. `method` is static; `answer` is called later,
 * once. Errors: ENOMEM, EAGAIN (64 requests wait). */
int scree_cluster_ask(struct scree_cluster *api, const char *method, const char *path,
                      const struct scree_buffer *body, scree_cluster_answer_fn *answer,
                      void *context, struct scree_error *err);

/* Forgets all requests of this context: they get no answer. */
void scree_cluster_forget(struct scree_cluster *api, const void *context);

/* The status of a whole HTTP/1.1 answer u8[*n], whose body is moved to its front with *n its
 * length; or -EBADMSG. Pure. */
int scree_cluster_parse(uint8_t *bytes, size_t *n);

#endif
