/* rtn.c -- round to nearest, one row at a time (rtn.h has the method). */
#include "gen/quantize/rtn.h"

#include <math.h>

#include "runtime/base/half.h"

enum { STRIP = 32 }; /* divides every k and group: lets loops vectorise */

const char *gen_row_fault_text(enum gen_row_fault fault)
{
    static const char *const texts[] = {
#define TEXT(symbol, words) words,
        GEN_ROW_FAULT_LIST(TEXT)
#undef TEXT
    };
    return texts[fault];
}

/* rint for |x| < 2^22: adding 1.5 * 2^23 puts the unit at bit 0. */
static inline float nearest(float x)
{
    const float magic = 12582912.0f;
    return (x + magic) - magic;
}

static inline float clamp_code(float code)
{
    code = code < 0.0f ? 0.0f : code;
    return code > 15.0f ? 15.0f : code;
}

uint16_t gen_half_at_least(float value)
{
    if (!(value > 0.0f))
        return 1; /* also for -0 */
    uint16_t half = tsr__float_to_half(value);
    if (tsr__half_to_float(half) < value)
        half++; /* the next fp16: bits of positive numbers are ordered */
    return half ? half : 1;
}

static enum gen_row_fault find_extremes(const float *w, size_t k, float *low,
                                        float *high, size_t *at)
{
    float lowest = w[0], highest = w[0];
    for (size_t i = 0; i < k; i++) {
        if (!(fabsf(w[i]) <= 65504.0f)) {
            *at = i;
            return isfinite(w[i]) ? GEN_ROW_TOO_LARGE : GEN_ROW_NOT_FINITE;
        }
        lowest = w[i] < lowest ? w[i] : lowest;
        highest = w[i] > highest ? w[i] : highest;
    }
    *low = lowest;
    *high = highest;
    return GEN_ROW_OK;
}

static void channel(const float *w, size_t k, float low, float high,
                    struct gen_row *row)
{
    *row->zero_scale = tsr__float_to_half(0.0f - low); /* no -0 */
    float zs = tsr__half_to_float(*row->zero_scale);
    float span = high + zs;
    *row->scale = gen_half_at_least(span > 0.0f ? span / 15.0f : 0.0f);
    float s = tsr__half_to_float(*row->scale);
    for (size_t i = 0; i < k; i += STRIP) {
        float error = 0, power = 0;
        for (size_t j = i; j < i + STRIP; j++) {
            /* Clamped before rounding too: beyond 2^22 `nearest` is not. */
            float code = nearest(clamp_code((w[j] + zs) / s));
            float off = code * s - zs - w[j];
            row->codes[j] = (uint8_t)code;
            error += off * off;
            power += w[j] * w[j];
        }
        row->error += (double)error;
        row->power += (double)power;
    }
}

struct gen_group gen_rtn_group(float low, float high, int round_up)
{
    float step = (high - low) / 15.0f;
    step = round_up ? ceilf(step) : floorf(step);
    struct gen_group group = {.s2 = step < 1.0f ? 1 : (int)step,
                              .offset = TSR_WEIGHT_OFFSET - (int)nearest(-low)};
    return group;
}

static inline float group_code(struct gen_group group, float w8)
{
    float z1 = (float)(TSR_WEIGHT_OFFSET - group.offset);
    return clamp_code(nearest((w8 + z1) / (float)group.s2));
}

int gen_rtn_group_code(struct gen_group group, float w8)
{
    return (int)group_code(group, w8);
}

/* Squared error of the group in units of s1. */
static float group_error(struct gen_group group, const float *w8, size_t count)
{
    float error = 0;
    float s2 = (float)group.s2;
    float base = (float)(group.offset - TSR_WEIGHT_OFFSET);
    for (size_t i = 0; i < count; i++) {
        float off = group_code(group, w8[i]) * s2 + base - w8[i];
        error += off * off;
    }
    return error;
}

static struct gen_group best_group(const float *w8, size_t count)
{
    float low = w8[0], high = w8[0];
    for (size_t i = 1; i < count; i++) {
        low = w8[i] < low ? w8[i] : low;
        high = w8[i] > high ? w8[i] : high;
    }
    struct gen_group down = gen_rtn_group(low, high, 0);
    struct gen_group up = gen_rtn_group(low, high, 1);
    if (down.s2 == up.s2)
        return up;
    return group_error(down, w8, count) < group_error(up, w8, count) ? down
                                                                     : up;
}

static enum gen_row_fault groups(enum tsr_weight_format format, const float *w,
                                 size_t k, float *w8, float most,
                                 struct gen_row *row)
{
    *row->scale = gen_half_at_least(most / GEN_PROTECTIVE_LIMIT);
    float s1 = tsr__half_to_float(*row->scale);
    size_t size = tsr__weight_group(format);
    /* s1 is rounded up, so this clamps at most an ulp of the division. */
    const float limit = GEN_PROTECTIVE_LIMIT;
    for (size_t i = 0; i < k; i++) {
        float value = w[i] / s1;
        value = value > limit ? limit : value;
        w8[i] = value < -limit ? -limit : value;
    }
    for (size_t g = 0; g < k / size; g++) {
        const float *from = w8 + g * size;
        uint8_t *codes = row->codes + g * size;
        struct gen_group group = best_group(from, size);
        int highest = 0;
        for (size_t i = 0; i < size; i++) {
            int code = gen_rtn_group_code(group, from[i]);
            codes[i] = (uint8_t)code;
            highest = code > highest ? code : highest;
        }
        if (group.s2 > TSR_STEP_MAX || group.offset < 0 ||
            highest * group.s2 + group.offset > 255) {
            row->at = g * size;
            return GEN_ROW_CARRY;
        }
        row->s2[g * row->stride] = (uint8_t)group.s2;
        row->offset[g * row->stride] = (uint8_t)group.offset;
        row->error +=
            (double)(group_error(group, from, size) * s1) * (double)s1;
    }
    for (size_t i = 0; i < k; i++)
        row->power += (double)w[i] * (double)w[i];
    return GEN_ROW_OK;
}

enum gen_row_fault gen_rtn_row(enum tsr_weight_format format, const float *w,
                               size_t k, float *scratch, struct gen_row *row)
{
    float low, high;
    enum gen_row_fault fault = find_extremes(w, k, &low, &high, &row->at);
    if (fault)
        return fault;
    row->error = row->power = 0;
    if (format == TSR_W4C) {
        channel(w, k, low, high, row);
        return GEN_ROW_OK;
    }
    return groups(format, w, k, scratch, high > -low ? high : -low, row);
}
