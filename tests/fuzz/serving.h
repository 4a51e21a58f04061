/* tests/fuzz/serving.h - a server within this process, for targets that are its clients.
 *
 * It serves the small models of models/ by HTTP, gRPC and ZeroMQ, to this machine, as `scree serve`
 * does, but for limits that let a case take milliseconds. Its event loop runs in the target's
 * thread, while that waits for an answer; workers have threads of their own. */
#ifndef SCREE_TESTS_SERVING_H
#define SCREE_TESTS_SERVING_H

#include "serve/server.h"

/* The one server, started when first asked for, with both models loaded at each call. Ends with the
 * process. */
struct scree_server *serving(void);

/* The ports that it has for gRPC and ZeroMQ; HTTP's is server->port. */
uint16_t serving_grpc_port(void);
uint16_t serving_zmq_port(void);

/* A connection to a port, that ends with a reset, so that it leaves nothing behind. */
int serving_connect(uint16_t port);

/* Runs the event loop until fd has something to read (true), or the server has nothing more to do
 * for anybody but wait (false). */
bool serving_wait(int fd);

#endif
