#include <string.h>

#include "checkkern.h"

struct timing {
    scree_row_fn *kernels[2];
    void *out;
    const void *in;
    const uint8_t *table;
    size_t n;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, &timing->in, (const size_t[]){1}, timing->n,
                             timing->table);
}

void check_lut_8(struct check *check, scree_row_fn *definition, scree_row_fn *variant)
{
    static const size_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 200, 4096};
    uint8_t *table = check_input(SCREE_LUT_8_SIZE, 1);
    struct timing timing = {
        {definition, variant}, check_output(1 << 14), check_input(1 << 14, 1), table, 1 << 14};

    check_fill_bytes(check, table, SCREE_LUT_8_SIZE, CHECK_RANDOM);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t step = 0; step < 2; step++) {
            size_t n = sizes[i];
            uint8_t *in = check_input(step ? n : 1, 1), *a = check_output(n), *b = check_output(n);
            const void *ins[] = {in};

            check_fill_bytes(check, in, step ? n : 1, CHECK_RANDOM);
            definition(a, ins, &step, n, table);
            variant(b, ins, &step, n, table);
            check_equal(check, a, b, n, "%zu elements, step %zu", n, step);
            if (step) {
                const void *same = memcpy(b, in, n);

                variant(b, &same, &step, n, table);
                check_equal(check, a, b, n, "%zu elements in place", n);
            }
        }
    check_time(check, "16384 bytes", 1 << 14, "B", run_timing, &timing);
}
