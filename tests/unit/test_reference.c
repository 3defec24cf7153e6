/* test_reference.c -- the reference arithmetic against values worked out by
** hand, against a naive 64-bit computation, and against real numbers.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gen/quantize/random.h"
#include "gen/quantize/reference.h"
#include "runtime/base/half.h"

#define HALF(x) tsr__float_to_half(x)

static void quant_act_by_hand(void **state)
{
    (void)state;
    /* m = 2, r = 63.5: 1 gives 63.5, a tie, to the even 64; -0.25 gives
    ** -15.875; 2^-7 gives 0.496. */
    const uint16_t x[4] = {HALF(1.0f), HALF(-2.0f), HALF(-0.25f),
                           HALF(0x1p-7f)};
    int8_t q[4];
    float scale;
    int32_t sum;
    gen_reference_quant_act(x, 0, 1, 4, q, &scale, &sum);
    const int8_t wanted[4] = {64, -127, -16, 0};
    assert_memory_equal(q, wanted, 4);
    assert_true(scale == 2.0f / 127.0f);
    assert_int_equal(sum, -79);
}

static void quant_act_of_zero_and_tiny_rows(void **state)
{
    (void)state;
    const uint16_t x[2][2] = {{0, 0x8000}, {HALF(0x1p-24f), HALF(-6e-7f)}};
    int8_t q[2][2];
    float scale[2];
    int32_t sum[2];
    gen_reference_quant_act(x[0], 0, 2, 2, q[0], scale, sum);
    assert_true(q[0][0] == 0 && q[0][1] == 0 && sum[0] == 0);
    assert_true(scale[0] == 1e-6f / 127.0f);
    /* Below the floor of 1e-6 the scale is the floor's: 6e-7 is 76/127. */
    assert_true(q[1][0] == 8 && q[1][1] == -76 && sum[1] == -68);
    assert_true(scale[1] == scale[0]);
}

static void quant_act_poisons_only_the_row_with_a_nan(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const uint16_t one = bf16 ? 0x3f80 : 0x3c00;
        const uint16_t infinite = bf16 ? 0xff80 : 0xfc00;
        const uint16_t nan = bf16 ? 0x7fc1 : 0x7e01;
        const uint16_t x[4][2] = {
            {one, one}, {one, nan}, {infinite, one}, {one, 0}};
        int8_t q[4][2];
        float scale[4];
        int32_t sum[4];
        gen_reference_quant_act(x[0], bf16, 4, 2, q[0], scale, sum);
        assert_true(scale[0] == 1.0f / 127.0f && sum[0] == 254);
        for (int row = 1; row <= 2; row++) {
            assert_int_equal(tsr__float_bits(scale[row]), 0x7fffffff);
            assert_true(q[row][0] == 0 && q[row][1] == 0 && sum[row] == 0);
        }
        assert_true(scale[3] == 1.0f / 127.0f && sum[3] == 127);
    }
}

static void quant_act_of_the_largest_values_stays_in_range(void **state)
{
    (void)state;
    uint16_t x[64];
    int8_t q[64];
    float scale;
    int32_t sum;
    for (uint32_t most = 1; most < 0x7c00; most += 7) {
        for (uint32_t i = 0; i < 64; i++)
            x[i] = (uint16_t)((i & 1 ? 0x8000 : 0) | (most * (i + 1) / 64));
        gen_reference_quant_act(x, 0, 1, 64, q, &scale, &sum);
        int32_t total = 0;
        for (int i = 0; i < 64; i++) {
            assert_true(q[i] >= -127);
            total += q[i];
        }
        assert_int_equal(total, sum);
        if (tsr__half_to_float((uint16_t)most) > 1e-6f)
            assert_int_equal(q[63], -127);
    }
}

/* 8 x 32, w4c: s = 0.5, zs = 2 (z = 4): weight = (code - 4) / 2. */
static void w4c_by_hand(void **state)
{
    (void)state;
    uint8_t codes[8][32] = {{0}};
    uint16_t s[8], zs[8], bias[8], y[8];
    int8_t x[32] = {0};
    for (int n = 0; n < 8; n++) {
        s[n] = HALF(0.5f);
        zs[n] = HALF(2.0f);
        bias[n] = HALF(0.25f * (float)n);
        for (int k = 0; k < 32; k++)
            codes[n][k] = 4; /* weight 0 */
        codes[n][0] = (uint8_t)(2 * n);
        codes[n][31] = 15;
    }
    x[0] = 10;
    x[31] = -3;
    float sa = 0.25f;
    int32_t sum = 7;
    struct gen_reference_weights weights = {.format = TSR_W4C,
                                            .n = 8,
                                            .k = 32,
                                            .codes = codes[0],
                                            .scale = s,
                                            .zero_scale = zs,
                                            .bias = bias};
    gen_reference_gemm(&weights, x, &sa, &sum, 0, 1, 0, 8, y);
    for (int n = 0; n < 8; n++) {
        /* weights (2n - 4)/2 = n - 2 at k = 0 and 5.5 at k = 31 */
        float wanted =
            (10.0f * (float)(n - 2) - 3.0f * 5.5f) * sa + 0.25f * (float)n;
        assert_int_equal(y[n], HALF(wanted));
        assert_true(gen_reference_weight(&weights, (size_t)n, 31) == 5.5);
    }
}

/* 8 x 128, w4g64: group 0 has w8 = 3q - 20, group 1 has w8 = 16q - 120. */
static void w4g_by_hand(void **state)
{
    (void)state;
    uint8_t codes[8][128];
    uint8_t s2[2][8], b[2][8];
    uint16_t s1[8], y[8];
    int8_t x[128] = {0};
    memset(codes, 0, sizeof codes);
    for (int n = 0; n < 8; n++) {
        s1[n] = HALF(0x1p-8f);
        s2[0][n] = 3, b[0][n] = 128 - 20;
        s2[1][n] = 16, b[1][n] = 128 - 120;
        codes[n][5] = (uint8_t)n;         /* w8 = 3n - 20 */
        codes[n][64] = 15;                /* w8 = 120 */
        codes[n][127] = (uint8_t)(7 + n); /* w8 = 16n - 8 */
    }
    x[5] = 100;
    x[64] = 2;
    x[127] = -127;
    float sa = 0.5f;
    int32_t sum = 100 + 2 - 127;
    struct gen_reference_weights weights = {.format = TSR_W4G64,
                                            .n = 8,
                                            .k = 128,
                                            .codes = codes[0],
                                            .scale = s1,
                                            .s2 = s2[0],
                                            .offset = b[0],
                                            .bf16_out = 1};
    gen_reference_gemm(&weights, x, &sa, &sum, 0, 1, 0, 8, y);
    for (int n = 0; n < 8; n++) {
        int total = 100 * (3 * n - 20) + 2 * 120 - 127 * (16 * n - 8);
        float wanted = (float)total * 0x1p-9f;
        assert_int_equal(y[n], tsr__float_to_bfloat(wanted));
    }
}

/* The same sums in 64 bits, one product at a time, then the documented steps.
 */
static uint16_t naive(const struct gen_reference_weights *w, const int8_t *x,
                      float sa, int32_t sum, size_t n)
{
    int64_t acc = 0;
    size_t group = tsr__weight_group(w->format);
    for (size_t k = 0; k < w->k; k++) {
        int64_t u = w->codes[n * w->k + k];
        if (group)
            u = u * w->s2[k / group * w->n + n] +
                w->offset[k / group * w->n + n] - 128;
        acc += u * x[k];
    }
    volatile float y;
    float s = tsr__half_to_float(w->scale[n]);
    if (group) {
        y = (float)acc;
        y = y * s;
    } else {
        volatile float zero = tsr__half_to_float(w->zero_scale[n]) * (float)sum;
        y = fmaf(s, (float)acc, -zero);
    }
    y = y * sa;
    if (w->bias)
        y = y + tsr__half_to_float(w->bias[n]);
    return w->bf16_out ? tsr__float_to_bfloat(y) : tsr__float_to_half(y);
}

static void reference_equals_the_naive_sums_bit_for_bit(void **state)
{
    (void)state;
    for (int round = 0; round < 24; round++) {
        enum tsr_weight_format format = (enum tsr_weight_format)(round % 3);
        size_t m = 5, n = 40, k = format == TSR_W4C ? 416 : 384;
        struct gen_linear linear;
        assert_int_equal(gen_random_weights(&linear, (uint64_t)round, format, n,
                                            k, round / 3 % 2, NULL),
                         0);
        struct gen_reference_weights view =
            gen_linear_view(&linear, round / 6 % 2);
        int8_t *x = malloc(m * k);
        float sa[5];
        int32_t sum[5];
        uint16_t *y = malloc(m * n * 2);
        if (round < 12) {
            uint16_t *act = malloc(m * k * 2);
            gen_random_activations((uint64_t)round, view.bf16_out, m, k, act);
            gen_reference_quant_act(act, view.bf16_out, m, k, x, sa, sum);
            free(act);
        } else {
            gen_random_quantized((uint64_t)round, m, k, x, sa, sum);
        }
        gen_reference_gemm(&view, x, sa, sum, 0, m, 0, n, y);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                assert_int_equal(y[i * n + j],
                                 naive(&view, x + i * k, sa[i], sum[i], j));
                assert_true((y[i * n + j] & 0x7c00) != 0x7c00 || view.bf16_out);
            }
        free(x);
        free(y);
        gen_linear_release(&linear);
    }
}

/* Against the real numbers the codes and activations stand for. Tolerance:
** fp16 has 11 bits (2^-11 of the result), and the fp32 steps lose some 2^-22
** of the largest term. */
static void reference_is_near_the_real_product(void **state)
{
    (void)state;
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        enum { M = 3, N = 32, K = 512 };
        struct gen_linear linear;
        static int8_t x[M * K];
        float sa[M];
        int32_t sum[M];
        uint16_t y[M * N];
        assert_int_equal(gen_random_weights(&linear, 9,
                                            (enum tsr_weight_format)format, N,
                                            K, 1, NULL),
                         0);
        struct gen_reference_weights view = gen_linear_view(&linear, 0);
        gen_random_quantized(3, M, K, x, sa, sum);
        gen_reference_gemm(&view, x, sa, sum, 0, M, 0, N, y);
        for (size_t m = 0; m < M; m++)
            for (size_t n = 0; n < N; n++) {
                double real = 0, size = 0;
                for (size_t k = 0; k < K; k++) {
                    double term = gen_reference_weight(&view, n, k) *
                                  x[m * K + k] * (double)sa[m];
                    real += term;
                    size += fabs(term);
                }
                real += (double)tsr__half_to_float(linear.bias[n]);
                double got = (double)tsr__half_to_float(y[m * N + n]);
                assert_true(fabs(got - real) <=
                            fabs(real) * 0x1p-11 + size * 0x1p-20);
            }
        gen_linear_release(&linear);
    }
}

static void a_region_touches_nothing_else(void **state)
{
    (void)state;
    enum { M = 6, N = 16, K = 64 };
    struct gen_linear linear;
    static int8_t x[M * K];
    float sa[M];
    int32_t sum[M];
    uint16_t all[M * N], part[M * N];
    assert_int_equal(gen_random_weights(&linear, 1, TSR_W4G64, N, K, 0, NULL),
                     0);
    struct gen_reference_weights view = gen_linear_view(&linear, 0);
    gen_random_quantized(1, M, K, x, sa, sum);
    gen_reference_gemm(&view, x, sa, sum, 0, M, 0, N, all);
    memset(part, 0xab, sizeof part);
    gen_reference_gemm(&view, x, sa, sum, 2, 5, 3, 11, part);
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            int inside = m >= 2 && m < 5 && n >= 3 && n < 11;
            assert_int_equal(part[m * N + n], inside ? all[m * N + n] : 0xabab);
        }
    gen_linear_release(&linear);
}

static void poisoned_token_gives_canonical_nans_alone(void **state)
{
    (void)state;
    enum { M = 3, N = 8, K = 128 };
    for (int format = TSR_W4C; format <= TSR_W4G64; format++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            struct gen_linear linear;
            uint16_t act[M * K], y[M * N];
            int8_t x[M * K];
            float sa[M];
            int32_t sum[M];
            assert_int_equal(gen_random_weights(&linear, 4,
                                                (enum tsr_weight_format)format,
                                                N, K, 1, NULL),
                             0);
            struct gen_reference_weights view = gen_linear_view(&linear, bf16);
            gen_random_activations(2, bf16, M, K, act);
            act[1 * K + 17] = bf16 ? 0x7f80 : 0x7c00; /* infinity */
            gen_reference_quant_act(act, bf16, M, K, x, sa, sum);
            gen_reference_gemm(&view, x, sa, sum, 0, M, 0, N, y);
            for (size_t n = 0; n < N; n++) {
                assert_int_equal(y[N + n], 0x7fff);
                assert_true((y[n] & 0x7c00) != 0x7c00);
                assert_true((y[2 * N + n] & 0x7c00) != 0x7c00);
            }
            gen_linear_release(&linear);
        }
}

/* K at its limit with every product at its largest: the sums fit an int32. */
static void largest_sums_do_not_overflow(void **state)
{
    (void)state;
    enum { N = 8, K = 66304 }; /* the largest multiple of 128 up to 66311 */
    uint8_t *codes = malloc(N * K);
    uint8_t *s2 = malloc(N * K / 128), *b = malloc(N * K / 128);
    int8_t *x = malloc(K);
    memset(codes, 15, N * K);
    memset(s2, 16, N * K / 128);
    memset(b, 15, N * K / 128); /* u = 255 */
    memset(x, 127, K);
    uint16_t s1[N], y[N];
    for (int n = 0; n < N; n++)
        s1[n] = HALF(0x1p-14f);
    struct gen_reference_weights weights = {.format = TSR_W4G128,
                                            .n = N,
                                            .k = K,
                                            .codes = codes,
                                            .scale = s1,
                                            .s2 = s2,
                                            .offset = b};
    float sa = 0x1p-3f;
    int32_t sum = 127 * K;
    gen_reference_gemm(&weights, x, &sa, &sum, 0, 1, 0, N, y);
    assert_int_equal(y[0], HALF((float)(127 * 127) * K * 0x1p-17f));
    memset(x, -127, K);
    sum = -127 * K;
    gen_reference_gemm(&weights, x, &sa, &sum, 0, 1, 0, N, y);
    assert_int_equal(y[7], HALF((float)(127 * 127) * K * -0x1p-17f));
    free(codes);
    free(s2);
    free(b);
    free(x);
}

static void random_weights_are_valid_and_repeatable(void **state)
{
    (void)state;
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        struct gen_linear a, b;
        size_t n = 104, k = 640, seen[16] = {0}, steps[17] = {0};
        size_t group = tsr__weight_group((enum tsr_weight_format)format);
        assert_int_equal(gen_random_weights(&a, 5,
                                            (enum tsr_weight_format)format, n,
                                            k, 1, NULL),
                         0);
        assert_int_equal(gen_random_weights(&b, 5,
                                            (enum tsr_weight_format)format, n,
                                            k, 1, NULL),
                         0);
        assert_memory_equal(a.codes, b.codes, n * k);
        assert_memory_equal(a.qweight, b.qweight, a.qweight_bytes);
        assert_memory_equal(a.scale, b.scale, 2 * n);
        for (size_t i = 0; i < n * k; i++) {
            seen[a.codes[i]]++;
            if (!group)
                continue;
            size_t at = i % k / group * n + i / k;
            steps[a.s2[at]]++;
            assert_true(a.s2[at] >= 1 && a.s2[at] <= 16);
            assert_true(a.codes[i] * a.s2[at] + a.offset[at] <= 255);
        }
        for (int code = 0; code < 16; code++)
            assert_true(seen[code] > 0);
        for (int step = 1; group && step <= 16; step++)
            assert_true(steps[step] > 0);
        gen_linear_release(&a);
        gen_linear_release(&b);
    }
    struct gen_linear none;
    struct tsr_error err = {0};
    assert_int_equal(gen_random_weights(&none, 0, TSR_W4G128, 8, 96, 0, &err),
                     TSR_EUSAGE);
    assert_non_null(strstr(err.text, "multiple of the group"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quant_act_by_hand),
        cmocka_unit_test(quant_act_of_zero_and_tiny_rows),
        cmocka_unit_test(quant_act_poisons_only_the_row_with_a_nan),
        cmocka_unit_test(quant_act_of_the_largest_values_stays_in_range),
        cmocka_unit_test(w4c_by_hand),
        cmocka_unit_test(w4g_by_hand),
        cmocka_unit_test(reference_equals_the_naive_sums_bit_for_bit),
        cmocka_unit_test(reference_is_near_the_real_product),
        cmocka_unit_test(a_region_touches_nothing_else),
        cmocka_unit_test(poisoned_token_gives_canonical_nans_alone),
        cmocka_unit_test(largest_sums_do_not_overflow),
        cmocka_unit_test(random_weights_are_valid_and_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
