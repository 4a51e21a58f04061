#include "kernels/conv_f32.h"

#include <string.h>

#include "base/checked.h"

/* An item keeps its weights in the second cache, and is worth handing to a thread. */
#define ITEM_WEIGHT_BYTES ((size_t)384 << 10)
#define ITEM_MACS         ((size_t)1 << 16)
/* Few items would leave threads idle at the end. */
#define ITEMS_WANTED 16
/* Tiles of rows in an item, which share a panel of weights while it is in the first cache. */
#define ITEM_TILES 4
/* Rows so far apart fall into one set of a usual first cache, which holds that many lines. */
#define CACHE_WAY_BYTES 4096
#define CACHE_WAYS      8
/* Lines of the filter are segments below so many channels, where copies at the border are small. */
#define LINE_CHANNELS   16
#define MAX_LINE_FLOATS 1024

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int32_t phase_step(int32_t stride, bool transposed)
{
    return transposed ? stride : 1;
}

/* How many of `n` pixels of the output a phase has. */
static int32_t phase_pixels(int32_t n, int32_t phase, int32_t step)
{
    return n > phase ? (int32_t)(((int64_t)n - phase + step - 1) / step) : 0;
}

static bool plan_segments(struct scree_conv_f32 *plan)
{
    const struct scree_conv_shape *s = &plan->shape;
    bool lines = !s->transposed && s->dilation_w == 1 && s->filter_c < LINE_CHANNELS &&
                 (int64_t)s->filter_w * s->filter_c <= MAX_LINE_FLOATS && s->n_groups == 1;
    size_t taps;

    plan->span = lines ? s->filter_w : 1;
    return scree_mul_size((size_t)s->filter_h, (size_t)(s->filter_w / plan->span),
                          &plan->n_segments) &&
           scree_mul_size((size_t)plan->span, (size_t)s->filter_c, &plan->length) &&
           scree_mul_size((size_t)s->filter_h, (size_t)s->filter_w, &taps) &&
           scree_mul_size(taps, (size_t)s->filter_c, &plan->depth);
}

/* The columns of an item: as many panels as share a cache, but not so many that threads idle. */
static void plan_columns(struct scree_conv_f32 *plan)
{
    size_t panel = 2 * plan->gemm->lanes;
    size_t panels = ceil_div(plan->group_columns, panel);
    size_t fitting = ITEM_WEIGHT_BYTES / sizeof(float) / panel / (plan->depth + 1);
    size_t row_items = plan->n_blocks * (size_t)plan->phases_h * (size_t)plan->phases_w *
                       (size_t)plan->shape.n_groups;
    size_t n_rows = smaller(plan->block_rows, plan->phase_rows);
    size_t worth = ITEM_MACS / (plan->depth + 1) / panel / (n_rows + 1);
    size_t wanted = ceil_div(ITEMS_WANTED, row_items + 1), step;

    step = ceil_div(panels, wanted);
    step = step > worth + 1 ? step : worth + 1;
    step = smaller(step, fitting > 0 ? fitting : 1);
    plan->column_step = smaller(step, panels > 0 ? panels : 1) * panel;
    plan->n_column_blocks = ceil_div(plan->group_columns, plan->column_step);
}

static bool plan_rows(struct scree_conv_f32 *plan)
{
    const struct scree_conv_shape *s = &plan->shape;
    int32_t step_h = phase_step(s->stride_h, s->transposed);
    int32_t step_w = phase_step(s->stride_w, s->transposed);

    plan->phases_h = scree_min_i32(step_h, s->out_h);
    plan->phases_w = scree_min_i32(step_w, s->out_w);
    plan->tile_rows = plan->gemm->n_rows;
    if ((size_t)s->in_c * (size_t)s->stride_w * sizeof(float) % CACHE_WAY_BYTES == 0 &&
        plan->tile_rows > CACHE_WAYS - 1)
        plan->tile_rows = CACHE_WAYS - 1;
    plan->block_rows = ITEM_TILES * plan->gemm->n_rows;
    if (!scree_mul_size((size_t)s->n, (size_t)phase_pixels(s->out_h, 0, step_h),
                        &plan->phase_rows) ||
        !scree_mul_size(plan->phase_rows, (size_t)phase_pixels(s->out_w, 0, step_w),
                        &plan->phase_rows))
        return false;
    plan->n_blocks = ceil_div(plan->phase_rows, plan->block_rows);
    return true;
}

static bool plan_items(struct scree_conv_f32 *plan)
{
    size_t n;

    return scree_mul_size(plan->n_blocks, plan->n_column_blocks, &n) &&
           scree_mul_size(n, (size_t)plan->phases_h, &n) &&
           scree_mul_size(n, (size_t)plan->phases_w, &n) &&
           scree_mul_size(n, (size_t)plan->shape.n_groups, &plan->n_items);
}

static bool plan_memory(struct scree_conv_f32 *plan)
{
    size_t pointers, zeros, copies = 0, n;

    if (!scree_mul_size(plan->padded_columns, (size_t)plan->shape.n_groups, &n) ||
        !scree_mul_size(n, plan->depth + 1, &n) ||
        !scree_mul_size(n, sizeof(float), &plan->packed_bytes))
        return false;
    if (!scree_mul_size(plan->n_segments, plan->block_rows, &n) ||
        (plan->span > 1 && !scree_mul_size(n, plan->length * sizeof(float), &copies)) ||
        !scree_add_size(n, plan->n_segments, &n) || !scree_mul_size(n, sizeof(void *), &pointers) ||
        !scree_mul_size(plan->length, sizeof(float), &zeros))
        return false;
    return scree_add_size(pointers, zeros, &n) && scree_add_size(n, copies, &plan->scratch_bytes);
}

/* Where a filter of one pixel meets every pixel, these may as well lie in one line. */
static void join_lines(struct scree_conv_shape *s)
{
    int64_t n = (int64_t)s->n * s->in_h * s->in_w;

    if (s->transposed || s->filter_h != 1 || s->filter_w != 1 || s->stride_h != 1 ||
        s->stride_w != 1 || s->pad_top != 0 || s->pad_left != 0 || s->out_h != s->in_h ||
        s->out_w != s->in_w || n > INT32_MAX)
        return;
    s->n = s->in_h = s->out_h = 1;
    s->in_w = s->out_w = (int32_t)n;
}

bool scree_conv_f32_plan(struct scree_conv_f32 *plan, const struct scree_conv_shape *shape,
                         const struct scree_gemm_f32 *gemm, float min, float max)
{
    *plan = (struct scree_conv_f32){.shape = *shape, .gemm = gemm, .min = min, .max = max};
    join_lines(&plan->shape);
    plan->group_columns = (size_t)(shape->out_c / shape->n_groups);
    plan->padded_columns = ceil_div(plan->group_columns, gemm->lanes) * gemm->lanes;
    if (!plan_segments(plan) || plan->depth == SIZE_MAX || !plan_rows(plan))
        return false;
    plan_columns(plan);
    return plan_items(plan) && plan_memory(plan);
}

/* The floats of one group's panels. */
static size_t group_floats(const struct scree_conv_f32 *plan)
{
    return plan->padded_columns * plan->depth;
}

/* The columns of the panel that begins at `column`. */
static size_t panel_width(const struct scree_conv_f32 *plan, size_t column)
{
    return smaller(2 * plan->gemm->lanes, plan->padded_columns - column);
}

void scree_conv_f32_pack(const struct scree_conv_f32 *plan, const float *filter, size_t column_step,
                         size_t depth_step, const float *bias, float *packed)
{
    size_t columns = plan->group_columns, padded = plan->padded_columns;
    size_t n_groups = (size_t)plan->shape.n_groups;

    for (size_t g = 0; g < n_groups; g++)
        for (size_t o = 0; o < padded; o++)
            packed[g * padded + o] = bias && o < columns ? bias[g * columns + o] : 0;
    packed += n_groups * padded;
    for (size_t g = 0; g < n_groups; g++, packed += group_floats(plan))
        for (size_t column = 0, width; column < padded; column += width) {
            float *to = packed + column * plan->depth;
            size_t n = smaller(width = panel_width(plan, column), columns - column);
            const float *from = filter + (g * columns + column) * column_step;

            for (size_t k = 0; k < plan->depth; k++, to += width, from += depth_step) {
                for (size_t o = 0; o < n; o++)
                    to[o] = from[o * column_step];
                for (size_t o = n; o < width; o++)
                    to[o] = 0;
            }
        }
}

/* What of the output an item computes: rows [row, row + n_rows) of a phase, columns [column, end)
 * of a group. */
struct item {
    int32_t phase_y, phase_x;
    size_t group, row, n_rows, column, end;
};

static struct item find_item(const struct scree_conv_f32 *plan, size_t index)
{
    size_t columns = index % plan->n_column_blocks, blocks = index / plan->n_column_blocks;
    size_t phases = blocks / plan->n_blocks, phases_w = (size_t)plan->phases_w;
    size_t groups = phases / phases_w / (size_t)plan->phases_h;
    struct item item = {
        .phase_y = (int32_t)(phases / phases_w % (size_t)plan->phases_h),
        .phase_x = (int32_t)(phases % phases_w),
        .group = groups,
        .row = blocks % plan->n_blocks * plan->block_rows,
        .column = columns * plan->column_step,
    };

    item.end = smaller(item.column + plan->column_step, plan->group_columns);
    return item;
}

/* A pixel of the output: image, line, column of it, and where it is in the lines of its phase. */
struct pixel {
    int32_t image, y, x;
    int32_t lines, columns, line, column;
};

static struct pixel find_pixel(const struct scree_conv_f32 *plan, const struct item *item)
{
    const struct scree_conv_shape *s = &plan->shape;
    int32_t step_h = phase_step(s->stride_h, s->transposed);
    int32_t step_w = phase_step(s->stride_w, s->transposed);
    struct pixel pixel = {
        .lines = phase_pixels(s->out_h, item->phase_y, step_h),
        .columns = phase_pixels(s->out_w, item->phase_x, step_w),
    };
    size_t columns = (size_t)pixel.columns, lines = (size_t)pixel.lines;

    pixel.column = (int32_t)(item->row % columns);
    pixel.line = (int32_t)(item->row / columns % lines);
    pixel.image = (int32_t)(item->row / columns / lines);
    pixel.y = item->phase_y + pixel.line * step_h;
    pixel.x = item->phase_x + pixel.column * step_w;
    return pixel;
}

/* Moves to the beginning of the next line. */
static void next_line(const struct scree_conv_f32 *plan, const struct item *item,
                      struct pixel *pixel)
{
    const struct scree_conv_shape *s = &plan->shape;

    pixel->column = 0;
    pixel->x = item->phase_x;
    pixel->y += phase_step(s->stride_h, s->transposed);
    if (++pixel->line < pixel->lines)
        return;
    pixel->line = 0;
    pixel->y = item->phase_y;
    pixel->image++;
}

/* A thread's scratch. */
struct scratch {
    const float **rows; /* [n_segments][block_rows] */
    size_t *depths;     /* [n_segments] */
    float *zeros;       /* [length] */
    float *copies;      /* [block_rows][n_segments][length] of lines that are partly outside */
};

static struct scratch lay_out(const struct scree_conv_f32 *plan, void *memory)
{
    struct scratch scratch;

    scratch.rows = memory;
    scratch.depths = (size_t *)(scratch.rows + plan->n_segments * plan->block_rows);
    scratch.zeros = (float *)(scratch.depths + plan->n_segments);
    scratch.copies = scratch.zeros + plan->length;
    memset(scratch.zeros, 0, plan->length * sizeof(float));
    return scratch;
}

/* Where pixel (y, x) of an image is in the input, or NULL outside. */
static const float *find_input(const struct scree_conv_shape *s, const float *in, int32_t image,
                               int64_t y, int64_t x)
{
    ptrdiff_t offset = scree_conv_offset(s, image, y, x);

    return offset < 0 ? NULL : in + offset;
}

/* A line of the filter over pixels [x, x + span) of line y of the input: where it is, or a copy. */
static const float *find_line(const struct scree_conv_f32 *plan, const float *in, int32_t image,
                              int64_t y, int64_t x, const float *zeros, float *copy)
{
    const struct scree_conv_shape *s = &plan->shape;
    int64_t begin = x < 0 ? -x : 0, end = s->in_w - x;
    size_t channels = (size_t)s->filter_c;

    end = end < plan->span ? end : plan->span;
    if (y < 0 || y >= s->in_h || begin >= end)
        return zeros;
    if (begin == 0 && end == plan->span)
        return find_input(s, in, image, y, x);
    memset(copy, 0, plan->length * sizeof *copy);
    memcpy(copy + (size_t)begin * channels, find_input(s, in, image, y, x + begin),
           (size_t)(end - begin) * channels * sizeof *copy);
    return copy;
}

/* Columns of the output, from `column` on at most n, for which lines of the filter from pixel x on,
 * `step` pixels apart each, lie inside the columns of the input: how many are not, then how many
 * are. */
static void find_inside(const struct scree_conv_f32 *plan, int64_t x, size_t n, size_t *ret_before,
                        size_t *ret_inside)
{
    const struct scree_conv_shape *s = &plan->shape;
    int64_t step = s->stride_w, last = s->in_w - plan->span;
    size_t before = x < 0 ? (size_t)((-x + step - 1) / step) : 0;
    size_t end = x <= last ? (size_t)((last - x) / step) + 1 : 0;

    *ret_before = smaller(before, n);
    end = smaller(end, n);
    *ret_inside = end > *ret_before ? end - *ret_before : 0;
}

/* Points segment ky of a run of n rows in one line of the output at line y of the input, the first
 * at pixel x. copy f32[n][plan->length], `pitch` floats apart, is for lines partly outside. */
static void point_lines_run(const struct scree_conv_f32 *plan, const float *in,
                            const struct scratch *scratch, int32_t image, int64_t y, int64_t x,
                            const float **rows, size_t n, float *copy)
{
    const struct scree_conv_shape *s = &plan->shape;
    size_t before, inside, pitch = plan->n_segments * plan->length;
    size_t step = (size_t)s->stride_w * (size_t)s->in_c;
    const float *from;

    find_inside(plan, x, n, &before, &inside);
    if (y < 0 || y >= s->in_h) {
        for (size_t r = 0; r < n; r++)
            rows[r] = scratch->zeros;
        return;
    }
    for (size_t r = 0; r < n; r++)
        if (r < before || r >= before + inside)
            rows[r] = find_line(plan, in, image, y, x + (int64_t)r * s->stride_w, scratch->zeros,
                                copy + r * pitch);
    from = inside > 0 ? find_input(s, in, image, y, x + (int64_t)before * s->stride_w) : NULL;
    for (size_t r = 0; r < inside; r++)
        rows[before + r] = from + r * step;
}

/* Points the rows of a block at the input; returns the number of segments. */
static size_t point_lines(const struct scree_conv_f32 *plan, const struct item *item,
                          const float *in, const struct scratch *scratch)
{
    const struct scree_conv_shape *s = &plan->shape;
    struct pixel pixel = find_pixel(plan, item);

    for (size_t ky = 0; ky < plan->n_segments; ky++)
        scratch->depths[ky] = ky * plan->length;
    for (size_t r = 0, n; r < item->n_rows; r += n) {
        int64_t y = (int64_t)pixel.y * s->stride_h - s->pad_top;
        int64_t x = (int64_t)pixel.x * s->stride_w - s->pad_left;

        n = smaller(item->n_rows - r, (size_t)(pixel.columns - pixel.column));
        for (size_t ky = 0; ky < plan->n_segments; ky++)
            point_lines_run(plan, in, scratch, pixel.image, y + (int64_t)ky * s->dilation_h, x,
                            scratch->rows + ky * plan->block_rows + r, n,
                            scratch->copies + (r * plan->n_segments + ky) * plan->length);
        next_line(plan, item, &pixel);
    }
    return plan->n_segments;
}

/* Points a run of rows in one line of the output at line y of the input, the first at pixel x and
 * the others `step` pixels apart each; what is outside at zeros. */
static void point_run(const struct scree_conv_f32 *plan, const float *in, const float *zeros,
                      int32_t image, int64_t y, int64_t x, int32_t step, const float **rows,
                      size_t n)
{
    const struct scree_conv_shape *s = &plan->shape;
    bool is_beside = y < 0 || y >= s->in_h;
    size_t before = x < 0 ? (size_t)((-x + step - 1) / step) : 0;
    size_t end = x < s->in_w ? (size_t)((s->in_w - x + step - 1) / step) : 0;
    const float *from;

    before = is_beside ? n : smaller(before, n);
    end = is_beside ? n : smaller(end, n);
    for (size_t r = 0; r < before; r++)
        rows[r] = zeros;
    from = before < end ? in + scree_conv_offset(s, image, y, x + (int64_t)before * step) : zeros;
    for (size_t r = before; r < end; r++, from += (size_t)step * (size_t)s->in_c)
        rows[r] = from;
    for (size_t r = before > end ? before : end; r < n; r++)
        rows[r] = zeros;
}

/* Points segment `at` of all rows of a block at the input under pixel (ky, kx) of the filter. */
static void point_tap(const struct scree_conv_f32 *plan, const struct item *item, const float *in,
                      const struct scratch *scratch, size_t at, int64_t ky, int64_t kx)
{
    const struct scree_conv_shape *s = &plan->shape;
    struct pixel pixel = find_pixel(plan, item);
    const float **rows = scratch->rows + at * plan->block_rows;
    const float *group = in + item->group * plan->length;

    scratch->depths[at] = (size_t)(ky * s->filter_w + kx) * plan->length;
    for (size_t r = 0, n; r < item->n_rows; r += n) {
        int64_t y = (int64_t)pixel.y * s->stride_h - s->pad_top + ky * s->dilation_h;
        int64_t x = (int64_t)pixel.x * s->stride_w - s->pad_left + kx * s->dilation_w;

        n = smaller(item->n_rows - r, (size_t)(pixel.columns - pixel.column));
        if (s->transposed) {
            /* exact divisions: the pixels of a phase are those for which they are */
            y = ((int64_t)pixel.y + s->pad_top - ky) / s->stride_h;
            x = ((int64_t)pixel.x + s->pad_left - kx) / s->stride_w;
        }
        point_run(plan, group, scratch->zeros, pixel.image, y, x, s->transposed ? 1 : s->stride_w,
                  rows + r, n);
        next_line(plan, item, &pixel);
    }
}

static size_t point_taps(const struct scree_conv_f32 *plan, const struct item *item,
                         const float *in, const struct scratch *scratch)
{
    const struct scree_conv_shape *s = &plan->shape;
    size_t at = 0;

    for (int32_t ky = 0; ky < s->filter_h; ky++)
        for (int32_t kx = 0; kx < s->filter_w; kx++)
            point_tap(plan, item, in, scratch, at++, ky, kx);
    return at;
}

/* The last of the pixels 0, 1, ... n - 1 of the filter that meet this phase of the output. */
static int64_t last_tap(int32_t n, int32_t phase, int32_t pad, int32_t stride)
{
    int64_t first = ((int64_t)phase + pad) % stride;

    return first + ((int64_t)n - 1 - first) / stride * stride;
}

static size_t point_phase(const struct scree_conv_f32 *plan, const struct item *item,
                          const float *in, const struct scratch *scratch)
{
    const struct scree_conv_shape *s = &plan->shape;
    int64_t last_y = last_tap(s->filter_h, item->phase_y, s->pad_top, s->stride_h);
    int64_t last_x = last_tap(s->filter_w, item->phase_x, s->pad_left, s->stride_w);
    size_t at = 0;

    for (int64_t ky = last_y; ky >= 0; ky -= s->stride_h)
        for (int64_t kx = last_x; kx >= 0; kx -= s->stride_w)
            if (ky < s->filter_h && kx < s->filter_w)
                point_tap(plan, item, in, scratch, at++, ky, kx);
    return at;
}

/* The rows of a tile from row `at` of the item on: as many as fit, evenly shared out, and of a
 * transposed convolution in one line of its output. */
static size_t tile_rows(const struct scree_conv_f32 *plan, const struct item *item, size_t at,
                        int32_t columns)
{
    size_t left = item->n_rows - at, rows = plan->tile_rows;

    if (plan->shape.transposed)
        left = smaller(left, (size_t)columns - (item->row + at) % (size_t)columns);
    return ceil_div(left, ceil_div(left, rows));
}

/* Where row `at` of the item goes. */
static float *find_output(const struct scree_conv_f32 *plan, const struct item *item, size_t at,
                          float *out)
{
    const struct scree_conv_shape *s = &plan->shape;
    struct item row = *item;
    struct pixel pixel;

    row.row += at;
    pixel = find_pixel(plan, &row);
    return out +
           (((size_t)pixel.image * (size_t)s->out_h + (size_t)pixel.y) * (size_t)s->out_w +
            (size_t)pixel.x) *
               (size_t)s->out_c +
           item->group * plan->group_columns;
}

/* All tiles of one panel. */
static void run_panel(const struct scree_conv_f32 *plan, const struct item *item,
                      const struct scratch *scratch, const float *packed,
                      struct scree_gemm_f32_tile *tile, size_t column, float *out)
{
    int32_t columns = find_pixel(plan, item).columns;
    const float *bias = packed + item->group * plan->padded_columns;
    const float *panels = packed + (size_t)plan->shape.n_groups * plan->padded_columns +
                          item->group * group_floats(plan);

    tile->weight_step = panel_width(plan, column);
    tile->weights = panels + column * plan->depth;
    tile->bias = bias + column;
    tile->n_columns = smaller(item->end - column, tile->weight_step);
    for (size_t at = 0; at < item->n_rows; at += tile->n_rows) {
        tile->n_rows = tile_rows(plan, item, at, columns);
        tile->rows = scratch->rows + at;
        tile->out = find_output(plan, item, at, out) + column;
        plan->gemm->run(tile);
    }
}

void scree_conv_f32_run(const struct scree_conv_f32 *plan, const float *in, const float *packed,
                        float *out, void *memory, size_t index)
{
    const struct scree_conv_shape *s = &plan->shape;
    struct item item = find_item(plan, index);
    struct pixel pixel = find_pixel(plan, &item);
    size_t phase_rows = (size_t)s->n * (size_t)pixel.lines * (size_t)pixel.columns;
    struct scratch scratch = lay_out(plan, memory);
    struct scree_gemm_f32_tile tile = {
        .row_step = plan->block_rows,
        .length = plan->length,
        .depths = scratch.depths,
        .out_step = (size_t)s->out_c * (size_t)phase_step(s->stride_w, s->transposed),
        .min = plan->min,
        .max = plan->max,
    };

    if (item.row >= phase_rows)
        return;
    item.n_rows = smaller(phase_rows - item.row, plan->block_rows);
    tile.n_segments = s->transposed    ? point_phase(plan, &item, in, &scratch)
                      : plan->span > 1 ? point_lines(plan, &item, in, &scratch)
                                       : point_taps(plan, &item, in, &scratch);
    for (size_t column = item.column; column < item.end; column += 2 * plan->gemm->lanes)
        run_panel(plan, &item, &scratch, packed, &tile, column, out);
}
