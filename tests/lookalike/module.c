/* module.c -- the look-alike's images, functions and launches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/base/sha256.h"
#include "tests/lookalike/entry_points.h"

#define PTX_LIMIT      ((size_t)16 << 20)
#define ARGUMENT_LIMIT 4352

static uint64_t get(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

/* The driver is told no size: an ELF file ends with its last table. */
static size_t elf_size(const unsigned char *image)
{
    uint64_t programs =
        get(image + 32, 8) + get(image + 54, 2) * get(image + 56, 2);
    uint64_t sections =
        get(image + 40, 8) + get(image + 58, 2) * get(image + 60, 2);
    return (size_t)(programs > sections ? programs : sections);
}

/* The PTX a cubin stands for. */
static cuda_result read_partner(const unsigned char *image, char **ptx)
{
    char hash[TSR_SHA256_HEX], path[4096];
    const char *folder = getenv("TSR_LOOKALIKE_PTX");
    if (get(image + 18, 2) != 190)
        return CUDA_INVALID_IMAGE;
    if (!folder)
        return CUDA_NO_BINARY_FOR_GPU;
    tsr__sha256_hex(image, elf_size(image), hash);
    snprintf(path, sizeof path, "%s/%s.ptx", folder, hash);
    return tsr__file_read(path, PTX_LIMIT, ptx, NULL, NULL)
               ? CUDA_NO_BINARY_FOR_GPU
               : CUDA_SUCCESS;
}

static void write_log(unsigned count, const int *options, void **values,
                      const char *text)
{
    char *log = NULL;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CUDA_JIT_ERROR_LOG)
            log = values[i];
        if (options[i] == CUDA_JIT_ERROR_LOG_SIZE)
            size = (size_t)(uintptr_t)values[i];
    }
    if (log && size)
        snprintf(log, size, "ptxas fatal : %s\nand more", text);
}

static cuda_result load_text(cuda_context context, const char *ptx,
                             cuda_module *out, char *reason, size_t size)
{
    struct tsr_error error = {0};
    struct cuda_module_opaque *module = calloc(1, sizeof *module);
    if (!module)
        return CUDA_OUT_OF_MEMORY;
    int rc = emu_module_load(&module->module, context->memory, ptx, strlen(ptx),
                             "driver.ptx", &error);
    if (rc) {
        free(module);
        snprintf(reason, size, "%s", error.text);
        return rc == TSR_EMEMORY ? CUDA_OUT_OF_MEMORY : CUDA_INVALID_PTX;
    }
    module->context = context;
    *out = module;
    return CUDA_SUCCESS;
}

cuda_result cuModuleLoadDataEx(cuda_module *out, const void *image,
                               unsigned count, int *options, void **values)
{
    cuda_context context;
    char *ptx = NULL, reason[1024] = "";
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (lookalike_due(&lookalike.module))
        return CUDA_INVALID_IMAGE;
    if (memcmp(image, "\177ELF", 4) == 0)
        result = read_partner(image, &ptx);
    if (!result)
        result =
            load_text(context, ptx ? ptx : image, out, reason, sizeof reason);
    if (reason[0])
        write_log(count, options, values, reason);
    tsr__free(ptx);
    if (!result)
        __atomic_add_fetch(&lookalike_live.modules, 1, __ATOMIC_SEQ_CST);
    return result;
}

cuda_result cuModuleUnload(cuda_module module)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    while (module->functions) {
        struct cuda_function_opaque *next = module->functions->next;
        free(module->functions);
        module->functions = next;
    }
    emu_module_free(module->module);
    free(module);
    __atomic_sub_fetch(&lookalike_live.modules, 1, __ATOMIC_SEQ_CST);
    return CUDA_SUCCESS;
}

cuda_result cuModuleGetFunction(cuda_function *out, cuda_module module,
                                const char *name)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    const struct emu_kernel *kernel = emu_module_kernel(module->module, name);
    if (!kernel)
        return CUDA_NOT_FOUND;
    struct cuda_function_opaque *function = calloc(1, sizeof *function);
    if (!function)
        return CUDA_OUT_OF_MEMORY;
    function->context = module->context;
    function->kernel = kernel;
    emu_kernel_info(kernel, &function->info);
    function->dynamic_limit =
        LOOKALIKE_SHARED_USUAL - (int)function->info.shared_static;
    function->next = module->functions;
    module->functions = function;
    *out = function;
    return CUDA_SUCCESS;
}

cuda_result cuFuncGetAttribute(int *value, int attribute,
                               cuda_function function)
{
    if (attribute == CUDA_FUNCTION_SHARED_STATIC)
        *value = (int)function->info.shared_static;
    else if (attribute == CUDA_FUNCTION_MAX_DYNAMIC_SHARED)
        *value = function->dynamic_limit;
    else
        return CUDA_INVALID_VALUE;
    return CUDA_SUCCESS;
}

cuda_result cuFuncSetAttribute(cuda_function function, int attribute, int value)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (attribute != CUDA_FUNCTION_MAX_DYNAMIC_SHARED || value < 0 ||
        value + (int)function->info.shared_static > LOOKALIKE_SHARED_OPTIN)
        return CUDA_INVALID_VALUE;
    function->dynamic_limit = value;
    return CUDA_SUCCESS;
}

/* A GPU sees wild and misaligned accesses and traps, not races. */
static cuda_result result_of(const struct emu_report *report)
{
    for (size_t i = 0; i < report->findings.count; i++) {
        enum emu_finding_kind kind = report->findings.item[i].kind;
        if (emu_finding_is_note(kind))
            continue;
        if (kind == EMU_MISALIGNED)
            return CUDA_MISALIGNED_ADDRESS;
        if (kind == EMU_TRAP || kind == EMU_DEADLOCK || kind == EMU_TIMEOUT)
            return CUDA_LAUNCH_FAILED;
        return CUDA_ILLEGAL_ADDRESS;
    }
    return CUDA_SUCCESS;
}

cuda_result lookalike_run(cuda_function function,
                          const struct lookalike_launch *recorded)
{
    struct emu_options options = {.checks = 0, .schedules = 1, .threads = 1};
    struct emu_report report;
    memset(&report, 0, sizeof report);
    struct emu_launch launch = {
        .kernel = function->kernel,
        .shared = recorded->shared,
        .arguments = recorded->arguments,
        .argument_bytes = function->info.argument_bytes,
    };
    memcpy(launch.grid, recorded->grid, sizeof launch.grid);
    memcpy(launch.block, recorded->block, sizeof launch.block);
    int rc = emu_launch_run(&launch, &options, &report, NULL);
    cuda_result died = result_of(&report);
    emu_report_release(&report);
    if (rc)
        return CUDA_INVALID_VALUE;
    if (died && !function->context->died)
        function->context->died = died;
    return CUDA_SUCCESS;
}

static int shape_is_legal(const struct cuda_function_opaque *function,
                          const struct lookalike_launch *launch)
{
    uint64_t threads =
        (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    for (int i = 0; i < 3; i++)
        if (!launch->grid[i] || !launch->block[i])
            return 0;
    return threads <= LOOKALIKE_BLOCK_THREADS && launch->grid[1] <= 65535 &&
           launch->grid[2] <= 65535 &&
           launch->shared <= (uint32_t)function->dynamic_limit;
}

static struct lookalike_launch *record(cuda_function function, void **arguments)
{
    struct lookalike_launch *launch =
        calloc(1, sizeof *launch + function->info.argument_bytes);
    if (!launch)
        return NULL;
    launch->function = function;
    for (size_t i = 0; i < function->info.parameter_count; i++)
        memcpy(launch->arguments + function->info.parameters[i].offset,
               arguments[i], function->info.parameters[i].bytes);
    return launch;
}

cuda_result cuLaunchKernel(cuda_function function, unsigned grid_x,
                           unsigned grid_y, unsigned grid_z, unsigned block_x,
                           unsigned block_y, unsigned block_z, unsigned shared,
                           cuda_stream stream, void **arguments, void **extra)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (extra || context != function->context)
        return CUDA_INVALID_VALUE;
    if (!stream && context->recordings)
        return CUDA_STREAM_CAPTURE_IMPLICIT;
    if (lookalike_due(&lookalike.launch))
        return CUDA_LAUNCH_OUT_OF_RESOURCES;
    struct lookalike_launch *launch = record(function, arguments);
    if (!launch)
        return CUDA_OUT_OF_MEMORY;
    memcpy(launch->grid, (uint32_t[]){grid_x, grid_y, grid_z},
           sizeof launch->grid);
    memcpy(launch->block, (uint32_t[]){block_x, block_y, block_z},
           sizeof launch->block);
    launch->shared = shared;
    if (!shape_is_legal(function, launch)) {
        free(launch);
        return CUDA_INVALID_VALUE;
    }
    if (stream && stream->recording) {
        *stream->recording->last = launch;
        stream->recording->last = &launch->next;
        return CUDA_SUCCESS;
    }
    result = lookalike_run(function, launch);
    if (lookalike_due(&lookalike.sticky))
        context->died = CUDA_ILLEGAL_ADDRESS;
    free(launch);
    return result;
}
