/* device/emu/dpu.h - from an accumulator to the byte that is stored, bit by bit.
 *
 * Specified by docs/regcmd.md, "The datapath". Memory: none. Threads: no state. */
#ifndef SCREE_DEVICE_EMU_DPU_H
#define SCREE_DEVICE_EMU_DPU_H

#include "device/emu/conv.h"

/* Where a tie goes when a stage's round bit is 0: what the hardware does is not known. */
enum scree_emu_rounding {
    SCREE_EMU_ROUND_EVEN, /* to the even number: the TRM's words */
    SCREE_EMU_ROUND_UP,   /* towards plus infinity */
    SCREE_EMU_ROUND_AWAY, /* away from zero */
};

/* value / 2^shift, rounded to nearest, ties as told. shift in [0, 63]. */
static inline int64_t scree_emu_shift(int64_t value, unsigned shift,
                                      enum scree_emu_rounding rounding)
{
    int64_t quotient, rest, half;

    if (shift == 0)
        return value;
    quotient = value >> shift;
    rest = value & (int64_t)((UINT64_C(1) << shift) - 1);
    half = (int64_t)(UINT64_C(1) << (shift - 1));
    if (rest != half)
        return quotient + (rest > half);
    if (rounding == SCREE_EMU_ROUND_EVEN)
        return quotient + (quotient & 1);
    return quotient + (rounding == SCREE_EMU_ROUND_UP || value > 0);
}

/* The bytes of 16 channels of one pixel.
 *
 * acc      s64[16]  in [-2^47, 2^47]: sums of products, OW_OP included
 * biases   s32[16]  what BS adds if its operand comes from memory; else not read
 * operand  s8[16]   what EW adds if it is on; else not read
 * out      s8[16] */
void scree_emu_dpu(const struct scree_emu_conv *conv, enum scree_emu_rounding rounding,
                   const int64_t *acc, const int32_t *biases, const int8_t *operand, int8_t *out);

#endif
