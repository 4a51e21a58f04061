/* tests/support/expect.h - what a tensor should hold, compared element by element.
 *
 * Integers and bools must be identical. Floats may differ by 1e-5 relative or, near zero,
 * EXPECT_ABSOLUTE: LiteRT's own kernels differ by more between machines. NaN matches NaN, and an
 * infinity itself. */
#ifndef SCREE_TESTS_EXPECT_H
#define SCREE_TESTS_EXPECT_H

#include <scree/scree.h>

#define EXPECT_ABSOLUTE 1e-6

/* The bytes of a file u8[*ret_n], to be freed with free(). Ends the program with status 2 and a
 * message if the file cannot be read. */
uint8_t *expect_read_file(const char *path, size_t *ret_n);

/* True for float32, float16 and float64. */
bool expect_is_float(enum scree_type type);

/* Element `index` of `bytes` as a number; `type` is one of the float types. */
double expect_float(enum scree_type type, const uint8_t *bytes, size_t index);

/* Whether element `index` of both is the same, by the rule above. `absolute` is EXPECT_ABSOLUTE but
 * for cases that say why they need more. */
bool expect_same(enum scree_type type, const uint8_t *got, const uint8_t *want, size_t index,
                 double absolute);

/* Writes element `index` to text[n] for people, and returns text. 40 bytes are enough. */
char *expect_print(char *text, size_t n, enum scree_type type, const uint8_t *bytes, size_t index);

/* Reads "1,2,4" to threads[max]; returns how many, 0 if the list is not one of numbers. */
uint32_t expect_threads(const char *list, int *threads, uint32_t max);

#endif
