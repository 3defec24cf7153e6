/* reference.c -- the arithmetic of W4A8 (reference.h states it). */
#include "gen/quantize/reference.h"

#include <math.h>

#include "runtime/base/half.h"

/* Known trip counts let a compiler vectorise the inner loops at -O2. K is a
** multiple of 32 in every format. */
enum { STRIP = 32 };

/* sum of (q * step + offset) * x over `count` codes, a multiple of STRIP. The
** weights fit 16 bits, and products of 16-bit numbers are the cheap ones. */
static int32_t dot(const uint8_t *q, const int8_t *x, size_t count,
                   int16_t step, int16_t offset)
{
    int32_t sum = 0;
    for (size_t k = 0; k < count; k += STRIP)
        for (size_t i = 0; i < STRIP; i++) {
            int16_t u = (int16_t)(q[k + i] * step + offset);
            sum += u * x[k + i];
        }
    return sum;
}

/* K <= TSR_K_MAX keeps the sums inside an int32 (layout.h). */
static float per_channel(const struct gen_reference_weights *weights, size_t n,
                         const int8_t *x, int32_t x_sum)
{
    int32_t acc = dot(weights->codes + n * weights->k, x, weights->k, 1, 0);
    float s = tsr__half_to_float(weights->scale[n]);
    float zs = tsr__half_to_float(weights->zero_scale[n]);
    float zero = zs * (float)x_sum;
    return fmaf(s, (float)acc, -zero);
}

static float per_group(const struct gen_reference_weights *weights, size_t n,
                       const int8_t *x, int32_t x_sum)
{
    const uint8_t *codes = weights->codes + n * weights->k;
    size_t group = tsr__weight_group(weights->format);
    int32_t acc = 0;
    for (size_t k = 0; k < weights->k; k += group) {
        size_t at = k / group * weights->n + n;
        acc +=
            dot(codes + k, x + k, group, weights->s2[at], weights->offset[at]);
    }
    /* Unsigned: a sum that does not belong to x wraps as it does on a GPU. */
    uint32_t centred =
        (uint32_t)acc - (uint32_t)TSR_WEIGHT_OFFSET * (uint32_t)x_sum;
    return (float)(int32_t)centred * tsr__half_to_float(weights->scale[n]);
}

void gen_reference_gemm(const struct gen_reference_weights *weights,
                        const int8_t *x, const float *x_scale,
                        const int32_t *x_sum, size_t m0, size_t m1, size_t n0,
                        size_t n1, uint16_t *y)
{
    for (size_t n = n0; n < n1; n++)
        for (size_t m = m0; m < m1; m++) {
            const int8_t *row = x + m * weights->k;
            float value = weights->format == TSR_W4C
                              ? per_channel(weights, n, row, x_sum[m])
                              : per_group(weights, n, row, x_sum[m]);
            value = value * x_scale[m];
            if (weights->bias)
                value = value + tsr__half_to_float(weights->bias[n]);
            y[m * weights->n + n] = weights->bf16_out
                                        ? tsr__float_to_bfloat(value)
                                        : tsr__float_to_half(value);
        }
}

static float widen(uint16_t bits, int bf16)
{
    return bf16 ? tsr__bfloat_to_float(bits) : tsr__half_to_float(bits);
}

/* The largest |x|, or NaN when anything is not finite. */
static float row_maximum(const uint16_t *x, int bf16, size_t k)
{
    float most = 0;
    for (size_t i = 0; i < k; i++) {
        float magnitude = fabsf(widen(x[i], bf16));
        if (!isfinite(magnitude))
            return tsr__bits_float(0x7fffffff);
        if (magnitude > most)
            most = magnitude;
    }
    return most;
}

void gen_reference_quant_act(const uint16_t *x, int bf16, size_t m, size_t k,
                             int8_t *q, float *scale, int32_t *sum)
{
    for (size_t row = 0; row < m; row++, x += k, q += k) {
        float most = row_maximum(x, bf16, k);
        int poisoned = isnan(most);
        most = most > 1e-6f || poisoned ? most : 1e-6f;
        float reciprocal = 127.0f / most;
        int32_t total = 0;
        for (size_t i = 0; i < k; i++) {
            float code =
                poisoned ? 0.0f : rintf(widen(x[i], bf16) * reciprocal);
            code = code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code;
            q[i] = (int8_t)code;
            total += q[i];
        }
        scale[row] = poisoned ? most : most / 127.0f;
        sum[row] = total;
    }
}

double gen_reference_weight(const struct gen_reference_weights *weights,
                            size_t n, size_t k)
{
    double code = weights->codes[n * weights->k + k];
    double scale = tsr__half_to_float(weights->scale[n]);
    if (weights->format == TSR_W4C)
        return code * scale - tsr__half_to_float(weights->zero_scale[n]);
    size_t at = k / tsr__weight_group(weights->format) * weights->n + n;
    double w8 = code * weights->s2[at] + weights->offset[at];
    return (w8 - TSR_WEIGHT_OFFSET) * scale;
}
