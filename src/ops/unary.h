/* ops/unary.h - what operators of one tensor have in common: the output's shape is the input's, and
 * run goes through all elements with one kernel.
 *
 *     rc = scree_unary_prepare(call, &unary, err);
 *     unary->row = scree_exp_f32;             // or a table of the operator:
 *     rc = scree_unary_use_lut(call, unary, scree_exp_of, NULL, err);
 */
#ifndef SCREE_OPS_UNARY_H
#define SCREE_OPS_UNARY_H

#include "kernels/lut.h"
#include "kernels/unary.h"
#include "ops/ops.h"

/* The message of prepare to run. */
struct scree_unary {
    scree_row_fn *row;
    const void *row_params; /* &params, or a table */
    struct scree_unary_params params;
    int32_t lowest; /* run fails for a quantized value below it; INT32_MIN if all are fine */
    union {
        uint8_t bytes[SCREE_LUT_8_SIZE];
        int16_t words[SCREE_LUT_16_SIZE];
        float floats[SCREE_LUT_8_SIZE];
    } table;
};

/* Allocates *ret_unary, the call's params, and gives the output the input's shape. The caller sets
 * `row`; row_params points to params. Errors: ENOMEM, E2BIG. */
int scree_unary_prepare(struct scree_call *call, struct scree_unary **ret_unary,
                        struct scree_error *err);

/* Checks the quantization of input and output (i16: zero points 0), and sets params' zero points
 * and the clamp to the output's type. Errors: EBADMSG. */
int scree_unary_prepare_quantized(const struct scree_call *call, struct scree_unary *unary,
                                  struct scree_error *err);

/* Makes the operator a table of f, by the scales of input and output: u8, i8 or i16.
 * Errors: EBADMSG, as scree_unary_prepare_quantized. */
int scree_unary_use_lut(struct scree_call *call, struct scree_unary *unary, scree_lut_fn *f,
                        const void *arg, struct scree_error *err);

/* Makes the operator a table of f, which reads params (complete by now): u8 or i8 to u8 or i8. */
void scree_unary_use_table(struct scree_call *call, struct scree_unary *unary,
                           scree_quantized_fn *f);

/* input scale / output scale, in float as TFLite has it */
float scree_unary_scale_ratio(const struct scree_call *call);

/* The run function of all of them. Errors: EBADMSG, for a value below `lowest`. */
scree_run_fn scree_unary_run;

#endif
