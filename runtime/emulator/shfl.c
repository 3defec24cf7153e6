/* shfl.c -- shfl.sync: a lane reads another's register.
**
** d, a source, b lane or distance, c: bits 0-4 the clamp, 8-12 the segment
** mask. x: 0 up, 1 down, 2 bfly, 3 idx. n: e says who found its lane in range.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/shfl.c"
#include "runtime/emulator/isa.h"
#else

/* Lane that i reads, or i itself with *good 0 when that is out of range. */
static inline int EMU_H(source)(int mode, int i, uint32_t b, uint32_t c,
                                int *good)
{
    int clamp = (int)(c & 31), segment = (int)(c >> 8 & 31);
    int by = (int)(b & 31), first = i & segment;
    int last = first | (clamp & ~segment);
    int from = mode == 0   ? i - by
               : mode == 1 ? i + by
               : mode == 2 ? i ^ by
                           : first | (by & ~segment);
    *good = mode == 0 ? from >= last : from <= last;
    return *good ? from : i;
}

static inline __attribute__((always_inline)) uint32_t EMU_H(exchange)(
    const unsigned char *r, const struct emu_op *op, int mode, int32_t from[32])
{
    const lane_u32 *b = EMU_AT(const lane_u32, op->b),
                   *c = EMU_AT(const lane_u32, op->c);
    int32_t found[32];
    uint32_t in_range = 0;
    EMU_LANES
    {
        int good;
        from[i] = EMU_H(source)(mode, i, b[i], c[i], &good) & 31;
        found[i] = good;
    }
    if (op->n)
        for (int i = 0; i < 32; i++)
            in_range |= (uint32_t)found[i] << i;
    return in_range;
}

void EMU_H(shfl)(EMU_ARGUMENTS)
{
    const lane_u32 *a = EMU_AT(const lane_u32, op->a);
    uint32_t value[32], in_range;
    int32_t from[32];
    emu_members_of(w, r, op, m);
    switch (op->x) {
    case 0:
        in_range = EMU_H(exchange)(r, op, 0, from);
        break;
    case 1:
        in_range = EMU_H(exchange)(r, op, 1, from);
        break;
    case 2:
        in_range = EMU_H(exchange)(r, op, 2, from);
        break;
    default:
        in_range = EMU_H(exchange)(r, op, 3, from);
    }
    EMU_LANES value[i] = a[from[i]];
    if (m != EMU_ALL) {
        uint32_t missing = 0;
        for (int i = 0; i < 32; i++)
            missing |= (m >> i & ~(m >> from[i]) & 1) << i;
        if (missing)
            emu_fault(w, op, EMU_DIVERGENT_SYNC, missing, 0,
                      "shfl reads from a lane that does not take part; the "
                      "value is undefined");
    }
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    EMU_EACH(d[i] = value[i]);
    if (op->n) {
        lane_u32 *p = EMU_AT(lane_u32, op->e);
        *p = (*p & ~m) | (in_range & m);
    }
}

#endif
