/* Elementwise functions of floats: bits are those of the definition; the logistic function of the
 * definition is near that of the library. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "checkkern.h"
#include "kernels/unary.h"

enum { N_MAX = 1000 };

static float number(struct check *check)
{
    static const float odd[] = {NAN,   INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0.0f,
                                -3.0f, 3.0f,     -0.0f,     1e-40f,  100.0f,   -100.0f};

    if (check_below(check, 8) == 0)
        return odd[check_below(check, sizeof odd / sizeof odd[0])];
    return (float)check_between(check, -1000000, 1000000) / 65536;
}

static float *numbers(struct check *check, size_t n)
{
    float *x = check_input(n * sizeof *x, sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = number(check);
    return x;
}

/* All of a NaN's bits but that it is one depend on the order of operands, which is free. */
static void compare(struct check *check, float *expected, float *got, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        expected[i] = isnan(expected[i]) ? 99 : expected[i];
        got[i] = isnan(got[i]) ? 99 : got[i];
    }
    check_equal(check, expected, got, n * sizeof *got, "%s of %zu", what, n);
}

static const struct scree_unary_params logistic_params = {.min_f32 = SCREE_LOGISTIC_MIN,
                                                          .max_f32 = SCREE_LOGISTIC_MAX};

static void check_unary(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                        const struct scree_unary_params *params, const char *what)
{
    size_t n = 1 + check_below(check, N_MAX), step = check_below(check, 4) > 0;
    float *expected = check_output(n * sizeof(float)), *got = check_output(n * sizeof(float));
    const void *in[] = {numbers(check, step ? n : 1)};

    definition(expected, in, &step, n, params);
    variant(got, in, &step, n, params);
    compare(check, expected, got, n, what);
    check_free_all();
}

static void check_two(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                      const char *what)
{
    static const size_t steps[][2] = {{1, 1}, {1, 0}, {0, 1}};
    const struct scree_binary_params params = {.min_f32 = check_below(check, 2) ? 0 : -FLT_MAX,
                                               .max_f32 = check_below(check, 2) ? 6 : FLT_MAX};
    const size_t *step = steps[check_below(check, 3)];
    size_t n = 1 + check_below(check, N_MAX);
    float *expected = check_output(n * sizeof(float)), *got = check_output(n * sizeof(float));
    const void *in[] = {numbers(check, step[0] ? n : 1), numbers(check, step[1] ? n : 1)};

    definition(expected, in, step, n, &params);
    variant(got, in, step, n, &params);
    compare(check, expected, got, n, what);
    check_free_all();
}

/* The polynomial against the library in double precision. */
static void check_accuracy(struct check *check, scree_row_fn *logistic)
{
    enum { N = 20001 };
    static float x[N], y[N], exact[N];
    const void *in[] = {x};
    double worst = 0;

    for (int i = 0; i < N; i++)
        x[i] = -80 + 160 * (float)i / (N - 1);
    logistic(y, in, (const size_t[]){1}, N, &logistic_params);
    for (int i = 0; i < N; i++) {
        double want = 1 / (1 + exp(-(double)x[i]));

        exact[i] = (float)want;
        worst = fmax(worst, fabs((double)y[i] - want) / want);
    }
    if (worst > 4 * (double)FLT_EPSILON) {
        printf("logistic is off by %g, relatively\n", worst);
        check_equal(check, exact, y, sizeof y, "logistic");
    }
}

struct timing {
    scree_row_fn *rows[2];
    const void *params, *in[2];
    float *out;
    size_t n;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *t = arg;

    t->rows[variant](t->out, t->in, (const size_t[]){1, 1}, t->n, t->params);
}

static void time_row(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                     const void *params, const char *what)
{
    enum { N = 1 << 13 };
    struct timing timing = {
        {definition, variant}, params, {NULL}, check_output(N * sizeof(float)), N};

    timing.in[0] = numbers(check, N);
    timing.in[1] = numbers(check, N);
    check_time(check, what, N, "elem", run_timing, &timing);
    check_free_all();
}

void check_rows_f32(struct check *check, const struct scree_rows_f32 *definition,
                    const struct scree_rows_f32 *variant)
{
    static const struct scree_unary_params clamp_params = {.min_f32 = -1, .max_f32 = 6};
    static const struct scree_binary_params mul_params = {.min_f32 = 0, .max_f32 = 6};

    for (int i = 0; i < 60; i++) {
        check_two(check, definition->add, variant->add, "add");
        check_two(check, definition->sub, variant->sub, "sub");
        check_two(check, definition->mul, variant->mul, "mul");
        check_unary(check, definition->clamp, variant->clamp, &clamp_params, "clamp");
        check_unary(check, definition->hard_swish, variant->hard_swish, &clamp_params,
                    "hard_swish");
        check_unary(check, definition->logistic, variant->logistic, &logistic_params, "logistic");
    }
    check_accuracy(check, definition->logistic);
    time_row(check, definition->mul, variant->mul, &mul_params, "mul of 8192");
    time_row(check, definition->hard_swish, variant->hard_swish, &clamp_params,
             "hard_swish of 8192");
    time_row(check, definition->logistic, variant->logistic, &logistic_params, "logistic of 8192");
}
