/* shuffle.c -- operations that lanes of a warp do together: vote, match, redux,
** activemask, elect. shfl has a file of its own.
**
** Each names its lanes in a member mask (op.target). exec.c waits for those
** that can still come; a mask with lanes missing here is a finding, and the
** operation goes on with who is here.
*/
#include "runtime/emulator/shuffle.h"

#include <string.h>

#include "runtime/emulator/handlers.h"
#include "runtime/emulator/reach.h"

void emu_check_members(struct emu_warp *w, const struct emu_op *op,
                       uint32_t members, uint32_t m)
{
    uint32_t missing = members & w->live & ~m, unnamed = m & ~members;
    if (!missing && !unnamed)
        return;
    const char *name = emu_source(w, op)->root;
    if (missing)
        emu_fault(w, op, EMU_DIVERGENT_SYNC, missing, 0,
                  "%s is executed by lanes 0x%08x, but it names 0x%08x of "
                  "which 0x%08x are elsewhere",
                  name, m, members, missing);
    else
        emu_fault(w, op, EMU_DIVERGENT_SYNC, unnamed, 0,
                  "%s is executed by lanes 0x%08x that its mask 0x%08x does "
                  "not name",
                  name, unnamed, members);
}

void emu_missing_lanes(struct emu_warp *w, const struct emu_op *op,
                       uint32_t missing, uint32_t m)
{
    emu_fault(w, op, EMU_DIVERGENT_SYNC, missing, 0,
              "%s needs the whole warp; lanes 0x%08x execute it, 0x%08x are "
              "elsewhere or have exited",
              emu_source(w, op)->root, m, missing);
}

uint32_t emu_members_of(struct emu_warp *w, const unsigned char *r,
                        const struct emu_op *op, uint32_t m)
{
    uint32_t members = EMU_AT(const lane_u32, op->target)[__builtin_ctz(m)];
    emu_check_members(w, op, members, m);
    return members;
}

static void write_predicate(unsigned char *r, uint32_t slot, uint32_t bits,
                            uint32_t m)
{
    lane_u32 *p = EMU_AT(lane_u32, slot);
    *p = (*p & ~m) | (bits & m);
}

/* vote.{all,any,uni}.pred d, a. x: 0 all, 1 any, 2 uni. y: a
** negated. */
void emu_h_vote(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                uint32_t m)
{
    uint32_t p = *EMU_AT(const lane_u32, op->a) ^ (op->y ? EMU_ALL : 0);
    emu_members_of(w, r, op, m);
    p &= m;
    int result = op->x == 0 ? p == m : op->x == 1 ? p != 0 : !p || p == m;
    write_predicate(r, op->d, result ? EMU_ALL : 0, m);
}

void emu_h_vote_ballot(struct emu_warp *w, unsigned char *r,
                       const struct emu_op *op, uint32_t m)
{
    uint32_t p = *EMU_AT(const lane_u32, op->a) ^ (op->y ? EMU_ALL : 0);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    emu_members_of(w, r, op, m);
    p &= m;
    EMU_EACH(d[i] = p);
}

/* match.{any,all} d[|e], a. x: 1 all; y: a has 64 bits. */
void emu_h_match(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    uint64_t value[32];
    uint32_t result[32];
    emu_members_of(w, r, op, m);
    for (int i = 0; i < 32; i++)
        value[i] = op->y ? EMU_AT(const lane_u64, op->a)[i]
                         : EMU_AT(const lane_u32, op->a)[i];
    for (int i = 0; i < 32; i++) {
        result[i] = 0;
        for (int k = 0; k < 32; k++)
            if (m >> k & 1 && value[k] == value[i])
                result[i] |= UINT32_C(1) << k;
    }
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    int all = result[__builtin_ctz(m)] == m;
    EMU_EACH(d[i] = op->x ? all ? m : 0 : result[i]);
    if (op->n)
        write_predicate(r, op->e, all ? EMU_ALL : 0, m);
}

static uint32_t reduce(const struct emu_op *op, uint32_t p, uint32_t q)
{
    switch (op->x) {
    case EMU_REDUX_ADD:
        return p + q;
    case EMU_REDUX_AND:
        return p & q;
    case EMU_REDUX_OR:
        return p | q;
    case EMU_REDUX_XOR:
        return p ^ q;
    case EMU_REDUX_MIN:
        if (op->flags & EMU_SIGNED)
            return (int32_t)p < (int32_t)q ? p : q;
        return p < q ? p : q;
    default:
        if (op->flags & EMU_SIGNED)
            return (int32_t)p > (int32_t)q ? p : q;
        return p > q ? p : q;
    }
}

void emu_h_redux(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    const lane_u32 *a = EMU_AT(const lane_u32, op->a);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    emu_members_of(w, r, op, m);
    int first = __builtin_ctz(m);
    uint32_t result = a[first];
    for (int i = first + 1; i < 32; i++)
        if (m >> i & 1)
            result = reduce(op, result, a[i]);
    EMU_EACH(d[i] = result);
}

void emu_h_activemask(struct emu_warp *w, unsigned char *r,
                      const struct emu_op *op, uint32_t m)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    (void)w;
    EMU_EACH(d[i] = m);
}

/* elect.sync d|e: one lane gets e. Any lane will do, so with a seed
** it is not always the first. d may be a sink (n = 0). */
void emu_h_elect(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    emu_members_of(w, r, op, m);
    uint32_t chosen = (uint32_t)__builtin_ctz(m);
    if (w->block->run->seed) {
        uint32_t skip = (uint32_t)(emu_random_next(&w->random) %
                                   (uint32_t)__builtin_popcount(m));
        uint32_t rest = m;
        while (skip--)
            rest &= rest - 1;
        chosen = (uint32_t)__builtin_ctz(rest);
    }
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    if (op->n)
        EMU_EACH(d[i] = chosen);
    write_predicate(r, op->e, UINT32_C(1) << chosen, m);
}
