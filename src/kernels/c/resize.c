#include "kernels/resize.h"

#include <math.h>
#include <string.h>

#include "kernels/fixed.h"

/* The two neighbours of an output index, and how far behind the first it lies. */
struct between {
    size_t first, second;
    float fraction;
};

static float scale_of(int32_t in, int32_t out, bool align_corners)
{
    if (align_corners && out > 1)
        return (float)(in - 1) / (float)(out - 1);
    return (float)in / (float)out;
}

/* The pixel of a whole number >= 0, at most the last of n: above 2^24 a float may be behind it. */
static size_t pixel_of(float x, int32_t n)
{
    size_t pixel = (size_t)x, last = (size_t)n - 1;

    return pixel < last ? pixel : last;
}

static struct between between_f32(const struct scree_resizing *r, int32_t index, int32_t in,
                                  int32_t out)
{
    float scale = scale_of(in, out, r->align_corners), last = (float)(in - 1);
    float at = r->half_pixel_centers ? ((float)index + 0.5f) * scale - 0.5f : (float)index * scale;
    float first = floorf(at), second = ceilf(at);

    first = first < 0 ? 0 : first;
    first = first > last ? last : first;
    second = second > last ? last : second;
    return (struct between){pixel_of(first, in), pixel_of(second, in), at - first};
}

static size_t picture_size(const struct scree_resizing *r)
{
    return (size_t)r->in_h * (size_t)r->in_w * (size_t)r->c;
}

static float unrounded(float x)
{
    return x;
}

static uint8_t rounded_u8(float x)
{
    x += 0.5f;
    return (uint8_t)(x > 0 ? x < 255 ? x : 255 : 0);
}

/* The order of products and sums is that of the reference: it decides the last bit. */
#define DEFINE_BILINEAR_FLOAT(name, type, finish)                                                \
    void name(const struct scree_resizing *r, const type *in, type *out, size_t row)             \
    {                                                                                            \
        size_t c = (size_t)r->c, pitch = (size_t)r->in_w * c;                                    \
        struct between y = between_f32(r, (int32_t)(row % (size_t)r->out_h), r->in_h, r->out_h); \
        const type *picture = in + row / (size_t)r->out_h * picture_size(r);                     \
        type *restrict to = out + row * (size_t)r->out_w * c;                                    \
                                                                                                 \
        for (int32_t i = 0; i < r->out_w; i++, to += c) {                                        \
            struct between x = between_f32(r, i, r->in_w, r->out_w);                             \
            const type *p00 = picture + y.first * pitch + x.first * c;                           \
            const type *p10 = picture + y.second * pitch + x.first * c;                          \
            const type *p01 = picture + y.first * pitch + x.second * c;                          \
            const type *p11 = picture + y.second * pitch + x.second * c;                         \
            float y1 = y.fraction, y0 = 1 - y1, x1 = x.fraction, x0 = 1 - x1;                    \
                                                                                                 \
            for (size_t k = 0; k < c; k++)                                                       \
                to[k] = finish((float)p00[k] * y0 * x0 + (float)p10[k] * y1 * x0 +               \
                               (float)p01[k] * y0 * x1 + (float)p11[k] * y1 * x1);               \
        }                                                                                        \
    }

DEFINE_BILINEAR_FLOAT(scree_resize_bilinear_f32, float, unrounded)
DEFINE_BILINEAR_FLOAT(scree_resize_bilinear_u8, uint8_t, rounded_u8)

/* As struct between, in 1024ths. */
struct between_10 {
    size_t first, second;
    int64_t fraction;
};

static struct between_10 between_i32(const struct scree_resizing *r, int32_t index, int32_t in,
                                     int32_t out)
{
    bool aligned = r->align_corners && out > 1;
    int64_t from = aligned ? in - 1 : in, to = aligned ? out - 1 : out;
    int64_t scale = (1024 * from + to / 2) / to;
    int64_t at = index * scale + (r->half_pixel_centers ? scale / 2 - 512 : 0);
    int64_t first = at / 1024, second = (at + 1023) / 1024;

    first = first < 0 ? 0 : first >= in ? in - 1 : first;
    second = second >= in ? in - 1 : second;
    return (struct between_10){(size_t)first, (size_t)second, at - 1024 * first};
}

static int64_t round_20(int64_t x)
{
    return (x + (x > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20);
}

#define DEFINE_BILINEAR_INTEGER(name, type)                                                        \
    void name(const struct scree_resizing *r, const type *in, type *out, size_t row)               \
    {                                                                                              \
        size_t c = (size_t)r->c, pitch = (size_t)r->in_w * c;                                      \
        struct between_10 y =                                                                      \
            between_i32(r, (int32_t)(row % (size_t)r->out_h), r->in_h, r->out_h);                  \
        const type *picture = in + row / (size_t)r->out_h * picture_size(r);                       \
        type *restrict to = out + row * (size_t)r->out_w * c;                                      \
                                                                                                   \
        for (int32_t i = 0; i < r->out_w; i++, to += c) {                                          \
            struct between_10 x = between_i32(r, i, r->in_w, r->out_w);                            \
            const type *p00 = picture + y.first * pitch + x.first * c;                             \
            const type *p10 = picture + y.second * pitch + x.first * c;                            \
            const type *p01 = picture + y.first * pitch + x.second * c;                            \
            const type *p11 = picture + y.second * pitch + x.second * c;                           \
            int64_t y1 = y.fraction, y0 = 1024 - y1, x1 = x.fraction, x0 = 1024 - x1;              \
            int64_t w00 = y0 * x0, w10 = y1 * x0, w01 = y0 * x1, w11 = y1 * x1;                    \
                                                                                                   \
            for (size_t k = 0; k < c; k++)                                                         \
                to[k] = (type)round_20(p00[k] * w00 + p10[k] * w10 + p01[k] * w01 + p11[k] * w11); \
        }                                                                                          \
    }

DEFINE_BILINEAR_INTEGER(scree_resize_bilinear_i8, int8_t)
DEFINE_BILINEAR_INTEGER(scree_resize_bilinear_i16, int16_t)

/* ---- by integers of 16 bits --------------------------------------------------------------------
 */

/* The distance in 128ths; -1 if it is not a whole number of them, or not from 0 to 128. Where both
 * pixels are the same, any distance means that pixel. */
static int distance_128(const struct scree_resizing *r, bool columns, bool in_1024ths,
                        int32_t index, size_t *ret_first, size_t *ret_second)
{
    int32_t in = columns ? r->in_w : r->in_h, out = columns ? r->out_w : r->out_h;
    float fraction;

    if (in_1024ths) {
        struct between_10 between = between_i32(r, index, in, out);

        *ret_first = between.first;
        *ret_second = between.second;
        fraction = (float)between.fraction / 1024;
    } else {
        struct between between = between_f32(r, index, in, out);

        *ret_first = between.first;
        *ret_second = between.second;
        fraction = between.fraction;
    }
    if (!(fraction >= -4 && fraction <= 4) || fraction * 128 != floorf(fraction * 128))
        return -1;
    if (*ret_first == *ret_second)
        return 0;
    return fraction >= 0 && fraction <= 1 ? (int)(fraction * 128) : -1;
}

int scree_blend_points(const struct scree_resizing *r, bool columns, bool in_1024ths, int max_bits,
                       uint32_t pitch, struct scree_blend_point *ret_points)
{
    int32_t n = columns ? r->out_w : r->out_h;
    unsigned all = 128;
    int bits;

    for (int32_t i = 0; i < n; i++) {
        size_t first, second;
        int distance = distance_128(r, columns, in_1024ths, i, &first, &second);

        if (distance < 0)
            return -1;
        all |= (unsigned)distance;
        ret_points[i] = (struct scree_blend_point){
            (uint32_t)first * pitch, (uint32_t)second * pitch, {0, (uint16_t)distance}};
    }
    bits = 7 - __builtin_ctz(all);
    if (bits > max_bits)
        return -1;
    for (int32_t i = 0; i < n; i++) {
        uint16_t *weights = ret_points[i].weights;

        weights[1] = (uint16_t)(weights[1] >> (7 - bits));
        weights[0] = (uint16_t)((1 << bits) - weights[1]);
    }
    return bits;
}

#define DEFINE_BLEND_LINES(name, type)                                                           \
    void name(uint16_t *restrict v, const uint8_t *a, const uint8_t *b, const uint16_t *weights, \
              size_t n)                                                                          \
    {                                                                                            \
        const uint16_t w0 = weights[0], w1 = weights[1];                                         \
                                                                                                 \
        for (size_t i = 0; i < n; i++)                                                           \
            v[i] = (uint16_t)((uint16_t)(type)a[i] * w0 + (uint16_t)(type)b[i] * w1);            \
    }

DEFINE_BLEND_LINES(scree_blend_lines_u8, uint8_t)
DEFINE_BLEND_LINES(scree_blend_lines_i8, int8_t)

void scree_blend_u8(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x, size_t n,
                    size_t c, int shift)
{
    const unsigned half = 1u << shift >> 1;

    for (size_t i = 0; i < n; i++, x++)
        for (size_t k = 0; k < c; k++)
            *out++ = (uint8_t)((v[x->first + k] * x->weights[0] + v[x->second + k] * x->weights[1] +
                                half) >>
                               shift);
}

void scree_blend_i8(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x, size_t n,
                    size_t c, int shift)
{
    for (size_t i = 0; i < n; i++, x++)
        for (size_t k = 0; k < c; k++) {
            int32_t sum = (int16_t)v[x->first + k] * x->weights[0] +
                          (int16_t)v[x->second + k] * x->weights[1];

            *out++ = (uint8_t)scree_rounding_shift(sum, shift);
        }
}

/* ---- nearest -----------------------------------------------------------------------------------
 */

static size_t nearest(const struct scree_resizing *r, int32_t index, int32_t in, int32_t out)
{
    float at = ((float)index + (r->half_pixel_centers ? 0.5f : 0.0f)) *
               scale_of(in, out, r->align_corners);

    at = r->align_corners ? roundf(at) : floorf(at);
    return at >= (float)(in - 1) ? (size_t)(in - 1) : at > 0 ? (size_t)at : 0;
}

void scree_resize_nearest(const struct scree_resizing *r, size_t element_bytes, const void *in,
                          void *out, size_t row)
{
    size_t pixel = (size_t)r->c * element_bytes;
    size_t y = nearest(r, (int32_t)(row % (size_t)r->out_h), r->in_h, r->out_h);
    const uint8_t *line = (const uint8_t *)in +
                          (row / (size_t)r->out_h * (size_t)r->in_h + y) * (size_t)r->in_w * pixel;
    uint8_t *to = (uint8_t *)out + row * (size_t)r->out_w * pixel;

    for (int32_t i = 0; i < r->out_w; i++, to += pixel)
        memcpy(to, line + nearest(r, i, r->in_w, r->out_w) * pixel, pixel);
}
