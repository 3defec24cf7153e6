/* reference.h -- the arithmetic of W4A8, in plain C: what every kernel must
** give, bit for bit.
**
** It reads row-major codes, never packed bytes, so a mistake in the layout
** cannot cancel out. All integer sums are exact, so no tiling or order shows;
** the float steps below are IEEE binary32, round to nearest even, in this
** order (compile with -ffp-contract=off):
**
**   quant_act, a row of K:
**     a NaN or an infinity in the row: q = 0, sum = 0, sa = NaN (0x7fffffff)
**     else m = max(max|x|, 1e-6), sa = m / 127, r = 127 / m,
**          q = rint(x * r) within -127..127, sum = q[0] + ... + q[K-1]
**   w4c:   acc = sum q * qa
**          y = fmaf(s, (float)acc, -(zs * (float)sum)) * sa
**   w4g:   u = q * s2 + b per group, acc = sum u * qa, i = acc - 128 * sum
**          y = ((float)i * s1) * sa
**   then   y = y + bias where there is one; out = rn to fp16 or bf16;
**          NaN is 0x7fff in both.
*/
#ifndef GEN_QUANTIZE_REFERENCE_H
#define GEN_QUANTIZE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/model/layout.h"

/* A quantised linear with row-major codes. Nothing is owned. fp16 values are
** their bits. `s2` and `offset` (b) are [k / group][n]. */
struct gen_reference_weights {
    enum tsr_weight_format format;
    size_t n, k;
    const uint8_t *codes;       /* [n][k], one code a byte, 0..15 */
    const uint16_t *scale;      /* [n]: s of w4c, s1 of w4g */
    const uint16_t *zero_scale; /* [n]: zs of w4c */
    const uint8_t *s2;          /* w4g */
    const uint8_t *offset;      /* w4g */
    const uint16_t *bias;       /* [n] fp16, or NULL */
    int bf16_out;
};

/* Computes y[m][n] for m0 <= m < m1, n0 <= n < n1 and touches nothing else.
** y is the whole [tokens][n] matrix, x [tokens][k], x_scale and x_sum
** [tokens]. */
void gen_reference_gemm(const struct gen_reference_weights *weights,
                        const int8_t *x, const float *x_scale,
                        const int32_t *x_sum, size_t m0, size_t m1, size_t n0,
                        size_t n1, uint16_t *y);

/* x [m][k] fp16, or bf16. */
void gen_reference_quant_act(const uint16_t *x, int bf16, size_t m, size_t k,
                             int8_t *q, float *scale, int32_t *sum);

/* The weight the codes stand for. */
double gen_reference_weight(const struct gen_reference_weights *weights,
                            size_t n, size_t k);

#endif
