#include "kernels/reduce.h"

#include <math.h>

#include "kernels/c/rows.h"
#include "kernels/lut.h"

/* The body of a kernel: `start` makes an accumulator of its first element x, `next` joins x to
 * acc. A reduced row keeps its accumulator in a register. */
#define REDUCE(name, type, acc_type, start, next)                                                \
    void name(void *accs, const void *in, size_t n, size_t step, bool first, const void *params) \
    {                                                                                            \
        const struct scree_reduce_params *p = params;                                            \
        acc_type *restrict out = accs;                                                           \
        const type *from = in;                                                                   \
                                                                                                 \
        (void)p;                                                                                 \
        if (step == 0) {                                                                         \
            acc_type acc = first ? 0 : *out;                                                     \
                                                                                                 \
            if (first) {                                                                         \
                type x = from[0];                                                                \
                                                                                                 \
                acc = (acc_type)(start);                                                         \
            }                                                                                    \
            for (size_t i = first; i < n; i++) {                                                 \
                type x = from[i];                                                                \
                                                                                                 \
                acc = (acc_type)(next);                                                          \
            }                                                                                    \
            *out = acc;                                                                          \
            return;                                                                              \
        }                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                         \
            acc_type acc = first ? 0 : out[i];                                                   \
            type x = from[i];                                                                    \
                                                                                                 \
            out[i] = first ? (acc_type)(start) : (acc_type)(next);                               \
        }                                                                                        \
    }

#define U32(x) ((uint32_t)(x))
#define U64(x) ((uint64_t)(x))

REDUCE(scree_sum_f32, float, float, x, acc + x)
REDUCE(scree_sum_i64, int64_t, int64_t, x, U64(acc) + U64(x))
REDUCE(scree_sum_i32, int32_t, int32_t, x, U32(acc) + U32(x))
REDUCE(scree_sum_i32_i64, int32_t, int64_t, x, acc + x)
REDUCE(scree_sum_u8_i32, uint8_t, int32_t, x, U32(acc) + U32(x))
REDUCE(scree_sum_i8_i32, int8_t, int32_t, x, U32(acc) + U32(x))
REDUCE(scree_sum_i16_i32, int16_t, int32_t, x, U32(acc) + U32(x))

REDUCE(scree_prod_f32, float, float, x, acc *x)
REDUCE(scree_prod_i64, int64_t, int64_t, x, U64(acc) * U64(x))
REDUCE(scree_prod_i32, int32_t, int32_t, x, U32(acc) * U32(x))
REDUCE(scree_prod_i16, int16_t, int16_t, x, U32(acc) * U32(x))
REDUCE(scree_prod_i8, int8_t, int8_t, x, acc *x)
REDUCE(scree_prod_u8, uint8_t, uint8_t, x, acc *x)

#define EXTREMES(suffix, type)                                        \
    REDUCE(scree_greatest_##suffix, type, type, x, x > acc ? x : acc) \
    REDUCE(scree_least_##suffix, type, type, x, x < acc ? x : acc)

EXTREMES(f32, float)
EXTREMES(i64, int64_t)
EXTREMES(i32, int32_t)
EXTREMES(i16, int16_t)
EXTREMES(i8, int8_t)
EXTREMES(u8, uint8_t)

/* Bytes that are not 0 count as true, whatever they are. */
REDUCE(scree_any, uint8_t, uint8_t, x != 0, acc || x)
REDUCE(scree_all, uint8_t, uint8_t, x != 0, acc &&x)

/* One more factor of a quantized product. */
static inline int32_t next_factor(int32_t acc, int32_t q, const struct scree_reduce_params *p)
{
    return scree_multiply_i64((int64_t)acc * (q - p->zero_point), p->multiplier);
}

REDUCE(scree_prod_i8_i32, int8_t, int32_t, x - p->zero_point, next_factor(acc, x, p))
REDUCE(scree_prod_i16_i32, int16_t, int32_t, x - p->zero_point, next_factor(acc, x, p))

/* A value on the output's scale, but for its zero point, to the output; the sum wraps. */
static inline int32_t to_output(int32_t x, const struct scree_reduce_params *p)
{
    int32_t out = (int32_t)(U32(x) + U32(p->out_zero_point));

    return out < p->min ? p->min : out > p->max ? p->max : out;
}

#define SUMS_TO(name, type)                                                         \
    void name(void *out, const void *accs, size_t n, size_t n_summed,               \
              const struct scree_reduce_params *p)                                  \
    {                                                                               \
        type *to = out;                                                             \
        const int32_t *from = accs;                                                 \
        uint32_t zeros = U32(p->zero_point) * U32(n_summed);                        \
                                                                                    \
        for (size_t i = 0; i < n; i++)                                              \
            to[i] = (type)to_output(                                                \
                scree_multiply((int32_t)(U32(from[i]) - zeros), p->multiplier), p); \
    }

SUMS_TO(scree_sums_to_u8, uint8_t)
SUMS_TO(scree_sums_to_i8, int8_t)
SUMS_TO(scree_sums_to_i16, int16_t)

/* Channels whose sums are kept at once. */
#define BLOCK 64

#define SUM_ROWS(name, type, sum, finish)                         \
    void name(void *out, const void *in, size_t n_rows, size_t n, \
              const struct scree_reduce_params *p)                \
    {                                                             \
        type *to = out;                                           \
        int32_t sums[BLOCK];                                      \
                                                                  \
        for (size_t i = 0; i < n; i += BLOCK) {                   \
            size_t size = n - i < BLOCK ? n - i : BLOCK;          \
            const type *from = (const type *)in + i;              \
                                                                  \
            for (size_t r = 0; r < n_rows; r++, from += n)        \
                sum(sums, from, size, 1, r == 0, NULL);           \
            finish(to + i, sums, size, n_rows, p);                \
        }                                                         \
    }

SUM_ROWS(scree_sum_rows_u8, uint8_t, scree_sum_u8_i32, scree_sums_to_u8)
SUM_ROWS(scree_sum_rows_i8, int8_t, scree_sum_i8_i32, scree_sums_to_i8)

#define SUMS_IN_FLOAT_TO(name, type)                                      \
    void name(void *out, const void *accs, size_t n, size_t n_summed,     \
              const struct scree_reduce_params *p)                        \
    {                                                                     \
        type *to = out;                                                   \
        const int32_t *from = accs;                                       \
        float zeros = (float)-p->zero_point * p->scale * (float)n_summed; \
                                                                          \
        for (size_t i = 0; i < n; i++) {                                  \
            float sum = roundf((float)from[i] * p->scale + zeros);        \
                                                                          \
            to[i] = (type)to_output(scree_truncate_i32((double)sum), p);  \
        }                                                                 \
    }

SUMS_IN_FLOAT_TO(scree_sums_to_i8_in_float, int8_t)
SUMS_IN_FLOAT_TO(scree_sums_to_i16_in_float, int16_t)

#define PRODUCTS_TO(name, type)                                                     \
    void name(void *out, const void *accs, size_t n, size_t n_summed,               \
              const struct scree_reduce_params *p)                                  \
    {                                                                               \
        type *to = out;                                                             \
        const int32_t *from = accs;                                                 \
                                                                                    \
        for (size_t i = 0; i < n; i++)                                              \
            to[i] = (type)to_output(scree_multiply_i64(from[i], p->multiplier), p); \
    }

PRODUCTS_TO(scree_products_to_i8, int8_t)
PRODUCTS_TO(scree_products_to_i16, int16_t)

#define SUMS_TO_MEANS(name, type, sum_type, count_type)               \
    void name(void *out, const void *accs, size_t n, size_t n_summed, \
              const struct scree_reduce_params *p)                    \
    {                                                                 \
        type *to = out;                                               \
        const sum_type *from = accs;                                  \
                                                                      \
        (void)p;                                                      \
        for (size_t i = 0; i < n; i++)                                \
            to[i] = (type)(from[i] / (count_type)n_summed);           \
    }

SUMS_TO_MEANS(scree_sums_to_means_f32, float, float, float)
SUMS_TO_MEANS(scree_sums_to_means_i32, int32_t, int64_t, int64_t)
SUMS_TO_MEANS(scree_sums_to_means_i64, int64_t, int64_t, int64_t)
