/* The state of a pool: `generation` is odd or even but only ever grows; a worker sleeps until it
 * differs from the one it last served. `n_busy` counts workers that have not yet returned from the
 * present loop; the caller may return (and its arg go out of scope) only when it is 0. `next` is
 * the one thing touched without the lock. */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct scree_worker {
    struct scree_pool *pool;
    int thread; /* its number: 1 and up, 0 is the caller of scree_pool_run() */
    pthread_t id;
};

struct scree_pool {
    pthread_mutex_t lock;
    pthread_cond_t start;
    pthread_cond_t finished;
    uint64_t generation;
    bool stop;
    int n_busy;
    int n_workers;
    scree_pool_fn *fn;
    void *arg;
    size_t n_tiles;
    atomic_size_t next;
    struct scree_worker workers[SCREE_POOL_MAX_THREADS];
};

static void take_tiles(struct scree_pool *pool, int thread)
{
    size_t tile;

    while ((tile = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < pool->n_tiles)
        pool->fn(pool->arg, tile, thread);
}

static void *worker_main(void *arg)
{
    struct scree_worker *worker = arg;
    struct scree_pool *pool = worker->pool;
    uint64_t served = 0;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == served && !pool->stop)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stop)
            break;
        served = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        take_tiles(pool, worker->thread);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_busy == 0)
            pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int scree_pool_new(int n_threads, struct scree_pool **ret_pool, struct scree_error *err)
{
    struct scree_pool *pool;

    assert(n_threads >= 1 && n_threads <= SCREE_POOL_MAX_THREADS);
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return scree_fail_memory(err, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 0; i < n_threads - 1; i++) {
        struct scree_worker *worker = &pool->workers[i];

        *worker = (struct scree_worker){.pool = pool, .thread = i + 1};
        if (pthread_create(&worker->id, NULL, worker_main, worker)) {
            scree_pool_free(pool);
            return scree_fail(err, EAGAIN, "cannot start thread %d of %d", i + 2, n_threads);
        }
        pool->n_workers++;
    }
    *ret_pool = pool;
    return 0;
}

void scree_pool_free(struct scree_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
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

void scree_pool_run(struct scree_pool *pool, size_t n_tiles, scree_pool_fn *fn, void *arg)
{
    if (!pool || pool->n_workers == 0 || n_tiles < 2) {
        for (size_t tile = 0; tile < n_tiles; tile++)
            fn(arg, tile, 0);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->n_tiles = n_tiles;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->n_busy = pool->n_workers;
    pool->generation++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    take_tiles(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->n_busy > 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
