/* Runs a model through the test delegate on the software NPU, whose faults its environment sets:
 * faults DELEGATE MODEL RUNS
 *
 * Every answer must be, to the bit, the CPU's or the one that the delegate gives without the NPU,
 * come in time, and leave nothing behind; at the end the NPU must have done some of the work.
 * Prints what became of the runs, and the longest one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <scree/scree.h>

/* What a run may take at most, see scree_delegate_run(): 1.2 seconds and eight times what is
 * expected, then it is done again. How long a good run takes is up to the machine, too: on one that
 * is busy the longest without the NPU counts. */
#define MAX_SECONDS 2.0
#define MAX_FACTOR  8

static struct scree_error err;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "faults: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct scree_session *open_session(struct scree_model *model, const char *delegate,
                                          bool uses_npu)
{
    static const char *const via[] = {"via=npu"};
    const struct scree_session_options options = {
        .n_threads = 1,
        .device = delegate ? "teflon" : "cpu",
        .delegate = delegate,
        .n_delegate_options = uses_npu,
        .delegate_options = via,
        .check_every = 1,
    };
    struct scree_session *session = NULL;

    require(scree_session_new(model, &options, &session, &err) == 0, err.text);
    return session;
}

static void fill(struct scree_session *session, uint32_t run)
{
    uint32_t state = run * 2654435761u + 12345;
    struct scree_tensor in;

    scree_session_input(session, 0, &in);
    for (size_t i = 0; i < in.bytes; i++) {
        state = state * 1664525u + 1013904223u;
        ((uint8_t *)in.data)[i] = (uint8_t)(state >> 24);
    }
}

static bool is_same(const struct scree_session *a, const struct scree_session *b)
{
    struct scree_tensor x, y;

    scree_session_output(a, 0, &x);
    scree_session_output(b, 0, &y);
    return x.bytes == y.bytes && memcmp(x.data, y.data, x.bytes) == 0;
}

static void answer(struct scree_session *session, uint32_t run)
{
    fill(session, run);
    require(scree_session_run(session, &err) == 0, err.text);
}

static uint64_t count_good(const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    return stats.verified;
}

/* As above, by the delegate itself: on a busy machine the CPU may step in. */
static void answer_plainly(struct scree_session *plain, uint32_t run)
{
    uint64_t before = count_good(plain);

    for (int i = 0; i < 1000 && count_good(plain) == before; i++)
        answer(plain, run);
    require(count_good(plain) > before, "the delegate does not work without the NPU");
}

/* Returns the seconds of the longest run. */
static double run_all(struct scree_session *npu, struct scree_session *plain,
                      struct scree_session *cpu, uint32_t n_runs)
{
    double longest = 0, longest_plain = 0;

    for (uint32_t run = 0; run < n_runs; run++) {
        double start = now_s(), seconds, others;

        answer(npu, run);
        seconds = now_s() - start;
        longest = seconds > longest ? seconds : longest;
        answer_plainly(plain, run);
        answer(cpu, run);
        others = now_s() - start - seconds;
        longest_plain = others > longest_plain ? others : longest_plain;
        require(is_same(npu, cpu) || is_same(npu, plain), "a wrong answer");
        require(seconds < MAX_SECONDS + MAX_FACTOR * longest_plain, "an answer took too long");
    }
    return longest;
}

int main(int argc, char **argv)
{
    struct scree_session *npu, *plain, *cpu;
    struct scree_run_stats stats;
    struct scree_model *model;
    int n_descriptors;
    double longest;

    require(argc == 4, "usage: faults DELEGATE MODEL RUNS");
    require(scree_model_open(argv[2], &model, &err) == 0, err.text);
    n_descriptors = count_descriptors();
    cpu = open_session(model, NULL, false);
    plain = open_session(model, argv[1], false);
    npu = open_session(model, argv[1], true);
    longest = run_all(npu, plain, cpu, (uint32_t)strtoul(argv[3], NULL, 10));
    scree_session_stats(npu, &stats);
    printf("%llu runs good, %llu repeated, %llu on the CPU at once; the longest took %.2f s; %s\n",
           (unsigned long long)stats.verified, (unsigned long long)stats.repeated,
           (unsigned long long)stats.fallbacks, longest, stats.note);
    scree_session_free(npu);
    scree_session_free(plain);
    require(stats.verified > 0, "the NPU has done nothing");
    require(count_descriptors() == n_descriptors, "a descriptor is left");
    require(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a process is left");
    scree_session_free(cpu);
    scree_model_unref(model);
    return 0;
}
