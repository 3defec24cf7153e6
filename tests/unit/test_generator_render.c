/* test_generator_render.c -- rendered kernels: the same bytes every time, the
** banner, golden files, gen_render's contract. */
#include <locale.h>
#include <pthread.h>

#include "tests/golden/golden.h"
#include "tests/unit/host.h"

static const char *const specs[] = {
    "gemm_w4a8 format=w4g128 n=4096 k=4096 m=16 arch=sm_80 channel_tile=64 "
    "token_tile=16 k_tile=128 stages=4 warps=4 split_k=1 raster=0",
    "gemm_w4a8 format=w4c n=4096 k=4096 m=512 arch=sm_90a out=bf16 bias=1 "
    "channel_tile=128 token_tile=128 k_tile=64 stages=3 warps=4 split_k=2 "
    "raster=8",
    "gemm_w4a8 format=w4g64 n=64 k=128 m=1 arch=sm_120a variant=naive",
    "quant_act k=4096 dtype=bf16 arch=sm_89 threads=256",
};

static char *source_of(struct gen_host *host, const char *spec)
{
    struct gen_kernel kernel;
    struct tsr_error err;
    if (gen_render(host, &spec, 1, &kernel, &err))
        fail_msg("%s", err.text);
    char *source = strdup(kernel.source);
    gen_kernel_release(&kernel);
    assert_null(kernel.source);
    return source;
}

static void emitted_text_is_the_golden_text(void **state)
{
    (void)state;
    static const char *const names[] = {
        "gemm_w4g128_sm_80.cu", "gemm_w4c_bias_split_sm_90a.cu",
        "gemm_naive_w4g64.cu", "quant_act_bf16.cu"};
    struct gen_host *host = open_host(NULL);
    int failed = 0;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char *source = source_of(host, specs[i]);
        failed |= golden_compare(names[i], source);
        free(source);
    }
    gen_host_free(host);
    host = open_host(FIXTURE);
    char *source = source_of(host, "tiny n=64 variant=unrolled unroll=3");
    failed |= golden_compare("tiny_unrolled.cu", source);
    free(source);
    gen_host_free(host);
    assert_int_equal(failed, 0);
}

static void the_same_spec_gives_the_same_bytes(void **state)
{
    (void)state;
    char directory[256];
    struct gen_host *first = open_host(NULL), *second;
    assert_non_null(getcwd(directory, sizeof directory));
    assert_int_equal(chdir("/"), 0);
    second = open_host(NULL);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char *a = source_of(first, specs[i]), *b = source_of(second, specs[i]);
        char *again = source_of(first, specs[i]);
        assert_string_equal(a, b);
        assert_string_equal(a, again);
        assert_null(strstr(a, directory));
        free(a);
        free(b);
        free(again);
    }
    assert_string_equal(gen_host_hash(first), gen_host_hash(second));
    assert_int_equal(chdir(directory), 0);
    gen_host_free(first);
    gen_host_free(second);
}

/* Finds or makes a locale with a decimal comma. */
static int use_a_foreign_locale(const char *directory)
{
    char command[600];
    if (setlocale(LC_ALL, "de_DE.UTF-8"))
        return 0;
    snprintf(command, sizeof command,
             "localedef --no-archive -f UTF-8 -i de_DE '%s/de_DE.UTF-8' "
             ">'%s/log' 2>&1",
             directory, directory);
    if (system(command) != 0)
        return -1;
    setenv("LOCPATH", directory, 1);
    return setlocale(LC_ALL, "de_DE.UTF-8") ? 0 : -1;
}

static void the_callers_locale_changes_nothing(void **state)
{
    (void)state;
    char directory[256], number[8], sorted[8];
    struct gen_host *host =
        host_running("local t = { 'b', 'B', 'a', 'A' }\n"
                     "table.sort(t)\n"
                     "return { number = tostring(1.5) .. ('x%.1f'):format(0.5),"
                     " sorted = table.concat(t) }");
    make_directory(directory);
    int rc = use_a_foreign_locale(directory);
    if (rc == 0) {
        snprintf(number, sizeof number, "%.1f", 1.5);
        json_t *result = call(host, "run", "{}");
        snprintf(sorted, sizeof sorted, "%s", text_field(result, "sorted"));
        assert_string_equal(text_field(result, "number"), "1.5x0.5");
        json_decref(result);
        setlocale(LC_ALL, "C");
    }
    gen_host_free(host);
    remove_directory(directory);
    if (rc) {
        print_message("SKIPPED: no de_DE locale here, nor localedef sources\n");
        skip();
    }
    assert_string_equal(number, "1,5");
    assert_string_equal(sorted, "ABab");
}

static void the_bucket_of_tokens_does_not_reach_the_text(void **state)
{
    (void)state;
    struct gen_host *host = open_host(NULL);
    struct gen_kernel few, many;
    struct tsr_error err;
    const char *words[] = {specs[0]};
    char other[300];
    snprintf(other, sizeof other, "%s", specs[0]);
    memcpy(strstr(other, "m=16"), "m=64", 4);
    assert_int_equal(gen_render(host, words, 1, &few, &err), 0);
    words[0] = other;
    assert_int_equal(gen_render(host, words, 1, &many, &err), 0);
    assert_string_equal(few.source, many.source);
    assert_string_not_equal(few.spec, many.spec);
    assert_string_not_equal(few.key, many.key);
    gen_kernel_release(&few);
    gen_kernel_release(&many);
    gen_host_free(host);
}

static void the_banner_says_how_to_get_the_same_text(void **state)
{
    (void)state;
    struct gen_host *host = open_host(NULL);
    char *source = source_of(host, specs[0]), *again, command[600];
    const char *line = strstr(source, "//   command   tessera gen ");
    assert_non_null(line);
    line += strlen("//   command   tessera gen ");
    snprintf(command, sizeof command, "%.*s", (int)strcspn(line, "\n"), line);
    again = source_of(host, command);
    assert_string_equal(source, again);
    assert_contains(source,
                    "// Emitted by Tessera " TSR_VERSION "; do not edit.\n");
    assert_contains(source, "templates/gemm_w4a8.cu.tmpl sha256 ");
    assert_null(strstr(source, "#include"));
    assert_null(strstr(source, "${"));
    free(source);
    free(again);
    gen_host_free(host);
}

static void a_rendered_kernel_carries_its_launch(void **state)
{
    (void)state;
    struct gen_host *host = open_host(NULL);
    struct gen_kernel kernel;
    struct tsr_error err;
    assert_int_equal(gen_render(host, &specs[1], 1, &kernel, &err), 0);
    assert_string_equal(kernel.entry, "gemm_w4a8");
    assert_int_equal(kernel.launch.threads, 128);
    assert_int_equal(kernel.launch.tile_n, 128);
    assert_int_equal(kernel.launch.tile_m, 128);
    assert_int_equal(kernel.launch.split_k, 2);
    assert_true(kernel.launch.shared > 0);
    assert_string_equal(kernel.key,
                        "gemm_w4a8 arch=sm_90a bias=1 format=w4c k=4096 m=512 "
                        "n=4096 out=bf16");
    gen_kernel_release(&kernel);
    gen_host_free(host);
}

static void a_failed_render_leaves_the_result_alone(void **state)
{
    (void)state;
    struct gen_host *host = open_host(NULL);
    struct gen_kernel kernel, before;
    struct tsr_error err;
    const char *words[] = {"gemm_w4a8", "n=7", "\xff"};
    memset(&kernel, 0x5a, sizeof kernel);
    before = kernel;
    assert_int_equal(gen_render(host, words, 2, &kernel, &err), TSR_EUSAGE);
    assert_string_equal(err.text, "n=7: must be a multiple of 8");
    assert_int_equal(gen_render(host, words, 3, &kernel, &err), TSR_EUSAGE);
    assert_string_equal(err.text, "word 3 of the SPEC is not UTF-8");
    assert_int_equal(gen_render(host, words, 0, &kernel, NULL), TSR_EUSAGE);
    assert_memory_equal(&kernel, &before, sizeof kernel);
    gen_host_free(host);
}

static void a_launch_record_is_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"threads\":0,\"shared\":0,\"tile_n\":1,\"tile_m\":1,\"split_k\":1}",
        "{\"threads\":2048,\"shared\":0,\"tile_n\":1,\"tile_m\":1,"
        "\"split_k\":1}",
        "{\"threads\":32,\"shared\":-1,\"tile_n\":1,\"tile_m\":1,"
        "\"split_k\":1}",
        "{\"threads\":32,\"shared\":0,\"tile_n\":\"1\",\"tile_m\":1,"
        "\"split_k\":1}",
    };
    struct gen_launch launch = {1, 2, 3, 4, 5};
    struct tsr_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *json = json_loads(bad[i], 0, NULL);
        assert_int_equal(gen_launch_read(json, &launch, &err), TSR_EFORMAT);
        json_decref(json);
    }
    assert_int_equal(launch.split_k, 5);
}

static void *render_many(void *context)
{
    char **sources = context;
    struct gen_host *host = open_host(NULL);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        sources[i] = source_of(host, specs[i]);
    gen_host_free(host);
    return NULL;
}

static void two_threads_have_a_host_each(void **state)
{
    (void)state;
    enum { COUNT = sizeof specs / sizeof *specs };
    char *a[COUNT], *b[COUNT];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, render_many, a), 0);
    render_many(b);
    pthread_join(thread, NULL);
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(a[i], b[i]);
        free(a[i]);
        free(b[i]);
    }
}

static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    const char *word = "tiny n=64";
    struct tsr_error err;
    struct gen_kernel kernel;
    int failures = 0;
    for (long n = 1;; n = n < 40 ? n + 1 : n + n / 8) {
        struct gen_host *host = NULL;
        tsr__memory_fail_after(n, 0);
        int rc = gen_host_open(&host, FIXTURE, &err);
        if (!rc) {
            host->user_scripts = 0;
            rc = gen_render(host, &word, 1, &kernel, &err);
        }
        tsr__memory_fail_after(0, 0);
        if (!rc)
            gen_kernel_release(&kernel);
        gen_host_free(host);
        if (n > 200000)
            break;
        if (rc) {
            assert_int_equal(rc, TSR_EMEMORY);
            failures++;
        }
    }
    assert_true(failures > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emitted_text_is_the_golden_text),
        cmocka_unit_test(the_same_spec_gives_the_same_bytes),
        cmocka_unit_test(the_callers_locale_changes_nothing),
        cmocka_unit_test(the_bucket_of_tokens_does_not_reach_the_text),
        cmocka_unit_test(the_banner_says_how_to_get_the_same_text),
        cmocka_unit_test(a_rendered_kernel_carries_its_launch),
        cmocka_unit_test(a_failed_render_leaves_the_result_alone),
        cmocka_unit_test(a_launch_record_is_checked),
        cmocka_unit_test(two_threads_have_a_host_each),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
