/* engine/offload.h - what of a session a delegate does.
 *
 * A session that is not for the CPU alone asks the guard which operators a delegate would compute
 * right, makes an instance of it, which works in a process of its own, and divides its plan.
 * Whatever goes wrong on that way leaves the session on the CPU, with one line that says why - or
 * fails, if the caller requires the NPU. A run that is not trusted is repeated on the CPU.
 *
 * Memory: an offload owns its delegate's library and instance. Threads: those of its session. */
#ifndef SCREE_ENGINE_OFFLOAD_H
#define SCREE_ENGINE_OFFLOAD_H

#include "engine/engine.h"

/* Offloads what can be. *shared is replaced by a divided plan, which holds a reference to the whole
 * one, if anything is; else it stays as it is. *ret_offload is NULL if the
 * session is for the CPU alone.
 *
 * Errors: EINVAL (no such device; options), ENODEV (a delegate or the NPU is required and cannot be
 * used), EBADMSG (the delegate's file is none), ENOMEM. */
int scree_offload_new(struct scree_model *model, const struct scree_session_options *options,
                      struct scree_shared_plan **shared, struct scree_offload **ret_offload,
                      struct scree_error *err);

/* Frees it. Accepts NULL. */
void scree_offload_free(struct scree_offload *offload);

/* Binds the session's memory to the parts. */
void scree_offload_bind(struct scree_offload *offload, const struct scree_session *session);

/* What the session is to do with a part after scree_offload_run(). */
enum scree_offload_verdict {
    SCREE_OFFLOAD_CPU,     /* run it on the CPU */
    SCREE_OFFLOAD_DONE,    /* nothing */
    SCREE_OFFLOAD_COMPARE, /* run it on the CPU, too, then call scree_offload_compare() */
};

/* Runs part `index`. Returns a verdict, or -ENODEV if the CPU would have to do it and the NPU is
 * required. */
int scree_offload_run(struct scree_offload *offload, uint32_t index, struct scree_error *err);

/* Compares the CPU's outputs of part `index` with those of the run before. If they are about the
 * same, the outputs are again those of the run; if not, they stay the CPU's, which is -ENODEV if
 * the NPU is required. They stay the CPU's, too, where the run left what the run before had left:
 * that is right if they are about the same, and may be a lost job's. */
int scree_offload_compare(struct scree_offload *offload, uint32_t index, struct scree_error *err);

/* Why the delegate does not run operator `index` of the file; "" if it does. Static, or lives as
 * long as the offload. */
const char *scree_offload_reason(const struct scree_offload *offload, uint32_t index);

/* Fills the statistics. */
void scree_offload_stats(const struct scree_offload *offload, struct scree_run_stats *ret_stats);

#endif
