/* test_generator_model.c -- config.json to kernel keys: the models we know,
** and one refusal per absent, negative or absurd value. */
#include "tests/unit/host.h"

static struct gen_host *host;

static int open_once(void **state)
{
    (void)state;
    host = open_host(NULL);
    return 0;
}

static int free_once(void **state)
{
    (void)state;
    gen_host_free(host);
    return 0;
}

/* spec.model for a config.json, w4g128, sm_80. */
static char *model_argument(const char *config, const char *weights)
{
    static char text[2000];
    snprintf(text, sizeof text,
             "{\"config\": %s, \"weights\": \"%s\", \"arch\": \"sm_80\"}",
             config, weights);
    return text;
}

static void assert_keys(const char *config, const char *const *keys)
{
    json_t *list = call(host, "spec.model", model_argument(config, "w4g128"));
    size_t count = 0;
    while (keys[count]) {
        const json_t *entry = json_array_get(list, count);
        assert_non_null(entry);
        char line[200];
        snprintf(line, sizeof line, "%s: %s", text_field(entry, "name"),
                 text_field(entry, "key"));
        assert_string_equal(line, keys[count]);
        count++;
    }
    assert_int_equal(json_array_size(list), count);
    json_decref(list);
}

static void the_demo_model_has_five_kernels(void **state)
{
    (void)state;
    char *config;
    struct tsr_error err;
    assert_int_equal(
        tsr__file_read("tests/data/models/tessera-tiny/config.json", 1 << 20,
                       &config, NULL, &err),
        0);
    static const char *const keys[] = {
        "qkv: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=256 n=1024 out=f16",
        "o: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=512 n=256 out=f16",
        "gate_up: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=256 n=2048 "
        "out=f16",
        "down: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=1024 n=256 out=f16",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=256",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=512",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=1024",
        NULL};
    assert_keys(config, keys);
    tsr__free(config);
}

static void llama_3_shares_kv_heads(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "qkv: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=4096 n=6144 out=f16",
        "o: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=4096 n=4096 out=f16",
        "gate_up: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=4096 n=28672 "
        "out=f16",
        "down: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=14336 n=4096 "
        "out=f16",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=4096",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=14336",
        NULL};
    assert_keys("{\"architectures\": [\"LlamaForCausalLM\"], "
                "\"hidden_size\": 4096, \"intermediate_size\": 14336, "
                "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
                "\"num_hidden_layers\": 32, \"vocab_size\": 128256, "
                "\"head_dim\": null}",
                keys);
}

static void qwen_2_has_a_bias_on_qkv_only(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "qkv: gemm_w4a8 arch=sm_80 bias=1 format=w4g128 k=3584 n=4608 out=f16",
        "o: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=3584 n=3584 out=f16",
        "gate_up: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=3584 n=37888 "
        "out=f16",
        "down: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=18944 n=3584 "
        "out=f16",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=3584",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=18944",
        NULL};
    assert_keys("{\"model_type\": \"qwen2\", "
                "\"hidden_size\": 3584, \"intermediate_size\": 18944, "
                "\"num_attention_heads\": 28, \"num_key_value_heads\": 4, "
                "\"num_hidden_layers\": 28, \"vocab_size\": 152064}",
                keys);
}

static void qwen_3_takes_head_dim_as_it_stands(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "qkv: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=1024 n=4096 out=f16",
        "o: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=2048 n=1024 out=f16",
        "gate_up: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=1024 n=6144 "
        "out=f16",
        "down: gemm_w4a8 arch=sm_80 bias=0 format=w4g128 k=3072 n=1024 "
        "out=f16",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=1024",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=2048",
        "quant_act: quant_act arch=sm_80 dtype=f16 k=3072",
        NULL};
    assert_keys("{\"architectures\": [\"Qwen3ForCausalLM\"], "
                "\"attention_bias\": false, \"head_dim\": 128, "
                "\"hidden_size\": 1024, \"intermediate_size\": 3072, "
                "\"num_attention_heads\": 16, \"num_key_value_heads\": 8, "
                "\"num_hidden_layers\": 28, \"vocab_size\": 151936}",
                keys);
}

#define MISTRAL                                                            \
    "{\"architectures\": [\"MistralForCausalLM\"], \"hidden_size\": 512, " \
    "\"intermediate_size\": 1024, \"num_attention_heads\": 4, "            \
    "\"num_hidden_layers\": 2, \"vocab_size\": 1000, "

static void absent_kv_heads_mean_as_many_as_heads(void **state)
{
    (void)state;
    json_t *list =
        call(host, "spec.model", model_argument(MISTRAL "\"x\": 1}", "w4c"));
    const json_t *qkv = json_array_get(list, 0);
    assert_int_equal(json_integer_value(json_object_get(qkv, "n")), 1536);
    assert_int_equal(json_integer_value(json_object_get(qkv, "layers")), 2);
    json_decref(list);
}

static void biases_of_llama_are_where_config_says(void **state)
{
    (void)state;
    json_t *list = call(
        host, "spec.model",
        model_argument("{\"architectures\": [\"LlamaForCausalLM\"], "
                       "\"hidden_size\": 512, \"intermediate_size\": 1024, "
                       "\"num_attention_heads\": 4, \"num_hidden_layers\": 2, "
                       "\"vocab_size\": 1000, \"attention_bias\": true, "
                       "\"mlp_bias\": true}",
                       "w4c"));
    for (int i = 0; i < 4; i++)
        assert_contains(text_field(json_array_get(list, i), "key"), "bias=1");
    json_decref(list);
}

static void the_output_head_is_left_out_and_said_so(void **state)
{
    (void)state;
    json_t *list =
        call(host, "spec.left_out", "{\"config\": " MISTRAL "\"x\": 1}}");
    const json_t *head = json_array_get(list, 0);
    assert_string_equal(text_field(head, "name"), "lm_head");
    assert_string_equal(text_field(head, "reason"),
                        "the output head stays fp16");
    assert_int_equal(json_integer_value(json_object_get(head, "n")), 1000);
    json_decref(list);
}

/* A good config with one field replaced (value NULL: removed). */
static void assert_field_refused(const char *field, const char *value,
                                 const char *message)
{
    json_t *config = json_loads(
        "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 512, "
        "\"intermediate_size\": 1024, \"num_attention_heads\": 4, "
        "\"num_key_value_heads\": 2, \"head_dim\": 128, "
        "\"num_hidden_layers\": 2, \"vocab_size\": 1000}",
        0, NULL);
    if (value)
        json_object_set_new(config, field,
                            json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, field);
    char *text = json_dumps(config, 0);
    const struct tsr_error *err =
        refusal(host, "spec.model", model_argument(text, "w4g128"));
    assert_contains(err->text, message);
    assert_int_equal(err->code, TSR_EUSAGE);
    free(text);
    json_decref(config);
}

static void bad_values_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const required[] = {"hidden_size", "intermediate_size",
                                           "num_attention_heads",
                                           "num_hidden_layers", "vocab_size"};
    char message[100];
    for (int i = 0; i < 5; i++) {
        snprintf(message, sizeof message, "config.json: %s is missing",
                 required[i]);
        assert_field_refused(required[i], NULL, message);
        snprintf(message, sizeof message, "config.json: %s is -1, must be 1",
                 required[i]);
        assert_field_refused(required[i], "-1", message);
        snprintf(message, sizeof message, "config.json: %s is 0, must be 1",
                 required[i]);
        assert_field_refused(required[i], "0", message);
        snprintf(message, sizeof message,
                 "config.json: %s is 9000000000000000000", required[i]);
        assert_field_refused(required[i], "9000000000000000000", message);
        snprintf(message, sizeof message, "config.json: %s must be an integer",
                 required[i]);
        assert_field_refused(required[i], "1.5", message);
        assert_field_refused(required[i], "\"512\"", message);
        assert_field_refused(required[i], "[]", message);
    }
    assert_field_refused("num_key_value_heads", "3",
                         "is not a multiple of num_key_value_heads 3");
    assert_field_refused("head_dim", "0", "head_dim is 0, must be 1");
    assert_field_refused("hidden_size", "520",
                         "config.json: linear 'qkv': k=520: must be a "
                         "multiple of 32");
    assert_field_refused("hidden_size", "544",
                         "config.json: linear 'qkv': k=544: must be a "
                         "multiple of 128 (format=w4g128)");
    assert_field_refused("intermediate_size", "70016",
                         "config.json: linear 'down': k=70016: must be at "
                         "most 66311");
    assert_field_refused("intermediate_size", "1001",
                         "config.json: linear 'gate_up' has 2002 outputs; "
                         "gemm_w4a8 takes multiples of 8");
    assert_field_refused("attention_bias", "1",
                         "attention_bias must be true or false");
}

static void unknown_architectures_are_refused(void **state)
{
    (void)state;
    assert_field_refused("architectures", "[\"LLamaForCausalLM\"]",
                         "architecture 'LLamaForCausalLM' is not one of "
                         "LlamaForCausalLM MistralForCausalLM "
                         "Qwen2ForCausalLM Qwen3ForCausalLM (did you mean "
                         "'LlamaForCausalLM'?)");
    assert_field_refused("architectures", "[]", "neither architectures nor");
    assert_field_refused("architectures", NULL, "neither architectures nor");
    assert_field_refused("architectures", "[5]", "neither architectures nor");
    assert_contains(refusal(host, "spec.model", "{\"weights\": \"w4c\"}")->text,
                    "config.json: not an object");
}

static void head_dim_must_follow_from_something(void **state)
{
    (void)state;
    const char *config = "{\"architectures\": [\"LlamaForCausalLM\"], "
                         "\"hidden_size\": 510, \"intermediate_size\": 1024, "
                         "\"num_attention_heads\": 4, "
                         "\"num_hidden_layers\": 2, \"vocab_size\": 1000}";
    assert_contains(
        refusal(host, "spec.model", model_argument(config, "w4c"))->text,
        "head_dim is missing, and hidden_size 510 is not a multiple of "
        "num_attention_heads 4");
}

static void weights_must_be_a_known_format(void **state)
{
    (void)state;
    const char *config = MISTRAL "\"x\": 1}";
    assert_contains(
        refusal(host, "spec.model", model_argument(config, "w8a8"))->text,
        "format=w8a8: must be one of w4c w4g128 w4g64");
    assert_contains(
        refusal(host, "spec.model", model_argument(config, "a b"))->text,
        "weights must be a word");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_model_has_five_kernels),
        cmocka_unit_test(llama_3_shares_kv_heads),
        cmocka_unit_test(qwen_2_has_a_bias_on_qkv_only),
        cmocka_unit_test(qwen_3_takes_head_dim_as_it_stands),
        cmocka_unit_test(absent_kv_heads_mean_as_many_as_heads),
        cmocka_unit_test(biases_of_llama_are_where_config_says),
        cmocka_unit_test(the_output_head_is_left_out_and_said_so),
        cmocka_unit_test(bad_values_are_refused_by_name),
        cmocka_unit_test(unknown_architectures_are_refused),
        cmocka_unit_test(head_dim_must_follow_from_something),
        cmocka_unit_test(weights_must_be_a_known_format),
    };
    return cmocka_run_group_tests(tests, open_once, free_once);
}
