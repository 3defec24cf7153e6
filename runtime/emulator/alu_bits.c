/* alu_bits.c -- bit fields, permutes, dot products, packing, video SIMD. */
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_bits.c"
#include "runtime/emulator/isa.h"
#else

#define U32_3 lane_u32, lane_u32, lane_u32

/* -- logic of three inputs ---------------------------------------------------
**
** Bit k of the table is the result for inputs k = a*4 + b*2 + c.
*/

static inline uint32_t EMU_H(logic)(uint32_t a, uint32_t b, uint32_t c,
                                    uint32_t t)
{
    uint32_t r = 0;
    r |= ~a & ~b & ~c & (0 - (t & 1));
    r |= ~a & ~b & c & (0 - (t >> 1 & 1));
    r |= ~a & b & ~c & (0 - (t >> 2 & 1));
    r |= ~a & b & c & (0 - (t >> 3 & 1));
    r |= a & ~b & ~c & (0 - (t >> 4 & 1));
    r |= a & ~b & c & (0 - (t >> 5 & 1));
    r |= a & b & ~c & (0 - (t >> 6 & 1));
    r |= a & b & c & (0 - (t >> 7 & 1));
    return r;
}

void EMU_H(lop3)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a), *b = EMU_AT(lane_u32, op->b),
                   *c = EMU_AT(lane_u32, op->c);
    uint32_t t = (uint32_t)op->immediate;
    (void)w;
    switch (t) { /* the tables that compilers use most */
    case 0xea:
        EMU_EACH(d[i] = (a[i] & b[i]) | c[i]);
        break;
    case 0x6a:
        EMU_EACH(d[i] = (a[i] & b[i]) ^ c[i]);
        break;
    case 0xf8:
        EMU_EACH(d[i] = a[i] | (b[i] & c[i]));
        break;
    case 0x96:
        EMU_EACH(d[i] = a[i] ^ b[i] ^ c[i]);
        break;
    case 0xfe:
        EMU_EACH(d[i] = a[i] | b[i] | c[i]);
        break;
    case 0x80:
        EMU_EACH(d[i] = a[i] & b[i] & c[i]);
        break;
    default:
        EMU_EACH(d[i] = EMU_H(logic)(a[i], b[i], c[i], t));
    }
}

/* lop3.BoolOp: e = (d != 0) BoolOp q. */
void EMU_H(lop3_p)(EMU_ARGUMENTS)
{
    uint32_t q = *EMU_AT(lane_u32, op->list[0]) ^ (op->z ? EMU_ALL : 0);
    const lane_u32 *d = EMU_AT(lane_u32, op->d);
    uint32_t set = 0;
    EMU_H(lop3)(w, r, op, m);
    for (int i = 0; i < 32; i++)
        set |= (uint32_t)(d[i] != 0) << i;
    set = op->y == 0 ? set | q : set & q;
    lane_u32 *p = EMU_AT(lane_u32, op->e);
    *p = (*p & ~m) | (set & m);
}

/* -- permute -------------------------------------------------------------- */

static inline uint32_t EMU_H(permute)(uint32_t a, uint32_t b, uint32_t s)
{
    uint64_t pair = (uint64_t)b << 32 | a;
    uint32_t result = 0;
    for (int j = 0; j < 4; j++) {
        uint32_t select = s >> 4 * j;
        uint32_t byte = (uint32_t)(pair >> 8 * (select & 7)) & 0xff;
        if (select & 8) /* the byte's sign, eight times */
            byte = byte & 0x80 ? 0xff : 0;
        result |= byte << 8 * j;
    }
    return result;
}

EMU_TERNARY_OF(prmt, U32_3, lane_u32, EMU_H(permute)(x, y, z))

void EMU_H(prmt_const)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a), *b = EMU_AT(lane_u32, op->b);
    uint32_t s = (uint32_t)op->immediate;
    (void)w;
    EMU_EACH(d[i] = EMU_H(permute)(a[i], b[i], s));
}

/* Selectors of the named modes for c = 0..3; f4e b4e rc8 ecl ecr rc16. */
static const uint16_t EMU_H(modes)[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
    {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
    {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232},
};

EMU_TERNARY_OF(prmt_mode, U32_3, lane_u32,
               EMU_H(permute)(x, y, EMU_H(modes)[op->x][z & 3]))

/* -- shifts of pairs, bit fields ------------------------------------------ */

#define PAIR ((uint64_t)y << 32 | x)
EMU_TERNARY_OF(shf_l_clamp, U32_3, lane_u32, PAIR << (z < 32 ? z : 32) >> 32)
EMU_TERNARY_OF(shf_l_wrap, U32_3, lane_u32, PAIR << (z & 31) >> 32)
EMU_TERNARY_OF(shf_r_clamp, U32_3, lane_u32, PAIR >> (z < 32 ? z : 32))
EMU_TERNARY_OF(shf_r_wrap, U32_3, lane_u32, PAIR >> (z & 31))

/* Position and length are the low eight bits; bits past the end read as the
** sign (signed) or zero. */
static inline uint64_t EMU_H(extract)(uint64_t a, uint32_t position,
                                      uint32_t length, uint32_t bits,
                                      int is_signed)
{
    position &= 0xff, length &= 0xff;
    if (length == 0)
        return 0;
    uint32_t last = position + length - 1;
    if (last >= bits)
        last = bits - 1;
    uint64_t sign = is_signed && (a >> last & 1) ? ~UINT64_C(0) : 0;
    uint64_t field = position < bits ? a >> position : sign;
    uint32_t have = position < bits ? bits - position : 0;
    if (have > length)
        have = length;
    uint64_t keep = have >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << have) - 1;
    return (field & keep) | (sign & ~keep);
}

EMU_TERNARY_OF(bfe_u32, U32_3, lane_u32, EMU_H(extract)(x, y, z, 32, 0))
EMU_TERNARY_OF(bfe_s32, U32_3, lane_u32, EMU_H(extract)(x, y, z, 32, 1))
EMU_TERNARY(bfe_u64, lane_u64, lane_u64, lane_u32, lane_u32,
            EMU_H(extract)(x, y, z, 64, 0))
EMU_TERNARY(bfe_s64, lane_u64, lane_u64, lane_u32, lane_u32,
            EMU_H(extract)(x, y, z, 64, 1))

static inline uint64_t EMU_H(insert)(uint64_t field, uint64_t into,
                                     uint32_t position, uint32_t length,
                                     uint32_t bits)
{
    position &= 0xff, length &= 0xff;
    if (position >= bits || length == 0)
        return into;
    uint64_t mask = length >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << length) - 1;
    mask <<= position;
    return (into & ~mask) | (field << position & mask);
}

void EMU_H(bfi_b32)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a), *b = EMU_AT(lane_u32, op->b),
                   *c = EMU_AT(lane_u32, op->c), *l = EMU_AT(lane_u32, op->e);
    (void)w;
    EMU_EACH(d[i] = (uint32_t)EMU_H(insert)(a[i], b[i], c[i], l[i], 32));
}

void EMU_H(bfi_b64)(EMU_ARGUMENTS)
{
    lane_u64 *d = EMU_AT(lane_u64, op->d);
    const lane_u64 *a = EMU_AT(lane_u64, op->a), *b = EMU_AT(lane_u64, op->b);
    const lane_u32 *c = EMU_AT(lane_u32, op->c), *l = EMU_AT(lane_u32, op->e);
    (void)w;
    EMU_EACH(d[i] = EMU_H(insert)(a[i], b[i], c[i], l[i], 64));
}

/* Highest bit that differs from the sign; all ones when none does. x set:
** the shift that brings it to the top (.shiftamt). */
static inline uint32_t EMU_H(find)(uint64_t a, uint32_t bits, int shift)
{
    if (a == 0)
        return EMU_ALL;
    uint32_t top = 63 - (uint32_t)__builtin_clzll(a);
    return shift ? bits - 1 - top : top;
}

#define FOLD_S(x) ((x) < 0 ? ~(x) : (x))
EMU_UNARY(bfind_u32, lane_u32, lane_u32, EMU_H(find)(x, 32, op->x))
EMU_UNARY(bfind_s32, lane_u32, lane_s32,
          EMU_H(find)((uint32_t)FOLD_S(x), 32, op->x))
EMU_UNARY(bfind_u64, lane_u32, lane_u64, EMU_H(find)(x, 64, op->x))
EMU_UNARY(bfind_s64, lane_u32, lane_s64,
          EMU_H(find)((uint64_t)FOLD_S(x), 64, op->x))

EMU_UNARY(clz_b32, lane_u32, lane_u32, x ? __builtin_clz(x) : 32)
EMU_UNARY(clz_b64, lane_u32, lane_u64, x ? __builtin_clzll(x) : 64)
EMU_UNARY(popc_b32, lane_u32, lane_u32, __builtin_popcount(x))
EMU_UNARY(popc_b64, lane_u32, lane_u64, __builtin_popcountll(x))

static inline uint64_t EMU_H(reverse)(uint64_t v)
{
    v = __builtin_bswap64(v);
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) |
        (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) |
        (v & UINT64_C(0x3333333333333333)) << 2;
    return (v >> 1 & UINT64_C(0x5555555555555555)) |
           (v & UINT64_C(0x5555555555555555)) << 1;
}

EMU_UNARY(brev_b32, lane_u32, lane_u32, EMU_H(reverse)(x) >> 32)
EMU_UNARY(brev_b64, lane_u64, lane_u64, EMU_H(reverse)(x))

/* The offset-th set bit of mask, counted from base; see PTX fns. */
static inline uint32_t EMU_H(nth)(uint32_t mask, uint32_t base, int32_t offset)
{
    if (base > 31)
        return EMU_ALL;
    if (offset == 0)
        return mask >> base & 1 ? base : EMU_ALL;
    int step = offset > 0 ? 1 : -1;
    int32_t left = offset > 0 ? offset : offset == INT32_MIN ? 33 : -offset;
    for (int32_t at = (int32_t)base; at >= 0 && at < 32; at += step)
        if (mask >> at & 1 && --left == 0)
            return (uint32_t)at;
    return EMU_ALL;
}

EMU_TERNARY(fns, lane_u32, lane_u32, lane_u32, lane_s32, EMU_H(nth)(x, y, z))

static inline uint32_t EMU_H(ones)(uint32_t from, uint32_t count)
{
    uint32_t low = from < 32 ? EMU_ALL << from : 0;
    uint64_t end = (uint64_t)from + count;
    return end < 32 ? low & ~(EMU_ALL << end) : low;
}

EMU_BINARY_OF(bmsk_clamp, U32_3, EMU_H(ones)(x > 32 ? 32 : x, y > 32 ? 32 : y))
EMU_BINARY_OF(bmsk_wrap, U32_3, EMU_H(ones)(x & 31, y & 31))

/* Sign- or zero-extends the low y bits; x: wrap the count instead. */
static inline uint32_t EMU_H(width)(const struct emu_op *op, uint32_t n)
{
    return op->x ? n & 31 : n > 32 ? 32 : n;
}

EMU_BINARY_OF(szext_u32, U32_3,
              EMU_H(extract)(x, 0, EMU_H(width)(op, y), 32, 0))
EMU_BINARY_OF(szext_s32, U32_3,
              EMU_H(extract)(x, 0, EMU_H(width)(op, y), 32, 1))

/* -- dot products ------------------------------------------------------------
**
** x: the first operand is signed, y: the second is. z (dp2a): upper half.
*/

static inline uint32_t EMU_H(byte)(uint32_t v, int k, int is_signed)
{
    uint32_t byte = v >> 8 * k & 0xff;
    return is_signed ? (uint32_t)(int32_t)(int8_t)byte : byte;
}

static inline uint32_t EMU_H(half)(uint32_t v, int k, int is_signed)
{
    uint32_t half = v >> 16 * k & 0xffff;
    return is_signed ? (uint32_t)(int32_t)(int16_t)half : half;
}

static inline uint32_t EMU_H(dot4)(const struct emu_op *op, uint32_t a,
                                   uint32_t b, uint32_t sum)
{
    for (int k = 0; k < 4; k++)
        sum += EMU_H(byte)(a, k, op->x) * EMU_H(byte)(b, k, op->y);
    return sum;
}

static inline uint32_t EMU_H(dot2)(const struct emu_op *op, uint32_t a,
                                   uint32_t b, uint32_t sum)
{
    int from = op->z ? 2 : 0;
    for (int k = 0; k < 2; k++)
        sum += EMU_H(half)(a, k, op->x) * EMU_H(byte)(b, from + k, op->y);
    return sum;
}

EMU_TERNARY_OF(dp4a, U32_3, lane_u32, EMU_H(dot4)(op, x, y, z))
EMU_TERNARY_OF(dp2a, U32_3, lane_u32, EMU_H(dot2)(op, x, y, z))

/* -- packing: mov of vectors ---------------------------------------------- */

EMU_BINARY_OF(pack_b32, U32_3, (x & 0xffff) | y << 16)
EMU_BINARY(pack_b64, lane_u64, lane_u32, lane_u32, x | (uint64_t)y << 32)

void EMU_H(unpack_b32)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d), *e = EMU_AT(lane_u32, op->e);
    const lane_u32 *a = EMU_AT(lane_u32, op->a);
    (void)w;
    EMU_EACH({
        uint32_t v = a[i];
        d[i] = v & 0xffff;
        e[i] = v >> 16;
    });
}

void EMU_H(unpack_b64)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d), *e = EMU_AT(lane_u32, op->e);
    const lane_u64 *a = EMU_AT(lane_u64, op->a);
    (void)w;
    EMU_EACH({
        uint64_t v = a[i];
        d[i] = (uint32_t)v;
        e[i] = (uint32_t)(v >> 32);
    });
}

/* n elements of x bytes each, list; y: bytes of the whole. */
void EMU_H(pack_list)(EMU_ARGUMENTS)
{
    uint32_t bits = 8u * op->x;
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint64_t whole[2] = {0, 0};
        for (uint32_t k = 0; k < op->n; k++) {
            uint64_t part = op->x == 8 ? EMU_AT(lane_u64, op->list[k])[i]
                                       : EMU_AT(lane_u32, op->list[k])[i];
            if (bits < 64)
                part &= (UINT64_C(1) << bits) - 1;
            whole[k * bits / 64] |= part << k * bits % 64;
        }
        if (op->y <= 4)
            EMU_AT(lane_u32, op->d)[i] = (uint32_t)whole[0];
        else
            EMU_AT(lane_u64, op->d)[i] = whole[0];
        if (op->y == 16)
            EMU_AT(lane_u64, op->d)[i + 32] = whole[1];
    }
}

void EMU_H(unpack_list)(EMU_ARGUMENTS)
{
    uint32_t bits = 8u * op->x;
    (void)w;
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint64_t whole[2] = {0, 0};
        whole[0] = op->y <= 4 ? EMU_AT(lane_u32, op->a)[i]
                              : EMU_AT(lane_u64, op->a)[i];
        if (op->y == 16)
            whole[1] = EMU_AT(lane_u64, op->a)[i + 32];
        for (uint32_t k = 0; k < op->n; k++) {
            uint64_t part = whole[k * bits / 64] >> k * bits % 64;
            if (op->x == 8)
                EMU_AT(lane_u64, op->list[k])[i] = part;
            else
                EMU_AT(lane_u32, op->list[k])
            [i] = (uint32_t)(part & ((UINT64_C(1) << bits) - 1));
        }
    }
}

/* -- SIMD video --------------------------------------------------------------
**
** x: what to do (enum below); n: parts (2 or 4); y: 1 first operand signed,
** 2 second, 4 result; z: comparison of vset. flags: SAT. immediate: bit 8 adds
** the parts up into c, low bits the lane mask of what is written.
*/

enum {
    EMU_H(VADD),
    EMU_H(VSUB),
    EMU_H(VAVRG),
    EMU_H(VABSDIFF),
    EMU_H(VMIN),
    EMU_H(VMAX),
    EMU_H(VSET)
};

static int32_t EMU_H(video_part)(const struct emu_op *op, int32_t a, int32_t b)
{
    switch (op->x) {
    case EMU_H(VADD):
        return a + b;
    case EMU_H(VSUB):
        return a - b;
    case EMU_H(VAVRG): /* rounds away from zero on a tie */
        return (a + b + (a + b >= 0)) >> 1;
    case EMU_H(VABSDIFF):
        return a > b ? a - b : b - a;
    case EMU_H(VMIN):
        return a < b ? a : b;
    case EMU_H(VMAX):
        return a > b ? a : b;
    }
    switch (op->z) { /* eq ne lt le gt ge */
    case 0:
        return a == b;
    case 1:
        return a != b;
    case 2:
        return a < b;
    case 3:
        return a <= b;
    case 4:
        return a > b;
    default:
        return a >= b;
    }
}

static uint32_t EMU_H(video_lane)(const struct emu_op *op, uint32_t a,
                                  uint32_t b, uint32_t c)
{
    int bits = 32 / op->n;
    uint32_t mask = (UINT32_C(1) << bits) - 1, result = c, sum = c;
    int32_t low = op->y & 4 ? -(1 << (bits - 1)) : 0;
    int32_t high = op->y & 4 ? (1 << (bits - 1)) - 1 : (int32_t)mask;
    for (int k = 0; k < op->n; k++) {
        if (!(op->immediate >> k & 1))
            continue;
        int32_t p = (int32_t)(a >> k * bits & mask);
        int32_t q = (int32_t)(b >> k * bits & mask);
        if (op->y & 1)
            p = (int32_t)((uint32_t)p << (32 - bits)) >> (32 - bits);
        if (op->y & 2)
            q = (int32_t)((uint32_t)q << (32 - bits)) >> (32 - bits);
        int32_t v = EMU_H(video_part)(op, p, q);
        if (op->flags & EMU_SAT)
            v = v < low ? low : v > high ? high : v;
        sum += (uint32_t)v;
        result = (result & ~(mask << k * bits)) | ((uint32_t)v & mask)
                                                      << k * bits;
    }
    return op->immediate & 0x100 ? sum : result;
}

EMU_TERNARY_OF(video, U32_3, lane_u32, EMU_H(video_lane)(op, x, y, z))

#endif
