/* kernels/c/rows.h - how a scree_row_fn is written: an expression of one element.
 *
 *     SCREE_ROWS_2(scree_mul_f32, float, float, float, struct scree_binary_params,
 *                  clamp_f32(x * y, p))
 *
 * defines the kernel scree_mul_f32; the expression sees x, y and p. Each way of reading the inputs
 * gets its own loop with constant steps, so that compilers can vectorise it. */
#ifndef SCREE_KERNELS_C_ROWS_H
#define SCREE_KERNELS_C_ROWS_H

#include "kernels/rows.h"

#define SCREE_INLINE static inline __attribute__((always_inline))

/* No turn of the loop behind it needs what another one writes: the output may be an input itself,
 * but overlaps none. gcc then vectorises without looking whether it does; clang looks. */
#if defined(__clang__)
#define SCREE_INDEPENDENT
#else
#define SCREE_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* out[i] = expression of x = in[0][i], or of x = in[0][0] if the step is 0. */
#define SCREE_ROWS_1(name, type_x, type_out, params_type, expression)                              \
    SCREE_INLINE void name##_loop(type_out *out, const type_x *in, size_t step, size_t n,          \
                                  const params_type *p)                                            \
    {                                                                                              \
        (void)p;                                                                                   \
        SCREE_INDEPENDENT                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            type_x x = in[i * step];                                                               \
            out[i] = (type_out)(expression);                                                       \
        }                                                                                          \
    }                                                                                              \
    void name(void *out, const void *const *in, const size_t *steps, size_t n, const void *params) \
    {                                                                                              \
        if (steps[0])                                                                              \
            name##_loop(out, in[0], 1, n, params);                                                 \
        else                                                                                       \
            name##_loop(out, in[0], 0, n, params);                                                 \
    }

/* The same with two inputs, x and y. */
#define SCREE_ROWS_2(name, type_x, type_y, type_out, params_type, expression)                      \
    SCREE_INLINE void name##_loop(type_out *out, const type_x *in_x, size_t step_x,                \
                                  const type_y *in_y, size_t step_y, size_t n,                     \
                                  const params_type *p)                                            \
    {                                                                                              \
        (void)p;                                                                                   \
        SCREE_INDEPENDENT                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            type_x x = in_x[i * step_x];                                                           \
            type_y y = in_y[i * step_y];                                                           \
            out[i] = (type_out)(expression);                                                       \
        }                                                                                          \
    }                                                                                              \
    void name(void *out, const void *const *in, const size_t *steps, size_t n, const void *params) \
    {                                                                                              \
        if (steps[0] && steps[1])                                                                  \
            name##_loop(out, in[0], 1, in[1], 1, n, params);                                       \
        else if (steps[0])                                                                         \
            name##_loop(out, in[0], 1, in[1], 0, n, params);                                       \
        else                                                                                       \
            name##_loop(out, in[0], 0, in[1], 1, n, params);                                       \
    }

#endif
