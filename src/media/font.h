/* media/font.h - the built-in font: inside of src/media. */
#ifndef SCREE_MEDIA_FONT_H
#define SCREE_MEDIA_FONT_H

#include <stdbool.h>
#include <stdint.h>

/* Glyphs: 1 to 94 are ASCII 33 to 126. */
#define SCREE_GLYPH_UNKNOWN 0
#define SCREE_GLYPH_DEGREE  95

/* True if the pixel (x, y) of `glyph`, 0..95, is ink; x in [0, SCREE_GLYPH_W), y in [0,
 * SCREE_GLYPH_H). Cannot fail. */
bool scree_font_pixel(uint32_t glyph, uint32_t x, uint32_t y);

#endif
