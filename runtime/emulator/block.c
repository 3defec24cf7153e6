/* block.c -- a resident block: its memory, and rounds over its warps. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/buffer.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/exec.h"
#include "runtime/emulator/kernel.h"
#include "runtime/emulator/random.h"
#include "runtime/emulator/reach.h"

#define SHARED_ALIGN 1024

void emu_fault(struct emu_warp *warp, const struct emu_op *op,
               enum emu_finding_kind kind, uint32_t lanes, uint64_t address,
               const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    emu_hazard_report(warp->block->hazards, kind,
                      op ? emu_source(warp, op) : NULL, warp->id, lanes,
                      address, "%s", text);
}

void emu_block_stop(struct emu_block *block)
{
    struct emu_run *run = block->run;
    uint64_t now = __atomic_load_n(&run->stop_at, __ATOMIC_RELAXED);
    block->stopped = 1;
    /* Blocks before this one still run, whatever thread has them, so what is
    ** found does not depend on which thread was faster. */
    while (block->linear < now &&
           !__atomic_compare_exchange_n(&run->stop_at, &now, block->linear, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* -- life ----------------------------------------------------------------- */

int emu_block_open(struct emu_block *block, struct emu_worker *worker)
{
    struct emu_run *run = worker->run;
    const uint32_t *ntid = run->launch->block;
    uint32_t threads = ntid[0] * ntid[1] * ntid[2];
    *block = (struct emu_block){
        .worker = worker,
        .run = run,
        .shared_bytes = run->shared_bytes,
        .local_bytes = run->local_bytes,
        .checks = run->options.checks,
        .counts = run->options.counts,
        .warp_count = (threads + 31) / 32,
    };
    size_t local = (size_t)block->warp_count * 32 * block->local_bytes;
    block->shared = tsr__malloc(block->shared_bytes + 64);
    block->local = tsr__malloc(local + 64);
    block->warp = tsr__calloc(block->warp_count, sizeof *block->warp);
    if (!block->shared || !block->local || !block->warp)
        return TSR_EMEMORY;
    for (uint32_t i = 0; i < block->warp_count; i++) {
        struct emu_warp *warp = &block->warp[i];
        uint32_t rest = threads - 32 * i;
        warp->block = block;
        warp->id = i;
        warp->full = rest >= 32 ? EMU_ALL : (UINT32_C(1) << rest) - 1;
        warp->bottom = emu_frame_enter(warp, run->code, NULL, 0, 0);
        if (!warp->bottom)
            return TSR_EMEMORY;
    }
    return 0;
}

static void leave_all(struct emu_warp *warp)
{
    warp->fragment_count = 0;
    emu_frame_leave_calls(warp);
}

void emu_block_close(struct emu_block *block)
{
    for (uint32_t i = 0; block->warp && i < block->warp_count; i++) {
        struct emu_warp *warp = &block->warp[i];
        leave_all(warp);
        emu_async_release(&warp->async);
        if (warp->bottom)
            emu_frame_leave(warp, warp->bottom);
    }
    if (block->running && block->hazards)
        emu_hazard_block_end(block->hazards);
    tsr__free(block->warp);
    tsr__free(block->shared);
    tsr__free(block->local);
}

int emu_block_begin(struct emu_block *block, uint64_t linear)
{
    struct emu_run *run = block->run;
    const uint32_t *grid = run->launch->grid;
    block->linear = linear;
    block->ctaid[0] = (uint32_t)(linear % grid[0]);
    block->ctaid[1] = (uint32_t)(linear / grid[0] % grid[1]);
    block->ctaid[2] = (uint32_t)(linear / grid[0] / grid[1]);
    block->executed = block->progress = 0;
    block->visits = 0;
    block->stopped = 0;
    block->running = 1;
    block->random = run->seed + linear * UINT64_C(0x2545f4914f6cdd1d);
    memset(block->barrier, 0, sizeof block->barrier);
    memset(block->shared, 0xa5, block->shared_bytes);
    size_t local = (size_t)block->warp_count * 32 * block->local_bytes;
    memset(block->local, 0xa5, local);
    for (uint32_t i = 0; i < block->warp_count; i++) {
        struct emu_warp *warp = &block->warp[i];
        warp->live = warp->full;
        warp->frame = warp->bottom;
        warp->fragment_count = 1;
        warp->fragment[0] =
            (struct emu_fragment){.frame = warp->bottom, .mask = warp->full};
        warp->random = block->random + i;
        emu_async_clear(&warp->async);
        emu_frame_fill(warp, warp->bottom);
    }
    block->worker->counts.blocks++;
    return emu_hazard_block_begin(block->worker->hazards, linear, block->ctaid,
                                  &block->hazards, NULL);
}

/* -- when nothing moves --------------------------------------------------- */

static void describe_warp(struct tsr_buffer *text, const struct emu_warp *warp)
{
    tsr__buffer_addf(text, "; warp %u:", warp->id);
    if (!warp->live)
        tsr__buffer_addf(text, " exited");
    for (uint32_t i = 0; i < warp->fragment_count; i++) {
        const struct emu_fragment *f = &warp->fragment[i];
        const struct ptx_instruction *at =
            f->frame->code->source[f->pc ? f->pc - 1 : 0];
        tsr__buffer_addf(text, "%s lanes 0x%08x ", i ? "," : "", f->mask);
        if (f->state == EMU_AT_BARRIER)
            tsr__buffer_addf(text, "wait at barrier %u", f->barrier);
        else if (f->state == EMU_AT_WARP_BARRIER)
            tsr__buffer_addf(text, "wait for lanes 0x%08x",
                             f->members & warp->live & ~f->mask);
        else if (f->state == EMU_PARKED)
            tsr__buffer_addf(text, "wait for the other lanes");
        else
            tsr__buffer_addf(text, "can run");
        tsr__buffer_addf(text, " (ptx line %d", at ? at->line : 0);
        if (at && at->loc_line)
            tsr__buffer_addf(text, ", source line %d", at->loc_line);
        tsr__buffer_addf(text, ", op %u)", f->pc);
    }
}

/* Some instruction to hang the finding on: where the first blocked warp is. */
static const struct ptx_instruction *blame(const struct emu_block *block,
                                           uint32_t *warp, uint32_t *lanes)
{
    for (uint32_t i = 0; i < block->warp_count; i++) {
        const struct emu_warp *w = &block->warp[i];
        if (!w->fragment_count)
            continue;
        const struct emu_fragment *f = &w->fragment[0];
        *warp = i;
        *lanes = f->mask;
        uint32_t pc = f->pc;
        if (f->state != EMU_RUNNABLE && pc)
            pc--;
        return f->frame->code->source[pc];
    }
    return NULL;
}

static void report_state(struct emu_block *block, enum emu_finding_kind kind,
                         const char *what)
{
    struct tsr_buffer text = TSR_BUFFER_INIT;
    uint32_t warp = 0, lanes = 0;
    tsr__buffer_addf(&text, "%s", what);
    for (uint32_t i = 0; i < EMU_BARRIERS; i++) {
        const struct emu_barrier *b = &block->barrier[i];
        if (b->active)
            tsr__buffer_addf(&text, "; barrier %u: %u threads arrived of %u%s",
                             i, b->arrived, b->expected,
                             b->expected ? "" : " (all)");
    }
    for (uint32_t i = 0; i < block->warp_count; i++)
        describe_warp(&text, &block->warp[i]);
    const struct ptx_instruction *at = blame(block, &warp, &lanes);
    emu_hazard_report(block->hazards, kind, at, warp, lanes, 0, "%s",
                      text.data ? text.data : what);
    tsr__buffer_release(&text);
    emu_block_stop(block);
}

void emu_block_expire(struct emu_block *block)
{
    report_state(block, EMU_TIMEOUT,
                 "the block did not end within the instruction limit");
}

/* -- rounds --------------------------------------------------------------- */

/* Warps in order, or shuffled with a seed. */
static void warp_order(struct emu_block *block, uint8_t order[EMU_MAX_WARPS])
{
    for (uint32_t i = 0; i < block->warp_count; i++)
        order[i] = (uint8_t)i;
    if (!block->run->seed)
        return;
    for (uint32_t i = block->warp_count; i > 1; i--) {
        uint32_t k = (uint32_t)(emu_random_next(&block->random) % i);
        uint8_t t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
}

static void take_turn(struct emu_block *block, struct emu_warp *warp,
                      uint64_t turn)
{
    uint64_t left = turn;
    if (block->run->seed)
        left = turn / 8 + emu_random_next(&block->random) % turn;
    if (left > block->run->limit - block->executed)
        left = block->run->limit - block->executed;
    uint64_t given = left;
    enum emu_pause pause = emu_warp_run(warp, &left);
    block->executed += given - left;
    if (pause == EMU_PAUSE_TURN)
        block->progress++;
}

static void finish(struct emu_block *block)
{
    for (uint32_t i = 0; i < block->warp_count; i++)
        leave_all(&block->warp[i]);
    emu_hazard_block_end(block->hazards);
    block->worker->executed += block->executed;
    block->hazards = NULL;
    block->running = 0;
}

int emu_block_round(struct emu_block *block, uint64_t turn)
{
    uint8_t order[EMU_MAX_WARPS];
    uint64_t before = block->progress;
    uint32_t live = 0;
    warp_order(block, order);
    for (uint32_t i = 0; i < block->warp_count && !block->stopped; i++) {
        struct emu_warp *warp = &block->warp[order[i]];
        if (!warp->live)
            continue;
        if (emu_warp_first(warp) >= 0) {
            take_turn(block, warp, turn);
            block->progress += !warp->live;
        }
        live |= warp->live;
        if (block->executed >= block->run->limit && live)
            emu_block_expire(block);
    }
    if (!block->stopped && live && block->progress == before)
        report_state(block, EMU_DEADLOCK, "no warp can go on");
    if (block->stopped || !live) {
        finish(block);
        return 1;
    }
    return 0;
}
