/* base/sha256.h - SHA-256.
 *
 *     scree_sha256_init(&sha);
 *     scree_sha256_add(&sha, bytes, n);
 *     scree_sha256_end(&sha, text);
 *
 * Source: FIPS 180-4. Memory: none. Threads: none of its own. */
#ifndef SCREE_BASE_SHA256_H
#define SCREE_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* The length of a digest as text, 64 lower-case hexadecimal digits, with its end. */
#define SCREE_SHA256_TEXT 65

struct scree_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    uint8_t block[64];
};

void scree_sha256_init(struct scree_sha256 *sha);

/* Adds bytes u8[n]. */
void scree_sha256_add(struct scree_sha256 *sha, const void *bytes, size_t n);

/* The digest of all that was added, as text char[SCREE_SHA256_TEXT]. */
void scree_sha256_end(struct scree_sha256 *sha, char *text);

#endif
