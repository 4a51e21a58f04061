#include "serve/rate.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 4

void scree_rate_init(struct scree_rate *rate, double tokens_a_second, double burst)
{
    *rate = (struct scree_rate){.rate = tokens_a_second, .burst = burst};
    if (getrandom(&rate->seed, sizeof rate->seed, GRND_NONBLOCK) < 0)
        rate->seed = (uint64_t)(uintptr_t)rate;
}

static void read_address(const char *text, uint8_t *address)
{
    uint8_t v6[16] = {0};

    memset(address, 0, 8);
    if (inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, v6) == 1)
        memcpy(address, v6, 8);
}

/* Where the client's four places begin. */
static uint32_t find_set(const struct scree_rate *rate, const uint8_t *address)
{
    uint64_t hash = rate->seed;

    for (int i = 0; i < 8; i++) {
        hash = (hash ^ address[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash % (SCREE_RATE_PLACES / WAYS)) * WAYS;
}

static struct scree_rate_client *find(struct scree_rate *rate, const uint8_t *address)
{
    struct scree_rate_client *set = &rate->clients[find_set(rate, address)], *oldest = set;

    for (int i = 0; i < WAYS; i++) {
        if (set[i].is_used && memcmp(set[i].address, address, 8) == 0)
            return &set[i];
        if (!set[i].is_used || (oldest->is_used && set[i].last_ns < oldest->last_ns))
            oldest = &set[i];
    }
    *oldest = (struct scree_rate_client){.tokens = rate->burst};
    memcpy(oldest->address, address, 8);
    return oldest;
}

uint32_t scree_rate_take(struct scree_rate *rate, const char *address, uint64_t now_ns)
{
    struct scree_rate_client *client;
    uint8_t bytes[8];

    read_address(address, bytes);
    client = find(rate, bytes);
    if (client->is_used && now_ns > client->last_ns)
        client->tokens = fmin(
            rate->burst, client->tokens + rate->rate * (double)(now_ns - client->last_ns) / 1e9);
    client->is_used = true;
    client->last_ns = now_ns;
    if (client->tokens >= 1) {
        client->tokens -= 1;
        return 0;
    }
    return (uint32_t)fmax(1, fmin(3600, ceil((1 - client->tokens) / rate->rate)));
}
