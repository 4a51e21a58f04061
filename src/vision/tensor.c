#include "vision/tensor.h"

#include "base/checked.h"

bool scree_tensor_count(const struct scree_tensor *tensor, size_t *ret)
{
    const struct scree_shape *shape = &tensor->shape;
    size_t n = 1;

    if (shape->rank < 0 || shape->rank > SCREE_MAX_RANK)
        return false;
    for (int32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0 || !scree_mul_size(n, (size_t)shape->dims[i], &n))
            return false;
    *ret = n;
    return true;
}

bool scree_tensor_is_readable(const struct scree_tensor *tensor)
{
    switch (tensor->type) {
    case SCREE_TYPE_FLOAT32:
    case SCREE_TYPE_INT32:
    case SCREE_TYPE_INT64:
        return tensor->n_scales == 0;
    case SCREE_TYPE_UINT8:
    case SCREE_TYPE_INT8:
    case SCREE_TYPE_INT16:
        return tensor->n_scales <= 1;
    default:
        return false;
    }
}

int scree_tensor_check(const struct scree_tensor *tensor, size_t *ret_n, struct scree_error *err)
{
    size_t n, bytes;

    if (!scree_tensor_is_readable(tensor))
        return scree_fail(err, ENOTSUP, "output of type %s%s cannot be read as numbers",
                          scree_type_name(tensor->type),
                          tensor->n_scales ? " with this quantization" : "");
    if (!scree_tensor_count(tensor, &n) || (n > 0 && !tensor->data))
        return scree_fail(err, EINVAL, "output without data: the session has not run");
    if (!scree_mul_size(n, scree_type_bytes(tensor->type), &bytes) || bytes != tensor->bytes)
        return scree_fail(err, EINVAL, "output of %zu elements has %zu bytes", n, tensor->bytes);
    *ret_n = n;
    return 0;
}

/* ret[i] = scale * (data[start + i * stride] - zero_point), the type known to the compiler. The
 * difference is exact for 8- and 16-bit types and cannot overflow for any. */
#define READ(type)                                             \
    do {                                                       \
        const type *data = (const type *)tensor->data + start; \
        for (size_t i = 0; i < n; i++)                         \
            ret[i] = scale * ((float)data[i * stride] - zero); \
    } while (0)

static void read_scaled(const struct scree_tensor *tensor, size_t start, size_t stride, size_t n,
                        float scale, int32_t zero_point, float *ret)
{
    const float zero = (float)zero_point;

    switch (tensor->type) {
    case SCREE_TYPE_UINT8:
        READ(uint8_t);
        break;
    case SCREE_TYPE_INT8:
        READ(int8_t);
        break;
    case SCREE_TYPE_INT16:
        READ(int16_t);
        break;
    case SCREE_TYPE_INT32:
        READ(int32_t);
        break;
    case SCREE_TYPE_INT64:
        READ(int64_t);
        break;
    default:
        READ(float);
        break;
    }
}

void scree_tensor_reals(const struct scree_tensor *tensor, size_t start, size_t stride, size_t n,
                        float *ret)
{
    if (tensor->n_scales == 1)
        read_scaled(tensor, start, stride, n, tensor->scale, tensor->zero_point, ret);
    else
        read_scaled(tensor, start, stride, n, 1, 0, ret);
}

void scree_tensor_raws(const struct scree_tensor *tensor, size_t start, size_t n, float *ret)
{
    read_scaled(tensor, start, 1, n, 1, 0, ret);
}

bool scree_tensor_range(const struct scree_tensor *tensor, float *ret_low, float *ret_high)
{
    int32_t low, high;

    if (tensor->n_scales != 1)
        return false;
    switch (tensor->type) {
    case SCREE_TYPE_UINT8:
        low = 0, high = UINT8_MAX;
        break;
    case SCREE_TYPE_INT8:
        low = INT8_MIN, high = INT8_MAX;
        break;
    case SCREE_TYPE_INT16:
        low = INT16_MIN, high = INT16_MAX;
        break;
    default:
        return false;
    }
    *ret_low = tensor->scale * (float)(low - (int64_t)tensor->zero_point);
    *ret_high = tensor->scale * (float)(high - (int64_t)tensor->zero_point);
    return true;
}

bool scree_tensor_picture(const struct scree_tensor *tensor, struct scree_sides *ret)
{
    const struct scree_shape *shape = &tensor->shape;
    const int32_t *last = &shape->dims[shape->rank == 4];

    if (tensor->type != SCREE_TYPE_FLOAT32 && tensor->type != SCREE_TYPE_UINT8 &&
        tensor->type != SCREE_TYPE_INT8 && tensor->type != SCREE_TYPE_INT16)
        return false;
    if ((shape->rank != 3 && shape->rank != 4) || (shape->rank == 4 && shape->dims[0] != 1))
        return false;
    if (last[0] < 1 || last[1] < 1 || (last[2] != 1 && last[2] != 3))
        return false;
    *ret = (struct scree_sides){last[0], last[1], last[2]};
    return true;
}
