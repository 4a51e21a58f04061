#include "checkkern.h"

struct timing {
    scree_transpose_fn *kernels[2];
    uint8_t *dst;
    const uint8_t *src;
    size_t size;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;
    ptrdiff_t size = (ptrdiff_t)timing->size;

    timing->kernels[variant](timing->dst, 400 * size, timing->src, 144 * size, 400, 144);
}

/* Pitches with room between rows: what is there must stay as it is. */
static void check_transpose(struct check *check, scree_transpose_fn *definition,
                            scree_transpose_fn *variant, size_t size)
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50};
    const size_t n_sizes = sizeof sizes / sizeof sizes[0];
    struct timing timing = {{definition, variant}, NULL, NULL, size};
    uint8_t *src;

    for (size_t i = 0; i < n_sizes * n_sizes; i++) {
        size_t rows = sizes[i / n_sizes], cols = sizes[i % n_sizes];
        size_t src_pitch = (cols + check_below(check, 3)) * size;
        size_t dst_pitch = (rows + check_below(check, 3)) * size;
        size_t src_bytes = (rows - 1) * src_pitch + cols * size, dst_bytes = cols * dst_pitch;
        uint8_t *a = check_output(dst_bytes), *b = check_output(dst_bytes);

        src = check_input(src_bytes, 1);
        check_fill_bytes(check, src, src_bytes, CHECK_RANDOM);
        definition(a, (ptrdiff_t)dst_pitch, src, (ptrdiff_t)src_pitch, rows, cols);
        variant(b, (ptrdiff_t)dst_pitch, src, (ptrdiff_t)src_pitch, rows, cols);
        check_equal(check, a, b, dst_bytes, "%zu rows of %zu, pitches %zu %zu", rows, cols,
                    src_pitch, dst_pitch);
        check_free_all();
    }
    src = check_input(400 * 144 * size, 1);
    check_fill_bytes(check, src, 400 * 144 * size, CHECK_RANDOM);
    timing.src = src;
    timing.dst = check_output(400 * 144 * size);
    check_time(check, "400 rows of 144", (double)(400 * 144 * size), "B", run_timing, &timing);
}

void check_transpose_8(struct check *check, scree_transpose_fn *definition,
                       scree_transpose_fn *variant)
{
    check_transpose(check, definition, variant, 1);
}

void check_transpose_32(struct check *check, scree_transpose_fn *definition,
                        scree_transpose_fn *variant)
{
    check_transpose(check, definition, variant, 4);
}
