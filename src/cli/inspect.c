/* scree inspect: what a model is and what running it takes. */
#include <stdlib.h>
#include <string.h>

#include "cli/graph.h"
#include "ops/ops.h"

struct inspect_args {
    bool ops, dot;
    const char *shapes, *task;
    struct scree_common_args common;
};

static const struct scree_option options[] = {
    {"ops", 0, SCREE_OPTION_FLAG, NULL, "one line an operator: where it runs, its output, its work",
     offsetof(struct inspect_args, ops), 0, 0},
    {"dot", 0, SCREE_OPTION_FLAG, NULL, "print the graph for Graphviz instead",
     offsetof(struct inspect_args, dot), 0, 0},
    {"task", 0, SCREE_OPTION_TEXT, "TASK",
     "take it for classify, detect, segment or pose, if its outputs allow",
     offsetof(struct inspect_args, task), 0, 0},
    {"shape", 0, SCREE_OPTION_TEXT, "SHAPES", "new input shapes, as 1x320x320x3, comma separated",
     offsetof(struct inspect_args, shapes), 0, 0},
    SCREE_COMMON_OPTIONS(struct inspect_args, common),
    {0}};

/* How often each operator is there. */
struct counts {
    uint32_t n;
    struct {
        const char *op;
        uint32_t n;
    } v[256];
};

static void count_op(struct counts *counts, const char *op)
{
    uint32_t k = 0;

    while (k < counts->n && strcmp(counts->v[k].op, op) != 0)
        k++;
    if (k == sizeof counts->v / sizeof counts->v[0])
        return;
    if (k == counts->n) {
        counts->v[k].op = op;
        counts->v[k].n = 0;
        counts->n++;
    }
    counts->v[k].n++;
}

static void print_counts(const struct counts *counts)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < counts->n; i++)
        total += counts->v[i].n;
    printf("  %u operators:", total);
    for (uint32_t i = 0; i < counts->n; i++)
        printf("%s %u %s", i ? "," : "", counts->v[i].n, counts->v[i].op);
    printf("\n");
}

static void print_session_counts(const struct scree_session *session)
{
    struct counts counts = {0};

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;

        scree_session_report(session, i, &report);
        count_op(&counts, report.op);
    }
    print_counts(&counts);
}

static void print_tensor(const char *what, uint32_t index, const struct scree_tensor *tensor)
{
    char shape[96];

    printf("  %s %u: %s %s '%s'", what, index, scree_type_name(tensor->type),
           scree_cli_shape(&tensor->shape, shape, sizeof shape), tensor->name);
    if (tensor->n_scales == 1)
        printf(" scale %.9g zero point %d", (double)tensor->scale, tensor->zero_point);
    else if (tensor->n_scales > 1)
        printf(" %u scales along dimension %d", tensor->n_scales, tensor->axis);
    printf("\n");
}

static void print_tensors(const struct scree_session *session)
{
    struct scree_tensor tensor;

    for (uint32_t i = 0; i < scree_session_n_inputs(session); i++)
        if (scree_session_input(session, i, &tensor) >= 0)
            print_tensor("input", i, &tensor);
    for (uint32_t i = 0; i < scree_session_n_outputs(session); i++)
        if (scree_session_output(session, i, &tensor) >= 0)
            print_tensor("output", i, &tensor);
}

static void print_ops(const struct scree_session *session)
{
    printf("\n  node  operator                   device    output                       MMAC  "
           "remark\n");
    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;
        char shape[96], output[128], macs[24] = "";

        scree_session_report(session, i, &report);
        (void)snprintf(output, sizeof output, "%s %s", scree_type_name(report.type),
                       scree_cli_shape(&report.shape, shape, sizeof shape));
        if (report.macs > 0)
            (void)snprintf(macs, sizeof macs, "%.3f", (double)report.macs / 1e6);
        printf("  %4u  %-25s  %-8s  %-24s %8s  %s\n", i, report.op, report.device, output, macs,
               report.reason);
    }
}

static enum scree_task task_of_name(const char *name)
{
    for (int task = SCREE_TASK_CLASSIFY; name && task <= SCREE_TASK_POSE; task++)
        if (strcmp(name, scree_task_name((enum scree_task)task)) == 0)
            return (enum scree_task)task;
    return SCREE_TASK_ANY;
}

/* What its outputs look like, or NULL. */
static struct scree_vision *find_task(const struct scree_session *session, const char *path,
                                      const char *task, struct scree_error *err)
{
    char side[4096];
    struct scree_vision_options wanted = {.task = task_of_name(task),
                                          .side_file = scree_cli_side(path, side, sizeof side)};
    struct scree_vision *vision = NULL;

    (void)scree_vision_new(session, &wanted, &vision, err);
    return vision;
}

static void print_task(const struct scree_session *session, const char *path, const char *task)
{
    struct scree_error err;
    struct scree_vision *vision = find_task(session, path, task, &err);

    if (vision)
        printf("  looks like: %s (%s)\n", scree_task_name(scree_vision_task(vision)),
               scree_vision_head(vision));
    else if (task)
        printf("  not for %s: %s\n", task, err.text);
    scree_vision_free(vision);
}

static void print_delegate(const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    if (stats.delegate)
        printf("  delegate: %s runs %u operators in %u parts\n", stats.delegate, stats.n_nodes,
               stats.n_parts);
}

static void print_text(const char *path, const struct scree_model *model,
                       const struct scree_session *session, const struct inspect_args *args)
{
    struct scree_memory memory;
    char arena[32], weights[32], constants[32];

    printf("%s\n", path);
    if (scree_model_description(model)[0])
        printf("  description: %s\n", scree_model_description(model));
    print_tensors(session);
    print_task(session, path, args->task);
    print_session_counts(session);
    print_delegate(session);
    scree_session_memory(session, &memory);
    printf("  %.1f million multiply-accumulates\n", (double)scree_cli_macs(session) / 1e6);
    printf("  memory: weights %s, arena %s, computed constants %s\n",
           scree_cli_bytes(memory.weights_bytes, weights, sizeof weights),
           scree_cli_bytes(memory.arena_bytes, arena, sizeof arena),
           scree_cli_bytes(memory.constants_bytes, constants, sizeof constants));
    if (args->ops)
        print_ops(session);
}

/* What can be told of a model that cannot run: its ends, its operators, and which of them are
 * missing. */
static void print_unrunnable(const struct scree_model *model, const struct scree_subgraph *subgraph)
{
    struct counts counts = {0};
    struct scree_tensor tensor;
    struct scree_error err;

    for (uint32_t i = 0; i < scree_model_n_inputs(model); i++)
        if (scree_model_input(model, i, &tensor) >= 0)
            print_tensor("input", i, &tensor);
    for (uint32_t i = 0; i < scree_model_n_outputs(model); i++)
        if (scree_model_output(model, i, &tensor) >= 0)
            print_tensor("output", i, &tensor);
    for (uint32_t i = 0; i < subgraph->n_nodes; i++)
        count_op(&counts, scree_node_name(&subgraph->nodes[i]));
    print_counts(&counts);
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_op *op;

        if (scree_op_find(&subgraph->nodes[i], &op, &err) < 0)
            printf("  operator %u: %s\n", i, err.text);
    }
}

static void inspect_unrunnable(const char *path)
{
    struct scree_cli_graph file;
    struct scree_model *model;

    if (scree_model_open(path, &model, NULL) < 0)
        return;
    if (scree_cli_graph_open(path, &file) == SCREE_EXIT_OK) {
        printf("%s\n", path);
        print_unrunnable(model, &file.graph.subgraphs[0]);
        scree_cli_graph_done(&file);
    }
    scree_model_unref(model);
}

static json_t *tensors_json(const struct scree_session *session, uint32_t n,
                            int (*get)(const struct scree_session *, uint32_t,
                                       struct scree_tensor *))
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < n; i++) {
        struct scree_tensor tensor;

        if (get(session, i, &tensor) >= 0)
            json_array_append_new(list, scree_cli_tensor_json(&tensor));
    }
    return list;
}

static json_t *ops_json(const struct scree_session *session)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;
        json_t *shape = json_array();

        scree_session_report(session, i, &report);
        for (int32_t k = 0; k < report.shape.rank; k++)
            json_array_append_new(shape, json_integer(report.shape.dims[k]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "operator",
                                              report.op, "device", report.device, "reason",
                                              report.reason, "type", scree_type_name(report.type),
                                              "shape", shape, "macs", (json_int_t)report.macs));
    }
    return list;
}

static int print_inspect_json(const char *path, const struct scree_model *model,
                              const struct scree_session *session, const struct inspect_args *args)
{
    struct scree_vision *vision = find_task(session, path, args->task, NULL);
    struct scree_memory memory;
    json_t *json;

    scree_session_memory(session, &memory);
    json = json_pack(
        "{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I}", "model", path, "description",
        scree_model_description(model), "inputs",
        tensors_json(session, scree_session_n_inputs(session), scree_session_input), "outputs",
        tensors_json(session, scree_session_n_outputs(session), scree_session_output), "macs",
        (json_int_t)scree_cli_macs(session), "arena_bytes", (json_int_t)memory.arena_bytes,
        "weights_bytes", (json_int_t)memory.weights_bytes, "constants_bytes",
        (json_int_t)memory.constants_bytes);
    if (vision) {
        json_object_set_new(json, "task", json_string(scree_task_name(scree_vision_task(vision))));
        json_object_set_new(json, "head", json_string(scree_vision_head(vision)));
    }
    scree_vision_free(vision);
    json_object_set_new(json, "npu", scree_cli_npu_json(session));
    if (args->ops)
        json_object_set_new(json, "operators", ops_json(session));
    return scree_cli_print_json(json);
}

static int run(int argc, char **argv)
{
    struct inspect_args args = {0};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    struct scree_model *model;
    struct scree_session *session;
    int rc = scree_args_parse(&scree_verb_inspect, argc, argv, &args, &positionals);

    if (rc)
        return rc - 1;
    if (args.task && task_of_name(args.task) == SCREE_TASK_ANY) {
        fprintf(stderr,
                "scree inspect: no task '%s': classify, detect, segment and pose are there\n",
                args.task);
        return SCREE_EXIT_USAGE;
    }
    if (args.dot)
        return scree_cli_print_dot(positionals.v[0]);
    rc = scree_cli_open_shaped(positionals.v[0], &args.common, args.shapes, &model, &session);
    if (rc == SCREE_EXIT_BAD_INPUT && !args.common.json && !args.shapes)
        inspect_unrunnable(positionals.v[0]);
    if (rc)
        return rc;
    if (args.common.json)
        rc = print_inspect_json(positionals.v[0], model, session, &args);
    else
        print_text(positionals.v[0], model, session, &args);
    scree_cli_print_note(session);
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

const struct scree_verb scree_verb_inspect = {
    .name = "inspect",
    .positionals = "MODEL",
    .min_positionals = 1,
    .max_positionals = 1,
    .summary = "Tell what a model is: tensors, operators, work and memory",
    .details =
        "A model that cannot run is told about as far as that goes, with what is missing; the "
        "exit code\nis then 4.",
    .options = options,
    .examples = "  scree inspect model.tflite --ops\n"
                "  scree inspect model.tflite --dot | dot -Tsvg > model.svg",
    .run = run,
};
