/* One output pixel at a time: the input under it is gathered into a patch (zeros where it hangs
 * over the edge), ordered like a filter, so that each output channel is one dot product of two
 * contiguous rows. */
#include "kernels/conv.h"

#include <string.h>

size_t scree_conv_patch_bytes(const struct scree_conv_shape *shape, size_t element_bytes)
{
    return (size_t)shape->filter_h * (size_t)shape->filter_w * (size_t)shape->in_c * element_bytes;
}

/* Where the patch of group g starts, and how long it is: patches are ordered [group][ky][kx][i]. */
static size_t patch_length(const struct scree_conv_shape *shape)
{
    return (size_t)shape->filter_h * (size_t)shape->filter_w * (size_t)shape->filter_c;
}

/* The first input coordinate under an output coordinate; 64 bits, for strides come from files. */
static int64_t window_start(int32_t out, int32_t stride, int32_t pad)
{
    return (int64_t)out * stride - pad;
}

#define DEFINE_GATHER(name, in_type, patch_type)                                          \
    static void name(const struct scree_conv_shape *s, const in_type *in, patch_type zp,  \
                     int32_t n, int32_t oy, int32_t ox, patch_type *patch)                \
    {                                                                                     \
        int64_t top = window_start(oy, s->stride_h, s->pad_top);                          \
        int64_t left = window_start(ox, s->stride_w, s->pad_left);                        \
                                                                                          \
        for (int32_t g = 0; g < s->n_groups; g++)                                         \
            for (int32_t ky = 0; ky < s->filter_h; ky++)                                  \
                for (int32_t kx = 0; kx < s->filter_w; kx++, patch += s->filter_c) {      \
                    int64_t y = top + (int64_t)ky * s->dilation_h;                        \
                    int64_t x = left + (int64_t)kx * s->dilation_w;                       \
                    const in_type *from;                                                  \
                                                                                          \
                    if (y < 0 || y >= s->in_h || x < 0 || x >= s->in_w) {                 \
                        memset(patch, 0, (size_t)s->filter_c * sizeof *patch);            \
                        continue;                                                         \
                    }                                                                     \
                    from = in +                                                           \
                           (((size_t)n * (size_t)s->in_h + (size_t)y) * (size_t)s->in_w + \
                            (size_t)x) *                                                  \
                               (size_t)s->in_c +                                          \
                           (size_t)g * (size_t)s->filter_c;                               \
                    for (int32_t i = 0; i < s->filter_c; i++)                             \
                        patch[i] = (patch_type)(from[i] - zp);                            \
                }                                                                         \
    }

DEFINE_GATHER(gather_u8, uint8_t, int16_t)
DEFINE_GATHER(gather_s8, int8_t, int16_t)

static int32_t requantize(uint32_t acc, const struct scree_conv_quant *quant, int32_t o)
{
    struct scree_multiplier m = quant->multipliers[(size_t)o * (size_t)quant->multiplier_stride];
    int64_t value = (int64_t)scree_multiply((int32_t)acc, m) + quant->output_zp;

    return (int32_t)(value < quant->min ? quant->min : value > quant->max ? quant->max : value);
}

/* One group's patch of n numbers with n_out filters of n numbers each. Products of 9-bit numbers
 * are exact; sums wrap like TFLite's int32 accumulator, but without undefined behaviour. */
#define DEFINE_CHANNELS(name, type)                                                                \
    static void name(const struct scree_conv_quant *quant, const int16_t *patch, size_t n,         \
                     const type *filter, const int32_t *bias, int32_t o, int32_t n_out, type *out) \
    {                                                                                              \
        int16_t filter_zp = (int16_t)quant->filter_zp;                                             \
                                                                                                   \
        for (int32_t end = o + n_out; o < end; o++) {                                              \
            const type *row = filter + (size_t)o * n;                                              \
            uint32_t acc = bias ? (uint32_t)bias[o] : 0;                                           \
                                                                                                   \
            for (size_t k = 0; k < n; k++)                                                         \
                acc += (uint32_t)(patch[k] * (int16_t)(row[k] - filter_zp));                       \
            out[o] = (type)requantize(acc, quant, o);                                              \
        }                                                                                          \
    }

DEFINE_CHANNELS(channels_u8, uint8_t)
DEFINE_CHANNELS(channels_s8, int8_t)

#define DEFINE_CONV(name, gather, channels, type)                                                 \
    void name(const struct scree_conv_shape *s, const struct scree_conv_quant *quant,             \
              const type *in, const type *filter, const int32_t *bias, type *out, int16_t *patch, \
              size_t row, size_t n_rows)                                                          \
    {                                                                                             \
        size_t n = patch_length(s);                                                               \
        int32_t group_out = s->out_c / s->n_groups;                                               \
                                                                                                  \
        for (size_t end = row + n_rows; row < end; row++)                                         \
            for (int32_t ox = 0; ox < s->out_w; ox++) {                                           \
                type *to = out + (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c;        \
                                                                                                  \
                gather(s, in, (int16_t)quant->input_zp, (int32_t)(row / (size_t)s->out_h),        \
                       (int32_t)(row % (size_t)s->out_h), ox, patch);                             \
                for (int32_t g = 0; g < s->n_groups; g++)                                         \
                    channels(quant, patch + (size_t)g * n, n, filter, bias, g * group_out,        \
                             group_out, to);                                                      \
            }                                                                                     \
    }

DEFINE_CONV(scree_conv_u8, gather_u8, channels_u8, uint8_t)
DEFINE_CONV(scree_conv_s8, gather_s8, channels_s8, int8_t)

DEFINE_GATHER(gather_f32, float, float)

static void channels_f32(const float *patch, size_t n, const float *filter, const float *bias,
                         int32_t o, int32_t n_out, float min, float max, float *out)
{
    for (int32_t end = o + n_out; o < end; o++) {
        const float *row = filter + (size_t)o * n;
        float sum = 0;

        for (size_t k = 0; k < n; k++)
            sum += patch[k] * row[k];
        sum += bias ? bias[o] : 0;
        out[o] = sum < min ? min : sum > max ? max : sum;
    }
}

void scree_conv_f32(const struct scree_conv_shape *s, float min, float max, const float *in,
                    const float *filter, const float *bias, float *out, float *patch, size_t row,
                    size_t n_rows)
{
    size_t n = patch_length(s);
    int32_t group_out = s->out_c / s->n_groups;

    for (size_t end = row + n_rows; row < end; row++)
        for (int32_t ox = 0; ox < s->out_w; ox++) {
            float *to = out + (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c;

            gather_f32(s, in, 0, (int32_t)(row / (size_t)s->out_h),
                       (int32_t)(row % (size_t)s->out_h), ox, patch);
            for (int32_t g = 0; g < s->n_groups; g++)
                channels_f32(patch + (size_t)g * n, n, filter, bias, g * group_out, group_out, min,
                             max, to);
        }
}
