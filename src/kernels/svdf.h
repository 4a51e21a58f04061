/* kernels/svdf.h - a fully connected layer over time, its weights the product of two thin matrices.
 *
 *     state[f]  = the last n_memory values of features[f] . x, the newest last
 *     out[u]    = act(bias[u] + sum over r < rank of time[f] . state[f])      f = u * rank + r
 *
 * Memory: keeps nothing; the state is read and written. Threads: pure but for that. Cannot fail.
 * Source: TFLite's reference/svdf.h. */
#ifndef SCREE_KERNELS_SVDF_H
#define SCREE_KERNELS_SVDF_H

#include "kernels/lstm.h"

struct scree_svdf_sizes {
    size_t n_batch, n_input, n_filters, n_memory, rank; /* n_filters is a multiple of rank */
};

/* SVDF of floats, or with int8 weights. */
struct scree_svdf {
    struct scree_svdf_sizes sizes;
    struct scree_lstm_matrix features; /* [n_filters][n_input] */
    struct scree_lstm_matrix time;     /* [n_filters][n_memory] */
    const float *bias;                 /* f32[n_filters / rank] or NULL */
    struct scree_lstm_activation activation;
    bool asymmetric;
};

/* x f32[n_batch][n_input], state f32[n_batch][n_filters][n_memory], out f32[n_batch][n_filters /
 * rank]; scratch f32[n_filters]; quantized s8[n_input], or NULL if the weights are floats. */
void scree_svdf_f32(const struct scree_svdf *svdf, const float *x, float *state, float *out,
                    float *scratch, int8_t *quantized);

/* SVDF of int8 with a state of int16. */
struct scree_svdf_s8 {
    struct scree_svdf_sizes sizes;
    const int8_t *features; /* s8[n_filters][n_input] */
    const int16_t *time;    /* s16[n_filters][n_memory] */
    const int32_t *bias;    /* s32[n_filters / rank] or NULL */
    int32_t input_zp, output_zp;
    struct scree_multiplier state_multiplier, output_multiplier;
};

/* x s8[n_batch][n_input], state s16[n_batch][n_filters][n_memory], out s8[n_batch][n_filters /
 * rank]. Sums wrap at 32 bits. */
void scree_svdf_step_s8(const struct scree_svdf_s8 *svdf, const int8_t *x, int16_t *state,
                        int8_t *out);

#endif
