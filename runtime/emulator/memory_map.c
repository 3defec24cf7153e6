/* memory_map.c -- device memory of the emulator: named host allocations.
**
** One heap block per allocation, with a guard on either side, so that no two
** are neighbours and an address just past one belongs to nobody:
**
**     │ guard 256 │ bytes, 256-aligned │ guard 256 │
**
** The list is sorted by address. Freed ranges are remembered (the last 1024)
** so that a use after free can be named; the heap may hand the range out
** again, and then the living allocation wins.
*/
#include "runtime/emulator/memory_map.h"

#include <pthread.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"

#define FREED_KEPT 1024

struct allocation {
    uint64_t base;
    uint64_t bytes;
    void *heap;
    char *name;
    int read_only;
};

struct emu_memory {
    pthread_mutex_t lock;
    struct allocation *living;
    size_t count, capacity;
    struct allocation freed[FREED_KEPT]; /* ring; heap is NULL */
    size_t freed_next;
};

int emu_memory_create(struct emu_memory **out, struct tsr_error *err)
{
    struct emu_memory *memory = tsr__calloc(1, sizeof *memory);
    if (!memory)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    pthread_mutex_init(&memory->lock, NULL);
    *out = memory;
    return 0;
}

void emu_memory_free(struct emu_memory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < memory->count; i++) {
        tsr__free(memory->living[i].heap);
        tsr__free(memory->living[i].name);
    }
    for (size_t i = 0; i < FREED_KEPT; i++)
        tsr__free(memory->freed[i].name);
    tsr__free(memory->living);
    pthread_mutex_destroy(&memory->lock);
    tsr__free(memory);
}

/* Index of the first allocation whose base is above `address`. */
static size_t upper(const struct emu_memory *memory, uint64_t address)
{
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memory->living[middle].base <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct allocation *find(struct emu_memory *memory, uint64_t address)
{
    size_t at = upper(memory, address);
    return at ? &memory->living[at - 1] : NULL;
}

static int add(struct emu_memory *memory, const struct allocation *a,
               struct tsr_error *err)
{
    if (tsr__grow((void **)&memory->living, &memory->capacity,
                  memory->count + 1, sizeof *memory->living))
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    size_t at = upper(memory, a->base);
    memmove(memory->living + at + 1, memory->living + at,
            (memory->count - at) * sizeof *memory->living);
    memory->living[at] = *a;
    memory->count++;
    return 0;
}

int emu_memory_alloc(struct emu_memory *memory, size_t bytes, const char *name,
                     uint64_t *address, struct tsr_error *err)
{
    struct allocation a = {.bytes = bytes};
    size_t total;
    int rc;
    if (tsr__size_add(bytes, 3 * EMU_GUARD_BYTES, &total))
        return TSR_FAIL(err, TSR_EMEMORY,
                        "cannot allocate %zu bytes of device memory", bytes);
    a.heap = tsr__malloc(total);
    a.name = tsr__strdup(name ? name : "buffer");
    if (!a.heap || !a.name) {
        rc = TSR_FAIL(err, TSR_EMEMORY,
                      "cannot allocate %zu bytes of device memory", bytes);
        goto done;
    }
    uint64_t start = (uint64_t)(uintptr_t)a.heap + EMU_GUARD_BYTES;
    a.base = (start + EMU_GUARD_BYTES - 1) & ~(uint64_t)(EMU_GUARD_BYTES - 1);
    memset((void *)(uintptr_t)a.base, 0xa5, bytes);
    pthread_mutex_lock(&memory->lock);
    rc = add(memory, &a, err);
    pthread_mutex_unlock(&memory->lock);
done:
    if (rc) {
        tsr__free(a.heap);
        tsr__free(a.name);
        return rc;
    }
    *address = a.base;
    return 0;
}

int emu_memory_release(struct emu_memory *memory, uint64_t address,
                       struct tsr_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&memory->lock);
    struct allocation *a = find(memory, address);
    if (!a || a->base != address) {
        rc = TSR_FAIL(err, TSR_EUSAGE,
                      "cannot free device address 0x%llx: nothing was "
                      "allocated there",
                      (unsigned long long)address);
        goto done;
    }
    struct allocation *slot = &memory->freed[memory->freed_next];
    memory->freed_next = (memory->freed_next + 1) % FREED_KEPT;
    tsr__free(a->heap);
    tsr__free(slot->name);
    *slot = *a;
    slot->heap = NULL;
    size_t at = (size_t)(a - memory->living);
    memmove(a, a + 1, (memory->count - at - 1) * sizeof *a);
    memory->count--;
done:
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

int emu_memory_set_read_only(struct emu_memory *memory, uint64_t address,
                             int read_only, struct tsr_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&memory->lock);
    struct allocation *a = find(memory, address);
    if (a && a->base == address)
        a->read_only = read_only;
    else
        rc = TSR_FAIL(err, TSR_EUSAGE,
                      "nothing was allocated at device address 0x%llx",
                      (unsigned long long)address);
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

void *emu_memory_host(struct emu_memory *memory, uint64_t address, size_t bytes)
{
    void *host = NULL;
    pthread_mutex_lock(&memory->lock);
    struct allocation *a = find(memory, address);
    if (a && address - a->base <= a->bytes &&
        bytes <= a->bytes - (address - a->base))
        host = (void *)(uintptr_t)address;
    pthread_mutex_unlock(&memory->lock);
    return host;
}

int emu_memory_spans(struct emu_memory *memory, struct emu_span **out,
                     size_t *count, struct tsr_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&memory->lock);
    struct emu_span *span = tsr__malloc((memory->count + 1) * sizeof *span);
    if (!span) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < memory->count; i++) {
        span[i].base = memory->living[i].base;
        span[i].end = span[i].base + memory->living[i].bytes;
        span[i].read_only = memory->living[i].read_only;
    }
    *out = span;
    *count = memory->count;
done:
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

/* -- names for findings --------------------------------------------------- */

/* How far `address` is outside; 0 inside. */
static uint64_t distance(const struct allocation *a, uint64_t address)
{
    if (address < a->base)
        return a->base - address;
    if (address - a->base < a->bytes)
        return 0;
    return address - a->base - a->bytes + 1;
}

static void describe(const struct allocation *a, int freed,
                     struct emu_region *out)
{
    out->name = a->name;
    out->base = a->base;
    out->bytes = a->bytes;
    out->freed = freed;
    out->read_only = a->read_only;
}

int emu_memory_find_region(void *context, uint64_t address,
                           struct emu_region *out)
{
    struct emu_memory *memory = context;
    uint64_t best = UINT64_MAX;
    pthread_mutex_lock(&memory->lock);
    size_t at = upper(memory, address);
    for (size_t i = at ? at - 1 : 0; i < memory->count && i <= at; i++) {
        uint64_t far = distance(&memory->living[i], address);
        if (far < best) {
            best = far;
            describe(&memory->living[i], 0, out);
        }
    }
    for (size_t i = 0; i < FREED_KEPT && best; i++) {
        /* The latest first: a range may have been freed more than once. */
        size_t k = (memory->freed_next + 2 * FREED_KEPT - 1 - i) % FREED_KEPT;
        const struct allocation *a = &memory->freed[k];
        if (a->name && distance(a, address) == 0) {
            best = 0;
            describe(a, 1, out);
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return best != UINT64_MAX;
}

/* -- snapshots ------------------------------------------------------------ */

struct piece {
    uint64_t base, bytes;
    unsigned char *copy;
};

struct emu_snapshot {
    struct piece *piece;
    size_t count;
};

int emu_snapshot_take(struct emu_snapshot **out, struct emu_memory *memory,
                      struct tsr_error *err)
{
    struct emu_snapshot *snapshot = tsr__calloc(1, sizeof *snapshot);
    int rc = TSR_EMEMORY;
    pthread_mutex_lock(&memory->lock);
    if (!snapshot)
        goto done;
    snapshot->piece = tsr__calloc(memory->count + 1, sizeof(struct piece));
    if (!snapshot->piece)
        goto done;
    for (size_t i = 0; i < memory->count; i++) {
        const struct allocation *a = &memory->living[i];
        struct piece *piece = &snapshot->piece[snapshot->count];
        if (a->read_only)
            continue;
        piece->copy = tsr__malloc(a->bytes);
        if (!piece->copy)
            goto done;
        piece->base = a->base;
        piece->bytes = a->bytes;
        memcpy(piece->copy, (const void *)(uintptr_t)a->base, a->bytes);
        snapshot->count++;
    }
    rc = 0;
done:
    pthread_mutex_unlock(&memory->lock);
    if (rc) {
        emu_snapshot_free(snapshot);
        return TSR_FAIL(err, rc, "out of memory for a copy of device memory");
    }
    *out = snapshot;
    return 0;
}

void emu_snapshot_restore(const struct emu_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        memcpy((void *)(uintptr_t)snapshot->piece[i].base,
               snapshot->piece[i].copy, snapshot->piece[i].bytes);
}

uint64_t emu_snapshot_compare(const struct emu_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct piece *piece = &snapshot->piece[i];
        const unsigned char *now = (const void *)(uintptr_t)piece->base;
        if (memcmp(now, piece->copy, piece->bytes) == 0)
            continue;
        for (uint64_t k = 0; k < piece->bytes; k++)
            if (now[k] != piece->copy[k])
                return piece->base + k;
    }
    return 0;
}

void emu_snapshot_free(struct emu_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; snapshot->piece && i < snapshot->count; i++)
        tsr__free(snapshot->piece[i].copy);
    tsr__free(snapshot->piece);
    tsr__free(snapshot);
}
