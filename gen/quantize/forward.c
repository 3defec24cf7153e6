/* forward.c -- the fp16 model in fp32 arithmetic (capture.h).
**
** A layer, rows being tokens:
**
**   h ─ RMSNorm ─ [qkv] ─ RoPE(q, k) ─ attention ─ [o] ─ + ─ RMSNorm ─
**       [gate_up] ─ silu(gate) * up ─ [down] ─ +
**
** [x] is a linear whose input goes to the sink.
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gen/quantize/capture.h"
#include "gen/quantize/linear.h"
#include "gen/quantize/matmul.h"
#include "runtime/base/checked.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"

enum { NAME_ROOM = 160, PARTS = 7, TOKENS_MAX = 1 << 20 };

/* ORDER PART: as in PART_NAMES. */
enum part { Q, K, V, O, GATE, UP, DOWN };
static const char *const PART_NAMES[PARTS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
    "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
    "mlp.down_proj"};

struct layer {
    const struct tsr_tensor *input_norm, *post_norm, *q_norm, *k_norm;
    const struct tsr_tensor *weight[PARTS], *bias[PARTS];
};

struct gen_forward {
    struct tsr_model_config config;
    struct tsr_safetensors *store;
    struct layer *layers;
    const struct tsr_tensor *embedding, *final_norm, *head;
    float *frequencies; /* [head_dim / 2] radians per position */
};

/* What one run works on; rows are tokens. */
struct desk {
    const struct gen_forward *model;
    size_t count;
    float *h;      /* [hidden] residual stream */
    float *x;      /* [widest input] of the linear at hand */
    float *y;      /* [widest output] of the linear at hand */
    float *scores; /* [count] */
    float *gain;   /* [widest norm] */
    uint16_t *halves;
    size_t widest; /* of y's rows */
    gen_capture_sink *sink;
    void *context;
};

/* ---- opening --------------------------------------------------------------
 */

static int find(const struct gen_forward *model, const char *name, int rank,
                size_t rows, size_t columns, const struct tsr_tensor **out,
                struct tsr_error *err)
{
    size_t shape[2] = {rows, columns};
    int rc =
        tsr__safetensors_require(model->store, name, rank, shape, out, err);
    return rc ? rc : gen_check_float(*out, err);
}

static int find_part(const struct gen_forward *model, int layer, enum part part,
                     size_t n, size_t k, int bias, struct tsr_error *err)
{
    char name[NAME_ROOM];
    struct layer *to = &model->layers[layer];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer,
             PART_NAMES[part]);
    int rc = find(model, name, 2, n, k, &to->weight[part], err);
    snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer,
             PART_NAMES[part]);
    if (!rc && bias)
        rc = find(model, name, 1, n, 0, &to->bias[part], err);
    return rc;
}

static int find_norm(const struct gen_forward *model, int layer,
                     const char *what, int n, const struct tsr_tensor **out,
                     struct tsr_error *err)
{
    char name[NAME_ROOM];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, what);
    return find(model, name, 1, (size_t)n, 0, out, err);
}

static int find_layer(const struct gen_forward *model, int i,
                      struct tsr_error *err)
{
    const struct tsr_model_config *config = &model->config;
    struct layer *layer = &model->layers[i];
    size_t hidden = (size_t)config->hidden;
    size_t inner = (size_t)config->intermediate;
    size_t query = (size_t)config->heads * (size_t)config->head_dim;
    size_t key = (size_t)config->kv_heads * (size_t)config->head_dim;
    const struct {
        size_t n, k;
        int bias;
    } shapes[PARTS] = {
        {query, hidden, config->qkv_bias}, {key, hidden, config->qkv_bias},
        {key, hidden, config->qkv_bias},   {hidden, query, config->o_bias},
        {inner, hidden, config->mlp_bias}, {inner, hidden, config->mlp_bias},
        {hidden, inner, config->mlp_bias}};
    int rc = find_norm(model, i, "input_layernorm", config->hidden,
                       &layer->input_norm, err);
    if (!rc)
        rc = find_norm(model, i, "post_attention_layernorm", config->hidden,
                       &layer->post_norm, err);
    if (!rc && config->qk_norm)
        rc = find_norm(model, i, "self_attn.q_norm", config->head_dim,
                       &layer->q_norm, err);
    if (!rc && config->qk_norm)
        rc = find_norm(model, i, "self_attn.k_norm", config->head_dim,
                       &layer->k_norm, err);
    for (int part = 0; !rc && part < PARTS; part++)
        rc = find_part(model, i, (enum part)part, shapes[part].n,
                       shapes[part].k, shapes[part].bias, err);
    return rc;
}

/* Frequencies as the model's authors compute them, in fp32. */
static void fill_frequencies(const struct tsr_model_config *config, float *out)
{
    const struct tsr_rope *rope = &config->rope;
    const double turn = 6.283185307179586;
    for (int i = 0; i < config->head_dim / 2; i++) {
        double f = pow(rope->theta, -2.0 * i / config->head_dim);
        if (rope->type == TSR_ROPE_LINEAR)
            f /= rope->factor;
        if (rope->type == TSR_ROPE_LLAMA3) {
            double turns = rope->original_positions * f / turn;
            double blend = (turns - rope->low_frequency) /
                           (rope->high_frequency - rope->low_frequency);
            blend = blend < 0 ? 0 : blend > 1 ? 1 : blend;
            f = (1 - blend) * f / rope->factor + blend * f;
        }
        out[i] = (float)f;
    }
}

static int find_all(struct gen_forward *model, struct tsr_error *err)
{
    const struct tsr_model_config *config = &model->config;
    size_t hidden = (size_t)config->hidden, vocab = (size_t)config->vocab;
    model->layers = tsr__calloc((size_t)config->layers, sizeof *model->layers);
    model->frequencies =
        tsr__calloc((size_t)config->head_dim / 2, sizeof(float));
    if (!model->layers || !model->frequencies)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    fill_frequencies(config, model->frequencies);
    int rc = find(model, "model.embed_tokens.weight", 2, vocab, hidden,
                  &model->embedding, err);
    for (int i = 0; !rc && i < config->layers; i++)
        rc = find_layer(model, i, err);
    if (!rc)
        rc = find(model, "model.norm.weight", 1, hidden, 0, &model->final_norm,
                  err);
    model->head = model->embedding;
    if (!rc && !config->tied_embeddings)
        rc = find(model, "lm_head.weight", 2, vocab, hidden, &model->head, err);
    return rc;
}

int gen_forward_open(struct gen_forward **out, const char *folder,
                     struct tsr_error *err)
{
    struct gen_forward *model = tsr__calloc(1, sizeof *model);
    if (!model)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    int rc = tsr__config_read(&model->config, folder, err);
    if (!rc && model->config.quantized)
        rc = TSR_FAIL(err, TSR_EUSAGE,
                      "'%s' is quantised; give the fp16 model it was made from",
                      folder);
    if (!rc)
        rc = tsr__safetensors_open(&model->store, folder, err);
    if (!rc)
        rc = find_all(model, err);
    if (rc) {
        gen_forward_free(model);
        return rc;
    }
    *out = model;
    return 0;
}

void gen_forward_free(struct gen_forward *model)
{
    if (!model)
        return;
    tsr__safetensors_free(model->store);
    tsr__free(model->layers);
    tsr__free(model->frequencies);
    tsr__free(model);
}

/* ---- the pieces -----------------------------------------------------------
 */

/* y = x / rms(x) * gain; x and y may be the same. */
static void rms_norm(const float *x, const float *gain, size_t n, double eps,
                     float *y)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    float scale = (float)(1.0 / sqrt(squares / (double)n + eps));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * gain[i];
}

static void norm_rows(const struct desk *desk, const struct tsr_tensor *gain)
{
    size_t n = gain->count;
    tsr__tensor_floats(gain, 0, n, desk->gain);
    for (size_t t = 0; t < desk->count; t++)
        rms_norm(desk->h + t * n, desk->gain, n, desk->model->config.norm_eps,
                 desk->x + t * n);
}

/* Hands the rows of x to the sink in fp16. */
static int tell(const struct desk *desk, int layer, enum tsr_linear_kind kind,
                size_t k, struct tsr_error *err)
{
    if (!desk->sink)
        return 0;
    for (size_t i = 0; i < desk->count * k; i++)
        desk->halves[i] = tsr__float_to_half(desk->x[i]);
    return desk->sink(desk->context, layer, kind, desk->halves, desk->count, k,
                      err);
}

/* Columns `at` onwards of y's rows = part of x. */
static int multiply(const struct desk *desk, int layer, enum part part,
                    size_t at, size_t stride, struct tsr_error *err)
{
    const struct layer *from = &desk->model->layers[layer];
    return gen_matmul(from->weight[part], from->bias[part], desk->x,
                      desk->count, desk->y + at, stride, err);
}

static void add_rows(const struct desk *desk)
{
    size_t n = desk->count * (size_t)desk->model->config.hidden;
    for (size_t i = 0; i < n; i++)
        desk->h[i] += desk->y[i];
}

/* Rotates the pairs (i, i + d/2) of one head. */
static void rotate(float *head, const float *frequencies, size_t d, size_t at)
{
    for (size_t i = 0; i < d / 2; i++) {
        double angle = (double)((float)at * frequencies[i]);
        float c = (float)cos(angle), s = (float)sin(angle);
        float a = head[i], b = head[i + d / 2];
        head[i] = a * c - b * s;
        head[i + d / 2] = b * c + a * s;
    }
}

/* QK norm and RoPE on the q and k heads of y's rows. */
static void place_heads(const struct desk *desk, const struct layer *layer,
                        size_t stride)
{
    const struct tsr_model_config *config = &desk->model->config;
    size_t d = (size_t)config->head_dim, queries = (size_t)config->heads;
    size_t heads = queries + (size_t)config->kv_heads;
    for (size_t h = 0; h < heads; h++) {
        const struct tsr_tensor *gain =
            h < queries ? layer->q_norm : layer->k_norm;
        if (gain)
            tsr__tensor_floats(gain, 0, d, desk->gain);
        for (size_t t = 0; t < desk->count; t++) {
            float *head = desk->y + t * stride + h * d;
            if (gain)
                rms_norm(head, desk->gain, d, config->norm_eps, head);
            rotate(head, desk->model->frequencies, d, t);
        }
    }
}

static void softmax(float *scores, size_t first, size_t last)
{
    float most = scores[first], sum = 0;
    for (size_t j = first; j <= last; j++)
        most = scores[j] > most ? scores[j] : most;
    for (size_t j = first; j <= last; j++) {
        scores[j] = expf(scores[j] - most);
        sum += scores[j];
    }
    for (size_t j = first; j <= last; j++)
        scores[j] /= sum;
}

/* One query head at position t: from y's rows to d values at `out`. */
static void attend(const struct desk *desk, size_t t, size_t head,
                   size_t stride, float *out)
{
    const struct tsr_model_config *config = &desk->model->config;
    size_t d = (size_t)config->head_dim,
           window = (size_t)config->sliding_window;
    size_t queries = (size_t)config->heads, keys = (size_t)config->kv_heads;
    size_t shared = head / (queries / keys);
    const float *q = desk->y + t * stride + head * d;
    const float *k = desk->y + (queries + shared) * d;
    const float *v = k + keys * d;
    size_t first = window && t + 1 > window ? t + 1 - window : 0;
    float scale = (float)(1.0 / sqrt((double)d));
    for (size_t j = first; j <= t; j++)
        desk->scores[j] = gen_dot(q, k + j * stride, d) * scale;
    softmax(desk->scores, first, t);
    memset(out, 0, d * sizeof *out);
    for (size_t j = first; j <= t; j++)
        for (size_t i = 0; i < d; i++)
            out[i] += desk->scores[j] * v[j * stride + i];
}

static int run_attention(const struct desk *desk, int i, struct tsr_error *err)
{
    const struct tsr_model_config *config = &desk->model->config;
    const struct layer *layer = &desk->model->layers[i];
    size_t d = (size_t)config->head_dim, hidden = (size_t)config->hidden;
    size_t query = (size_t)config->heads * d;
    size_t key = (size_t)config->kv_heads * d, stride = query + 2 * key;
    norm_rows(desk, layer->input_norm);
    int rc = tell(desk, i, TSR_QKV, hidden, err);
    if (!rc)
        rc = multiply(desk, i, Q, 0, stride, err);
    if (!rc)
        rc = multiply(desk, i, K, query, stride, err);
    if (!rc)
        rc = multiply(desk, i, V, query + key, stride, err);
    if (rc)
        return rc;
    place_heads(desk, layer, stride);
    for (size_t t = 0; t < desk->count; t++)
        for (size_t head = 0; head < (size_t)config->heads; head++)
            attend(desk, t, head, stride, desk->x + t * query + head * d);
    rc = tell(desk, i, TSR_O, query, err);
    if (!rc)
        rc = multiply(desk, i, O, 0, hidden, err);
    if (!rc)
        add_rows(desk);
    return rc;
}

static int run_mlp(const struct desk *desk, int i, struct tsr_error *err)
{
    size_t hidden = (size_t)desk->model->config.hidden;
    size_t inner = (size_t)desk->model->config.intermediate;
    norm_rows(desk, desk->model->layers[i].post_norm);
    int rc = tell(desk, i, TSR_GATE_UP, hidden, err);
    if (!rc)
        rc = multiply(desk, i, GATE, 0, 2 * inner, err);
    if (!rc)
        rc = multiply(desk, i, UP, inner, 2 * inner, err);
    if (rc)
        return rc;
    for (size_t t = 0; t < desk->count; t++) {
        const float *gate = desk->y + t * 2 * inner, *up = gate + inner;
        for (size_t j = 0; j < inner; j++)
            desk->x[t * inner + j] = gate[j] / (1.0f + expf(-gate[j])) * up[j];
    }
    rc = tell(desk, i, TSR_DOWN, inner, err);
    if (!rc)
        rc = multiply(desk, i, DOWN, 0, hidden, err);
    if (!rc)
        add_rows(desk);
    return rc;
}

/* ---- a run ----------------------------------------------------------------
 */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int prepare(struct desk *desk, struct tsr_error *err)
{
    const struct tsr_model_config *config = &desk->model->config;
    size_t d = (size_t)config->head_dim, hidden = (size_t)config->hidden;
    size_t inner = (size_t)config->intermediate;
    size_t query = (size_t)config->heads * d;
    size_t key = (size_t)config->kv_heads * d;
    size_t input = larger(hidden, larger(query, inner));
    size_t output = larger(hidden, larger(query + 2 * key, 2 * inner));
    /* count <= 2^20 and rows < 2^18 floats: the products cannot overflow. */
    desk->h = tsr__malloc(desk->count * hidden * sizeof(float));
    desk->x = tsr__malloc(desk->count * input * sizeof(float));
    desk->y = tsr__malloc(desk->count * output * sizeof(float));
    desk->halves = tsr__malloc(desk->count * input * sizeof(uint16_t));
    desk->scores = tsr__malloc(desk->count * sizeof(float));
    desk->gain = tsr__malloc(larger(hidden, d) * sizeof(float));
    if (!desk->h || !desk->x || !desk->y || !desk->halves || !desk->scores ||
        !desk->gain)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory for %zu tokens",
                        desk->count);
    return 0;
}

static void release(struct desk *desk)
{
    tsr__free(desk->h);
    tsr__free(desk->x);
    tsr__free(desk->y);
    tsr__free(desk->halves);
    tsr__free(desk->scores);
    tsr__free(desk->gain);
}

static int embed(const struct desk *desk, const int *tokens,
                 struct tsr_error *err)
{
    size_t hidden = (size_t)desk->model->config.hidden;
    for (size_t t = 0; t < desk->count; t++) {
        if (tokens[t] < 0 || tokens[t] >= desk->model->config.vocab)
            return TSR_FAIL(err, TSR_EUSAGE,
                            "token %zu is %d, outside the vocabulary of %d; "
                            "was the token file made for another model?",
                            t, tokens[t], desk->model->config.vocab);
        tsr__tensor_floats(desk->model->embedding, (size_t)tokens[t] * hidden,
                           hidden, desk->h + t * hidden);
    }
    return 0;
}

int gen_forward_run(struct gen_forward *model, const int *tokens, size_t count,
                    float *logits, gen_capture_sink *sink, void *context,
                    struct tsr_error *err)
{
    struct desk desk = {
        .model = model, .count = count, .sink = sink, .context = context};
    if (count == 0 || count > TOKENS_MAX)
        return TSR_FAIL(err, TSR_EUSAGE, "a document must have 1 to %d tokens",
                        TOKENS_MAX);
    int rc = prepare(&desk, err);
    if (!rc)
        rc = embed(&desk, tokens, err);
    for (int i = 0; !rc && i < model->config.layers; i++) {
        rc = run_attention(&desk, i, err);
        if (!rc)
            rc = run_mlp(&desk, i, err);
    }
    if (!rc && logits) {
        norm_rows(&desk, model->final_norm);
        rc = gen_matmul(model->head, NULL, desk.x, count, logits,
                        (size_t)model->config.vocab, err);
    }
    release(&desk);
    return rc;
}
