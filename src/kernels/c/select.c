#include "kernels/select.h"

#include "kernels/c/rows.h"

#define SELECT(name, type)                                                                         \
    SCREE_INLINE void name##_loop(type *restrict out, const uint8_t *condition, size_t step,       \
                                  const type *x, size_t step_x, const type *y, size_t step_y,      \
                                  size_t n)                                                        \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = condition[i * step] ? x[i * step_x] : y[i * step_y];                          \
    }                                                                                              \
    void name(void *out, const void *const *in, const size_t *steps, size_t n, const void *params) \
    {                                                                                              \
        if (steps[0] && steps[1] && steps[2])                                                      \
            name##_loop(out, in[0], 1, in[1], 1, in[2], 1, n);                                     \
        else                                                                                       \
            name##_loop(out, in[0], steps[0], in[1], steps[1], in[2], steps[2], n);                \
    }

SELECT(scree_select_8, uint8_t)
SELECT(scree_select_16, uint16_t)
SELECT(scree_select_32, uint32_t)
SELECT(scree_select_64, uint64_t)
