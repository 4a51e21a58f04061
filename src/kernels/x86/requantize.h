/* kernels/x86/requantize.h - accumulators to bytes, over vec512.h or vec256.h.
 *
 * What has to come out is scree_requantize_row(): two roundings in fixed point, a dozen
 * instructions a vector. But the output is a byte: as a function of the accumulator it is a
 * staircase of at most 255 steps, which rises. A multiplication in float and its rounding,
 *
 *     round(acc * scale + offset)
 *
 * rises too, for three instructions a vector. Two rising functions that agree on both sides of each
 * step of one of them agree everywhere. So v_requant_fit() looks at every step in the range that a
 * channel's accumulators can reach, and finds a scale and an offset for which they do agree; where
 * it finds none, the vector is computed in fixed point. Rounding half away from zero bends the
 * staircase at 0: if outputs below the zero point are not clamped away, the offset takes the
 * accumulator's sign.
 *
 * Include vec512.h or vec256.h before. Memory: keeps nothing. Floats are rounded to the nearest,
 * halves to even. */
#ifndef SCREE_KERNELS_X86_REQUANTIZE_H
#define SCREE_KERNELS_X86_REQUANTIZE_H

#include "kernels/lanes.h"

enum v_requant_mode {
    V_REQUANT_RISING, /* round(acc * scale + offset), the zero point in offset and lift */
    V_REQUANT_SIGNED, /* round(acc * scale + (acc < 0 ? -offset : offset)) + zero point */
    V_REQUANT_EXACT,  /* in fixed point */
    V_REQUANT_MIXED,  /* of several vectors: each in its own mode */
};

/* How a vector of channels is requantized. */
struct v_requant {
    union {
        struct {
            float scale[VEC_LANES], offset[VEC_LANES];
        };
        struct scree_lanes lanes; /* V_REQUANT_EXACT: of sums that `lift` has been added to */
    } __attribute__((aligned(VEC_BYTES)));
    int32_t lift[VEC_LANES]; /* is added to accumulators before; 0 in V_REQUANT_SIGNED */
    enum v_requant_mode mode;
};

/* The constants of a vector of channels that are kept in registers, for V_REQUANT_RISING. */
struct v_requant_regs {
    vecf scale, offset;
};

static inline struct v_requant_regs v_requant_load(const struct v_requant *r)
{
    return (struct v_requant_regs){v_loadf(r->scale), v_loadf(r->offset)};
}

/* The output's zero point as v_requant() wants it. */
static inline vec v_requant_zp(int32_t zp)
{
    return v_set32(zp);
}

/* A vector of accumulators to numbers that have yet to be clamped: by v_pack32(), which saturates,
 * and then. regs is read in mode V_REQUANT_RISING only, r and zp in the others. */
static inline vec v_requant_with(vec acc, const struct v_requant *r,
                                 const struct v_requant_regs *regs, enum v_requant_mode mode,
                                 vec zp)
{
    vecf x, offset;

    if (mode == V_REQUANT_RISING)
        return v_round(v_fma(v_to_float(acc), regs->scale, regs->offset));
    if (mode == V_REQUANT_MIXED)
        mode = r->mode;
    if (mode == V_REQUANT_EXACT)
        return v_requant_lanes(acc, &r->lanes);
    x = v_to_float(acc);
    offset = v_loadf(r->offset);
    if (mode == V_REQUANT_RISING)
        return v_round(v_fma(x, v_loadf(r->scale), offset));
    return v_add32(v_round(v_fma(x, v_loadf(r->scale), v_copy_sign(offset, x))), zp);
}

/* The same with all constants from memory. */
static inline vec v_requant(vec acc, const struct v_requant *r, enum v_requant_mode mode, vec zp)
{
    const struct v_requant_regs regs = v_requant_load(r);

    return v_requant_with(acc, r, &regs, mode, zp);
}

/* Two vectors of these numbers to 16 bits. */
static inline vec v_requant_words(vec a, vec b, vec zp)
{
    (void)zp;
    return v_pack32(a, b);
}

/* ---- the fit -----------------------------------------------------------------------------------
 */

/* A vector of channels whose scale and offset are looked for. Channels that are all the same need
 * only one of them looked at: then the vectors are of steps. */
struct v_requant_fit {
    int32_t zp, min, max;            /* of the output */
    bool by_step;                    /* a lane is a step of the one channel */
    int32_t n;                       /* vectors of steps */
    struct v_requant exact, *result; /* the modes are set */
    vec low, high;                   /* accumulators stay in [low, high], within +-2^30 */
    vecf scale;                      /* the multiplier, rounded */
    vecf half_step;   /* half a step of the first of the two roundings, where there are two */
    vec steps[255];   /* the least accumulators whose outputs are >= v_requant_outputs() */
    vec reached[255]; /* -1 in lanes that have this step in their range */
};

/* The outputs that the steps of vector i lead to: one for all channels, or one in each lane. */
static inline vec v_requant_outputs(const struct v_requant_fit *fit, int32_t i)
{
    int32_t k[VEC_LANES];

    if (!fit->by_step)
        return v_set32(fit->min + 1 + i);
    for (int32_t lane = 0; lane < VEC_LANES; lane++)
        k[lane] = fit->min + 1 + i * VEC_LANES + lane;
    return v_load(k);
}

/* The output for accumulators. */
static inline vec v_requant_fit_output(const struct v_requant_fit *fit, vec acc,
                                       const struct v_requant *r)
{
    vec y = v_requant(v_add32(acc, v_load(r->lift)), r, r->mode, v_requant_zp(fit->zp));

    return v_min32(v_max32(y, v_set32(fit->min)), v_set32(fit->max));
}

/* Finds the steps of vector i. The estimate is the step or one less, unless numbers are extreme;
 * false if it is neither in some lane. */
static inline bool v_requant_find_step(struct v_requant_fit *fit, int32_t i)
{
    vec k = v_requant_outputs(fit, i), one = v_set32(1), zp = v_set32(fit->zp);
    vec reached =
        v_and(v_greater(k, v_requant_fit_output(fit, fit->low, &fit->exact)),
              v_greater(v_requant_fit_output(fit, fit->high, &fit->exact), v_sub32(k, one)));
    vecf y = v_subf(v_to_float(v_sub32(k, zp)), v_setf(0.5f));
    vec at, short_before, short_at, short_after;

    y = v_as_float(v_select(v_greater(k, zp), v_as_bits(v_subf(y, fit->half_step)),
                            v_as_bits(v_addf(y, fit->half_step))));
    at = v_round(v_divf(y, fit->scale));
    at = v_min32(v_max32(at, v_add32(fit->low, one)), fit->high);
    short_before = v_greater(k, v_requant_fit_output(fit, v_sub32(at, one), &fit->exact));
    short_at = v_greater(k, v_requant_fit_output(fit, at, &fit->exact));
    short_after = v_greater(k, v_requant_fit_output(fit, v_add32(at, one), &fit->exact));
    fit->steps[i] = v_sub32(at, short_at);
    fit->reached[i] = reached;
    return v_all(v_select(reached, v_select(short_after, v_set32(0), short_before), v_set32(-1)));
}

static inline bool v_requant_find_steps(struct v_requant_fit *fit)
{
    for (int32_t i = 0; i < fit->n; i++)
        if (!v_requant_find_step(fit, i))
            return false;
    return true;
}

/* Narrows [*low, *high] to the offsets with which the steps of vector i are where they must be. */
static inline void v_requant_narrow(const struct v_requant_fit *fit, int32_t i, vecf *low,
                                    vecf *high)
{
    bool is_signed = fit->result->mode == V_REQUANT_SIGNED;
    vec k = v_requant_outputs(fit, i), zp = v_set32(fit->zp), reached = fit->reached[i];
    vec from_zp = is_signed ? v_sub32(k, zp) : k;
    vec below = is_signed ? v_greater(v_set32(fit->zp + 1), k) : v_set32(0);
    vecf scale = v_loadf(fit->result->scale), none = v_setf(0), at, before;
    vecf step = v_to_float(v_add32(fit->steps[i], v_load(fit->result->lift)));
    vecf threshold = v_subf(v_to_float(from_zp), v_setf(0.5f));
    vec floor, ceiling;

    at = v_fnma(step, scale, threshold);
    before = v_fnma(v_subf(step, v_setf(1)), scale, threshold);
    floor = v_select(below, v_as_bits(v_subf(none, before)), v_as_bits(at));
    ceiling = v_select(below, v_as_bits(v_subf(none, at)), v_as_bits(before));
    reached = v_and(reached, v_select(below, v_greater(v_set32(0), fit->steps[i]), v_set32(-1)));
    *low =
        v_as_float(v_select(reached, v_as_bits(v_maxf(*low, v_as_float(floor))), v_as_bits(*low)));
    *high = v_as_float(
        v_select(reached, v_as_bits(v_minf(*high, v_as_float(ceiling))), v_as_bits(*high)));
}

/* In all lanes what is the most of any, or the least. */
static inline vecf v_requant_most(vecf x, float sign)
{
    float lanes[VEC_LANES], most;

    v_storef(lanes, x);
    most = lanes[0];
    for (int lane = 1; lane < VEC_LANES; lane++)
        most = lanes[lane] * sign > most * sign ? lanes[lane] : most;
    return v_setf(most);
}

/* Sets the offset to the middle of those with which all steps are where they must be, were there no
 * rounding:
 *
 *     step * scale + offset >= threshold > (step - 1) * scale + offset
 *
 * with the offset the other way round where accumulators are negative and the mode says so. */
static inline void v_requant_set_offset(struct v_requant_fit *fit)
{
    vecf scale = v_loadf(fit->result->scale), one = v_setf(1), low, high;
    vec lift = v_load(fit->result->lift);
    bool is_signed = fit->result->mode == V_REQUANT_SIGNED;

    low = v_fnma(v_to_float(lift), scale, v_setf((float)(is_signed ? 0 : fit->zp)));
    low = v_addf(v_subf(low, one), fit->half_step);
    high = v_addf(low, v_setf(2));
    for (int32_t i = 0; i < fit->n; i++)
        v_requant_narrow(fit, i, &low, &high);
    if (fit->by_step) {
        low = v_requant_most(low, 1);
        high = v_requant_most(high, -1);
    }
    low = v_mulf(v_addf(low, high), v_setf(0.5f));
    v_storef(fit->result->offset, is_signed ? v_maxf(low, v_setf(0)) : low);
}

/* -1 in the channels whose result is right at all steps and at both ends of the range: then it is
 * right everywhere between, for both functions rise. */
static inline vec v_requant_proven(const struct v_requant_fit *fit)
{
    vec failed = v_set32(0), one = v_set32(1);
    vec low = v_requant_fit_output(fit, fit->low, fit->result);
    vec high = v_requant_fit_output(fit, fit->high, fit->result);

    failed = v_or(failed, v_xor(low, v_requant_fit_output(fit, fit->low, &fit->exact)));
    failed = v_or(failed, v_xor(high, v_requant_fit_output(fit, fit->high, &fit->exact)));
    for (int32_t i = 0; i < fit->n; i++) {
        vec k = v_requant_outputs(fit, i), step = fit->steps[i];
        vec at = v_requant_fit_output(fit, step, fit->result);
        vec before = v_requant_fit_output(fit, v_sub32(step, one), fit->result);
        vec wrong = v_or(v_greater(k, at), v_greater(before, v_sub32(k, one)));

        failed = v_or(failed, v_and(wrong, fit->reached[i]));
    }
    failed = v_equal(failed, v_set32(0));
    return fit->by_step ? v_set32(v_all(failed) ? -1 : 0) : failed;
}

/* Looks for scale and offset; false if some channel has none. The nearest float to the multiplier
 * is the best scale, but a neighbour may do where it does not. */
static inline bool v_requant_fit(struct v_requant_fit *fit)
{
    static const int32_t moves[] = {0, 1, -1, 2, -2, 3, -3, 4, -4};
    vec scale = v_set32(0), offset = v_set32(0), done = v_set32(0);

    for (size_t i = 0; i < sizeof moves / sizeof moves[0] && !v_all(done); i++) {
        vec proven;

        v_storef(fit->result->scale, v_as_float(v_add32(v_as_bits(fit->scale), v_set32(moves[i]))));
        v_requant_set_offset(fit);
        proven = v_requant_proven(fit);
        scale = v_select(proven, v_as_bits(v_loadf(fit->result->scale)), scale);
        offset = v_select(proven, v_as_bits(v_loadf(fit->result->offset)), offset);
        done = v_or(done, proven);
    }
    v_storef(fit->result->scale, v_as_float(scale));
    v_storef(fit->result->offset, v_as_float(offset));
    return v_all(done);
}

/* Fills in a vector of channels for V_REQUANT_EXACT; false if a multiplier is beyond it. */
static inline bool v_requant_set_exact(struct v_requant *r,
                                       const struct scree_multiplier *multipliers, int32_t zp,
                                       const int32_t *low, const int32_t *high)
{
    *r = (struct v_requant){.mode = V_REQUANT_EXACT};
    for (int lane = 0; lane < VEC_LANES; lane++) {
        r->lift[lane] = (-low[lane] > high[lane] ? -low[lane] : high[lane]) + 1;
        if (!scree_lanes_set(&r->lanes, lane, multipliers[lane], zp, (uint32_t)r->lift[lane]))
            return false;
    }
    return true;
}

/* False where looking for a scale is in vain. Of the 255 steps of a channel, one comes within about
 * multiplier / 255 of a whole accumulator; a float below 128 has 17 bits behind the point. For
 * multipliers below 2^-11 the one is less than what the other can tell apart. */
static inline bool v_requant_may_fit(const struct scree_multiplier *multipliers)
{
    for (int lane = 0; lane < VEC_LANES; lane++)
        if (multipliers[lane].q != 0 && multipliers[lane].shift < -10)
            return false;
    return true;
}

/* Lets accumulators bring the zero point along as far as it is a whole number of them: the offset
 * is then next to 0, where floats are fine. */
static inline void v_requant_set_lift(struct v_requant *r,
                                      const struct scree_multiplier *multipliers, int32_t zp)
{
    for (int lane = 0; lane < VEC_LANES; lane++) {
        int32_t shift = multipliers[lane].shift, q = multipliers[lane].q;
        double most = 1 << 23, lift = 0;

        if (q > 0 && shift > -23 && shift <= 0)
            lift = (double)zp * 2147483648.0 * (1 << -shift) / q;
        if (lift > -most && lift < most)
            r->lift[lane] = (int32_t)(lift < 0 ? lift - 0.5 : lift + 0.5);
    }
}

/* Looks for scale and offset of channels, or of one for all of them: the struct's first three
 * numbers and by_step are set. False if a multiplier is beyond V_REQUANT_EXACT; that is the mode if
 * none is found. */
static inline bool v_requant_choose(struct v_requant_fit *fit,
                                    const struct scree_multiplier *multipliers, const int32_t *low,
                                    const int32_t *high)
{
    int32_t q[VEC_LANES], bits[VEC_LANES], half_step[VEC_LANES];
    struct v_requant *r = fit->result;

    if (!v_requant_set_exact(&fit->exact, multipliers, fit->zp, low, high))
        return false;
    for (int lane = 0; lane < VEC_LANES; lane++) {
        int32_t shift = multipliers[lane].shift;

        q[lane] = multipliers[lane].q;
        bits[lane] = (shift - 31 + 127) * (1 << 23); /* 2^(shift - 31) in float */
        half_step[lane] = shift < 0 ? (shift - 1 + 127) * (1 << 23) : 0;
    }
    fit->n = fit->max - fit->min;
    if (fit->by_step)
        fit->n = (fit->n + VEC_LANES - 1) / VEC_LANES;
    fit->low = v_load(low);
    fit->high = v_load(high);
    fit->scale = v_mulf(v_to_float(v_load(q)), v_as_float(v_load(bits)));
    fit->half_step = v_as_float(v_load(half_step));
    *r = (struct v_requant){.mode = fit->min >= fit->zp ? V_REQUANT_RISING : V_REQUANT_SIGNED};
    if (r->mode == V_REQUANT_RISING)
        v_requant_set_lift(r, multipliers, fit->zp);
    if (!v_requant_may_fit(multipliers) || !v_requant_find_steps(fit) || !v_requant_fit(fit))
        *r = fit->exact;
    return true;
}

/* The widest range of all channels, in each of ret_low and ret_high, s32[VEC_LANES]; false if their
 * multipliers are not all the same. */
static inline bool v_requant_unite(const struct scree_multiplier *multipliers, const int32_t *low,
                                   const int32_t *high, int32_t *ret_low, int32_t *ret_high)
{
    int32_t least = 0, most = 0;

    for (int lane = 0; lane < VEC_LANES; lane++) {
        if (multipliers[lane].q != multipliers[0].q ||
            multipliers[lane].shift != multipliers[0].shift)
            return false;
        least = low[lane] < least ? low[lane] : least;
        most = high[lane] > most ? high[lane] : most;
    }
    for (int lane = 0; lane < VEC_LANES; lane++) {
        ret_low[lane] = least;
        ret_high[lane] = most;
    }
    return true;
}

/* Chooses how a vector of channels is requantized: zero point and clamp of the output are `zp`,
 * `min` and `max`, at most 255 apart. To the accumulators r->lift is then added.
 *
 * multipliers  [VEC_LANES]
 * low, high    s32[VEC_LANES] in +-2^30: the range of each channel's accumulators, low <= 0 <= high
 *
 * False if a multiplier is 1 or more, or sums and shifts leave 32 bits: see kernels/lanes.h. */
static inline bool v_requant_init(struct v_requant *r, int32_t zp, int32_t min, int32_t max,
                                  const struct scree_multiplier *multipliers, const int32_t *low,
                                  const int32_t *high)
{
    struct v_requant_fit fit = {.zp = zp, .min = min, .max = max, .result = r};
    int32_t least[VEC_LANES], most[VEC_LANES];

    fit.by_step = v_requant_unite(multipliers, low, high, least, most);
    return v_requant_choose(&fit, multipliers, fit.by_step ? least : low,
                            fit.by_step ? most : high);
}

#endif
