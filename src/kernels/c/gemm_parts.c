/* Convolutions cut into parts, and these into tiles. See kernels/gemm.h. */
#include "kernels/c/gemm_parts.h"

#include "base/checked.h"

/* A tile's panels stay in the second cache beside its rows; a tile of this many products takes
 * about two microseconds, and reads weights for about as long. A row takes as long as this many
 * products before the first of them: it is gathered, and its results are scaled. */
#define TILE_PANEL_BYTES  ((size_t)384 << 10)
#define TILE_PRODUCTS     ((size_t)512 << 10)
#define ROW_PRODUCTS      ((size_t)1 << 10)
#define TILE_WEIGHT_BYTES ((size_t)128 << 10)
#define MAX_TILES         ((size_t)64)

/* So many tiles may differ by half a block and leave no thread waiting. */
#define MANY_TILES ((size_t)8)

/* Products are at most 255 * 255: so many taps never reach 2^31. */
#define MAX_DEPTH ((size_t)INT32_MAX / (255 * 255))

/* A copy of the lines that a tile sees stays in the first cache. */
#define MAX_COPY ((size_t)16 << 10)

/* Parts beyond these are too small to be worth a panel. */
#define MAX_PARTS ((size_t)1024)
#define MIN_GROUP 4

static void set_group(struct scree_gemm_part *part, const struct scree_conv_shape *s, int32_t group)
{
    *part = (struct scree_gemm_part){
        .out_h = s->out_h,
        .out_w = s->out_w,
        .out_step_h = 1,
        .out_step_w = 1,
        .out_channel = group * (s->out_c / s->n_groups),
        .in_y = -s->pad_top,
        .in_x = -s->pad_left,
        .stride_h = s->stride_h,
        .stride_w = s->stride_w,
        .taps_h = s->filter_h,
        .taps_w = s->filter_w,
        .filter_step_h = 1,
        .filter_step_w = 1,
        .in_channel = group * s->filter_c,
    };
}

/* One dimension of a phase of a transposed convolution: outputs phase, phase + stride, ... see
 * those elements of the filter that are congruent to phase + pad modulo the stride, the last one
 * first. */
struct phase {
    int32_t n_out, taps, filter_first, in_first;
};

static struct phase find_phase(int32_t phase, int32_t out, int32_t stride, int32_t pad,
                               int32_t filter)
{
    int64_t shifted = (int64_t)phase + pad;
    int32_t first = (int32_t)(shifted % stride);
    int32_t taps = first < filter ? (filter - first - 1) / stride + 1 : 0;

    return (struct phase){
        .n_out = (out - phase - 1) / stride + 1,
        .taps = taps,
        .filter_first = taps > 0 ? first + stride * (taps - 1) : 0,
        .in_first = (int32_t)(shifted / stride) - (taps - 1),
    };
}

static void set_phase(struct scree_gemm_part *part, const struct scree_conv_shape *s, int32_t y,
                      int32_t x)
{
    struct phase h = find_phase(y, s->out_h, s->stride_h, s->pad_top, s->filter_h);
    struct phase w = find_phase(x, s->out_w, s->stride_w, s->pad_left, s->filter_w);

    *part = (struct scree_gemm_part){
        .out_h = h.n_out,
        .out_w = w.n_out,
        .out_y = y,
        .out_x = x,
        .out_step_h = s->stride_h,
        .out_step_w = s->stride_w,
        .in_y = h.in_first,
        .in_x = w.in_first,
        .stride_h = 1,
        .stride_w = 1,
        .taps_h = w.taps > 0 ? h.taps : 0,
        .taps_w = h.taps > 0 ? w.taps : 0,
        .filter_y = h.filter_first,
        .filter_x = w.filter_first,
        .filter_step_h = -s->stride_h,
        .filter_step_w = -s->stride_w,
    };
}

/* Taps that are neighbours in the input become one segment. Where rounding the segments up to kr
 * would make a row half as long again, rows are gathered whole. */
static void set_segments(struct scree_gemm_part *part, const struct scree_gemm *gemm)
{
    const struct scree_conv_shape *s = &gemm->shape;
    size_t kr = (size_t)gemm->kernel->kr, channels = (size_t)s->filter_c;
    bool runs = s->dilation_w == 1 && s->n_groups == 1;
    size_t n_taps = (size_t)part->taps_h * (size_t)part->taps_w;

    part->segments_w = runs && part->taps_w > 0 ? 1 : part->taps_w;
    part->n_segments = part->taps_h * part->segments_w;
    part->segment_bytes = runs ? part->taps_w * s->filter_c : s->filter_c;
    part->depth = (size_t)part->n_segments * gemm_round_up((size_t)part->segment_bytes, kr);
    if (2 * part->depth <= 3 * gemm_round_up(n_taps * channels, kr))
        return;
    part->gathered = true;
    part->n_segments = 1;
    part->segment_bytes = (int32_t)(n_taps * channels);
    part->depth = gemm_round_up(n_taps * channels, kr);
}

/* True if row m is pixel m of the input and becomes pixel m of the output. */
static bool is_plain(const struct scree_gemm_part *part, const struct scree_conv_shape *s)
{
    return !s->transposed && s->n_groups == 1 && part->taps_h == 1 && part->taps_w == 1 &&
           part->in_y == 0 && part->in_x == 0 && part->stride_h == 1 && part->stride_w == 1 &&
           s->in_h == s->out_h && s->in_w == s->out_w;
}

/* How many rows and channels a tile has: enough tiles for some threads, but none too short, and
 * rows are shared out rather than channels, since each tile prepares its rows. Many tiles have
 * whole blocks: 29 rows would be three of them. */
static void set_tiles(struct scree_gemm_part *part, struct scree_gemm *gemm)
{
    size_t mr = (size_t)gemm->kernel->mr, unit = (size_t)gemm->kernel->channels;
    size_t channels = (size_t)gemm->part_channels, depth = gemm_larger(part->depth, 1);
    size_t products = part->n_rows * (channels * depth + ROW_PRODUCTS);
    size_t wanted = gemm_larger(products / TILE_PRODUCTS, channels * depth / TILE_WEIGHT_BYTES);
    size_t n_rows, n_channels;

    wanted = gemm_larger(1, gemm_smaller(wanted, MAX_TILES));
    n_rows = gemm_larger(1, gemm_smaller(wanted, part->n_rows / (2 * mr)));
    n_channels = gemm_larger(gemm_divide_up(wanted, n_rows),
                             gemm_divide_up(channels * depth, TILE_PANEL_BYTES));
    n_channels = gemm_smaller(n_channels, gemm_divide_up(channels, unit));
    part->rows_per_tile = gemm_divide_up(part->n_rows, n_rows);
    if (n_rows >= MANY_TILES)
        part->rows_per_tile = (part->rows_per_tile + mr / 2) / mr * mr;
    part->channels_per_tile = gemm_round_up(gemm_divide_up(channels, n_channels), unit);
    part->first_tile = gemm->n_tiles;
    gemm->n_tiles += gemm_divide_up(part->n_rows, part->rows_per_tile) *
                     gemm_divide_up(channels, part->channels_per_tile);
}

/* Where the outputs of each part, and their inputs, lie. */
static void place_parts(struct scree_gemm *gemm)
{
    const struct scree_conv_shape *s = &gemm->shape;
    struct scree_gemm_part *part = gemm->parts;

    if (s->transposed)
        for (int32_t y = 0; y < scree_min_i32(s->stride_h, s->out_h); y++)
            for (int32_t x = 0; x < scree_min_i32(s->stride_w, s->out_w); x++)
                set_phase(part++, s, y, x);
    else
        for (int32_t group = 0; group < s->n_groups; group++)
            set_group(part++, s, group);
}

size_t scree_gemm_count_parts(const struct scree_conv_shape *s)
{
    size_t taps = (size_t)s->filter_h * (size_t)s->filter_w, depth;
    size_t n_parts = (size_t)s->n_groups;

    if (s->n < 1 || s->out_h < 1 || s->out_w < 1 || s->out_c < 1)
        return 0;
    if (!scree_mul_size(taps, (size_t)s->filter_c, &depth) || depth > MAX_DEPTH)
        return 0;
    if (s->transposed)
        n_parts = gemm_smaller((size_t)s->stride_h, (size_t)s->out_h) *
                  gemm_smaller((size_t)s->stride_w, (size_t)s->out_w);
    if (n_parts > 1 && !s->transposed && s->out_c / s->n_groups < MIN_GROUP)
        return 0;
    return n_parts <= MAX_PARTS ? n_parts : 0;
}

/* What tiles want of scratch for rows that hang over the edge: a copy of each such row, or, where
 * segments are whole lines of taps and lines are small, of all lines that a tile sees, so that
 * nothing hangs over. */
static void set_copy(struct scree_gemm_part *part, const struct scree_gemm *gemm)
{
    const struct scree_conv_shape *s = &gemm->shape;
    size_t w = (size_t)part->out_w, lines, pixels, bytes;

    part->gather_bytes = (size_t)gemm->kernel->mr * part->depth;
    if (part->gathered || part->segments_w != 1 || part->taps_w < 2 || part->n_rows == 0 ||
        s->transposed || s->n_groups != 1 || s->n != 1)
        return;
    lines = gemm_smaller((size_t)part->out_h,
                         (gemm_smaller(part->rows_per_tile, part->n_rows) + w - 2) / w + 1);
    lines = (lines - 1) * (size_t)part->stride_h +
            (size_t)(part->taps_h - 1) * (size_t)s->dilation_h + 1;
    pixels = (w - 1) * (size_t)part->stride_w + (size_t)part->taps_w;
    if (!scree_mul_size(pixels, (size_t)s->in_c, &part->copy_pitch) ||
        !scree_mul_size(part->copy_pitch, lines, &bytes) || bytes > MAX_COPY)
        return;
    part->copied = true;
    part->gather_bytes = bytes + (size_t)gemm->kernel->kr; /* of which a row may read too much */
}

void scree_gemm_set_parts(struct scree_gemm *gemm)
{
    size_t mr = (size_t)gemm->kernel->mr;

    place_parts(gemm);
    for (size_t i = 0; i < gemm->n_parts; i++) {
        struct scree_gemm_part *part = &gemm->parts[i];
        size_t bytes, segments;

        part->n_rows = (size_t)gemm->shape.n * (size_t)part->out_h * (size_t)part->out_w;
        set_segments(part, gemm);
        part->plain = is_plain(part, &gemm->shape);
        set_tiles(part, gemm);
        set_copy(part, gemm);
        segments = (size_t)part->n_segments;
        bytes = gemm_round_up(mr * (1 + segments) * sizeof(void *), 64) +
                gemm_round_up(part->gather_bytes, 64) +
                gemm->kernel->row_scratch * mr * part->depth + 64;
        gemm->scratch_bytes = gemm_larger(gemm->scratch_bytes, bytes);
    }
}
