#include "kernels/arg.h"

/* Finds the best value, then where it is first: two passes without a branch on the data in the
 * first one are faster than one pass that keeps the index. `better` says whether x replaces the
 * best so far, y. */
#define DEFINE_BEST(name, type, stride, better)              \
    static type name(const type *in, size_t n, size_t pitch) \
    {                                                        \
        type y = in[0];                                      \
                                                             \
        for (size_t i = 1; i < n; i++) {                     \
            type x = in[i * (stride)];                       \
                                                             \
            y = (better) ? x : y;                            \
        }                                                    \
        return y;                                            \
    }

/* For neighbouring elements the compiler knows the stride, and makes vectors of them. */
#define DEFINE_ARG(name, type, better_max, better_min)                          \
    DEFINE_BEST(name##_max_row, type, 1, better_max)                            \
    DEFINE_BEST(name##_min_row, type, 1, better_min)                            \
    DEFINE_BEST(name##_max, type, pitch, better_max)                            \
    DEFINE_BEST(name##_min, type, pitch, better_min)                            \
    size_t name(const type *in, size_t n, size_t stride, bool max)              \
    {                                                                           \
        type best;                                                              \
                                                                                \
        if (stride == 1)                                                        \
            best = max ? name##_max_row(in, n, 1) : name##_min_row(in, n, 1);   \
        else                                                                    \
            best = max ? name##_max(in, n, stride) : name##_min(in, n, stride); \
        for (size_t i = 0; i < n; i++)                                          \
            if (in[i * stride] == best)                                         \
                return i;                                                       \
        return 0; /* nothing but NaN */                                         \
    }

DEFINE_ARG(scree_arg_u8, uint8_t, x > y, x < y)
DEFINE_ARG(scree_arg_i8, int8_t, x > y, x < y)
DEFINE_ARG(scree_arg_i32, int32_t, x > y, x < y)
DEFINE_ARG(scree_arg_f32, float, x > y || (y != y && x == x), x < y || (y != y && x == x))

void scree_arg_rows(uint32_t *ret, const uint8_t *in, size_t n_rows, size_t n, uint8_t flip)
{
    for (size_t r = 0; r < n_rows; r++, in += n) {
        uint8_t best = 0;
        size_t i = 0;

        for (size_t k = 0; k < n; k++)
            best = (in[k] ^ flip) > best ? in[k] ^ flip : best;
        while ((in[i] ^ flip) != best)
            i++;
        ret[r] = (uint32_t)i;
    }
}
