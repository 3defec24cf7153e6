/* reach.h -- may this access be done? Bounds, alignment, and who is told.
**
** A warp's access is tested as a whole: lowest and highest address inside one
** allocation (or window), the OR of all addresses aligned. That is exact when
** it says yes. When it says no, emu_reach_slow goes lane by lane, reports
** what is wrong and returns the lanes that may go on; they may well be all.
*/
#ifndef TSR_EMULATOR_REACH_H
#define TSR_EMULATOR_REACH_H

#include "runtime/emulator/lanes.h"
#include "runtime/emulator/warp.h"

/* The instruction an op was made of. */
static inline const struct ptx_instruction *emu_source(const struct emu_warp *w,
                                                       const struct emu_op *op)
{
    const struct emu_code *code = w->frame->code;
    return code->source[op - code->op];
}

uint32_t emu_reach_slow(struct emu_warp *w, const struct emu_op *op,
                        enum ptx_space space, enum emu_access_kind kind,
                        uint32_t bytes, uint32_t align, const uint64_t *address,
                        uint32_t m);

/* Tells hazards and counts about an access that will be done. */
void emu_reach_observe(struct emu_warp *w, const struct emu_op *op,
                       enum ptx_space space, enum emu_access_kind kind,
                       enum emu_access_order order, uint32_t bytes,
                       const uint64_t *address, uint32_t m, int collective);

/* The allocation that holds [low, high), or NULL. */
const struct emu_span *emu_reach_span(struct emu_worker *worker,
                                      const struct emu_op *op, uint64_t low,
                                      uint64_t high);

static inline int emu_reach_hint(struct emu_worker *worker,
                                 const struct emu_op *op, uint64_t low,
                                 uint64_t high, int write)
{
    const struct emu_span *hint =
        &worker->hint[(uintptr_t)op / sizeof *op % EMU_HINTS];
    if (low < hint->base || high > hint->end || high < low) {
        hint = emu_reach_span(worker, op, low, high);
        if (!hint)
            return 0;
    }
    return !(write && hint->read_only);
}

/* Where local memory of a lane begins. */
static inline unsigned char *emu_local(const struct emu_warp *w, int lane)
{
    return w->block->local +
           (size_t)(w->id * 32 + (uint32_t)lane) * w->block->local_bytes;
}

#endif
