/* memory.c -- the look-alike's device memory: the emulator's, with the
** driver's rules. */
#include <string.h>

#include "tests/lookalike/entry_points.h"

static int find_slot(const struct cuda_context_opaque *context,
                     uint64_t address)
{
    for (int i = 0; i < ALLOCATIONS; i++)
        if (context->allocations[i].address == address)
            return i;
    return -1;
}

cuda_result cuMemAlloc(cuda_pointer *pointer, size_t bytes)
{
    cuda_context context;
    uint64_t address;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (bytes == 0)
        return CUDA_INVALID_VALUE;
    if (lookalike_due(&lookalike.alloc))
        return CUDA_OUT_OF_MEMORY;
    pthread_mutex_lock(&lookalike_mutex);
    int slot = find_slot(context, 0);
    if (slot < 0 || bytes > (size_t)lookalike.memory - context->used ||
        emu_memory_alloc(context->memory, bytes, "device memory", &address,
                         NULL)) {
        result = CUDA_OUT_OF_MEMORY;
    } else {
        context->allocations[slot].address = address;
        context->allocations[slot].bytes = bytes;
        context->used += bytes;
        lookalike_live.allocations++;
        *pointer = address;
    }
    pthread_mutex_unlock(&lookalike_mutex);
    return result;
}

cuda_result cuMemFree(cuda_pointer pointer)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    pthread_mutex_lock(&lookalike_mutex);
    int slot = pointer ? find_slot(context, pointer) : -1;
    if (slot < 0 || emu_memory_release(context->memory, pointer, NULL)) {
        result = CUDA_INVALID_VALUE;
    } else {
        context->used -= context->allocations[slot].bytes;
        context->allocations[slot].address = 0;
        lookalike_live.allocations--;
    }
    pthread_mutex_unlock(&lookalike_mutex);
    return result;
}

/* The bytes behind a pointer, once all work before has ended. */
static cuda_result reach(cuda_pointer pointer, size_t bytes, void **out)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (!result && context->recordings) /* these use the default stream */
        result = CUDA_STREAM_CAPTURE_IMPLICIT;
    if (!result)
        result = lookalike_wait(context);
    if (result)
        return result;
    *out = emu_memory_host(context->memory, pointer, bytes);
    return *out ? CUDA_SUCCESS : CUDA_INVALID_VALUE;
}

cuda_result cuMemcpyHtoD(cuda_pointer to, const void *from, size_t bytes)
{
    void *host;
    cuda_result result = reach(to, bytes, &host);
    if (!result)
        memcpy(host, from, bytes);
    return result;
}

cuda_result cuMemcpyDtoH(void *to, cuda_pointer from, size_t bytes)
{
    void *host;
    cuda_result result = reach(from, bytes, &host);
    if (!result)
        memcpy(to, host, bytes);
    return result;
}

cuda_result cuMemsetD8(cuda_pointer to, unsigned char value, size_t bytes)
{
    void *host;
    cuda_result result = reach(to, bytes, &host);
    if (!result)
        memset(host, value, bytes);
    return result;
}
