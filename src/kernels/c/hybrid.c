#include "kernels/hybrid.h"

#include <math.h>
#include <string.h>

static void find_range(const float *x, size_t n, float *ret_min, float *ret_max)
{
    float min = x[0], max = x[0];

    for (size_t i = 1; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    *ret_min = min;
    *ret_max = max;
}

/* Rounded half away from zero. The comparisons come before the conversion, so that no float is too
 * large for it; they are false for NaN. */
static int8_t round_clamped(float value, float min, float max)
{
    float rounded = roundf(value);

    if (!(rounded > min))
        return (int8_t)min;
    return (int8_t)(rounded < max ? rounded : max);
}

void scree_hybrid_quantize_symmetric(int8_t *q, float *ret_scale, const float *x, size_t n)
{
    float min, max, range, inverse;

    find_range(x, n, &min, &max);
    range = fabsf(min) > fabsf(max) ? fabsf(min) : fabsf(max);
    if (range == 0) {
        memset(q, 0, n);
        *ret_scale = 1;
        return;
    }
    *ret_scale = range / 127;
    inverse = 127 / range;
    for (size_t i = 0; i < n; i++)
        q[i] = round_clamped(x[i] * inverse, -127, 127);
}

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

void scree_hybrid_quantize_asymmetric(int8_t *q, float *ret_scale, int32_t *ret_zero_point,
                                      const float *x, size_t n)
{
    float min, max, inverse, zero_point;
    double scale;

    find_range(x, n, &min, &max);
    min = min < 0 ? min : 0;
    max = max > 0 ? max : 0;
    if (min == max) {
        memset(q, 0, n);
        *ret_scale = 1;
        *ret_zero_point = 0;
        return;
    }
    scale = ((double)max - (double)min) / 255;
    *ret_zero_point = find_zero_point((double)min, (double)max, scale);
    *ret_scale = (float)scale;
    inverse = 1.0f / *ret_scale;
    zero_point = (float)*ret_zero_point;
    for (size_t i = 0; i < n; i++)
        q[i] = round_clamped(zero_point + x[i] * inverse, -128, 127);
}

void scree_hybrid_quantize_rows(int8_t *q, float *scales, int32_t *zero_points, const float *x,
                                size_t n_rows, size_t n, bool asymmetric)
{
    for (size_t row = 0; row < n_rows && n > 0; row++, q += n, x += n) {
        zero_points[row] = 0;
        if (asymmetric)
            scree_hybrid_quantize_asymmetric(q, &scales[row], &zero_points[row], x, n);
        else
            scree_hybrid_quantize_symmetric(q, &scales[row], x, n);
    }
}

void scree_unpack_s4(int8_t *out, const uint8_t *packed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int nibble = packed[i / 2] >> (i % 2 * 4) & 15;

        out[i] = (int8_t)((nibble ^ 8) - 8);
    }
}
