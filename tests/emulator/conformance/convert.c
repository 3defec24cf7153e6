/* convert.c -- conformance of cvt: widths, roundings, saturation. */
#include <math.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/element.h"
#include "tests/emulator/conformance/rounding.h"

#define F16(x)  tsr__half_to_float((uint16_t)(x))
#define BF16(x) tsr__bfloat_to_float((uint16_t)(x))
#define F32(x)  tsr__bits_float((uint32_t)(x))
#define F64(x)  conf_double(x)

static uint64_t flush(uint64_t bits)
{
    return bits & 0x7f800000 ? bits : bits & 0x80000000;
}

static uint64_t saturate(uint64_t bits)
{
    float value = F32(bits);
    return !(value > 0) ? 0 : value > 1 ? 0x3f800000 : bits;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static uint64_t from_signed(const struct conf_format *format, int64_t x,
                            enum conf_mode mode)
{
    uint64_t magnitude = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    return conf_round(format, x < 0, magnitude, 0, 0, mode);
}

static uint64_t from_unsigned(const struct conf_format *format, uint64_t x,
                              enum conf_mode mode)
{
    return conf_round(format, 0, x, 0, 0, mode);
}

/* A float made whole, as float bits. */
static uint64_t whole32(uint64_t a, enum conf_mode mode)
{
    return conf_round_double(&conf_f32, conf_whole(F32(a), mode), CONF_RN);
}

static uint64_t pack(const struct conf_format *format, uint64_t high,
                     uint64_t low, enum conf_mode mode)
{
    return conf_round_double(format, F32(high), mode) << 16 |
           conf_round_double(format, F32(low), mode);
}

static uint64_t relu(uint64_t half)
{
    return half & 0x8000 ? 0 : half;
}

/* .rna.tf32: to nearest, ties away, ten bits of mantissa. */
static uint64_t tf32(uint64_t bits)
{
    if ((bits & 0x7f800000) == 0x7f800000)
        return bits;
    return (bits + 0x1000) & ~UINT64_C(0x1fff);
}

/* tf32 is a float with ten bits of mantissa, left-aligned. */
static uint64_t tf32_even(uint64_t bits, enum conf_mode mode)
{
    static const struct conf_format format = {10, 8, 0x3ffff};
    if (isnan(F32(bits)))
        return 0x7fffffff;
    return conf_round_double(&format, F32(bits), mode) << 13;
}

#define CVT(X, id, types, D, A, expression) \
    X(id, "cvt." types " %d, %a;", D, A, NONE, NONE, expression)
#define CVTN(W, id, types, D, A, expression) \
    W(id, 80, ANY_NAN, 0, "cvt." types " %d, %a;", D, A, NONE, NONE, expression)

/* Float to integer, in the four modes. */
#define TO_INTEGER(X, type, source, D, A, value, bits, is_signed, from_f64) \
    CVT(X, rni_##type##_##source, "rni." #type "." #source, D, A,           \
        conf_integer(value, bits, is_signed, from_f64, CONF_RN))            \
    CVT(X, rzi_##type##_##source, "rzi." #type "." #source, D, A,           \
        conf_integer(value, bits, is_signed, from_f64, CONF_RZ))            \
    CVT(X, rmi_##type##_##source, "rmi." #type "." #source, D, A,           \
        conf_integer(value, bits, is_signed, from_f64, CONF_RM))            \
    CVT(X, rpi_##type##_##source, "rpi." #type "." #source, D, A,           \
        conf_integer(value, bits, is_signed, from_f64, CONF_RP))

/* Integer to float, in the four modes. */
#define TO_FLOAT(X, type, source, D, A, convert, value)         \
    CVT(X, rn_##type##_##source, "rn." #type "." #source, D, A, \
        convert(&conf_##type, value, CONF_RN))                  \
    CVT(X, rz_##type##_##source, "rz." #type "." #source, D, A, \
        convert(&conf_##type, value, CONF_RZ))                  \
    CVT(X, rm_##type##_##source, "rm." #type "." #source, D, A, \
        convert(&conf_##type, value, CONF_RM))                  \
    CVT(X, rp_##type##_##source, "rp." #type "." #source, D, A, \
        convert(&conf_##type, value, CONF_RP))

#define NARROW(W, type, source, D, A, value)                     \
    CVTN(W, rn_##type##_##source, "rn." #type "." #source, D, A, \
         conf_round_double(&conf_##type, value, CONF_RN))        \
    CVTN(W, rz_##type##_##source, "rz." #type "." #source, D, A, \
         conf_round_double(&conf_##type, value, CONF_RZ))

#define CASES(X, W)                                                            \
    CVT(X, s16_s8, "s16.s8", S16, S8, (int8_t)a)                               \
    CVT(X, s32_s8, "s32.s8", S32, S32, (int8_t)a)                              \
    CVT(X, u32_u8, "u32.u8", U32, U32, (uint8_t)a)                             \
    CVT(X, s8_s32, "s8.s32", S32, S32, (int8_t)a)                              \
    CVT(X, u8_u32, "u8.u32", U32, U32, (uint8_t)a)                             \
    CVT(X, u16_u32, "u16.u32", U16, U32, a)                                    \
    CVT(X, s32_s16, "s32.s16", S32, S16, S16(a))                               \
    CVT(X, u32_u16, "u32.u16", U32, U16, a)                                    \
    CVT(X, u32_s16, "u32.s16", U32, S16, S16(a))                               \
    CVT(X, s64_s32, "s64.s32", S64, S32, S32(a))                               \
    CVT(X, u64_u32, "u64.u32", U64, U32, a)                                    \
    CVT(X, u64_s32, "u64.s32", U64, S32, S32(a))                               \
    CVT(X, s64_u16, "s64.u16", S64, U16, a)                                    \
    CVT(X, u32_u64, "u32.u64", U32, U64, a)                                    \
    CVT(X, s32_s64, "s32.s64", S32, S64, a)                                    \
    CVT(X, u16_u64, "u16.u64", U16, U64, a)                                    \
    CVT(X, sat_s8_s32, "sat.s8.s32", S32, S32, clamp(S32(a), -128, 127))       \
    CVT(X, sat_u8_s32, "sat.u8.s32", U32, S32, clamp(S32(a), 0, 255))          \
    CVT(X, sat_u8_u32, "sat.u8.u32", U32, U32, a > 255 ? 255 : a)              \
    CVT(X, sat_s16_s32, "sat.s16.s32", S16, S32,                               \
        clamp(S32(a), INT16_MIN, INT16_MAX))                                   \
    CVT(X, sat_u16_s32, "sat.u16.s32", U16, S32, clamp(S32(a), 0, UINT16_MAX)) \
    CVT(X, sat_s32_s64, "sat.s32.s64", S32, S64,                               \
        clamp(S64(a), INT32_MIN, INT32_MAX))                                   \
    CVT(X, sat_u32_s64, "sat.u32.s64", U32, S64, clamp(S64(a), 0, UINT32_MAX)) \
    CVT(X, sat_s32_u32, "sat.s32.u32", S32, U32,                               \
        a > INT32_MAX ? INT32_MAX : a)                                         \
    CVT(X, sat_u32_s32, "sat.u32.s32", U32, S32, S32(a) < 0 ? 0 : a)           \
    TO_INTEGER(X, s32, f32, S32, F32, F32(a), 32, 1, 0)                        \
    TO_INTEGER(X, u32, f32, U32, F32, F32(a), 32, 0, 0)                        \
    TO_INTEGER(X, s64, f32, S64, F32, F32(a), 64, 1, 0)                        \
    TO_INTEGER(X, u64, f32, U64, F32, F32(a), 64, 0, 0)                        \
    TO_INTEGER(X, s32, f64, S32, F64, F64(a), 32, 1, 1)                        \
    TO_INTEGER(X, u32, f64, U32, F64, F64(a), 32, 0, 1)                        \
    TO_INTEGER(X, s64, f64, S64, F64, F64(a), 64, 1, 1)                        \
    TO_INTEGER(X, u64, f64, U64, F64, F64(a), 64, 0, 1)                        \
    TO_INTEGER(X, s32, f16, S32, F16, F16(a), 32, 1, 0)                        \
    CVT(X, rzi_s16_f32, "rzi.s16.f32", S16, F32,                               \
        conf_integer(F32(a), 16, 1, 0, CONF_RZ))                               \
    CVT(X, rni_u16_f32, "rni.u16.f32", U16, F32,                               \
        conf_integer(F32(a), 16, 0, 0, CONF_RN))                               \
    CVT(X, rni_s8_f32, "rni.s8.f32", S32, F32,                                 \
        (int8_t)conf_integer(F32(a), 8, 1, 0, CONF_RN))                        \
    CVT(X, rni_sat_s8_f32, "rni.sat.s8.f32", S32, F32,                         \
        (int8_t)conf_integer(F32(a), 8, 1, 0, CONF_RN))                        \
    CVT(X, rzi_u8_f32, "rzi.u8.f32", U32, F32,                                 \
        conf_integer(F32(a), 8, 0, 0, CONF_RZ))                                \
    CVT(X, rzi_u16_f16, "rzi.u16.f16", U16, F16,                               \
        conf_integer(F16(a), 16, 0, 0, CONF_RZ))                               \
    CVT(X, rzi_ftz_s32_f32, "rpi.ftz.s32.f32", S32, F32,                       \
        conf_integer(F32(flush(a)), 32, 1, 0, CONF_RP))                        \
    TO_FLOAT(X, f32, s32, F32, S32, from_signed, S32(a))                       \
    TO_FLOAT(X, f32, u32, F32, U32, from_unsigned, a)                          \
    TO_FLOAT(X, f32, s64, F32, S64, from_signed, S64(a))                       \
    TO_FLOAT(X, f32, u64, F32, U64, from_unsigned, a)                          \
    TO_FLOAT(X, f64, s64, F64, S64, from_signed, S64(a))                       \
    TO_FLOAT(X, f64, u64, F64, U64, from_unsigned, a)                          \
    CVT(X, rn_f64_s32, "rn.f64.s32", F64, S32,                                 \
        from_signed(&conf_f64, S32(a), CONF_RN))                               \
    CVT(X, rn_f64_u32, "rn.f64.u32", F64, U32,                                 \
        from_unsigned(&conf_f64, a, CONF_RN))                                  \
    CVT(X, rn_f32_s8, "rn.f32.s8", F32, S32,                                   \
        from_signed(&conf_f32, (int8_t)a, CONF_RN))                            \
    CVT(X, rn_f32_u8, "rn.f32.u8", F32, U32,                                   \
        from_unsigned(&conf_f32, (uint8_t)a, CONF_RN))                         \
    CVT(X, rn_f32_s16, "rn.f32.s16", F32, S16,                                 \
        from_signed(&conf_f32, S16(a), CONF_RN))                               \
    CVT(X, rn_f16_s32, "rn.f16.s32", F16, S32,                                 \
        from_signed(&conf_f16, S32(a), CONF_RN))                               \
    CVT(X, rn_f16_u16, "rn.f16.u16", F16, U16,                                 \
        from_unsigned(&conf_f16, a, CONF_RN))                                  \
    NARROW(W, f16, f32, F16, F32, F32(a))                                      \
    CVTN(W, rn_bf16_f32, "rn.bf16.f32", BF16, F32,                             \
         conf_round_double(&conf_bf16, F32(a), CONF_RN))                       \
    CVTN(W, rz_bf16_f32, "rz.bf16.f32", BF16, F32,                             \
         conf_round_double(&conf_bf16, F32(a), CONF_RZ))                       \
    CVTN(W, rn_relu_f16_f32, "rn.relu.f16.f32", F16, F32,                      \
         isnan(F32(a)) ? 0x7fff                                                \
                       : relu(conf_round_double(&conf_f16, F32(a), CONF_RN)))  \
    NARROW(W, f32, f64, F32, F64, F64(a))                                      \
    CVTN(W, rm_f32_f64, "rm.f32.f64", F32, F64,                                \
         conf_round_double(&conf_f32, F64(a), CONF_RM))                        \
    CVTN(W, rp_f32_f64, "rp.f32.f64", F32, F64,                                \
         conf_round_double(&conf_f32, F64(a), CONF_RP))                        \
    CVTN(W, rn_f16_f64, "rn.f16.f64", F16, F64,                                \
         conf_round_double(&conf_f16, F64(a), CONF_RN))                        \
    CVTN(W, f64_f32, "f64.f32", F64, F32,                                      \
         conf_round_double(&conf_f64, F32(a), CONF_RN))                        \
    CVTN(W, f32_f16, "f32.f16", F32, F16,                                      \
         conf_round_double(&conf_f32, F16(a), CONF_RN))                        \
    CVTN(W, f64_f16, "f64.f16", F64, F16,                                      \
         conf_round_double(&conf_f64, F16(a), CONF_RN))                        \
    W(f32_bf16, 90, ANY_NAN, 0, "cvt.f32.bf16 %d, %a;", F32, BF16, NONE, NONE, \
      conf_round_double(&conf_f32, BF16(a), CONF_RN))                          \
    X(f32_bf16_by_shift,                                                       \
      "cvt.u32.u16 %r2, %a; shl.b32 %r2, %r2, 16; mov.b32 %d, %r2;", F32,      \
      BF16, NONE, NONE, a << 16)                                               \
    W(rn_f16x2_f32, 80, ANY_NAN, 0, "cvt.rn.f16x2.f32 %d, %a, %b;", H2, F32,   \
      F32, NONE, pack(&conf_f16, a, b, CONF_RN))                               \
    W(rz_f16x2_f32, 80, ANY_NAN, 0, "cvt.rz.f16x2.f32 %d, %a, %b;", H2, F32,   \
      F32, NONE, pack(&conf_f16, a, b, CONF_RZ))                               \
    W(rn_bf16x2_f32, 80, ANY_NAN, 0, "cvt.rn.bf16x2.f32 %d, %a, %b;", BH2,     \
      F32, F32, NONE, pack(&conf_bf16, a, b, CONF_RN))                         \
    W(rn_relu_bf16x2_f32, 80, ANY_NAN, 0,                                      \
      "cvt.rn.relu.bf16x2.f32 %d, %a, %b;", BH2, F32, F32, NONE,               \
      relu(pack(&conf_bf16, a, b, CONF_RN) >> 16) << 16 |                      \
          relu(pack(&conf_bf16, a, b, CONF_RN) & 0xffff))                      \
    CVTN(W, rni_f32, "rni.f32.f32", F32, F32, whole32(a, CONF_RN))             \
    CVTN(W, rzi_f32, "rzi.f32.f32", F32, F32, whole32(a, CONF_RZ))             \
    CVTN(W, rmi_f32, "rmi.f32.f32", F32, F32, whole32(a, CONF_RM))             \
    CVTN(W, rpi_f32, "rpi.f32.f32", F32, F32, whole32(a, CONF_RP))             \
    CVTN(W, rni_f64, "rni.f64.f64", F64, F64,                                  \
         conf_double_bits(conf_whole(F64(a), CONF_RN)))                        \
    CVTN(W, rmi_f64, "rmi.f64.f64", F64, F64,                                  \
         conf_double_bits(conf_whole(F64(a), CONF_RM)))                        \
    CVTN(W, rni_f16, "rni.f16.f16", F16, F16,                                  \
         conf_round_double(&conf_f16, conf_whole(F16(a), CONF_RN), CONF_RN))   \
    CVTN(W, ftz_rpi_f32, "rpi.ftz.f32.f32", F32, F32,                          \
         whole32(flush(a), CONF_RP))                                           \
    CVTN(W, sat_f32, "sat.f32.f32", F32, F32, saturate(a))                     \
    CVTN(W, ftz_sat_f32, "ftz.sat.f32.f32", F32, F32, saturate(flush(a)))      \
    CVTN(W, rn_sat_f32_s32, "rn.sat.f32.s32", F32, S32,                        \
         saturate(from_signed(&conf_f32, S32(a), CONF_RN)))                    \
    W(rn_tf32, 90, ANY_NAN, 0, "cvt.rn.tf32.f32 %r2, %a; mov.b32 %d, %r2;",    \
      F32, F32, NONE, NONE, tf32_even(a, CONF_RN))                             \
    W(rz_relu_tf32, 90, ANY_NAN, 0,                                            \
      "cvt.rz.relu.tf32.f32 %r2, %a; mov.b32 %d, %r2;", F32, F32, NONE, NONE,  \
      a >> 31 && !isnan(F32(a)) ? 0 : tf32_even(a, CONF_RZ))                   \
    W(rna_tf32, 80, ANY_NAN, 0, "cvt.rna.tf32.f32 %r2, %a; mov.b32 %d, %r2;",  \
      F32, F32, NONE, NONE, tf32(a))

CONF_ELEMENTS(convert, CASES)
