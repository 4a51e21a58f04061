/* The APIs of DeepStack and CodeProject.AI, as the clients of camera software speak them.
 *
 * A detection's class is its label; what has none is left out, since these clients stop reading at
 * a label that they do not know. Frigate's client takes at most 20 predictions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/server.h"

#define MAX_PREDICTIONS 20

static int32_t to_pixel(float x)
{
    return (int32_t)lroundf(x);
}

/* ---- DeepStack and CodeProject.AI ---- */

/* The time as RFC 1123 has it. */
static const char *utc_now(char *text, size_t n)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm tm;

    (void)gmtime_r(&now, &tm);
    (void)snprintf(text, n, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
                   tm.tm_mday, months + 3 * tm.tm_mon, 1900 + tm.tm_year, tm.tm_hour, tm.tm_min,
                   tm.tm_sec);
    return text;
}

/* The form's key, for those who know no headers. */
static int check_key(struct scree_server *server, const struct scree_request *request,
                     struct scree_error *err)
{
    char key[256];
    bool has_key = scree_api_field(request, "api_key", key, sizeof key);

    return scree_api_check_key(server, request, has_key ? key : NULL, err);
}

/* The form's least score: 0.4 unless it says. */
static int read_confidence(const struct scree_request *request, float *ret, struct scree_error *err)
{
    char text[32], *end;
    float least = 0.4f;

    if (scree_api_field(request, "min_confidence", text, sizeof text) && *text) {
        least = strtof(text, &end);
        if (end == text || *end || !(least >= 0 && least <= 1))
            return scree_fail(err, EINVAL, "min_confidence is a number from 0 to 1");
    }
    *ret = scree_api_threshold(least);
    return 0;
}

static json_t *prediction(const struct scree_served *served, const struct scree_detection *d)
{
    const char *label = scree_labels_get(served->labels, d->class_id);

    if (!label)
        return NULL;
    return json_pack("{s:f, s:s, s:i, s:i, s:i, s:i}", "confidence", (double)d->score, "label",
                     label, "y_min", to_pixel(d->ymin), "x_min", to_pixel(d->xmin), "y_max",
                     to_pixel(d->ymax), "x_max", to_pixel(d->xmax));
}

static void reply_predictions(struct scree_request *request, const struct scree_served *served,
                              const struct scree_answer *answer)
{
    json_t *list = json_array();
    int ms = (int)lround(scree_api_ms(&answer->times));
    char message[64], now[64];
    json_t *json;

    for (uint32_t i = 0; i < answer->n && json_array_size(list) < MAX_PREDICTIONS; i++) {
        json_t *one = prediction(served, &answer->detections[i]);

        if (one)
            json_array_append_new(list, one);
    }
    (void)snprintf(message, sizeof message, "found %zu", json_array_size(list));
    json = json_pack("{s:b, s:i, s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:i, s:o, "
                     "s:s, s:s, s:s}",
                     "success", 1, "duration", ms, "message", message, "count",
                     (int)json_array_size(list), "processMs", ms, "inferenceMs",
                     (int)lround((double)answer->times.compute_ns / 1e6), "code", 200, "command",
                     "detect", "moduleId", "scree", "moduleName", "scree", "inferenceDevice",
                     answer->times.ran == SCREE_RAN_CPU ? "CPU" : "NPU", "analysisRoundTripMs", ms,
                     "predictions", list, "requestId", scree_request_id(request), "processedBy",
                     "localhost", "timestampUTC", utc_now(now, sizeof now));
    scree_api_add_times(json, &answer->times);
    scree_api_json(request, 200, json);
}

/* Looks with a model, NULL for the default one. */
static void detect(struct scree_server *server, struct scree_request *request, const char *model)
{
    struct scree_served *served;
    struct scree_answer answer;
    struct scree_ask ask;
    struct scree_error err;
    int rc = check_key(server, request, &err);

    if (rc >= 0)
        rc = scree_api_ask(server, request, &ask, &err);
    if (rc >= 0)
        rc = read_confidence(request, &ask.threshold, &err);
    ask.max = 100;
    if (rc >= 0 && scree_api_picture(request, "image", &ask.bytes, &ask.n, NULL) < 0)
        rc = scree_fail(&err, EINVAL, "No valid image file found");
    if (rc >= 0)
        rc = scree_api_look(server, request, model, &ask, &served, &answer, &err);
    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    if (answer.task == SCREE_TASK_DETECT) {
        reply_predictions(request, served, &answer);
    } else {
        rc = scree_fail(&err, EINVAL, "model %s does not find things", served->name);
        scree_api_fail(server, request, rc, &err);
    }
    scree_answer_done(&answer);
    scree_served_unref(served);
}

void scree_api_deepstack_detect(void *context, struct scree_request *request)
{
    char name[SCREE_API_NAME_BYTES];

    detect(context, request, scree_api_model(context, request, SCREE_TASK_DETECT, name));
}

void scree_api_deepstack_custom(void *context, struct scree_request *request)
{
    detect(context, request, scree_request_part(request, 0));
}

void scree_api_deepstack_scene(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_answer answer;
    struct scree_ask ask;
    struct scree_error err;
    char model[SCREE_API_NAME_BYTES], name[64];
    int rc = check_key(server, request, &err);

    if (rc >= 0)
        rc = scree_api_ask(server, request, &ask, &err);
    ask.max = 1;
    if (rc >= 0 && scree_api_picture(request, "image", &ask.bytes, &ask.n, NULL) < 0)
        rc = scree_fail(&err, EINVAL, "No valid image file found");
    if (rc >= 0)
        rc = scree_api_look(server, request,
                            scree_api_model(server, request, SCREE_TASK_CLASSIFY, model), &ask,
                            &served, &answer, &err);
    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    if (answer.task == SCREE_TASK_CLASSIFY && answer.n > 0) {
        json_t *json = json_pack(
            "{s:b, s:s, s:f, s:i}", "success", 1, "label",
            scree_api_label(served, answer.classes[0].class_id, name, sizeof name), "confidence",
            (double)answer.classes[0].score, "duration", (int)lround(scree_api_ms(&answer.times)));

        scree_api_add_times(json, &answer.times);
        scree_api_json(request, 200, json);
    } else {
        rc = scree_fail(&err, EINVAL, "model %s does not classify", served->name);
        scree_api_fail(server, request, rc, &err);
    }
    scree_answer_done(&answer);
    scree_served_unref(served);
}

static void list_detector(void *context, const struct scree_repository_entry *entry)
{
    json_t *list = context;

    const char *last = json_string_value(json_array_get(list, json_array_size(list) - 1));

    /* One name has several versions at times. */
    if (entry->served && entry->served->task == SCREE_TASK_DETECT &&
        !(last && strcmp(last, entry->name) == 0))
        json_array_append_new(list, json_string(entry->name));
}

void scree_api_deepstack_list(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    json_t *list = json_array();

    scree_repository_visit(server->repository, list_detector, list);
    scree_api_json(request, 200,
                   json_pack("{s:b, s:o, s:s, s:s, s:i, s:s, s:s, s:b, s:i, s:s}", "success", 1,
                             "models", list, "moduleId", "scree", "moduleName", "scree", "code",
                             200, "command", "list-custom", "executionProvider", "CPU", "canUseGPU",
                             0, "analysisRoundTripMs", 0, "processedBy", "localhost"));
}

/* This version, as CodeProject.AI describes its own. */
static json_t *version_json(void)
{
    return json_pack("{s:i, s:i, s:i, s:s, s:b, s:i, s:s, s:s}", "major", SCREE_VERSION_MAJOR,
                     "minor", SCREE_VERSION_MINOR, "patch", SCREE_VERSION_PATCH, "preRelease", "",
                     "securityUpdate", 0, "build", 0, "file", "", "releaseNotes", "");
}

void scree_api_codeproject_update(void *context, struct scree_request *request)
{
    (void)context;
    scree_api_json(request, 200,
                   json_pack("{s:b, s:s, s:n, s:o, s:o, s:b}", "success", 1, "message", "",
                             "version", "current", version_json(), "latest", version_json(),
                             "updateAvailable", 0));
}

void scree_api_codeproject_version(void *context, struct scree_request *request)
{
    (void)context;
    scree_api_json(request, 200,
                   json_pack("{s:b, s:s, s:o}", "success", 1, "message", SCREE_VERSION, "version",
                             version_json()));
}

void scree_api_codeproject_ping(void *context, struct scree_request *request)
{
    (void)context;
    scree_api_json(request, 200, json_pack("{s:b}", "success", 1));
}
