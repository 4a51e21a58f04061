#include "delegate/check.h"

#include <string.h>
#include <time.h>

/* The kernel resets a job that has not ended by then: JOB_TIMEOUT_MS in drivers/accel/rocket. */
#define RESET_NS ((uint64_t)500000000)
/* A run is late if it takes nearly that much more than expected, and many times as long: on a busy
 * machine, or an emulated NPU, half a second is nothing. */
#define LATE_NS     (RESET_NS - RESET_NS / 10)
#define LATE_FACTOR 8
/* Fewer bytes are often the same for different inputs, and the CPU would have much to look after.
 */
#define MIN_STALE_BYTES 256

/* The finalizer of SplitMix64, by Steele, Lea and Flood (2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Words of the canary: different in each place and each run. */
static uint64_t canary(uint64_t run, size_t word)
{
    return mix(run + 1) + word * 0x9e3779b97f4a7c15u;
}

static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint64_t word = n;

    for (; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
        memcpy(&word, bytes, sizeof word);
    }
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return mix(h);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void scree_check_begin(struct scree_run_check *check)
{
    check->n_runs++;
    check->in = check->out = 0;
    check->out_bytes = 0;
    check->is_touched = true;
}

void scree_check_input(struct scree_run_check *check, const void *data, size_t n)
{
    check->in = hash(check->in, data, n);
}

void scree_check_fill(const struct scree_run_check *check, void *data, size_t n)
{
    uint8_t *bytes = data;

    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = canary(check->n_runs, i / sizeof word);

        memcpy(bytes + i, &word, n - i < sizeof word ? n - i : sizeof word);
    }
}

void scree_check_start(struct scree_run_check *check)
{
    check->start_interrupts = scree_npu_counter_read(check->counter);
    check->start_ns = now_ns();
}

void scree_check_stop(struct scree_run_check *check, struct scree_delegate_measure *ret_measure)
{
    ret_measure->run_ns = now_ns() - check->start_ns;
    ret_measure->interrupts = scree_npu_counter_read(check->counter) - check->start_interrupts;
}

/* True if two words in a row, or all there is, are the canary's. */
static bool is_canary_left(const struct scree_run_check *check, const uint8_t *bytes, size_t n)
{
    bool before = n <= sizeof(uint64_t);

    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = canary(check->n_runs, i / sizeof word);
        bool same = memcmp(bytes + i, &word, n - i < sizeof word ? n - i : sizeof word) == 0;

        if (same && before)
            return true;
        before = same;
    }
    return false;
}

void scree_check_output(struct scree_run_check *check, const void *data, size_t n)
{
    if (is_canary_left(check, data, n))
        check->is_touched = false;
    check->out = hash(check->out, data, n);
    check->out_bytes += n;
}

/* A job that was reset has raised no interrupt for its last task. If all are there, the run took
 * long for another reason. */
static bool is_late(const struct scree_run_check *check,
                    const struct scree_delegate_measure *measure)
{
    uint64_t expected = check->expected.run_ns, run_ns = measure->run_ns;

    if (check->expected.interrupts > 0 && measure->interrupts == check->expected.interrupts)
        return false;
    return expected > 0 && run_ns >= expected + LATE_NS && run_ns >= expected * LATE_FACTOR;
}

static bool is_stale(const struct scree_run_check *check)
{
    return check->has_last && check->out_bytes >= MIN_STALE_BYTES && check->in != check->last_in &&
           check->out == check->last_out;
}

void scree_check_trust(struct scree_run_check *check)
{
    check->has_last = true;
    check->last_in = check->in;
    check->last_out = check->out;
}

enum scree_delegate_end scree_check_end(struct scree_run_check *check,
                                        const struct scree_delegate_measure *measure)
{
    if (!check->is_touched)
        return SCREE_DELEGATE_UNTOUCHED;
    if (is_late(check, measure))
        return SCREE_DELEGATE_LATE;
    if (measure->interrupts < check->expected.interrupts)
        return SCREE_DELEGATE_LOST;
    if (is_stale(check))
        return SCREE_DELEGATE_STALE;
    scree_check_trust(check);
    return SCREE_DELEGATE_OK;
}
