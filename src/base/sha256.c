#include "base/sha256.h"

static const char digits[] = "0123456789abcdef";

void scree_sha256_text(struct sha256_ctx *sha, char *text)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(sha, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        *text++ = digits[digest[i] >> 4];
        *text++ = digits[digest[i] & 15];
    }
    *text = '\0';
}
