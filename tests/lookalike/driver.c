/* driver.c -- the look-alike's settings, entry-point table, devices and
** contexts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lookalike/entry_points.h"

struct lookalike_settings lookalike = {
#define DEFAULT(name, value) .name = (value),
    LOOKALIKE_SETTINGS(DEFAULT)
#undef DEFAULT
};
struct lookalike_counts lookalike_live;
pthread_mutex_t lookalike_mutex = PTHREAD_MUTEX_INITIALIZER;

#define STACK_DEPTH 16

static int initialised;
static struct cuda_context_opaque *contexts[LOOKALIKE_DEVICES];
static __thread cuda_context stack[STACK_DEPTH];
static __thread int depth;

LOOKALIKE_EXPORT int lookalike_set(const char *name, long value)
{
    pthread_mutex_lock(&lookalike_mutex);
    int found = 0;
#define SET(setting, initial)          \
    if (strcmp(name, #setting) == 0) { \
        lookalike.setting = value;     \
        found = 1;                     \
    }
    LOOKALIKE_SETTINGS(SET)
#undef SET
    pthread_mutex_unlock(&lookalike_mutex);
    return found ? 0 : -1;
}

LOOKALIKE_EXPORT long lookalike_count(const char *name)
{
    if (strcmp(name, "depth") == 0)
        return depth;
#define COUNT(what)               \
    if (strcmp(name, #what) == 0) \
        return lookalike_live.what;
    COUNT(contexts)
    COUNT(allocations)
    COUNT(modules)
    COUNT(streams)
    COUNT(events)
    COUNT(graphs)
#undef COUNT
    return -1;
}

/* When a process looks for its first entry point, so that a child of a process
** that has the library already can choose for itself. */
static void read_environment(void)
{
    char text[512], *save = NULL;
    const char *given = getenv("TSR_LOOKALIKE_SET");
    if (!given)
        return;
    snprintf(text, sizeof text, "%s", given);
    for (char *word = strtok_r(text, ",", &save); word;
         word = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(word, '=');
        if (!equals)
            continue;
        *equals = 0;
        if (strcmp(word, "missing") == 0)
            snprintf(lookalike.missing, sizeof lookalike.missing, "%s",
                     equals + 1);
        else
            lookalike_set(word, atol(equals + 1));
    }
}

int lookalike_due(long *setting)
{
    pthread_mutex_lock(&lookalike_mutex);
    int due = *setting > 0 && --*setting == 0;
    pthread_mutex_unlock(&lookalike_mutex);
    return due;
}

/* ---- entry points ---------------------------------------------------------*/

LOOKALIKE_EXPORT cuda_result cuGetProcAddress_v2(const char *symbol, void **out,
                                                 int version, uint64_t flags,
                                                 int *status)
{
    (void)flags;
    *out = NULL;
    if (strcmp(symbol, "cuInit") == 0)
        read_environment();
    if (version < CUDA_API_VERSION || strcmp(symbol, lookalike.missing) == 0)
        goto absent;
#define FIND(name, arguments)                        \
    if (strcmp(symbol, "cu" #name) == 0) {           \
        cuda_result(*function) arguments = cu##name; \
        memcpy(out, &function, sizeof function);     \
        if (status)                                  \
            *status = CUDA_SYMBOL_FOUND;             \
        return CUDA_SUCCESS;                         \
    }
    CUDA_API_LIST(FIND)
#undef FIND
absent:
    if (status)
        *status = 1;
    return CUDA_NOT_FOUND;
}

/* ---- devices --------------------------------------------------------------*/

cuda_result cuInit(unsigned flags)
{
    if (flags)
        return CUDA_INVALID_VALUE;
    if (lookalike.init)
        return (cuda_result)lookalike.init;
    if (lookalike.devices == 0)
        return CUDA_NO_DEVICE;
    initialised = 1;
    return CUDA_SUCCESS;
}

cuda_result cuDriverGetVersion(int *version)
{
    *version = (int)lookalike.driver;
    return CUDA_SUCCESS;
}

cuda_result cuGetErrorName(cuda_result result, const char **name)
{
    static char text[48];
    snprintf(text, sizeof text, "CUDA_ERROR_%d", result);
    *name = text;
    return CUDA_SUCCESS;
}

cuda_result cuDeviceGetCount(int *count)
{
    *count = (int)lookalike.devices;
    return initialised ? CUDA_SUCCESS : CUDA_NOT_INITIALIZED;
}

cuda_result cuDeviceGet(cuda_device *device, int ordinal)
{
    if (!initialised)
        return CUDA_NOT_INITIALIZED;
    if (ordinal < 0 || ordinal >= lookalike.devices ||
        ordinal >= LOOKALIKE_DEVICES)
        return CUDA_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

cuda_result cuDeviceGetName(char *name, int size, cuda_device device)
{
    snprintf(name, (size_t)size, "Look-alike GPU %d%s", device,
             lookalike.mig ? " MIG 1g.10gb" : "");
    return CUDA_SUCCESS;
}

cuda_result cuDeviceTotalMem(size_t *bytes, cuda_device device)
{
    (void)device;
    *bytes = (size_t)lookalike.memory;
    return CUDA_SUCCESS;
}

cuda_result cuDeviceGetUuid(cuda_uuid *uuid, cuda_device device)
{
    for (int i = 0; i < 16; i++)
        uuid->bytes[i] = (unsigned char)(i * 17);
    uuid->bytes[15] = (unsigned char)device;
    return CUDA_SUCCESS;
}

cuda_result cuDeviceGetAttribute(int *value, int attribute, cuda_device device)
{
    (void)device;
    switch (attribute) {
    case CUDA_ATTRIBUTE_CLOCK_RATE:
        *value = 1980000;
        break;
    case CUDA_ATTRIBUTE_SM_COUNT:
        *value = lookalike.mig ? 16 : 132;
        break;
    case CUDA_ATTRIBUTE_MEMORY_CLOCK_RATE:
        *value = 3201000;
        break;
    case CUDA_ATTRIBUTE_L2_BYTES:
        *value = 50 << 20;
        break;
    case CUDA_ATTRIBUTE_CAPABILITY_MAJOR:
        *value = (int)lookalike.capability / 10;
        break;
    case CUDA_ATTRIBUTE_CAPABILITY_MINOR:
        *value = (int)lookalike.capability % 10;
        break;
    case CUDA_ATTRIBUTE_SHARED_PER_SM:
        *value = 228 << 10;
        break;
    case CUDA_ATTRIBUTE_REGISTERS_PER_SM:
        *value = 65536;
        break;
    case CUDA_ATTRIBUTE_SHARED_PER_BLOCK_OPTIN:
        *value = LOOKALIKE_SHARED_OPTIN;
        break;
    default:
        return CUDA_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

/* ---- contexts -------------------------------------------------------------*/

cuda_result cuDevicePrimaryCtxRetain(cuda_context *context, cuda_device device)
{
    cuda_result result = CUDA_SUCCESS;
    pthread_mutex_lock(&lookalike_mutex);
    struct cuda_context_opaque *made = contexts[device];
    if (!made) {
        made = calloc(1, sizeof *made);
        if (!made || emu_memory_create(&made->memory, NULL)) {
            free(made);
            made = NULL;
            result = CUDA_OUT_OF_MEMORY;
        } else {
            made->device = device;
            contexts[device] = made;
            lookalike_live.contexts++;
        }
    }
    if (made) {
        made->references++;
        *context = made;
    }
    pthread_mutex_unlock(&lookalike_mutex);
    return result;
}

cuda_result cuDevicePrimaryCtxRelease(cuda_device device)
{
    pthread_mutex_lock(&lookalike_mutex);
    struct cuda_context_opaque *context = contexts[device];
    cuda_result result = context ? CUDA_SUCCESS : CUDA_INVALID_CONTEXT;
    if (context && --context->references == 0) {
        for (int i = 0; i < ALLOCATIONS; i++)
            lookalike_live.allocations -= context->allocations[i].address != 0;
        emu_memory_free(context->memory);
        free(context);
        contexts[device] = NULL;
        lookalike_live.contexts--;
    }
    pthread_mutex_unlock(&lookalike_mutex);
    return result;
}

cuda_result cuCtxPushCurrent(cuda_context context)
{
    if (!context || depth == STACK_DEPTH)
        return CUDA_INVALID_CONTEXT;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

cuda_result cuCtxPopCurrent(cuda_context *context)
{
    if (depth == 0)
        return CUDA_INVALID_CONTEXT;
    *context = stack[--depth];
    return CUDA_SUCCESS;
}

cuda_result lookalike_current(cuda_context *out)
{
    if (depth == 0)
        return CUDA_INVALID_CONTEXT;
    *out = stack[depth - 1];
    return (*out)->sticky;
}

cuda_result lookalike_wait(cuda_context context)
{
    if (!context->sticky)
        context->sticky = context->died;
    return context->sticky;
}

cuda_result cuCtxSynchronize(void)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    return result ? result : lookalike_wait(context);
}
