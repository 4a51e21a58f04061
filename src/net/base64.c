#include "net/base64.h"

#include <string.h>

/* The six bits of a character, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t scree_base64_decode(const char *text, size_t n, uint8_t *bytes)
{
    uint8_t *to = bytes;
    uint32_t bits = 0;
    size_t n_values = 0, n_ends = 0;

    for (size_t i = 0; i < n; i++) {
        int value = value_of(text[i]);

        if (text[i] == '\n' || text[i] == '\r' || text[i] == ' ')
            continue;
        if (text[i] == '=') {
            n_ends++;
            continue;
        }
        if (value < 0 || n_ends > 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        if (++n_values % 4 == 0) {
            *to++ = (uint8_t)(bits >> 16);
            *to++ = (uint8_t)(bits >> 8);
            *to++ = (uint8_t)bits;
        }
    }
    if (n_values % 4 == 1 || n_ends > 2 || (n_ends > 0 && (n_values + n_ends) % 4 != 0))
        return -1;
    if (n_values % 4 == 2) {
        *to++ = (uint8_t)(bits >> 4);
    } else if (n_values % 4 == 3) {
        *to++ = (uint8_t)(bits >> 10);
        *to++ = (uint8_t)(bits >> 2);
    }
    return to - bytes;
}

void scree_base64_encode(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16;

        if (have > 1)
            bits |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2)
            bits |= bytes[i + 2];
        *text++ = digits[bits >> 18];
        *text++ = digits[bits >> 12 & 63];
        *text++ = have > 1 ? digits[bits >> 6 & 63] : '=';
        *text++ = have > 2 ? digits[bits & 63] : '=';
    }
}
