/* async.c -- cp.async and its waits: see async.h for when bytes move.
**
** cp.async     d  shared address     a  global address    b  source size
**              immediate: offset of the global address    target: of the other
**              x  bytes (4, 8, 16)   y  1: b is given     n  1: c is a
**              predicate that makes it all zero (z: negated)
**              flags: EMU_WIDE_BASE for a, EMU_WIDE for d
** cp_wait      x  groups that may stay pending; y  1: all, committed or not
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/async.c"
#include "runtime/emulator/isa.h"
#else

/* -- landing -------------------------------------------------------------- */

static inline void EMU_H(move_run)(const struct emu_copy *copy,
                                   unsigned char *to)
{
    const void *from = (const void *)(uintptr_t)copy->from[0];
    switch (copy->size) {
    case 16:
        memcpy(to, from, 512);
        break;
    case 8:
        memcpy(to, from, 256);
        break;
    default:
        memcpy(to, from, 128);
    }
}

static inline void EMU_H(move_whole)(const struct emu_copy *copy,
                                     unsigned char *shared, uint32_t m)
{
    for (int i = 0; i < 32; i++) {
        const void *from = (const void *)(uintptr_t)copy->from[i];
        if (!(m >> i & 1))
            continue;
        if (copy->size == 16)
            memcpy(shared + copy->to[i], from, 16);
        else if (copy->size == 8)
            memcpy(shared + copy->to[i], from, 8);
        else
            memcpy(shared + copy->to[i], from, 4);
    }
}

static void EMU_H(move_parts)(const struct emu_copy *copy,
                              unsigned char *shared, uint32_t m)
{
    for (int i = 0; i < 32; i++) {
        unsigned char *to = shared + copy->to[i];
        if (!(m >> i & 1))
            continue;
        if (copy->bytes[i] == 16) {
            memcpy(to, (const void *)(uintptr_t)copy->from[i], 16);
            continue;
        }
        if (copy->bytes[i])
            memcpy(to, (const void *)(uintptr_t)copy->from[i], copy->bytes[i]);
        memset(to + copy->bytes[i], 0, copy->size - copy->bytes[i]);
    }
}

static void EMU_H(land)(struct emu_warp *w, struct emu_copy *copy, uint32_t m)
{
    struct emu_block *block = w->block;
    if (copy->run && m == EMU_ALL)
        EMU_H(move_run)(copy, block->shared + copy->to[0]);
    else if (copy->whole)
        EMU_H(move_whole)(copy, block->shared, m);
    else
        EMU_H(move_parts)(copy, block->shared, m);
    copy->mask &= ~m;
    if (!block->checks)
        return;
    uint64_t address[32];
    EMU_LANES address[i] = copy->to[i];
    struct emu_access access = {
        .instruction = copy->source,
        .space = PTX_SPACE_SHARED,
        .kind = EMU_WRITE,
        .warp = w->id,
        .mask = m,
        .bytes = copy->size,
        .address = address,
    };
    emu_hazard_async_land(block->hazards, &access);
}

/* -- issue ---------------------------------------------------------------- */

static void EMU_H(observe)(struct emu_warp *w, const struct emu_copy *copy,
                           const uint64_t *to)
{
    struct emu_block *block = w->block;
    struct emu_access access = {
        .instruction = copy->source,
        .space = PTX_SPACE_SHARED,
        .kind = EMU_WRITE,
        .warp = w->id,
        .mask = copy->mask,
        .bytes = copy->size,
        .address = to,
    };
    if (block->checks)
        emu_hazard_async_issue(block->hazards, &access);
    if (block->counts)
        emu_count_access(&block->worker->counts, &access, 1);
    uint32_t reads = 0;
    for (int i = 0; i < 32; i++)
        reads |= (uint32_t)(copy->bytes[i] != 0) << i;
    access.space = PTX_SPACE_GLOBAL;
    access.kind = EMU_READ;
    access.mask &= reads;
    access.address = copy->from;
    if (!access.mask)
        return;
    if (block->checks)
        emu_hazard_global(block->hazards, &access);
    if (block->counts)
        emu_count_access(&block->worker->counts, &access, 1);
}

static inline void EMU_H(addresses)(const unsigned char *r,
                                    const struct emu_op *op, uint64_t *from,
                                    uint64_t *to)
{
    uint64_t offset = op->immediate;
    if (op->flags & EMU_WIDE_BASE) {
        const lane_u64 *a = EMU_AT(const lane_u64, op->a);
        EMU_LANES from[i] = a[i] + offset;
    } else {
        const lane_u32 *a = EMU_AT(const lane_u32, op->a);
        EMU_LANES from[i] = (uint32_t)(a[i] + (uint32_t)offset);
    }
    if (op->flags & EMU_WIDE) {
        const lane_u64 *d = EMU_AT(const lane_u64, op->d);
        uint64_t by = (uint64_t)(int64_t)(int32_t)op->target;
        EMU_LANES to[i] = d[i] + by;
    } else {
        const lane_u32 *d = EMU_AT(const lane_u32, op->d);
        EMU_LANES to[i] = (uint32_t)(d[i] + op->target);
    }
}

/* Bytes that each lane reads; 1 when all read everything. */
static int EMU_H(sizes)(struct emu_warp *w, const unsigned char *r,
                        const struct emu_op *op, uint8_t bytes[32], uint32_t m)
{
    uint32_t too_big = 0, ignore = 0;
    int size = op->x;
    memset(bytes, size, 32);
    if (op->y) {
        const lane_u32 *b = EMU_AT(const lane_u32, op->b);
        for (int i = 0; i < 32; i++) {
            bytes[i] = (uint8_t)(b[i] < (uint32_t)size ? b[i] : (uint32_t)size);
            too_big |= (uint32_t)(b[i] > (uint32_t)size) << i;
        }
    }
    if (op->n) {
        ignore = *EMU_AT(const lane_u32, op->c) ^ (op->z ? EMU_ALL : 0);
        for (int i = 0; i < 32; i++)
            if (ignore >> i & 1)
                bytes[i] = 0;
    }
    if (too_big & m)
        emu_fault(w, op, EMU_INVALID, too_big & m, 0,
                  "cp.async: src-size is larger than cp-size %d", size);
    int whole = 1;
    for (int i = 0; i < 32; i++)
        whole &= bytes[i] == size;
    return whole;
}

/* Global bounds lane by lane: one may read less than its size at an end. */
static uint32_t EMU_H(permitted_lanes)(struct emu_warp *w,
                                       const struct emu_op *op,
                                       const uint64_t *from,
                                       const uint8_t *bytes, uint32_t m)
{
    uint32_t good = 0;
    for (int i = 0; i < 32; i++) {
        uint32_t lane = UINT32_C(1) << i;
        if (!(m & lane))
            continue;
        if (!bytes[i] ||
            (!(from[i] & (op->x - 1u)) && from[i] + bytes[i] > from[i] &&
             emu_reach_hint(w->block->worker, op, from[i], from[i] + bytes[i],
                            0)))
            good |= lane;
        else
            good |= emu_reach_slow(w, op, PTX_SPACE_GLOBAL, EMU_READ, op->x,
                                   op->x, from, lane);
    }
    return good;
}

/* Bounds and alignment, at issue. */
static uint32_t EMU_H(permitted)(struct emu_warp *w, const struct emu_op *op,
                                 const struct emu_copy *copy,
                                 const uint64_t *to, uint32_t m)
{
    uint64_t low = UINT64_MAX, high = 0, bits = 0, top = 0, any = 0;
    for (int i = 0; i < 32; i++) {
        uint64_t in = 0 - (uint64_t)(m >> i & 1);
        uint64_t reads = copy->bytes[i] ? in : 0;
        uint64_t from = copy->from[i];
        any |= reads;
        bits |= (to[i] & in) | (from & reads);
        top = (to[i] & in) > top ? to[i] & in : top;
        low = (from | ~reads) < low ? from | ~reads : low;
        high = (from & reads) > high ? from & reads : high;
    }
    uint32_t size = w->block->shared_bytes;
    if (bits & (op->x - 1u) || size < op->x || top > size - op->x)
        m = emu_reach_slow(w, op, PTX_SPACE_SHARED, EMU_WRITE, op->x, op->x, to,
                           m);
    if (!any)
        return m;
    if (!(bits & (op->x - 1u)) &&
        emu_reach_hint(w->block->worker, op, low, high + op->x, 0))
        return m;
    return EMU_H(permitted_lanes)(w, op, copy->from, copy->bytes, m);
}

static inline int EMU_H(follows)(const struct emu_copy *copy,
                                 const uint64_t *to)
{
    uint64_t off = 0, size = copy->size;
    for (int i = 0; i < 32; i++) {
        off |= copy->from[i] ^ (copy->from[0] + (uint64_t)i * size);
        off |= to[i] ^ (to[0] + (uint64_t)i * size);
    }
    return off == 0;
}

void EMU_H(cp_async)(EMU_ARGUMENTS)
{
    uint64_t to[32];
    struct emu_async *async = &w->async;
    struct emu_copy *copy = emu_async_push(async);
    if (!copy) {
        w->block->worker->failed = 1;
        emu_block_stop(w->block);
        return;
    }
    EMU_H(addresses)(r, op, copy->from, to);
    copy->size = op->x;
    copy->whole = (uint8_t)EMU_H(sizes)(w, r, op, copy->bytes, m);
    m = EMU_H(permitted)(w, op, copy, to, m);
    if (!m)
        return;
    EMU_LANES copy->to[i] = (uint32_t)to[i];
    copy->run =
        (uint8_t)(copy->whole && m == EMU_ALL && EMU_H(follows)(copy, to));
    copy->mask = m;
    copy->source = emu_source(w, op);
    copy->even = (uint8_t)async->even;
    copy->even_group = async->even_commits;
    if (!async->even)
        memcpy(copy->group, async->commits, sizeof copy->group);
    /* By the time it lands the bytes are near. */
    if (copy->run)
        for (uint32_t k = 0; k < 32u * copy->size; k += 64)
            __builtin_prefetch((const void *)(uintptr_t)(copy->from[0] + k));
    if (w->block->checks | w->block->counts)
        EMU_H(observe)(w, copy, to);
    if (w->block->run->options.eager_async)
        EMU_H(land)(w, copy, m);
    else
        async->count++;
}

/* -- commit and wait ------------------------------------------------------ */

void EMU_H(cp_commit)(EMU_ARGUMENTS)
{
    struct emu_async *async = &w->async;
    (void)r, (void)op;
    if (async->even && m == w->live) {
        async->even_commits++;
        return;
    }
    if (async->even) {
        async->even = 0;
        for (int i = 0; i < 32; i++)
            async->commits[i] = async->even_commits;
    }
    uint32_t *commits = async->commits;
    EMU_EACH(commits[i]++);
}

/* Lanes of m whose part of the copy must have landed. */
static inline uint32_t EMU_H(due)(const struct emu_async *async,
                                  const struct emu_copy *copy,
                                  const struct emu_op *op, uint32_t m)
{
    uint32_t lanes = 0;
    m &= copy->mask;
    if (op->y)
        return m;
    if (async->even)
        return async->even_commits - copy->even_group > op->x ? m : 0;
    for (int i = 0; i < 32; i++) {
        uint32_t group = copy->even ? copy->even_group : copy->group[i];
        lanes |= (uint32_t)(async->commits[i] - group > op->x) << i;
    }
    return lanes & m;
}

void EMU_H(cp_wait)(EMU_ARGUMENTS)
{
    struct emu_async *async = &w->async;
    (void)r;
    for (size_t i = async->first; i < async->count; i++) {
        struct emu_copy *copy = &async->copy[i];
        uint32_t lanes = EMU_H(due)(async, copy, op, m);
        if (lanes)
            EMU_H(land)(w, copy, lanes);
    }
    while (async->first < async->count && !async->copy[async->first].mask)
        async->first++;
}

#endif
