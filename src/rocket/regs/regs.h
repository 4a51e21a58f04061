/* rocket/regs/regs.h - command words, and names for the registers and fields of regs.inc.
 *
 * A register is SCREE_REG_CNA_CONV_CON1, its offset. A field is the pair of bit numbers
 * SCREE_FIELD_CNA_CONV_CON1_CONV_MODE_LOW and ..._HIGH, read and made with
 *
 *     mode = SCREE_FIELD_GET(CNA_CONV_CON1_CONV_MODE, value);
 *     value |= SCREE_FIELD_PUT(CNA_CONV_CON1_CONV_MODE, 3);
 *
 * Facts only: whoever makes streams and whoever runs them share this and no code.
 * Memory: none. Threads: no state. */
#ifndef SCREE_ROCKET_REGS_REGS_H
#define SCREE_ROCKET_REGS_REGS_H

#include <stdint.h>

enum scree_reg {
#define REG(block, name, offset) SCREE_REG_##block##_##name = (offset),
#define FIELD(block, reg, name, low, high)
#include "rocket/regs/regs.inc"
#undef REG
#undef FIELD
};

enum scree_field {
#define REG(block, name, offset)
#define FIELD(block, reg, name, low, high)              \
    SCREE_FIELD_##block##_##reg##_##name##_LOW = (low), \
    SCREE_FIELD_##block##_##reg##_##name##_HIGH = (high),
#include "rocket/regs/regs.inc"
#undef REG
#undef FIELD
};

/* The bits [high:low] of a value, shifted down. */
static inline uint32_t scree_bits(uint32_t value, unsigned low, unsigned high)
{
    return value >> low & (uint32_t)(UINT64_MAX >> (63 - (high - low)));
}

#define SCREE_FIELD_GET(field, value) \
    scree_bits((value), SCREE_FIELD_##field##_LOW, SCREE_FIELD_##field##_HIGH)
#define SCREE_FIELD_PUT(field, n)                                               \
    (scree_bits((n), 0, SCREE_FIELD_##field##_HIGH - SCREE_FIELD_##field##_LOW) \
     << SCREE_FIELD_##field##_LOW)

/* A command word is [63:48] target, [47:16] value, [15:0] offset: docs/regcmd.md, "Words". */
enum scree_target {
    SCREE_TARGET_NONE = 0x0000,    /* with value and offset 0: a word that does nothing */
    SCREE_TARGET_BARRIER = 0x0041, /* stands before the word that starts the blocks */
    SCREE_TARGET_ENABLE = 0x0081,  /* starts the blocks of the mask in its value */
    SCREE_TARGET_PC = 0x0101,
    SCREE_TARGET_CNA = 0x0201,
    SCREE_TARGET_CORE = 0x0801,
    SCREE_TARGET_DPU = 0x1001,
    SCREE_TARGET_RDMA = 0x2001,
    SCREE_TARGET_PPU = 0x4001,
    SCREE_TARGET_PPU_RDMA = 0x8001,
};

static inline uint32_t scree_word_target(uint64_t word)
{
    return (uint32_t)(word >> 48);
}

static inline uint32_t scree_word_value(uint64_t word)
{
    return (uint32_t)(word >> 16);
}

static inline uint32_t scree_word_offset(uint64_t word)
{
    return (uint32_t)(word & 0xffff);
}

static inline uint64_t scree_word(enum scree_target target, uint32_t offset, uint32_t value)
{
    return (uint64_t)target << 48 | (uint64_t)value << 16 | (offset & 0xffff);
}

/* The blocks that SCREE_TARGET_ENABLE starts. */
enum scree_enable {
    SCREE_ENABLE_CNA = 1 << 0,
    SCREE_ENABLE_CORE = 1 << 2,
    SCREE_ENABLE_DPU = 1 << 3,
    SCREE_ENABLE_RDMA = 1 << 4,
    SCREE_ENABLE_PPU = 1 << 5,
    SCREE_ENABLE_PPU_RDMA = 1 << 6,
};

/* The value of S_POINTER in every known stream: both register groups in turn for writer and
 * executer (bits 1 POINTER_PP_EN, 2 EXECUTER_PP_EN, 3 POINTER_PP_MODE). */
#define SCREE_S_POINTER_PING_PONG 0xeu

/* One core: the convolution buffer of 12 banks of 256 entries of 128 bytes, the atoms of its
 * layouts, and the shape of the multiplier array (int8). Source: TRM 36.1; Mesa's rkt_ml.h. */
enum scree_npu_limits {
    SCREE_NPU_CORES = 3,
    SCREE_NPU_BANKS = 12,
    SCREE_NPU_BANK_ENTRIES = 256,
    SCREE_NPU_ENTRY_BYTES = 128,
    SCREE_NPU_ATOM_BYTES = 16,    /* channels that lie together in a feature map */
    SCREE_NPU_KERNEL_GROUP = 32,  /* output channels of a pass */
    SCREE_NPU_CHANNEL_GROUP = 32, /* input channels of a pass */
    SCREE_NPU_DW_GROUP = 64,      /* channels of a depthwise pass */
};

#endif
