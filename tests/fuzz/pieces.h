/* tests/fuzz/pieces.h - an input of several pieces, with a line "--" between each two.
 *
 *     first = take_piece(&bytes, &n_bytes, &n_first);
 *
 * Behind the last piece all others are empty. Memory: pieces are within the input. */
#ifndef SCREE_TESTS_PIECES_H
#define SCREE_TESTS_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is before the next line "--" of *at u8[*n], which is then behind it: u8[*ret_n]. */
static inline const uint8_t *take_piece(const uint8_t **at, size_t *n, size_t *ret_n)
{
    static const char between[] = "\n--\n";
    const uint8_t *piece = *at, *end = *n ? memmem(*at, *n, between, sizeof between - 1) : NULL;
    size_t whole = end ? (size_t)(end - piece) + sizeof between - 1 : *n;

    *ret_n = end ? (size_t)(end - piece) : *n;
    *at += whole;
    *n -= whole;
    return piece;
}

#endif
