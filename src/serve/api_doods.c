/* The API of DOODS, which Home Assistant speaks: GET /detectors, POST /detect with JSON, POST
 * /image.
 *
 *     {"detector_name": "default", "data": "<base64>", "detect": {"person": 50, "*": 80},
 *      "regions": [{"top": 0, "left": 0.5, "bottom": 1, "right": 1, "covers": true,
 *                   "detect": {"car": 30}}]}
 *
 * A thing is told if its label's own score (or that of "*") is reached, or that of a region it is
 * in: wholly with "covers", else by any part. Without "detect" and "regions" everything is told.
 * Scores are in percent, sides from 0 to 1. "image" adds the picture with what was found.
 *
 * Source: the code of snowzach/doods2, and pydoods, its client. */
#include <stdlib.h>
#include <string.h>

#include "net/base64.h"
#include "serve/server.h"

#define MAX_DETECTIONS 100

/* ---- what there is ---- */

static json_t *labels_json(const struct scree_labels *labels)
{
    json_t *list = json_array();
    uint32_t n = labels ? scree_labels_count(labels) : 0;

    for (uint32_t i = 0; i < n; i++) {
        const char *name = scree_labels_get(labels, (int32_t)i);

        if (name)
            json_array_append_new(list, json_string(name));
    }
    return list;
}

static void add_detector(json_t *list, const char *name, const struct scree_served *served)
{
    struct scree_tensor input;

    if (scree_model_input(served->model, served->picture_input, &input) < 0 ||
        input.shape.rank != 4)
        return;
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:i, s:i, s:i}", "name", name,
                                          "type", "tflite", "model", served->name, "labels",
                                          labels_json(served->labels), "width", input.shape.dims[2],
                                          "height", input.shape.dims[1], "channels",
                                          input.shape.dims[3]));
}

static void describe_detector(void *context, const struct scree_repository_entry *entry)
{
    const json_t *last = json_array_get(context, json_array_size(context) - 1);
    const char *name = json_string_value(json_object_get(last, "name"));

    /* One name has several versions at times. */
    if (entry->served && entry->served->task == SCREE_TASK_DETECT &&
        !(name && strcmp(name, entry->name) == 0))
        add_detector(context, entry->name, entry->served);
}

void scree_api_detectors(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    char name[SCREE_API_NAME_BYTES];
    struct scree_served *served;
    json_t *list = json_array();

    if (scree_repository_get(server->repository,
                             scree_api_model(server, NULL, SCREE_TASK_DETECT, name), NULL, &served,
                             NULL) >= 0) {
        if (served->task == SCREE_TASK_DETECT)
            add_detector(list, "default", served);
        scree_served_unref(served);
    }
    scree_repository_visit(server->repository, describe_detector, list);
    scree_api_json(request, 200, json_pack("{s:o}", "detectors", list));
}

/* ---- what is wanted ---- */

/* True if the scores of "detect" are reached. */
static bool is_wanted_by(const json_t *detect, const char *label, double percent)
{
    const json_t *least = json_object_get(detect, label);

    if (!least)
        least = json_object_get(detect, "*");
    return json_is_number(least) && percent >= json_number_value(least);
}

/* A side of a region: a number, or what stands for the picture's edge. */
static double side(const json_t *region, const char *name, double otherwise)
{
    const json_t *value = json_object_get(region, name);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* box: top, left, bottom, right; 0 to 1. */
static bool is_in(const json_t *region, const double *box)
{
    double top = side(region, "top", 0), left = side(region, "left", 0);
    double bottom = side(region, "bottom", 1), right = side(region, "right", 1);

    if (json_is_true(json_object_get(region, "covers")))
        return top <= box[0] && left <= box[1] && bottom >= box[2] && right >= box[3];
    return box[0] <= bottom && box[1] <= right && box[2] >= top && box[3] >= left;
}

static bool is_wanted(const json_t *ask, const char *label, double percent, const double *box)
{
    const json_t *detect = json_object_get(ask, "detect"),
                 *regions = json_object_get(ask, "regions");

    if (json_object_size(detect) == 0 && json_array_size(regions) == 0)
        return true;
    if (is_wanted_by(detect, label, percent))
        return true;
    for (size_t i = 0; i < json_array_size(regions); i++) {
        const json_t *region = json_array_get(regions, i);

        if (is_in(region, box) && is_wanted_by(json_object_get(region, "detect"), label, percent))
            return true;
    }
    return false;
}

/* ---- answers ---- */

/* Leaves only what is wanted in the answer. */
static void filter(const struct scree_served *served, struct scree_answer *answer,
                   const json_t *ask)
{
    double w = answer->w, h = answer->h;
    uint32_t n = 0;

    for (uint32_t i = 0; i < answer->n; i++) {
        const struct scree_detection *d = &answer->detections[i];
        const char *label = scree_labels_get(served->labels, d->class_id);
        const double box[] = {(double)d->ymin / h, (double)d->xmin / w, (double)d->ymax / h,
                              (double)d->xmax / w};

        if (label && is_wanted(ask, label, 100 * (double)d->score, box))
            answer->detections[n++] = *d;
    }
    answer->n = n;
}

static json_t *answer_json(const struct scree_served *served, const struct scree_answer *answer,
                           const json_t *ask)
{
    const char *id = json_string_value(json_object_get(ask, "id"));
    double w = answer->w, h = answer->h;
    json_t *list = json_array(), *json;

    for (uint32_t i = 0; i < answer->n; i++) {
        const struct scree_detection *d = &answer->detections[i];

        json_array_append_new(list,
                              json_pack("{s:f, s:f, s:f, s:f, s:s, s:f}", "top",
                                        (double)d->ymin / h, "left", (double)d->xmin / w, "bottom",
                                        (double)d->ymax / h, "right", (double)d->xmax / w, "label",
                                        scree_labels_get(served->labels, d->class_id), "confidence",
                                        100 * (double)d->score));
    }
    json = json_pack("{s:s, s:o}", "id", id ? id : "", "detections", list);
    scree_api_add_times(json, &answer->times);
    return json;
}

/* The picture in "data", in base64, into memory of its own. */
static int decode_picture(const json_t *ask, uint8_t **ret_bytes, size_t *ret_n,
                          struct scree_error *err)
{
    const json_t *data = json_object_get(ask, "data");
    size_t n = json_string_length(data);
    uint8_t *bytes = n > 0 ? malloc(n / 4 * 3 + 3) : NULL;
    ssize_t n_bytes;

    if (n == 0)
        return scree_fail(err, EINVAL, "data is a picture in base64");
    if (!bytes)
        return scree_fail_memory(err, n);
    n_bytes = scree_base64_decode(json_string_value(data), n, bytes);
    if (n_bytes < 0) {
        free(bytes);
        return scree_fail(err, EBADMSG, "data is not base64");
    }
    *ret_bytes = bytes;
    *ret_n = (size_t)n_bytes;
    return 0;
}

/* How a request wants the picture back. */
enum want {
    WANT_JSON,
    WANT_BOTH, /* the picture in the JSON, in base64 */
    WANT_PICTURE,
};

static int reply(struct scree_request *request, const struct scree_served *served,
                 struct scree_answer *answer, const json_t *ask, enum want want,
                 struct scree_error *err)
{
    json_t *json;
    int rc = 0;

    filter(served, answer, ask);
    if (want == WANT_PICTURE)
        return scree_api_reply_drawing(request, served, answer, err);
    json = answer_json(served, answer, ask);
    if (want == WANT_BOTH)
        rc = scree_api_add_drawing(json, "image", served, answer, err);
    if (rc < 0) {
        json_decref(json);
        return rc;
    }
    scree_api_json(request, 200, json);
    return 0;
}

static int look(struct scree_server *server, struct scree_request *request, const json_t *json,
                enum want want, struct scree_error *err)
{
    const char *name = json_string_value(json_object_get(json, "detector_name"));
    char own_name[SCREE_API_NAME_BYTES];
    uint8_t *picture = NULL;
    struct scree_served *served;
    struct scree_answer answer;
    struct scree_ask ask;
    int rc = scree_api_ask(server, request, &ask, err);

    if (!name || !*name || strcmp(name, "default") == 0)
        name = scree_api_model(server, request, SCREE_TASK_DETECT, own_name);
    ask.max = MAX_DETECTIONS;
    ask.threshold = -1;
    ask.keep_image = want != WANT_JSON;
    if (rc >= 0)
        rc = decode_picture(json, &picture, &ask.n, err);
    ask.bytes = picture;
    if (rc >= 0)
        rc = scree_api_look(server, request, name, &ask, &served, &answer, err);
    free(picture);
    if (rc < 0)
        return rc;
    if (answer.task == SCREE_TASK_DETECT)
        rc = reply(request, served, &answer, json, want, err);
    else
        rc = scree_fail(err, EINVAL, "model %s does not find things", served->name);
    scree_answer_done(&answer);
    scree_served_unref(served);
    return rc;
}

/* False, "" and null ask for no picture. */
static bool asks_for_picture(const json_t *json)
{
    const json_t *image = json_object_get(json, "image");

    return json_is_true(image) || json_string_length(image) > 0;
}

static void answer_request(struct scree_server *server, struct scree_request *request, bool picture)
{
    struct scree_error err;
    size_t n;
    const char *body = (const char *)scree_request_body(request, &n);
    json_t *json = scree_api_load(scree_request_limits(request)->max_json_depth, body, n);
    int rc;

    if (json_is_object(json))
        rc = look(server, request, json,
                  picture                  ? WANT_PICTURE
                  : asks_for_picture(json) ? WANT_BOTH
                                           : WANT_JSON,
                  &err);
    else
        rc = scree_fail(&err, EINVAL, "the body is not a JSON object, or one too large");
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    json_decref(json);
}

void scree_api_doods_detect(void *context, struct scree_request *request)
{
    answer_request(context, request, false);
}

void scree_api_doods_image(void *context, struct scree_request *request)
{
    answer_request(context, request, true);
}
