/* alu_select.c -- comparisons, predicates and selection.
**
** A comparison makes a mask with one bit per lane. setp combines it with a
** predicate and writes one or two predicates, set writes lanes.
**
**     x  enum emu_compare        y  0 alone, 1 and, 2 or, 3 xor with c
**     z  c is negated            n  set: 0 all ones, 1 f32 1.0, 2 f16 1.0,
**     e  !result (setp, n = 1)      3 bf16 1.0 (by half for f16x2)
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_select.c"
#include "runtime/emulator/isa.h"
#else

/* Eight truth bytes to eight bits, by one multiplication. */
static inline uint32_t EMU_H(gather_bits)(const unsigned char truth[32])
{
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) {
        uint64_t eight = 0;
        for (int j = 0; j < 8; j++)
            eight |= (uint64_t)truth[8 * k + j] << 8 * j;
        bits |= (uint32_t)(eight * UINT64_C(0x0102040810204080) >> 56) << 8 * k;
    }
    return bits;
}

#define COMPARE_LOOP(condition)                      \
    EMU_LANES truth[i] = (unsigned char)(condition); \
    break

/* Ordered and unordered forms give the same code for integers. */
#define COMPARE(name, type, cast)                                              \
    static inline uint32_t EMU_H(compare_##name)(const type *a, const type *b, \
                                                 int what)                     \
    {                                                                          \
        unsigned char truth[32];                                               \
        switch (what) {                                                        \
        case EMU_EQ:                                                           \
            COMPARE_LOOP((cast)a[i] == (cast)b[i]);                            \
        case EMU_NE:                                                           \
            COMPARE_LOOP((cast)a[i] != (cast)b[i]);                            \
        case EMU_LT:                                                           \
            COMPARE_LOOP((cast)a[i] < (cast)b[i]);                             \
        case EMU_LE:                                                           \
            COMPARE_LOOP((cast)a[i] <= (cast)b[i]);                            \
        case EMU_GT:                                                           \
            COMPARE_LOOP((cast)a[i] > (cast)b[i]);                             \
        default:                                                               \
            COMPARE_LOOP((cast)a[i] >= (cast)b[i]);                            \
        }                                                                      \
        return EMU_H(gather_bits)(truth);                                      \
    }

COMPARE(u16, lane_u32, uint16_t)
COMPARE(s16, lane_u32, int16_t)

#if EMU_ISA_LEVEL >= 4

#define VECTOR(name, type, load, compare, step)                                \
    static inline uint32_t EMU_H(compare_##name)(const type *a, const type *b, \
                                                 int what)                     \
    {                                                                          \
        uint32_t bits = 0;                                                     \
        for (int i = 0; i < 32; i += step) {                                   \
            uint32_t part;                                                     \
            switch (what) {                                                    \
            case EMU_EQ:                                                       \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_EQ);       \
                break;                                                         \
            case EMU_NE:                                                       \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_NE);       \
                break;                                                         \
            case EMU_LT:                                                       \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_LT);       \
                break;                                                         \
            case EMU_LE:                                                       \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_LE);       \
                break;                                                         \
            case EMU_GT:                                                       \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_NLE);      \
                break;                                                         \
            default:                                                           \
                part = compare(load(a + i), load(b + i), _MM_CMPINT_NLT);      \
            }                                                                  \
            bits |= part << i;                                                 \
        }                                                                      \
        return bits;                                                           \
    }

#define LOAD(p) _mm512_loadu_si512((const void *)(p))
VECTOR(u32, lane_u32, LOAD, _mm512_cmp_epu32_mask, 16)
VECTOR(s32, lane_s32, LOAD, _mm512_cmp_epi32_mask, 16)
VECTOR(u64, lane_u64, LOAD, _mm512_cmp_epu64_mask, 8)
VECTOR(s64, lane_s64, LOAD, _mm512_cmp_epi64_mask, 8)
#undef LOAD

#else

COMPARE(u32, lane_u32, uint32_t)
COMPARE(s32, lane_s32, int32_t)
COMPARE(u64, lane_u64, uint64_t)
COMPARE(s64, lane_s64, int64_t)

#endif

/* Floats: an unordered form is true when either side is NaN. */
#define COMPARE_FLOAT(name, type, value_type, READ)                            \
    static inline uint32_t EMU_H(compare_##name)(const type *a, const type *b, \
                                                 int what, int flush)          \
    {                                                                          \
        unsigned char truth[32];                                               \
        EMU_LANES                                                              \
        {                                                                      \
            value_type x = READ(a[i], flush), y = READ(b[i], flush);           \
            int less = x<y, more = x> y, same = x == y;                        \
            truth[i] = (unsigned char)(same | less << 1 | more << 2 |          \
                                       (!(less | more | same)) << 3);          \
        }                                                                      \
        /* which of equal, less, more, unordered make it true */               \
        static const unsigned char want[] = {                                  \
            [EMU_EQ] = 1,   [EMU_NE] = 6,   [EMU_LT] = 2,   [EMU_LE] = 3,      \
            [EMU_GT] = 4,   [EMU_GE] = 5,   [EMU_EQU] = 9,  [EMU_NEU] = 14,    \
            [EMU_LTU] = 10, [EMU_LEU] = 11, [EMU_GTU] = 12, [EMU_GEU] = 13,    \
            [EMU_NUM] = 7,  [EMU_ISNAN] = 8};                                  \
        EMU_LANES truth[i] = (truth[i] & want[what]) != 0;                     \
        return EMU_H(gather_bits)(truth);                                      \
    }

static inline float EMU_H(read_f32)(float v, int flush)
{
    return flush && fabsf(v) < 0x1p-126f ? 0 : v;
}

static inline double EMU_H(read_f64)(double v, int flush)
{
    (void)flush;
    return v;
}

static inline float EMU_H(read_f16)(uint32_t v, int flush)
{
    float f = tsr__half_to_float((uint16_t)v);
    return flush && fabsf(f) < 0x1p-14f ? 0 : f;
}

static inline float EMU_H(read_f16high)(uint32_t v, int flush)
{
    return EMU_H(read_f16)(v >> 16, flush);
}

static inline float EMU_H(read_bf16)(uint32_t v, int flush)
{
    (void)flush;
    return tsr__bfloat_to_float((uint16_t)v);
}

static inline float EMU_H(read_bf16high)(uint32_t v, int flush)
{
    return EMU_H(read_bf16)(v >> 16, flush);
}

COMPARE_FLOAT(f32, lane_f32, float, EMU_H(read_f32))
COMPARE_FLOAT(f64, lane_f64, double, EMU_H(read_f64))
COMPARE_FLOAT(f16, lane_u32, float, EMU_H(read_f16))
COMPARE_FLOAT(f16high, lane_u32, float, EMU_H(read_f16high))
COMPARE_FLOAT(bf16, lane_u32, float, EMU_H(read_bf16))
COMPARE_FLOAT(bf16high, lane_u32, float, EMU_H(read_bf16high))

/* -- setp ----------------------------------------------------------------- */

static inline uint32_t EMU_H(combine)(unsigned char *r, const struct emu_op *op,
                                      uint32_t bits)
{
    uint32_t c = *EMU_AT(lane_u32, op->c) ^ (op->z ? EMU_ALL : 0);
    switch (op->y) {
    case 1:
        return bits & c;
    case 2:
        return bits | c;
    case 3:
        return bits ^ c;
    }
    return bits;
}

static inline void EMU_H(write)(unsigned char *r, uint32_t offset,
                                uint32_t bits, uint32_t m)
{
    lane_u32 *p = EMU_AT(lane_u32, offset);
    *p = (*p & ~m) | (bits & m);
}

static inline void EMU_H(setp)(unsigned char *r, const struct emu_op *op,
                               uint32_t bits, uint32_t m)
{
    uint32_t first = EMU_H(combine)(r, op, bits);
    uint32_t second = EMU_H(combine)(r, op, ~bits);
    EMU_H(write)(r, op->d, first, m);
    if (op->n)
        EMU_H(write)(r, op->e, second, m);
}

#define FLUSH , op->flags &EMU_FTZ
#define SETP(name, type, flush)                                         \
    void EMU_H(setp_##name)(EMU_ARGUMENTS)                              \
    {                                                                   \
        (void)w;                                                        \
        EMU_H(setp)                                                     \
        (r, op,                                                         \
         EMU_H(compare_##name)(EMU_AT(const type, op->a),               \
                               EMU_AT(const type, op->b), op->x flush), \
         m);                                                            \
    }

SETP(u16, lane_u32, )
SETP(s16, lane_u32, )
SETP(u32, lane_u32, )
SETP(s32, lane_s32, )
SETP(u64, lane_u64, )
SETP(s64, lane_s64, )
SETP(f32, lane_f32, FLUSH)
SETP(f64, lane_f64, FLUSH)
SETP(f16, lane_u32, FLUSH)
SETP(bf16, lane_u32, FLUSH)

/* f16x2: d is the comparison of the low halves, e that of the high ones. */
#define SETP_PAIR(name, half)                                            \
    void EMU_H(setp_##name)(EMU_ARGUMENTS)                               \
    {                                                                    \
        const lane_u32 *a = EMU_AT(lane_u32, op->a),                     \
                       *b = EMU_AT(lane_u32, op->b);                     \
        int flush = op->flags & EMU_FTZ;                                 \
        uint32_t low = EMU_H(compare_##half)(a, b, op->x, flush);        \
        uint32_t high = EMU_H(compare_##half##high)(a, b, op->x, flush); \
        (void)w;                                                         \
        low = EMU_H(combine)(r, op, low);                                \
        high = EMU_H(combine)(r, op, high);                              \
        EMU_H(write)(r, op->d, low, m);                                  \
        if (op->n)                                                       \
            EMU_H(write)(r, op->e, high, m);                             \
    }

SETP_PAIR(f16x2, f16)
SETP_PAIR(bf16x2, bf16)

/* -- set ------------------------------------------------------------------ */

static inline void EMU_H(set)(unsigned char *r, const struct emu_op *op,
                              uint32_t bits, uint32_t m)
{
    static const uint32_t one[] = {EMU_ALL, 0x3f800000, 0x3c00, 0x3f80, 0xffff};
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    bits = EMU_H(combine)(r, op, bits);
    uint32_t value = one[op->n];
    EMU_EACH(d[i] = bits >> i & 1 ? value : 0);
}

#define SET(name, type, flush)                                          \
    void EMU_H(set_##name)(EMU_ARGUMENTS)                               \
    {                                                                   \
        (void)w;                                                        \
        EMU_H(set)                                                      \
        (r, op,                                                         \
         EMU_H(compare_##name)(EMU_AT(const type, op->a),               \
                               EMU_AT(const type, op->b), op->x flush), \
         m);                                                            \
    }

SET(u16, lane_u32, )
SET(s16, lane_u32, )
SET(u32, lane_u32, )
SET(s32, lane_s32, )
SET(u64, lane_u64, )
SET(s64, lane_s64, )
SET(f32, lane_f32, FLUSH)
SET(f64, lane_f64, FLUSH)
SET(f16, lane_u32, FLUSH)
SET(bf16, lane_u32, FLUSH)

#define SET_PAIR(name, half)                                                  \
    void EMU_H(set_##name)(EMU_ARGUMENTS)                                     \
    {                                                                         \
        static const uint32_t one[] = {0xffff, 0, 0x3c00, 0x3f80, 0xffff};    \
        const lane_u32 *a = EMU_AT(lane_u32, op->a),                          \
                       *b = EMU_AT(lane_u32, op->b);                          \
        lane_u32 *d = EMU_AT(lane_u32, op->d);                                \
        int flush = op->flags & EMU_FTZ;                                      \
        uint32_t low =                                                        \
            EMU_H(combine)(r, op, EMU_H(compare_##half)(a, b, op->x, flush)); \
        uint32_t high = EMU_H(combine)(                                       \
            r, op, EMU_H(compare_##half##high)(a, b, op->x, flush));          \
        uint32_t value = one[op->n];                                          \
        (void)w;                                                              \
        EMU_EACH(d[i] = (low >> i & 1 ? value : 0) |                          \
                        (high >> i & 1 ? value << 16 : 0));                   \
    }

SET_PAIR(f16x2, f16)
SET_PAIR(bf16x2, bf16)

/* -- selection ------------------------------------------------------------ */

#define SELP(name, type)                                               \
    void EMU_H(name)(EMU_ARGUMENTS)                                    \
    {                                                                  \
        type *d = EMU_AT(type, op->d);                                 \
        const type *a = EMU_AT(type, op->a), *b = EMU_AT(type, op->b); \
        uint32_t p = *EMU_AT(lane_u32, op->c) ^ (op->z ? EMU_ALL : 0); \
        (void)w;                                                       \
        EMU_EACH(d[i] = p >> i & 1 ? a[i] : b[i]);                     \
    }

SELP(selp_b32, lane_u32)
SELP(selp_b64, lane_u64)

/* slct: a where c >= 0 (and not NaN), else b. */
EMU_TERNARY(slct_b32_s32, lane_u32, lane_u32, lane_u32, lane_s32,
            z >= 0 ? x : y)
EMU_TERNARY(slct_b64_s32, lane_u64, lane_u64, lane_u64, lane_s32,
            z >= 0 ? x : y)
EMU_TERNARY(slct_b32_f32, lane_u32, lane_u32, lane_u32, lane_f32,
            EMU_H(read_f32)(z, op->flags &EMU_FTZ) >= 0 ? x : y)
EMU_TERNARY(slct_b64_f32, lane_u64, lane_u64, lane_u64, lane_f32,
            EMU_H(read_f32)(z, op->flags &EMU_FTZ) >= 0 ? x : y)

/* testp. x: 0 finite, 1 infinite, 2 number, 3 notanumber, 4 normal,
** 5 subnormal. Zero counts as normal. */
static inline int EMU_H(classify)(int what, int is_zero, int top, int none,
                                  int fraction)
{
    switch (what) {
    case 0:
        return !top;
    case 1:
        return top && !fraction;
    case 2:
        return !(top && fraction);
    case 3:
        return top && fraction;
    case 4:
        return !top && (!none || is_zero);
    default:
        return none && !is_zero;
    }
}

void EMU_H(testp_f32)(EMU_ARGUMENTS)
{
    const lane_u32 *a = EMU_AT(lane_u32, op->a);
    uint32_t bits = 0;
    (void)w;
    for (int i = 0; i < 32; i++) {
        uint32_t v = a[i] & 0x7fffffff, exponent = v >> 23;
        bits |= (uint32_t)EMU_H(classify)(op->x, v == 0, exponent == 255,
                                          exponent == 0, (v & 0x7fffff) != 0)
                << i;
    }
    EMU_H(write)(r, op->d, bits, m);
}

void EMU_H(testp_f64)(EMU_ARGUMENTS)
{
    const lane_u64 *a = EMU_AT(lane_u64, op->a);
    uint32_t bits = 0;
    (void)w;
    for (int i = 0; i < 32; i++) {
        uint64_t v = a[i] & ~(UINT64_C(1) << 63), exponent = v >> 52;
        bits |= (uint32_t)EMU_H(classify)(op->x, v == 0, exponent == 2047,
                                          exponent == 0, v << 12 != 0)
                << i;
    }
    EMU_H(write)(r, op->d, bits, m);
}

/* -- predicates: x, y say that the sources are negated -------------------- */

#define PREDICATE(name, expression)                                    \
    void EMU_H(name)(EMU_ARGUMENTS)                                    \
    {                                                                  \
        uint32_t p = *EMU_AT(lane_u32, op->a) ^ (op->x ? EMU_ALL : 0); \
        uint32_t q = *EMU_AT(lane_u32, op->b) ^ (op->y ? EMU_ALL : 0); \
        (void)w, (void)q;                                              \
        EMU_H(write)(r, op->d, expression, m);                         \
    }

PREDICATE(mov_pred, p)
PREDICATE(not_pred, ~p)
PREDICATE(and_pred, p &q)
PREDICATE(or_pred, p | q)
PREDICATE(xor_pred, p ^ q)

#endif
