/* Runs a model on pictures on the CPU and through a delegate and tells how they differ.
 *
 * usage: teflon_compare MODEL MAX-STEPS RUNS IMAGE...
 *
 * MAX-STEPS is how many quantization steps an 8-bit output may differ by; -1: any. Of a SOFTMAX its
 * input counts: it makes many steps of one, where a class is neither sure nor out of question. RUNS
 * is how often each picture is run. Prints where each operator runs, then a line a picture, then
 * the counts and the longest run. Outputs of the delegate's session go to the folder that the
 * environment variable OUT names, and its inputs; of so many runs as the environment variable CHECK
 * says, one is looked after by the CPU. Exit code 0 if the best class is always the same and
 * nothing differs by more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"

static int fail(const struct scree_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static void print_placement(const struct scree_session *session)
{
    uint32_t n = scree_session_n_nodes(session);

    for (uint32_t i = 0; i < n; i++) {
        struct scree_node_report report;

        scree_session_report(session, i, &report);
        printf("  %3u %-24s %-7s %s\n", report.index, report.op, report.device, report.reason);
    }
}

static int best_class(const struct scree_tensor *tensor)
{
    struct scree_class best;

    return scree_topk(tensor, 1, &best, NULL) == 1 ? best.class_id : -1;
}

static int worst_step(const struct scree_tensor *a, const struct scree_tensor *b, size_t *n_differ)
{
    int worst = 0;

    *n_differ = 0;
    for (size_t i = 0; i < a->bytes; i++) {
        int x = ((const uint8_t *)a->data)[i], y = ((const uint8_t *)b->data)[i];
        int steps = a->type == SCREE_TYPE_INT8 ? abs((int8_t)x - (int8_t)y) : abs(x - y);

        *n_differ += steps > 0;
        worst = steps > worst ? steps : worst;
    }
    return worst;
}

static void save(const char *name, int number, const struct scree_tensor *tensor)
{
    const char *folder = getenv("OUT");
    char path[4096];
    FILE *file;

    if (!folder)
        return;
    (void)snprintf(path, sizeof path, "%s/%s%d.bin", folder, name, number);
    file = fopen(path, "wb");
    if (!file)
        return;
    (void)fwrite(tensor->data, 1, tensor->bytes, file);
    (void)fclose(file);
}

struct pair {
    struct scree_session *npu, *cpu;
    int max_steps, n_runs;
    double longest_s;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Runs both on what they were given. */
static int run_both(struct pair *pair, struct scree_error *err)
{
    double start = now_s(), seconds;
    int rc = scree_session_run(pair->npu, err);

    seconds = now_s() - start;
    pair->longest_s = seconds > pair->longest_s ? seconds : pair->longest_s;
    return rc < 0 ? rc : scree_session_run(pair->cpu, err);
}

static int set_image(struct scree_session *session, const char *path, struct scree_error *err)
{
    struct scree_image *image;
    int rc = scree_image_open(path, false, &image, err);

    if (rc < 0)
        return rc;
    rc = scree_session_set_image(session, 0, image, NULL, NULL, err);
    scree_image_free(image);
    return rc;
}

static bool is_bytes(const struct scree_tensor *tensor)
{
    return tensor->type == SCREE_TYPE_UINT8 || tensor->type == SCREE_TYPE_INT8;
}

/* What output `index` is made of by a SOFTMAX, or itself. */
static void look_behind(const struct scree_session *session, uint32_t index,
                        struct scree_tensor *tensor)
{
    const struct scree_plan *plan = &session->shared->plan;
    const struct scree_operand *output = &session->operands[plan->subgraph->outputs[index]];

    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct scree_call *call = &session->calls[i];

        if (call->node->opcode != SCREE_OP_SOFTMAX || call->outputs[0] != output)
            continue;
        tensor->data = call->inputs[0]->data;
        tensor->type = call->inputs[0]->type;
        tensor->bytes = call->inputs[0]->bytes;
    }
}

/* All outputs of 8 bits. Returns 1 if they differ too much. */
static int compare(const struct pair *pair, const char *path, int number)
{
    int bad = 0;

    for (uint32_t i = 0; i < scree_session_n_outputs(pair->npu); i++) {
        struct scree_tensor a, b;
        size_t n_differ;
        int worst, here, there;

        scree_session_output(pair->npu, i, &a);
        scree_session_output(pair->cpu, i, &b);
        if (!is_bytes(&a))
            continue;
        save("out", number, &a);
        here = best_class(&a);
        there = best_class(&b);
        worst = worst_step(&a, &b, &n_differ);
        printf("%s: class %d, on the CPU %d; %zu of %zu bytes differ, by at most %d", path, here,
               there, n_differ, a.bytes, worst);
        look_behind(pair->npu, i, &a);
        look_behind(pair->cpu, i, &b);
        worst = worst_step(&a, &b, &n_differ);
        printf("; before SOFTMAX %zu by at most %d\n", n_differ, worst);
        if (here != there || (pair->max_steps >= 0 && worst > pair->max_steps))
            bad = 1;
    }
    return bad;
}

static int look(struct pair *pair, const char *path, int number)
{
    struct scree_error err;
    struct scree_tensor in;
    int bad = 0;

    for (int run = 0; run < pair->n_runs; run++) {
        if (set_image(pair->npu, path, &err) < 0 || set_image(pair->cpu, path, &err) < 0)
            return fail(&err);
        scree_session_input(pair->npu, 0, &in);
        save("in", number, &in);
        if (run_both(pair, &err) < 0)
            return fail(&err);
        bad |= compare(pair, path, number);
    }
    return bad;
}

int main(int argc, char **argv)
{
    struct scree_session_options cpu = {.n_threads = 1, .device = "cpu"};
    struct scree_session_options npu = {
        .n_threads = 1, .device = "teflon", .delegate_timeout_ms = 600000};
    const char *check = getenv("CHECK");
    struct scree_model *model;
    struct scree_run_stats stats;
    struct scree_error err;
    struct pair pair = {0};
    int bad = 0;

    if (argc < 5)
        return fprintf(stderr, "usage: teflon_compare MODEL MAX-STEPS RUNS IMAGE...\n"), 2;
    npu.check_every = check ? (uint32_t)strtoul(check, NULL, 10) : 0;
    pair.max_steps = (int)strtol(argv[2], NULL, 10);
    pair.n_runs = (int)strtol(argv[3], NULL, 10);
    if (scree_model_open(argv[1], &model, &err) < 0 ||
        scree_session_new(model, &npu, &pair.npu, &err) < 0 ||
        scree_session_new(model, &cpu, &pair.cpu, &err) < 0)
        return fail(&err);
    print_placement(pair.npu);
    for (int i = 4; i < argc; i++)
        bad |= look(&pair, argv[i], i - 4);
    scree_session_stats(pair.npu, &stats);
    printf("%u operators in %u parts on %s; %llu runs of parts: %llu verified, %llu repeated, "
           "%llu on the CPU at once; the longest took %.2f s\n",
           stats.n_nodes, stats.n_parts, stats.device, (unsigned long long)stats.runs,
           (unsigned long long)stats.verified, (unsigned long long)stats.repeated,
           (unsigned long long)stats.fallbacks, pair.longest_s);
    if (stats.note[0])
        printf("%s\n", stats.note);
    scree_session_free(pair.npu);
    scree_session_free(pair.cpu);
    scree_model_unref(model);
    return bad;
}
