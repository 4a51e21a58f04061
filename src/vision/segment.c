#include "vision/segment.h"

#include <string.h>

#include "vision/tensor.h"

static int copy_classes(const struct scree_tensor *t, size_t n, uint8_t *ret_map,
                        struct scree_error *err)
{
    float reals[256];

    for (size_t start = 0; start < n; start += 256) {
        size_t n_block = n - start < 256 ? n - start : 256;

        scree_tensor_raws(t, start, n_block, reals);
        for (size_t i = 0; i < n_block; i++) {
            if (!(reals[i] >= 0 && reals[i] <= 255))
                return scree_fail(err, EBADMSG, "class %g in a mask", (double)reals[i]);
            ret_map[start + i] = (uint8_t)reals[i];
        }
    }
    return 0;
}

static void best_classes(const struct scree_tensor *t, size_t n, size_t n_classes, float *row,
                         uint8_t *ret_map)
{
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;

        scree_tensor_reals(t, i * n_classes, 1, n_classes, row);
        for (size_t k = 1; k < n_classes; k++)
            if (row[k] > row[best])
                best = k;
        ret_map[i] = (uint8_t)best;
    }
}

int scree_segment_decode(const struct scree_decoder *decoder, uint8_t *ret_map,
                         struct scree_error *err)
{
    const struct scree_head *head = decoder->head;
    const struct scree_tensor *t = &decoder->outputs[head->outputs[SCREE_ROLE_MAIN]];
    size_t n = (size_t)head->h * (size_t)head->w;

    if (head->kind == SCREE_HEAD_CLASS_MAP)
        return copy_classes(t, n, ret_map, err);
    best_classes(t, n, (size_t)head->n_classes, decoder->floats, ret_map);
    return 0;
}

/* The map's cell under the middle of the picture's pixel p, along one side, or -1 outside of
 * [src, src + src_n). All lengths are at most 2^24 or so: doubles are exact enough that a cell is
 * off only where a pixel's middle is on its edge. */
static int32_t cell_of(int32_t p, int32_t src, int32_t src_n, int32_t dst, int32_t dst_n,
                       int32_t in_n, int32_t map_n)
{
    double at, cell;

    if (p < src || p - src >= src_n)
        return -1;
    at = (double)dst + ((double)p + 0.5 - (double)src) * (double)dst_n / (double)src_n;
    cell = at * (double)map_n / (double)in_n;
    if (!(cell > 0))
        return 0;
    return cell < map_n ? (int32_t)cell : map_n - 1;
}

void scree_segment_resize(const struct scree_head *head, const uint8_t *map,
                          const struct scree_fit *fit, int32_t w, int32_t h, int32_t *columns,
                          uint8_t *ret_classes)
{
    int32_t in_w = head->input < 0 ? head->w : head->in_w;
    int32_t in_h = head->input < 0 ? head->h : head->in_h;
    struct scree_fit whole = {{0, 0, w, h}, {0, 0, in_w, in_h}};

    if (!fit)
        fit = &whole;
    for (int32_t x = 0; x < w; x++)
        columns[x] = cell_of(x, fit->src.x, fit->src.w, fit->dst.x, fit->dst.w, in_w, head->w);
    for (int32_t y = 0; y < h; y++) {
        int32_t row = cell_of(y, fit->src.y, fit->src.h, fit->dst.y, fit->dst.h, in_h, head->h);
        uint8_t *line = ret_classes + (size_t)y * (size_t)w;

        if (row < 0) {
            memset(line, SCREE_CLASS_NONE, (size_t)w);
            continue;
        }
        for (int32_t x = 0; x < w; x++)
            line[x] = columns[x] < 0 ? SCREE_CLASS_NONE
                                     : map[(size_t)row * (size_t)head->w + (size_t)columns[x]];
    }
}

void scree_segment_count(const uint8_t *classes, size_t n, uint64_t ret_counts[256])
{
    for (size_t i = 0; i < n; i++)
        ret_counts[classes[i]]++;
}
