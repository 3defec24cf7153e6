/* quantize.h -- an fp16 model folder to a quantised one.
**
** q, k and v are fused along N to one linear, so are gate and up; norms,
** embeddings and lm_head stay fp16. runtime/model/quantized.h lists the
** tensors. The output folder has the safetensors, config.json with
** quantization_config, and the tokenizer's files, and appears only complete.
*/
#ifndef GEN_QUANTIZE_QUANTIZE_H
#define GEN_QUANTIZE_QUANTIZE_H

#include <stddef.h>

#include "runtime/base/error.h"
#include "runtime/model/config.h"

/* Methods there are: symbol, name, what it is. */
#define GEN_METHOD_LIST(X) X(GEN_RTN, "rtn", "round to nearest")

enum gen_method {
#define GEN_ENUM(symbol, name, words) symbol,
    GEN_METHOD_LIST(GEN_ENUM)
#undef GEN_ENUM
};

/* 0, or -1 for an unknown name. */
int gen_method_parse(const char *name, enum gen_method *out);
const char *gen_method_names(void); /* "rtn" */

/* One linear, done. */
struct gen_linear_report {
    int layer;
    enum tsr_linear_kind kind;
    const char *name; /* "model.layers.0.self_attn.qkv_proj" */
    size_t n, k;
    double rel_error;
    size_t done, total; /* linears of the model */
};

struct gen_quantize_options {
    const char *model, *output;
    enum gen_method method;
    enum tsr_weight_format format;
    const char *kv;     /* recorded: "kv4", "kv8", "kv16" */
    int force;          /* replace an existing output */
    int threads;        /* 0: one per core */
    size_t shard_bytes; /* 0: 4 GiB */
    void (*report)(void *context, const struct gen_linear_report *report);
    void *context;
};

struct gen_quantize_result {
    size_t linears, tensors;
    size_t source_bytes, output_bytes; /* of tensor data */
};

int gen_quantize_folder(const struct gen_quantize_options *options,
                        struct gen_quantize_result *out, struct tsr_error *err);

#endif
