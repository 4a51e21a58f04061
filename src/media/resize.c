/* The bilinear filter is Pillow's, step by step, so that the bytes are the same: the weights in
 * double precision, normalized, rounded to 22 bits; one pass along the rows to bytes; one along the
 * columns. Source: Pillow's documentation of the BILINEAR filter and src/libImaging/Resample.c.
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

/* ---- memory: one block for all
 */

struct work {
    uint8_t *block;
    struct scree_resample_taps x, y;
    double *scratch;      /* f64[stride of x or y, the larger] */
    const uint8_t **rows; /* [y.stride] */
    uint8_t *ring;        /* u8[n_slots][row_bytes] */
    int32_t n_slots;
    size_t row_bytes;
};

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

static int work_init(struct work *work, int32_t src_w, int32_t src_h, int32_t dst_w, int32_t dst_h,
                     struct scree_error *err)
{
    int32_t sx = taps_stride(src_w, dst_w), sy = taps_stride(src_h, dst_h);
    size_t row_bytes = 3 * (size_t)dst_w;
    size_t nx = (size_t)dst_w, ny = (size_t)dst_h, total = 0;
    /* Of the sy rows that the next one of the result is made of, at least the last is missing when
     * rows come, which go over none of the others. A multiple of what comes at once, so that it is
     * seldom split at the end of the ring. */
    int32_t n_slots = (sy - 1 + 2 * SCREE_RESIZER_ROWS - 1) / SCREE_RESIZER_ROWS *
                      SCREE_RESIZER_ROWS;
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
    work->x = (struct scree_resample_taps){.n_out = dst_w, .stride = sx};
    work->x.first = (int32_t *)(void *)(work->block + x);
    work->x.n_taps = work->x.first + nx;
    work->x.weights = work->x.n_taps + nx;
    work->y = (struct scree_resample_taps){.n_out = dst_h, .stride = sy};
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

/* Where row y of the source is, done along the row. */
static uint8_t *ring_row(const struct work *work, int32_t y)
{
    return work->ring + (size_t)(y % work->n_slots) * work->row_bytes;
}

/* n rows of the source to rows of the ring that are next to one another, from `out` on. */
static void row_pass(const struct scree_kernels *kernels, const struct work *work, int32_t src_w,
                     const uint8_t *rows, size_t stride_bytes, int32_t n, uint8_t *out)
{
    if (src_w != work->x.n_out) {
        kernels->resample_rgb(&work->x, rows, stride_bytes, src_w, n, out, work->row_bytes);
        return;
    }
    for (int32_t y = 0; y < n; y++)
        memcpy(out + (size_t)y * work->row_bytes, rows + (size_t)y * stride_bytes, work->row_bytes);
}

/* Row y of the result, of rows that are in the ring. */
static void column_pass(const struct scree_kernels *kernels, struct work *work, int32_t y,
                        uint8_t *dst)
{
    int32_t n = work->y.n_taps[y];

    for (int32_t j = 0; j < n; j++)
        work->rows[j] = ring_row(work, work->y.first[y] + j);
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

/* ---- the interface
 */

struct scree_resizer {
    struct work work;
    const struct scree_kernels *kernels;
    int32_t src_w, src_h;
    int32_t n_pushed, n_pulled;
};

int scree_resizer_new(int32_t src_w, int32_t src_h, int32_t dst_w, int32_t dst_h,
                      struct scree_resizer **ret_resizer, struct scree_error *err)
{
    struct scree_resizer *resizer = calloc(1, sizeof *resizer);
    int rc;

    assert(src_w >= 1 && src_h >= 1 && dst_w >= 1 && dst_h >= 1);
    if (!resizer)
        return scree_fail_memory(err, sizeof *resizer);
    rc = work_init(&resizer->work, src_w, src_h, dst_w, dst_h, err);
    if (rc < 0) {
        free(resizer);
        return rc;
    }
    taps_fill(&resizer->work.x, src_w, resizer->work.scratch);
    taps_fill(&resizer->work.y, src_h, resizer->work.scratch);
    resizer->kernels = get_kernels();
    resizer->src_w = src_w;
    resizer->src_h = src_h;
    *ret_resizer = resizer;
    return 0;
}

void scree_resizer_free(struct scree_resizer *resizer)
{
    if (resizer)
        free(resizer->work.block);
    free(resizer);
}

void scree_resizer_push(struct scree_resizer *resizer, const uint8_t *rows, size_t stride_bytes,
                        int32_t n_rows)
{
    const struct work *work = &resizer->work;

    assert(n_rows >= 1 && n_rows <= SCREE_RESIZER_ROWS);
    assert(n_rows <= resizer->src_h - resizer->n_pushed);
    while (n_rows > 0) {
        int32_t slot = resizer->n_pushed % work->n_slots;
        int32_t n = scree_min_i32(n_rows, work->n_slots - slot);

        row_pass(resizer->kernels, work, resizer->src_w, rows, stride_bytes, n,
                 ring_row(work, slot));
        rows += (size_t)n * stride_bytes;
        resizer->n_pushed += n;
        n_rows -= n;
    }
}

bool scree_resizer_pull(struct scree_resizer *resizer, uint8_t *row)
{
    struct work *work = &resizer->work;
    int32_t y = resizer->n_pulled;

    if (y == work->y.n_out || work->y.first[y] + work->y.n_taps[y] > resizer->n_pushed)
        return false;
    if (resizer->src_h == work->y.n_out)
        memcpy(row, ring_row(work, y), work->row_bytes);
    else
        column_pass(resizer->kernels, work, y, row);
    resizer->n_pulled++;
    return true;
}
