#include "delegate/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* Set, what a worker prints is shown. */
#define OUTPUT_VARIABLE "SCREE_DELEGATE_OUTPUT"

#define MS_NS ((int64_t)1000000)
/* How long a worker may take to end by itself, and to die. */
#define END_MS 2000
/* A worker's end is seen at once, unless another process holds its end of the socket: for that it
 * is looked after so often. */
#define LOOK_MS 200
/* An alarm is this much later than the time that the worker is killed at. */
#define ALARM_S 2
/* What is read of its output at a time, in pieces of 512 bytes: as much as the pipe holds. Who
 * prints without end is not listened to without end. */
#define MAX_PIECES 128
/* The worker's only descriptor besides the standard ones. */
#define SOCKET_FD 3

/* What goes to the worker; an int comes back. */
struct request {
    uint32_t number;
    uint32_t alarm_s;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t alarm_s(int64_t limit_ms)
{
    return (uint32_t)((limit_ms + 999) / 1000) + ALARM_S;
}

/* ---- the worker --------------------------------------------------------------------------------
 */

/* What asks the program to end is for the program to decide on: its worker ends with it. Handlers
 * are the program's, too. */
static void set_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Closes all descriptors from `first` on. */
static void close_from(int first)
{
    struct rlimit limit = {0};

    if (close_range((unsigned)first, ~0u, 0) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    for (int fd = first; fd < (int)(limit.rlim_cur < 65536 ? limit.rlim_cur : 65536); fd++)
        close(fd);
}

/* Keeps the socket and the output, and nothing to read. */
static void set_descriptors(int socket, int output)
{
    int nothing = open("/dev/null", O_RDONLY);

    if (nothing >= 0)
        (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(getenv(OUTPUT_VARIABLE) ? STDERR_FILENO : output, STDOUT_FILENO);
    if (!getenv(OUTPUT_VARIABLE))
        (void)dup2(output, STDERR_FILENO);
    if (socket != SOCKET_FD)
        (void)dup2(socket, SOCKET_FD);
    (void)fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
    close_from(SOCKET_FD + 1);
}

static void answer(int code)
{
    (void)send(SOCKET_FD, &code, sizeof code, MSG_NOSIGNAL);
}

static void be_worker(const struct scree_worker_task *task, void *arg, int64_t limit_ms)
{
    static const struct rlimit no_core = {0, 0};
    struct request request;

    set_signals();
    (void)prctl(PR_SET_NAME, "scree-delegate");
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)alarm(alarm_s(limit_ms));
    answer(task->begin(arg));
    (void)alarm(0);
    while (recv(SOCKET_FD, &request, sizeof request, 0) == (ssize_t)sizeof request) {
        (void)alarm(request.alarm_s);
        answer(task->serve(arg, request.number));
        (void)alarm(0);
    }
    (void)alarm(alarm_s(END_MS));
    task->end(arg);
    _exit(0);
}

/* ---- its end -----------------------------------------------------------------------------------
 */

static void listen_to(struct scree_worker *worker)
{
    struct scree_worker_line *line = &worker->line;
    char text[512];
    ssize_t n;

    for (int k = 0; k < MAX_PIECES && (n = read(worker->output, text, sizeof text)) > 0; k++)
        for (ssize_t i = 0; i < n; i++) {
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

/* Waits for the process, which was killed. One that cannot die even so - in a driver that hangs -
 * is left behind. */
static void reap(struct scree_worker *worker)
{
    int64_t until = now_ns() + END_MS * MS_NS;
    pid_t ended;

    worker->status = 0;
    do {
        ended = waitpid(worker->process, &worker->status, WNOHANG);
        if (ended == 0)
            (void)poll(NULL, 0, 1);
    } while ((ended == 0 && now_ns() < until) || (ended < 0 && errno == EINTR));
}

/* Leaves nothing of the worker but how it ended. */
static void bury(struct scree_worker *worker)
{
    listen_to(worker);
    (void)kill(worker->process, SIGKILL);
    reap(worker);
    close(worker->socket);
    close(worker->output);
    worker->process = 0;
}

/* True if the process is gone, or was not ours to wait for. Leaves it to be waited for. */
static bool is_gone(const struct scree_worker *worker)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)worker->process, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid == worker->process;
}

void scree_worker_tell(const struct scree_worker *worker, enum scree_worker_news news,
                       const char *doing, char *text, size_t n)
{
    char line[sizeof worker->line.text];
    int status = worker->status;
    const char *colon;

    memcpy(line, worker->line.text, sizeof line);
    line[worker->line.n] = '\0';
    scree_text_make_safe(line, worker->line.n);
    colon = line[0] ? ": " : "";
    if (news == SCREE_WORKER_LATE)
        (void)snprintf(text, n, "it had not finished %s the model after %g s", doing,
                       (double)((worker->limit_ms + 50) / 100) / 10);
    else if (WIFSIGNALED(status))
        (void)snprintf(text, n, "it crashed %s the model (%s)%s%s", doing,
                       strsignal(WTERMSIG(status)), colon, line);
    else
        (void)snprintf(text, n, "it ended the process %s the model (exit code %d)%s%s", doing,
                       WEXITSTATUS(status), colon, line);
}

/* ---- this process ------------------------------------------------------------------------------
 */

static void set_limit(struct scree_worker *worker, int64_t limit_ms)
{
    worker->limit_ms = limit_ms;
    worker->until_ns = now_ns() + limit_ms * MS_NS;
}

/* No handler of ours runs in the child: signals wait until it has set its own. */
static pid_t fork_quietly(void)
{
    sigset_t all, before;
    pid_t child;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    child = fork();
    if (child != 0)
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return child;
}

int scree_worker_start(struct scree_worker *worker, const struct scree_worker_task *task, void *arg,
                       int64_t limit_ms, struct scree_error *err)
{
    int sockets[2], output[2];
    pid_t child;

    *worker = (struct scree_worker){0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return scree_fail(err, EAGAIN, "no socket for the delegate: %s", strerror(errno));
    /* Neither side waits for the other to print or to listen. */
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0) {
        close(sockets[0]);
        close(sockets[1]);
        return scree_fail(err, EAGAIN, "no pipe for the delegate: %s", strerror(errno));
    }
    child = fork_quietly();
    if (child == 0) {
        set_descriptors(sockets[1], output[1]);
        be_worker(task, arg, limit_ms);
    }
    close(sockets[1]);
    close(output[1]);
    if (child < 0) {
        close(sockets[0]);
        close(output[0]);
        return scree_fail(err, EAGAIN, "no process for the delegate: %s", strerror(errno));
    }
    worker->process = child;
    worker->socket = sockets[0];
    worker->output = output[0];
    set_limit(worker, limit_ms);
    return 0;
}

void scree_worker_ask(struct scree_worker *worker, uint32_t request, int64_t limit_ms)
{
    const struct request message = {request, alarm_s(limit_ms)};

    set_limit(worker, limit_ms);
    (void)send(worker->socket, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Waits for what comes next, a while at most. Returns false if its time is over. */
static bool wait_for(struct scree_worker *worker)
{
    struct pollfd fds[] = {{.fd = worker->socket, .events = POLLIN},
                           {.fd = worker->output, .events = POLLIN}};
    int64_t left_ms = (worker->until_ns - now_ns() + MS_NS - 1) / MS_NS;

    if (left_ms <= 0)
        return false;
    (void)poll(fds, 2, (int)(left_ms < LOOK_MS ? left_ms : LOOK_MS));
    if (fds[1].revents & POLLIN)
        listen_to(worker);
    /* Who closes its output without having ended is not to be asked again and again. */
    else if (fds[1].revents && !fds[0].revents)
        (void)poll(fds, 1, (int)(left_ms < LOOK_MS ? left_ms : LOOK_MS));
    return true;
}

enum scree_worker_news scree_worker_hear(struct scree_worker *worker, bool wait, int *ret_answer)
{
    bool gone = false, in_time = true;

    for (;;) {
        ssize_t n = recv(worker->socket, ret_answer, sizeof *ret_answer, MSG_DONTWAIT);

        if (n == (ssize_t)sizeof *ret_answer)
            return SCREE_WORKER_ANSWERED;
        if (gone || n >= 0 || (errno != EAGAIN && errno != EINTR)) {
            bury(worker);
            return SCREE_WORKER_DIED;
        }
        if (!in_time) {
            bury(worker);
            return SCREE_WORKER_LATE;
        }
        if (!wait && now_ns() < worker->until_ns && !is_gone(worker))
            return SCREE_WORKER_BUSY;
        in_time = wait_for(worker);
        gone = is_gone(worker);
    }
}

void scree_worker_stop(struct scree_worker *worker)
{
    enum scree_worker_news news;
    int answer;

    if (worker->process == 0)
        return;
    (void)shutdown(worker->socket, SHUT_WR);
    set_limit(worker, END_MS);
    do
        news = scree_worker_hear(worker, true, &answer);
    while (news == SCREE_WORKER_ANSWERED && now_ns() < worker->until_ns);
    if (news == SCREE_WORKER_ANSWERED) /* still: nobody asks it anything */
        bury(worker);
}
