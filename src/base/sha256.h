/* base/sha256.h - Nettle's SHA-256, as text.
 *
 *     sha256_init(&sha);
 *     sha256_update(&sha, n, bytes);
 *     scree_sha256_text(&sha, text);
 *
 * Source: FIPS 180-4. Memory: none. Threads: none of its own. */
#ifndef SCREE_BASE_SHA256_H
#define SCREE_BASE_SHA256_H

#include <nettle/sha2.h>

/* The length of a digest as text, 64 lower-case hexadecimal digits, with its end. */
#define SCREE_SHA256_TEXT (2 * SHA256_DIGEST_SIZE + 1)

/* The digest of all that was added, as text char[SCREE_SHA256_TEXT]; sha starts anew. */
void scree_sha256_text(struct sha256_ctx *sha, char *text);

#endif
