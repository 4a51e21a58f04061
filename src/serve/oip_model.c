#include "serve/oip_job.h"

#include <assert.h>

int scree_oip_type_of(enum scree_type type, enum scree_oip_type *ret)
{
    static const struct {
        enum scree_type ours;
        enum scree_oip_type theirs;
    } map[] = {
        {SCREE_TYPE_BOOL, SCREE_OIP_BOOL},     {SCREE_TYPE_UINT8, SCREE_OIP_UINT8},
        {SCREE_TYPE_UINT16, SCREE_OIP_UINT16}, {SCREE_TYPE_UINT32, SCREE_OIP_UINT32},
        {SCREE_TYPE_UINT64, SCREE_OIP_UINT64}, {SCREE_TYPE_INT8, SCREE_OIP_INT8},
        {SCREE_TYPE_INT16, SCREE_OIP_INT16},   {SCREE_TYPE_INT32, SCREE_OIP_INT32},
        {SCREE_TYPE_INT64, SCREE_OIP_INT64},   {SCREE_TYPE_FLOAT16, SCREE_OIP_FP16},
        {SCREE_TYPE_FLOAT32, SCREE_OIP_FP32},  {SCREE_TYPE_FLOAT64, SCREE_OIP_FP64},
        {SCREE_TYPE_BFLOAT16, SCREE_OIP_BF16},
    };

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].ours == type) {
            *ret = map[i].theirs;
            return 0;
        }
    return -ENOTSUP;
}

int scree_oip_describe(const struct scree_served *served, bool is_input, uint32_t index,
                       struct scree_oip_description *ret, struct scree_error *err)
{
    struct scree_tensor tensor;
    int rc = is_input ? scree_model_input(served->model, index, &tensor)
                      : scree_model_output(served->model, index, &tensor);

    assert(rc >= 0);
    *ret = (struct scree_oip_description){
        .name = tensor.name,
        .rank = tensor.shape.rank > 0 ? (uint32_t)tensor.shape.rank : 0,
        .is_picture = is_input && served->takes_pictures && index == served->picture_input,
    };
    for (uint32_t i = 0; i < ret->rank; i++)
        ret->dims[i] = tensor.shape.dims[i];
    if (scree_served_batch(served) > 0)
        ret->dims[0] = -1;
    rc = scree_oip_type_of(tensor.type, &ret->type);
    return rc < 0 ? scree_fail(err, ENOTSUP, "tensor %s is of type %s, which no request can have",
                               tensor.name, scree_type_name(tensor.type))
                  : 0;
}

static uint32_t n_tensors(const struct scree_served *served, bool is_input)
{
    return is_input ? scree_model_n_inputs(served->model) : scree_model_n_outputs(served->model);
}

int32_t scree_oip_common_rows(const struct scree_served *served)
{
    int32_t rows = 0;

    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < n_tensors(served, side == 0); i++) {
            struct scree_tensor tensor;
            int rc = side == 0 ? scree_model_input(served->model, i, &tensor)
                               : scree_model_output(served->model, i, &tensor);

            if (rc < 0 || tensor.shape.rank < 1 || (rows != 0 && tensor.shape.dims[0] != rows))
                return 0;
            rows = tensor.shape.dims[0];
        }
    return rows;
}

int32_t scree_oip_max_batch(const struct scree_served *served)
{
    int32_t rows = scree_oip_common_rows(served);

    if (rows < 0)
        return SCREE_OIP_MAX_ROWS;
    return scree_served_batch(served) > 0 ? (int32_t)scree_served_batch(served) : rows;
}

void scree_oip_set_shape(struct scree_oip_tensor *to, const struct scree_tensor *from)
{
    to->rank = (uint32_t)from->shape.rank;
    for (uint32_t i = 0; i < to->rank; i++)
        to->dims[i] = from->shape.dims[i];
}
