/* base/option.h - named values: how each is written, what it may be, and where it goes.
 *
 *     static const struct scree_option options[] = {
 *         {"runs", 'n', SCREE_OPTION_INT, "N", "counted runs (default 50)",
 *          offsetof(struct bench_args, runs), 1, 1000000},
 *         {0}};
 *     rc = scree_option_set(option, &args, "20", err);
 *
 * Arguments of the command line, variables of the environment and keys of a file are read by the
 * same rows, each value to its offset in a struct that is set to the defaults before.
 *
 * Memory: texts are kept as pointers. Threads: none of its own. */
#ifndef SCREE_BASE_OPTION_H
#define SCREE_BASE_OPTION_H

#include "base/error.h"

enum scree_option_kind {
    SCREE_OPTION_FLAG,    /* bool; in a file also "true" or "false", "yes" or "no", "on" or "off" */
    SCREE_OPTION_INT,     /* int, in [min, max] */
    SCREE_OPTION_AUTO,    /* the same, or the word "auto", which is 0 */
    SCREE_OPTION_FLOAT,   /* double, in [min, max] */
    SCREE_OPTION_SIZE,    /* size_t of bytes, in [min, max]; "64M": K, M and G are powers of 1024 */
    SCREE_OPTION_CHOICE,  /* int: which of the words in `value`, which "|" divides */
    SCREE_OPTION_TEXT,    /* const char * */
    SCREE_OPTION_LIST,    /* struct scree_list of cli/args.h: all up to the next option */
    SCREE_OPTION_TEXTS,   /* struct scree_texts: one each time the option is given */
    SCREE_OPTION_HEADING, /* no option: a heading, in `help`, for those that follow */
};

#define SCREE_MAX_TEXTS 16

/* Values of an option that may be given again and again: v[n]. */
struct scree_texts {
    int n;
    const char *v[SCREE_MAX_TEXTS];
};

struct scree_option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* the short form, 0 if there is none */
    enum scree_option_kind kind;
    const char *value; /* what stands for the value in the help */
    const char *help;
    size_t offset;
    double min, max;
};

/* The row of name char[n], or NULL. */
const struct scree_option *scree_option_find(const struct scree_option *options, const char *name,
                                             size_t n);

/* Reads text into the option's place in the struct at `values`. Not for SCREE_OPTION_LIST.
 * Errors: EINVAL (the text says what is wanted instead), E2BIG (too many texts). The value is then
 * as before. */
int scree_option_set(const struct scree_option *option, void *values, const char *text,
                     struct scree_error *err);

/* The value as it would be written, cut to text char[n]; "" for a text that is not there. Returns
 * text. */
const char *scree_option_format(const struct scree_option *option, const void *values, char *text,
                                size_t n);

#endif
