/* serve/events.h - what was found of late, for those who listen.
 *
 *     scree_events_add(events, served, &answer);             after each answer
 *     while (scree_events_next(events, &listener, &event) > 0)
 *         ...
 *
 * A ring of the last events, which have numbers; who listens has a place in it, and no memory of
 * its own: who is so slow that its place was overwritten is told, and has lost it. Nothing is kept
 * while nobody has listened for a minute.
 *
 * Memory: fixed. Threads: any. */
#ifndef SCREE_SERVE_EVENTS_H
#define SCREE_SERVE_EVENTS_H

#include "serve/served.h"

#define SCREE_EVENTS_KEPT       256
#define SCREE_EVENT_MAX_THINGS  20
#define SCREE_EVENT_LABEL_BYTES 40
#define SCREE_EVENT_NAME_BYTES  65

/* Something that was found. A class of the whole picture has no box. */
struct scree_event_thing {
    char label[SCREE_EVENT_LABEL_BYTES];
    int32_t class_id;
    float score;
    float box[4]; /* xmin, ymin, xmax, ymax in pixels */
};

struct scree_event {
    uint64_t id;      /* 1, 2, 3 ... */
    uint64_t time_ms; /* since 1970 */
    char model[SCREE_EVENT_NAME_BYTES], version[24];
    enum scree_task task;
    enum scree_ran ran;
    int32_t w, h; /* of the picture */
    uint64_t compute_ns;
    uint32_t n; /* the best things of the answer, the best first */
    struct scree_event_thing things[SCREE_EVENT_MAX_THINGS];
};

struct scree_events;

/* A place in the ring. */
struct scree_listener {
    uint64_t next; /* the number of the event to come */
};

/* No events yet. Errors: ENOMEM. */
int scree_events_new(struct scree_events **ret_events, struct scree_error *err);

/* Accepts NULL. */
void scree_events_free(struct scree_events *events);

/* Adds an answer, if somebody listens or has within a minute. Returns true if somebody does. */
bool scree_events_add(struct scree_events *events, const struct scree_served *served,
                      const struct scree_answer *answer);

/* Starts to listen behind event `last`, or, if that is none of those that are kept, to what is to
 * come; 0: to what is to come. */
void scree_events_listen(struct scree_events *events, uint64_t last,
                         struct scree_listener *listener);

/* Ends it. */
void scree_events_leave(struct scree_events *events);

/* The number of listeners. */
uint32_t scree_events_count(struct scree_events *events);

/* The next event. Returns 1, or 0: none yet. Errors: EAGAIN (the place was overwritten). */
int scree_events_next(struct scree_events *events, struct scree_listener *listener,
                      struct scree_event *ret_event);

#endif
