/* delegate/worker.h - a process that works for this one, and may crash or hang.
 *
 *     this process                    worker
 *     scree_worker_start()   ----->   begin()
 *     scree_worker_hear()    <-----   what that returned
 *     scree_worker_ask(n)    ----->   serve(n)
 *     scree_worker_hear()    <-----   what that returned
 *     scree_worker_stop()    ----->   end(), and it is gone
 *
 * A worker is a fork: it has all the memory of this process as it was, shares what was mapped to be
 * shared, and has none of its threads, descriptors and signal handlers. fork() leaves the locks of
 * other threads locked, but for those of the C library's memory and streams; so a worker calls
 * nothing of this process but code that takes no lock of ours.
 *
 * It ends with this process, whatever it is at: it reads the end of its socket when it waits for
 * requests, and an alarm ends it when it does not.
 *
 * Who hosts such workers must leave them to this code to wait for.
 *
 * Memory: the struct is the caller's. Threads: one at a time for each worker; any number of
 * workers. */
#ifndef SCREE_DELEGATE_WORKER_H
#define SCREE_DELEGATE_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* What a worker does, in its own process. */
struct scree_worker_task {
    int (*begin)(void *arg);
    int (*serve)(void *arg, uint32_t request);
    void (*end)(void *arg);
};

/* The line that it printed last, as it came. */
struct scree_worker_line {
    char text[96];
    size_t n;
    bool ended;
};

/* All zero, or after scree_worker_stop(): there is none. */
struct scree_worker {
    pid_t process;    /* 0: none */
    int socket;       /* our end of what connects the two */
    int output;       /* what it prints comes out here */
    int status;       /* how the last one ended, as waitpid() says */
    int64_t limit_ms; /* that it was given for what it is at */
    int64_t until_ns; /* the time, by CLOCK_MONOTONIC, at which that is over */
    struct scree_worker_line line;
};

/* How a call of scree_worker_hear() ended. */
enum scree_worker_news {
    SCREE_WORKER_ANSWERED,
    SCREE_WORKER_BUSY, /* it has time left */
    SCREE_WORKER_DIED, /* it is gone */
    SCREE_WORKER_LATE, /* it had to be killed */
};

/* Starts a worker, which has limit_ms for begin(arg). It answers later. Errors: EAGAIN (no process,
 * no descriptors). */
int scree_worker_start(struct scree_worker *worker, const struct scree_worker_task *task, void *arg,
                       int64_t limit_ms, struct scree_error *err);

/* Gives it limit_ms for serve(arg, request). A worker that is gone answers so. */
void scree_worker_ask(struct scree_worker *worker, uint32_t request, int64_t limit_ms);

/* Its answer to what it was asked last. With `wait`, that is waited for until its time is over;
 * without, only what is there already counts. */
enum scree_worker_news scree_worker_hear(struct scree_worker *worker, bool wait, int *ret_answer);

/* How it ended, for people: "it crashed compiling the model (Segmentation fault): the last line"
 * into text[n]. `doing` is "compiling", and news DIED or LATE. */
void scree_worker_tell(const struct scree_worker *worker, enum scree_worker_news news,
                       const char *doing, char *text, size_t n);

/* Ends it; if it does not within two seconds, by force. Nothing of it is left. Accepts none. */
void scree_worker_stop(struct scree_worker *worker);

#endif
