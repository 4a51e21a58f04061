#include "support/expect.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *expect_read_file(const char *path, size_t *ret_n)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    long n = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
    if (n < 0 || !bytes || fread(bytes, 1, (size_t)n, file) != (size_t)n) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    fclose(file);
    *ret_n = (size_t)n;
    return bytes;
}

bool expect_is_float(enum scree_type type)
{
    return type == SCREE_TYPE_FLOAT32 || type == SCREE_TYPE_FLOAT64 || type == SCREE_TYPE_FLOAT16;
}

static bool close_enough(double got, double want, double absolute)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    double difference = fabs(got - want);
    return difference <= absolute || difference <= 1e-5 * fabs(want);
}

/* The value of a half of IEEE 754. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31;
    double fraction = half & 1023, value;
    if (exponent == 31)
        value = fraction > 0 ? (double)NAN : (double)INFINITY;
    else
        value = exponent ? ldexp(fraction + 1024, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -value : value;
}

double expect_float(enum scree_type type, const uint8_t *bytes, size_t index)
{
    if (type == SCREE_TYPE_FLOAT64) {
        double value;
        memcpy(&value, bytes + 8 * index, 8);
        return value;
    }
    if (type == SCREE_TYPE_FLOAT16) {
        uint16_t half;
        memcpy(&half, bytes + 2 * index, 2);
        return half_value(half);
    }
    float value;
    memcpy(&value, bytes + 4 * index, 4);
    return (double)value;
}

char *expect_print(char *text, size_t n, enum scree_type type, const uint8_t *bytes, size_t index)
{
    size_t width = scree_type_bytes(type);
    bool is_signed = type != SCREE_TYPE_UINT8 && type != SCREE_TYPE_UINT16 &&
                     type != SCREE_TYPE_UINT32 && type != SCREE_TYPE_UINT64;
    uint64_t value = 0;
    if (expect_is_float(type)) {
        snprintf(text, n, "%.9g", expect_float(type, bytes, index));
        return text;
    }
    for (size_t i = width; i-- > 0;)
        value = value << 8 | bytes[width * index + i];
    if (is_signed && width < 8 && value >> (8 * width - 1))
        value |= UINT64_MAX << (8 * width);
    if (is_signed)
        snprintf(text, n, "%" PRId64, (int64_t)value);
    else
        snprintf(text, n, "%" PRIu64, value);
    return text;
}

bool expect_same(enum scree_type type, const uint8_t *got, const uint8_t *want, size_t index,
                 double absolute)
{
    size_t width = scree_type_bytes(type);
    if (expect_is_float(type))
        return close_enough(expect_float(type, got, index), expect_float(type, want, index),
                            absolute);
    return memcmp(got + index * width, want + index * width, width) == 0;
}

uint32_t expect_threads(const char *list, int *threads, uint32_t max)
{
    uint32_t n = 0;
    while (n < max && *list) {
        char *end;
        threads[n++] = (int)strtol(list, &end, 10);
        if (end == list || (*end && *end != ','))
            return 0;
        list = *end ? end + 1 : end;
    }
    return n;
}
