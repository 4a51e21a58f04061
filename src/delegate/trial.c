#include "delegate/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* How often the parent looks whether the child has ended. */
#define POLL_MS 10
#define MS_NS   ((int64_t)1000000)

/* What the child is doing, for the message when it dies at that. */
enum stage { COMPILING, RUNNING, FREEING, DONE };

static const char *const stage_texts[] = {
    [COMPILING] = "compiling",
    [RUNNING] = "running",
    [FREEING] = "freeing what it had made for",
    [DONE] = "ending",
};

/* A page that both processes see. */
struct shared {
    _Atomic int stage;
    int rc; /* of the child's work, valid at stage DONE */
    struct scree_error err;
    struct scree_trial trial;
};

/* The last line that the delegate printed, as it came. */
struct last_line {
    char text[96];
    size_t n;
    bool ended;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- the child ---------------------------------------------------------------------------------
 */

/* Gives every border tensor of the parts bytes of its own. Left to the child's end. */
static int bind_all(struct scree_delegate_instance *instance, const struct scree_subgraph *subgraph)
{
    for (uint32_t i = 0; i < scree_delegate_instance_parts(instance)->n_parts; i++) {
        const struct scree_part *part = scree_delegate_instance_part(instance, i);

        for (uint32_t k = 0; k < part->n_inputs + part->n_outputs; k++) {
            int32_t tensor = k < part->n_inputs ? part->inputs[k]
                                                : part->outputs[k - part->n_inputs];
            const struct scree_tensor_def *def = &subgraph->tensors[tensor];
            void *data;

            if (def->data)
                continue;
            data = calloc(scree_shape_elements(&def->shape) + 1, scree_type_bytes(def->type));
            if (!data)
                return -ENOMEM;
            scree_delegate_bind(instance, tensor, data);
        }
    }
    return 0;
}

static int run_all(struct scree_delegate_instance *instance, struct shared *shared)
{
    uint32_t n_parts = scree_delegate_instance_parts(instance)->n_parts;

    for (uint32_t i = 0; i < n_parts; i++) {
        struct scree_delegate_measure measure;
        enum scree_delegate_end end = scree_delegate_run(instance, i, &measure);
        const char *said = scree_delegate_said(instance);

        if (end != SCREE_DELEGATE_OK)
            return scree_fail(&shared->err, EIO, "its first run was no good: %s%s%s",
                              scree_delegate_end_text(end), said[0] ? ": " : "", said);
        if (i < SCREE_TRIAL_MAX_PARTS)
            shared->trial.parts[i] = measure;
    }
    return 0;
}

static int work(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                const bool *offered, struct shared *shared)
{
    struct scree_delegate_instance *instance;
    int rc = scree_delegate_instance_new(delegate, subgraph, offered, &instance, &shared->err);

    if (rc < 0)
        return rc;
    atomic_store(&shared->stage, RUNNING);
    rc = bind_all(instance, subgraph) < 0
             ? scree_fail(&shared->err, ENOMEM, "no memory to try the delegate")
             : run_all(instance, shared);
    atomic_store(&shared->stage, FREEING);
    scree_delegate_instance_free(instance);
    return rc;
}

/* Handlers of the parent have no business here, nor does the child after the parent's end. */
static void leave_parent(int output, pid_t parent)
{
    static const int signals[] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE, SIGABRT,
                                  SIGTRAP, SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    const struct rlimit no_core = {0, 0};
    sigset_t none;

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (getppid() != parent)
        _exit(1);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
}

/* ---- the parent --------------------------------------------------------------------------------
 */

static void hear(struct last_line *line, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            line->ended = true;
            continue;
        }
        if (line->ended)
            line->n = 0;
        line->ended = false;
        if (line->n < sizeof line->text - 1)
            line->text[line->n++] = text[i];
    }
}

/* Reads what is there, waiting at most POLL_MS for it. */
static void listen_to(int output, struct last_line *line)
{
    struct pollfd poll_fd = {.fd = output, .events = POLLIN};
    char text[512];
    ssize_t n;

    if (poll(&poll_fd, 1, POLL_MS) <= 0)
        return;
    n = read(output, text, sizeof text);
    if (n > 0)
        hear(line, text, (size_t)n);
    else
        (void)poll(NULL, 0, POLL_MS);
}

/* Waits for the child's end. Returns false if it had to be killed. */
static bool wait_for(pid_t child, int output, int timeout_ms, struct last_line *line,
                     int *ret_status)
{
    int64_t deadline = now_ns() + timeout_ms * MS_NS;
    bool in_time = true;

    for (;;) {
        pid_t ended = waitpid(child, ret_status, in_time ? WNOHANG : 0);

        if (ended == child)
            break;
        if (ended < 0 && errno != EINTR) {
            /* Who ignores SIGCHLD gets no status. */
            *ret_status = 0;
            break;
        }
        if (ended == 0)
            listen_to(output, line);
        if (in_time && now_ns() >= deadline) {
            in_time = false;
            (void)kill(child, SIGKILL);
        }
    }
    listen_to(output, line);
    return in_time;
}

static int judge(const struct shared *shared, bool in_time, int timeout_ms, int status,
                 struct last_line *line, struct scree_error *err)
{
    int stage = atomic_load(&shared->stage);
    const char *what = stage_texts[stage >= 0 && stage <= DONE ? stage : DONE];
    const char *said;

    line->text[line->n] = '\0';
    scree_text_make_safe(line->text, line->n);
    said = line->n > 0 ? ": " : "";
    if (stage == DONE && in_time) {
        if (shared->rc < 0 && err)
            *err = shared->err;
        return shared->rc;
    }
    if (!in_time)
        return scree_fail(err, ETIMEDOUT, "it had not finished %s the model after %g s", what,
                          timeout_ms / 1000.0);
    if (WIFSIGNALED(status))
        return scree_fail(err, EIO, "it crashed %s the model (%s)%s%s", what,
                          strsignal(WTERMSIG(status)), said, line->text);
    return scree_fail(err, EIO, "it ended the process %s the model (exit code %d)%s%s", what,
                      WEXITSTATUS(status), said, line->text);
}

static int try_in_child(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                        const bool *offered, int timeout_ms, struct shared *shared,
                        struct scree_error *err)
{
    struct last_line line = {0};
    int output[2], status;
    pid_t parent = getpid(), child;
    bool in_time;

    /* The child never waits for the parent to listen. */
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0)
        return scree_fail(err, EAGAIN, "no pipe to try the delegate: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        leave_parent(output[1], parent);
        shared->rc = work(delegate, subgraph, offered, shared);
        atomic_store(&shared->stage, DONE);
        _exit(0);
    }
    close(output[1]);
    if (child < 0) {
        close(output[0]);
        return scree_fail(err, EAGAIN, "no process to try the delegate: %s", strerror(errno));
    }
    in_time = wait_for(child, output[0], timeout_ms, &line, &status);
    close(output[0]);
    return judge(shared, in_time, timeout_ms, status, &line, err);
}

int scree_delegate_try(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                       const bool *offered, int timeout_ms, struct scree_trial *ret_trial,
                       struct scree_error *err)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rc;

    if (shared == MAP_FAILED)
        return scree_fail_memory(err, sizeof *shared);
    rc = try_in_child(delegate, subgraph, offered, timeout_ms, shared, err);
    if (rc >= 0)
        *ret_trial = shared->trial;
    (void)munmap(shared, sizeof *shared);
    return rc;
}
