/* test_emulator_memory.c -- bounds, guards, late copies, decoding errors. */
#include "emulated.h"

static const struct emu_options unchecked = {.checks = 0};

/* Wild addresses of every space: with checks off too, no byte outside the
** allocation changes and the process lives. */
static void wild_addresses_never_touch_the_host(void **state)
{
    (void)state;
    static const char *const accesses[] = {
        "st.global.u32 [%t0+131072], %i;",
        "st.global.v4.u32 [%t0-16], {%i, %i, %i, %i};",
        "mov.u64 %t1, 0; st.u32 [%t1], %i;",
        "mov.u64 %t1, -8; ld.u64 %t2, [%t1];",
        "mov.u64 %t1, 0x7fffffffffff; ld.global.u8 %r2, [%t1];",
        "mov.u32 %r2, -4; st.shared.u32 [%r2], %i;",
        "mov.u64 %t1, 0x1000000000ffffff; st.u32 [%t1], %i;",
        "mov.u64 %t1, 0x2000000000ffffff; st.u8 [%t1], %i;",
        "mov.u64 %t1, 0x3000000000000000; st.u32 [%t1], %i;",
        "mov.u64 %t1, 0xff00000000000000; st.u32 [%t1], %i;",
        "atom.global.add.u32 %r2, [%t0+131072], 1;",
        "mov.u64 %t1, 12345; red.global.add.f32 [%t1], 0f3F800000;",
        "mov.u32 %r2, tile; cp.async.ca.shared.global [%r2], [%t0-4], 4;"
        " cp.async.wait_all;",
        "mov.u64 %t1, 0; mov.u32 %r2, tile; cp.async.ca.shared.global [%r2], "
        "[%t1], 4; cp.async.wait_all;",
        "mov.u32 %r2, 100000; cp.async.ca.shared.global [%r2], [%t0], 4;"
        " cp.async.wait_all;",
        "mov.u32 %r2, 4096; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, "
        "[%r2];",
    };
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++) {
        struct emulated e;
        char body[512];
        snprintf(body, sizeof body, ".shared .align 16 .b8 tile[64];\n%s%s",
                 accesses[i], EMULATED_STORE("%i"));
        assert_int_equal(emulated_load(&e, "", body, 32), 0);
        uint64_t near;
        assert_int_equal(emu_memory_alloc(e.memory, 4096, "near", &near, NULL),
                         0);
        assert_int_equal(emulated_run(&e, 1, 32, &unchecked), 0);
        if (!e.report.findings.count)
            fail_msg("no finding for: %s", accesses[i]);
        const unsigned char *bytes = (const void *)(uintptr_t)near;
        for (int k = 0; k < 4096; k++)
            assert_int_equal(bytes[k], 0xa5);
        emulated_free(&e);
    }
}

static void a_fault_names_what_lies_nearest(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "", "add.u64 %o, %o, 8; st.global.u32 [%o], %i; ret; }\n",
                1, 32, 32, NULL);
    const struct emu_finding *f = emulated_finding(&e, EMU_OUT_OF_BOUNDS);
    assert_non_null(f);
    assert_non_null(strstr(f->message, "'out'"));
    assert_int_equal(f->lanes, 0xc0000000u);
    assert_int_equal(f->ptx_line, 8);
    /* The lanes that are in bounds have been served. */
    assert_int_equal(e.out[31], 29);
    emulated_free(&e);
}

static void freed_memory_is_told_from_wild_memory(void **state)
{
    (void)state;
    struct emulated e;
    assert_int_equal(emulated_load(&e, "",
                                   "ld.global.u64 %t1, [%t0];"
                                   "st.global.u32 [%t1], %i; ret; }\n",
                                   32),
                     0);
    uint64_t gone;
    assert_int_equal(emu_memory_alloc(e.memory, 1 << 20, "gone", &gone, NULL),
                     0);
    memcpy(e.out, &gone, 8);
    assert_int_equal(emu_memory_release(e.memory, gone, NULL), 0);
    assert_int_equal(emu_memory_release(e.memory, gone, NULL), TSR_EUSAGE);
    assert_null(emu_memory_host(e.memory, gone, 1));
    assert_int_equal(emulated_run(&e, 1, 1, NULL), 0);
    assert_non_null(emulated_finding(&e, EMU_USE_AFTER_FREE));
    emulated_free(&e);
}

static void read_only_memory_stays_as_it_is(void **state)
{
    (void)state;
    struct emulated e;
    assert_int_equal(emulated_load(&e, "", "" EMULATED_STORE("%i"), 32), 0);
    assert_int_equal(emu_memory_set_read_only(e.memory, e.address, 1, &e.err),
                     0);
    assert_int_equal(emulated_run(&e, 1, 32, &unchecked), 0);
    assert_non_null(emulated_finding(&e, EMU_READ_ONLY));
    for (int i = 0; i < 32; i++)
        assert_int_equal(e.out[i], 0);
    emulated_free(&e);
}

/* -- cp.async ------------------------------------------------------------- */

#define COPY                                                            \
    ".shared .align 16 .b32 tile[64];\n"                                \
    "mov.u32 %r2, tile; mad.lo.u32 %r2, %i, 4, %r2; mov.u32 %r3, 77;\n" \
    "st.shared.u32 [%r2], %r3; add.u64 %t1, %o, 128;\n"                 \
    "cp.async.ca.shared.global [%r2], [%t1], 4; cp.async.commit_group;\n"

static void run_copy(struct emulated *e, const char *rest,
                     const struct emu_options *options)
{
    char body[1024];
    snprintf(body, sizeof body, "%s%s%s", COPY, rest, EMULATED_STORE("%r4"));
    assert_int_equal(emulated_load(e, "", body, 64), 0);
    for (uint32_t i = 0; i < 32; i++)
        e->out[32 + i] = 1000 + i;
    assert_int_equal(emulated_run(e, 1, 32, options), 0);
}

static void a_copy_moves_at_its_wait_and_not_before(void **state)
{
    (void)state;
    struct emulated e;
    run_copy(&e, "ld.shared.u32 %r4, [%r2];", &unchecked);
    assert_int_equal(e.out[3], 77);
    emulated_free(&e);
    run_copy(&e, "cp.async.wait_group 1; ld.shared.u32 %r4, [%r2];",
             &unchecked);
    assert_int_equal(e.out[3], 77);
    emulated_free(&e);
    run_copy(&e, "cp.async.wait_group 0; ld.shared.u32 %r4, [%r2];",
             &unchecked);
    assert_int_equal(e.out[3], 1003);
    emulated_free(&e);
    run_copy(&e, "cp.async.wait_all; ld.shared.u32 %r4, [%r2];", NULL);
    assert_int_equal(e.out[3], 1003);
    emulated_clean(&e);
    emulated_free(&e);
}

static void eager_copies_move_at_once(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options eager = {.eager_async = 1};
    run_copy(&e, "ld.shared.u32 %r4, [%r2];", &eager);
    assert_int_equal(e.out[3], 1003);
    emulated_free(&e);
}

static void reading_a_pending_copy_is_a_finding(void **state)
{
    (void)state;
    struct emulated e;
    run_copy(&e,
             "cp.async.wait_group 1; ld.shared.u32 %r4, [%r2];"
             "cp.async.wait_all;",
             NULL);
    assert_non_null(emulated_finding(&e, EMU_ASYNC_PENDING));
    emulated_free(&e);
}

/* Only lanes 0-15 commit and wait: the copies of the others stay out. */
static void groups_belong_to_lanes(void **state)
{
    (void)state;
    struct emulated e;
    emulated_do(&e, "",
                ".shared .align 16 .b32 tile[64];\n"
                "mov.u32 %r2, tile; mad.lo.u32 %r2, %i, 4, %r2;\n"
                "mov.u32 %r3, 77; st.shared.u32 [%r2], %r3;\n"
                "cp.async.ca.shared.global [%r2], [%o], 4;\n"
                "setp.lt.u32 %p1, %i, 16; @%p1 cp.async.commit_group;\n"
                "cp.async.wait_group 0;\n"
                "ld.shared.u32 %r4, [%r2];" EMULATED_STORE("%r4"),
                1, 32, 32, &unchecked);
    assert_int_equal(e.out[15], 0);
    assert_int_equal(e.out[16], 77);
    emulated_free(&e);
}

static void a_short_source_is_filled_with_zero(void **state)
{
    (void)state;
    struct emulated e;
    assert_int_equal(
        emulated_load(&e, "",
                      ".shared .align 16 .b32 tile[128];\n"
                      "mov.u32 %r2, tile; mad.lo.u32 %r2, %i, 16, %r2;\n"
                      "mad.wide.u32 %t1, %i, 16, %t0; min.u32 %r3, %i, 16;\n"
                      "cp.async.cg.shared.global [%r2], [%t1], 16, %r3;\n"
                      "cp.async.wait_all; ld.shared.u32 %r4, "
                      "[%r2+4];" EMULATED_STORE("%r4"),
                      32),
        0);
    memset(e.out, 0xff, e.bytes);
    assert_int_equal(emulated_run(&e, 1, 8, NULL), 0);
    emulated_clean(&e);
    assert_int_equal(e.out[4], 0);
    assert_int_equal(e.out[5], 0x000000ff);
    assert_int_equal(e.out[7], 0x00ffffff);
    emulated_free(&e);
}

/* -- what the decoder refuses --------------------------------------------- */

static void refuses(const char *body, int code, const char *what)
{
    struct emulated e;
    int rc = emulated_load(&e, "", body, 32);
    if (rc != code || !strstr(e.err.text, what))
        fail_msg("%s: status %d, \"%s\"", body, rc, e.err.text);
    emulated_free(&e);
}

static void what_is_not_taken_is_named(void **state)
{
    (void)state;
    refuses("\nfrobnicate.u32 %r1, %r2; ret; }\n", TSR_EUNSUPPORTED,
            "test.ptx:9: frobnicate.u32: ");
    refuses("add.wrong.u32 %r1, %r2, %r3; ret; }\n", TSR_EUNSUPPORTED,
            "add.wrong.u32");
    refuses("add.u32 %r1, %r2; ret; }\n", TSR_EFORMAT, "operand 3");
    refuses("add.u32 %t1, %r2, %r3; ret; }\n", TSR_EFORMAT, "%t1");
    refuses("mov.u32 %r1, %envreg3; ret; }\n", TSR_EUNSUPPORTED, "%envreg3");
    refuses("wgmma.fence.sync.aligned; ret; }\n", TSR_EUNSUPPORTED, "wgmma");
    refuses("ld.param.u64 %t1, [out+8]; ret; }\n", TSR_EFORMAT, "past the end");
    refuses("cp.async.cg.shared.global [%r1], [%t0], 8; ret; }\n", TSR_EFORMAT,
            "8 bytes");
}

static void every_row_of_the_list_is_printed(void **state)
{
    (void)state;
    struct tsr_buffer text = TSR_BUFFER_INIT;
    assert_int_equal(emu_print_opcodes(&text), 0);
    assert_non_null(strstr(text.data, "shl{.b16,.b32,.b64}\n"));
    assert_non_null(strstr(text.data, "mma.sync.aligned.m16n8k32.row.col"));
    tsr__buffer_release(&text);
}

static void a_module_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    struct emulated e;
    static const char text[] = EMULATED_HEAD
        ".global .u32 counter;\n" EMULATED_ENTRY
        ".shared .b32 tile[8]; setp.eq.u32 %p1, %i, 0;\n"
        "@%p1 mov.u32 %r2, 1; LOOP: add.u32 %r2, %r2, 1;\n"
        "setp.lt.u32 %p1, %r2, 9; @%p1 bra LOOP;" EMULATED_STORE("%r2");
    assert_int_equal(emulated_load(&e, "", EMULATED_STORE("%i"), 32), 0);
    for (long n = 1; n < 400; n++) {
        struct emu_module *module = NULL;
        tsr__memory_fail_after(n, 0);
        int rc =
            emu_module_load(&module, e.memory, text, strlen(text), "m", &e.err);
        tsr__memory_fail_after(0, 0);
        if (rc == 0) {
            emu_module_free(module);
            break;
        }
        assert_int_equal(rc, TSR_EMEMORY);
    }
    for (long n = 1; n < 200; n++) {
        tsr__memory_fail_after(n, 0);
        int rc = emulated_run(&e, 2, 64, NULL);
        tsr__memory_fail_after(0, 0);
        if (rc == 0)
            break;
        assert_int_equal(rc, TSR_EMEMORY);
    }
    emulated_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wild_addresses_never_touch_the_host),
        cmocka_unit_test(a_fault_names_what_lies_nearest),
        cmocka_unit_test(freed_memory_is_told_from_wild_memory),
        cmocka_unit_test(read_only_memory_stays_as_it_is),
        cmocka_unit_test(a_copy_moves_at_its_wait_and_not_before),
        cmocka_unit_test(eager_copies_move_at_once),
        cmocka_unit_test(reading_a_pending_copy_is_a_finding),
        cmocka_unit_test(groups_belong_to_lanes),
        cmocka_unit_test(a_short_source_is_filled_with_zero),
        cmocka_unit_test(what_is_not_taken_is_named),
        cmocka_unit_test(every_row_of_the_list_is_printed),
        cmocka_unit_test(a_module_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
