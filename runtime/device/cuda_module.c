/* cuda_module.c -- kernels on a GPU: images, functions, launches. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/device/cuda_device.h"

#define JIT_LOG_SIZE 4096

struct cuda_function_state {
    struct tsr_function base;
    cuda_function handle;
    struct cuda_function_state *next;
    uint32_t shared_bytes; /* dynamic limit raised so far */
    char name[];
};

struct cuda_module_state {
    struct tsr_module base;
    cuda_module handle;
    pthread_mutex_t mutex; /* of the list */
    struct cuda_function_state *functions;
};

/* Cubins are ELF, fatbins have a magic of their own; the rest is PTX. */
static int is_text(const unsigned char *image, size_t size)
{
    static const unsigned char elf[] = {0x7f, 'E', 'L', 'F'};
    static const unsigned char fatbin[] = {0x50, 0xed, 0x55, 0xba};
    return size < 4 || (memcmp(image, elf, 4) && memcmp(image, fatbin, 4));
}

/* The driver's compiler explains itself in lines; the first one is kept. */
static int load_image(struct cuda_state *device, const void *image,
                      cuda_module *out, struct tsr_error *err)
{
    char log[JIT_LOG_SIZE] = "";
    int options[] = {CUDA_JIT_ERROR_LOG, CUDA_JIT_ERROR_LOG_SIZE};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    cuda_result result =
        device->cuda->ModuleLoadDataEx(out, image, 2, options, values);
    log[sizeof log - 1] = 0;
    log[strcspn(log, "\n")] = 0;
    return tsr__cuda_leave(device, result, err, "cannot load a kernel%s%s%s",
                           log[0] ? " (" : "", log, log[0] ? ")" : "");
}

int tsr__cuda_module_load(struct tsr_device *base, const void *image,
                          size_t size, struct tsr_module **out,
                          struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    char *text = NULL;
    int rc = 0;
    struct cuda_module_state *module = tsr__calloc(1, sizeof *module);
    if (module && is_text(image, size)) {
        text = tsr__malloc(size + 1);
        if (text) {
            memcpy(text, image, size);
            text[size] = 0;
        }
    }
    if (!module || (!text && is_text(image, size)))
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory loading a kernel");
    else
        rc = load_image(device, text ? text : image, &module->handle, err);
    tsr__free(text);
    if (rc) {
        tsr__free(module);
        return rc;
    }
    module->base.device = base;
    pthread_mutex_init(&module->mutex, NULL);
    *out = &module->base;
    return 0;
}

void tsr__cuda_module_free(struct tsr_module *base)
{
    struct cuda_module_state *module = (struct cuda_module_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    if (tsr__cuda_enter(device, NULL) == 0)
        tsr__cuda_leave(device, device->cuda->ModuleUnload(module->handle),
                        NULL, "cannot unload a kernel");
    while (module->functions) {
        struct cuda_function_state *next = module->functions->next;
        tsr__free(module->functions);
        module->functions = next;
    }
    pthread_mutex_destroy(&module->mutex);
    tsr__free(module);
}

static struct cuda_function_state *find_function(
    const struct cuda_module_state *module, const char *name)
{
    struct cuda_function_state *function = module->functions;
    while (function && strcmp(function->name, name) != 0)
        function = function->next;
    return function;
}

static int add_function(struct cuda_module_state *module, const char *name,
                        struct cuda_function_state **out, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(module->base.device);
    size_t length = strlen(name) + 1;
    struct cuda_function_state *function =
        tsr__calloc(1, sizeof *function + length);
    if (!function)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory loading a kernel");
    int rc = tsr__cuda_enter(device, err);
    if (rc == 0)
        rc = tsr__cuda_leave(device,
                             device->cuda->ModuleGetFunction(
                                 &function->handle, module->handle, name),
                             err, "cannot find kernel '%s'", name);
    if (rc) {
        tsr__free(function);
        return rc;
    }
    memcpy(function->name, name, length);
    function->base.device = module->base.device;
    function->next = module->functions;
    module->functions = function;
    *out = function;
    return 0;
}

static int raise_shared(struct cuda_function_state *function,
                        uint32_t shared_bytes, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(function->base.device);
    if (shared_bytes <= function->shared_bytes)
        return 0;
    if (shared_bytes > device->base.info.shared_per_block)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "kernel '%s' wants %u bytes of shared memory, a block "
                        "of cuda:%d has at most %zu",
                        function->name, (unsigned)shared_bytes, device->index,
                        device->base.info.shared_per_block);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    rc = tsr__cuda_leave(
        device,
        device->cuda->FuncSetAttribute(function->handle,
                                       CUDA_FUNCTION_MAX_DYNAMIC_SHARED,
                                       (int)shared_bytes),
        err, "cannot give kernel '%s' %u bytes of dynamic shared memory",
        function->name, (unsigned)shared_bytes);
    if (rc == 0)
        function->shared_bytes = shared_bytes;
    return rc;
}

int tsr__cuda_module_function(struct tsr_module *base, const char *name,
                              uint32_t shared_bytes, struct tsr_function **out,
                              struct tsr_error *err)
{
    struct cuda_module_state *module = (struct cuda_module_state *)base;
    int rc = 0;
    pthread_mutex_lock(&module->mutex);
    struct cuda_function_state *function = find_function(module, name);
    if (!function)
        rc = add_function(module, name, &function, err);
    if (rc == 0)
        rc = raise_shared(function, shared_bytes, err);
    pthread_mutex_unlock(&module->mutex);
    if (rc == 0)
        *out = &function->base;
    return rc;
}

int tsr__cuda_launch(struct tsr_function *base,
                     const struct tsr_launch_shape *shape,
                     struct tsr_stream *stream, void **arguments,
                     struct tsr_error *err)
{
    struct cuda_function_state *function = (struct cuda_function_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    cuda_result result = device->cuda->LaunchKernel(
        function->handle, shape->grid[0], shape->grid[1], shape->grid[2],
        shape->block[0], shape->block[1], shape->block[2], shape->shared_bytes,
        cuda_stream_handle(stream), arguments, NULL);
    return tsr__cuda_leave(device, result, err,
                           "cannot launch '%s' as grid %ux%ux%u, block "
                           "%ux%ux%u, %u bytes shared",
                           function->name, shape->grid[0], shape->grid[1],
                           shape->grid[2], shape->block[0], shape->block[1],
                           shape->block[2], shape->shared_bytes);
}
