/* net/grpc_text.h - what gRPC says in headers of HTTP/2: timeouts and the texts of statuses.
 *
 * Memory: the caller's. Threads: any. Source: grpc/doc/PROTOCOL-HTTP2.md. */
#ifndef SCREE_NET_GRPC_TEXT_H
#define SCREE_NET_GRPC_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "net/grpc.h"

/* A timeout, up to 8 digits and a unit ("100m"), in nanoseconds; UINT64_MAX for what is none, or is
 * longer than that. */
uint64_t scree_grpc_text_timeout(const char *text);

/* Percent-encodes text into to char[3 * strlen(text) + 1]. */
void scree_grpc_text_encode(const char *text, char *to);

/* Decodes that into to char[n], n >= 1, and cuts it if need be. What is wrongly encoded stays as it
 * is, as gRPC asks. */
void scree_grpc_text_decode(const char *from, char *to, size_t n);

/* What an answer without a status of gRPC means, by its status of HTTP ("503"). Source:
 * grpc/doc/http-grpc-status-mapping.md. */
enum scree_grpc_status scree_grpc_text_http_status(const char *http);

#endif
