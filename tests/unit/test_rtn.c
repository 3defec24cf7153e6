/* test_rtn.c -- round to nearest: the proof of the protective range, nearest
** codes, and rows that are not like rows of weights.
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
#include "gen/quantize/rtn.h"
#include "runtime/base/half.h"

/* ---- the protective range --------------------------------------------------
 */

/* Whether every code that this group range gives stays in its byte. */
static int stays_in_byte(float low, float high, float w8, int round_up)
{
    struct gen_group group = gen_rtn_group(low, high, round_up);
    int code = gen_rtn_group_code(group, w8);
    int u = code * group.s2 + group.offset;
    return group.s2 >= 1 && group.s2 <= 16 && group.offset >= 0 && code >= 0 &&
           code <= 15 && u >= 0 && u <= 255;
}

/* Ranges [low, high] within +-limit on a grid. Codes grow with w8, so the
** extremes of the group are its extreme codes. */
static size_t count_overflows(float limit, float grid)
{
    size_t bad = 0;
    int last = (int)(limit / grid);
    for (int low = -last; low <= last; low++)
        for (int high = low; high <= last; high++)
            for (int up = 0; up < 2; up++) {
                float a = (float)low * grid, b = (float)high * grid;
                bad += !stays_in_byte(a, b, a, up);
                bad += !stays_in_byte(a, b, b, up);
            }
    return bad;
}

static void no_group_within_120_leaves_its_byte(void **state)
{
    (void)state;
    assert_int_equal(count_overflows(GEN_PROTECTIVE_LIMIT, 0.125f), 0);
}

static void limit_120_is_the_largest_whole_one(void **state)
{
    (void)state;
    assert_true(count_overflows(121.0f, 0.25f) > 0);
}

static void every_weight_inside_a_group_stays_in_its_byte(void **state)
{
    (void)state;
    for (int low = -120; low <= 120; low++)
        for (int high = low; high <= 120; high++)
            for (int w8 = 2 * low; w8 <= 2 * high; w8++)
                for (int up = 0; up < 2; up++)
                    if (!stays_in_byte((float)low, (float)high,
                                       (float)w8 * 0.5f, up))
                        fail_msg("%d %d %g", low, high, w8 * 0.5);
}

/* Half a unit either side of every rounding decision: where ties and the last
** bit of a float could matter. */
static void ranges_beside_every_tie_stay_in_their_bytes(void **state)
{
    (void)state;
    for (int low2 = -240; low2 <= 240; low2++)
        for (int span2 = 0; span2 + low2 <= 240; span2++)
            for (int nudge = 0; nudge < 9; nudge++) {
                float low = (float)low2 * 0.5f;
                float high = (float)(low2 + span2) * 0.5f;
                low = nudge % 3 == 1   ? nextafterf(low, -120.0f)
                      : nudge % 3 == 2 ? nextafterf(low, 120.0f)
                                       : low;
                high = nudge / 3 == 1   ? nextafterf(high, -120.0f)
                       : nudge / 3 == 2 ? nextafterf(high, 120.0f)
                                        : high;
                if (low > high)
                    continue;
                assert_true(stays_in_byte(low, high, low, 0));
                assert_true(stays_in_byte(low, high, high, 0));
                assert_true(stays_in_byte(low, high, low, 1));
                assert_true(stays_in_byte(low, high, high, 1));
            }
}

/* u = q * s2 + b on four packed bytes at once, for all q, s2 and every b that
** keeps the largest code in a byte: no carry between the bytes. */
static void one_multiply_add_dequantises_four_weights(void **state)
{
    (void)state;
    for (uint32_t s2 = 1; s2 <= 16; s2++)
        for (uint32_t b = 0; b + 15 * s2 <= 255; b++)
            for (uint32_t q = 0; q < 16; q++) {
                uint32_t packed = q | (15 - q) << 8 | q << 16 | 15u << 24;
                uint32_t u = packed * s2 + b * 0x01010101u;
                assert_int_equal(u & 0xff, q * s2 + b);
                assert_int_equal(u >> 8 & 0xff, (15 - q) * s2 + b);
                assert_int_equal(u >> 16 & 0xff, q * s2 + b);
                assert_int_equal(u >> 24, 15 * s2 + b);
            }
}

/* ---- rows ------------------------------------------------------------------
 */

enum { K = 256, GROUPS = K / 64 };

struct result {
    uint8_t codes[K], s2[GROUPS], offset[GROUPS];
    uint16_t scale, zero_scale;
    enum gen_row_fault fault;
    struct gen_row row;
    double weights[K]; /* what the codes stand for */
};

static struct result quantise(enum tsr_weight_format format, const float *w)
{
    static float scratch[K];
    struct result result = {.scale = 0};
    result.row = (struct gen_row){.codes = result.codes,
                                  .scale = &result.scale,
                                  .zero_scale = &result.zero_scale,
                                  .s2 = result.s2,
                                  .offset = result.offset,
                                  .stride = 1};
    result.fault = gen_rtn_row(format, w, K, scratch, &result.row);
    if (result.fault)
        return result;
    struct gen_reference_weights view = {.format = format,
                                         .n = 1,
                                         .k = K,
                                         .codes = result.codes,
                                         .scale = &result.scale,
                                         .zero_scale = &result.zero_scale,
                                         .s2 = result.s2,
                                         .offset = result.offset};
    for (size_t k = 0; k < K; k++)
        result.weights[k] = gen_reference_weight(&view, 0, k);
    return result;
}

/* A row of fp16 values: bell-shaped, with a mean and some outliers. */
static void fill_row(uint64_t seed, float *w)
{
    uint16_t halves[K];
    gen_random_activations(seed, 0, 1, K, halves);
    for (int i = 0; i < K; i++)
        w[i] = tsr__half_to_float(tsr__float_to_half(
            tsr__half_to_float(halves[i]) * 0.03f + 0.001f * (float)seed));
}

/* Odd seeds are fp32 rows far from zero, whose minimum fp16 cannot hold: the
** stored zero then is not the true one. */
static void codes_are_the_nearest_for_the_stored_values(void **state)
{
    (void)state;
    static float w[K];
    for (uint64_t seed = 0; seed < 50; seed++)
        for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
            fill_row(seed, w);
            for (size_t k = 0; k < K && seed % 2; k++)
                w[k] = 7.0f + w[k] * 0.037f;
            struct result got = quantise((enum tsr_weight_format)format, w);
            assert_int_equal(got.fault, GEN_ROW_OK);
            size_t group = tsr__weight_group((enum tsr_weight_format)format);
            for (size_t k = 0; k < K; k++) {
                /* One code up or down must not be nearer; the distance
                ** between codes is s, or s1 * s2. */
                double step = tsr__half_to_float(got.scale) *
                              (group ? got.s2[k / group] : 1);
                double off = got.weights[k] - (double)w[k];
                double slack = step * 1e-5;
                if (got.codes[k] > 0)
                    assert_true(fabs(off) <= fabs(off - step) + slack);
                if (got.codes[k] < 15)
                    assert_true(fabs(off) <= fabs(off + step) + slack);
            }
        }
}

static void channel_grid_covers_its_row(void **state)
{
    (void)state;
    static float w[K];
    for (uint64_t seed = 0; seed < 50; seed++) {
        fill_row(seed, w);
        struct result got = quantise(TSR_W4C, w);
        double half = tsr__half_to_float(got.scale) / 2.0 * 1.0001;
        for (size_t k = 0; k < K; k++)
            assert_true(fabs(got.weights[k] - (double)w[k]) <= half);
    }
}

static void reported_error_is_the_error(void **state)
{
    (void)state;
    static float w[K];
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        fill_row(7, w);
        struct result got = quantise((enum tsr_weight_format)format, w);
        double error = 0, power = 0;
        for (size_t k = 0; k < K; k++) {
            double off = got.weights[k] - (double)w[k];
            error += off * off;
            power += (double)w[k] * (double)w[k];
        }
        assert_true(fabs(got.row.error - error) < 1e-4 * error);
        assert_true(fabs(got.row.power - power) < 1e-4 * power);
    }
}

static void smaller_groups_err_less(void **state)
{
    (void)state;
    static float w[K];
    double error[3] = {0};
    for (uint64_t seed = 0; seed < 50; seed++)
        for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
            fill_row(seed, w);
            struct result got = quantise((enum tsr_weight_format)format, w);
            error[format] += got.row.error;
        }
    assert_true(error[TSR_W4G64] < error[TSR_W4G128]);
    assert_true(error[TSR_W4G128] < error[TSR_W4C]);
}

static void zero_row_stays_exactly_zero(void **state)
{
    (void)state;
    static const float w[K];
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        struct result got = quantise((enum tsr_weight_format)format, w);
        assert_int_equal(got.fault, GEN_ROW_OK);
        assert_true(got.row.error == 0 && got.row.power == 0);
        for (size_t k = 0; k < K; k++)
            assert_true(got.weights[k] == 0);
    }
}

static void constant_row_is_kept(void **state)
{
    (void)state;
    static const float values[] = {1.0f,       -1.0f,     0.1f,    -65504.0f,
                                   0x1p-24f,   -0x1p-24f, 1234.0f, 65504.0f,
                                   0.0078125f, -3.3e-5f};
    static float w[K];
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        float value = tsr__half_to_float(tsr__float_to_half(values[v]));
        for (size_t k = 0; k < K; k++)
            w[k] = value;
        struct result got = quantise(TSR_W4C, w);
        assert_int_equal(got.fault, GEN_ROW_OK);
        assert_true(got.weights[0] == (double)value); /* zs holds it exactly */
        for (int format = TSR_W4G128; format <= TSR_W4G64; format++) {
            got = quantise((enum tsr_weight_format)format, w);
            assert_int_equal(got.fault, GEN_ROW_OK);
            /* Within half a level-1 unit, s1. */
            assert_true(fabs(got.weights[K - 1] - (double)value) <=
                        0.5001 * (double)tsr__half_to_float(got.scale));
        }
    }
}

static void one_outlier_is_kept_and_the_rest_survives(void **state)
{
    (void)state;
    static float w[K];
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        fill_row(0, w);
        w[3] = -40.0f;
        struct result got = quantise((enum tsr_weight_format)format, w);
        assert_int_equal(got.fault, GEN_ROW_OK);
        assert_true(fabs(got.weights[3] + 40.0) < 2.0);
    }
}

/* The extremes err by at most a step of 15 over the range: half of one, and
** what a smaller step clips where that lowers the sum of squares. */
static void whole_fp16_range_fits(void **state)
{
    (void)state;
    static float w[K];
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        w[0] = -65504.0f;
        w[1] = 65504.0f;
        struct result got = quantise((enum tsr_weight_format)format, w);
        assert_int_equal(got.fault, GEN_ROW_OK);
        assert_true(fabs(got.weights[1] - 65504.0) <= 131008.0 / 15);
        assert_true(isfinite(got.weights[0]));
    }
}

/* Weights below fp16's normal range still have scales above zero. */
static void subnormal_rows_do_not_divide_by_zero(void **state)
{
    (void)state;
    static float w[K];
    static const float sizes[] = {0x1p-24f, 0x1p-20f, 1e-6f, 1e-12f, 1e-40f};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
            for (size_t k = 0; k < K; k++)
                w[k] = sizes[i] * ((float)(k % 17) - 8.0f);
            struct result got = quantise((enum tsr_weight_format)format, w);
            assert_int_equal(got.fault, GEN_ROW_OK);
            assert_true(got.scale > 0 && got.scale < 0x7c00);
            for (size_t k = 0; k < K; k++)
                assert_true(fabs(got.weights[k] - (double)w[k]) <=
                            16.0 * (double)sizes[i] / 15 + 0x1p-24);
        }
}

static void weights_that_are_no_numbers_are_located(void **state)
{
    (void)state;
    static const struct {
        float value;
        enum gen_row_fault fault;
    } bad[] = {{NAN, GEN_ROW_NOT_FINITE},
               {-INFINITY, GEN_ROW_NOT_FINITE},
               {INFINITY, GEN_ROW_NOT_FINITE},
               {65536.0f, GEN_ROW_TOO_LARGE},
               {-1e30f, GEN_ROW_TOO_LARGE}};
    static float w[K];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
            fill_row(1, w);
            w[77] = bad[i].value;
            struct result got = quantise((enum tsr_weight_format)format, w);
            assert_int_equal(got.fault, bad[i].fault);
            assert_int_equal(got.row.at, 77);
        }
}

static void half_at_least_rounds_up_only(void **state)
{
    (void)state;
    for (uint16_t half = 1; half < 0x7bff; half++) {
        float value = tsr__half_to_float(half);
        assert_int_equal(gen_half_at_least(value), half);
        float above = nextafterf(value, 1e9f), below = nextafterf(value, 0.0f);
        assert_int_equal(gen_half_at_least(above), half + 1);
        assert_int_equal(gen_half_at_least(below), half);
    }
    assert_int_equal(gen_half_at_least(0.0f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_group_within_120_leaves_its_byte),
        cmocka_unit_test(limit_120_is_the_largest_whole_one),
        cmocka_unit_test(every_weight_inside_a_group_stays_in_its_byte),
        cmocka_unit_test(ranges_beside_every_tie_stay_in_their_bytes),
        cmocka_unit_test(one_multiply_add_dequantises_four_weights),
        cmocka_unit_test(codes_are_the_nearest_for_the_stored_values),
        cmocka_unit_test(channel_grid_covers_its_row),
        cmocka_unit_test(reported_error_is_the_error),
        cmocka_unit_test(smaller_groups_err_less),
        cmocka_unit_test(zero_row_stays_exactly_zero),
        cmocka_unit_test(constant_row_is_kept),
        cmocka_unit_test(one_outlier_is_kept_and_the_rest_survives),
        cmocka_unit_test(whole_fp16_range_fits),
        cmocka_unit_test(subnormal_rows_do_not_divide_by_zero),
        cmocka_unit_test(weights_that_are_no_numbers_are_located),
        cmocka_unit_test(half_at_least_rounds_up_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
