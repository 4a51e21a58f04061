/* cli/args.h - one table a verb: its parser, its --help and its man page.
 *
 *     static const struct scree_option options[] = {
 *         {"runs", 'n', SCREE_OPTION_INT, "N", "counted runs (default 50)",
 *          offsetof(struct bench_args, runs), 1, 1000000},
 *         SCREE_COMMON_OPTIONS(struct bench_args, common),
 *         {0}};
 *
 * The parser writes each value to its offset (base/option.h) in a struct that the verb hands in,
 * set to the defaults.
 *
 * Memory: keeps pointers into argv; a list owns its array, freed with scree_list_done().
 * Threads: one. */
#ifndef SCREE_CLI_ARGS_H
#define SCREE_CLI_ARGS_H

#include <stdio.h>

#include "base/option.h"

/* Arguments of one kind: v[n], pointers into argv. */
struct scree_list {
    int n;
    const char **v;
};

/* Frees the array; the list is then empty. */
void scree_list_done(struct scree_list *list);

/* A local list that frees itself. */
#define SCREE_LIST_CLEANUP __attribute__((cleanup(scree_list_done)))

/* What every verb takes. */
struct scree_common_args {
    bool json;
    bool help;
    int n_threads; /* 0: one for each fast processor */
    const char *device;
    const char *delegate;
    struct scree_texts delegate_options;
    int delegate_timeout_s; /* 0: the library's own */
    bool require_npu;
    int check_every; /* 0: the library's own */
};

/* clang-format off */
#define SCREE_COMMON_OPTIONS(type, member)                                                         \
    {"device", 0, SCREE_OPTION_TEXT, "DEVICE",                                                     \
     "where to run: auto, cpu, or teflon for the NPU (default auto)",                              \
     offsetof(type, member.device), 0, 0},                                                         \
    {"delegate", 0, SCREE_OPTION_TEXT, "FILE",                                                     \
     "a TensorFlow Lite delegate (default: Mesa's libteflon.so, where it is)",                     \
     offsetof(type, member.delegate), 0, 0},                                                       \
    {"delegate-option", 0, SCREE_OPTION_TEXTS, "KEY=VALUE", "for the delegate; may be repeated",   \
     offsetof(type, member.delegate_options), 0, 0},                                               \
    {"delegate-timeout", 0, SCREE_OPTION_INT, "SECONDS",                                           \
     "for it to compile and run the model once (default 30)",                                      \
     offsetof(type, member.delegate_timeout_s), 1, 600},                                           \
    {"require-npu", 0, SCREE_OPTION_FLAG, NULL,                                                    \
     "fail (exit code 3) rather than fall back to the CPU",                                        \
     offsetof(type, member.require_npu), 0, 0},                                                    \
    {"check-every", 0, SCREE_OPTION_INT, "N",                                                      \
     "compare the NPU with the CPU in the first of N runs (default 1000)",                         \
     offsetof(type, member.check_every), 1, 1000000},                                              \
    {"threads", 't', SCREE_OPTION_AUTO, "N",                                                       \
     "threads, 1 to 64; auto (the default): one for each fast processor",                          \
     offsetof(type, member.n_threads), 1, 64},                                                     \
    {"json", 0, SCREE_OPTION_FLAG, NULL, "print JSON for programs instead of text",                \
     offsetof(type, member.json), 0, 0},                                                           \
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help", offsetof(type, member.help), 0, 0}
/* clang-format on */

/* A verb: `scree NAME POSITIONALS [options]`. */
struct scree_verb {
    const char *name;
    const char *positionals; /* "MODEL IMAGE..." */
    int min_positionals, max_positionals;
    const char *summary; /* one line */
    const char *details; /* paragraphs for --help and the man page, "" for none */
    const struct scree_option *options;
    const void *defaults; /* a struct whose values the help tells; NULL: the texts do */
    const char *examples; /* one a line: "command  # what it does" */
    int (*run)(int argc, char **argv);
};

/* Parses argv[1..argc) by the verb's table into `args`; positionals into *ret_positionals.
 * Prints what is wrong to stderr, or the help to stdout.
 * Returns 0 to go on, else the exit code + 1 to end with: 1 after --help, 3 for wrong usage. */
int scree_args_parse(const struct scree_verb *verb, int argc, char **argv, void *args,
                     struct scree_list *ret_positionals);

/* Prints the verb's help, or its section of the man page. */
void scree_args_help(const struct scree_verb *verb, FILE *out);
void scree_args_man(const struct scree_verb *verb, FILE *out);

#endif
