#include "serve/turns.h"

#include <assert.h>
#include <time.h>

#define NS_A_SECOND UINT64_C(1000000000)
#define NO_THING    UINT32_MAX

/* Somebody in the line, on the stack of its thread. */
struct scree_turn_waiter {
    struct scree_turn_waiter *next, *prev;
    pthread_cond_t served;
    uint32_t index; /* NO_THING until served */
    bool sent_away;
};

void scree_turns_init(struct scree_turns *turns, uint32_t n_things, uint32_t max_waiting)
{
    *turns = (struct scree_turns){.max_waiting = max_waiting};
    scree_turns_resize(turns, n_things);
    pthread_mutex_init(&turns->lock, NULL);
}

void scree_turns_resize(struct scree_turns *turns, uint32_t n_things)
{
    assert(n_things >= 1 && n_things <= SCREE_TURNS_MAX_THINGS);
    turns->n_things = n_things;
    turns->free = n_things == 64 ? UINT64_MAX : (UINT64_C(1) << n_things) - 1;
}

void scree_turns_done(struct scree_turns *turns)
{
    assert(turns->n_waiting == 0);
    pthread_mutex_destroy(&turns->lock);
}

static void join_line(struct scree_turns *turns, enum scree_priority priority,
                      struct scree_turn_waiter *waiter)
{
    waiter->prev = turns->last[priority];
    if (waiter->prev)
        waiter->prev->next = waiter;
    else
        turns->first[priority] = waiter;
    turns->last[priority] = waiter;
    turns->n_waiting++;
}

static void leave_line(struct scree_turns *turns, enum scree_priority priority,
                       struct scree_turn_waiter *waiter)
{
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        turns->first[priority] = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        turns->last[priority] = waiter->prev;
    turns->n_waiting--;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_A_SECOND), (long)(ns % NS_A_SECOND)};
}

/* Waits in the line, whose lock is held. */
static void wait_for_turn(struct scree_turns *turns, enum scree_priority priority,
                          uint64_t deadline_ns, struct scree_turn_waiter *waiter)
{
    struct timespec until = to_timespec(deadline_ns);
    pthread_condattr_t attributes;
    int rc = 0;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->served, &attributes);
    pthread_condattr_destroy(&attributes);
    join_line(turns, priority, waiter);
    while (waiter->index == NO_THING && !waiter->sent_away && rc == 0)
        rc = pthread_cond_timedwait(&waiter->served, &turns->lock, &until);
    if (waiter->index == NO_THING)
        leave_line(turns, priority, waiter);
    pthread_cond_destroy(&waiter->served);
}

/* The lock is held. */
static int take(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                uint32_t *ret_index, struct scree_error *err)
{
    struct scree_turn_waiter waiter = {.index = NO_THING};

    if (turns->closed)
        return scree_fail(err, EAGAIN, "shutting down");
    if (turns->free) {
        *ret_index = (uint32_t)__builtin_ctzll(turns->free);
        turns->free &= turns->free - 1;
        return 0;
    }
    if (turns->n_waiting >= turns->max_waiting)
        return scree_fail(err, EBUSY, "%u requests wait already", turns->n_waiting);
    wait_for_turn(turns, priority, deadline_ns, &waiter);
    if (waiter.index != NO_THING) {
        *ret_index = waiter.index;
        return 0;
    }
    return waiter.sent_away ? scree_fail(err, EAGAIN, "shutting down")
                            : scree_fail(err, ETIMEDOUT, "the deadline passed in the queue");
}

int scree_turns_take(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                     uint32_t *ret_index, struct scree_error *err)
{
    int rc;

    pthread_mutex_lock(&turns->lock);
    rc = take(turns, priority, deadline_ns, ret_index, err);
    pthread_mutex_unlock(&turns->lock);
    return rc;
}

void scree_turns_give(struct scree_turns *turns, uint32_t index)
{
    struct scree_turn_waiter *waiter = NULL;
    int priority = 0;

    pthread_mutex_lock(&turns->lock);
    for (; priority < SCREE_N_PRIORITIES && !waiter; priority++)
        waiter = turns->first[priority];
    if (waiter) {
        leave_line(turns, (enum scree_priority)(priority - 1), waiter);
        waiter->index = index;
        pthread_cond_signal(&waiter->served);
    } else {
        turns->free |= UINT64_C(1) << index;
    }
    pthread_mutex_unlock(&turns->lock);
}

void scree_turns_close(struct scree_turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->closed = true;
    for (int priority = 0; priority < SCREE_N_PRIORITIES; priority++)
        for (struct scree_turn_waiter *w = turns->first[priority]; w; w = w->next) {
            w->sent_away = true;
            pthread_cond_signal(&w->served);
        }
    pthread_mutex_unlock(&turns->lock);
}

void scree_turns_count(struct scree_turns *turns, uint32_t *ret_waiting, uint32_t *ret_busy)
{
    pthread_mutex_lock(&turns->lock);
    *ret_waiting = turns->n_waiting;
    *ret_busy = turns->n_things - (uint32_t)__builtin_popcountll(turns->free);
    pthread_mutex_unlock(&turns->lock);
}
