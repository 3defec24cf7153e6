/* ptx_arena.c -- memory that is freed all at once, with the module. */
#include <stdint.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/ptx_parser.h"

struct ptx_chunk {
    struct ptx_chunk *next;
    size_t used;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

enum { CHUNK = 64 << 10 };

void *ptx_arena_alloc(struct ptx_arena *arena, size_t size)
{
    struct ptx_chunk *chunk = arena->chunk;
    if (size > SIZE_MAX / 4)
        return NULL;
    size = tsr__round_up(size ? size : 1, 16);
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK / 4 ? size : CHUNK;
        struct ptx_chunk *fresh = tsr__calloc(1, sizeof *fresh + room);
        if (!fresh)
            return NULL;
        fresh->size = room;
        if (chunk && room == size) { /* keep filling the current chunk */
            fresh->next = chunk->next;
            chunk->next = fresh;
        } else {
            fresh->next = chunk;
            arena->chunk = fresh;
        }
        chunk = fresh;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

void ptx_arena_release(struct ptx_arena *arena)
{
    struct ptx_chunk *chunk = arena->chunk;
    while (chunk) {
        struct ptx_chunk *next = chunk->next;
        tsr__free(chunk);
        chunk = next;
    }
    arena->chunk = NULL;
}
