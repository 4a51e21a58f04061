/* kernels/gemm.h - 8-bit convolutions and matrix products as products of blocks.
 *
 *     struct scree_gemm *gemm;
 *     rc = scree_gemm_new(arena, kernels->gemm, &shape, &quant, is_u8, filter, bias, &gemm);
 *     if (rc < 0) ...;
 *     if (gemm)                                       else: kernels/conv.h
 *         for (t = 0; t < gemm->n_tiles; t++)
 *             scree_gemm_run(gemm, in, out, t, scratch);
 *
 * An output pixel is a row of A, read where it lies in the input: the taps of a filter that are
 * neighbours in the input are one run of bytes, a "segment" (1x1: one segment of in_c bytes; 3x3:
 * three of 3 in_c; a dilated or grouped 3x3: nine). A segment is gathered into scratch only where
 * it hangs over the edge. The filter is packed once, into panels of a few output channels in the
 * order in which they are multiplied, with all that is needed to make bytes of their sums:
 *
 *     sum (a - za) (w - zw) + bias = sum a w' - zw' sum a + bias'
 *
 * where w' is w, perhaps as the other 8-bit type (zw' moves along), and bias' = bias - za sum w' +
 * K za zw'. A convolution has one "part" a group, a transposed one has one a phase of its strides,
 * each a product of its own.
 *
 * What is particular to an instruction set is struct scree_gemm_kernel: the sizes of its blocks and
 * a function for a block of rows with many panels. It gives the same bits as kernels/conv.h.
 *
 * Memory: a struct scree_gemm and its panels live in the arena; the filter is not read any more.
 * Threads: a struct scree_gemm is constant; tiles may run at once, each thread with its scratch. */
#ifndef SCREE_KERNELS_GEMM_H
#define SCREE_KERNELS_GEMM_H

#include "base/arena.h"
#include "kernels/conv.h"

/* The most rows of a block, and the most channels of a panel. */
#define SCREE_GEMM_MAX_ROWS     32
#define SCREE_GEMM_MAX_CHANNELS 64

/* What holds for all channels of a layer. */
struct scree_gemm_layer {
    bool is_u8;         /* type of activations and outputs: uint8, else int8 */
    bool by_factor;     /* outputs by scree_gemm_channel.factor, else by .multiplier */
    bool relu;          /* min >= output_zp: sums below 0 give min */
    bool sums;          /* outputs are s32, the sums as they are; by_factor too */
    int32_t weights_zp; /* zw' */
    int32_t output_zp, min, max;
};

/* What a channel's sums become: as struct scree_conv_quant. */
struct scree_gemm_channel {
    int32_t bias; /* bias', modulo 2^32 */
    struct scree_multiplier multiplier;
    double factor;
    uint32_t bound; /* |sum (a - za) (w - zw) + bias| is never over it; below 2^31 */
};

/* nr * kr products more of a panel with rows: weights less their zero point need not fit in an
 * int8, and what a few of them have over it is multiplied by itself. */
struct scree_gemm_extra {
    size_t a;               /* of block->a: segment * mr ... */
    size_t k;               /* ... and where in the segment; a multiple of kr */
    const uint8_t *weights; /* s8[nr][kr], aligned to 64 */
};

struct scree_gemm_extras {
    struct scree_gemm_extra *list;
    size_t n;
};

/* A block of rows and the panels that it meets. */
struct scree_gemm_block {
    const struct scree_gemm_layer *layer;
    /* [n_segments][kernel->mr]: segment s of row r begins at a[s * mr + r] and is read for
     * segment_bytes rounded up to a multiple of kr; the bytes behind segment_bytes meet weights 0,
     * but do not count in sums of a row. Any alignment. */
    const uint8_t *const *a;
    uint8_t *const *out; /* [n_rows]: where channel 0 of the panels goes in row r; of layers of sums
                            s32, aligned to 4 */
    int32_t n_rows;      /* in [1, mr] */
    int32_t n_segments;  /* 0 too: outputs of bias' alone */
    int32_t segment_bytes;
    int32_t n_channels;    /* > 0; the last panel may be full only in part: writes just these */
    const uint8_t *panels; /* [ceil(n_channels / nr)][panel_bytes], aligned to 64 */
    size_t panel_bytes;    /* kernel->params_bytes + nr * depth, rounded up to 64 */
    const struct scree_gemm_extras *extras; /* [ceil(n_channels / nr)], or NULL: there are none */
    size_t depth;                           /* n_segments * segment_bytes, these rounded up to kr */
    void *scratch; /* row_scratch * mr * depth bytes and 64 more, aligned to 64 */
};

/* An implementation. A panel is, in this order,
 *
 *     params   u8[params_bytes], from pack_params
 *     weights  u8[depth / kr][nr][kr], k running through the segments: w' of channel c of the panel
 *              is at [k / kr][c][k % kr]; 0 behind the end of a segment, and for channels behind
 *              the last
 *
 * run computes for each row r < n_rows and channel c < n_channels
 *
 *     out[r][c] = f_c(bias'[c] + sum over k of a[r][k] w'[c][k] - weights_zp sum over k of a[r][k])
 *
 * f_c as in kernels/requantize.h, or as it is for a layer of sums. Sums modulo 2^32; the result is
 * within the channel's bound. Of int8 layers the a in the first sum has flip_in added, which bias'
 * makes up for. Each extra of a channel's panel adds its products to the first sum. */
struct scree_gemm_kernel {
    const char *name;
    int32_t mr;       /* rows of a block, at most SCREE_GEMM_MAX_ROWS */
    int32_t nr;       /* channels of a panel, at most SCREE_GEMM_MAX_CHANNELS */
    int32_t kr;       /* how many k a channel has side by side: a power of two, at most 16 */
    uint8_t flip_u8;  /* 0x80: uint8 weights are packed as int8 */
    uint8_t flip_s8;  /* 0x80: int8 weights are packed as uint8 */
    uint8_t flip_in;  /* 0x80: run adds 128 to the int8 activations that it multiplies */
    bool has_extras;  /* run heeds block->extras; with flip_u8 only */
    int32_t channels; /* how many channels a tile should have a multiple of */
    size_t params_bytes;
    size_t row_scratch; /* bytes of scratch that run wants for each byte of its rows */
    /* Writes the constants of channels[n], n in [1, nr], to params u8[params_bytes], zeroed. False
     * if a channel is out of the range for which run is exact: the layer is then computed by
     * kernels/conv.h. */
    bool (*pack_params)(void *params, const struct scree_gemm_layer *layer,
                        const struct scree_gemm_channel *channels, int32_t n);
    void (*run)(const struct scree_gemm_block *block);
};

/* A group, or a phase of a transposed convolution. */
struct scree_gemm_part {
    int32_t out_h, out_w; /* n_images * out_h * out_w rows: a grid of output pixels ... */
    int32_t out_y, out_x; /* ... from here ... */
    int32_t out_step_h, out_step_w;
    int32_t out_channel;        /* ... and their first channel */
    int32_t in_y, in_x;         /* where the first tap of the first row lies: may be outside */
    int32_t stride_h, stride_w; /* from row to row in the input */
    int32_t taps_h, taps_w;     /* of the filter; 0 too */
    int32_t filter_y, filter_x; /* the filter's element for the first tap ... */
    int32_t filter_step_h, filter_step_w; /* ... and from tap to tap */
    int32_t in_channel;
    int32_t segments_w;  /* segments of a row of taps: 1 or taps_w */
    bool gathered;       /* the whole row is one segment, in scratch */
    bool plain;          /* rows are the pixels of the input, in order */
    bool copied;         /* a tile reads a copy of its lines of the input, in scratch, padded */
    size_t copy_pitch;   /* from line to line of the copy */
    size_t gather_bytes; /* of scratch, for what is gathered or copied */
    int32_t n_segments, segment_bytes;
    size_t depth, panel_bytes;
    uint8_t *panels;
    struct scree_gemm_extras *extras; /* [panels] or NULL */
    size_t n_rows;
    size_t rows_per_tile, channels_per_tile; /* multiples of kernel->mr, kernel->nr */
    size_t first_tile;
};

struct scree_gemm {
    const struct scree_gemm_kernel *kernel;
    struct scree_gemm_layer layer;
    struct scree_conv_shape shape;
    int32_t part_channels; /* out_c / n_groups */
    size_t in_bytes;
    const uint8_t *outside; /* the longest segment of them, all the input's zero point */
    struct scree_gemm_part *parts;
    size_t n_parts;
    size_t n_tiles;
    size_t scratch_bytes; /* of a thread */
};

/* Packs a layer in `arena`. *ret_gemm is NULL (and 0 returned) if the layer is not one for this:
 * sums that could leave 31 bits, multipliers out of the kernel's range, no outputs.
 *
 * shape   as for scree_conv_u8(), transposed or not
 * quant   as there; its arrays are read here only
 * is_u8   the type of input, filter and output: uint8, else int8
 * filter  u8 or s8[out_c][filter_h][filter_w][filter_c]
 * bias    s32[out_c] or NULL
 *
 * Errors: ENOMEM; the arena keeps what it has got. */
int scree_gemm_new(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                   const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   bool is_u8, const void *filter, const int32_t *bias,
                   struct scree_gemm **ret_gemm);

/* The same for a layer whose outputs are its sums, s32, of int8 activations and weights: quantized
 * floats and what they become are the caller's business, and so is the activations' zero point. */
int scree_gemm_new_sums(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                        const struct scree_conv_shape *shape, const int8_t *filter,
                        struct scree_gemm **ret_gemm);

/* The bytes of the longest segment, rounded up as rows are read: what `outside` below holds. */
size_t scree_gemm_outside_bytes(const struct scree_gemm *gemm);

/* What a layer of sums does next with each row of a block: n sums from channel o on of output pixel
 * `pixel` (counted through the images). They may be overwritten. */
typedef void scree_gemm_row_fn(void *arg, size_t pixel, int32_t o, int32_t n, void *sums);

/* Computes one tile of a layer of sums.
 *
 * outside  s8[scree_gemm_outside_bytes()]: the zero point, for what lies beside the input
 * finish   is called with `arg` for each row, right after it was computed */
void scree_gemm_run_sums(const struct scree_gemm *gemm, const int8_t *in, const int8_t *outside,
                         void *out, size_t tile, void *scratch, scree_gemm_row_fn *finish,
                         void *arg);

/* Computes one tile.
 *
 * in       u8 or s8[n][in_h][in_w][in_c]; nothing is read outside
 * out      of the same type [n][out_h][out_w][out_c]
 * tile     below gemm->n_tiles
 * scratch  gemm->scratch_bytes, aligned to 64, of this thread
 *
 * Cannot fail. */
void scree_gemm_run(const struct scree_gemm *gemm, const void *in, void *out, size_t tile,
                    void *scratch);

/* The definition: kernels/c/gemm.c. */
extern const struct scree_gemm_kernel scree_gemm_c;

#endif
