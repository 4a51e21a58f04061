/* plugin/loop.h - one thread that waits for descriptors and for times.
 *
 * A struct scree_source is a descriptor and what to call when it is ready; a struct scree_timer is
 * a time and what to call then. Both live in their owners. Each wait takes one event, so that what
 * is called may remove any source, its own among them.
 *
 * Times are of CLOCK_MONOTONIC: a clock that is set does not matter.
 *
 * Memory: a loop owns its epoll descriptor; sources and timers are borrowed until removed. */
#ifndef SCREE_PLUGIN_LOOP_H
#define SCREE_PLUGIN_LOOP_H

#include "base/error.h"

/* A descriptor. `events`: those of epoll that it waits for, set by the calls below. */
struct scree_source {
    int fd;
    uint32_t events;
    void (*ready)(void *context, uint32_t events);
    void *context;
};

/* A time. at_ns: when to call; 0 for not at all. */
struct scree_timer {
    uint64_t at_ns;
    void (*due)(void *context);
    void *context;
    struct scree_timer *next;
};

struct scree_loop {
    int epoll;
    bool stopped;
    struct scree_timer *timers;
};

/* Errors: EIO. */
int scree_loop_init(struct scree_loop *loop, struct scree_error *err);

/* Accepts one that scree_loop_init() failed for. */
void scree_loop_done(struct scree_loop *loop);

/* Waits for `events` (EPOLLIN, ...) of source->fd. Errors: EIO. */
int scree_loop_add(struct scree_loop *loop, struct scree_source *source, uint32_t events,
                   struct scree_error *err);

/* Waits for other events of it. */
void scree_loop_change(struct scree_loop *loop, struct scree_source *source, uint32_t events);

/* Waits no more, and closes source->fd, which is -1 then. Does nothing if it is -1 already. */
void scree_loop_close(struct scree_loop *loop, struct scree_source *source);

/* Makes the timer one of the loop's; once, for as long as the loop runs. */
void scree_loop_add_timer(struct scree_loop *loop, struct scree_timer *timer);

/* Calls what is ready and due until `stopped` is set. */
void scree_loop_run(struct scree_loop *loop);

#endif
