#include <string.h>

#include "checkkern.h"

struct timing {
    scree_row_fn *kernels[2];
    void *out;
    const void *in[2];
    const struct scree_binary_params *params;
    size_t n;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    timing->kernels[variant](timing->out, timing->in, (const size_t[]){1, 1}, timing->n,
                             timing->params);
}

typedef struct scree_binary_params some_params_fn(struct check *check, bool is_signed);
typedef void lanes_fn(struct scree_binary_params *params, bool is_signed);

/* A real factor between 2^-high and 2^-low, the lowest and highest ones too. */
static struct scree_multiplier some_multiplier(struct check *check, int32_t low, int32_t high)
{
    static const int32_t q[] = {1 << 30, INT32_MAX, (1 << 30) + 1};
    uint32_t kind = check_below(check, 8);

    return (struct scree_multiplier){kind < 3 ? q[kind] : check_between(check, 1 << 30, INT32_MAX),
                                     check_between(check, -high, -low)};
}

/* Parameters as ADD and SUB have them, mostly; now and then ones that only the definition does. */
static struct scree_binary_params some_sum(struct check *check, bool is_signed)
{
    int32_t low = is_signed ? INT8_MIN : 0, kind = check_between(check, 0, 9);
    const struct scree_multiplier one_half = {1 << 30, 0};
    struct scree_binary_params p = {
        .zero_point = {check_between(check, low, low + 255), check_between(check, low, low + 255)},
        .out_zero_point = check_between(check, low, low + 255),
        .multiplier = {one_half, kind == 0 ? one_half : some_multiplier(check, 1, 12)},
        .out_multiplier = some_multiplier(check, 14, 20),
        .left_shift = 20,
        .min = low,
        .max = low + 255};

    if (check_below(check, 2)) {
        p.multiplier[0] = p.multiplier[1];
        p.multiplier[1] = one_half;
    }
    if (kind == 1)
        p.out_multiplier = some_multiplier(check, 0, 31);
    if (kind == 2)
        p.multiplier[0] = p.multiplier[1] = some_multiplier(check, 1, 31);
    if (kind == 3)
        p.min = check_between(check, low, p.max);
    if (kind == 4)
        p.zero_point[kind % 2] = check_between(check, -70000, 70000);
    return p;
}

static struct scree_binary_params some_product(struct check *check, bool is_signed)
{
    struct scree_binary_params p = some_sum(check, is_signed);

    p.out_multiplier = some_multiplier(check, check_below(check, 8) ? 4 : -3, 16);
    return p;
}

/* The same with the output where the first or the second input is. */
static void check_in_place(struct check *check, const uint8_t *expected, scree_row_fn *variant,
                           const void *const *in, const size_t *steps, size_t n,
                           const struct scree_binary_params *p)
{
    for (int k = 0; k < 2; k++)
        if (steps[k]) {
            uint8_t *out = check_output(n);
            const void *own[] = {in[0], in[1]};

            own[k] = memcpy(out, in[k], n);
            variant(out, own, steps, n, p);
            check_equal(check, expected, out, n, "%zu elements, steps %zu %zu, over input %d", n,
                        steps[0], steps[1], k);
        }
}

/* n elements of every way of reading the inputs. */
static void check_rows(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                       const struct scree_binary_params *p, size_t n, enum check_fill fill)
{
    static const size_t all_steps[][2] = {{1, 1}, {1, 0}, {0, 1}};
    uint8_t *a = check_output(n), *b = check_output(n);

    for (size_t i = 0; i < 3; i++) {
        const size_t *steps = all_steps[i];
        uint8_t *x = check_input(steps[0] ? n : 1, 1), *y = check_input(steps[1] ? n : 1, 1);
        const void *in[] = {x, y};

        check_fill_bytes(check, x, steps[0] ? n : 1, fill);
        check_fill_bytes(check, y, steps[1] ? n : 1, CHECK_RANDOM);
        definition(a, in, steps, n, p);
        variant(b, in, steps, n, p);
        check_equal(check, a, b, n,
                    "%zu elements, steps %zu %zu, zero points %d %d %d, multipliers %d %d, %d %d, "
                    "%d %d",
                    n, steps[0], steps[1], p->zero_point[0], p->zero_point[1], p->out_zero_point,
                    p->multiplier[0].q, p->multiplier[0].shift, p->multiplier[1].q,
                    p->multiplier[1].shift, p->out_multiplier.q, p->out_multiplier.shift);
        check_in_place(check, a, variant, in, steps, n, p);
    }
}

static void check_binary(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                         some_params_fn *some, lanes_fn *set_lanes, bool is_signed)
{
    static const size_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 200, 1000};
    struct scree_binary_params p;
    struct timing timing = {{definition, variant}, NULL, {NULL, NULL}, &p, 1 << 14};

    int n_usable = 0;

    for (int i = 0; i < 100; i++) {
        p = some(check, is_signed);
        set_lanes(&p, is_signed);
        n_usable += p.lanes.usable;
        check_rows(check, definition, variant, &p, i < 16 ? sizes[i] : 500,
                   (enum check_fill)(i % 5));
        check_free_all();
    }
    check->n_failed += n_usable < 50; /* or the variants were not reached */
    timing.out = check_output(1 << 14);
    timing.in[0] = check_input(1 << 14, 1);
    timing.in[1] = check_input(1 << 14, 1);
    do {
        p = some(check, is_signed);
        set_lanes(&p, is_signed);
    } while (!p.lanes.usable || (some == some_sum && !p.lanes.quick.usable));
    check_time(check, "16384 elements", 1 << 14, "el", run_timing, &timing);
}

/* Every pair of bytes, for sums whose results are in the middle of the range. */
static void check_all_pairs(struct check *check, scree_row_fn *definition, scree_row_fn *variant,
                            some_params_fn *some, lanes_fn *set_lanes, bool is_signed)
{
    uint8_t *x = check_input(256, 1), *y = check_input(1, 1), *a = check_output(256),
            *b = check_output(256);
    const void *in[] = {x, y};
    int n_quick = 0;

    for (int i = 0; i < 256; i++)
        x[i] = (uint8_t)i;
    for (int k = 0; k < 24; k++) {
        struct scree_binary_params p = some(check, is_signed);

        set_lanes(&p, is_signed);
        n_quick += p.lanes.quick.usable;
        for (int i = 0; i < 256; i++) {
            y[0] = (uint8_t)i;
            definition(a, in, (const size_t[]){1, 0}, 256, &p);
            variant(b, in, (const size_t[]){1, 0}, 256, &p);
            check_equal(check, a, b, 256, "all pairs with %d", i);
        }
    }
    check->n_failed += some == some_sum && n_quick < 4; /* or sums in one step were not reached */
    check_free_all();
}

#define DEFINE_CHECK(member, some, set_lanes, is_signed)                                      \
    void check_##member(struct check *check, scree_row_fn *definition, scree_row_fn *variant) \
    {                                                                                         \
        check_all_pairs(check, definition, variant, some, set_lanes, is_signed);              \
        check_binary(check, definition, variant, some, set_lanes, is_signed);                 \
    }

DEFINE_CHECK(add_u8, some_sum, scree_binary_add_lanes, false)
DEFINE_CHECK(add_i8, some_sum, scree_binary_add_lanes, true)
DEFINE_CHECK(sub_u8, some_sum, scree_binary_sub_lanes, false)
DEFINE_CHECK(sub_i8, some_sum, scree_binary_sub_lanes, true)
DEFINE_CHECK(mul_u8, some_product, scree_binary_mul_lanes, false)
DEFINE_CHECK(mul_i8, some_product, scree_binary_mul_lanes, true)
