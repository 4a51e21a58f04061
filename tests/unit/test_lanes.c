/* Requantization by lanes gives scree_multiply()'s bits wherever it says it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/lanes.h"

static uint64_t state = 88172645463325252u;

static uint32_t random_u32(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 32);
}

/* The formula of kernels/lanes.h, one lane. */
static int32_t apply(const struct scree_lanes *lanes, int lane, int32_t acc, uint32_t bound)
{
    uint64_t lifted = (uint32_t)acc + bound;
    uint64_t product = (uint32_t)lifted * lanes->factor[lane % 2][lane / 2];
    int32_t h = (int32_t)((product + lanes->offset[lane % 2][lane / 2]) >> 32);

    return (h - (h < lanes->threshold[lane])) >> lanes->shift[lane];
}

static void check_sum(const struct scree_lanes *lanes, int lane, struct scree_multiplier m,
                      int32_t zp, uint32_t bound, int32_t acc)
{
    if (acc >= -(int64_t)bound && acc <= (int64_t)bound)
        assert_int_equal(apply(lanes, lane, acc, bound), scree_multiply(acc, m) + zp);
}

/* Sums around the bounds, around 0, around each half of an output, and any. */
static void check_channel(struct scree_multiplier m, int32_t zp, uint32_t bound)
{
    struct scree_lanes lanes = {0};
    int lane = (int)(random_u32() % SCREE_LANES);
    double step = m.q > 0 ? 2147483648.0 / m.q * (double)((int64_t)1 << -m.shift) : 1;

    if (!scree_lanes_set(&lanes, lane, m, zp, bound))
        return;
    for (int32_t d = -3; d <= 3; d++) {
        check_sum(&lanes, lane, m, zp, bound, (int32_t)bound + (d < 0 ? d : 0));
        check_sum(&lanes, lane, m, zp, bound, -(int32_t)bound + (d > 0 ? d : 0));
        check_sum(&lanes, lane, m, zp, bound, d);
        for (int32_t k = -20; k < 20; k++) {
            double acc = (k + 0.5) * step + d;

            if (acc > -2e9 && acc < 2e9)
                check_sum(&lanes, lane, m, zp, bound, (int32_t)acc);
        }
    }
    for (int i = 0; i < 20 && bound > 0; i++)
        check_sum(&lanes, lane, m, zp, bound, (int32_t)(random_u32() % bound));
}

static void test_same_bits(void **unused)
{
    static const int32_t qs[] = {0, 1 << 30, (1 << 30) + 1, INT32_MAX, 0x5a827999};
    static const int32_t zps[] = {-255, -128, -1, 0, 1, 127, 255};

    (void)unused;
    for (int32_t shift = -31; shift <= 0; shift++)
        for (int i = 0; i < 60; i++) {
            int32_t q = i < 5 ? qs[i] : (int32_t)((1u << 30) + random_u32() % (1u << 30));
            struct scree_multiplier m = {q, shift};

            for (int bits = 0; bits <= 30; bits++)
                check_channel(m, zps[random_u32() % 7], ((1u << bits) - 1) | random_u32() % 2);
        }
}

static void test_says_no(void **unused)
{
    static const struct {
        int32_t shift, zp;
        uint32_t bound;
        bool possible;
    } cases[] = {
        {1, 0, 1, false},          /* a factor of 1 or more */
        {0, 0, INT32_MAX, true},   /* exactly fits */
        {0, 1, INT32_MAX, false},  /* the zero point does not fit beside it */
        {-1, 0, INT32_MAX, false}, /* nor does the half */
        {-8, -255, 1u << 30, true}, {-23, 255, 1u << 30, false},
        {-31, 255, 1u << 29, true}, /* all outputs are the zero point */
        {0, 0, 1u << 31, false},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_lanes lanes = {0};
        struct scree_multiplier m = {1 << 30, cases[i].shift};

        if (scree_lanes_set(&lanes, 3, m, cases[i].zp, cases[i].bound) != cases[i].possible)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_says_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
