#include "kernels/product.h"

/* One row of weights with n_rows rows of activations. n_rows is a constant wherever this is used,
 * so each use is a loop with that many sums. */
static inline __attribute__((always_inline)) void
multiply_row(int32_t *sum, const struct scree_product_rows *rows, const int n_rows,
             const uint8_t *weights, size_t depth, uint8_t flip)
{
    const int16_t *x0 = rows->x[0], *x1 = rows->x[1], *x2 = rows->x[2], *x3 = rows->x[3];
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;

    for (size_t i = 0; i < depth; i++) {
        int16_t w = (int8_t)(weights[i] ^ flip);

        sum0 += x0[i] * w;
        if (n_rows > 1)
            sum1 += x1[i] * w;
        if (n_rows > 2)
            sum2 += x2[i] * w;
        if (n_rows > 3)
            sum3 += x3[i] * w;
    }
    sum[0 * SCREE_PRODUCT_CHANNELS] = sum0;
    if (n_rows > 1)
        sum[1 * SCREE_PRODUCT_CHANNELS] = sum1;
    if (n_rows > 2)
        sum[2 * SCREE_PRODUCT_CHANNELS] = sum2;
    if (n_rows > 3)
        sum[3 * SCREE_PRODUCT_CHANNELS] = sum3;
}

void scree_product_s32(struct scree_product_sums *sums, const struct scree_product_rows *rows,
                       int n_rows, const uint8_t *weights, size_t stride, int n_channels,
                       size_t depth, uint8_t flip)
{
    for (int j = 0; j < n_channels; j++, weights += stride) {
        int32_t *sum = &sums->sum[0][j];

        switch (n_rows) {
        case 1:
            multiply_row(sum, rows, 1, weights, depth, flip);
            break;
        case 2:
            multiply_row(sum, rows, 2, weights, depth, flip);
            break;
        case 3:
            multiply_row(sum, rows, 3, weights, depth, flip);
            break;
        default:
            multiply_row(sum, rows, 4, weights, depth, flip);
            break;
        }
    }
}

int32_t scree_sum_s16(const int16_t *x, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}
