/* scree serve: answers requests about pictures over HTTP. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "serve/server.h"

struct serve_args {
    struct scree_server_options options;
    const char *config;
    bool check, help;
};

static const struct scree_option options[] = {
    {"config", 'c', SCREE_OPTION_TEXT, "FILE",
     "settings as lines 'name = value', with sections [model NAME]; also $SCREE_CONFIG",
     offsetof(struct serve_args, config), 0, 0},
    {"check-config", 0, SCREE_OPTION_FLAG, NULL,
     "print all settings as such a file, and do nothing else", offsetof(struct serve_args, check),
     0, 0},
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help", offsetof(struct serve_args, help), 0,
     0},
#define HEADING(text) {"", 0, SCREE_OPTION_HEADING, NULL, text, 0, 0, 0},
#define SETTING(kind, field, name, letter, value, initial, min, max, text)                       \
    {name, letter, SCREE_OPTION_##kind, value, text, offsetof(struct serve_args, options.field), \
     min,  max},
#include "serve/options.inc"
#undef SETTING
#undef HEADING
    {0}};

static const struct serve_args defaults = {
#define HEADING(text)
#define SETTING(kind, field, name, letter, value, initial, min, max, help) .options.field = initial,
#include "serve/options.inc"
#undef SETTING
#undef HEADING
};

static int serve(const struct scree_config *config)
{
    struct scree_server *served;
    struct scree_error err;
    int rc;

    /* An arena for each of many threads would keep what each once had for a picture. */
    (void)mallopt(M_ARENA_MAX, 1);
    rc = scree_server_new(config, &served, &err);

    if (rc < 0)
        return scree_cli_fail(rc, &err);
    rc = scree_server_run(served, &err);
    scree_server_free(served);
    return rc < 0 ? scree_cli_fail(rc, &err) : SCREE_EXIT_OK;
}

/* Flags count more than the environment, that more than the file. The flags are read first as well,
 * for the file's name, and so that wrong ones are told before anything else. */
static int configure(struct scree_config *config, int argc, char **argv, bool *ret_check)
{
    struct serve_args args = defaults;
    SCREE_LIST_CLEANUP struct scree_list none = {0}, none_again = {0};
    struct scree_error err;
    const char *path;
    int rc = scree_args_parse(&scree_verb_serve, argc, argv, &args, &none);

    if (rc)
        return rc;
    path = args.config ? args.config : getenv("SCREE_CONFIG");
    if (path && *path)
        rc = scree_config_read_file(config, path, &err);
    if (rc >= 0)
        rc = scree_config_read_environment(config, (const char *const *)environ, &err);
    if (rc >= 0) {
        args.options = config->options;
        (void)scree_args_parse(&scree_verb_serve, argc, argv, &args, &none_again);
        config->options = args.options;
        *ret_check = args.check;
        rc = scree_config_check(config, &err);
    }
    if (rc >= 0)
        return 0;
    fprintf(stderr, "scree serve: %s\n", err.text);
    return SCREE_EXIT_USAGE + 1;
}

static int run(int argc, char **argv)
{
    struct scree_config config;
    bool check = false;
    int code;

    scree_config_init(&config);
    code = configure(&config, argc, argv, &check);
    if (code)
        code--;
    else if (check)
        scree_config_print(&config, stdout);
    else
        code = serve(&config);
    scree_config_done(&config);
    return code;
}

const struct scree_verb scree_verb_serve = {
    .name = "serve",
    .positionals = "",
    .min_positionals = 0,
    .max_positionals = 0,
    .summary = "Answer requests about pictures over HTTP",
    .details =
        "POST a picture to /infer or /detect, as a form's part 'image' or as the body. Cameras'\n"
        "clients for DeepStack, CodeProject.AI and DOODS find their paths too. SIGHUP looks at\n"
        "the folder of models again; SIGTERM ends what was begun, then stops.\n\n"
        "Every option is a key of the configuration file and a variable of the environment, too:\n"
        "--max-body 20M is 'max-body = 20M' there and SCREE_MAX_BODY=20M here. An option counts\n"
        "more than a variable, and that more than the file.",
    .options = options,
    .defaults = &defaults,
    .examples = "  scree serve --model mobilenet.tflite --labels imagenet_labels.txt\n"
                "  scree serve --models /var/lib/scree/models --instances 3 --port 8080\n"
                "  scree serve --config /etc/scree/serve.ini --check-config\n"
                "  curl -F image=@cat.jpg http://localhost:8080/infer",
    .run = run,
};
