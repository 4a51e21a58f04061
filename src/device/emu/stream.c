#include "device/emu/stream.h"

#include <stdio.h>
#include <string.h>

struct reg_row {
    uint32_t offset;
    const char *name;
};

struct field_row {
    uint32_t offset;
    unsigned low, high;
};

static const struct reg_row reg_rows[] = {
#define REG(block, name, offset) {offset, #block "." #name},
#define FIELD(block, reg, name, low, high)
#include "rocket/regs/regs.inc"
#undef REG
#undef FIELD
};

static const struct field_row field_rows[] = {
#define REG(block, name, offset)
#define FIELD(block, reg, name, low, high) {SCREE_REG_##block##_##reg, low, high},
#include "rocket/regs/regs.inc"
#undef REG
#undef FIELD
};

/* Registers that a stream may fill with anything, since nothing here depends on them: pointers of
 * register groups, weight compression's amounts, tables that are bypassed, arbiters. */
static const struct {
    uint32_t first, last;
} free_rows[] = {
    {SCREE_REG_CNA_S_POINTER, SCREE_REG_CNA_S_POINTER},
    {SCREE_REG_CNA_CLK_GATE, SCREE_REG_CNA_CLK_GATE},
    {SCREE_REG_CORE_S_POINTER, SCREE_REG_CORE_S_POINTER},
    {SCREE_REG_CORE_MAC_GATING, SCREE_REG_CORE_MAC_GATING},
    {SCREE_REG_DPU_S_POINTER, SCREE_REG_DPU_S_POINTER},
    {SCREE_REG_DPU_EW_OP_VALUE_0, SCREE_REG_DPU_EW_OP_VALUE_7},
    {SCREE_REG_DPU_LUT_ACCESS_CFG, SCREE_REG_DPU_LUT_LO_SLOPE_SHIFT},
    {SCREE_REG_RDMA_S_POINTER, SCREE_REG_RDMA_S_POINTER},
    {SCREE_REG_RDMA_WEIGHT, SCREE_REG_RDMA_WEIGHT},
};

static const char *find_name(uint32_t offset)
{
    for (size_t i = 0; i < sizeof reg_rows / sizeof reg_rows[0]; i++)
        if (reg_rows[i].offset == offset)
            return reg_rows[i].name;
    return NULL;
}

const char *scree_emu_reg_name(uint32_t offset, char *text, size_t n)
{
    const char *name = find_name(offset);

    if (name)
        (void)snprintf(text, n, "%s", name);
    else
        (void)snprintf(text, n, "register 0x%04x", offset);
    return text;
}

/* The bits of a register that mean something. */
static uint32_t known_bits(uint32_t offset)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < sizeof free_rows / sizeof free_rows[0]; i++)
        if (offset >= free_rows[i].first && offset <= free_rows[i].last)
            return UINT32_MAX;
    for (size_t i = 0; i < sizeof field_rows / sizeof field_rows[0]; i++)
        if (field_rows[i].offset == offset)
            bits |= scree_bits(UINT32_MAX, 0, field_rows[i].high - field_rows[i].low)
                    << field_rows[i].low;
    return bits;
}

static int block_of(uint32_t target)
{
    switch (target) {
    case SCREE_TARGET_CNA:
        return SCREE_EMU_CNA;
    case SCREE_TARGET_CORE:
        return SCREE_EMU_CORE;
    case SCREE_TARGET_DPU:
        return SCREE_EMU_DPU;
    case SCREE_TARGET_RDMA:
        return SCREE_EMU_RDMA;
    default:
        return -1;
    }
}

/* The window of a block's registers, by its number: 0x1000, 0x3000, 0x4000, 0x5000. */
static uint32_t window_of(int block)
{
    static const uint32_t windows[SCREE_EMU_N_BLOCKS] = {0x1000, 0x3000, 0x4000, 0x5000};

    return windows[block];
}

static int write_register(struct scree_emu_regs *regs, size_t i, uint64_t word,
                          struct scree_error *err)
{
    uint32_t offset = scree_word_offset(word), value = scree_word_value(word);
    int block = block_of(scree_word_target(word));
    char name[64];
    uint32_t slot;

    if ((offset & 0xf000) != window_of(block) || !find_name(offset))
        return scree_fail(err, EBADMSG, "word %zu: target 0x%04x has no register 0x%04x", i,
                          scree_word_target(word), offset);
    if (value & ~known_bits(offset))
        return scree_fail(err, EBADMSG, "word %zu: %s: reserved bits 0x%08x are set", i,
                          scree_emu_reg_name(offset, name, sizeof name),
                          value & ~known_bits(offset));
    slot = (offset & 0xfff) / 4;
    regs->value[block][slot] = value;
    regs->written[block][slot] = true;
    return 0;
}

/* Words of the PC itself: only the pointers of a chain, which are not followed. */
static int write_pc(size_t i, uint64_t word, struct scree_error *err)
{
    uint32_t offset = scree_word_offset(word);

    if (offset == SCREE_REG_PC_BASE_ADDRESS || offset == SCREE_REG_PC_REGISTER_AMOUNTS)
        return 0;
    return scree_fail(err, EBADMSG, "word %zu: a stream does not write PC register 0x%04x", i,
                      offset);
}

static int enable(struct scree_emu_regs *regs, size_t i, uint64_t word, uint64_t previous,
                  struct scree_error *err)
{
    uint32_t mask = scree_word_value(word);

    if (previous != scree_word(SCREE_TARGET_BARRIER, 0, 0))
        return scree_fail(err, EBADMSG, "word %zu: enables without the barrier before it", i);
    if (scree_word_offset(word) != SCREE_REG_PC_OPERATION_ENABLE || mask == 0 || mask > 0x7f)
        return scree_fail(err, EBADMSG, "word %zu: enables with offset 0x%04x, mask 0x%x", i,
                          scree_word_offset(word), mask);
    regs->enabled = mask;
    return 0;
}

static int run_word(struct scree_emu_regs *regs, size_t i, uint64_t word, uint64_t previous,
                    struct scree_error *err)
{
    uint32_t target = scree_word_target(word);

    if (word == 0)
        return 0;
    if (regs->enabled)
        return scree_fail(err, EBADMSG, "word %zu: follows the one that enables", i);
    if (block_of(target) >= 0)
        return write_register(regs, i, word, err);
    switch (target) {
    case SCREE_TARGET_PC:
        return write_pc(i, word, err);
    case SCREE_TARGET_PPU:
    case SCREE_TARGET_PPU_RDMA: /* pooling is not modelled; its registers are not kept */
    case SCREE_TARGET_BARRIER:
        return 0;
    case SCREE_TARGET_ENABLE:
        return enable(regs, i, word, previous, err);
    default:
        return scree_fail(err, EBADMSG, "word %zu: no block has target 0x%04x", i, target);
    }
}

int scree_emu_stream_read(const volatile uint64_t *words, size_t n_words,
                          struct scree_emu_regs *ret_regs, struct scree_error *err)
{
    uint64_t previous = 0;

    memset(ret_regs, 0, sizeof *ret_regs);
    for (size_t i = 0; i < n_words; i++) {
        uint64_t word = words[i]; /* once: a program may write to it meanwhile */
        int rc = run_word(ret_regs, i, word, previous, err);

        if (rc < 0)
            return rc;
        previous = word;
    }
    if (!ret_regs->enabled)
        return scree_fail(err, EBADMSG, "%zu words and none that enables", n_words);
    return 0;
}

int scree_emu_regs_get(const struct scree_emu_regs *regs, enum scree_reg reg, uint32_t *ret_value,
                       struct scree_error *err)
{
    uint32_t slot = (reg & 0xfff) / 4;
    char name[64];

    for (int block = 0; block < SCREE_EMU_N_BLOCKS; block++) {
        if ((reg & 0xf000) != window_of(block))
            continue;
        if (!regs->written[block][slot])
            break;
        *ret_value = regs->value[block][slot];
        return 0;
    }
    return scree_fail(err, EBADMSG, "the task does not write %s",
                      scree_emu_reg_name(reg, name, sizeof name));
}
