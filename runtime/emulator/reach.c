/* reach.c -- the slow road of reach.h. */
#include "runtime/emulator/reach.h"

#include "runtime/emulator/kernel.h"

const struct emu_span *emu_reach_span(struct emu_worker *worker,
                                      const struct emu_op *op, uint64_t low,
                                      uint64_t high)
{
    const struct emu_run *run = worker->run;
    size_t from = 0, to = run->span_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (run->span[middle].base <= low)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == 0)
        return NULL;
    const struct emu_span *span = &run->span[from - 1];
    if (high > span->end || high < low)
        return NULL;
    struct emu_span *hint =
        &worker->hint[(uintptr_t)op / sizeof *op % EMU_HINTS];
    *hint = *span;
    return hint;
}

/* How many bytes a window has; global memory has none. */
static uint64_t window(const struct emu_warp *w, enum ptx_space space)
{
    switch (space) {
    case PTX_SPACE_SHARED:
        return w->block->shared_bytes;
    case PTX_SPACE_LOCAL:
        return w->block->local_bytes;
    default:
        return w->block->run->launch->argument_bytes;
    }
}

static int lane_is_good(struct emu_warp *w, const struct emu_op *op,
                        enum ptx_space space, enum emu_access_kind kind,
                        uint32_t bytes, uint32_t align, uint64_t address)
{
    if (address & (align - 1))
        return 0;
    if (space == PTX_SPACE_GLOBAL || space == PTX_SPACE_CONST)
        return address + bytes > address &&
               emu_reach_hint(w->block->worker, op, address, address + bytes,
                              kind != EMU_READ);
    uint64_t size = window(w, space);
    return address < size && bytes <= size - address;
}

uint32_t emu_reach_slow(struct emu_warp *w, const struct emu_op *op,
                        enum ptx_space space, enum emu_access_kind kind,
                        uint32_t bytes, uint32_t align, const uint64_t *address,
                        uint32_t m)
{
    uint32_t good = 0;
    for (int i = 0; i < 32; i++)
        if (m >> i & 1 &&
            lane_is_good(w, op, space, kind, bytes, align, address[i]))
            good |= UINT32_C(1) << i;
    if (good == m)
        return m;
    struct emu_access access = {
        .instruction = emu_source(w, op),
        .space = space,
        .kind = kind,
        .warp = w->id,
        .mask = m & ~good,
        .bytes = bytes,
        .address = address,
    };
    emu_hazard_bad_access(w->block->hazards, &access);
    return good;
}

void emu_reach_observe(struct emu_warp *w, const struct emu_op *op,
                       enum ptx_space space, enum emu_access_kind kind,
                       enum emu_access_order order, uint32_t bytes,
                       const uint64_t *address, uint32_t m, int collective)
{
    struct emu_access access = {
        .instruction = emu_source(w, op),
        .space = space,
        .kind = kind,
        .order = order,
        .warp = w->id,
        .mask = m,
        .bytes = bytes,
        .address = address,
        .collective = collective,
    };
    if (w->block->checks) {
        if (space == PTX_SPACE_SHARED)
            emu_hazard_shared(w->block->hazards, &access);
        else if (space == PTX_SPACE_GLOBAL)
            emu_hazard_global(w->block->hazards, &access);
        else if (space == PTX_SPACE_LOCAL)
            emu_hazard_local(w->block->hazards, &access);
    }
    if (w->block->counts)
        emu_count_access(&w->block->worker->counts, &access, 0);
}
