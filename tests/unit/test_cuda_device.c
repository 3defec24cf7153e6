/* test_cuda_device.c -- the CUDA implementation of the device, over the driver
** look-alike (tests/lookalike), with failures injected.
**
** The driver is loaded once per process and a lost context stays lost, so
** cases about loading and about sticky errors run in a child process each.
*/
#include "tests/unit/device_cases.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/base/sha256.h"
#include "runtime/device/cuda.h"
#include "tests/unit/scratch.h"

static int (*set)(const char *name, long value);
static long (*live)(const char *name);

/* Runs `check` in a child with these settings; it returns 0 or the number of
** its complaint. */
static int in_child(const char *library, const char *settings,
                    int (*check)(void))
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("TESSERA_CUDA_LIBRARY",
               library ? library : getenv("TSR_LOOKALIKE"), 1);
        setenv("TSR_LOOKALIKE_SET", settings, 1);
        _exit(check());
    }
    waitpid(pid, &status, 0);
    return status;
}

static int opening_fails(int code, const char *words)
{
    struct tsr_device *device = NULL;
    struct tsr_error error = {0};
    if (tsr__device_open(&device, "cuda:0", &error) != code || device)
        return 1;
    if (!strstr(error.text, words)) {
        fprintf(stderr, "'%s' does not say '%s'\n", error.text, words);
        return 2;
    }
    return tsr__device_count(&error) != 0;
}

static int no_library(void)
{
    return opening_fails(TSR_ENOTFOUND, "TESSERA_CUDA_LIBRARY");
}

static int not_a_driver(void)
{
    return opening_fails(TSR_EUNSUPPORTED, "cuGetProcAddress_v2");
}

static int lacks_graphs(void)
{
    return opening_fails(TSR_EUNSUPPORTED, "it has no cuGraphLaunch; update");
}

static int no_device(void)
{
    return opening_fails(TSR_ENOTFOUND, "CUDA_ERROR_NO_DEVICE (100)");
}

static int is_stub(void)
{
    return opening_fails(TSR_EDEVICE, "stub; install the NVIDIA driver");
}

static int unknown_result(void)
{
    return opening_fails(TSR_EDEVICE, "CUDA_ERROR_4711 (4711)");
}

static int emulator_stands_in(void)
{
    struct tsr_device *device = NULL;
    if (tsr__device_open(&device, NULL, NULL))
        return 1;
    int wrong = !tsr__device_info(device)->emulated;
    tsr__device_free(device);
    return wrong;
}

static void absent_old_and_broken_drivers_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(in_child("/nowhere/libcuda.so.1", "", no_library), 0);
    assert_int_equal(in_child("libc.so.6", "", not_a_driver), 0);
    assert_int_equal(in_child(NULL, "missing=cuGraphLaunch", lacks_graphs), 0);
    assert_int_equal(in_child(NULL, "devices=0", no_device), 0);
    assert_int_equal(in_child(NULL, "init=34", is_stub), 0);
    assert_int_equal(in_child(NULL, "init=4711", unknown_result), 0);
}

static void without_a_device_the_default_is_the_emulator(void **state)
{
    (void)state;
    assert_int_equal(in_child("/nowhere/libcuda.so.1", "", emulator_stands_in),
                     0);
    assert_int_equal(in_child(NULL, "devices=0", emulator_stands_in), 0);
}

static int second_device(void)
{
    struct tsr_device *device = NULL;
    struct tsr_error error = {0};
    if (tsr__device_open(&device, "cuda:1", NULL) ||
        strcmp(tsr__device_info(device)->name, "Look-alike GPU 1"))
        return 1;
    tsr__device_free(device);
    if (tsr__device_count(NULL) != 2)
        return 2;
    if (tsr__device_open(&device, "cuda:2", &error) != TSR_ENOTFOUND ||
        !strstr(error.text, "no cuda:2; this machine has 2"))
        return 3;
    return 0;
}

static void devices_are_counted_from_zero(void **state)
{
    (void)state;
    assert_int_equal(in_child(NULL, "devices=2", second_device), 0);
}

static void the_arch_follows_from_the_compute_capability(void **state)
{
    static const struct {
        long capability;
        const char *arch;
    } cases[] = {{75, "sm_75"},    {80, "sm_80"},    {86, "sm_86"},
                 {89, "sm_89"},    {90, "sm_90a"},   {100, "sm_100a"},
                 {103, "sm_103a"}, {120, "sm_120a"}, {121, "sm_121a"}};
    struct tsr_device_info info;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set("capability", cases[i].capability);
        assert_int_equal(tsr__cuda_device_info(0, &info, NULL), 0);
        assert_string_equal(info.arch, cases[i].arch);
    }
    set("capability", 90);
}

static void a_mig_slice_is_known_by_its_name(void **state)
{
    struct tsr_device_info info;
    (void)state;
    set("mig", 1);
    assert_int_equal(tsr__cuda_device_info(0, &info, NULL), 0);
    assert_int_equal(info.mig, 1);
    assert_int_equal(info.sm_count, 16);
    set("mig", 0);
    assert_int_equal(tsr__cuda_device_info(0, &info, NULL), 0);
    assert_int_equal(info.mig, 0);
    assert_string_equal(info.uuid, "00112233-4455-6677-8899-aabbccddee00");
    assert_int_equal(info.driver_version, 13000);
}

static void the_default_device_is_the_first_gpu(void **state)
{
    struct tsr_device *device;
    (void)state;
    assert_int_equal(tsr__device_open(&device, NULL, NULL), 0);
    assert_int_equal(tsr__device_info(device)->emulated, 0);
    tsr__device_free(device);
}

static void out_of_memory_is_said_and_recovered_from(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_error error = {0};
    tsr_device_ptr first, second = 0;
    set("alloc", 2);
    assert_int_equal(tsr__device_alloc(device, 64, "a", &first, NULL), 0);
    assert_int_equal(tsr__device_alloc(device, 64, "b", &second, &error),
                     TSR_EMEMORY);
    assert_non_null(strstr(error.text, "64 bytes for 'b' on cuda:0"));
    assert_non_null(strstr(error.text, "CUDA_ERROR_OUT_OF_MEMORY (2)"));
    assert_int_equal(second, 0);
    assert_int_equal(tsr__device_alloc(device, 64, "b", &second, NULL), 0);
    assert_int_equal(live("allocations"), 2);
    tsr__device_release(device, first, NULL);
    tsr__device_release(device, second, NULL);
    assert_int_equal(live("allocations"), 0);
    tsr__device_free(device);
}

static void a_refused_launch_is_no_end(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_function *add = case_load(device, PTX_ADD, "add", 0, &module);
    struct tsr_error error = {0};
    int32_t c = 0;
    uint32_t n = 0;
    tsr_device_ptr none = 0;
    struct tsr_launch_shape shape = {{1, 2, 3}, {32, 1, 1}, 0};
    void *arguments[] = {&none, &none, &c, &n};
    set("launch", 1);
    assert_int_equal(tsr__function_launch(add, &shape, NULL, arguments, &error),
                     TSR_EDEVICE);
    assert_non_null(strstr(error.text, "'add' as grid 1x2x3, block 32x1x1"));
    assert_non_null(strstr(error.text, "LAUNCH_OUT_OF_RESOURCES"));
    assert_int_equal(tsr__function_launch(add, &shape, NULL, arguments, NULL),
                     0);
    assert_int_equal(tsr__device_synchronize(device, NULL), 0);
    tsr__module_free(module);
    tsr__device_free(device);
}

static void an_image_the_driver_refuses_is_a_format_error(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module = NULL;
    struct tsr_error error = {0};
    set("module", 1);
    assert_int_equal(
        tsr__module_load(device, PTX_ADD, sizeof PTX_ADD, &module, &error),
        TSR_EFORMAT);
    assert_non_null(strstr(error.text, "CUDA_ERROR_INVALID_IMAGE (200)"));
    assert_null(module);
    tsr__device_free(device);
}

/* The GPU stays lost: for this struct, for another, for good. */
static int everything_fails(struct tsr_device *device,
                            struct tsr_function *function)
{
    struct tsr_device *again = NULL;
    struct tsr_error error = {0};
    tsr_device_ptr pointer;
    struct tsr_launch_shape shape = {{1, 1, 1}, {32, 1, 1}, 0};
    if (tsr__device_alloc(device, 64, "x", &pointer, &error) != TSR_EDEVICE ||
        !strstr(error.text, "cuda:0 is lost to this process"))
        return 11;
    if (tsr__function_launch(function, &shape, NULL, NULL, NULL) != TSR_EDEVICE)
        return 12;
    if (tsr__device_synchronize(device, NULL) != TSR_EDEVICE)
        return 13;
    if (tsr__device_open(&again, "cuda:0", NULL))
        return 14;
    if (tsr__device_alloc(again, 64, "x", &pointer, &error) != TSR_EDEVICE)
        return 15;
    tsr__device_free(again);
    return 0;
}

static int sticky_launch(void)
{
    struct tsr_device *device;
    struct tsr_module *module;
    struct tsr_function *add;
    struct tsr_error error = {0};
    int32_t c = 0;
    uint32_t n = 0;
    tsr_device_ptr none = 0;
    struct tsr_launch_shape shape = {{1, 1, 1}, {32, 1, 1}, 0};
    void *arguments[] = {&none, &none, &c, &n};
    if (tsr__device_open(&device, "cuda:0", NULL) ||
        tsr__module_load(device, PTX_ADD, sizeof PTX_ADD, &module, NULL) ||
        tsr__module_function(module, "add", 0, &add, NULL))
        return 1;
    /* TSR_LOOKALIKE_SET says sticky=2: the second launch dies. */
    if (tsr__function_launch(add, &shape, NULL, arguments, NULL) ||
        tsr__device_synchronize(device, NULL))
        return 2;
    if (tsr__function_launch(add, &shape, NULL, arguments, NULL))
        return 3; /* a GPU tells later */
    if (tsr__device_synchronize(device, &error) != TSR_EDEVICE ||
        !strstr(error.text, "CUDA_ERROR_ILLEGAL_ADDRESS (700)") ||
        !strstr(error.text, "emulator"))
        return 4;
    int wrong = everything_fails(device, add);
    tsr__module_free(module);
    tsr__device_free(device);
    return wrong;
}

static int wild_kernel(void)
{
    struct tsr_device *device;
    struct tsr_module *module;
    struct tsr_function *add;
    struct tsr_error error = {0};
    int32_t c = 0, out[32];
    uint32_t n = 64;
    tsr_device_ptr y;
    struct tsr_launch_shape shape = {{2, 1, 1}, {32, 1, 1}, 0};
    void *arguments[] = {&y, &y, &c, &n};
    if (tsr__device_open(&device, "cuda:0", NULL) ||
        tsr__module_load(device, PTX_ADD, sizeof PTX_ADD, &module, NULL) ||
        tsr__module_function(module, "add", 0, &add, NULL) ||
        tsr__device_alloc(device, 32 * 4, "y", &y, NULL))
        return 1;
    if (tsr__function_launch(add, &shape, NULL, arguments, NULL))
        return 2;
    if (tsr__device_read(device, out, y, sizeof out, &error) != TSR_EDEVICE ||
        !strstr(error.text, "ILLEGAL_ADDRESS"))
        return 3;
    return everything_fails(device, add);
}

static void a_lost_context_fails_every_later_call(void **state)
{
    (void)state;
    assert_int_equal(in_child(NULL, "sticky=2", sticky_launch), 0);
    assert_int_equal(in_child(NULL, "", wild_kernel), 0);
}

/* The look-alike cannot run a cubin; it runs the PTX lying beside it. */
static void load_cubin(struct tsr_device *device, const char *path,
                       const char *folder)
{
    struct tsr_module *module = NULL;
    struct tsr_function *add;
    struct tsr_error error = {0};
    char hash[TSR_SHA256_HEX], name[128], *cubin;
    size_t size;
    assert_int_equal(tsr__file_read(path, 1 << 20, &cubin, &size, NULL), 0);
    assert_int_equal(tsr__module_load(device, cubin, size, &module, &error),
                     TSR_EUNSUPPORTED);
    assert_non_null(strstr(error.text, "NO_BINARY_FOR_GPU"));
    tsr__sha256_hex(cubin, size, hash);
    snprintf(name, sizeof name, "%s.ptx", hash);
    scratch_write(scratch_path(folder, name), PTX_ADD, strlen(PTX_ADD));
    assert_int_equal(tsr__module_load(device, cubin, size, &module, NULL), 0);
    assert_int_equal(tsr__module_function(module, "add", 0, &add, NULL), 0);
    tsr__module_free(module);
    tsr__free(cubin);
}

static void a_cubin_is_loaded_as_it_is(void **state)
{
    static const char *const paths[] = {
        "tests/fuzz/corpus/cubin/sm_80.cubin",
        "tests/fuzz/corpus/cubin/sm_80-cuda12.cubin",
        "tests/fuzz/corpus/cubin/sm_90a.cubin",
        "tests/fuzz/corpus/cubin/sm_120a.cubin"};
    struct tsr_device *device = case_open(state);
    const char *folder = scratch_folder();
    setenv("TSR_LOOKALIKE_PTX", folder, 1);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        load_cubin(device, paths[i], folder);
    unsetenv("TSR_LOOKALIKE_PTX");
    tsr__device_free(device);
}

static void a_function_asked_for_twice_is_one(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_function *again = NULL;
    struct tsr_function *first =
        case_load(device, PTX_REVERSE, "reverse", 0, &module);
    assert_int_equal(
        tsr__module_function(module, "reverse", 200 << 10, &again, NULL), 0);
    assert_ptr_equal(first, again);
    tsr__module_free(module);
    tsr__device_free(device);
}

struct racer {
    struct tsr_device *device;
    struct tsr_module *module;
    tsr_device_ptr y;
    int failed;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct tsr_stream *stream;
    struct tsr_function *add;
    int32_t c = 1;
    uint32_t n = 32;
    struct tsr_launch_shape shape = {{1, 1, 1}, {32, 1, 1}, 0};
    void *arguments[] = {&racer->y, &racer->y, &c, &n};
    racer->failed = tsr__stream_create(racer->device, &stream, NULL) ||
                    tsr__module_function(racer->module, "add", 0, &add, NULL);
    for (int i = 0; i < 50 && !racer->failed; i++)
        racer->failed =
            tsr__function_launch(add, &shape, stream, arguments, NULL);
    tsr__stream_free(stream);
    return NULL;
}

static void two_threads_share_a_device_and_a_module(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct racer racers[2];
    pthread_t threads[2];
    int32_t out[32];
    case_load(device, PTX_ADD, "add", 0, &module);
    for (int i = 0; i < 2; i++) {
        racers[i] = (struct racer){device, module, 0, 0};
        racers[i].y = case_alloc(device, sizeof out, "y");
        tsr__device_fill(device, racers[i].y, 0, sizeof out, NULL);
        pthread_create(&threads[i], NULL, race, &racers[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failed, 0);
        assert_int_equal(
            tsr__device_read(device, out, racers[i].y, sizeof out, NULL), 0);
        assert_int_equal(out[0], 50);
        assert_int_equal(out[31], 50);
        tsr__device_release(device, racers[i].y, NULL);
    }
    tsr__module_free(module);
    tsr__device_free(device);
}

static void failing_memory_is_an_error_at_every_allocation(void **state)
{
    struct tsr_device *device = case_open(state);
    int refused = 0;
    for (long n = 1; n < 12; n++) {
        struct tsr_module *module = NULL;
        struct tsr_function *add;
        struct tsr_stream *stream = NULL;
        struct tsr_event *event = NULL;
        tsr__memory_fail_after(n, 0);
        int rc =
            tsr__module_load(device, PTX_ADD, sizeof PTX_ADD, &module, NULL);
        if (rc == 0)
            rc = tsr__module_function(module, "add", 0, &add, NULL);
        if (rc == 0)
            rc = tsr__stream_create(device, &stream, NULL);
        if (rc == 0)
            rc = tsr__event_create(device, &event, NULL);
        tsr__memory_fail_after(0, 0);
        assert_true(rc == 0 || rc == TSR_EMEMORY);
        refused += rc != 0;
        tsr__event_free(event);
        tsr__stream_free(stream);
        tsr__module_free(module);
    }
    assert_int_equal(refused,
                     5); /* module, its text, function, stream, event */
    tsr__device_free(device);
}

/* Last: every case above has freed what it made. */
static void nothing_is_left_behind(void **state)
{
    static const char *const what[] = {"contexts", "allocations", "modules",
                                       "streams",  "events",      "graphs",
                                       "depth"};
    (void)state;
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        if (live(what[i]) != 0)
            fail_msg("%ld %s left", live(what[i]), what[i]);
}

static int load_lookalike(void)
{
    const char *path = getenv("TSR_LOOKALIKE");
    void *library, *symbol;
    if (!path || access(path, R_OK) != 0)
        return -1;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        print_error("%s\n", dlerror());
        exit(1);
    }
    symbol = dlsym(library, "lookalike_set");
    memcpy(&set, &symbol, sizeof symbol);
    symbol = dlsym(library, "lookalike_count");
    memcpy(&live, &symbol, sizeof symbol);
    setenv("TESSERA_CUDA_LIBRARY", path, 1);
    return 0;
}

static void there_is_no_lookalike(void **state)
{
    (void)state;
    print_message("skipped: TSR_LOOKALIKE names no library; 'make test' "
                  "builds it and sets it\n");
    skip();
}

#define GPU "cuda:0"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_old_and_broken_drivers_are_told_apart),
        cmocka_unit_test(without_a_device_the_default_is_the_emulator),
        cmocka_unit_test(devices_are_counted_from_zero),
        cmocka_unit_test(a_lost_context_fails_every_later_call),
        cmocka_unit_test(the_arch_follows_from_the_compute_capability),
        cmocka_unit_test(a_mig_slice_is_known_by_its_name),
        cmocka_unit_test(the_default_device_is_the_first_gpu),
        DEVICE_CASES(GPU),
        DEVICE_CASE(out_of_memory_is_said_and_recovered_from, GPU),
        DEVICE_CASE(a_refused_launch_is_no_end, GPU),
        DEVICE_CASE(an_image_the_driver_refuses_is_a_format_error, GPU),
        DEVICE_CASE(a_cubin_is_loaded_as_it_is, GPU),
        DEVICE_CASE(a_function_asked_for_twice_is_one, GPU),
        DEVICE_CASE(two_threads_share_a_device_and_a_module, GPU),
        DEVICE_CASE(failing_memory_is_an_error_at_every_allocation, GPU),
        cmocka_unit_test(nothing_is_left_behind),
    };
    const struct CMUnitTest none[] = {cmocka_unit_test(there_is_no_lookalike)};
    if (load_lookalike())
        return cmocka_run_group_tests(none, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
