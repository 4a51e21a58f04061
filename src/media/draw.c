#include "media/draw.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "media/font.h"

#define MAX_TEXT_SCALE 64

/* Coordinates beyond this are brought to it: far outside of any image, and exact in what follows.
 */
#define FAR 1e9

/* ---- filling
 */

static void blend(uint8_t *pixel, struct scree_color color, uint32_t alpha)
{
    uint32_t rest = 255 - alpha;

    pixel[0] = (uint8_t)((pixel[0] * rest + color.r * alpha + 127) / 255);
    pixel[1] = (uint8_t)((pixel[1] * rest + color.g * alpha + 127) / 255);
    pixel[2] = (uint8_t)((pixel[2] * rest + color.b * alpha + 127) / 255);
}

static uint8_t *pixel_at(struct scree_image *image, int64_t x, int64_t y)
{
    return image->pixels + 3 * ((size_t)y * (size_t)image->w + (size_t)x);
}

static int64_t clamp_i64(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

/* Blends the part of [x0, x1) x [y0, y1) that is in the image. */
static void fill(struct scree_image *image, int64_t x0, int64_t y0, int64_t x1, int64_t y1,
                 struct scree_color color, uint8_t alpha)
{
    assert(image->channels == 3);
    x0 = clamp_i64(x0, 0, image->w);
    x1 = clamp_i64(x1, 0, image->w);
    y0 = clamp_i64(y0, 0, image->h);
    y1 = clamp_i64(y1, 0, image->h);
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++)
            blend(pixel_at(image, x, y), color, alpha);
}

void scree_draw_fill(struct scree_image *image, struct scree_rect rect, struct scree_color color,
                     uint8_t alpha)
{
    fill(image, rect.x, rect.y, (int64_t)rect.x + rect.w, (int64_t)rect.y + rect.h, color, alpha);
}

/* ---- colours and sizes
 */

static uint8_t to_byte(double x)
{
    return (uint8_t)lrint(x * 255.0);
}

struct scree_color scree_draw_palette(uint32_t index)
{
    const double golden = 0.6180339887498949, strong = 0.8, bright = 0.95;
    double hue = 6.0 * fmod(0.05 + index * golden, 1.0);
    double low = bright * (1.0 - strong);
    double mid = bright * (1.0 - strong * fabs(fmod(hue, 2.0) - 1.0));
    uint8_t v = to_byte(bright), p = to_byte(low), t = to_byte(mid);

    switch ((int)hue) {
    case 0:
        return (struct scree_color){v, t, p};
    case 1:
        return (struct scree_color){t, v, p};
    case 2:
        return (struct scree_color){p, v, t};
    case 3:
        return (struct scree_color){p, t, v};
    case 4:
        return (struct scree_color){t, p, v};
    default:
        return (struct scree_color){v, p, t};
    }
}

struct scree_color scree_draw_contrast(struct scree_color background)
{
    uint32_t luma = (299u * background.r + 587u * background.g + 114u * background.b) / 1000;
    uint8_t level = luma >= 128 ? 0 : 255;

    return (struct scree_color){level, level, level};
}

int32_t scree_draw_line_width(const struct scree_image *image)
{
    return 2 + scree_max_i32(image->w, image->h) / 1000;
}

int32_t scree_draw_text_scale(const struct scree_image *image)
{
    return scree_clamp_i32((scree_max_i32(image->w, image->h) + 320) / 800, 1, MAX_TEXT_SCALE);
}

/* ---- shapes
 */

static int64_t to_pixel(float x)
{
    return llrint(fmin(fmax(x, -FAR), FAR));
}

void scree_draw_box(struct scree_image *image, float x0, float y0, float x1, float y1,
                    int32_t width, struct scree_color color)
{
    int64_t left, right, top, bottom, line = scree_max_i32(width, 1);

    if (isnan(x0) || isnan(y0) || isnan(x1) || isnan(y1))
        return;
    left = to_pixel(fminf(x0, x1));
    right = to_pixel(fmaxf(x0, x1));
    top = to_pixel(fminf(y0, y1));
    bottom = to_pixel(fmaxf(y0, y1));
    if (right - left <= 2 * line || bottom - top <= 2 * line) {
        fill(image, left, top, right, bottom, color, 255);
        return;
    }
    fill(image, left, top, right, top + line, color, 255);
    fill(image, left, bottom - line, right, bottom, color, 255);
    fill(image, left, top + line, left + line, bottom - line, color, 255);
    fill(image, right - line, top + line, right, bottom - line, color, 255);
}

struct point {
    double x, y;
};

/* An interval of x, empty while low > high. */
struct span {
    double low, high;
};

static void span_add(struct span *span, double x)
{
    span->low = fmin(span->low, x);
    span->high = fmax(span->high, x);
}

static void span_add_disc(struct span *span, struct point center, double radius, double y)
{
    double dy = y - center.y;
    double half = radius * radius - dy * dy;

    if (half < 0)
        return;
    span_add(span, center.x - sqrt(half));
    span_add(span, center.x + sqrt(half));
}

/* The point of the edge a-b at height y, if there is one. */
static void span_add_edge(struct span *span, struct point a, struct point b, double y)
{
    if (a.y != b.y && (a.y <= y) != (b.y <= y))
        span_add(span, a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y));
}

/* Where the row at height y meets all points within radius of the line a-b. The shape is convex, so
 * that is one interval: from the least to the greatest of where the row meets the two discs and the
 * four edges of the rectangle between them. */
static struct span row_of_line(struct point a, struct point b, double radius, double y)
{
    struct span span = {INFINITY, -INFINITY};
    double length = hypot(b.x - a.x, b.y - a.y);

    span_add_disc(&span, a, radius, y);
    span_add_disc(&span, b, radius, y);
    if (length > 0) {
        double nx = (a.y - b.y) / length * radius, ny = (b.x - a.x) / length * radius;
        struct point a1 = {a.x + nx, a.y + ny}, a2 = {a.x - nx, a.y - ny};
        struct point b1 = {b.x + nx, b.y + ny}, b2 = {b.x - nx, b.y - ny};

        span_add_edge(&span, a1, b1, y);
        span_add_edge(&span, b1, b2, y);
        span_add_edge(&span, b2, a2, y);
        span_add_edge(&span, a2, a1, y);
    }
    return span;
}

/* Shortens [*t0, *t1] to where low <= start + t * delta <= high; false if that is nowhere. */
static bool clip_axis(double start, double delta, double low, double high, double *t0, double *t1)
{
    double ta = (low - start) / delta, tb = (high - start) / delta;

    if (delta == 0)
        return start >= low && start <= high;
    *t0 = fmax(*t0, fmin(ta, tb));
    *t1 = fmin(*t1, fmax(ta, tb));
    return *t0 <= *t1;
}

/* Cuts off what is more than `margin` outside of the image; false if nothing remains. */
static bool clip_line(const struct scree_image *image, double margin, struct point *a,
                      struct point *b)
{
    struct point start = *a;
    double dx = b->x - a->x, dy = b->y - a->y, t0 = 0, t1 = 1;

    if (!clip_axis(start.x, dx, -margin, image->w + margin, &t0, &t1) ||
        !clip_axis(start.y, dy, -margin, image->h + margin, &t0, &t1))
        return false;
    *a = (struct point){start.x + t0 * dx, start.y + t0 * dy};
    *b = (struct point){start.x + t1 * dx, start.y + t1 * dy};
    return true;
}

static struct point near_point(float x, float y)
{
    return (struct point){fmin(fmax(x, -FAR), FAR), fmin(fmax(y, -FAR), FAR)};
}

static void draw_line(struct scree_image *image, struct point a, struct point b, double radius,
                      struct scree_color color)
{
    int64_t top, bottom;

    if (!clip_line(image, radius, &a, &b))
        return;
    top = clamp_i64((int64_t)floor(fmin(a.y, b.y) - radius), 0, image->h);
    bottom = clamp_i64((int64_t)ceil(fmax(a.y, b.y) + radius), 0, image->h);
    for (int64_t y = top; y < bottom; y++) {
        struct span span = row_of_line(a, b, radius, (double)y + 0.5);

        if (span.low <= span.high)
            fill(image, (int64_t)ceil(span.low - 0.5), y, (int64_t)floor(span.high - 0.5) + 1,
                 y + 1, color, 255);
    }
}

void scree_draw_line(struct scree_image *image, float x0, float y0, float x1, float y1, float width,
                     struct scree_color color)
{
    if (isnan(x0) || isnan(y0) || isnan(x1) || isnan(y1) || isnan(width))
        return;
    draw_line(image, near_point(x0, y0), near_point(x1, y1), fmin(fmax(width, 1.0), FAR) / 2,
              color);
}

void scree_draw_disc(struct scree_image *image, float x, float y, float radius,
                     struct scree_color color)
{
    struct point center = near_point(x, y);

    if (isnan(x) || isnan(y) || isnan(radius))
        return;
    draw_line(image, center, center, fmin(fmax(radius, 0.5), FAR), color);
}

/* ---- text
 */

/* The glyph of the character that *text starts with, and *text behind it. A byte that is not ASCII
 * takes the continuation bytes behind it along. */
static uint32_t next_glyph(const char **text)
{
    const uint8_t *p = (const uint8_t *)*text;
    uint8_t c = *p++;
    uint32_t glyph = SCREE_GLYPH_UNKNOWN;

    if (c > ' ' && c < 0x7f)
        glyph = c - (uint32_t)' ';
    else if (c == 0xc2 && *p == 0xb0)
        glyph = SCREE_GLYPH_DEGREE;
    if (c >= 0x80)
        while ((*p & 0xc0) == 0x80)
            p++;
    *text = (const char *)p;
    return glyph;
}

static void draw_glyph(struct scree_image *image, int64_t left, int64_t top, uint32_t glyph,
                       int32_t scale, struct scree_color color)
{
    if (left >= image->w || top >= image->h || left + SCREE_GLYPH_W * scale <= 0 ||
        top + SCREE_GLYPH_H * scale <= 0)
        return;
    for (uint32_t y = 0; y < SCREE_GLYPH_H; y++)
        for (uint32_t x = 0; x < SCREE_GLYPH_W; x++)
            if (scree_font_pixel(glyph, x, y))
                fill(image, left + x * scale, top + y * scale, left + (x + 1) * scale,
                     top + (y + 1) * scale, color, 255);
}

void scree_draw_text(struct scree_image *image, int32_t x, int32_t y, const char *text,
                     int32_t scale, struct scree_color color)
{
    int64_t left = x, top = y;

    scale = scree_clamp_i32(scale, 1, MAX_TEXT_SCALE);
    while (*text) {
        if (*text == '\n') {
            left = x;
            top += SCREE_GLYPH_H * scale;
            text++;
            continue;
        }
        if (*text == ' ')
            text++;
        else
            draw_glyph(image, left, top, next_glyph(&text), scale, color);
        left += SCREE_GLYPH_W * scale;
    }
}

/* The longest line in characters, and the number of lines. */
static void measure(const char *text, int64_t *ret_columns, int64_t *ret_lines)
{
    int64_t columns = 0, longest = 0, lines = 1;

    while (*text) {
        if (*text == '\n') {
            columns = 0;
            lines++;
            text++;
            continue;
        }
        (void)next_glyph(&text);
        columns++;
        longest = columns > longest ? columns : longest;
    }
    *ret_columns = longest;
    *ret_lines = lines;
}

int32_t scree_draw_text_width(const char *text)
{
    int64_t columns, lines;

    measure(text, &columns, &lines);
    return (int32_t)clamp_i64(columns * SCREE_GLYPH_W, 0, INT32_MAX / MAX_TEXT_SCALE);
}

void scree_draw_tag(struct scree_image *image, float x, float y, const char *text, int32_t scale,
                    struct scree_color color)
{
    int64_t columns, lines, w, h, left, top;

    if (isnan(x) || isnan(y))
        return;
    scale = scree_clamp_i32(scale, 1, MAX_TEXT_SCALE);
    measure(text, &columns, &lines);
    w = (columns * SCREE_GLYPH_W + 4) * scale;
    h = lines * SCREE_GLYPH_H * scale;
    left = clamp_i64(to_pixel(x), 0, w < image->w ? image->w - w : 0);
    top = to_pixel(y) - h;
    if (top < 0)
        top += h;
    top = clamp_i64(top, 0, h < image->h ? image->h - h : 0);
    fill(image, left, top, left + w, top + h, color, 255);
    scree_draw_text(image, (int32_t)left + 2 * scale, (int32_t)top, text, scale,
                    scree_draw_contrast(color));
}
