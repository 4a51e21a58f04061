/* media/draw.h - results drawn into a picture.
 *
 * Everything is clipped to the image: any coordinate is legal, also infinities; a shape with a NaN
 * in it is not drawn. Coordinates are in pixels; the pixel (0, 0) covers [0, 1) x [0, 1).
 * Images have 3 channels.
 *
 * Memory: none. Threads: no shared state. No function here can fail. */
#ifndef SCREE_MEDIA_DRAW_H
#define SCREE_MEDIA_DRAW_H

#include "media/image.h"
#include "media/resize.h"

struct scree_color {
    uint8_t r, g, b;
};

/* The size of one character at scale 1. */
#define SCREE_GLYPH_W 8
#define SCREE_GLYPH_H 16

/* Colour `index` of an endless palette whose neighbours differ well: hues a golden ratio of the
 * circle apart, strong and bright. The same index gives the same colour always. */
struct scree_color scree_draw_palette(uint32_t index);

/* Black or white, whichever is easier to read on `background`. */
struct scree_color scree_draw_contrast(struct scree_color background);

/* The line width and text scale that suit a picture of this size: 2 and 1 at 640 x 480, growing
 * with the longer side. */
int32_t scree_draw_line_width(const struct scree_image *image);
int32_t scree_draw_text_scale(const struct scree_image *image);

/* Blends `rect` with `color`: alpha 0 leaves the picture, 255 replaces it. A rectangle without area
 * or with a negative side is nothing. */
void scree_draw_fill(struct scree_image *image, struct scree_rect rect, struct scree_color color,
                     uint8_t alpha);

/* A frame `width` pixels wide (at least 1), its outer edge on the box [x0, x1) x [y0, y1) rounded
 * to pixels. The corners may come in any order. */
void scree_draw_box(struct scree_image *image, float x0, float y0, float x1, float y1,
                    int32_t width, struct scree_color color);

/* A line from (x0, y0) to (x1, y1), `width` wide, with round ends. */
void scree_draw_line(struct scree_image *image, float x0, float y0, float x1, float y1, float width,
                     struct scree_color color);

/* A filled disc. */
void scree_draw_disc(struct scree_image *image, float x, float y, float radius,
                     struct scree_color color);

/* Text in the built-in font, each font pixel `scale` x `scale` pixels (1 to 64; other values are
 * brought into that range); (x, y) is the left upper corner. The text is UTF-8: ASCII and the
 * degree sign have glyphs, any other character is drawn as an open box. A newline starts a new line
 * below. */
void scree_draw_text(struct scree_image *image, int32_t x, int32_t y, const char *text,
                     int32_t scale, struct scree_color color);

/* The width in pixels of the longest line of `text` at scale 1, at most INT32_MAX / 64. */
int32_t scree_draw_text_width(const char *text);

/* A label for a box whose left upper corner is (x, y): the text in black or white on a filled tag
 * that stands on the corner, or inside the box if there is no room above; moved so that as much of
 * it as possible is in the picture. */
void scree_draw_tag(struct scree_image *image, float x, float y, const char *text, int32_t scale,
                    struct scree_color color);

#endif
