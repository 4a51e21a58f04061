#include "kernels/svdf.h"

#include <string.h>

/* How many elements the state has. All of it moves by one, across filters and sequences: the last
 * element of each filter is written anew. */
static size_t state_length(const struct scree_svdf_sizes *sizes)
{
    return sizes->n_batch * sizes->n_filters * sizes->n_memory;
}

/* time[f] . state[f] */
static float weigh(const struct scree_svdf *svdf, const float *state, size_t f)
{
    const struct scree_lstm_matrix *time = &svdf->time;
    size_t n = svdf->sizes.n_memory;
    float sum = 0;

    for (size_t i = 0; i < n; i++) {
        float weight = time->is_s8 ? (float)((const int8_t *)time->weights)[f * n + i] * time->scale
                                   : ((const float *)time->weights)[f * n + i];

        sum += weight * state[i];
    }
    return sum;
}

/* The outputs of one sequence. */
static void finish(const struct scree_svdf *svdf, const float *state, float *out)
{
    const struct scree_svdf_sizes *sizes = &svdf->sizes;

    for (size_t u = 0; u < sizes->n_filters / sizes->rank; u++) {
        float sum = 0;

        for (size_t f = u * sizes->rank; f < (u + 1) * sizes->rank; f++)
            sum += weigh(svdf, state + f * sizes->n_memory, f);
        out[u] = scree_lstm_activate(&svdf->activation, svdf->bias ? sum + svdf->bias[u] : sum);
    }
}

void scree_svdf_f32(const struct scree_svdf *svdf, const float *x, float *state, float *out,
                    float *scratch, int8_t *quantized)
{
    const struct scree_svdf_sizes *sizes = &svdf->sizes;
    size_t n = state_length(sizes);

    memmove(state, state + 1, (n - 1) * sizeof *state);
    for (size_t b = 0; b < sizes->n_batch; b++) {
        struct scree_lstm_vector vector = scree_lstm_quantize(
            x + b * sizes->n_input, sizes->n_input, quantized, svdf->asymmetric);

        memset(scratch, 0, sizes->n_filters * sizeof *scratch);
        scree_lstm_multiply(scratch, &svdf->features, sizes->n_filters, &vector);
        for (size_t f = 0; f < sizes->n_filters; f++)
            state[(f + 1) * sizes->n_memory - 1] = scratch[f];
        finish(svdf, state, out);
        state += sizes->n_filters * sizes->n_memory;
        out += sizes->n_filters / sizes->rank;
    }
}

static int32_t clamp(int64_t x, int32_t min, int32_t max)
{
    return (int32_t)(x < min ? min : x > max ? max : x);
}

/* features[f] . x as int16 */
static int16_t feel(const struct scree_svdf_s8 *svdf, const int8_t *x, size_t f)
{
    size_t n = svdf->sizes.n_input;
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)(svdf->features[f * n + i] * (x[i] - svdf->input_zp));
    return (int16_t)clamp(scree_multiply((int32_t)sum, svdf->state_multiplier), INT16_MIN,
                          INT16_MAX);
}

/* The output of a unit. */
static int8_t finish_s8(const struct scree_svdf_s8 *svdf, const int16_t *state, size_t u)
{
    const struct scree_svdf_sizes *sizes = &svdf->sizes;
    size_t n = sizes->rank * sizes->n_memory;
    uint32_t sum = svdf->bias ? (uint32_t)svdf->bias[u] : 0;

    for (size_t i = u * n; i < (u + 1) * n; i++)
        sum += (uint32_t)(svdf->time[i] * state[i]);
    return (int8_t)clamp((int64_t)scree_multiply((int32_t)sum, svdf->output_multiplier) +
                             svdf->output_zp,
                         INT8_MIN, INT8_MAX);
}

void scree_svdf_step_s8(const struct scree_svdf_s8 *svdf, const int8_t *x, int16_t *state,
                        int8_t *out)
{
    const struct scree_svdf_sizes *sizes = &svdf->sizes;
    size_t n = state_length(sizes), n_units = sizes->n_filters / sizes->rank;

    memmove(state, state + 1, (n - 1) * sizeof *state);
    for (size_t b = 0; b < sizes->n_batch; b++) {
        for (size_t f = 0; f < sizes->n_filters; f++)
            state[(f + 1) * sizes->n_memory - 1] = feel(svdf, x + b * sizes->n_input, f);
        for (size_t u = 0; u < n_units; u++)
            out[b * n_units + u] = finish_s8(svdf, state, u);
        state += sizes->n_filters * sizes->n_memory;
    }
}
