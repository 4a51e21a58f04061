/* ops/suppression.c - NON_MAX_SUPPRESSION_V4, NON_MAX_SUPPRESSION_V5. */
#include <string.h>

#include "kernels/detection.h"

#include "ops/layout.h"
#include "ops/ops.h"

enum { BOXES, SCORES, MOST, OVERLAP_THRESHOLD, SCORE_THRESHOLD, SIGMA };

static int check_inputs(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *boxes = &call->inputs[BOXES]->shape;
    int rc;

    if (boxes->rank != 2 || boxes->dims[1] != 4)
        return scree_fail(err, EBADMSG, "the boxes are not of shape nx4");
    if ((rc = scree_vector_check(call->inputs[SCORES], "the scores", boxes->dims[0], err)) < 0)
        return rc;
    for (uint32_t i = MOST; i < call->n_inputs; i++)
        if (call->inputs[i]->n_elements != 1)
            return scree_fail(err, EBADMSG, "input %u has %zu elements, not one", i,
                              call->inputs[i]->n_elements);
    return 0;
}

/* The outputs have room for as many as are asked for, found or not. */
int scree_suppression_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {0}, scalar = {0};
    uint32_t last = call->n_outputs - 1;
    int rc = check_inputs(call, err);

    if (rc < 0)
        return rc;
    if (!scree_operand_known(call->inputs[MOST]))
        return SCREE_DEFER;
    if ((rc = scree_shape_append(&shape, scree_operand_int(call->inputs[MOST], 0), err)) < 0)
        return rc;
    for (uint32_t i = 0; i < last && rc == 0; i++)
        rc = scree_call_set_shape(call, i, &shape, err);
    call->scratch_bytes = call->inputs[SCORES]->n_elements * 3 * sizeof(int32_t);
    return rc < 0 ? rc : scree_call_set_shape(call, last, &scalar, err);
}

static float value_of(const struct scree_operand *operand)
{
    float value;

    memcpy(&value, operand->data, sizeof value);
    return value;
}

int scree_suppression_run(const struct scree_call *call, struct scree_error *err)
{
    size_t n = call->inputs[SCORES]->n_elements, n_selected;
    bool soft = call->n_inputs > SIGMA;
    float sigma = soft ? value_of(call->inputs[SIGMA]) : 0;
    float *fallen = call->scratch;
    int32_t *seen = (int32_t *)call->scratch + n, *heap = seen + n;
    struct scree_operand *selected = call->outputs[0], *scores = soft ? call->outputs[1] : NULL;

    if (sigma < 0)
        return scree_fail(err, EBADMSG, "sigma is %g", (double)sigma);
    if (selected->bytes > 0)
        memset(selected->data, 0, selected->bytes);
    if (scores && scores->bytes > 0)
        memset(scores->data, 0, scores->bytes);
    n_selected = scree_box_suppress_soft(
        call->inputs[BOXES]->data, call->inputs[SCORES]->data, n,
        value_of(call->inputs[SCORE_THRESHOLD]), value_of(call->inputs[OVERLAP_THRESHOLD]), sigma,
        selected->n_elements, fallen, seen, heap, selected->data, scores ? scores->data : NULL);
    *(int32_t *)call->outputs[call->n_outputs - 1]->data = (int32_t)n_selected;
    return 0;
}
