/* base/pool.h - a few threads that share the rows of one loop.
 *
 *     scree_pool_run(pool, n_tiles, run_tile, &args);
 *
 * scree_pool_run() calls run_tile(&args, tile, thread) once for each tile in [0, n_tiles), in any
 * order, on the calling thread and the pool's, and returns when all are done. `thread` in [0,
 * n_threads) tells which thread it is (0 is the caller), for working memory of each thread. Each
 * thread begins with the same share of neighbouring tiles in every loop, so loops over the same
 * rows find them in the cache of the core that wrote them; who is done takes tiles of the others.
 * What a tile computes must not depend on which thread runs it.
 *
 * A thread that is done looks for the next loop for a tenth of a millisecond before it sleeps:
 * loops of 5 us are worth sharing then.
 *
 * Memory: the pool owns its threads. Threads: the pool belongs to one thread at a time. */
#ifndef SCREE_BASE_POOL_H
#define SCREE_BASE_POOL_H

#include <sched.h>

#include "base/error.h"

#define SCREE_POOL_MAX_THREADS 64

struct scree_pool;

typedef void scree_pool_fn(void *arg, size_t tile, int thread);

/* Starts n_threads - 1 threads (the caller is the last one), n_threads in [1,
 * SCREE_POOL_MAX_THREADS]. They run on the processors in `pin` alone; NULL leaves them those of the
 * calling thread. Errors: ENOMEM, EAGAIN (no more threads); nothing remains then. */
int scree_pool_new(int n_threads, const cpu_set_t *pin, struct scree_pool **ret_pool,
                   struct scree_error *err);

/* Stops and joins the threads. Accepts NULL. */
void scree_pool_free(struct scree_pool *pool);

/* The number of threads that work on a loop; 1 for a NULL pool. */
int scree_pool_n_threads(const struct scree_pool *pool);

/* Loops are about to come: threads that sleep wake up meanwhile. Accepts NULL. */
void scree_pool_wake(struct scree_pool *pool);

/* Lets the next loops be shared by n_threads >= 1 of the pool's threads alone, at most all. Accepts
 * NULL. */
void scree_pool_use(struct scree_pool *pool, int n_threads);

/* Runs the loop. With a NULL pool, or one tile, on the calling
 * thread alone. Allocates nothing. */
void scree_pool_run(struct scree_pool *pool, size_t n_tiles, scree_pool_fn *fn, void *arg);

#endif
