/* media/normalize.h - pixels to the numbers a model's input wants.
 *
 *     real value = (pixel - mean[c]) / std[c]
 *
 * stored as it is in a float input, and as
 *
 *     clamp(round(real / scale) + zero_point)        half away from zero, as TFLite's QUANTIZE
 *
 * in a quantized one. With `bytes` set the pixel itself goes in: p - 128 to int8, p to the others.
 *
 * Memory: none. Threads: no shared state. */
#ifndef SCREE_MEDIA_NORMALIZE_H
#define SCREE_MEDIA_NORMALIZE_H

#include "base/error.h"

struct scree_normalization {
    enum scree_type type; /* FLOAT32, UINT8, INT8 or INT16 */
    bool bytes;           /* the pixel itself; mean, std, scale and zero_point do not count */
    float mean[3];        /* one a channel; gray uses the first */
    float std[3];         /* not 0 */
    float scale;          /* of the tensor; positive, for quantized types */
    int32_t zero_point;   /* of the tensor */
};

/* What a model's input of `type`, scale and zero_point wants if nobody says otherwise:
 *
 *     uint8, int8   the bytes. A quantized input's range is that of the training pictures, so black
 *                   is its least value and white its greatest, whatever mean and std were: up to
 *                   rounding, quantizing (p - mean) / std gives p or p - 128.
 *     int16         mean 0, std 255: [0, 1], quantized
 *     float32       mean 0, std 255: [0, 1]
 *
 * scale 0 (a tensor without quantization) is good for uint8 and int8 only.
 * Errors: ENOTSUP for another type, EINVAL for a scale an int16 input cannot have. */
int scree_normalization_default(enum scree_type type, float scale, int32_t zero_point,
                                struct scree_normalization *ret, struct scree_error *err);

/* The same with the mean and std that the model was trained with, e.g. from its metadata. n_values
 * is 1 (for all channels) or 3.
 * Errors: ENOTSUP for another type; EINVAL: n_values, a std that is 0, a mean or std that is not
 * finite, a scale that is not positive and finite for a quantized type. */
int scree_normalization_affine(enum scree_type type, float scale, int32_t zero_point,
                               const float *mean, const float *std, int32_t n_values,
                               struct scree_normalization *ret, struct scree_error *err);

/* The numbers that the 256 pixel values become, for each channel. */
union scree_pixel_table {
    float f32[3][256];
    int16_t s16[3][256];
    uint8_t u8[3][256];
};

/* A normalization that is ready for pixels. */
struct scree_normalizer {
    struct scree_normalization how;
    union scree_pixel_table table; /* not filled where `how` says bytes, and they have 8 bits */
};

/* Makes the table of `how`, which a function above has made. Cannot fail. */
void scree_normalizer_init(struct scree_normalizer *normalizer,
                           const struct scree_normalization *how);

/* True if what comes out are the bytes that go in. */
bool scree_normalizer_is_copy(const struct scree_normalizer *normalizer);

/* tensor type[n_pixels][channels] = pixels u8[n_pixels][channels], normalized.
 *
 * channels  1 or 3
 * tensor  aligned as its type is; does not overlap pixels
 * Cannot fail. */
void scree_normalize(const struct scree_normalizer *normalizer, const uint8_t *pixels,
                     size_t n_pixels, int32_t channels, void *tensor);

#endif
