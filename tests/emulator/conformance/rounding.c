/* rounding.c -- exact IEEE results in any rounding mode. */
#include "tests/emulator/conformance/rounding.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

const struct conf_format conf_f16 = {10, 5, 0x7fff};
const struct conf_format conf_bf16 = {7, 8, 0x7fff};
const struct conf_format conf_f32 = {23, 8, 0x7fffffff};
const struct conf_format conf_f64 = {52, 11, UINT64_C(0x7ff8000000000000)};

double conf_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t conf_double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int bit_length(unsigned __int128 x)
{
    int length = 0;
    for (; x; x >>= 1)
        length++;
    return length;
}

static int away_from_zero(int negative, enum conf_mode mode, int odd,
                          int above_half, int exactly_half, int inexact)
{
    if (mode == CONF_RN)
        return above_half || (exactly_half && odd);
    return inexact && mode != CONF_RZ && (mode == CONF_RM) == negative;
}

uint64_t conf_round(const struct conf_format *format, int negative,
                    unsigned __int128 mantissa, int exponent, int sticky,
                    enum conf_mode mode)
{
    int stored = format->mantissa_bits;
    int least = 2 - (1 << (format->exponent_bits - 1)); /* of normals */
    uint64_t sign = (uint64_t)negative << (stored + format->exponent_bits);
    uint64_t infinity = ((UINT64_C(1) << format->exponent_bits) - 1) << stored;
    if (mantissa == 0 && !sticky)
        return sign;
    int top = exponent + bit_length(mantissa) - 1;
    if (top < least)
        top = least;
    /* The result's unit is 2^(top - stored); `drop` bits lie below it. */
    int drop = top - stored - exponent;
    unsigned __int128 kept = 0, rest = 0, half = 0;
    if (drop <= 0)
        kept = mantissa << -drop;
    else if (drop < 127) {
        kept = mantissa >> drop;
        rest = mantissa - (kept << drop);
        half = (unsigned __int128)1 << (drop - 1);
    } else
        sticky = 1;
    int above = half && (rest > half || (rest == half && sticky));
    int exact_half = half && rest == half && !sticky;
    int inexact = rest != 0 || sticky;
    kept += (unsigned)away_from_zero(negative, mode, (int)(kept & 1), above,
                                     exact_half, inexact);
    uint64_t result = (uint64_t)kept + ((uint64_t)(top - least) << stored);
    if (top - least > (1 << format->exponent_bits) || result >= infinity) {
        int to_infinity = mode == CONF_RN ||
                          (mode != CONF_RZ && (mode == CONF_RM) == negative);
        result = to_infinity ? infinity : infinity - 1;
    }
    return sign | result;
}

uint64_t conf_round_double(const struct conf_format *format, double value,
                           enum conf_mode mode)
{
    uint64_t bits = conf_double_bits(value);
    int negative = (int)(bits >> 63), biased = (int)(bits >> 52 & 2047);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (isnan(value))
        return format->nan;
    if (isinf(value))
        return (uint64_t)negative
                   << (format->mantissa_bits + format->exponent_bits) |
               ((UINT64_C(1) << format->exponent_bits) - 1)
                   << format->mantissa_bits;
    if (biased)
        mantissa |= UINT64_C(1) << 52;
    else
        biased = 1;
    return conf_round(format, negative, mantissa, biased - 1075, 0, mode);
}

double conf_odd(double value, double rest)
{
    uint64_t bits = conf_double_bits(value);
    if (rest == 0 || !isfinite(value) || isnan(rest))
        return value;
    if (bits & 1)
        return value;
    /* Even and inexact: the truth lies on the side of `rest`. */
    return nextafter(value, rest > 0 ? INFINITY : -INFINITY);
}

double conf_odd_add(double a, double b)
{
    double sum = a + b, part = sum - a;
    return conf_odd(sum, (a - (sum - part)) + (b - part));
}

double conf_odd_fma(double a, double b, double c)
{
    return conf_odd_add(a * b, c);
}

double conf_odd_div(double a, double b)
{
    double quotient = a / b;
    if (!isfinite(quotient) || b == 0 || isinf(b))
        return quotient;
    double rest = fma(-quotient, b, a);
    return conf_odd(quotient, b < 0 ? -rest : rest);
}

double conf_odd_sqrt(double a)
{
    double root = sqrt(a);
    return isfinite(root) ? conf_odd(root, fma(-root, root, a)) : root;
}

uint64_t conf_f64_operation(enum conf_operation operation, uint64_t a,
                            uint64_t b, uint64_t c, enum conf_mode mode)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD,
                                FE_UPWARD};
    volatile double x = conf_double(a), y = conf_double(b), z = conf_double(c),
                    result = 0;
    fesetround(modes[mode]);
    switch (operation) {
    case CONF_ADD:
        result = x + y;
        break;
    case CONF_SUB:
        result = x - y;
        break;
    case CONF_MUL:
        result = x * y;
        break;
    case CONF_DIV:
        result = x / y;
        break;
    case CONF_FMA:
        result = fma(x, y, z);
        break;
    case CONF_SQRT:
        result = sqrt(x);
        break;
    }
    fesetround(FE_TONEAREST);
    return conf_double_bits(result);
}

double conf_whole(double value, enum conf_mode mode)
{
    switch (mode) {
    case CONF_RZ:
        return trunc(value);
    case CONF_RM:
        return floor(value);
    case CONF_RP:
        return ceil(value);
    default:
        return nearbyint(value);
    }
}

uint64_t conf_integer(double value, int bits, int is_signed, int from_f64,
                      enum conf_mode mode)
{
    /* PTX ISA, cvt: NaN becomes zero, but the sign bit alone where the source
    ** is f64 or the result has 64 bits. */
    if (isnan(value))
        return from_f64 || bits == 64 ? UINT64_C(1) << (bits - 1) : 0;
    double whole = conf_whole(value, mode);
    double high = ldexp(1, is_signed ? bits - 1 : bits);
    double low = is_signed ? -high : 0;
    if (whole >= high)
        return is_signed    ? (UINT64_C(1) << (bits - 1)) - 1
               : bits == 64 ? UINT64_MAX
                            : (UINT64_C(1) << bits) - 1;
    if (whole < low)
        return is_signed ? UINT64_C(1) << (bits - 1) : 0;
    return is_signed ? (uint64_t)(int64_t)whole : (uint64_t)whole;
}
