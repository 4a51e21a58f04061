/* Five pixels of the result are a vector: a byte permutation brings four source pixels of each,
 * channel by channel, from where they are in a row to where VPDPBUSD multiplies them and adds them
 * up. Where five pixels are so far apart that 64 bytes do not hold their sources (beyond a scale of
 * 4), 128 do. What is made of the taps for that serves all rows. */
#include "kernels/kernels.h"
#include "kernels/x86/resample_digits.h"

#define INLINE static inline __attribute__((always_inline))

#define PIXELS 5

/* The fours of taps that are prepared, as many as a scale of 9 has; for more the variant for AVX2
 * is taken. */
#define MAX_FOURS 5

/* Five pixels of the result. */
struct group {
    __m512i digits[MAX_FOURS][3]; /* s8[15][4], of pixel i / 3; the 16th counts for nothing */
    __m512i order[MAX_FOURS];     /* the bytes of a row, from `start` on, for that */
    size_t start[MAX_FOURS];
    int32_t n;
};

/* The digits of the taps 4 * q to 4 * q + 3 of five pixels. */
INLINE void fill_digits(__m512i *digits, const int32_t *weights, size_t stride)
{
    const __m512i first = _mm512_setr_epi32(0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, 16, 16, 16, 16);
    __m512i four = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)weights));
    __m512i fifth =
        _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(weights + 4 * stride)));

    four = _mm512_inserti32x4(four, _mm_loadu_si128((const __m128i *)(weights + stride)), 1);
    four = _mm512_inserti32x4(four, _mm_loadu_si128((const __m128i *)(weights + 2 * stride)), 2);
    four = _mm512_inserti32x4(four, _mm_loadu_si128((const __m128i *)(weights + 3 * stride)), 3);
    four = scree_resample_digits(four);
    fifth = scree_resample_digits(fifth);
    for (int k = 0; k < 3; k++)
        digits[k] =
            _mm512_permutex2var_epi32(four, _mm512_add_epi32(first, _mm512_set1_epi32(k)), fifth);
}

/* Where the first taps of five pixels are, u8[16][4], from the bytes of the pixel `base` on. */
INLINE __m512i first_order(const int32_t *first, int32_t base)
{
    const __m512i pixel = _mm512_setr_epi32(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4);
    const __m512i channel = _mm512_setr_epi32(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0);
    const __m512i every = _mm512_set1_epi32(0x01010101), taps = _mm512_set1_epi32(0x09060300);
    __m512i at = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(_cvtu32_mask16(31), first),
                                  _mm512_set1_epi32(base));

    at = _mm512_permutexvar_epi32(pixel, at);
    at = _mm512_add_epi32(_mm512_add_epi32(at, at), _mm512_add_epi32(at, channel));
    return _mm512_add_epi8(_mm512_mullo_epi32(at, every), taps);
}

/* How far apart the first taps of five pixels are that a vector of `bytes` holds. */
#define APART(bytes) (((bytes)-12) / 3)

/* Fills a group for the five pixels from i on; returns the bytes that it looks at at once, 64 or
 * 128, or 0 if there is no such way. */
static size_t prepare(struct group *group, const struct scree_resample_taps *taps, int32_t i,
                      size_t n_bytes)
{
    const int32_t *first = taps->first + i;
    size_t stride = (size_t)taps->stride, size;
    int32_t low = first[0], high = first[0], n_taps = 1;
    __m512i order;

    for (int k = 0; k < PIXELS; k++) {
        low = first[k] < low ? first[k] : low;
        high = first[k] > high ? first[k] : high;
        n_taps = taps->n_taps[i + k] > n_taps ? taps->n_taps[i + k] : n_taps;
    }
    size = high - low <= APART(64) ? 64 : 128;
    if (high - low > APART(128) || n_bytes < size)
        return 0;
    order = first_order(first, low);
    group->n = (n_taps + 3) / 4;
    for (int32_t q = 0; q < group->n; q++) {
        size_t at = 3 * (size_t)low + 12 * (size_t)q, last = n_bytes - size;

        /* Near the end of a row the same bytes are farther behind in the last ones of it. */
        group->start[q] = at < last ? at : last;
        group->order[q] = _mm512_add_epi8(order, _mm512_set1_epi8((char)(at - group->start[q])));
        fill_digits(group->digits[q], taps->weights + (size_t)i * stride + 4 * (size_t)q, stride);
    }
    return size;
}

/* Five pixels of a row, and a byte. */
INLINE __m128i make_pixels(const struct group *group, const uint8_t *in, int32_t n, bool wide)
{
    __m512i sums = _mm512_set1_epi32(SCREE_RESAMPLE_START), bytes[MAX_FOURS];

    for (int32_t q = 0; q < n; q++) {
        const uint8_t *from = in + group->start[q];

        bytes[q] = _mm512_loadu_si512(from);
        bytes[q] = wide ? _mm512_permutex2var_epi8(bytes[q], group->order[q],
                                                   _mm512_loadu_si512(from + 64))
                        : _mm512_permutexvar_epi8(group->order[q], bytes[q]);
    }
    for (int digit = 2; digit >= 0; digit--) {
        for (int32_t q = 0; q < n; q++)
            sums = _mm512_dpbusd_epi32(sums, bytes[q], group->digits[q][digit]);
        if (digit > 0)
            sums = _mm512_slli_epi32(sums, 8);
    }
    return _mm512_cvtusepi32_epi8(_mm512_srli_epi32(sums, SCREE_RESAMPLE_BITS));
}

/* A row of pixels in each of n_rows rows, with a group of n fours of taps. `last`: only 15 bytes
 * are stored. */
struct rows {
    const uint8_t *in;
    uint8_t *out;
    size_t in_stride, out_stride;
    int32_t n;
    bool last;
};

INLINE void run(const struct group *group, struct rows rows, int32_t n, bool wide)
{
    for (int32_t y = 0; y < rows.n; y++) {
        __m128i pixels = make_pixels(group, rows.in, n, wide);

        if (rows.last)
            _mm_mask_storeu_epi8(rows.out, _cvtu32_mask16(0x7fff), pixels);
        else
            _mm_storeu_si128((__m128i *)rows.out, pixels);
        rows.in += rows.in_stride;
        rows.out += rows.out_stride;
    }
}

/* Loops whose vectors are in registers. */
static void run_group(const struct group *group, struct rows rows, bool wide)
{
    switch (group->n) {
    case 1:
        wide ? run(group, rows, 1, true) : run(group, rows, 1, false);
        break;
    case 2:
        wide ? run(group, rows, 2, true) : run(group, rows, 2, false);
        break;
    case 3:
        wide ? run(group, rows, 3, true) : run(group, rows, 3, false);
        break;
    case 4:
        wide ? run(group, rows, 4, true) : run(group, rows, 4, false);
        break;
    default:
        wide ? run(group, rows, MAX_FOURS, true) : run(group, rows, MAX_FOURS, false);
        break;
    }
}

void scree_resample_rgb_avx512vbmi(const struct scree_resample_taps *taps, const uint8_t *in,
                                   size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                                   size_t out_stride)
{
    int32_t n_out = taps->n_out;
    struct group group;

    if (taps->stride > 4 * MAX_FOURS || n_out < PIXELS) {
        scree_resample_rgb_avx2(taps, in, in_stride, n_in, n_rows, out, out_stride);
        return;
    }
    /* The byte after five pixels is written over by the next ones. The last five begin where they
     * are five. */
    for (int32_t i = 0; i < n_out; i += PIXELS) {
        int32_t from = i + PIXELS < n_out ? i : n_out - PIXELS;
        size_t size = prepare(&group, taps, from, 3 * (size_t)n_in);
        struct rows rows = {in,     out + 3 * (size_t)from, in_stride, out_stride,
                            n_rows, from == n_out - PIXELS};

        if (size > 0)
            run_group(&group, rows, size > 64);
        else
            for (int32_t y = 0; y < n_rows; y++)
                scree_resample_rgb_part(taps, in + (size_t)y * in_stride,
                                        out + (size_t)y * out_stride, from, from + PIXELS);
    }
}
