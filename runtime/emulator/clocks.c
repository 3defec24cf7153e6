/* clocks.c -- who has seen what: the order that synchronisation makes.
**
** Time is one counter per block. It ticks whenever a warp gives others
** something to see: at a barrier arrival, a fence, a bar.warp.sync.
** clock[w].seen[v] is the time up to which warp w knows warp v's accesses; a
** barrier joins the clocks of all who arrived and hands the result to all who
** waited.
*/
#include <string.h>

#include "runtime/emulator/hazard_state.h"

static uint32_t max_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void tick(struct hazard_races *races)
{
    if (races->now < HAZARD_PENDING - 1)
        races->now++;
}

static void join(struct hazard_clock *into, const struct hazard_clock *more,
                 uint32_t warps)
{
    for (uint32_t v = 0; v < warps; v++)
        into->seen[v] = max_of(into->seen[v], more->seen[v]);
}

static void find_ordered(struct hazard_races *races, uint32_t warp)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t v = 0; v < races->warps; v++)
        if (v != warp && races->clock[warp].seen[v] < least)
            least = races->clock[warp].seen[v];
    races->ordered[warp] = least;
}

/* What `warp` has to give: what it saw, and its own accesses up to now. */
static void give(struct hazard_races *races, uint32_t warp,
                 struct hazard_clock *into)
{
    join(into, &races->clock[warp], races->warps);
    into->seen[warp] = races->now;
    tick(races);
}

void emu_hazard_barrier_arrive(struct emu_hazard_block *block, uint32_t id,
                               uint32_t warp)
{
    give(&block->races, warp, &block->races.barrier[id % HAZARD_BARRIERS]);
}

void emu_hazard_barrier_complete(struct emu_hazard_block *block, uint32_t id,
                                 uint32_t waiting)
{
    struct hazard_races *races = &block->races;
    struct hazard_clock *barrier = &races->barrier[id % HAZARD_BARRIERS];
    /* an exited warp counts as arrived */
    for (uint32_t v = 0; v < races->warps; v++)
        if (races->exited >> v & 1)
            barrier->seen[v] = races->now;
    for (uint32_t w = 0; w < races->warps; w++) {
        if (!(waiting >> w & 1))
            continue;
        join(&races->clock[w], barrier, races->warps);
        races->together[w] = max_of(races->together[w], barrier->seen[w]);
        find_ordered(races, w);
    }
    memset(barrier, 0, sizeof *barrier);
    tick(races);
}

void emu_hazard_warp_sync(struct emu_hazard_block *block, uint32_t warp,
                          uint32_t mask)
{
    struct hazard_races *races = &block->races;
    if ((mask & (mask - 1)) == 0)
        return; /* one lane has nobody to be ordered with */
    races->together[warp] = races->now;
    tick(races);
}

void emu_hazard_exit(struct emu_hazard_block *block,
                     const struct ptx_instruction *instruction, uint32_t warp,
                     uint32_t lanes, uint32_t pending)
{
    struct hazard_races *races = &block->races;
    uint32_t threads = block->worker->owner->setup.block_threads;
    uint32_t first = warp * 32;
    uint32_t all =
        threads >= first + 32 ? 0xffffffffu : (1u << (threads - first)) - 1;
    if (pending)
        emu_hazard_report(block, EMU_ASYNC_EXIT, instruction, warp, pending, 0,
                          "threads exit with cp.async copies that were never "
                          "waited for; add cp.async.wait_all");
    races->exited_lanes[warp] |= lanes;
    if ((races->exited_lanes[warp] & all) == all)
        races->exited |= 1u << warp;
    tick(races);
}

void emu_hazard_races_fence(struct hazard_races *races, uint32_t warp)
{
    races->fence[warp] = races->clock[warp];
    races->fence[warp].seen[warp] = races->now;
    races->fenced |= 1u << warp;
    tick(races);
}

/* Hand-shakes through memory. A release (a fence, then a strong write, or a
** .release access) leaves the clock at the word; a strong read takes it up.
** Words that share a slot share order: too much order, never too little. */
void emu_hazard_handshake(struct hazard_races *races,
                          const struct emu_access *access, uint64_t address)
{
    uint32_t w = access->warp;
    uint64_t hash = (address >> 2) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t slot = (uint32_t)(hash >> 58);
    struct hazard_clock *word = &races->sync[slot];
    int used = (int)(races->sync_used >> slot & 1);
    if (access->kind != EMU_WRITE && used) {
        join(&races->clock[w], word, races->warps);
        find_ordered(races, w);
    }
    int releases = access->order >= EMU_RELEASE || races->fenced >> w & 1;
    if (access->kind == EMU_READ || !releases)
        return;
    if (!used)
        memset(word, 0, sizeof *word);
    races->sync_used |= UINT64_C(1) << slot;
    if (access->order >= EMU_RELEASE)
        give(races, w, word);
    else
        join(word, &races->fence[w], races->warps);
}
