/* tests/delegate/conv.h - convolutions as a delegate sees them, in plain C. */
#ifndef SCREE_TESTS_DELEGATE_CONV_H
#define SCREE_TESTS_DELEGATE_CONV_H

#include "delegate/abi.h"

/* Computes a CONV_2D (3) or DEPTHWISE_CONV_2D (4) of uint8 tensors with one scale each. It rounds
 * once, in floating point, so it is within one step of TFLite, whose rounding is done twice.
 * Returns a status: anything else is an error. */
int test_conv(const struct scree_tfl_context *context, const struct scree_tfl_node *node,
              const struct scree_tfl_registration *registration);

#endif
