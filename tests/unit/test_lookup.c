/* test_lookup.c -- which kernel of a package serves a call: the order of
** design.md section 6, against a second implementation of it that is slow and
** plain, over thousands of random packages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gen/quantize/random.h"
#include "runtime/kernels/lookup.h"

static struct tsr__row row_of(enum tsr__row_kind kind, const char *device,
                              int sm_count, const char *arch, uint32_t m,
                              int measured, double microseconds)
{
    struct tsr__row row = {.kind = kind};
    row.info = (struct tsr_kernel_info){
        .key = {"gemm_w4a8", "w4g128", "f16", 256, 512, 0},
        .m = m,
        .arch = arch,
        .device = device,
        .sm_count = sm_count,
        .measured = measured,
        .microseconds = microseconds};
    return row;
}

static const struct tsr_kernel_key wanted = {"gemm_w4a8", "w4g128", "f16",
                                             256,         512,      0};
static const struct tsr__lookup_place h200 = {"H200", "sm_90a", 132, 0, 90};

static int find(const struct tsr__row *rows, size_t count, uint32_t m,
                unsigned flags, enum tsr_match *match)
{
    size_t index;
    if (tsr__lookup(rows, count, &wanted, m, flags, &h200, &index, match))
        return -1;
    return (int)index;
}

static void the_smallest_bucket_that_holds_m_is_taken(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 4, 1, 1),
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 1, 1),
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 64, 1, 1)};
    enum tsr_match match;
    assert_int_equal(find(rows, 3, 4, 0, &match), 0);
    assert_int_equal(find(rows, 3, 5, 0, &match), 1);
    assert_int_equal(find(rows, 3, 64, 0, &match), 2);
    assert_int_equal(find(rows, 3, 65, 0, &match), 2);
    assert_int_equal(match, TSR_MATCH_DEVICE);
}

static void a_bucket_more_than_four_times_away_yields_to_the_default(
    void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 1, 1),
        row_of(TSR__ROW_DEFAULT, "", 0, "sm_90a", 16, 0, 0)};
    enum tsr_match match;
    assert_int_equal(find(rows, 2, 64, 0, &match), 0);
    assert_int_equal(find(rows, 2, 65, 0, &match), 1);
    assert_int_equal(match, TSR_MATCH_DEFAULT);
    assert_int_equal(find(rows, 2, 4, 0, &match), 0);
    assert_int_equal(find(rows, 2, 3, 0, &match), 1);
}

static void the_exact_device_goes_before_the_same_number_of_sms(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "H20", 78, "sm_90a", 16, 1, 1),
        row_of(TSR__ROW_TUNED, "H100", 132, "sm_90a", 16, 1, 1),
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 0, 9)};
    enum tsr_match match;
    assert_int_equal(find(rows, 3, 16, 0, &match), 2);
    assert_int_equal(find(rows, 2, 16, 0, &match), 1);
    assert_int_equal(match, TSR_MATCH_SM_COUNT);
    assert_int_equal(find(rows, 1, 16, 0, &match), 0);
    assert_int_equal(match, TSR_MATCH_ARCH);
}

static void a_predicted_row_never_goes_before_a_measured_one(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 0, 1),
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 1, 100)};
    enum tsr_match match;
    assert_int_equal(find(rows, 2, 16, 0, &match), 1);
}

static void a_mig_slice_is_a_device_of_its_own(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "H200", 132, "sm_90a", 16, 1, 1)};
    rows[0].mig = 1;
    enum tsr_match match;
    assert_int_equal(find(rows, 1, 16, 0, &match), 0);
    assert_int_equal(match, TSR_MATCH_SM_COUNT);
}

static void another_architecture_serves_only_as_baseline(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_TUNED, "A100", 108, "sm_80", 16, 1, 1),
        row_of(TSR__ROW_DEFAULT, "", 0, "sm_80", 16, 0, 0),
        row_of(TSR__ROW_BASELINE, "", 0, "compute_100", 16, 0, 0),
        row_of(TSR__ROW_BASELINE, "", 0, "compute_80", 16, 0, 0)};
    enum tsr_match match;
    assert_int_equal(find(rows, 4, 16, 0, &match), 3);
    assert_int_equal(match, TSR_MATCH_BASELINE);
    assert_int_equal(find(rows, 3, 16, 0, &match), -1);
}

static void strict_takes_nothing_that_is_not_tuned(void **state)
{
    (void)state;
    struct tsr__row rows[] = {
        row_of(TSR__ROW_DEFAULT, "", 0, "sm_90a", 16, 0, 0),
        row_of(TSR__ROW_TUNED, "H20", 78, "sm_90a", 16, 1, 1)};
    enum tsr_match match;
    assert_int_equal(find(rows, 2, 16, TSR_FIND_STRICT, &match), 1);
    assert_int_equal(find(rows, 1, 16, TSR_FIND_STRICT, &match), -1);
    assert_int_equal(find(rows, 2, 1000, TSR_FIND_STRICT, &match), -1);
}

/* ---- the oracle ------------------------------------------------------------
 */

/* How good a row is for a call, as a list of numbers compared in order; the
** first is the tier, and a row that may not be taken at all has tier 9. */
static void rank_row(const struct tsr__row *row, uint32_t m, double rank[6])
{
    int tuned = row->kind == TSR__ROW_TUNED;
    int same_arch = strcmp(row->info.arch, h200.arch) == 0;
    rank[0] = 9;
    if (tuned && same_arch)
        rank[0] =
            row->info.sm_count == h200.sm_count
                ? (strcmp(row->info.device, h200.device) == 0 && !row->mig ? 0
                                                                           : 1)
                : 2;
    else if (row->kind == TSR__ROW_DEFAULT && same_arch)
        rank[0] = 3;
    else if (row->kind == TSR__ROW_BASELINE)
        rank[0] = 4;
    rank[1] = row->info.m >= m ? 0 : 1;
    rank[2] = row->info.m >= m ? row->info.m : -(double)row->info.m;
    rank[3] = !row->info.measured;
    rank[4] = row->info.microseconds;
}

/* A tier also serves what the better tiers refused: the best row of each
** tier is looked at in turn, tiers including the rows of the tiers before. */
static int oracle(const struct tsr__row *rows, size_t count, uint32_t m)
{
    for (int tier = 0; tier <= 4; tier++) {
        int best = -1;
        double best_rank[6];
        for (size_t i = 0; i < count; i++) {
            double rank[6];
            rank_row(&rows[i], m, rank);
            int in = tier <= 2 ? rank[0] <= tier : (int)rank[0] == tier;
            int better = best < 0;
            for (int r = 1; in && best >= 0 && r <= 4; r++)
                if (rank[r] != best_rank[r]) {
                    better = rank[r] < best_rank[r];
                    break;
                }
            if (in && better) {
                best = (int)i;
                memcpy(best_rank, rank, sizeof rank);
            }
        }
        if (best < 0)
            continue;
        double ratio = (double)rows[best].info.m / m;
        if (tier > 2 || (ratio <= 4 && ratio >= 0.25))
            return best;
    }
    return -1;
}

static void random_packages_agree_with_the_oracle(void **state)
{
    static const char *const devices[] = {"H200", "H100", "H20"};
    static const int sms[] = {132, 132, 78};
    static const char *const archs[] = {"sm_90a", "sm_80"};
    uint64_t seed = 42;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct tsr__row rows[12];
        size_t count = gen_random_next(&seed) % 12 + 1;
        for (size_t i = 0; i < count; i++) {
            uint64_t r = gen_random_next(&seed);
            int which = (int)(r % 3);
            enum tsr__row_kind kind =
                r >> 8 & 3
                    ? TSR__ROW_TUNED
                    : (r >> 10 & 1 ? TSR__ROW_DEFAULT : TSR__ROW_BASELINE);
            rows[i] =
                row_of(kind, kind ? "" : devices[which], kind ? 0 : sms[which],
                       kind == TSR__ROW_BASELINE ? "compute_80"
                                                 : archs[(r >> 12 & 7) == 0],
                       1u << (r >> 16) % 13, (int)(r >> 24 & 1),
                       (double)(r >> 32 & 3));
            rows[i].mig = kind == TSR__ROW_TUNED && (r >> 40 & 7) == 0;
        }
        uint32_t m = (uint32_t)(gen_random_next(&seed) % 5000 + 1);
        enum tsr_match match;
        assert_int_equal(find(rows, count, m, 0, &match),
                         oracle(rows, count, m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_bucket_that_holds_m_is_taken),
        cmocka_unit_test(
            a_bucket_more_than_four_times_away_yields_to_the_default),
        cmocka_unit_test(the_exact_device_goes_before_the_same_number_of_sms),
        cmocka_unit_test(a_predicted_row_never_goes_before_a_measured_one),
        cmocka_unit_test(a_mig_slice_is_a_device_of_its_own),
        cmocka_unit_test(another_architecture_serves_only_as_baseline),
        cmocka_unit_test(strict_takes_nothing_that_is_not_tuned),
        cmocka_unit_test(random_packages_agree_with_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
