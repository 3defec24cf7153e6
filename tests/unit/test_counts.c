/* test_counts.c -- classes, bank conflicts, sectors; expected by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/emulator/counts.h"

static uint64_t address[32];

static struct emu_counts count(enum ptx_space space, uint32_t mask,
                               uint32_t bytes)
{
    struct emu_counts counts;
    struct emu_access access = {.space = space,
                                .kind = EMU_READ,
                                .mask = mask,
                                .bytes = bytes,
                                .address = address};
    memset(&counts, 0, sizeof counts);
    emu_count_access(&counts, &access, 0);
    return counts;
}

static void place(uint64_t base, uint64_t stride)
{
    for (uint64_t lane = 0; lane < 32; lane++)
        address[lane] = base + lane * stride;
}

/* Wavefronts and their ideal for lanes at base + lane * stride. */
static void check_shared(uint64_t stride, uint32_t bytes, uint32_t mask,
                         uint64_t wavefronts, uint64_t ideal)
{
    place(256, stride);
    struct emu_counts c = count(PTX_SPACE_SHARED, mask, bytes);
    assert_int_equal(c.shared_wavefronts, wavefronts);
    assert_int_equal(c.shared_wavefronts_ideal, ideal);
    assert_int_equal(c.shared_load_bytes,
                     (uint64_t)__builtin_popcount(mask) * bytes);
}

static void shared_wavefronts_follow_the_banks(void **state)
{
    (void)state;
    check_shared(4, 4, 0xffffffff, 1, 1);    /* a row */
    check_shared(0, 4, 0xffffffff, 1, 1);    /* broadcast */
    check_shared(8, 4, 0xffffffff, 2, 1);    /* every other bank */
    check_shared(128, 4, 0xffffffff, 32, 1); /* a column */
    check_shared(132, 4, 0xffffffff, 1, 1);  /* a padded column */
    check_shared(2, 2, 0xffffffff, 1, 1);    /* halves of 16 words */
    check_shared(1, 1, 0xffffffff, 1, 1);
    check_shared(128, 4, 0xf, 4, 1);
    check_shared(4, 4, 1u << 31, 1, 1);
}

static void wide_accesses_go_by_half_and_quarter_warps(void **state)
{
    (void)state;
    check_shared(8, 8, 0xffffffff, 2, 2);
    check_shared(16, 16, 0xffffffff, 4, 4);
    check_shared(0, 16, 0xffffffff, 4, 1);    /* one row for each quarter */
    check_shared(128, 16, 0xffffffff, 32, 4); /* rows without a swizzle */
    check_shared(144, 16, 0xffffffff, 4, 4);  /* padded by 16 bytes */
    check_shared(128, 16, 0xff, 8, 1);        /* ldmatrix.x1 */
    check_shared(256, 8, 0xffffffff, 32, 2);
    check_shared(16, 16, 0x01010101, 4, 1);
}

static void check_sectors(uint64_t base, uint64_t stride, uint32_t bytes,
                          uint32_t mask, uint64_t sectors, uint64_t ideal)
{
    place(base, stride);
    struct emu_counts c = count(PTX_SPACE_GLOBAL, mask, bytes);
    assert_int_equal(c.global_sectors, sectors);
    assert_int_equal(c.global_load_sectors, sectors);
    assert_int_equal(c.global_sectors_ideal, ideal);
}

static void global_sectors_are_counted_once(void **state)
{
    (void)state;
    check_sectors(4096, 4, 4, 0xffffffff, 4, 4);
    check_sectors(4096, 16, 16, 0xffffffff, 16, 16);
    check_sectors(4100, 4, 4, 0xffffffff, 5, 4); /* off by one word */
    check_sectors(4096, 0, 4, 0xffffffff, 1, 1);
    check_sectors(4096, 4096, 4, 0xffffffff, 32, 4);
    check_sectors(4096, 32, 16, 0xffffffff, 32, 16);
    check_sectors(4096, 1, 1, 0xffffffff, 1, 1);
    check_sectors(4096, 4, 4, 0x1, 1, 1);
    for (int lane = 0; lane < 32; lane++) /* any order of lanes */
        address[lane] = 4096 + (uint64_t)((lane * 13) % 32) * 4;
    struct emu_counts c = count(PTX_SPACE_GLOBAL, 0xffffffff, 4);
    assert_int_equal(c.global_sectors, 4);
}

static void bytes_go_to_their_space_and_direction(void **state)
{
    (void)state;
    struct emu_counts c;
    struct emu_access a = {.space = PTX_SPACE_GLOBAL,
                           .kind = EMU_WRITE,
                           .mask = 0xff,
                           .bytes = 2,
                           .address = address};
    place(0, 2);
    memset(&c, 0, sizeof c);
    emu_count_access(&c, &a, 0);
    assert_int_equal(c.global_store_bytes, 16);
    assert_int_equal(c.global_store_sectors, 1);
    a.kind = EMU_READ_WRITE;
    emu_count_access(&c, &a, 0);
    assert_int_equal(c.global_atomic_bytes, 16);
    a.space = PTX_SPACE_SHARED;
    a.kind = EMU_WRITE;
    a.bytes = 16;
    place(0, 16);
    emu_count_access(&c, &a, 1);
    assert_int_equal(c.async_copies, 8);
    assert_int_equal(c.shared_store_bytes, 128);
    assert_int_equal(c.shared_wavefronts, 1);
    a.space = PTX_SPACE_LOCAL;
    emu_count_access(&c, &a, 0);
    assert_int_equal(c.local_bytes, 128);
    assert_int_equal(c.global_load_bytes, 0);
    a.mask = 0;
    emu_count_access(&c, &a, 0);
    assert_int_equal(c.local_bytes, 128);
}

/* -- classes -------------------------------------------------------------- */

static struct ptx_module *parse(const char *body)
{
    char text[4096];
    struct ptx_module *module = NULL;
    struct tsr_error err = {0};
    snprintf(text, sizeof text,
             ".version 8.7\n.target sm_90a\n.address_size 64\n.entry k() {\n"
             ".reg .b32 r; .reg .b64 a; .reg .f32 f; .reg .pred p;\n"
             ".reg .f64 d; .reg .b16 h;\n%s}\n",
             body);
    if (ptx_module_parse(&module, text, strlen(text), "t.ptx", &err))
        fail_msg("%s", err.text);
    return module;
}

static void every_instruction_has_its_class(void **state)
{
    static const struct {
        const char *text;
        enum emu_class class;
    } cases[] = {
        {"add.s32 r, r, r;", EMU_CLASS_INTEGER},
        {"mad.wide.u32 a, r, r, a;", EMU_CLASS_INTEGER},
        {"lop3.b32 r, r, r, r, 1;", EMU_CLASS_INTEGER},
        {"dp4a.s32.u32 r, r, r, r;", EMU_CLASS_INTEGER},
        {"fma.rn.f32 f, f, f, f;", EMU_CLASS_FLOAT},
        {"div.rn.f32 f, f, f;", EMU_CLASS_SPECIAL},
        {"div.s32 r, r, r;", EMU_CLASS_INTEGER},
        {"ex2.approx.ftz.f32 f, f;", EMU_CLASS_SPECIAL},
        {"fma.rn.f16x2 r, r, r, r;", EMU_CLASS_HALF},
        {"add.rn.bf16 h, h, h;", EMU_CLASS_HALF},
        {"add.rn.f64 d, d, d;", EMU_CLASS_DOUBLE},
        {"cvt.rn.f16.f32 h, f;", EMU_CLASS_CONVERT},
        {"mov.b64 {r, r}, a;", EMU_CLASS_MOVE},
        {"cvta.to.global.u64 a, a;", EMU_CLASS_MOVE},
        {"setp.lt.f32 p, f, f;", EMU_CLASS_PREDICATE},
        {"and.pred p, p, p;", EMU_CLASS_PREDICATE},
        {"and.b32 r, r, r;", EMU_CLASS_INTEGER},
        {"ld.global.nc.v4.u32 {r, r, r, r}, [a];", EMU_CLASS_GLOBAL_LOAD},
        {"ld.shared.u32 r, [r];", EMU_CLASS_SHARED_LOAD},
        {"ld.u32 r, [a];", EMU_CLASS_GLOBAL_LOAD},
        {"st.shared::cta.u32 [r], r;", EMU_CLASS_SHARED_STORE},
        {"st.global.u32 [a], r;", EMU_CLASS_GLOBAL_STORE},
        {"ld.local.u32 r, [a];", EMU_CLASS_LOCAL},
        {"ld.const.u32 r, [a];", EMU_CLASS_CONSTANT},
        {"red.global.add.u32 [a], r;", EMU_CLASS_ATOMIC},
        {"cp.async.wait_group 0;", EMU_CLASS_ASYNC},
        {"shfl.sync.bfly.b32 r|p, r, 1, 31, -1;", EMU_CLASS_SHUFFLE},
        {"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {r}, [r];",
         EMU_CLASS_SHARED_LOAD},
        {"bar.sync 0;", EMU_CLASS_SYNC},
        {"membar.gl;", EMU_CLASS_SYNC},
        {"bra L;", EMU_CLASS_BRANCH},
        {"prefetch.global.L2 [a];", EMU_CLASS_OTHER},
        {"L: ret;", EMU_CLASS_BRANCH},
    };
    (void)state;
    char body[4096] = "";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        strcat(strcat(body, cases[i].text), "\n");
    struct ptx_module *module = parse(body);
    const struct ptx_function *f = &module->functions[0];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (emu_class_of(&f->instructions[i]) != cases[i].class)
            fail_msg("%s is counted as %s", cases[i].text,
                     emu_class_name(emu_class_of(&f->instructions[i])));
    ptx_module_free(module);
}

static void executions_add_up_by_class_and_shape(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("H: add.s32 r, r, 1;\n@p bra H;\n"
              "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {r, r, r, r}, "
              "{r, r, r, r}, {r, r}, {r, r, r, r};\n"
              "bar.sync 0;\nbar.warp.sync -1;\n@p bra H;\nret;\n");
    const struct ptx_function *f = &module->functions[0];
    uint64_t warps[16], lanes[16];
    struct emu_counts c = {0}, sum = {0};
    uint64_t value;
    assert_true(f->instruction_count <= 16); /* a latch is among them */
    for (int i = 0; i < f->instruction_count; i++) {
        warps[i] = 10;
        lanes[i] = 300;
    }
    emu_count_instructions(&c, f, warps, lanes);
    assert_int_equal(c.warp_instructions[EMU_CLASS_INTEGER], 10);
    assert_int_equal(c.lane_instructions[EMU_CLASS_INTEGER], 300);
    assert_int_equal(c.warp_instructions[EMU_CLASS_BRANCH], 30);
    assert_int_equal(c.warp_instructions[EMU_CLASS_SYNC], 20);
    assert_int_equal(c.mma_shapes, 1);
    assert_string_equal(c.mma[0].name, "m16n8k32.s32.u8.s8.s32");
    assert_int_equal(c.mma[0].count, 10);
    assert_int_equal(c.mma_multiply_adds, 10 * 16 * 8 * 32);
    assert_int_equal(emu_counts_warp_total(&c), 70);
    assert_int_equal(emu_counts_lane_outside_mma(&c), 1800);
    emu_counts_add(&sum, &c);
    emu_counts_add(&sum, &c);
    assert_int_equal(sum.mma_shapes, 1);
    assert_int_equal(sum.mma[0].count, 20);
    assert_int_equal(emu_counts_lane_total(&sum), 2 * 2100);
    assert_string_equal(emu_counts_field(&sum, 0, &value), "shared_wavefronts");
    assert_null(emu_counts_field(&sum, 1000, &value));
    ptx_module_free(module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_wavefronts_follow_the_banks),
        cmocka_unit_test(wide_accesses_go_by_half_and_quarter_warps),
        cmocka_unit_test(global_sectors_are_counted_once),
        cmocka_unit_test(bytes_go_to_their_space_and_direction),
        cmocka_unit_test(every_instruction_has_its_class),
        cmocka_unit_test(executions_add_up_by_class_and_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
