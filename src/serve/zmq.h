/* serve/zmq.h - a REP socket of ZeroMQ for several peers, each with a thread of its own.
 *
 *     rc = scree_zmq_new("tcp://0.0.0.0:5555", answer, context, &zmq, err);
 *     ... answer(context, peer) is called for each request, and replies ...
 *     scree_zmq_free(zmq);
 *
 * A thread a peer: there are as many as detectors of a camera recorder, and nothing then stands
 * between a request and the model. A peer has 10 s to greet, 20 s for a request that it has begun,
 * 10 s to take an answer. When all places are taken, a peer that has been silent for a minute and
 * waits for no answer has to leave for a new one (ZeroMQ connects again by itself).
 *
 * Memory: up to 4 MiB a peer. Threads: new and free belong to one; answer runs on many. */
#ifndef SCREE_SERVE_ZMQ_H
#define SCREE_SERVE_ZMQ_H

#include "net/zmtp.h"
#include "serve/log.h"

#define SCREE_ZMQ_MAX_PEERS   16
#define SCREE_ZMQ_MAX_REQUEST ((size_t)4 << 20) /* a tensor of 1182 x 1182 pixels */
#define SCREE_ZMQ_NOTE_BYTES  128

struct scree_zmq;
struct scree_zmq_peer;

/* Answers the request of a peer by scree_zmtp_reply(scree_zmq_wire(peer), ...), once. */
typedef void scree_zmq_answer_fn(void *context, struct scree_zmq_peer *peer);

/* Starts listening on "tcp://ADDRESS:PORT" (ADDRESS of numbers, or "*" for all; port 0 or "*": any
 * free one) or on "ipc://PATH" (a socket that nobody listens on is replaced). What peers do wrong
 * is told to log, which is borrowed. Errors: EINVAL (the
 * endpoint), EBUSY (it is taken), EACCES, EIO, ENOMEM. */
int scree_zmq_new(const char *endpoint, scree_zmq_answer_fn *answer, void *context,
                  struct scree_log *log, struct scree_zmq **ret_zmq, struct scree_error *err);

/* Where it listens, with the port that it has. */
const char *scree_zmq_endpoint(const struct scree_zmq *zmq);

/* Waits for answers that have begun, then closes everything. Accepts NULL. */
void scree_zmq_free(struct scree_zmq *zmq);

/* ---- peers, as answer sees them ---- */

struct scree_zmtp *scree_zmq_wire(struct scree_zmq_peer *peer);

/* Memory that is the peer's as long as it is connected: char[SCREE_ZMQ_NOTE_BYTES], zero at first.
 */
char *scree_zmq_note(struct scree_zmq_peer *peer);

/* True if nobody would read an answer: the peer has gone away, or the socket is being closed. */
bool scree_zmq_is_gone(const struct scree_zmq_peer *peer);

/* Tells the log what is wrong with a peer, once a second at most. */
void scree_zmq_tell(struct scree_zmq_peer *peer, const char *text);

#endif
