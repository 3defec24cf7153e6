/* matmul.h -- fp32 products with 16- or 32-bit weights, blocked and threaded.
 */
#ifndef GEN_QUANTIZE_MATMUL_H
#define GEN_QUANTIZE_MATMUL_H

#include <stddef.h>

#include "runtime/base/error.h"
#include "runtime/model/safetensors.h"

/* y[t * stride + n] = sum over k of x[t][k] * w[n][k], plus bias[n], for t <
** count; w is [n][k] in F16, BF16 or F32, bias [n] likewise or NULL. The
** result does not depend on the number of threads. */
int gen_matmul(const struct tsr_tensor *w, const struct tsr_tensor *bias,
               const float *x, size_t count, float *y, size_t stride,
               struct tsr_error *err);

/* The same sum for one pair. */
float gen_dot(const float *a, const float *b, size_t count);

#endif
