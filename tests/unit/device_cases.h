/* device_cases.h -- what every device must do, whatever stands behind it.
** test_device.c runs these cases on the emulator, test_cuda_device.c on the
** CUDA implementation over the driver look-alike. The state of each case is
** the name of the device.
*/
#ifndef TESTS_UNIT_DEVICE_CASES_H
#define TESTS_UNIT_DEVICE_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/device/device.h"

/* add: y[i] = x[i] + c for i < n. */
#define PTX_ADD                                                             \
    ".version 7.0\n.target sm_80\n.address_size 64\n"                       \
    ".visible .entry add(.param .u64 py, .param .u64 px, .param .s32 pc,\n" \
    "                    .param .u32 pn)\n"                                 \
    "{\n"                                                                   \
    ".reg .pred %p;\n.reg .b32 %r<8>;\n.reg .b64 %rd<8>;\n"                 \
    "ld.param.u64 %rd1, [py];\nld.param.u64 %rd2, [px];\n"                  \
    "ld.param.u32 %r1, [pc];\nld.param.u32 %r2, [pn];\n"                    \
    "mov.u32 %r3, %ctaid.x;\nmov.u32 %r4, %ntid.x;\nmov.u32 %r5, %tid.x;\n" \
    "mad.lo.s32 %r3, %r3, %r4, %r5;\n"                                      \
    "setp.ge.u32 %p, %r3, %r2;\n@%p bra DONE;\n"                            \
    "cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\n"      \
    "mul.wide.u32 %rd3, %r3, 4;\n"                                          \
    "add.s64 %rd1, %rd1, %rd3;\nadd.s64 %rd2, %rd2, %rd3;\n"                \
    "ld.global.u32 %r6, [%rd2];\nadd.s32 %r6, %r6, %r1;\n"                  \
    "st.global.u32 [%rd1], %r6;\nDONE:\nret;\n}\n"

/* reverse: y[i] = x[blockDim - 1 - i] through dynamic shared memory. */
#define PTX_REVERSE                                                         \
    ".version 7.0\n.target sm_80\n.address_size 64\n"                       \
    ".extern .shared .align 16 .b8 tile[];\n"                               \
    ".visible .entry reverse(.param .u64 py, .param .u64 px)\n"             \
    "{\n"                                                                   \
    ".reg .b32 %r<8>;\n.reg .b64 %rd<8>;\n"                                 \
    "ld.param.u64 %rd1, [py];\nld.param.u64 %rd2, [px];\n"                  \
    "cvta.to.global.u64 %rd1, %rd1;\ncvta.to.global.u64 %rd2, %rd2;\n"      \
    "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ntid.x;\n"                         \
    "mul.wide.u32 %rd3, %r1, 4;\nadd.s64 %rd2, %rd2, %rd3;\n"               \
    "ld.global.u32 %r3, [%rd2];\n"                                          \
    "mov.u32 %r4, tile;\nshl.b32 %r5, %r1, 2;\nadd.s32 %r5, %r4, %r5;\n"    \
    "st.shared.u32 [%r5], %r3;\nbar.sync 0;\n"                              \
    "sub.s32 %r6, %r2, %r1;\nadd.s32 %r6, %r6, -1;\nshl.b32 %r6, %r6, 2;\n" \
    "add.s32 %r6, %r4, %r6;\nld.shared.u32 %r7, [%r6];\n"                   \
    "add.s64 %rd1, %rd1, %rd3;\nst.global.u32 [%rd1], %r7;\nret;\n}\n"

static struct tsr_device *case_open(void **state)
{
    struct tsr_device *device = NULL;
    struct tsr_error error = {0};
    if (tsr__device_open(&device, *state, &error))
        fail_msg("cannot open '%s': %s", (const char *)*state, error.text);
    return device;
}

static tsr_device_ptr case_alloc(struct tsr_device *device, size_t bytes,
                                 const char *label)
{
    tsr_device_ptr pointer = 0;
    assert_int_equal(tsr__device_alloc(device, bytes, label, &pointer, NULL),
                     0);
    assert_true(pointer != 0);
    assert_int_equal(pointer % 256, 0);
    return pointer;
}

static struct tsr_function *case_load(struct tsr_device *device,
                                      const char *ptx, const char *name,
                                      uint32_t shared,
                                      struct tsr_module **module)
{
    struct tsr_function *function = NULL;
    struct tsr_error error = {0};
    if (tsr__module_load(device, ptx, strlen(ptx) + 1, module, &error) ||
        tsr__module_function(*module, name, shared, &function, &error))
        fail_msg("cannot load '%s': %s", name, error.text);
    return function;
}

static void device_says_what_it_is(void **state)
{
    struct tsr_device *device = case_open(state);
    const struct tsr_device_info *info = tsr__device_info(device);
    assert_true(strlen(info->name) > 0);
    assert_string_equal(info->arch, "sm_90a");
    assert_int_equal(info->capability_major, 9);
    assert_int_equal(info->sm_count, 132);
    assert_true(info->memory_bytes >= (size_t)1 << 30);
    assert_int_equal(info->shared_per_block, 227 << 10);
    assert_int_equal(info->shared_per_sm, 228 << 10);
    assert_int_equal(info->registers_per_sm, 65536);
    assert_true(info->l2_bytes > 0 && info->clock_khz > 0);
    assert_true(strlen(info->uuid) > 0);
    tsr__device_free(device);
}

static void what_is_written_is_read_and_fill_fills(void **state)
{
    struct tsr_device *device = case_open(state);
    unsigned char in[1000], out[1000];
    tsr_device_ptr memory = case_alloc(device, sizeof in, "bytes");
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (unsigned char)(i * 7);
    assert_int_equal(tsr__device_write(device, memory, in, sizeof in, NULL), 0);
    assert_int_equal(tsr__device_read(device, out, memory, sizeof out, NULL),
                     0);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(tsr__device_fill(device, memory + 10, 0xab, 20, NULL), 0);
    assert_int_equal(tsr__device_read(device, out, memory, sizeof out, NULL),
                     0);
    memset(in + 10, 0xab, 20);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(tsr__device_read(device, out, memory + 990, 10, NULL), 0);
    assert_memory_equal(in + 990, out, 10);
    assert_int_equal(tsr__device_release(device, memory, NULL), 0);
    assert_int_equal(tsr__device_release(device, 0, NULL), 0);
    tsr__device_free(device);
}

static void reads_and_writes_outside_an_allocation_fail(void **state)
{
    struct tsr_device *device = case_open(state);
    unsigned char bytes[64] = {0};
    struct tsr_error error = {0};
    tsr_device_ptr memory = case_alloc(device, 32, "small");
    assert_true(tsr__device_write(device, memory, bytes, 64, &error) < 0);
    assert_true(strlen(error.text) > 0);
    assert_true(tsr__device_read(device, bytes, memory + 32, 1, NULL) < 0);
    assert_true(tsr__device_fill(device, memory - 1, 0, 1, NULL) < 0);
    assert_true(tsr__device_release(device, memory + 8, NULL) < 0);
    assert_int_equal(tsr__device_release(device, memory, NULL), 0);
    assert_true(tsr__device_release(device, memory, NULL) < 0);
    tsr__device_free(device);
}

static void allocations_larger_than_the_device_fail(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_error error = {0};
    tsr_device_ptr pointer = 77;
    assert_int_equal(
        tsr__device_alloc(device, (size_t)1 << 50, "weights", &pointer, &error),
        TSR_EMEMORY);
    assert_non_null(strstr(error.text, "weights"));
    assert_int_equal(pointer, 77);
    assert_int_equal(tsr__device_alloc(device, 0, "empty", &pointer, NULL), 0);
    assert_int_equal(tsr__device_release(device, pointer, NULL), 0);
    tsr__device_free(device);
}

static void launches_compute_and_streams_keep_order(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_stream *stream;
    struct tsr_function *add = case_load(device, PTX_ADD, "add", 0, &module);
    int32_t x[100], y[100], c = 5;
    uint32_t n = 100;
    tsr_device_ptr px = case_alloc(device, sizeof x, "x");
    tsr_device_ptr py = case_alloc(device, sizeof y, "y");
    struct tsr_launch_shape shape = {{4, 1, 1}, {32, 1, 1}, 0};
    for (int i = 0; i < 100; i++)
        x[i] = i * i;
    assert_int_equal(tsr__device_write(device, px, x, sizeof x, NULL), 0);
    assert_int_equal(tsr__stream_create(device, &stream, NULL), 0);
    void *first[] = {&py, &px, &c, &n}, *second[] = {&py, &py, &c, &n};
    assert_int_equal(tsr__function_launch(add, &shape, NULL, first, NULL), 0);
    assert_int_equal(tsr__function_launch(add, &shape, stream, second, NULL),
                     0);
    assert_int_equal(tsr__function_launch(add, &shape, stream, second, NULL),
                     0);
    assert_int_equal(tsr__device_synchronize(device, NULL), 0);
    assert_int_equal(tsr__device_read(device, y, py, sizeof y, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(y[i], i * i + 15);
    tsr__stream_free(stream);
    tsr__module_free(module);
    tsr__device_release(device, px, NULL);
    tsr__device_release(device, py, NULL);
    tsr__device_free(device);
}

static void dynamic_shared_memory_beyond_48_kib_is_granted(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    const uint32_t shared = 100 << 10;
    struct tsr_function *reverse =
        case_load(device, PTX_REVERSE, "reverse", shared, &module);
    int32_t x[64], y[64];
    tsr_device_ptr px = case_alloc(device, sizeof x, "x");
    tsr_device_ptr py = case_alloc(device, sizeof y, "y");
    struct tsr_launch_shape shape = {{1, 1, 1}, {64, 1, 1}, shared};
    void *arguments[] = {&py, &px};
    for (int i = 0; i < 64; i++)
        x[i] = 1000 + i;
    assert_int_equal(tsr__device_write(device, px, x, sizeof x, NULL), 0);
    assert_int_equal(
        tsr__function_launch(reverse, &shape, NULL, arguments, NULL), 0);
    assert_int_equal(tsr__device_read(device, y, py, sizeof y, NULL), 0);
    for (int i = 0; i < 64; i++)
        assert_int_equal(y[i], 1063 - i);
    struct tsr_error error = {0};
    struct tsr_function *none = NULL;
    assert_true(
        tsr__module_function(module, "reverse", 300 << 10, &none, &error) < 0);
    assert_non_null(strstr(error.text, "shared memory"));
    assert_null(none);
    tsr__module_free(module);
    tsr__device_free(device);
}

static void graphs_replay_with_the_arguments_of_the_recording(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_stream *stream;
    struct tsr_graph *graph;
    struct tsr_function *add = case_load(device, PTX_ADD, "add", 0, &module);
    int32_t y[32] = {0}, c = 3;
    uint32_t n = 32;
    tsr_device_ptr py = case_alloc(device, sizeof y, "y");
    struct tsr_launch_shape shape = {{1, 1, 1}, {32, 1, 1}, 0};
    void *arguments[] = {&py, &py, &c, &n};
    assert_int_equal(tsr__device_write(device, py, y, sizeof y, NULL), 0);
    assert_int_equal(tsr__stream_create(device, &stream, NULL), 0);
    assert_int_equal(tsr__graph_begin(stream, NULL), 0);
    assert_true(tsr__graph_begin(stream, NULL) < 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            tsr__function_launch(add, &shape, stream, arguments, NULL), 0);
    c = 1000; /* too late for the recording */
    assert_int_equal(tsr__graph_end(stream, &graph, NULL), 0);
    assert_int_equal(tsr__device_read(device, y, py, sizeof y, NULL), 0);
    assert_int_equal(y[31], 0); /* recorded, not run */
    for (int i = 0; i < 3; i++)
        assert_int_equal(tsr__graph_launch(graph, stream, NULL), 0);
    assert_int_equal(tsr__device_synchronize(device, NULL), 0);
    assert_int_equal(tsr__device_read(device, y, py, sizeof y, NULL), 0);
    assert_int_equal(y[0], 3 * 2 * 3);
    assert_int_equal(y[31], 3 * 2 * 3);
    assert_true(tsr__graph_end(stream, &graph, NULL) < 0);
    tsr__graph_free(graph);
    tsr__stream_free(stream);
    tsr__module_free(module);
    tsr__device_free(device);
}

static void events_measure_what_lies_between_them(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_event *start, *stop;
    double elapsed = -1;
    assert_int_equal(tsr__event_create(device, &start, NULL), 0);
    assert_int_equal(tsr__event_create(device, &stop, NULL), 0);
    assert_true(tsr__event_elapsed(start, stop, &elapsed, NULL) < 0);
    assert_true(elapsed == -1);
    assert_int_equal(tsr__event_record(start, NULL, NULL), 0);
    assert_int_equal(tsr__event_record(stop, NULL, NULL), 0);
    assert_int_equal(tsr__event_elapsed(start, stop, &elapsed, NULL), 0);
    assert_true(elapsed >= 0);
    tsr__event_free(start);
    tsr__event_free(stop);
    tsr__device_free(device);
}

static void images_and_names_that_are_wrong_are_refused(void **state)
{
    struct tsr_device *device = case_open(state);
    struct tsr_module *module = NULL;
    struct tsr_function *function = NULL;
    struct tsr_error error = {0};
    const char *wrong = ".version 7.0\n.target sm_80\n.address_size 64\n"
                        ".visible .entry k()\n{\n.reg .b32 %r<2>;\n"
                        "wibble.u32 %r1, %r1;\nret;\n}\n";
    assert_true(tsr__module_load(device, wrong, strlen(wrong) + 1, &module,
                                 &error) < 0);
    assert_non_null(strstr(error.text, "wibble"));
    assert_true(tsr__module_load(device,
                                 "\177ELF junk that is no cubin at "
                                 "all, only long enough for the "
                                 "header of one ",
                                 80, &module, &error) < 0);
    assert_null(module);
    assert_int_equal(
        tsr__module_load(device, PTX_ADD, strlen(PTX_ADD), &module, NULL),
        0); /* the NUL need not be counted */
    assert_int_equal(
        tsr__module_function(module, "subtract", 0, &function, &error),
        TSR_ENOTFOUND);
    assert_non_null(strstr(error.text, "'subtract'"));
    assert_null(function);
    tsr__module_free(module);
    tsr__device_free(device);
}

static void shapes_no_gpu_takes_are_refused(void **state)
{
    static const struct tsr_launch_shape shapes[] = {
        {{0, 1, 1}, {32, 1, 1}, 0},       {{1, 1, 1}, {32, 0, 1}, 0},
        {{1, 1, 1}, {1025, 1, 1}, 0},     {{1, 1, 1}, {32, 32, 2}, 0},
        {{1, 1, 1}, {32, 1, 1}, 1 << 20},
    };
    struct tsr_device *device = case_open(state);
    struct tsr_module *module;
    struct tsr_function *add = case_load(device, PTX_ADD, "add", 0, &module);
    int32_t c = 0;
    uint32_t n = 0;
    tsr_device_ptr none = 0;
    void *arguments[] = {&none, &none, &c, &n};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct tsr_error error = {0};
        assert_true(
            tsr__function_launch(add, &shapes[i], NULL, arguments, &error) < 0);
        assert_true(strlen(error.text) > 0);
    }
    tsr__module_free(module);
    tsr__device_free(device);
}

#define DEVICE_CASE(function, name)                                \
    {                                                              \
#function, function, NULL, NULL, (void *)(uintptr_t)(name) \
    }

#define DEVICE_CASES(name)                                                    \
    DEVICE_CASE(device_says_what_it_is, name),                                \
        DEVICE_CASE(what_is_written_is_read_and_fill_fills, name),            \
        DEVICE_CASE(reads_and_writes_outside_an_allocation_fail, name),       \
        DEVICE_CASE(allocations_larger_than_the_device_fail, name),           \
        DEVICE_CASE(launches_compute_and_streams_keep_order, name),           \
        DEVICE_CASE(dynamic_shared_memory_beyond_48_kib_is_granted, name),    \
        DEVICE_CASE(graphs_replay_with_the_arguments_of_the_recording, name), \
        DEVICE_CASE(events_measure_what_lies_between_them, name),             \
        DEVICE_CASE(images_and_names_that_are_wrong_are_refused, name),       \
        DEVICE_CASE(shapes_no_gpu_takes_are_refused, name)

#endif
