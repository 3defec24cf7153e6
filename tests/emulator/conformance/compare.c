/* compare.c -- conformance of set, setp, selp, slct, testp and copysign. */
#include <math.h>
#include <string.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/element.h"

static double f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define F32(x)  tsr__bits_float((uint32_t)(x))
#define F64(x)  f64(x)
#define F16(x)  tsr__half_to_float((uint16_t)(x))
#define BF16(x) tsr__bfloat_to_float((uint16_t)(x))

/* A subnormal counts as a zero of its sign. */
static float flush(uint64_t bits)
{
    if ((bits & 0x7f800000) == 0)
        bits &= 0x80000000;
    return F32(bits);
}

#define EITHER_NAN(x, y) (isnan(x) || isnan(y))

#define SETP(X, id, op, T, expression)                                        \
    X(setp_##id, "setp." op " %p, %a, %b; selp.u32 %d, 1, 0, %p;", U32, T, T, \
      NONE, expression)

/* The six comparisons of an integer type. */
#define SETP_INTEGER(X, type, name, T, cast)              \
    SETP(X, eq_##type, "eq." name, T, cast(a) == cast(b)) \
    SETP(X, ne_##type, "ne." name, T, cast(a) != cast(b)) \
    SETP(X, lt_##type, "lt." name, T, cast(a) < cast(b))  \
    SETP(X, le_##type, "le." name, T, cast(a) <= cast(b)) \
    SETP(X, gt_##type, "gt." name, T, cast(a) > cast(b))  \
    SETP(X, ge_##type, "ge." name, T, cast(a) >= cast(b))

/* The fourteen of a float type: ordered, unordered, and about NaN itself. */
#define SETP_FLOAT(X, type, name, T, cast)                             \
    SETP(X, eq_##type, "eq." name, T, cast(a) == cast(b))              \
    SETP(X, ne_##type, "ne." name, T,                                  \
         cast(a) != cast(b) && !EITHER_NAN(cast(a), cast(b)))          \
    SETP(X, lt_##type, "lt." name, T, cast(a) < cast(b))               \
    SETP(X, le_##type, "le." name, T, cast(a) <= cast(b))              \
    SETP(X, gt_##type, "gt." name, T, cast(a) > cast(b))               \
    SETP(X, ge_##type, "ge." name, T, cast(a) >= cast(b))              \
    SETP(X, equ_##type, "equ." name, T,                                \
         cast(a) == cast(b) || EITHER_NAN(cast(a), cast(b)))           \
    SETP(X, neu_##type, "neu." name, T, cast(a) != cast(b))            \
    SETP(X, ltu_##type, "ltu." name, T, !(cast(a) >= cast(b)))         \
    SETP(X, leu_##type, "leu." name, T, !(cast(a) > cast(b)))          \
    SETP(X, gtu_##type, "gtu." name, T, !(cast(a) <= cast(b)))         \
    SETP(X, geu_##type, "geu." name, T, !(cast(a) < cast(b)))          \
    SETP(X, num_##type, "num." name, T, !EITHER_NAN(cast(a), cast(b))) \
    SETP(X, nan_##type, "nan." name, T, EITHER_NAN(cast(a), cast(b)))

/* PTX counts zeros as normal numbers. */
#define TESTP(X, id, op, T, expression)                                        \
    X(testp_##id, "testp." op " %p, %a; selp.u32 %d, 1, 0, %p;", U32, T, NONE, \
      NONE, expression)

#define CASES(X, W)                                                            \
    SETP_INTEGER(X, u16, "u16", U16, U16)                                      \
    SETP_INTEGER(X, s16, "s16", S16, S16)                                      \
    SETP_INTEGER(X, u32, "u32", U32, U32)                                      \
    SETP_INTEGER(X, s32, "s32", S32, S32)                                      \
    SETP_INTEGER(X, u64, "u64", U64, U64)                                      \
    SETP_INTEGER(X, s64, "s64", S64, S64)                                      \
    SETP(X, eq_b32, "eq.b32", B32, a == b)                                     \
    SETP(X, ne_b64, "ne.b64", B64, a != b)                                     \
    SETP(X, lo_u32, "lo.u32", U32, a < b)                                      \
    SETP(X, ls_u32, "ls.u32", U32, a <= b)                                     \
    SETP(X, hi_u64, "hi.u64", U64, a > b)                                      \
    SETP(X, hs_u16, "hs.u16", U16, a >= b)                                     \
    SETP_FLOAT(X, f32, "f32", F32, F32)                                        \
    SETP_FLOAT(X, f64, "f64", F64, F64)                                        \
    SETP(X, eq_ftz, "eq.ftz.f32", F32, flush(a) == flush(b))                   \
    SETP(X, lt_ftz, "lt.ftz.f32", F32, flush(a) < flush(b))                    \
    SETP(X, lt_f16, "lt.f16", F16, F16(a) < F16(b))                            \
    SETP(X, geu_f16, "geu.f16", F16, !(F16(a) < F16(b)))                       \
    X(setp_f16x2,                                                              \
      "setp.gt.f16x2 %p|%q, %a, %b; selp.u32 %d, 1, 0, %p;"                    \
      " @%q or.b32 %d, %d, 2;",                                                \
      U32, H2, H2, NONE,                                                       \
      (F16(a) > F16(b)) | (F16(a >> 16) > F16(b >> 16)) << 1)                  \
    W(setp_bf16, 90, EXACT, 0,                                                 \
      "setp.ltu.bf16 %p, %a, %b; selp.u32 %d, 1, 0, %p;", U32, BF16, BF16,     \
      NONE, !(BF16(a) >= BF16(b)))                                             \
    W(setp_bf16x2, 90, EXACT, 0,                                               \
      "setp.num.bf16x2 %p|%q, %a, %b; selp.u32 %d, 1, 0, %p; @%q or.b32 %d, "  \
      "%d, 2;",                                                                \
      U32, BH2, BH2, NONE,                                                     \
      (EITHER_NAN(BF16(a), BF16(b)) ? 0 : 1) |                                 \
          (EITHER_NAN(BF16(a >> 16), BF16(b >> 16)) ? 0 : 2))                  \
    X(set_f16x2, "set.gt.f16x2.f16x2 %d, %a, %b;", B32, H2, H2, NONE,          \
      (F16(a) > F16(b) ? 0x3c00 : 0) |                                         \
          (uint64_t)(F16(a >> 16) > F16(b >> 16) ? 0x3c00 : 0) << 16)          \
    X(setp_and,                                                                \
      "setp.ne.u32 %q, %c, 0; setp.lt.and.s32 %p, %a, %b, %q;"                 \
      " selp.u32 %d, 1, 0, %p;",                                               \
      U32, S32, S32, SMALL, S32(a) < S32(b) && c != 0)                         \
    X(setp_or_not,                                                             \
      "setp.gt.u32 %q, %c, 30; setp.lt.or.u32 %p, %a, %b, !%q;"                \
      " selp.u32 %d, 1, 0, %p;",                                               \
      U32, U32, U32, SMALL, a < b || !(c > 30))                                \
    X(setp_xor_pair,                                                           \
      "setp.gt.u32 %z, %c, 30; setp.eq.xor.s32 %p|%q, %a, %b, %z;"             \
      " selp.u32 %d, 1, 0, %p; @%q or.b32 %d, %d, 2;",                         \
      U32, S32, S32, SMALL,                                                    \
      ((a == b) ^ (c > 30)) | ((a != b) ^ (c > 30)) << 1)                      \
    X(set_u32_s32, "set.lt.u32.s32 %d, %a, %b;", U32, S32, S32, NONE,          \
      S32(a) < S32(b) ? 0xffffffff : 0)                                        \
    X(set_s32_f32, "set.gtu.s32.f32 %d, %a, %b;", S32, F32, F32, NONE,         \
      !(F32(a) <= F32(b)) ? 0xffffffff : 0)                                    \
    X(set_f32_f32, "set.le.f32.f32 %d, %a, %b;", F32, F32, F32, NONE,          \
      F32(a) <= F32(b) ? 0x3f800000 : 0)                                       \
    X(set_f32_u64, "set.ne.f32.u64 %d, %a, %b;", F32, U64, U64, NONE,          \
      a != b ? 0x3f800000 : 0)                                                 \
    X(pred_logic,                                                              \
      "setp.lt.s32 %p, %a, 0; setp.lt.s32 %q, %b, 0; and.pred %z, %p, %q;"     \
      " selp.u32 %d, 1, 0, %z; or.pred %z, %p, %q; @%z or.b32 %d, %d, 2;"      \
      " xor.pred %z, %p, %q; @%z or.b32 %d, %d, 4; not.pred %z, %p;"           \
      " @!%z or.b32 %d, %d, 8; mov.pred %z, %q; @!%z or.b32 %d, %d, 16;",      \
      U32, S32, S32, NONE,                                                     \
      (S32(a) < 0 && S32(b) < 0) | (S32(a) < 0 || S32(b) < 0) << 1 |           \
          ((S32(a) < 0) != (S32(b) < 0)) << 2 | (S32(a) < 0) << 3 |            \
          (S32(b) >= 0) << 4)                                                  \
    X(selp_b16, "setp.gt.u32 %p, %c, 30; selp.b16 %d, %a, %b, %p;", U16, U16,  \
      U16, SMALL, c > 30 ? a : b)                                              \
    X(selp_s32, "setp.gt.u32 %p, %c, 30; selp.s32 %d, %a, %b, %p;", S32, S32,  \
      S32, SMALL, c > 30 ? a : b)                                              \
    X(selp_b64, "setp.gt.u32 %p, %c, 30; selp.b64 %d, %a, %b, %p;", B64, B64,  \
      B64, SMALL, c > 30 ? a : b)                                              \
    X(selp_f32, "setp.gt.u32 %p, %c, 30; selp.f32 %d, %a, %b, !%p;", F32, F32, \
      F32, SMALL, c > 30 ? b : a)                                              \
    X(selp_f64, "setp.gt.u32 %p, %c, 30; selp.f64 %d, %a, %b, %p;", F64, F64,  \
      F64, SMALL, c > 30 ? a : b)                                              \
    X(slct_s32, "slct.u32.s32 %d, %a, %b, %c;", U32, U32, U32, S32,            \
      S32(c) >= 0 ? a : b)                                                     \
    X(slct_f32, "slct.u64.f32 %d, %a, %b, %c;", U64, U64, U64, F32,            \
      F32(c) >= 0 ? a : b)                                                     \
    X(slct_ftz, "slct.ftz.f32.f32 %d, %a, %b, %c;", F32, F32, F32, F32,        \
      flush(c) >= 0 ? a : b)                                                   \
    TESTP(X, finite_f32, "finite.f32", F32, isfinite(F32(a)))                  \
    TESTP(X, infinite_f32, "infinite.f32", F32, !!isinf(F32(a)))               \
    TESTP(X, number_f32, "number.f32", F32, !isnan(F32(a)))                    \
    TESTP(X, nan_f32, "notanumber.f32", F32, !!isnan(F32(a)))                  \
    TESTP(X, normal_f32, "normal.f32", F32, isnormal(F32(a)) || F32(a) == 0)   \
    TESTP(X, subnormal_f32, "subnormal.f32", F32,                              \
          fpclassify(F32(a)) == FP_SUBNORMAL)                                  \
    TESTP(X, finite_f64, "finite.f64", F64, isfinite(F64(a)))                  \
    TESTP(X, normal_f64, "normal.f64", F64, isnormal(F64(a)) || F64(a) == 0)   \
    TESTP(X, nan_f64, "notanumber.f64", F64, !!isnan(F64(a)))                  \
    X(copysign_f32, "copysign.f32 %d, %a, %b;", F32, F32, F32, NONE,           \
      (a & 0x80000000) | (b & 0x7fffffff))                                     \
    X(copysign_f64, "copysign.f64 %d, %a, %b;", F64, F64, F64, NONE,           \
      (a & UINT64_C(1) << 63) | (b & ~(UINT64_C(1) << 63)))

CONF_ELEMENTS(compare, CASES)
