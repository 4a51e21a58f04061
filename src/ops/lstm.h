/* ops/lstm.h - what the two kinds of LSTM share: which input is what, and the sizes.
 *
 * The inputs are those of TFLite's full LSTM kernel (lstm_shared.h); 20 of them, or 24 with the
 * coefficients of normalization. */
#ifndef SCREE_OPS_LSTM_H
#define SCREE_OPS_LSTM_H

#include "kernels/lstm.h"
#include "plan/op.h"

/* The first of the four inputs, for the gates in the order of enum scree_lstm_gate_name. There is
 * no peephole of the cell gate, and those behind it come one earlier. */
enum scree_lstm_operand {
    SCREE_LSTM_X = 0,
    SCREE_LSTM_INPUT_WEIGHTS = 1,
    SCREE_LSTM_RECURRENT_WEIGHTS = 5,
    SCREE_LSTM_PEEPHOLE_WEIGHTS = 9,
    SCREE_LSTM_BIAS = 12,
    SCREE_LSTM_PROJECTION = 16,
    SCREE_LSTM_PROJECTION_BIAS = 17,
    SCREE_LSTM_OUTPUT_STATE = 18,
    SCREE_LSTM_CELL_STATE = 19,
    SCREE_LSTM_NORM = 20,
};

/* What prepare leaves for run. */
struct scree_lstm_params {
    struct scree_lstm_sizes sizes;
    size_t n_batch, n_steps;
    bool time_major; /* [steps][batch] in place of [batch][steps] */
    bool coupled, has_peephole, has_norm, is_hybrid;
    bool asymmetric;
    float cell_clip, projection_clip;
    struct scree_lstm_activation activation;
    struct scree_lstm_s8 s8;                                 /* int8: all but the pointers */
    size_t gates, hidden, q_input, q_output, q_cell, biases; /* in the scratch */
};

/* The operand of a gate among the four at `first`, or NULL. */
const struct scree_operand *scree_lstm_operand_of(const struct scree_call *call,
                                                  enum scree_lstm_operand first,
                                                  enum scree_lstm_gate_name gate);

/* An operand of weights, or all zeros for NULL. Its data may be NULL until a run. */
struct scree_lstm_matrix scree_lstm_matrix_of(const struct scree_operand *operand);

/* The activation of floats. Errors: ENOTSUP for SIGN_BIT. */
int scree_lstm_find_activation(enum scree_activation activation, struct scree_lstm_activation *ret,
                               struct scree_error *err);

/* Fills params->s8 from scales, and lays out the scratch. Errors: EBADMSG, E2BIG. */
int scree_lstm_prepare_s8(struct scree_call *call, struct scree_lstm_params *params,
                          struct scree_error *err);

/* Runs all steps of an int8 LSTM. Cannot fail. */
void scree_lstm_run_s8(const struct scree_call *call);

#endif
