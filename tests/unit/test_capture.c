/* test_capture.c -- the fp32 forward pass against Hugging Face transformers'
** logits for the demo model, and against a plain double-precision model for
** what the demo does not have; and what the sink is given.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>

#include "gen/quantize/capture.h"
#include "tests/unit/scratch.h"
#include "tests/unit/toy_model.h"

#define TINY "tests/data/models/tessera-tiny"

static struct gen_forward *open_model(const char *folder)
{
    struct gen_forward *forward;
    struct tsr_error err = {0};
    if (gen_forward_open(&forward, folder, &err))
        fail_msg("%s", err.text);
    return forward;
}

static json_t *goldens(void)
{
    json_t *json = json_load_file(TINY "/goldens.json", 0, NULL);
    assert_non_null(json);
    return json;
}

static size_t add_ids(int *tokens, size_t count, const json_t *ids)
{
    for (size_t i = 0; i < json_array_size(ids); i++)
        tokens[count++] = (int)json_integer_value(json_array_get(ids, i));
    return count;
}

/* Tolerance: both sides sum in fp32, in different orders, over at most 1024
** terms in 4 layers; 2^-24 times a few thousand roundings of logits up to 23
** is below 1e-3, and 2e-5 is what shows. */
static void logits_equal_the_golden_ones(void **state)
{
    (void)state;
    struct gen_forward *forward = open_model(TINY);
    struct tsr_safetensors *store;
    json_t *list = goldens();
    assert_int_equal(
        tsr__safetensors_open(&store, TINY "/goldens.safetensors", NULL), 0);
    static const int full[] = {0, 8, 10};
    for (int i = 0; i < 3; i++) {
        char name[32];
        int tokens[512];
        snprintf(name, sizeof name, "logits.%d", full[i]);
        const json_t *golden = json_array_get(list, (size_t)full[i]);
        size_t count = add_ids(tokens, 0, json_object_get(golden, "input_ids"));
        const struct tsr_tensor *tensor = tsr__safetensors_find(store, name);
        assert_int_equal(tensor->count, count * 4096);
        float *wanted = malloc(tensor->bytes), *got = malloc(tensor->bytes);
        tsr__tensor_floats(tensor, 0, tensor->count, wanted);
        assert_int_equal(
            gen_forward_run(forward, tokens, count, got, NULL, NULL, NULL), 0);
        for (size_t j = 0; j < tensor->count; j++)
            assert_true(fabsf(got[j] - wanted[j]) < 1e-3f);
        free(wanted);
        free(got);
    }
    tsr__safetensors_free(store);
    json_decref(list);
    gen_forward_free(forward);
}

static int best_of(const float *logits, int vocab)
{
    int best = 0;
    for (int i = 1; i < vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* The answers are forced, so one pass per prompt checks every step, up to the
** first whose two best logits are closer than 0.05. */
static void greedy_tokens_equal_the_golden_ones(void **state)
{
    (void)state;
    struct gen_forward *forward = open_model(TINY);
    json_t *list = goldens(), *golden;
    size_t index, steps = 0;
    json_array_foreach(list, index, golden)
    {
        int tokens[512];
        const json_t *margins = json_object_get(golden, "margins");
        size_t prompt =
            add_ids(tokens, 0, json_object_get(golden, "input_ids"));
        size_t count =
            add_ids(tokens, prompt, json_object_get(golden, "greedy"));
        float *logits = malloc(count * 4096 * sizeof *logits);
        assert_int_equal(
            gen_forward_run(forward, tokens, count, logits, NULL, NULL, NULL),
            0);
        for (size_t i = prompt; i < count; i++, steps++) {
            double margin =
                json_number_value(json_array_get(margins, i - prompt));
            if (margin < 0.05)
                break;
            assert_int_equal(best_of(logits + (i - 1) * 4096, 4096), tokens[i]);
        }
        const json_t *ids = json_object_get(golden, "top_ids");
        const json_t *top = json_object_get(golden, "top_logits");
        for (size_t i = 0; i < json_array_size(ids); i++) {
            float *row = logits + (prompt - 1) * 4096;
            double got =
                (double)row[json_integer_value(json_array_get(ids, i))];
            assert_true(fabs(got - json_number_value(json_array_get(top, i))) <
                        1e-3);
        }
        free(logits);
    }
    assert_true(steps > 200);
    json_decref(list);
    gen_forward_free(forward);
}

/* ---- a plain model in double precision -------------------------------------
 */

struct plain {
    const struct toy_model *toy;
    struct tsr_safetensors *store;
    double low, high, original, factor; /* llama3 scaling when factor > 0 */
    int window;
};

static void plain_read(const struct plain *plain, const char *name, int layer,
                       double *out)
{
    char full[128];
    if (layer < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "model.layers.%d.%s", layer, name);
    const struct tsr_tensor *tensor = tsr__safetensors_find(plain->store, full);
    assert_non_null(tensor);
    float *floats = malloc(tensor->count * sizeof *floats + 1);
    tsr__tensor_floats(tensor, 0, tensor->count, floats);
    for (size_t i = 0; i < tensor->count; i++)
        out[i] = (double)floats[i];
    free(floats);
}

static void plain_norm(const double *x, const double *gain, int n, double *y)
{
    double mean = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] * x[i] / n;
    for (int i = 0; i < n; i++)
        y[i] = x[i] / sqrt(mean + 1e-5) * gain[i];
}

static void plain_linear(const struct plain *plain, int layer, const char *what,
                         int bias, const double *x, int n, int k, double *y)
{
    static double w[64 * 64], b[64];
    char name[128];
    snprintf(name, sizeof name, "%s.weight", what);
    plain_read(plain, name, layer, w);
    memset(b, 0, sizeof b);
    snprintf(name, sizeof name, "%s.bias", what);
    if (bias)
        plain_read(plain, name, layer, b);
    for (int i = 0; i < n; i++) {
        y[i] = b[i];
        for (int j = 0; j < k; j++)
            y[i] += w[i * k + j] * x[j];
    }
}

static double plain_frequency(const struct plain *plain, int i)
{
    double f = 1 / pow(10000, 2.0 * i / plain->toy->head_dim);
    if (!(plain->factor > 0))
        return f;
    double wavelength = 2 * acos(-1.0) / f;
    if (wavelength < plain->original / plain->high)
        return f;
    if (wavelength > plain->original / plain->low)
        return f / plain->factor;
    double s = (plain->original / wavelength - plain->low) /
               (plain->high - plain->low);
    return (1 - s) * f / plain->factor + s * f;
}

enum { PLAIN_TOKENS = 24, PLAIN_WIDTH = 64 };

static void plain_head(const struct plain *plain, int layer, const char *norm,
                       double *head, int at)
{
    int d = plain->toy->head_dim;
    double gain[PLAIN_WIDTH], turned[PLAIN_WIDTH];
    if (plain->toy->qk_norm) {
        plain_read(plain, norm, layer, gain);
        plain_norm(head, gain, d, head);
    }
    for (int i = 0; i < d; i++) {
        double angle = at * plain_frequency(plain, i % (d / 2));
        double other = i < d / 2 ? -head[i + d / 2] : head[i - d / 2];
        turned[i] = head[i] * cos(angle) + other * sin(angle);
    }
    memcpy(head, turned, (size_t)d * sizeof *head);
}

static void plain_layer(const struct plain *plain, int layer,
                        double h[][PLAIN_WIDTH], int count)
{
    static double q[PLAIN_TOKENS][PLAIN_WIDTH], k[PLAIN_TOKENS][PLAIN_WIDTH];
    static double v[PLAIN_TOKENS][PLAIN_WIDTH], x[PLAIN_WIDTH], y[PLAIN_WIDTH];
    double gain[PLAIN_WIDTH], gate[PLAIN_WIDTH], up[PLAIN_WIDTH];
    const struct toy_model *toy = plain->toy;
    int d = toy->head_dim, hidden = toy->hidden, query = toy->heads * d;
    int key = toy->kv_heads * d, bias = toy->qkv_bias;
    for (int t = 0; t < count; t++) {
        plain_read(plain, "input_layernorm.weight", layer, gain);
        plain_norm(h[t], gain, hidden, x);
        plain_linear(plain, layer, "self_attn.q_proj", bias, x, query, hidden,
                     q[t]);
        plain_linear(plain, layer, "self_attn.k_proj", bias, x, key, hidden,
                     k[t]);
        plain_linear(plain, layer, "self_attn.v_proj", bias, x, key, hidden,
                     v[t]);
        for (int i = 0; i < toy->heads; i++)
            plain_head(plain, layer, "self_attn.q_norm.weight", q[t] + i * d,
                       t);
        for (int i = 0; i < toy->kv_heads; i++)
            plain_head(plain, layer, "self_attn.k_norm.weight", k[t] + i * d,
                       t);
    }
    for (int t = 0; t < count; t++) {
        for (int i = 0; i < query; i++) {
            int from = i / d / (toy->heads / toy->kv_heads) * d;
            double sum = 0, value = 0;
            for (int j = 0; j <= t; j++) {
                double dot = 0;
                if (plain->window && t - j >= plain->window)
                    continue;
                for (int c = 0; c < d; c++)
                    dot += q[t][i / d * d + c] * k[j][from + c];
                double e = exp(dot / sqrt(d));
                sum += e;
                value += e * v[j][from + i % d];
            }
            x[i] = value / sum;
        }
        plain_linear(plain, layer, "self_attn.o_proj", toy->o_bias, x, hidden,
                     query, y);
        for (int i = 0; i < hidden; i++)
            h[t][i] += y[i];
        plain_read(plain, "post_attention_layernorm.weight", layer, gain);
        plain_norm(h[t], gain, hidden, x);
        plain_linear(plain, layer, "mlp.gate_proj", 0, x, toy->inner, hidden,
                     gate);
        plain_linear(plain, layer, "mlp.up_proj", 0, x, toy->inner, hidden, up);
        for (int i = 0; i < toy->inner; i++)
            x[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
        plain_linear(plain, layer, "mlp.down_proj", 0, x, hidden, toy->inner,
                     y);
        for (int i = 0; i < hidden; i++)
            h[t][i] += y[i];
    }
}

/* Logits of the last token. */
static void plain_run(const struct plain *plain, const int *tokens, int count,
                      double *logits)
{
    static double h[PLAIN_TOKENS][PLAIN_WIDTH], embedding[64 * 64];
    double gain[PLAIN_WIDTH], x[PLAIN_WIDTH];
    const struct toy_model *toy = plain->toy;
    plain_read(plain, "model.embed_tokens.weight", -1, embedding);
    for (int t = 0; t < count; t++)
        for (int i = 0; i < toy->hidden; i++)
            h[t][i] = embedding[tokens[t] * toy->hidden + i];
    for (int layer = 0; layer < toy->layers; layer++)
        plain_layer(plain, layer, h, count);
    plain_read(plain, "model.norm.weight", -1, gain);
    plain_norm(h[count - 1], gain, toy->hidden, x);
    plain_linear(plain, -1, toy->tied ? "model.embed_tokens" : "lm_head", 0, x,
                 toy->vocab, toy->hidden, logits);
}

static const struct toy_model SMALL = {.architecture = "LlamaForCausalLM",
                                       .hidden = 24,
                                       .layers = 2,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .head_dim = 8,
                                       .inner = 40,
                                       .vocab = 50,
                                       .dtype = TSR_F16};

static void check_against_plain(const struct toy_model *toy, struct plain plain)
{
    const char *folder = scratch_folder();
    int tokens[PLAIN_TOKENS];
    static float logits[PLAIN_TOKENS * 50];
    double wanted[50];
    toy_write(toy, folder);
    plain.toy = toy;
    assert_int_equal(tsr__safetensors_open(&plain.store, folder, NULL), 0);
    for (int i = 0; i < PLAIN_TOKENS; i++)
        tokens[i] = i * 13 % 50;
    struct gen_forward *forward = open_model(folder);
    assert_int_equal(gen_forward_run(forward, tokens, PLAIN_TOKENS, logits,
                                     NULL, NULL, NULL),
                     0);
    plain_run(&plain, tokens, PLAIN_TOKENS, wanted);
    double most = 0;
    for (int i = 0; i < toy->vocab; i++)
        most = fabs(wanted[i]) > most ? fabs(wanted[i]) : most;
    for (int i = 0; i < toy->vocab; i++) {
        double got = (double)logits[(PLAIN_TOKENS - 1) * toy->vocab + i];
        assert_true(fabs(got - wanted[i]) < 1e-4 * most); /* fp32 vs double */
    }
    gen_forward_free(forward);
    tsr__safetensors_free(plain.store);
}

static void forward_equals_a_plain_model_of_each_family(void **state)
{
    (void)state;
    struct plain none = {.toy = NULL};
    struct toy_model toy = SMALL;
    check_against_plain(&toy, none);

    toy.architecture = "Qwen2ForCausalLM"; /* biases, tied, bf16 */
    toy.qkv_bias = 1;
    toy.tied = 1;
    toy.dtype = TSR_BF16;
    check_against_plain(&toy, none);

    toy = SMALL;
    toy.architecture = "Qwen3ForCausalLM"; /* QK norm, fp32 */
    toy.qk_norm = 1;
    toy.dtype = TSR_F32;
    check_against_plain(&toy, none);

    toy = SMALL;
    toy.more = ",\"attention_bias\": true";
    toy.qkv_bias = toy.o_bias = 1;
    check_against_plain(&toy, none);
}

static void forward_knows_windows_and_llama3_scaling(void **state)
{
    (void)state;
    struct toy_model toy = SMALL;
    toy.architecture = "MistralForCausalLM";
    toy.more = ",\"sliding_window\": 5";
    check_against_plain(&toy, (struct plain){.window = 5});

    /* Wavelengths 6, 63, 628, 6283: kept, blended, divided, divided. */
    toy = SMALL;
    toy.more = ",\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8,"
               "\"low_freq_factor\": 1, \"high_freq_factor\": 4,"
               "\"original_max_position_embeddings\": 128}";
    check_against_plain(
        &toy,
        (struct plain){.low = 1, .high = 4, .original = 128, .factor = 8});
}

/* ---- the sink --------------------------------------------------------------
 */

struct seen {
    int calls;
    int documents;
    size_t rows;
    uint16_t *gate_up, *down; /* layer 1's rows of the last document */
    size_t count;
    int stop_at;
};

static int watch(void *context, int layer, enum tsr_linear_kind kind,
                 const uint16_t *rows, size_t count, size_t k,
                 struct tsr_error *err)
{
    static const size_t wanted[TSR_LINEAR_KINDS] = {256, 512, 256, 1024};
    struct seen *seen = context;
    assert_int_equal(layer, seen->calls % 16 / 4);
    assert_int_equal(kind, seen->calls % 4);
    assert_int_equal(k, wanted[kind]);
    seen->calls++;
    seen->rows += count;
    seen->count = count;
    uint16_t **to = kind == TSR_GATE_UP ? &seen->gate_up
                    : kind == TSR_DOWN  ? &seen->down
                                        : NULL;
    if (layer == 1 && to) {
        free(*to);
        *to = malloc(count * k * 2);
        memcpy(*to, rows, count * k * 2);
    }
    if (seen->calls == seen->stop_at)
        return TSR_FAIL(err, TSR_EFINDING, "enough");
    return 0;
}

/* What the sink got for gate_up gives, through the weights, what it got for
** down. Tolerance: both are rounded to fp16 (2^-11), K = 256 terms. */
static void sink_gets_the_inputs_of_every_linear(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct tsr_error err = {0};
    assert_int_equal(
        gen_capture(TINY, TINY "/calibration.jsonl", 520, watch, &seen, &err),
        0);
    assert_int_equal(seen.calls, 2 * 16); /* 512 tokens, then 8 */
    assert_int_equal(seen.rows, 16 * 520);
    assert_int_equal(seen.count, 8);
    struct tsr_safetensors *store;
    assert_int_equal(tsr__safetensors_open(&store, TINY, NULL), 0);
    const struct tsr_tensor *gate =
        tsr__safetensors_find(store, "model.layers.1.mlp.gate_proj.weight");
    const struct tsr_tensor *up =
        tsr__safetensors_find(store, "model.layers.1.mlp.up_proj.weight");
    for (size_t t = 0; t < seen.count; t++)
        for (size_t i = 0; i < 1024; i += 37) {
            float wg[256], wu[256];
            double g = 0, u = 0;
            tsr__tensor_floats(gate, i * 256, 256, wg);
            tsr__tensor_floats(up, i * 256, 256, wu);
            for (size_t j = 0; j < 256; j++) {
                double x =
                    (double)tsr__half_to_float(seen.gate_up[t * 256 + j]);
                g += (double)wg[j] * x;
                u += (double)wu[j] * x;
            }
            double wanted = g / (1 + exp(-g)) * u;
            double got = (double)tsr__half_to_float(seen.down[t * 1024 + i]);
            assert_true(fabs(got - wanted) < 2e-3 * fabs(wanted) + 2e-3);
        }
    tsr__safetensors_free(store);
    free(seen.gate_up);
    free(seen.down);
}

static void sink_can_stop_the_pass(void **state)
{
    (void)state;
    struct seen seen = {.stop_at = 5};
    struct tsr_error err = {0};
    assert_int_equal(
        gen_capture(TINY, TINY "/calibration.jsonl", 16, watch, &seen, &err),
        TSR_EFINDING);
    assert_int_equal(seen.calls, 5);
    assert_string_equal(err.text, "enough");
    free(seen.gate_up);
    free(seen.down);
}

static void bad_token_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "no documents"},
        {"\n  \n", "no documents"},
        {"not json\n", "line 1 is not JSON"},
        {"{\"tokens\":[1]}\n{\"tokens\":\n", "line 2 is not JSON"},
        {"{\"ids\":[1]}\n", "line 1 has no list of tokens"},
        {"{\"tokens\":[]}\n", "line 1 has no list of tokens"},
        {"{\"tokens\":[1,-2]}\n", "token 1 is not an id"},
        {"{\"tokens\":[1.5]}\n", "token 0 is not an id"},
        {"{\"tokens\":[99999999999]}\n", "token 0 is not an id"},
        {"{\"tokens\":[4095,4096]}\n", "token 1 is 4096, outside"},
    };
    const char *path = scratch_path(scratch_folder(), "tokens.jsonl");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tsr_error err = {0};
        scratch_write(path, bad[i].text, strlen(bad[i].text));
        int rc = gen_capture(TINY, path, 0, NULL, NULL, &err);
        if (rc >= 0 || !strstr(err.text, bad[i].says) ||
            !strstr(err.text, "tokens.jsonl"))
            fail_msg("%zu: %d '%s'", i, rc, err.text);
    }
}

static void documents_are_cut_at_the_limit(void **state)
{
    (void)state;
    struct gen_documents documents;
    const char *path = scratch_path(scratch_folder(), "tokens.jsonl");
    const char *text = "{\"tokens\":[1,2,3]}\n\n{\"tokens\":[4,5]}";
    scratch_write(path, text, strlen(text));
    assert_int_equal(gen_documents_read(&documents, path, 0, NULL), 0);
    assert_int_equal(documents.count, 2);
    assert_int_equal(documents.starts[2], 5);
    assert_int_equal(documents.tokens[4], 5);
    gen_documents_release(&documents);
    assert_int_equal(gen_documents_read(&documents, path, 4, NULL), 0);
    assert_int_equal(documents.count, 2);
    assert_int_equal(documents.starts[2], 4);
    gen_documents_release(&documents);
    assert_int_equal(gen_documents_read(&documents, path, 3, NULL), 0);
    assert_int_equal(documents.count, 1);
    gen_documents_release(&documents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal_the_golden_ones),
        cmocka_unit_test(greedy_tokens_equal_the_golden_ones),
        cmocka_unit_test(forward_equals_a_plain_model_of_each_family),
        cmocka_unit_test(forward_knows_windows_and_llama3_scaling),
        cmocka_unit_test(sink_gets_the_inputs_of_every_linear),
        cmocka_unit_test(sink_can_stop_the_pass),
        cmocka_unit_test(bad_token_files_are_refused),
        cmocka_unit_test(documents_are_cut_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
