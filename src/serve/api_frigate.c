/* Frigate's detector `zmq`: a REQ socket that asks for detections of raw pictures.
 *
 *     [{"model_request": true, "model_name": N}]        -> [{"model_available": .., "model_loaded":
 * ..}]
 *     [{"model_data": true, "model_name": N}, FILE]     -> [{"model_saved": false, ..}]
 *     [{"shape": [1, h, w, 3], "dtype": "uint8"}, RGB]  -> [f32[20][6]]
 *
 * A row of the last answer is class, score, top, left, bottom, right, the best first, zeros behind.
 * Frigate waits 0.2 s for it and connects anew if there is none, so whatever is wrong with a
 * request, it is answered: by zeros. After the first request it waits 30 s, once; a "no" then is
 * for ever, so the answer waits while models are being loaded.
 *
 * Source: Frigate's detectors/plugins/zmq_ipc.py. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "media/image.h"
#include "serve/server.h"

#define N_ROWS      20
#define PATIENCE_MS 25000
#define CHECK_MS    20
#define MAX_SIDE    16384
#define NS_A_MS     UINT64_C(1000000)

/* One thing found, as Frigate reads it. */
struct row {
    float class_id, score, top, left, bottom, right;
};
_Static_assert(sizeof(struct row) == 24, "rows of six floats");

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_A_MS + (uint64_t)now.tv_nsec;
}

/* ---- which model ---- */

/* Notes the model that a peer names, if there is one such: "ssd.tflite" is the model ssd. */
static void note_model(struct scree_server *server, struct scree_zmq_peer *peer, const json_t *ask)
{
    const char *name = json_string_value(json_object_get(ask, "model_name"));
    char *note = scree_zmq_note(peer), *ending;
    struct scree_served *served;

    (void)snprintf(note, SCREE_API_NAME_BYTES, "%s", name ? name : "");
    ending = strrchr(note, '.');
    if (ending && strcmp(ending, ".tflite") == 0)
        *ending = 0;
    if (*note && scree_repository_get(server->repository, note, NULL, &served, NULL) >= 0) {
        if (served->task != SCREE_TASK_DETECT)
            *note = 0;
        scree_served_unref(served);
    } else {
        *note = 0;
    }
}

/* The model that a peer gets: the one it named, or else that of detecting APIs. */
static int get_model(struct scree_server *server, struct scree_zmq_peer *peer,
                     struct scree_served **ret_served, struct scree_error *err)
{
    const char *name = scree_zmq_note(peer);
    char own_name[SCREE_API_NAME_BYTES];
    int rc;

    if (!*name)
        name = scree_api_model(server, NULL, SCREE_TASK_DETECT, own_name);
    rc = scree_repository_get(server->repository, name, NULL, ret_served, err);
    if (rc >= 0 && (*ret_served)->task != SCREE_TASK_DETECT) {
        rc = scree_fail(err, EINVAL, "model %s does not find things", (*ret_served)->name);
        scree_served_unref(*ret_served);
    }
    return rc;
}

/* ---- answers ---- */

static void reply(struct scree_zmq_peer *peer, const void *bytes, size_t n)
{
    scree_zmtp_reply(scree_zmq_wire(peer), &(struct scree_span){bytes, n}, 1);
}

static void reply_flags(struct scree_zmq_peer *peer, const char *first, const char *second,
                        bool yes)
{
    char text[80];
    int n = snprintf(text, sizeof text, "{\"%s\": %s, \"%s\": %s}", first, yes ? "true" : "false",
                     second, yes ? "true" : "false");

    reply(peer, text, (size_t)n);
}

static void answer_model(struct scree_server *server, struct scree_zmq_peer *peer,
                         const json_t *ask)
{
    const struct timespec pause = {.tv_nsec = CHECK_MS * 1000000};
    uint64_t end = now_ns() + PATIENCE_MS * NS_A_MS;
    struct scree_served *served;
    bool is_there;

    while (!server->is_loaded && now_ns() < end && !scree_zmq_is_gone(peer))
        (void)nanosleep(&pause, NULL);
    note_model(server, peer, ask);
    is_there = get_model(server, peer, &served, NULL) >= 0;
    if (is_there)
        scree_served_unref(served);
    /* While it may yet come, "no" would be worse than a while without detections. */
    reply_flags(peer, "model_available", "model_loaded", is_there || !server->is_loaded);
}

/* ---- detections ---- */

/* The pixels of a request, borrowed. */
static int read_pixels(const json_t *ask, struct scree_zmq_peer *peer, struct scree_image *ret,
                       struct scree_error *err)
{
    const struct scree_zmtp *wire = scree_zmq_wire(peer);
    const char *type = json_string_value(json_object_get(ask, "dtype"));
    struct scree_span bytes = {NULL, 0};
    int n = 0, h = 0, w = 0, c = 0;
    bool is_cut = false;

    if (json_unpack((json_t *)(uintptr_t)ask, "{s:[i, i, i, i!]}", "shape", &n, &h, &w, &c) < 0 ||
        n != 1 || c != 3 || h < 1 || w < 1 || h > MAX_SIDE || w > MAX_SIDE)
        return scree_fail(err, EINVAL, "pictures are of shape [1, height, width, 3]");
    if (!type || strcmp(type, "uint8") != 0)
        return scree_fail(err, EINVAL, "pictures are of type uint8");
    if (scree_zmtp_count(wire) == 2)
        bytes = scree_zmtp_frame(wire, 1, &is_cut);
    if (is_cut)
        return scree_fail(err, E2BIG, "a picture of over %zu bytes", SCREE_ZMQ_MAX_REQUEST);
    if (bytes.n != 3 * (size_t)h * (size_t)w)
        return scree_fail(err, EINVAL, "%zu bytes for a picture of %d x %d", bytes.n, w, h);
    *ret = (struct scree_image){w, h, 3, (uint8_t *)(uintptr_t)bytes.bytes};
    return 0;
}

static void fill_rows(const struct scree_answer *answer, struct row *rows)
{
    float w = (float)answer->w, h = (float)answer->h;

    for (uint32_t i = 0; i < answer->n && i < N_ROWS; i++) {
        const struct scree_detection *d = &answer->detections[i];

        rows[i] = (struct row){(float)d->class_id, d->score,    d->ymin / h,
                               d->xmin / w,        d->ymax / h, d->xmax / w};
    }
}

/* Until when a picture of a camera is of use: the next one is on its way. */
static uint64_t deadline(const struct scree_server *server, const struct scree_served *served,
                         uint64_t start_ns)
{
    uint64_t ms = (uint64_t)server->options.camera_deadline_ms;

    return start_ns + (ms < served->deadline_ms ? ms : served->deadline_ms) * NS_A_MS;
}

static bool is_gone(const void *context)
{
    return scree_zmq_is_gone(context);
}

/* model, version: who was asked, char[SCREE_API_NAME_BYTES]; left alone if nobody was. */
static int detect(struct scree_server *server, struct scree_zmq_peer *peer, const json_t *ask,
                  struct row *rows, char *model, char *version, struct scree_error *err)
{
    struct scree_image image;
    struct scree_ask look = {
        .image = &image,
        .priority = SCREE_PRIORITY_NORMAL,
        .max = N_ROWS,
        .threshold = -1,
        .is_gone = is_gone,
        .context = peer,
    };
    struct scree_served *served;
    struct scree_answer answer;
    uint64_t start = now_ns();
    int rc = read_pixels(ask, peer, &image, err);

    if (rc >= 0)
        rc = get_model(server, peer, &served, err);
    if (rc < 0)
        return rc;
    (void)snprintf(model, SCREE_API_NAME_BYTES, "%s", served->name);
    (void)snprintf(version, SCREE_API_NAME_BYTES, "%s", served->version);
    look.deadline_ns = deadline(server, served, start);
    rc = scree_served_look(served, &look, &answer, err);
    if (rc >= 0) {
        scree_api_observe(server, served, &answer.times);
        scree_api_publish(server, served, &answer);
        fill_rows(&answer, rows);
        scree_answer_done(&answer);
    }
    scree_served_unref(served);
    return rc;
}

static void count(struct scree_server *server, int rc, const char *model, const char *version,
                  uint64_t start_ns)
{
    const char *reason;
    int status = rc < 0 ? scree_api_status(rc, &reason) : 200;
    char labels[2 * SCREE_API_NAME_BYTES + 64];

    if (rc < 0)
        scree_api_count_refusal(server, rc);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\",api=\"zmq\",code=\"%d\"",
                   model, version, status);
    scree_metrics_add(server->metrics, SCREE_METRIC_REQUESTS, labels, 1);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",api=\"zmq\"", model);
    scree_metrics_observe(server->metrics, SCREE_METRIC_REQUEST_SECONDS, labels,
                          (double)(now_ns() - start_ns) * 1e-9);
}

static void answer_picture(struct scree_server *server, struct scree_zmq_peer *peer,
                           const json_t *ask)
{
    struct row rows[N_ROWS] = {0};
    char model[SCREE_API_NAME_BYTES] = "", version[SCREE_API_NAME_BYTES] = "";
    uint64_t start = now_ns();
    struct scree_error err;
    int rc = detect(server, peer, ask, rows, model, version, &err);

    count(server, rc, model, version, start);
    if (rc < 0)
        scree_zmq_tell(peer, err.text);
    reply(peer, rows, sizeof rows);
}

void scree_api_frigate(void *context, struct scree_zmq_peer *peer)
{
    struct scree_server *server = context;
    const struct scree_zmtp *wire = scree_zmq_wire(peer);
    struct scree_span head = {NULL, 0};
    json_t *ask = NULL;

    if (scree_zmtp_count(wire) > 0)
        head = scree_zmtp_frame(wire, 0, NULL);
    ask =
        scree_api_load((uint32_t)server->options.max_json_depth, (const char *)head.bytes, head.n);
    if (json_is_true(json_object_get(ask, "model_request")))
        answer_model(server, peer, ask);
    else if (json_is_true(json_object_get(ask, "model_data")))
        reply_flags(peer, "model_saved", "model_loaded", false);
    else
        answer_picture(server, peer, ask);
    json_decref(ask);
}
