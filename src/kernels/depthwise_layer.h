/* kernels/depthwise_layer.h - depthwise convolution of bytes, by blocks of channels.
 *
 * A layer is cut into blocks of channels, each for the code of one vector size (struct
 * scree_depthwise_width, made by depthwise_block.h), and into tiles of rows and blocks.
 *
 * Input bytes are taken for uint8 or for int8, as the code's multiplication wants it: those of the
 * other type with the sign bit flipped. The input's zero point is in the bias, and outside the
 * input lie bytes of the zero point. Outputs are computed as int8, uint8 with the sign bit flipped
 * in the end. */
#ifndef SCREE_KERNELS_DEPTHWISE_LAYER_H
#define SCREE_KERNELS_DEPTHWISE_LAYER_H

#include "kernels/depthwise.h"

#define SCREE_DEPTHWISE_MAX_H   16 /* rows of a filter */
#define SCREE_DEPTHWISE_COLUMNS 64 /* of the input that are interleaved ahead, four rows each */

struct scree_depthwise_layer;
struct scree_depthwise_source;
struct scree_depthwise_unit;

/* What there is for a vector size. */
struct scree_depthwise_width {
    int32_t n;         /* channels of a block */
    bool signed_input; /* bytes are taken for int8, else for uint8 */

    /* The size of a packed block. */
    size_t (*block_bytes)(const struct scree_conv_shape *shape);

    /* Packs n channels from c on. False if numbers are beyond what the code is proven for. */
    bool (*pack)(const struct scree_depthwise_layer *layer,
                 const struct scree_depthwise_source *from, int32_t c, int32_t n, void *block);

    /* Computes rows [y, end_y) of a unit's channels. image, out: an image's. */
    void (*run)(const struct scree_depthwise_layer *layer, const struct scree_depthwise_unit *unit,
                const uint8_t *image, uint8_t *out, int32_t y, int32_t end_y);
};

/* A block in its place: channels [c, c + n), of which the first `skip` belong to the unit before,
 * too, and are not stored. */
struct scree_depthwise_unit {
    const struct scree_depthwise_width *width;
    int32_t c, n, skip;
    size_t block; /* where the packed block is: offset in bytes from the layer */
};

/* What is packed of a call; the blocks follow the units. */
struct scree_depthwise_layer {
    struct scree_conv_shape shape;
    int32_t zp, min, max;          /* of the output as int8 */
    uint8_t in_flip, out_flip;     /* 0x80 or 0 */
    uint8_t outside[64];           /* bytes of the input's zero point */
    int32_t n_groups;              /* of four rows of the filter */
    int32_t tile_rows, tile_units; /* of a tile */
    int32_t row_tiles, unit_tiles; /* tiles of an image's rows, of the units */
    int32_t n_units;
    struct scree_depthwise_unit units[];
};

/* What packing reads. */
struct scree_depthwise_source {
    const struct scree_conv_shape *shape;
    const struct scree_conv_quant *quant;
    const uint8_t *filter;
    const int32_t *bias;
    uint8_t flip;                  /* of weights, 0x80 if bytes are unsigned: then all are int8 */
    int32_t input_zp, input_least; /* zero point and least value of the bytes as they are taken */
};

/* The multiplier of a channel as the quantization has it. */
static inline struct scree_multiplier
scree_depthwise_quant_multiplier(const struct scree_depthwise_source *from, int32_t channel)
{
    return from->quant->multipliers[(size_t)channel * (size_t)from->quant->multiplier_stride];
}

/* True if a channel is dead: its multiplier is so small, while its bias may be huge, that all sums
 * give the same output, *ret_output and the zero point. Such channels are packed with weights of 0,
 * a bias that is the output, twice, and a multiplier of one half, lest they be out of range. */
bool scree_depthwise_is_dead(const struct scree_depthwise_source *from, int32_t channel,
                             int32_t *ret_output);

/* The multiplier with which a channel is packed. */
struct scree_multiplier scree_depthwise_multiplier(const struct scree_depthwise_source *from,
                                                   int32_t channel);

/* Weight k of a channel as it is packed, less the zero point: in [-510, 510], for multipliers from
 * 1 to 2 are halved and weights and biases doubled. */
int32_t scree_depthwise_weight(const struct scree_depthwise_source *from, int32_t k,
                               int32_t channel);

/* The bias of a channel as it is packed. */
int64_t scree_depthwise_plain_bias(const struct scree_depthwise_source *from, int32_t channel);

/* *ret_bias: the bias of a channel as it is packed, with the input's zero point in it. *ret_low <=
 * 0 and *ret_high
 * >= 0: the range of its accumulators and of 0; false if they are beyond +-2^29. */
bool scree_depthwise_bias(const struct scree_depthwise_source *from, int32_t channel,
                          int32_t *ret_bias, int32_t *ret_low, int32_t *ret_high);

/* The functions of a struct scree_depthwise_kernel, for widths[0], which all but the last channels
 * are for, and widths[1], which is as wide or less. */
size_t scree_depthwise_layer_bytes(const struct scree_depthwise_width *const *widths,
                                   const struct scree_conv_shape *shape);
bool scree_depthwise_layer_pack(const struct scree_depthwise_width *const *widths, void *packed,
                                const struct scree_conv_shape *shape,
                                const struct scree_conv_quant *quant, bool is_signed,
                                const void *filter, const int32_t *bias);
size_t scree_depthwise_layer_tiles(const void *packed);
void scree_depthwise_layer_run(const void *packed, const void *in, void *out, size_t tile);

/* AVX-512 with vectors of 256 bits. */
extern const struct scree_depthwise_width scree_depthwise_width_avx512vl;

#endif
