/* cuda.c -- a GPU as a device, over the driver API: context and memory.
**
** The primary context is retained, not a new one made: it is the one that the
** runtime API and PyTorch use, so memory can be shared with them.
*/
#include "runtime/device/cuda.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/device/cuda_device.h"

#define MAXIMUM_DEVICES 1024

/* The first sticky result of each GPU's context in this process. */
static atomic_int lost[MAXIMUM_DEVICES];

static int fail_lost(const struct cuda_state *device, cuda_result result,
                     struct tsr_error *err)
{
    char words[384];
    tsr__cuda_describe(result, words, sizeof words);
    return TSR_FAIL(err, TSR_EDEVICE,
                    "cuda:%d is lost to this process since %s", device->index,
                    words);
}

int tsr__cuda_enter(struct cuda_state *device, struct tsr_error *err)
{
    cuda_result result = atomic_load(&lost[device->index]);
    if (result)
        return fail_lost(device, result, err);
    result = device->cuda->CtxPushCurrent(device->context);
    if (result)
        return tsr__cuda_fail(err, result, "cannot use cuda:%d", device->index);
    return 0;
}

int tsr__cuda_leave(struct cuda_state *device, cuda_result result,
                    struct tsr_error *err, const char *what, ...)
{
    cuda_context ours;
    char clause[512];
    va_list arguments;
    device->cuda->CtxPopCurrent(&ours);
    if (result == CUDA_SUCCESS)
        return 0;
    int none = CUDA_SUCCESS;
    if (tsr__cuda_is_sticky(result))
        atomic_compare_exchange_strong(&lost[device->index], &none, result);
    va_start(arguments, what);
    vsnprintf(clause, sizeof clause, what, arguments);
    va_end(arguments);
    int rc =
        tsr__cuda_fail(err, result, "%s on cuda:%d", clause, device->index);
    return tsr__cuda_is_sticky(result) ? TSR_EDEVICE : rc;
}

static void device_free(struct tsr_device *base)
{
    struct cuda_state *device = cuda_state(base);
    device->cuda->DevicePrimaryCtxRelease(device->handle);
    tsr__free(device);
}

static int memory_alloc(struct tsr_device *base, size_t bytes,
                        const char *label, tsr_device_ptr *out,
                        struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    cuda_pointer pointer = 0;
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    rc = tsr__cuda_leave(
        device, device->cuda->MemAlloc(&pointer, bytes ? bytes : 1), err,
        "cannot allocate %zu bytes for '%s'", bytes, label ? label : "buffer");
    if (rc == 0)
        *out = pointer;
    return rc;
}

static int memory_release(struct tsr_device *base, tsr_device_ptr pointer,
                          struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device, device->cuda->MemFree(pointer), err,
                           "cannot free the buffer at 0x%llx",
                           (unsigned long long)pointer);
}

static int memory_write(struct tsr_device *base, tsr_device_ptr to,
                        const void *from, size_t bytes, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device, device->cuda->MemcpyHtoD(to, from, bytes),
                           err, "cannot write %zu bytes at 0x%llx", bytes,
                           (unsigned long long)to);
}

static int memory_read(struct tsr_device *base, void *to, tsr_device_ptr from,
                       size_t bytes, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device, device->cuda->MemcpyDtoH(to, from, bytes),
                           err, "cannot read %zu bytes at 0x%llx", bytes,
                           (unsigned long long)from);
}

static int memory_fill(struct tsr_device *base, tsr_device_ptr to,
                       unsigned char value, size_t bytes, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device, device->cuda->MemsetD8(to, value, bytes),
                           err, "cannot fill %zu bytes at 0x%llx", bytes,
                           (unsigned long long)to);
}

static int synchronize(struct tsr_device *base, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device, device->cuda->CtxSynchronize(), err,
                           "the work before it failed");
}

static const struct tsr_device_ops cuda_ops = {
    .device_free = device_free,
    .alloc = memory_alloc,
    .release = memory_release,
    .write = memory_write,
    .read = memory_read,
    .fill = memory_fill,
    .synchronize = synchronize,
    .module_load = tsr__cuda_module_load,
    .module_free = tsr__cuda_module_free,
    .module_function = tsr__cuda_module_function,
    .launch = tsr__cuda_launch,
    .stream_create = tsr__cuda_stream_create,
    .stream_free = tsr__cuda_stream_free,
    .event_create = tsr__cuda_event_create,
    .event_free = tsr__cuda_event_free,
    .event_record = tsr__cuda_event_record,
    .event_elapsed = tsr__cuda_event_elapsed,
    .graph_begin = tsr__cuda_graph_begin,
    .graph_end = tsr__cuda_graph_end,
    .graph_launch = tsr__cuda_graph_launch,
    .graph_free = tsr__cuda_graph_free,
};

int tsr__cuda_open(int index, struct tsr_device **out, struct tsr_error *err)
{
    struct tsr_device_info info;
    const struct cuda_api *cuda;
    int rc = tsr__cuda_device_info(index, &info, err);
    if (rc == 0)
        rc = tsr__cuda_api(&cuda, err);
    if (rc)
        return rc;
    if (index >= MAXIMUM_DEVICES)
        return TSR_FAIL(err, TSR_EUNSUPPORTED, "cuda:%d is beyond cuda:%d",
                        index, MAXIMUM_DEVICES - 1);
    struct cuda_state *device = tsr__calloc(1, sizeof *device);
    if (!device)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    device->base.ops = &cuda_ops;
    device->base.info = info;
    device->cuda = cuda;
    device->index = index;
    cuda_result result = cuda->DeviceGet(&device->handle, index);
    if (!result)
        result = cuda->DevicePrimaryCtxRetain(&device->context, device->handle);
    if (result) {
        tsr__free(device);
        return tsr__cuda_fail(err, result, "cannot make a context on cuda:%d",
                              index);
    }
    *out = &device->base;
    return 0;
}
