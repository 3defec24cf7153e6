/* test_generator_plan.c -- candidates, defaults, the cost model, devices. */
#include <math.h>

#include "tests/unit/host.h"

static struct gen_host *host;

static int open_once(void **state)
{
    (void)state;
    host = open_host(NULL);
    return 0;
}

static int free_once(void **state)
{
    (void)state;
    gen_host_free(host);
    return 0;
}

static json_t *call_key(const char *function, const char *key)
{
    char argument[300];
    snprintf(argument, sizeof argument, "{\"key\": \"%s\"}", key);
    return call(host, function, argument);
}

static double number_field(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static const char *const archs[] = {"sm_80",  "sm_86",   "sm_89",
                                    "sm_90a", "sm_100a", "sm_120a"};
static const char *const formats[] = {"w4c", "w4g128", "w4g64"};

static void every_architecture_and_format_has_candidates(void **state)
{
    (void)state;
    char key[200];
    for (int a = 0; a < 6; a++)
        for (int f = 0; f < 3; f++) {
            snprintf(key, sizeof key,
                     "gemm_w4a8 arch=%s format=%s n=4096 k=4096 m=16", archs[a],
                     formats[f]);
            json_t *list = call_key("plan.candidates", key);
            assert_true(json_array_size(list) >= 16);
            json_decref(list);
        }
}

static void candidates_are_distinct_and_best_first(void **state)
{
    (void)state;
    json_t *list = call_key("plan.candidates",
                            "gemm_w4a8 format=w4g128 n=1024 k=1024 m=64");
    json_t *seen = json_object();
    double last = 0;
    size_t i;
    json_t *candidate;
    json_array_foreach(list, i, candidate)
    {
        const char *spec = text_field(candidate, "spec");
        assert_null(json_object_get(seen, spec));
        json_object_set_new(seen, spec, json_true());
        assert_true(number_field(candidate, "estimate_us") >= last);
        last = number_field(candidate, "estimate_us");
    }
    assert_true(last > 0 && isfinite(last));
    json_decref(seen);
    json_decref(list);
}

static void every_candidate_can_be_asked_for_by_its_spec(void **state)
{
    (void)state;
    json_t *list = call_key("plan.candidates",
                            "gemm_w4a8 format=w4c n=512 k=512 m=8 arch=sm_86");
    for (size_t i = 0; i < json_array_size(list); i += 1 + i / 8) {
        json_t *candidate = json_array_get(list, i);
        json_t *again = call_key("plan.default", text_field(candidate, "spec"));
        assert_true(json_equal(candidate, again));
        json_decref(again);
    }
    json_decref(list);
}

static void the_default_is_among_the_candidates(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "gemm_w4a8 format=w4g64 n=8 k=64 m=1",
        "gemm_w4a8 format=w4g128 n=4096 k=14336 m=1 arch=sm_120a",
        "gemm_w4a8 format=w4c n=28672 k=4096 m=4096 arch=sm_80",
        "gemm_w4a8 format=w4c n=4096 k=32 m=3 arch=sm_89",
        "quant_act k=66304 m=1",
        "quant_act k=32 m=4096"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *wanted = call_key("plan.default", keys[i]);
        json_t *list = call_key("plan.candidates", keys[i]);
        size_t at = 0;
        while (at < json_array_size(list) &&
               !json_equal(json_array_get(list, at), wanted))
            at++;
        assert_true(at < json_array_size(list));
        json_decref(list);
        json_decref(wanted);
    }
}

static void a_pinned_axis_stays_pinned(void **state)
{
    (void)state;
    json_t *list = call_key("plan.candidates",
                            "gemm_w4a8 format=w4c n=512 k=512 stages=3");
    assert_true(json_array_size(list) > 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_contains(text_field(json_array_get(list, i), "spec"),
                        " stages=3 ");
    json_decref(list);
}

static void no_candidate_asks_for_more_than_the_device_has(void **state)
{
    (void)state;
    char key[200];
    for (int a = 0; a < 6; a++) {
        char argument[64];
        snprintf(argument, sizeof argument, "{\"arch\": \"%s\"}", archs[a]);
        json_t *device = call(host, "devices.get", argument);
        snprintf(key, sizeof key,
                 "gemm_w4a8 arch=%s format=w4g128 n=8192 k=8192 m=256",
                 archs[a]);
        json_t *list = call_key("plan.candidates", key);
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct gen_launch launch;
            struct tsr_error err;
            assert_int_equal(
                gen_launch_read(
                    json_object_get(json_array_get(list, i), "launch"), &launch,
                    &err),
                0);
            assert_true(launch.shared <=
                        number_field(device, "shared_per_block"));
            assert_true(launch.threads <= 512);
        }
        json_decref(list);
        json_decref(device);
    }
}

/* ---- the cost model --------------------------------------------------------
 */

static int stages = 6; /* of the pipeline */

/* plan.cost of a fixed configuration with these counts for one block. */
static json_t *cost(const char *arch, const char *counts, int blocks,
                    const char *resources)
{
    char argument[900];
    snprintf(argument, sizeof argument,
             "{\"spec\": \"gemm_w4a8 arch=%s format=w4c n=4096 k=4096 m=16 "
             "channel_tile=64 token_tile=16 k_tile=128 stages=%d warps=2 "
             "split_k=2 raster=0\", \"counts\": %s, \"blocks\": %d, "
             "\"resources\": %s}",
             arch, stages, counts, blocks, resources);
    return call(host, "plan.cost", argument);
}

static const char usual_counts[] =
    "{\"warp_instructions\": {\"integer\": 1500, \"mma\": 500}, "
    "\"shared_wavefronts\": 900, \"global_sectors\": 3000, "
    "\"mma_multiply_adds\": 2097152}";
static const char usual_resources[] =
    "{\"registers\": 80, \"shared\": 40000, \"spill_bytes\": 0}";

static double microseconds(const char *arch, const char *counts, int blocks,
                           const char *resources)
{
    json_t *result = cost(arch, counts, blocks, resources);
    double time = number_field(result, "microseconds");
    json_decref(result);
    return time;
}

static void a_memory_bound_kernel_takes_the_time_of_its_bytes(void **state)
{
    (void)state;
    json_t *result = cost("sm_90a", usual_counts, 128, usual_resources);
    assert_string_equal(text_field(result, "bound"), "memory");
    double time = number_field(result, "microseconds");
    /* 8.4 MB of weights at 4.8 TB/s are 1.75 us; the ramp adds a few. */
    assert_true(time > 1.75 && time < 8);
    assert_true(number_field(result, "occupancy") > 0);
    assert_true(number_field(result, "occupancy") <= 1);
    json_decref(result);
}

static void more_work_never_takes_less_time(void **state)
{
    (void)state;
    static const char *const more[] = {
        "{\"warp_instructions\": {\"integer\": 30000, \"mma\": 500}, "
        "\"shared_wavefronts\": 900, \"global_sectors\": 3000, "
        "\"mma_multiply_adds\": 2097152}",
        "{\"warp_instructions\": {\"integer\": 1500, \"mma\": 500}, "
        "\"shared_wavefronts\": 90000, \"global_sectors\": 3000, "
        "\"mma_multiply_adds\": 2097152}",
        "{\"warp_instructions\": {\"integer\": 1500, \"mma\": 500}, "
        "\"shared_wavefronts\": 900, \"global_sectors\": 90000, "
        "\"mma_multiply_adds\": 2097152}",
        "{\"warp_instructions\": {\"integer\": 1500, \"mma\": 500}, "
        "\"shared_wavefronts\": 900, \"global_sectors\": 3000, "
        "\"mma_multiply_adds\": 209715200}"};
    for (int a = 0; a < 6; a++) {
        double base =
            microseconds(archs[a], usual_counts, 128, usual_resources);
        for (int i = 0; i < 4; i++)
            assert_true(microseconds(archs[a], more[i], 128, usual_resources) >
                        base);
        assert_true(
            microseconds(archs[a], usual_counts, 1280, usual_resources) > base);
        assert_true(microseconds(archs[a], usual_counts, 128,
                                 "{\"registers\": 80, \"shared\": 40000, "
                                 "\"spill_bytes\": 400}") > base);
    }
}

static void the_bound_names_the_resource_that_is_short(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"warp_instructions\": {\"integer\": 900000}}", "issue"},
        {"{\"warp_instructions\": {\"mma\": 900000}, "
         "\"mma_multiply_adds\": 2000000000}",
         "mma"},
        {"{\"shared_wavefronts\": 900000}", "shared"},
        {"{\"global_sectors\": 900000}", "memory"},
    };
    for (int i = 0; i < 4; i++) {
        json_t *result = cost("sm_90a", cases[i][0], 128, usual_resources);
        assert_string_equal(text_field(result, "bound"), cases[i][1]);
        json_decref(result);
    }
}

static void a_shallow_pipeline_is_bound_by_latency(void **state)
{
    (void)state;
    double deep = microseconds("sm_90a", usual_counts, 128, usual_resources);
    stages = 2;
    json_t *result = cost("sm_90a", usual_counts, 128, usual_resources);
    stages = 6;
    assert_string_equal(text_field(result, "bound"), "latency");
    assert_true(number_field(result, "microseconds") > deep);
    json_decref(result);
}

static void counts_of_several_blocks_are_averaged(void **state)
{
    (void)state;
    double one = microseconds("sm_80",
                              "{\"warp_instructions\": {\"integer\": 9000}, "
                              "\"shared_wavefronts\": 900, \"blocks\": 1}",
                              128, usual_resources);
    double three = microseconds("sm_80",
                                "{\"warp_instructions\": {\"integer\": 27000},"
                                "\"shared_wavefronts\": 2700, \"blocks\": 3}",
                                128, usual_resources);
    assert_true(fabs(one - three) < 1e-9);
}

static void a_kernel_that_does_not_fit_is_never_chosen(void **state)
{
    (void)state;
    json_t *result = cost("sm_86", usual_counts, 128,
                          "{\"registers\": 80, \"shared\": 200000}");
    assert_true(number_field(result, "microseconds") >= 1e9);
    json_decref(result);
}

/* ---- devices ---------------------------------------------------------------
 */

static void devices_have_the_rates_of_the_data_sheets(void **state)
{
    (void)state;
    /* int8 multiply-adds a clock and SM, from notes: A100 2049, H100 4096,
    ** L40S 1024, B200 8218; `mma.sync` reaches the stated share of them. */
    static const struct {
        const char *name;
        double macs;
    } rates[] = {{"NVIDIA A100-SXM4-80GB", 2049},
                 {"NVIDIA H100 80GB HBM3", 4096 * 0.62},
                 {"NVIDIA H20", 1037 * 0.62},
                 {"NVIDIA L40S", 1024},
                 {"NVIDIA GeForce RTX 4090", 1023},
                 {"NVIDIA B200", 8218 * 0.25},
                 {"NVIDIA GeForce RTX 5090", 1023}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        char argument[100];
        snprintf(argument, sizeof argument, "{\"name\": \"%s\"}",
                 rates[i].name);
        json_t *device = call(host, "devices.get", argument);
        double macs = number_field(device, "int8_macs_per_clock");
        if (fabs(macs / rates[i].macs - 1) > 0.01)
            fail_msg("%s: %f MACs, not %f", rates[i].name, macs, rates[i].macs);
        json_decref(device);
    }
}

static void one_named_gpu_stands_for_an_architecture(void **state)
{
    (void)state;
    static const char *const names[] = {
        "NVIDIA A100-SXM4-80GB", "NVIDIA A10",  "NVIDIA L40S",
        "NVIDIA H200",           "NVIDIA B200", "NVIDIA GeForce RTX 5090"};
    for (int a = 0; a < 6; a++) {
        char argument[64];
        snprintf(argument, sizeof argument, "{\"arch\": \"%s\"}", archs[a]);
        json_t *device = call(host, "devices.get", argument);
        assert_string_equal(text_field(device, "name"), names[a]);
        json_decref(device);
    }
    json_t *list = call(host, "devices.list", "{}");
    assert_true(json_array_size(list) >= 14);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_and_format_has_candidates),
        cmocka_unit_test(candidates_are_distinct_and_best_first),
        cmocka_unit_test(every_candidate_can_be_asked_for_by_its_spec),
        cmocka_unit_test(the_default_is_among_the_candidates),
        cmocka_unit_test(a_pinned_axis_stays_pinned),
        cmocka_unit_test(no_candidate_asks_for_more_than_the_device_has),
        cmocka_unit_test(a_memory_bound_kernel_takes_the_time_of_its_bytes),
        cmocka_unit_test(more_work_never_takes_less_time),
        cmocka_unit_test(the_bound_names_the_resource_that_is_short),
        cmocka_unit_test(a_shallow_pipeline_is_bound_by_latency),
        cmocka_unit_test(counts_of_several_blocks_are_averaged),
        cmocka_unit_test(a_kernel_that_does_not_fit_is_never_chosen),
        cmocka_unit_test(devices_have_the_rates_of_the_data_sheets),
        cmocka_unit_test(one_named_gpu_stands_for_an_architecture),
    };
    return cmocka_run_group_tests(tests, open_once, free_once);
}
