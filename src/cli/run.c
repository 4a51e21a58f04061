/* scree run: files in, files out. */
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/npy.h"

struct run_args {
    struct scree_list inputs;
    const char *output, *shapes;
    int seed;
    bool raw;
    struct scree_common_args common;
};

static const struct scree_option options[] = {
    {"input", 'i', SCREE_OPTION_LIST, "FILE", "one file an input: .npy, or raw little-endian bytes",
     offsetof(struct run_args, inputs), 0, 0},
    {"output", 'o', SCREE_OPTION_TEXT, "DIR", "write out0.npy, out1.npy ... there",
     offsetof(struct run_args, output), 0, 0},
    {"raw", 0, SCREE_OPTION_FLAG, NULL, "write outN.bin, raw little-endian bytes, instead",
     offsetof(struct run_args, raw), 0, 0},
    {"seed", 's', SCREE_OPTION_INT, "N", "without --input: random input of this seed (default 1)",
     offsetof(struct run_args, seed), 0, 2147483647},
    {"shape", 0, SCREE_OPTION_TEXT, "SHAPES", "new input shapes, as 1x320x320x3, comma separated",
     offsetof(struct run_args, shapes), 0, 0},
    SCREE_COMMON_OPTIONS(struct run_args, common),
    {0}};

static int fill_inputs(struct scree_session *session, const struct run_args *args)
{
    uint32_t n = scree_session_n_inputs(session);
    struct scree_error err;

    if (args->inputs.n == 0) {
        scree_cli_fill_random(session, (uint64_t)args->seed);
        return SCREE_EXIT_OK;
    }
    if ((uint32_t)args->inputs.n != n) {
        fprintf(stderr, "scree run: --input has %d file%s, the model %u input%s\n", args->inputs.n,
                args->inputs.n == 1 ? "" : "s", n, n == 1 ? "" : "s");
        return SCREE_EXIT_USAGE;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct scree_tensor tensor;
        int rc = scree_session_input(session, i, &tensor);

        if (rc >= 0)
            rc = scree_tensor_read(args->inputs.v[i], &tensor, &err);
        if (rc < 0)
            return scree_cli_fail(rc, &err);
    }
    return SCREE_EXIT_OK;
}

/* FNV-1a, to compare outputs of two machines at a glance. */
static uint64_t hash_bytes(const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static int write_output(const struct scree_tensor *tensor, uint32_t index,
                        const struct run_args *args, json_t *json)
{
    char path[4096] = "", shape[96], hash[20];
    struct scree_error err;
    int rc = 0;

    (void)snprintf(hash, sizeof hash, "%016llx",
                   (unsigned long long)hash_bytes(tensor->data, tensor->bytes));
    if (args->output) {
        (void)snprintf(path, sizeof path, "%s/out%u.%s", args->output, index,
                       args->raw ? "bin" : "npy");
        rc = scree_tensor_write(path, tensor, args->raw, &err);
    }
    if (rc < 0)
        return scree_cli_fail(rc, &err);
    if (json) {
        json_t *item = scree_cli_tensor_json(tensor);

        json_object_set_new(item, "fnv1a", json_string(hash));
        if (path[0])
            json_object_set_new(item, "file", json_string(path));
        json_array_append_new(json, item);
    } else {
        printf("output %u: %s %s '%s' fnv1a %s%s%s\n", index, scree_type_name(tensor->type),
               scree_cli_shape(&tensor->shape, shape, sizeof shape), tensor->name, hash,
               path[0] ? " -> " : "", path);
    }
    return SCREE_EXIT_OK;
}

static int run_once(struct scree_session *session, const struct run_args *args)
{
    json_t *json = args->common.json ? json_array() : NULL;
    struct scree_error err;
    int rc = fill_inputs(session, args);

    if (rc == SCREE_EXIT_OK) {
        rc = scree_session_run(session, &err);
        if (rc < 0)
            rc = scree_cli_fail(rc, &err);
    }
    if (rc == SCREE_EXIT_OK && args->output && mkdir(args->output, 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "scree: %s: %s\n", args->output, strerror(errno));
        rc = SCREE_EXIT_FAILED;
    }
    for (uint32_t i = 0; rc == SCREE_EXIT_OK && i < scree_session_n_outputs(session); i++) {
        struct scree_tensor tensor;

        scree_session_output(session, i, &tensor);
        rc = write_output(&tensor, i, args, json);
    }
    if (json && rc == SCREE_EXIT_OK)
        return scree_cli_print_json(
            json_pack("{s:o, s:o}", "outputs", json, "npu", scree_cli_npu_json(session)));
    json_decref(json);
    return rc;
}

static int run_model(const char *path, const struct run_args *args)
{
    struct scree_model *model;
    struct scree_session *session;
    int rc = scree_cli_open_shaped(path, &args->common, args->shapes, &model, &session);

    if (rc)
        return rc;
    rc = run_once(session, args);
    scree_cli_print_note(session);
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

static int run(int argc, char **argv)
{
    struct run_args args = {.seed = 1};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    int rc = scree_args_parse(&scree_verb_run, argc, argv, &args, &positionals);

    rc = rc ? rc - 1 : run_model(positionals.v[0], &args);
    scree_list_done(&args.inputs);
    return rc;
}

const struct scree_verb scree_verb_run = {
    .name = "run",
    .positionals = "MODEL",
    .min_positionals = 1,
    .max_positionals = 1,
    .summary = "Run a model on tensors from files and write its outputs",
    .details =
        "Prints each output's type, shape and a hash of its bytes (FNV-1a), which is the same "
        "on every\nprocessor and for every number of threads.",
    .options = options,
    .examples = "  scree run model.tflite --input in.npy --output results\n"
                "  scree run model.tflite --seed 7",
    .run = run,
};
