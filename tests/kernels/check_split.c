/* 16-bit activations in two planes, and sums of both planes made outputs. The definition is
 * compared with the 64-bit arithmetic that it stands for. */
#include <math.h>

#include "checkkern.h"

static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200};

static void check_planes(struct check *check, const struct scree_split_kernel *variant, size_t n,
                         enum check_fill fill)
{
    int16_t *x = check_input(n * sizeof *x, sizeof *x);
    int8_t *expected = check_output(2 * n), *high = check_output(n), *low = check_output(n);

    check_fill_bytes(check, x, n * sizeof *x, fill);
    for (size_t i = 0; i < n; i++) {
        expected[i] = (int8_t)floor(x[i] / 256.0);
        expected[n + i] = (int8_t)(x[i] - 256 * expected[i] - 128);
    }
    variant->split(high, low, x, n);
    check_equal(check, expected, high, n, "high bytes of %zu", n);
    check_equal(check, expected + n, low, n, "low bytes of %zu", n);
}

/* Sums, biases and factors of a row. */
struct row {
    size_t n;
    int32_t *high, *low;
    double *bias, *factors;
    struct scree_multiplier *multipliers;
};

static struct row make_row(struct check *check, size_t n)
{
    struct row row = {
        .n = n,
        .high = check_input(n * sizeof *row.high, sizeof *row.high),
        .low = check_input(n * sizeof *row.low, sizeof *row.low),
        .bias = check_input(n * sizeof *row.bias, sizeof *row.bias),
        .factors = check_input(n * sizeof *row.factors, sizeof *row.factors),
        .multipliers = check_input(n * sizeof *row.multipliers, sizeof *row.multipliers),
    };

    for (size_t i = 0; i < n; i++) {
        int bits = check_between(check, 0, 27); /* all sizes of sums, up to the bound */

        row.high[i] = check_between(check, -(1 << bits), 1 << bits);
        row.low[i] = check_between(check, -(1 << bits), 1 << bits);
        row.bias[i] = check_between(check, -(1 << bits), 1 << bits) * 128.0;
    }
    return row;
}

/* A shift with which the output is within its bound, and often in 16 bits. */
static int pick_shift(struct check *check, int64_t sum)
{
    int bits = 0;

    while (bits < 40 && (sum < 0 ? -sum : sum) >> bits > 0)
        bits++;
    bits = check_between(check, 8, 24) - bits;
    return bits < -31 ? -31 : bits > 7 ? 7 : bits;
}

static void check_outputs(struct check *check, const struct scree_split_kernel *variant,
                          const struct row *row, bool halves_up)
{
    bool relu = check_below(check, 2);
    const struct scree_split_row how = {row->bias, row->factors, halves_up, relu ? 0 : -32768,
                                        relu ? 20000 : 32767};
    int16_t *expected = check_output(row->n * sizeof *expected);
    int16_t *got = check_output(row->n * sizeof *got);

    for (size_t i = 0; i < row->n; i++) {
        int64_t sum = (int64_t)row->high[i] * 256 + row->low[i] + (int64_t)row->bias[i], value;
        /* few bits: many sums come to lie on halves */
        struct scree_multiplier m = {
            check_below(check, 2) ? 1 << 30 : check_between(check, 1 << 30, INT32_MAX),
            pick_shift(check, sum)};

        row->factors[i] = halves_up ? scree_split_factor(m) : ldexp(m.q, m.shift - 31);
        value = halves_up ? scree_multiply_i64(sum, m)
                          : (int64_t)round((double)sum * row->factors[i]);
        expected[i] = (int16_t)(value < how.min ? how.min : value > how.max ? how.max : value);
    }
    variant->finish(got, row->high, row->low, &how, row->n);
    check_equal(check, expected, got, row->n * sizeof *got, "%zu outputs, halves %s", row->n,
                halves_up ? "up" : "away from 0");
}

static void check_all(struct check *check, const struct scree_split_kernel *kernel)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int round = 0; round < 20; round++) {
            struct row row = make_row(check, sizes[i]);

            check_planes(check, kernel, sizes[i], (enum check_fill)(round % CHECK_N_FILLS));
            check_outputs(check, kernel, &row, round % 2);
            check_free_all();
        }
}

struct timing {
    const struct scree_split_kernel *kernels[2];
    struct row row;
    int16_t *out;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *t = arg;
    const struct scree_split_row how = {t->row.bias, t->row.factors, true, -32768, 32767};

    t->kernels[variant]->finish(t->out, t->row.high, t->row.low, &how, t->row.n);
}

void check_split(struct check *check, const struct scree_split_kernel *definition,
                 const struct scree_split_kernel *variant)
{
    enum { N = 256 };
    struct timing timing = {{definition, variant}, make_row(check, N), check_output(2 * N)};

    for (size_t i = 0; i < N; i++)
        timing.row.factors[i] = 0x1p-20;
    check_time(check, "256 outputs", N, "elem", run_timing, &timing);
    check_free_all();
    check_all(check, definition);
    check_all(check, variant);
}
