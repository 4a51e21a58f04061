/* Activations to 8 bits and sums back. The definition is a vector kernel too, so that both are
 * compared with a plain loop. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "checkkern.h"

static const size_t sizes[] = {1,  2,  3,  4,  7,  8,   15,  16,  17,
                               31, 33, 63, 64, 65, 100, 255, 256, 1000};

/* Numbers of which some are halves, some far outside of bytes, some not numbers. */
static float number(struct check *check)
{
    static const float odd[] = {NAN,     INFINITY, -INFINITY,      FLT_MAX, -FLT_MAX,
                                0.5f,    -0.5f,    0x1.fffffep-2f, 1.5f,    2.5f,
                                -127.5f, -0.0f,    1e-40f};

    if (check_below(check, 8) == 0)
        return odd[check_below(check, sizeof odd / sizeof odd[0])];
    return (float)check_between(check, -1000, 1000) / (check_below(check, 2) ? 2 : 7);
}

static float *numbers(struct check *check, size_t n, bool ordinary)
{
    float *x = check_input(n * sizeof *x, sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = ordinary ? (float)check_between(check, -1000, 1000) / 64 : number(check);
    return x;
}

static void check_range(struct check *check, const struct scree_hybrid_kernel *kernel, size_t n)
{
    const float *x = numbers(check, n, false);
    float *got = check_output(2 * sizeof *got), *expected = check_output(2 * sizeof *expected);

    expected[0] = expected[1] = x[0];
    for (size_t i = 1; i < n; i++) {
        expected[0] = x[i] < expected[0] ? x[i] : expected[0];
        expected[1] = x[i] > expected[1] ? x[i] : expected[1];
    }
    kernel->range(x, n, &got[0], &got[1]);
    for (int i = 0; i < 2; i++) { /* zeros have two signs, and any NaN will do */
        got[i] = isnan(got[i]) ? 99 : got[i] + 0.0f;
        expected[i] = isnan(expected[i]) ? 99 : expected[i] + 0.0f;
    }
    check_equal(check, expected, got, 2 * sizeof *got, "range of %zu", n);
}

static float round_clamped(float value, float min)
{
    float rounded = roundf(value);

    return !(rounded > min) ? min : rounded < 127 ? rounded : 127;
}

static void check_quantize(struct check *check, const struct scree_hybrid_kernel *kernel, size_t n)
{
    const struct scree_hybrid_step step = {
        .inverse = (float)check_between(check, 1, 64) / 16,
        .zero_point = (float)check_between(check, -128, 127),
        .min = check_below(check, 2) ? -128 : -127,
    };
    const float *x = numbers(check, n, false);
    int8_t *expected = check_output(n), *got = check_output(n);
    float *expected_f32 = check_output(n * sizeof(float)),
          *got_f32 = check_output(n * sizeof(float));

    for (size_t i = 0; i < n; i++) {
        float q = round_clamped(x[i] * step.inverse + step.zero_point, step.min);

        expected[i] = (int8_t)q;
        expected_f32[i] = q - step.zero_point;
    }
    kernel->quantize(got, x, n, &step);
    kernel->quantize_f32(got_f32, x, n, &step);
    check_equal(check, expected, got, n, "%zu quantized", n);
    check_equal(check, expected_f32, got_f32, n * sizeof(float), "%zu quantized as floats", n);
}

static void check_rescale(struct check *check, const struct scree_hybrid_kernel *kernel, size_t n)
{
    float *scales = numbers(check, n, true), *bias = numbers(check, n, true), input_scale = 0.37f;
    struct scree_conv_hybrid hybrid = {
        .input_scales = &input_scale,
        .filter_scales = scales,
        .filter_scale_stride = (int32_t)check_below(check, 2),
        .filter_first = check_below(check, 2),
        .min = check_below(check, 2) ? 0 : -FLT_MAX,
        .max = check_below(check, 2) ? 6 : FLT_MAX,
    };
    size_t bytes = n * sizeof(float);
    int32_t *sums = check_input(bytes, 4), *weights = check_input(bytes, 4);
    const struct scree_hybrid_row row = {
        .hybrid = &hybrid,
        .input_scale = input_scale,
        .zero_point = check_below(check, 3) ? check_between(check, -128, 127) : 0,
        .weight_sums = weights,
        .filter_scales = scales,
        .bias = check_below(check, 3) ? bias : NULL,
    };
    float *expected = check_output(bytes), *got = check_output(bytes);
    uint32_t *corrected = check_output(bytes);

    check_fill_bytes(check, sums, bytes, CHECK_RANDOM);
    check_fill_bytes(check, weights, bytes, CHECK_RANDOM);
    for (size_t i = 0; i < n; i++)
        corrected[i] = (uint32_t)sums[i] - (uint32_t)weights[i] * (uint32_t)row.zero_point;
    scree_rescale_row(&hybrid, corrected, row.bias, 0, 0, (int32_t)n, expected);
    memcpy(got, sums, bytes);
    kernel->rescale(got, got, &row, n);
    check_equal(check, expected, got, bytes, "%zu rescaled", n);
}

static void check_all(struct check *check, const struct scree_hybrid_kernel *kernel)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int round = 0; round < 8; round++) {
            check_range(check, kernel, sizes[i]);
            check_quantize(check, kernel, sizes[i]);
            check_rescale(check, kernel, sizes[i]);
            check_free_all();
        }
}

struct timing {
    const struct scree_hybrid_kernel *kernels[2];
    const float *x;
    int8_t *q;
    size_t n;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *t = arg;
    struct scree_hybrid_range range =
        scree_hybrid_find_range(t->kernels[variant], t->x, t->n, true);

    scree_hybrid_quantize(t->kernels[variant], t->q, t->x, t->n, &range);
}

void check_hybrid(struct check *check, const struct scree_hybrid_kernel *definition,
                  const struct scree_hybrid_kernel *variant)
{
    enum { N = 1 << 16 };
    struct timing timing = {{definition, variant}, NULL, NULL, N};

    check_all(check, definition);
    check_all(check, variant);
    timing.x = numbers(check, N, true);
    timing.q = check_output(N);
    check_time(check, "65536 quantized", N, "elem", run_timing, &timing);
}
