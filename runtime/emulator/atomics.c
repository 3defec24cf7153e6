/* atomics.c -- atom and red in every space.
**
**     a  address (EMU_WIDE_BASE), immediate its offset    target  ptx_space,
**                                                         or ANYWHERE: generic
**     x  enum ptx_type    y  enum emu_atomic    z  enum emu_access_order
**     n  elements (vectors of red and atom)     list  d..., b..., (c...)
**     flags: EMU_WIDE: 64-bit data
**
** Lanes go one after the other, lowest first. Blocks may run on several host
** threads, so global memory is changed by compare-and-swap.
*/
#include "runtime/emulator/atomics.h"

#include <string.h>

#include "runtime/emulator/float.h"
#include "runtime/emulator/generic.h"
#include "runtime/emulator/half_math.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/reach.h"

static uint64_t as_double(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double from_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint16_t half_order(uint16_t a, uint16_t b, int bf, int larger)
{
    uint16_t infinity = bf ? 0x7f80 : 0x7c00;
    int a_nan = (a & 0x7fff) > infinity, b_nan = (b & 0x7fff) > infinity;
    if (a_nan || b_nan)
        return a_nan && b_nan ? 0x7fff : a_nan ? b : a;
    int32_t p = a & 0x8000 ? -(int32_t)(a & 0x7fff) - 1 : a;
    int32_t q = b & 0x8000 ? -(int32_t)(b & 0x7fff) - 1 : b;
    return (p < q) != larger ? a : b;
}

static uint16_t half_part(enum emu_atomic what, int bf, uint16_t a, uint16_t b)
{
    switch (what) {
    case EMU_ATOMIC_ADD:
        if (bf)
            return tsr__float_to_bfloat(tsr__bfloat_to_float(a) +
                                        tsr__bfloat_to_float(b));
        return tsr__float_to_half(tsr__half_to_float(a) +
                                  tsr__half_to_float(b));
    case EMU_ATOMIC_MIN:
        return half_order(a, b, bf, 0);
    default:
        return half_order(a, b, bf, 1);
    }
}

static uint64_t float_part(const struct emu_op *op, uint64_t a, uint64_t b)
{
    int bf = op->x == PTX_BF16 || op->x == PTX_BF16X2;
    switch (op->x) {
    case PTX_F32: {
        float sum = emu_canonical(tsr__bits_float((uint32_t)a) +
                                  tsr__bits_float((uint32_t)b));
        /* Global f32 adds flush subnormals, shared ones do not. */
        return tsr__float_bits(op->target == PTX_SPACE_GLOBAL ? emu_flush(sum)
                                                              : sum);
    }
    case PTX_F64:
        return as_double(from_double(a) + from_double(b));
    case PTX_F16:
    case PTX_BF16:
        return half_part(op->y, bf, (uint16_t)a, (uint16_t)b);
    default:
        return half_part(op->y, bf, (uint16_t)a, (uint16_t)b) |
               (uint32_t)half_part(op->y, bf, (uint16_t)(a >> 16),
                                   (uint16_t)(b >> 16))
                   << 16;
    }
}

static int is_less(const struct emu_op *op, uint64_t a, uint64_t b)
{
    switch (op->x) {
    case PTX_S32:
        return (int32_t)a < (int32_t)b;
    case PTX_S64:
        return (int64_t)a < (int64_t)b;
    default:
        return a < b;
    }
}

/* What memory holds afterwards. */
static uint64_t apply(const struct emu_op *op, uint64_t old, uint64_t b,
                      uint64_t c)
{
    if (ptx_type_class(op->x) == 'f' && op->y <= EMU_ATOMIC_MAX)
        return float_part(op, old, b);
    switch (op->y) {
    case EMU_ATOMIC_ADD:
        return old + b;
    case EMU_ATOMIC_MIN:
        return is_less(op, b, old) ? b : old;
    case EMU_ATOMIC_MAX:
        return is_less(op, old, b) ? b : old;
    case EMU_ATOMIC_AND:
        return old & b;
    case EMU_ATOMIC_OR:
        return old | b;
    case EMU_ATOMIC_XOR:
        return old ^ b;
    case EMU_ATOMIC_EXCH:
        return b;
    case EMU_ATOMIC_CAS:
        return old == b ? c : old;
    case EMU_ATOMIC_INC:
        return old >= b ? 0 : old + 1;
    default:
        return old == 0 || old > b ? b : old - 1;
    }
}

#define EXCHANGE(type)                                                        \
    do {                                                                      \
        type *cell = at, old = __atomic_load_n(cell, __ATOMIC_SEQ_CST), next; \
        do                                                                    \
            next = (type)apply(op, old, (type)b, (type)c);                    \
        while (!__atomic_compare_exchange_n(                                  \
            cell, &old, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));        \
        return old;                                                           \
    } while (0)

static uint64_t exchange(const struct emu_op *op, void *at, uint64_t b,
                         uint64_t c)
{
    switch (ptx_type_bytes(op->x)) {
    case 2:
        EXCHANGE(uint16_t);
    case 4:
        EXCHANGE(uint32_t);
    default:
        EXCHANGE(uint64_t);
    }
}

static uint64_t lane_of(const unsigned char *r, const struct emu_op *op,
                        uint32_t slot, int i)
{
    return op->flags & EMU_WIDE ? EMU_AT(const lane_u64, slot)[i]
                                : EMU_AT(const lane_u32, slot)[i];
}

static void each_lane(unsigned char *r, const struct emu_op *op, uint32_t m,
                      const uint64_t host[32])
{
    int bytes = ptx_type_bytes(op->x);
    const uint32_t *d = op->list, *b = d + op->n, *c = b + op->n;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        for (int k = 0; k < op->n; k++) {
            void *at = (void *)(uintptr_t)(host[i] + (uint64_t)(k * bytes));
            uint64_t third =
                op->y == EMU_ATOMIC_CAS ? lane_of(r, op, c[k], i) : 0;
            uint64_t old = exchange(op, at, lane_of(r, op, b[k], i), third);
            if (op->flags & EMU_WIDE)
                EMU_AT(lane_u64, d[k])[i] = old;
            else
                EMU_AT(lane_u32, d[k])[i] = (uint32_t)old;
        }
    }
}

static void in_space(struct emu_warp *w, unsigned char *r,
                     const struct emu_op *op, uint32_t m, enum ptx_space space,
                     uint64_t address[32])
{
    uint32_t bytes = (uint32_t)ptx_type_bytes(op->x) * op->n;
    m = emu_reach_slow(w, op, space, EMU_READ_WRITE, bytes, bytes, address, m);
    if (!m)
        return;
    if (w->block->checks | w->block->counts)
        emu_reach_observe(w, op, space, EMU_READ_WRITE, op->z, bytes, address,
                          m, 0);
    for (int i = 0; i < 32; i++) {
        if (space == PTX_SPACE_SHARED)
            address[i] += (uint64_t)(uintptr_t)w->block->shared;
        else if (space == PTX_SPACE_LOCAL)
            address[i] += (uint64_t)(uintptr_t)emu_local(w, i);
    }
    each_lane(r, op, m, address);
}

void emu_h_atom(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                uint32_t m)
{
    uint64_t address[32], offset[32];
    if (op->flags & EMU_WIDE_BASE)
        EMU_LANES address[i] = EMU_AT(const lane_u64, op->a)[i] + op->immediate;
    else
        EMU_LANES address[i] = (uint32_t)(EMU_AT(const lane_u32, op->a)[i] +
                                          (uint32_t)op->immediate);
    if (op->target != EMU_ANYWHERE) {
        in_space(w, r, op, m, (enum ptx_space)op->target, address);
        return;
    }
    uint32_t in = emu_in_window(EMU_WINDOW_SHARED, address, m, offset);
    if (in)
        in_space(w, r, op, in, PTX_SPACE_SHARED, offset);
    m &= ~in;
    in = emu_in_window(EMU_WINDOW_LOCAL, address, m, offset);
    if (in)
        in_space(w, r, op, in, PTX_SPACE_LOCAL, offset);
    m &= ~in;
    if (m)
        in_space(w, r, op, m, PTX_SPACE_GLOBAL, address);
}
