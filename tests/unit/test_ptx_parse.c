/* test_ptx_parse.c -- the PTX parser: grammar, scopes, errors, hostile text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buffer.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/ptx.h"

#define HEAD ".version 8.7\n.target sm_90a\n.address_size 64\n"
#define BODY(text) \
    HEAD ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n" text "\n}\n"

static struct ptx_module *parse(const char *text)
{
    struct ptx_module *module = NULL;
    struct tsr_error err = {0};
    int status = ptx_module_parse(&module, text, strlen(text), "t.ptx", &err);
    if (status)
        fail_msg("%s", err.text);
    return module;
}

static const struct ptx_function *entry(const struct ptx_module *module)
{
    const struct ptx_function *f = ptx_module_function(module, "k");
    assert_non_null(f);
    return f;
}

/* The text must be refused, with `expected` in the message. */
static void refuse(const char *text, const char *expected)
{
    struct ptx_module *module = NULL;
    struct tsr_error err = {0};
    int status = ptx_module_parse(&module, text, strlen(text), "t.ptx", &err);
    assert_int_equal(status, TSR_EFORMAT);
    assert_null(module);
    if (!strstr(err.text, expected))
        fail_msg("'%s' lacks '%s'", err.text, expected);
}

/* -- printing a function back, so that text stands beside text ------------ */

static void print_operand(struct tsr_buffer *out, const struct ptx_function *f,
                          const struct ptx_operand *o);

static void print_elements(struct tsr_buffer *out, const struct ptx_function *f,
                           const struct ptx_operand *o, int first)
{
    for (int i = first; i < o->count; i++) {
        tsr__buffer_addf(out, "%s", i ? ", " : "");
        print_operand(out, f, &o->element[i]);
    }
}

static void print_address(struct tsr_buffer *out, const struct ptx_function *f,
                          const struct ptx_operand *o)
{
    tsr__buffer_addf(out, "[");
    print_operand(out, f, &o->element[0]);
    if (o->offset)
        tsr__buffer_addf(out, "%+lld", (long long)o->offset);
    print_elements(out, f, o, 1);
    tsr__buffer_addf(out, "]");
}

static void print_operand(struct tsr_buffer *out, const struct ptx_function *f,
                          const struct ptx_operand *o)
{
    switch (o->kind) {
    case PTX_OPERAND_REGISTER:
        tsr__buffer_addf(out, "%s%s%s%s", o->negated ? "!" : "",
                         f->registers[o->reg].name, o->name ? "." : "",
                         o->name ? o->name : "");
        break;
    case PTX_OPERAND_IMMEDIATE:
        tsr__buffer_addf(out, "%llx:%s", (unsigned long long)o->bits,
                         ptx_type_name(o->immediate_type));
        break;
    case PTX_OPERAND_VARIABLE:
        tsr__buffer_addf(out, "&%s", o->variable->name);
        if (o->offset)
            tsr__buffer_addf(out, "%+lld", (long long)o->offset);
        break;
    case PTX_OPERAND_LABEL:
        tsr__buffer_addf(out, "->%d", o->target);
        break;
    case PTX_OPERAND_SPECIAL:
    case PTX_OPERAND_FUNCTION:
        tsr__buffer_addf(out, "%s", o->name);
        break;
    case PTX_OPERAND_SINK:
        tsr__buffer_addf(out, "_");
        break;
    case PTX_OPERAND_ADDRESS:
        print_address(out, f, o);
        break;
    case PTX_OPERAND_VECTOR:
    case PTX_OPERAND_LIST:
        tsr__buffer_addf(out, o->kind == PTX_OPERAND_LIST ? "(" : "{");
        print_elements(out, f, o, 0);
        tsr__buffer_addf(out, o->kind == PTX_OPERAND_LIST ? ")" : "}");
        break;
    }
}

static void print_instruction(struct tsr_buffer *out,
                              const struct ptx_function *f,
                              const struct ptx_instruction *in)
{
    if (in->guard >= 0)
        tsr__buffer_addf(out, "@%s%s ", in->guard_negated ? "!" : "",
                         f->registers[in->guard].name);
    tsr__buffer_addf(out, "%s", in->opcode);
    for (int i = 0; i < in->operand_count; i++) {
        tsr__buffer_addf(out, "%s",
                         i == 0                      ? " "
                         : in->pair && in->pair == i ? "|"
                                                     : ", ");
        print_operand(out, f, &in->operand[i]);
    }
    tsr__buffer_addf(out, "\n");
}

/* The body of `text`'s entry, printed, must be `expected`. */
static void check_body(const char *text, const char *expected)
{
    struct ptx_module *module = parse(text);
    const struct ptx_function *f = entry(module);
    struct tsr_buffer out = TSR_BUFFER_INIT;
    for (int i = 0; i < f->instruction_count; i++)
        print_instruction(&out, f, &f->instructions[i]);
    assert_string_equal(out.data ? out.data : "", expected);
    tsr__buffer_release(&out);
    ptx_module_free(module);
}

/* -- grammar -------------------------------------------------------------- */

static void parser_reads_module_directives(void **state)
{
    (void)state;
    struct ptx_module *m =
        parse("// comment\n/* two\nlines */ .version 7.1\n"
              ".target sm_80, texmode_independent\n.address_size 64\n"
              ".file 1 \"a b.cu\", 123, 456\n"
              ".pragma \"nounroll\";\n"
              ".section .debug_str { \n$L: .b8 1,2\n.b32 $L-$L }\n"
              ".extern .func (.param .b32 r) vprintf(.param .b64 a, "
              ".param .b64 b);\n");
    assert_int_equal(m->version, 71);
    assert_string_equal(m->target, "sm_80");
    assert_int_equal(m->address_size, 64);
    assert_string_equal(ptx_module_file(m, 1), "a b.cu");
    assert_null(ptx_module_file(m, 2));
    assert_true(ptx_module_function(m, "vprintf")->is_declaration);
    assert_int_equal(ptx_module_function(m, "vprintf")->parameter_count, 2);
    ptx_module_free(m);
}

static void parser_reads_parameters_and_bounds(void **state)
{
    (void)state;
    struct ptx_module *m =
        parse(HEAD ".visible .entry k(\n.param .u64 .ptr .global .align 16 a,\n"
                   ".param .align 64 .b8 map[128],\n.param .f32 s)\n"
                   ".maxntid 128, 2\n.minnctapersm 2\n.reqntid 64, 1, 1\n"
                   ".maxnreg 40 .explicitcluster .reqnctapercluster 2, 1, 1\n"
                   "{ ret; }\n");
    const struct ptx_function *f = entry(m);
    assert_int_equal(f->parameter_count, 3);
    assert_int_equal(f->parameters[0].align, 8);
    assert_int_equal(f->parameters[1].align, 64);
    assert_int_equal(f->parameters[1].bytes, 128);
    assert_int_equal(f->parameters[2].type, PTX_F32);
    assert_int_equal(f->max_ntid[0], 64);
    assert_true(f->is_reqntid);
    ptx_module_free(m);
}

static void parser_reads_every_kind_of_operand(void **state)
{
    (void)state;
    check_body(BODY(".reg .pred %p<4>; .reg .b32 %r<9>; .reg .b64 %rd<4>;\n"
                    ".reg .v4 .f32 acc; .shared .align 16 .b8 tile[64];\n"
                    "mov.u32 %r1, %tid.x;\n"
                    "ld.global.v2.u32 {%r1, _}, [%rd1+16];\n"
                    "ld.shared.u32 %r2, [tile + 8];\n"
                    "st.shared.u32 [tile-4], -1;\n"
                    "st.global.u32 [%rd1+-8], 0x10U;\n"
                    "mov.u32 %r3, tile+4;\n"
                    "setp.eq.and.u32 %p1|%p2, %r1, %r2, !%p3;\n"
                    "@!%p1 mov.f32 acc.x, 0f3F800000;\n"
                    "mov.v4.f32 acc, {acc.y, acc.z, acc.w, 1.5};\n"
                    "cp.async.bulk.tensor.2d.shared::cluster.global [%r1], "
                    "[%rd1, {%r1, %r2}], [%r3];\n"
                    "vadd.s32.s32.s32 %r1, %r2.h1, %r3.b0;\n"
                    "ld.param.u64 %rd2, [p];\n"
                    "mov.u32 %r4, WARP_SZ;\n"
                    "ld .global .u32 %r5 , [ %rd2 + 0 ] ;\n"
                    "ld.local.u32 %r6, [16];"),
               "mov.u32 %r1, %tid.x\n"
               "ld.global.v2.u32 {%r1, _}, [%rd1+16]\n"
               "ld.shared.u32 %r2, [&tile+8]\n"
               "st.shared.u32 [&tile-4], ffffffffffffffff:s64\n"
               "st.global.u32 [%rd1-8], 10:u64\n"
               "mov.u32 %r3, &tile+4\n"
               "setp.eq.and.u32 %p1|%p2, %r1, %r2, !%p3\n"
               "@!%p1 mov.f32 acc.x, 3f800000:f32\n"
               "mov.v4.f32 {acc.x, acc.y, acc.z, acc.w}, "
               "{acc.y, acc.z, acc.w, 3ff8000000000000:f64}\n"
               "cp.async.bulk.tensor.2d.shared::cluster.global [%r1], "
               "[%rd1, {%r1, %r2}], [%r3]\n"
               "vadd.s32.s32.s32 %r1, %r2.h1, %r3.b0\n"
               "ld.param.u64 %rd2, [&p]\n"
               "mov.u32 %r4, 20:s64\n"
               "ld.global.u32 %r5, [%rd2]\n"
               "ld.local.u32 %r6, [10:s64]\n");
}

static void parser_evaluates_constants(void **state)
{
    (void)state;
    check_body(BODY(".reg .b64 x; .reg .f64 d;\n"
                    "mov.b64 x, 0b1011;\nmov.b64 x, 017;\nmov.b64 x, 1+2*3;\n"
                    "mov.b64 x, (1+2)*3;\nmov.b64 x, -(7/2) - -1;\n"
                    "mov.b64 x, ~0x0F & 0xFFU;\nmov.b64 x, 1 << 4 | 3;\n"
                    "mov.b64 x, 3 > 2 ? 7 % 4 : 9;\nmov.b64 x, !0;\n"
                    "mov.b64 x, 0xFFFFFFFFFFFFFFFF;\n"
                    "mov.f64 d, 0d4000000000000000;\nmov.f64 d, 1e2;\n"
                    "mov.f64 d, -0.5;\nmov.f64 d, -0f3F800000;\n"
                    "mov.b64 x, (.s64)5;"),
               "mov.b64 x, b:s64\nmov.b64 x, f:s64\nmov.b64 x, 7:s64\n"
               "mov.b64 x, 9:s64\nmov.b64 x, fffffffffffffffe:s64\n"
               "mov.b64 x, f0:u64\nmov.b64 x, 13:s64\n"
               "mov.b64 x, 3:s64\nmov.b64 x, 1:s64\n"
               "mov.b64 x, ffffffffffffffff:u64\n"
               "mov.f64 d, 4000000000000000:f64\n"
               "mov.f64 d, 4059000000000000:f64\n"
               "mov.f64 d, bfe0000000000000:f64\n"
               "mov.f64 d, bf800000:f32\nmov.b64 x, 5:s64\n");
}

static void parser_keeps_labels_and_registers_of_scopes_apart(void **state)
{
    (void)state;
    check_body(BODY(".reg .b32 %r<4>; .reg .pred %p1;\n"
                    "{ .reg .pred p; .reg .b32 %r1;\nW:\n"
                    "setp.eq.u32 p, %r1, %r2;\n@p bra W;\n}\n"
                    "{ .reg .pred p;\nW:\nsetp.ne.u32 p, %r1, %r2;\n"
                    "@!p bra D;\nbra.uni W;\nD:\n}\nbra END;\nEND:\nret;"),
               "setp.eq.u32 p, %r1, %r2\n@p bra ->0\n"
               "setp.ne.u32 p, %r1, %r2\n@!p bra ->5\nbra.uni ->2\n"
               "bra ->6\nret\n");
    struct ptx_module *m =
        parse(BODY(".reg .b32 %r<4>;\nmov.b32 %r1, 0;\n"
                   "{ .reg .b64 %r1; mov.b64 %r1, 0; }\nmov.b32 %r1, 1;"));
    const struct ptx_instruction *in = entry(m)->instructions;
    assert_int_equal(in[0].operand[0].reg, in[2].operand[0].reg);
    assert_int_not_equal(in[0].operand[0].reg, in[1].operand[0].reg);
    assert_int_equal(entry(m)->registers[in[1].operand[0].reg].type, PTX_B64);
    ptx_module_free(m);
}

static void the_inner_declaration_hides_the_outer_one(void **state)
{
    (void)state;
    struct ptx_module *m =
        parse(BODY(".reg .b32 %r1;\nmov.b32 %r1, 0;\n"
                   "{ .reg .b64 %r<4>; mov.b64 %r1, 0; }\nmov.b32 %r1, 1;"));
    const struct ptx_function *f = entry(m);
    const struct ptx_instruction *in = f->instructions;
    assert_int_equal(f->registers[in[0].operand[0].reg].type, PTX_B32);
    assert_int_equal(f->registers[in[1].operand[0].reg].type, PTX_B64);
    assert_int_equal(in[2].operand[0].reg, in[0].operand[0].reg);
    ptx_module_free(m);
    m = parse(HEAD ".func f(.param .b32 f) { ret; }\n");
    assert_int_equal(m->function_count, 1);
    ptx_module_free(m);
    check_body(HEAD ".func f(.param .b32 f) { ret; }\n"
                    ".entry k() { .reg .b64 a; mov.b64 a, f; }\n",
               "mov.b64 a, f\n");
}

static void parser_reads_calls(void **state)
{
    (void)state;
    check_body(HEAD
               ".func (.param .b32 out) f(.param .b32 a, .param .b64 b);\n"
               ".func g { ret; }\n"
               ".visible .entry k()\n{\n.reg .b32 %r<2>; .reg .b64 %rd<2>;\n"
               "{\n.param .b32 p0; .param .b64 p1; .param .b32 r0;\n"
               "st.param.b32 [p0+0], %r1;\n"
               "call.uni (r0), f, (p0, p1);\nld.param.b32 %r1, [r0];\n}\n"
               "call g;\n"
               "P: .callprototype (.param .b32 _) _ (.param .b64 _);\n"
               "call (%r1), %rd1, (%rd1), P;\n}\n",
               "st.param.b32 [&p0], %r1\ncall.uni (&r0), f, (&p0, &p1)\n"
               "ld.param.b32 %r1, [&r0]\ncall g\n"
               "call (%r1), %rd1, (%rd1), ->-1\n");
}

static void parser_turns_branch_tables_into_lists(void **state)
{
    (void)state;
    check_body(BODY(".reg .b32 %r1;\nT: .branchtargets A, B, A;\n"
                    "brx.idx %r1, T;\nA: mov.u32 %r1, 1;\nB: ret;"),
               "brx.idx %r1, (->1, ->2, ->1)\nmov.u32 %r1, 1:s64\nret\n");
}

static void parser_lowers_an_offset_behind_a_value(void **state)
{
    (void)state;
    check_body(BODY(".reg .b32 %r<3>;\nadd.u32 %r0, %r1+1, %r2;"),
               "add.u32 %r1, %r1, 1:s64\nadd.u32 %r0, %r1, %r2\n");
    struct ptx_module *m =
        parse(BODY(".reg .b32 %r<3>;\nadd.u32 %r0, %r1+1, %r2;"));
    const struct ptx_function *f = entry(m);
    assert_true(f->instructions[0].synthetic);
    assert_int_equal(f->instructions[0].operand[0].reg,
                     f->instructions[1].operand[1].reg);
    assert_int_not_equal(f->instructions[0].operand[0].reg,
                         f->instructions[0].operand[1].reg);
    ptx_module_free(m);
}

static void parser_remembers_template_lines(void **state)
{
    (void)state;
    struct ptx_module *m =
        parse(HEAD ".file 2 \"t.cu\"\n.entry k()\n{\n.reg .b32 r;\n"
                   "mov.b32 r, 0;\n.loc 2 17 5\nmov.b32 r, 1;\n"
                   ".loc 2 18 5, function_name $L, inlined_at 2 3 4\n"
                   "mov.b32 r, 2;\n}\n");
    const struct ptx_instruction *in = entry(m)->instructions;
    assert_int_equal(in[0].loc_file, 0);
    assert_int_equal(in[1].loc_file, 2);
    assert_int_equal(in[1].loc_line, 17);
    assert_int_equal(in[2].loc_line, 18);
    assert_int_equal(in[0].line, 8);
    assert_int_equal(in[2].line, 12);
    ptx_module_free(m);
}

/* -- variables ------------------------------------------------------------ */

static const struct ptx_variable *find_variable(const struct ptx_module *m,
                                                const char *name)
{
    for (int i = 0; i < m->variable_count; i++)
        if (strcmp(m->variables[i]->name, name) == 0)
            return m->variables[i];
    fail_msg("no variable %s", name);
    return NULL;
}

static void parser_fills_initialisers(void **state)
{
    (void)state;
    struct ptx_module *m = parse(
        HEAD ".const .u16 a[2][3] = {{1}, {2, 3}};\n"
             ".global .align 8 .f32 f[] = {1.0, 0f40000000, 3};\n"
             ".global .f64 d = 0f3F800000;\n"
             ".global .v2 .u8 v[2] = {{1, 2}, {3, 4}};\n"
             ".visible .global .b8 s[3];\n.extern .shared .align 16 .b8 x[];\n"
             ".extern .shared .align 16 .b8 y[64];\n");
    static const uint16_t a[6] = {1, 0, 0, 2, 3, 0};
    static const float f[3] = {1.0f, 2.0f, 3.0f};
    static const double d = 1.0;
    static const uint8_t v[4] = {1, 2, 3, 4};
    assert_memory_equal(find_variable(m, "a")->image, a, sizeof a);
    assert_int_equal(find_variable(m, "f")->bytes, 12);
    assert_int_equal(find_variable(m, "f")->align, 8);
    assert_memory_equal(find_variable(m, "f")->image, f, sizeof f);
    assert_memory_equal(find_variable(m, "d")->image, &d, sizeof d);
    assert_memory_equal(find_variable(m, "v")->image, v, sizeof v);
    assert_null(find_variable(m, "s")->image);
    assert_int_equal(find_variable(m, "x")->bytes, 0);
    assert_true(find_variable(m, "x")->is_extern);
    assert_int_equal(find_variable(m, "y")->bytes, 64);
    ptx_module_free(m);
}

static void parser_records_addresses_in_initialisers(void **state)
{
    (void)state;
    struct ptx_module *m =
        parse(HEAD ".func g { ret; }\n.global .u32 t[4];\n"
                   ".global .u64 p[3] = {t+8, generic(t), g};\n"
                   ".global .u8 b[2] = {0xFF(t), 0xFF00(t)};\n");
    const struct ptx_relocation *p = find_variable(m, "p")->relocation;
    assert_int_equal(find_variable(m, "p")->relocation_count, 3);
    assert_ptr_equal(p[0].variable, find_variable(m, "t"));
    assert_int_equal(p[0].addend, 8);
    assert_int_equal(p[1].offset, 8);
    assert_true(p[1].generic);
    assert_null(p[2].variable);
    assert_string_equal(p[2].name, "g");
    const struct ptx_relocation *b = find_variable(m, "b")->relocation;
    assert_int_equal(b[0].shift, 0);
    assert_int_equal(b[1].shift, 8);
    assert_int_equal(b[1].bytes, 1);
    ptx_module_free(m);
}

static void a_definition_replaces_its_extern_declaration(void **state)
{
    (void)state;
    struct ptx_module *m = parse(
        HEAD ".extern .global .u32 t[4];\n"
             ".global .u32 t[4] = {7};\n"
             ".func f(.param .b32 f);\n.func f(.param .b32 f) { ret; }\n");
    assert_int_equal(m->variable_count, 1);
    assert_false(m->variables[0]->is_extern);
    assert_int_equal(m->variables[0]->image[0], 7);
    assert_int_equal(m->function_count, 1);
    assert_false(m->functions[0].is_declaration);
    ptx_module_free(m);
}

/* -- errors --------------------------------------------------------------- */

static void errors_name_line_and_reason(void **state)
{
    (void)state;
    refuse("", "t.ptx:1: expected .version first");
    refuse("hello", "t.ptx:1: expected .version");
    refuse(".version 8.7\n", "no .target");
    refuse(".version 8.7\n.target sm_80\n.address_size 32\n", "t.ptx:3: ");
    refuse(BODY("mov.u32 %r1, 0;"), "t.ptx:6: '%r1' is not declared");
    refuse(BODY(".reg .b32 %r<4>;\nmov.u32 %r4, 0;"), "'%r4' is not declared");
    refuse(BODY(".reg .b32 %r<4>;\nmov.u32 %r01, 0;"), "'%r01'");
    refuse(BODY("bra nowhere;"), "t.ptx:6: label 'nowhere'");
    refuse(BODY("{ L: }\nbra L;"), "label 'L'");
    refuse(BODY("L:\nL:\n"), "twice");
    refuse(BODY(".reg .b32 a; .reg .b64 a;"), "twice");
    refuse(BODY(".reg .b33 a;"), "'.b33'");
    refuse(BODY(".frobnicate;"), "'.frobnicate' is unknown");
    refuse(BODY("ret"), "expected");
    refuse(BODY("ret;") "}", "expected a directive");
    refuse(HEAD ".entry k() { ret;", "the text ends inside function 'k'");
    refuse(BODY(".reg .b32 a; @a ret;"), "needs a .pred");
    refuse(BODY(".reg .b32 a; mov.b32 a, 0xFFFFFFFFFFFFFFFFF;"), "64 bits");
    refuse(BODY(".reg .b32 a; mov.b32 a, 0f123;"), "8 hexadecimal digits");
    refuse(BODY(".reg .b32 a; mov.b32 a, 1/0;"), "division by zero");
    refuse(HEAD "/* open", "not closed");
    refuse(HEAD ".file 1 \"open\n", "not closed");
    refuse(HEAD ".global .u32 x[2] = {1,2,3};", "more initialisers");
    refuse(HEAD ".global .u32 x[];", "has no size");
    refuse(HEAD ".global .u32 x[-1];", "positive");
    refuse(HEAD ".global .align 3 .u32 x;", "power of two");
    refuse(HEAD ".shared .u32 x = 3;", "only .global and .const");
    refuse(HEAD ".global .u32 x = 1.5;", "floating-point value");
    refuse(HEAD ".func f { ret; }\n.func f { ret; }", "defined twice");
    refuse(HEAD "\x80", "0x80");
}

static void hostile_sizes_are_refused(void **state)
{
    (void)state;
    refuse(BODY(".reg .b32 %r<4000000000>;"), "a number up to");
    refuse(HEAD ".global .u64 x[0x7fffffffffffffff][0x7fffffff];", "2^40");
    refuse(HEAD ".global .u64 x[][1000000][10000000];", "2^40");
    refuse(HEAD ".global .u8 x[1000000000] = {1};", "bytes of initialisers");
    refuse(BODY(".reg .b32 %r<9>; mov.b32 %r1, {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"
                "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"
                "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"),
           "nested deeper");
}

static char *repeat(const char *head, const char *unit, int count,
                    const char *tail)
{
    struct tsr_buffer b = TSR_BUFFER_INIT;
    tsr__buffer_addf(&b, "%s", head);
    for (int i = 0; i < count; i++)
        tsr__buffer_add(&b, unit, strlen(unit));
    tsr__buffer_addf(&b, "%s", tail);
    return tsr__buffer_detach(&b, NULL);
}

/* Each of these would take minutes if anything were quadratic. */
static void long_texts_take_linear_time(void **state)
{
    (void)state;
    char *scopes = repeat(HEAD ".entry k() {", "{", 100000, "");
    refuse(scopes, "nested deeper");
    tsr__free(scopes);
    char *labels = repeat(HEAD ".entry k() {", "{ bra L; } ", 100000, "L: }");
    ptx_module_free(parse(labels));
    tsr__free(labels);
    char *registers =
        repeat(HEAD ".entry k() {",
               "{ .reg .b32 %r<1000000>; mov.b32 %r999999, 1; }", 50000, "}");
    struct ptx_module *m = parse(registers);
    assert_int_equal(entry(m)->register_count, 50000);
    ptx_module_free(m);
    tsr__free(registers);
    char *loops = repeat(HEAD ".entry k() { .reg .pred p; L: ", "@p bra L;\n",
                         100000, "}");
    ptx_module_free(parse(loops));
    tsr__free(loops);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *text = BODY(".reg .b32 %r<9>; .reg .pred q;\nA:\n"
                            "add.u32 %r1, %r2, 3;\n@q bra A;\nret;");
    for (long n = 1;; n++) {
        struct ptx_module *module = NULL;
        struct tsr_error err = {0};
        tsr__memory_fail_after(n, 0);
        int status =
            ptx_module_parse(&module, text, strlen(text), "t.ptx", &err);
        tsr__memory_fail_after(0, 0);
        if (status == 0) {
            ptx_module_free(module);
            assert_true(n > 3);
            return;
        }
        assert_int_equal(status, TSR_EMEMORY);
        assert_true(n < 1000);
    }
}

/* Every prefix of a real kernel is refused or taken, never a crash. */
static void every_prefix_is_handled(void **state)
{
    (void)state;
    struct tsr_error err = {0};
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(tsr__file_read("tests/data/ptx/gemm.sm_100a.ptx", 1 << 20,
                                    &text, &size, &err),
                     0);
    for (size_t cut = 0; cut < size; cut += 37) {
        struct ptx_module *module = NULL;
        if (ptx_module_parse(&module, text, cut, "cut.ptx", NULL) == 0)
            ptx_module_free(module);
    }
    tsr__free(text);
}

/* -- corpus --------------------------------------------------------------- */

static int ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n > e && strcmp(name + n - e, end) == 0;
}

static void the_corpus_of_both_dialects_is_taken(void **state)
{
    (void)state;
    DIR *dir = opendir("tests/data/ptx");
    int files = 0;
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[512];
        char *text = NULL;
        size_t size = 0;
        struct tsr_error err = {0};
        struct ptx_module *module = NULL;
        if (!ends_with(e->d_name, ".ptx"))
            continue;
        snprintf(path, sizeof path, "tests/data/ptx/%s", e->d_name);
        if (tsr__file_read(path, 1 << 20, &text, &size, &err) ||
            ptx_module_parse(&module, text, size, path, &err))
            fail_msg("%s", err.text);
        for (int i = 0; i < module->function_count; i++)
            assert_int_equal(module->functions[i].irregular, 0);
        ptx_module_free(module);
        tsr__free(text);
        files++;
    }
    closedir(dir);
    assert_true(files >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_reads_module_directives),
        cmocka_unit_test(parser_reads_parameters_and_bounds),
        cmocka_unit_test(parser_reads_every_kind_of_operand),
        cmocka_unit_test(parser_evaluates_constants),
        cmocka_unit_test(parser_keeps_labels_and_registers_of_scopes_apart),
        cmocka_unit_test(the_inner_declaration_hides_the_outer_one),
        cmocka_unit_test(parser_reads_calls),
        cmocka_unit_test(parser_turns_branch_tables_into_lists),
        cmocka_unit_test(parser_lowers_an_offset_behind_a_value),
        cmocka_unit_test(parser_remembers_template_lines),
        cmocka_unit_test(parser_fills_initialisers),
        cmocka_unit_test(parser_records_addresses_in_initialisers),
        cmocka_unit_test(a_definition_replaces_its_extern_declaration),
        cmocka_unit_test(errors_name_line_and_reason),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(long_texts_take_linear_time),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_prefix_is_handled),
        cmocka_unit_test(the_corpus_of_both_dialects_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
