#include "checkkern.h"

#include <stdio.h>

#define MAX_STRIDE 64
#define ONE        (1 << SCREE_RESAMPLE_BITS)

/* Weights of n taps that add up to about 1; all on one of them at times. */
static void fill_weights(struct check *check, int32_t *weights, int32_t n)
{
    int32_t left = ONE;

    for (int32_t j = 0; j < n; j++) {
        bool all = j == n - 1 || check_below(check, 8) == 0;

        weights[j] = all ? left : (int32_t)check_below(check, (uint32_t)left + 1);
        left -= weights[j];
    }
}

/* Taps of n_out pixels on a line of n_in; freed by check_free_all(). */
static struct scree_resample_taps make_taps(struct check *check, int32_t n_out, int32_t n_in,
                                            int32_t stride)
{
    size_t n = (size_t)n_out;
    struct scree_resample_taps taps = {n_out, stride, check_input(4 * n, 4), check_input(4 * n, 4),
                                       check_input(4 * n * (size_t)stride, 4)};

    for (size_t i = 0; i < n; i++) {
        int32_t *weights = taps.weights + i * (size_t)stride;
        int32_t most = n_in < stride ? n_in : stride;

        taps.n_taps[i] = check_between(check, 1, most);
        taps.first[i] = check_between(check, 0, n_in - taps.n_taps[i]);
        for (int32_t j = 0; j < stride; j++)
            weights[j] = 0;
        fill_weights(check, weights, taps.n_taps[i]);
    }
    return taps;
}

/* Moves the taps to where those of a triangle filter are, one pixel of the result after another. */
static void in_turn(struct scree_resample_taps *taps, int32_t n_in)
{
    double scale = (double)n_in / taps->n_out, support = scale > 1 ? scale : 1;

    for (int32_t i = 0; i < taps->n_out; i++) {
        int32_t first = (int32_t)((i + 0.5) * scale - support + 0.5);

        first = first > 0 ? first : 0;
        taps->first[i] = first < n_in - taps->n_taps[i] ? first : n_in - taps->n_taps[i];
    }
}

struct rgb_timing {
    scree_resample_rgb_fn *kernels[2];
    struct scree_resample_taps taps;
    const uint8_t *in;
    uint8_t *out;
    int32_t n_in;
};

#define TIMED_ROWS 16

static void time_rgb(void *arg, bool variant)
{
    struct rgb_timing *t = arg;

    t->kernels[variant](&t->taps, t->in, 3 * (size_t)t->n_in, t->n_in, TIMED_ROWS, t->out, 3 * 224);
}

/* Rows to 224 pixels, with the taps of a triangle filter. */
static void bench_rgb(struct check *check, scree_resample_rgb_fn *definition,
                      scree_resample_rgb_fn *variant, int32_t n_in, int32_t n_taps)
{
    struct rgb_timing timing = {.kernels = {definition, variant}, .n_in = n_in};
    char what[48];

    timing.taps = make_taps(check, 224, n_in, (n_taps + 3) / 4 * 4);
    for (int32_t i = 0; i < 224; i++)
        timing.taps.n_taps[i] = n_taps;
    in_turn(&timing.taps, n_in);
    timing.in = check_input(TIMED_ROWS * 3 * (size_t)n_in, 1);
    timing.out = check_output(TIMED_ROWS * 3 * 224);
    snprintf(what, sizeof what, "%d rows of %d RGB pixels to 224", TIMED_ROWS, n_in);
    check_time(check, what, TIMED_ROWS * 224 * 3 * (double)n_taps, "MAC", time_rgb, &timing);
    check_free_all();
}

/* Rows whose bytes are apart by in_gap and out_gap more than they are long; the last one ends at an
 * unmapped page. */
static void compare_rgb(struct check *check, scree_resample_rgb_fn *definition,
                        scree_resample_rgb_fn *variant, const struct scree_resample_taps *taps,
                        int32_t n_in, enum check_fill fill)
{
    int32_t n_rows = check_between(check, 1, 5);
    size_t row = 3 * (size_t)n_in, row_out = 3 * (size_t)taps->n_out;
    size_t in_stride = row + check_below(check, 9), out_stride = row_out + check_below(check, 9);
    size_t in_bytes = in_stride * (size_t)(n_rows - 1) + row;
    size_t out_bytes = out_stride * (size_t)(n_rows - 1) + row_out;
    uint8_t *in = check_input(in_bytes, 1);
    uint8_t *a = check_output(out_bytes), *b = check_output(out_bytes);

    check_fill_bytes(check, in, in_bytes, fill);
    definition(taps, in, in_stride, n_in, n_rows, a, out_stride);
    variant(taps, in, in_stride, n_in, n_rows, b, out_stride);
    check_equal(check, a, b, out_bytes, "%d rows of %d pixels to %d, %d taps", n_rows, n_in,
                taps->n_out, taps->stride);
}

void check_resample_rgb(struct check *check, scree_resample_rgb_fn *definition,
                        scree_resample_rgb_fn *variant)
{
    for (int32_t k = 0; k < 1200; k++) {
        int32_t n_in = check_between(check, 1, k % 3 == 0 ? 90 : 600);
        int32_t n_out = check_between(check, 1, k % 5 == 0 ? 300 : 40);
        int32_t stride = 4 * check_between(check, 1, k % 2 == 0 ? MAX_STRIDE / 4 : 5);
        struct scree_resample_taps taps = make_taps(check, n_out, n_in, stride);

        if (k % 4 != 0)
            in_turn(&taps, n_in);
        compare_rgb(check, definition, variant, &taps, n_in, (enum check_fill)(k % CHECK_N_FILLS));
        check_free_all();
    }
    bench_rgb(check, definition, variant, 160, 3);
    bench_rgb(check, definition, variant, 640, 6);
    bench_rgb(check, definition, variant, 1280, 12);
    bench_rgb(check, definition, variant, 4000, 36);
}

struct rows_timing {
    scree_resample_rows_fn *kernels[2];
    const uint8_t *rows[5];
    int32_t weights[5];
    uint8_t *out;
};

static void time_rows(void *arg, bool variant)
{
    struct rows_timing *t = arg;

    t->kernels[variant](t->rows, t->weights, 5, t->out, 672);
}

void check_resample_rows(struct check *check, scree_resample_rows_fn *definition,
                         scree_resample_rows_fn *variant)
{
    struct rows_timing timing = {.kernels = {definition, variant}};
    const uint8_t *rows[MAX_STRIDE];
    int32_t weights[MAX_STRIDE];

    for (int32_t k = 0; k < 400; k++) {
        int32_t n_rows = check_between(check, 1, MAX_STRIDE);
        size_t n = 1 + check_below(check, 200);
        uint8_t *a = check_output(n), *b = check_output(n);

        for (int32_t j = 0; j < n_rows; j++) {
            uint8_t *row = check_input(n, 1);

            check_fill_bytes(check, row, n, (enum check_fill)(k % CHECK_N_FILLS));
            rows[j] = row;
        }
        fill_weights(check, weights, n_rows);
        definition(rows, weights, n_rows, a, n);
        variant(rows, weights, n_rows, b, n);
        check_equal(check, a, b, n, "%d rows of %zu", n_rows, n);
        check_free_all();
    }
    for (int j = 0; j < 5; j++)
        timing.rows[j] = check_input(672, 1);
    fill_weights(check, timing.weights, 5);
    timing.out = check_output(672);
    check_time(check, "5 rows of 672", 5 * 672, "MAC", time_rows, &timing);
    check_free_all();
}
