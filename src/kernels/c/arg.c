#include "kernels/arg.h"

/* `better` says whether candidate x replaces the best so far, y. */
#define DEFINE_ARG(name, type, better_max, better_min)             \
    size_t name(const type *in, size_t n, size_t stride, bool max) \
    {                                                              \
        size_t best = 0;                                           \
        type y = in[0];                                            \
                                                                   \
        for (size_t i = 1; i < n; i++) {                           \
            type x = in[i * stride];                               \
                                                                   \
            if (max ? (better_max) : (better_min)) {               \
                best = i;                                          \
                y = x;                                             \
            }                                                      \
        }                                                          \
        return best;                                               \
    }

DEFINE_ARG(scree_arg_u8, uint8_t, x > y, x < y)
DEFINE_ARG(scree_arg_i8, int8_t, x > y, x < y)
DEFINE_ARG(scree_arg_i32, int32_t, x > y, x < y)
DEFINE_ARG(scree_arg_f32, float, x > y || (y != y && x == x), x < y || (y != y && x == x))
