#include "media/normalize.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static bool is_quantized(enum scree_type type)
{
    return type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT8 || type == SCREE_TYPE_INT16;
}

static int check_type(enum scree_type type, struct scree_error *err)
{
    if (type != SCREE_TYPE_FLOAT32 && !is_quantized(type))
        return scree_fail(err, ENOTSUP, "pixels cannot become %s", scree_type_name(type));
    return 0;
}

int scree_normalization_default(enum scree_type type, float scale, int32_t zero_point,
                                struct scree_normalization *ret, struct scree_error *err)
{
    static const float mean = 0.0f, std = 255.0f;

    if (type != SCREE_TYPE_UINT8 && type != SCREE_TYPE_INT8)
        return scree_normalization_affine(type, scale, zero_point, &mean, &std, 1, ret, err);
    *ret = (struct scree_normalization){.type = type,
                                        .bytes = true,
                                        .std = {1.0f, 1.0f, 1.0f},
                                        .scale = scale,
                                        .zero_point = zero_point};
    return 0;
}

int scree_normalization_affine(enum scree_type type, float scale, int32_t zero_point,
                               const float *mean, const float *std, int32_t n_values,
                               struct scree_normalization *ret, struct scree_error *err)
{
    struct scree_normalization out = {.type = type, .scale = scale, .zero_point = zero_point};
    int rc = check_type(type, err);

    if (rc < 0)
        return rc;
    if (n_values != 1 && n_values != 3)
        return scree_fail(err, EINVAL, "mean and std have %d values, not 1 or 3", n_values);
    if (is_quantized(type) && !(isfinite(scale) && scale > 0.0f))
        return scree_fail(err, EINVAL, "the input's scale is %g", (double)scale);
    for (int32_t c = 0; c < 3; c++) {
        out.mean[c] = mean[n_values == 3 ? c : 0];
        out.std[c] = std[n_values == 3 ? c : 0];
        if (!isfinite(out.mean[c]) || !isfinite(out.std[c]) || out.std[c] == 0.0f)
            return scree_fail(err, EINVAL, "mean %g and std %g", (double)out.mean[c],
                              (double)out.std[c]);
    }
    *ret = out;
    return 0;
}

/* Quantizes as TFLite's AffineQuantize: half away from zero, in single precision. */
static int32_t quantize(float real, float scale, int32_t zero_point, int32_t low, int32_t high)
{
    double q = (double)roundf(real / scale) + zero_point;

    if (!(q > low))
        return low;
    return q < high ? (int32_t)q : high;
}

static void fill_channel(const struct scree_normalization *n, int32_t c,
                         union scree_pixel_table *table)
{
    for (int32_t p = 0; p < 256; p++) {
        float real = n->bytes ? (float)p : ((float)p - n->mean[c]) / n->std[c];

        switch (n->type) {
        case SCREE_TYPE_UINT8:
            table->u8[c][p] =
                (uint8_t)(n->bytes ? p : quantize(real, n->scale, n->zero_point, 0, 255));
            break;
        case SCREE_TYPE_INT8:
            table->u8[c][p] =
                (uint8_t)(n->bytes ? p - 128
                                   : quantize(real, n->scale, n->zero_point, INT8_MIN, INT8_MAX));
            break;
        case SCREE_TYPE_INT16:
            table->s16[c][p] =
                (int16_t)(n->bytes ? p
                                   : quantize(real, n->scale, n->zero_point, INT16_MIN, INT16_MAX));
            break;
        default:
            table->f32[c][p] = real;
            break;
        }
    }
}

/* Defines a function that looks n pixels up: to type[n][channels] = table[channel][pixel]. */
#define DEFINE_LOOK_UP(name, type, member)                                                 \
    static void name(const union scree_pixel_table *table, const uint8_t *restrict pixels, \
                     size_t n, int32_t channels, type *restrict to)                        \
    {                                                                                      \
        if (channels == 1) {                                                               \
            for (size_t i = 0; i < n; i++)                                                 \
                to[i] = table->member[0][pixels[i]];                                       \
            return;                                                                        \
        }                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                   \
            to[3 * i + 0] = table->member[0][pixels[3 * i + 0]];                           \
            to[3 * i + 1] = table->member[1][pixels[3 * i + 1]];                           \
            to[3 * i + 2] = table->member[2][pixels[3 * i + 2]];                           \
        }                                                                                  \
    }

DEFINE_LOOK_UP(look_up_f32, float, f32)
DEFINE_LOOK_UP(look_up_s16, int16_t, s16)
DEFINE_LOOK_UP(look_up_u8, uint8_t, u8)

static void flip_signs(const uint8_t *restrict pixels, size_t n, uint8_t *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = pixels[i] ^ 0x80;
}

/* The pixel itself, or that less 128: no table is needed. */
static bool is_direct(const struct scree_normalization *how)
{
    return how->bytes && (how->type == SCREE_TYPE_UINT8 || how->type == SCREE_TYPE_INT8);
}

void scree_normalizer_init(struct scree_normalizer *normalizer,
                           const struct scree_normalization *how)
{
    assert(how->type == SCREE_TYPE_FLOAT32 || is_quantized(how->type));
    normalizer->how = *how;
    if (is_direct(how))
        return;
    for (int32_t c = 0; c < 3; c++)
        fill_channel(how, c, &normalizer->table);
}

bool scree_normalizer_is_copy(const struct scree_normalizer *normalizer)
{
    return normalizer->how.bytes && normalizer->how.type == SCREE_TYPE_UINT8;
}

void scree_normalize(const struct scree_normalizer *normalizer, const uint8_t *pixels,
                     size_t n_pixels, int32_t channels, void *tensor)
{
    size_t n = n_pixels * (size_t)channels;

    assert(channels == 1 || channels == 3);
    if (scree_normalizer_is_copy(normalizer))
        memcpy(tensor, pixels, n);
    else if (is_direct(&normalizer->how))
        flip_signs(pixels, n, tensor);
    else if (normalizer->how.type == SCREE_TYPE_FLOAT32)
        look_up_f32(&normalizer->table, pixels, n_pixels, channels, tensor);
    else if (normalizer->how.type == SCREE_TYPE_INT16)
        look_up_s16(&normalizer->table, pixels, n_pixels, channels, tensor);
    else
        look_up_u8(&normalizer->table, pixels, n_pixels, channels, tensor);
}
