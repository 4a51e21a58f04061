#include "serve/workers.h"

#include <pthread.h>
#include <stdlib.h>

#define STACK_BYTES ((size_t)512 << 10)

struct scree_workers {
    pthread_mutex_t lock;
    pthread_cond_t work_is_there;
    struct scree_job *first, *last;
    uint32_t max, n_threads;
    uint32_t n_idle, n_jobs; /* that wait */
    uint32_t n_busy;         /* threads, and others in their places */
    bool stopping;
    pthread_t threads[];
};

int scree_workers_new(uint32_t max, struct scree_workers **ret_workers, struct scree_error *err)
{
    size_t n_bytes = sizeof(struct scree_workers) + max * sizeof(pthread_t);
    struct scree_workers *workers = calloc(1, n_bytes);

    if (!workers)
        return scree_fail_memory(err, n_bytes);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work_is_there, NULL);
    workers->max = max;
    *ret_workers = workers;
    return 0;
}

/* The lock is held. */
static struct scree_job *pop(struct scree_workers *workers)
{
    struct scree_job *job = workers->n_busy < workers->max ? workers->first : NULL;

    if (job) {
        workers->first = job->next;
        workers->n_jobs--;
        workers->n_busy++;
    }
    if (!workers->first)
        workers->last = NULL;
    return job;
}

static void *work(void *arg)
{
    struct scree_workers *workers = arg;

    pthread_mutex_lock(&workers->lock);
    while (!workers->stopping || workers->first) {
        struct scree_job *job = pop(workers);

        if (!job) {
            workers->n_idle++;
            pthread_cond_wait(&workers->work_is_there, &workers->lock);
            workers->n_idle--;
            continue;
        }
        pthread_mutex_unlock(&workers->lock);
        job->run(job);
        pthread_mutex_lock(&workers->lock);
        workers->n_busy--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Starts one more thread if none is idle that no other job has woken. False if there is none at
 * all. The lock is held. */
static bool have_thread(struct scree_workers *workers)
{
    pthread_attr_t attributes;

    if (workers->n_idle > workers->n_jobs || workers->n_threads == workers->max)
        return true;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&workers->threads[workers->n_threads], &attributes, work, workers) == 0)
        workers->n_threads++;
    pthread_attr_destroy(&attributes);
    return workers->n_threads > 0;
}

bool scree_workers_submit(struct scree_workers *workers, struct scree_job *job)
{
    bool can_work;

    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    can_work = have_thread(workers);
    if (can_work) {
        if (workers->last)
            workers->last->next = job;
        else
            workers->first = job;
        workers->last = job;
        workers->n_jobs++;
        pthread_cond_signal(&workers->work_is_there);
    }
    pthread_mutex_unlock(&workers->lock);
    return can_work;
}

bool scree_workers_enter(struct scree_workers *workers)
{
    bool is_free;

    pthread_mutex_lock(&workers->lock);
    is_free = workers->n_busy < workers->max && !workers->first;
    workers->n_busy += is_free;
    pthread_mutex_unlock(&workers->lock);
    return is_free;
}

void scree_workers_leave(struct scree_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->n_busy--;
    if (workers->first)
        pthread_cond_signal(&workers->work_is_there);
    pthread_mutex_unlock(&workers->lock);
}

void scree_workers_free(struct scree_workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->work_is_there);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->work_is_there);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
