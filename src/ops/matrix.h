/* ops/matrix.h - what the convolutions and matrix products share. */
#ifndef SCREE_OPS_MATRIX_H
#define SCREE_OPS_MATRIX_H

#include "kernels/conv.h"
#include "plan/op.h"

/* Fills `quant` from input 0, filter (input 1) and output 0 of a call: multipliers (one, or one per
 * output channel) into the call's arena, zero points, and the clamp of the activation. Errors:
 * EBADMSG (quantization missing or impossible), ENOTSUP (activation), ENOMEM. */
int scree_conv_quantize(struct scree_call *call, enum scree_activation activation, int32_t out_c,
                        struct scree_conv_quant *quant, struct scree_error *err);

#endif
