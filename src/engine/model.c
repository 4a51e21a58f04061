#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "model/reader.h"
#include "ops/ops.h"

/* Unpacked label files and the like. */
#define MAX_FILES_BYTES ((size_t)64 << 20)

const char *scree_version(void)
{
    return SCREE_VERSION;
}

static int new_model(const char *name, const uint8_t *bytes, size_t n_bytes,
                     struct scree_model **ret_model, struct scree_error *err)
{
    struct scree_model *model = calloc(1, sizeof *model);
    uint32_t cpu;
    int rc;

    if (!model)
        return scree_fail_memory(err, sizeof *model);
    model->name = strdup(name);
    if (!model->name) {
        free(model);
        return scree_fail_memory(err, strlen(name));
    }
    rc = scree_cpu_flags(getenv("SCREE_CPU"), &cpu, err);
    if (rc >= 0)
        rc = scree_graph_read(bytes, n_bytes, &model->graph, err);
    if (rc < 0) {
        free(model->name);
        free(model);
        return rc;
    }
    scree_kernels_init(&model->kernels, cpu);
    atomic_init(&model->n_refs, 1);
    pthread_mutex_init(&model->lock, NULL);
    scree_arena_init(&model->files, MAX_FILES_BYTES);
    *ret_model = model;
    return 0;
}

int scree_model_open(const char *path, struct scree_model **ret_model, struct scree_error *err)
{
    struct scree_mapped mapped;
    struct scree_model *model = NULL;
    int rc;

    rc = scree_mapped_open(path, &mapped, err);
    if (rc < 0)
        return rc;
    rc = new_model(path, mapped.bytes, mapped.n_bytes, &model, err);
    if (rc < 0) {
        scree_mapped_done(&mapped);
        return scree_wrap(err, rc, "%s", path);
    }
    model->mapped = mapped;
    *ret_model = model;
    return 0;
}

int scree_model_open_memory(const void *bytes, size_t n_bytes, struct scree_model **ret_model,
                            struct scree_error *err)
{
    return new_model("a model in memory", bytes, n_bytes, ret_model, err);
}

struct scree_model *scree_model_ref(struct scree_model *model)
{
    atomic_fetch_add(&model->n_refs, 1);
    return model;
}

void scree_model_unref(struct scree_model *model)
{
    if (!model || atomic_fetch_sub(&model->n_refs, 1) > 1)
        return;
    scree_shared_plan_unref(model->plan);
    scree_arena_done(&model->files);
    pthread_mutex_destroy(&model->lock);
    scree_graph_done(&model->graph);
    scree_mapped_done(&model->mapped);
    free(model->name);
    free(model);
}

uint32_t scree_model_n_inputs(const struct scree_model *model)
{
    return model->graph.subgraphs[0].n_inputs;
}

uint32_t scree_model_n_outputs(const struct scree_model *model)
{
    return model->graph.subgraphs[0].n_outputs;
}

void scree_tensor_describe(const struct scree_tensor_def *def, const struct scree_shape *shape,
                           struct scree_tensor *ret_tensor)
{
    bool quantized = def->quant.n > 0;

    *ret_tensor = (struct scree_tensor){
        .name = def->name,
        .type = def->type,
        .shape = *shape,
        .scale = quantized ? def->quant.scale[0] : 0,
        .zero_point = quantized ? def->quant.zero_point[0] : 0,
        .n_scales = def->quant.n,
        .scales = def->quant.scale,
        .axis = def->quant.axis,
    };
}

static void describe(const struct scree_subgraph *subgraph, int32_t index,
                     struct scree_tensor *ret_tensor)
{
    const struct scree_tensor_def *def = &subgraph->tensors[index];
    bool is_signed = def->signature.rank == def->shape.rank;

    scree_tensor_describe(def, is_signed ? &def->signature : &def->shape, ret_tensor);
    ret_tensor->bytes = scree_shape_elements(&def->shape) * scree_type_bytes(def->type);
}

int scree_model_input(const struct scree_model *model, uint32_t index,
                      struct scree_tensor *ret_tensor)
{
    const struct scree_subgraph *subgraph = &model->graph.subgraphs[0];

    if (index >= subgraph->n_inputs)
        return -EINVAL;
    describe(subgraph, subgraph->inputs[index], ret_tensor);
    return 0;
}

int scree_model_output(const struct scree_model *model, uint32_t index,
                       struct scree_tensor *ret_tensor)
{
    const struct scree_subgraph *subgraph = &model->graph.subgraphs[0];

    if (index >= subgraph->n_outputs)
        return -EINVAL;
    describe(subgraph, subgraph->outputs[index], ret_tensor);
    return 0;
}

const char *scree_model_description(const struct scree_model *model)
{
    return model->graph.description;
}

/* ---- plans -------------------------------------------------------------------------------------
 */

/* Weights that have been packed are not wanted as they are in the file any more. */
static void release_weights(void *arg, const void *bytes, size_t n_bytes)
{
    const struct scree_model *model = arg;

    scree_mapped_release(&model->mapped, bytes, n_bytes);
}

static int new_plan(struct scree_model *model, const struct scree_shape *shapes,
                    struct scree_shared_plan **ret_plan, struct scree_error *err)
{
    const struct scree_op_set ops = {.find = scree_op_find,
                                     .prepare = scree_op_prepare,
                                     .run = scree_op_run,
                                     .kernels = &model->kernels,
                                     .consumed = release_weights,
                                     .arg = model};
    struct scree_shared_plan *shared = calloc(1, sizeof *shared);
    int rc;

    if (!shared)
        return scree_fail_memory(err, sizeof *shared);
    rc = scree_plan_new(&model->graph.subgraphs[0], &ops, shapes, &shared->plan, err);
    if (rc < 0) {
        free(shared);
        return rc;
    }
    atomic_init(&shared->n_refs, 1);
    *ret_plan = shared;
    return 0;
}

int scree_model_plan(struct scree_model *model, const struct scree_shape *shapes,
                     struct scree_shared_plan **ret_plan, struct scree_error *err)
{
    int rc = 0;

    if (shapes)
        return new_plan(model, shapes, ret_plan, err);
    pthread_mutex_lock(&model->lock);
    if (!model->plan)
        rc = new_plan(model, NULL, &model->plan, err);
    if (rc >= 0) {
        atomic_fetch_add(&model->plan->n_refs, 1);
        *ret_plan = model->plan;
    }
    pthread_mutex_unlock(&model->lock);
    return rc;
}

void scree_shared_plan_unref(struct scree_shared_plan *plan)
{
    if (!plan || atomic_fetch_sub(&plan->n_refs, 1) > 1)
        return;
    scree_plan_done(&plan->plan);
    scree_shared_plan_unref(plan->whole);
    free(plan);
}

/* A file of the metadata that was asked for before. */
struct scree_model_file {
    struct scree_model_file *next;
    const char *name; /* NULL: the labels of the outputs */
    const uint8_t *bytes;
    size_t n_bytes;
};

static const struct scree_model_file *find_again(const struct scree_model *model, const char *name)
{
    const struct scree_model_file *file = model->found;

    while (file && (!name != !file->name || (name && strcmp(name, file->name) != 0)))
        file = file->next;
    return file;
}

/* Finds the file in the archive and remembers it, so that asking again unpacks nothing. */
static int find_file(struct scree_model *model, const char *name,
                     const struct scree_model_file **ret, struct scree_error *err)
{
    struct scree_model_file *file;
    const uint8_t *bytes;
    size_t n_bytes;
    int rc;

    rc = scree_graph_file(&model->graph, name, &model->files, &bytes, &n_bytes, err);
    if (rc < 0)
        return rc;
    file = scree_arena_new(&model->files, struct scree_model_file, 1);
    if (file && name)
        file->name = scree_arena_strndup(&model->files, name, strlen(name));
    if (!file || (name && !file->name))
        return scree_fail_memory(err, sizeof *file);
    file->bytes = bytes;
    file->n_bytes = n_bytes;
    file->next = model->found;
    model->found = file;
    *ret = file;
    return 0;
}

int scree_model_file(struct scree_model *model, const char *name, const void **ret_bytes,
                     size_t *ret_n_bytes, struct scree_error *err)
{
    const struct scree_model_file *file;
    int rc = 0;

    pthread_mutex_lock(&model->lock);
    file = find_again(model, name);
    if (!file)
        rc = find_file(model, name, &file, err);
    pthread_mutex_unlock(&model->lock);
    if (rc < 0)
        return rc;
    *ret_bytes = file->bytes;
    *ret_n_bytes = file->n_bytes;
    return 0;
}
