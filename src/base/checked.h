/* base/checked.h - sizes by checked arithmetic: a size that comes from outside is never computed
 * with + or *.
 *
 * Each function returns false, and leaves *ret untouched, if the result does not fit. */
#ifndef SCREE_BASE_CHECKED_H
#define SCREE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *ret = a + b */
static inline bool scree_add_size(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

/* *ret = a * b */
static inline bool scree_mul_size(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* *ret = n rounded up to a multiple of `alignment`, a power of two */
static inline bool scree_align_size(size_t n, size_t alignment, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(n, alignment - 1, &sum))
        return false;
    *ret = sum & ~(alignment - 1);
    return true;
}

/* True if [offset, offset + n) lies in [0, size). */
static inline bool scree_range_fits(size_t offset, size_t n, size_t size)
{
    return offset <= size && n <= size - offset;
}

static inline int32_t scree_min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t scree_max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t scree_clamp_i32(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

#endif
