#include "serve/events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vision/show.h"

#define KEEP_S 60

struct scree_events {
    pthread_mutex_t lock;
    uint32_t n_listeners;
    time_t left_s; /* when the last listener left; 0: there was none */
    uint64_t last; /* the number of the latest event; 0: none */
    struct scree_event ring[SCREE_EVENTS_KEPT];
};

int scree_events_new(struct scree_events **ret_events, struct scree_error *err)
{
    struct scree_events *events = calloc(1, sizeof *events);

    if (!events)
        return scree_fail_memory(err, sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    *ret_events = events;
    return 0;
}

void scree_events_free(struct scree_events *events)
{
    if (!events)
        return;
    pthread_mutex_destroy(&events->lock);
    free(events);
}

static uint64_t now_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- adding ---- */

static void add_thing(struct scree_event *event, const struct scree_served *served,
                      int32_t class_id, float score)
{
    struct scree_event_thing *thing = &event->things[event->n++];

    *thing = (struct scree_event_thing){.class_id = class_id, .score = score};
    (void)scree_show_name(served->labels, class_id, thing->label, sizeof thing->label);
}

static void add_box(struct scree_event *event, const struct scree_served *served,
                    const struct scree_detection *d)
{
    const float box[] = {d->xmin, d->ymin, d->xmax, d->ymax};

    add_thing(event, served, d->class_id, d->score);
    memcpy(event->things[event->n - 1].box, box, sizeof box);
}

static void fill_event(struct scree_event *event, const struct scree_served *served,
                       const struct scree_answer *answer)
{
    uint32_t n = answer->n < SCREE_EVENT_MAX_THINGS ? answer->n : SCREE_EVENT_MAX_THINGS;

    *event = (struct scree_event){.time_ms = now_ms(CLOCK_REALTIME),
                                  .task = answer->task,
                                  .ran = answer->times.ran,
                                  .w = answer->w,
                                  .h = answer->h,
                                  .compute_ns = answer->times.compute_ns};
    (void)snprintf(event->model, sizeof event->model, "%s", served->name);
    (void)snprintf(event->version, sizeof event->version, "%s", served->version);
    for (uint32_t i = 0; i < n; i++)
        if (answer->task == SCREE_TASK_DETECT)
            add_box(event, served, &answer->detections[i]);
        else if (answer->task == SCREE_TASK_CLASSIFY)
            add_thing(event, served, answer->classes[i].class_id, answer->classes[i].score);
}

bool scree_events_add(struct scree_events *events, const struct scree_served *served,
                      const struct scree_answer *answer)
{
    bool is_heard;
    time_t now = (time_t)(now_ms(CLOCK_MONOTONIC) / 1000);

    if (answer->task != SCREE_TASK_DETECT && answer->task != SCREE_TASK_CLASSIFY)
        return false;
    pthread_mutex_lock(&events->lock);
    is_heard = events->n_listeners > 0;
    if (is_heard || (events->left_s != 0 && now - events->left_s < KEEP_S)) {
        struct scree_event *event = &events->ring[++events->last % SCREE_EVENTS_KEPT];

        fill_event(event, served, answer);
        event->id = events->last;
    }
    pthread_mutex_unlock(&events->lock);
    return is_heard;
}

/* ---- listening ---- */

/* The oldest event that is kept. */
static uint64_t oldest(const struct scree_events *events)
{
    return events->last < SCREE_EVENTS_KEPT ? 1 : events->last - SCREE_EVENTS_KEPT + 1;
}

void scree_events_listen(struct scree_events *events, uint64_t last,
                         struct scree_listener *listener)
{
    pthread_mutex_lock(&events->lock);
    events->n_listeners++;
    listener->next = events->last + 1;
    if (last > 0 && last < events->last && last + 1 >= oldest(events))
        listener->next = last + 1;
    pthread_mutex_unlock(&events->lock);
}

void scree_events_leave(struct scree_events *events)
{
    pthread_mutex_lock(&events->lock);
    events->n_listeners--;
    events->left_s = (time_t)(now_ms(CLOCK_MONOTONIC) / 1000) + 1;
    pthread_mutex_unlock(&events->lock);
}

uint32_t scree_events_count(struct scree_events *events)
{
    uint32_t n;

    pthread_mutex_lock(&events->lock);
    n = events->n_listeners;
    pthread_mutex_unlock(&events->lock);
    return n;
}

int scree_events_next(struct scree_events *events, struct scree_listener *listener,
                      struct scree_event *ret_event)
{
    int rc = 0;

    pthread_mutex_lock(&events->lock);
    if (listener->next < oldest(events)) {
        rc = -EAGAIN;
    } else if (listener->next <= events->last) {
        *ret_event = events->ring[listener->next++ % SCREE_EVENTS_KEPT];
        rc = 1;
    }
    pthread_mutex_unlock(&events->lock);
    return rc;
}
