#include "cli/scaling.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "device/discover.h"

#define MAX_INSTANCES 16
#define MAX_CLIENTS   64
#define MAX_ROWS      16

/* What the clients share. */
struct load {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct scree_session *free[MAX_INSTANCES];
    int n_free;
    int next, end; /* requests handed out, and how many there are; the first are warm-up */
    int warmup;
    uint64_t start_ns; /* when the first counted request began */
    double *ms;        /* f64[end - warmup]: each from being asked to being answered */
    int rc;            /* the first failure */
    struct scree_error err;
};

struct row {
    int n_instances, n_clients;
    double p50_ms, p90_ms, p99_ms, per_second;
    struct scree_run_stats stats; /* of all sessions together */
    uint32_t n_cores;
    uint64_t tasks[SCREE_NPU_MAX_CORES];
};

/* ---- load --------------------------------------------------------------------------------------
 */

/* The number of the next request, or -1 if there is none. */
static int next_request(struct load *load)
{
    int request = -1;

    pthread_mutex_lock(&load->lock);
    if (load->next < load->end && load->rc >= 0) {
        request = load->next++;
        if (request == load->warmup)
            load->start_ns = scree_cli_now_ns();
    }
    pthread_mutex_unlock(&load->lock);
    return request;
}

static struct scree_session *take_session(struct load *load)
{
    struct scree_session *session;

    pthread_mutex_lock(&load->lock);
    while (load->n_free == 0)
        pthread_cond_wait(&load->freed, &load->lock);
    session = load->free[--load->n_free];
    pthread_mutex_unlock(&load->lock);
    return session;
}

static void give_back(struct load *load, struct scree_session *session, int rc,
                      const struct scree_error *err)
{
    pthread_mutex_lock(&load->lock);
    load->free[load->n_free++] = session;
    if (rc < 0 && load->rc >= 0) {
        load->rc = rc;
        load->err = *err;
    }
    pthread_cond_signal(&load->freed);
    pthread_mutex_unlock(&load->lock);
}

static void *be_client(void *arg)
{
    struct load *load = arg;
    int request;

    while ((request = next_request(load)) >= 0) {
        uint64_t asked = scree_cli_now_ns();
        struct scree_session *session = take_session(load);
        struct scree_error err;
        int rc = scree_session_run(session, &err);

        give_back(load, session, rc, &err);
        if (request >= load->warmup)
            load->ms[request - load->warmup] = (double)(scree_cli_now_ns() - asked) / 1e6;
    }
    return NULL;
}

static void run_clients(struct load *load, int n_clients)
{
    pthread_t threads[MAX_CLIENTS];
    int n = 0;

    while (n < n_clients - 1 && pthread_create(&threads[n], NULL, be_client, load) == 0)
        n++;
    be_client(load);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double percentile(const double *sorted, int n, double p)
{
    int rank = (int)ceil(p / 100 * n);

    return sorted[rank < 1 ? 0 : rank - 1];
}

static void add_stats(struct scree_run_stats *sum, const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    sum->device = stats.device;
    sum->runs += stats.runs;
    sum->verified += stats.verified;
    sum->repeated += stats.repeated;
    sum->fallbacks += stats.fallbacks;
}

/* The NPU's tasks so far, by core. */
static void count_tasks(struct row *row, uint64_t *tasks)
{
    struct scree_tree *tree;
    struct scree_npu npu = {0};

    if (scree_tree_open("/", &tree, NULL) < 0)
        return;
    scree_npu_discover(tree, &npu);
    if (scree_npu_interrupts(tree, &npu, tasks) >= 0)
        row->n_cores = npu.n_cores;
    scree_tree_free(tree);
}

static int measure(const struct scree_scaling *scaling, struct scree_session **sessions,
                   struct row *row)
{
    struct load load = {.end = scaling->warmup + scaling->runs, .warmup = scaling->warmup};
    uint64_t before[SCREE_NPU_MAX_CORES] = {0};
    double seconds;

    load.ms = calloc((size_t)scaling->runs, sizeof load.ms[0]);
    if (!load.ms) {
        fprintf(stderr, "scree: no memory for %d times\n", scaling->runs);
        return SCREE_EXIT_FAILED;
    }
    pthread_mutex_init(&load.lock, NULL);
    pthread_cond_init(&load.freed, NULL);
    for (int i = 0; i < row->n_instances; i++) {
        scree_cli_fill_random(sessions[i], (uint64_t)scaling->seed);
        load.free[load.n_free++] = sessions[i];
    }
    count_tasks(row, before);
    run_clients(&load, row->n_clients);
    seconds = (double)(scree_cli_now_ns() - load.start_ns) / 1e9;
    count_tasks(row, row->tasks);
    for (uint32_t i = 0; i < row->n_cores; i++)
        row->tasks[i] -= before[i];
    qsort(load.ms, (size_t)scaling->runs, sizeof load.ms[0], compare);
    row->p50_ms = percentile(load.ms, scaling->runs, 50);
    row->p90_ms = percentile(load.ms, scaling->runs, 90);
    row->p99_ms = percentile(load.ms, scaling->runs, 99);
    row->per_second = scaling->runs / seconds;
    for (int i = 0; i < row->n_instances; i++)
        add_stats(&row->stats, sessions[i]);
    pthread_cond_destroy(&load.freed);
    pthread_mutex_destroy(&load.lock);
    free(load.ms);
    return load.rc < 0 ? scree_cli_fail(load.rc, &load.err) : SCREE_EXIT_OK;
}

static int measure_row(const struct scree_scaling *scaling, struct row *row)
{
    struct scree_session *sessions[MAX_INSTANCES] = {0};
    struct scree_model *model = NULL;
    int code = SCREE_EXIT_OK, n;

    for (n = 0; n < row->n_instances && code == SCREE_EXIT_OK; n++)
        code = n == 0 ? scree_cli_open_shaped(scaling->path, scaling->common, scaling->shapes,
                                              &model, &sessions[n])
                      : scree_cli_open_another(scaling->path, model, scaling->common,
                                               scaling->shapes, &sessions[n]);
    if (code == SCREE_EXIT_OK)
        code = measure(scaling, sessions, row);
    if (sessions[0])
        scree_cli_print_note(sessions[0]);
    while (n > 0)
        scree_session_free(sessions[--n]);
    scree_model_unref(model);
    return code;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static void print_row(const struct row *row, const struct row *first)
{
    printf("  %9d  %7d  %9.3f  %9.3f  %9.3f  %9.1f  %7.2f  ", row->n_instances, row->n_clients,
           row->p50_ms, row->p90_ms, row->p99_ms, row->per_second,
           row->per_second / first->per_second);
    for (uint32_t i = 0; i < row->n_cores; i++)
        printf("%s%llu", i ? " " : "", (unsigned long long)row->tasks[i]);
    if (row->n_cores == 0)
        printf("-");
    printf("\n");
}

static void print_text(const struct scree_scaling *scaling, const struct row *rows, int n)
{
    printf("%s on %s: %d runs after %d for each row\n\n", scaling->path, rows[0].stats.device,
           scaling->runs, scaling->warmup);
    printf(
        "  instances  clients     p50 ms     p90 ms     p99 ms   a second    gain  tasks of each "
        "core\n");
    for (int i = 0; i < n; i++)
        print_row(&rows[i], &rows[0]);
}

static json_t *row_json(const struct row *row)
{
    json_t *tasks = json_array();

    for (uint32_t i = 0; i < row->n_cores; i++)
        json_array_append_new(tasks, json_integer((json_int_t)row->tasks[i]));
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:o, s:I, s:I, s:I}", "instances",
                     row->n_instances, "clients", row->n_clients, "p50_ms", row->p50_ms, "p90_ms",
                     row->p90_ms, "p99_ms", row->p99_ms, "per_second", row->per_second, "tasks",
                     tasks, "verified", (json_int_t)row->stats.verified, "repeated",
                     (json_int_t)row->stats.repeated, "fallbacks",
                     (json_int_t)row->stats.fallbacks);
}

static int print_scaling_json(const struct scree_scaling *scaling, const struct row *rows, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, row_json(&rows[i]));
    return scree_cli_print_json(json_pack("{s:s, s:s, s:i, s:i, s:o}", "model", scaling->path,
                                          "device", rows[0].stats.device, "runs", scaling->runs,
                                          "warmup", scaling->warmup, "rows", list));
}

/* Reads "1,2,3". Returns how many, or -1. */
static int read_rows(const struct scree_scaling *scaling, struct row *rows)
{
    const char *at = scaling->instances;
    int n = 0;

    for (;;) {
        char *end;
        long instances = strtol(at, &end, 10);

        if (end == at || instances < 1 || instances > MAX_INSTANCES || n == MAX_ROWS)
            return -1;
        rows[n].n_instances = (int)instances;
        rows[n++].n_clients = scaling->concurrency ? scaling->concurrency : (int)instances;
        if (*end == '\0')
            return n;
        if (*end != ',')
            return -1;
        at = end + 1;
    }
}

int scree_cli_scaling(const struct scree_scaling *scaling)
{
    struct row rows[MAX_ROWS] = {0};
    int n = read_rows(scaling, rows), code;

    if (n < 0) {
        fprintf(stderr, "scree bench: --instances %s: numbers from 1 to %d are wanted, as 1,2,3\n",
                scaling->instances, MAX_INSTANCES);
        return SCREE_EXIT_USAGE;
    }
    for (int i = 0; i < n; i++) {
        code = measure_row(scaling, &rows[i]);
        if (code)
            return code;
    }
    if (scaling->common->json)
        return print_scaling_json(scaling, rows, n);
    print_text(scaling, rows, n);
    return SCREE_EXIT_OK;
}
