/* half_math.h -- f16 and bf16 operations with one rounding.
**
** Sums and products are done in float: 24 bits are enough that rounding twice
** never shows (24 >= 2*11 + 2). A fused multiply-add needs more: the product
** is exact in double, the sum is rounded to odd there and again on the way to
** float, and only the last step rounds to nearest.
*/
#ifndef TSR_EMULATOR_HALF_MATH_H
#define TSR_EMULATOR_HALF_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/emulator/float.h"

static inline double emu_odd_sum(double a, double b)
{
    double sum = a + b, other = sum - a;
    double error = (a - (sum - other)) + (b - other);
    uint64_t bits;
    if (!isfinite(sum) || error == 0)
        return sum;
    memcpy(&bits, &sum, sizeof bits);
    if (!(bits & 1))
        bits += (error > 0) == (sum > 0) ? 1 : UINT64_MAX;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

/* To float, rounded to odd: away from zero never happens, and an inexact
** result has its last bit set. */
static inline float emu_odd_float(double v)
{
    float f = (float)v;
    if ((double)f == v || v != v)
        return f;
    uint32_t bits = tsr__float_bits(f);
    if (fabs((double)f) > fabs(v))
        bits--;
    return tsr__bits_float(bits | 1);
}

static inline uint16_t emu_double_to_half(double v)
{
    return tsr__float_to_half(emu_odd_float(v));
}

static inline uint16_t emu_double_to_bfloat(double v)
{
    return tsr__float_to_bfloat(emu_odd_float(v));
}

static inline uint16_t emu_half_fma(uint16_t a, uint16_t b, uint16_t c)
{
    double product =
        (double)tsr__half_to_float(a) * (double)tsr__half_to_float(b);
    return emu_double_to_half(
        emu_odd_sum(product, (double)tsr__half_to_float(c)));
}

static inline uint16_t emu_bfloat_fma(uint16_t a, uint16_t b, uint16_t c)
{
    double product =
        (double)tsr__bfloat_to_float(a) * (double)tsr__bfloat_to_float(b);
    return emu_double_to_bfloat(
        emu_odd_sum(product, (double)tsr__bfloat_to_float(c)));
}

#endif
