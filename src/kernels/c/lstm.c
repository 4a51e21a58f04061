/* LSTM of floats, with weights of floats or int8. */
#include "kernels/lstm.h"

#include <math.h>
#include <string.h>

#include "kernels/hybrid.h"

static float dot_f32(const float *a, const float *b, size_t n)
{
    float sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static int32_t dot_s8(const int8_t *weights, const int8_t *q, int32_t zero_point, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)(weights[i] * (int16_t)(q[i] - zero_point));
    return (int32_t)sum;
}

void scree_lstm_multiply(float *out, const struct scree_lstm_matrix *matrix, size_t n_rows,
                         const struct scree_lstm_vector *vector)
{
    float scale = matrix->scale * vector->scale;

    for (size_t r = 0; r < n_rows; r++)
        if (matrix->is_s8)
            out[r] += (float)dot_s8((const int8_t *)matrix->weights + r * vector->n, vector->q,
                                    vector->zero_point, vector->n) *
                      scale;
        else
            out[r] += dot_f32((const float *)matrix->weights + r * vector->n, vector->x, vector->n);
}

struct scree_lstm_vector scree_lstm_quantize(const float *x, size_t n, int8_t *q, bool asymmetric)
{
    struct scree_lstm_vector vector = {.x = x, .q = q, .scale = 1, .n = n};
    struct scree_hybrid_range range;

    if (!q || n == 0)
        return vector;
    range = scree_hybrid_find_range(&scree_hybrid_c, x, n, asymmetric);
    scree_hybrid_quantize(&scree_hybrid_c, q, x, n, &range);
    vector.scale = range.scale;
    vector.zero_point = range.zero_point;
    return vector;
}

static float logistic(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float clamp(float x, float min, float max)
{
    x = x < min ? min : x;
    return max < x ? max : x;
}

float scree_lstm_activate(const struct scree_lstm_activation *activation, float x)
{
    return activation->is_tanh ? tanhf(x) : clamp(x, activation->min, activation->max);
}

static void clip(float *x, size_t n, float limit)
{
    for (size_t i = 0; i < n && limit > 0; i++)
        x[i] = clamp(x[i], -limit, limit);
}

/* x = (x - mean) / deviation * norm + bias */
static void normalize(float *x, size_t n, const float *norm, const float *bias)
{
    float sum = 0, squares = 0, mean, inverse;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    mean = sum / (float)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    inverse = 1.0f / sqrtf(squares / (float)n + 1e-8f);
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) * inverse * norm[i] + bias[i];
}

static void add_diagonal(float *out, const struct scree_lstm_matrix *diagonal, const float *x,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += x[i] * (diagonal->is_s8
                              ? diagonal->scale * (float)((const int8_t *)diagonal->weights)[i]
                              : ((const float *)diagonal->weights)[i]);
}

/* A gate before its activation. */
static void run_gate(const struct scree_lstm *lstm, const struct scree_lstm_gate *gate,
                     const struct scree_lstm_vector *x, const struct scree_lstm_vector *h,
                     const float *c, float *out)
{
    size_t n = lstm->sizes.n_cell;

    for (size_t i = 0; i < n; i++)
        out[i] = gate->norm ? 0 : gate->bias[i];
    scree_lstm_multiply(out, &gate->input, n, x);
    if (gate->diagonal)
        add_diagonal(out, &gate->recurrent, h->x, n);
    else
        scree_lstm_multiply(out, &gate->recurrent, n, h);
    if (gate->peephole.weights)
        add_diagonal(out, &gate->peephole, c, n);
    if (gate->norm)
        normalize(out, n, gate->norm, gate->bias);
}

static void run_sigmoid_gate(const struct scree_lstm *lstm, enum scree_lstm_gate_name name,
                             const struct scree_lstm_vector *x, const struct scree_lstm_vector *h,
                             const float *c, float *out)
{
    run_gate(lstm, &lstm->gates[name], x, h, c, out);
    for (size_t i = 0; i < lstm->sizes.n_cell; i++)
        out[i] = logistic(out[i]);
}

static void update_cell(const struct scree_lstm *lstm, float *const *gates, float *c)
{
    const float *forget = gates[SCREE_LSTM_FORGET_GATE], *cell = gates[SCREE_LSTM_CELL_GATE];

    for (size_t i = 0; i < lstm->sizes.n_cell; i++) {
        float input = lstm->coupled ? 1.0f - forget[i] : gates[SCREE_LSTM_INPUT_GATE][i];

        c[i] = forget[i] * c[i] + cell[i] * input;
    }
    clip(c, lstm->sizes.n_cell, lstm->cell_clip);
}

static void project(const struct scree_lstm *lstm, const struct scree_lstm_scratch *scratch,
                    float *h)
{
    size_t n = lstm->sizes.n_output;
    struct scree_lstm_vector hidden = scree_lstm_quantize(scratch->hidden, lstm->sizes.n_cell,
                                                          lstm->is_hybrid ? scratch->q_cell : NULL,
                                                          lstm->asymmetric);

    for (size_t i = 0; i < n; i++)
        h[i] = lstm->projection_bias ? lstm->projection_bias[i] : 0;
    scree_lstm_multiply(h, &lstm->projection, n, &hidden);
    clip(h, n, lstm->projection_clip);
}

void scree_lstm_step(const struct scree_lstm *lstm, const float *x, float *h, float *c,
                     const struct scree_lstm_scratch *scratch)
{
    const struct scree_lstm_sizes *sizes = &lstm->sizes;
    struct scree_lstm_vector vx = scree_lstm_quantize(
        x, sizes->n_input, lstm->is_hybrid ? scratch->q_input : NULL, lstm->asymmetric);
    struct scree_lstm_vector vh = scree_lstm_quantize(
        h, sizes->n_output, lstm->is_hybrid ? scratch->q_output : NULL, lstm->asymmetric);
    float *cell = scratch->gates[SCREE_LSTM_CELL_GATE];
    float *output = scratch->gates[SCREE_LSTM_OUTPUT_GATE];

    if (!lstm->coupled)
        run_sigmoid_gate(lstm, SCREE_LSTM_INPUT_GATE, &vx, &vh, c,
                         scratch->gates[SCREE_LSTM_INPUT_GATE]);
    run_sigmoid_gate(lstm, SCREE_LSTM_FORGET_GATE, &vx, &vh, c,
                     scratch->gates[SCREE_LSTM_FORGET_GATE]);
    run_gate(lstm, &lstm->gates[SCREE_LSTM_CELL_GATE], &vx, &vh, c, cell);
    for (size_t i = 0; i < sizes->n_cell; i++)
        cell[i] = scree_lstm_activate(&lstm->activation, cell[i]);
    update_cell(lstm, scratch->gates, c);
    run_sigmoid_gate(lstm, SCREE_LSTM_OUTPUT_GATE, &vx, &vh, c, output);
    for (size_t i = 0; i < sizes->n_cell; i++)
        scratch->hidden[i] = output[i] * scree_lstm_activate(&lstm->activation, c[i]);
    if (lstm->projection.weights)
        project(lstm, scratch, h);
    else
        memcpy(h, scratch->hidden, sizes->n_output * sizeof *h);
}
