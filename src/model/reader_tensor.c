#include <float.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "model/reading.h"

/* Slots of table Tensor. */
enum {
    TENSOR_SHAPE,
    TENSOR_TYPE,
    TENSOR_BUFFER,
    TENSOR_NAME,
    TENSOR_QUANTIZATION,
    TENSOR_IS_VARIABLE,
    TENSOR_SPARSITY,
    TENSOR_SHAPE_SIGNATURE,
    TENSOR_HAS_RANK,
    TENSOR_VARIANT_TENSORS,
    TENSOR_EXTERNAL_BUFFER,
};

/* Slots of table QuantizationParameters. */
enum {
    QUANT_MIN,
    QUANT_MAX,
    QUANT_SCALE,
    QUANT_ZERO_POINT,
    QUANT_DETAILS_TYPE,
    QUANT_DETAILS,
    QUANT_DIMENSION,
};

/* Members of union QuantizationDetails. */
enum { DETAILS_NONE, DETAILS_CUSTOM, DETAILS_BLOCKWISE, DETAILS_MULTI_AXIS };

static int read_dims(const struct scree_fb_vector *values, int32_t least,
                     struct scree_shape *ret_shape, struct scree_error *err)
{
    int64_t n = 1;

    if (values->n > SCREE_MAX_RANK)
        return scree_fail(err, E2BIG, "rank %u, the limit is %d", values->n, SCREE_MAX_RANK);
    ret_shape->rank = (int32_t)values->n;
    for (uint32_t i = 0; i < values->n; i++) {
        int32_t dim = scree_fb_i32_at(values, i);

        if (dim < least)
            return scree_fail(err, EBADMSG, "dimension %u is %d", i, dim);
        ret_shape->dims[i] = dim;
        /* A dimension of 0 counts as 1, so that the strides of an empty tensor fit as well. */
        n *= dim > 0 ? dim : 1;
        if (n > INT32_MAX)
            return scree_fail(err, E2BIG, "over 2^31 - 1 elements");
    }
    return 0;
}

static int read_shapes(struct scree_reading *reading, const struct scree_fb_table *table,
                       struct scree_tensor_def *tensor, struct scree_error *err)
{
    struct scree_fb_vector shape = scree_fb_get_vector(table, TENSOR_SHAPE, 4);
    struct scree_fb_vector signature = scree_fb_get_vector(table, TENSOR_SHAPE_SIGNATURE, 4);
    int rc;

    if (reading->fb.rc < 0)
        return scree_fb_status(&reading->fb, err);
    rc = read_dims(&shape, 0, &tensor->shape, err);
    if (rc < 0)
        return rc;
    /* Converters write an empty signature for "none"; TFLite never compares the two. */
    tensor->signature.rank = -1;
    if (signature.n == 0 || signature.n != shape.n)
        return 0;
    rc = read_dims(&signature, -1, &tensor->signature, err);
    return rc < 0 ? scree_wrap(err, rc, "shape signature") : 0;
}

static int read_type(const struct scree_fb_table *table, enum scree_type *ret_type,
                     struct scree_error *err)
{
    uint8_t type = scree_fb_get_u8(table, TENSOR_TYPE, SCREE_TYPE_FLOAT32);

    if (type > SCREE_TYPE_BFLOAT16)
        return scree_fail(err, ENOTSUP, "element type %u", type);
    *ret_type = (enum scree_type)type;
    return 0;
}

static bool is_integer(enum scree_type type)
{
    return type == SCREE_TYPE_INT4 || type == SCREE_TYPE_INT8 || type == SCREE_TYPE_UINT8 ||
           type == SCREE_TYPE_INT16 || type == SCREE_TYPE_UINT16 || type == SCREE_TYPE_INT32 ||
           type == SCREE_TYPE_UINT32 || type == SCREE_TYPE_INT64 || type == SCREE_TYPE_UINT64;
}

/* The range of a narrow type's values; that of int32 for all others. */
static void type_range(enum scree_type type, int32_t *ret_least, int32_t *ret_most)
{
    int bits = type == SCREE_TYPE_INT4                                 ? 4
               : type == SCREE_TYPE_INT8 || type == SCREE_TYPE_UINT8   ? 8
               : type == SCREE_TYPE_INT16 || type == SCREE_TYPE_UINT16 ? 16
                                                                       : 32;
    bool is_unsigned = type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_UINT16;

    *ret_least = is_unsigned ? 0 : (int32_t) - (INT64_C(1) << (bits - 1));
    *ret_most = (int32_t)((INT64_C(1) << (is_unsigned ? bits : bits - 1)) - 1);
}

/* Checks and stores scale[i]. A scale of 0 is found on channels whose weights are all 0. It becomes
 * the smallest scale there is, which like 0 gives multipliers that round every product to 0. */
static int set_scale(float scale, float *ret_scale, struct scree_error *err)
{
    if (!(scale >= 0.0f) || !isfinite(scale))
        return scree_fail(err, EBADMSG, "its scale is %g", (double)scale);
    *ret_scale = scale == 0.0f ? FLT_MIN : scale;
    return 0;
}

static int set_zero_point(enum scree_type type, int64_t zero_point, int32_t *ret_zero_point,
                          struct scree_error *err)
{
    int32_t least, most;

    type_range(type, &least, &most);
    /* A wide type has no use for a zero point; TFLite keeps the low half of whatever is there. */
    if (most == INT32_MAX)
        zero_point = (int32_t)(uint32_t)(uint64_t)zero_point;
    if (zero_point < least || zero_point > most)
        return scree_fail(err, EBADMSG, "its zero point %lld is not in [%d, %d] of %s",
                          (long long)zero_point, least, most, scree_type_name(type));
    *ret_zero_point = (int32_t)zero_point;
    return 0;
}

/* Fills quant->scale[n] and zero_point[n]; the zero points may be left out as a whole. */
static int read_affine(struct scree_reading *reading, const struct scree_fb_vector *scales,
                       const struct scree_fb_vector *zero_points, struct scree_tensor_def *tensor,
                       struct scree_error *err)
{
    float *scale = scree_reading_new(reading, float, scales->n);
    int32_t *zero_point = scree_reading_new(reading, int32_t, scales->n);
    int rc = 0;

    if (!scale || !zero_point)
        return scree_reading_full(reading, scales->n, sizeof *scale, err);
    for (uint32_t i = 0; rc == 0 && i < scales->n; i++) {
        rc = set_scale(scree_fb_f32_at(scales, i), &scale[i], err);
        if (rc == 0 && zero_points->n > 0)
            rc = set_zero_point(tensor->type, scree_fb_i64_at(zero_points, i), &zero_point[i], err);
    }
    if (rc < 0)
        return rc;
    tensor->quant.n = scales->n;
    tensor->quant.scale = scale;
    tensor->quant.zero_point = zero_point;
    return 0;
}

/* The dimension that n > 1 scales belong to. */
static int read_axis(const struct scree_fb_table *quantization, uint32_t n,
                     struct scree_tensor_def *tensor, struct scree_error *err)
{
    int32_t axis = scree_fb_get_i32(quantization, QUANT_DIMENSION, 0);
    char shape[96];

    if (axis < 0 || axis >= tensor->shape.rank)
        return scree_fail(err, EBADMSG, "quantized along dimension %d, its shape is %s", axis,
                          scree_shape_text(&tensor->shape, shape, sizeof shape));
    if ((uint32_t)tensor->shape.dims[axis] != n)
        return scree_fail(err, EBADMSG, "%u scales for dimension %d of shape %s", n, axis,
                          scree_shape_text(&tensor->shape, shape, sizeof shape));
    tensor->quant.axis = axis;
    return 0;
}

/* Quantization that is none: no scales, a single 0, or any on a type that is not an integer.
 * Converters leave such beside shapes, indices and floats, and no operator looks at it. */
static bool is_unquantized(const struct scree_fb_vector *scales, enum scree_type type)
{
    return scales->n == 0 || !is_integer(type) ||
           (scales->n == 1 && scree_fb_f32_at(scales, 0) == 0.0f);
}

static int read_quantization(struct scree_reading *reading, const struct scree_fb_table *table,
                             struct scree_tensor_def *tensor, struct scree_error *err)
{
    struct scree_fb_table quantization = scree_fb_get_table(table, TENSOR_QUANTIZATION);
    struct scree_fb_vector scales = scree_fb_get_vector(&quantization, QUANT_SCALE, 4);
    struct scree_fb_vector zero_points = scree_fb_get_vector(&quantization, QUANT_ZERO_POINT, 8);
    uint8_t details = scree_fb_get_u8(&quantization, QUANT_DETAILS_TYPE, DETAILS_NONE);
    int rc = 0;

    if (reading->fb.rc < 0)
        return scree_fb_status(&reading->fb, err);
    /* The bytes of DETAILS_CUSTOM mean something to their author only; TFLite skips them too. */
    if (details == DETAILS_BLOCKWISE || details == DETAILS_MULTI_AXIS)
        return scree_fail(err, ENOTSUP, "%s quantization",
                          details == DETAILS_BLOCKWISE ? "blockwise" : "multi-axis");
    if (details > DETAILS_MULTI_AXIS)
        return scree_fail(err, ENOTSUP, "quantization details of kind %u", details);
    if (is_unquantized(&scales, tensor->type))
        return 0;
    if (zero_points.n > 0 && zero_points.n != scales.n)
        return scree_fail(err, EBADMSG, "%u scales and %u zero points", scales.n, zero_points.n);
    if (scales.n > 1)
        rc = read_axis(&quantization, scales.n, tensor, err);
    return rc < 0 ? rc : read_affine(reading, &scales, &zero_points, tensor, err);
}

/* The bytes that shape and type ask for; false for types whose elements have no fixed size. */
static bool needed_bytes(const struct scree_tensor_def *tensor, size_t *ret_bytes)
{
    size_t n = scree_shape_elements(&tensor->shape);
    size_t element = scree_type_bytes(tensor->type);

    if (tensor->type == SCREE_TYPE_INT4)
        *ret_bytes = n / 2 + n % 2;
    else
        *ret_bytes = n * element;
    return tensor->type == SCREE_TYPE_INT4 || element > 0;
}

/* A C bool that is neither 0 nor 1 is undefined behaviour. */
static int check_bools(struct scree_reading *reading, const struct scree_buffer *buffer, size_t n,
                       struct scree_error *err)
{
    if (n > reading->fb.work)
        return scree_fail(err, E2BIG, "its data is used over and over");
    reading->fb.work -= n;
    for (size_t i = 0; i < n; i++)
        if (buffer->bytes[i] > 1)
            return scree_fail(err, EBADMSG, "element %zu is %u, a bool is 0 or 1", i,
                              buffer->bytes[i]);
    return 0;
}

/* Takes the data where it lies; what is not aligned for its type is copied. */
static int place_data(struct scree_reading *reading, const struct scree_buffer *buffer,
                      struct scree_tensor_def *tensor, struct scree_error *err)
{
    size_t element = scree_type_bytes(tensor->type);
    size_t alignment = element > 8 ? 8 : element > 0 ? element : 1;
    void *copy;

    tensor->data = tensor->bytes > 0 ? buffer->bytes : scree_reading_no_elements;
    if ((uintptr_t)tensor->data % alignment == 0)
        return 0;
    copy = scree_reading_new(reading, uint8_t, tensor->bytes);
    if (!copy)
        return scree_reading_full(reading, tensor->bytes, 1, err);
    memcpy(copy, buffer->bytes, tensor->bytes);
    tensor->data = copy;
    return 0;
}

/* More data than the shape needs is left unread, as TFLite does. */
static int set_data(struct scree_reading *reading, const struct scree_buffer *buffer,
                    struct scree_tensor_def *tensor, struct scree_error *err)
{
    char shape[96];
    int rc = 0;

    if (!needed_bytes(tensor, &tensor->bytes))
        tensor->bytes = buffer->n_bytes;
    if (tensor->bytes > buffer->n_bytes)
        return scree_fail(err, EBADMSG, "%zu bytes of data, its shape %s of %s needs %zu",
                          buffer->n_bytes, scree_shape_text(&tensor->shape, shape, sizeof shape),
                          scree_type_name(tensor->type), tensor->bytes);
    if (tensor->type == SCREE_TYPE_BOOL)
        rc = check_bools(reading, buffer, tensor->bytes, err);
    return rc < 0 ? rc : place_data(reading, buffer, tensor, err);
}

static int read_data(struct scree_reading *reading, const struct scree_fb_table *table,
                     struct scree_tensor_def *tensor, struct scree_error *err)
{
    uint32_t index = scree_fb_get_u32(table, TENSOR_BUFFER, 0);
    struct scree_buffer buffer = {0};
    size_t needed;
    int rc;

    if (scree_fb_get_u32(table, TENSOR_EXTERNAL_BUFFER, 0) != 0)
        return scree_fail(err, ENOTSUP, "its data is in another file");
    if (scree_fb_has(table, TENSOR_SPARSITY))
        return scree_fail(err, ENOTSUP, "sparse data");
    tensor->is_variable = scree_fb_get_u8(table, TENSOR_IS_VARIABLE, 0) != 0;
    /* Buffer 0 is empty by convention, whatever is in it. */
    rc = index == 0 ? 0 : scree_reading_buffer(reading, index, &buffer, err);
    if (rc < 0 || !buffer.bytes)
        return rc;
    /* Some writers give a tensor that is computed an empty buffer instead of none. */
    if (buffer.n_bytes == 0 && (!needed_bytes(tensor, &needed) || needed > 0))
        return 0;
    if (tensor->is_variable)
        return scree_fail(err, EBADMSG, "a variable with constant data");
    return set_data(reading, &buffer, tensor, err);
}

int scree_reading_tensor(struct scree_reading *reading, const struct scree_fb_table *table,
                         struct scree_tensor_def *tensor, struct scree_error *err)
{
    int rc = scree_reading_name(reading, table, TENSOR_NAME, &tensor->name, err);

    if (rc == 0)
        rc = read_type(table, &tensor->type, err);
    if (rc == 0)
        rc = read_shapes(reading, table, tensor, err);
    if (rc == 0)
        rc = read_quantization(reading, table, tensor, err);
    if (rc == 0)
        rc = read_data(reading, table, tensor, err);
    return rc < 0 ? rc : scree_fb_status(&reading->fb, err);
}
