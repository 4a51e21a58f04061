#include "kernels/lut.h"

#include <math.h>

#include "kernels/c/rows.h"

void scree_lut_8_fill(uint8_t *table, bool is_signed, const struct scree_lut_scales *scales,
                      scree_lut_fn *f, const void *arg)
{
    int32_t min = is_signed ? INT8_MIN : 0, max = is_signed ? INT8_MAX : UINT8_MAX;
    float scale = (float)scales->scale, inverse = 1 / (float)scales->out_scale;

    for (int32_t q = min; q <= max; q++) {
        float y = f(scale * (float)(q - scales->zero_point), arg);
        int32_t out = scree_truncate_i32(roundf(y * inverse) + (float)scales->out_zero_point);

        table[(uint8_t)q] = (uint8_t)(out > max ? max : out < min ? min : out);
    }
}

/* std::max and std::min of C++, which let a first NaN through. */
#define MAX(a, b) ((a) < (b) ? (b) : (a))
#define MIN(a, b) ((b) < (a) ? (b) : (a))

/* One body for both precisions; F is the type, ROUND its round(), CALL(x) the function. */
#define FILL_16(F, ROUND, CALL)                                                       \
    const F scale = (F)scales->scale, out_scale = (F)scales->out_scale;               \
    const F in_min = scale * (F)(INT16_MIN - scales->zero_point);                     \
    const F in_max = scale * (F)(INT16_MAX - scales->zero_point);                     \
    const F out_min = out_scale * (F)(INT16_MIN - scales->out_zero_point);            \
    const F out_max = out_scale * (F)(INT16_MAX - scales->out_zero_point);            \
    const F step = (in_max - in_min) / 512, half_step = step / 2;                     \
    const F inverse = (F)65536 / (out_max - out_min);                                 \
                                                                                      \
    for (int i = 0; i < 512; i++) {                                                   \
        F here = CALL(in_min + (F)i * step) * inverse;                                \
        F middle = CALL(in_min + (F)i * step + half_step) * inverse;                  \
        F next = CALL(in_min + (F)(i + 1) * step) * inverse;                          \
        F interpolated = ROUND((next + ROUND(here)) / 2);                             \
        F bias = ROUND((interpolated - ROUND(middle)) / 2);                           \
        F point = MIN(MAX(ROUND(here) - bias, (F)INT16_MIN), (F)INT16_MAX);           \
                                                                                      \
        table[i] = (int16_t)scree_truncate_i32((double)point);                        \
    }                                                                                 \
    {                                                                                 \
        F last = MIN(MAX(ROUND(CALL(in_max) * inverse), (F)INT16_MIN), (F)INT16_MAX); \
                                                                                      \
        table[512] = (int16_t)scree_truncate_i32((double)last);                       \
    }

void scree_lut_16_fill(int16_t *table, const struct scree_lut_scales *scales, scree_lut_fn *f,
                       const void *arg)
{
#define CALL(x) f((x), arg)
    FILL_16(float, roundf, CALL)
#undef CALL
}

void scree_lut_16_fill_double(int16_t *table, const struct scree_lut_scales *scales,
                              scree_lut_double_fn *f){FILL_16(double, round, f)}

SCREE_ROWS_1(scree_lut_8, uint8_t, uint8_t, uint8_t, p[x])
    SCREE_ROWS_1(scree_lut_16, int16_t, int16_t, int16_t, scree_lut_16_at(p, x))
