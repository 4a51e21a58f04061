/* cli/cli.h - what the verbs share.
 *
 * A verb is one file with a `const struct scree_verb scree_verb_NAME`; verbs.inc lists them. It
 * prints its answer to stdout (text, or JSON with --json), what is wrong to stderr, and returns an
 * exit code. */
#ifndef SCREE_CLI_CLI_H
#define SCREE_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "cli/args.h"

enum scree_exit {
    SCREE_EXIT_OK = 0,
    SCREE_EXIT_FAILED = 1,
    SCREE_EXIT_USAGE = 2,
    SCREE_EXIT_NO_DEVICE = 3,
    SCREE_EXIT_BAD_INPUT = 4, /* a model, picture or tensor file that cannot be used */
};

#define VERB(name) extern const struct scree_verb scree_verb_##name;
#include "cli/verbs.inc"
#undef VERB

/* Prints "scree: TEXT" to stderr and returns the exit code for rc, a negative errno. */
int scree_cli_fail(int rc, const struct scree_error *err);

/* Checks --device. Returns 0, or prints and returns SCREE_EXIT_NO_DEVICE or SCREE_EXIT_USAGE. */
int scree_cli_check_device(const struct scree_common_args *common);

/* The session options that the common options ask for. They point into `common`. */
void scree_cli_session_options(const struct scree_common_args *common,
                               struct scree_session_options *ret_options);

/* Prints to stderr what went wrong with the session's delegate, if anything did. */
void scree_cli_print_note(const struct scree_session *session);

/* The same and the counts of scree_session_stats() as JSON. */
json_t *scree_cli_npu_json(const struct scree_session *session);

/* Opens model and session by the common options; either is NULL on failure, when an exit code is
 * returned and the text printed. With ret_session NULL, only the model. */
int scree_cli_open(const char *path, const struct scree_common_args *common,
                   struct scree_model **ret_model, struct scree_session **ret_session);

/* The same with new shapes for the inputs, "1x320x320x3" each, comma separated; NULL for the
 * model's. */
int scree_cli_open_shaped(const char *path, const struct scree_common_args *common,
                          const char *shapes, struct scree_model **ret_model,
                          struct scree_session **ret_session);

/* One more session of a model that is open. `path` is for messages. Returns an exit code. */
int scree_cli_open_another(const char *path, struct scree_model *model,
                           const struct scree_common_args *common, const char *shapes,
                           struct scree_session **ret_session);

/* Fills every input of the session with bytes of a small generator: the same for the same seed,
 * everywhere. Floats are in [0, 1), bools 0 or 1, 32- and 64-bit integers in [0, 256), others any
 * byte. */
void scree_cli_fill_random(struct scree_session *session, uint64_t seed);

/* The side file of MODEL.tflite is MODEL.json beside it: its path into text[n], or NULL if there is
 * none. */
const char *scree_cli_side(const char *model, char *text, size_t n);

/* Prints a JSON value with a newline at its end and releases it. Returns SCREE_EXIT_OK. */
int scree_cli_print_json(json_t *json);

/* {"name":..., "type":..., "shape":[...], "scale":..., "zero_point":...} of a tensor. */
json_t *scree_cli_tensor_json(const struct scree_tensor *tensor);

/* "12.3 MiB", "640 bytes" ... into text[n]; returns text. */
char *scree_cli_bytes(size_t n_bytes, char *text, size_t n);

/* "1x224x224x3" into text[n]; returns text. */
char *scree_cli_shape(const struct scree_shape *shape, char *text, size_t n);

/* The multiply-accumulates of one run. */
uint64_t scree_cli_macs(const struct scree_session *session);

/* Prints the graph of the model file `path` for Graphviz. Returns an exit code. */
int scree_cli_print_dot(const char *path);

/* Finds a library that belongs to the program: in the folder `built` of a build tree, in
 * ../lib/scree, or as `installed`. Its path into path char[n]. Errors: ENOENT. */
int scree_cli_find_library(const char *built, const char *file, const char *installed, char *path,
                           size_t n, struct scree_error *err);

/* Monotonic time in nanoseconds. */
uint64_t scree_cli_now_ns(void);

#endif
