/* toy_model.h -- writes a small model with random weights, of any supported
** family, for tests. Include after scratch.h.
*/
#ifndef TESTS_UNIT_TOY_MODEL_H
#define TESTS_UNIT_TOY_MODEL_H

#include "gen/quantize/random.h"
#include "gen/quantize/writer.h"
#include "runtime/base/half.h"

struct toy_model {
    const char *architecture; /* "LlamaForCausalLM" */
    int hidden, layers, heads, kv_heads, head_dim, inner, vocab;
    enum tsr_dtype dtype;
    int tied, qkv_bias, o_bias, qk_norm;
    const char *more;    /* further JSON members, each with a comma in front */
    const char *without; /* a tensor to leave out, or NULL */
    const char *extra;   /* a tensor to add, or NULL */
    const char *poison;  /* a tensor whose element 3 is `poison_value` */
    float poison_value;
};

static const struct toy_model TOY_MODEL = {.architecture = "LlamaForCausalLM",
                                           .hidden = 128,
                                           .layers = 2,
                                           .heads = 4,
                                           .kv_heads = 2,
                                           .head_dim = 32,
                                           .inner = 256,
                                           .vocab = 64,
                                           .dtype = TSR_F16};

struct toy_writer {
    const struct toy_model *toy;
    struct gen_writer *writer;
    int declaring;
    int number;
    uint64_t seed;
};

/* First declares, then, in the same order, fills. Norm gains lie about 1. */
static inline void toy_tensor(struct toy_writer *to, const char *name, int rank,
                              int rows, int columns)
{
    size_t shape[2] = {(size_t)rows, (size_t)columns};
    size_t count = rank == 2 ? shape[0] * shape[1] : shape[0];
    size_t width = tsr__dtype_bits(to->toy->dtype) / 8;
    if (to->toy->without && strcmp(name, to->toy->without) == 0)
        return;
    if (to->declaring) {
        if (gen_writer_declare(to->writer, name, to->toy->dtype, rank, shape,
                               NULL) < 0)
            abort();
        return;
    }
    unsigned char *bytes = malloc(count * width + 1);
    for (size_t i = 0; i < count; i++) {
        float value =
            (float)(int64_t)(gen_random_next(&to->seed) >> 20) * 0x1p-43f -
            1.0f;
        value = strstr(name, "norm") ? 1.0f + 0.2f * value
                                     : value * (rank == 2 ? 0.3f : 0.5f);
        if (i == 3 && to->toy->poison && strcmp(name, to->toy->poison) == 0)
            value = to->toy->poison_value;
        uint16_t half = to->toy->dtype == TSR_BF16 ? tsr__float_to_bfloat(value)
                                                   : tsr__float_to_half(value);
        memcpy(bytes + i * width,
               width == 4 ? (const void *)&value : (const void *)&half, width);
    }
    if (gen_writer_put(to->writer, to->number++, 0, bytes, count * width, NULL))
        abort();
    free(bytes);
}

/* A norm where k is 0. */
static inline void toy_linear(struct toy_writer *to, int layer,
                              const char *what, int n, int k, int bias)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, what);
    toy_tensor(to, name, k ? 2 : 1, n, k);
    snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer, what);
    if (bias)
        toy_tensor(to, name, 1, n, 0);
}

static inline void toy_tensors(struct toy_writer *to)
{
    const struct toy_model *toy = to->toy;
    int hidden = toy->hidden, query = toy->heads * toy->head_dim;
    int key = toy->kv_heads * toy->head_dim;
    toy_tensor(to, "model.embed_tokens.weight", 2, toy->vocab, hidden);
    for (int i = 0; i < toy->layers; i++) {
        toy_linear(to, i, "input_layernorm", hidden, 0, 0);
        toy_linear(to, i, "post_attention_layernorm", hidden, 0, 0);
        toy_linear(to, i, "self_attn.q_proj", query, hidden, toy->qkv_bias);
        toy_linear(to, i, "self_attn.k_proj", key, hidden, toy->qkv_bias);
        toy_linear(to, i, "self_attn.v_proj", key, hidden, toy->qkv_bias);
        toy_linear(to, i, "self_attn.o_proj", hidden, query, toy->o_bias);
        toy_linear(to, i, "mlp.gate_proj", toy->inner, hidden, 0);
        toy_linear(to, i, "mlp.up_proj", toy->inner, hidden, 0);
        toy_linear(to, i, "mlp.down_proj", hidden, toy->inner, 0);
        if (toy->qk_norm) {
            toy_linear(to, i, "self_attn.q_norm", toy->head_dim, 0, 0);
            toy_linear(to, i, "self_attn.k_norm", toy->head_dim, 0, 0);
        }
    }
    toy_tensor(to, "model.norm.weight", 1, hidden, 0);
    if (!toy->tied)
        toy_tensor(to, "lm_head.weight", 2, toy->vocab, hidden);
    if (toy->extra)
        toy_tensor(to, toy->extra, 1, 8, 0);
}

static inline void toy_write_config(const struct toy_model *toy,
                                    const char *folder)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"architectures\": [\"%s\"], \"hidden_size\": %d, "
             "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
             "\"num_key_value_heads\": %d, \"head_dim\": %d, "
             "\"intermediate_size\": %d, \"vocab_size\": %d, "
             "\"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-05, "
             "\"tie_word_embeddings\": %s%s}",
             toy->architecture, toy->hidden, toy->layers, toy->heads,
             toy->kv_heads, toy->head_dim, toy->inner, toy->vocab,
             toy->tied ? "true" : "false", toy->more ? toy->more : "");
    scratch_write(scratch_path(folder, "config.json"), text, strlen(text));
}

/* Writes config.json and model.safetensors into `folder`. */
static inline void toy_write(const struct toy_model *toy, const char *folder)
{
    struct toy_writer to = {.toy = toy, .declaring = 1, .seed = 11};
    if (gen_writer_create(&to.writer, NULL))
        abort();
    toy_tensors(&to);
    if (gen_writer_begin(to.writer, folder, (size_t)1 << 40, NULL))
        abort();
    to.declaring = 0;
    toy_tensors(&to);
    if (gen_writer_finish(to.writer, NULL))
        abort();
    gen_writer_free(to.writer);
    toy_write_config(toy, folder);
}

#endif
