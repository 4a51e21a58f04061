/* net/base64.h - bytes in text, as RFC 4648 section 4 has it. */
#ifndef SCREE_NET_BASE64_H
#define SCREE_NET_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Decodes text char[n] to bytes u8[n / 4 * 3 + 3]; line breaks and spaces between characters do not
 * count, the "=" at the end may be left out. Returns the number of bytes, or -1 for anything else.
 */
ssize_t scree_base64_decode(const char *text, size_t n, uint8_t *bytes);

/* How many characters n bytes become: four for every three that were begun. */
#define SCREE_BASE64_SIZE(n) (((n) + 2) / 3 * 4)

/* Encodes bytes u8[n] to text char[SCREE_BASE64_SIZE(n)], with "=" at the end and no zero. */
void scree_base64_encode(const uint8_t *bytes, size_t n, char *text);

#endif
