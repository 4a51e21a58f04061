/* What the APIs share: pictures in, JSON out, errors and counting. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/multipart.h"
#include "serve/server.h"
#include "vision/show.h"

#define MAX_REPLY_BYTES ((size_t)64 << 20)
#define NS_A_MS         UINT64_C(1000000)

/* Of JSON that becomes a tree, which takes some hundred bytes for each, be they as short as "{}".
 */
#define MAX_JSON_VALUES 16384

/* ---- answers ---- */

static int add_json(const char *bytes, size_t n, void *buffer)
{
    scree_buffer_add(buffer, bytes, n);
    return ((struct scree_buffer *)buffer)->failed ? -1 : 0;
}

void scree_api_json(struct scree_request *request, int status, json_t *json)
{
    struct scree_buffer body = {.limit = MAX_REPLY_BYTES};

    if (!json ||
        json_dump_callback(json, add_json, &body, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0)
        body.failed = true;
    json_decref(json);
    scree_buffer_add(&body, "\n", 1);
    scree_reply(request, status, "application/json", &body);
}

int scree_api_status(int rc, const char **ret_reason)
{
    static const struct {
        int rc, status;
        const char *reason;
    } table[] = {
        {-EINVAL, 400, NULL},       {-EBADMSG, 400, "bad_image"}, {-ENOTSUP, 400, "bad_image"},
        {-E2BIG, 413, "too_large"}, {-ENOENT, 404, NULL},         {-EBUSY, 503, "queue_full"},
        {-EAGAIN, 503, "shutdown"}, {-ENOMEM, 503, "memory"},     {-ETIMEDOUT, 504, "deadline"},
        {-EACCES, 401, "auth"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].rc == rc) {
            *ret_reason = table[i].reason;
            return table[i].status;
        }
    *ret_reason = NULL;
    return 500;
}

void scree_api_count_refusal(struct scree_server *server, int rc)
{
    const char *reason;
    char labels[64];

    (void)scree_api_status(rc, &reason);
    /* Or the model is not loaded, or the client has gone away. */
    if (!reason || (rc == -EAGAIN && !server->stopping))
        return;
    (void)snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    scree_metrics_add(server->metrics, SCREE_METRIC_REJECTED, labels, 1);
}

json_t *scree_api_load(uint32_t max_depth, const char *text, size_t n)
{
    struct scree_json root;

    if (n == 0 || scree_json_open_within(text, n, max_depth, &root, NULL) < 0 ||
        scree_json_count(&root) > MAX_JSON_VALUES)
        return NULL;
    return json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
}

/* Says why not, as clients of the route expect it. CodeProject.AI has 200 for it, DeepStack has
 * not.
 */
static void refuse(const struct scree_server *server, struct scree_request *request, int status,
                   const char *why)
{
    if (scree_request_flags(request) & SCREE_ROUTE_KEY)
        scree_api_json(request, server->options.always_200 ? 200 : status,
                       json_pack("{s:b, s:s, s:i, s:i}", "success", 0, "error", why, "code", status,
                                 "duration", 0));
    else
        scree_api_json(request, status, json_pack("{s:s}", "error", why));
}

void scree_api_fail(struct scree_server *server, struct scree_request *request, int rc,
                    const struct scree_error *err)
{
    const char *reason;
    int status = scree_api_status(rc, &reason);

    scree_api_count_refusal(server, rc);
    if (status == 503)
        scree_request_add_retry(request, scree_request_limits(request)->retry_after_s);
    refuse(server, request, status, err->text);
}

/* ---- who may ask ---- */

static int check_access(struct scree_server *server, const struct scree_request *request,
                        enum scree_scope scope, const char *key, struct scree_error *err)
{
    const struct scree_credentials credentials = {
        .peer = scree_request_peer(request),
        .authorization = scree_request_header(request, "authorization"),
        .key = key,
        .host = scree_request_header(request, "host"),
        .origin = scree_request_header(request, "origin"),
        .is_forwarded = scree_request_header(request, "x-forwarded-for") ||
                        scree_request_header(request, "forwarded"),
    };

    return scree_access_check(&server->access, scope, &credentials, err);
}

int scree_api_check_key(struct scree_server *server, const struct scree_request *request,
                        const char *key, struct scree_error *err)
{
    return check_access(server, request, SCREE_SCOPE_INFER, key, err);
}

static void refuse_rate(struct scree_server *server, struct scree_request *request, uint32_t wait_s)
{
    scree_request_add_retry(request, wait_s);
    scree_metrics_add(server->metrics, SCREE_METRIC_REJECTED, "reason=\"rate_limit\"", 1);
    refuse(server, request, 429, "too many requests of this client");
}

/* True if the client has asked too often. What is open to all is so for probes, and costs little.
 */
static bool is_too_often(struct scree_server *server, struct scree_request *request)
{
    uint32_t wait_s;

    if (!server->rate || scree_request_flags(request) & SCREE_ROUTE_OPEN)
        return false;
    wait_s =
        scree_rate_take(server->rate, scree_request_peer(request), scree_request_start_ns(request));
    if (wait_s > 0)
        refuse_rate(server, request, wait_s);
    return wait_s > 0;
}

void scree_api_gate(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    uint32_t flags = scree_request_flags(request);
    enum scree_scope scope = flags & SCREE_ROUTE_ADMIN                      ? SCREE_SCOPE_ADMIN
                             : flags & (SCREE_ROUTE_OPEN | SCREE_ROUTE_KEY) ? SCREE_SCOPE_OPEN
                                                                            : SCREE_SCOPE_INFER;
    struct scree_error err;
    int rc;

    if (is_too_often(server, request))
        return;
    rc =
        check_access(server, request, scope, scree_request_header(request, "doods-auth-key"), &err);
    if (rc >= 0)
        return;
    if (scope == SCREE_SCOPE_INFER || server->options.admin_token_file)
        scree_request_add_header(request, "WWW-Authenticate", "Bearer");
    scree_api_fail(server, request, rc, &err);
}

/* ---- what a request has ---- */

static bool is_form(const struct scree_request *request)
{
    return scree_multipart_is(scree_request_header(request, "content-type"));
}

/* Finds a part: a file (its name, or NULL for any) or a field. Returns 1, 0 or a negative errno. */
static int find_part(const struct scree_request *request, const char *name, bool file,
                     struct scree_span *ret_data, struct scree_error *err)
{
    const uint32_t max_parts = scree_request_limits(request)->max_parts;
    struct scree_multipart form;
    struct scree_part part;
    size_t n;
    const uint8_t *body = scree_request_body(request, &n);
    int rc = scree_multipart_init(&form, scree_request_header(request, "content-type"), max_parts,
                                  body, n, err);

    while (rc >= 0 && (rc = scree_multipart_next(&form, &part, err)) > 0)
        if (part.has_filename == file && (!name || scree_span_is(part.name, name))) {
            *ret_data = part.data;
            return 1;
        }
    return rc;
}

int scree_api_picture(const struct scree_request *request, const char *part,
                      const uint8_t **ret_bytes, size_t *ret_n, struct scree_error *err)
{
    struct scree_span data = {NULL, 0};
    int rc = 1;

    if (is_form(request)) {
        rc = find_part(request, part, true, &data, err);
        if (rc == 0)
            rc = find_part(request, NULL, true, &data, err);
    } else {
        data.bytes = scree_request_body(request, &data.n);
    }
    if (rc < 0)
        return rc;
    if (data.n == 0)
        return scree_fail(err, ENOENT, "No image provided");
    *ret_bytes = data.bytes;
    *ret_n = data.n;
    return 0;
}

bool scree_api_field(const struct scree_request *request, const char *name, char *text, size_t n)
{
    struct scree_span data;

    if (!is_form(request) || find_part(request, name, false, &data, NULL) <= 0 || data.n >= n ||
        memchr(data.bytes, 0, data.n))
        return false;
    memcpy(text, data.bytes, data.n);
    text[data.n] = 0;
    return true;
}

int scree_api_number(const struct scree_request *request, const char *name, double min, double max,
                     double *value, struct scree_error *err)
{
    const char *text = scree_request_query(request, name);
    char *end;
    double number;

    if (!text)
        return 0;
    number = strtod(text, &end);
    if (end == text || *end || !(number >= min && number <= max))
        return scree_fail(err, EINVAL, "%s is a number from %g to %g", name, min, max);
    *value = number;
    return 0;
}

static int read_priority(const struct scree_request *request, enum scree_priority *ret,
                         struct scree_error *err)
{
    static const char *const names[] = {"high", "normal", "low"};
    const char *text = scree_request_query(request, "priority");

    for (int i = 0; text && i < SCREE_N_PRIORITIES; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum scree_priority)i;
            return 0;
        }
    return text ? scree_fail(err, EINVAL, "priority is high, normal or low") : 0;
}

/* A switch of the query: 1 or 0. */
static int read_switch(const struct scree_request *request, const char *name, bool *ret,
                       struct scree_error *err)
{
    double value = 0;
    int rc = scree_api_number(request, name, 0, 1, &value, err);

    *ret = value > 0;
    return rc;
}

float scree_api_threshold(float least)
{
    return least > 0 ? least : -1;
}

static bool is_gone(const void *context)
{
    return scree_request_is_gone(context);
}

int scree_api_ask(const struct scree_server *server, const struct scree_request *request,
                  struct scree_ask *ret_ask, struct scree_error *err)
{
    double timeout_ms = 0, top = 5, threshold = -1;
    enum scree_priority priority = SCREE_PRIORITY_NORMAL;
    bool upright = false;
    int rc = scree_api_number(request, "timeout_ms", 1, 60000, &timeout_ms, err);

    if (rc >= 0)
        rc = scree_api_number(request, "top", 1, 1000, &top, err);
    if (rc >= 0)
        rc = scree_api_number(request, "threshold", 0, 1, &threshold, err);
    if (rc >= 0)
        rc = read_priority(request, &priority, err);
    if (rc >= 0)
        rc = read_switch(request, "upright", &upright, err);
    if (rc < 0)
        return rc;
    *ret_ask = (struct scree_ask){
        .upright = upright,
        .priority = priority,
        .deadline_ns = scree_request_start_ns(request) + (uint64_t)timeout_ms * NS_A_MS,
        .max = (uint32_t)top,
        .threshold = threshold < 0 ? 0 : scree_api_threshold((float)threshold),
        .is_gone = is_gone,
        .context = request,
    };
    return 0;
}

/* ---- looking ---- */

void scree_api_observe(struct scree_server *server, const struct scree_served *served,
                       const struct scree_times *times)
{
    struct scree_metrics *metrics = server->metrics;
    char model[80], device[112];

    (void)snprintf(model, sizeof model, "model=\"%s\"", served->name);
    (void)snprintf(device, sizeof device, "%s,device=\"%s\"", model, scree_ran_name(times->ran));
    scree_metrics_observe(metrics, SCREE_METRIC_QUEUE_SECONDS, model,
                          (double)times->queue_ns * 1e-9);
    scree_metrics_observe(metrics, SCREE_METRIC_DECODE_SECONDS, "",
                          (double)times->decode_ns * 1e-9);
    scree_metrics_observe(metrics, SCREE_METRIC_PREPROCESS_SECONDS, model,
                          (double)times->preprocess_ns * 1e-9);
    scree_metrics_observe(metrics, SCREE_METRIC_COMPUTE_SECONDS, device,
                          (double)times->compute_ns * 1e-9);
    scree_metrics_observe(metrics, SCREE_METRIC_POSTPROCESS_SECONDS, model,
                          (double)times->postprocess_ns * 1e-9);
    scree_metrics_add(metrics, SCREE_METRIC_INFERENCES, "", 1);
    scree_metrics_add(metrics, SCREE_METRIC_INFERENCE_SECONDS, "",
                      (double)times->compute_ns * 1e-9);
}

/* Two decimals. */
static json_t *ms_json(uint64_t ns)
{
    return json_real(round((double)ns / 1e4) / 100);
}

void scree_api_add_times(json_t *json, const struct scree_times *times)
{
    json_object_update_new(
        json,
        json_pack("{s:s, s:{s:o, s:o, s:o, s:o, s:o}}", "device", scree_ran_name(times->ran),
                  "times_ms", "queue", ms_json(times->queue_ns), "decode",
                  ms_json(times->decode_ns), "preprocess", ms_json(times->preprocess_ns), "compute",
                  ms_json(times->compute_ns), "postprocess", ms_json(times->postprocess_ns)));
}

/* The line that the service before scree had, with more to it. */
static void log_inference(struct scree_server *server, const struct scree_request *request,
                          const struct scree_served *served, const struct scree_times *times)
{
    const uint64_t stages[] = {times->queue_ns, times->decode_ns, times->preprocess_ns,
                               times->compute_ns, times->postprocess_ns};
    char text[64], ms[5][24];

    for (size_t i = 0; i < 5; i++)
        (void)snprintf(ms[i], sizeof ms[i], "%.3f", (double)stages[i] / 1e6);
    (void)snprintf(text, sizeof text, "Inference completed in %.2fms",
                   (double)times->compute_ns / 1e6);
    scree_log(&server->log, SCREE_LOG_INFO, text, "request_id", scree_request_id(request),
              "trace_id", scree_request_trace(request), "model", served->name, "version",
              served->version, "device", scree_ran_name(times->ran), "queue_ms", ms[0], "decode_ms",
              ms[1], "preprocess_ms", ms[2], "compute_ms", ms[3], "postprocess_ms", ms[4], NULL);
}

void scree_api_add_headers(struct scree_server *server, struct scree_request *request,
                           const struct scree_served *served, const struct scree_times *times)
{
    char text[256];

    scree_request_set_model(request, served->name, served->version);
    (void)snprintf(text, sizeof text,
                   "queue;dur=%.2f, decode;dur=%.2f, preprocess;dur=%.2f, compute;dur=%.2f, "
                   "postprocess;dur=%.2f",
                   (double)times->queue_ns / 1e6, (double)times->decode_ns / 1e6,
                   (double)times->preprocess_ns / 1e6, (double)times->compute_ns / 1e6,
                   (double)times->postprocess_ns / 1e6);
    scree_request_add_header(request, "Server-Timing", text);
    scree_request_add_header(request, "X-Inference-Device", scree_ran_name(times->ran));
    (void)snprintf(text, sizeof text, "%s/%s", served->name, served->version);
    scree_request_add_header(request, "X-Inference-Model", text);
    log_inference(server, request, served, times);
}

/* How long a request may take that does not say. */
static uint64_t default_ms(const struct scree_server *server, const struct scree_request *request,
                           const struct scree_served *served)
{
    uint64_t camera_ms = (uint64_t)server->options.camera_deadline_ms;
    bool is_camera = scree_request_flags(request) & SCREE_ROUTE_KEY;

    return is_camera && camera_ms < served->deadline_ms ? camera_ms : served->deadline_ms;
}

int scree_api_look(struct scree_server *server, struct scree_request *request, const char *model,
                   const struct scree_ask *ask, struct scree_served **ret_served,
                   struct scree_answer *ret_answer, struct scree_error *err)
{
    struct scree_ask mine = *ask;
    struct scree_served *served;
    int rc = scree_repository_get(server->repository, model,
                                  scree_request_query(request, "version"), &served, err);

    if (rc < 0)
        return rc;
    scree_request_set_model(request, served->name, served->version);
    if (!scree_request_query(request, "timeout_ms"))
        mine.deadline_ns = scree_request_start_ns(request) +
                           default_ms(server, request, served) * NS_A_MS;
    rc = scree_served_look(served, &mine, ret_answer, err);
    if (rc < 0) {
        scree_served_unref(served);
        return rc;
    }
    scree_api_observe(server, served, &ret_answer->times);
    scree_api_publish(server, served, ret_answer);
    scree_api_add_headers(server, request, served, &ret_answer->times);
    *ret_served = served;
    return 0;
}

/* The first model for a task. */
struct search {
    enum scree_task task;
    char *name; /* char[SCREE_API_NAME_BYTES], "" until it is found */
};

static void search_model(void *context, const struct scree_repository_entry *entry)
{
    const struct search *search = context;

    if (!*search->name && entry->served && entry->served->task == search->task)
        (void)snprintf(search->name, SCREE_API_NAME_BYTES, "%s", entry->name);
}

const char *scree_api_model(struct scree_server *server, const struct scree_request *request,
                            enum scree_task task, char *name)
{
    const char *asked = request ? scree_request_query(request, "model") : NULL;
    struct search search = {task, name};
    struct scree_served *served = NULL;
    bool fits;

    if (asked)
        return asked;
    (void)scree_repository_get(server->repository, NULL, NULL, &served, NULL);
    fits = served && served->task == task;
    scree_served_unref(served);
    *name = 0;
    if (!fits)
        scree_repository_visit(server->repository, search_model, &search);
    return *name ? name : NULL;
}

const char *scree_api_label(const struct scree_served *served, int32_t class_id, char *text,
                            size_t n)
{
    return scree_show_name(served->labels, class_id, text, n);
}

double scree_api_ms(const struct scree_times *times)
{
    return (double)(times->decode_ns + times->preprocess_ns + times->compute_ns +
                    times->postprocess_ns) /
           1e6;
}
