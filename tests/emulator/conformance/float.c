/* float.c -- conformance of single precision.
**
** add, sub, mul, fma, min and max must give NVIDIA's one NaN, 0x7fffffff.
** Tolerances of .approx are those of the PTX ISA, rounded up to whole ulps.
*/
#include <math.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/element.h"
#include "tests/emulator/conformance/rounding.h"

#define F32(x)    tsr__bits_float((uint32_t)(x))
#define RN(value) conf_round_double(&conf_f32, value, CONF_RN)

static const uint32_t canonical_nan = 0x7fffffff;

/* .ftz: a subnormal becomes the zero of its sign. */
static uint64_t flush(uint64_t bits)
{
    return bits & 0x7f800000 ? bits : bits & 0x80000000;
}

/* .sat: into [0, 1], NaN to 0, never -0. */
static uint64_t saturate(uint64_t bits)
{
    float value = F32(bits);
    if (!(value > 0))
        return 0;
    return value > 1 ? 0x3f800000 : bits;
}

/* An exact zero from a sum of unlike signs is -0 when rounding down. */
static uint64_t finish_sum(double sum, double x, double y, enum conf_mode mode)
{
    if (sum == 0 && mode == CONF_RM && (signbit(x) || signbit(y)))
        return 0x80000000;
    return conf_round_double(&conf_f32, sum, mode);
}

static uint64_t add(uint64_t a, uint64_t b, enum conf_mode mode)
{
    return finish_sum(conf_odd_add(F32(a), F32(b)), F32(a), F32(b), mode);
}

static uint64_t sub(uint64_t a, uint64_t b, enum conf_mode mode)
{
    if (isnan(F32(b)))
        return canonical_nan;
    return add(a, b ^ 0x80000000, mode);
}

static uint64_t mul(uint64_t a, uint64_t b, enum conf_mode mode)
{
    return conf_round_double(&conf_f32, (double)F32(a) * F32(b), mode);
}

static uint64_t fma_bits(uint64_t a, uint64_t b, uint64_t c,
                         enum conf_mode mode)
{
    double product = (double)F32(a) * F32(b);
    return finish_sum(conf_odd_add(product, F32(c)), product, F32(c), mode);
}

static uint64_t divide(uint64_t a, uint64_t b, enum conf_mode mode)
{
    return conf_round_double(&conf_f32, conf_odd_div(F32(a), F32(b)), mode);
}

static uint64_t root(uint64_t a, enum conf_mode mode)
{
    return conf_round_double(&conf_f32, conf_odd_sqrt(F32(a)), mode);
}

/* The order of floats as integers: -0 lies below +0. */
static int64_t order(uint64_t bits)
{
    return bits & 0x80000000 ? -1 - (int64_t)(bits & 0x7fffffff)
                             : (int64_t)bits;
}

static uint64_t pick(uint64_t a, uint64_t b, int larger, int keep_nan)
{
    int nan_a = isnan(F32(a)), nan_b = isnan(F32(b));
    if ((nan_a && nan_b) || (keep_nan && (nan_a || nan_b)))
        return canonical_nan;
    if (nan_a || nan_b)
        return nan_a ? b : a;
    return (order(a) > order(b)) == larger ? a : b;
}

/* -pi .. pi from the small integers, in the arithmetic the kernel uses. */
static float angle(uint64_t a)
{
    return ((float)a - 35.0f) * 0.0875f;
}

#define ANGLE                                                  \
    "cvt.rn.f32.u32 %f0, %a; sub.rn.f32 %f0, %f0, 0f420C0000;" \
    " mul.rn.f32 %f0, %f0, 0f3DB33333; "

/* A row for each rounding mode. */
#define MODES(X, id, text, rest, B, C, compare, function, ...)  \
    X(id##_rn, 80, compare, 0, text ".rn" rest, F32, F32, B, C, \
      function(__VA_ARGS__, CONF_RN))                           \
    X(id##_rz, 80, compare, 0, text ".rz" rest, F32, F32, B, C, \
      function(__VA_ARGS__, CONF_RZ))                           \
    X(id##_rm, 80, compare, 0, text ".rm" rest, F32, F32, B, C, \
      function(__VA_ARGS__, CONF_RM))                           \
    X(id##_rp, 80, compare, 0, text ".rp" rest, F32, F32, B, C, \
      function(__VA_ARGS__, CONF_RP))

#define ONE 0x3f800000

#define CASES(X, W)                                                            \
    MODES(W, add, "add", ".f32 %d, %a, %b;", F32, NONE, EXACT, add, a, b)      \
    MODES(W, sub, "sub", ".f32 %d, %a, %b;", F32, NONE, EXACT, sub, a, b)      \
    MODES(W, mul, "mul", ".f32 %d, %a, %b;", F32, NONE, EXACT, mul, a, b)      \
    MODES(W, fma, "fma", ".f32 %d, %a, %b, %c;", F32, F32, EXACT, fma_bits, a, \
          b, c)                                                                \
    MODES(W, mad, "mad", ".f32 %d, %a, %b, %c;", F32, F32, EXACT, fma_bits, a, \
          b, c)                                                                \
    MODES(W, div, "div", ".f32 %d, %a, %b;", F32, NONE, ANY_NAN, divide, a, b) \
    MODES(W, rcp, "rcp", ".f32 %d, %a;", NONE, NONE, ANY_NAN, divide, ONE, a)  \
    MODES(W, sqrt, "sqrt", ".f32 %d, %a;", NONE, NONE, ANY_NAN, root, a)       \
    X(add_plain, "add.f32 %d, %a, %b;", F32, F32, F32, NONE,                   \
      add(a, b, CONF_RN))                                                      \
    X(sub_plain, "sub.f32 %d, %a, %b;", F32, F32, F32, NONE,                   \
      sub(a, b, CONF_RN))                                                      \
    X(mul_plain, "mul.f32 %d, %a, %b;", F32, F32, F32, NONE,                   \
      mul(a, b, CONF_RN))                                                      \
    X(add_ftz, "add.ftz.f32 %d, %a, %b;", F32, F32, F32, NONE,                 \
      flush(add(flush(a), flush(b), CONF_RN)))                                 \
    X(sub_rn_ftz, "sub.rn.ftz.f32 %d, %a, %b;", F32, F32, F32, NONE,           \
      flush(sub(flush(a), flush(b), CONF_RN)))                                 \
    X(mul_rz_ftz, "mul.rz.ftz.f32 %d, %a, %b;", F32, F32, F32, NONE,           \
      flush(mul(flush(a), flush(b), CONF_RZ)))                                 \
    X(fma_ftz, "fma.rn.ftz.f32 %d, %a, %b, %c;", F32, F32, F32, F32,           \
      flush(fma_bits(flush(a), flush(b), flush(c), CONF_RN)))                  \
    X(add_sat, "add.sat.f32 %d, %a, %b;", F32, F32, F32, NONE,                 \
      saturate(add(a, b, CONF_RN)))                                            \
    X(sub_sat, "sub.rn.sat.f32 %d, %a, %b;", F32, F32, F32, NONE,              \
      saturate(sub(a, b, CONF_RN)))                                            \
    X(mul_ftz_sat, "mul.ftz.sat.f32 %d, %a, %b;", F32, F32, F32, NONE,         \
      saturate(flush(mul(flush(a), flush(b), CONF_RN))))                       \
    X(fma_sat, "fma.rn.sat.f32 %d, %a, %b, %c;", F32, F32, F32, F32,           \
      saturate(fma_bits(a, b, c, CONF_RN)))                                    \
    W(div_ftz, 80, ANY_NAN, 0, "div.rn.ftz.f32 %d, %a, %b;", F32, F32, F32,    \
      NONE, flush(divide(flush(a), flush(b), CONF_RN)))                        \
    W(sqrt_ftz, 80, ANY_NAN, 0, "sqrt.rn.ftz.f32 %d, %a;", F32, F32, NONE,     \
      NONE, root(flush(a), CONF_RN))                                           \
    X(min, "min.f32 %d, %a, %b;", F32, F32, F32, NONE, pick(a, b, 0, 0))       \
    X(max, "max.f32 %d, %a, %b;", F32, F32, F32, NONE, pick(a, b, 1, 0))       \
    X(min_nan, "min.NaN.f32 %d, %a, %b;", F32, F32, F32, NONE,                 \
      pick(a, b, 0, 1))                                                        \
    X(max_nan, "max.NaN.f32 %d, %a, %b;", F32, F32, F32, NONE,                 \
      pick(a, b, 1, 1))                                                        \
    X(min_ftz, "min.ftz.f32 %d, %a, %b;", F32, F32, F32, NONE,                 \
      pick(flush(a), flush(b), 0, 0))                                          \
    X(max_ftz_nan, "max.ftz.NaN.f32 %d, %a, %b;", F32, F32, F32, NONE,         \
      pick(flush(a), flush(b), 1, 1))                                          \
    W(neg, 80, ANY_NAN, 0, "neg.f32 %d, %a;", F32, F32, NONE, NONE,            \
      a ^ 0x80000000)                                                          \
    W(neg_ftz, 80, ANY_NAN, 0, "neg.ftz.f32 %d, %a;", F32, F32, NONE, NONE,    \
      flush(a) ^ 0x80000000)                                                   \
    W(abs, 80, ANY_NAN, 0, "abs.f32 %d, %a;", F32, F32, NONE, NONE,            \
      a & 0x7fffffff)                                                          \
    W(abs_ftz, 80, ANY_NAN, 0, "abs.ftz.f32 %d, %a;", F32, F32, NONE, NONE,    \
      flush(a) & 0x7fffffff)                                                   \
    W(div_approx, 80, ULP, 3,                                                  \
      "cvt.rn.f32.s32 %f0, %a; or.b32 %b, %b, 1; cvt.rn.f32.s32 %f1, %b;"      \
      " div.approx.f32 %d, %f0, %f1;",                                         \
      F32, S32, S32, NONE, RN((double)(float)S32(a) / (float)S32(b | 1)))      \
    W(div_full, 80, ULP, 3,                                                    \
      "cvt.rn.f32.s32 %f0, %a; or.b32 %b, %b, 1; cvt.rn.f32.s32 %f1, %b;"      \
      " div.full.f32 %d, %f0, %f1;",                                           \
      F32, S32, S32, NONE, RN((double)(float)S32(a) / (float)S32(b | 1)))      \
    W(rcp_approx, 80, ULP, 1, "rcp.approx.f32 %d, %a;", F32, F32, NONE, NONE,  \
      RN(1.0 / F32(a)))                                                        \
    W(rcp_approx_ftz, 80, ULP, 1, "rcp.approx.ftz.f32 %d, %a;", F32, F32,      \
      NONE, NONE, flush(RN(1.0 / F32(flush(a)))))                              \
    W(sqrt_approx, 80, ULP, 2, "sqrt.approx.f32 %d, %a;", F32, F32, NONE,      \
      NONE, RN(sqrt(F32(a))))                                                  \
    W(sqrt_approx_ftz, 80, ULP, 2, "sqrt.approx.ftz.f32 %d, %a;", F32, F32,    \
      NONE, NONE, RN(sqrt(F32(flush(a)))))                                     \
    W(rsqrt_approx, 80, ULP, 3, "rsqrt.approx.f32 %d, %a;", F32, F32, NONE,    \
      NONE, RN(1 / sqrt(F32(a))))                                              \
    W(rsqrt_approx_ftz, 80, ULP, 3, "rsqrt.approx.ftz.f32 %d, %a;", F32, F32,  \
      NONE, NONE, RN(1 / sqrt(F32(flush(a)))))                                 \
    W(ex2_approx, 80, ULP, 4, "ex2.approx.f32 %d, %a;", F32, F32, NONE, NONE,  \
      RN(exp2(F32(a))))                                                        \
    W(ex2_approx_ftz, 80, ULP, 4, "ex2.approx.ftz.f32 %d, %a;", F32, F32,      \
      NONE, NONE, flush(RN(exp2(F32(flush(a))))))                              \
    W(lg2_approx, 80, ABSOLUTE, 4e-5, "lg2.approx.f32 %d, %a;", F32, F32,      \
      NONE, NONE, RN(log2(F32(a))))                                            \
    W(lg2_approx_far, 80, ULP, 4,                                              \
      "or.b32 %a, %a, 4; cvt.rn.f32.u32 %f0, %a;"                              \
      " lg2.approx.ftz.f32 %d, %f0;",                                          \
      F32, U32, NONE, NONE, RN(log2((float)(uint32_t)(a | 4))))                \
    W(sin_approx, 80, ABSOLUTE, 6e-7, ANGLE "sin.approx.f32 %d, %f0;", F32,    \
      SMALL, NONE, NONE, RN(sin(angle(a))))                                    \
    W(cos_approx, 80, ABSOLUTE, 6e-7, ANGLE "cos.approx.ftz.f32 %d, %f0;",     \
      F32, SMALL, NONE, NONE, RN(cos(angle(a))))                               \
    W(tanh_approx, 80, ULP, 8192, "tanh.approx.f32 %d, %a;", F32, F32, NONE,   \
      NONE, RN(tanh(F32(a))))                                                  \
    W(min_three, 80, EXACT, 0, "min.f32 %d, %a, %b; max.f32 %d, %d, %c;", F32, \
      F32, F32, F32, pick(pick(a, b, 0, 0), c, 1, 0))                          \
    W(max_xorsign, 86, EXACT, 0, "max.xorsign.abs.f32 %d, %a, %b;", F32, F32,  \
      F32, NONE,                                                               \
      isnan(F32(a)) && isnan(F32(b))                                           \
          ? canonical_nan                                                      \
          : (pick(a & 0x7fffffff, b & 0x7fffffff, 1, 0) |                      \
             ((a ^ b) & 0x80000000)))

CONF_ELEMENTS(float, CASES)
