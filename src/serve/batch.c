#include "serve/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "engine/rows.h"

/* A run on its way. */
struct batch {
    struct scree_served *served;
    struct scree_instance *instance;
    struct scree_batch_member *members[SCREE_SERVED_MAX_BATCH]; /* the first has the instance */
    uint32_t n_members, n_rows;
    struct scree_session *session;
    uint32_t size; /* rows of the session */
    uint64_t clock, input_ns, compute_ns, output_ns;
    enum scree_ran ran;
};

/* ---- who is in it ---- */

/* The rows of the largest batch that is full, with those that wait; else of the smallest one that
 * is large enough. */
static uint32_t choose_rows(const struct scree_served *served, uint32_t own, uint32_t waiting)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < served->n_sizes; i++)
        if (served->sizes[i] <= own + waiting || rows < own)
            rows = served->sizes[i];
    return rows;
}

static void gather(struct batch *batch, struct scree_batch_member *first)
{
    struct scree_served *served = batch->served;
    struct scree_turn_waiter *taken[SCREE_SERVED_MAX_BATCH];
    uint64_t delay_ns = served->batch_delay_ns;
    uint32_t rows, n;

    batch->members[0] = first;
    batch->n_members = 1;
    if (!served->has_rows)
        return;
    rows = delay_ns > 0 ? served->sizes[served->n_sizes - 1]
                        : choose_rows(served, first->n_rows, scree_turns_rows(&served->turns));
    n = scree_turns_gather(&served->turns, rows - first->n_rows, delay_ns, taken);
    for (uint32_t i = 0; i < n; i++)
        batch->members[batch->n_members++] = (struct scree_batch_member *)(void *)taken[i];
}

/* Whether it makes sense to go on. */
static int still_wanted(const struct scree_batch_member *member)
{
    if (scree_now_ns() >= member->deadline_ns)
        return scree_fail(member->err, ETIMEDOUT, "the deadline passed before the model could run");
    if (member->is_gone && member->is_gone(member->gone_context))
        return scree_fail(member->err, EAGAIN, "the client has gone away");
    return 0;
}

/* Looks who still wants an answer, and takes the smallest session for them. */
static void choose_session(struct batch *batch)
{
    const struct scree_served *served = batch->served;
    uint32_t n_rows = 0, i = 0;

    for (uint32_t k = 0; k < batch->n_members; k++) {
        struct scree_batch_member *member = batch->members[k];

        member->rc = still_wanted(member);
        n_rows += member->rc < 0 ? 0 : member->n_rows;
    }
    while (i + 1 < served->n_sizes && served->sizes[i] < n_rows)
        i++;
    batch->session = batch->instance->sessions[i];
    batch->size = served->sizes[i];
}

/* ---- rows ---- */

static void view_row(const struct batch *batch, uint32_t row)
{
    if (batch->served->has_rows)
        scree_session_view_row(batch->session, (int32_t)row);
}

/* Fills the rows of all members; those of one that fails are the next one's. */
static void fill(struct batch *batch)
{
    for (uint32_t k = 0; k < batch->n_members; k++) {
        struct scree_batch_member *member = batch->members[k];

        member->times->queue_ns += scree_lap_ns(&member->clock);
        for (uint32_t i = 0; member->rc >= 0 && i < member->n_rows; i++) {
            view_row(batch, batch->n_rows + i);
            member->rc = member->fill(member->context, i, batch->session, member->err);
        }
        batch->n_rows += member->rc < 0 ? 0 : member->n_rows;
        member->times->preprocess_ns += scree_lap_ns(&member->clock);
    }
}

/* Nobody's rows: nobody is to compute with another's. */
static void clear_rows(const struct batch *batch)
{
    struct scree_tensor input;

    for (uint32_t row = batch->n_rows; batch->served->has_rows && row < batch->size; row++) {
        view_row(batch, row);
        for (uint32_t i = 0; scree_session_input(batch->session, i, &input) >= 0; i++)
            if (input.bytes > 0)
                memset(input.data, 0, input.bytes);
    }
}

/* ---- the run ---- */

/* Counts what the delegate's checks found; returns where it ran. */
static enum scree_ran tell_run(struct batch *batch, const struct scree_run_stats *before,
                               const struct scree_run_stats *after)
{
    struct scree_served_stats *stats = &batch->served->stats;

    stats->n_repeated += after->repeated - before->repeated;
    stats->n_rested += after->fallbacks - before->fallbacks;
    stats->n_late += after->late - before->late;
    stats->n_lost += after->lost - before->lost;
    stats->n_gave_up += after->failed - before->failed;
    stats->n_died += after->died - before->died;
    if (after->verified - before->verified == after->runs - before->runs)
        return batch->instance->ran;
    return after->verified == before->verified ? SCREE_RAN_CPU : SCREE_RAN_MIXED;
}

/* Who is at work at the same time, decoding or computing, shares the threads; so does who is about
 * to begin, which a crew knows. */
static int share_threads(struct scree_served *served, const struct scree_session *session)
{
    uint32_t waiting, n_begun = 0, n = atomic_fetch_add(served->n_at_work, 1) + 1;

    if (served->crew)
        scree_turns_count(&served->stages, &waiting, &n_begun);
    return scree_session_n_threads(session) / (int)(n_begun > n ? n_begun : n);
}

static int run(struct batch *batch, struct scree_error *err)
{
    struct scree_session *session = batch->session;
    struct scree_run_stats before, after;
    int rc;

    scree_session_stats(session, &before);
    scree_session_use_threads(session, share_threads(batch->served, session));
    rc = scree_session_run(session, err);
    atomic_fetch_sub(batch->served->n_at_work, 1);
    scree_session_stats(session, &after);
    batch->ran = tell_run(batch, &before, &after);
    batch->compute_ns = scree_lap_ns(&batch->clock);
    batch->instance->busy_ns += batch->compute_ns;
    return rc;
}

static void count_run(const struct batch *batch)
{
    struct scree_served_stats *stats = &batch->served->stats;
    struct scree_batch_stats *sized = &stats->batches[batch->n_rows];
    char labels[96];

    stats->n_runs++;
    stats->n_rows += batch->n_rows;
    sized->n++;
    sized->input_ns += batch->input_ns;
    sized->compute_ns += batch->compute_ns;
    sized->output_ns += batch->output_ns;
    (void)snprintf(labels, sizeof labels, "model=\"%s\"", batch->served->name);
    scree_metrics_observe(batch->served->metrics, SCREE_METRIC_BATCH_ROWS, labels, batch->n_rows);
}

/* ---- what comes out ---- */

/* Reads the rows of a member, whose first one is row `at`. */
static void take(const struct batch *batch, struct scree_batch_member *member, uint32_t at)
{
    uint64_t clock = scree_now_ns();

    for (uint32_t i = 0; member->rc >= 0 && i < member->n_rows; i++) {
        view_row(batch, at + i);
        member->rc = member->take(member->context, i, batch->instance, batch->session, member->err);
    }
    member->times->compute_ns += batch->compute_ns;
    member->times->postprocess_ns += scree_lap_ns(&clock);
    member->times->ran = batch->ran;
}

/* A run that failed did so for all. */
static void fail_all(const struct batch *batch, int rc, const struct scree_error *why)
{
    for (uint32_t k = 0; k < batch->n_members; k++) {
        struct scree_batch_member *member = batch->members[k];

        if (member->rc >= 0)
            member->rc = scree_fail(member->err, -rc, "%s", why->text);
    }
}

/* With an instance: all of it but the end of members. */
static void work(struct batch *batch)
{
    uint32_t at = 0;
    struct scree_error why;
    int rc;

    batch->clock = scree_now_ns();
    choose_session(batch);
    fill(batch);
    if (batch->n_rows == 0)
        return;
    clear_rows(batch);
    batch->input_ns = scree_lap_ns(&batch->clock);
    rc = run(batch, &why);
    if (rc < 0) {
        fail_all(batch, rc, &why);
        return;
    }
    for (uint32_t k = 0; k < batch->n_members; k++)
        if (batch->members[k]->rc >= 0) {
            uint32_t n_rows = batch->members[k]->n_rows;

            take(batch, batch->members[k], at);
            at += n_rows;
        }
    batch->output_ns = scree_lap_ns(&batch->clock);
    count_run(batch);
}

int scree_batch_run(struct scree_served *served, struct scree_batch_member *member)
{
    struct batch batch = {.served = served};
    uint32_t index;
    int rc = scree_turns_join(&served->turns, member->priority, member->deadline_ns,
                              served->has_rows ? member->n_rows : 0, &member->waiter, &index,
                              member->err);

    if (rc < 0)
        member->times->queue_ns += scree_lap_ns(&member->clock);
    if (rc != 0)
        return rc < 0 ? rc : member->rc;
    batch.instance = &served->instances[index];
    gather(&batch, member);
    work(&batch);
    scree_turns_give(&served->turns, index);
    for (uint32_t k = 1; k < batch.n_members; k++)
        scree_turns_end(&served->turns, &batch.members[k]->waiter);
    return member->rc;
}
