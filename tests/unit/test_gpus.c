/* test_gpus.c -- the runtime's table of emulated GPUs and gen/lua/devices.lua
** say the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "gen/host/generator.h"
#include "runtime/device/device.h"
#include "runtime/device/gpus.h"

static json_int_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value))
        fail_msg("devices.lua has no number '%s'", name);
    return (json_int_t)json_number_value(value);
}

static void emulated_gpus_agree_with_devices_lua(void **state)
{
    (void)state;
    static const char *const archs[] = {
#define X(arch, ...) arch,
        TSR_EMULATED_GPU_LIST(X)
#undef X
    };
    struct gen_host *host;
    struct tsr_error err;
    assert_int_equal(gen_host_open(&host, NULL, &err), 0);
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        char name[32];
        struct tsr_device *device;
        json_t *argument = json_pack("{s:s}", "arch", archs[i]), *lua;
        assert_int_equal(
            gen_host_call(host, "devices.get", argument, &lua, &err), 0);
        snprintf(name, sizeof name, "emulator:%s", archs[i]);
        assert_int_equal(tsr__device_open(&device, name, &err), 0);
        const struct tsr_device_info *info = tsr__device_info(device);
        assert_string_equal(info->name,
                            json_string_value(json_object_get(lua, "name")));
        assert_int_equal(info->sm_count, number(lua, "sm_count"));
        assert_int_equal(info->shared_per_block,
                         number(lua, "shared_per_block"));
        assert_int_equal(info->shared_per_sm, number(lua, "shared_per_sm"));
        assert_int_equal(info->l2_bytes, number(lua, "l2_bytes"));
        tsr__device_free(device);
        json_decref(argument);
        json_decref(lua);
    }
    gen_host_free(host);
}

static void an_unknown_device_is_refused_with_the_known_ones(void **state)
{
    (void)state;
    struct tsr_device *device;
    struct tsr_error err;
    assert_int_equal(tsr__device_open(&device, "emulator:sm_75", &err),
                     TSR_EUSAGE);
    assert_non_null(strstr(err.text, "sm_90a"));
    assert_int_equal(tsr__device_open(&device, "tpu:0", &err), TSR_EUSAGE);
    assert_int_equal(tsr__device_open(&device, "cuda:x", &err), TSR_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emulated_gpus_agree_with_devices_lua),
        cmocka_unit_test(an_unknown_device_is_refused_with_the_known_ones),
    };
    return cmocka_run_group_tests_name("gpus", tests, NULL, NULL);
}
