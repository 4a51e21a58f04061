/* net/accept.h - what a client would like to be answered with, as its Accept header says. */
#ifndef SCREE_NET_ACCEPT_H
#define SCREE_NET_ACCEPT_H

/* How much the client that sent `accept` (NULL: no such header) wants `type`, as "image/jpeg": its
 * q in thousandths, [0, 1000]. 0 if the header does not name this very type: who would take
 * anything ("image/" and a star) has not asked for it. A q that is no number counts as 0.
 * Source: RFC 9110, section 12.5.1. */
int scree_accept_quality(const char *accept, const char *type);

#endif
