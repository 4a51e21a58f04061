/* kernels/pooling_window.h - what the window of an output pixel sees of the picture.
 *
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_POOLING_WINDOW_H
#define SCREE_KERNELS_POOLING_WINDOW_H

#include "kernels/pooling.h"

/* `rows` x `cols` pixels, both >= 1, from element `first` of the input on, rows `pitch` elements
 * apart. */
struct scree_pooling_window {
    size_t first, rows, cols, pitch;
};

/* How many of the `filter` elements from `origin` on are in [0, size), and the first of them. */
static inline size_t scree_pooling_overlap(int32_t origin, int32_t filter, int32_t size,
                                           size_t *ret_first)
{
    int32_t begin = origin > 0 ? origin : 0;
    int64_t end = (int64_t)origin + filter;

    *ret_first = (size_t)begin;
    return (size_t)((end < size ? end : size) - begin);
}

/* The window of pixel out_x of row `row`, rows as in pooling.h. */
static inline struct scree_pooling_window scree_pooling_window_at(const struct scree_pooling *p,
                                                                  size_t row, int32_t out_x)
{
    size_t picture = row / (size_t)p->out_h, y, x;
    int32_t out_y = (int32_t)(row % (size_t)p->out_h);
    struct scree_pooling_window window;

    window.rows = scree_pooling_overlap(out_y * p->stride_h - p->pad_top, p->filter_h, p->in_h, &y);
    window.cols =
        scree_pooling_overlap(out_x * p->stride_w - p->pad_left, p->filter_w, p->in_w, &x);
    window.pitch = (size_t)p->in_w * (size_t)p->c;
    window.first = ((picture * (size_t)p->in_h + y) * (size_t)p->in_w + x) * (size_t)p->c;
    return window;
}

#endif
