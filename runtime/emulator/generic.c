/* generic.c -- cvta, isspacep, fences, prefetch.
**
** A generic address of global or constant memory is the address itself; those
** of shared, local and parameter memory have a tag in their top byte.
** immediate: the tag; x: the source (y: the result) has 64 bits.
*/
#include "runtime/emulator/generic.h"

#include "runtime/emulator/handlers.h"
#include "runtime/emulator/reach.h"

uint32_t emu_in_window(uint64_t window, const uint64_t address[32], uint32_t m,
                       uint64_t offset[32])
{
    uint32_t in = 0;
    for (int i = 0; i < 32; i++) {
        offset[i] = address[i] & ~EMU_WINDOW_MASK;
        if ((address[i] & EMU_WINDOW_MASK) == window)
            in |= UINT32_C(1) << i;
    }
    return in & m;
}

static uint64_t read_lane(const unsigned char *r, const struct emu_op *op,
                          int i)
{
    return op->x ? EMU_AT(const lane_u64, op->a)[i]
                 : EMU_AT(const lane_u32, op->a)[i];
}

static void write_lane(unsigned char *r, const struct emu_op *op, int i,
                       uint64_t v)
{
    if (op->y)
        EMU_AT(lane_u64, op->d)[i] = v;
    else
        EMU_AT(lane_u32, op->d)[i] = (uint32_t)v;
}

/* cvta.space: into generic. */
void emu_h_cvta_from(struct emu_warp *w, unsigned char *r,
                     const struct emu_op *op, uint32_t m)
{
    (void)w;
    for (int i = 0; i < 32; i++)
        if (m >> i & 1)
            write_lane(r, op, i, read_lane(r, op, i) + op->immediate);
}

/* cvta.to.space: out of generic. An address of another space stays what it is
** and will be out of bounds where it is used. */
void emu_h_cvta_to(struct emu_warp *w, unsigned char *r,
                   const struct emu_op *op, uint32_t m)
{
    (void)w;
    for (int i = 0; i < 32; i++)
        if (m >> i & 1)
            write_lane(r, op, i, read_lane(r, op, i) - op->immediate);
}

void emu_h_isspacep(struct emu_warp *w, unsigned char *r,
                    const struct emu_op *op, uint32_t m)
{
    uint32_t in = 0;
    (void)w;
    for (int i = 0; i < 32; i++)
        in |=
            (uint32_t)((read_lane(r, op, i) & EMU_WINDOW_MASK) == op->immediate)
            << i;
    lane_u32 *p = EMU_AT(lane_u32, op->d);
    *p = (*p & ~m) | (in & m);
}

/* x: the scope is wider than the block. */
void emu_h_fence(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    (void)r, (void)m;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (w->block->checks)
        emu_hazard_fence(w->block->hazards, w->id, op->x);
}

/* A hint: no address is wrong. */
void emu_h_prefetch(struct emu_warp *w, unsigned char *r,
                    const struct emu_op *op, uint32_t m)
{
    (void)w, (void)r, (void)op, (void)m;
}
