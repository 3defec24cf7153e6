/* async.c -- cp.async and its waits: see async.h for when bytes move.
**
** cp.async     d  shared address     a  global address    b  source size
**              immediate: offset of the global address    target: of the other
**              x  bytes (4, 8, 16)   y  1: b is given     n  1: c is a
**              predicate that makes it all zero
**              flags: EMU_WIDE_BASE for a, EMU_WIDE for d
** cp_wait      x  groups that may stay pending; y  1: all, committed or not
*/
#include "runtime/emulator/async.h"

#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/exec.h"
#include "runtime/emulator/reach.h"

/* -- the queue -------------------------------------------------------------------
 */

static void land(struct emu_warp *w, struct emu_copy *copy, uint32_t m)
{
    struct emu_block *block = w->block;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        unsigned char *to = block->shared + copy->to[i];
        if (copy->bytes[i])
            memcpy(to, (const void *)(uintptr_t)copy->from[i], copy->bytes[i]);
        memset(to + copy->bytes[i], 0, copy->size - copy->bytes[i]);
    }
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

uint32_t emu_async_pending(const struct emu_async *async, uint32_t mask)
{
    uint32_t pending = 0;
    for (size_t i = 0; i < async->count; i++)
        pending |= async->copy[i].mask;
    return pending & mask;
}

void emu_async_clear(struct emu_async *async)
{
    async->count = 0;
    memset(async->commits, 0, sizeof async->commits);
}

void emu_async_release(struct emu_async *async)
{
    tsr__free(async->copy);
    *async = (struct emu_async){0};
}

static struct emu_copy *push(struct emu_warp *w)
{
    struct emu_async *async = &w->async;
    if (tsr__grow((void **)&async->copy, &async->capacity, async->count + 1,
                  sizeof *async->copy)) {
        w->block->worker->failed = 1;
        w->block->stopped = 1;
        return NULL;
    }
    return &async->copy[async->count];
}

/* -- issue ------------------------------------------------------------------------
 */

static void observe(struct emu_warp *w, const struct emu_op *op,
                    const struct emu_copy *copy, const uint64_t *to)
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
    (void)op;
}

static void addresses(const unsigned char *r, const struct emu_op *op,
                      uint64_t *from, uint64_t *to)
{
    if (op->flags & EMU_WIDE_BASE)
        EMU_LANES from[i] = EMU_AT(const lane_u64, op->a)[i] + op->immediate;
    else
        EMU_LANES from[i] = (uint32_t)(EMU_AT(const lane_u32, op->a)[i] +
                                       (uint32_t)op->immediate);
    if (op->flags & EMU_WIDE)
        EMU_LANES to[i] = EMU_AT(const lane_u64, op->d)[i] +
                          (uint64_t)(int64_t)(int32_t)op->target;
    else
        EMU_LANES to[i] =
            (uint32_t)(EMU_AT(const lane_u32, op->d)[i] + op->target);
}

/* Bytes that each lane reads. */
static void sizes(struct emu_warp *w, const unsigned char *r,
                  const struct emu_op *op, uint8_t bytes[32], uint32_t m)
{
    uint32_t too_big = 0, ignore = 0;
    memset(bytes, op->x, 32);
    if (op->y) {
        const lane_u32 *b = EMU_AT(const lane_u32, op->b);
        for (int i = 0; i < 32; i++) {
            if (b[i] <= op->x)
                bytes[i] = (uint8_t)b[i];
            else
                too_big |= UINT32_C(1) << i;
        }
    }
    if (op->n)
        ignore = *EMU_AT(const lane_u32, op->c) ^ (op->z ? EMU_ALL : 0);
    for (int i = 0; i < 32; i++)
        if (ignore >> i & 1)
            bytes[i] = 0;
    if (too_big & m)
        emu_fault(w, op, EMU_INVALID, too_big & m, 0,
                  "cp.async: src-size is larger than cp-size %u", op->x);
}

/* Bounds and alignment, at issue. Lanes that read nothing may point anywhere.
 */
static uint32_t permitted(struct emu_warp *w, const struct emu_op *op,
                          const uint64_t *from, const uint64_t *to,
                          const uint8_t *bytes, uint32_t m)
{
    uint32_t reads = 0;
    uint64_t low = UINT64_MAX, high = 0, bits = 0, top = 0;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        bits |= to[i];
        top = to[i] > top ? to[i] : top;
        if (!bytes[i])
            continue;
        reads |= UINT32_C(1) << i;
        bits |= from[i];
        low = from[i] < low ? from[i] : low;
        high = from[i] > high ? from[i] : high;
    }
    uint32_t size = w->block->shared_bytes;
    if (bits & (op->x - 1u) || size < op->x || top > size - op->x) {
        m = emu_reach_slow(w, op, PTX_SPACE_SHARED, EMU_WRITE, op->x, op->x, to,
                           m);
        reads &= m;
    }
    if (!reads)
        return m;
    if (!(bits & (op->x - 1u)) &&
        emu_reach_hint(w->block->worker, op, low, high + op->x, 0))
        return m;
    /* Not all in one piece: a lane may read less than x bytes at an end. */
    uint32_t good = m & ~reads;
    for (int i = 0; i < 32; i++) {
        uint32_t lane = UINT32_C(1) << i;
        if (!(reads & lane))
            continue;
        if (!(from[i] & (op->x - 1u)) && from[i] + bytes[i] > from[i] &&
            emu_reach_hint(w->block->worker, op, from[i], from[i] + bytes[i],
                           0))
            good |= lane;
        else
            good |= emu_reach_slow(w, op, PTX_SPACE_GLOBAL, EMU_READ, op->x,
                                   op->x, from, lane);
    }
    return good;
}

void emu_h_cp_async(struct emu_warp *w, unsigned char *r,
                    const struct emu_op *op, uint32_t m)
{
    uint64_t to[32];
    struct emu_copy *copy = push(w);
    if (!copy)
        return;
    addresses(r, op, copy->from, to);
    sizes(w, r, op, copy->bytes, m);
    m = permitted(w, op, copy->from, to, copy->bytes, m);
    if (!m)
        return;
    EMU_LANES copy->to[i] = (uint32_t)to[i];
    memcpy(copy->group, w->async.commits, sizeof copy->group);
    copy->mask = m;
    copy->size = op->x;
    copy->source = emu_source(w, op);
    if (w->block->checks | w->block->counts)
        observe(w, op, copy, to);
    if (w->block->run->options.eager_async)
        land(w, copy, m);
    else
        w->async.count++;
}

/* -- commit and wait --------------------------------------------------------------
 */

void emu_h_cp_commit(struct emu_warp *w, unsigned char *r,
                     const struct emu_op *op, uint32_t m)
{
    uint32_t *commits = w->async.commits;
    (void)r, (void)op;
    EMU_EACH(commits[i]++);
}

/* Lanes of m whose part of the copy must have landed. */
static uint32_t due(const struct emu_async *async, const struct emu_copy *copy,
                    const struct emu_op *op, uint32_t m)
{
    uint32_t lanes = 0;
    m &= copy->mask;
    if (op->y)
        return m;
    for (int i = 0; i < 32; i++) {
        uint32_t closed = async->commits[i] - copy->group[i];
        lanes |= (uint32_t)(closed > op->x) << i;
    }
    return lanes & m;
}

void emu_h_cp_wait(struct emu_warp *w, unsigned char *r,
                   const struct emu_op *op, uint32_t m)
{
    struct emu_async *async = &w->async;
    size_t kept = 0;
    (void)r;
    for (size_t i = 0; i < async->count; i++) {
        struct emu_copy *copy = &async->copy[i];
        uint32_t lanes = due(async, copy, op, m);
        if (lanes)
            land(w, copy, lanes);
        if (!copy->mask)
            continue;
        if (kept != i)
            async->copy[kept] = *copy;
        kept++;
    }
    async->count = kept;
}
