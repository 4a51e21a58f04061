/* How a loop is shared.
 *
 * `state` is OPEN while the caller is in a loop, plus the number of workers that have joined it.
 * The caller fills in the loop, opens it, raises `generation`, and takes tiles itself. A worker
 * that sees another generation than the one it last served joins if the loop is open, takes tiles
 * until there are none, and leaves. The caller, out of tiles, closes the loop, so that no worker
 * can join any more, and waits for those that have: a worker that is slow to wake up delays nobody.
 *
 * Each thread has a range of neighbouring tiles, the same share of every loop, so that it mostly
 * finds in its cache what it wrote in the loop before. It takes them from the front; who has none
 * left takes from the back of the others'. `left` of a range counts what nobody has claimed, so
 * the two ends never meet.
 *
 *   1. fn, arg, n_used and the ranges are written only while state is 0, and read only by those who
 * joined.
 *   2. n_asleep counts workers that sleep or are about to: a worker raises it before it looks at
 *      generation for the last time, the caller reads it after it has raised generation, both in
 *      the one order of sequentially consistent operations, so one of them sees the other.
 *   3. caller_sleeps and state go the same way for the end of a loop. */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define OPEN 0x80000000u

/* How long to look for work before sleeping: longer than the short operators of a model between two
 * long ones take, and than waking up does (5 to 50 us); short enough that it does not show. */
#define SPIN_NS 100000
/* Looks between two looks at the clock. */
#define SPINS_A_CLOCK 32

/* What different threads write is kept in different cache lines; 128 for those fetched in pairs. */
#define LINE 128

/* A thread's own tiles of a loop. */
struct range {
    alignas(LINE) atomic_size_t left; /* how many are not claimed */
    size_t first;                     /* the owner's next */
    atomic_size_t end;                /* one behind the last that is not stolen */
};

struct scree_worker {
    struct scree_pool *pool;
    int thread; /* its number: 1 and up, 0 is the caller of scree_pool_run() */
    pthread_t id;
};

struct scree_pool {
    alignas(LINE) atomic_uint state;
    alignas(LINE) atomic_uint generation;
    scree_pool_fn *fn;
    void *arg;
    alignas(LINE) atomic_bool stop;
    atomic_bool caller_sleeps;
    atomic_uint n_asleep;
    bool spins; /* there is a processor for each thread */
    int n_workers;
    int n_used;           /* threads that share loops, the caller with them */
    pthread_mutex_t lock; /* for sleeping alone */
    pthread_cond_t start;
    pthread_cond_t finished;
    struct scree_worker workers[SCREE_POOL_MAX_THREADS];
    struct range ranges[SCREE_POOL_MAX_THREADS];
};

/* ---- waiting -----------------------------------------------------------------------------------
 */

/* Leaves the execution units to the other thread of the core, and the bus to others. */
static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    /* YIELD is a NOP on most cores; ISB takes some tens of cycles on all of them. */
    __asm__ volatile("isb" ::: "memory");
#endif
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Looks at *word until it is no longer `old`, for SPIN_NS, and not once the pool stops. */
static void spin(struct scree_pool *pool, atomic_uint *word, unsigned old)
{
    int64_t until = 0;

    if (!pool->spins)
        return;
    for (int i = 0; !atomic_load_explicit(&pool->stop, memory_order_relaxed); i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old)
            return;
        relax();
        if (i % SPINS_A_CLOCK != 0)
            continue;
        if (until == 0)
            until = now_ns() + SPIN_NS;
        else if (now_ns() >= until)
            return;
    }
}

/* Sleeps until generation is no longer `served`, or the pool stops. */
static void sleep_worker(struct scree_pool *pool, unsigned served)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->n_asleep, 1);
    while (atomic_load(&pool->generation) == served && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->start, &pool->lock);
    atomic_fetch_sub(&pool->n_asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(struct scree_pool *pool)
{
    if (atomic_load(&pool->n_asleep) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
}

/* Waits until no worker is in the loop that the caller has closed. */
static void wait_for_workers(struct scree_pool *pool)
{
    unsigned state;

    while ((state = atomic_load_explicit(&pool->state, memory_order_acquire)) != 0) {
        spin(pool, &pool->state, state);
        if (atomic_load_explicit(&pool->state, memory_order_acquire) != state)
            continue;
        pthread_mutex_lock(&pool->lock);
        atomic_store(&pool->caller_sleeps, true);
        while (atomic_load(&pool->state) != 0)
            pthread_cond_wait(&pool->finished, &pool->lock);
        atomic_store(&pool->caller_sleeps, false);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* ---- loops -------------------------------------------------------------------------------------
 */

static void share_out(struct scree_pool *pool, size_t n_tiles)
{
    size_t n = (size_t)pool->n_used, first = 0;

    for (size_t i = 0; i < n; i++) {
        struct range *range = &pool->ranges[i];
        size_t count = n_tiles / n + (i < n_tiles % n);

        range->first = first;
        first += count;
        atomic_store_explicit(&range->end, first, memory_order_relaxed);
        atomic_store_explicit(&range->left, count, memory_order_relaxed);
    }
}

/* Claims one tile of a range, if there is one. */
static bool claim(struct range *range)
{
    size_t left = atomic_load_explicit(&range->left, memory_order_relaxed);

    while (left > 0)
        if (atomic_compare_exchange_weak_explicit(&range->left, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

static void take_tiles(struct scree_pool *pool, int thread)
{
    struct range *own = &pool->ranges[thread];
    int n = pool->n_used;

    if (thread >= n)
        return;

    while (claim(own))
        pool->fn(pool->arg, own->first++, thread);
    for (int i = 1; i < n; i++) {
        struct range *other = &pool->ranges[(thread + i) % n];

        while (claim(other))
            pool->fn(pool->arg, atomic_fetch_sub_explicit(&other->end, 1, memory_order_relaxed) - 1,
                     thread);
    }
}

static bool join_loop(struct scree_pool *pool)
{
    unsigned state = atomic_load_explicit(&pool->state, memory_order_relaxed);

    while (state & OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->state, &state, state + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

/* The last one out of a closed loop wakes the caller. */
static void leave_loop(struct scree_pool *pool)
{
    if (atomic_fetch_sub(&pool->state, 1) != 1 || !atomic_load(&pool->caller_sleeps))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
    struct scree_worker *worker = arg;
    struct scree_pool *pool = worker->pool;
    unsigned served = 0;

    while (!atomic_load_explicit(&pool->stop, memory_order_relaxed)) {
        unsigned generation = atomic_load_explicit(&pool->generation, memory_order_acquire);

        if (generation == served) {
            spin(pool, &pool->generation, served);
            if (atomic_load_explicit(&pool->generation, memory_order_acquire) == served)
                sleep_worker(pool, served);
            continue;
        }
        served = generation;
        if (join_loop(pool)) {
            take_tiles(pool, worker->thread);
            leave_loop(pool);
        }
    }
    return NULL;
}

void scree_pool_wake(struct scree_pool *pool)
{
    if (!pool || pool->n_used == 1 || !pool->spins)
        return;
    /* A generation without a loop: who finds none looks for the next. */
    atomic_fetch_add(&pool->generation, 1);
    wake_workers(pool);
}

void scree_pool_use(struct scree_pool *pool, int n_threads)
{
    assert(n_threads >= 1);
    if (pool)
        pool->n_used = n_threads <= pool->n_workers ? n_threads : pool->n_workers + 1;
}

void scree_pool_run(struct scree_pool *pool, size_t n_tiles, scree_pool_fn *fn, void *arg)
{
    if (!pool || pool->n_used == 1 || n_tiles < 2) {
        for (size_t tile = 0; tile < n_tiles; tile++)
            fn(arg, tile, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    share_out(pool, n_tiles);
    atomic_store_explicit(&pool->state, OPEN, memory_order_release);
    atomic_fetch_add(&pool->generation, 1);
    wake_workers(pool);
    take_tiles(pool, 0);
    atomic_fetch_and(&pool->state, ~OPEN);
    wait_for_workers(pool);
}

/* ---- life --------------------------------------------------------------------------------------
 */

static int start_worker(struct scree_pool *pool, const cpu_set_t *pin)
{
    struct scree_worker *worker = &pool->workers[pool->n_workers];
    pthread_attr_t attr;
    int rc;

    *worker = (struct scree_worker){.pool = pool, .thread = pool->n_workers + 1};
    rc = pthread_attr_init(&attr);
    if (rc)
        return rc;
    /* A processor that has gone since is no reason to fail: the thread then runs anywhere. */
    if (pin)
        (void)pthread_attr_setaffinity_np(&attr, sizeof *pin, pin);
    rc = pthread_create(&worker->id, &attr, worker_main, worker);
    if (rc && pin)
        rc = pthread_create(&worker->id, NULL, worker_main, worker);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        pool->n_workers++;
    return rc;
}

/* Whether n_threads of this process can run at the same time: looking for work would otherwise
 * take the processor from who has it. */
static bool has_processors(int n_threads)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= n_threads;
}

int scree_pool_new(int n_threads, const cpu_set_t *pin, struct scree_pool **ret_pool,
                   struct scree_error *err)
{
    struct scree_pool *pool;

    assert(n_threads >= 1 && n_threads <= SCREE_POOL_MAX_THREADS);
    pool = aligned_alloc(LINE, sizeof *pool);
    if (!pool)
        return scree_fail_memory(err, sizeof *pool);
    *pool = (struct scree_pool){.spins = has_processors(n_threads)};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 1; i < n_threads; i++)
        if (start_worker(pool, pin)) {
            scree_pool_free(pool);
            return scree_fail(err, EAGAIN, "cannot start thread %d of %d", i + 1, n_threads);
        }
    pool->n_used = n_threads;
    *ret_pool = pool;
    return 0;
}

void scree_pool_free(struct scree_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++)
        pthread_join(pool->workers[i].id, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int scree_pool_n_threads(const struct scree_pool *pool)
{
    return pool ? pool->n_workers + 1 : 1;
}
