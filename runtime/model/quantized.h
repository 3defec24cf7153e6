/* quantized.h -- a folder written by `tessera quantize`, mapped.
**
** Each layer I has four linears (config.h); NAME below is for instance
** model.layers.I.self_attn.qkv_proj. Tensors of a linear of n channels over k:
**
**   NAME.qweight  U8  [blocks of n, blocks of k, 2048]   layout.h
**   NAME.s        F16 [n]         w4c: scale
**   NAME.zs       F16 [n]         w4c: zero times scale
**   NAME.s1       F16 [n]         w4g: level-1 scale
**   NAME.s2       U8  [k / G, n]  w4g: integer step, 1..16
**   NAME.b        U8  [k / G, n]  w4g: 128 - z1
**   NAME.bias     F16 [n]         where the model has one
**
** Open checks presence, type, shape, alignment, steps, offsets and that the
** scales are finite; gen_unpack_codes (gen/quantize/pack.h) gives the codes.
*/
#ifndef TSR_MODEL_QUANTIZED_H
#define TSR_MODEL_QUANTIZED_H

#include "runtime/model/config.h"
#include "runtime/model/safetensors.h"

struct tsr_quantized_linear {
    enum tsr_weight_format format;
    size_t n, k;
    const uint8_t *qweight;     /* tsr__packed_bytes(n, k), any alignment */
    const uint16_t *scale;      /* s or s1 */
    const uint16_t *zero_scale; /* zs, or NULL */
    const uint8_t *s2, *offset; /* or NULL */
    const uint16_t *bias;       /* or NULL */
};

struct tsr_quantized_model;

int tsr__quantized_open(struct tsr_quantized_model **out, const char *folder,
                        struct tsr_error *err);
void tsr__quantized_free(struct tsr_quantized_model *model);
const struct tsr_model_config *tsr__quantized_config(
    const struct tsr_quantized_model *model);
/* 0 <= layer < config->layers. */
const struct tsr_quantized_linear *tsr__quantized_linear(
    const struct tsr_quantized_model *model, int layer,
    enum tsr_linear_kind kind);
/* The other tensors: norms, embeddings, lm_head, in fp16. */
const struct tsr_safetensors *tsr__quantized_tensors(
    const struct tsr_quantized_model *model);

#endif
