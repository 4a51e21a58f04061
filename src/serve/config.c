#include "serve/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "serve/ini.h"
#include "serve/repository.h"
#include "serve/versions.h"

#define MAX_FILE_BYTES   ((size_t)1 << 20)
#define MAX_CONFIG_BYTES ((size_t)8 << 20)
#define MAX_SETTINGS     256
#define ENVIRONMENT      "SCREE_"

const struct scree_option scree_server_settings[] = {
#define HEADING(text) {"", 0, SCREE_OPTION_HEADING, NULL, text, 0, 0, 0},
#define SETTING(kind, field, name, letter, value, initial, min, max, help)                         \
    {name, letter, SCREE_OPTION_##kind, value, help, offsetof(struct scree_server_options, field), \
     min,  max},
#include "serve/options.inc"
#undef SETTING
#undef HEADING
    {0}};

const struct scree_server_options scree_server_default_options = {
#define HEADING(text)
#define SETTING(kind, field, name, letter, value, initial, min, max, help) .field = initial,
#include "serve/options.inc"
#undef SETTING
#undef HEADING
};

/* The keys of a section [model NAME]; what they are is said at the server's settings. */
#define OF_MODEL(kind, field, name, value, min, max)                                               \
    {                                                                                              \
        name, 0, SCREE_OPTION_##kind, value, "", offsetof(struct scree_model_options, field), min, \
            max                                                                                    \
    }
static const struct scree_option model_settings[] = {
    OF_MODEL(TEXT, labels, "labels", "FILE", 0, 0),
    OF_MODEL(TEXT, versions, "versions", "POLICY", 0, 0),
    OF_MODEL(TEXT, device, "device", "DEVICE", 0, 0),
    OF_MODEL(AUTO, instances, "instances", "N", 1, SCREE_TURNS_MAX_THINGS - 1),
    OF_MODEL(AUTO, batch, "batch", "N", 1, SCREE_SERVED_MAX_BATCH),
    OF_MODEL(INT, batch_delay_us, "batch-delay", "US", 0, 100000),
    OF_MODEL(INT, queue, "queue", "N", 0, 10000),
    OF_MODEL(AUTO, threads, "threads", "N", 1, 64),
    OF_MODEL(CHOICE, resize, "resize", "exact|fast", 0, 0),
    OF_MODEL(INT, deadline_ms, "deadline", "MS", 1, 600000),
    {0}};

static const struct scree_model_options nothing_else = {
    .instances = -1,
    .queue = -1,
    .threads = -1,
    .resize = -1,
    .deadline_ms = -1,
    .batch = -1,
    .batch_delay_us = -1,
};

void scree_config_init(struct scree_config *config)
{
    *config = (struct scree_config){.options = scree_server_default_options};
    scree_arena_init(&config->arena, MAX_CONFIG_BYTES);
}

void scree_config_done(struct scree_config *config)
{
    scree_arena_done(&config->arena);
    scree_config_init(config);
}

/* ---- values that no kind of setting can check ---- */

static int check_value(const struct scree_option *setting, const char *value,
                       struct scree_error *err)
{
    struct scree_versions policy;

    if (!value)
        return 0;
    if (strcmp(setting->name, "versions") == 0)
        return scree_versions_parse(value, &policy, err);
    if (strcmp(setting->name, "device") == 0 && strcmp(value, "auto") != 0 &&
        strcmp(value, "cpu") != 0 && strcmp(value, "teflon") != 0)
        return scree_fail(err, EINVAL, "auto, cpu or teflon is wanted");
    return 0;
}

/* A text that is empty is none. */
static int set(const struct scree_option *setting, void *values, const char *value,
               struct scree_error *err)
{
    int rc = check_value(setting, value, err);

    if (rc < 0)
        return rc;
    if (setting->kind == SCREE_OPTION_TEXT && !*value)
        value = NULL;
    return scree_option_set(setting, values, value, err);
}

/* Values that flags have brought in. */
static int check_all(const struct scree_server_options *options, struct scree_error *err)
{
    int rc = 0;

    for (const struct scree_option *s = scree_server_settings; rc >= 0 && s->name; s++)
        if (s->kind == SCREE_OPTION_TEXT) {
            const char *value =
                *(const char *const *)(const void *)((const char *)options + s->offset);

            rc = check_value(s, value, err);
            if (rc < 0)
                return scree_wrap(err, rc, "--%s %s", s->name, value);
        }
    return rc;
}

/* ---- files ---- */

struct reader {
    struct scree_config *config;
    struct scree_ini ini;
    struct scree_model_options *model; /* NULL: the server's settings */
    uint32_t seen[MAX_SETTINGS];       /* per setting: the line that has it, in this section */
    uint32_t seen_server[MAX_SETTINGS];
};

static const char *copy(struct reader *reader, struct scree_ini_text text, struct scree_error *err)
{
    const char *made = scree_arena_strndup(&reader->config->arena, text.at, text.n);

    if (!made)
        (void)scree_fail(err, ENOMEM, "no memory for the configuration");
    return made;
}

static bool is(struct scree_ini_text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.at, word, text.n) == 0;
}

static int begin_model(struct reader *reader, const char *name, struct scree_error *err)
{
    struct scree_config *config = reader->config;

    if (!scree_model_name_is_valid(name))
        return scree_fail(err, EINVAL, "'%s' cannot be a model's name", name);
    for (uint32_t i = 0; i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return scree_fail(err, EBADMSG, "model %s has a section already", name);
    if (config->n_models == SCREE_CONFIG_MAX_MODELS)
        return scree_fail(err, E2BIG, "at most %d models have sections", SCREE_CONFIG_MAX_MODELS);
    reader->model = &config->models[config->n_models++];
    *reader->model = nothing_else;
    reader->model->name = name;
    memset(reader->seen, 0, sizeof reader->seen);
    return 0;
}

static int begin_section(struct reader *reader, struct scree_ini_text section,
                         struct scree_error *err)
{
    static const char prefix[] = "model ";
    const size_t n = sizeof prefix - 1;
    const char *name;

    if (is(section, "server")) {
        reader->model = NULL;
        return 0;
    }
    if (section.n <= n || memcmp(section.at, prefix, n) != 0)
        return scree_fail(err, EBADMSG, "sections are [server] and [model NAME]");
    section.at += n;
    section.n -= n;
    while (*section.at == ' ') {
        section.at++;
        section.n--;
    }
    name = copy(reader, section, err);
    return name ? begin_model(reader, name, err) : -ENOMEM;
}

static int read_pair(struct reader *reader, const struct scree_ini_line *line,
                     struct scree_error *err)
{
    const struct scree_option *settings = reader->model ? model_settings : scree_server_settings;
    const struct scree_option *setting = scree_option_find(settings, line->key.at, line->key.n);
    void *values = reader->model ? (void *)reader->model : (void *)&reader->config->options;
    uint32_t *seen = reader->model ? reader->seen : reader->seen_server;
    const char *value;
    int rc;

    if (!setting)
        return scree_fail(err, EBADMSG, "there is no setting '%.*s'%s", (int)line->key.n,
                          line->key.at, reader->model ? " of models" : "");
    seen += setting - settings;
    if (*seen && setting->kind != SCREE_OPTION_TEXTS)
        return scree_fail(err, EBADMSG, "%s is set in line %u already", setting->name, *seen);
    *seen = reader->ini.line;
    value = copy(reader, line->value, err);
    if (!value)
        return -ENOMEM;
    rc = set(setting, values, value, err);
    return rc < 0 ? scree_wrap(err, rc, "%s = %s", setting->name, value) : 0;
}

static int read_line(struct reader *reader, const struct scree_ini_line *line,
                     struct scree_error *err)
{
    return line->key.n == 0 ? begin_section(reader, line->section, err)
                            : read_pair(reader, line, err);
}

int scree_config_read(struct scree_config *config, const char *path, const char *text, size_t n,
                      struct scree_error *err)
{
    struct reader reader = {.config = config, .ini = {.text = text, .n = n}};
    struct scree_ini_line line;
    int rc;

    _Static_assert(sizeof scree_server_settings / sizeof scree_server_settings[0] <= MAX_SETTINGS,
                   "more settings than there is room for");
    while ((rc = scree_ini_next(&reader.ini, &line, err)) > 0 &&
           (rc = read_line(&reader, &line, err)) >= 0)
        ;
    return rc < 0 ? scree_wrap(err, rc, "%s:%u", path, reader.ini.line) : 0;
}

int scree_config_read_file(struct scree_config *config, const char *path, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n;
    int rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &n, err);

    if (rc < 0)
        return rc;
    rc = scree_config_read(config, path, (const char *)bytes, n, err);
    free(bytes);
    return rc;
}

/* ---- the environment ---- */

static const char *find_variable(const char *const *environment, const char *name)
{
    size_t n = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return (*environment)[n + 1] ? *environment + n + 1 : NULL;
    return NULL;
}

/* SCREE_MAX_BODY for max-body. */
static const char *variable_name(const char *name, char *text, size_t n)
{
    size_t at = sizeof ENVIRONMENT - 1;

    memcpy(text, ENVIRONMENT, at);
    for (; *name && at + 1 < n; name++)
        text[at++] = *name == '-' ? '_' : *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name;
    text[at] = '\0';
    return text;
}

static int read_variable(struct scree_config *config, const char *const *environment,
                         const struct scree_option *setting, const char *variable,
                         struct scree_error *err)
{
    const char *value = find_variable(environment, variable);
    int rc;

    if (!value || (setting->kind == SCREE_OPTION_INT && strncmp(value, "tcp://", 6) == 0))
        return 0;
    rc = set(setting, &config->options, value, err);
    return rc < 0 ? scree_wrap(err, rc, "%s=%s", variable, value) : 0;
}

int scree_config_read_environment(struct scree_config *config, const char *const *environment,
                                  struct scree_error *err)
{
    /* Names of the service that scree replaces. */
    static const struct {
        const char *name, *variable;
    } old[] = {{"model", "MODEL_PATH"}, {"labels", "LABELS_PATH"}, {"port", "PORT"}};
    char variable[64];
    int rc = 0;

    for (size_t i = 0; rc >= 0 && i < sizeof old / sizeof old[0]; i++)
        rc = read_variable(
            config, environment,
            scree_option_find(scree_server_settings, old[i].name, strlen(old[i].name)),
            old[i].variable, err);
    for (const struct scree_option *s = scree_server_settings; rc >= 0 && s->name; s++)
        if (s->kind != SCREE_OPTION_HEADING)
            rc = read_variable(config, environment, s,
                               variable_name(s->name, variable, sizeof variable), err);
    return rc;
}

/* ---- all together ---- */

int scree_config_check(const struct scree_config *config, struct scree_error *err)
{
    const struct scree_server_options *options = &config->options;
    int rc = check_all(options, err);

    if (rc < 0)
        return rc;
    if (!options->models && !options->model)
        return scree_fail(err, EINVAL, "no model: give --model FILE or --models FOLDER");
    if (options->max_body > options->max_bodies)
        return scree_fail(err, EINVAL, "max-body is more than max-bodies, which all bodies share");
    if (!options->tls_cert != !options->tls_key)
        return scree_fail(err, EINVAL, "tls-cert and tls-key need each other");
    if (options->require_npu && options->device && strcmp(options->device, "cpu") == 0)
        return scree_fail(err, EINVAL, "the NPU is required, but the device is the CPU");
    return 0;
}

void scree_config_model(const struct scree_config *config, const char *name,
                        struct scree_model_options *ret_options)
{
    const struct scree_server_options *server = &config->options;
    struct scree_model_options model = nothing_else;

    for (uint32_t i = 0; i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            model = config->models[i];
    *ret_options = (struct scree_model_options){
        .name = model.name,
        .labels = model.labels,
        .versions = model.versions ? model.versions : server->versions,
        .device = model.device ? model.device : server->device,
        .instances = model.instances >= 0 ? model.instances : server->instances,
        .batch = model.batch >= 0 ? model.batch : server->batch,
        .batch_delay_us = model.batch_delay_us >= 0 ? model.batch_delay_us : server->batch_delay_us,
        .queue = model.queue >= 0 ? model.queue : server->queue,
        .threads = model.threads >= 0 ? model.threads : server->threads,
        .resize = model.resize >= 0 ? model.resize : server->resize,
        .deadline_ms = model.deadline_ms >= 0 ? model.deadline_ms : server->deadline_ms,
    };
}

static void print_setting(const struct scree_option *setting, const void *values, FILE *out)
{
    const struct scree_texts *texts = (const void *)((const char *)values + setting->offset);
    char text[SCREE_INI_MAX_LINE];

    if (setting->kind == SCREE_OPTION_HEADING) {
        fprintf(out, "\n# %s\n", setting->help);
    } else if (setting->kind == SCREE_OPTION_TEXTS) {
        for (int i = 0; i < texts->n; i++)
            fprintf(out, "%s = %s\n", setting->name, texts->v[i]);
    } else {
        scree_option_format(setting, values, text, sizeof text);
        fprintf(out, "%s%s = %s\n", text[0] ? "" : "# ", setting->name, text);
    }
}

void scree_config_print(const struct scree_config *config, FILE *out)
{
    fprintf(out, "[server]\n");
    for (const struct scree_option *s = scree_server_settings; s->name; s++)
        print_setting(s, &config->options, out);
    for (uint32_t i = 0; i < config->n_models; i++) {
        struct scree_model_options model;

        scree_config_model(config, config->models[i].name, &model);
        fprintf(out, "\n[model %s]\n", model.name);
        for (const struct scree_option *s = model_settings; s->name; s++)
            print_setting(s, &model, out);
    }
}
