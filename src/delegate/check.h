/* delegate/check.h - whether what a delegate left in its outputs can be trusted.
 *
 * The rocket kernel driver tells nobody that a job failed: submitting drops the errors of jobs, and
 * a job that hangs is reset after half a second and then looks finished. So each run is checked
 * from outside, with what costs little:
 *
 *   canary      outputs are filled with a pattern before; 16 bytes of it left in a row were never
 *               written
 *   staleness   a job that did not run leaves the last run's outputs. So the same outputs for other
 *               inputs are suspicious - not bad, since outputs can saturate: the caller has
 *               to find out, and says scree_check_trust() if they were right
 *   time        a run that takes the kernel's half second more than others had a job reset, unless
 *               the interrupts tell that it had not
 *   interrupts  each task of the NPU ends in one; fewer than there are tasks means lost ones
 *
 * A wrong alarm of the other checks costs a run on the CPU, nothing else. Wrong bytes that a job
 * really wrote are not found this way.
 *
 * Memory: none kept but the struct. Threads: one. */
#ifndef SCREE_DELEGATE_CHECK_H
#define SCREE_DELEGATE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delegate/instance.h"
#include "delegate/interrupts.h"

struct scree_run_check {
    const struct scree_npu_counter *counter; /* NULL: interrupts cannot be seen */
    struct scree_delegate_measure expected;  /* 0: not known */
    uint64_t n_runs;
    /* Of the last run that was trusted. */
    bool has_last;
    uint64_t last_in, last_out;
    /* Of the run at hand. */
    uint64_t in, out, out_bytes;
    uint64_t start_ns, start_interrupts;
    bool is_touched;
};

/* Begins a run. Then come scree_check_input() for each input and
 * scree_check_fill() for each output, the run between start and stop, and scree_check_output() for
 * each output. */
void scree_check_begin(struct scree_run_check *check);

/* Looks at an input u8[n]. */
void scree_check_input(struct scree_run_check *check, const void *data, size_t n);

/* Fills an output u8[n] with the canary of this run. */
void scree_check_fill(const struct scree_run_check *check, void *data, size_t n);

/* Starts the clock, right before the run. */
void scree_check_start(struct scree_run_check *check);

/* Stops it, right after. */
void scree_check_stop(struct scree_run_check *check, struct scree_delegate_measure *ret_measure);

/* Looks at an output u8[n] as the delegate left it. */
void scree_check_output(struct scree_run_check *check, const void *data, size_t n);

/* Judges the run and remembers it if it was good. */
enum scree_delegate_end scree_check_end(struct scree_run_check *check,
                                        const struct scree_delegate_measure *measure);

/* Remembers a run as good that was judged to be stale. */
void scree_check_trust(struct scree_run_check *check);

#endif
