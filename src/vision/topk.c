#include "vision/topk.h"

#include <math.h>

#include "vision/tensor.h"

bool scree_class_precedes(const struct scree_class *a, const struct scree_class *b)
{
    bool a_nan = isnan(a->score), b_nan = isnan(b->score);

    if (a_nan || b_nan)
        return a_nan == b_nan ? a->class_id < b->class_id : b_nan;
    return a->score != b->score ? a->score > b->score : a->class_id < b->class_id;
}

/* Puts `one` into best[n], which is sorted and has room for k, if it belongs there. Returns the new
 * n. */
static uint32_t insert(struct scree_class *best, uint32_t n, uint32_t k, struct scree_class one)
{
    uint32_t i;

    if (n == k && !scree_class_precedes(&one, &best[k - 1]))
        return n;
    i = n < k ? n : k - 1;
    for (; i > 0 && scree_class_precedes(&one, &best[i - 1]); i--)
        best[i] = best[i - 1];
    best[i] = one;
    return n < k ? n + 1 : n;
}

int scree_topk(const struct scree_tensor *scores, uint32_t k, struct scree_class *ret_classes,
               struct scree_error *err)
{
    float reals[256], raws[256];
    uint32_t n_best = 0;
    size_t n;
    int rc;

    if (k < 1 || k > SCREE_TOPK_MAX)
        return scree_fail(err, EINVAL, "top %u: not in 1 to %d", k, SCREE_TOPK_MAX);
    rc = scree_tensor_check(scores, &n, err);
    if (rc < 0)
        return rc;
    if (n > INT32_MAX)
        return scree_fail(err, ENOTSUP, "%zu classes are over %d", n, INT32_MAX);
    for (size_t start = 0; start < n; start += 256) {
        size_t n_block = n - start < 256 ? n - start : 256;

        scree_tensor_reals(scores, start, 1, n_block, reals);
        scree_tensor_raws(scores, start, n_block, raws);
        for (size_t i = 0; i < n_block; i++)
            n_best = insert(ret_classes, n_best, k,
                            (struct scree_class){(int32_t)(start + i), reals[i], raws[i]});
    }
    return (int)n_best;
}
