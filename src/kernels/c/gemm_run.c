/* A tile of a product: rows are placed, block by block, and met with their panels. */
#include <string.h>

#include "kernels/c/gemm_parts.h"

/* What a tile works with. */
struct work {
    const struct scree_gemm *gemm;
    const struct scree_gemm_part *part;
    const uint8_t *in;
    const uint8_t *outside; /* as gemm->outside */
    uint8_t *out;
    size_t out_bytes;  /* of an output */
    const uint8_t **a; /* [n_segments][mr] */
    uint8_t **to;      /* [mr] */
    uint8_t *gathered; /* [mr][depth], or the copy of the input's lines ... */
    size_t copied_row; /* ... that begins with those of this row of outputs */
    size_t padded;     /* a segment rounded up to kr */
};

/* A row: a pixel of the output, and where its first tap lies in the input. */
struct row {
    int32_t n, oy, ox;
    int64_t y, x;
};

/* ---- rows --------------------------------------------------------------------------------------
 */

static void place_row(const struct scree_gemm_part *part, struct row *row)
{
    row->y = part->in_y + (int64_t)row->oy * part->stride_h;
    row->x = part->in_x + (int64_t)row->ox * part->stride_w;
}

static struct row find_row(const struct scree_gemm_part *part, size_t m)
{
    size_t w = (size_t)part->out_w, h = (size_t)part->out_h;
    struct row row = {
        .n = (int32_t)(m / w / h), .oy = (int32_t)(m / w % h), .ox = (int32_t)(m % w)};

    place_row(part, &row);
    return row;
}

/* Moves on by n rows, at most to the end of this row of outputs. */
static void skip_rows(const struct scree_gemm_part *part, struct row *row, int32_t n)
{
    row->ox += n;
    if (row->ox == part->out_w) {
        row->ox = 0;
        if (++row->oy == part->out_h) {
            row->oy = 0;
            row->n++;
        }
    }
    place_row(part, row);
}

/* The output of channel c of the part in a row. */
static uint8_t *find_output(const struct work *work, const struct row *row, size_t c)
{
    const struct scree_conv_shape *s = &work->gemm->shape;
    const struct scree_gemm_part *part = work->part;
    size_t y = (size_t)part->out_y + (size_t)row->oy * (size_t)part->out_step_h;
    size_t x = (size_t)part->out_x + (size_t)row->ox * (size_t)part->out_step_w;
    size_t pixel = ((size_t)row->n * (size_t)s->out_h + y) * (size_t)s->out_w + x;

    return work->out + (pixel * (size_t)s->out_c + (size_t)part->out_channel + c) * work->out_bytes;
}

/* ---- segments ----------------------------------------------------------------------------------
 */

/* Where the part's input under pixel (y, x) of a row lies, in bytes from `in`; x may be outside. */
static ptrdiff_t find_input(const struct work *work, const struct row *row, int64_t y, int64_t x)
{
    const struct scree_conv_shape *s = &work->gemm->shape;
    int64_t pixel = ((int64_t)row->n * s->in_h + y) * s->in_w + x;

    return (ptrdiff_t)(pixel * s->in_c + work->part->in_channel);
}

/* Copies `taps` pixels from (y, x) on to `to`, zero points where they are outside. */
static void gather(const struct work *work, const struct row *row, int64_t y, int64_t x,
                   int64_t taps, uint8_t *to)
{
    const struct scree_conv_shape *s = &work->gemm->shape;
    size_t channels = (size_t)s->filter_c;
    int64_t begin = x < 0 ? -x : 0, end = s->in_w - x < taps ? s->in_w - x : taps;

    if (y < 0 || y >= s->in_h || begin >= end) {
        memset(to, work->outside[0], (size_t)taps * channels);
        return;
    }
    if (begin > 0)
        memset(to, work->outside[0], (size_t)begin * channels);
    memcpy(to + (size_t)begin * channels, work->in + find_input(work, row, y, x + begin),
           (size_t)(end - begin) * channels);
    if (end < taps)
        memset(to + (size_t)end * channels, work->outside[0], (size_t)(taps - end) * channels);
}

/* Places a segment that may hang over the edge: where it lies in the input, or a copy. */
static const uint8_t *place_segment(const struct work *work, const struct row *row, int64_t y,
                                    int64_t x, int64_t taps, uint8_t *copy)
{
    const struct scree_conv_shape *s = &work->gemm->shape;
    ptrdiff_t last = (ptrdiff_t)work->gemm->in_bytes - (ptrdiff_t)work->padded;

    if (y < 0 || y >= s->in_h || x >= s->in_w || x + taps <= 0)
        return work->outside;
    if (x >= 0 && x + taps <= s->in_w && find_input(work, row, y, x) <= last)
        return work->in + find_input(work, row, y, x);
    gather(work, row, y, x, taps, copy);
    return copy;
}

/* A run of rows of the block, [r, r + n), that are neighbours in a row of outputs; of these
 * [begin, end) have a segment wholly inside the input's columns. */
struct run {
    size_t r;
    int32_t n, begin, end;
};

/* Finds begin and end for segments of `taps` pixels that begin at x in the first row. */
static void find_inside(const struct work *work, struct run *run, int64_t x, int64_t taps)
{
    int64_t step = work->part->stride_w, room = work->gemm->shape.in_w - taps - x;
    int64_t begin = x < 0 ? -x : 0, end = room < 0 ? 0 : room + 1;

    if (step > 1) {
        begin = (begin + step - 1) / step;
        end = (end + step - 1) / step;
    }
    run->begin = begin < run->n ? (int32_t)begin : run->n;
    run->end = end < run->n ? (int32_t)end : run->n;
    if (run->end < run->begin)
        run->end = run->begin;
}

/* A segment of a run: `a` of its first row, where that begins in the input, and how long it is. */
struct segment {
    size_t index;
    const uint8_t **a;
    int64_t y, x;
    ptrdiff_t from; /* of (y, x), in bytes from work->in; used inside the input only */
    int64_t taps;
};

/* Places a segment in rows [begin, end) of the run, which may hang over the edge. */
static void place_edge(const struct work *work, const struct row *row, const struct run *run,
                       const struct segment *segment, int32_t begin, int32_t end)
{
    const struct scree_gemm_part *part = work->part;

    for (int32_t i = begin; i < end; i++) {
        size_t r = run->r + (size_t)i;

        segment->a[i] = place_segment(
            work, row, segment->y, segment->x + (int64_t)i * part->stride_w, segment->taps,
            work->gathered + r * part->depth + segment->index * work->padded);
    }
}

static void place_run_segment(const struct work *work, const struct row *row, const struct run *run,
                              const struct segment *segment)
{
    const struct scree_conv_shape *s = &work->gemm->shape;
    ptrdiff_t step = (ptrdiff_t)work->part->stride_w * s->in_c, from = segment->from;
    ptrdiff_t last = (ptrdiff_t)work->gemm->in_bytes - (ptrdiff_t)work->padded;
    int32_t begin = run->begin, end = run->end;
    const uint8_t **a = segment->a, *at = work->outside;

    if (segment->y < 0 || segment->y >= s->in_h) {
        for (int32_t i = 0; i < run->n; i++)
            a[i] = at;
        return;
    }
    while (end > begin && from + (end - 1) * step > last)
        end--;
    if (begin > 0)
        place_edge(work, row, run, segment, 0, begin);
    if (begin < end)
        at = work->in + (from + begin * step);
    for (int32_t i = begin; i < end; i++, at += step)
        a[i] = at;
    if (end < run->n)
        place_edge(work, row, run, segment, end, run->n);
}

static void place_run(const struct work *work, const struct row *row, struct run *run)
{
    const struct scree_gemm_part *part = work->part;
    const struct scree_conv_shape *s = &work->gemm->shape;
    size_t mr = (size_t)work->gemm->kernel->mr, columns = (size_t)part->segments_w;
    ptrdiff_t line = (ptrdiff_t)s->dilation_h * s->in_w * s->in_c;

    for (size_t tx = 0; tx < columns; tx++) {
        struct segment segment = {
            .index = tx,
            .a = work->a + tx * mr + run->r,
            .y = row->y,
            .x = row->x + (int64_t)tx * s->dilation_w,
            .taps = columns == 1 ? part->taps_w : 1,
        };

        segment.from = find_input(work, row, segment.y, segment.x);
        find_inside(work, run, segment.x, segment.taps);
        for (int32_t ty = 0; ty < part->taps_h; ty++) {
            place_run_segment(work, row, run, &segment);
            segment.index += columns;
            segment.a += columns * mr;
            segment.y += s->dilation_h;
            segment.from += line;
        }
    }
}

/* Gathers row r of the block whole. */
static void gather_row(const struct work *work, const struct row *row, size_t r)
{
    const struct scree_gemm_part *part = work->part;
    const struct scree_conv_shape *s = &work->gemm->shape;
    uint8_t *copy = work->gathered + r * part->depth;
    int64_t taps = part->segments_w == 1 ? part->taps_w : 1;

    work->a[r] = copy;
    for (int32_t ty = 0; ty < part->taps_h; ty++)
        for (int32_t tx = 0; tx < part->segments_w; tx++) {
            gather(work, row, row->y + (int64_t)ty * s->dilation_h,
                   row->x + (int64_t)tx * s->dilation_w, taps, copy);
            copy += (size_t)taps * (size_t)s->filter_c;
        }
}

/* Places rows that are the pixels of the input, one after the other. */
static void place_pixels(const struct work *work, size_t m, size_t n_rows, size_t c)
{
    size_t in_c = (size_t)work->gemm->shape.in_c, out_c = (size_t)work->gemm->shape.out_c;
    const uint8_t *from = work->in + m * in_c;
    uint8_t *to = work->out + (m * out_c + c) * work->out_bytes;

    for (size_t r = 0; r < n_rows; r++, from += in_c, to += out_c * work->out_bytes) {
        work->a[r] = from;
        work->to[r] = to;
    }
    /* Thin rows are read over more than one row behind them. */
    for (size_t r = n_rows; r-- > 0 && (m + r) * in_c + work->padded > work->gemm->in_bytes;) {
        uint8_t *copy = work->gathered + r * work->padded;

        memcpy(copy, work->a[r], in_c);
        work->a[r] = copy;
    }
}

/* Copies the lines of the input that rows [m, m + n_rows) see, with zero points around them. */
static void copy_lines(struct work *work, size_t m, size_t n_rows)
{
    const struct scree_gemm_part *part = work->part;
    const struct scree_conv_shape *s = &work->gemm->shape;
    size_t w = (size_t)part->out_w, last = (m + n_rows - 1) / w;
    int64_t taps = (int64_t)(part->copy_pitch / (size_t)s->in_c);
    int64_t y, end;
    const struct row image = {0};
    uint8_t *to = work->gathered;

    work->copied_row = m / w;
    y = part->in_y + (int64_t)work->copied_row * part->stride_h;
    end = part->in_y + (int64_t)last * part->stride_h + (part->taps_h - 1) * s->dilation_h + 1;
    for (; y < end; y++, to += part->copy_pitch)
        gather(work, &image, y, part->in_x, taps, to);
}

/* Places rows in the copy: nothing hangs over an edge. */
static void place_copied(const struct work *work, size_t m, size_t n_rows, size_t c)
{
    const struct scree_gemm_part *part = work->part;
    const struct scree_conv_shape *s = &work->gemm->shape;
    size_t mr = (size_t)work->gemm->kernel->mr, w = (size_t)part->out_w, x = m % w;
    size_t step = (size_t)part->stride_w * (size_t)s->in_c;
    size_t out_step = (size_t)s->out_c * work->out_bytes;
    size_t line = (size_t)s->dilation_h * part->copy_pitch;
    const uint8_t *from = work->gathered +
                          (m / w - work->copied_row) * (size_t)part->stride_h * part->copy_pitch;
    uint8_t *to = work->out + m * out_step + c * work->out_bytes, **outs = work->to;
    const uint8_t **a = work->a;

    for (size_t r = 0; r < n_rows;) {
        size_t end = gemm_smaller(r + w - x, n_rows);
        const uint8_t *at = from + x * step;

        for (; r < end; r++, at += step, to += out_step) {
            a[r] = at;
            outs[r] = to;
        }
        from += (size_t)part->stride_h * part->copy_pitch;
        x = 0;
    }
    for (int32_t i = 1; i < part->n_segments; i++, a += mr)
        for (size_t r = 0; r < n_rows; r++)
            a[mr + r] = a[r] + line;
}

/* Gathers the rows of a run. */
static void gather_run(const struct work *work, const struct row *row, const struct run *run)
{
    struct row at = *row;

    for (int32_t i = 0; i < run->n; i++, at.x += work->part->stride_w)
        gather_row(work, &at, run->r + (size_t)i);
}

static void place_block(const struct work *work, size_t m, size_t n_rows, size_t c)
{
    const struct scree_gemm_part *part = work->part;
    size_t step = (size_t)part->out_step_w * (size_t)work->gemm->shape.out_c * work->out_bytes;
    struct row row;

    if (part->plain) {
        place_pixels(work, m, n_rows, c);
        return;
    }
    if (part->copied) {
        place_copied(work, m, n_rows, c);
        return;
    }
    row = find_row(part, m);
    for (size_t r = 0; r < n_rows;) {
        int32_t rest = part->out_w - row.ox;
        struct run run = {.r = r, .n = n_rows - r < (size_t)rest ? (int32_t)(n_rows - r) : rest};
        uint8_t *to = find_output(work, &row, c);

        for (int32_t i = 0; i < run.n; i++, to += step)
            work->to[r + (size_t)i] = to;
        if (part->gathered)
            gather_run(work, &row, &run);
        else
            place_run(work, &row, &run);
        r += (size_t)run.n;
        skip_rows(part, &row, run.n);
    }
}

/* ---- tiles -------------------------------------------------------------------------------------
 */

static const struct scree_gemm_part *find_part(const struct scree_gemm *gemm, size_t tile)
{
    size_t i = gemm->n_parts - 1;

    while (gemm->parts[i].first_tile > tile)
        i--;
    return &gemm->parts[i];
}

/* What becomes of sums. */
struct sums_use {
    scree_gemm_row_fn *finish;
    void *arg;
};

static void finish_rows(const struct work *work, const struct scree_gemm_block *block,
                        const struct sums_use *use)
{
    size_t out_c = (size_t)work->gemm->shape.out_c;

    for (int32_t r = 0; r < block->n_rows; r++) {
        size_t at = (size_t)(work->to[r] - work->out) / work->out_bytes;

        use->finish(use->arg, at / out_c, (int32_t)(at % out_c), block->n_channels, work->to[r]);
    }
}

/* A tile; use is NULL but for layers of sums. */
static void run_tile(const struct scree_gemm *gemm, const void *in, const void *outside, void *out,
                     size_t tile, void *scratch, const struct sums_use *use)
{
    const struct scree_gemm_part *part = find_part(gemm, tile);
    size_t mr = (size_t)gemm->kernel->mr, nr = (size_t)gemm->kernel->nr;
    size_t n_channels = (size_t)gemm->part_channels, index = tile - part->first_tile;
    size_t per_row = (n_channels + part->channels_per_tile - 1) / part->channels_per_tile;
    size_t c = index % per_row * part->channels_per_tile;
    size_t m = index / per_row * part->rows_per_tile;
    size_t n_rows = gemm_smaller(part->rows_per_tile, part->n_rows - m), n_blocks;
    size_t lists = gemm_round_up(mr * (1 + (size_t)part->n_segments) * sizeof(void *), 64);
    uint8_t *bytes = scratch;
    struct work work = {
        .gemm = gemm,
        .part = part,
        .in = in,
        .outside = outside,
        .out = out,
        .out_bytes = use ? sizeof(int32_t) : 1,
        .to = scratch,
        .a = (const uint8_t **)scratch + mr,
        .gathered = bytes + lists,
        .padded = gemm_round_up((size_t)part->segment_bytes, (size_t)gemm->kernel->kr),
    };
    struct scree_gemm_block block = {
        .layer = &gemm->layer,
        .a = work.a,
        .out = work.to,
        .n_segments = part->n_segments,
        .segment_bytes = part->segment_bytes,
        .n_channels = (int32_t)gemm_smaller(part->channels_per_tile, n_channels - c),
        .panels = part->panels + c / nr * part->panel_bytes,
        .panel_bytes = part->panel_bytes,
        .extras = part->extras ? part->extras + c / nr : NULL,
        .depth = part->depth,
        .scratch = bytes + lists + gemm_round_up(part->gather_bytes, 64),
    };

    if (part->copied)
        copy_lines(&work, m, n_rows);
    n_blocks = (n_rows + mr - 1) / mr;
    for (size_t b = 0; b < n_blocks; b++) {
        size_t begin = n_rows * b / n_blocks, end = n_rows * (b + 1) / n_blocks;

        block.n_rows = (int32_t)(end - begin);
        place_block(&work, m + begin, end - begin, c);
        gemm->kernel->run(&block);
        if (use)
            finish_rows(&work, &block, use);
    }
}

void scree_gemm_run(const struct scree_gemm *gemm, const void *in, void *out, size_t tile,
                    void *scratch)
{
    run_tile(gemm, in, gemm->outside, out, tile, scratch, NULL);
}

void scree_gemm_run_sums(const struct scree_gemm *gemm, const int8_t *in, const int8_t *outside,
                         void *out, size_t tile, void *scratch, scree_gemm_row_fn *finish,
                         void *arg)
{
    const struct sums_use use = {finish, arg};

    run_tile(gemm, in, outside, out, tile, scratch, &use);
}
