/* base/load.h - little-endian numbers from bytes of any alignment. */
#ifndef SCREE_BASE_LOAD_H
#define SCREE_BASE_LOAD_H

#include <stdint.h>

/* The number in p u8[2], u8[4], u8[8]. Compilers make one load of each. */
static inline uint16_t scree_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t scree_load_u32(const uint8_t *p)
{
    return (uint32_t)scree_load_u16(p) | (uint32_t)scree_load_u16(p + 2) << 16;
}

static inline uint64_t scree_load_u64(const uint8_t *p)
{
    return (uint64_t)scree_load_u32(p) | (uint64_t)scree_load_u32(p + 4) << 32;
}

#endif
