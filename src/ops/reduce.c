/* Reductions over some dimensions: MEAN, SUM, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY,
 * REDUCE_ALL. */
#include "kernels/reduce.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/ops.h"

/* Neighbouring dimensions that are all reduced or all kept. */
struct group {
    size_t size;
    size_t stride; /* in accumulators, from one to the next; 0 if reduced */
};

struct reduce {
    scree_reduce_fn *row;
    scree_reduce_finish_fn *finish; /* NULL: accumulators are outputs */
    scree_sum_rows_fn *sum_rows;    /* NULL, or does all this for each element of the first group */
    size_t in_bytes, acc_bytes;     /* of an element */
    size_t n_reduced;               /* elements that become one */
    int32_t n_groups;
    struct group groups[SCREE_MAX_RANK]; /* outermost first; the last one is the row */
    bool in_scratch;                     /* accumulators are in the scratch, not the output */
    uint8_t empty[8];                    /* an output element that nothing is reduced to */
    struct scree_reduce_params quant;
};

/* What an operator has for each type; NULL where it has nothing. */
struct kernels {
    scree_reduce_fn *f32, *i64, *i32, *i16, *i8, *u8, *boolean;
};

static scree_reduce_fn *kernel_of(const struct kernels *kernels, enum scree_type type)
{
    switch (type) {
    case SCREE_TYPE_FLOAT32:
        return kernels->f32;
    case SCREE_TYPE_INT64:
        return kernels->i64;
    case SCREE_TYPE_INT32:
        return kernels->i32;
    case SCREE_TYPE_INT16:
        return kernels->i16;
    case SCREE_TYPE_INT8:
        return kernels->i8;
    case SCREE_TYPE_UINT8:
        return kernels->u8;
    case SCREE_TYPE_BOOL:
        return kernels->boolean;
    default:
        return NULL;
    }
}

/* What makes outputs of accumulators, for each type; NULL where they are outputs. */
struct finishes {
    scree_reduce_finish_fn *f32, *i64, *i32, *i16, *i8, *u8;
};

static scree_reduce_finish_fn *finish_of(const struct finishes *finishes, enum scree_type type)
{
    switch (type) {
    case SCREE_TYPE_FLOAT32:
        return finishes->f32;
    case SCREE_TYPE_INT64:
        return finishes->i64;
    case SCREE_TYPE_INT32:
        return finishes->i32;
    case SCREE_TYPE_INT16:
        return finishes->i16;
    case SCREE_TYPE_INT8:
        return finishes->i8;
    case SCREE_TYPE_UINT8:
        return finishes->u8;
    default:
        return NULL;
    }
}

/* ---- shapes ------------------------------------------------------------------------------------
 */

/* Sets reduced[i] for each dimension that the second input lists. */
static int read_axes(const struct scree_call *call, bool *reduced, struct scree_error *err)
{
    const struct scree_operand *axes = call->inputs[1];
    int32_t rank = call->inputs[0]->shape.rank, axis;

    for (size_t i = 0; i < axes->n_elements && rank > 0; i++) {
        int rc = scree_need_axis(scree_operand_int(axes, i), rank, &axis, err);

        if (rc < 0)
            return rc;
        reduced[axis] = true;
    }
    return 0;
}

static int set_output_shape(struct scree_call *call, const bool *reduced, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    bool keep_dims = call->node->options.reducer.keep_dims;
    struct scree_shape out = {0};

    for (int32_t i = 0; i < in->rank; i++) {
        if (!reduced[i])
            out.dims[out.rank++] = in->dims[i];
        else if (keep_dims)
            out.dims[out.rank++] = 1;
    }
    return scree_call_set_shape(call, 0, &out, err);
}

/* Folds the dimensions into groups, and counts what is reduced. The input is not empty. */
static void fold(const struct scree_shape *shape, const bool *reduced, struct reduce *reduce)
{
    size_t stride = 1;

    for (int32_t i = 0; i < shape->rank; i++) {
        size_t size = (size_t)shape->dims[i];
        struct group *last = reduce->n_groups ? &reduce->groups[reduce->n_groups - 1] : NULL;

        if (reduced[i])
            reduce->n_reduced *= size;
        if (size == 1)
            continue;
        if (last && (last->stride == 0) == reduced[i])
            last->size *= size;
        else
            reduce->groups[reduce->n_groups++] = (struct group){size, !reduced[i]};
    }
    if (reduce->n_groups == 0)
        reduce->groups[reduce->n_groups++] = (struct group){1, 1};
    for (int32_t i = reduce->n_groups; i-- > 0;) {
        struct group *group = &reduce->groups[i];

        if (group->stride > 0) {
            group->stride = stride;
            stride *= group->size;
        }
    }
}

/* The parts that all reductions share. SCREE_DEFER if the axes are not known yet. */
static int prepare_reduce(struct scree_call *call, const struct kernels *kernels,
                          enum scree_type acc_type, struct reduce **ret_reduce,
                          struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    bool reduced[SCREE_MAX_RANK] = {false};
    struct reduce *reduce;
    int rc;

    if (!call->inputs[1]->data)
        return SCREE_DEFER;
    rc = read_axes(call, reduced, err);
    if (rc == 0)
        rc = set_output_shape(call, reduced, err);
    if (rc < 0)
        return rc;
    reduce = scree_call_params(call, sizeof *reduce);
    if (!reduce)
        return scree_fail_memory(err, sizeof *reduce);
    reduce->row = kernel_of(kernels, input->type);
    reduce->in_bytes = scree_type_bytes(input->type);
    reduce->acc_bytes = scree_type_bytes(acc_type);
    reduce->in_scratch = acc_type != call->outputs[0]->type;
    reduce->n_reduced = 1;
    if (input->n_elements > 0)
        fold(&input->shape, reduced, reduce);
    if (reduce->in_scratch)
        call->scratch_bytes = call->outputs[0]->n_elements * reduce->acc_bytes;
    *ret_reduce = reduce;
    return 0;
}

/* ---- run ---------------------------------------------------------------------------------------
 */

/* Steps to the next row: *acc to its accumulators, *ret_first whether they are new ones. False
 * after the last row. */
static bool next_row(const struct reduce *reduce, size_t *index, size_t *acc, bool *ret_first)
{
    for (int32_t i = reduce->n_groups - 1; i-- > 0;) {
        const struct group *group = &reduce->groups[i];

        if (++index[i] < group->size) {
            *acc += group->stride;
            *ret_first = true;
            for (int32_t k = 0; k < reduce->n_groups - 1; k++)
                if (reduce->groups[k].stride == 0 && index[k] > 0)
                    *ret_first = false;
            return true;
        }
        *acc -= group->stride * (group->size - 1);
        index[i] = 0;
    }
    return false;
}

/* Reduces the input, which is not empty, to the accumulators. */
static void reduce_all(const struct reduce *reduce, const void *in, char *accs)
{
    const struct group *row = &reduce->groups[reduce->n_groups - 1];
    size_t index[SCREE_MAX_RANK] = {0}, acc = 0;
    const char *from = in;
    bool first = true;

    do {
        reduce->row(accs + acc * reduce->acc_bytes, from, row->size, row->stride, first,
                    &reduce->quant);
        from += row->size * reduce->in_bytes;
    } while (next_row(reduce, index, &acc, &first));
}

/* What an output of an empty input is. */
static void fill_empty(const struct reduce *reduce, const struct scree_operand *output)
{
    size_t bytes = scree_type_bytes(output->type);

    for (size_t i = 0; i < output->n_elements; i++)
        memcpy((char *)output->data + i * bytes, reduce->empty, bytes);
}

/* Reduces what belongs to one element of the group before the two that sum_rows reduces. */
static void sum_rows(void *arg, size_t i, int thread)
{
    const struct scree_call *call = arg;
    const struct reduce *reduce = call->params;
    const struct group *rows = &reduce->groups[reduce->n_groups - 2];
    size_t n_rows = rows[0].size, n = rows[1].size;

    reduce->sum_rows((char *)call->outputs[0]->data + i * n,
                     (const char *)call->inputs[0]->data + i * n_rows * n, n_rows, n,
                     &reduce->quant);
}

int scree_reduce_run(const struct scree_call *call, struct scree_error *err)
{
    const struct reduce *reduce = call->params;
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    void *accs = reduce->in_scratch ? call->scratch : output->data;

    if (input->n_elements == 0) {
        fill_empty(reduce, output);
        return 0;
    }
    if (reduce->sum_rows) {
        scree_pool_run(call->pool, reduce->n_groups > 2 ? reduce->groups[0].size : 1, sum_rows,
                       (void *)(uintptr_t)call);
        return 0;
    }
    reduce_all(reduce, input->data, accs);
    if (reduce->finish)
        reduce->finish(output->data, accs, output->n_elements, reduce->n_reduced, &reduce->quant);
    return 0;
}

/* ---- MEAN, SUM ---------------------------------------------------------------------------------
 */

static bool is_quantized_type(enum scree_type type)
{
    return type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT8 || type == SCREE_TYPE_INT16;
}

/* The quantization of input and output. */
static int prepare_quant(const struct scree_call *call, struct scree_reduce_params *quant,
                         struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    int rc = scree_quant_check(input, "input 0", err);

    if (rc == 0)
        rc = scree_quant_check(output, "output 0", err);
    if (rc == 0 && input->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    if (rc < 0)
        return rc;
    quant->scale = input->quant->scale[0] / output->quant->scale[0];
    quant->zero_point = input->quant->zero_point[0];
    quant->out_zero_point = output->quant->zero_point[0];
    scree_integer_range(output->type, &quant->min, &quant->max);
    return 0;
}

/* The multiplier of sums, and of means with the division by `n_summed` in it. */
static int prepare_sum_multiplier(const struct scree_call *call, struct reduce *reduce,
                                  bool is_mean, struct scree_error *err)
{
    struct scree_multiplier *multiplier = &reduce->quant.multiplier;
    int shift, rc;

    rc = scree_multiplier_check((double)call->inputs[0]->quant->scale[0] /
                                    (double)call->outputs[0]->quant->scale[0],
                                multiplier, err);
    if (rc < 0 || !is_mean || reduce->n_reduced == 0)
        return rc;
    shift = 63 - __builtin_clzll(reduce->n_reduced);
    shift = shift < 32 ? shift : 32;
    shift = shift < 31 + multiplier->shift ? shift : 31 + multiplier->shift;
    multiplier->q = (int32_t)(((int64_t)multiplier->q << shift) / (int64_t)reduce->n_reduced);
    multiplier->shift -= shift;
    return 0;
}

/* The kernel for means and sums over neighbouring dimensions, with others behind them: of n_groups
 * kept and reduced in turn the last is kept. */
static void use_sum_rows(struct scree_call *call, struct reduce *reduce, scree_sum_rows_fn *kernel)
{
    int32_t n = reduce->n_groups;

    if (!kernel || n < 2 || n > 3 || reduce->groups[n - 1].stride == 0)
        return;
    reduce->sum_rows = kernel;
    call->scratch_bytes = 0;
}

static int prepare_mean_or_sum(struct scree_call *call, enum scree_type acc_type,
                               scree_reduce_fn *i32, bool is_mean, struct reduce **ret_reduce,
                               struct scree_error *err)
{
    const struct kernels kernels = {.f32 = scree_sum_f32,
                                    .i64 = scree_sum_i64,
                                    .i32 = i32,
                                    .i16 = scree_sum_i16_i32,
                                    .i8 = scree_sum_i8_i32,
                                    .u8 = scree_sum_u8_i32};
    int rc = prepare_reduce(call, &kernels, acc_type, ret_reduce, err);

    if (rc != 0 || !is_quantized_type(call->inputs[0]->type))
        return rc;
    rc = prepare_quant(call, &(*ret_reduce)->quant, err);
    return rc < 0 ? rc : prepare_sum_multiplier(call, *ret_reduce, is_mean, err);
}

int scree_mean_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct finishes finishes = {.f32 = scree_sums_to_means_f32,
                                             .i64 = scree_sums_to_means_i64,
                                             .i32 = scree_sums_to_means_i32,
                                             .i16 = scree_sums_to_i16,
                                             .i8 = scree_sums_to_i8,
                                             .u8 = scree_sums_to_u8};
    enum scree_type type = call->inputs[0]->type, acc_type = type;
    const float nan = NAN; /* the mean of nothing */
    struct reduce *reduce = NULL;
    int rc;

    if (type == SCREE_TYPE_INT32)
        acc_type = SCREE_TYPE_INT64;
    if (is_quantized_type(type))
        acc_type = SCREE_TYPE_INT32;
    rc = prepare_mean_or_sum(call, acc_type, scree_sum_i32_i64, true, &reduce, err);
    if (rc != 0)
        return rc;
    if (type == SCREE_TYPE_FLOAT32)
        memcpy(reduce->empty, &nan, sizeof nan);
    reduce->finish = finish_of(&finishes, type);
    use_sum_rows(call, reduce,
                 type == SCREE_TYPE_UINT8  ? call->kernels->sum_rows_u8
                 : type == SCREE_TYPE_INT8 ? call->kernels->sum_rows_i8
                                           : NULL);
    return 0;
}

/* LiteRT's reference kernel of SUM reads int8 and int16 as if they were uint8. So these are as its
 * default kernel has them, which works in float. */
int scree_sum_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct finishes finishes = {
        .i16 = scree_sums_to_i16_in_float, .i8 = scree_sums_to_i8_in_float, .u8 = scree_sums_to_u8};
    enum scree_type type = call->inputs[0]->type;
    struct reduce *reduce = NULL;
    int rc = prepare_mean_or_sum(call, is_quantized_type(type) ? SCREE_TYPE_INT32 : type,
                                 scree_sum_i32, false, &reduce, err);

    if (rc != 0)
        return rc;
    reduce->finish = finish_of(&finishes, type);
    use_sum_rows(call, reduce, type == SCREE_TYPE_UINT8 ? call->kernels->sum_rows_u8 : NULL);
    return 0;
}

/* ---- REDUCE_PROD -------------------------------------------------------------------------------
 */

/* Every factor and the result are multiplied by in_scale / out_scale^(1 / n). */
static int prepare_prod_quantized(struct scree_call *call, struct scree_error *err)
{
    static const struct kernels kernels = {.i16 = scree_prod_i16_i32, .i8 = scree_prod_i8_i32};
    static const struct finishes finishes = {.i16 = scree_products_to_i16,
                                             .i8 = scree_products_to_i8};
    struct reduce *reduce = NULL;
    double in_scale, out_scale;
    int rc = prepare_reduce(call, &kernels, SCREE_TYPE_INT32, &reduce, err);

    if (rc == 0)
        rc = prepare_quant(call, &reduce->quant, err);
    if (rc != 0)
        return rc;
    in_scale = call->inputs[0]->quant->scale[0];
    out_scale = call->outputs[0]->quant->scale[0];
    rc = scree_multiplier_check(in_scale / pow(out_scale, 1.0 / (double)reduce->n_reduced),
                                &reduce->quant.multiplier, err);
    if (rc == 0 && reduce->quant.multiplier.shift > 7)
        return scree_fail(err, EBADMSG, "scales %g and %g are too far apart", in_scale, out_scale);
    reduce->finish = finish_of(&finishes, call->inputs[0]->type);
    return rc;
}

int scree_reduce_prod_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct kernels kernels = {.f32 = scree_prod_f32,
                                           .i64 = scree_prod_i64,
                                           .i32 = scree_prod_i32,
                                           .i16 = scree_prod_i16,
                                           .i8 = scree_prod_i8,
                                           .u8 = scree_prod_u8};
    const struct scree_operand *input = call->inputs[0];
    const float one = 1;
    struct reduce *reduce = NULL;
    int rc;

    if (input->quant->n > 0 && (input->type == SCREE_TYPE_INT8 || input->type == SCREE_TYPE_INT16))
        return prepare_prod_quantized(call, err);
    if (input->quant->n > 0)
        return scree_fail(err, ENOTSUP, "quantized %s", scree_type_name(input->type));
    rc = prepare_reduce(call, &kernels, input->type, &reduce, err);
    if (rc != 0)
        return rc;
    reduce->empty[0] = 1; /* the product of nothing; integers are little-endian */
    if (input->type == SCREE_TYPE_FLOAT32)
        memcpy(reduce->empty, &one, sizeof one);
    return 0;
}

/* ---- REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL --------------------------------------------
 */

/* The greatest value of a type, or the least. */
static void extreme_value(enum scree_type type, bool greatest, uint8_t *ret_bytes)
{
    float f32 = greatest ? FLT_MAX : -FLT_MAX;
    int64_t i64 = greatest ? INT64_MAX : INT64_MIN;
    int32_t min, max;

    scree_integer_range(type, &min, &max);
    if (greatest)
        min = max;
    if (type == SCREE_TYPE_FLOAT32)
        memcpy(ret_bytes, &f32, sizeof f32);
    else if (type == SCREE_TYPE_INT64)
        memcpy(ret_bytes, &i64, sizeof i64);
    else
        memcpy(ret_bytes, &min, sizeof min); /* its low bytes are the narrower type's */
}

/* TFLite does not rescale here, so input and output must have one quantization. */
static int prepare_extreme(struct scree_call *call, const struct kernels *kernels, bool is_min,
                           struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    struct reduce *reduce = NULL;
    int rc = prepare_reduce(call, kernels, input->type, &reduce, err);

    if (rc != 0)
        return rc;
    if (input->quant->n == 1 && output->quant->n == 1 &&
        (input->quant->scale[0] != output->quant->scale[0] ||
         input->quant->zero_point[0] != output->quant->zero_point[0]))
        return scree_fail(err, EBADMSG, "input and output are quantized differently");
    extreme_value(input->type, is_min, reduce->empty);
    return 0;
}

int scree_reduce_max_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct kernels kernels = {.f32 = scree_greatest_f32,
                                           .i64 = scree_greatest_i64,
                                           .i32 = scree_greatest_i32,
                                           .i16 = scree_greatest_i16,
                                           .i8 = scree_greatest_i8,
                                           .u8 = scree_greatest_u8};

    return prepare_extreme(call, &kernels, false, err);
}

int scree_reduce_min_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct kernels kernels = {.f32 = scree_least_f32,
                                           .i64 = scree_least_i64,
                                           .i32 = scree_least_i32,
                                           .i16 = scree_least_i16,
                                           .i8 = scree_least_i8,
                                           .u8 = scree_least_u8};

    return prepare_extreme(call, &kernels, true, err);
}

static int prepare_boolean(struct scree_call *call, scree_reduce_fn *row, bool empty,
                           struct scree_error *err)
{
    const struct kernels kernels = {.boolean = row};
    struct reduce *reduce = NULL;
    int rc = prepare_reduce(call, &kernels, SCREE_TYPE_BOOL, &reduce, err);

    if (rc == 0)
        reduce->empty[0] = empty;
    return rc;
}

int scree_reduce_any_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_boolean(call, scree_any, false, err);
}

int scree_reduce_all_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_boolean(call, scree_all, true, err);
}
