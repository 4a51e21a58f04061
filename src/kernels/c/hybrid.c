#include "kernels/hybrid.h"

#include <math.h>
#include <string.h>

/* The zero point of [min, max] in [-128, 127]: of the two ends, the one that says it more exactly
 * counts. */
static int32_t find_zero_point(double min, double max, double scale)
{
    double from_min = -128 - min / scale, from_max = 127 - max / scale;
    double min_error = 128 + fabs(min / scale), max_error = 127 + fabs(max / scale);
    double zero_point = min_error < max_error ? from_min : from_max;

    if (zero_point <= -128)
        return -128;
    if (zero_point >= 127)
        return 127;
    return isnan(zero_point) ? 0 : (int32_t)round(zero_point);
}

static struct scree_hybrid_range symmetric_range(float min, float max)
{
    float largest = fabsf(min) > fabsf(max) ? fabsf(min) : fabsf(max);

    if (largest == 0)
        return (struct scree_hybrid_range){.scale = 1, .all_zero = true};
    return (struct scree_hybrid_range){.step = {127 / largest, 0, -127}, .scale = largest / 127};
}

static struct scree_hybrid_range asymmetric_range(float min, float max)
{
    struct scree_hybrid_range range = {.scale = 1};
    double scale;

    min = min < 0 ? min : 0;
    max = max > 0 ? max : 0;
    range.all_zero = min == max;
    if (range.all_zero)
        return range;
    scale = ((double)max - (double)min) / 255;
    range.zero_point = find_zero_point((double)min, (double)max, scale);
    range.scale = (float)scale;
    range.step = (struct scree_hybrid_step){1.0f / range.scale, (float)range.zero_point, -128};
    return range;
}

struct scree_hybrid_range scree_hybrid_find_range(const struct scree_hybrid_kernel *kernel,
                                                  const float *x, size_t n, bool asymmetric)
{
    float min, max;

    kernel->range(x, n, &min, &max);
    return asymmetric ? asymmetric_range(min, max) : symmetric_range(min, max);
}

void scree_hybrid_quantize(const struct scree_hybrid_kernel *kernel, int8_t *q, const float *x,
                           size_t n, const struct scree_hybrid_range *range)
{
    if (range->all_zero)
        memset(q, 0, n);
    else
        kernel->quantize(q, x, n, &range->step);
}

void scree_hybrid_quantize_f32(const struct scree_hybrid_kernel *kernel, float *q, const float *x,
                               size_t n, const struct scree_hybrid_range *range)
{
    if (range->all_zero)
        memset(q, 0, n * sizeof *q);
    else
        kernel->quantize_f32(q, x, n, &range->step);
}

void scree_hybrid_quantize_rows(const struct scree_hybrid_kernel *kernel, int8_t *q, float *scales,
                                int32_t *zero_points, const float *x, size_t n_rows, size_t n,
                                bool asymmetric)
{
    for (size_t row = 0; row < n_rows && n > 0; row++, q += n, x += n) {
        struct scree_hybrid_range range = scree_hybrid_find_range(kernel, x, n, asymmetric);

        scree_hybrid_quantize(kernel, q, x, n, &range);
        scales[row] = range.scale;
        zero_points[row] = range.zero_point;
    }
}

void scree_unpack_s4(int8_t *out, const uint8_t *packed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int nibble = packed[i / 2] >> (i % 2 * 4) & 15;

        out[i] = (int8_t)((nibble ^ 8) - 8);
    }
}
