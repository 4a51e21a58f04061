/* serve/turns.h - who may use one of a few equal things next: the instances of a model, the places
 * where pictures are decoded.
 *
 *     rc = scree_turns_take(turns, SCREE_PRIORITY_NORMAL, deadline_ns, &index, err);
 *     if (rc == 0) {
 *         ... use thing `index` ...
 *         scree_turns_give(turns, index);
 *     }
 *
 * Who waits is served by class of priority, then in order of arrival. The line is bounded: who
 * would make it longer is told so at once, since a line that only grows serves nobody.
 *
 * Memory: the owner's; waiters live on their threads' stacks. Threads: any. */
#ifndef SCREE_SERVE_TURNS_H
#define SCREE_SERVE_TURNS_H

#include <pthread.h>

#include "base/error.h"
#include "serve/workers.h"

#define SCREE_TURNS_MAX_THINGS 64

enum scree_priority {
    SCREE_PRIORITY_HIGH,   /* people who wait for an answer */
    SCREE_PRIORITY_NORMAL, /* cameras */
    SCREE_PRIORITY_LOW,    /* batches */
    SCREE_N_PRIORITIES,
};

/* Somebody in the line, on the stack of its thread. */
struct scree_turn_waiter {
    struct scree_turn_waiter *next, *prev;
    pthread_cond_t served;
    enum scree_priority priority;
    uint32_t n_rows;            /* that it has for a batch; 0: it is not for one */
    uint32_t index;             /* of its thing, once it has one */
    bool sent_away;             /* the line was closed */
    bool is_taken, has_ended;   /* by another, for its batch; or done by a crew */
    struct scree_workers *crew; /* who does its work; NULL: it does so itself */
    struct scree_job *job;
};

/* What is to be done with a thing, on the stack of who waits for that. */
struct scree_turn_work {
    struct scree_turn_waiter waiter;
    struct scree_job job;
    struct scree_turns *turns;
    void (*run)(struct scree_turn_work *work);
};

struct scree_turn_collector;

struct scree_turns {
    pthread_mutex_t lock;
    uint32_t n_things, max_waiting;
    uint64_t free;                                       /* bit i: thing i is free */
    struct scree_turn_waiter *first[SCREE_N_PRIORITIES]; /* of each class */
    struct scree_turn_waiter *last[SCREE_N_PRIORITIES];
    uint32_t n_waiting, n_rows;             /* in line */
    struct scree_turn_collector *collector; /* who waits for more rows; NULL: nobody */
    bool closed;
};

/* n_things in [1, SCREE_TURNS_MAX_THINGS]; at most max_waiting wait at once. */
void scree_turns_init(struct scree_turns *turns, uint32_t n_things, uint32_t max_waiting);

/* Another number of things, before anybody has taken one. */
void scree_turns_resize(struct scree_turns *turns, uint32_t n_things);

/* Nobody uses or waits any more. */
void scree_turns_done(struct scree_turns *turns);

/* Waits for a thing until deadline_ns of CLOCK_MONOTONIC. Errors: EBUSY (the line is full),
 * ETIMEDOUT (the deadline), EAGAIN (closed). */
int scree_turns_take(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                     uint32_t *ret_index, struct scree_error *err);

/* The same for a request of n_rows >= 1 rows that may share a thing with others in one batch.
 * Returns 0: it has a thing, and is to gather the others; or 1: another one has taken it along, and
 * it is done. `waiter` lives until then, and belongs to this line alone. */
int scree_turns_join(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                     uint32_t n_rows, struct scree_turn_waiter *waiter, uint32_t *ret_index,
                     struct scree_error *err);

/* Waits for a thing, has work->run() do something with it, and returns when that is done and the
 * thing given back. The rest of *work is filled in here.
 *
 * If a thing is free, and a place in the crew, it is run at once and here; for those in line the
 * crew runs it. A thread that was woken to use a thing may find the processor that it became free
 * on asleep, and be put behind another one's work, while a crew of as many threads as processors
 * does not sleep as long as somebody is in line.
 *
 * Errors: those of scree_turns_take(): it was not run. */
int scree_turns_work(struct scree_turns *turns, struct scree_workers *crew,
                     enum scree_priority priority, uint64_t deadline_ns,
                     struct scree_turn_work *work, struct scree_error *err);

/* How many rows are in line. */
uint32_t scree_turns_rows(struct scree_turns *turns);

/* For who has a thing: takes others out of the line, in its order, as many as have at most `room`
 * rows together, and, for delay_ns, those who come; at most one who has a thing waits for them at a
 * time. ret_taken is scree_turn_waiter *[room]. Returns how many there are; each is to be ended. */
uint32_t scree_turns_gather(struct scree_turns *turns, uint32_t room, uint64_t delay_ns,
                            struct scree_turn_waiter **ret_taken);

/* Lets one that was taken go on. It is gone then. */
void scree_turns_end(struct scree_turns *turns, struct scree_turn_waiter *waiter);

/* Gives a thing back; the next in line has it. */
void scree_turns_give(struct scree_turns *turns, uint32_t index);

/* Sends all who wait away, and those who come. */
void scree_turns_close(struct scree_turns *turns);

/* How many wait and how many things are in use, at this moment. */
void scree_turns_count(struct scree_turns *turns, uint32_t *ret_waiting, uint32_t *ret_busy);

#endif
