/* half.h -- IEEE binary16 and bfloat16 to and from float, round to nearest
** even. NaN becomes the canonical quiet NaN of NVIDIA hardware (0x7fff); an
** out-of-range value becomes infinity, as cvt.rn does.
*/
#ifndef TSR_BASE_HALF_H
#define TSR_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t tsr__float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tsr__bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float tsr__half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 31)
        return tsr__bits_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent)
        return tsr__bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f; /* subnormal or zero, exact */
    return tsr__bits_float(sign | tsr__float_bits(tiny));
}

static inline uint16_t tsr__float_to_half(float value)
{
    uint32_t bits = tsr__float_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return 0x7fff;
    if (magnitude >= 0x477ff000) /* 65520: half way to the next above max */
        return sign | 0x7c00;
    if (magnitude < 0x38800000) { /* below 2^-14: subnormal result */
        /* Adding 0.5 puts the unit of the result at bit 0 of the float, so
        ** the FPU rounds to nearest even for us. */
        uint32_t shifted = tsr__float_bits(tsr__bits_float(magnitude) + 0.5f);
        return sign | (uint16_t)(shifted - 0x3f000000);
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | (uint16_t)((rounded - 0x38000000) >> 13);
}

static inline float tsr__bfloat_to_float(uint16_t bfloat)
{
    return tsr__bits_float((uint32_t)bfloat << 16);
}

static inline uint16_t tsr__float_to_bfloat(float value)
{
    uint32_t bits = tsr__float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
