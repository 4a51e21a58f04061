/* GET /v1/events: what was found, as it is found, as server-sent events.
 *
 *     id: 7
 *     event: detection
 *     data: {"time": 1767225600.123, "model": "ssd", "version": "1", "device": "npu", "width": 640,
 *            "height": 480, "inference_time_ms": 12.3,
 *            "detections": [{"class": "dog", "class_id": 17, "bbox": [..], "confidence": 0.9}]}
 *
 * ?model=NAME, ?label=dog,cat and ?threshold=0.5 leave the rest out; of an event of which nothing
 * is left nothing is sent. Every 15 s without an event a comment shows that the connection lives.
 * Source: the HTML standard, "Server-sent events". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/server.h"
#include "vision/show.h"

#define MAX_LISTENERS     64
#define HEARTBEAT_NS      UINT64_C(15000000000)
#define DEFAULT_THRESHOLD 0.4
#define MAX_TEXT_BYTES    ((size_t)64 << 10)
#define FIRST_TEXT        "retry: 2000\n\n"
#define HEARTBEAT_TEXT    ": still here\n\n"

struct stream {
    struct scree_events *events;
    struct scree_listener listener;
    char *model, *labels; /* NULL: all */
    float threshold;
    struct scree_buffer text; /* that is being sent */
    size_t n_sent;
    uint64_t sent_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- events as text ---- */

/* True if the list "a,b" has the label, of which an event has as much as there is room for: cut
 * before a character of up to four bytes. */
static bool has_label(const char *list, const char *label)
{
    size_t n = strlen(label);
    bool is_cut = n + 4 >= SCREE_EVENT_LABEL_BYTES;

    for (; list; list = strchr(list, ','), list = list ? list + 1 : NULL)
        if (strncmp(list, label, n) == 0 && (list[n] == ',' || !list[n] || is_cut))
            return true;
    return false;
}

static json_t *thing_json(const struct scree_event_thing *thing, bool has_box)
{
    json_t *json = json_pack("{s:s, s:i, s:f}", "class", thing->label, "class_id", thing->class_id,
                             "confidence", (double)thing->score);

    if (has_box)
        json_object_set_new(json, "bbox",
                            json_pack("[f, f, f, f]", (double)thing->box[0], (double)thing->box[1],
                                      (double)thing->box[2], (double)thing->box[3]));
    return json;
}

/* What the stream wants of an event; NULL: nothing. */
static json_t *things_json(const struct stream *stream, const struct scree_event *event)
{
    json_t *list = json_array();

    if (stream->model && strcmp(stream->model, event->model) != 0)
        event = NULL;
    for (uint32_t i = 0; event && i < event->n; i++) {
        const struct scree_event_thing *thing = &event->things[i];

        if (thing->score >= stream->threshold &&
            (!stream->labels || has_label(stream->labels, thing->label)))
            json_array_append_new(list, thing_json(thing, event->task == SCREE_TASK_DETECT));
    }
    if (json_array_size(list) > 0)
        return list;
    json_decref(list);
    return NULL;
}

static int add_bytes(const char *bytes, size_t n, void *buffer)
{
    scree_buffer_add(buffer, bytes, n);
    return 0;
}

static void add_event(struct stream *stream, const struct scree_event *event)
{
    bool detects = event->task == SCREE_TASK_DETECT;
    json_t *things = things_json(stream, event), *json;
    char head[80];

    if (!things)
        return;
    json = json_pack("{s:f, s:s, s:s, s:s, s:i, s:i, s:f, s:o}", "time",
                     (double)event->time_ms / 1000, "model", event->model, "version",
                     event->version, "device", scree_ran_name(event->ran), "width", event->w,
                     "height", event->h, "inference_time_ms", (double)event->compute_ns / 1e6,
                     detects ? "detections" : "classes", things);
    (void)snprintf(head, sizeof head, "id: %llu\nevent: %s\ndata: ", (unsigned long long)event->id,
                   detects ? "detection" : "classification");
    scree_buffer_add(&stream->text, head, strlen(head));
    if (json)
        (void)json_dump_callback(json, add_bytes, &stream->text,
                                 JSON_COMPACT | JSON_REAL_PRECISION(13));
    scree_buffer_add(&stream->text, "\n\n", 2);
    json_decref(json);
}

/* ---- the stream ---- */

static void refill(struct stream *stream)
{
    stream->text.n = stream->n_sent = 0;
    if (now_ns() - stream->sent_ns >= HEARTBEAT_NS)
        scree_buffer_add(&stream->text, HEARTBEAT_TEXT, strlen(HEARTBEAT_TEXT));
}

static ssize_t more(void *context, uint8_t *to, size_t max)
{
    struct stream *stream = context;
    struct scree_event event;
    size_t n;
    int rc = 1;

    if (stream->n_sent == stream->text.n)
        refill(stream);
    while (stream->text.n == 0 && rc > 0) {
        rc = scree_events_next(stream->events, &stream->listener, &event);
        if (rc > 0)
            add_event(stream, &event);
    }
    if (rc < 0 || stream->text.failed)
        return -1;
    n = stream->text.n - stream->n_sent;
    n = n < max ? n : max;
    if (n > 0) {
        memcpy(to, stream->text.bytes + stream->n_sent, n);
        stream->n_sent += n;
        stream->sent_ns = now_ns();
    }
    return (ssize_t)n;
}

static void free_stream(struct stream *stream)
{
    scree_buffer_done(&stream->text);
    free(stream->model);
    free(stream->labels);
    free(stream);
}

static void end(void *context)
{
    struct stream *stream = context;

    scree_events_leave(stream->events);
    free_stream(stream);
}

/* A copy of a parameter of the query; false: no memory. */
static bool copy_query(const struct scree_request *request, const char *name, char **ret)
{
    const char *text = scree_request_query(request, name);

    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

/* NULL: why is in err, and its negative errno in *ret_rc. */
static struct stream *make_stream(struct scree_server *server, const struct scree_request *request,
                                  int *ret_rc, struct scree_error *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    double threshold = DEFAULT_THRESHOLD;
    int rc = 0;

    *ret_rc = stream ? 0 : scree_fail_memory(err, sizeof *stream);
    if (!stream)
        return NULL;
    stream->events = server->events;
    stream->text.limit = MAX_TEXT_BYTES;
    scree_buffer_add(&stream->text, FIRST_TEXT, strlen(FIRST_TEXT));
    if (!copy_query(request, "model", &stream->model) ||
        !copy_query(request, "label", &stream->labels))
        rc = scree_fail_memory(err, 1);
    if (rc >= 0)
        rc = scree_api_number(request, "threshold", 0, 1, &threshold, err);
    if (rc >= 0 && scree_events_count(server->events) >= MAX_LISTENERS)
        rc = scree_fail(err, EBUSY, "%d clients listen already", MAX_LISTENERS);
    stream->threshold = (float)threshold;
    *ret_rc = rc;
    if (rc >= 0)
        return stream;
    free_stream(stream);
    return NULL;
}

void scree_api_events(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    const char *last = scree_request_header(request, "last-event-id");
    struct scree_error err;
    int rc;
    struct stream *stream = make_stream(server, request, &rc, &err);

    if (!stream) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    scree_events_listen(server->events, last ? strtoull(last, NULL, 10) : 0, &stream->listener);
    scree_request_add_header(request, "Cache-Control", "no-store");
    scree_request_add_header(request, "X-Accel-Buffering", "no");
    scree_reply_stream(request, "text/event-stream", more, end, stream);
}

/* ---- what is told ---- */

/* A label as a value of a metric. */
static void clean(char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || *text == '\n')
            *text = '_';
}

static void count_things(struct scree_server *server, const struct scree_served *served,
                         const struct scree_answer *answer)
{
    for (uint32_t i = 0; answer->task == SCREE_TASK_DETECT && i < answer->n; i++) {
        char name[SCREE_EVENT_LABEL_BYTES], labels[160];

        if (answer->detections[i].score < (float)DEFAULT_THRESHOLD)
            continue;
        clean(scree_show_name(served->labels, answer->detections[i].class_id, name, sizeof name));
        (void)snprintf(labels, sizeof labels, "model=\"%s\",label=\"%s\"", served->name, name);
        scree_metrics_add(server->metrics, SCREE_METRIC_DETECTIONS, labels, 1);
    }
}

void scree_api_publish(struct scree_server *server, const struct scree_served *served,
                       const struct scree_answer *answer)
{
    count_things(server, served, answer);
    if (scree_events_add(server->events, served, answer))
        scree_http_wake(server->http);
}
