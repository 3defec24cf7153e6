/* test_config.c -- config.json of the supported families, and every refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/model/config.h"
#include "tests/unit/scratch.h"

static int parse(const char *text, struct tsr_model_config *out,
                 struct tsr_error *err)
{
    return tsr__config_parse(out, text, strlen(text), "config.json", err);
}

static void demo_model_is_read(void **state)
{
    (void)state;
    struct tsr_model_config config;
    struct tsr_error err = {0};
    assert_int_equal(
        tsr__config_read(&config, "tests/data/models/tessera-tiny", &err), 0);
    assert_int_equal(config.architecture, TSR_LLAMA);
    assert_int_equal(config.hidden, 256);
    assert_int_equal(config.layers, 4);
    assert_int_equal(config.heads, 4);
    assert_int_equal(config.kv_heads, 2);
    assert_int_equal(config.head_dim, 128); /* not hidden / heads */
    assert_int_equal(config.intermediate, 1024);
    assert_int_equal(config.vocab, 4096);
    assert_true(config.norm_eps == 1e-5);
    assert_true(config.rope.theta == 10000);
    assert_int_equal(config.rope.type, TSR_ROPE_DEFAULT);
    assert_int_equal(config.bos, 4088);
    assert_int_equal(config.eos[0], 4089);
    assert_int_equal(config.eos_count, 1);
    assert_false(config.tied_embeddings || config.qkv_bias || config.qk_norm ||
                 config.quantized);
}

static void llama_3_1_scaling_is_read_by_both_names(void **state)
{
    (void)state;
#define LLAMA                                                         \
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":4096," \
    "\"num_hidden_layers\":32,\"num_attention_heads\":32,"            \
    "\"num_key_value_heads\":8,\"intermediate_size\":14336,"          \
    "\"vocab_size\":128256,\"max_position_embeddings\":131072,"       \
    "\"rms_norm_eps\":1e-05,\"eos_token_id\":[128001,128008,128009],"
#define LLAMA3_ROPE                                                    \
    "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0," \
    "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\""
    static const char *const texts[] = {
        LLAMA "\"rope_theta\":500000.0,\"rope_scaling\":{" LLAMA3_ROPE "}}",
        LLAMA "\"rope_parameters\":{\"rope_theta\":500000," LLAMA3_ROPE "}}",
    };
    for (int i = 0; i < 2; i++) {
        struct tsr_model_config config;
        struct tsr_error err = {0};
        assert_int_equal(parse(texts[i], &config, &err), 0);
        assert_int_equal(config.head_dim, 128);
        assert_int_equal(config.rope.type, TSR_ROPE_LLAMA3);
        assert_true(config.rope.theta == 500000);
        assert_true(config.rope.factor == 8);
        assert_true(config.rope.original_positions == 8192);
        assert_int_equal(config.eos_count, 3);
        assert_int_equal(config.eos[2], 128009);
        assert_int_equal(config.bos, -1);
    }
}

#define QWEN_SHAPE                                              \
    "\"hidden_size\":1024,\"num_hidden_layers\":28,"            \
    "\"num_attention_heads\":16,\"num_key_value_heads\":8,"     \
    "\"intermediate_size\":3072,\"vocab_size\":151936,"         \
    "\"max_position_embeddings\":40960,\"rms_norm_eps\":1e-06," \
    "\"rope_theta\":1000000,\"sliding_window\":4096,"

static void qwen_differences_are_known(void **state)
{
    (void)state;
    struct tsr_model_config config;
    assert_int_equal(parse("{\"architectures\":[\"Qwen3ForCausalLM\"]," //
                           QWEN_SHAPE "\"tie_word_embeddings\":true}",
                           &config, NULL),
                     0);
    assert_int_equal(config.head_dim, 128); /* its default, not 1024 / 16 */
    assert_true(config.qk_norm && config.tied_embeddings);
    assert_false(config.qkv_bias);
    assert_int_equal(config.sliding_window, 0); /* use_sliding_window absent */

    assert_int_equal(parse("{\"architectures\":[\"Qwen2ForCausalLM\"]," //
                           QWEN_SHAPE "\"use_sliding_window\":true}",
                           &config, NULL),
                     0);
    assert_int_equal(config.head_dim, 64);
    assert_true(config.qkv_bias && !config.o_bias && !config.qk_norm);
    assert_int_equal(config.sliding_window, 4096);

    assert_int_equal(parse("{\"architectures\":[\"MistralForCausalLM\"]," //
                           QWEN_SHAPE "\"attention_bias\":true}",
                           &config, NULL),
                     0);
    assert_int_equal(config.sliding_window, 4096);
    assert_false(config.qkv_bias);
}

static void linears_are_fused(void **state)
{
    (void)state;
    struct tsr_model_config config;
    assert_int_equal(
        tsr__config_read(&config, "tests/data/models/tessera-tiny", NULL), 0);
    static const size_t wanted[TSR_LINEAR_KINDS][2] = {
        {1024, 256}, {256, 512}, {2048, 256}, {256, 1024}};
    for (int i = 0; i < TSR_LINEAR_KINDS; i++) {
        struct tsr_linear_shape shape =
            tsr__config_linear(&config, (enum tsr_linear_kind)i);
        assert_int_equal(shape.n, wanted[i][0]);
        assert_int_equal(shape.k, wanted[i][1]);
    }
    assert_string_equal(tsr__linear_name(TSR_GATE_UP), "mlp.gate_up_proj");
    assert_string_equal(tsr__linear_word(TSR_DOWN), "down");
}

/* The demo's configuration with `key` set to the JSON `value`, or removed. */
static char *changed(const char *key, const char *value)
{
    json_t *config =
        json_load_file("tests/data/models/tessera-tiny/config.json", 0, NULL);
    assert_non_null(config);
    if (value)
        json_object_set_new(config, key,
                            json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, key);
    char *text = json_dumps(config, 0);
    json_decref(config);
    return text;
}

static void every_bad_value_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *says;
    } bad[] = {
        {"architectures", NULL, "no architectures"},
        {"architectures", "[]", "architecture"},
        {"architectures", "[\"GPT2LMHeadModel\"]", "'GPT2LMHeadModel'"},
        {"architectures", "\"LlamaForCausalLM\"", "'LlamaForCausalLM'"},
        {"hidden_size", NULL, "no hidden_size"},
        {"hidden_size", "null", "no hidden_size"},
        {"hidden_size", "-256", "hidden_size is -256"},
        {"hidden_size", "0", "hidden_size is 0"},
        {"hidden_size", "256.0", "hidden_size is 256;"},
        {"hidden_size", "256.5", "hidden_size is 256.5"},
        {"hidden_size", "\"256\"", "hidden_size is '256'"},
        {"hidden_size", "true", "hidden_size is true"},
        {"hidden_size", "[256]", "hidden_size is a list"},
        {"hidden_size", "9223372036854775807", "hidden_size is 92233720"},
        {"num_hidden_layers", NULL, "no num_hidden_layers"},
        {"num_hidden_layers", "1000000", "num_hidden_layers is 1000000"},
        {"num_attention_heads", NULL, "no num_attention_heads"},
        {"num_attention_heads", "0", "num_attention_heads is 0"},
        {"num_key_value_heads", "3", "num_key_value_heads (3)"},
        {"num_key_value_heads", "-1", "num_key_value_heads is -1"},
        {"head_dim", "127", "head_dim is 127"},
        {"head_dim", "-2", "head_dim is -2"},
        {"head_dim", "100000", "head_dim is 100000"},
        {"intermediate_size", NULL, "no intermediate_size"},
        {"intermediate_size", "70000", "intermediate_size is 70000"},
        {"vocab_size", NULL, "no vocab_size"},
        {"vocab_size", "-1", "vocab_size is -1"},
        {"max_position_embeddings", NULL, "no max_position_embeddings"},
        {"rms_norm_eps", NULL, "no rms_norm_eps"},
        {"rms_norm_eps", "-1e-5", "rms_norm_eps is -1e-05"},
        {"rms_norm_eps", "\"x\"", "rms_norm_eps is 'x'"},
        {"rope_theta", "0", "rope_theta is 0"},
        {"rope_theta", "-10000.0", "rope_theta is -10000"},
        {"rope_scaling", "7", "rope_scaling is neither"},
        {"rope_scaling", "{\"type\":\"yarn\",\"factor\":4}", "'yarn'"},
        {"rope_scaling", "{\"type\":\"linear\"}", "no factor"},
        {"rope_scaling", "{\"type\":\"linear\",\"factor\":0}", "factor is 0"},
        {"rope_scaling",
         "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
         "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}",
         "high_freq_factor must be more"},
        {"hidden_act", "\"gelu\"", "'gelu'"},
        {"partial_rotary_factor", "0.5", "partial_rotary_factor"},
        {"tie_word_embeddings", "1", "tie_word_embeddings is 1"},
        {"bos_token_id", "4096", "bos_token_id is 4096"},
        {"eos_token_id", "[1,-1]", "eos_token_id is -1"},
        {"eos_token_id", "[1,2,3,4,5,6,7,8,9]", "eos_token_id has 9"},
        {"quantization_config", "{\"quant_method\":\"gptq\",\"bits\":4}",
         "already quantised with 'gptq'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tsr_model_config config = {.hidden = 77};
        struct tsr_error err = {0};
        char *text = changed(bad[i].key, bad[i].value);
        int rc = parse(text, &config, &err);
        if ((rc != TSR_EFORMAT && rc != TSR_EUNSUPPORTED) ||
            !strstr(err.text, bad[i].says) || strchr(err.text, '\n') ||
            !strstr(err.text, "config.json"))
            fail_msg("%s = %s: %d '%s', wanted '%s'", bad[i].key,
                     bad[i].value ? bad[i].value : "absent", rc, err.text,
                     bad[i].says);
        assert_int_equal(config.hidden, 77); /* written only on success */
        free(text);
    }
}

static void text_that_is_no_configuration_is_refused(void **state)
{
    (void)state;
    struct tsr_model_config config;
    struct tsr_error err = {0};
    static const char *const texts[] = {
        "", "[]", "null", "{", "{}", "{\"a\":1,\"a\":2}", "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_true(parse(texts[i], &config, &err) < 0);
    assert_int_equal(tsr__config_read(&config, "no/such", &err), TSR_EIO);
}

static void our_quantization_is_read_and_checked(void **state)
{
    (void)state;
#define OURS(layout, version, weights, group, kv)                              \
    "{\"quant_method\":\"rtn\",\"layout\":\"" layout "\",\"version\":" version \
    ",\"weights\":\"" weights "\",\"group_size\":" group ",\"kv\":\"" kv "\"}"
    static const struct {
        const char *value, *says;
    } cases[] = {
        {OURS("m16n8k32", "1", "w4g64", "64", "kv8"), NULL},
        {OURS("other", "1", "w4g64", "64", "kv4"), "layout is 'other'"},
        {OURS("m16n8k32", "2", "w4g64", "64", "kv4"), "version is 2"},
        {OURS("m16n8k32", "1", "w5", "64", "kv4"), "weights is 'w5'"},
        {OURS("m16n8k32", "1", "w4g64", "128", "kv4"), "group_size"},
        {OURS("m16n8k32", "1", "w4g64", "64", "kv3"), "kv is 'kv3'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsr_model_config config;
        struct tsr_error err = {0};
        char *text = changed("quantization_config", cases[i].value);
        int rc = parse(text, &config, &err);
        free(text);
        if (cases[i].says) {
            assert_true(rc < 0);
            assert_non_null(strstr(err.text, cases[i].says));
            continue;
        }
        assert_int_equal(rc, 0);
        assert_true(config.quantized);
        assert_string_equal(config.quantization.method, "rtn");
        assert_int_equal(config.quantization.format, TSR_W4G64);
        assert_string_equal(config.quantization.kv, "kv8");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demo_model_is_read),
        cmocka_unit_test(llama_3_1_scaling_is_read_by_both_names),
        cmocka_unit_test(qwen_differences_are_known),
        cmocka_unit_test(linears_are_fused),
        cmocka_unit_test(every_bad_value_is_refused_by_name),
        cmocka_unit_test(text_that_is_no_configuration_is_refused),
        cmocka_unit_test(our_quantization_is_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
