/* test_emulator_block.c -- barriers, deadlock, limits, blocks over threads. */
#include "emulated.h"

static const struct emu_options checked = EMU_OPTIONS_DEFAULT;

#define TILE ".shared .align 16 .b32 tile[256];\n"

static void a_barrier_orders_all_warps(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                TILE "mov.u32 %r2, tile; mad.lo.u32 %r3, %i, 4, %r2;\n"
                     "st.shared.u32 [%r3], %i; bar.sync 0;\n"
                     "sub.u32 %r4, 255, %i; mad.lo.u32 %r4, %r4, 4, %r2;\n"
                     "ld.shared.u32 %r5, [%r4];" EMULATED_STORE("%r5"),
                2, 256, 512, &checked);
    emulated_clean(&e);
    for (uint32_t i = 0; i < 512; i++)
        assert_int_equal(e.out[i], 255 - i % 256);
    emulated_free(&e);
}

/* Warps 0 and 1 produce and arrive, 2 and 3 wait. */
static void a_named_barrier_counts_arrivals(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                TILE "mov.u32 %r2, tile; mad.lo.u32 %r3, %i, 4, %r2;\n"
                     "mov.u32 %r5, 7; setp.ge.u32 %p1, %i, 64; @%p1 bra READ;\n"
                     "st.shared.u32 [%r3], %i; bar.arrive 3, 128; bra DONE;\n"
                     "READ: bar.sync 3, 128; ld.shared.u32 %r5, [%r3-256];\n"
                     "DONE:" EMULATED_STORE("%r5"),
                1, 128, 128, &checked);
    emulated_clean(&e);
    for (uint32_t i = 0; i < 128; i++)
        assert_int_equal(e.out[i], i < 64 ? 7 : i - 64);
    emulated_free(&e);
}

static void a_reducing_barrier_counts_and_combines(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.lt.u32 %p1, %i, 37; bar.red.popc.u32 %r2, 0, %p1;\n"
                "bar.red.and.pred %p2, 1, %p1; bar.red.or.pred %p3, 1, !%p1;\n"
                "selp.u32 %r3, 1000, 0, %p2; selp.u32 %r4, 100, 0, %p3;\n"
                "add.u32 %r2, %r2, %r3; add.u32 %r2, %r2, "
                "%r4;" EMULATED_STORE("%r2"),
                1, 64, 64, &checked);
    emulated_clean(&e);
    assert_int_equal(e.out[0], 137);
    assert_int_equal(e.out[63], 137);
    emulated_free(&e);
}

static void a_barrier_nobody_completes_is_a_deadlock(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.lt.u32 %p1, %i, 32; @%p1 bra OUT;\n"
                "bar.sync 2, 96;\nOUT:" EMULATED_STORE("%i"),
                1, 64, 64, &checked);
    const struct emu_finding *f = emulated_finding(&e, EMU_DEADLOCK);
    assert_non_null(f);
    assert_non_null(strstr(f->message, "barrier 2"));
    assert_non_null(strstr(f->message, "warp 1"));
    emulated_free(&e);
}

static void a_diverged_barrier_is_misuse(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.lt.u32 %p1, %i, 9; @%p1 bra OUT;\n"
                "bar.sync 0;\nOUT:" EMULATED_STORE("%i"),
                1, 64, 64, &checked);
    assert_non_null(emulated_finding(&e, EMU_BARRIER));
    emulated_free(&e);
}

static void an_endless_loop_ends_at_the_limit(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    options.instruction_limit = 100000;
    emulated_do(&e, "", "HERE: bra HERE;" EMULATED_STORE("%i"), 3, 64, 192,
                &options);
    assert_non_null(emulated_finding(&e, EMU_TIMEOUT));
    assert_int_equal(e.report.findings.item[0].block, 0);
    emulated_free(&e);
}

/* Every block waits for a flag that nobody sets: the limit is for all of them
** together, not for each in turn. */
static void blocks_that_wait_for_nobody_end_together(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    options.instruction_limit = 1 << 22;
    options.checks = 0;
    emulated_do(&e, ".global .u32 flag;\n",
                "mov.u64 %t1, flag;\n"
                "WAIT: ld.acquire.gpu.global.u32 %r3, [%t1];\n"
                "setp.eq.u32 %p2, %r3, 0; @%p2 bra WAIT;" EMULATED_STORE("%r0"),
                400, 32, 400 * 32, &options);
    assert_non_null(emulated_finding(&e, EMU_TIMEOUT));
    assert_in_range(e.report.warp_instructions, 1 << 22, 1 << 27);
    emulated_free(&e);
}

static void a_trap_stops_the_block(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                "setp.eq.u32 %p1, %j, 40; @%p1 trap;" EMULATED_STORE("%i"), 2,
                32, 64, &checked);
    const struct emu_finding *f = emulated_finding(&e, EMU_TRAP);
    assert_non_null(f);
    assert_int_equal(f->lanes, 1u << 8);
    assert_int_equal(f->block, 1);
    emulated_free(&e);
}

/* Block 0 waits for a flag that the last block sets. */
static void a_block_may_wait_for_one_that_comes_later(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, ".global .u32 flag;\n",
                "mov.u32 %r2, %nctaid.x; sub.u32 %r2, %r2, 1;\n"
                "setp.ne.u32 %p1, %r0, 0; @%p1 bra SET; mov.u64 %t1, flag;\n"
                "WAIT: ld.acquire.gpu.global.u32 %r3, [%t1];\n"
                "setp.eq.u32 %p2, %r3, 0; @%p2 bra WAIT; bra OUT;\n"
                "SET: setp.ne.u32 %p3, %r0, %r2; @%p3 bra OUT;\n"
                "mov.u64 %t1, flag; mov.u32 %r3, 1;\n"
                "st.release.gpu.global.u32 [%t1], %r3;\n"
                "OUT:" EMULATED_STORE("%r0"),
                6, 32, 192, NULL);
    emulated_clean(&e);
    assert_int_equal(e.out[0], 0);
    assert_int_equal(e.out[191], 5);
    emulated_free(&e);
}

/* Every block is at fault at its own address: the report must be one and the
** same for any number of threads. */
static void threads_change_neither_results_nor_findings(void **state)
{
    (void)state;
    static const char body[] =
        "mul.lo.u32 %r2, %j, 2654435761; shr.u32 %r3, %r2, 7;\n"
        "red.global.add.u32 [%t0+4096], 1; mad.wide.u32 %t1, %j, 4096, %t0;\n"
        "setp.eq.u32 %p1, %i, 5; @%p1 st.global.u32 [%t1+65536], %i;\n"
        "xor.b32 %r3, %r3, %r2;" EMULATED_STORE("%r3");
    struct emulated one, more;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    options.counts = 1;
    options.threads = 1;
    emulated_do(&one, "", body, 16, 64, 1025, &options);
    assert_int_equal(one.out[1024], 1024);
    for (int threads = 2; threads <= 7; threads++) {
        options.threads = threads;
        emulated_do(&more, "", body, 16, 64, 1025, &options);
        assert_memory_equal(one.out, more.out, one.bytes);
        assert_int_equal(one.report.findings.count, more.report.findings.count);
        for (size_t i = 0; i < one.report.findings.count; i++) {
            const struct emu_finding *p = &one.report.findings.item[i];
            const struct emu_finding *q = &more.report.findings.item[i];
            assert_int_equal(p->kind, q->kind);
            assert_int_equal(p->block, q->block);
            assert_int_equal(p->warp, q->warp);
            assert_int_equal(p->lanes, q->lanes);
            assert_int_equal(p->count, q->count);
        }
        assert_memory_equal(&one.report.counts, &more.report.counts,
                            sizeof one.report.counts);
        emulated_free(&more);
    }
    emulated_free(&one);
}

static void schedules_leave_the_memory_of_the_first(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    options.schedules = 5;
    emulated_do(&e, "",
                "ld.global.u32 %r2, [%o]; add.u32 %r2, %r2, "
                "1;" EMULATED_STORE("%r2"),
                4, 64, 256, &options);
    emulated_clean(&e);
    for (int i = 0; i < 256; i++)
        assert_int_equal(e.out[i], 1);
    emulated_free(&e);
}

/* Each block writes its number to the same word: whoever is last wins. */
static void order_of_blocks_shows_in_schedules(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    options.schedules = 4;
    emulated_do(&e, "",
                "atom.global.add.u32 %r2, [%t0], 1;" EMULATED_STORE("%r2"), 1,
                32, 32, &options);
    assert_null(emulated_finding(&e, EMU_SCHEDULE));
    emulated_free(&e);
}

#define PRINTER                                                                \
    ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"   \
    ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, " \
    ".param .b64 n, .param .b64 c);\n"                                         \
    ".global .align 1 .b8 text[] = {37, 100, 58, 32, 37, 53, 46, 49, 102, 37," \
    " 37, 10, 0};\n" /* "%d: %5.1f%%\n" */
#define PRINT                                                                 \
    ".local .align 8 .b8 values[16]; .reg .f64 %d;\n"                         \
    "mov.u64 %t1, values; st.local.u32 [%t1], %j; cvt.rn.f64.u32 %d, %j;\n"   \
    "mul.rn.f64 %d, %d, 0d3FE0000000000000; st.local.f64 [%t1+8], %d;\n"      \
    "cvta.local.u64 %t2, %t1; mov.u64 %t3, text; cvta.global.u64 %t3, %t3;\n" \
    "{ .param .b64 f; .param .b64 a; .param .b32 r;\n"                        \
    "st.param.b64 [f], %t3; st.param.b64 [a], %t2;\n"                         \
    "call.uni (r), vprintf, (f, a); ld.param.b32 %r2, [r]; }\n"

static void a_kernel_may_print(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, PRINTER, PRINT EMULATED_STORE("%r2"), 2, 2, 4, &checked);
    emulated_clean(&e);
    assert_string_equal(e.report.output.data,
                        "0:   0.0%\n1:   0.5%\n2:   1.0%\n3:   1.5%\n");
    assert_int_equal(e.out[0], 2);
    emulated_free(&e);
}

static void a_failing_assertion_is_a_trap(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, PRINTER,
                "mov.u64 %t3, text; setp.ne.u32 %p1, %i, 3; @%p1 bra OUT;\n"
                "{ .param .b64 m; .param .b64 f; .param .b32 l; .param .b64 n;"
                " .param .b64 c; st.param.b64 [m], %t3; st.param.b64 [f], %t3;"
                " st.param.b32 [l], 42; st.param.b64 [n], 7;"
                " st.param.b64 [c], 1; call.uni __assertfail, (m, f, l, n, c);"
                "}\nOUT:" EMULATED_STORE("%i"),
                1, 32, 32, &checked);
    const struct emu_finding *f = emulated_finding(&e, EMU_TRAP);
    assert_non_null(f);
    assert_non_null(strstr(f->message, ":42"));
    assert_int_equal(f->lanes, 8);
    emulated_free(&e);
}

static void only_the_chosen_blocks_run(void **state)
{
    (void)state;
    struct emulated e;
    uint64_t blocks[] = {1, 5};
    assert_int_equal(emulated_load(&e, "",
                                   "add.u32 %r2, %r0, "
                                   "1;" EMULATED_STORE("%r2"),
                                   256),
                     0);
    struct emu_launch launch = {
        .kernel = emu_module_kernel(e.module, NULL),
        .grid = {8, 1, 1},
        .block = {32, 1, 1},
        .arguments = &e.address,
        .argument_bytes = 8,
        .blocks = blocks,
        .block_count = 2,
    };
    assert_int_equal(emu_launch_run(&launch, NULL, &e.report, &e.err), 0);
    for (uint32_t i = 0; i < 256; i++)
        assert_int_equal(e.out[i], i / 32 == 1 ? 2 : i / 32 == 5 ? 6 : 0);
    blocks[0] = 8;
    assert_int_equal(emu_launch_run(&launch, NULL, &e.report, &e.err),
                     TSR_EUSAGE);
    emulated_free(&e);
}

static void impossible_launches_are_refused(void **state)
{
    (void)state;
    struct emulated e;
    assert_int_equal(
        emulated_load(&e, "", ".shared .b8 big[1000];" EMULATED_STORE("%i"),
                      32),
        0);
    struct emu_launch good = {
        .kernel = emu_module_kernel(e.module, NULL),
        .grid = {1, 1, 1},
        .block = {32, 1, 1},
        .arguments = &e.address,
        .argument_bytes = 8,
    };
    struct emu_launch bad = good;
    bad.grid[1] = 0;
    assert_int_equal(emu_launch_run(&bad, NULL, NULL, &e.err), TSR_EUSAGE);
    bad = good;
    bad.block[0] = 1025;
    assert_int_equal(emu_launch_run(&bad, NULL, NULL, &e.err), TSR_EUSAGE);
    bad = good;
    bad.argument_bytes = 4;
    assert_int_equal(emu_launch_run(&bad, NULL, NULL, &e.err), TSR_EUSAGE);
    bad = good;
    bad.shared = 227 * 1024 - 500;
    assert_int_equal(emu_launch_run(&bad, NULL, NULL, &e.err), TSR_EUSAGE);
    assert_int_equal(emu_launch_run(&good, NULL, NULL, &e.err), 0);
    emulated_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_barrier_orders_all_warps),
        cmocka_unit_test(a_named_barrier_counts_arrivals),
        cmocka_unit_test(a_reducing_barrier_counts_and_combines),
        cmocka_unit_test(a_barrier_nobody_completes_is_a_deadlock),
        cmocka_unit_test(a_diverged_barrier_is_misuse),
        cmocka_unit_test(an_endless_loop_ends_at_the_limit),
        cmocka_unit_test(blocks_that_wait_for_nobody_end_together),
        cmocka_unit_test(a_trap_stops_the_block),
        cmocka_unit_test(a_block_may_wait_for_one_that_comes_later),
        cmocka_unit_test(threads_change_neither_results_nor_findings),
        cmocka_unit_test(schedules_leave_the_memory_of_the_first),
        cmocka_unit_test(order_of_blocks_shows_in_schedules),
        cmocka_unit_test(a_kernel_may_print),
        cmocka_unit_test(a_failing_assertion_is_a_trap),
        cmocka_unit_test(only_the_chosen_blocks_run),
        cmocka_unit_test(impossible_launches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
