/* scree serve: answers requests about pictures over HTTP. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "serve/server.h"

struct serve_args {
    const char *models, *model, *labels, *address;
    int port, instances, queue, keep, deadline_ms;
    struct scree_common_args common;
};

static const struct scree_option options[] = {
    {"models", 0, SCREE_OPTION_TEXT, "FOLDER",
     "models to serve: FOLDER/NAME/VERSION/model.tflite, with labels.txt beside it",
     offsetof(struct serve_args, models), 0, 0},
    {"model", 'm', SCREE_OPTION_TEXT, "FILE", "one model to serve (default $MODEL_PATH)",
     offsetof(struct serve_args, model), 0, 0},
    {"labels", 'l', SCREE_OPTION_TEXT, "FILE",
     "its labels: a file, or coco-91, coco-80, voc-21 (default $LABELS_PATH)",
     offsetof(struct serve_args, labels), 0, 0},
    {"address", 'a', SCREE_OPTION_TEXT, "ADDRESS", "where to listen (default: all addresses)",
     offsetof(struct serve_args, address), 0, 0},
    {"port", 'p', SCREE_OPTION_INT, "PORT", "port, 0 for any free one (default $PORT or 8080)",
     offsetof(struct serve_args, port), 0, 65535},
    {"instances", 'i', SCREE_OPTION_INT, "N", "requests that a model answers at once (default 1)",
     offsetof(struct serve_args, instances), 1, SCREE_TURNS_MAX_THINGS},
    {"queue", 0, SCREE_OPTION_INT, "N", "requests that may wait for a model (default 32)",
     offsetof(struct serve_args, queue), 0, 10000},
    {"versions", 0, SCREE_OPTION_INT, "N", "how many of the highest versions to load (default 1)",
     offsetof(struct serve_args, keep), 1, 64},
    {"deadline", 0, SCREE_OPTION_INT, "MS",
     "how long a request may take that does not say (default 5000)",
     offsetof(struct serve_args, deadline_ms), 1, 600000},
    SCREE_COMMON_OPTIONS(struct serve_args, common),
    {0}};

/* The port that the environment asks for; false if it is none. */
static bool port_of_environment(int *port)
{
    const char *text = getenv("PORT");
    char *end;
    long value;

    if (!text || !*text)
        return true;
    value = strtol(text, &end, 10);
    if (*end || value < 0 || value > 65535) {
        fprintf(stderr, "scree serve: PORT is '%s', which is no port\n", text);
        return false;
    }
    *port = (int)value;
    return true;
}

static int serve(const struct serve_args *args)
{
    struct scree_server_options server = {
        .address = args->address,
        .port = args->port,
        .models = args->models,
        .model = args->model,
        .labels = args->labels,
        .n_instances = args->instances,
        .n_threads = args->common.n_threads,
        .keep = args->keep,
        .queue = args->queue,
        .deadline_ms = args->deadline_ms,
        .limits = scree_http_default_limits,
    };
    struct scree_server *served;
    struct scree_error err;
    int rc = scree_server_new(&server, &served, &err);

    if (rc < 0)
        return scree_cli_fail(rc, &err);
    fprintf(stderr, "scree serve: listening on port %d\n", scree_http_port(served->http));
    rc = scree_server_run(served, &err);
    scree_server_free(served);
    return rc < 0 ? scree_cli_fail(rc, &err) : SCREE_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct serve_args args = {.port = 8080,
                              .instances = 1,
                              .queue = 32,
                              .keep = 1,
                              .deadline_ms = 5000,
                              .model = getenv("MODEL_PATH"),
                              .labels = getenv("LABELS_PATH")};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    int code;

    if (!port_of_environment(&args.port))
        return SCREE_EXIT_USAGE;
    code = scree_args_parse(&scree_verb_serve, argc, argv, &args, &positionals);
    if (code)
        return code - 1;
    if (!args.models && !args.model) {
        fprintf(stderr, "scree serve: no model: give --model FILE or --models FOLDER\n");
        return SCREE_EXIT_USAGE;
    }
    return serve(&args);
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
        "the folder of models again; SIGTERM ends what was begun, then stops.",
    .options = options,
    .examples = "  scree serve --model mobilenet.tflite --labels imagenet_labels.txt\n"
                "  scree serve --models /var/lib/scree/models --instances 3 --port 8080\n"
                "  curl -F image=@cat.jpg http://localhost:8080/infer",
    .run = run,
};
