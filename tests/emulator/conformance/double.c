/* double.c -- conformance of double precision. */
#include <math.h>

#include "tests/emulator/conformance/element.h"
#include "tests/emulator/conformance/rounding.h"

#define F64(x) conf_double(x)
#define SIGN   (UINT64_C(1) << 63)
#define ONE    UINT64_C(0x3ff0000000000000)

static int64_t order(uint64_t bits)
{
    return bits & SIGN ? -1 - (int64_t)(bits & ~SIGN) : (int64_t)bits;
}

static uint64_t pick(uint64_t a, uint64_t b, int larger)
{
    if (isnan(F64(a)) || isnan(F64(b)))
        return isnan(F64(a)) ? b : a;
    return (order(a) > order(b)) == larger ? a : b;
}

/* Subnormals count as zeros, and become zeros. */
static double flush(double value)
{
    return fabs(value) < 0x1p-1022 ? copysign(0, value) : value;
}

/* The approximations keep the upper 32 bits; 20 bits of mantissa are good. */
static uint64_t reciprocal(uint64_t a)
{
    return conf_double_bits(flush(1 / flush(F64(a))));
}

static uint64_t reciprocal_root(uint64_t a)
{
    return conf_double_bits(flush(1 / sqrt(flush(F64(a)))));
}

#define MODES(W, id, text, rest, A, B, C, operation, x, y, z) \
    W(id##_rn, 80, ANY_NAN, 0, text ".rn" rest, F64, A, B, C, \
      conf_f64_operation(operation, x, y, z, CONF_RN))        \
    W(id##_rz, 80, ANY_NAN, 0, text ".rz" rest, F64, A, B, C, \
      conf_f64_operation(operation, x, y, z, CONF_RZ))        \
    W(id##_rm, 80, ANY_NAN, 0, text ".rm" rest, F64, A, B, C, \
      conf_f64_operation(operation, x, y, z, CONF_RM))        \
    W(id##_rp, 80, ANY_NAN, 0, text ".rp" rest, F64, A, B, C, \
      conf_f64_operation(operation, x, y, z, CONF_RP))

#define CASES(X, W)                                                            \
    MODES(W, add, "add", ".f64 %d, %a, %b;", F64, F64, NONE, CONF_ADD, a, b,   \
          0)                                                                   \
    MODES(W, sub, "sub", ".f64 %d, %a, %b;", F64, F64, NONE, CONF_SUB, a, b,   \
          0)                                                                   \
    MODES(W, mul, "mul", ".f64 %d, %a, %b;", F64, F64, NONE, CONF_MUL, a, b,   \
          0)                                                                   \
    MODES(W, fma, "fma", ".f64 %d, %a, %b, %c;", F64, F64, F64, CONF_FMA, a,   \
          b, c)                                                                \
    MODES(W, div, "div", ".f64 %d, %a, %b;", F64, F64, NONE, CONF_DIV, a, b,   \
          0)                                                                   \
    MODES(W, rcp, "rcp", ".f64 %d, %a;", F64, NONE, NONE, CONF_DIV, ONE, a, 0) \
    MODES(W, sqrt, "sqrt", ".f64 %d, %a;", F64, NONE, NONE, CONF_SQRT, a, 0,   \
          0)                                                                   \
    W(mad_rn, 80, ANY_NAN, 0, "mad.rn.f64 %d, %a, %b, %c;", F64, F64, F64,     \
      F64, conf_f64_operation(CONF_FMA, a, b, c, CONF_RN))                     \
    W(add_plain, 80, ANY_NAN, 0, "add.f64 %d, %a, %b;", F64, F64, F64, NONE,   \
      conf_f64_operation(CONF_ADD, a, b, 0, CONF_RN))                          \
    W(min, 80, ANY_NAN, 0, "min.f64 %d, %a, %b;", F64, F64, F64, NONE,         \
      pick(a, b, 0))                                                           \
    W(max, 80, ANY_NAN, 0, "max.f64 %d, %a, %b;", F64, F64, F64, NONE,         \
      pick(a, b, 1))                                                           \
    W(neg, 80, ANY_NAN, 0, "neg.f64 %d, %a;", F64, F64, NONE, NONE, a ^ SIGN)  \
    W(abs, 80, ANY_NAN, 0, "abs.f64 %d, %a;", F64, F64, NONE, NONE, a & ~SIGN) \
    W(rcp_approx, 80, ULP, 8589934592.0, "rcp.approx.ftz.f64 %d, %a;", F64,    \
      F64, NONE, NONE, reciprocal(a))                                          \
    W(rsqrt_approx, 80, ULP, 17179869184.0, "rsqrt.approx.ftz.f64 %d, %a;",    \
      F64, F64, NONE, NONE, reciprocal_root(a))                                \
    X(mov, "mov.f64 %d, %a;", F64, F64, NONE, NONE, a)                         \
    X(mov_immediate,                                                           \
      "mov.f64 %d, 0d400921FB54442D18; mov.b64 %t0, %d;"                       \
      " mov.b64 %t1, %a; xor.b64 %t0, %t0, %t1; mov.b64 %d, %t0;",             \
      F64, F64, NONE, NONE, a ^ UINT64_C(0x400921fb54442d18))

CONF_ELEMENTS(double, CASES)
