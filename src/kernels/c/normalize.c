#include "kernels/normalize.h"

#include <math.h>

#include "kernels/fixed.h"
#include "kernels/fixed_math.h"

void scree_l2_normalize_f32(float *out, const float *in, size_t n_rows, size_t depth)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        float sum = 0, norm;

        for (size_t i = 0; i < depth; i++)
            sum += in[i] * in[i];
        norm = sqrtf(sum);
        norm = norm < 1e-6f ? 1e-6f : norm;
        for (size_t i = 0; i < depth; i++)
            out[i] = in[i] / norm;
    }
}

void scree_l2_normalize_u8(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                           int32_t zero_point)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        struct scree_multiplier inverse;
        uint32_t sum = 0;

        for (size_t i = 0; i < depth; i++)
            sum += (uint32_t)((in[i] - zero_point) * (in[i] - zero_point));
        scree_fixed_inverse_sqrt((int32_t)sum, &inverse.q, &inverse.shift);
        for (size_t i = 0; i < depth; i++) {
            int32_t q = 128 + scree_multiply(128 * (in[i] - zero_point), inverse);

            out[i] = (uint8_t)(q < 0 ? 0 : q > UINT8_MAX ? UINT8_MAX : q);
        }
    }
}

void scree_l2_normalize_i8(int8_t *out, const int8_t *in, size_t n_rows, size_t depth,
                           int32_t zero_point)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        struct scree_multiplier inverse;
        uint32_t sum = 0;

        for (size_t i = 0; i < depth; i++)
            sum += (uint32_t)((in[i] - zero_point) * (in[i] - zero_point));
        scree_fixed_inverse_sqrt((int32_t)sum, &inverse.q, &inverse.shift);
        inverse.shift += 7;
        for (size_t i = 0; i < depth; i++) {
            int32_t q = scree_multiply(in[i] - zero_point, inverse);

            out[i] = (int8_t)(q < INT8_MIN ? INT8_MIN : q > INT8_MAX ? INT8_MAX : q);
        }
    }
}

void scree_local_response_f32(float *out, const float *in, size_t n_rows, size_t depth,
                              int32_t radius, float bias, float alpha, float beta)
{
    int64_t end = (int64_t)depth;

    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        for (int64_t c = 0; c < end; c++) {
            int64_t first = c - radius > 0 ? c - radius : 0;
            int64_t last = c + radius < end ? c + radius : end;
            float sum = 0;

            for (int64_t k = first; k < last; k++)
                sum += in[k] * in[k];
            out[c] = in[c] * powf(bias + alpha * sum, -beta);
        }
    }
}

void scree_add_sums_f32(float *out, const float *sums, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = sums[i] + in[i];
}

void scree_add_sums_i32(int32_t *out, const int32_t *sums, const int32_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)in[i]);
}

void scree_add_sums_i64(int64_t *out, const int64_t *sums, const int64_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)((uint64_t)sums[i] + (uint64_t)in[i]);
}
