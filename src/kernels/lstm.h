/* kernels/lstm.h - one step of a long short-term memory.
 *
 *     gate[g] = act(W[g] x + R[g] h + P[g] c + b[g])       for the gates input, forget, output
 *     c       = clip(forget * c + input * gate[cell])
 *     h       = output * act(c), or clip(projection * that + b)
 *
 * With normalization a gate is act(norm(W x + R h + P c) * n + b). Without an input gate
 * ("coupled") it is 1 - forget. x is the input of the step, h the output state, c the cell state.
 *
 * Memory: keeps nothing; h and c are read and written. Threads: pure but for that. Cannot fail.
 * Source: TFLite's lstm_eval.cc and reference/portable_tensor_utils.cc. */
#ifndef SCREE_KERNELS_LSTM_H
#define SCREE_KERNELS_LSTM_H

#include <stdbool.h>

#include "kernels/fixed.h"

enum scree_lstm_gate_name {
    SCREE_LSTM_INPUT_GATE,
    SCREE_LSTM_FORGET_GATE,
    SCREE_LSTM_CELL_GATE,
    SCREE_LSTM_OUTPUT_GATE,
    SCREE_LSTM_N_GATES,
};

struct scree_lstm_sizes {
    size_t n_input, n_cell, n_output;
};

/* An activation of floats: tanh, or a clamp to [min, max]. */
struct scree_lstm_activation {
    bool is_tanh;
    float min, max;
};

/* A matrix of floats, or of int8 with a scale; weights NULL: there is none. */
struct scree_lstm_matrix {
    const void *weights;
    bool is_s8;
    float scale;
};

/* A vector, and what it is as int8 where a matrix is: x[i] = scale * (q[i] - zero_point). */
struct scree_lstm_vector {
    const float *x;
    const int8_t *q;
    float scale;
    int32_t zero_point;
    size_t n;
};

struct scree_lstm_gate {
    struct scree_lstm_matrix input;     /* [n_cell][n_input] */
    struct scree_lstm_matrix recurrent; /* [n_cell][n_output], or f32[n_cell] if diagonal */
    struct scree_lstm_matrix peephole;  /* [n_cell], a diagonal */
    bool diagonal;
    const float *norm; /* f32[n_cell] or NULL */
    const float *bias; /* f32[n_cell] */
};

/* An LSTM of floats, or of floats with int8 weights. */
struct scree_lstm {
    struct scree_lstm_sizes sizes;
    struct scree_lstm_gate gates[SCREE_LSTM_N_GATES]; /* the input gate's is all zeros if coupled */
    struct scree_lstm_matrix projection;              /* [n_output][n_cell] */
    const float *projection_bias;                     /* f32[n_output] or NULL */
    struct scree_lstm_activation activation;
    float cell_clip, projection_clip; /* 0: none */
    bool coupled, is_hybrid, asymmetric;
};

/* Working memory of a step. */
struct scree_lstm_scratch {
    float *gates[SCREE_LSTM_N_GATES];    /* f32[n_cell] each */
    float *hidden;                       /* f32[n_cell] */
    int8_t *q_input, *q_output, *q_cell; /* hybrid: s8[n_input], s8[n_output], s8[n_cell] */
};

/* One step of one sequence. x f32[n_input], h f32[n_output], c f32[n_cell]; the output is h. */
void scree_lstm_step(const struct scree_lstm *lstm, const float *x, float *h, float *c,
                     const struct scree_lstm_scratch *scratch);

/* tanh(x), or x clamped. */
float scree_lstm_activate(const struct scree_lstm_activation *activation, float x);

/* out[r] += sum over i of matrix[r][i] * vector[i], for r < n_rows; with int8 weights the integer
 * sum times matrix->scale * vector->scale. out f32[n_rows]. */
void scree_lstm_multiply(float *out, const struct scree_lstm_matrix *matrix, size_t n_rows,
                         const struct scree_lstm_vector *vector);

/* x f32[n] as a vector; if q is not NULL, quantized into it: s8[n]. */
struct scree_lstm_vector scree_lstm_quantize(const float *x, size_t n, int8_t *q, bool asymmetric);

/* A gate of an LSTM of integers. */
struct scree_lstm_gate_s8 {
    const int8_t *input, *recurrent;      /* s8[n_cell][n_input], s8[n_cell][n_output] */
    int32_t *input_bias, *recurrent_bias; /* s32[n_cell]: zero points times weights, and bias */
    struct scree_multiplier input_multiplier, recurrent_multiplier;
    const int16_t *peephole; /* s16[n_cell] or NULL */
    struct scree_multiplier peephole_multiplier;
    const int16_t *norm;                     /* s16[n_cell] or NULL */
    struct scree_multiplier norm_multiplier; /* shift at most 19 */
    int32_t variance_guard;
    const int32_t *bias; /* s32[n_cell]; in input_bias already if norm is NULL */
};

/* An LSTM of int8 with a cell state of int16 and gates in Q3.12. */
struct scree_lstm_s8 {
    struct scree_lstm_sizes sizes;
    struct scree_lstm_gate_s8 gates[SCREE_LSTM_N_GATES];
    bool coupled;
    int cell_exponent; /* the cell state is raw * 2^cell_exponent, in [-15, -9] */
    int16_t cell_clip; /* 0: none */
    struct scree_multiplier hidden_multiplier;
    int32_t hidden_zero_point;
    const int8_t *projection; /* s8[n_output][n_cell] or NULL */
    int32_t *projection_bias; /* s32[n_output]: as the gates' */
    struct scree_multiplier projection_multiplier;
    int8_t projection_clip; /* 0: none */
    int32_t output_zero_point;
};

struct scree_lstm_scratch_s8 {
    int16_t *gates[SCREE_LSTM_N_GATES]; /* s16[n_batch][n_cell] each */
    int16_t *hidden;                    /* s16[n_batch][n_cell] */
    int8_t *projected;                  /* s8[n_batch][n_cell] */
};

/* One step of n_batch sequences. x s8[n_batch][n_input], h s8[n_batch][n_output],
 * c s16[n_batch][n_cell]; the output is h. */
void scree_lstm_step_s8(const struct scree_lstm_s8 *lstm, size_t n_batch, const int8_t *x,
                        int8_t *h, int16_t *c, const struct scree_lstm_scratch_s8 *scratch);

/* ret[r] = bias[r] + factor * sum over i of weights[r][i]; bias NULL: 0. All wrap. weights
 * s8[n_rows][n]. */
void scree_lstm_fold_zero_point(int32_t *ret, const int8_t *weights, size_t n_rows, size_t n,
                                int32_t factor, const int32_t *bias);

#endif
