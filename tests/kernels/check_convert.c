#include "checkkern.h"

#include <math.h>
#include <string.h>

struct timing {
    scree_row_fn *kernels[2];
    void *out;
    const void *in[1];
    const struct scree_scale *scale;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, timing->in, (const size_t[]){1}, 4096, timing->scale);
}

/* Floats of all kinds, or bytes. */
static void fill(struct check *check, void *in, size_t n, bool is_float)
{
    static const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 0.5f, -0.5f, 1e-40f};
    float *f = in;

    if (!is_float) {
        check_fill_bytes(check, in, n, CHECK_RANDOM);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t kind = check_below(check, 40);

        f[i] = kind < 8 ? special[kind]
                        : (float)check_between(check, -(1 << 20), 1 << 20) /
                              (float)(1 << check_below(check, 20));
    }
}

static void check_rows(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                       bool quantizes, const struct scree_scale *scale)
{
    size_t in_bytes = quantizes ? 4 : 1, out_bytes = quantizes ? 1 : 4;

    for (size_t n = 1; n < 300; n += n < 40 ? 1 : 37)
        for (size_t step = 0; step < 2; step++) {
            void *a = check_output(n * out_bytes), *b = check_output(n * out_bytes);
            void *in = check_input((step ? n : 1) * in_bytes, in_bytes);

            fill(check, in, step ? n : 1, quantizes);
            definition(a, (const void *const[]){in}, &step, n, scale);
            variant(b, (const void *const[]){in}, &step, n, scale);
            check_equal(check, a, b, n * out_bytes, "%zu elements, step %zu, scale %g", n, step,
                        (double)scale->scale);
            check_free_all();
        }
}

static void check_conversion(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                             bool quantizes)
{
    static const float scales[] = {1, 0.5f, 0.0078125f, 0.0235294122f, 3.3e-6f, 1e30f};
    size_t in_bytes = quantizes ? 4 : 1, out_bytes = quantizes ? 1 : 4;
    struct scree_scale scale;
    struct timing timing = {{definition, variant}, NULL, {NULL}, &scale};
    void *in;

    for (int i = 0; i < 6; i++) {
        scale = (struct scree_scale){scales[i], check_between(check, -128, 127)};
        check_rows(check, definition, variant, quantizes, &scale);
    }
    in = check_input(4096 * in_bytes, in_bytes);
    memset(in, 0x3f, 4096 * in_bytes); /* of floats, 0.747 */
    timing.in[0] = in;
    timing.out = check_output(4096 * out_bytes);
    check_time(check, "4096 elements", 4096, "el", run_timing, &timing);
}

#define DEFINE_CHECK(member, quantizes)                                                       \
    void check_##member(struct check *check, scree_row_fn *definition, scree_row_fn *variant) \
    {                                                                                         \
        check_conversion(check, definition, variant, quantizes);                              \
    }

DEFINE_CHECK(quantize_u8, true)
DEFINE_CHECK(quantize_i8, true)
DEFINE_CHECK(dequantize_u8, false)
DEFINE_CHECK(dequantize_i8, false)
