#include "serve/oip_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUT_BYTES ((size_t)1 << 30)

/* ---- inputs ---- */

/* True if a model runs one row at a time, so that more of them are more runs. */
static bool is_rowwise(const struct scree_oip_job *job, const struct scree_tensor *input)
{
    return job->model_rows != 0 && input->shape.rank > 0 && input->shape.dims[0] == 1;
}

static const char *shape_text(const int64_t *dims, uint32_t rank, char *text, size_t n)
{
    size_t k = 0;

    text[0] = 0;
    for (uint32_t i = 0; i < rank && k < n; i++)
        k += (size_t)snprintf(text + k, n - k, "%s%lld", i ? "," : "", (long long)dims[i]);
    return text;
}

/* The shape of a tensor against the model's, from dimension `from` on; open ones take what they are
 * planned for. */
static bool shape_fits(const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                       uint32_t from)
{
    if (wanted->shape.rank < 0 || tensor->rank != (uint32_t)wanted->shape.rank)
        return false;
    for (uint32_t i = from; i < tensor->rank; i++)
        if (tensor->dims[i] != wanted->shape.dims[i])
            return false;
    return true;
}

/* All tensors of a request have the same number of rows. */
static int set_rows(struct scree_oip_job *job, int64_t n_rows, struct scree_error *err)
{
    if (n_rows < 1 || n_rows > SCREE_OIP_MAX_ROWS)
        return scree_fail(err, EINVAL, "a batch is 1 to %d", SCREE_OIP_MAX_ROWS);
    if (job->n_rows != 0 && job->n_rows != n_rows)
        return scree_fail(err, EINVAL, "inputs of different batches");
    job->n_rows = (uint32_t)n_rows;
    return 0;
}

static int fail_shape(const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                      struct scree_error *err)
{
    int64_t dims[SCREE_MAX_RANK];
    char has[64], needs[64];

    for (int32_t i = 0; i < wanted->shape.rank; i++)
        dims[i] = wanted->shape.dims[i];
    return scree_fail(err, EINVAL, "input %s has the shape [%s], the request [%s]", wanted->name,
                      shape_text(dims, (uint32_t)wanted->shape.rank, needs, sizeof needs),
                      shape_text(tensor->dims, tensor->rank, has, sizeof has));
}

/* Numbers for an input. */
static int check_numbers(struct scree_oip_job *job, const struct scree_oip_tensor *tensor,
                         const struct scree_tensor *wanted, struct scree_error *err)
{
    bool same = shape_fits(tensor, wanted, 0), any_rows;
    size_t n = 0;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    any_rows = is_rowwise(job, wanted) && (job->request->any_rows || job->model_rows < 0 ||
                                           scree_served_batch(job->served) > 0);
    if (!same && !(any_rows && shape_fits(tensor, wanted, 1)))
        return fail_shape(tensor, wanted, err);
    if (tensor->n != n * scree_oip_types[tensor->type].n_bytes)
        return scree_fail(err, EINVAL, "input %s has %zu bytes of data, its shape %zu",
                          wanted->name, tensor->n, n * scree_oip_types[tensor->type].n_bytes);
    return set_rows(job, same ? 1 : tensor->dims[0], err);
}

bool scree_oip_next_element(const uint8_t **at, const uint8_t *end, const uint8_t **ret,
                            size_t *ret_n)
{
    uint32_t n;

    if (end - *at < 4)
        return false;
    n = (uint32_t)(*at)[0] | (uint32_t)(*at)[1] << 8 | (uint32_t)(*at)[2] << 16 |
        (uint32_t)(*at)[3] << 24;
    if (n > (size_t)(end - *at) - 4)
        return false;
    *ret = *at + 4;
    *ret_n = n;
    *at += 4 + n;
    return true;
}

/* Pictures for an input: BYTES of shape [n] or [n, 1]. */
static int check_pictures(struct scree_oip_job *job, struct scree_oip_source *source,
                          const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                          struct scree_error *err)
{
    const uint8_t *at = tensor->bytes, *end = scree_oip_end(tensor), *element;
    size_t n = 0, size;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    if (tensor->rank < 1 || n != (size_t)tensor->dims[0] || (n != 1 && !is_rowwise(job, wanted)))
        return scree_fail(err, EINVAL, "input %s takes pictures in the shape [%s]", wanted->name,
                          is_rowwise(job, wanted) ? "n" : "1");
    rc = set_rows(job, tensor->dims[0], err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (!scree_oip_next_element(&at, end, &element, &size))
            return scree_fail(err, EINVAL, "input %s: element %zu is cut off", wanted->name, i);
    if (at != end)
        return scree_fail(err, EINVAL, "input %s: more data than elements", wanted->name);
    source->pictures = calloc(n, sizeof *source->pictures);
    return source->pictures ? 0 : scree_fail_memory(err, n * sizeof *source->pictures);
}

static int check_input(struct scree_oip_job *job, struct scree_oip_source *source,
                       const struct scree_tensor *wanted, struct scree_error *err)
{
    const struct scree_oip_tensor *tensor = source->tensor;
    enum scree_oip_type type;
    uint32_t index = (uint32_t)(source - job->sources);

    if (scree_oip_type_of(wanted->type, &type) < 0)
        return scree_fail(err, ENOTSUP, "input %s is of type %s, which no request can have",
                          wanted->name, scree_type_name(wanted->type));
    if (tensor->type == SCREE_OIP_BYTES && job->served->takes_pictures &&
        index == job->served->picture_input)
        return check_pictures(job, source, tensor, wanted, err);
    if (tensor->type != type)
        return scree_fail(err, EINVAL, "input %s has the datatype %s, the request %s", wanted->name,
                          scree_oip_types[type].name, scree_oip_types[tensor->type].name);
    return check_numbers(job, tensor, wanted, err);
}

static int find_input(const struct scree_oip_job *job, const char *name, struct scree_error *err)
{
    struct scree_tensor tensor;

    for (uint32_t i = 0; i < job->n_inputs; i++)
        if (scree_model_input(job->served->model, i, &tensor) >= 0 &&
            strcmp(tensor.name, name) == 0)
            return (int)i;
    return scree_fail(err, EINVAL, "the model has no input of that name: '%.64s'", name);
}

static int assign_inputs(struct scree_oip_job *job, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;

    if (job->n_inputs > SCREE_OIP_MAX_INPUTS)
        return scree_fail(err, ENOTSUP, "a model of %u inputs", job->n_inputs);
    if (request->n_inputs != job->n_inputs)
        return scree_fail(err, EINVAL, "the model has %u inputs, the request %u", job->n_inputs,
                          request->n_inputs);
    for (uint32_t i = 0; i < request->n_inputs; i++) {
        int index = find_input(job, request->inputs[i].name, err);

        if (index < 0)
            return index;
        if (job->sources[index].tensor)
            return scree_fail(err, EINVAL, "input '%.64s' is there twice", request->inputs[i].name);
        job->sources[index].tensor = &request->inputs[i];
    }
    return 0;
}

/* The one input of a request that is nothing but its bytes. */
static int name_raw_input(struct scree_oip_job *job, struct scree_oip_tensor *ret,
                          struct scree_error *err)
{
    struct scree_tensor input;
    int rc;

    if (job->n_inputs != 1)
        return scree_fail(err, EINVAL, "raw data are for models of one input, this one has %u",
                          job->n_inputs);
    rc = scree_served_input(job->served, 0, &input);
    if (rc < 0 || scree_oip_type_of(input.type, &ret->type) < 0)
        return scree_fail(err, ENOTSUP, "the input's type cannot be sent");
    ret->name = input.name;
    scree_oip_set_shape(ret, &input);
    if (scree_served_batch(job->served) > 0 && input.bytes > 0 && ret->n % input.bytes == 0)
        ret->dims[0] = (int64_t)(ret->n / input.bytes);
    return 0;
}

static int check_inputs(struct scree_oip_job *job, struct scree_error *err)
{
    int rc = assign_inputs(job, err);

    for (uint32_t i = 0; rc >= 0 && i < job->n_inputs; i++) {
        struct scree_tensor wanted;

        rc = scree_served_input(job->served, i, &wanted);
        if (rc >= 0)
            rc = check_input(job, &job->sources[i], &wanted, err);
    }
    return rc;
}

/* ---- outputs ---- */

static int find_output(const struct scree_oip_job *job, const char *name, struct scree_error *err)
{
    struct scree_tensor tensor;

    for (uint32_t i = 0; i < scree_model_n_outputs(job->served->model); i++)
        if (scree_model_output(job->served->model, i, &tensor) >= 0 &&
            strcmp(tensor.name, name) == 0)
            return (int)i;
    return scree_fail(err, EINVAL, "the model has no output of that name: '%.64s'", name);
}

static int add_output(struct scree_oip_job *job, uint32_t index,
                      const struct scree_oip_wanted *wanted, struct scree_error *err)
{
    struct scree_oip_response *response = job->response;
    struct scree_oip_output *output = &response->outputs[response->n_outputs];
    struct scree_oip_description about;
    int rc = scree_oip_describe(job->served, false, index, &about, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < response->n_outputs; i++)
        if (job->sinks[i].index == index)
            return scree_fail(err, EINVAL, "output '%.64s' is asked for twice", about.name);
    *output = (struct scree_oip_output){
        .tensor = {.name = about.name, .type = about.type},
        .data.limit = MAX_OUTPUT_BYTES,
        .is_binary = wanted ? wanted->is_binary : job->request->all_binary,
    };
    job->sinks[response->n_outputs++] =
        (struct scree_oip_sink){.index = index, .n_classes = wanted ? wanted->n_classes : 0};
    return 0;
}

static int assign_outputs(struct scree_oip_job *job, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;
    uint32_t n = scree_model_n_outputs(job->served->model);
    int rc = 0;

    if (n > SCREE_OIP_MAX_OUTPUTS)
        return scree_fail(err, ENOTSUP, "a model of %u outputs", n);
    if (request->n_wanted > n)
        return scree_fail(err, EINVAL, "the model has %u outputs, %u are asked for", n,
                          request->n_wanted);
    for (uint32_t i = 0; rc >= 0 && request->n_wanted == 0 && i < n; i++)
        rc = add_output(job, i, NULL, err);
    for (uint32_t i = 0; rc >= 0 && i < request->n_wanted; i++) {
        int index = find_output(job, request->wanted[i].name, err);

        rc = index < 0 ? index : add_output(job, (uint32_t)index, &request->wanted[i], err);
    }
    return rc;
}

/* ---- the request ---- */

int scree_oip_check(struct scree_oip_job *job, struct scree_error *err)
{
    int rc = job->request->is_raw ? name_raw_input(job, &job->request->inputs[0], err) : 0;

    if (rc >= 0)
        rc = check_inputs(job, err);
    if (rc >= 0)
        rc = assign_outputs(job, err);
    return rc;
}
