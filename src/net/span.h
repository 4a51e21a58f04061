/* net/span.h - some bytes of somebody else. */
#ifndef SCREE_NET_SPAN_H
#define SCREE_NET_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes u8[n]; whoever hands it out says how long they live. */
struct scree_span {
    const uint8_t *bytes;
    size_t n;
};

/* True if the span is this text. */
bool scree_span_is(struct scree_span span, const char *text);

#endif
