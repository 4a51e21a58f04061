/* serve/config.h - what a server is told: defaults, then a file, then the environment, then flags.
 *
 *     scree_config_init(&config);
 *     rc = scree_config_read_file(&config, "/etc/scree/serve.ini", err);
 *     rc = scree_config_read_environment(&config, environ, err);
 *     ... flags into &config.options ...
 *     rc = scree_config_check(&config, err);
 *
 * The file is INI: `key = value` of options.inc, in front or in [server]; a section [model NAME]
 * has what is different for that model.
 *
 * Memory: the configuration owns what it read from files; texts of the environment and of flags are
 * borrowed. Threads: none of its own. */
#ifndef SCREE_SERVE_CONFIG_H
#define SCREE_SERVE_CONFIG_H

#include <stdio.h>

#include "base/arena.h"
#include "base/option.h"
#include "net/json.h"
#include "serve/turns.h"

#define SCREE_SETTING_FLAG   bool
#define SCREE_SETTING_INT    int
#define SCREE_SETTING_AUTO   int
#define SCREE_SETTING_FLOAT  double
#define SCREE_SETTING_SIZE   size_t
#define SCREE_SETTING_CHOICE int
#define SCREE_SETTING_TEXT   const char *
#define SCREE_SETTING_TEXTS  struct scree_texts

struct scree_server_options {
#define HEADING(text)
#define SETTING(kind, field, name, letter, value, initial, min, max, help) \
    SCREE_SETTING_##kind field;
#include "serve/options.inc"
#undef SETTING
#undef HEADING
};

/* Choices of --resize. */
enum scree_resize { SCREE_RESIZE_EXACT, SCREE_RESIZE_FAST };

/* The rows of options.inc for scree_option_set() and its like, on struct scree_server_options. */
extern const struct scree_option scree_server_settings[];

/* The defaults of options.inc. */
extern const struct scree_server_options scree_server_default_options;

/* What is different for one model. */
struct scree_model_options {
    const char *name;     /* NULL for what no section names */
    const char *labels;   /* NULL: the model's own */
    const char *versions; /* texts, NULL: as the server's */
    const char *device;
    /* -1: as the server's */
    int instances, queue, threads, resize, deadline_ms, batch, batch_delay_us;
};

#define SCREE_CONFIG_MAX_MODELS 64

struct scree_config {
    struct scree_server_options options;
    struct scree_model_options models[SCREE_CONFIG_MAX_MODELS];
    uint32_t n_models;
    struct scree_arena arena;
};

/* The defaults. */
void scree_config_init(struct scree_config *config);

/* Reads a file. Errors: those of scree_file_read(), and of scree_config_read(). */
int scree_config_read_file(struct scree_config *config, const char *path, struct scree_error *err);

/* Reads text char[n], the contents of the file `path`, which stands before each error with the
 * line. Errors: EBADMSG (what is no line of a configuration, keys that nobody knows or that are
 * there twice), EINVAL (values), E2BIG, ENOMEM. */
int scree_config_read(struct scree_config *config, const char *path, const char *text, size_t n,
                      struct scree_error *err);

/* Reads the variables SCREE_NAME, and MODEL_PATH, LABELS_PATH and PORT, which count less. A
 * variable that is empty counts as not set, and so does a SCREE_PORT of "tcp://...", which is what
 * Kubernetes sets in all pods beside a Service named scree. Errors: EINVAL, with the name. */
int scree_config_read_environment(struct scree_config *config, const char *const *environment,
                                  struct scree_error *err);

/* What no single value tells: settings that do not go together. Errors: EINVAL. */
int scree_config_check(const struct scree_config *config, struct scree_error *err);

/* Prints a file that says the same. */
void scree_config_print(const struct scree_config *config, FILE *out);

/* The options of a model: its section's, the rest the server's. */
void scree_config_model(const struct scree_config *config, const char *name,
                        struct scree_model_options *ret_options);

/* Frees what files left. */
void scree_config_done(struct scree_config *config);

#endif
