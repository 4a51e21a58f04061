/* kernels/lanes.h - requantization of 32-bit sums, laid out for vectors of 32-bit lanes.
 *
 * A sum of products becomes an output by scree_multiply() and the output's zero point. For vectors
 * that is too many instructions; this brings the same function into a form that needs few. With
 * q / 2^31 * 2^-e the multiplier and |acc| <= bound,
 *
 *     h   = high 32 bits of ((acc + bound) * factor + offset), acc + bound and factor unsigned
 *         = round(acc * q / 2^31) + 2^(e-1) + (output_zp << e)
 *     out = (h - (h < threshold)) >> e
 *
 * for factor = 2 q and an offset that takes `bound` off again and rounds; `threshold` is h of the
 * rounded product 0, so that halves go away from zero. Where the clamp that follows begins at the
 * output's zero point or above it (ReLU), negative products end there anyway, and the comparison
 * can be left out.
 *
 * A caller adds `bound` to the bias of its channel, so that it costs nothing. Memory: keeps
 * nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_LANES_H
#define SCREE_KERNELS_LANES_H

#include "kernels/fixed.h"

/* The channels of a struct scree_lanes. */
#define SCREE_LANES 16

/* The constants of 16 channels; those of even channels and those of odd channels apart, as
 * multiplications of 32 bits by 32 bits want them. Used by x86/requantize_avx512.h whole, by
 * x86/requantize_avx2.h in halves. */
struct scree_lanes {
    uint64_t factor[2][SCREE_LANES / 2]; /* [channel % 2][channel / 2], below 2^32 */
    uint64_t offset[2][SCREE_LANES / 2];
    int32_t shift[SCREE_LANES];
    int32_t threshold[SCREE_LANES];
};

/* Fills in channel `lane` of `lanes`.
 *
 * lane       in [0, SCREE_LANES)
 * m          m.q >= 0, m.shift <= 31
 * output_zp  in [-255, 255]
 * bound      the caller knows that no sum, bias included, is over it or under its negative
 *
 * Returns false, with the channel untouched, if the arithmetic could leave 32 bits, for which
 * scree_multiply() has to be taken: m.shift > 0 (a factor of 1 or more), or bound + 2^(e-1) +
 * |output_zp| 2^e over 2^31 - 1. Factors so small that all sums give 0 are always possible. */
bool scree_lanes_set(struct scree_lanes *lanes, int lane, struct scree_multiplier m,
                     int32_t output_zp, uint32_t bound);

#endif
