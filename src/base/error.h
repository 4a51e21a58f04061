/* base/error.h - one way to fail.
 *
 * A function that can fail returns 0 (or a count) or a negative errno and leaves one line of text
 * in the caller's struct scree_error. The origin of every error is scree_fail(), so one breakpoint
 * finds any:
 *
 *     if (rank > SCREE_MAX_RANK)
 *         return scree_fail(err, E2BIG, "tensor %u: rank %u is over %u", i, rank, SCREE_MAX_RANK);
 *
 * and on the way up the text gains context: return scree_wrap(err, rc, "subgraph %u", s).
 * Memory: none; a struct scree_error lives on the caller's stack. Threads: no shared state. */
#ifndef SCREE_BASE_ERROR_H
#define SCREE_BASE_ERROR_H

#include <errno.h>

#include <scree/scree.h>

#define SCREE_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Writes the text and returns -code. `err` may be NULL; `code` is a positive errno of scree.h's
 * list. What is no safe text (base/text.h), a stranger's name or a character that is cut, becomes
 * '?'. */
int scree_fail(struct scree_error *err, int code, const char *format, ...) SCREE_PRINTF(3, 4);

/* Puts "context: " before the text that is there and returns rc, a negative errno. Text that does
 * not fit is cut at its end. `err` may be NULL. */
int scree_wrap(struct scree_error *err, int rc, const char *format, ...) SCREE_PRINTF(3, 4);

/* The usual text for lack of memory; returns -ENOMEM. */
int scree_fail_memory(struct scree_error *err, size_t n_bytes);

#endif
