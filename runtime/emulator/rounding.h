/* rounding.h -- a number to any format in any rounding mode, in integers.
**
** The slow road of cvt: a value is a sign and an exact 128-bit-free form,
** mantissa * 2^exponent, with a sticky bit for what lies below. Every float
** and integer type fits, so one function rounds them all.
*/
#ifndef TSR_EMULATOR_ROUNDING_H
#define TSR_EMULATOR_ROUNDING_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "runtime/emulator/op.h"

struct emu_number {
    uint64_t mantissa; /* 0 for zero */
    int exponent;      /* value = mantissa * 2^exponent */
    int negative;
    int is_nan, is_infinite;
};

/* An IEEE-like format: 1 sign bit, then exponent, then fraction. */
struct emu_format {
    int exponent_bits, fraction_bits;
    int no_infinity; /* e4m3: only the all-ones pattern is NaN */
};

static inline struct emu_number emu_number_read(uint64_t bits,
                                                struct emu_format f)
{
    struct emu_number v = {0};
    int e_max = (1 << f.exponent_bits) - 1, bias = e_max >> 1;
    uint64_t fraction = bits & ((UINT64_C(1) << f.fraction_bits) - 1);
    int e = (int)(bits >> f.fraction_bits) & e_max;
    v.negative = (int)(bits >> (f.fraction_bits + f.exponent_bits)) & 1;
    if (e == e_max && !f.no_infinity) {
        v.is_nan = fraction != 0;
        v.is_infinite = !v.is_nan;
        return v;
    }
    if (e == e_max && fraction == (UINT64_C(1) << f.fraction_bits) - 1) {
        v.is_nan = 1;
        return v;
    }
    v.mantissa = e ? fraction | UINT64_C(1) << f.fraction_bits : fraction;
    v.exponent = (e ? e : 1) - bias - f.fraction_bits;
    return v;
}

/* mantissa >> shift, rounded in `mode`. shift > 0. */
static inline uint64_t emu_shift_round(uint64_t mantissa, int shift,
                                       enum emu_rounding mode, int negative)
{
    uint64_t kept = shift < 64 ? mantissa >> shift : 0;
    uint64_t lost = shift < 64 ? mantissa << (64 - shift) : mantissa;
    uint64_t half = UINT64_C(1) << 63;
    int above = shift <= 64 ? lost > half : 0;
    int tie = shift <= 64 ? lost == half : 0;
    int inexact = lost != 0;
    switch (mode) {
    case EMU_RN:
        return kept + (above || (tie && (kept & 1)));
    case EMU_RNA:
        return kept + (above || tie);
    case EMU_RM:
        return kept + (inexact && negative);
    case EMU_RP:
        return kept + (inexact && !negative);
    default:
        return kept;
    }
}

enum { EMU_ROUND_SATFINITE = 1 };

/* The bits of `v` in format `f`. NaN is all ones without the sign, as the
** hardware writes it. */
static inline uint64_t emu_number_write(struct emu_number v,
                                        struct emu_format f,
                                        enum emu_rounding mode, int flags)
{
    int e_max = (1 << f.exponent_bits) - 1, bias = e_max >> 1;
    int top = f.exponent_bits + f.fraction_bits;
    uint64_t sign = (uint64_t)v.negative << top;
    uint64_t none = (UINT64_C(1) << top) - 1;
    uint64_t infinity = (uint64_t)e_max << f.fraction_bits;
    uint64_t largest = f.no_infinity ? none - 1 : infinity - 1;
    if (v.is_nan)
        return none;
    if (!v.is_infinite) {
        if (v.mantissa == 0)
            return sign;
        /* The exponent of the last kept bit: normal, or the fixed one of
        ** subnormals. */
        int high = 63 - __builtin_clzll(v.mantissa);
        int last = high + v.exponent - f.fraction_bits;
        int least = 1 - bias - f.fraction_bits;
        if (last < least)
            last = least;
        int shift = last - v.exponent;
        uint64_t kept =
            shift > 0 ? emu_shift_round(v.mantissa, shift, mode, v.negative)
                      : v.mantissa << -shift;
        /* kept < 2^(fraction_bits + 1) or exactly that after a carry. */
        uint64_t hidden = UINT64_C(1) << f.fraction_bits;
        uint64_t bits = kept;
        if (kept >= hidden)
            bits = ((uint64_t)(last - least) << f.fraction_bits) + kept;
        if (bits <= largest)
            return sign | bits;
        int up = mode == EMU_RN || mode == EMU_RNA ||
                 (mode == EMU_RM && v.negative) ||
                 (mode == EMU_RP && !v.negative);
        if (!up)
            return sign | largest;
    }
    if (flags & EMU_ROUND_SATFINITE)
        return sign | largest;
    return f.no_infinity ? sign | none : sign | infinity;
}

/* `v` as a whole number, rounded in `mode` and clamped to [low, high]. */
static inline uint64_t emu_number_integer(struct emu_number v, int bits,
                                          int is_signed, enum emu_rounding mode)
{
    uint64_t top = is_signed    ? (UINT64_C(1) << (bits - 1)) - 1
                   : bits == 64 ? UINT64_MAX
                                : (UINT64_C(1) << bits) - 1;
    uint64_t bottom = is_signed ? top + 1 : 0; /* magnitude */
    uint64_t limit = v.negative ? bottom : top, size;
    if (v.is_infinite) {
        size = limit;
    } else if (v.mantissa == 0) {
        size = 0;
    } else if (v.exponent >= 0) {
        int high = 63 - __builtin_clzll(v.mantissa);
        size = high + v.exponent > 63 ? UINT64_MAX : v.mantissa << v.exponent;
    } else {
        size = emu_shift_round(v.mantissa, -v.exponent, mode, v.negative);
    }
    if (size > limit)
        size = limit;
    return v.negative ? 0 - size : size;
}

#endif
