/* test_conformance.c -- the emulator against the conformance suite. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "runtime/device/device.h"
#include "runtime/device/emulated.h"
#include "tests/emulator/conformance/conformance.h"

static struct tsr_device *device;

static int open_device(void **state)
{
    (void)state;
    return tsr__device_open(&device, "emulator:sm_90a", NULL);
}

static int close_device(void **state)
{
    (void)state;
    tsr__device_free(device);
    return 0;
}

static void expect_all(const char *isa_name, int isa)
{
    struct tsr_error err = {0};
    struct conformance_result result;
    struct emu_options *options = tsr__emulated_options(device);
    options->isa = isa;
    int rc = conformance_run(device, NULL, stderr, NULL, &result, &err);
    options->isa = 0;
    if (rc || result.failed)
        print_error("%s: %zu of %zu failed %s\n", isa_name, result.failed,
                    result.cases, err.text);
    assert_int_equal(rc, 0);
    assert_int_equal(result.failed, 0);
    assert_int_equal(result.skipped, 0);
    assert_true(result.cases > 800);
}

static void every_case_passes_on_the_best_instructions(void **state)
{
    (void)state;
    expect_all("best", EMU_ISA_BEST);
}

static void every_case_passes_in_portable_c(void **state)
{
    (void)state;
    expect_all("base", EMU_ISA_BASE);
}

static void every_case_passes_with_avx2(void **state)
{
    (void)state;
    if (emu_isa_best() < EMU_ISA_V3) {
        print_message("SKIP: this processor has no AVX2\n");
        skip();
    }
    expect_all("v3", EMU_ISA_V3);
}

/* A suite that passes whatever comes out would prove nothing. The top bits but
** one of an element are an exponent's, or worth a quarter of the range. */
static void a_wrong_result_is_a_failed_case(void **state)
{
    (void)state;
    static unsigned char got[65536];
    for (size_t index = 0; index < conf_case_count(); index++) {
        struct conf_case c;
        assert_int_equal(conf_case_build(&c, index, NULL), 0);
        size_t unit = (size_t)conf_type_bytes(c.d), count = c.bytes[0] / unit;
        assert_true(c.bytes[0] <= sizeof got);
        memcpy(got, c.expected, c.bytes[0]);
        assert_int_equal(conf_case_compare(&c, got, NULL), 0);
        for (size_t i = 0; i < count; i++)
            got[i * unit + unit - 1] ^= 0x40;
        if (conf_case_compare(&c, got, NULL) != count)
            fail_msg("%s %s notices too little", c.group, c.name);
        conf_case_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_passes_on_the_best_instructions),
        cmocka_unit_test(every_case_passes_in_portable_c),
        cmocka_unit_test(every_case_passes_with_avx2),
        cmocka_unit_test(a_wrong_result_is_a_failed_case),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
