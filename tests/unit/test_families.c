/* test_families.c -- the families' rules: what is refused and in which words,
** and that defaults and candidates are legal for any key.
*/
#include "tests/unit/host.h"

static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                    "sm_90a", "sm_100a", "sm_120a"};
static const char *const formats[] = {"w4c", "w4g128", "w4g64"};

static int render(struct gen_host *host, const char *spec,
                  struct gen_kernel *kernel, struct tsr_error *err)
{
    const char *words[32];
    char copy[512], *rest = copy;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", spec);
    for (char *word; (word = strtok_r(rest, " ", &rest)) && count < 32;)
        words[count++] = word;
    return gen_render(host, words, count, kernel, err);
}

static void illegal_configurations_say_which_rule(void **state)
{
    static const struct {
        const char *spec, *rule;
    } cases[] = {
        {"gemm_w4a8 format=w4g128 n=64 k=192",
         "k=192: must be a multiple of 128 (format=w4g128)"},
        {"gemm_w4a8 format=w4c n=64 k=48", "k=48: must be a multiple of 32"},
        {"gemm_w4a8 n=60 k=128", "n=60: must be a multiple of 8"},
        {"gemm_w4a8 n=64 k=66560", "k=66560: must be at most 66311"},
        {"gemm_w4a8 n=64 k=128 channel_tile=96",
         "channel_tile=96: must be one of 64 128 256"},
        {"gemm_w4a8 n=512 k=512 arch=sm_89 token_tile=256 k_tile=256 stages=4 "
         "warps=4 channel_tile=64",
         "channel_tile=64, token_tile=256, k_tile=256, stages=4 and warps=4 "
         "need 289.0 KB of shared memory; sm_89 has 99.0 KB a block: fewer "
         "stages or warps, or a smaller tile"},
        {"gemm_w4a8 n=512 k=512 channel_tile=128 token_tile=16 warps=3",
         "warps=3: channel_tile=128 and token_tile=16 take teams of 2 warps, "
         "so warps is a multiple of that"},
        {"gemm_w4a8 n=512 k=512 channel_tile=64 token_tile=8 k_tile=64 "
         "stages=2 warps=16",
         "warps=16: at most 15 warps split K in a block (one named barrier "
         "each)"},
        {"gemm_w4a8 n=512 k=512 channel_tile=256 token_tile=64 k_tile=64 "
         "stages=2 warps=12",
         "token_tile=64: 64 tokens a warp need about 236 registers; 12 warps "
         "leave 168: fewer warps or a smaller token_tile"},
        {"gemm_w4a8 n=512 k=512 channel_tile=64 token_tile=64 k_tile=512 "
         "stages=2 warps=1",
         "k_tile=512 and token_tile=64 unroll to 512 MMA a stage; the limit "
         "is 256, for the sake of compile time"},
        {"gemm_w4a8 n=64 k=128 variant=naive stages=2",
         "stages=2: variant naive has no such axis"},
        {"quant_act k=65536 threads=32",
         "threads=32: a row of 65536 is 256 chunks of 8 a thread; a thread "
         "keeps at most 16 in registers: more threads"},
        {"quant_act k=100", "k=100: must be a multiple of 32"},
    };
    struct gen_host *host = open_host(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gen_kernel kernel;
        struct tsr_error err;
        int code = render(host, cases[i].spec, &kernel, &err);
        if (code == 0)
            fail_msg("%s: was not refused", cases[i].spec);
        assert_int_equal(code, TSR_EUSAGE);
        assert_contains(err.text, cases[i].rule);
    }
    gen_host_free(host);
}

static uint64_t next(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *random >> 33;
}

/* plan.default fails on a default that is illegal; plan.candidates checks
** every candidate. Both must hold for any key. */
static void defaults_and_candidates_exist_for_any_key(void **state)
{
    static const int tokens[] = {1, 2, 9, 16, 31, 64, 200, 512, 4096};
    struct gen_host *host = open_host(NULL);
    uint64_t random = 7;
    (void)state;
    for (int i = 0; i < 60; i++) {
        char argument[256];
        size_t format = next(&random) % 3;
        uint64_t unit = format == 0 ? 32 : format == 1 ? 128 : 64;
        uint64_t most = i % 3 ? 16 : 66311 / unit;
        snprintf(argument, sizeof argument,
                 "{\"key\": \"gemm_w4a8 arch=%s format=%s n=%d k=%d m=%d\"}",
                 archs[next(&random) % 6], formats[format],
                 (int)(8 * (1 + next(&random) % (i % 2 ? 3000 : 40))),
                 (int)(unit * (1 + next(&random) % most)),
                 tokens[next(&random) % 9]);
        json_t *best = call(host, "plan.default", argument);
        json_t *list = call(host, "plan.candidates", argument);
        assert_true(json_array_size(list) >= 1);
        const json_t *launch = json_object_get(best, "launch");
        assert_in_range(json_integer_value(json_object_get(launch, "threads")),
                        32, 512);
        json_decref(list);
        json_decref(best);
    }
    gen_host_free(host);
}

/* Whatever the user gives of the axes stands. */
static void given_axes_are_kept(void **state)
{
    struct gen_host *host = open_host(NULL);
    struct gen_kernel kernel;
    struct tsr_error err;
    (void)state;
    assert_int_equal(render(host,
                            "gemm_w4a8 n=512 k=512 m=16 token_tile=8 "
                            "split_k=7 warps=2 raster=4",
                            &kernel, &err),
                     0);
    assert_contains(kernel.spec, " raster=4 split_k=7 ");
    assert_contains(kernel.spec, " token_tile=8 variant=mma warps=2");
    assert_int_equal(kernel.launch.split_k, 7);
    assert_int_equal(kernel.launch.threads, 64);
    assert_int_equal(kernel.launch.tile_m, 8);
    gen_kernel_release(&kernel);
    gen_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(illegal_configurations_say_which_rule),
        cmocka_unit_test(defaults_and_candidates_exist_for_any_key),
        cmocka_unit_test(given_axes_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
