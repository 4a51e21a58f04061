/* serve/ini.h - lines of an INI file.
 *
 *     [section]
 *     # a comment; "; this" is one too
 *     key = value, up to the end of the line: # and ; are part of it
 *
 *     struct scree_ini ini = {.text = text, .n = n};
 *     while ((rc = scree_ini_next(&ini, &line, err)) > 0)
 *         ... line.section, line.key, line.value ...
 *
 * Strict: what is none of these is an error, not a guess.
 *
 * Memory: none; a line points into the text. Threads: none of its own. */
#ifndef SCREE_SERVE_INI_H
#define SCREE_SERVE_INI_H

#include "base/error.h"

/* A piece of the text: char[n], not terminated. */
struct scree_ini_text {
    const char *at;
    size_t n;
};

/* Where a reader is; set text and n before. */
struct scree_ini {
    const char *text;
    size_t n;
    uint32_t line; /* of what was read last, from 1 */
    struct scree_ini_text section;
};

struct scree_ini_line {
    struct scree_ini_text section, key, value; /* without spaces around; section "" before any */
};

/* The longest line. */
#define SCREE_INI_MAX_LINE 4096

/* The next line with a key, or, as each section begins, one with an empty key. Returns 1, or 0 at
 * the end. Errors: EBADMSG, E2BIG (a long line); ini->line says where. */
int scree_ini_next(struct scree_ini *ini, struct scree_ini_line *ret_line, struct scree_error *err);

#endif
