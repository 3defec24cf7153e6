/* test_sandbox.c -- scripts that loop, hoard or look where they should not.
**
** One test for each line of the table in gen/host/lua_host.h. Every attack
** runs in this process: if the sandbox does not stop it, the alarm ends the
** test. */
#include "tests/unit/host.h"

/* The body must be stopped by an error that contains `part`. */
static void assert_stopped(const char *body, const char *part)
{
    struct gen_host *host = host_running(body);
    alarm(120);
    assert_contains(refusal(host, "run", "{}")->text, part);
    alarm(0);
    gen_host_free(host);
}

/* The body must return {value = expected}. */
static void assert_value(const char *body, const char *expected)
{
    struct gen_host *host = host_running(body);
    json_t *result = call(host, "run", "{}");
    assert_string_equal(text_field(result, "value"), expected);
    json_decref(result);
    gen_host_free(host);
}

static void a_tight_loop_is_stopped(void **state)
{
    (void)state;
    assert_stopped("while true do end", "limit of 20 million instructions");
    assert_stopped("while true do end", "gen/lua/main.lua:2");
}

static void deep_recursion_is_stopped(void **state)
{
    (void)state;
    static const char body[] = "local function f() return 1 + f() end\n"
                               "return f()";
    assert_stopped(body, "limit of 16 MiB");
    struct gen_host *host = host_running(body);
    host->limits.memory = 128 << 20;
    assert_contains(refusal(host, "run", "{}")->text,
                    "gen/lua/main.lua:2: stack overflow");
    gen_host_free(host);
    assert_stopped("local s = ('('):rep(100000)\n"
                   "return { value = s:gsub('.', function() return s end) }",
                   "limit of 16 MiB");
}

static void an_error_cannot_be_swallowed(void **state)
{
    (void)state;
    assert_stopped("pcall(error)", "undefined variable 'pcall'");
    assert_stopped("xpcall(error)", "undefined variable 'xpcall'");
    assert_stopped("coroutine.wrap(error)", "undefined variable 'coroutine'");
}

static void no_finalizer_and_no_close_handler_can_be_made(void **state)
{
    (void)state;
    assert_stopped("setmetatable({}, {__gc = 1})",
                   "undefined variable 'setmetatable'");
    assert_stopped("getmetatable('').__index = 1",
                   "undefined variable 'getmetatable'");
    assert_stopped("local x <close> = {}", "got a non-closable value");
}

static void a_backtracking_pattern_is_stopped(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "('a'):rep(30000):find('.-.-.-.-b')",
        "('a'):rep(30000):match('(.*)(.*)(.*)(.*)b')",
        "('a'):rep(30000):gsub('.-.-.-b', '')",
        "for _ in ('a'):rep(30000):gmatch('.-.-.-b') do end",
        "('('):rep(1000000):find('%b()%b()%b()')",
        "('a'):rep(500000):find('(a*)%1%1b')",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_stopped(bodies[i], "limit of 20 million instructions");
}

static void a_pattern_too_deep_or_malformed_is_refused(void **state)
{
    (void)state;
    assert_stopped("('a'):rep(1000):find(('a?'):rep(1000))",
                   "pattern too complex");
    assert_stopped("('a'):find('%')", "malformed pattern");
    assert_stopped("('a'):find('[a')", "malformed pattern");
    assert_stopped("('a'):find('[%')", "malformed pattern");
    assert_stopped("('a'):find('[]')", "malformed pattern");
    assert_stopped("('a'):find('%b(')", "malformed pattern");
    assert_stopped("('a'):find('%f')", "malformed pattern");
    assert_stopped("('a'):find('(a')", "malformed pattern");
    assert_stopped("('a'):find('a)')", "malformed pattern");
    assert_stopped("('a'):find('%2')", "malformed pattern");
    assert_stopped("('a'):find(('()'):rep(33))", "malformed pattern");
    assert_stopped("('a'):gsub('a', '%9')", "malformed pattern");
    assert_stopped("('a'):gsub('a', '%x')", "needs a digit");
    assert_stopped("('a'):gsub('a', function() return {} end)",
                   "replacement is a table");
}

static void a_long_repetition_is_refused(void **state)
{
    (void)state;
    assert_stopped("('x'):rep(1 << 40)", "rep: the result has more than");
    assert_stopped("('x'):rep(1000, ('y'):rep(1000000))", "rep: the result");
    assert_value("return { value = 'a' .. (''):rep(1 << 62) .. 'b' }", "ab");
    assert_value("return { value = ('ab'):rep(3, '-') }", "ab-ab-ab");
}

static void a_loop_over_a_table_that_is_not_there_is_refused(void **state)
{
    (void)state;
    assert_stopped("table.move({}, 1, 1 << 62, 2)", "attempt to call a nil");
    assert_value("return { value = table.concat({ 'a', 'b' }, '') }", "ab");
    assert_stopped("local t = {}\nfor i = 1, 2000 do t[i] = i end\n"
                   "return table.unpack(t)",
                   "2000 elements are too many");
}

static void instructions_that_move_megabytes_are_stopped(void **state)
{
    (void)state;
    assert_stopped("local s = ('x'):rep(1000000)\n"
                   "while true do local t = s .. s end",
                   "instructions");
    assert_stopped("local t = {}\nfor i = 1, 100000 do t[i] = 'x' end\n"
                   "while true do table.concat(t) end",
                   "instructions");
    assert_stopped("local t = {}\nfor i = 1, 100000 do t[i] = i end\n"
                   "while true do table.insert(t, 1, 0) table.remove(t, 1) end",
                   "instructions");
}

static void comparing_megabytes_runs_into_the_clock(void **state)
{
    (void)state;
    struct gen_host *host =
        host_running("local a = ('x'):rep(1000000)\n"
                     "local b = ('x'):rep(999999) .. 'x'\n"
                     "local n = 0\n"
                     "while true do if a == b then n = n + 1 end end");
    host->limits.work = 1000LL * 1000 * 1000 * 1000;
    host->limits.seconds = 0.3;
    alarm(120);
    assert_contains(refusal(host, "run", "{}")->text, "ran longer than");
    alarm(0);
    gen_host_free(host);
}

static void hoarding_is_stopped(void **state)
{
    (void)state;
    assert_stopped("local t = {}\n"
                   "for i = 1, 1 << 40 do t[i] = ('x'):rep(1000) .. i end",
                   "limit of 16 MiB");
    assert_stopped("local s = ('x'):rep(1000000)\n"
                   "while true do s = s .. s end",
                   "limit of 16 MiB");
}

static void garbage_does_not_count_as_hoarding(void **state)
{
    (void)state;
    assert_value("local s\n"
                 "for i = 1, 100 do s = ('x'):rep(900):rep(900) .. i end\n"
                 "return { value = s:sub(-3) }",
                 "100");
}

static void nothing_outside_can_be_named(void **state)
{
    (void)state;
    static const char *const names[] = {
        "os",     "io",           "load",        "loadstring",     "loadfile",
        "dofile", "debug",        "coroutine",   "utf8",           "rawset",
        "rawget", "rawequal",     "rawlen",      "collectgarbage", "_G",
        "next",   "package",      "print",       "_VERSION",       "warn",
        "bit32",  "setmetatable", "getmetatable"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[64], part[64];
        snprintf(body, sizeof body, "local x = %s", names[i]);
        snprintf(part, sizeof part, "undefined variable '%s'", names[i]);
        assert_stopped(body, part);
    }
}

static void nothing_dangerous_is_left_in_the_libraries(void **state)
{
    (void)state;
    static const char *const names[] = {
        "string.dump", "string.pack", "string.unpack",    "string.packsize",
        "table.move",  "table.pack",  "math.random",      "math.randomseed",
        "math.sin",    "math.pow",    "require('host').x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[80];
        snprintf(body, sizeof body, "return { value = tostring(%s) }",
                 names[i]);
        assert_value(body, "nil");
    }
}

static void libraries_and_globals_are_read_only(void **state)
{
    (void)state;
    assert_stopped("string.rep = 1", "cannot assign 'rep'");
    assert_stopped("table.sort = 1", "cannot assign 'sort'");
    assert_stopped("math.pi = 3", "cannot assign 'pi'");
    assert_stopped("require('host').render = 1", "cannot assign 'render'");
    assert_stopped("pairs = 1", "cannot assign 'pairs'");
    assert_stopped("x = 1", "cannot assign 'x'");
    assert_stopped("local _ENV = {}\nreturn x.y", "index a nil value");
    assert_stopped("(''):__index()", "attempt to call a nil");
}

static void require_reaches_only_embedded_modules(void **state)
{
    (void)state;
    assert_stopped("require('no_such')", "there is no gen/lua/no_such.lua");
    assert_stopped("require('../../etc/passwd')", "no module");
    assert_value("return { value = require('devices').archs()[1] }", "sm_80");
}

static void a_module_that_requires_itself_is_an_error(void **state)
{
    (void)state;
    char dir[256];
    make_directory(dir);
    put_file(dir, "gen/lua/main.lua", "return require('main')");
    struct gen_host *host = open_host(dir);
    assert_contains(refusal(host, "run", "{}")->text,
                    "module 'main' requires itself");
    gen_host_free(host);
    put_file(dir, "gen/lua/main.lua", "return 1");
    host = open_host(dir);
    assert_contains(refusal(host, "run", "{}")->text, "must return a table");
    gen_host_free(host);
    remove_directory(dir);
}

static void a_compiled_chunk_is_refused(void **state)
{
    (void)state;
    char dir[256];
    struct gen_host *host;
    struct tsr_error err;
    make_directory(dir);
    put_file(dir, "gen/lua/main.lua", "\x1bLua");
    assert_int_equal(gen_host_open(&host, dir, &err), 0);
    assert_contains(refusal(host, "run", "{}")->text,
                    "attempt to load a binary chunk");
    gen_host_free(host);
    remove_directory(dir);
}

static void addresses_cannot_be_printed(void **state)
{
    (void)state;
    assert_stopped("tostring({})", "no text that is the same in every run");
    assert_stopped("tostring(print)", "undefined variable");
    assert_stopped("tostring(pairs)", "no text that is the same");
    assert_stopped("string.format('%s', {})", "argument 1 is a table");
    assert_stopped("string.format('%p', 'x')", "not the same in every run");
    assert_stopped("string.format('%-20p', 'x')", "not the same in every run");
    assert_value("return { value = string.format('%d%%p %5.2f', 1, 2.5) }",
                 "1%p  2.50");
}

static void pairs_goes_in_order_of_keys(void **state)
{
    (void)state;
    assert_value("local t, s = { b = 1, a = 1, [2] = 1, [1.5] = 1, [true] = 1,"
                 " [false] = 1, B = 1 }, ''\n"
                 "for k in pairs(t) do s = s .. tostring(k) .. ' ' end\n"
                 "return { value = s }",
                 "1.5 2 B a b false true ");
    assert_value("local t, s = { a = 1, b = 2, c = 3 }, ''\n"
                 "for k, v in pairs(t) do t.b = nil s = s .. k .. v end\n"
                 "return { value = s }",
                 "a1c3");
    assert_stopped("for _ in pairs({ [{}] = 1 }) do end",
                   "a table has no place in order");
}

static void sort_is_stable(void **state)
{
    (void)state;
    assert_value("local t, s = {}, ''\n"
                 "for i = 1, 300 do t[i] = { i % 3, i } end\n"
                 "table.sort(t, function(a, b) return a[1] < b[1] end)\n"
                 "local good = true\n"
                 "for i = 2, 300 do\n"
                 "  local a, b = t[i - 1], t[i]\n"
                 "  good = good and (a[1] < b[1] or\n"
                 "                   a[1] == b[1] and a[2] < b[2])\n"
                 "end\n"
                 "return { value = tostring(good) }",
                 "true");
    assert_value("local t = { 3, 1, 2 }\ntable.sort(t)\n"
                 "return { value = table.concat(t) }",
                 "123");
}

static void patterns_match_as_lua_says(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"('key=value'):match('^(%w+)=(%w+)$')", "key"},
        {"('  trim '):match('^%s*(.-)%s*$')", "trim"},
        {"('f(a(b)c)d'):match('%b()')", "(a(b)c)"},
        {"('THE (quick) fox'):match('%f[%a]%a+', 5)", "quick"},
        {"('abc'):gsub('%w', '%0%0')", "aabbcc"},
        {"('hello world'):gsub('(%w+) (%w+)', '%2 %1')", "world hello"},
        {"('abc'):gsub('', '-')", "-a-b-c-"},
        {"('a,b,,c'):gsub(',', ';', 2)", "a;b;,c"},
        {"('$x $y'):gsub('%$(%w)', { x = 'X' })", "X $y"},
        {"('abc'):gsub('b', function(c) return c:upper() end)", "aBc"},
        {"('x]y'):match('[]]')", "]"},
        {"('a-b'):match('[a%-]+')", "a-"},
        {"('a^b'):match('[b^]+')", "^b"},
        {"('0x1F'):match('^0[xX](%x+)$')", "1F"},
        {"tostring(('abc'):find('b', 1, true))", "2"},
        {"tostring(('a.c'):find('.', 1, true))", "2"},
        {"tostring(('abc'):find('c', -1))", "3"},
        {"tostring(('abc'):find('', 10))", "nil"},
        {"tostring(('abc'):find('', 4))", "4"},
        {"tostring(('abc'):match('()c'))", "3"},
        {"tostring(('aa'):match('^(a)%1$'))", "a"},
        {"tostring(('aab'):match('a-b'))", "aab"},
        {"tostring(('ab'):match('a?b?c?$'))", "ab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        snprintf(body, sizeof body, "return { value = (%s) }", cases[i][0]);
        assert_value(body, cases[i][1]);
    }
    assert_value("local s = ''\n"
                 "for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do\n"
                 "  s = s .. k .. v\nend\n"
                 "for w in ('one two'):gmatch('%a*') do s = s .. '|' .. w end\n"
                 "return { value = s }",
                 "a1b2|one|two");
}

static void an_avalanche_of_gotos_is_refused_by_size(void **state)
{
    (void)state;
    char dir[256], *script = malloc(GEN_FILE_LIMIT + 2);
    struct gen_host *host;
    struct tsr_error err;
    make_directory(dir);
    memset(script, ' ', GEN_FILE_LIMIT + 1);
    script[GEN_FILE_LIMIT + 1] = 0;
    put_file(dir, "gen/lua/main.lua", script);
    assert_int_equal(gen_host_open(&host, dir, &err), TSR_EFORMAT);
    assert_contains(err.text, "more than the 262144");
    script[GEN_FILE_LIMIT] = 0;
    for (size_t i = 0; i + 16 < GEN_FILE_LIMIT / 2; i += 8)
        memcpy(script + i, "goto a  ", 8);
    put_file(dir, "gen/lua/main.lua", script);
    assert_int_equal(gen_host_open(&host, dir, &err), 0);
    alarm(120);
    assert_contains(refusal(host, "run", "{}")->text, "gen/lua/main.lua:1");
    alarm(0);
    gen_host_free(host);
    remove_directory(dir);
    free(script);
}

static void a_result_that_json_cannot_hold_is_refused(void **state)
{
    (void)state;
    assert_stopped("return { x = pairs }", "neither text, number");
    assert_stopped("return { x = 1 / 0 }", "not finite");
    assert_stopped("return { x = '\\xff' }", "not UTF-8");
    assert_stopped("return { [{}] = 1 }", "keys that are neither");
    assert_stopped("local t = {}\nt.t = t\nreturn t", "nested too deep");
    assert_stopped("return nil", "neither text, number");
    assert_stopped("error({})", "raised a table instead of a message");
    assert_stopped("error()", "raised a nil instead of a message");
}

static void a_call_leaves_nothing_behind(void **state)
{
    (void)state;
    struct gen_host *host =
        host_running("local devices = require('devices')\n"
                     "devices.count = (devices.count or 0) + 1\n"
                     "return { value = tostring(devices.count) }");
    for (int i = 0; i < 3; i++) {
        json_t *result = call(host, "run", "{}");
        assert_string_equal(text_field(result, "value"), "1");
        json_decref(result);
    }
    gen_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tight_loop_is_stopped),
        cmocka_unit_test(deep_recursion_is_stopped),
        cmocka_unit_test(an_error_cannot_be_swallowed),
        cmocka_unit_test(no_finalizer_and_no_close_handler_can_be_made),
        cmocka_unit_test(a_backtracking_pattern_is_stopped),
        cmocka_unit_test(a_pattern_too_deep_or_malformed_is_refused),
        cmocka_unit_test(a_long_repetition_is_refused),
        cmocka_unit_test(a_loop_over_a_table_that_is_not_there_is_refused),
        cmocka_unit_test(instructions_that_move_megabytes_are_stopped),
        cmocka_unit_test(comparing_megabytes_runs_into_the_clock),
        cmocka_unit_test(hoarding_is_stopped),
        cmocka_unit_test(garbage_does_not_count_as_hoarding),
        cmocka_unit_test(nothing_outside_can_be_named),
        cmocka_unit_test(nothing_dangerous_is_left_in_the_libraries),
        cmocka_unit_test(libraries_and_globals_are_read_only),
        cmocka_unit_test(require_reaches_only_embedded_modules),
        cmocka_unit_test(a_module_that_requires_itself_is_an_error),
        cmocka_unit_test(a_compiled_chunk_is_refused),
        cmocka_unit_test(addresses_cannot_be_printed),
        cmocka_unit_test(pairs_goes_in_order_of_keys),
        cmocka_unit_test(sort_is_stable),
        cmocka_unit_test(patterns_match_as_lua_says),
        cmocka_unit_test(an_avalanche_of_gotos_is_refused_by_size),
        cmocka_unit_test(a_result_that_json_cannot_hold_is_refused),
        cmocka_unit_test(a_call_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
