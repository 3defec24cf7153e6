/* test_template.c -- the template language: translation, and what a family's
** author reads when something is wrong. */
#include "tests/unit/host.h"

static struct gen_template translated;

static int translate(const char *text, enum gen_template_kind kind,
                     struct tsr_error *err)
{
    gen_template_release(&translated);
    return gen_template_translate(&translated, "templates/x",
                                  (const unsigned char *)text, strlen(text),
                                  kind, err);
}

static void assert_lua(const char *text, const char *lua)
{
    struct tsr_error err;
    if (translate(text, GEN_TEMPLATE, &err))
        fail_msg("%s", err.text);
    assert_string_equal(translated.lua.data, lua);
    gen_template_release(&translated);
}

static void assert_refused(const char *text, enum gen_template_kind kind,
                           const char *message)
{
    struct tsr_error err;
    assert_int_equal(translate(text, kind, &err), TSR_EFORMAT);
    assert_string_equal(err.text, message);
    gen_template_release(&translated);
}

static void every_line_becomes_the_same_line_of_lua(void **state)
{
    (void)state;
    assert_lua("int x;\n"
               "% if bias then\n"
               "y = ${a}*${b};\n"
               "% end\n"
               "\n"
               "last",
               ";emit(1,\"int x;\")\n"
               "  if bias then\n"
               ";emit(3,\"y = \",hole(\"a\",a),\"*\",hole(\"b\",b),\";\")\n"
               "  end\n"
               ";emit(5)\n"
               ";emit(6,\"last\")\n");
}

static void text_is_quoted_byte_for_byte(void **state)
{
    (void)state;
    assert_lua("\ta\\b\"c\" $x {y} 100% \x01",
               ";emit(1,\"\\009a\\\\b\\\"c\\\" $x {y} 100% \\001\")\n");
}

static void a_carriage_return_before_a_newline_is_dropped(void **state)
{
    (void)state;
    assert_lua("a\r\n% x()\r\nb\rc\n",
               ";emit(1,\"a\")\n  x()\n;emit(3,\"b\\013c\")\n");
}

static void a_malformed_hole_is_an_error_with_its_line(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\n${",     "a\n${}",  "a\n${x",
                                        "a\n${x y}", "a\n${1}", "a\n${a.b}",
                                        "a\n${x\n}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], GEN_TEMPLATE,
                       "templates/x:2: a hole is ${name}, a name of letters, "
                       "digits and underscores");
    assert_refused("${end}", GEN_TEMPLATE,
                   "templates/x:1: 'end' is a reserved word and cannot name a "
                   "hole");
}

static void an_included_file_has_no_holes(void **state)
{
    (void)state;
    assert_refused("a\nb ${x};\n", GEN_TEMPLATE_LIBRARY,
                   "templates/x:2: an included file has no holes; pass "
                   "'${x};' in from the template");
}

static void a_nul_byte_is_an_error(void **state)
{
    (void)state;
    struct tsr_error err;
    assert_int_equal(gen_template_translate(&translated, "templates/x",
                                            (const unsigned char *)"a\nb\0c", 5,
                                            GEN_TEMPLATE, &err),
                     TSR_EFORMAT);
    assert_string_equal(err.text, "templates/x:2: a NUL byte");
    gen_template_release(&translated);
}

static void uses_are_holes_and_names_in_lua_lines(void **state)
{
    (void)state;
    struct tsr_error err;
    static const char *const used[] = {"a", "b1", "c", "d_", "e", "f", "g"};
    static const char *const unused[] = {"x", "y",    "z", "w", "E1", "v",
                                         "u", "text", "b", "",  "\n"};
    assert_int_equal(translate("${a} text $u {v}\n"
                               "% if b1 == 'x' .. c then -- y\n"
                               "% local t = d_.z + 0xw .. e .. \"\\\"x\" 1E1\n"
                               "% f(g)\n",
                               GEN_TEMPLATE, &err),
                     0);
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        assert_true(gen_template_uses(&translated, used[i]));
    for (size_t i = 0; i < sizeof unused / sizeof *unused; i++)
        if (gen_template_uses(&translated, unused[i]))
            fail_msg("'%s' counts as used", unused[i]);
    gen_template_release(&translated);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct tsr_error err;
    for (int n = 1; n < 4; n++) {
        gen_template_release(&translated);
        tsr__memory_fail_after(n, 1);
        int rc = translate("${a}\n% b()\nccc\n", GEN_TEMPLATE, &err);
        tsr__memory_fail_after(0, 0);
        assert_true(rc == 0 || rc == TSR_EMEMORY);
        assert_true(n > 1 || rc == TSR_EMEMORY);
    }
    gen_template_release(&translated);
}

/* ---- rendering ----------------------------------------------------------- */

static char directory[256];

/* Renders `text` as templates/t with the holes of a Lua table constructor.
** Returns the text, or the error's; malloc'ed. */
static char *render_with(const char *text, const char *holes,
                         const char *library)
{
    char script[1000], *copy;
    struct tsr_error err;
    json_t *result;
    make_directory(directory);
    snprintf(script, sizeof script,
             "local host = require('host')\n"
             "return { run = function()\n"
             "  local text, hash = host.render('t', %s)\n"
             "  return { text = text, hash = hash }\nend }",
             holes);
    put_file(directory, "gen/lua/main.lua", script);
    put_file(directory, "templates/t", text);
    put_file(directory, "templates/lib/l.cuh", library);
    struct gen_host *host = open_host(directory);
    host->user_scripts = 0;
    if (gen_host_call(host, "run", NULL, &result, &err)) {
        copy = strdup(err.text);
    } else {
        copy = strdup(text_field(result, "text"));
        json_decref(result);
    }
    gen_host_free(host);
    remove_directory(directory);
    return copy;
}

static void assert_rendered(const char *text, const char *holes,
                            const char *wanted)
{
    char *got = render_with(text, holes, "// lib\nint l;\n");
    assert_string_equal(got, wanted);
    free(got);
}

static void assert_error(const char *text, const char *holes, const char *part)
{
    char *got = render_with(text, holes, "int l;\n% include 'lib/l.cuh'\n");
    assert_contains(got, part);
    free(got);
}

static void scalars_fill_holes(void **state)
{
    (void)state;
    assert_rendered("${a} ${b} ${c} ${d} ${e} ${f}\n",
                    "{ a = 7, b = -3, c = 'half', d = true, e = 16 / 2,"
                    " f = math.mininteger }",
                    "#line 1 \"templates/t\"\n"
                    "7 -3 half true 8 -9223372036854775808\n");
}

static void a_loop_unrolls_and_names_the_lines_it_repeats(void **state)
{
    (void)state;
    assert_rendered("a\n"
                    "% for i = 0, n - 1 do\n"
                    "r${i} = ${i};\n"
                    "% end\n"
                    "b\n",
                    "{ n = 2 }",
                    "#line 1 \"templates/t\"\n"
                    "a\n"
                    "\n"
                    "r0 = 0;\n"
                    "#line 3 \"templates/t\"\n"
                    "r1 = 1;\n"
                    "\n"
                    "b\n");
}

static void a_long_gap_becomes_a_line_directive(void **state)
{
    (void)state;
    assert_rendered("a\n%\n%\nb\n%\n%\n%\nc\n", "{}",
                    "#line 1 \"templates/t\"\na\n\n\nb\n"
                    "#line 8 \"templates/t\"\nc\n");
}

static void an_include_appears_once_under_its_own_lines(void **state)
{
    (void)state;
    assert_rendered("a\n% include 'lib/l.cuh'\n% include 'lib/l.cuh'\nb\n",
                    "{}",
                    "#line 1 \"templates/t\"\na\n"
                    "#line 1 \"templates/lib/l.cuh\"\n// lib\nint l;\n"
                    "#line 4 \"templates/t\"\nb\n");
}

static void no_directive_lands_in_a_comment_or_a_macro(void **state)
{
    (void)state;
    assert_rendered("/* one\n%\n%\n%\n two */ // \"/*\"\n"
                    "#define A \\\n%\n 1\n"
                    "char *s = \"/* \\\" /*\";\n%\n%\n%\nd\n",
                    "{}",
                    "#line 1 \"templates/t\"\n"
                    "/* one\n two */ // \"/*\"\n"
                    "#line 6 \"templates/t\"\n"
                    "#define A \\\n 1\n"
                    "\n"
                    "char *s = \"/* \\\" /*\";\n"
                    "#line 13 \"templates/t\"\nd\n");
}

static void a_value_that_is_no_scalar_is_refused(void **state)
{
    (void)state;
    assert_error("a\n${x}\n", "{ x = 0.5 }",
                 "templates/t:2: hole 'x' is 0.5: a hole takes no fraction");
    assert_error("a\n${x}\n", "{ x = {} }",
                 "templates/t:2: hole 'x' is a table");
    assert_error("a\n${x}\n", "{ x = 1e300 }", "takes no fraction");
    assert_error("a\n${x}\n", "{ x = 'a\\nb' }",
                 "templates/t:2: hole 'x': the text for it has more than one");
    assert_error("a\n% local x\n${x}\n", "{}",
                 "templates/t:3: hole 'x' is nil");
}

static void a_hole_nobody_fills_is_an_error_with_its_line(void **state)
{
    (void)state;
    assert_error("a\nb\nint x = ${tiel};\n", "{ tile = 1 }", "templates/t:1");
    assert_error("a\nb\nint x = ${tiel};\n", "{}",
                 "templates/t:3: nobody fills 'tiel'");
    assert_error("a\n% if tiel then\n% end\n", "{}",
                 "templates/t:2: nobody fills 'tiel'");
}

static void a_hole_nobody_uses_is_an_error(void **state)
{
    (void)state;
    assert_error("a ${x}\n", "{ x = 1, zz = 2, yy = 3 }",
                 "templates/t:1: the family fills hole 'yy', which the "
                 "template never uses");
    assert_rendered("% if false then\n${x}\n% end\na\n", "{ x = 1 }",
                    "#line 4 \"templates/t\"\na\n");
}

static void an_error_in_a_lua_line_names_it(void **state)
{
    (void)state;
    assert_error("a\n\n% error('no such tile')\n", "{}",
                 "templates/t:3: no such tile");
    assert_error("a\n\n% local x = nil + 1\n", "{}",
                 "templates/t:3: attempt to perform arithmetic on a nil");
    assert_error("a\n% local x = 1 +\nb\n", "{}", "templates/t:3:");
    assert_error("a\n% if x then\nb\n", "{}", "templates/t:4: 'end' expected");
    assert_error("a\n% return\nb\n", "{}", "templates/t:3:");
    assert_error("a\n% x = 1\n", "{}",
                 "templates/t:2: cannot assign 'x': use a local");
    assert_error("a\n% while true do end\n", "{}",
                 "templates/t:2: script ran over its limit");
    assert_error("% while true do\nabcdefghijklmnopqrstuvwxyz\n% end\n", "{}",
                 "templates/t:2: the emitted text has more than");
}

static void includes_that_cannot_be_are_errors(void **state)
{
    (void)state;
    assert_error("a\n% include 'lib/none.cuh'\n", "{}",
                 "templates/t:2: there is no templates/lib/none.cuh");
    assert_error("a\n% include '../gen/lua/main.lua'\n", "{}",
                 "there is no templates/../gen/lua/main.lua");
    assert_error("a\n% include()\n", "{}", "templates/t:2: bad argument #1");
    char *text = render_with("% include 'lib/l.cuh'\n${x}\n", "{ x = 1 }",
                             "% local y = x\n");
    assert_contains(text, "templates/lib/l.cuh:1: nobody fills 'x'");
    free(text);
}

static void a_long_chain_of_includes_is_stopped(void **state)
{
    (void)state;
    char name[64], text[64];
    struct tsr_error err;
    json_t *result;
    make_directory(directory);
    put_file(directory, "gen/lua/main.lua",
             "return { run = function()\n"
             "  return { x = require('host').render('0', {}) } end }");
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "templates/%d", i);
        snprintf(text, sizeof text, "%% include '%d'\nx\n", i + 1);
        put_file(directory, name, text);
    }
    struct gen_host *host = open_host(directory);
    host->user_scripts = 0;
    assert_int_equal(gen_host_call(host, "run", NULL, &result, &err),
                     TSR_EFORMAT);
    assert_contains(err.text, "templates/");
    assert_contains(err.text, "C stack overflow");
    gen_host_free(host);
    remove_directory(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_becomes_the_same_line_of_lua),
        cmocka_unit_test(text_is_quoted_byte_for_byte),
        cmocka_unit_test(a_carriage_return_before_a_newline_is_dropped),
        cmocka_unit_test(a_malformed_hole_is_an_error_with_its_line),
        cmocka_unit_test(an_included_file_has_no_holes),
        cmocka_unit_test(a_nul_byte_is_an_error),
        cmocka_unit_test(uses_are_holes_and_names_in_lua_lines),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(scalars_fill_holes),
        cmocka_unit_test(a_loop_unrolls_and_names_the_lines_it_repeats),
        cmocka_unit_test(a_long_gap_becomes_a_line_directive),
        cmocka_unit_test(an_include_appears_once_under_its_own_lines),
        cmocka_unit_test(no_directive_lands_in_a_comment_or_a_macro),
        cmocka_unit_test(a_value_that_is_no_scalar_is_refused),
        cmocka_unit_test(a_hole_nobody_fills_is_an_error_with_its_line),
        cmocka_unit_test(a_hole_nobody_uses_is_an_error),
        cmocka_unit_test(an_error_in_a_lua_line_names_it),
        cmocka_unit_test(includes_that_cannot_be_are_errors),
        cmocka_unit_test(a_long_chain_of_includes_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
