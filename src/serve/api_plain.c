/* The API of the Python service that scree replaces (/, /health, /metrics, /infer), and what its
 * users asked for beside it (/detect, /livez, /readyz). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "serve/measure.h"
#include "serve/server.h"

/* ---- who is there ---- */

/* The default model, or NULL. */
static struct scree_served *default_model(struct scree_server *server)
{
    struct scree_served *served = NULL;

    (void)scree_repository_get(server->repository, NULL, NULL, &served, NULL);
    return served;
}

static double inferences(struct scree_server *server)
{
    return scree_metrics_get(server->metrics, SCREE_METRIC_INFERENCES, "");
}

static double average_seconds(struct scree_server *server)
{
    double n = inferences(server);

    return n > 0 ? scree_metrics_get(server->metrics, SCREE_METRIC_INFERENCE_SECONDS, "") / n : 0;
}

/* Two decimals, as the old service has them. */
static json_t *rounded(double value)
{
    return json_real(round(value * 100) / 100);
}

void scree_api_root(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served = default_model(server);

    scree_api_json(
        request, 200,
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}, s:{s:b, s:I, s:o}}", "service",
                  "NPU Inference Server", "hardware",
                  served && served->ran != SCREE_RAN_CPU ? "RK3588 NPU (Rockchip)" : "CPU", "model",
                  served ? served->name : "", "endpoints", "GET /", "this description",
                  "GET /health", "health check", "GET /metrics", "Prometheus metrics",
                  "POST /infer", "classify a picture (multipart part 'image' or raw body)",
                  "POST /detect", "find things on a picture", "status", "model_loaded",
                  served != NULL, "total_inferences", (json_int_t)inferences(server),
                  "avg_inference_time_ms", rounded(average_seconds(server) * 1000)));
    scree_served_unref(served);
}

void scree_api_health(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served = default_model(server);

    scree_api_json(request, served ? 200 : 503,
                   json_pack("{s:s, s:b, s:I}", "status", served ? "healthy" : "unhealthy",
                             "model_loaded", served != NULL, "inference_count",
                             (json_int_t)inferences(server)));
    scree_served_unref(served);
}

void scree_api_live(void *context, struct scree_request *request)
{
    (void)context;
    scree_api_json(request, 200, json_pack("{s:b}", "live", 1));
}

void scree_api_ready(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served = server->stopping ? NULL : default_model(server);

    scree_api_json(request, served ? 200 : 503, json_pack("{s:b}", "ready", served != NULL));
    scree_served_unref(served);
}

/* ---- metrics ---- */

void scree_api_metrics(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_buffer text = {.limit = (size_t)16 << 20};

    scree_measure(server);
    scree_metrics_add(server->metrics, SCREE_METRIC_INFERENCES, "", 0);
    scree_metrics_add(server->metrics, SCREE_METRIC_INFERENCE_SECONDS, "", 0);
    scree_metrics_set(server->metrics, SCREE_METRIC_INFERENCE_AVERAGE, "", average_seconds(server));
    scree_metrics_write(server->metrics, &text);
    scree_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* ---- pictures ---- */

void scree_api_admit_model(struct scree_server *server, struct scree_request *request,
                           const char *model, const char *version)
{
    struct scree_served *served;
    struct scree_error err;
    uint32_t waiting, busy;
    int rc = scree_repository_get(server->repository, model, version, &served, &err);

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    scree_served_count(served, &waiting, &busy);
    if (waiting >= served->stages.max_waiting && busy >= served->n_instances) {
        rc = scree_fail(&err, EBUSY, "%u requests wait already", waiting);
        scree_api_fail(server, request, rc, &err);
    }
    scree_served_unref(served);
}

void scree_api_admit(void *context, struct scree_request *request)
{
    scree_api_admit_model(context, request, scree_request_query(request, "model"),
                          scree_request_query(request, "version"));
}

void scree_api_admit_detector(void *context, struct scree_request *request)
{
    char name[SCREE_API_NAME_BYTES];

    scree_api_admit_model(context, request,
                          scree_api_model(context, request, SCREE_TASK_DETECT, name),
                          scree_request_query(request, "version"));
}

void scree_api_admit_classifier(void *context, struct scree_request *request)
{
    char name[SCREE_API_NAME_BYTES];

    scree_api_admit_model(context, request,
                          scree_api_model(context, request, SCREE_TASK_CLASSIFY, name),
                          scree_request_query(request, "version"));
}

static json_t *class_json(const struct scree_served *served, const struct scree_class *found)
{
    const char *label = scree_labels_get(served->labels, found->class_id);
    json_t *json = json_pack("{s:i, s:f, s:f}", "class_id", found->class_id, "score",
                             (double)found->raw, "probability", (double)found->score);

    if (label)
        json_object_set_new(json, "label", json_string(label));
    return json;
}

/* The old service's answer: raw scores, the shape of the output. */
static json_t *classes_json(const struct scree_served *served, const struct scree_answer *answer)
{
    json_t *predictions = json_array(), *shape = json_array();
    struct scree_tensor output;

    for (uint32_t i = 0; i < answer->n; i++)
        json_array_append_new(predictions, class_json(served, &answer->classes[i]));
    if (scree_model_output(served->model, 0, &output) >= 0)
        for (int32_t i = 0; i < output.shape.rank; i++)
            json_array_append_new(shape, json_integer(output.shape.dims[i]));
    return json_pack("{s:b, s:o, s:o}", "success", 1, "predictions", predictions, "shape", shape);
}

static json_t *detections_json(const struct scree_served *served, const struct scree_answer *answer)
{
    json_t *list = json_array();
    char name[64];

    for (uint32_t i = 0; i < answer->n; i++) {
        const struct scree_detection *d = &answer->detections[i];

        json_array_append_new(
            list, json_pack("{s:s, s:i, s:[f, f, f, f], s:f}", "class",
                            scree_api_label(served, d->class_id, name, sizeof name), "class_id",
                            d->class_id, "bbox", (double)d->xmin, (double)d->ymin, (double)d->xmax,
                            (double)d->ymax, "confidence", (double)d->score));
    }
    return json_pack("{s:o}", "detections", list);
}

static json_t *poses_json(const struct scree_answer *answer)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < answer->n; i++) {
        json_t *points = json_array();

        for (int k = 0; k < SCREE_N_KEYPOINTS; k++) {
            const struct scree_keypoint *p = &answer->poses[i].keypoints[k];

            json_array_append_new(
                points, json_pack("[f, f, f]", (double)p->x, (double)p->y, (double)p->score));
        }
        json_array_append_new(list, json_pack("{s:f, s:o}", "score", (double)answer->poses[i].score,
                                              "keypoints", points));
    }
    return json_pack("{s:o}", "poses", list);
}

static json_t *shares_json(const struct scree_served *served, const struct scree_answer *answer)
{
    size_t n = (size_t)answer->w * (size_t)answer->h;
    json_t *list = json_array();
    uint64_t counts[256] = {0};
    char name[64];

    for (size_t i = 0; i < n; i++)
        counts[answer->mask[i]]++;
    for (int32_t k = 0; k < SCREE_CLASS_NONE; k++)
        if (counts[k] > 0)
            json_array_append_new(list, json_pack("{s:i, s:s, s:f}", "class_id", k, "class",
                                                  scree_api_label(served, k, name, sizeof name),
                                                  "share", (double)counts[k] / (double)n));
    return json_pack("{s:o}", "segments", list);
}

static json_t *answer_json(const struct scree_served *served, const struct scree_answer *answer)
{
    json_t *json;

    switch (answer->task) {
    case SCREE_TASK_CLASSIFY:
        json = classes_json(served, answer);
        break;
    case SCREE_TASK_DETECT:
        json = detections_json(served, answer);
        break;
    case SCREE_TASK_POSE:
        json = poses_json(answer);
        break;
    default:
        json = shares_json(served, answer);
        break;
    }
    json_object_update_new(json, json_pack("{s:o, s:s, s:s, s:i, s:i}", "inference_time_ms",
                                           rounded((double)answer->times.compute_ns / 1e6), "model",
                                           served->name, "version", served->version, "width",
                                           answer->w, "height", answer->h));
    scree_api_add_times(json, &answer->times);
    return json;
}

/* Answers as the request wants it: with the picture, or with JSON, and the mask in it. */
static int reply(struct scree_request *request, const struct scree_served *served,
                 struct scree_answer *answer, struct scree_error *err)
{
    const char *mask = scree_request_query(request, "mask");
    json_t *json;
    int rc = 0;

    if (answer->image)
        return scree_api_reply_drawing(request, served, answer, err);
    json = answer_json(served, answer);
    if (answer->task == SCREE_TASK_SEGMENT && mask && strcmp(mask, "1") == 0)
        rc = scree_api_add_mask(json, "mask_png", answer, err);
    if (rc < 0) {
        json_decref(json);
        return rc;
    }
    scree_api_json(request, 200, json);
    return 0;
}

/* Looks at the picture of a request with a model, NULL for the default one; `most` is how many
 * answers there may be unless it says so. */
static void look(struct scree_server *server, struct scree_request *request, const char *model,
                 uint32_t most)
{
    struct scree_served *served;
    struct scree_answer answer;
    struct scree_ask ask;
    struct scree_error err;
    int rc = scree_api_ask(server, request, &ask, &err);

    if (rc >= 0 && !scree_request_query(request, "top"))
        ask.max = most;
    ask.keep_image = scree_api_wants_drawing(request);
    if (rc >= 0)
        rc = scree_api_picture(request, "image", &ask.bytes, &ask.n, &err);
    if (rc == -ENOENT)
        rc = -EINVAL;
    if (rc >= 0)
        rc = scree_api_look(server, request, model, &ask, &served, &answer, &err);
    if (rc >= 0) {
        rc = reply(request, served, &answer, &err);
        scree_answer_done(&answer);
        scree_served_unref(served);
    }
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
}

void scree_api_infer(void *context, struct scree_request *request)
{
    look(context, request, scree_request_query(request, "model"), 5);
}

void scree_api_detect(void *context, struct scree_request *request)
{
    const char *type = scree_request_header(request, "content-type");
    char name[SCREE_API_NAME_BYTES];

    if (type && strncasecmp(type, "application/json", 16) == 0)
        scree_api_doods_detect(context, request);
    else
        look(context, request, scree_api_model(context, request, SCREE_TASK_DETECT, name), 100);
}
