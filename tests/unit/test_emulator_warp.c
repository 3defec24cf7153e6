/* test_emulator_warp.c -- divergence, merging, calls, warp-synchronous ops. */
#include "emulated.h"

static const struct emu_options checked = EMU_OPTIONS_DEFAULT;

static void lanes_meet_again_after_a_branch(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "and.b32 %r2, %i, 1; setp.eq.u32 %p1, %r2, 0;\n"
                "@%p1 bra EVEN;\n mul.lo.u32 %r3, %i, 3; bra JOIN;\n"
                "EVEN: add.u32 %r3, %i, 100;\n"
                "JOIN: activemask.b32 %r4;\n"
                "add.u32 %r3, %r3, %r4;" EMULATED_STORE("%r3"),
                1, 32, 32, &checked);
    emulated_clean(&e);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(e.out[i], (i % 2 ? 3 * i : i + 100) + 0xffffffffu);
    emulated_free(&e);
}

static void a_loop_runs_as_often_as_each_lane_wants(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "mov.u32 %r2, 0; mov.u32 %r3, 0;\n"
                "LOOP: setp.ge.u32 %p1, %r2, %i; @%p1 bra DONE;\n"
                "add.u32 %r2, %r2, 1; and.b32 %r4, %r2, 3;\n"
                "setp.eq.u32 %p2, %r4, 0; @%p2 bra LOOP;\n"
                "add.u32 %r3, %r3, %r2; bra LOOP;\n"
                "DONE: activemask.b32 %r5; xor.b32 %r3, %r3, "
                "%r5;" EMULATED_STORE("%r3"),
                1, 64, 64, &checked);
    emulated_clean(&e);
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t sum = 0;
        for (uint32_t k = 1; k <= i; k++)
            sum += k % 4 ? k : 0;
        assert_int_equal(e.out[i], sum ^ 0xffffffffu);
    }
    emulated_free(&e);
}

/* Lanes that `continue' come back to the head while the others stand at the
** shuffle already: they are waited for. Lane i skips the shuffle (i % 2) times
** before its first. */
static void a_shuffle_after_continue_waits_for_all(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "mov.u32 %r2, 0; mov.u32 %r3, 0; and.b32 %r6, %i, 1;\n"
                "HEAD: add.u32 %r2, %r2, 1; setp.le.u32 %p1, %r2, %r6;\n"
                "@%p1 bra HEAD;\n"
                "shfl.sync.bfly.b32 %r5, %r2, 1, 31, -1;\n"
                "mad.lo.u32 %r3, %r3, 16, %r5; setp.lt.u32 %p2, %r3, 256;\n"
                "@%p2 bra HEAD;" EMULATED_STORE("%r3"),
                1, 32, 32, &checked);
    emulated_clean(&e);
    /* Even lanes see 2 3 4 of their neighbour, odd ones 1 2 3. */
    assert_int_equal(e.out[0], 0x234);
    assert_int_equal(e.out[1], 0x123);
    emulated_free(&e);
}

static void a_shuffle_without_its_lanes_is_a_finding(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "mov.u32 %r3, 0; setp.ge.u32 %p1, %i, 20; @%p1 bra SKIP;\n"
                "shfl.sync.bfly.b32 %r3, %i, 1, 31, -1;\n"
                "SKIP: add.u32 %r3, %r3, 1;" EMULATED_STORE("%r3"),
                1, 32, 32, &checked);
    const struct emu_finding *f = emulated_finding(&e, EMU_DIVERGENT_SYNC);
    assert_non_null(f);
    assert_int_equal(f->lanes, 0xfff00000u);
    assert_int_equal(e.out[0], 2);
    assert_int_equal(e.out[31], 1);
    emulated_free(&e);
}

static void lanes_that_returned_early_are_not_missed(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.ge.u32 %p1, %i, 20; @%p1 ret;\n"
                "shfl.sync.bfly.b32 %r3, %i, 1, 31, -1;" EMULATED_STORE("%r3"),
                1, 32, 32, &checked);
    emulated_clean(&e);
    assert_int_equal(e.out[7], 6);
    assert_int_equal(e.out[25], 0);
    emulated_free(&e);
}

static void two_halves_meet_at_warp_barriers_of_their_own(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.lt.u32 %p1, %i, 16; @%p1 bra LOW;\n"
                "bar.warp.sync -1; mov.u32 %r3, 2; bra JOIN;\n"
                "LOW: bar.warp.sync -1; mov.u32 %r3, 1;\n"
                "JOIN:" EMULATED_STORE("%r3"),
                1, 32, 32, &checked);
    emulated_clean(&e);
    assert_int_equal(e.out[0], 1);
    assert_int_equal(e.out[16], 2);
    emulated_free(&e);
}

#define FACTORIAL                                                \
    ".func (.param .b32 result) factorial(.param .b32 n)\n{\n"   \
    ".reg .b32 %n, %m; .reg .pred %p; ld.param.u32 %n, [n];\n"   \
    "setp.gt.u32 %p, %n, 1; @%p bra MORE;\n"                     \
    "mov.u32 %m, 1; st.param.u32 [result], %m; ret;\n"           \
    "MORE: { .param .b32 a; .param .b32 b; sub.u32 %m, %n, 1;\n" \
    "st.param.u32 [a], %m; call (b), factorial, (a);\n"          \
    "ld.param.u32 %m, [b]; }\n mul.lo.u32 %m, %m, %n;\n"         \
    "st.param.u32 [result], %m; ret;\n}\n"
#define CALL_FACTORIAL                                         \
    "{ .param .b32 a; .param .b32 b; st.param.u32 [a], %r2;\n" \
    "call (b), factorial, (a); ld.param.u32 %r3, [b]; }\n"     \
    "activemask.b32 %r4; setp.eq.u32 %p1, %r4, -1;\n"          \
    "@!%p1 mov.u32 %r3, 0;"

static void recursion_differs_by_lane_and_meets_again(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, FACTORIAL,
                "and.b32 %r2, %i, 7;" CALL_FACTORIAL EMULATED_STORE("%r3"), 1,
                32, 32, &checked);
    emulated_clean(&e);
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t want = 1;
        for (uint32_t k = 2; k <= i % 8; k++)
            want *= k;
        assert_int_equal(e.out[i], want);
    }
    emulated_free(&e);
}

static void endless_recursion_is_a_finding(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, FACTORIAL,
                "mov.u32 %r2, 100000;" CALL_FACTORIAL EMULATED_STORE("%r3"), 1,
                32, 32, &checked);
    assert_non_null(emulated_finding(&e, EMU_INVALID));
    emulated_free(&e);
}

static void elect_picks_one_lane_and_not_always_the_first(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    int other = 0;
    for (options.seed = 0; options.seed < 8; options.seed++) {
        emulated_do(&e, "",
                    "elect.sync %r2|%p1, -1;\n"
                    "selp.u32 %r3, 1, 0, %p1;" EMULATED_STORE("%r3"),
                    1, 32, 32, &options);
        uint32_t sum = 0;
        for (int i = 0; i < 32; i++)
            sum += e.out[i];
        assert_int_equal(sum, 1);
        other |= e.out[0] == 0;
        emulated_free(&e);
    }
    assert_true(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_meet_again_after_a_branch),
        cmocka_unit_test(a_loop_runs_as_often_as_each_lane_wants),
        cmocka_unit_test(a_shuffle_after_continue_waits_for_all),
        cmocka_unit_test(a_shuffle_without_its_lanes_is_a_finding),
        cmocka_unit_test(lanes_that_returned_early_are_not_missed),
        cmocka_unit_test(two_halves_meet_at_warp_barriers_of_their_own),
        cmocka_unit_test(recursion_differs_by_lane_and_meets_again),
        cmocka_unit_test(endless_recursion_is_a_finding),
        cmocka_unit_test(elect_picks_one_lane_and_not_always_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
