#include "checkkern.h"

struct timing {
    scree_arg_rows_fn *kernels[2];
    uint32_t *out;
    const uint8_t *in;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, timing->in, 513, 21, 0);
}

/* Few different values, so that equal ones are frequent. */
static void fill(struct check *check, uint8_t *in, size_t n, uint32_t n_values)
{
    for (size_t i = 0; i < n; i++)
        in[i] = (uint8_t)(255 - check_below(check, n_values));
}

void check_arg_rows(struct check *check, scree_arg_rows_fn *definition, scree_arg_rows_fn *variant)
{
    static const uint8_t flips[] = {0, 0x80, 0xff, 0x7f};
    static const uint32_t n_values[] = {1, 2, 20, 256};
    struct timing timing = {{definition, variant}, NULL, NULL};
    uint8_t *in;

    for (size_t n = 1; n < 140; n++)
        for (size_t i = 0; i < 4; i++) {
            size_t n_rows = 1 + check_below(check, 40);
            uint32_t *a = check_output(n_rows * 4), *b = check_output(n_rows * 4);

            in = check_input(n_rows * n, 1);
            fill(check, in, n_rows * n, n_values[check_below(check, 4)]);
            definition(a, in, n_rows, n, flips[i]);
            variant(b, in, n_rows, n, flips[i]);
            check_equal(check, a, b, n_rows * 4, "%zu rows of %zu, flip %02x", n_rows, n, flips[i]);
            check_free_all();
        }
    in = check_input(513 * 21, 1);
    fill(check, in, 513 * 21, 256);
    timing.in = in;
    timing.out = check_output(513 * 4);
    check_time(check, "513 rows of 21", 513 * 21, "el", run_timing, &timing);
}
