/* test_gpu_bundle.c -- the GPU bundle's reading of lists and its results file.
** Running it is tests/e2e/gpu-bundle.sh. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "runtime/device/device.h"
#include "tests/gpu/candidates.h"
#include "tests/gpu/results.h"

#define GOOD                                                        \
    "file=0007 entry=gemm_w4a8 arch=sm_80 format=w4g64 n=264 "      \
    "k=512 m=5 out=bf16 bias=1 threads=128 shared=49152 "           \
    "tile_n=64 tile_m=8 split_k=2 estimate_us=3.25 spec=gemm_w4a8 " \
    "n=999 k=999"

static void a_line_becomes_a_candidate(void **state)
{
    (void)state;
    struct gpu_candidate c;
    assert_int_equal(gpu_candidate_parse(&c, GOOD, NULL), 0);
    assert_string_equal(c.file, "0007");
    assert_string_equal(c.entry, "gemm_w4a8");
    assert_int_equal(c.format, TSR_W4G64);
    assert_true(c.n == 264 && c.k == 512 && c.m == 5); /* not the SPEC's */
    assert_true(c.bf16 && c.bias && c.split_k == 2 && c.tile_m == 8);
    assert_true(c.estimate_us == 3.25);
    assert_string_equal(c.spec, "gemm_w4a8 n=999 k=999");
}

/* The good line with `from` replaced by `to` is refused. */
static void expect_refused(const char *from, const char *to)
{
    char line[512];
    struct tsr_error err;
    struct gpu_candidate c;
    const char *at = strstr(GOOD, from);
    assert_non_null(at);
    snprintf(line, sizeof line, "%.*s%s%s", (int)(at - GOOD), GOOD, to,
             at + strlen(from));
    if (gpu_candidate_parse(&c, line, &err) != TSR_EFORMAT)
        fail_msg("%s was taken", line);
}

static void a_damaged_line_is_refused(void **state)
{
    (void)state;
    expect_refused("file=0007", "file=../7");
    expect_refused("file=0007", "");
    expect_refused("format=w4g64", "format=w5");
    expect_refused("n=264", "n=0");
    expect_refused("n=264", "n=26x");
    expect_refused("k=512", "k=99999999999999999999");
    expect_refused("m=5", "m=-5");
    expect_refused("threads=128", "threads=2048");
    expect_refused("tile_n=64", "tile_n=");
    expect_refused("split_k=2", "splits=2");
}

static void machine_code_fits_its_own_architecture(void **state)
{
    (void)state;
    struct tsr_device *device;
    struct gpu_candidate c;
    assert_int_equal(gpu_candidate_parse(&c, GOOD, NULL), 0);
    assert_int_equal(tsr__device_open(&device, "emulator:sm_80", NULL), 0);
    assert_true(gpu_candidate_fits(&c, device));
    strcpy(c.arch, "sm_90a");
    assert_false(gpu_candidate_fits(&c, device));
    tsr__device_free(device);
}

static void results_are_json(void **state)
{
    (void)state;
    struct results r = {0};
    results_open(&r, NULL, '{');
    results_text(&r, "text", "a \"quote\", a \\ and a\nline");
    results_open(&r, "list", '[');
    results_integer(&r, NULL, -7);
    results_real(&r, NULL, 0.5);
    results_real(&r, NULL, INFINITY);
    results_open(&r, NULL, '{');
    results_close(&r, '}');
    results_close(&r, ']');
    results_integer(&r, "last", 1);
    results_close(&r, '}');
    json_t *json = json_loads(r.text.data, 0, NULL);
    assert_non_null(json);
    const json_t *list = json_object_get(json, "list");
    assert_string_equal(json_string_value(json_object_get(json, "text")),
                        "a \"quote\", a \\ and a\nline");
    assert_int_equal(json_integer_value(json_array_get(list, 0)), -7);
    assert_true(json_real_value(json_array_get(list, 1)) == 0.5);
    assert_string_equal(json_string_value(json_array_get(list, 2)), "inf");
    assert_int_equal(json_array_size(list), 4);
    json_decref(json);
    results_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_becomes_a_candidate),
        cmocka_unit_test(a_damaged_line_is_refused),
        cmocka_unit_test(machine_code_fits_its_own_architecture),
        cmocka_unit_test(results_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
