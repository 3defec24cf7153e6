/* async_queue.c -- the queue of async.h. */
#include "runtime/emulator/async.h"

#include <string.h>

#include "runtime/base/memory.h"

struct emu_copy *emu_async_push(struct emu_async *async)
{
    if (async->first == async->count)
        async->first = async->count = 0;
    if (async->first > 0 && async->count == async->capacity) {
        size_t left = async->count - async->first;
        memmove(async->copy, async->copy + async->first,
                left * sizeof *async->copy);
        async->first = 0;
        async->count = left;
    }
    if (tsr__grow((void **)&async->copy, &async->capacity, async->count + 1,
                  sizeof *async->copy))
        return NULL;
    return &async->copy[async->count];
}

uint32_t emu_async_pending(const struct emu_async *async, uint32_t mask)
{
    uint32_t pending = 0;
    for (size_t i = async->first; i < async->count; i++)
        pending |= async->copy[i].mask;
    return pending & mask;
}

void emu_async_clear(struct emu_async *async)
{
    async->first = async->count = 0;
    async->even = 1;
    async->even_commits = 0;
}

void emu_async_release(struct emu_async *async)
{
    tsr__free(async->copy);
    *async = (struct emu_async){0};
}
