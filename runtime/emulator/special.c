/* special.c -- registers that move, and the marks of unset registers. */
#include "runtime/emulator/special.h"

#include <time.h>

#include "runtime/emulator/exec.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/reach.h"

void emu_h_nothing(struct emu_warp *w, unsigned char *r,
                   const struct emu_op *op, uint32_t m)
{
    (void)w, (void)r, (void)op, (void)m;
}

/* Time as this emulator has it: operations of the block so far. It goes on
** while a warp spins, and does not depend on the host. */
static uint64_t now(const struct emu_warp *w)
{
    return w->block->executed + 1;
}

void emu_h_clock(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    uint32_t t = (uint32_t)now(w);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    EMU_EACH(d[i] = t);
}

void emu_h_clock_hi(struct emu_warp *w, unsigned char *r,
                    const struct emu_op *op, uint32_t m)
{
    uint32_t t = (uint32_t)(now(w) >> 32);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    EMU_EACH(d[i] = t);
}

void emu_h_clock64(struct emu_warp *w, unsigned char *r,
                   const struct emu_op *op, uint32_t m)
{
    uint64_t t = now(w);
    lane_u64 *d = EMU_AT(lane_u64, op->d);
    EMU_EACH(d[i] = t);
}

void emu_h_globaltimer(struct emu_warp *w, unsigned char *r,
                       const struct emu_op *op, uint32_t m)
{
    emu_h_clock64(w, r, op, m);
}

/* -- registers that some path leaves unset (unset.c) -------------------------
**
** d: mask of the lanes that have set the register; list: masks of what it was
** made of. selp's list: of its operands and its predicate; c: the predicate.
*/

void emu_h_register_merge(struct emu_warp *w, unsigned char *r,
                          const struct emu_op *op, uint32_t m)
{
    uint32_t set = EMU_ALL;
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    (void)w;
    for (int k = 0; k < op->n; k++)
        set &= *EMU_AT(const lane_u32, op->list[k]);
    *d = (*d & ~m) | (set & m);
}

void emu_h_register_select(struct emu_warp *w, unsigned char *r,
                           const struct emu_op *op, uint32_t m)
{
    uint32_t p = *EMU_AT(const lane_u32, op->c) ^ (op->z ? EMU_ALL : 0);
    uint32_t a = *EMU_AT(const lane_u32, op->list[0]);
    uint32_t b = *EMU_AT(const lane_u32, op->list[1]);
    uint32_t known = *EMU_AT(const lane_u32, op->list[2]);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    (void)w;
    *d = (*d & ~m) | (((a & p) | (b & ~p)) & known & m);
}

void emu_h_register_check(struct emu_warp *w, unsigned char *r,
                          const struct emu_op *op, uint32_t m)
{
    uint32_t unset = m & ~*EMU_AT(lane_u32, op->a);
    if (!unset || !w->block->checks)
        return;
    const struct ptx_function *function = w->frame->code->function;
    emu_fault(w, op, EMU_UNINITIALIZED_REGISTER, unset, 0,
              "register %s is used in lanes that have not written it",
              function->registers[op->immediate].name);
}
