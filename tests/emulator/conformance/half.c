/* half.c -- conformance of f16 and bf16, single and in pairs. */
#include <math.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/element.h"
#include "tests/emulator/conformance/rounding.h"

#define F16(x)  tsr__half_to_float((uint16_t)(x))
#define BF16(x) tsr__bfloat_to_float((uint16_t)(x))

typedef uint64_t lane_function(uint64_t a, uint64_t b, uint64_t c);

/* One result per 16-bit half. */
static uint64_t pair(lane_function *f, uint64_t a, uint64_t b, uint64_t c)
{
    return f(a & 0xffff, b & 0xffff, c & 0xffff) | f(a >> 16, b >> 16, c >> 16)
                                                       << 16;
}

static uint64_t half_of(double value)
{
    return conf_round_double(&conf_f16, value, CONF_RN);
}

static uint64_t bfloat_of(double value)
{
    return conf_round_double(&conf_bf16, value, CONF_RN);
}

static uint64_t h_add(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return half_of(conf_odd_add(F16(a), F16(b)));
}

static uint64_t h_sub(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return half_of(conf_odd_add(F16(a), -F16(b)));
}

static uint64_t h_mul(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return half_of((double)F16(a) * F16(b));
}

static uint64_t h_fma(uint64_t a, uint64_t b, uint64_t c)
{
    return half_of(conf_odd_fma(F16(a), F16(b), F16(c)));
}

static uint64_t b_add(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return bfloat_of(conf_odd_add(BF16(a), BF16(b)));
}

static uint64_t b_sub(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return bfloat_of(conf_odd_add(BF16(a), -BF16(b)));
}

static uint64_t b_mul(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return bfloat_of((double)BF16(a) * BF16(b));
}

static uint64_t b_fma(uint64_t a, uint64_t b, uint64_t c)
{
    return bfloat_of(conf_odd_fma(BF16(a), BF16(b), BF16(c)));
}

/* .relu: negative to +0, NaN stays. */
static uint64_t relu(uint64_t bits, uint64_t infinity)
{
    if ((bits & 0x7fff) > infinity)
        return 0x7fff;
    return bits & 0x8000 ? 0 : bits;
}

static uint64_t h_fma_relu(uint64_t a, uint64_t b, uint64_t c)
{
    return relu(h_fma(a, b, c), 0x7c00);
}

static uint64_t b_fma_relu(uint64_t a, uint64_t b, uint64_t c)
{
    return relu(b_fma(a, b, c), 0x7f80);
}

static uint64_t h_saturate(uint64_t bits)
{
    float value = F16(bits);
    return !(value > 0) ? 0 : value > 1 ? 0x3c00 : bits;
}

static uint64_t h_fma_sat(uint64_t a, uint64_t b, uint64_t c)
{
    return h_saturate(h_fma(a, b, c));
}

static uint64_t h_flush(uint64_t bits)
{
    return bits & 0x7c00 ? bits : bits & 0x8000;
}

static uint64_t h_fma_ftz(uint64_t a, uint64_t b, uint64_t c)
{
    return h_flush(h_fma(h_flush(a), h_flush(b), h_flush(c)));
}

static uint64_t b_flush(uint64_t bits)
{
    return bits & 0x7f80 ? bits : bits & 0x8000;
}

static int order(uint64_t bits)
{
    return bits & 0x8000 ? -1 - (int)(bits & 0x7fff) : (int)bits;
}

static uint64_t pick(uint64_t a, uint64_t b, uint64_t infinity, int larger,
                     int keep_nan)
{
    int nan_a = (a & 0x7fff) > infinity, nan_b = (b & 0x7fff) > infinity;
    if ((nan_a && nan_b) || (keep_nan && (nan_a || nan_b)))
        return 0x7fff;
    if (nan_a || nan_b)
        return nan_a ? b : a;
    return (order(a) > order(b)) == larger ? a : b;
}

static uint64_t h_min(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return pick(a, b, 0x7c00, 0, 0);
}

static uint64_t h_max_nan(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return pick(a, b, 0x7c00, 1, 1);
}

static uint64_t b_max(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return pick(a, b, 0x7f80, 1, 0);
}

static uint64_t b_min_nan(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return pick(a, b, 0x7f80, 0, 1);
}

#define CASES(X, W)                                                            \
    X(add_f16, "add.rn.f16 %d, %a, %b;", F16, F16, F16, NONE, h_add(a, b, 0))  \
    X(sub_f16, "sub.rn.f16 %d, %a, %b;", F16, F16, F16, NONE, h_sub(a, b, 0))  \
    X(mul_f16, "mul.rn.f16 %d, %a, %b;", F16, F16, F16, NONE, h_mul(a, b, 0))  \
    X(fma_f16, "fma.rn.f16 %d, %a, %b, %c;", F16, F16, F16, F16,               \
      h_fma(a, b, c))                                                          \
    X(add_f16_plain, "add.f16 %d, %a, %b;", F16, F16, F16, NONE,               \
      h_add(a, b, 0))                                                          \
    X(add_f16_sat, "add.rn.sat.f16 %d, %a, %b;", F16, F16, F16, NONE,          \
      h_saturate(h_add(a, b, 0)))                                              \
    X(mul_f16_ftz, "mul.rn.ftz.f16 %d, %a, %b;", F16, F16, F16, NONE,          \
      h_flush(h_mul(h_flush(a), h_flush(b), 0)))                               \
    X(fma_f16_sat, "fma.rn.sat.f16 %d, %a, %b, %c;", F16, F16, F16, F16,       \
      h_fma_sat(a, b, c))                                                      \
    X(fma_f16_relu, "fma.rn.relu.f16 %d, %a, %b, %c;", F16, F16, F16, F16,     \
      h_fma_relu(a, b, c))                                                     \
    X(fma_f16_ftz, "fma.rn.ftz.f16 %d, %a, %b, %c;", F16, F16, F16, F16,       \
      h_fma_ftz(a, b, c))                                                      \
    X(min_f16, "min.f16 %d, %a, %b;", F16, F16, F16, NONE, h_min(a, b, 0))     \
    X(max_nan_f16, "max.NaN.f16 %d, %a, %b;", F16, F16, F16, NONE,             \
      h_max_nan(a, b, 0))                                                      \
    W(neg_f16, 80, ANY_NAN, 0, "neg.f16 %d, %a;", F16, F16, NONE, NONE,        \
      a ^ 0x8000)                                                              \
    W(abs_f16, 80, ANY_NAN, 0, "abs.f16 %d, %a;", F16, F16, NONE, NONE,        \
      a & 0x7fff)                                                              \
    X(add_f16x2, "add.rn.f16x2 %d, %a, %b;", H2, H2, H2, NONE,                 \
      pair(h_add, a, b, 0))                                                    \
    X(sub_f16x2, "sub.rn.f16x2 %d, %a, %b;", H2, H2, H2, NONE,                 \
      pair(h_sub, a, b, 0))                                                    \
    X(mul_f16x2, "mul.rn.f16x2 %d, %a, %b;", H2, H2, H2, NONE,                 \
      pair(h_mul, a, b, 0))                                                    \
    X(fma_f16x2, "fma.rn.f16x2 %d, %a, %b, %c;", H2, H2, H2, H2,               \
      pair(h_fma, a, b, c))                                                    \
    X(fma_f16x2_relu, "fma.rn.relu.f16x2 %d, %a, %b, %c;", H2, H2, H2, H2,     \
      pair(h_fma_relu, a, b, c))                                               \
    X(min_f16x2, "min.f16x2 %d, %a, %b;", H2, H2, H2, NONE,                    \
      pair(h_min, a, b, 0))                                                    \
    X(max_nan_f16x2, "max.NaN.f16x2 %d, %a, %b;", H2, H2, H2, NONE,            \
      pair(h_max_nan, a, b, 0))                                                \
    W(neg_f16x2, 80, ANY_NAN, 0, "neg.f16x2 %d, %a;", H2, H2, NONE, NONE,      \
      a ^ 0x80008000)                                                          \
    W(abs_f16x2, 80, ANY_NAN, 0, "abs.f16x2 %d, %a;", H2, H2, NONE, NONE,      \
      a & 0x7fff7fff)                                                          \
    X(fma_bf16, "fma.rn.bf16 %d, %a, %b, %c;", BF16, BF16, BF16, BF16,         \
      b_fma(a, b, c))                                                          \
    X(fma_bf16x2, "fma.rn.bf16x2 %d, %a, %b, %c;", BH2, BH2, BH2, BH2,         \
      pair(b_fma, a, b, c))                                                    \
    X(fma_bf16x2_relu, "fma.rn.relu.bf16x2 %d, %a, %b, %c;", BH2, BH2, BH2,    \
      BH2, pair(b_fma_relu, a, b, c))                                          \
    X(max_bf16, "max.bf16 %d, %a, %b;", BF16, BF16, BF16, NONE,                \
      b_max(a, b, 0))                                                          \
    X(max_bf16x2, "max.bf16x2 %d, %a, %b;", BH2, BH2, BH2, NONE,               \
      pair(b_max, a, b, 0))                                                    \
    X(min_nan_bf16x2, "min.NaN.bf16x2 %d, %a, %b;", BH2, BH2, BH2, NONE,       \
      pair(b_min_nan, a, b, 0))                                                \
    W(neg_bf16, 80, ANY_NAN, 0, "neg.bf16 %d, %a;", BF16, BF16, NONE, NONE,    \
      a ^ 0x8000)                                                              \
    W(abs_bf16x2, 80, ANY_NAN, 0, "abs.bf16x2 %d, %a;", BH2, BH2, NONE, NONE,  \
      a & 0x7fff7fff)                                                          \
    W(neg_bf16x2, 80, ANY_NAN, 0, "neg.bf16x2 %d, %a;", BH2, BH2, NONE, NONE,  \
      a ^ 0x80008000)                                                          \
    W(add_bf16, 90, EXACT, 0, "add.rn.bf16 %d, %a, %b;", BF16, BF16, BF16,     \
      NONE, b_add(a, b, 0))                                                    \
    W(sub_bf16x2, 90, EXACT, 0, "sub.rn.bf16x2 %d, %a, %b;", BH2, BH2, BH2,    \
      NONE, pair(b_sub, a, b, 0))                                              \
    W(mul_bf16x2, 90, EXACT, 0, "mul.rn.bf16x2 %d, %a, %b;", BH2, BH2, BH2,    \
      NONE, pair(b_mul, a, b, 0))                                              \
    W(ex2_f16, 80, ULP, 1, "ex2.approx.f16 %d, %a;", F16, F16, NONE, NONE,     \
      half_of(exp2(F16(a))))                                                   \
    W(tanh_f16, 80, ULP, 2, "tanh.approx.f16 %d, %a;", F16, F16, NONE, NONE,   \
      half_of(tanh(F16(a))))                                                   \
    W(ex2_f16x2, 80, ULP, 1, "ex2.approx.f16x2 %d, %a;", H2, H2, NONE, NONE,   \
      half_of(exp2(F16(a))) | half_of(exp2(F16(a >> 16))) << 16)               \
    W(ex2_bf16, 90, ULP, 1, "ex2.approx.ftz.bf16 %d, %a;", BF16, BF16, NONE,   \
      NONE, b_flush(bfloat_of(exp2(BF16(b_flush(a))))))                        \
    W(tanh_f16x2, 80, ULP, 2, "tanh.approx.f16x2 %d, %a;", H2, H2, NONE, NONE, \
      half_of(tanh(F16(a))) | half_of(tanh(F16(a >> 16))) << 16)               \
    W(tanh_bf16, 90, ULP, 1, "tanh.approx.bf16 %d, %a;", BF16, BF16, NONE,     \
      NONE, bfloat_of(tanh(BF16(a))))

CONF_ELEMENTS(half, CASES)
