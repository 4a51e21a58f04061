/* The web page, and the JSON that it shows: what is served, what runs where, what the doctor says.
 */
#include <string.h>
#include <time.h>

#include "net/accept.h"
#include "serve/page.h"
#include "serve/server.h"
#include "vision/vision.h"

#define DOCTOR_S 30 /* how long its findings are told again */

void scree_api_front(void *context, struct scree_request *request)
{
    const char *accept = scree_request_header(request, "accept");

    scree_request_add_header(request, "Vary", "Accept");
    if (scree_accept_quality(accept, "text/html") <=
        scree_accept_quality(accept, "application/json")) {
        scree_api_root(context, request);
        return;
    }
    scree_request_add_header(request, "Content-Security-Policy", scree_page_policy);
    scree_request_add_header(request, "X-Content-Type-Options", "nosniff");
    scree_request_add_header(request, "Referrer-Policy", "no-referrer");
    scree_request_add_header(request, "Cache-Control", "no-cache");
    scree_reply_static(request, 200, "text/html; charset=utf-8", scree_page, scree_page_bytes);
}

/* ---- what is served ---- */

static const char *task_name(enum scree_task task)
{
    switch (task) {
    case SCREE_TASK_CLASSIFY:
        return "classify";
    case SCREE_TASK_DETECT:
        return "detect";
    case SCREE_TASK_SEGMENT:
        return "segment";
    case SCREE_TASK_POSE:
        return "pose";
    default:
        return "tensors";
    }
}

static json_t *shape_json(const struct scree_shape *shape)
{
    json_t *list = json_array();

    for (int32_t i = 0; i < shape->rank; i++)
        json_array_append_new(list, json_integer(shape->dims[i]));
    return list;
}

/* The mean of a stage in ms. */
static double mean_ms(uint64_t ns, uint64_t n)
{
    return n > 0 ? (double)ns / (double)n / 1e6 : 0;
}

static json_t *counts_json(struct scree_served *served)
{
    const struct scree_served_stats *stats = &served->stats;
    uint64_t n = stats->n_ok;
    uint32_t waiting, busy;

    scree_turns_count(&served->turns, &waiting, &busy);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:{s:f, s:f, s:f, s:f, s:f}}", "ok",
        (json_int_t)n, "failed", (json_int_t)stats->n_failed, "rows", (json_int_t)stats->n_rows,
        "runs", (json_int_t)stats->n_runs, "batch", (int)scree_served_batch(served), "waiting",
        (int)waiting, "queue", (int)served->turns.max_waiting, "busy", (int)busy, "instances",
        (int)served->n_instances, "mean_ms", "queue", mean_ms(stats->queue_ns, n), "decode",
        mean_ms(stats->decode_ns, n), "preprocess", mean_ms(stats->preprocess_ns, n), "compute",
        mean_ms(stats->compute_ns, n), "postprocess", mean_ms(stats->postprocess_ns, n));
}

static void describe_model(void *context, const struct scree_repository_entry *entry)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "name", entry->name, "version", entry->version,
                             "state", entry->state, "reason", entry->reason);
    struct scree_served *served = entry->served;
    struct scree_tensor input;

    json_array_append_new(context, json);
    if (!served)
        return;
    json_object_update_new(
        json, json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:f, s:o}", "task",
                        task_name(served->task), "head", served->head, "takes_pictures",
                        served->takes_pictures, "device", scree_ran_name(served->ran), "delegate",
                        served->delegate, "note", served->note, "sha256", served->sha256,
                        "npu_nodes", (int)served->n_npu_nodes, "cpu_nodes",
                        (int)served->n_cpu_nodes, "bytes", (json_int_t)served->n_bytes, "load_ms",
                        (double)served->load_ns / 1e6, "counts", counts_json(served)));
    if (scree_model_input(served->model, served->picture_input, &input) >= 0)
        json_object_set_new(json, "input", shape_json(&input.shape));
}

void scree_api_stats(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    uint32_t connections, requests;
    json_t *models = json_array();

    scree_http_count(server->http, &connections, &requests);
    scree_repository_visit(server->repository, describe_model, models);
    scree_request_add_header(request, "Cache-Control", "no-store");
    scree_api_json(request, 200,
                   json_pack("{s:s, s:I, s:I, s:i, s:i, s:i, s:o}", "version", SCREE_VERSION,
                             "start", (json_int_t)server->start_s, "now", (json_int_t)time(NULL),
                             "connections", (int)connections, "in_flight", (int)requests,
                             "listeners", (int)scree_events_count(server->events), "models",
                             models));
}

/* ---- what runs where ---- */

static json_t *nodes_json(const struct scree_session *session)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report node;

        if (scree_session_report(session, i, &node) < 0)
            continue;
        json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s, s:I, s:o}", "index",
                                              (int)node.index, "op", node.op, "device", node.device,
                                              "reason", node.reason, "macs", (json_int_t)node.macs,
                                              "shape", shape_json(&node.shape)));
    }
    return list;
}

void scree_api_placement(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_error err;
    int rc = scree_repository_get(server->repository, scree_request_query(request, "model"),
                                  scree_request_query(request, "version"), &served, &err);

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    scree_api_json(request, 200,
                   json_pack("{s:s, s:s, s:o}", "model", served->name, "version", served->version,
                             "nodes", nodes_json(served->instances[0].sessions[0])));
    scree_served_unref(served);
}

/* ---- the doctor ---- */

/* Makes the checks, if the last time is a while ago. The lock is held. */
static int examine(const struct scree_server *server, struct scree_findings *findings,
                   struct scree_error *err)
{
    time_t now = time(NULL);
    struct scree_tree *tree;
    int rc;

    if (findings->at_s != 0 && now >= findings->at_s && now - findings->at_s < DOCTOR_S)
        return 0;
    rc = scree_tree_open("/", &tree, err);
    if (rc < 0)
        return rc;
    scree_doctor_examine(tree, server->options.delegate, &findings->report);
    scree_tree_free(tree);
    findings->at_s = now;
    return 0;
}

static json_t *findings_json(const struct scree_report *report)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < report->n_findings; i++) {
        const struct scree_finding *f = &report->findings[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", f->check, "status",
                                        scree_finding_status_name(f->status), "text", f->text,
                                        "command", f->command, "command_kind", f->command_kind));
    }
    return json_pack("{s:o}", "findings", list);
}

void scree_api_doctor(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_findings *findings = &server->findings;
    struct scree_error err;
    json_t *json = NULL;
    int rc;

    pthread_mutex_lock(&findings->lock);
    rc = examine(server, findings, &err);
    if (rc >= 0)
        json = findings_json(&findings->report);
    pthread_mutex_unlock(&findings->lock);
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    else
        scree_api_json(request, 200, json);
}
