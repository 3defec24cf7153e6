/* test_spec.c -- SPEC words: canonical forms, and one refusal per rule. */
#include "tests/unit/host.h"

static struct gen_host *host; /* embedded scripts */
static struct gen_host *tiny; /* and the family "tiny" */

static int open_hosts(void **state)
{
    (void)state;
    host = open_host(NULL);
    tiny = open_host(FIXTURE);
    tiny->user_scripts = 0;
    return 0;
}

static int free_hosts(void **state)
{
    (void)state;
    gen_host_free(host);
    gen_host_free(tiny);
    return 0;
}

/* {"words": ["..."]}; one word with spaces is a whole SPEC. */
static const char *argument(const char *spec)
{
    static char text[600];
    snprintf(text, sizeof text, "{\"words\": [\"%s\"]}", spec);
    return text;
}

static void assert_parsed(const char *spec, const char *key, const char *full)
{
    json_t *result = call(tiny, "spec.parse", argument(spec));
    assert_string_equal(text_field(result, "key"), key);
    assert_string_equal(text_field(result, "spec"), full);
    json_decref(result);
}

static void assert_refused(struct gen_host *by, const char *spec,
                           const char *message)
{
    const struct tsr_error *err = refusal(by, "spec.parse", argument(spec));
    assert_string_equal(err->text, message);
    assert_int_equal(err->code, TSR_EUSAGE);
}

static void a_spec_is_made_canonical(void **state)
{
    (void)state;
    assert_parsed("tiny n=64", "tiny arch=sm_90a m=1 n=64 scale=2 type=float",
                  "tiny arch=sm_90a m=1 n=64 scale=2 threads=32 type=float "
                  "variant=plain");
    assert_parsed("tiny  scale=3   n=0064 arch=sm_80 variant=unrolled ",
                  "tiny arch=sm_80 m=1 n=64 scale=3 type=float",
                  "tiny arch=sm_80 m=1 n=64 scale=3 threads=32 type=float "
                  "unroll=2 variant=unrolled");
}

static void canonical_text_parses_to_itself(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "tiny arch=sm_80 m=4 n=128 scale=1 threads=64 type=int unroll=3 "
        "variant=unrolled",
        "tiny arch=sm_120a m=1 n=8 scale=2 threads=32 type=float "
        "variant=plain"};
    json_t *result = call(tiny, "spec.parse", argument(specs[0]));
    assert_string_equal(text_field(result, "spec"), specs[0]);
    json_decref(result);
    assert_contains(refusal(tiny, "spec.parse", argument(specs[1]))->text,
                    "illegal configuration: threads=32: more than n=8");
}

static void words_may_come_apart_or_together(void **state)
{
    (void)state;
    json_t *apart =
        call(tiny, "spec.parse", "{\"words\": [\"tiny\", \"n=64\", \"m=2\"]}");
    json_t *together = call(tiny, "spec.parse", argument("tiny n=64 m=2"));
    assert_true(json_equal(apart, together));
    json_decref(apart);
    json_decref(together);
}

static void fields_and_axes_come_typed(void **state)
{
    (void)state;
    json_t *result = call(tiny, "spec.parse", argument("tiny n=64"));
    json_t *fields = json_object_get(result, "fields");
    json_t *axes = json_object_get(result, "axes");
    assert_string_equal(text_field(result, "family"), "tiny");
    assert_int_equal(json_integer_value(json_object_get(fields, "n")), 64);
    assert_string_equal(text_field(fields, "type"), "float");
    assert_int_equal(json_integer_value(json_object_get(axes, "threads")), 32);
    assert_null(json_object_get(axes, "unroll"));
    json_decref(result);
}

static void a_wrong_family_lists_the_right_ones(void **state)
{
    (void)state;
    assert_refused(tiny, "tinny n=64",
                   "unknown family 'tinny', one of gemm_w4a8 quant_act tiny "
                   "(did you mean 'tiny'?)");
    assert_refused(host, "conv",
                   "unknown family 'conv', one of gemm_w4a8 quant_act");
    assert_refused(host, "",
                   "a SPEC is a family and key=value words; families: "
                   "gemm_w4a8 quant_act");
}

static void a_wrong_word_is_named(void **state)
{
    (void)state;
    assert_refused(tiny, "tiny n", "'n': expected key=value");
    assert_refused(tiny, "tiny n=", "'n=': expected key=value");
    assert_refused(tiny, "tiny =4", "'=4': expected key=value");
    assert_refused(tiny, "tiny n=64 n=64", "n is given twice");
    assert_refused(tiny, "tiny n=64 thread=64",
                   "thread=64: tiny has no key 'thread' (did you mean "
                   "'threads'?); it takes arch m n scale threads type unroll "
                   "variant");
    assert_refused(tiny, "tiny n=64 zzzzzz=1",
                   "zzzzzz=1: tiny has no key 'zzzzzz'; it takes arch m n "
                   "scale threads type unroll variant");
}

static void a_value_outside_its_declaration_names_the_rule(void **state)
{
    (void)state;
    assert_refused(tiny, "tiny",
                   "tiny: n= is missing (elements, a multiple "
                   "of 8)");
    assert_refused(tiny, "tiny n=7", "n=7: must be a multiple of 8");
    assert_refused(tiny, "tiny n=0", "n=0: must be at least 8");
    assert_refused(tiny, "tiny n=-8", "n=-8: must be at least 8");
    assert_refused(tiny, "tiny n=4104", "n=4104: must be at most 4096");
    assert_refused(tiny, "tiny n=x", "n=x: must be an integer");
    assert_refused(tiny, "tiny n=6.4e1", "n=6.4e1: must be an integer");
    assert_refused(tiny, "tiny n=0x40", "n=0x40: must be an integer");
    assert_refused(tiny, "tiny n=99999999999999999999",
                   "n=99999999999999999999: must be an integer");
    assert_refused(tiny, "tiny n=64 scale=5", "scale=5: must be one of 1 2 3");
    assert_refused(tiny, "tiny n=64 type=flaot",
                   "type=flaot: must be one of float int (did you mean "
                   "'float'?)");
}

static void an_unknown_architecture_lists_the_known_ones(void **state)
{
    (void)state;
    assert_refused(tiny, "tiny n=64 arch=sm_70",
                   "arch=sm_70: must be one of sm_80 sm_86 sm_89 sm_90a "
                   "sm_100a sm_103a sm_110a sm_120a sm_121a (did you mean "
                   "'sm_80'?)");
    assert_contains(refusal(host, "devices.get", "{\"arch\": \"sm_70\"}")->text,
                    "arch=sm_70: no GPU of this architecture is known; known "
                    "are sm_80 sm_86");
    assert_contains(refusal(host, "devices.get", "{\"name\": \"TNT2\"}")->text,
                    "no GPU 'TNT2' is known; known are 'NVIDIA A100");
}

static void rules_across_keys_are_the_family_s(void **state)
{
    (void)state;
    assert_refused(tiny, "tiny n=64 type=int scale=3",
                   "scale=3: not with type=int");
    assert_refused(host, "gemm_w4a8 format=w4g128 n=4096 k=4160",
                   "k=4160: must be a multiple of 128 (format=w4g128)");
    assert_refused(host, "gemm_w4a8 format=w4c n=4096 k=66336",
                   "k=66336: must be at most 66311");
    assert_refused(host, "gemm_w4a8 format=w4c n=4097 k=4096",
                   "n=4097: must be a multiple of 8");
    assert_refused(host, "gemm_w4a8 format=w8a8 n=4096 k=4096",
                   "format=w8a8: must be one of w4c w4g128 w4g64");
    assert_refused(host, "gemm_w4a8 format=w4c n=4096 k=4096 m=0",
                   "m=0: must be at least 1");
}

static void an_illegal_configuration_says_which_rule(void **state)
{
    (void)state;
    assert_contains(
        refusal(tiny, "spec.parse", argument("tiny n=64 threads=128"))->text,
        "illegal configuration: threads=128: more than n=64");
    assert_refused(tiny, "tiny n=64 unroll=3",
                   "unroll=3: variant plain has no such axis");
    const char *text =
        refusal(host, "spec.parse",
                argument("gemm_w4a8 format=w4g128 n=4096 k=4096 arch=sm_86 "
                         "channel_tile=256 token_tile=64 k_tile=256 stages=4 "
                         "warps=4"))
            ->text;
    assert_contains(text, "illegal configuration");
    assert_contains(text, "shared memory");
    assert_contains(text, "sm_86");
}

static void arguments_of_the_wrong_shape_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"spec.parse", "{}", "words must be a list"},
        {"spec.parse", "{\"words\": [1]}", "word 1 of the SPEC is not text"},
        {"plan.default", "{}", "key must be text"},
        {"plan.candidates", "{\"key\": 5}", "key must be text"},
        {"plan.cost", "{}", "blocks must be a positive integer"},
        {"plan.cost", "{\"blocks\": 0}", "blocks must be a positive integer"},
        {"plan.cost", "{\"blocks\": 1, \"spec\": \"tiny n=64\"}",
         "counts must be an object"},
        {"spec.left_out", "{}", "config must be an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(refusal(tiny, cases[i][0], cases[i][1])->text,
                            cases[i][2]);
    assert_contains(refusal(tiny, "no.such", "{}")->text,
                    "has no function 'no.such'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_is_made_canonical),
        cmocka_unit_test(canonical_text_parses_to_itself),
        cmocka_unit_test(words_may_come_apart_or_together),
        cmocka_unit_test(fields_and_axes_come_typed),
        cmocka_unit_test(a_wrong_family_lists_the_right_ones),
        cmocka_unit_test(a_wrong_word_is_named),
        cmocka_unit_test(a_value_outside_its_declaration_names_the_rule),
        cmocka_unit_test(an_unknown_architecture_lists_the_known_ones),
        cmocka_unit_test(rules_across_keys_are_the_family_s),
        cmocka_unit_test(an_illegal_configuration_says_which_rule),
        cmocka_unit_test(arguments_of_the_wrong_shape_are_refused),
    };
    return cmocka_run_group_tests(tests, open_hosts, free_hosts);
}
