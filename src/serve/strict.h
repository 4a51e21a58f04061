/* serve/strict.h - what libmicrohttpd lets pass and RFC 9112 does not.
 *
 * Up to 0.9.77 it takes a line feed or a carriage return alone for the end of a line, folded lines,
 * spaces in names, and zeros, which end a text for it. Another server, in front of this one, reads
 * such headers in another way. From 1.0 on it refuses them itself when told to, but for names that
 * are no tokens and control characters in values.
 *
 * Memory: none. Threads: any. */
#ifndef SCREE_SERVE_STRICT_H
#define SCREE_SERVE_STRICT_H

#include <stdbool.h>
#include <stddef.h>

/* True if the target of a request (NULL: there is none) has no control characters and no spaces. */
bool scree_strict_target(const char *target);

/* True if name char[n_name] and value char[n_value] of a header have no characters that they must
 * not have. Source: RFC 9110, 5.5 and 5.6.2. */
bool scree_strict_header(const char *name, size_t n_name, const char *value, size_t n_value);

/* True if bytes char[n], all that stands between the end of the first line and the body, are
 * n_headers well-formed lines and an empty one, as libmicrohttpd before 1.0 leaves them in its
 * memory: with a zero in the place of each colon behind a name, and two for the end of each line.
 * Reads exactly n bytes. Source: RFC 9112, sections 2.2 and 5; RFC 9110, 5.5 and 5.6.2. */
bool scree_strict_headers(const char *bytes, size_t n, size_t n_headers);

#endif
