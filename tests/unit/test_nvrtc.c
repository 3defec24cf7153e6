/* test_nvrtc.c -- compiling: what comes out, and what is said when it does
** not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen/host/cubin.h"
#include "gen/host/nvrtc_library.h"
#include "gen/host/nvrtc_log.h"
#include "gen/host/ptx_line.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "tests/unit/compiler.h"

static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                    "sm_90a", "sm_100a", "sm_120a"};

static char *sample_source(void)
{
    char *text;
    assert_int_equal(tsr__file_read("tests/data/compile/sample.cu", 1 << 20,
                                    &text, NULL, NULL),
                     0);
    return text;
}

static void compile_gives_ptx_cubin_and_numbers_for_every_arch(void **state)
{
    char *source = sample_source();
    (void)state;
    NEED_NVRTC();
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        struct gen_binary binary;
        char target[32];
        assert_int_equal(gen_compile(source, "sample.cu", archs[i],
                                     GEN_NO_CACHE, &binary, NULL),
                         0);
        snprintf(target, sizeof target, ".target %s", archs[i]);
        assert_non_null(strstr(binary.ptx, target));
        assert_null(strstr(binary.ptx, ".loc\t"));
        assert_int_equal(binary.ptx_size, strlen(binary.ptx));
        assert_true(binary.registers >= 16 && binary.registers <= 64);
        assert_int_equal(binary.stack_bytes, 128);
        assert_int_equal(binary.shared_static, 256);
        assert_int_equal(binary.barriers, 1);
        assert_int_equal(binary.spill_bytes, 0);
        assert_int_equal(binary.c75xx, 0);
        assert_true(binary.code_bytes > 500);
        assert_int_equal(binary.cached, 0);
        assert_true(binary.compile_ms > 0);
        assert_int_equal(strlen(binary.cubin_sha256), 64);
        assert_true(binary.nvrtc_version[0] >= '1');
        gen_binary_release(&binary);
    }
    tsr__free(source);
}

static void same_text_gives_the_same_bytes(void **state)
{
    char *source = sample_source();
    struct gen_binary first, second;
    (void)state;
    NEED_NVRTC();
    assert_int_equal(
        gen_compile(source, "one.cu", "sm_89", GEN_NO_CACHE, &first, NULL), 0);
    assert_int_equal(
        gen_compile(source, "two.cu", "sm_89", GEN_NO_CACHE, &second, NULL), 0);
    assert_string_equal(first.cubin_sha256, second.cubin_sha256);
    assert_string_equal(first.ptx, second.ptx);
    assert_string_equal(first.log, second.log);
    assert_null(strstr(first.log, "Compile time"));
    gen_binary_release(&first);
    gen_binary_release(&second);
    tsr__free(source);
}

static void line_info_leads_back_to_the_template(void **state)
{
    char *source = sample_source(), where[128];
    struct gen_binary binary;
    (void)state;
    NEED_NVRTC();
    assert_int_equal(gen_compile(source, "sample.cu", "sm_80",
                                 GEN_NO_CACHE | GEN_LINE_INFO, &binary, NULL),
                     0);
    const char *barrier = strstr(binary.ptx, "bar");
    while (barrier && strncmp(barrier, "barrier.sync", 12) &&
           strncmp(barrier, "bar.sync", 8))
        barrier = strstr(barrier + 1, "bar");
    assert_non_null(barrier);
    int line = 1;
    for (const char *at = binary.ptx; at < barrier; at++)
        line += *at == '\n';
    assert_int_equal(
        gen_ptx_template_line(binary.ptx, line, where, sizeof where), 0);
    /* #line 5 numbers the line after it; the barrier is in the 8th. */
    assert_string_equal(where, "templates/sample.cu.tmpl(12)");
    gen_binary_release(&binary);
    tsr__free(source);
}

static void expect_error(const char *source, const char *arch, int code,
                         const char *words)
{
    struct gen_binary binary;
    struct tsr_error error = {0};
    assert_int_equal(
        gen_compile(source, "x.cu", arch, GEN_NO_CACHE, &binary, &error), code);
    if (!strstr(error.text, words))
        fail_msg("'%s' does not say '%s'", error.text, words);
    assert_null(strchr(error.text, '\n'));
}

static void errors_name_the_template_line_and_count_the_rest(void **state)
{
    (void)state;
    NEED_NVRTC();
    expect_error("#line 41 \"templates/a.cu.tmpl\"\n"
                 "extern \"C\" __global__ void k(int *x)\n"
                 "{\n"
                 "    x[0] = y;\n"
                 "    int z = \"s\";\n"
                 "}\n",
                 "sm_80", TSR_EFORMAT,
                 "templates/a.cu.tmpl(43): error: identifier \"y\" is "
                 "undefined (and 1 more)");
    expect_error("int f(", "sm_80", TSR_EFORMAT, "x.cu(1): error: ");
}

static void what_ptxas_refuses_is_led_back_to_the_template_too(void **state)
{
    (void)state;
    NEED_NVRTC();
    expect_error("#line 7 \"templates/b.cu.tmpl\"\n"
                 "extern \"C\" __global__ void k(int *x)\n"
                 "{\n"
                 "    x[0] = 1;\n"
                 "    asm volatile(\"wgmma.fence.sync.aligned;\");\n"
                 "}\n",
                 "sm_80", TSR_EFORMAT,
                 "templates/b.cu.tmpl(10): error: ptxas: Instruction "
                 "'wgmma.fence' not supported");
}

static void unknown_architectures_are_refused_with_the_known_ones(void **state)
{
    (void)state;
    NEED_NVRTC();
    expect_error("", "sm_30", TSR_EUNSUPPORTED, "sm_90");
    expect_error("", "sm_9000", TSR_EUNSUPPORTED, "'sm_9000'");
    expect_error("", "compute_90", TSR_EUNSUPPORTED, "'compute_90'");
    expect_error("", "sm_80 --help", TSR_EUNSUPPORTED, "sm_80 --help");
    expect_error("", "", TSR_EUNSUPPORTED, "''");
}

static void sources_without_a_kernel_are_refused(void **state)
{
    (void)state;
    NEED_NVRTC();
    expect_error("__device__ int unused;\n", "sm_80", TSR_EFORMAT, "kernel");
}

static void shared_memory_beyond_the_limit_is_an_error_not_a_crash(void **state)
{
    (void)state;
    NEED_NVRTC();
    expect_error("extern \"C\" __global__ void k(int *x)\n"
                 "{ __shared__ int s[20000]; s[x[0]] = 1; __syncthreads();\n"
                 "  x[1] = s[x[2]]; }\n",
                 "sm_80", TSR_EFORMAT, "too much shared data");
}

static void wgmma_serialisation_is_counted(void **state)
{
    struct gen_nvrtc_log log;
    (void)state;
    gen_nvrtc_log_read(
        "ptxas info    : (C7519) warpgroup.arrive is injected in around line "
        "412\n"
        "ptxas info    : (C7511) Potential Performance Loss: serialized\n"
        "ptxas info    : (C7400) another matter\n"
        "ptxas info    : Compiling entry function 'AC7511x' for 'sm_90a'\n",
        &log);
    assert_int_equal(log.c75xx, 2);
}

static void log_numbers_are_the_largest_or_the_sum_over_functions(void **state)
{
    struct gen_nvrtc_log log;
    (void)state;
    gen_nvrtc_log_read(
        "ptxas info    : Compiling entry function 'a' for 'sm_80'\n"
        "ptxas         .     8 bytes stack frame, 16 bytes spill stores, 24 "
        "bytes spill loads\n"
        "ptxas info    : Used 40 registers, used 1 barriers, 128 bytes smem\n"
        "ptxas         .     0 bytes stack frame, 4 bytes spill stores, 4 "
        "bytes spill loads\n"
        "ptxas info    : Used 255 registers, used 3 barriers\n",
        &log);
    assert_int_equal(log.registers, 255);
    assert_int_equal(log.barriers, 3);
    assert_int_equal(log.stack_bytes, 8);
    assert_int_equal(log.spill_bytes, 48);
    assert_int_equal(log.errors, 0);
    gen_nvrtc_log_read("bytes spill stores registers\n99999999999 registers",
                       &log);
    assert_int_equal(log.registers, 0);
}

static void spills_are_counted(void **state)
{
    static char source[1 << 16];
    struct gen_binary binary;
    size_t used = 0;
    (void)state;
    NEED_NVRTC();
    used += (size_t)snprintf(source, sizeof source,
                             "extern \"C\" __global__ void "
                             "__launch_bounds__(1024, 2) k(float *x) {\n");
    for (int i = 0; i < 96; i++)
        used += (size_t)snprintf(source + used, sizeof source - used,
                                 "float a%d = x[%d];\n", i, i);
    used += (size_t)snprintf(source + used, sizeof source - used,
                             "__syncthreads();\n");
    for (int i = 0; i < 96; i++)
        used += (size_t)snprintf(source + used, sizeof source - used,
                                 "x[%d] = a%d * a%d;\n", 200 + i, i,
                                 (i * 37 + 5) % 96);
    snprintf(source + used, sizeof source - used, "}\n");
    assert_int_equal(
        gen_compile(source, "x.cu", "sm_80", GEN_NO_CACHE, &binary, NULL), 0);
    assert_int_equal(binary.registers, 32);
    assert_true(binary.spill_bytes > 0);
    assert_true(binary.stack_bytes > 0);
    gen_binary_release(&binary);
}

/* In a process of its own: the library is loaded once and kept. */
static int report_without_nvrtc(const char *place, const char *words)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct gen_binary binary;
        struct tsr_error error = {0};
        setenv("TESSERA_NVRTC", place, 1);
        int rc = gen_compile("", "x.cu", "sm_80", 0, &binary, &error);
        _exit(rc == TSR_ENOTFOUND && strstr(error.text, words) ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static void absent_nvrtc_is_said_with_the_way_to_get_it(void **state)
{
    const char *folder = scratch_folder();
    const char *text = scratch_path(folder, "libnvrtc.so.13");
    (void)state;
    scratch_write(text, "no library", 10);
    assert_int_equal(report_without_nvrtc("/nowhere/lib.so", "make deps"), 0);
    assert_int_equal(report_without_nvrtc(folder, "make deps"), 0);
    assert_int_equal(report_without_nvrtc(text, "TESSERA_NVRTC"), 0);
    assert_int_equal(report_without_nvrtc("libc.so.6", "nvrtcVersion"), 0);
}

static void template_lines_come_from_the_nearest_loc_above(void **state)
{
    static const char ptx[] = "\t.loc\t1 10 3\n"
                              "add.s32 a, b, c;\n"
                              "\t.loc\t2 20 3\n"
                              "add.s32 a, b, c;\n"
                              "\t.file\t1 \"/x/a.tmpl\"\n"
                              "\t.file\t2 \"/x/b.tmpl\", 1, 2\n";
    char where[64], small[6];
    (void)state;
    assert_int_equal(gen_ptx_template_line(ptx, 2, where, sizeof where), 0);
    assert_string_equal(where, "/x/a.tmpl(10)");
    assert_int_equal(gen_ptx_template_line(ptx, 4, where, sizeof where), 0);
    assert_string_equal(where, "/x/b.tmpl(20)");
    assert_int_equal(gen_ptx_template_line(ptx, 0, where, sizeof where), -1);
    assert_int_equal(gen_ptx_template_line("", 9, where, sizeof where), -1);
    assert_int_equal(gen_ptx_template_line(ptx, 2, small, sizeof small), -1);
    assert_int_equal(
        gen_ptx_template_line(".loc 7 1 1\n", 1, where, sizeof where), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_nvrtc_is_said_with_the_way_to_get_it),
        cmocka_unit_test(compile_gives_ptx_cubin_and_numbers_for_every_arch),
        cmocka_unit_test(same_text_gives_the_same_bytes),
        cmocka_unit_test(line_info_leads_back_to_the_template),
        cmocka_unit_test(errors_name_the_template_line_and_count_the_rest),
        cmocka_unit_test(what_ptxas_refuses_is_led_back_to_the_template_too),
        cmocka_unit_test(unknown_architectures_are_refused_with_the_known_ones),
        cmocka_unit_test(sources_without_a_kernel_are_refused),
        cmocka_unit_test(
            shared_memory_beyond_the_limit_is_an_error_not_a_crash),
        cmocka_unit_test(wgmma_serialisation_is_counted),
        cmocka_unit_test(log_numbers_are_the_largest_or_the_sum_over_functions),
        cmocka_unit_test(spills_are_counted),
        cmocka_unit_test(template_lines_come_from_the_nearest_loc_above),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
