#include "plugin/probe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "doctor/checks.h"
#include "plugin/journal.h"

#define SECOND_NS   UINT64_C(1000000000)
#define DEADLINE_NS (10 * SECOND_NS)

/* ---- the child ------------------------------------------------------------------------------- */

static struct scree_npu_look judge(const struct scree_trial *trial)
{
    struct scree_npu_look look = {.reason = SCREE_REASON_PROBE_FAILED};

    if (trial->rc < 0)
        (void)snprintf(look.text, sizeof look.text, "the test convolution cannot be run: %.100s",
                       trial->err.text);
    else if (trial->lost)
        (void)snprintf(look.text, sizeof look.text, "the test convolution was lost");
    else if (trial->n_wrong > 0)
        (void)snprintf(look.text, sizeof look.text,
                       "the test convolution has %u wrong bytes of output", trial->n_wrong);
    else
        look.reason = SCREE_REASON_READY;
    return look;
}

/* What the child says. */
struct word {
    struct scree_npu_look look;
    uint32_t us;
    bool forbidden; /* this program may not open the device: nothing is known of it */
};

/* Signals are blocked in the parent, which reads them from a descriptor. */
static void run_child(const char *node, int to)
{
    struct scree_trial trial;
    struct word word;
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    scree_try_cores(node, 1, &trial);
    memset(&word, 0, sizeof word);
    word.look = judge(&trial);
    word.us = trial.us;
    word.forbidden = trial.rc == -EACCES;
    (void)!write(to, &word, sizeof word);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* Collects a child that has ended; a killed one that hangs in the kernel stays. */
static bool collect(struct scree_prober *prober)
{
    if (prober->child > 0 && waitpid(prober->child, NULL, WNOHANG) != 0)
        prober->child = 0;
    return prober->child == 0;
}

static void set_look(struct scree_prober *prober, const struct scree_npu_look *look)
{
    for (uint32_t i = 0; i < prober->npus->n; i++)
        if (strcmp(prober->npus->v[i].node.path, prober->node) == 0)
            prober->npus->v[i].probe = *look;
}

static void finish(struct scree_prober *prober, const struct word *word)
{
    bool good = word->look.reason == SCREE_REASON_READY;

    scree_loop_close(prober->loop, &prober->source);
    prober->deadline.at_ns = 0;
    if (word->forbidden) {
        SCREE_JOURNAL(WARNING, "no test convolution", {"reason", word->look.text});
        return;
    }
    prober->stats.n_good += good;
    prober->stats.n_bad += !good;
    if (good)
        prober->stats.last_us = word->us;
    else
        SCREE_JOURNAL(WARNING, "the test convolution failed", {"node", prober->node},
                      {"reason", word->look.text});
    prober->doubted = !good && !prober->doubted;
    if (prober->doubted)
        prober->timer.at_ns = scree_now_ns() + SECOND_NS;
    else
        set_look(prober, &word->look);
}

static void on_word(void *context, uint32_t events)
{
    struct scree_prober *prober = context;
    struct word word;

    (void)events;
    if (read(prober->source.fd, &word, sizeof word) != (ssize_t)sizeof word) {
        memset(&word, 0, sizeof word);
        word.look = (struct scree_npu_look){.reason = SCREE_REASON_PROBE_FAILED,
                                            .text = "the test convolution ended its process"};
    }
    word.look.text[sizeof word.look.text - 1] = '\0';
    finish(prober, &word);
}

static void on_deadline(void *context)
{
    struct scree_prober *prober = context;
    const struct word word = {.look = {.reason = SCREE_REASON_PROBE_FAILED,
                                       .text = "the test convolution did not end in 10 seconds"}};

    if (prober->child > 0)
        (void)kill(prober->child, SIGKILL);
    finish(prober, &word);
}

static void start_child(struct scree_prober *prober)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    child = fork();
    if (child == 0) {
        /* Nothing of this program's is to be held open by a child that hangs. */
        (void)dup2(ends[1], 0);
        (void)close_range(3, ~0u, 0);
        run_child(prober->node, 0);
    }
    close(ends[1]);
    prober->source = (struct scree_source){.fd = ends[0], .ready = on_word, .context = prober};
    if (child < 0 || scree_loop_add(prober->loop, &prober->source, EPOLLIN, NULL) < 0) {
        close(ends[0]);
        prober->source.fd = -1;
    }
    if (child > 0) {
        prober->child = child;
        prober->deadline.at_ns = scree_now_ns() + DEADLINE_NS;
    }
}

static void on_timer(void *context)
{
    struct scree_prober *prober = context;
    const struct scree_plugin_npu *npu;

    prober->timer.at_ns = scree_now_ns() + prober->every_ns;
    if (prober->source.fd >= 0 || !collect(prober) || prober->npus->n == 0)
        return;
    prober->next += !prober->doubted;
    npu = &prober->npus->v[prober->next % prober->npus->n];
    if (!npu->present || npu->n_cores == 0)
        return;
    if (npu->n_idle == 0) {
        prober->stats.n_busy++;
        return;
    }
    memcpy(prober->node, npu->node.path, sizeof prober->node);
    start_child(prober);
}

void scree_prober_start(struct scree_prober *prober, struct scree_loop *loop,
                        struct scree_npus *npus, uint32_t every_s)
{
    *prober = (struct scree_prober){
        .loop = loop, .npus = npus, .every_ns = every_s * SECOND_NS, .source.fd = -1};
    prober->timer = (struct scree_timer){.due = on_timer, .context = prober};
    prober->deadline = (struct scree_timer){.due = on_deadline, .context = prober};
    prober->timer.at_ns = scree_now_ns() + SECOND_NS;
    scree_loop_add_timer(loop, &prober->timer);
    scree_loop_add_timer(loop, &prober->deadline);
}

void scree_prober_done(struct scree_prober *prober)
{
    if (!prober->loop)
        return;
    if (prober->child > 0)
        (void)kill(prober->child, SIGKILL);
    (void)collect(prober);
    scree_loop_close(prober->loop, &prober->source);
}
