/* test_generator_scripts.c -- --scripts DIR: what it overrides, what it
** refuses, and the process that user scripts run in. */
#include <signal.h>
#include <sys/stat.h>

#include "gen/host/guard.h"
#include "tests/unit/host.h"

static char directory[256];

static int begin(void **state)
{
    (void)state;
    make_directory(directory);
    return 0;
}

static int end(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

static const char *render_error(const char *word)
{
    static struct tsr_error err;
    struct gen_kernel kernel;
    struct gen_host *host = open_host(directory);
    if (gen_render(host, &word, 1, &kernel, &err) == 0)
        fail_msg("was not refused");
    gen_host_free(host);
    return err.text;
}

static void a_file_from_disk_stands_before_the_embedded_one(void **state)
{
    (void)state;
    struct gen_host *host = open_host(NULL);
    char before[TSR_SHA256_HEX];
    strcpy(before, gen_host_hash(host));
    gen_host_free(host);
    put_file(directory, "gen/lua/model.lua",
             "return { keys = function() return { list = 'mine' } end }");
    host = open_host(directory);
    assert_string_not_equal(before, gen_host_hash(host));
    json_t *result = call(host, "spec.model", "{}");
    assert_string_equal(text_field(result, "list"), "mine");
    json_decref(result);
    result = call(host, "devices.get", "{\"arch\": \"sm_86\"}");
    assert_string_equal(text_field(result, "name"), "NVIDIA A10");
    json_decref(result);
    gen_host_free(host);
}

static void a_new_family_needs_no_build(void **state)
{
    (void)state;
    struct gen_host *host = open_host(FIXTURE);
    struct gen_kernel kernel;
    struct tsr_error err;
    const char *word = "tiny n=128 threads=64 variant=unrolled unroll=4";
    assert_int_equal(gen_render(host, &word, 1, &kernel, &err), 0);
    assert_contains(kernel.source, "--scripts DIR tiny arch=sm_90a n=128");
    assert_int_equal(kernel.launch.threads, 64);
    gen_kernel_release(&kernel);
    gen_host_free(host);
}

static void line_numbers_are_those_of_the_file(void **state)
{
    (void)state;
    put_file(directory, "gen/lua/families/quant_act.lua",
             "-- one\n\n-- three\nlocal x = nil\nreturn x.y\n");
    assert_contains(render_error("quant_act k=64"),
                    "gen/lua/families/quant_act.lua:5: attempt to index a nil");
    put_file(directory, "gen/lua/families/quant_act.lua",
             "-- one\n\nlocal x = = 1\n");
    assert_contains(render_error("quant_act k=64"),
                    "gen/lua/families/quant_act.lua:3: unexpected symbol");
    put_file(directory, "templates/quant_act.cu.tmpl", "int x;\n${nosuch}\n");
    put_file(directory, "gen/lua/families/quant_act.lua",
             "return { name = 'quant_act' }");
    assert_contains(render_error("quant_act k=64"),
                    "gen/lua/families/quant_act.lua: 'legal' is not a "
                    "function");
}

static void a_template_from_disk_reports_its_own_lines(void **state)
{
    (void)state;
    put_file(directory, "templates/quant_act.cu.tmpl",
             "int x = ${k};\nbool b = ${in_bf16};\nint y = ${nosuch};\n"
             "${threads}\n");
    assert_contains(render_error("quant_act k=64"),
                    "templates/quant_act.cu.tmpl:3: nobody fills 'nosuch'");
    put_file(directory, "templates/quant_act.cu.tmpl", "int x = ${k};\n");
    assert_contains(render_error("quant_act k=64"),
                    "templates/quant_act.cu.tmpl:1: the family fills hole "
                    "'in_bf16', which the template never uses");
}

static void a_family_that_contradicts_itself_is_an_error(void **state)
{
    (void)state;
    static const char head[] =
        "local M = { name = 'quant_act', template = 'quant_act.cu.tmpl',\n"
        "  keys = { k = { kind = 'integer' } },\n"
        "  axes = { threads = { kind = 'integer', max = 64 } } }\n"
        "function M.legal() return true end\n"
        "function M.space() return {} end\n"
        "function M.holes() return {} end\n"
        "function M.work() return { blocks = 1, threads = 32, issue = 1,\n"
        "  dram_bytes = 1, mma_ops = 0, shared = 1 << 20 } end\n"
        "function M.launch() return { threads = 32 } end\n";
    static const char *const cases[][2] = {
        {"function M.default() return { threds = 32 } end return M",
         "quant_act proposes an undeclared axis 'threds'"},
        {"function M.default() return {} end return M",
         "quant_act gives no value for axis 'threads'"},
        {"function M.default() return { threads = 128 } end return M",
         "threads=128: must be at most 64"},
        {"function M.default() return { threads = 32 } end return M",
         "illegal configuration: 1048576 bytes of shared memory: a block has "
         "232448 on sm_90a"},
        {"M.keys.k.kind = 'float' M.default = M.work return M",
         "k has no known kind"},
        {"M.name = 'other' M.default = M.work return M", "its name is 'other'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1500];
        snprintf(text, sizeof text, "%s%s", head, cases[i][0]);
        put_file(directory, "gen/lua/families/quant_act.lua", text);
        assert_contains(render_error("quant_act k=64"), cases[i][1]);
    }
}

static void a_directory_without_scripts_is_refused(void **state)
{
    (void)state;
    struct gen_host *host = NULL;
    struct tsr_error err;
    assert_int_equal(gen_host_open(&host, directory, &err), TSR_EUSAGE);
    assert_contains(err.text, "has neither gen/lua nor templates");
    assert_int_equal(gen_host_open(&host, "/no/such", &err), TSR_EUSAGE);
    put_file(directory, "gen/lua", "a file, not a directory");
    assert_int_equal(gen_host_open(&host, directory, &err), TSR_EIO);
    assert_contains(err.text, "Not a directory");
    assert_null(host);
}

static void what_is_no_script_is_not_read(void **state)
{
    (void)state;
    char path[300], big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    put_file(directory, "templates/.hidden", big);
    put_file(directory, "templates/x.tmpl~", big);
    put_file(directory, "templates/deep/er/x", big);
    struct gen_host *host = open_host(directory);
    assert_null(gen_files_find(&host->files, "templates/.hidden"));
    assert_null(gen_files_find(&host->files, "templates/x.tmpl~"));
    assert_non_null(gen_files_find(&host->files, "templates/deep/er/x"));
    gen_host_free(host);
    snprintf(path, sizeof path, "%s/templates/pipe", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/templates/gone", directory);
    assert_int_equal(symlink("/no/such/file", path), 0);
    struct tsr_error err;
    assert_int_equal(gen_host_open(&host, directory, &err), TSR_EIO);
    assert_contains(err.text, "cannot open");
}

static void a_tree_without_end_is_refused(void **state)
{
    (void)state;
    char path[300];
    struct gen_host *host = NULL;
    struct tsr_error err;
    put_file(directory, "templates/x", "x");
    snprintf(path, sizeof path, "%s/templates/loop", directory);
    assert_int_equal(symlink(".", path), 0);
    assert_int_equal(gen_host_open(&host, directory, &err), TSR_EUSAGE);
    assert_contains(err.text, "too deep a directory");
}

/* ---- the child process --------------------------------------------------- */

static void user_scripts_run_under_the_same_sandbox(void **state)
{
    (void)state;
    put_file(directory, "gen/lua/main.lua",
             "return { run = function() while true do end end,\n"
             "  good = function(a) return { value = a.value } end,\n"
             "  usage = function() usage('n=%d: no', 3) end }");
    struct gen_host *host = open_host(directory);
    assert_true(host->user_scripts);
    host->limits.work = 20 * 1000 * 1000;
    const struct tsr_error *err = refusal(host, "run", "{}");
    assert_int_equal(err->code, TSR_EFORMAT);
    assert_contains(err->text, "gen/lua/main.lua:1: script ran over its limit");
    err = refusal(host, "usage", "{}");
    assert_int_equal(err->code, TSR_EUSAGE);
    assert_string_equal(err->text, "n=3: no");
    json_t *result = call(host, "good", "{\"value\": \"\\u00e9\"}");
    assert_string_equal(text_field(result, "value"), "\xc3\xa9");
    json_decref(result);
    gen_host_free(host);
}

static int spin(void *context, json_t **result, struct tsr_error *err)
{
    volatile int *stop = context;
    (void)result;
    (void)err;
    while (!*stop)
        ;
    return 0;
}

static int hoard(void *context, json_t **result, struct tsr_error *err)
{
    (void)context;
    size_t pieces = 0;
    while (pieces < 4096 && malloc(1 << 20))
        pieces++;
    *result = json_integer((json_int_t)pieces);
    return *result ? 0 : TSR_FAIL(err, TSR_EMEMORY, "no memory at all");
}

static int die(void *context, json_t **result, struct tsr_error *err)
{
    (void)result;
    (void)err;
    raise(*(int *)context);
    return 0;
}

static int leave(void *context, json_t **result, struct tsr_error *err)
{
    (void)result;
    (void)err;
    _exit(*(int *)context);
}

static void what_the_sandbox_misses_the_process_limits_stop(void **state)
{
    (void)state;
    int zero = 0;
    struct gen_guard guard = {1, 64 << 20, spin, &zero};
    json_t *result;
    struct tsr_error err;
    alarm(60); /* ends the test where the limits do not */
    assert_int_equal(gen_guard_run(&guard, &result, &err), TSR_EFORMAT);
    alarm(0);
    assert_string_equal(err.text, "a script was stopped after its 1 seconds");
#if !defined(__SANITIZE_ADDRESS__)
    guard.call = hoard;
    assert_int_equal(gen_guard_run(&guard, &result, &err), 0);
    assert_true(json_integer_value(result) < 80);
    json_decref(result);
#else
    (void)hoard;
#endif
}

static void a_dead_evaluator_is_an_error_not_a_crash(void **state)
{
    (void)state;
    int number = SIGBUS;
    struct gen_guard guard = {5, 64 << 20, die, &number};
    json_t *result;
    struct tsr_error err;
    signal(SIGBUS, SIG_DFL);
    assert_int_equal(gen_guard_run(&guard, &result, &err), TSR_EFORMAT);
    assert_contains(err.text, "the script evaluator died: ");
    guard.call = leave;
    for (number = 0; number < 2; number++) {
        assert_int_equal(gen_guard_run(&guard, &result, &err), TSR_EMEMORY);
        assert_string_equal(err.text, "the script evaluator gave no answer");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_file_from_disk_stands_before_the_embedded_one),
        TEST(a_new_family_needs_no_build),
        TEST(line_numbers_are_those_of_the_file),
        TEST(a_template_from_disk_reports_its_own_lines),
        TEST(a_family_that_contradicts_itself_is_an_error),
        TEST(a_directory_without_scripts_is_refused),
        TEST(what_is_no_script_is_not_read),
        TEST(a_tree_without_end_is_refused),
        TEST(user_scripts_run_under_the_same_sandbox),
        TEST(what_the_sandbox_misses_the_process_limits_stop),
        TEST(a_dead_evaluator_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
