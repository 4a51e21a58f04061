/* Stretch, letterbox and crop: where a picture goes. */
#include <assert.h>
#include <math.h>

#include "base/checked.h"
#include "media/resize.h"

/* n * scale to the nearest whole number in [1, max]. */
static int32_t scale_side(int32_t n, double scale, int32_t max)
{
    return scree_clamp_i32((int32_t)lrint(n * scale), 1, max);
}

/* The rectangle of w x h in the middle of one of outer_w x outer_h. */
static struct scree_rect centered(int32_t w, int32_t h, int32_t outer_w, int32_t outer_h)
{
    return (struct scree_rect){(outer_w - w) / 2, (outer_h - h) / 2, w, h};
}

struct scree_fit scree_fit_plan(enum scree_fit_mode mode, int32_t src_w, int32_t src_h,
                                int32_t dst_w, int32_t dst_h)
{
    double scale_x = (double)dst_w / src_w, scale_y = (double)dst_h / src_h;
    struct scree_fit fit = {{0, 0, src_w, src_h}, {0, 0, dst_w, dst_h}};
    double scale;

    assert(src_w >= 1 && src_h >= 1 && dst_w >= 1 && dst_h >= 1);
    switch (mode) {
    case SCREE_FIT_STRETCH:
        break;
    case SCREE_FIT_LETTERBOX:
        scale = fmin(scale_x, scale_y);
        fit.dst = centered(scale_side(src_w, scale, dst_w), scale_side(src_h, scale, dst_h), dst_w,
                           dst_h);
        break;
    case SCREE_FIT_CROP:
        scale = fmin(1.0 / scale_x, 1.0 / scale_y);
        fit.src = centered(scale_side(dst_w, scale, src_w), scale_side(dst_h, scale, src_h), src_w,
                           src_h);
        break;
    }
    return fit;
}

void scree_fit_to_source(const struct scree_fit *fit, float *x, float *y)
{
    *x = (float)fit->src.x + (*x - (float)fit->dst.x) * (float)fit->src.w / (float)fit->dst.w;
    *y = (float)fit->src.y + (*y - (float)fit->dst.y) * (float)fit->src.h / (float)fit->dst.h;
}
