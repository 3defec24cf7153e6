/* integer.c -- conformance of integer arithmetic. */
#include "tests/emulator/conformance/element.h"

typedef __int128 wide;
typedef unsigned __int128 uwide;

static int64_t clamp32(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x;
}

/* The low 24 bits as a number. */
static int64_t s24(uint64_t x)
{
    return (int32_t)((uint32_t)x << 8) >> 8;
}

static uint64_t u24(uint64_t x)
{
    return x & 0xffffff;
}

static int64_t larger(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

static int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

/* A GPU divides by zero to all ones, and the least number by -1 to itself. What
** is left over when dividing by zero is unspecified, so no case asks. */
static int64_t divide(int64_t x, int64_t y)
{
    return y == 0 ? -1 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static int64_t remain(int64_t x, int64_t y)
{
    return y == -1 ? 0 : x % y;
}

/* The carry of a sum goes into the same sum again, and that one's on. */
static uint64_t three_sums(uint64_t sum)
{
    uint64_t second = sum + (sum >> 32);
    return sum + second + (second >> 32);
}

static int byte(uint64_t x, int i, int is_signed)
{
    uint8_t b = (uint8_t)(x >> (8 * i));
    return is_signed ? (int8_t)b : b;
}

static int64_t dot4(uint64_t a, int sa, uint64_t b, int sb, int64_t sum)
{
    for (int i = 0; i < 4; i++)
        sum += (int64_t)byte(a, i, sa) * byte(b, i, sb);
    return sum;
}

static int64_t dot2(uint64_t a, int sa, uint64_t b, int sb, int high,
                    int64_t sum)
{
    for (int i = 0; i < 2; i++) {
        uint16_t h = (uint16_t)(a >> (16 * i));
        sum += (int64_t)(sa ? (int16_t)h : h) * byte(b, i + 2 * high, sb);
    }
    return sum;
}

static int64_t bytes_apart(uint64_t a, uint64_t b, int is_signed, uint64_t sum)
{
    for (int i = 0; i < 4; i++) {
        int apart = byte(a, i, is_signed) - byte(b, i, is_signed);
        sum += (uint64_t)(apart < 0 ? -apart : apart);
    }
    return (int64_t)sum;
}

/* One row for each of the six integer types; `u` and `s` get the operands
** widened without and with sign. */
#define EACH(X, op, text, expression_u, expression_s)                       \
    X(op##_u16, text ".u16 %d, %a, %b;", U16, U16, U16, NONE, expression_u) \
    X(op##_s16, text ".s16 %d, %a, %b;", S16, S16, S16, NONE,               \
      expression_s(S16))                                                    \
    X(op##_u32, text ".u32 %d, %a, %b;", U32, U32, U32, NONE, expression_u) \
    X(op##_s32, text ".s32 %d, %a, %b;", S32, S32, S32, NONE,               \
      expression_s(S32))                                                    \
    X(op##_u64, text ".u64 %d, %a, %b;", U64, U64, U64, NONE, expression_u) \
    X(op##_s64, text ".s64 %d, %a, %b;", S64, S64, S64, NONE, expression_s(S64))

#define ADD_S(T) ((uint64_t)T(a) + (uint64_t)T(b))
#define SUB_S(T) ((uint64_t)T(a) - (uint64_t)T(b))
#define MUL_S(T) ((uint64_t)T(a) * (uint64_t)T(b))
#define MIN_S(T) smaller(T(a), T(b))
#define MAX_S(T) larger(T(a), T(b))
#define SAD_S(T) \
    (c + (uint64_t)larger(T(a), T(b)) - (uint64_t)smaller(T(a), T(b)))

#define HIGH(a, b, bits, cast) (uint64_t)(((cast)(a) * (cast)(b)) >> (bits))

#define CASES(X, W)                                                           \
    EACH(X, add, "add", a + b, ADD_S)                                         \
    EACH(X, sub, "sub", a - b, SUB_S)                                         \
    EACH(X, mul_lo, "mul.lo", (a * b), MUL_S)                                 \
    EACH(X, min, "min", a < b ? a : b, MIN_S)                                 \
    EACH(X, max, "max", a > b ? a : b, MAX_S)                                 \
    X(add_sat_s32, "add.sat.s32 %d, %a, %b;", S32, S32, S32, NONE,            \
      clamp32((int64_t)S32(a) + S32(b)))                                      \
    X(sub_sat_s32, "sub.sat.s32 %d, %a, %b;", S32, S32, S32, NONE,            \
      clamp32((int64_t)S32(a) - S32(b)))                                      \
    X(mul_hi_u16, "mul.hi.u16 %d, %a, %b;", U16, U16, U16, NONE,              \
      (a * b) >> 16)                                                          \
    X(mul_hi_s16, "mul.hi.s16 %d, %a, %b;", S16, S16, S16, NONE,              \
      S16(a) * S16(b) >> 16)                                                  \
    X(mul_hi_u32, "mul.hi.u32 %d, %a, %b;", U32, U32, U32, NONE,              \
      (a * b) >> 32)                                                          \
    X(mul_hi_s32, "mul.hi.s32 %d, %a, %b;", S32, S32, S32, NONE,              \
      (int64_t)S32(a) * S32(b) >> 32)                                         \
    X(mul_hi_u64, "mul.hi.u64 %d, %a, %b;", U64, U64, U64, NONE,              \
      HIGH(a, b, 64, uwide))                                                  \
    X(mul_hi_s64, "mul.hi.s64 %d, %a, %b;", S64, S64, S64, NONE,              \
      HIGH(S64(a), S64(b), 64, wide))                                         \
    X(mul_wide_u16, "mul.wide.u16 %d, %a, %b;", U32, U16, U16, NONE, (a * b)) \
    X(mul_wide_s16, "mul.wide.s16 %d, %a, %b;", S32, S16, S16, NONE,          \
      S16(a) * S16(b))                                                        \
    X(mul_wide_u32, "mul.wide.u32 %d, %a, %b;", U64, U32, U32, NONE, (a * b)) \
    X(mul_wide_s32, "mul.wide.s32 %d, %a, %b;", S64, S32, S32, NONE,          \
      (int64_t)S32(a) * S32(b))                                               \
    X(mul24_lo_u32, "mul24.lo.u32 %d, %a, %b;", U32, U32, U32, NONE,          \
      u24(a) * u24(b))                                                        \
    X(mul24_lo_s32, "mul24.lo.s32 %d, %a, %b;", S32, S32, S32, NONE,          \
      s24(a) * s24(b))                                                        \
    X(mul24_hi_u32, "mul24.hi.u32 %d, %a, %b;", U32, U32, U32, NONE,          \
      u24(a) * u24(b) >> 16)                                                  \
    X(mul24_hi_s32, "mul24.hi.s32 %d, %a, %b;", S32, S32, S32, NONE,          \
      s24(a) * s24(b) >> 16)                                                  \
    X(mad24_lo_s32, "mad24.lo.s32 %d, %a, %b, %c;", S32, S32, S32, S32,       \
      (uint64_t)(s24(a) * s24(b)) + c)                                        \
    X(mad24_hi_u32, "mad24.hi.u32 %d, %a, %b, %c;", U32, U32, U32, U32,       \
      (u24(a) * u24(b) >> 16) + c)                                            \
    X(mad24_lo_u32, "mad24.lo.u32 %d, %a, %b, %c;", U32, U32, U32, U32,       \
      u24(a) * u24(b) + c)                                                    \
    X(mad24_hi_s32, "mad24.hi.s32 %d, %a, %b, %c;", S32, S32, S32, S32,       \
      (uint64_t)(s24(a) * s24(b) >> 16) + c)                                  \
    X(mad24_hi_sat_s32, "mad24.hi.sat.s32 %d, %a, %b, %c;", S32, S32, S32,    \
      S32, clamp32((s24(a) * s24(b) >> 16) + S32(c)))                         \
    X(mad_lo_u16, "mad.lo.u16 %d, %a, %b, %c;", U16, U16, U16, U16,           \
      (a * b + c))                                                            \
    X(mad_lo_s16, "mad.lo.s16 %d, %a, %b, %c;", S16, S16, S16, S16,           \
      (a * b + c))                                                            \
    X(mad_lo_u32, "mad.lo.u32 %d, %a, %b, %c;", U32, U32, U32, U32,           \
      (a * b + c))                                                            \
    X(mad_lo_s32, "mad.lo.s32 %d, %a, %b, %c;", S32, S32, S32, S32,           \
      (a * b + c))                                                            \
    X(mad_lo_u64, "mad.lo.u64 %d, %a, %b, %c;", U64, U64, U64, U64,           \
      (a * b + c))                                                            \
    X(mad_lo_s64, "mad.lo.s64 %d, %a, %b, %c;", S64, S64, S64, S64,           \
      (a * b + c))                                                            \
    X(mad_hi_u16, "mad.hi.u16 %d, %a, %b, %c;", U16, U16, U16, U16,           \
      (a * b >> 16) + c)                                                      \
    X(mad_hi_s16, "mad.hi.s16 %d, %a, %b, %c;", S16, S16, S16, S16,           \
      (S16(a) * S16(b) >> 16) + S16(c))                                       \
    X(mad_hi_u32, "mad.hi.u32 %d, %a, %b, %c;", U32, U32, U32, U32,           \
      (a * b >> 32) + c)                                                      \
    X(mad_hi_s32, "mad.hi.s32 %d, %a, %b, %c;", S32, S32, S32, S32,           \
      ((int64_t)S32(a) * S32(b) >> 32) + S32(c))                              \
    X(mad_hi_sat_s32, "mad.hi.sat.s32 %d, %a, %b, %c;", S32, S32, S32, S32,   \
      clamp32(((int64_t)S32(a) * S32(b) >> 32) + S32(c)))                     \
    X(mad_hi_u64, "mad.hi.u64 %d, %a, %b, %c;", U64, U64, U64, U64,           \
      HIGH(a, b, 64, uwide) + c)                                              \
    X(mad_hi_s64, "mad.hi.s64 %d, %a, %b, %c;", S64, S64, S64, S64,           \
      HIGH(S64(a), S64(b), 64, wide) + c)                                     \
    X(mad_wide_u16, "mad.wide.u16 %d, %a, %b, %c;", U32, U16, U16, U32,       \
      (a * b + c))                                                            \
    X(mad_wide_s16, "mad.wide.s16 %d, %a, %b, %c;", S32, S16, S16, S32,       \
      (uint64_t)(S16(a) * S16(b)) + c)                                        \
    X(mad_wide_u32, "mad.wide.u32 %d, %a, %b, %c;", U64, U32, U32, U64,       \
      (a * b + c))                                                            \
    X(mad_wide_s32, "mad.wide.s32 %d, %a, %b, %c;", S64, S32, S32, S64,       \
      (uint64_t)((int64_t)S32(a) * S32(b)) + c)                               \
    X(sad_u16, "sad.u16 %d, %a, %b, %c;", U16, U16, U16, U16,                 \
      c + (a > b ? a - b : b - a))                                            \
    X(sad_s16, "sad.s16 %d, %a, %b, %c;", S16, S16, S16, S16, SAD_S(S16))     \
    X(sad_u32, "sad.u32 %d, %a, %b, %c;", U32, U32, U32, U32,                 \
      c + (a > b ? a - b : b - a))                                            \
    X(sad_s32, "sad.s32 %d, %a, %b, %c;", S32, S32, S32, S32, SAD_S(S32))     \
    X(sad_u64, "sad.u64 %d, %a, %b, %c;", U64, U64, U64, U64,                 \
      c + (a > b ? a - b : b - a))                                            \
    X(sad_s64, "sad.s64 %d, %a, %b, %c;", S64, S64, S64, S64, SAD_S(S64))     \
    X(div_u16, "max.u16 %b, %b, 1; div.u16 %d, %a, %b;", U16, U16, U16, NONE, \
      b ? a / b : a)                                                          \
    X(div_s16, "or.b16 %b, %b, 1; div.s16 %d, %a, %b;", S16, S16, S16, NONE,  \
      S16(a) / S16(b | 1))                                                    \
    X(div_u32, "div.u32 %d, %a, %b;", U32, U32, U32, NONE,                    \
      b ? a / b : UINT64_MAX)                                                 \
    X(div_s32, "div.s32 %d, %a, %b;", S32, S32, S32, NONE,                    \
      divide(S32(a), S32(b)))                                                 \
    X(div_u64, "div.u64 %d, %a, %b;", U64, U64, U64, NONE,                    \
      b ? a / b : UINT64_MAX)                                                 \
    X(div_s64, "div.s64 %d, %a, %b;", S64, S64, S64, NONE,                    \
      divide(S64(a), S64(b)))                                                 \
    X(rem_u16, "max.u16 %b, %b, 1; rem.u16 %d, %a, %b;", U16, U16, U16, NONE, \
      b ? a % b : 0)                                                          \
    X(rem_s16, "or.b16 %b, %b, 1; rem.s16 %d, %a, %b;", S16, S16, S16, NONE,  \
      S16(a) % S16(b | 1))                                                    \
    X(rem_u32, "max.u32 %b, %b, 1; rem.u32 %d, %a, %b;", U32, U32, U32, NONE, \
      b ? a % b : 0)                                                          \
    X(rem_s32, "or.b32 %b, %b, 1; rem.s32 %d, %a, %b;", S32, S32, S32, NONE,  \
      remain(S32(a), S32(b | 1)))                                             \
    X(rem_u64, "max.u64 %b, %b, 1; rem.u64 %d, %a, %b;", U64, U64, U64, NONE, \
      b ? a % b : 0)                                                          \
    X(rem_s64, "or.b64 %b, %b, 1; rem.s64 %d, %a, %b;", S64, S64, S64, NONE,  \
      remain(S64(a), S64(b | 1)))                                             \
    X(abs_s16, "abs.s16 %d, %a;", S16, S16, NONE, NONE,                       \
      S16(a) < 0 ? 0 - a : a)                                                 \
    X(abs_s32, "abs.s32 %d, %a;", S32, S32, NONE, NONE,                       \
      S32(a) < 0 ? 0 - a : a)                                                 \
    X(abs_s64, "abs.s64 %d, %a;", S64, S64, NONE, NONE,                       \
      S64(a) < 0 ? 0 - a : a)                                                 \
    X(neg_s16, "neg.s16 %d, %a;", S16, S16, NONE, NONE, 0 - a)                \
    X(neg_s32, "neg.s32 %d, %a;", S32, S32, NONE, NONE, 0 - a)                \
    X(neg_s64, "neg.s64 %d, %a;", S64, S64, NONE, NONE, 0 - a)                \
    X(dp4a_u32_u32, "dp4a.u32.u32 %d, %a, %b, %c;", U32, U32, U32, U32,       \
      dot4(a, 0, b, 0, (int64_t)c))                                           \
    X(dp4a_s32_s32, "dp4a.s32.s32 %d, %a, %b, %c;", S32, S32, S32, S32,       \
      dot4(a, 1, b, 1, (int64_t)c))                                           \
    X(dp4a_u32_s32, "dp4a.u32.s32 %d, %a, %b, %c;", S32, U32, S32, S32,       \
      dot4(a, 0, b, 1, (int64_t)c))                                           \
    X(dp4a_s32_u32, "dp4a.s32.u32 %d, %a, %b, %c;", S32, S32, U32, S32,       \
      dot4(a, 1, b, 0, (int64_t)c))                                           \
    X(dp2a_lo_s32_s32, "dp2a.lo.s32.s32 %d, %a, %b, %c;", S32, S32, S32, S32, \
      dot2(a, 1, b, 1, 0, (int64_t)c))                                        \
    X(dp2a_hi_u32_s32, "dp2a.hi.u32.s32 %d, %a, %b, %c;", S32, U32, S32, S32, \
      dot2(a, 0, b, 1, 1, (int64_t)c))                                        \
    X(dp2a_lo_u32_u32, "dp2a.lo.u32.u32 %d, %a, %b, %c;", U32, U32, U32, U32, \
      dot2(a, 0, b, 0, 0, (int64_t)c))                                        \
    X(dp2a_hi_s32_u32, "dp2a.hi.s32.u32 %d, %a, %b, %c;", S32, S32, U32, S32, \
      dot2(a, 1, b, 0, 1, (int64_t)c))                                        \
    X(vabsdiff4_u32, "vabsdiff4.u32.u32.u32.add %d, %a, %b, %c;", U32, U32,   \
      U32, U32, bytes_apart(a, b, 0, c))                                      \
    X(vabsdiff4_s32, "vabsdiff4.u32.s32.s32.add %d, %a, %b, %c;", U32, S32,   \
      S32, U32, bytes_apart(a, b, 1, c))                                      \
    X(add_cc_u32,                                                             \
      "mov.b64 {%r2, %r3}, %a; mov.b64 {%r4, %r5}, %b;"                       \
      " add.cc.u32 %r2, %r2, %r4; addc.u32 %r3, %r3, %r5;"                    \
      " mov.b64 %d, {%r2, %r3};",                                             \
      U64, U64, U64, NONE, a + b)                                             \
    X(add_cc_three,                                                           \
      "add.cc.u32 %r2, %a, %b; addc.cc.u32 %r3, %a, %b;"                      \
      " addc.u32 %d, %r3, %r2;",                                              \
      U32, U32, U32, NONE, three_sums(a + b))                                 \
    X(sub_cc_u32,                                                             \
      "mov.b64 {%r2, %r3}, %a; mov.b64 {%r4, %r5}, %b;"                       \
      " sub.cc.u32 %r2, %r2, %r4; subc.u32 %r3, %r3, %r5;"                    \
      " mov.b64 %d, {%r2, %r3};",                                             \
      U64, U64, U64, NONE, a - b)                                             \
    X(add_cc_u64, "add.cc.u64 %t0, %a, %b; addc.u64 %d, %a, %t0;", U64, U64,  \
      U64, NONE, a + (a + b) + (a + b < a))                                   \
    X(sub_cc_s64, "sub.cc.s64 %t0, %a, %b; subc.s64 %d, %t0, %b;", S64, S64,  \
      S64, NONE, a - b - b - (a < b))                                         \
    X(mad_cc_u32,                                                             \
      "mov.b64 {%r2, %r3}, %c; mad.lo.cc.u32 %r2, %a, %b, %r2;"               \
      " madc.hi.u32 %r3, %a, %b, %r3; mov.b64 %d, {%r2, %r3};",               \
      U64, U32, U32, U64, (a * b + c))

CONF_ELEMENTS(integer, CASES)
