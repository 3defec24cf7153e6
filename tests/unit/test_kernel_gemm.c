/* test_kernel_gemm.c -- every variant of gemm_w4a8 against the reference, bit
** for bit, on the emulator with every check on.
*/
#include "tests/unit/kernel.h"

static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                    "sm_90a", "sm_100a", "sm_120a"};
static const char *const formats[] = {"w4c", "w4g128", "w4g64"};

static void check(const char *spec, size_t m)
{
    struct kernel kernel;
    kernel_open(&kernel, spec);
    struct outcome outcome = gemm_check(&kernel, m, m * 7 + 1, 2);
    assert_clean(&kernel, m, &outcome);
    assert_int_equal(kernel.binary.spill_bytes, 0);
    assert_int_equal(kernel.binary.c75xx, 0);
    kernel_close(&kernel);
}

static void defaults_are_exact_on_all_architectures(void **state)
{
    (void)state;
    need_nvrtc();
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++)
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
            char spec[256];
            snprintf(spec, sizeof spec,
                     "gemm_w4a8 arch=%s format=%s n=200 k=384 m=17 bias=%zu "
                     "out=%s",
                     archs[a], formats[f], (a + f) % 2, a % 2 ? "bf16" : "f16");
            check(spec, 17);
        }
}

static void naive_is_exact_on_all_architectures(void **state)
{
    (void)state;
    need_nvrtc();
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++)
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
            char spec[256];
            snprintf(spec, sizeof spec,
                     "gemm_w4a8 variant=naive arch=%s format=%s n=72 k=128 "
                     "m=3 bias=%zu out=%s",
                     archs[a], formats[f], (a + f) % 2, a % 2 ? "f16" : "bf16");
            check(spec, 3);
        }
}

/* Ragged and extreme shapes, and every axis at its ends. */
static const struct corner {
    size_t m;
    const char *spec;
} corners[] = {
    /* the smallest problems */
    {1, "arch=sm_80 format=w4c n=8 k=32 channel_tile=64 token_tile=8 "
        "k_tile=64 stages=2 warps=1 split_k=1 raster=0"},
    {1, "arch=sm_86 format=w4g128 n=8 k=128 channel_tile=64 token_tile=8 "
        "k_tile=64 stages=2 warps=1 split_k=1 raster=0"},
    {1, "arch=sm_89 format=w4g64 n=8 k=64 channel_tile=64 token_tile=8 "
        "k_tile=64 stages=6 warps=1 split_k=1 raster=0"},
    /* K not a multiple of 64, and shorter than a stage */
    {3, "arch=sm_90a format=w4c n=72 k=96 channel_tile=64 token_tile=8 "
        "k_tile=512 stages=2 warps=1 split_k=1 raster=0"},
    {17, "arch=sm_100a format=w4c n=200 k=352 channel_tile=128 token_tile=16 "
         "k_tile=128 stages=3 warps=4 split_k=2 raster=0 bias=1"},
    /* stages and teams longer than K */
    {8, "arch=sm_100a format=w4g128 n=136 k=128 channel_tile=64 token_tile=8 "
        "k_tile=256 stages=5 warps=4 split_k=1 raster=0 out=bf16"},
    {3, "arch=sm_80 format=w4g128 n=72 k=256 channel_tile=64 token_tile=8 "
        "k_tile=128 stages=4 warps=2 split_k=5 raster=0 bias=1"},
    /* k_tile below the group, parts that start in the middle of one */
    {8, "arch=sm_90a format=w4g128 n=64 k=640 channel_tile=64 token_tile=8 "
        "k_tile=64 stages=3 warps=3 split_k=3 raster=0"},
    /* an odd multiple of the group, K ragged in a stage */
    {17, "arch=sm_86 format=w4g64 n=264 k=448 channel_tile=256 token_tile=32 "
         "k_tile=256 stages=2 warps=4 split_k=1 raster=0 bias=1"},
    {64, "arch=sm_100a format=w4g64 n=200 k=320 channel_tile=128 "
         "token_tile=64 k_tile=128 stages=3 warps=4 split_k=2 raster=1"},
    /* more warps than x has copies; more threads than a row of scales */
    {8, "arch=sm_90a format=w4g128 n=256 k=256 channel_tile=256 token_tile=8 "
        "k_tile=64 stages=4 warps=16 split_k=1 raster=0"},
    {300, "arch=sm_80 format=w4g128 n=72 k=256 channel_tile=64 "
          "token_tile=256 k_tile=64 stages=2 warps=4 split_k=1 raster=0"},
    {130, "arch=sm_100a format=w4g64 n=136 k=192 channel_tile=64 "
          "token_tile=128 k_tile=128 stages=2 warps=4 split_k=1 raster=2"},
    {100, "arch=sm_90a format=w4c n=328 k=160 channel_tile=256 "
          "token_tile=128 k_tile=64 stages=2 warps=8 split_k=1 raster=4 "
          "out=bf16"},
    /* raster strips, the last one narrower */
    {100, "arch=sm_89 format=w4c n=456 k=64 channel_tile=64 token_tile=16 "
          "k_tile=64 stages=2 warps=1 split_k=1 raster=2"},
    {40, "arch=sm_86 format=w4g128 n=520 k=128 channel_tile=128 "
         "token_tile=16 k_tile=128 stages=2 warps=2 split_k=2 raster=4"},
    {20, "arch=sm_120a format=w4c n=136 k=128 channel_tile=64 token_tile=8 "
         "k_tile=128 stages=2 warps=2 split_k=3 raster=16"},
    /* many teams, groups in a stage, and four scale rows a stage */
    {16, "arch=sm_80 format=w4g64 n=128 k=1024 channel_tile=64 token_tile=16 "
         "k_tile=512 stages=2 warps=2 split_k=1 raster=0"},
    {5, "arch=sm_100a format=w4g64 n=64 k=1920 channel_tile=64 token_tile=8 "
        "k_tile=128 stages=2 warps=15 split_k=1 raster=0"},
    {64, "arch=sm_80 format=w4g128 n=64 k=512 channel_tile=64 token_tile=64 "
         "k_tile=256 stages=2 warps=2 split_k=2 raster=0 bias=1"},
};

static void corners_are_exact(void **state)
{
    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof corners / sizeof *corners; i++) {
        char spec[512];
        snprintf(spec, sizeof spec, "gemm_w4a8 %s", corners[i].spec);
        check(spec, corners[i].m);
    }
}

/* A compiled kernel takes any m. */
static void one_kernel_is_exact_for_every_m(void **state)
{
    static const size_t counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100};
    struct kernel kernel;
    (void)state;
    need_nvrtc();
    kernel_open(&kernel, "gemm_w4a8 arch=sm_80 format=w4g128 n=136 k=384 "
                         "channel_tile=64 token_tile=16 k_tile=128 stages=3 "
                         "warps=2 split_k=2 raster=1");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct outcome outcome = gemm_check(&kernel, counts[i], i, 1);
        assert_clean(&kernel, counts[i], &outcome);
    }
    kernel_close(&kernel);
}

/* Every byte at the end of its range: the accumulators reach the bounds that
** K <= 66311 was made for. */
static void accumulators_hold_the_extremes(void **state)
{
    struct kernel kernel;
    struct gemm_problem p;
    (void)state;
    need_nvrtc();
    kernel_open(&kernel, "gemm_w4a8 arch=sm_80 format=w4g64 n=8 k=66304 "
                         "channel_tile=64 token_tile=8 k_tile=256 stages=2 "
                         "warps=4 split_k=2 raster=0");
    gemm_problem_init(&p, &kernel, 2, 5);
    size_t n = p.linear.n, k = p.linear.k;
    memset(p.linear.codes, 15, n * k);
    gen_pack_codes(p.linear.codes, n, k, p.linear.qweight);
    memset(p.linear.s2, 16, k / 64 * n);
    memset(p.linear.offset, 15, k / 64 * n);
    memset(p.x, 127, k);
    memset(p.x + k, -127, k);
    p.x_sum[0] = 127 * (int32_t)k;
    p.x_sum[1] = -127 * (int32_t)k;
    p.x_scale[0] = p.x_scale[1] = 1e-9f;
    struct outcome outcome = gemm_run(&kernel, &p, 2, 1);
    assert_clean(&kernel, p.m, &outcome);
    gemm_problem_release(&p);
    kernel_close(&kernel);
}

/* ---- the budget ---------------------------------------------------------- */

/* The default configuration of 4096 x 4096 with 16 tokens, on fewer channels:
** a block does the same work. */
static void few_tokens_take_one_instruction_a_weight(void **state)
{
    static const char *const on[] = {"sm_80", "sm_90a"};
    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        struct kernel whole, part;
        char spec[512];
        snprintf(spec, sizeof spec, "gemm_w4a8 arch=%s n=4096 k=4096", on[i]);
        kernel_render(&whole, spec);
        const char *n = strstr(whole.text.spec, " n=4096");
        snprintf(spec, sizeof spec, "%.*s n=512%s", (int)(n - whole.text.spec),
                 whole.text.spec, n + strlen(" n=4096"));
        kernel_open(&part, spec);
        struct outcome outcome = gemm_check(&part, 16, 3, 1);
        assert_clean(&part, 16, &outcome);
        uint64_t lanes = emu_counts_lane_outside_mma(&outcome.counts);
        assert_in_range(lanes, 1, UINT64_C(512) * 4096);
        kernel_close(&part);
        kernel_close(&whole);
    }
}

/* w4c: the 64 bytes of scales of a warp are no whole wavefront. */
static void shared_memory_has_no_bank_conflicts(void **state)
{
    static const char *const tiles[] = {
        "channel_tile=64 token_tile=16 k_tile=64 stages=3 warps=4",
        "channel_tile=64 token_tile=16 k_tile=128 stages=3 warps=4",
        "channel_tile=128 token_tile=128 k_tile=64 stages=2 warps=4",
        "channel_tile=256 token_tile=64 k_tile=256 stages=2 warps=4"};
    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        struct kernel kernel;
        char spec[512];
        snprintf(spec, sizeof spec,
                 "gemm_w4a8 arch=sm_80 format=w4c n=256 k=1024 split_k=1 "
                 "raster=0 %s",
                 tiles[i]);
        kernel_open(&kernel, spec);
        struct outcome outcome = gemm_check(&kernel, 128, 3, 1);
        assert_clean(&kernel, 128, &outcome);
        assert_int_equal(outcome.counts.shared_wavefronts,
                         outcome.counts.shared_wavefronts_ideal);
        assert_int_equal(outcome.counts.global_sectors,
                         outcome.counts.global_sectors_ideal);
        kernel_close(&kernel);
    }
}

/* ---- a sample of what the tuner would try -------------------------------- */

static size_t pick(uint64_t *random, size_t count)
{
    return (size_t)(gen_random_next(random) % count);
}

static void random_candidates_are_exact(void **state)
{
    static const size_t tokens[] = {1, 3, 8, 17, 64, 100};
    static const size_t widths[] = {8, 72, 200, 328};
    uint64_t random = 20240521;
    (void)state;
    need_nvrtc();
    for (int i = 0; i < 30; i++) {
        char text[256];
        struct tsr_error err;
        json_t *list, *argument = json_object();
        size_t format = pick(&random, 3), m = tokens[pick(&random, 6)];
        size_t unit = format == 0 ? 32 : format == 1 ? 128 : 64;
        snprintf(text, sizeof text,
                 "gemm_w4a8 arch=%s format=%s n=%zu k=%zu m=%zu bias=%zu",
                 archs[pick(&random, 6)], formats[format],
                 widths[pick(&random, 4)], unit * (1 + pick(&random, 9)), m,
                 pick(&random, 2));
        json_object_set_new(argument, "key", json_string(text));
        if (gen_host_call(kernel_host(), "plan.candidates", argument, &list,
                          &err))
            fail_msg("%s: %s", text, err.text);
        const json_t *chosen =
            json_array_get(list, pick(&random, json_array_size(list)));
        check(json_string_value(json_object_get(chosen, "spec")), m);
        json_decref(list);
        json_decref(argument);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_exact_on_all_architectures),
        cmocka_unit_test(naive_is_exact_on_all_architectures),
        cmocka_unit_test(corners_are_exact),
        cmocka_unit_test(one_kernel_is_exact_for_every_m),
        cmocka_unit_test(accumulators_hold_the_extremes),
        cmocka_unit_test(few_tokens_take_one_instruction_a_weight),
        cmocka_unit_test(shared_memory_has_no_bank_conflicts),
        cmocka_unit_test(random_candidates_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
