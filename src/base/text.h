/* base/text.h - text from strangers, made safe to print.
 *
 * Safe text is valid UTF-8 without control characters (C0, DEL, C1), line and paragraph separators
 * and the controls that change the direction of writing: a terminal shows it as it is.
 *
 * Memory: none. */
#ifndef SCREE_BASE_TEXT_H
#define SCREE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* True if text char[n] is safe. A NUL is a control character. Reads exactly n bytes. */
bool scree_text_is_safe(const char *text, size_t n);

/* Replaces each byte of text char[n] that is not part of a safe character by '?', in place. */
void scree_text_make_safe(char *text, size_t n);

/* Copies safe, terminated text to char[n], n >= 1, and ends it: whole, or as many whole characters
 * as there is room for. Returns to. */
char *scree_text_copy(const char *text, char *to, size_t n);

/* Writes safe, terminated text in quotes, cut (with "..." before the closing quote, never inside a
 * character) to fit quoted char[n], n >= 8. Returns quoted. */
char *scree_text_quote(const char *text, char *quoted, size_t n);

#endif
