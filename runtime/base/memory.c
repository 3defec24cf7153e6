/* memory.c -- malloc with a failure hook. */
#include "runtime/base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long countdown; /* 0 = never fail */
static atomic_int keep_failing;

static int must_fail(void)
{
    if (atomic_load(&countdown) == 0)
        return 0;
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return 0;
    if (atomic_load(&keep_failing))
        atomic_store(&countdown, 1);
    return 1;
}

void tsr__memory_fail_after(long n, int sticky)
{
    atomic_store(&keep_failing, sticky);
    atomic_store(&countdown, n);
}

void *tsr__malloc(size_t size)
{
    return tsr__realloc(NULL, size);
}

void *tsr__calloc(size_t count, size_t size)
{
    if (must_fail())
        return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *tsr__realloc(void *old, size_t size)
{
    if (must_fail())
        return NULL;
    return realloc(old, size ? size : 1);
}

void tsr__free(void *pointer)
{
    free(pointer);
}

char *tsr__strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tsr__malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

int tsr__grow(void **array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity : 16;
    while (wanted < needed) {
        if (wanted > SIZE_MAX / 2)
            return -1;
        wanted *= 2;
    }
    if (size && wanted > SIZE_MAX / size)
        return -1;
    void *bigger = tsr__realloc(*array, wanted * size);
    if (!bigger)
        return -1;
    *array = bigger;
    *capacity = wanted;
    return 0;
}
