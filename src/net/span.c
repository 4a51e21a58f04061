#include "net/span.h"

#include <string.h>

bool scree_span_is(struct scree_span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.bytes, text, span.n) == 0;
}
