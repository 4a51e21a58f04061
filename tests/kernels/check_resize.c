#include "checkkern.h"

#include <string.h>

/* What a line of pixels is blended from: SPARE elements behind it may be read. */
#define SPARE 32

struct timing {
    scree_blend_fn *kernels[2];
    uint8_t *out;
    const uint16_t *v;
    const struct scree_blend_point *x;
    size_t n, c;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, timing->v, timing->x, timing->n, timing->c, 8);
}

/* n points between pixels of `n_pixels`, with weights of x_bits. */
static struct scree_blend_point *some_points(struct check *check, size_t n, uint32_t n_pixels,
                                             size_t c, int x_bits)
{
    struct scree_blend_point *x = check_input(n * sizeof *x, 4);

    for (size_t i = 0; i < n; i++) {
        uint32_t first = check_below(check, n_pixels), second = check_below(check, n_pixels);
        uint32_t weight = check_below(check, (1u << x_bits) + 1);

        x[i] = (struct scree_blend_point){(uint32_t)(first * c),
                                          (uint32_t)(second * c),
                                          {(uint16_t)((1u << x_bits) - weight), (uint16_t)weight}};
    }
    return x;
}

/* A line of n elements as blending lines with weights of y_bits makes it. */
static uint16_t *some_line(struct check *check, size_t n, int y_bits, bool is_signed, int fill)
{
    uint16_t *v = check_input((n + SPARE) * sizeof *v, 2);

    for (size_t i = 0; i < n; i++) {
        int32_t q = fill == CHECK_RANDOM ? check_between(check, 0, 255)
                    : fill == CHECK_MIN  ? 0
                                         : 255;

        v[i] = (uint16_t)((is_signed ? q - 128 : q) * (1 << y_bits) -
                          (fill == CHECK_RANDOM && q > 0 ? check_between(check, 0, 1) : 0));
    }
    return v;
}

static void check_blend(struct check *check, scree_blend_fn *definition, scree_blend_fn *variant,
                        bool is_signed)
{
    static const size_t channels[] = {1, 2, 3, 8, 15, 16, 17, 21, 31, 32, 33, 64, 100};
    struct timing timing = {{definition, variant}, NULL, NULL, NULL, 513, 21};

    for (size_t i = 0; i < 13; i++)
        for (int bits = 0; bits <= (is_signed ? 7 : 8); bits++) {
            int x_bits = check_between(check, bits == 8, bits < 7 ? bits : 7);
            size_t c = channels[i], n = 1 + check_below(check, 20), bytes = n * c;
            uint16_t *v = some_line(check, 5 * c, bits - x_bits, is_signed, bits % 3);
            struct scree_blend_point *x = some_points(check, n, 5, c, x_bits);
            uint8_t *a = check_output(bytes), *b = check_output(bytes);

            definition(a, v, x, n, c, bits);
            variant(b, v, x, n, c, bits);
            check_equal(check, a, b, bytes, "%zu pixels of %zu channels, %d bits", n, c, bits);
            check_free_all();
        }
    timing.out = check_output(timing.n * timing.c);
    timing.v = some_line(check, 33 * timing.c, 4, is_signed, CHECK_RANDOM);
    timing.x = some_points(check, timing.n, 33, timing.c, 4);
    check_time(check, "513 pixels of 21 channels", (double)(timing.n * timing.c), "el", run_timing,
               &timing);
}

void check_blend_u8(struct check *check, scree_blend_fn *definition, scree_blend_fn *variant)
{
    check_blend(check, definition, variant, false);
}

void check_blend_i8(struct check *check, scree_blend_fn *definition, scree_blend_fn *variant)
{
    check_blend(check, definition, variant, true);
}
