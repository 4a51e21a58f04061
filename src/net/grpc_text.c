#include "net/grpc_text.h"

#include <stdbool.h>
#include <string.h>

#define NS_A_SECOND UINT64_C(1000000000)

uint64_t scree_grpc_text_timeout(const char *text)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600 * NS_A_SECOND},
                 {'M', 60 * NS_A_SECOND},
                 {'S', NS_A_SECOND},
                 {'m', 1000000},
                 {'u', 1000},
                 {'n', 1}};
    uint64_t value = 0;
    int n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 8; n++)
        value = 10 * value + (uint64_t)(text[n] - '0');
    for (size_t i = 0; n > 0 && i < sizeof units / sizeof units[0]; i++)
        if (text[n] == units[i].unit && text[n + 1] == 0)
            return value <= UINT64_MAX / units[i].ns ? value * units[i].ns : UINT64_MAX;
    return UINT64_MAX;
}

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '%';
}

void scree_grpc_text_encode(const char *text, char *to)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;

        if (is_plain(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void scree_grpc_text_decode(const char *from, char *to, size_t n)
{
    size_t k = 0;

    while (*from && k + 1 < n) {
        int high = from[0] == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;

        to[k++] = (char)(low >= 0 ? high << 4 | low : *from);
        from += low >= 0 ? 3 : 1;
    }
    to[k] = 0;
}

enum scree_grpc_status scree_grpc_text_http_status(const char *http)
{
    static const struct {
        const char *http;
        enum scree_grpc_status status;
    } map[] = {{"401", SCREE_GRPC_UNAUTHENTICATED}, {"403", SCREE_GRPC_PERMISSION_DENIED},
               {"404", SCREE_GRPC_UNIMPLEMENTED},   {"429", SCREE_GRPC_UNAVAILABLE},
               {"502", SCREE_GRPC_UNAVAILABLE},     {"503", SCREE_GRPC_UNAVAILABLE},
               {"504", SCREE_GRPC_UNAVAILABLE}};

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (strcmp(http, map[i].http) == 0)
            return map[i].status;
    return SCREE_GRPC_UNKNOWN;
}
