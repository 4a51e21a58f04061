#include "rocket/probe.h"

#include "rocket/regs/regs.h"

enum { IN = 16, OUT = 14, CHANNELS = 16, FILTERS = 16, TAPS = 3 };

/* What the stream writes, in Mesa's order, which writes a few registers twice; the four addresses
 * are put in their places afterwards. Source: the stream that Mesa 26.2.6 makes for this geometry,
 * with other numbers for what follows from scales and zero points. */
static const struct {
    uint16_t target, offset;
    uint32_t value;
} writes[] = {
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CBUF_CON0, 0xb1}, /* 11 banks for weights, 1 for features */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_REGNUM, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_CTRL, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CONV_CON1, 0},   /* int8 */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_S_POINTER, 0xe}, /* both register groups in turn */
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_S_POINTER, 0xe},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CONV_CON1, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CONV_CON2, 0x340},        /* feature grains */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CONV_CON3, 9},            /* stride 1x1 */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DATA_SIZE0, 0x100010},    /* 16x16 pixels */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DATA_SIZE1, 0xf0010},     /* 16 channels */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DATA_SIZE2, 0xe},         /* 14 pixels a row of the result */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DATA_SIZE3, 0xc4},        /* 14 * 14 pixels of the result */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_WEIGHT_SIZE0, 0x900},     /* bytes of all filters */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_WEIGHT_SIZE1, 0x90},      /* bytes of a filter */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_WEIGHT_SIZE2, 0x3030010}, /* 3x3, 16 filters */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CBUF_CON0, 0xb1},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CBUF_CON1, 4}, /* buffer entries a line */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON0, 0xb},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON1, 0x10000},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON2, 0x10000},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON3, 0x10000},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON4, 0x10000},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FC_CON0, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FC_CON1, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_PAD_CON0, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FEATURE_DATA_ADDR, 0}, /* places->input */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FC_CON2, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DMA_CON0, 0xf000f},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DMA_CON1, 0x40}, /* a line: 4 * 16 */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DMA_CON2, 0xc0}, /* to the next surface: 16 * 16 - 4 * 16 */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FC_DATA_SIZE0, 0x100010},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_FC_DATA_SIZE1, 0x10},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_CTRL, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_REGNUM, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_ADDR0, 0}, /* places->weights */
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT0, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT1, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT2, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT3, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT4, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT5, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT6, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT7, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT8, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT9, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT10, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT11, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT12, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT13, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT14, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_DCOMP_AMOUNT15, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_CVT_CON5, 0},
    {SCREE_TARGET_CNA, SCREE_REG_CNA_PAD_CON1, 0},
    {SCREE_TARGET_CORE, SCREE_REG_CORE_MISC_CFG, 1},
    {SCREE_TARGET_CORE, SCREE_REG_CORE_DATAOUT_SIZE_0, 0xd000d}, /* 14x14, less one */
    {SCREE_TARGET_CORE, SCREE_REG_CORE_DATAOUT_SIZE_1, 0x1f},    /* 32 channels, less one */
    {SCREE_TARGET_CORE, SCREE_REG_CORE_CLIP_TRUNCATE, 0},
    {SCREE_TARGET_CORE, SCREE_REG_CORE_UNKNOWN_3030, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_FEATURE_MODE_CFG, 0x1e4},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DATA_FORMAT, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_OFFSET_PEND, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DST_BASE_ADDR, 0},       /* places->output */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DST_SURF_STRIDE, 0xc40}, /* 14 * 14 * 16 bytes */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DATA_CUBE_WIDTH, 0xd},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DATA_CUBE_HEIGHT, 0xd},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DATA_CUBE_NOTCH_ADDR, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_DATA_CUBE_CHANNEL, 0xf001f}, /* 16 channels of 32 */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_CFG, 0x20150}, /* add the bias; no multiplier, no ReLU */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_ALU_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_MUL_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_RELUX_CMP_VALUE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_OW_CFG, 0x124},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BS_OW_OP, 0}, /* no zero point of the weights */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_WDMA_SIZE_0, 0x1f},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_WDMA_SIZE_1, 0xd000d},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BN_CFG, 0x53}, /* bypassed */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BN_ALU_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BN_MUL_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_BN_RELUX_CMP_VALUE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_CFG, 0x383}, /* bypassed */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_CVT_OFFSET_VALUE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_CVT_SCALE_VALUE, 1},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_RELUX_CMP_VALUE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_OUT_CVT_OFFSET, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_OUT_CVT_SCALE, 0x4000}, /* 1.0: 2^14 >> 14 */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_OUT_CVT_SHIFT, 0xe},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_0, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_1, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_2, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_3, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_4, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_5, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_6, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_EW_OP_VALUE_7, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_SURFACE_ADD, 0x1880}, /* 2 surfaces a pass */
    {SCREE_TARGET_DPU, SCREE_REG_DPU_UNKNOWN_40C4, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_ACCESS_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_ACCESS_DATA, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_CFG, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_INFO, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LE_START, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LE_END, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LO_START, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LO_END, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LE_SLOPE_SCALE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LE_SLOPE_SHIFT, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LO_SLOPE_SCALE, 0},
    {SCREE_TARGET_DPU, SCREE_REG_DPU_LUT_LO_SLOPE_SHIFT, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_DATA_CUBE_WIDTH, 0xd},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_DATA_CUBE_HEIGHT, 0xd},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_DATA_CUBE_CHANNEL, 0x1f},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_SRC_BASE_ADDR, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_BRDMA_CFG, 2},    /* biases */
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_BS_BASE_ADDR, 0}, /* places->biases */
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_NRDMA_CFG, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_BN_BASE_ADDR, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_ERDMA_CFG, 1}, /* off */
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_EW_BASE_ADDR, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_EW_SURF_STRIDE, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_FEATURE_MODE_CFG, 0x7810},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_SRC_DMA_CFG, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_SURF_NOTCH, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_PAD_CFG, 0},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_WEIGHT, 0x1010101},
    {SCREE_TARGET_RDMA, SCREE_REG_RDMA_EW_SURF_NOTCH, 0},
};

#define N_WRITES (sizeof writes / sizeof writes[0])
#define N_TAIL   4

_Static_assert(N_WRITES + N_TAIL == SCREE_PROBE_WORDS, "the stream has the length of Mesa's");

static uint32_t value_of(size_t i, const struct scree_probe_places *places)
{
    switch (writes[i].offset) {
    case SCREE_REG_CNA_FEATURE_DATA_ADDR:
        return places->input;
    case SCREE_REG_CNA_DCOMP_ADDR0:
        return places->weights;
    case SCREE_REG_RDMA_BS_BASE_ADDR:
        return places->biases;
    case SCREE_REG_DPU_DST_BASE_ADDR:
        return places->output;
    default:
        return writes[i].value;
    }
}

void scree_probe_words(const struct scree_probe_places *places, uint64_t *words)
{
    for (size_t i = 0; i < N_WRITES; i++)
        words[i] = scree_word(writes[i].target, writes[i].offset, value_of(i, places));
    words += N_WRITES;
    words[0] = 0; /* no next task */
    words[1] = scree_word(SCREE_TARGET_PC, SCREE_REG_PC_REGISTER_AMOUNTS, 0);
    words[2] = scree_word(SCREE_TARGET_BARRIER, 0, 0);
    words[3] =
        scree_word(SCREE_TARGET_ENABLE, SCREE_REG_PC_OPERATION_ENABLE,
                   SCREE_ENABLE_CNA | SCREE_ENABLE_CORE | SCREE_ENABLE_DPU | SCREE_ENABLE_RDMA);
}

/* Patterns without a period that a wrong stride would hit. */
static int8_t input_at(int y, int x, int k)
{
    return (int8_t)((y * 53 + x * 31 + k * 17 + y * x * 7) % 15 - 7);
}

/* Each tap of each channel matters to two filters. */
static int8_t weight_at(int f, int r, int c, int k)
{
    int tap = TAPS * r + c;

    if ((5 * f + 3 * tap + k) % 8 != 0)
        return 0;
    return (f * f / 3 + tap * (k + 1) + k / 2) % 2 ? 1 : -1;
}

static int32_t bias_at(int f)
{
    return 5 * f - 37;
}

void scree_probe_input(int8_t *input)
{
    for (int y = 0; y < IN; y++)
        for (int x = 0; x < IN; x++)
            for (int k = 0; k < CHANNELS; k++)
                *input++ = input_at(y, x, k);
}

void scree_probe_weights(int8_t *weights)
{
    /* The NPU's order within a group of 32 filters: row, column, filter, channel. */
    for (int r = 0; r < TAPS; r++)
        for (int c = 0; c < TAPS; c++)
            for (int f = 0; f < FILTERS; f++)
                for (int k = 0; k < CHANNELS; k++)
                    *weights++ = weight_at(f, r, c, k);
}

void scree_probe_biases(int32_t *biases)
{
    for (int f = 0; f < SCREE_PROBE_BIASES; f++)
        biases[f] = f < FILTERS ? bias_at(f) : 0;
}

static int32_t sum_at(int y, int x, int f)
{
    int32_t sum = bias_at(f);

    for (int r = 0; r < TAPS; r++)
        for (int c = 0; c < TAPS; c++)
            for (int k = 0; k < CHANNELS; k++)
                sum += input_at(y + r, x + c, k) * weight_at(f, r, c, k);
    return sum;
}

void scree_probe_output(int8_t *output)
{
    for (int y = 0; y < OUT; y++)
        for (int x = 0; x < OUT; x++)
            for (int f = 0; f < FILTERS; f++) {
                int32_t sum = sum_at(y, x, f);

                *output++ = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
            }
}
