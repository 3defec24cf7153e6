/* random.h -- random linears and activations that are valid by construction,
** for tests and for the tuner. The same seed gives the same bytes anywhere. */
#ifndef GEN_QUANTIZE_RANDOM_H
#define GEN_QUANTIZE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "gen/quantize/reference.h"
#include "runtime/base/error.h"

/* A quantised linear that owns its arrays, row-major and packed. Arrays its
** format lacks are NULL. */
struct gen_linear {
    enum tsr_weight_format format;
    size_t n, k;
    uint8_t *codes;   /* [n][k] */
    uint8_t *qweight; /* packed */
    size_t qweight_bytes;
    uint16_t *scale;      /* [n] */
    uint16_t *zero_scale; /* [n], w4c */
    uint8_t *s2, *offset; /* [k / group][n], w4g */
    uint16_t *bias;       /* [n] or NULL */
};

/* Codes cover 0..15, s2 1..16, and 0 <= q*s2 + b <= 255 in every group; the
** extremes of each occur. Outputs stay well inside fp16. */
int gen_random_weights(struct gen_linear *out, uint64_t seed,
                       enum tsr_weight_format format, size_t n, size_t k,
                       int bias, struct tsr_error *err);
void gen_linear_release(struct gen_linear *linear);
/* A view for the reference. */
struct gen_reference_weights gen_linear_view(const struct gen_linear *linear,
                                             int bf16_out);

/* m x k activations in fp16 or bf16: heavy-tailed, with an outlier channel. */
void gen_random_activations(uint64_t seed, int bf16, size_t m, size_t k,
                            uint16_t *x);
/* Quantised activations with a consistent sum. */
void gen_random_quantized(uint64_t seed, size_t m, size_t k, int8_t *q,
                          float *scale, int32_t *sum);

/* splitmix64, for tests that need more. */
uint64_t gen_random_next(uint64_t *state);

#endif
