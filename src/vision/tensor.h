/* vision/tensor.h - real numbers out of a tensor view.
 *
 * Outputs come in any of TFLite's types. Decoders read them through these functions, as floats:
 *
 *     real = scale * (quantized - zero_point)        or the number itself if not quantized
 *
 * Memory: none. Threads: no shared state. */
#ifndef SCREE_VISION_TENSOR_H
#define SCREE_VISION_TENSOR_H

#include "media/image.h"

/* The number of the tensor's elements into *ret; false if a dimension is negative, the rank is out
 * of range or the product does not fit. */
bool scree_tensor_count(const struct scree_tensor *tensor, size_t *ret);

/* True for the types that scree_tensor_reals() reads, unquantized or quantized per tensor. */
bool scree_tensor_is_readable(const struct scree_tensor *tensor);

/* Checks that scree_tensor_reals() can read the tensor: readable, with data, `bytes` what the shape
 * says. *ret_n is the number of elements. Errors: ENOTSUP (type), EINVAL (no data: before a run;
 * bytes). */
int scree_tensor_check(const struct scree_tensor *tensor, size_t *ret_n, struct scree_error *err);

/* ret f32[n] = the real values of elements start, start + stride, ... of a checked tensor: all of
 * them must be in it. Cannot fail. */
void scree_tensor_reals(const struct scree_tensor *tensor, size_t start, size_t stride, size_t n,
                        float *ret);

/* ret f32[n] = elements [start, start + n) as they are stored. Cannot fail. */
void scree_tensor_raws(const struct scree_tensor *tensor, size_t start, size_t n, float *ret);

/* The least and greatest real value that a quantized tensor can hold; false if it is not quantized
 * to 8 or 16 bits. */
bool scree_tensor_range(const struct scree_tensor *tensor, float *ret_low, float *ret_high);

/* The sides of an input that can take a picture: uint8, int8, int16 or float32 of shape [1, h, w,
 * c] or [h, w, c], c 1 or 3, h and w at least 1. */
struct scree_sides {
    int32_t h, w, c;
};

/* True if the tensor is such an input; *ret are its sides. */
bool scree_tensor_picture(const struct scree_tensor *tensor, struct scree_sides *ret);

/* scree_session_set_image() into memory, t->data u8[t->bytes], described as an input is. Errors:
 * the same, but for the index. */
int scree_tensor_set_image(const struct scree_tensor *t, const struct scree_image *image,
                           const struct scree_picture_options *options, struct scree_fit *ret_fit,
                           struct scree_error *err);

/* What was read of a picture file. */
struct scree_tensor_read {
    int32_t w, h;         /* of the file, or turned, however small it was decoded */
    struct scree_fit fit; /* in pixels of that */
    uint64_t fit_ns;      /* the part of the time that was resizing and normalizing */
};

/* The same of a picture file, u8[n_bytes]: scree_image_read() and scree_tensor_set_image(), without
 * the picture in between where scree_image_read_rows() needs none.
 *
 * reading  how the file is read; NULL for the defaults
 * Errors: those of both. The tensor's data is undefined then. */
int scree_tensor_read_image(const struct scree_tensor *t, const uint8_t *bytes, size_t n_bytes,
                            const struct scree_image_options *reading,
                            const struct scree_picture_options *options,
                            struct scree_tensor_read *ret, struct scree_error *err);

#endif
