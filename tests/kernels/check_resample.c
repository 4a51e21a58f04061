#include "checkkern.h"

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

struct row_timing {
    scree_resample_row_fn *kernels[2];
    struct scree_resample_taps taps;
    const uint8_t *in;
    uint8_t *out;
};

static void time_row(void *arg, bool variant)
{
    struct row_timing *t = arg;

    t->kernels[variant](&t->taps, t->in, 640, t->out);
}

/* A row of 640 pixels to 224, as a triangle filter has it. */
static void bench_row(struct check *check, scree_resample_row_fn *definition,
                      scree_resample_row_fn *variant)
{
    struct row_timing timing = {.kernels = {definition, variant}};

    timing.taps = make_taps(check, 224, 640, 8);
    for (int32_t i = 0; i < 224; i++) {
        timing.taps.n_taps[i] = 6;
        timing.taps.first[i] = i * 634 / 223;
    }
    timing.in = check_input(640 * 3, 1);
    timing.out = check_output(224 * 3);
    check_time(check, "640 RGB pixels to 224", 224 * 3 * 6, "MAC", time_row, &timing);
}

void check_resample_rgb(struct check *check, scree_resample_row_fn *definition,
                        scree_resample_row_fn *variant)
{
    for (int32_t k = 0; k < 400; k++) {
        int32_t n_in = check_between(check, 1, 90), n_out = check_between(check, 1, 40);
        int32_t stride = 4 * check_between(check, 1, MAX_STRIDE / 4);
        struct scree_resample_taps taps = make_taps(check, n_out, n_in, stride);
        uint8_t *in = check_input(3 * (size_t)n_in, 1);
        size_t n = 3 * (size_t)n_out;
        uint8_t *a = check_output(n), *b = check_output(n);

        check_fill_bytes(check, in, 3 * (size_t)n_in, (enum check_fill)(k % CHECK_N_FILLS));
        definition(&taps, in, n_in, a);
        variant(&taps, in, n_in, b);
        check_equal(check, a, b, n, "%d pixels to %d, %d taps", n_in, n_out, stride);
        check_free_all();
    }
    bench_row(check, definition, variant);
    check_free_all();
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
