#include "checkkern.h"

struct timing {
    scree_softmax_8_fn *kernels[2];
    uint8_t *out;
    const uint8_t *in;
    const struct scree_softmax_8 *softmax;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, timing->in, 1024, 16, 0x80, timing->softmax);
}

void check_softmax_8(struct check *check, scree_softmax_8_fn *definition,
                     scree_softmax_8_fn *variant)
{
    static const size_t depths[] = {1,  2,  3,  10, 15,  16,  16,   16,   17,   20,  21,
                                    31, 32, 64, 91, 100, 128, 1000, 1001, 8191, 9000};
    struct scree_softmax_8 softmax;
    struct timing timing = {{definition, variant}, NULL, NULL, &softmax};

    for (size_t i = 0; i < 5 * sizeof depths / sizeof depths[0]; i++) {
        size_t depth = depths[i / 5];
        uint32_t most = depth == 16 ? 400 : depth < 200 ? 40 : 3;
        size_t n_rows = 1 + check_below(check, most), bytes = n_rows * depth;
        uint8_t flip = check_below(check, 2) ? 0x80 : 0;
        uint8_t *in = check_input(bytes, 1), *a = check_output(bytes), *b = check_output(bytes);
        struct scree_multiplier multiplier = {check_between(check, 1 << 30, INT32_MAX),
                                              check_between(check, 1, 31)};

        scree_softmax_8_init(&softmax, multiplier);
        check_fill_bytes(check, in, bytes, (enum check_fill)(i % 5));
        definition(a, in, n_rows, depth, flip, &softmax);
        variant(b, in, n_rows, depth, flip, &softmax);
        check_equal(check, a, b, bytes, "%zu rows of %zu, flip %02x, multiplier %d %d", n_rows,
                    depth, flip, multiplier.q, multiplier.shift);
        check_free_all();
    }
    scree_softmax_8_init(&softmax, (struct scree_multiplier){1717986918, 23});
    timing.in = check_input(1024 * 16, 1);
    check_fill_bytes(check, (void *)(uintptr_t)timing.in, 1024 * 16, CHECK_RANDOM);
    timing.out = check_output(1024 * 16);
    check_time(check, "1024 rows of 16", 1024 * 16, "el", run_timing, &timing);
}
