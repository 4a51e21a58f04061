#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "model/graph.h"

int scree_cli_fail(int rc, const struct scree_error *err)
{
    fprintf(stderr, "scree: %s\n", err->text);
    switch (-rc) {
    case ENODEV:
        return SCREE_EXIT_NO_DEVICE;
    case EBADMSG:
    case ENOTSUP:
    case E2BIG:
    case ENOENT:
    case EACCES:
    case EINVAL:
        return SCREE_EXIT_BAD_INPUT;
    default:
        return SCREE_EXIT_FAILED;
    }
}

int scree_cli_check_device(const struct scree_common_args *common)
{
    const char *device = common->device;

    if (!device || strcmp(device, "auto") == 0 || strcmp(device, "cpu") == 0 ||
        strcmp(device, "teflon") == 0)
        return 0;
    fprintf(stderr, "scree: no device '%s': auto, cpu and teflon are there\n", device);
    return SCREE_EXIT_NO_DEVICE;
}

void scree_cli_session_options(const struct scree_common_args *common,
                               struct scree_session_options *ret_options)
{
    *ret_options = (struct scree_session_options){
        .n_threads = common->n_threads,
        .device = common->device,
        .delegate = common->delegate,
        .n_delegate_options = (uint32_t)common->delegate_options.n,
        .delegate_options = common->delegate_options.v,
        .delegate_timeout_ms = common->delegate_timeout_s * 1000,
        .require_npu = common->require_npu,
        .check_every = (uint32_t)common->check_every,
    };
}

void scree_cli_print_note(const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    if (stats.note[0])
        fprintf(stderr, "scree: %s\n", stats.note);
}

json_t *scree_cli_npu_json(const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    return json_pack("{s:s, s:s?, s:i, s:i, s:I, s:I, s:I, s:I, s:s}", "device", stats.device,
                     "delegate", stats.delegate, "operators", (int)stats.n_nodes, "parts",
                     (int)stats.n_parts, "runs", (json_int_t)stats.runs, "verified",
                     (json_int_t)stats.verified, "repeated", (json_int_t)stats.repeated,
                     "fallbacks", (json_int_t)stats.fallbacks, "note", stats.note);
}

static int parse_shape(const char **text, struct scree_shape *shape)
{
    char *end = NULL;

    *shape = (struct scree_shape){0};
    do {
        const char *from = end ? end + 1 : *text;
        long dim = strtol(from, &end, 10);

        if (end == from || shape->rank == SCREE_MAX_RANK || dim < 0 || dim > INT32_MAX)
            return -EINVAL;
        shape->dims[shape->rank++] = (int32_t)dim;
    } while (*end == 'x');
    *text = *end == ',' ? end + 1 : end;
    return *end == '\0' || *end == ',' ? 0 : -EINVAL;
}

static int parse_shapes(const char *text, uint32_t n, struct scree_shape **ret_shapes,
                        struct scree_error *err)
{
    struct scree_shape *shapes = calloc(n ? n : 1, sizeof *shapes);
    const char *at = text;

    if (!shapes)
        return scree_fail_memory(err, n * sizeof *shapes);
    for (uint32_t i = 0; i < n; i++)
        if (*at == '\0' || parse_shape(&at, &shapes[i]) < 0 || (i + 1 == n && *at != '\0')) {
            free(shapes);
            return scree_fail(
                err, EINVAL, "--shape %s: one like 1x224x224x3 for each input is wanted, %u in all",
                text, n);
        }
    *ret_shapes = shapes;
    return 0;
}

int scree_cli_open_another(const char *path, struct scree_model *model,
                           const struct scree_common_args *common, const char *shapes,
                           struct scree_session **ret_session)
{
    struct scree_session_options options;
    struct scree_shape *parsed = NULL;
    struct scree_error err;
    int rc;

    scree_cli_session_options(common, &options);
    if (shapes) {
        rc = parse_shapes(shapes, scree_model_n_inputs(model), &parsed, &err);
        if (rc < 0) {
            rc = scree_cli_fail(rc, &err);
            return rc == SCREE_EXIT_BAD_INPUT ? SCREE_EXIT_USAGE : rc;
        }
        options.shapes = parsed;
        options.n_input_shapes = scree_model_n_inputs(model);
    }
    rc = scree_session_new(model, &options, ret_session, &err);
    free(parsed);
    if (rc >= 0)
        return SCREE_EXIT_OK;
    rc = scree_wrap(&err, rc, "%s", path);
    return scree_cli_fail(rc, &err);
}

int scree_cli_open_shaped(const char *path, const struct scree_common_args *common,
                          const char *shapes, struct scree_model **ret_model,
                          struct scree_session **ret_session)
{
    struct scree_error err;
    struct scree_model *model;
    int rc = scree_cli_check_device(common);

    if (rc)
        return rc;
    rc = scree_model_open(path, &model, &err);
    if (rc < 0)
        return scree_cli_fail(rc, &err);
    if (ret_session) {
        rc = scree_cli_open_another(path, model, common, shapes, ret_session);
        if (rc) {
            scree_model_unref(model);
            return rc;
        }
    }
    *ret_model = model;
    return SCREE_EXIT_OK;
}

int scree_cli_open(const char *path, const struct scree_common_args *common,
                   struct scree_model **ret_model, struct scree_session **ret_session)
{
    return scree_cli_open_shaped(path, common, NULL, ret_model, ret_session);
}

/* SplitMix64, by Steele, Lea and Flood (2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill(const struct scree_tensor *tensor, uint64_t *state)
{
    size_t width = scree_type_bytes(tensor->type);

    for (size_t i = 0; i < tensor->bytes; i += width) {
        uint64_t bits = next_random(state);
        char *to = (char *)tensor->data + i;
        float real = (float)(bits >> 40) / 16777216.0f;
        bool wide = tensor->type == SCREE_TYPE_INT32 || tensor->type == SCREE_TYPE_INT64;

        if (tensor->type == SCREE_TYPE_FLOAT32) {
            memcpy(to, &real, sizeof real);
            continue;
        }
        bits = wide ? bits >> 56 : tensor->type == SCREE_TYPE_BOOL ? bits >> 63 : bits;
        memcpy(to, &bits, width < sizeof bits ? width : sizeof bits);
    }
}

void scree_cli_fill_random(struct scree_session *session, uint64_t seed)
{
    for (uint32_t i = 0; i < scree_session_n_inputs(session); i++) {
        struct scree_tensor tensor;
        uint64_t state = seed + i;

        if (scree_session_input(session, i, &tensor) >= 0)
            fill(&tensor, &state);
    }
}

int scree_cli_print_json(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;

    json_decref(json);
    if (!text) {
        fprintf(stderr, "scree: no memory for the answer\n");
        return SCREE_EXIT_FAILED;
    }
    puts(text);
    free(text);
    return SCREE_EXIT_OK;
}

json_t *scree_cli_tensor_json(const struct scree_tensor *tensor)
{
    json_t *shape = json_array();
    json_t *json;

    for (int32_t i = 0; i < tensor->shape.rank; i++)
        json_array_append_new(shape, json_integer(tensor->shape.dims[i]));
    json = json_pack("{s:s, s:s, s:o}", "name", tensor->name, "type", scree_type_name(tensor->type),
                     "shape", shape);
    if (tensor->n_scales == 1)
        json_object_set_new(json, "scale", json_real((double)tensor->scale));
    if (tensor->n_scales == 1)
        json_object_set_new(json, "zero_point", json_integer(tensor->zero_point));
    return json;
}

const char *scree_cli_side(const char *model, char *text, size_t n)
{
    size_t length = strlen(model);

    if (length > 7 && strcmp(model + length - 7, ".tflite") == 0)
        length -= 7;
    if ((size_t)snprintf(text, n, "%.*s.json", (int)length, model) >= n)
        return NULL;
    return access(text, R_OK) == 0 ? text : NULL;
}

char *scree_cli_bytes(size_t n_bytes, char *text, size_t n)
{
    if (n_bytes < 10 * 1024)
        (void)snprintf(text, n, "%zu bytes", n_bytes);
    else if (n_bytes < 10 * 1024 * 1024)
        (void)snprintf(text, n, "%.1f KiB", (double)n_bytes / 1024);
    else
        (void)snprintf(text, n, "%.1f MiB", (double)n_bytes / (1024 * 1024));
    return text;
}

char *scree_cli_shape(const struct scree_shape *shape, char *text, size_t n)
{
    return scree_shape_text(shape, text, n);
}

uint64_t scree_cli_macs(const struct scree_session *session)
{
    uint64_t macs = 0;

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;

        if (scree_session_report(session, i, &report) >= 0)
            macs += report.macs;
    }
    return macs;
}

uint64_t scree_cli_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int scree_cli_find_library(const char *built, const char *file, const char *installed, char *path,
                           size_t n, struct scree_error *err)
{
    char own[512];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    char *slash;

    assert(path);
    own[length > 0 ? length : 0] = '\0';
    slash = strrchr(own, '/');
    if (slash) {
        *slash = '\0';
        (void)snprintf(path, n, "%s/../%s/%s", own, built, file);
        if (access(path, R_OK) == 0)
            return 0;
        (void)snprintf(path, n, "%s/../lib/scree/%s", own, file);
        if (access(path, R_OK) == 0)
            return 0;
    }
    (void)snprintf(path, n, "%s", installed);
    if (access(path, R_OK) == 0)
        return 0;
    return scree_fail(err, ENOENT, "no %s here nor as %s", file, installed);
}
