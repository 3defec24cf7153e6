/* config.h -- a model's config.json: shapes and switches, checked.
**
** Takes what Hugging Face's Llama 2 and 3.x, Mistral, Qwen2, Qwen2.5 and
** Qwen3 write, by either name where two generations differ (rope_theta and
** rope_scaling, or rope_parameters). A field that is absent, of the wrong
** type, negative or absurd is refused by name; so is an architecture, an
** activation or a RoPE type the runtime does not compute. Numbers that
** pass fit an int and multiply to sizes that fit a size_t.
*/
#ifndef TSR_MODEL_CONFIG_H
#define TSR_MODEL_CONFIG_H

#include <stddef.h>

#include "runtime/base/error.h"
#include "runtime/model/layout.h"

/* Symbol, class in "architectures". */
#define TSR_ARCHITECTURE_LIST(X)         \
    X(TSR_LLAMA, "LlamaForCausalLM")     \
    X(TSR_MISTRAL, "MistralForCausalLM") \
    X(TSR_QWEN2, "Qwen2ForCausalLM")     \
    X(TSR_QWEN3, "Qwen3ForCausalLM")

enum tsr_architecture {
#define TSR_ENUM(symbol, name) symbol,
    TSR_ARCHITECTURE_LIST(TSR_ENUM)
#undef TSR_ENUM
};

enum tsr_rope_type { TSR_ROPE_DEFAULT, TSR_ROPE_LINEAR, TSR_ROPE_LLAMA3 };

/* Rotary position embedding, half-split: dim i pairs with i + head_dim/2. */
struct tsr_rope {
    enum tsr_rope_type type;
    double theta;
    double factor;                        /* linear, llama3 */
    double low_frequency, high_frequency; /* llama3 */
    double original_positions;            /* llama3 */
};

enum { TSR_EOS_MAX = 8 };

struct tsr_model_config {
    enum tsr_architecture architecture;
    int hidden; /* residual stream */
    int layers;
    int heads;        /* query heads */
    int kv_heads;     /* divides heads */
    int head_dim;     /* not always hidden / heads */
    int intermediate; /* of the MLP */
    int vocab;
    int max_positions;
    double norm_eps;
    struct tsr_rope rope;
    int tied_embeddings; /* lm_head is embed_tokens */
    int qkv_bias, o_bias, mlp_bias;
    int qk_norm;        /* RMSNorm of each head of q and k before RoPE */
    int sliding_window; /* 0: none */
    int bos;            /* -1: none */
    int eos[TSR_EOS_MAX], eos_count;

    int quantized; /* has a quantization_config of ours */
    struct tsr_quantization {
        char method[32]; /* "rtn", ... */
        enum tsr_weight_format format;
        char kv[16];       /* "kv4", "kv8", "kv16" */
        char source[1024]; /* the fp16 folder, seen from this one, or "" */
    } quantization;
};

/* `path` is a config.json or the folder it is in. */
int tsr__config_read(struct tsr_model_config *out, const char *path,
                     struct tsr_error *err);
/* The same from text; `name` stands in messages. */
int tsr__config_parse(struct tsr_model_config *out, const char *text,
                      size_t size, const char *name, struct tsr_error *err);
/* The path of the fp16 folder that the quantised `folder` was made from, into
** `out`; -1 when it is not recorded or does not fit. */
int tsr__config_source(const struct tsr_model_config *config,
                       const char *folder, char *out, size_t room);
const char *tsr__architecture_name(enum tsr_architecture architecture);

/* The four linears of a layer, as the quantised folder fuses them:
** symbol, word, name below "model.layers.I.". */
#define TSR_LINEAR_LIST(X)                        \
    X(TSR_QKV, "qkv", "self_attn.qkv_proj")       \
    X(TSR_O, "o", "self_attn.o_proj")             \
    X(TSR_GATE_UP, "gate_up", "mlp.gate_up_proj") \
    X(TSR_DOWN, "down", "mlp.down_proj")

enum tsr_linear_kind {
#define TSR_ENUM(symbol, word, name) symbol,
    TSR_LINEAR_LIST(TSR_ENUM)
#undef TSR_ENUM
        TSR_LINEAR_KINDS
};

struct tsr_linear_shape {
    size_t n, k;
    int bias;
};

struct tsr_linear_shape tsr__config_linear(
    const struct tsr_model_config *config, enum tsr_linear_kind kind);
const char *tsr__linear_word(enum tsr_linear_kind kind);
/* "self_attn.qkv_proj" */
const char *tsr__linear_name(enum tsr_linear_kind kind);

#endif
