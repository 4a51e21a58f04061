#include "kernels/pooling_window.h"

#include <float.h>
#include <math.h>

/* Channels whose sums are kept at once. */
#define BLOCK 64

/* Adds n channels of the window up, as far apart as the picture's `c`. */
#define DEFINE_SUM(name, type, sum_type, term)                                                 \
    static void name(const struct scree_pooling_window *w, const type *in, size_t c, size_t n, \
                     sum_type *sum)                                                            \
    {                                                                                          \
        for (size_t i = 0; i < n; i++)                                                         \
            sum[i] = 0;                                                                        \
        for (size_t y = 0; y < w->rows; y++) {                                                 \
            const type *pixel = in + w->first + y * w->pitch;                                  \
                                                                                               \
            for (size_t x = 0; x < w->cols; x++, pixel += c)                                   \
                for (size_t i = 0; i < n; i++)                                                 \
                    sum[i] += term;                                                            \
        }                                                                                      \
    }

DEFINE_SUM(sum_u8, uint8_t, uint32_t, (uint32_t)pixel[i])
DEFINE_SUM(sum_i8, int8_t, uint32_t, (uint32_t)pixel[i])
DEFINE_SUM(sum_i16, int16_t, uint32_t, (uint32_t)pixel[i])
DEFINE_SUM(sum_f32, float, float, pixel[i])
DEFINE_SUM(sum_squares_f32, float, float, pixel[i] * pixel[i])

/* sum / n, rounded, limited to [min, max]. */
static int32_t mean(uint32_t sum, int64_t n, int32_t min, int32_t max)
{
    int64_t s = (int32_t)sum;
    int64_t q = (s > 0 ? s + n / 2 : s - n / 2) / n;

    return (int32_t)(q < min ? min : q > max ? max : q);
}

static float limit(float x, float min, float max)
{
    x = x < min ? min : x;
    return x > max ? max : x;
}

/* A row: for each pixel, for each block of channels, the sums and then what they make. */
#define DEFINE_MEAN_ROW(name, type, sum_type, sum_fn, result)                       \
    void name(const struct scree_pooling *p, const void *in, void *out, size_t row) \
    {                                                                               \
        size_t c = (size_t)p->c;                                                    \
        type *to = (type *)out + row * (size_t)p->out_w * c;                        \
        sum_type sum[BLOCK];                                                        \
                                                                                    \
        for (int32_t x = 0; x < p->out_w; x++, to += c) {                           \
            struct scree_pooling_window w = scree_pooling_window_at(p, row, x);     \
            size_t count = w.rows * w.cols;                                         \
                                                                                    \
            for (size_t at = 0; at < c; at += BLOCK) {                              \
                size_t n = c - at < BLOCK ? c - at : BLOCK;                         \
                                                                                    \
                sum_fn(&w, (const type *)in + at, c, n, sum);                       \
                for (size_t i = 0; i < n; i++)                                      \
                    to[at + i] = (type)(result);                                    \
            }                                                                       \
        }                                                                           \
    }

DEFINE_MEAN_ROW(scree_average_pool_u8, uint8_t, uint32_t, sum_u8,
                mean(sum[i], (int64_t)count, p->min, p->max))
DEFINE_MEAN_ROW(scree_average_pool_i8, int8_t, uint32_t, sum_i8,
                mean(sum[i], (int64_t)count, p->min, p->max))
DEFINE_MEAN_ROW(scree_average_pool_i16, int16_t, uint32_t, sum_i16,
                mean(sum[i], (int64_t)count, p->min, p->max))
DEFINE_MEAN_ROW(scree_average_pool_f32, float, float, sum_f32,
                limit(sum[i] / (float)count, p->min_f32, p->max_f32))
DEFINE_MEAN_ROW(scree_l2_pool_f32, float, float, sum_squares_f32,
                limit(sqrtf(sum[i] / (float)count), p->min_f32, p->max_f32))

/* A row: for each pixel the largest of the window, all channels at once, starting from `lowest`. */
#define DEFINE_MAX_ROW(name, type, least, most, lowest)                                   \
    void name(const struct scree_pooling *p, const void *in, void *out, size_t row)       \
    {                                                                                     \
        size_t c = (size_t)p->c;                                                          \
        type *restrict to = (type *)out + row * (size_t)p->out_w * c;                     \
        type low = (type)p->least, high = (type)p->most;                                  \
                                                                                          \
        for (int32_t x = 0; x < p->out_w; x++, to += c) {                                 \
            struct scree_pooling_window w = scree_pooling_window_at(p, row, x);           \
                                                                                          \
            for (size_t i = 0; i < c; i++)                                                \
                to[i] = lowest;                                                           \
            for (size_t y = 0; y < w.rows; y++)                                           \
                for (size_t k = 0; k < w.cols; k++) {                                     \
                    const type *pixel = (const type *)in + w.first + y * w.pitch + k * c; \
                                                                                          \
                    for (size_t i = 0; i < c; i++)                                        \
                        to[i] = pixel[i] > to[i] ? pixel[i] : to[i];                      \
                }                                                                         \
            for (size_t i = 0; i < c; i++) {                                              \
                to[i] = to[i] > low ? to[i] : low;                                        \
                to[i] = to[i] < high ? to[i] : high;                                      \
            }                                                                             \
        }                                                                                 \
    }

DEFINE_MAX_ROW(scree_max_pool_u8, uint8_t, min, max, 0)
DEFINE_MAX_ROW(scree_max_pool_i8, int8_t, min, max, INT8_MIN)
DEFINE_MAX_ROW(scree_max_pool_i16, int16_t, min, max, INT16_MIN)
DEFINE_MAX_ROW(scree_max_pool_f32, float, min_f32, max_f32, -FLT_MAX)
