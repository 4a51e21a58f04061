/* serve/rate.h - how many requests a client may make: a bucket of tokens for each.
 *
 *     tokens = min(burst, tokens + rate * seconds), and a request takes one
 *
 * A client is an IPv4 address, or the 64 bits of an IPv6 address that a network has in common.
 * There are places for 4096 of them; a new one takes that of who has not been seen for longest
 * among four, whose bucket would be full again in most cases.
 *
 * Memory: the owner's, 160 KiB. Threads: one at a time. */
#ifndef SCREE_SERVE_RATE_H
#define SCREE_SERVE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define SCREE_RATE_PLACES 4096

struct scree_rate_client {
    uint8_t address[8];
    bool is_used;
    double tokens;
    uint64_t last_ns;
};

struct scree_rate {
    double rate, burst; /* a second; tokens */
    uint64_t seed;      /* so that nobody can choose whose place is taken */
    struct scree_rate_client clients[SCREE_RATE_PLACES];
};

/* rate > 0, burst >= 1. */
void scree_rate_init(struct scree_rate *rate, double tokens_a_second, double burst);

/* Takes a token of the client at `address` (text, as inet_ntop() writes it). Returns 0, or in how
 * many seconds there will be one, at least 1. */
uint32_t scree_rate_take(struct scree_rate *rate, const char *address, uint64_t now_ns);

#endif
