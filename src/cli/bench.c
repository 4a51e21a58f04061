/* scree bench: how fast a model runs here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scaling.h"

/* The incumbent's verdict on a frame: its limits in ms. */
#define SUCCESS_MS   50.0
#define EXCELLENT_MS 21.0

#define N_BINS 12

struct bench_args {
    int warmup, runs, seed;
    bool profile;
    const char *shapes, *instances;
    int concurrency;
    struct scree_common_args common;
};

static const struct scree_option options[] = {
    {"runs", 'n', SCREE_OPTION_INT, "N", "counted runs (default 50)",
     offsetof(struct bench_args, runs), 1, 1000000},
    {"warmup", 'w', SCREE_OPTION_INT, "N", "runs before that, not counted (default 5)",
     offsetof(struct bench_args, warmup), 0, 1000000},
    {"seed", 's', SCREE_OPTION_INT, "N", "seed of the random input (default 1)",
     offsetof(struct bench_args, seed), 0, 2147483647},
    {"profile", 'p', SCREE_OPTION_FLAG, NULL, "also the time of each operator",
     offsetof(struct bench_args, profile), 0, 0},
    {"shape", 0, SCREE_OPTION_TEXT, "SHAPES", "new input shapes, as 1x320x320x3, comma separated",
     offsetof(struct bench_args, shapes), 0, 0},
    {"instances", 'i', SCREE_OPTION_TEXT, "LIST",
     "a row of a table for each number of sessions at once, as 1,2,3",
     offsetof(struct bench_args, instances), 0, 0},
    {"concurrency", 'c', SCREE_OPTION_INT, "N",
     "with --instances: clients that ask at once (default: one for each)",
     offsetof(struct bench_args, concurrency), 1, 64},
    SCREE_COMMON_OPTIONS(struct bench_args, common),
    {0}};

struct result {
    int n;
    double *ms;  /* [n], sorted */
    double *sum; /* ms of each node over all runs */
    double load_ms;
    double peak_mib; /* of this process's memory */
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double mean(const struct result *result)
{
    double sum = 0;

    for (int i = 0; i < result->n; i++)
        sum += result->ms[i];
    return sum / result->n;
}

/* The nearest-rank percentile of the sorted times. */
static double percentile(const struct result *result, double p)
{
    int rank = (int)ceil(p / 100 * result->n);

    return result->ms[rank < 1 ? 0 : rank - 1];
}

/* The most memory that this process has had, in MiB; 0 if the kernel does not tell. Not by
 * getrusage(), which counts the process that this one was forked from. */
static double peak_mib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    double kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    return kib / 1024;
}

static int measure(struct scree_session *session, const struct bench_args *args,
                   struct result *result)
{
    struct scree_error err;

    scree_session_profile(session, args->profile);
    scree_cli_fill_random(session, (uint64_t)args->seed);
    for (int i = -args->warmup; i < args->runs; i++) {
        uint64_t start = scree_cli_now_ns();
        int rc = scree_session_run(session, &err);

        if (rc < 0)
            return scree_cli_fail(rc, &err);
        if (i < 0)
            continue;
        result->ms[i] = (double)(scree_cli_now_ns() - start) / 1e6;
        for (uint32_t k = 0; args->profile && k < scree_session_n_nodes(session); k++) {
            struct scree_node_report report;

            scree_session_report(session, k, &report);
            result->sum[k] += (double)report.last_ns / 1e6;
        }
    }
    qsort(result->ms, (size_t)result->n, sizeof result->ms[0], compare);
    result->peak_mib = peak_mib();
    return SCREE_EXIT_OK;
}

static const char *verdict(double ms)
{
    return ms <= EXCELLENT_MS ? "EXCELLENT" : ms < SUCCESS_MS ? "SUCCESS" : "SLOW";
}

/* ---- text --------------------------------------------------------------------------------------
 */

static void print_histogram(const struct result *result)
{
    double low = result->ms[0], width = (percentile(result, 99) - low) / N_BINS;
    int bins[N_BINS] = {0}, most = 1;

    for (int i = 0; i < result->n; i++) {
        double bin = width > 0 ? (result->ms[i] - low) / width : 0;

        bins[bin < N_BINS ? (int)bin : N_BINS - 1]++;
    }
    for (int i = 0; i < N_BINS; i++)
        most = bins[i] > most ? bins[i] : most;
    printf("\n");
    for (int i = 0; i < N_BINS && (width > 0 || i == 0); i++) {
        printf("  %9.3f ms  %5d ", low + i * width, bins[i]);
        for (int k = 0; k < bins[i] * 50 / most; k++)
            putchar('#');
        putchar('\n');
    }
}

static void print_profile(const struct scree_session *session, const struct result *result)
{
    double total = 0;

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++)
        total += result->sum[i];
    printf("\n  node  operator                   device          ms      %%      GMAC/s  output\n");
    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;
        double ms = result->sum[i] / result->n;
        char shape[96], speed[16] = "";

        scree_session_report(session, i, &report);
        if (report.macs > 0 && ms > 0)
            (void)snprintf(speed, sizeof speed, "%.2f", (double)report.macs / ms / 1e6);
        printf("  %4u  %-25s  %-8s  %8.3f  %5.1f  %10s  %s\n", i, report.op, report.device, ms,
               total > 0 ? result->sum[i] / total * 100 : 0, speed,
               scree_cli_shape(&report.shape, shape, sizeof shape));
    }
}

static void print_text(const struct scree_session *session, const char *path,
                       const struct bench_args *args, const struct result *result)
{
    uint64_t macs = scree_cli_macs(session);
    double p50 = percentile(result, 50);

    printf("%s: %d runs after %d, loaded in %.1f ms, %.1f MiB of memory at most\n", path, result->n,
           args->warmup, result->load_ms, result->peak_mib);
    printf("  mean %.3f  min %.3f  p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms", mean(result),
           result->ms[0], p50, percentile(result, 90), percentile(result, 99),
           result->ms[result->n - 1]);
    printf("  (%.1f a second", 1000 / mean(result));
    if (macs > 0)
        printf(", %.2f GMAC/s", (double)macs / p50 / 1e6);
    printf(")\n");
    print_histogram(result);
    if (args->profile)
        print_profile(session, result);
    if (p50 < SUCCESS_MS)
        printf("\nSUCCESS: %.2f ms is below %.0f ms\n", p50, SUCCESS_MS);
    else
        printf("\nSLOW: %.2f ms is not below %.0f ms\n", p50, SUCCESS_MS);
    if (p50 <= EXCELLENT_MS)
        printf("EXCELLENT: %.2f ms is within %.0f ms\n", p50, EXCELLENT_MS);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static json_t *profile_json(const struct scree_session *session, const struct result *result)
{
    json_t *nodes = json_array();

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;

        scree_session_report(session, i, &report);
        json_array_append_new(
            nodes, json_pack("{s:s, s:s, s:f, s:I}", "operator", report.op, "device", report.device,
                             "ms", result->sum[i] / result->n, "macs", (json_int_t)report.macs));
    }
    return nodes;
}

static int print_bench_json(const struct scree_session *session, const char *path,
                            const struct bench_args *args, const struct result *result)
{
    double p50 = percentile(result, 50);
    json_t *json =
        json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:s}", "model",
                  path, "version", scree_version(), "runs", result->n, "warmup", args->warmup,
                  "load_ms", result->load_ms, "peak_mib", result->peak_mib, "mean_ms", mean(result),
                  "min_ms", result->ms[0], "p50_ms", p50, "p90_ms", percentile(result, 90),
                  "p99_ms", percentile(result, 99), "max_ms", result->ms[result->n - 1], "macs",
                  (json_int_t)scree_cli_macs(session), "verdict", verdict(p50));

    if (args->profile)
        json_object_set_new(json, "nodes", profile_json(session, result));
    return scree_cli_print_json(json);
}

static int run_bench(struct scree_session *session, const char *path, const struct bench_args *args,
                     double load_ms)
{
    struct result result = {.n = args->runs, .load_ms = load_ms};
    int rc = SCREE_EXIT_FAILED;

    result.ms = calloc((size_t)args->runs, sizeof result.ms[0]);
    result.sum = calloc((size_t)scree_session_n_nodes(session) + 1, sizeof result.sum[0]);
    if (result.ms && result.sum)
        rc = measure(session, args, &result);
    else
        fprintf(stderr, "scree: no memory for %d times\n", args->runs);
    if (rc == SCREE_EXIT_OK && args->common.json)
        rc = print_bench_json(session, path, args, &result);
    else if (rc == SCREE_EXIT_OK)
        print_text(session, path, args, &result);
    free(result.sum);
    free(result.ms);
    return rc;
}

/* Sessions side by side have one thread each unless more are asked for. */
static int bench_instances(const char *path, struct bench_args *args)
{
    const struct scree_scaling scaling = {
        .path = path,
        .instances = args->instances,
        .shapes = args->shapes,
        .concurrency = args->concurrency,
        .runs = args->runs,
        .warmup = args->warmup,
        .seed = args->seed,
        .common = &args->common,
    };

    if (args->common.n_threads == 0)
        args->common.n_threads = 1;
    return scree_cli_scaling(&scaling);
}

static int run(int argc, char **argv)
{
    struct bench_args args = {.warmup = 5, .runs = 50, .seed = 1};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    struct scree_model *model;
    struct scree_session *session;
    uint64_t start = scree_cli_now_ns();
    int rc = scree_args_parse(&scree_verb_bench, argc, argv, &args, &positionals);

    if (rc)
        return rc - 1;
    if (args.instances)
        return bench_instances(positionals.v[0], &args);
    rc = scree_cli_open_shaped(positionals.v[0], &args.common, args.shapes, &model, &session);
    if (rc)
        return rc;
    rc = run_bench(session, positionals.v[0], &args, (double)(scree_cli_now_ns() - start) / 1e6);
    scree_cli_print_note(session);
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

const struct scree_verb scree_verb_bench = {
    .name = "bench",
    .positionals = "MODEL",
    .min_positionals = 1,
    .max_positionals = 1,
    .summary = "Measure how fast a model runs on this machine",
    .details =
        "Runs on random input. SUCCESS means that the median run takes less than 50 ms, "
        "EXCELLENT\nat most 21 ms. With --instances, several sessions run at once, each with "
        "an NPU core of\nits own if there are enough: the table tells what more of them bring.",
    .options = options,
    .examples = "  scree bench model.tflite --threads 1 --profile\n"
                "  scree bench model.tflite --runs 200 --json\n"
                "  scree bench model.tflite --device teflon --instances 1,2,3",
    .run = run,
};
