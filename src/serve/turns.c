#include "serve/turns.h"

#include <assert.h>
#include <time.h>

#define NS_A_SECOND UINT64_C(1000000000)
#define NO_THING    UINT32_MAX

/* One who has a thing, and waits for others to share it with, on the stack of its thread. */
struct scree_turn_collector {
    pthread_cond_t is_full;
    struct scree_turn_waiter **taken;
    uint32_t n_taken, room;
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

static void join_line(struct scree_turns *turns, struct scree_turn_waiter *waiter)
{
    enum scree_priority priority = waiter->priority;

    waiter->prev = turns->last[priority];
    if (waiter->prev)
        waiter->prev->next = waiter;
    else
        turns->first[priority] = waiter;
    turns->last[priority] = waiter;
    turns->n_waiting++;
    turns->n_rows += waiter->n_rows;
}

static void leave_line(struct scree_turns *turns, struct scree_turn_waiter *waiter)
{
    enum scree_priority priority = waiter->priority;

    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        turns->first[priority] = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        turns->last[priority] = waiter->prev;
    turns->n_waiting--;
    turns->n_rows -= waiter->n_rows;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_A_SECOND), (long)(ns % NS_A_SECOND)};
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Takes somebody who is in no line along. The lock is held. */
static void take_along(struct scree_turn_collector *collector, struct scree_turn_waiter *waiter)
{
    waiter->is_taken = true;
    collector->taken[collector->n_taken++] = waiter;
    collector->room -= waiter->n_rows;
}

/* True if somebody waits for rows and has taken these. The lock is held. */
static bool join_collector(struct scree_turns *turns, struct scree_turn_waiter *waiter)
{
    struct scree_turn_collector *collector = turns->collector;

    if (!collector || waiter->n_rows == 0 || waiter->n_rows > collector->room)
        return false;
    take_along(collector, waiter);
    if (collector->room == 0)
        pthread_cond_signal(&collector->is_full);
    return true;
}

/* True if another thread does what it waits for, and will end it. */
static bool is_done_by_others(const struct scree_turn_waiter *waiter)
{
    return waiter->is_taken || (waiter->crew && waiter->index != NO_THING);
}

/* Waits in the line, whose lock is held, or, if it is another's already, for its end. */
static void wait_for_turn(struct scree_turns *turns, uint64_t deadline_ns,
                          struct scree_turn_waiter *waiter)
{
    struct timespec until = to_timespec(deadline_ns);
    int rc = 0;

    if (!is_done_by_others(waiter))
        join_line(turns, waiter);
    while (waiter->index == NO_THING && !waiter->sent_away && !waiter->is_taken && rc == 0)
        rc = pthread_cond_timedwait(&waiter->served, &turns->lock, &until);
    /* Who has taken it looks at its deadline, and will end. */
    while (is_done_by_others(waiter) && !waiter->has_ended)
        (void)pthread_cond_wait(&waiter->served, &turns->lock);
    if (waiter->index == NO_THING && !waiter->is_taken)
        leave_line(turns, waiter);
}

/* Has the crew do the work of somebody who has its thing, if it has a crew. It does so itself if no
 * thread can be started. */
static void hand_over(struct scree_turn_waiter *waiter)
{
    if (waiter->crew && !scree_workers_submit(waiter->crew, waiter->job))
        waiter->crew = NULL;
}

/* Takes one of those that are free. The lock is held. */
static uint32_t take_free(struct scree_turns *turns)
{
    uint32_t index = (uint32_t)__builtin_ctzll(turns->free);

    turns->free &= turns->free - 1;
    return index;
}

/* The lock is held. */
static int take(struct scree_turns *turns, uint64_t deadline_ns, struct scree_turn_waiter *waiter,
                struct scree_error *err)
{
    int rc = 0;

    if (turns->closed)
        return scree_fail(err, EAGAIN, "shutting down");
    if (join_collector(turns, waiter))
        rc = 0;
    else if (turns->free)
        waiter->index = take_free(turns);
    else if (turns->n_waiting >= turns->max_waiting)
        rc = scree_fail(err, EBUSY, "%u requests wait already", turns->n_waiting);
    /* Not before it has its thing: the crew may be through with it at once. */
    if (waiter->index != NO_THING)
        hand_over(waiter);
    if (rc < 0 || (waiter->index != NO_THING && !waiter->crew))
        return rc;
    init_condition(&waiter->served);
    wait_for_turn(turns, deadline_ns, waiter);
    pthread_cond_destroy(&waiter->served);
    if (waiter->has_ended || waiter->index != NO_THING)
        return waiter->has_ended;
    return waiter->sent_away ? scree_fail(err, EAGAIN, "shutting down")
                             : scree_fail(err, ETIMEDOUT, "the deadline passed in the queue");
}

int scree_turns_join(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                     uint32_t n_rows, struct scree_turn_waiter *waiter, uint32_t *ret_index,
                     struct scree_error *err)
{
    int rc;

    *waiter = (struct scree_turn_waiter){.priority = priority, .n_rows = n_rows, .index = NO_THING};
    pthread_mutex_lock(&turns->lock);
    rc = take(turns, deadline_ns, waiter, err);
    pthread_mutex_unlock(&turns->lock);
    if (rc == 0)
        *ret_index = waiter->index;
    return rc;
}

int scree_turns_take(struct scree_turns *turns, enum scree_priority priority, uint64_t deadline_ns,
                     uint32_t *ret_index, struct scree_error *err)
{
    struct scree_turn_waiter waiter;

    return scree_turns_join(turns, priority, deadline_ns, 0, &waiter, ret_index, err);
}

/* On a thread of the crew. */
static void run_work(struct scree_job *job)
{
    struct scree_turn_work *work = (void *)((char *)job - offsetof(struct scree_turn_work, job));
    struct scree_turns *turns = work->turns;

    work->run(work);
    scree_turns_give(turns, work->waiter.index);
    scree_turns_end(turns, &work->waiter);
}

/* Does the work at once, on the thread that asks. False if it has to wait for a thing or a place in
 * the crew. */
static bool work_here(struct scree_turns *turns, struct scree_turn_work *work)
{
    struct scree_workers *crew = work->waiter.crew;
    uint32_t index = NO_THING;

    pthread_mutex_lock(&turns->lock);
    if (!turns->closed && turns->free && scree_workers_enter(crew))
        index = take_free(turns);
    pthread_mutex_unlock(&turns->lock);
    if (index == NO_THING)
        return false;
    work->run(work);
    scree_workers_leave(crew);
    scree_turns_give(turns, index);
    return true;
}

int scree_turns_work(struct scree_turns *turns, struct scree_workers *crew,
                     enum scree_priority priority, uint64_t deadline_ns,
                     struct scree_turn_work *work, struct scree_error *err)
{
    int rc;

    work->waiter = (struct scree_turn_waiter){
        .priority = priority, .index = NO_THING, .crew = crew, .job = &work->job};
    work->job = (struct scree_job){.run = run_work};
    work->turns = turns;
    if (work_here(turns, work))
        return 0;
    pthread_mutex_lock(&turns->lock);
    rc = take(turns, deadline_ns, &work->waiter, err);
    pthread_mutex_unlock(&turns->lock);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    work->run(work);
    scree_turns_give(turns, work->waiter.index);
    return 0;
}

uint32_t scree_turns_rows(struct scree_turns *turns)
{
    uint32_t n_rows;

    pthread_mutex_lock(&turns->lock);
    n_rows = turns->n_rows;
    pthread_mutex_unlock(&turns->lock);
    return n_rows;
}

/* Those of one class that fit. The lock is held. */
static void gather_class(struct scree_turns *turns, int priority,
                         struct scree_turn_collector *collector)
{
    struct scree_turn_waiter *next;

    for (struct scree_turn_waiter *w = turns->first[priority]; w; w = next) {
        next = w->next;
        if (w->n_rows > 0 && w->n_rows <= collector->room) {
            leave_line(turns, w);
            take_along(collector, w);
        }
    }
}

/* Waits for who comes. The lock is held. */
static void collect(struct scree_turns *turns, uint64_t delay_ns,
                    struct scree_turn_collector *collector)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until = to_timespec((uint64_t)until.tv_sec * NS_A_SECOND + (uint64_t)until.tv_nsec + delay_ns);
    init_condition(&collector->is_full);
    turns->collector = collector;
    while (collector->room > 0 && rc == 0)
        rc = pthread_cond_timedwait(&collector->is_full, &turns->lock, &until);
    turns->collector = NULL;
    pthread_cond_destroy(&collector->is_full);
}

uint32_t scree_turns_gather(struct scree_turns *turns, uint32_t room, uint64_t delay_ns,
                            struct scree_turn_waiter **ret_taken)
{
    struct scree_turn_collector collector = {.taken = ret_taken, .room = room};

    pthread_mutex_lock(&turns->lock);
    for (int priority = 0; priority < SCREE_N_PRIORITIES; priority++)
        gather_class(turns, priority, &collector);
    if (delay_ns > 0 && collector.room > 0 && !turns->collector && !turns->closed)
        collect(turns, delay_ns, &collector);
    pthread_mutex_unlock(&turns->lock);
    return collector.n_taken;
}

void scree_turns_end(struct scree_turns *turns, struct scree_turn_waiter *waiter)
{
    pthread_mutex_lock(&turns->lock);
    waiter->has_ended = true;
    pthread_cond_signal(&waiter->served);
    pthread_mutex_unlock(&turns->lock);
}

void scree_turns_give(struct scree_turns *turns, uint32_t index)
{
    struct scree_turn_waiter *waiter = NULL;

    pthread_mutex_lock(&turns->lock);
    for (int priority = 0; priority < SCREE_N_PRIORITIES && !waiter; priority++)
        waiter = turns->first[priority];
    if (waiter) {
        leave_line(turns, waiter);
        waiter->index = index;
        hand_over(waiter);
        if (!waiter->crew)
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
