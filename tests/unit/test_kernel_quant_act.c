/* test_kernel_quant_act.c -- both variants of quant_act against the reference,
** bit for bit, on the emulator with every check on.
*/
#include "tests/unit/kernel.h"

static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                    "sm_90a", "sm_100a", "sm_120a"};

/* Rows that the formula is delicate for; `one` is 1.0 in the type. */
static void plant_rows(uint16_t *x, int bf16, size_t m, size_t k)
{
    const uint16_t infinity = bf16 ? 0x7F80 : 0x7C00;
    const uint16_t largest = (uint16_t)(infinity - 1);
    const uint16_t one = bf16 ? 0x3F80 : 0x3C00;
    for (size_t row = 0; row < m; row++) {
        uint16_t *v = x + row * k;
        switch (row) {
        case 0: /* nothing but zeros of both signs */
            for (size_t i = 0; i < k; i++)
                v[i] = i % 2 ? 0x8000 : 0;
            break;
        case 1:
            v[k - 1] = infinity;
            break;
        case 2:
            v[0] = (uint16_t)(infinity | 0x8000);
            break;
        case 3:
            v[k / 2] = (uint16_t)(infinity + 1); /* a signalling NaN */
            break;
        case 4:
            v[1] = 0xFFFF; /* a NaN with its sign */
            break;
        case 5:
            v[3] = (uint16_t)(largest | 0x8000);
            break;
        case 6: /* the smallest subnormals: the maximum is below 1e-6 */
            for (size_t i = 0; i < k; i++)
                v[i] = (uint16_t)(i % 3 ? 0x8001 : 1);
            break;
        case 7: /* ties: multiples of half a step */
            for (size_t i = 0; i < k; i++)
                v[i] = tsr__float_to_half((float)(i % 509) / 2 - 127);
            if (bf16)
                v[0] = one;
            break;
        default:
            break; /* as it came */
        }
    }
}

static void compare(const struct kernel *kernel, const uint16_t *x, int bf16,
                    size_t m, size_t k, const int8_t *q, const float *scale,
                    const int32_t *sum)
{
    int8_t *want_q = malloc(m * k);
    float *want_scale = malloc(m * sizeof *want_scale);
    int32_t *want_sum = malloc(m * sizeof *want_sum);
    gen_reference_quant_act(x, bf16, m, k, want_q, want_scale, want_sum);
    for (size_t i = 0; i < m * k; i++)
        if (q[i] != want_q[i])
            fail_msg("%s: q[%zu][%zu] is %d, must be %d", kernel->text.spec,
                     i / k, i % k, q[i], want_q[i]);
    for (size_t i = 0; i < m; i++)
        if (memcmp(&scale[i], &want_scale[i], 4) || sum[i] != want_sum[i])
            fail_msg("%s: row %zu: scale %08x sum %d, must be %08x %d",
                     kernel->text.spec, i, tsr__float_bits(scale[i]), sum[i],
                     tsr__float_bits(want_scale[i]), want_sum[i]);
    free(want_q);
    free(want_scale);
    free(want_sum);
}

static void check(const char *spec, size_t m)
{
    struct kernel kernel;
    struct bench bench;
    struct outcome outcome = {0};
    kernel_open(&kernel, spec);
    size_t k = (size_t)kernel_number(&kernel, " k=");
    int bf16 = strncmp(kernel_word(&kernel, " dtype="), "bf16", 4) == 0;
    uint16_t *x = malloc(m * k * 2);
    int32_t count = (int32_t)m;
    gen_random_activations(k + m, bf16, m, k, x);
    plant_rows(x, bf16, m, k);
    bench_open(&bench, &kernel);
    int8_t *q = bench_output(&bench, "q", 0xA5, m * k);
    float *scale = bench_output(&bench, "scale", 0xA5, m * 4);
    int32_t *sum = bench_output(&bench, "sum", 0xA5, m * 4);
    bench_input(&bench, "x", x, m * k * 2);
    bench_argument(&bench, &count, sizeof count);
    bench_launch(&bench, &kernel, (uint32_t)m, 2, &outcome);
    assert_clean(&kernel, m, &outcome);
    compare(&kernel, x, bf16, m, k, q, scale, sum);
    bench_close(&bench);
    free(x);
    kernel_close(&kernel);
}

static void both_variants_are_exact_on_all_architectures(void **state)
{
    (void)state;
    need_nvrtc();
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++)
        for (int naive = 0; naive < 2; naive++) {
            char spec[256];
            snprintf(spec, sizeof spec,
                     "quant_act arch=%s k=544 dtype=%s variant=%s", archs[a],
                     (a + (size_t)naive) % 2 ? "bf16" : "f16",
                     naive ? "naive" : "block");
            check(spec, 12);
        }
}

static void block_is_exact_for_every_row_length(void **state)
{
    static const struct {
        int k, threads;
    } cases[] = {{32, 32},     {32, 1024},   {64, 64},    {96, 128},
                 {1024, 128},  {4096, 32},   {4096, 256}, {11008, 512},
                 {28672, 256}, {66304, 1024}};
    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[256];
        snprintf(spec, sizeof spec,
                 "quant_act arch=sm_80 k=%d dtype=%s variant=block threads=%d",
                 cases[i].k, i % 2 ? "bf16" : "f16", cases[i].threads);
        check(spec, 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_variants_are_exact_on_all_architectures),
        cmocka_unit_test(block_is_exact_for_every_row_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
