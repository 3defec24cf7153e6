/* lanes.c -- conformance of arithmetic on bytes and halves within a word, of
** 8-bit floats, and of packing conversions. */
#include <math.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/element.h"
#include "tests/emulator/conformance/rounding.h"

/* Lane i of `lanes` in a word, with or without sign. */
static int lane(uint64_t x, int i, int lanes, int is_signed)
{
    int bits = 32 / lanes;
    int value = (int)(x >> (bits * i) & ((1u << bits) - 1));
    return is_signed && value >> (bits - 1) ? value - (1 << bits) : value;
}

typedef int lane_function(int a, int b);

static int clamp(int value, int lanes, int is_signed)
{
    int bits = 32 / lanes;
    int high = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    int low = is_signed ? -high - 1 : 0;
    return value < low ? low : value > high ? high : value;
}

/* Every lane through `f`: wrapped, or clamped to the signedness of d. */
static uint64_t each(lane_function *f, uint64_t a, uint64_t b, int lanes,
                     int is_signed, int saturate, int d_signed)
{
    uint64_t result = 0, mask = lanes == 2 ? 0xffff : 0xff;
    for (int i = 0; i < lanes; i++) {
        int value =
            f(lane(a, i, lanes, is_signed), lane(b, i, lanes, is_signed));
        if (saturate)
            value = clamp(value, lanes, d_signed);
        result |= ((uint64_t)(unsigned)value & mask) << (32 / lanes * i);
    }
    return result;
}

/* .add: c plus the results of all lanes. */
static uint64_t sum(lane_function *f, uint64_t a, uint64_t b, uint64_t c,
                    int lanes, int is_signed)
{
    for (int i = 0; i < lanes; i++)
        c += (uint64_t)(int64_t)f(lane(a, i, lanes, is_signed),
                                  lane(b, i, lanes, is_signed));
    return c;
}

static int plus(int a, int b)
{
    return a + b;
}

static int minus(int a, int b)
{
    return a - b;
}

static int average(int a, int b)
{
    return (a + b + 1) >> 1;
}

static int apart(int a, int b)
{
    return a > b ? a - b : b - a;
}

static int lower(int a, int b)
{
    return a < b ? a : b;
}

static int higher(int a, int b)
{
    return a > b ? a : b;
}

static int less(int a, int b)
{
    return a < b;
}

static int equal(int a, int b)
{
    return a == b;
}

/* fns: the |offset|-th set bit from `base` up (offset > 0) or down. */
static uint64_t find_set(uint64_t mask, int base, int offset)
{
    int step = offset < 0 ? -1 : 1, left = offset < 0 ? -offset : offset;
    if (offset == 0)
        return mask >> base & 1 ? (uint64_t)base : 0xffffffff;
    for (int at = base; at >= 0 && at < 32; at += step)
        if ((mask >> at & 1) && --left == 0)
            return (uint64_t)at;
    return 0xffffffff;
}

/* szext: the low n bits of x, extended. */
static uint64_t extend(uint64_t x, uint64_t n, int is_signed)
{
    if (n == 0)
        return 0;
    if (n >= 32)
        return x;
    uint64_t low = x & ((UINT64_C(1) << n) - 1);
    return is_signed && low >> (n - 1) ? low | (~UINT64_C(0) << n) : low;
}

/* ---- 8-bit floats ---------------------------------------------------------*/

struct fp8 {
    int mantissa_bits, least; /* exponent of the smallest normal */
    double largest;
    unsigned nan;
};

static const struct fp8 e4m3 = {3, -6, 448, 0x7f};
static const struct fp8 e5m2 = {2, -14, 57344, 0x7f};

/* To nearest even; too large, infinite: the largest. */
static uint64_t fp8_of(const struct fp8 *format, double value)
{
    if (isnan(value))
        return format->nan;
    uint64_t sign = signbit(value) ? 0x80 : 0;
    double magnitude = fabs(value);
    if (magnitude > format->largest)
        magnitude = format->largest;
    int exponent = format->least;
    if (magnitude >= ldexp(1, format->least))
        exponent = ilogb(magnitude);
    double units =
        nearbyint(ldexp(magnitude, format->mantissa_bits - exponent));
    /* A normal's leading one adds one to the exponent field. */
    return sign | ((uint64_t)units + ((uint64_t)(exponent - format->least)
                                      << format->mantissa_bits));
}

static double fp8_value(const struct fp8 *format, uint64_t byte)
{
    unsigned magnitude = byte & 0x7f;
    int stored = format->mantissa_bits;
    int exponent = (int)(magnitude >> stored);
    double mantissa = magnitude & ((1u << stored) - 1), value;
    if (format == &e4m3 ? magnitude == 0x7f : magnitude > 0x7c)
        return NAN;
    if (format == &e5m2 && magnitude == 0x7c)
        value = INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, format->least - stored);
    else
        value = ldexp(mantissa + (1 << stored),
                      exponent - 1 + format->least - stored);
    return byte & 0x80 ? -value : value;
}

static uint64_t fp8_pair(const struct fp8 *format, double high, double low)
{
    return fp8_of(format, high) << 8 | fp8_of(format, low);
}

static uint64_t half_pair(const struct fp8 *format, uint64_t bytes)
{
    return conf_round_double(&conf_f16, fp8_value(format, bytes >> 8), CONF_RN)
               << 16 |
           conf_round_double(&conf_f16, fp8_value(format, bytes & 255),
                             CONF_RN);
}

static double relu(double value)
{
    return value < 0 ? 0 : value;
}

static int64_t limit(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

#define F32(x) tsr__bits_float((uint32_t)(x))
#define F16(x) tsr__half_to_float((uint16_t)(x))

/* Plain, and summed into c, of one instruction and type. */
#define VIDEO(X, op, lanes, type, is_signed, f)                                \
    X(op##_##type, #op "." #type "." #type "." #type " %d, %a, %b, %c;", B32,  \
      B32, B32, B32, each(f, a, b, lanes, is_signed, 0, is_signed))            \
    X(op##_##type##_add,                                                       \
      #op "." #type "." #type "." #type ".add %d, %a, %b, %c;", B32, B32, B32, \
      B32, sum(f, a, b, c, lanes, is_signed))
#define VIDEO_SAT(X, op, lanes, type, is_signed, f)                            \
    X(op##_##type##_sat,                                                       \
      #op "." #type "." #type "." #type ".sat %d, %a, %b, %c;", B32, B32, B32, \
      B32, each(f, a, b, lanes, is_signed, 1, is_signed))

/* The 16-bit pairs that sm_90 has in hardware. */
#define PAIR(W, op, type, is_signed, f)                                       \
    W(op##_##type, 90, EXACT, 0, #op "." #type " %d, %a, %b;", B32, B32, B32, \
      NONE, each(f, a, b, 2, is_signed, 0, is_signed))

#define CASES(X, W)                                                            \
    VIDEO(X, vadd4, 4, u32, 0, plus)                                           \
    VIDEO(X, vadd4, 4, s32, 1, plus)                                           \
    VIDEO(X, vadd2, 2, u32, 0, plus)                                           \
    VIDEO(X, vadd2, 2, s32, 1, plus)                                           \
    VIDEO(X, vsub4, 4, s32, 1, minus)                                          \
    VIDEO(X, vsub2, 2, s32, 1, minus)                                          \
    VIDEO_SAT(X, vadd4, 4, u32, 0, plus)                                       \
    VIDEO_SAT(X, vadd4, 4, s32, 1, plus)                                       \
    VIDEO_SAT(X, vadd2, 2, s32, 1, plus)                                       \
    VIDEO_SAT(X, vsub4, 4, u32, 0, minus)                                      \
    VIDEO_SAT(X, vsub2, 2, s32, 1, minus)                                      \
    VIDEO(X, vavrg4, 4, u32, 0, average)                                       \
    VIDEO(X, vavrg2, 2, u32, 0, average)                                       \
    VIDEO(X, vabsdiff2, 2, u32, 0, apart)                                      \
    VIDEO(X, vmin4, 4, u32, 0, lower)                                          \
    VIDEO(X, vmin4, 4, s32, 1, lower)                                          \
    VIDEO(X, vmin2, 2, s32, 1, lower)                                          \
    VIDEO(X, vmax4, 4, u32, 0, higher)                                         \
    VIDEO(X, vmax4, 4, s32, 1, higher)                                         \
    VIDEO(X, vmax2, 2, u32, 0, higher)                                         \
    X(vset4_lt, "vset4.s32.s32.lt %d, %a, %b, %c;", B32, B32, B32, B32,        \
      each(less, a, b, 4, 1, 0, 0))                                            \
    X(vset4_eq_add, "vset4.u32.u32.eq.add %d, %a, %b, %c;", B32, B32, B32,     \
      B32, sum(equal, a, b, c, 4, 0))                                          \
    X(vset2_lt, "vset2.u32.u32.lt %d, %a, %b, %c;", B32, B32, B32, B32,        \
      each(less, a, b, 2, 0, 0, 0))                                            \
    PAIR(W, add, u16x2, 0, plus)                                               \
    PAIR(W, add, s16x2, 1, plus)                                               \
    PAIR(W, min, u16x2, 0, lower)                                              \
    PAIR(W, min, s16x2, 1, lower)                                              \
    PAIR(W, max, u16x2, 0, higher)                                             \
    PAIR(W, max, s16x2, 1, higher)                                             \
    X(fns_up, "and.b32 %b, %b, 31; fns.b32 %d, %a, %b, 3;", U32, B32, SMALL,   \
      NONE, find_set(a, (int)(b & 31), 3))                                     \
    X(fns_down, "and.b32 %b, %b, 31; fns.b32 %d, %a, %b, -2;", U32, B32,       \
      SMALL, NONE, find_set(a, (int)(b & 31), -2))                             \
    X(fns_here, "and.b32 %b, %b, 31; fns.b32 %d, %a, %b, 0;", U32, B32, SMALL, \
      NONE, find_set(a, (int)(b & 31), 0))                                     \
    X(szext_clamp_u32, "szext.clamp.u32 %d, %a, %b;", U32, U32, SMALL, NONE,   \
      extend(a, b, 0))                                                         \
    X(szext_clamp_s32, "szext.clamp.s32 %d, %a, %b;", S32, S32, SMALL, NONE,   \
      extend(a, b, 1))                                                         \
    X(szext_wrap_s32, "szext.wrap.s32 %d, %a, %b;", S32, S32, SMALL, NONE,     \
      extend(a, b & 31, 1))                                                    \
    X(pack_u16, "cvt.pack.sat.u16.s32 %d, %a, %b;", B32, S32, S32, NONE,       \
      limit(S32(a), 0, UINT16_MAX) << 16 | limit(S32(b), 0, UINT16_MAX))       \
    X(pack_s16, "cvt.pack.sat.s16.s32 %d, %a, %b;", B32, S32, S32, NONE,       \
      (uint64_t)limit(S32(a), INT16_MIN, INT16_MAX) << 16 |                    \
          U16(limit(S32(b), INT16_MIN, INT16_MAX)))                            \
    X(pack_u8, "cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c;", B32, S32, S32, B32,  \
      c << 16 | (uint64_t)limit(S32(a), 0, 255) << 8 |                         \
          (uint64_t)limit(S32(b), 0, 255))                                     \
    X(pack_s8, "cvt.pack.sat.s8.s32.b32 %d, %a, %b, %c;", B32, S32, S32, B32,  \
      c << 16 | (limit(S32(a), -128, 127) & 255) << 8 |                        \
          (limit(S32(b), -128, 127) & 255))                                    \
    W(e4m3x2_f32, 89, EXACT, 0, "cvt.rn.satfinite.e4m3x2.f32 %d, %a, %b;",     \
      F16, F32, F32, NONE, fp8_pair(&e4m3, F32(a), F32(b)))                    \
    W(e5m2x2_f32, 89, EXACT, 0, "cvt.rn.satfinite.e5m2x2.f32 %d, %a, %b;",     \
      F16, F32, F32, NONE, fp8_pair(&e5m2, F32(a), F32(b)))                    \
    W(e4m3x2_relu, 89, EXACT, 0,                                               \
      "cvt.rn.satfinite.relu.e4m3x2.f32 %d, %a, %b;", F16, F32, F32, NONE,     \
      fp8_pair(&e4m3, relu(F32(a)), relu(F32(b))) & 0x7f7f)                    \
    W(e4m3x2_f16x2, 89, EXACT, 0, "cvt.rn.satfinite.e4m3x2.f16x2 %d, %a;",     \
      F16, H2, NONE, NONE, fp8_pair(&e4m3, F16(a >> 16), F16(a)))              \
    W(e5m2x2_f16x2, 89, EXACT, 0, "cvt.rn.satfinite.e5m2x2.f16x2 %d, %a;",     \
      F16, H2, NONE, NONE, fp8_pair(&e5m2, F16(a >> 16), F16(a)))              \
    W(f16x2_e4m3x2, 89, ANY_NAN, 0, "cvt.rn.f16x2.e4m3x2 %d, %a;", H2, F16,    \
      NONE, NONE, half_pair(&e4m3, a))                                         \
    W(f16x2_e5m2x2, 89, ANY_NAN, 0, "cvt.rn.f16x2.e5m2x2 %d, %a;", H2, F16,    \
      NONE, NONE, half_pair(&e5m2, a))

CONF_ELEMENTS(lanes, CASES)
