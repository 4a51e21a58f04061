/* LSTM of int8 with a cell state of int16. */
#include <string.h>

#include "kernels/fixed_math.h"
#include "kernels/fixed_math16.h"
#include "kernels/lstm.h"

static int32_t clamp(int64_t x, int32_t min, int32_t max)
{
    return (int32_t)(x < min ? min : x > max ? max : x);
}

static int16_t clamp_s16(int64_t x)
{
    return (int16_t)clamp(x, INT16_MIN, INT16_MAX);
}

/* The low 16 bits. */
static int16_t wrap_s16(int32_t x)
{
    return (int16_t)(uint16_t)(uint32_t)x;
}

static int32_t multiply_row(const int8_t *weights, const int8_t *x, size_t n, int32_t bias,
                            struct scree_multiplier multiplier)
{
    uint32_t sum = (uint32_t)bias;

    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)(weights[i] * x[i]);
    return scree_multiply((int32_t)sum, multiplier);
}

/* out[b][r] = saturated out[b][r] + multiplier * (bias[r] + weights[r] . x[b]) */
static void add_product(int16_t *out, const int8_t *weights, size_t n_rows, const int8_t *x,
                        size_t n, size_t n_batch, const int32_t *bias,
                        struct scree_multiplier multiplier)
{
    for (size_t b = 0; b < n_batch; b++)
        for (size_t r = 0; r < n_rows; r++, out++)
            *out = clamp_s16((int64_t)*out +
                             multiply_row(weights + r * n, x + b * n, n, bias[r], multiplier));
}

/* TFLite walks over n_output cells of each sequence here, though there are n_cell of them: with a
 * projection only as many numbers are touched, and those of several sequences run into each other.
 */
static void add_peephole(int16_t *out, const struct scree_lstm_gate_s8 *gate, const int16_t *c,
                         const struct scree_lstm_sizes *sizes, size_t n_batch)
{
    size_t n = n_batch * sizes->n_output, n_cells = n_batch * sizes->n_cell;

    for (size_t i = 0; i < n && i < n_cells; i++) {
        size_t at = i % sizes->n_output;
        int32_t product = at < sizes->n_cell ? gate->peephole[at] * c[i] : 0;

        out[i] = clamp_s16((int64_t)out[i] + scree_multiply(product, gate->peephole_multiplier));
    }
}

/* The mean of x in 1/1024ths, and the multiplier that divides by the standard deviation. */
static struct scree_multiplier measure(const int16_t *x, size_t n, int32_t guard, int32_t *ret_mean)
{
    struct scree_multiplier inverse;
    int64_t sum = 0, squares = 0, variance;
    int32_t shrunk;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    *ret_mean = (int32_t)(sum * 1024 / (int64_t)n);
    variance = squares * ((1 << 20) / (int64_t)n) - (int64_t)*ret_mean * *ret_mean;
    shrunk = (int32_t)(variance / (1 << 20));
    scree_fixed_inverse_sqrt(shrunk < 1 ? guard : shrunk, &inverse.q, &inverse.shift);
    return inverse;
}

static void normalize(int16_t *x, const struct scree_lstm_gate_s8 *gate, size_t n)
{
    struct scree_multiplier scale = {gate->norm_multiplier.q, gate->norm_multiplier.shift + 12};
    struct scree_multiplier inverse;
    int32_t mean;

    inverse = measure(x, n, gate->variance_guard, &mean);
    for (size_t i = 0; i < n; i++) {
        int32_t centred = scree_multiply(1024 * x[i] - mean, inverse);
        uint32_t product = (uint32_t)centred * (uint32_t)gate->norm[i] + (uint32_t)gate->bias[i];
        int64_t value = (int32_t)product;

        value = (value > 0 ? value + 512 : value - 512) / 1024;
        x[i] = clamp_s16(scree_multiply((int32_t)value, scale));
    }
}

/* A gate before its activation, in Q3.12. */
static void run_gate(const struct scree_lstm_s8 *lstm, enum scree_lstm_gate_name name,
                     size_t n_batch, const int8_t *x, const int8_t *h, const int16_t *c,
                     int16_t *out)
{
    const struct scree_lstm_gate_s8 *gate = &lstm->gates[name];
    const struct scree_lstm_sizes *sizes = &lstm->sizes;
    size_t n = sizes->n_cell;

    memset(out, 0, n_batch * n * sizeof *out);
    add_product(out, gate->input, n, x, sizes->n_input, n_batch, gate->input_bias,
                gate->input_multiplier);
    add_product(out, gate->recurrent, n, h, sizes->n_output, n_batch, gate->recurrent_bias,
                gate->recurrent_multiplier);
    if (gate->peephole)
        add_peephole(out, gate, c, sizes, n_batch);
    for (size_t b = 0; b < n_batch && gate->norm; b++)
        normalize(out + b * n, gate, n);
}

static void run_sigmoid_gate(const struct scree_lstm_s8 *lstm, enum scree_lstm_gate_name name,
                             size_t n_batch, const int8_t *x, const int8_t *h, const int16_t *c,
                             int16_t *out)
{
    run_gate(lstm, name, n_batch, x, h, c, out);
    for (size_t i = 0; i < n_batch * lstm->sizes.n_cell; i++)
        out[i] = scree_fixed16_logistic(out[i]);
}

static void update_cell(const struct scree_lstm_s8 *lstm, size_t n, int16_t *const *gates,
                        int16_t *c)
{
    const int16_t *forget = gates[SCREE_LSTM_FORGET_GATE], *cell = gates[SCREE_LSTM_CELL_GATE];
    int16_t limit = lstm->cell_clip;

    for (size_t i = 0; i < n; i++) {
        int16_t input = lstm->coupled ? wrap_s16(INT16_MAX - forget[i])
                                      : gates[SCREE_LSTM_INPUT_GATE][i];
        int16_t kept = wrap_s16(scree_rounding_shift(forget[i] * c[i], 15));
        int16_t added = wrap_s16(scree_rounding_shift(input * cell[i], 30 + lstm->cell_exponent));

        c[i] = clamp_s16(kept + added);
        if (limit > 0)
            c[i] = (int16_t)clamp(c[i], -limit, limit);
    }
}

/* to[i] = a[i] * b[i] as int8 */
static void multiply_gates(const struct scree_lstm_s8 *lstm, const int16_t *a, const int16_t *b,
                           size_t n, int32_t zero_point, int8_t *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (int8_t)clamp((int64_t)scree_multiply(a[i] * b[i], lstm->hidden_multiplier) +
                                  zero_point,
                              INT8_MIN, INT8_MAX);
}

static void project(const struct scree_lstm_s8 *lstm, size_t n_batch, const int8_t *hidden,
                    int8_t *h)
{
    size_t n = lstm->sizes.n_cell, n_output = lstm->sizes.n_output;

    for (size_t b = 0; b < n_batch; b++)
        for (size_t r = 0; r < n_output; r++) {
            int64_t value = multiply_row(lstm->projection + r * n, hidden + b * n, n,
                                         lstm->projection_bias[r], lstm->projection_multiplier);
            int32_t limit = lstm->projection_clip;
            int32_t out = clamp(value + lstm->output_zero_point, INT8_MIN, INT8_MAX);

            h[b * n_output + r] = (int8_t)(limit > 0 ? clamp(out, -limit, limit) : out);
        }
}

void scree_lstm_step_s8(const struct scree_lstm_s8 *lstm, size_t n_batch, const int8_t *x,
                        int8_t *h, int16_t *c, const struct scree_lstm_scratch_s8 *scratch)
{
    size_t n = n_batch * lstm->sizes.n_cell;
    int16_t *cell = scratch->gates[SCREE_LSTM_CELL_GATE];
    int16_t *output = scratch->gates[SCREE_LSTM_OUTPUT_GATE];

    if (!lstm->coupled)
        run_sigmoid_gate(lstm, SCREE_LSTM_INPUT_GATE, n_batch, x, h, c,
                         scratch->gates[SCREE_LSTM_INPUT_GATE]);
    run_sigmoid_gate(lstm, SCREE_LSTM_FORGET_GATE, n_batch, x, h, c,
                     scratch->gates[SCREE_LSTM_FORGET_GATE]);
    run_gate(lstm, SCREE_LSTM_CELL_GATE, n_batch, x, h, c, cell);
    for (size_t i = 0; i < n; i++)
        cell[i] = scree_fixed16_tanh(cell[i], 3);
    update_cell(lstm, n, scratch->gates, c);
    run_sigmoid_gate(lstm, SCREE_LSTM_OUTPUT_GATE, n_batch, x, h, c, output);
    for (size_t i = 0; i < n; i++)
        scratch->hidden[i] = scree_fixed16_tanh(c[i], 15 + lstm->cell_exponent);
    if (lstm->projection) {
        /* TFLite folds the zero point into the projection's bias with the other sign */
        multiply_gates(lstm, output, scratch->hidden, n, -lstm->hidden_zero_point,
                       scratch->projected);
        project(lstm, n_batch, scratch->projected, h);
    } else {
        multiply_gates(lstm, output, scratch->hidden, n, lstm->hidden_zero_point, h);
    }
}

void scree_lstm_fold_zero_point(int32_t *ret, const int8_t *weights, size_t n_rows, size_t n,
                                int32_t factor, const int32_t *bias)
{
    for (size_t r = 0; r < n_rows; r++) {
        uint32_t sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (uint32_t)weights[r * n + i];
        ret[r] = (int32_t)(sum * (uint32_t)factor + (bias ? (uint32_t)bias[r] : 0));
    }
}
