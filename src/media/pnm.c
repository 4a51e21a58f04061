/* PPM and PGM, plain (P2, P3) and raw (P5, P6). Source: the netpbm manual's format pages. Samples
 * are scaled to 0..255 as Pillow scales those of a PPM: to the nearest, ties to even. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "media/decode.h"

struct netpbm {
    const uint8_t *bytes;
    size_t n_bytes;
    size_t offset; /* of what is read next */
    int32_t w, h, max;
    bool plain;
    size_t channels;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool pnm_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
           (is_space(bytes[2]) || bytes[2] == '#');
}

/* Over white space and comments, which go from # to the end of the line. */
static void skip_space(struct netpbm *pnm)
{
    bool comment = false;

    for (; pnm->offset < pnm->n_bytes; pnm->offset++) {
        uint8_t c = pnm->bytes[pnm->offset];

        if (comment)
            comment = c != '\n' && c != '\r';
        else if (c == '#')
            comment = true;
        else if (!is_space(c))
            return;
    }
}

/* A number in [0, max]. */
static int read_number(struct netpbm *pnm, const char *what, int32_t max, int32_t *ret,
                       struct scree_error *err)
{
    int64_t number = 0;
    size_t start;

    skip_space(pnm);
    if (pnm->offset == pnm->n_bytes)
        return scree_fail(err, EBADMSG, "PNM: the file is cut short");
    start = pnm->offset;
    for (; pnm->offset < pnm->n_bytes; pnm->offset++) {
        uint8_t c = pnm->bytes[pnm->offset];

        if (c < '0' || c > '9')
            break;
        number = number * 10 + (c - '0');
        if (number > max)
            return scree_fail(err, EBADMSG, "PNM: a %s is over %d", what, max);
    }
    if (pnm->offset == start)
        return scree_fail(err, EBADMSG, "PNM: a %s is not a number", what);
    *ret = (int32_t)number;
    return 0;
}

static int read_header(const uint8_t *bytes, size_t n_bytes, struct netpbm *ret,
                       struct scree_error *err)
{
    uint8_t kind = bytes[1];
    int rc;

    *ret = (struct netpbm){.bytes = bytes, .n_bytes = n_bytes, .offset = 2};
    if (kind == '1' || kind == '4' || kind == '7')
        return scree_fail(err, ENOTSUP, "PNM: the kind P%c is not supported", kind);
    ret->plain = kind <= '3';
    ret->channels = kind == '3' || kind == '6' ? 3 : 1;
    rc = read_number(ret, "width", INT32_MAX, &ret->w, err);
    if (rc == 0)
        rc = read_number(ret, "height", INT32_MAX, &ret->h, err);
    if (rc == 0)
        rc = read_number(ret, "maximum", 65535, &ret->max, err);
    if (rc < 0)
        return rc;
    if (ret->w < 1 || ret->h < 1 || ret->max < 1)
        return scree_fail(err, EBADMSG, "PNM: %d x %d pixels up to %d", ret->w, ret->h, ret->max);
    if (ret->offset == n_bytes || !is_space(bytes[ret->offset]))
        return scree_fail(err, EBADMSG, "PNM: no space behind the header");
    ret->offset++;
    return 0;
}

static int pnm_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                     struct scree_error *err)
{
    struct netpbm pnm;
    int rc = read_header(bytes, n_bytes, &pnm, err);

    if (rc < 0)
        return rc;
    info->w = pnm.w;
    info->h = pnm.h;
    return 0;
}

static uint8_t scale_sample(int32_t sample, int32_t max)
{
    if (max == 255)
        return (uint8_t)sample;
    return (uint8_t)lrint(sample / (double)max * 255.0);
}

/* The next sample in [0, max]; a raw one that is more counts as max. */
static int read_sample(struct netpbm *pnm, int32_t *ret, struct scree_error *err)
{
    const uint8_t *p = pnm->bytes + pnm->offset;
    size_t width = pnm->max > 255 ? 2 : 1;

    if (pnm->plain)
        return read_number(pnm, "sample", pnm->max, ret, err);
    if (!scree_range_fits(pnm->offset, width, pnm->n_bytes))
        return scree_fail(err, EBADMSG, "PNM: the file is cut short");
    pnm->offset += width;
    *ret = scree_min_i32((int32_t)(width == 2 ? scree_get_be16(p) : p[0]), pnm->max);
    return 0;
}

static int pnm_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                      struct scree_rows *rows, struct scree_error *err)
{
    size_t n_pixels = (size_t)info->w * (size_t)info->h;
    uint8_t *pixels = rows->pixels;
    struct netpbm pnm;
    int32_t sample;
    int rc = read_header(bytes, n_bytes, &pnm, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n_pixels; i++) {
        for (size_t c = 0; c < pnm.channels; c++) {
            rc = read_sample(&pnm, &sample, err);
            if (rc < 0)
                return rc;
            pixels[3 * i + c] = scale_sample(sample, pnm.max);
        }
        if (pnm.channels == 1)
            memset(pixels + 3 * i, pixels[3 * i], 3);
    }
    return 0;
}

const struct scree_decoder scree_pnm_decoder = {pnm_matches, pnm_probe, pnm_decode};
