/* The bilinear filter is Pillow's, step by step, so that the bytes are the same: the weights in
 * double precision, normalized, rounded to 22 bits; one pass along the rows to bytes; one along the
 * columns. Source: Pillow's documentation of the BILINEAR filter and src/libImaging/Resample.c;
 * nearest: Geometry.c.
 *
 * Only the rows that one row of the result needs are kept between the passes, in a ring. */
#include "media/resize.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

/* A place in an image, and how to go to the next row. */
struct plane {
    uint8_t *pixels;
    size_t stride_bytes;
};

static void copy_rows(struct plane src, struct plane dst, size_t row_bytes, int32_t n_rows)
{
    for (int32_t y = 0; y < n_rows; y++)
        memcpy(dst.pixels + (size_t)y * dst.stride_bytes, src.pixels + (size_t)y * src.stride_bytes,
               row_bytes);
}

/* ---- memory: one block for all
 */

struct work {
    uint8_t *block;
    struct scree_resample_taps x, y;
    double *scratch;      /* f64[stride of x or y, the larger] */
    const uint8_t **rows; /* [y.stride] */
    uint8_t *ring;        /* u8[n_slots][row_bytes] */
    int32_t n_slots;      /* a multiple of ROWS_AT_ONCE */
    size_t row_bytes;
};

/* The row pass takes so many rows at once, for the kernel prepares its weights for each call. They
 * are next to one another in the ring, and over none that is still needed. */
#define ROWS_AT_ONCE 16

static double filter_scale(int32_t n_in, int32_t n_out)
{
    return (double)n_in / n_out;
}

/* Half of the filter's width in source pixels. */
static double filter_support(int32_t n_in, int32_t n_out)
{
    return fmax(1.0, filter_scale(n_in, n_out));
}

/* The most taps that a pixel can have, rounded up to a multiple of 4. */
static int32_t taps_stride(int32_t n_in, int32_t n_out)
{
    return ((int32_t)ceil(filter_support(n_in, n_out)) * 2 + 1 + 3) / 4 * 4;
}

/* Adds n * size bytes, aligned, to *total and returns where they start; *fits becomes false if the
 * sum does not fit. */
static size_t reserve(size_t *total, size_t n, size_t size, bool *fits)
{
    size_t start = *total, bytes = 0;

    *fits = *fits && scree_mul_size(n, size, &bytes) && scree_add_size(*total, bytes, total) &&
            scree_align_size(*total, 16, total);
    return start;
}

static int work_init(struct work *work, struct scree_rect src, struct scree_rect dst,
                     int32_t channels, struct scree_error *err)
{
    int32_t sx = taps_stride(src.w, dst.w), sy = taps_stride(src.h, dst.h);
    size_t row_bytes = (size_t)dst.w * (size_t)channels;
    size_t nx = (size_t)dst.w, ny = (size_t)dst.h, total = 0;
    int32_t n_slots = (sy + ROWS_AT_ONCE - 1 + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE * ROWS_AT_ONCE;
    bool fits = true;
    size_t scratch = reserve(&total, (size_t)scree_max_i32(sx, sy), sizeof(double), &fits);
    size_t x = reserve(&total, nx * ((size_t)sx + 2), sizeof(int32_t), &fits);
    size_t y = reserve(&total, ny * ((size_t)sy + 2), sizeof(int32_t), &fits);
    size_t rows = reserve(&total, (size_t)sy, sizeof(uint8_t *), &fits);
    size_t ring = reserve(&total, row_bytes, (size_t)n_slots, &fits);

    work->block = fits ? malloc(total) : NULL;
    if (!work->block)
        return scree_fail_memory(err, fits ? total : SIZE_MAX);
    work->scratch = (double *)(void *)(work->block + scratch);
    work->x = (struct scree_resample_taps){.n_out = dst.w, .stride = sx};
    work->x.first = (int32_t *)(void *)(work->block + x);
    work->x.n_taps = work->x.first + nx;
    work->x.weights = work->x.n_taps + nx;
    work->y = (struct scree_resample_taps){.n_out = dst.h, .stride = sy};
    work->y.first = (int32_t *)(void *)(work->block + y);
    work->y.n_taps = work->y.first + ny;
    work->y.weights = work->y.n_taps + ny;
    work->rows = (const uint8_t **)(void *)(work->block + rows);
    work->ring = work->block + ring;
    work->n_slots = n_slots;
    work->row_bytes = row_bytes;
    return 0;
}

/* ---- bilinear
 */

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Fills taps for n_in source pixels. scratch f64[taps->stride] */
static void taps_fill(struct scree_resample_taps *taps, int32_t n_in, double *scratch)
{
    double scale = filter_scale(n_in, taps->n_out);
    double support = filter_support(n_in, taps->n_out);
    double inverse = 1.0 / fmax(1.0, scale);

    for (int32_t i = 0; i < taps->n_out; i++) {
        double center = (i + 0.5) * scale;
        int32_t first = scree_max_i32((int32_t)(center - support + 0.5), 0);
        int32_t n = scree_min_i32((int32_t)(center + support + 0.5), n_in) - first;
        int32_t *weights = taps->weights + (size_t)i * (size_t)taps->stride;
        double sum = 0;

        assert(n >= 1 && n <= taps->stride);
        for (int32_t j = 0; j < n; j++) {
            scratch[j] = triangle((j + first - center + 0.5) * inverse);
            sum += scratch[j];
        }
        for (int32_t j = 0; j < n; j++)
            weights[j] = (int32_t)(0.5 + scratch[j] / sum * (1 << SCREE_RESAMPLE_BITS));
        memset(weights + n, 0, (size_t)(taps->stride - n) * sizeof weights[0]);
        taps->first[i] = first;
        taps->n_taps[i] = n;
    }
}

static void row_gray(const struct scree_resample_taps *taps, const uint8_t *restrict src,
                     uint8_t *restrict dst)
{
    for (int32_t i = 0; i < taps->n_out; i++) {
        const int32_t *weights = taps->weights + (size_t)i * (size_t)taps->stride;
        const uint8_t *p = src + taps->first[i];
        int32_t sum = 1 << (SCREE_RESAMPLE_BITS - 1);

        for (int32_t j = 0; j < taps->n_taps[i]; j++)
            sum += p[j] * weights[j];
        dst[i] = (uint8_t)scree_clamp_i32(sum >> SCREE_RESAMPLE_BITS, 0, 255);
    }
}

/* n rows of the source to rows of the ring from `out` on. */
static void row_pass(const struct scree_kernels *kernels, const struct work *work, int32_t src_w,
                     int32_t channels, struct plane src, int32_t n, uint8_t *out)
{
    if (src_w == work->x.n_out) {
        copy_rows(src, (struct plane){out, work->row_bytes}, work->row_bytes, n);
    } else if (channels == 3) {
        kernels->resample_rgb(&work->x, src.pixels, src.stride_bytes, src_w, n, out,
                              work->row_bytes);
    } else {
        for (int32_t y = 0; y < n; y++)
            row_gray(&work->x, src.pixels + (size_t)y * src.stride_bytes,
                     out + (size_t)y * work->row_bytes);
    }
}

/* Row y of the result, of rows that are in the ring. */
static void column_pass(const struct scree_kernels *kernels, struct work *work, int32_t y,
                        uint8_t *dst)
{
    int32_t n = work->y.n_taps[y];

    for (int32_t j = 0; j < n; j++) {
        int32_t slot = (work->y.first[y] + j) % work->n_slots;

        work->rows[j] = work->ring + (size_t)slot * work->row_bytes;
    }
    kernels->resample_rows(work->rows, work->y.weights + (size_t)y * (size_t)work->y.stride, n, dst,
                           work->row_bytes);
}

/* ---- this processor's kernels
 */

static struct scree_kernels kernels_here;

static void find_kernels(void)
{
    uint32_t cpu = 0; /* with a SCREE_CPU that no model can be opened with: plain C */

    (void)scree_cpu_flags(getenv("SCREE_CPU"), &cpu, NULL);
    scree_kernels_init(&kernels_here, cpu);
}

static const struct scree_kernels *get_kernels(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, find_kernels);
    return &kernels_here;
}

static void resize_bilinear(struct work *work, int32_t src_w, int32_t src_h, int32_t channels,
                            struct plane src, struct plane dst)
{
    const struct scree_kernels *kernels = get_kernels();
    int32_t n_rows = 0; /* of the source, done along the row */

    taps_fill(&work->x, src_w, work->scratch);
    taps_fill(&work->y, src_h, work->scratch);
    for (int32_t y = 0; y < work->y.n_out; y++) {
        int32_t end = work->y.first[y] + work->y.n_taps[y];

        while (n_rows < end) {
            int32_t n = scree_min_i32(ROWS_AT_ONCE, src_h - n_rows);

            row_pass(kernels, work, src_w, channels, src, n,
                     work->ring + (size_t)(n_rows % work->n_slots) * work->row_bytes);
            src.pixels += (size_t)n * src.stride_bytes;
            n_rows += n;
        }
        column_pass(kernels, work, y, dst.pixels + (size_t)y * dst.stride_bytes);
    }
}

/* ---- nearest
 */

/* The source pixel of each of n_out pixels: the middles are added up in double precision, as Pillow
 * does, because that decides some ties. */
static void nearest_fill(int32_t *index, int32_t n_out, int32_t n_in)
{
    double scale = filter_scale(n_in, n_out);
    double middle = scale * 0.5;

    for (int32_t i = 0; i < n_out; i++) {
        index[i] = scree_min_i32((int32_t)middle, n_in - 1);
        middle += scale;
    }
}

static void resize_nearest(struct work *work, int32_t src_w, int32_t src_h, int32_t channels,
                           struct plane src, struct plane dst)
{
    nearest_fill(work->x.first, work->x.n_out, src_w);
    nearest_fill(work->y.first, work->y.n_out, src_h);
    for (int32_t y = 0; y < work->y.n_out; y++) {
        const uint8_t *row = src.pixels + (size_t)work->y.first[y] * src.stride_bytes;
        uint8_t *out = dst.pixels + (size_t)y * dst.stride_bytes;

        for (int32_t x = 0; x < work->x.n_out; x++)
            memcpy(out + (size_t)x * (size_t)channels,
                   row + (size_t)work->x.first[x] * (size_t)channels, (size_t)channels);
    }
}

/* ---- the interface
 */

static int check_rect(const struct scree_image *image, struct scree_rect rect,
                      struct scree_error *err)
{
    if (rect.x < 0 || rect.y < 0 || rect.w < 1 || rect.h < 1 || rect.x > image->w ||
        rect.y > image->h || rect.w > image->w - rect.x || rect.h > image->h - rect.y)
        return scree_fail(err, EINVAL, "%d x %d pixels at (%d, %d) are not in %d x %d", rect.w,
                          rect.h, rect.x, rect.y, image->w, image->h);
    return 0;
}

static struct plane plane_at(const struct scree_image *image, struct scree_rect rect)
{
    size_t stride_bytes = (size_t)image->w * (size_t)image->channels;
    size_t offset = (size_t)rect.y * stride_bytes + (size_t)rect.x * (size_t)image->channels;

    return (struct plane){image->pixels + offset, stride_bytes};
}

int scree_image_resize_rect(const struct scree_image *src, struct scree_rect src_rect,
                            enum scree_filter filter, struct scree_image *dst,
                            struct scree_rect dst_rect, struct scree_error *err)
{
    struct plane from, to;
    struct work work = {0};
    int rc;

    if (src->channels != dst->channels || src->pixels == dst->pixels)
        return scree_fail(err, EINVAL, "resize: %d and %d channels, or one image", src->channels,
                          dst->channels);
    rc = check_rect(src, src_rect, err);
    if (rc == 0)
        rc = check_rect(dst, dst_rect, err);
    if (rc < 0)
        return rc;
    from = plane_at(src, src_rect);
    to = plane_at(dst, dst_rect);
    if (src_rect.w == dst_rect.w && src_rect.h == dst_rect.h) {
        copy_rows(from, to, (size_t)src_rect.w * (size_t)src->channels, src_rect.h);
        return 0;
    }
    rc = work_init(&work, src_rect, dst_rect, src->channels, err);
    if (rc < 0)
        return rc;
    if (filter == SCREE_FILTER_NEAREST)
        resize_nearest(&work, src_rect.w, src_rect.h, src->channels, from, to);
    else
        resize_bilinear(&work, src_rect.w, src_rect.h, src->channels, from, to);
    free(work.block);
    return 0;
}

static struct scree_rect whole(const struct scree_image *image)
{
    return (struct scree_rect){0, 0, image->w, image->h};
}

int scree_image_resize(const struct scree_image *src, struct scree_image *dst,
                       struct scree_error *err)
{
    return scree_image_resize_rect(src, whole(src), SCREE_FILTER_BILINEAR, dst, whole(dst), err);
}
