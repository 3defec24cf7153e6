/* cuda_driver.c -- finds libcuda, its entry points, and words for its errors.
**
** The driver is never unloaded: it cannot be, safely, once a context exists.
** A failure is not remembered, so a process may try again.
*/
#include "runtime/device/cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/cuda.h"

static struct cuda_api api;
static char api_path[512];
static int api_ready;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct result_words {
    cuda_result result;
    int sticky;
    const char *name;
    const char *advice;
};

static const struct result_words result_table[] = {
#define CUDA_RESULT_WORDS(name, value, sticky, advice) \
    {value, sticky, "CUDA_ERROR_" #name, advice},
    CUDA_RESULT_LIST(CUDA_RESULT_WORDS)
#undef CUDA_RESULT_WORDS
};

static const struct result_words *find_words(cuda_result result)
{
    for (size_t i = 0; i < sizeof result_table / sizeof *result_table; i++)
        if (result_table[i].result == result)
            return &result_table[i];
    return NULL;
}

int tsr__cuda_is_sticky(cuda_result result)
{
    const struct result_words *words = find_words(result);
    return words && words->sticky;
}

void tsr__cuda_describe(cuda_result result, char *text, size_t size)
{
    const struct result_words *words = find_words(result);
    const char *name = NULL;
    if (words) {
        snprintf(text, size, "%s (%d): %s", words->name, result, words->advice);
        return;
    }
    if (api.GetErrorName)
        api.GetErrorName(result, &name);
    snprintf(text, size, "%s (%d)", name ? name : "unknown CUDA error", result);
}

static int status_of(cuda_result result)
{
    switch (result) {
    case CUDA_OUT_OF_MEMORY:
        return TSR_EMEMORY;
    case CUDA_NOT_FOUND:
    case CUDA_NO_DEVICE:
    case CUDA_INVALID_DEVICE:
        return TSR_ENOTFOUND;
    case CUDA_INVALID_IMAGE:
    case CUDA_INVALID_PTX:
        return TSR_EFORMAT;
    case CUDA_NO_BINARY_FOR_GPU:
    case CUDA_UNSUPPORTED_PTX_VERSION:
    case CUDA_NOT_SUPPORTED:
    case CUDA_CALL_REQUIRES_NEWER_DRIVER:
        return TSR_EUNSUPPORTED;
    default:
        return TSR_EDEVICE;
    }
}

int tsr__cuda_fail(struct tsr_error *err, cuda_result result, const char *what,
                   ...)
{
    char clause[512], words[384];
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(clause, sizeof clause, what, arguments);
    va_end(arguments);
    tsr__cuda_describe(result, words, sizeof words);
    return TSR_FAIL(err, status_of(result), "%s: %s", clause, words);
}

static int fail_load(const char *named, struct tsr_error *err)
{
    const char *reason = dlerror();
    if (named)
        return TSR_FAIL(err, TSR_ENOTFOUND,
                        "TESSERA_CUDA_LIBRARY is '%s', which does not load "
                        "(%s); correct it or unset it",
                        named, reason ? reason : "no reason given");
    return TSR_FAIL(err, TSR_ENOTFOUND,
                    "no CUDA driver (%s); install the NVIDIA driver, or use "
                    "--device emulator:sm_XX",
                    reason ? reason : "libcuda.so.1 not found");
}

/* Every entry point through cuGetProcAddress; the name of the first one that
** is missing, or NULL. */
static const char *look_up(cuda_get_proc_address get, struct cuda_api *table)
{
    void *address;
    int status;
#define LOOK_UP(name, arguments)                                   \
    address = NULL;                                                \
    status = CUDA_SYMBOL_FOUND;                                    \
    if (get("cu" #name, &address, CUDA_API_VERSION, 0, &status) || \
        status != CUDA_SYMBOL_FOUND || !address)                   \
        return "cu" #name;                                         \
    memcpy(&table->name, &address, sizeof address);
    CUDA_API_LIST(LOOK_UP)
#undef LOOK_UP
    return NULL;
}

static int fail_old(const char *path, const char *missing,
                    struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EUNSUPPORTED,
                    "the CUDA driver '%s' is too old: it has no %s; update "
                    "the NVIDIA driver to 525 (CUDA 12.0) or newer, 580 for "
                    "kernels compiled by CUDA 13",
                    path, missing);
}

static void remember_path(void *symbol, const char *name)
{
    Dl_info where;
    if (dladdr(symbol, &where) && where.dli_fname)
        name = where.dli_fname;
    snprintf(api_path, sizeof api_path, "%s", name);
}

static int load(struct tsr_error *err)
{
    const char *named = getenv("TESSERA_CUDA_LIBRARY");
    struct cuda_api table;
    cuda_get_proc_address get;
    if (named && !named[0])
        named = NULL;
    const char *path = named ? named : "libcuda.so.1";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail_load(named, err);
    void *symbol = dlsym(library, "cuGetProcAddress_v2");
    if (!symbol)
        return fail_old(path, "cuGetProcAddress_v2", err);
    memcpy(&get, &symbol, sizeof symbol);
    const char *missing = look_up(get, &table);
    if (missing)
        return fail_old(path, missing, err);
    api = table; /* its GetErrorName serves the next line */
    cuda_result result = api.Init(0);
    if (result)
        return tsr__cuda_fail(err, result, "the CUDA driver does not start");
    remember_path(symbol, path);
    api_ready = 1;
    return 0;
}

int tsr__cuda_api(const struct cuda_api **out, struct tsr_error *err)
{
    pthread_mutex_lock(&mutex);
    int rc = api_ready ? 0 : load(err);
    pthread_mutex_unlock(&mutex);
    if (rc == 0)
        *out = &api;
    return rc;
}

const char *tsr__cuda_path(void)
{
    return api_path;
}
