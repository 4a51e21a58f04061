/* media/exif.h - which way up a picture was taken. */
#ifndef SCREE_MEDIA_EXIF_H
#define SCREE_MEDIA_EXIF_H

#include "base/error.h"

/* The orientation 1..8 in the EXIF block bytes u8[n_bytes], with or without "Exif\0\0" before its
 * TIFF header: the tag 0x112 of the first directory. 1 if the block has none, or one that is out of
 * range, or is damaged: a picture is not refused for its notes. Cannot fail; reads nothing outside
 * of the block and each entry once. Source: EXIF 2.32, sections 4.5 and 4.6. */
int32_t scree_exif_orientation(const uint8_t *bytes, size_t n_bytes);

#endif
