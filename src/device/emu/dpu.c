#include "device/emu/dpu.h"

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static int64_t saturate(int64_t x)
{
    return clamp(x, INT32_MIN, INT32_MAX);
}

static int64_t alu(const struct scree_emu_stage *stage, int64_t x, int64_t operand)
{
    switch (stage->algo) {
    case 0:
        return x > operand ? x : operand;
    case 1:
        return x < operand ? x : operand;
    default:
        return saturate(x + operand);
    }
}

static int64_t run_stage(const struct scree_emu_stage *stage, int64_t x, int64_t bias,
                         enum scree_emu_rounding rounding)
{
    if (stage->alu)
        x = alu(stage, x, stage->alu_from_memory ? bias : stage->alu_operand);
    if (stage->mul && !(stage->prelu && x >= 0))
        x = saturate(scree_emu_shift(x * stage->mul_operand, stage->mul_shift, rounding));
    if (stage->relu)
        x = x > 0 ? x : 0;
    if (stage->relux)
        x = x < stage->limit ? x : stage->limit;
    return x;
}

static int64_t add_operand(const struct scree_emu_add *add, int64_t x, int8_t operand,
                           enum scree_emu_rounding rounding)
{
    int64_t e = ((int64_t)operand + add->offset) * add->scale;

    if (add->round_up)
        rounding = SCREE_EMU_ROUND_UP;
    return saturate(x + saturate(scree_emu_shift(e, add->shift, rounding)));
}

void scree_emu_dpu(const struct scree_emu_conv *conv, enum scree_emu_rounding rounding,
                   const int64_t *acc, const int32_t *biases, const int8_t *operand, int8_t *out)
{
    enum scree_emu_rounding first = conv->truncate_up ? SCREE_EMU_ROUND_UP : rounding;
    enum scree_emu_rounding last = conv->out_round_up ? SCREE_EMU_ROUND_UP : rounding;

    for (int c = 0; c < 16; c++) {
        int64_t x = saturate(scree_emu_shift(acc[c], conv->truncate, first));

        x = run_stage(&conv->bs, x, conv->bs.alu_from_memory ? biases[c] : 0, rounding);
        x = run_stage(&conv->bn, x, 0, rounding);
        if (conv->add.on)
            x = add_operand(&conv->add, x, operand[c], rounding);
        x = scree_emu_shift(x * conv->out_scale, conv->out_shift, last) + conv->out_offset;
        out[c] = (int8_t)clamp(x, -128, 127);
    }
}
