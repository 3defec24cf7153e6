/* barrier.c -- bar.sync, bar.red, bar.arrive, barrier.*, bar.warp.sync.
**
** A block has sixteen barriers. An arrival counts the threads of its warp: all
** 32 of an aligned one, the lanes of the fragment otherwise. A barrier without
** a count expects every thread that has not exited. Op fields:
**
**     a  barrier id      b  thread count (n = 1: given)
**     x  enum below      y  reduction: 0 popc, 1 and, 2 or
**     z  .aligned        c  predicate, immediate: negated; d result
*/
#include "runtime/emulator/barrier.h"

#include "runtime/emulator/exec.h"
#include "runtime/emulator/lanes.h"
#include "runtime/emulator/reach.h"

static uint32_t first_lane(const unsigned char *r, uint32_t slot, uint32_t m)
{
    return EMU_AT(const lane_u32, slot)[__builtin_ctz(m)];
}

/* Threads whose arrival a barrier without a count waits for. Warps count
** whole, as the hardware does. */
static uint32_t present(const struct emu_block *block)
{
    uint32_t threads = 0;
    for (uint32_t i = 0; i < block->warp_count; i++)
        if (block->warp[i].live)
            threads += 32;
    return threads;
}

/* Threads of a warp that an arrival stands for: an aligned one brings the
** warp, a partial one its lanes, and lanes that exited come with the last. */
static uint32_t weight(const struct emu_warp *warp,
                       const struct emu_barrier *barrier, uint32_t m)
{
    uint32_t seen = barrier->lanes[warp->id] | m;
    if ((seen & warp->live) == warp->live)
        return 32 - (uint32_t)__builtin_popcount(barrier->lanes[warp->id]);
    return (uint32_t)__builtin_popcount(m);
}

static void write_result(unsigned char *r, const struct emu_op *op,
                         const struct emu_barrier *barrier, uint32_t m)
{
    if (op->y == 0) {
        lane_u32 *d = EMU_AT(lane_u32, op->d);
        for (int i = 0; i < 32; i++)
            if (m >> i & 1)
                d[i] = barrier->votes;
        return;
    }
    uint32_t value =
        op->y == 1 ? barrier->votes == barrier->voters : barrier->votes != 0;
    lane_u32 *p = EMU_AT(lane_u32, op->d);
    *p = value ? *p | m : *p & ~m;
}

static void complete(struct emu_block *block, uint32_t id)
{
    struct emu_barrier *barrier = &block->barrier[id];
    if (block->checks)
        emu_hazard_barrier_complete(block->hazards, id, barrier->waiting);
    for (uint32_t i = 0; i < block->warp_count; i++) {
        struct emu_warp *warp = &block->warp[i];
        for (uint32_t k = 0; k < warp->fragment_count; k++) {
            struct emu_fragment *f = &warp->fragment[k];
            if (f->state != EMU_AT_BARRIER || f->barrier != id)
                continue;
            const struct emu_op *op = &f->frame->code->op[f->pc - 1];
            if (op->x == EMU_BARRIER_RED)
                write_result(f->frame->r, op, barrier, f->mask);
            f->state = EMU_RUNNABLE;
        }
    }
    *barrier = (struct emu_barrier){0};
    block->progress++;
}

static void check_complete(struct emu_block *block, uint32_t id)
{
    struct emu_barrier *barrier = &block->barrier[id];
    uint32_t expected = barrier->expected ? barrier->expected : present(block);
    if (barrier->active && barrier->arrived >= expected)
        complete(block, id);
}

static int is_wrong(struct emu_warp *warp, const struct emu_op *op, uint32_t id,
                    uint32_t count, uint32_t m)
{
    if (id >= EMU_BARRIERS) {
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "barrier %u does not exist: there are %d", id, EMU_BARRIERS);
        return 1;
    }
    if (op->n && (count == 0 || count % 32)) {
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "barrier %u is given %u threads, which is not a positive "
                  "multiple of 32",
                  id, count);
        return 1;
    }
    return 0;
}

void emu_barrier_arrive(struct emu_warp *warp, struct emu_fragment *fragment,
                        const struct emu_op *op, uint32_t m, int *waits)
{
    struct emu_block *block = warp->block;
    unsigned char *r = fragment->frame->r;
    uint32_t id = first_lane(r, op->a, m);
    uint32_t count = op->n ? first_lane(r, op->b, m) : 0;
    *waits = 0;
    if (is_wrong(warp, op, id, count, m)) {
        fragment->state = EMU_RUNNABLE;
        return;
    }
    if (op->z && m != warp->live)
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "barrier %u is reached by lanes 0x%08x while 0x%08x of the "
                  "warp are elsewhere",
                  id, m, warp->live & ~m);
    struct emu_barrier *barrier = &block->barrier[id];
    if (barrier->active && barrier->expected != count)
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "barrier %u is given %u threads here and %u by a warp that "
                  "came before",
                  id, count, barrier->expected);
    if (barrier->lanes[warp->id] & m)
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "lanes 0x%08x arrive at barrier %u twice",
                  barrier->lanes[warp->id] & m, id);
    if (!barrier->active) {
        barrier->active = 1;
        barrier->expected = count;
    }
    barrier->arrived += weight(warp, barrier, m);
    barrier->lanes[warp->id] |= m;
    if (barrier->expected && barrier->arrived > barrier->expected)
        emu_fault(warp, op, EMU_BARRIER, m, 0,
                  "%u threads arrive at barrier %u, which expects %u",
                  barrier->arrived, id, barrier->expected);
    if (block->checks)
        emu_hazard_barrier_arrive(block->hazards, id, warp->id);
    if (block->counts)
        block->worker->counts.barriers++;
    if (op->x == EMU_BARRIER_RED) {
        uint32_t p = *EMU_AT(lane_u32, op->c) ^ (op->immediate ? EMU_ALL : 0);
        barrier->votes += (uint32_t)__builtin_popcount(p & m);
        barrier->voters += (uint32_t)__builtin_popcount(m);
    }
    fragment->barrier = (uint8_t)id;
    if (op->x == EMU_BARRIER_ARRIVE) {
        fragment->state = EMU_RUNNABLE;
    } else {
        barrier->waiting |= UINT32_C(1) << warp->id;
        *waits = 1;
    }
    block->progress++;
    check_complete(block, id);
}

void emu_barrier_exits(struct emu_block *block)
{
    for (uint32_t id = 0; id < EMU_BARRIERS; id++) {
        struct emu_barrier *barrier = &block->barrier[id];
        if (!barrier->active)
            continue;
        /* Lanes of a warp that exited while others of it wait count as
        ** arrived with them. */
        uint32_t arrived = 0;
        for (uint32_t i = 0; i < block->warp_count; i++) {
            uint32_t lanes = barrier->lanes[i], live = block->warp[i].live;
            if (lanes && (lanes & live) == live)
                arrived += 32;
            else
                arrived += (uint32_t)__builtin_popcount(lanes);
        }
        if (arrived > barrier->arrived)
            barrier->arrived = arrived;
        check_complete(block, id);
    }
}

void emu_warp_barrier(struct emu_warp *warp)
{
    uint32_t waiting = 0;
    for (uint32_t k = 0; k < warp->fragment_count; k++)
        if (warp->fragment[k].state == EMU_AT_WARP_BARRIER)
            waiting |= warp->fragment[k].mask;
    if (!waiting)
        return;
    for (uint32_t k = 0; k < warp->fragment_count; k++) {
        struct emu_fragment *f = &warp->fragment[k];
        if (f->state != EMU_AT_WARP_BARRIER ||
            f->members & warp->live & ~waiting)
            continue;
        f->state = EMU_RUNNABLE;
        warp->block->progress++;
        if (warp->block->checks)
            emu_hazard_warp_sync(warp->block->hazards, warp->id, f->members);
    }
}
