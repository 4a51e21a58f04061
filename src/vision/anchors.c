#include "vision/anchors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The scale of the extra anchor on the lowest map when its boxes are reduced. */
#define LOWEST_SCALE 0.1f

void scree_anchor_scales(struct scree_anchor_spec *spec, float min_scale, float max_scale)
{
    uint32_t n = spec->n_maps;

    for (uint32_t i = 0; i < n; i++)
        spec->scales[i] = n == 1 ? min_scale
                                 : min_scale + (max_scale - min_scale) * (float)i / (float)(n - 1);
    spec->scales[n] = 1;
}

/* The shapes of the anchors on each cell of a map. */
struct shapes {
    uint32_t n;
    float h[SCREE_ANCHOR_MAX_RATIOS + 1], w[SCREE_ANCHOR_MAX_RATIOS + 1];
};

static void add_shape(struct shapes *shapes, const struct scree_anchor_spec *spec, float scale,
                      float ratio)
{
    shapes->h[shapes->n] = scale / sqrtf(ratio) * spec->base_h;
    shapes->w[shapes->n] = scale * sqrtf(ratio) * spec->base_w;
    shapes->n++;
}

static struct shapes map_shapes(const struct scree_anchor_spec *spec, uint32_t map)
{
    const float *s = spec->scales;
    struct shapes shapes = {0};

    if (map == 0 && spec->reduce_lowest) {
        add_shape(&shapes, spec, LOWEST_SCALE, 1);
        add_shape(&shapes, spec, s[0], 2);
        add_shape(&shapes, spec, s[0], 0.5f);
        return shapes;
    }
    for (uint32_t i = 0; i < spec->n_ratios; i++)
        add_shape(&shapes, spec, s[map], spec->ratios[i]);
    if (spec->interpolated_ratio > 0)
        add_shape(&shapes, spec, sqrtf(s[map] * s[map + 1]), spec->interpolated_ratio);
    return shapes;
}

static int32_t map_side(int32_t side, int32_t stride, int32_t input)
{
    return stride > 0 ? (input - 1) / stride + 1 : side;
}

/* Writes the anchors of one map to *anchor and on; returns where the next go. */
static struct scree_anchor *fill_map(const struct shapes *shapes, int32_t map_h, int32_t map_w,
                                     struct scree_anchor *anchor)
{
    for (int32_t y = 0; y < map_h; y++)
        for (int32_t x = 0; x < map_w; x++)
            for (uint32_t i = 0; i < shapes->n; i++)
                *anchor++ = (struct scree_anchor){
                    .cy = ((float)y + 0.5f) / (float)map_h,
                    .cx = ((float)x + 0.5f) / (float)map_w,
                    .h = shapes->h[i],
                    .w = shapes->w[i],
                };
    return anchor;
}

/* The number of anchors on all maps: below 16 * 4096 * 4096 * 17, which 64 bits hold. */
static uint64_t count(const struct scree_anchor_spec *spec, const struct shapes *shapes,
                      const int32_t *map_h, const int32_t *map_w)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < spec->n_maps; i++)
        n += (uint64_t)map_h[i] * (uint64_t)map_w[i] * shapes[i].n;
    return n;
}

int scree_anchors_new(const struct scree_anchor_spec *spec, int32_t in_h, int32_t in_w,
                      struct scree_anchor **ret_anchors, uint32_t *ret_n, struct scree_error *err)
{
    struct shapes shapes[SCREE_ANCHOR_MAX_MAPS];
    int32_t map_h[SCREE_ANCHOR_MAX_MAPS], map_w[SCREE_ANCHOR_MAX_MAPS];
    struct scree_anchor *anchors, *next;
    uint64_t n = spec->n_list;

    for (uint32_t i = 0; i < spec->n_maps; i++) {
        shapes[i] = map_shapes(spec, i);
        map_h[i] = map_side(spec->map_h[i], spec->strides[i], in_h);
        map_w[i] = map_side(spec->map_w[i], spec->strides[i], in_w);
    }
    if (n == 0)
        n = count(spec, shapes, map_h, map_w);
    if (n == 0)
        return scree_fail(err, EBADMSG, "no anchors");
    if (n > SCREE_MAX_BOXES)
        return scree_fail(err, E2BIG, "%llu anchors are over %d", (unsigned long long)n,
                          SCREE_MAX_BOXES);
    anchors = malloc((size_t)n * sizeof *anchors);
    if (!anchors)
        return scree_fail_memory(err, (size_t)n * sizeof *anchors);
    next = anchors;
    if (spec->n_list > 0)
        memcpy(anchors, spec->list, (size_t)n * sizeof *anchors);
    else
        for (uint32_t i = 0; i < spec->n_maps; i++)
            next = fill_map(&shapes[i], map_h[i], map_w[i], next);
    *ret_anchors = anchors;
    *ret_n = (uint32_t)n;
    return 0;
}
