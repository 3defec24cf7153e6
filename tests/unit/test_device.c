/* test_device.c -- the emulator as a device, and names of devices. */
#include "tests/unit/device_cases.h"

#include <stdio.h>

#define EMULATED "emulator:sm_90a"

static void wrong_device_names_say_what_is_right(void **state)
{
    static const char *const names[] = {
        "",        "gpu0",       "cuda:",     "cuda:-1",
        "cuda:1x", "cuda:99999", "emulator:", "emulator:sm_1"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tsr_device *device = NULL;
        struct tsr_error error = {0};
        assert_int_equal(tsr__device_open(&device, names[i], &error),
                         TSR_EUSAGE);
        assert_true(strlen(error.text) > 10);
        assert_null(device);
    }
}

static void every_emulated_arch_opens_as_itself(void **state)
{
    static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                        "sm_90a", "sm_100a", "sm_120a"};
    (void)state;
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        char name[32];
        struct tsr_device *device;
        snprintf(name, sizeof name, "emulator:%s", archs[i]);
        assert_int_equal(tsr__device_open(&device, name, NULL), 0);
        assert_string_equal(tsr__device_info(device)->arch, archs[i]);
        assert_int_equal(tsr__device_info(device)->emulated, 1);
        tsr__device_free(device);
    }
}

static void a_fault_in_a_kernel_is_a_finding_with_its_buffer(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_function *add = case_load(device, PTX_ADD, "add", 0, &module);
    struct tsr_error error = {0};
    int32_t c = 1;
    uint32_t n = 64; /* the buffer has room for 32 */
    tsr_device_ptr y = case_alloc(device, 32 * 4, "narrow");
    struct tsr_launch_shape shape = {{2, 1, 1}, {32, 1, 1}, 0};
    void *arguments[] = {&y, &y, &c, &n};
    assert_int_equal(tsr__device_fill(device, y, 0, 32 * 4, NULL), 0);
    assert_int_equal(tsr__function_launch(add, &shape, NULL, arguments, &error),
                     TSR_EFINDING);
    assert_non_null(strstr(error.text, "out-of-bounds"));
    assert_non_null(strstr(error.text, "narrow"));
    /* The emulator goes on: only a GPU loses its context. */
    n = 32;
    assert_int_equal(tsr__function_launch(add, &shape, NULL, arguments, NULL),
                     0);
    tsr__module_free(module);
    tsr__device_free(device);
}

static void machine_code_is_refused_by_the_emulator(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_error error = {0};
    assert_int_equal(
        tsr__module_load(device, "\177ELF....", 8, &module, &error),
        TSR_EUNSUPPORTED);
    assert_non_null(strstr(error.text, "PTX"));
    tsr__device_free(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_device_names_say_what_is_right),
        cmocka_unit_test(every_emulated_arch_opens_as_itself),
        DEVICE_CASES(EMULATED),
        DEVICE_CASE(a_fault_in_a_kernel_is_a_finding_with_its_buffer, EMULATED),
        DEVICE_CASE(machine_code_is_refused_by_the_emulator, EMULATED),
    };
    /* No GPU of the machine may answer for these names. */
    setenv("TESSERA_CUDA_LIBRARY", "/nowhere/libcuda.so.1", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
