/* test_emulate_command.c -- `tessera emulate`: arguments, printing, and what
** it says to input that it cannot take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emulate.h"

static char folder[256];

/* out[i] = in[i] + add, one thread per element, any 32-bit integers. */
static const char add_ptx[] =
    ".version 7.8\n.target sm_80\n.address_size 64\n"
    ".visible .entry add(.param .u64 out, .param .u64 in, .param .u32 add,\n"
    "                    .param .u32 n)\n{\n"
    "    .reg .pred %p;\n    .reg .b32 %r<8>;\n    .reg .b64 %t<4>;\n"
    "    mov.u32 %r0, %ctaid.x;\n    mov.u32 %r1, %ntid.x;\n"
    "    mov.u32 %r2, %tid.x;\n    mad.lo.u32 %r2, %r0, %r1, %r2;\n"
    "    ld.param.u32 %r3, [n];\n    setp.ge.u32 %p, %r2, %r3;\n"
    "    @%p ret;\n    ld.param.u32 %r4, [add];\n"
    "    ld.param.u64 %t0, [in];\n    ld.param.u64 %t1, [out];\n"
    "    mad.wide.u32 %t0, %r2, 4, %t0;\n    mad.wide.u32 %t1, %r2, 4, %t1;\n"
    "    ld.global.u32 %r5, [%t0];\n    add.u32 %r5, %r5, %r4;\n"
    "    st.global.u32 [%t1], %r5;\n    ret;\n}\n";

/* Takes one parameter of each size and does nothing. */
static const char scalars_ptx[] =
    ".version 7.8\n.target sm_90a\n.address_size 64\n"
    ".visible .entry scalars(.param .u8 a, .param .u16 b, .param .f32 c,\n"
    "                        .param .f64 d, .param .s64 e, .param .b32 f)\n"
    "{\n    ret;\n}\n.visible .entry other()\n{\n    ret;\n}\n";

static void write_text(const char *name, const char *text)
{
    emulate_file(folder, name, text, strlen(text));
}

static int make_files(void **state)
{
    (void)state;
    if (emulate_folder(folder, sizeof folder, "emulate"))
        return -1;
    write_text("add.ptx", add_ptx);
    write_text("scalars.ptx", scalars_ptx);
    write_text("three", "abc");
    static const unsigned char words[16] = {1, 0, 0, 0, 2, 0, 0, 0,
                                            3, 0, 0, 0, 4, 0, 0, 0};
    emulate_file(folder, "words", words, sizeof words);
    emulate_file(folder, "binary.ptx", words, sizeof words);
    write_text("empty.ptx", "");
    return 0;
}

/* ---- what works ---------------------------------------------------------- */

#define ADD "emulate $TMP/add.ptx --grid 1 --block 32 "

static void outputs_are_printed_one_line_each(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD "--kernel add --arg out:s32:4 --arg inout:s32:1,-2,3,4 "
                     "--arg s32:-10 --arg u32:4",
                 folder);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "-9 -12 -7 -6\n1 -2 3 4\n");
    assert_string_equal(r.err, "");
    emulate_release(&r);
}

static void files_are_raw_little_endian(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD "--arg out:u32:4 --arg in:@$TMP/words --arg u32:0x100 "
                     "--arg u32:4",
                 folder);
    assert_string_equal(r.out, "257 258 259 260\n");
    emulate_release(&r);
    emulate_line(&r,
                 ADD "--arg inout:@$TMP/words --arg in:u32:@$TMP/words "
                     "--arg u32:0 --arg u32:2",
                 folder);
    assert_string_equal(r.out, "1 0 0 0 2 0 0 0 3 0 0 0 4 0 0 0\n");
    emulate_release(&r);
}

static double output(const struct emulate_result *r, size_t which, size_t i)
{
    const json_t *outputs = json_object_get(r->json, "outputs");
    return json_number_value(json_array_get(json_array_get(outputs, which), i));
}

static void json_is_one_object(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD
                 "--json --counts --arg out:u32:3 --arg in:u32:1,2,4294967295"
                 " --arg u32:1 --arg u32:3",
                 folder);
    assert_int_equal(r.status, 0);
    assert_non_null(r.json);
    assert_int_equal(strchr(r.out, '\n') - r.out, (long)strlen(r.out) - 1);
    assert_true(output(&r, 0, 0) == 2 && output(&r, 0, 2) == 0);
    assert_int_equal(json_array_size(json_object_get(r.json, "findings")), 0);
    const json_t *counts = json_object_get(r.json, "counts");
    assert_true(json_integer_value(
                    json_object_get(counts, "global_store_bytes")) == 12);
    emulate_release(&r);
}

/* in -> out through an integer kernel: bits survive in every float type. */
static void floats_keep_infinities_nan_and_signs(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD "--json --arg out:f32:6 --arg "
                     "in:f32:inf,-inf,nan,-0,1e-45,0.1 --arg u32:0 --arg u32:6",
                 folder);
    assert_string_equal(r.out, "{\"outputs\":[[\"inf\",\"-inf\",\"nan\",-0.0,"
                               "1.4012984643248171e-45,0.10000000149011612]],"
                               "\"findings\":[],\"notes\":[]}\n");
    emulate_release(&r);
    emulate_line(&r,
                 ADD "--arg out:f16:4 --arg in:f16:0.1,65504,-inf,6e-8 "
                     "--arg u32:0 --arg u32:2",
                 folder);
    assert_string_equal(r.out, "0.099976 65504 -inf 5.9605e-08\n");
    emulate_release(&r);
    emulate_line(&r,
                 ADD "--arg out:bf16:2 --arg in:bf16:3.14159,nan --arg u32:0 "
                     "--arg u32:1",
                 folder);
    assert_string_equal(r.out, "3.141 nan\n");
    emulate_release(&r);
}

static void u64_above_the_signed_range_stays_exact(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD "--json --arg out:u64:1 --arg in:u64:18446744073709551614 "
                     "--arg u32:0 --arg u32:2",
                 folder);
    assert_non_null(strstr(r.out, "[18446744073709551614]"));
    emulate_release(&r);
}

static void lists_are_printed_without_a_file(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r, "emulate --list-findings", folder);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "shared-race"));
    emulate_release(&r);
    emulate_line(&r, "emulate --list-ops", folder);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "mma"));
    emulate_release(&r);
}

static void findings_set_the_status_and_name_the_line(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r,
                 ADD "--arg out:u32:3 --arg in:u32:1,2,3,4 --arg u32:0 "
                     "--arg u32:4",
                 folder);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "out-of-bounds"));
    assert_non_null(strstr(r.err, "out")); /* the parameter */
    emulate_release(&r);
    emulate_line(&r,
                 ADD "--json --no-checks --arg out:u32:3 --arg in:u32:1,2,3,4 "
                     "--arg u32:0 --arg u32:4",
                 folder);
    assert_int_equal(r.status, 1);
    const json_t *f = json_array_get(json_object_get(r.json, "findings"), 0);
    assert_int_equal(json_integer_value(json_object_get(f, "ptx_line")), 24);
    assert_string_equal(json_string_value(json_object_get(f, "lanes")),
                        "0x00000008");
    emulate_release(&r);
}

static void schedules_and_threads_change_nothing(void **state)
{
    (void)state;
    static const char *const more[] = {"--seed 5", "--schedules 4",
                                       "--threads 3", "--no-checks"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct emulate_result r;
        char line[512];
        snprintf(line, sizeof line,
                 "emulate $TMP/add.ptx --grid 3 --block 2 %s --arg out:u32:5 "
                 "--arg in:u32:1,2,3,4,5 --arg u32:7 --arg u32:5",
                 more[i]);
        emulate_line(&r, line, folder);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, "8 9 10 11 12\n");
        emulate_release(&r);
    }
}

/* ---- what does not ------------------------------------------------------- */

#define GOOD   "--grid 1 --block 1 "
#define TAIL   " --arg in:u32:1 --arg u32:0 --arg u32:1"
#define SCALAR "emulate $TMP/scalars.ptx --kernel scalars " GOOD

/* line, what the message must say; every one exits with 2 */
static const struct {
    const char *line, *says;
} refused[] = {
    {"emulate", "PTX file"},
    {"emulate $TMP/add.ptx $TMP/add.ptx " GOOD, "one PTX file"},
    {"emulate $TMP/none.ptx " GOOD, "none.ptx"},
    {"emulate $TMP " GOOD, "cannot"},
    {"emulate $TMP/binary.ptx " GOOD, "binary.ptx:1"},
    {"emulate $TMP/empty.ptx " GOOD, "empty.ptx"},
    {"emulate $TMP/add.ptx --grid 1", "--block is needed"},
    {"emulate $TMP/add.ptx --block 1", "--grid is needed"},
    {"emulate $TMP/add.ptx --grid 0 --block 1", "--grid 0"},
    {"emulate $TMP/add.ptx --grid -1 --block 1", "--grid -1"},
    {"emulate $TMP/add.ptx --grid 1,2,3,4 --block 1", "--grid 1,2,3,4"},
    {"emulate $TMP/add.ptx --grid 1, --block 1", "--grid 1,"},
    {"emulate $TMP/add.ptx --grid 4294967297 --block 1", "--grid"},
    {"emulate $TMP/add.ptx --grid 1,65536 --block 1", "65535"},
    {"emulate $TMP/add.ptx --grid 1x --block 1", "--grid 1x"},
    {"emulate $TMP/add.ptx --grid 1 --block 1025", "--block 1025"},
    {"emulate $TMP/add.ptx --grid 1 --block 1,1,65", "--block 1,1,65"},
    {"emulate $TMP/add.ptx --grid 1 --block 512,4 --arg out:u32:1" TAIL,
     "1024"},
    {"emulate $TMP/add.ptx " GOOD "--shared 999999 --arg out:u32:1" TAIL,
     "shared"},
    {"emulate $TMP/add.ptx " GOOD "--shared -1", "--shared -1"},
    {"emulate $TMP/add.ptx " GOOD "--seed x", "--seed x"},
    {"emulate $TMP/add.ptx " GOOD "--schedules 0", "--schedules 0"},
    {"emulate $TMP/add.ptx " GOOD "--threads 9999", "--threads 9999"},
    {"emulate $TMP/add.ptx " GOOD "--frobnicate", "--frobnicate"},
    {"emulate $TMP/add.ptx " GOOD "--arch sm_75 --arg out:u32:1" TAIL, "sm_80"},
    {"emulate $TMP/add.ptx " GOOD "--arch volta --arg out:u32:1" TAIL, "volta"},
    {SCALAR "--arch sm_100a", "sm_90a"},
    {"emulate $TMP/add.ptx " GOOD "--kernel sub --arg out:u32:1" TAIL, "'add'"},
    {"emulate $TMP/scalars.ptx " GOOD, "--kernel"},
    /* Arguments against parameters. */
    {"emulate $TMP/add.ptx " GOOD, "4 parameters, but 0 --arg"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:u32:1" TAIL " --arg u32:1",
     "4 parameters, but 5 --arg"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:1" TAIL, "8 bytes"},
    {"emulate $TMP/add.ptx " GOOD
     "--arg out:u32:1 --arg in:u32:1 --arg u64:0 --arg u32:1",
     "u64 has 8"},
    {"emulate $TMP/add.ptx " GOOD
     "--arg out:u32:1 --arg in:u32:1 --arg out:u32:1 --arg u32:1",
     "address"},
    {"emulate $TMP/add.ptx " GOOD
     "--arg out:u32:1 --arg in:u32:1 --arg f32:1 --arg u32:1",
     "of type u32"},
    {SCALAR "--arg u8:1 --arg u16:1 --arg s32:1 --arg f64:1 --arg s64:1 --arg "
            "s32:1",
     "of type f32"},
    {SCALAR "--arg u8:1 --arg u16:1 --arg f32:1 --arg in:u8:1 --arg s64:1 "
            "--arg s32:1",
     "of type f64"},
    /* The grammar of ARG. */
    {"emulate $TMP/add.ptx " GOOD "--arg", "--arg needs"},
    {"emulate $TMP/add.ptx " GOOD "--arg=", "TYPE"},
    {"emulate $TMP/add.ptx " GOOD "--arg 5", "TYPE"},
    {"emulate $TMP/add.ptx " GOOD "--arg u33:5", "u8 s8"},
    {"emulate $TMP/add.ptx " GOOD "--arg pred:1", "u8 s8"},
    {"emulate $TMP/add.ptx " GOOD "--arg b32:1", "u8 s8"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:", "'' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:1,2", "one value"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:1.5", "'1.5' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:-1", "'-1' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg u8:256", "'256' is no u8"},
    {"emulate $TMP/add.ptx " GOOD "--arg s8:-129", "'-129' is no s8"},
    {"emulate $TMP/add.ptx " GOOD "--arg s16:32768", "is no s16"},
    {"emulate $TMP/add.ptx " GOOD "--arg u32:4294967296", "is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg s32:2147483648", "is no s32"},
    {"emulate $TMP/add.ptx " GOOD "--arg u64:18446744073709551616",
     "is no u64"},
    {"emulate $TMP/add.ptx " GOOD "--arg s64:-9223372036854775809",
     "is no s64"},
    {"emulate $TMP/add.ptx " GOOD "--arg f32:1e39", "is no f32"},
    {"emulate $TMP/add.ptx " GOOD "--arg f16:65520", "is no f16"},
    {"emulate $TMP/add.ptx " GOOD "--arg bf16:1e39", "is no bf16"},
    {"emulate $TMP/add.ptx " GOOD "--arg f64:1e999", "is no f64"},
    {"emulate $TMP/add.ptx " GOOD "--arg f32:one", "is no f32"},
    {"emulate $TMP/add.ptx " GOOD "--arg f32:1.0f", "is no f32"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:u32:1,,2", "'' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:u32:1,2,", "'' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:u32:", "'' is no u32"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:", "TYPE"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:u32:x", "number of elements"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:u32:-1", "number of elements"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:u32:", "number of elements"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:@$TMP/words", "elements"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:f64:99999999999999", "more than"},
    {"emulate $TMP/add.ptx " GOOD "--arg out:f64:18446744073709551615",
     "more than"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:@$TMP/absent", "absent"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:@$TMP", "--arg in:@"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:@", "--arg in:@"},
    {"emulate $TMP/add.ptx " GOOD "--arg in:u32:@$TMP/three", "3 bytes"},
};

static void what_cannot_be_taken_exits_with_2_and_says_why(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct emulate_result r;
        emulate_line(&r, refused[i].line, folder);
        size_t lines = 0;
        for (const char *at = r.err; *at; at++)
            lines += *at == '\n';
        if (r.status != 2 || !strstr(r.err, refused[i].says) || lines != 1 ||
            *r.out) {
            print_error("%s\n  exit %d, wanted '%s': %s%s", refused[i].line,
                        r.status, refused[i].says, r.err, r.out);
            wrong++;
        }
        emulate_release(&r);
    }
    assert_int_equal(wrong, 0);
}

/* One bad line in an otherwise good kernel; the message names line and word. */
static void bad_ptx_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"    frobnicate.u32 %r1, %r2;", "frobnicate"},
        {"    add.u33 %r1, %r2, %r3;", "add.u33"},
        {"    add.purple.u32 %r1, %r2, %r3;", "purple"},
        {"    add.u32 %r1, %r2;", "add.u32"},
        {"    add.u32 %r1, %nobody, %r3;", "nobody"},
        {"    add.u32 %r1, %r2, %r3", "expected"},
        {"    bra NOWHERE;", "NOWHERE"},
        {"    ld.global.u32 %r1, [nothing];", "nothing"},
        {"    mov.u32 %r1, \"text\";", ""},
        {"    call (%r1), nobody, (%r2);", "nobody"},
        {"    tex.2d.v4.f32.s32 {%r1,%r2,%r3,%r4}, [t, {%r1,%r2}];", ""},
        {"    .shared .b8 huge[99999999999999999999];", ""},
        {"    {", ""},
        {"    @%r1 add.u32 %r1, %r2, %r3;", ""},
        {"    mma.sync.aligned.m8n8k999.row.col.s32.s8.s8.s32 {%r1}, {%r1}, "
         "{%r1}, {%r1};",
         "m8n8k999"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024];
        struct emulate_result r;
        snprintf(text, sizeof text,
                 ".version 7.8\n.target sm_80\n.address_size 64\n"
                 ".visible .entry kernel()\n{\n    .reg .b32 %%r<8>;\n"
                 "%s\n    ret;\n}\n",
                 bad[i].line);
        write_text("bad.ptx", text);
        emulate_line(&r, "emulate $TMP/bad.ptx --grid 1 --block 1", folder);
        if (r.status != 2 || !strstr(r.err, bad[i].says) ||
            !strstr(r.err, "bad.ptx:"))
            fail_msg("%s: exit %d: %s", bad[i].line, r.status, r.err);
        emulate_release(&r);
    }
}

static void errors_are_json_where_asked(void **state)
{
    (void)state;
    struct emulate_result r;
    emulate_line(&r, "emulate $TMP/none.ptx --json --grid 1 --block 1", folder);
    assert_int_equal(r.status, 2);
    assert_int_equal(strncmp(r.err, "{\"error\":", 9), 0);
    emulate_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_printed_one_line_each),
        cmocka_unit_test(files_are_raw_little_endian),
        cmocka_unit_test(json_is_one_object),
        cmocka_unit_test(floats_keep_infinities_nan_and_signs),
        cmocka_unit_test(u64_above_the_signed_range_stays_exact),
        cmocka_unit_test(lists_are_printed_without_a_file),
        cmocka_unit_test(findings_set_the_status_and_name_the_line),
        cmocka_unit_test(schedules_and_threads_change_nothing),
        cmocka_unit_test(what_cannot_be_taken_exits_with_2_and_says_why),
        cmocka_unit_test(bad_ptx_is_refused_with_its_line),
        cmocka_unit_test(errors_are_json_where_asked),
    };
    return cmocka_run_group_tests(tests, make_files, NULL);
}
