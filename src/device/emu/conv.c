#include "device/emu/conv.h"

#include <inttypes.h>
#include <string.h>

/* Reads registers and notes the first thing that is wrong. */
struct reader {
    const struct scree_emu_regs *regs;
    struct scree_error *err;
    int rc;
};

static uint32_t get(struct reader *reader, enum scree_reg reg)
{
    uint32_t value = 0;

    if (reader->rc == 0)
        reader->rc = scree_emu_regs_get(reader->regs, reg, &value, reader->err);
    return value;
}

#define GET(reader, reg, field) SCREE_FIELD_GET(reg##_##field, get((reader), SCREE_REG_##reg))

/* Fails once: the first of several things that are wrong, of which reading a register may be one.
 */
#define REQUIRE(reader, condition, code, ...)                              \
    do {                                                                   \
        bool right = (condition);                                          \
                                                                           \
        if ((reader)->rc == 0 && !right)                                   \
            (reader)->rc = scree_fail((reader)->err, (code), __VA_ARGS__); \
    } while (0)

/* ---- what is not described ---------------------------------------------------------------------
 */

struct fixed_row {
    enum scree_reg reg;
    unsigned low, high;
    uint32_t value;
    const char *what; /* the feature that another value would ask for */
};

#define FIXED(reg, field, value, what)                                                          \
    {                                                                                           \
        SCREE_REG_##reg, SCREE_FIELD_##reg##_##field##_LOW, SCREE_FIELD_##reg##_##field##_HIGH, \
            (value), (what)                                                                     \
    }

static const struct fixed_row fixed_rows[] = {
    FIXED(CNA_CONV_CON1, IN_PRECISION, 0, "a precision other than int8"),
    FIXED(CNA_CONV_CON1, PROC_PRECISION, 0, "a precision other than int8"),
    FIXED(CNA_CONV_CON1, DECONV, 0, "transposed convolution"),
    FIXED(CNA_CONV_CON3, DECONV_X_STRIDE, 0, "transposed convolution"),
    FIXED(CNA_CONV_CON3, DECONV_Y_STRIDE, 0, "transposed convolution"),
    FIXED(CNA_CONV_CON3, ATROUS_X_DILATION, 0, "dilation"),
    FIXED(CNA_CONV_CON3, ATROUS_Y_DILATION, 0, "dilation"),
    FIXED(CNA_CONV_CON3, NN_MODE, 0, "cores working together"),
    FIXED(CNA_DATA_SIZE3, SURF_MODE, 0, "SURF_MODE"),
    FIXED(CNA_CBUF_CON0, FC_DATA_BANK, 0, "fully connected mode"),
    FIXED(CNA_CBUF_CON0, DATA_REUSE, 0, "reuse of features"),
    FIXED(CNA_FC_CON0, FC_SKIP_EN, 0, "fully connected mode"),
    FIXED(CNA_FC_CON0, FC_SKIP_DATA, 0, "fully connected mode"),
    FIXED(CNA_FC_CON1, DATA_OFFSET, 0, "fully connected mode"),
    FIXED(CNA_FC_CON2, WEIGHT_OFFSET, 0, "fully connected mode"),
    FIXED(CNA_DCOMP_CTRL, DECOMP_CONTROL, 0, "compressed weights"),
    FIXED(CORE_MISC_CFG, PROC_PRECISION, 0, "a precision other than int8"),
    FIXED(CORE_MISC_CFG, QD_EN, 1, "QD_EN off"),
    FIXED(DPU_FEATURE_MODE_CFG, FLYING_MODE, 0, "flying mode"),
    FIXED(DPU_FEATURE_MODE_CFG, OUTPUT_MODE, 2, "an output mode other than memory"),
    FIXED(DPU_FEATURE_MODE_CFG, SURF_LEN, 0, "SURF_LEN"),
    FIXED(DPU_FEATURE_MODE_CFG, NONALIGN, 0, "unaligned output"),
    FIXED(DPU_FEATURE_MODE_CFG, RGP_TYPE, 0, "regrouping"),
    FIXED(DPU_FEATURE_MODE_CFG, TP_EN, 0, "transposing"),
    FIXED(DPU_FEATURE_MODE_CFG, COMB_USE, 0, "COMB_USE of the DPU"),
    FIXED(DPU_DATA_FORMAT, PROC_PRECISION, 0, "a precision other than int8"),
    FIXED(DPU_DATA_FORMAT, MC_SURF_OUT, 0, "MC_SURF_OUT"),
    FIXED(DPU_DATA_FORMAT, BS_MUL_SHIFT_VALUE_NEG, 0, "negative shifts"),
    FIXED(DPU_DATA_FORMAT, BN_MUL_SHIFT_VALUE_NEG, 0, "negative shifts"),
    FIXED(DPU_DATA_FORMAT, EW_TRUNCATE_NEG, 0, "negative shifts"),
    FIXED(DPU_DATA_FORMAT, IN_PRECISION, 0, "a precision other than int8"),
    FIXED(DPU_DATA_FORMAT, OUT_PRECISION, 0, "an output other than int8"),
    FIXED(DPU_DATA_CUBE_HEIGHT, MINMAX_CTL, 0, "minimum and maximum"),
    FIXED(DPU_DATA_CUBE_NOTCH_ADDR, NOTCH_ADDR_0, 0, "notches in the output"),
    FIXED(DPU_DATA_CUBE_NOTCH_ADDR, NOTCH_ADDR_1, 0, "notches in the output"),
    FIXED(DPU_BS_OW_CFG, OW_SRC, 0, "OW operands from memory"),
    FIXED(DPU_BS_OW_CFG, TP_ORG_EN, 0, "transposing"),
    FIXED(DPU_BS_OW_CFG, RGP_CNTER, 0, "regrouping"),
    FIXED(DPU_WDMA_SIZE_0, TP_PRECISION, 0, "transposing"),
    FIXED(DPU_WDMA_SIZE_0, SIZE_C_WDMA, 0, "SIZE_C_WDMA"),
    FIXED(DPU_OUT_CVT_SCALE, FP32TOFP16_EN, 0, "floating point"),
    FIXED(DPU_OUT_CVT_SHIFT, CVT_TYPE, 0, "conversion that adds before it multiplies"),
    FIXED(DPU_OUT_CVT_SHIFT, MINUS_EXP, 0, "MINUS_EXP"),
};

static void refuse_undescribed(struct reader *reader)
{
    for (size_t i = 0; i < sizeof fixed_rows / sizeof fixed_rows[0]; i++) {
        const struct fixed_row *row = &fixed_rows[i];
        uint32_t value = scree_bits(get(reader, row->reg), row->low, row->high);
        char name[64];

        REQUIRE(reader, value == row->value, ENOTSUP, "%s bits %u to %u are %u: %s is not modelled",
                scree_emu_reg_name(row->reg, name, sizeof name), row->low, row->high, value,
                row->what);
    }
}

/* ---- features ----------------------------------------------------------------------------------
 */

static int64_t sign_extend(uint32_t value, unsigned n_bits)
{
    uint32_t sign = 1u << (n_bits - 1);

    return (int64_t)(value ^ sign) - (int64_t)sign;
}

/* The converter of the one-channel mode: each byte minus 128, as the four lanes say alike. */
static void read_converter(struct reader *reader)
{
    static const enum scree_reg lanes[] = {SCREE_REG_CNA_CVT_CON1, SCREE_REG_CNA_CVT_CON2,
                                           SCREE_REG_CNA_CVT_CON3, SCREE_REG_CNA_CVT_CON4};
    uint32_t con0 = get(reader, SCREE_REG_CNA_CVT_CON0);

    REQUIRE(reader, con0 == 0x038e38e0, ENOTSUP,
            "CNA.CVT_CON0 is 0x%08x: only an unsigned byte times 2^14 / 2^14 is modelled", con0);
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        uint32_t lane = get(reader, lanes[i]);

        REQUIRE(reader, lane == 0x4000ff80, ENOTSUP,
                "CNA.CVT_CON%zu is 0x%08x: only scale 2^14 and offset -128 are modelled", i + 1,
                lane);
    }
}

static void read_feature_mode(struct reader *reader, struct scree_emu_conv *conv)
{
    uint32_t mode = GET(reader, CNA_CONV_CON1, CONV_MODE);
    uint32_t argb = GET(reader, CNA_CONV_CON1, ARGB_IN);
    uint32_t off = GET(reader, CNA_CONV_CON1, GROUP_LINE_OFF);
    uint32_t nonalign = GET(reader, CNA_CONV_CON1, NONALIGN_DMA);

    REQUIRE(reader, mode == 0 || mode == 3, ENOTSUP,
            "CONV_MODE %u: only 0 (convolution) and 3 (depthwise) are modelled", mode);
    conv->depthwise = mode == 3;
    conv->bytes = argb == 8;
    REQUIRE(reader, (argb == 0 && !off && !nonalign) || (argb == 8 && off && nonalign), ENOTSUP,
            "ARGB_IN %u with GROUP_LINE_OFF %u and NONALIGN_DMA %u is not modelled", argb, off,
            nonalign);
    REQUIRE(reader, !(conv->bytes && conv->depthwise), ENOTSUP,
            "depthwise convolution of bytes is not modelled");
    if (conv->bytes)
        read_converter(reader);
    else
        REQUIRE(reader, GET(reader, CNA_CVT_CON0, CVT_BYPASS), ENOTSUP,
                "the feature converter outside the one-channel mode is not modelled");
}

static void read_features(struct reader *reader, struct scree_emu_conv *conv)
{
    int64_t line = GET(reader, CNA_DMA_CON1, LINE_STRIDE);
    int64_t rest = sign_extend(GET(reader, CNA_DMA_CON2, SURF_STRIDE), 28);
    uint32_t real = GET(reader, CNA_DATA_SIZE1, DATAIN_CHANNEL_REAL) + 1;

    read_feature_mode(reader, conv);
    conv->in_w = GET(reader, CNA_DATA_SIZE0, DATAIN_WIDTH);
    conv->in_h = GET(reader, CNA_DATA_SIZE0, DATAIN_HEIGHT);
    conv->in_c = GET(reader, CNA_DATA_SIZE1, DATAIN_CHANNEL);
    conv->feature = get(reader, SCREE_REG_CNA_FEATURE_DATA_ADDR);
    conv->line = conv->bytes ? line : 4 * line;
    conv->plane = 16 * (line + rest);
    conv->left = GET(reader, CNA_PAD_CON0, PAD_LEFT);
    conv->top = GET(reader, CNA_PAD_CON0, PAD_TOP);
    conv->pad = (int8_t)(GET(reader, CNA_PAD_CON1, PAD_VALUE) & 0xff);
    REQUIRE(reader, conv->in_w > 0 && conv->in_h > 0 && conv->in_c > 0, EBADMSG,
            "a feature cube of %u x %u x %u", conv->in_h, conv->in_w, conv->in_c);
    REQUIRE(reader, conv->in_c % 16 == 0 && real <= conv->in_c, EBADMSG,
            "DATAIN_CHANNEL %u for %u channels is not a multiple of 16 that holds them", conv->in_c,
            real);
    REQUIRE(reader, !conv->bytes || (real == 1 && conv->in_c == 16), ENOTSUP,
            "the one-channel mode with %u channels in %u is not modelled", real, conv->in_c);
    REQUIRE(reader, conv->feature % 16 == 0, EBADMSG,
            "FEATURE_DATA_ADDR 0x%08" PRIx64 " is not a multiple of 16", conv->feature);
}

/* ---- weights and the convolution buffer --------------------------------------------------------
 */

static void read_weights(struct reader *reader, struct scree_emu_conv *conv)
{
    struct scree_emu_weights *weights = &conv->weights;
    uint64_t per_kernel;

    conv->kw = GET(reader, CNA_WEIGHT_SIZE2, WEIGHT_WIDTH);
    conv->kh = GET(reader, CNA_WEIGHT_SIZE2, WEIGHT_HEIGHT);
    conv->kernels = GET(reader, CNA_WEIGHT_SIZE2, WEIGHT_KERNELS);
    conv->stride_x = GET(reader, CNA_CONV_CON3, CONV_X_STRIDE);
    conv->stride_y = GET(reader, CNA_CONV_CON3, CONV_Y_STRIDE);
    weights->iova = get(reader, SCREE_REG_CNA_DCOMP_ADDR0);
    weights->n_bytes = get(reader, SCREE_REG_CNA_WEIGHT_SIZE0);
    weights->per_kernel = GET(reader, CNA_WEIGHT_SIZE1, WEIGHT_BYTES_PER_KERNEL);
    per_kernel = (uint64_t)conv->kw * conv->kh * conv->in_c;
    REQUIRE(reader, conv->kw > 0 && conv->kh > 0 && conv->kernels > 0, EBADMSG,
            "%u kernels of %u x %u", conv->kernels, conv->kh, conv->kw);
    REQUIRE(reader, conv->stride_x > 0 && conv->stride_y > 0, EBADMSG, "strides %u and %u",
            conv->stride_y, conv->stride_x);
    REQUIRE(reader, !conv->depthwise || conv->kernels == 1, EBADMSG,
            "a depthwise convolution has one kernel, not %u", conv->kernels);
    REQUIRE(reader, weights->per_kernel == per_kernel, EBADMSG,
            "WEIGHT_BYTES_PER_KERNEL %u is not %u * %u * %u", weights->per_kernel, conv->kh,
            conv->kw, conv->in_c);
    REQUIRE(reader, weights->n_bytes == per_kernel * conv->kernels, EBADMSG,
            "WEIGHT_BYTES %" PRIu64 " is not %u kernels of %" PRIu64, weights->n_bytes,
            conv->kernels, per_kernel);
    REQUIRE(reader, weights->iova % 16 == 0, EBADMSG,
            "weights at 0x%08" PRIx64 ", not a multiple of 16", weights->iova);
}

static void check_reuse(struct reader *reader, const struct scree_emu_conv *conv,
                        const struct scree_emu_weights *loaded)
{
    const struct scree_emu_weights *weights = &conv->weights;

    REQUIRE(reader, loaded->n_bytes > 0, EBADMSG,
            "WEIGHT_REUSE in a task with none before it in its job");
    REQUIRE(reader,
            weights->iova == loaded->iova && weights->n_bytes == loaded->n_bytes &&
                weights->per_kernel == loaded->per_kernel,
            EBADMSG, "WEIGHT_REUSE of other weights than the task before loaded");
    REQUIRE(reader,
            weights->n_bytes <=
                (uint64_t)loaded->banks * SCREE_NPU_BANK_ENTRIES * SCREE_NPU_ENTRY_BYTES,
            EBADMSG, "WEIGHT_REUSE of %" PRIu64 " bytes that %u banks do not hold",
            weights->n_bytes, loaded->banks);
}

static void check_buffer(struct reader *reader, struct scree_emu_conv *conv,
                         const struct scree_emu_weights *loaded)
{
    uint32_t data = GET(reader, CNA_CBUF_CON0, DATA_BANK);
    uint32_t weight = GET(reader, CNA_CBUF_CON0, WEIGHT_BANK);
    uint32_t entries = GET(reader, CNA_CBUF_CON1, DATA_ENTRIES);
    uint64_t needed = ((uint64_t)conv->in_w * (conv->in_c / 16) + 7) / 8;

    conv->weights.banks = weight;
    conv->weights_reused = GET(reader, CNA_CBUF_CON0, WEIGHT_REUSE);
    REQUIRE(reader, data > 0 && weight > 0 && data + weight <= SCREE_NPU_BANKS, EBADMSG,
            "%u data and %u weight banks, of %d", data, weight, SCREE_NPU_BANKS);
    REQUIRE(reader, entries >= needed, EBADMSG, "DATA_ENTRIES %u: a line of %u x %u takes %" PRIu64,
            entries, conv->in_w, conv->in_c, needed);
    REQUIRE(reader, needed * conv->in_h <= (uint64_t)data * SCREE_NPU_BANK_ENTRIES, EBADMSG,
            "%u lines of %" PRIu64 " entries in %u data banks of %d", conv->in_h, needed, data,
            SCREE_NPU_BANK_ENTRIES);
    if (conv->weights_reused)
        check_reuse(reader, conv, loaded);
}

/* ---- output ------------------------------------------------------------------------------------
 */

struct same_row {
    enum scree_reg reg;
    unsigned low, high;
    uint32_t plus; /* what the register leaves out */
};

#define SAME(reg, field, plus)                                                                  \
    {                                                                                           \
        SCREE_REG_##reg, SCREE_FIELD_##reg##_##field##_LOW, SCREE_FIELD_##reg##_##field##_HIGH, \
            (plus)                                                                              \
    }

/* Where each size of the output is written again; the RDMA's last. */
static const struct same_row widths[] = {
    SAME(DPU_DATA_CUBE_WIDTH, WIDTH, 1), SAME(CNA_DATA_SIZE2, DATAOUT_WIDTH, 0),
    SAME(CORE_DATAOUT_SIZE_0, DATAOUT_WIDTH, 1), SAME(DPU_WDMA_SIZE_1, WIDTH_WDMA, 1),
    SAME(RDMA_DATA_CUBE_WIDTH, WIDTH, 1)};
static const struct same_row heights[] = {
    SAME(DPU_DATA_CUBE_HEIGHT, HEIGHT, 1), SAME(CORE_DATAOUT_SIZE_0, DATAOUT_HEIGHT, 1),
    SAME(DPU_WDMA_SIZE_1, HEIGHT_WDMA, 1), SAME(RDMA_DATA_CUBE_HEIGHT, HEIGHT, 1)};
static const struct same_row channels[] = {
    SAME(DPU_DATA_CUBE_CHANNEL, CHANNEL, 1), SAME(CORE_DATAOUT_SIZE_1, DATAOUT_CHANNEL, 1),
    SAME(DPU_WDMA_SIZE_0, CHANNEL_WDMA, 1), SAME(RDMA_DATA_CUBE_CHANNEL, CHANNEL, 1)};

/* The size that all rows tell alike. */
static uint32_t read_same(struct reader *reader, const struct same_row *rows, size_t n_rows)
{
    bool rdma = reader->regs->enabled & SCREE_ENABLE_RDMA;
    uint32_t first = 0;

    for (size_t i = 0; i < n_rows - (rdma ? 0 : 1); i++) {
        uint32_t n = scree_bits(get(reader, rows[i].reg), rows[i].low, rows[i].high) + rows[i].plus;
        char name[64], first_name[64];

        if (i == 0)
            first = n;
        REQUIRE(reader, n == first, EBADMSG, "%s says %u where %s says %u",
                scree_emu_reg_name(rows[i].reg, name, sizeof name), n,
                scree_emu_reg_name(rows[0].reg, first_name, sizeof first_name), first);
    }
    return first;
}

#define READ_SAME(reader, rows) read_same((reader), (rows), sizeof(rows) / sizeof(rows)[0])

static void read_output(struct reader *reader, struct scree_emu_conv *conv)
{
    uint32_t group = conv->depthwise ? SCREE_NPU_DW_GROUP : SCREE_NPU_KERNEL_GROUP;
    uint32_t surfaces = group / 16 - 1, mode = conv->depthwise ? 3 : 0;
    uint32_t atomics = GET(reader, CNA_DATA_SIZE3, DATAOUT_ATOMICS);

    conv->out_w = READ_SAME(reader, widths);
    conv->out_h = READ_SAME(reader, heights);
    conv->channels = READ_SAME(reader, channels);
    conv->stored = GET(reader, DPU_DATA_CUBE_CHANNEL, ORIG_CHANNEL) + 1;
    conv->dst = get(reader, SCREE_REG_DPU_DST_BASE_ADDR);
    conv->surface = get(reader, SCREE_REG_DPU_DST_SURF_STRIDE);
    conv->pass = get(reader, SCREE_REG_DPU_SURFACE_ADD);
    REQUIRE(reader, atomics == conv->out_w * conv->out_h, EBADMSG,
            "DATAOUT_ATOMICS %u is not %u * %u", atomics, conv->out_h, conv->out_w);
    REQUIRE(reader, conv->channels % group == 0 && conv->stored <= conv->channels, EBADMSG,
            "%u output channels in %u, which is to be a multiple of %u", conv->stored,
            conv->channels, group);
    REQUIRE(reader,
            GET(reader, DPU_BS_OW_CFG, SIZE_E_0) == surfaces &&
                GET(reader, DPU_BS_OW_CFG, SIZE_E_1) == surfaces &&
                GET(reader, DPU_BS_OW_CFG, SIZE_E_2) == surfaces,
            EBADMSG, "SIZE_E_0 to 2 are not %u", surfaces);
    REQUIRE(reader,
            GET(reader, DPU_FEATURE_MODE_CFG, CONV_MODE) == mode &&
                GET(reader, CORE_MISC_CFG, DW_EN) == conv->depthwise,
            EBADMSG, "CNA, CORE and DPU do not agree whether it is depthwise");
    REQUIRE(reader, conv->dst % 16 == 0, EBADMSG,
            "DST_BASE_ADDR 0x%08" PRIx64 " is not a multiple of 16", conv->dst);
}

static void read_accumulator(struct reader *reader, struct scree_emu_conv *conv)
{
    uint32_t shift = GET(reader, DPU_OUT_CVT_SHIFT, OUT_CVT_SHIFT);
    uint32_t scale = GET(reader, DPU_OUT_CVT_SCALE, OUT_CVT_SCALE);

    if (!GET(reader, DPU_BS_OW_CFG, OD_BYPASS))
        conv->ow_op = (int16_t)GET(reader, DPU_BS_OW_OP, OW_OP);
    conv->truncate = GET(reader, CORE_CLIP_TRUNCATE, CLIP_TRUNCATE);
    conv->truncate_up = GET(reader, CORE_CLIP_TRUNCATE, ROUND_TYPE);
    conv->out_scale = (int32_t)scale;
    conv->out_shift = shift < 63 ? shift : 63; /* nothing is left of 47 bits either way */
    conv->out_round_up = GET(reader, DPU_OUT_CVT_SHIFT, CVT_ROUND);
    conv->out_offset = (int32_t)get(reader, SCREE_REG_DPU_OUT_CVT_OFFSET);
    REQUIRE(reader, scale <= 0x7fff, ENOTSUP, "OUT_CVT_SCALE 0x%04x: its sign is not known", scale);
}

/* ---- stages ------------------------------------------------------------------------------------
 */

/* BS and BN have the same fields; read by those of BS. */
static void read_stage(struct reader *reader, enum scree_reg config, enum scree_reg alu,
                       enum scree_reg mul, enum scree_reg relux, struct scree_emu_stage *stage)
{
    uint32_t cfg = get(reader, config), multiplier;
    char name[64];

    memset(stage, 0, sizeof *stage);
    if (SCREE_FIELD_GET(DPU_BS_CFG_BYPASS, cfg))
        return;
    stage->alu = !SCREE_FIELD_GET(DPU_BS_CFG_ALU_BYPASS, cfg);
    stage->mul = !SCREE_FIELD_GET(DPU_BS_CFG_MUL_BYPASS, cfg);
    stage->prelu = SCREE_FIELD_GET(DPU_BS_CFG_MUL_PRELU, cfg);
    stage->relu = !SCREE_FIELD_GET(DPU_BS_CFG_RELU_BYPASS, cfg);
    stage->relux = SCREE_FIELD_GET(DPU_BS_CFG_RELUX_EN, cfg);
    stage->algo = SCREE_FIELD_GET(DPU_BS_CFG_ALU_ALGO, cfg);
    stage->alu_from_memory = stage->alu && SCREE_FIELD_GET(DPU_BS_CFG_ALU_SRC, cfg);
    stage->alu_operand = (int32_t)get(reader, alu);
    stage->limit = (int32_t)get(reader, relux);
    multiplier = get(reader, mul);
    stage->mul_operand = (int16_t)SCREE_FIELD_GET(DPU_BS_MUL_CFG_MUL_OPERAND, multiplier);
    stage->mul_shift = SCREE_FIELD_GET(DPU_BS_MUL_CFG_MUL_SHIFT_VALUE, multiplier);
    scree_emu_reg_name(config, name, sizeof name);
    REQUIRE(reader, !stage->alu || stage->algo <= 2, ENOTSUP, "%s: ALU_ALGO %u is not modelled",
            name, stage->algo);
    REQUIRE(reader,
            !stage->mul || !(SCREE_FIELD_GET(DPU_BS_MUL_CFG_MUL_SRC, multiplier) ||
                             SCREE_FIELD_GET(DPU_BS_MUL_CFG_TRUNCATE_SRC, multiplier)),
            ENOTSUP, "%s: a multiplier from memory is not modelled", name);
}

/* Biases come from memory if BS asks for them, and then RDMA must be there to read them. */
static void read_biases(struct reader *reader, struct scree_emu_conv *conv)
{
    bool rdma = reader->regs->enabled & SCREE_ENABLE_RDMA;
    uint32_t use = rdma ? GET(reader, RDMA_BRDMA_CFG, BRDMA_DATA_USE) : 0;
    uint32_t bn_use = rdma ? GET(reader, RDMA_NRDMA_CFG, NRDMA_DATA_USE) : 0;

    REQUIRE(reader, !conv->bn.alu_from_memory && bn_use == 0, ENOTSUP,
            "BN operands from memory are not modelled");
    REQUIRE(reader, use <= 1, ENOTSUP, "BRDMA_DATA_USE %u is not modelled", use);
    REQUIRE(reader, conv->bs.alu_from_memory == (use == 1), EBADMSG,
            "BS %s its operand from memory and RDMA %s it",
            conv->bs.alu_from_memory ? "takes" : "does not take", use == 1 ? "reads" : "reads not");
    if (rdma && use == 1)
        conv->bias = get(reader, SCREE_REG_RDMA_BS_BASE_ADDR);
    REQUIRE(reader, conv->bias % 4 == 0, EBADMSG, "biases at 0x%08" PRIx64, conv->bias);
}

static void read_operand_memory(struct reader *reader, struct scree_emu_conv *conv)
{
    struct scree_emu_add *add = &conv->add;
    uint64_t plane = 16 * (uint64_t)conv->out_w * conv->out_h;

    REQUIRE(reader, reader->regs->enabled & SCREE_ENABLE_RDMA, EBADMSG,
            "an operand from memory and no RDMA to read it");
    /* Known only with what Mesa writes: see docs/regcmd.md. */
    REQUIRE(reader, get(reader, SCREE_REG_RDMA_ERDMA_CFG) == 0x40000004, ENOTSUP,
            "RDMA.ERDMA_CFG 0x%08x is not modelled", get(reader, SCREE_REG_RDMA_ERDMA_CFG));
    REQUIRE(reader,
            GET(reader, RDMA_FEATURE_MODE_CFG, COMB_USE) == 5 &&
                !GET(reader, RDMA_FEATURE_MODE_CFG, MRDMA_DISABLE),
            ENOTSUP, "an operand read with COMB_USE %u is not modelled",
            GET(reader, RDMA_FEATURE_MODE_CFG, COMB_USE));
    add->even = get(reader, SCREE_REG_RDMA_SRC_BASE_ADDR);
    add->odd = get(reader, SCREE_REG_RDMA_EW_BASE_ADDR);
    add->even_step = plane + get(reader, SCREE_REG_RDMA_SURF_NOTCH);
    add->odd_step = plane + get(reader, SCREE_REG_RDMA_EW_SURF_NOTCH);
}

static void read_addition(struct reader *reader, struct scree_emu_conv *conv)
{
    struct scree_emu_add *add = &conv->add;
    uint32_t cfg = get(reader, SCREE_REG_DPU_EW_CFG);
    uint32_t round = SCREE_FIELD_PUT(DPU_EW_CFG_CVT_ROUND, 1);

    add->on = !SCREE_FIELD_GET(DPU_EW_CFG_BYPASS, cfg);
    if (!add->on) {
        bool rdma = reader->regs->enabled & SCREE_ENABLE_RDMA;

        REQUIRE(reader, !rdma || GET(reader, RDMA_FEATURE_MODE_CFG, MRDMA_DISABLE), EBADMSG,
                "MRDMA reads an operand that nothing takes");
        REQUIRE(reader, !rdma || GET(reader, RDMA_ERDMA_CFG, ERDMA_DISABLE), EBADMSG,
                "ERDMA reads an operand that nothing takes");
        return;
    }
    REQUIRE(reader, (cfg & ~round) == 0x904202c0, ENOTSUP,
            "DPU.EW_CFG 0x%08x: only addition of an operand from memory is modelled", cfg);
    add->offset = (int32_t)get(reader, SCREE_REG_DPU_EW_CVT_OFFSET_VALUE);
    add->scale = (int16_t)GET(reader, DPU_EW_CVT_SCALE_VALUE, OP_CVT_SCALE);
    add->shift = GET(reader, DPU_EW_CVT_SCALE_VALUE, OP_CVT_SHIFT);
    add->round_up = (cfg & round) != 0;
    REQUIRE(reader, GET(reader, DPU_EW_CVT_SCALE_VALUE, TRUNCATE) == 0, ENOTSUP,
            "EW_TRUNCATE is not modelled");
    read_operand_memory(reader, conv);
}

static void check_pointers(struct reader *reader)
{
    REQUIRE(reader, get(reader, SCREE_REG_DPU_S_POINTER) == SCREE_S_POINTER_PING_PONG, EBADMSG,
            "DPU.S_POINTER is not 0x%x", SCREE_S_POINTER_PING_PONG);
    if (reader->regs->enabled & SCREE_ENABLE_RDMA)
        REQUIRE(reader, get(reader, SCREE_REG_RDMA_S_POINTER) == SCREE_S_POINTER_PING_PONG, EBADMSG,
                "RDMA.S_POINTER is not 0x%x", SCREE_S_POINTER_PING_PONG);
}

int scree_emu_conv_read(const struct scree_emu_regs *regs, const struct scree_emu_weights *loaded,
                        struct scree_emu_conv *ret_conv, struct scree_error *err)
{
    struct reader reader = {.regs = regs, .err = err};
    struct scree_emu_conv conv = {0};
    uint32_t convolution = SCREE_ENABLE_CNA | SCREE_ENABLE_CORE | SCREE_ENABLE_DPU;

    REQUIRE(&reader, (regs->enabled & ~(uint32_t)SCREE_ENABLE_RDMA) == convolution, ENOTSUP,
            "blocks 0x%02x are enabled: only convolutions, 0x0d and 0x1d, are modelled",
            regs->enabled);
    check_pointers(&reader);
    refuse_undescribed(&reader);
    read_features(&reader, &conv);
    read_weights(&reader, &conv);
    check_buffer(&reader, &conv, loaded);
    read_output(&reader, &conv);
    read_accumulator(&reader, &conv);
    read_stage(&reader, SCREE_REG_DPU_BS_CFG, SCREE_REG_DPU_BS_ALU_CFG, SCREE_REG_DPU_BS_MUL_CFG,
               SCREE_REG_DPU_BS_RELUX_CMP_VALUE, &conv.bs);
    read_stage(&reader, SCREE_REG_DPU_BN_CFG, SCREE_REG_DPU_BN_ALU_CFG, SCREE_REG_DPU_BN_MUL_CFG,
               SCREE_REG_DPU_BN_RELUX_CMP_VALUE, &conv.bn);
    read_biases(&reader, &conv);
    read_addition(&reader, &conv);
    if (reader.rc == 0)
        *ret_conv = conv;
    return reader.rc;
}

/* ---- memory ------------------------------------------------------------------------------------
 */

uint64_t scree_emu_conv_surface(const struct scree_emu_conv *conv, uint32_t s)
{
    uint32_t of_pass = (conv->depthwise ? SCREE_NPU_DW_GROUP : SCREE_NPU_KERNEL_GROUP) / 16;

    return conv->dst + s / of_pass * conv->pass + s % of_pass * conv->surface;
}

uint64_t scree_emu_conv_operand(const struct scree_emu_conv *conv, uint32_t p)
{
    const struct scree_emu_add *add = &conv->add;

    return p % 2 ? add->odd + p / 2 * add->odd_step : add->even + p / 2 * add->even_step;
}

static int check_range(const struct scree_emu_space *space, uint64_t iova, uint64_t n_bytes,
                       const char *what, struct scree_error *err)
{
    if (scree_emu_space_at(space, iova, n_bytes))
        return 0;
    return scree_fail(err, EIO, "%s: [0x%08" PRIx64 ", 0x%08" PRIx64 ") is not mapped", what, iova,
                      iova + n_bytes);
}

static int check_features(const struct scree_emu_conv *conv, const struct scree_emu_space *space,
                          struct scree_error *err)
{
    uint32_t planes = conv->bytes ? 1 : conv->in_c / 16;
    uint64_t row_bytes = conv->bytes ? conv->in_w : 16 * (uint64_t)conv->in_w;

    for (uint32_t p = 0; p < planes; p++)
        for (uint32_t y = 0; y < conv->in_h; y++) {
            int64_t at = (int64_t)conv->feature + p * conv->plane + y * conv->line;
            int rc = check_range(space, (uint64_t)at, row_bytes, "features", err);

            if (rc < 0)
                return rc;
        }
    return 0;
}

int scree_emu_conv_check_memory(const struct scree_emu_conv *conv,
                                const struct scree_emu_space *space, struct scree_error *err)
{
    uint64_t plane = 16 * (uint64_t)conv->out_w * conv->out_h;
    int rc = check_features(conv, space, err);

    if (rc == 0)
        rc = check_range(space, conv->weights.iova, conv->weights.n_bytes, "weights", err);
    if (rc == 0 && conv->bs.alu_from_memory)
        rc = check_range(space, conv->bias, 4 * (uint64_t)conv->stored, "biases", err);
    for (uint32_t s = 0; rc == 0 && s < (conv->stored + 15) / 16; s++) {
        rc = check_range(space, scree_emu_conv_surface(conv, s), plane, "output", err);
        if (rc == 0 && conv->add.on)
            rc = check_range(space, scree_emu_conv_operand(conv, s), plane, "operand", err);
    }
    return rc;
}

/* ---- cost --------------------------------------------------------------------------------------
 */

static uint64_t groups(uint64_t n, uint64_t size)
{
    return (n + size - 1) / size;
}

struct scree_emu_cost scree_emu_conv_cost(const struct scree_emu_conv *conv)
{
    uint64_t pixels = (uint64_t)conv->out_w * conv->out_h;
    uint64_t taps = (uint64_t)conv->kw * conv->kh;
    uint64_t plane_bytes = 16 * pixels * groups(conv->stored, 16);
    uint64_t in_bytes = conv->bytes ? conv->in_w : (uint64_t)conv->in_w * conv->in_c;
    uint64_t mac = pixels * taps *
                   (conv->depthwise ? groups(conv->stored, SCREE_NPU_DW_GROUP)
                                    : groups(conv->in_c, SCREE_NPU_CHANNEL_GROUP) *
                                          groups(conv->stored, SCREE_NPU_KERNEL_GROUP));
    struct scree_emu_cost cost;
    uint64_t cycles = mac * 5 / 4, output = pixels * conv->stored / 8, memory;

    cost.bytes = in_bytes * conv->in_h + plane_bytes * (conv->add.on ? 2 : 1);
    cost.bytes += conv->weights_reused ? 0 : conv->weights.n_bytes;
    cost.bytes += conv->bs.alu_from_memory ? 4 * (uint64_t)conv->stored : 0;
    memory = cost.bytes * 10 / 117;
    cycles = output > cycles ? output : cycles;
    cost.cycles = memory > cycles ? memory : cycles;
    return cost;
}
