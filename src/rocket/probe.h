/* rocket/probe.h - one small convolution whose result is known: does the NPU compute?
 *
 * 16x16 pixels of 16 channels, 16 filters of 3x3, stride 1, no padding: 14x14 pixels of 16
 * channels, int8 as the NPU stores it. The output scale is 1 and nothing is rounded, so the result
 * is the same for every rounding mode; sums beyond int8 saturate. The geometry is one that Mesa's
 * driver compiles, with the same words for it.
 *
 * Pure: words and bytes, no device. Memory: none. Threads: no state. */
#ifndef SCREE_ROCKET_PROBE_H
#define SCREE_ROCKET_PROBE_H

#include <stddef.h>
#include <stdint.h>

enum {
    SCREE_PROBE_WORDS = 130,
    SCREE_PROBE_INPUT_BYTES = 16 * 16 * 16,
    SCREE_PROBE_WEIGHT_BYTES = 3 * 3 * 16 * 16,
    SCREE_PROBE_BIASES = 32, /* of 16 filters, and as many that only fill the pass of 32 */
    SCREE_PROBE_OUTPUT_BYTES = 14 * 14 * 16,
    SCREE_PROBE_OUTPUT_ROOM = 2 * SCREE_PROBE_OUTPUT_BYTES, /* a pass may write 32 channels */
};

/* Where the NPU sees things; each a multiple of 16. */
struct scree_probe_places {
    uint32_t input, weights, biases, output;
};

/* The command stream, u64[SCREE_PROBE_WORDS]. */
void scree_probe_words(const struct scree_probe_places *places, uint64_t *words);

/* Features s8[16][16][16] (row, column, channel): -7 to 7. */
void scree_probe_input(int8_t *input);

/* Weights s8[3][3][16][16] (row, column, filter, channel): -1, 0 and 1. */
void scree_probe_weights(int8_t *weights);

/* Biases s32[SCREE_PROBE_BIASES]. */
void scree_probe_biases(int32_t *biases);

/* The result s8[14][14][16] (row, column, filter), computed here from the three above:
 *
 *     out(y, x, f) = clamp8(bias(f) + sum over r, c, k of in(y + r, x + c, k) * w(f, r, c, k)) */
void scree_probe_output(int8_t *output);

#endif
