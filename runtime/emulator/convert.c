/* convert.c -- cvt.
**
** Frequent conversions have a handler each. cvt_integer does all between
** integers, cvt_float all that involve a float, through rounding.h:
**
**     x  from (enum ptx_type)    y  to (enum ptx_type)
**     z  rounding to a float (enum emu_rounding) or to a whole number
**     n  1: the result is made whole first (float to float .rni ...)
**     immediate: mask of the destination register's width
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/convert.c"
#include "runtime/emulator/isa.h"
#else

EMU_UNARY(cvt_u64_u32, lane_u64, lane_u32, x)
EMU_UNARY(cvt_s64_s32, lane_s64, lane_s32, x)
EMU_UNARY(cvt_u32_u64, lane_u32, lane_u64, x)
EMU_UNARY(cvt_u16_u32, lane_u32, lane_u32, (uint16_t)x)
EMU_UNARY(cvt_u8_u32, lane_u32, lane_u32, (uint8_t)x)
EMU_UNARY(cvt_s32_s8, lane_s32, lane_u32, (int8_t)x)
EMU_UNARY(cvt_s32_s16, lane_s32, lane_u32, (int16_t)x)
EMU_UNARY(cvt_f32_s32, lane_f32, lane_s32, x)
EMU_UNARY(cvt_f32_u32, lane_f32, lane_u32, x)

static inline int32_t EMU_H(nearest)(float v)
{
    if (!(v >= -0x1p31f))
        return v != v ? 0 : INT32_MIN;
    return v >= 0x1p31f ? INT32_MAX : (int32_t)rintf(v);
}

EMU_UNARY(cvt_s32_f32_rni, lane_s32, lane_f32, EMU_H(nearest)(x))
EMU_UNARY(cvt_sat_f32, lane_f32, lane_f32, emu_saturate(x))

/* -- halves --------------------------------------------------------------- */

static inline float EMU_H(widen)(uint32_t half)
{
    return emu_canonical(tsr__half_to_float((uint16_t)half));
}

#if EMU_ISA_LEVEL >= 4

void EMU_H(cvt_f32_f16)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a);
    (void)w;
    for (int i = 0; i < 32; i += 16) {
        __m512i v = _mm512_loadu_si512((const void *)(a + i));
        __m512 f = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
        __mmask16 none = _mm512_cmp_ps_mask(f, f, _CMP_UNORD_Q);
        v = _mm512_mask_mov_epi32(_mm512_castps_si512(f), none,
                                  _mm512_set1_epi32(0x7fffffff));
        _mm512_mask_storeu_epi32(d + i, (__mmask16)(m >> i), v);
    }
}

static inline __m512i EMU_H(to_half)(const lane_f32 *a)
{
    __m512 f = _mm512_loadu_ps(a);
    __mmask16 none = _mm512_cmp_ps_mask(f, f, _CMP_UNORD_Q);
    f = _mm512_mask_mov_ps(f, none,
                           _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff)));
    return _mm512_cvtepu16_epi32(_mm512_cvtps_ph(f, _MM_FROUND_TO_NEAREST_INT));
}

void EMU_H(cvt_f16_f32)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_f32 *a = EMU_AT(lane_f32, op->a);
    (void)w;
    for (int i = 0; i < 32; i += 16)
        _mm512_mask_storeu_epi32(d + i, (__mmask16)(m >> i),
                                 EMU_H(to_half)(a + i));
}

/* cvt.f16x2.f32 d, a, b: a is the upper half. */
void EMU_H(cvt_f16x2_f32)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_f32 *a = EMU_AT(lane_f32, op->a), *b = EMU_AT(lane_f32, op->b);
    (void)w;
    for (int i = 0; i < 32; i += 16) {
        __m512i high = _mm512_slli_epi32(EMU_H(to_half)(a + i), 16);
        _mm512_mask_storeu_epi32(d + i, (__mmask16)(m >> i),
                                 _mm512_or_si512(high, EMU_H(to_half)(b + i)));
    }
}

#else

EMU_UNARY(cvt_f32_f16, lane_f32, lane_u32, EMU_H(widen)(x))
EMU_UNARY(cvt_f16_f32, lane_u32, lane_f32, tsr__float_to_half(x))
EMU_BINARY(cvt_f16x2_f32, lane_u32, lane_f32, lane_f32,
           (uint32_t)tsr__float_to_half(x) << 16 | tsr__float_to_half(y))

#endif

EMU_UNARY(cvt_f32_bf16, lane_f32, lane_u32,
          emu_canonical(tsr__bfloat_to_float((uint16_t)x)))
EMU_UNARY(cvt_bf16_f32, lane_u32, lane_f32, tsr__float_to_bfloat(x))
EMU_BINARY(cvt_bf16x2_f32, lane_u32, lane_f32, lane_f32,
           (uint32_t)tsr__float_to_bfloat(x) << 16 | tsr__float_to_bfloat(y))

/* -- integers ------------------------------------------------------------- */

/* Sign- or zero-extends the low bits of a slot. */
static inline int64_t EMU_H(load)(const unsigned char *r, uint32_t offset,
                                  int i, int type)
{
    uint32_t v = EMU_AT(const lane_u32, offset)[i];
    switch (type) {
    case PTX_U8:
    case PTX_B8:
        return (uint8_t)v;
    case PTX_S8:
        return (int8_t)v;
    case PTX_U16:
    case PTX_B16:
        return (uint16_t)v;
    case PTX_S16:
        return (int16_t)v;
    case PTX_U32:
    case PTX_B32:
        return v;
    case PTX_S32:
        return (int32_t)v;
    default:
        return (int64_t)EMU_AT(const lane_u64, offset)[i];
    }
}

/* Truncates to the type and extends again, as a wider register holds it. */
static inline uint64_t EMU_H(narrow)(uint64_t v, int type)
{
    switch (type) {
    case PTX_U8:
    case PTX_B8:
        return (uint8_t)v;
    case PTX_S8:
        return (uint64_t)(int64_t)(int8_t)v;
    case PTX_U16:
    case PTX_B16:
        return (uint16_t)v;
    case PTX_S16:
        return (uint64_t)(int64_t)(int16_t)v;
    case PTX_U32:
    case PTX_B32:
        return (uint32_t)v;
    case PTX_S32:
        return (uint64_t)(int64_t)(int32_t)v;
    default:
        return v;
    }
}

static inline int EMU_H(is_signed)(int type)
{
    return type == PTX_S8 || type == PTX_S16 || type == PTX_S32 ||
           type == PTX_S64;
}

static inline int EMU_H(bits)(int type)
{
    switch (type) {
    case PTX_U8:
    case PTX_S8:
    case PTX_B8:
        return 8;
    case PTX_U16:
    case PTX_S16:
    case PTX_B16:
        return 16;
    case PTX_U32:
    case PTX_S32:
    case PTX_B32:
        return 32;
    default:
        return 64;
    }
}

static inline uint64_t EMU_H(clamp)(int64_t v, int from, int to)
{
    int bits = EMU_H(bits)(to), wide = from == PTX_U64 || from == PTX_B64;
    if (EMU_H(is_signed)(to)) {
        int64_t top = (int64_t)(UINT64_MAX >> (65 - bits));
        if (wide && v < 0)
            return (uint64_t)top; /* above 2^63 */
        return (uint64_t)(v > top ? top : v < -top - 1 ? -top - 1 : v);
    }
    uint64_t top = UINT64_MAX >> (64 - bits);
    if (EMU_H(is_signed)(from) && v < 0)
        return 0;
    return (uint64_t)v > top ? top : (uint64_t)v;
}

static inline void EMU_H(store)(unsigned char *r, const struct emu_op *op,
                                int i, uint64_t v)
{
    v &= op->immediate;
    if (op->flags & EMU_WIDE)
        EMU_AT(lane_u64, op->d)[i] = v;
    else
        EMU_AT(lane_u32, op->d)[i] = (uint32_t)v;
}

void EMU_H(cvt_integer)(EMU_ARGUMENTS)
{
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        int64_t v = EMU_H(load)(r, op->a, i, op->x);
        uint64_t t =
            op->flags & EMU_SAT ? EMU_H(clamp)(v, op->x, op->y) : (uint64_t)v;
        EMU_H(store)(r, op, i, EMU_H(narrow)(t, op->y));
    }
}

/* -- floats --------------------------------------------------------------- */

static inline struct emu_format EMU_H(format)(int type)
{
    switch (type) {
    case PTX_F16:
        return (struct emu_format){5, 10, 0};
    case PTX_BF16:
        return (struct emu_format){8, 7, 0};
    case PTX_TF32:
        return (struct emu_format){8, 10, 0};
    case PTX_F64:
        return (struct emu_format){11, 52, 0};
    default:
        return (struct emu_format){8, 23, 0};
    }
}

static inline int EMU_H(is_float)(int type)
{
    return type == PTX_F16 || type == PTX_BF16 || type == PTX_TF32 ||
           type == PTX_F32 || type == PTX_F64;
}

static inline struct emu_number EMU_H(number)(const unsigned char *r,
                                              const struct emu_op *op, int i)
{
    struct emu_number v = {0};
    if (EMU_H(is_float)(op->x)) {
        uint64_t bits = op->x == PTX_F64 ? EMU_AT(const lane_u64, op->a)[i]
                                         : EMU_AT(const lane_u32, op->a)[i];
        if (op->x == PTX_F16 || op->x == PTX_BF16)
            bits &= 0xffff;
        v = emu_number_read(bits, EMU_H(format)(op->x));
        if (op->flags & EMU_FTZ && op->x == PTX_F32 && !(bits & 0x7f800000))
            v.mantissa = 0;
        return v;
    }
    int64_t whole = EMU_H(load)(r, op->a, i, op->x);
    v.negative = EMU_H(is_signed)(op->x) && whole < 0;
    v.mantissa = v.negative ? 0 - (uint64_t)whole : (uint64_t)whole;
    return v;
}

/* To a whole number, still a float; the sign of a zero result stays. */
static inline struct emu_number EMU_H(whole)(struct emu_number v, int mode)
{
    if (v.is_nan || v.is_infinite || v.exponent >= 0 || v.mantissa == 0)
        return v;
    v.mantissa = emu_shift_round(v.mantissa, -v.exponent, mode, v.negative);
    v.exponent = 0;
    return v;
}

static inline uint64_t EMU_H(to_integer)(struct emu_number v,
                                         const struct emu_op *op)
{
    int bits = EMU_H(bits)(op->y);
    if (v.is_nan) /* what the hardware gives */
        return op->x == PTX_F64 || bits == 64 ? UINT64_C(1) << (bits - 1) : 0;
    uint64_t t = emu_number_integer(v, bits, EMU_H(is_signed)(op->y), op->z);
    return EMU_H(narrow)(t, op->y);
}

static inline uint64_t EMU_H(to_float)(struct emu_number v,
                                       const struct emu_op *op)
{
    struct emu_format format = EMU_H(format)(op->y);
    if (op->n)
        v = EMU_H(whole)(v, op->z);
    if (op->flags & EMU_SAT) {
        struct emu_number one = {.mantissa = 1};
        int high = v.mantissa ? 63 - __builtin_clzll(v.mantissa) : 0;
        if (v.is_nan || v.negative)
            v = (struct emu_number){0};
        else if (v.is_infinite || (v.mantissa && high + v.exponent >= 0))
            v = one;
    }
    if (v.is_nan && op->y == PTX_F64)
        return UINT64_C(0x7fffffffe0000000); /* a widened 0x7fffffff */
    if (op->flags & EMU_RELU && !v.is_nan && v.negative)
        return 0;
    uint64_t bits = emu_number_write(v, format, op->z, 0);
    if (op->y == PTX_TF32)
        bits <<= 13; /* tf32 sits in the upper bits of an f32 */
    if (op->flags & EMU_FTZ && op->y == PTX_F32 && !(bits & 0x7f800000))
        bits &= 0x80000000;
    return bits;
}

void EMU_H(cvt_float)(EMU_ARGUMENTS)
{
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        struct emu_number v = EMU_H(number)(r, op, i);
        uint64_t bits = EMU_H(is_float)(op->y) ? EMU_H(to_float)(v, op)
                                               : EMU_H(to_integer)(v, op);
        EMU_H(store)(r, op, i, bits);
    }
}

/* Two floats a (upper) and b (lower) to a pair. y: PTX_F16, PTX_BF16, or for
** eight-bit floats EMU_E4M3, EMU_E5M2; x: PTX_F32, or PTX_F16X2 in a alone;
** n = 1: from a pair of eight-bit floats (x as y above) to f16x2. */
static inline struct emu_format EMU_H(pair_format)(int code)
{
    if (code == EMU_E4M3)
        return (struct emu_format){4, 3, 1};
    if (code == EMU_E5M2)
        return (struct emu_format){5, 2, 0};
    return EMU_H(format)(code);
}

static inline uint64_t EMU_H(pair_part)(const struct emu_op *op, uint64_t bits,
                                        struct emu_format from)
{
    struct emu_format to = EMU_H(pair_format)(op->y);
    struct emu_number v = emu_number_read(bits, from);
    int eight = op->y >= EMU_E4M3;
    if (op->flags & EMU_RELU && !v.is_nan && v.negative)
        return 0;
    if (v.is_nan && op->y == EMU_E5M2)
        return 0x7f;
    return emu_number_write(
        v, to, op->z, eight || op->flags & EMU_SAT ? EMU_ROUND_SATFINITE : 0);
}

void EMU_H(cvt_pair)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a), *b = EMU_AT(lane_u32, op->b);
    int shift = op->y >= EMU_E4M3 ? 8 : 16;
    struct emu_format from =
        EMU_H(pair_format)(op->x == PTX_F16X2 ? PTX_F16 : op->x);
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint32_t high = a[i], low = b[i];
        if (op->x == PTX_F16X2)
            low = high & 0xffff, high >>= 16;
        else if (op->n)
            low = high & 0xff, high = high >> 8 & 0xff;
        d[i] = (uint32_t)(EMU_H(pair_part)(op, high, from) << shift |
                          EMU_H(pair_part)(op, low, from));
    }
}

/* cvt.pack.sat: a and b, clamped to y's type, into the low parts of d; c
** supplies the upper ones. x: from. */
void EMU_H(cvt_pack)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *c = EMU_AT(lane_u32, op->c);
    int bits = EMU_H(bits)(op->y);
    uint32_t mask = bits == 16 ? 0xffff : (1u << bits) - 1;
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint64_t high =
            EMU_H(clamp)(EMU_H(load)(r, op->a, i, op->x), op->x, op->y);
        uint64_t low =
            EMU_H(clamp)(EMU_H(load)(r, op->b, i, op->x), op->x, op->y);
        uint32_t both =
            ((uint32_t)high & mask) << bits | ((uint32_t)low & mask);
        d[i] = bits == 8 ? (c[i] << 16) | both : both;
    }
}

#endif
