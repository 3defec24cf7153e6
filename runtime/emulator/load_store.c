/* load_store.c -- ld and st in every space.
**
**     a  address register (flags: EMU_WIDE_BASE)   immediate  its offset
**     x  bytes of an element    n  elements of a lane    list  their slots
**     z  enum emu_access_order  flags: EMU_SIGNED, EMU_WIDE (64-bit slots)
**
** Addresses are guest addresses, or offsets into a window. A lane whose access
** is refused loads zero, stores nothing.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/load_store.c"
#include "runtime/emulator/isa.h"
#else

/* Guest addresses of global memory are host addresses: base 0. */
#define HOST(a) ((unsigned char *)(uintptr_t)(a))
#define BASE(p) ((uint64_t)(uintptr_t)(p))

static inline void EMU_H(addresses)(const unsigned char *r,
                                    const struct emu_op *op,
                                    uint64_t address[32])
{
    uint64_t offset = op->immediate;
    if (op->flags & EMU_WIDE_BASE) {
        const lane_u64 *a = EMU_AT(const lane_u64, op->a);
        EMU_LANES address[i] = a[i] + offset;
    } else {
        const lane_u32 *a = EMU_AT(const lane_u32, op->a);
        EMU_LANES address[i] = (uint32_t)(a[i] + (uint32_t)offset);
    }
}

/* Lowest and highest address and the OR of all, over the lanes of m. */
struct EMU_H(extent) {
    uint64_t low, high, bits;
};

static inline struct EMU_H(extent)
    EMU_H(measure)(const uint64_t address[32], uint32_t m)
{
    struct EMU_H(extent) e = {UINT64_MAX, 0, 0};
#if EMU_ISA_LEVEL >= 4
    __m512i low = _mm512_set1_epi64(-1), high = _mm512_setzero_si512(),
            bits = high;
    for (int i = 0; i < 32; i += 8) {
        __mmask8 k = (__mmask8)(m >> i);
        __m512i v = _mm512_loadu_si512((const void *)(address + i));
        low = _mm512_mask_min_epu64(low, k, low, v);
        high = _mm512_mask_max_epu64(high, k, high, v);
        bits = _mm512_mask_or_epi64(bits, k, bits, v);
    }
    e.low = _mm512_reduce_min_epu64(low);
    e.high = _mm512_reduce_max_epu64(high);
    e.bits = _mm512_reduce_or_epi64(bits);
#else
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint64_t v = address[i];
        e.low = v < e.low ? v : e.low;
        e.high = v > e.high ? v : e.high;
        e.bits |= v;
    }
#endif
    return e;
}

/* The lanes that may access `bytes` at their address in global memory. */
static inline uint32_t EMU_H(reach_global)(
    struct emu_warp *w, const struct emu_op *op, enum emu_access_kind kind,
    uint32_t bytes, const uint64_t address[32], uint32_t m)
{
    struct EMU_H(extent) e = EMU_H(measure)(address, m);
    if (e.bits & (bytes - 1) ||
        !emu_reach_hint(w->block->worker, op, e.low, e.high + bytes,
                        kind != EMU_READ))
        m = emu_reach_slow(w, op, PTX_SPACE_GLOBAL, kind, bytes, bytes, address,
                           m);
    if (m && (w->block->checks | w->block->counts))
        emu_reach_observe(w, op, PTX_SPACE_GLOBAL, kind, op->z, bytes, address,
                          m, 0);
    return m;
}

static inline uint32_t EMU_H(reach_shared)(
    struct emu_warp *w, const struct emu_op *op, enum emu_access_kind kind,
    uint32_t bytes, const uint64_t address[32], uint32_t m)
{
    struct EMU_H(extent) e = EMU_H(measure)(address, m);
    uint64_t size = w->block->shared_bytes;
    if (e.bits & (bytes - 1) || bytes > size || e.high > size - bytes)
        m = emu_reach_slow(w, op, PTX_SPACE_SHARED, kind, bytes, bytes, address,
                           m);
    if (m && (w->block->checks | w->block->counts))
        emu_reach_observe(w, op, PTX_SPACE_SHARED, kind, op->z, bytes, address,
                          m, 0);
    return m;
}

/* Local memory and the arguments: a window whose accesses nobody else sees. */
static inline uint32_t EMU_H(reach_window)(
    struct emu_warp *w, const struct emu_op *op, enum ptx_space space,
    enum emu_access_kind kind, uint32_t bytes, const uint64_t address[32],
    uint32_t m)
{
    m = emu_reach_slow(w, op, space, kind, bytes, bytes, address, m);
    if (m && (w->block->checks | w->block->counts))
        emu_reach_observe(w, op, space, kind, EMU_WEAK, bytes, address, m, 0);
    return m;
}

/* -- moving lanes --------------------------------------------------------- */

static inline uint64_t EMU_H(fetch)(const unsigned char *p, int bytes,
                                    int is_signed)
{
    uint8_t b;
    uint16_t h;
    uint32_t v;
    uint64_t l;
    switch (bytes) {
    case 1:
        memcpy(&b, p, 1);
        return is_signed ? (uint64_t)(int64_t)(int8_t)b : b;
    case 2:
        memcpy(&h, p, 2);
        return is_signed ? (uint64_t)(int64_t)(int16_t)h : h;
    case 4:
        memcpy(&v, p, 4);
        return is_signed ? (uint64_t)(int64_t)(int32_t)v : v;
    default:
        memcpy(&l, p, 8);
        return l;
    }
}

static void EMU_H(load_each)(unsigned char *r, const struct emu_op *op,
                             uint32_t m, uint64_t base,
                             const uint64_t address[32])
{
    int bytes = op->x, is_signed = op->flags & EMU_SIGNED;
    uint32_t narrow = op->y ? 0xffff : EMU_ALL; /* y: 16-bit register */
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        const unsigned char *p = HOST(base + address[i]);
        for (int k = 0; k < op->n; k++, p += bytes) {
            uint64_t v = EMU_H(fetch)(p, bytes, is_signed);
            if (op->flags & EMU_WIDE)
                EMU_AT(lane_u64, op->list[k])[i] = v;
            else
                EMU_AT(lane_u32, op->list[k])[i] = (uint32_t)v & narrow;
        }
    }
}

#if EMU_ISA_LEVEL >= 4

/* Is lane i at address[0] + i * step, for every i? */
static inline int EMU_H(is_run)(const uint64_t address[32], uint64_t step)
{
    __m512i index = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    __m512i want = _mm512_add_epi64(
        _mm512_set1_epi64((long long)address[0]),
        _mm512_mullo_epi64(index, _mm512_set1_epi64((long long)step)));
    __m512i next = _mm512_set1_epi64((long long)(8 * step));
    uint32_t same = 0xff;
    for (int i = 0; i < 32; i += 8) {
        same &= _mm512_cmpeq_epi64_mask(
            want, _mm512_loadu_si512((const void *)(address + i)));
        want = _mm512_add_epi64(want, next);
    }
    return same == 0xff;
}

/* Sixteen lanes of four words each, 256 bytes in a row, to four registers. */
static inline void EMU_H(split4)(const unsigned char *p, unsigned char *r,
                                 const uint32_t *list, int lane)
{
    const __m512i pick = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9,
                                           13, 17, 21, 25, 29);
    const __m512i two = _mm512_set1_epi32(2);
    __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
    __m512i c = _mm512_loadu_si512(p + 128), d = _mm512_loadu_si512(p + 192);
    __m512i other = _mm512_add_epi32(pick, two);
    __m512i ab01 = _mm512_permutex2var_epi32(a, pick, b);
    __m512i cd01 = _mm512_permutex2var_epi32(c, pick, d);
    __m512i ab23 = _mm512_permutex2var_epi32(a, other, b);
    __m512i cd23 = _mm512_permutex2var_epi32(c, other, d);
    _mm512_storeu_si512(EMU_AT(lane_u32, list[0]) + lane,
                        _mm512_shuffle_i64x2(ab01, cd01, 0x44));
    _mm512_storeu_si512(EMU_AT(lane_u32, list[1]) + lane,
                        _mm512_shuffle_i64x2(ab01, cd01, 0xee));
    _mm512_storeu_si512(EMU_AT(lane_u32, list[2]) + lane,
                        _mm512_shuffle_i64x2(ab23, cd23, 0x44));
    _mm512_storeu_si512(EMU_AT(lane_u32, list[3]) + lane,
                        _mm512_shuffle_i64x2(ab23, cd23, 0xee));
}

static inline void EMU_H(split2)(const unsigned char *p, unsigned char *r,
                                 const uint32_t *list, int lane)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                           20, 22, 24, 26, 28, 30);
    __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 64);
    __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    _mm512_storeu_si512(EMU_AT(lane_u32, list[0]) + lane,
                        _mm512_permutex2var_epi32(a, even, b));
    _mm512_storeu_si512(EMU_AT(lane_u32, list[1]) + lane,
                        _mm512_permutex2var_epi32(a, odd, b));
}

/* Words from anywhere within 2 GiB of the lowest lane. */
static inline void EMU_H(gather)(unsigned char *r, const struct emu_op *op,
                                 uint64_t base, const uint64_t address[32])
{
    for (int i = 0; i < 32; i += 16) {
        __m256i low = _mm512_cvtepi64_epi32(
            _mm512_sub_epi64(_mm512_loadu_si512((const void *)(address + i)),
                             _mm512_set1_epi64((long long)address[0])));
        __m256i high = _mm512_cvtepi64_epi32(_mm512_sub_epi64(
            _mm512_loadu_si512((const void *)(address + i + 8)),
            _mm512_set1_epi64((long long)address[0])));
        __m512i index =
            _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        for (int k = 0; k < op->n; k++)
            _mm512_storeu_si512(
                EMU_AT(lane_u32, op->list[k]) + i,
                _mm512_i32gather_epi32(index, HOST(base + address[0] + 4u * k),
                                       1));
    }
}

static inline int EMU_H(spans_little)(const uint64_t address[32])
{
    struct EMU_H(extent) e = EMU_H(measure)(address, EMU_ALL);
    return e.high - e.low < UINT64_C(0x7fffff00);
}

/* 1 if it could be done by whole vectors. */
static inline int EMU_H(load_words)(unsigned char *r, const struct emu_op *op,
                                    uint64_t base, const uint64_t address[32])
{
    const unsigned char *p = HOST(base + address[0]);
    if (EMU_H(is_run)(address, 4u * op->n)) {
        switch (op->n) {
        case 1:
            memcpy(EMU_AT(lane_u32, op->list[0]), p, 128);
            return 1;
        case 2:
            EMU_H(split2)(p, r, op->list, 0);
            EMU_H(split2)(p + 128, r, op->list, 16);
            return 1;
        case 4:
            EMU_H(split4)(p, r, op->list, 0);
            EMU_H(split4)(p + 256, r, op->list, 16);
            return 1;
        }
    }
    if (!EMU_H(spans_little)(address))
        return 0;
    EMU_H(gather)(r, op, base, address);
    return 1;
}

#else

static inline int EMU_H(load_words)(unsigned char *r, const struct emu_op *op,
                                    uint64_t base, const uint64_t address[32])
{
    for (int i = 0; i < 32; i++) {
        const unsigned char *p = HOST(base + address[i]);
        for (int k = 0; k < op->n; k++)
            memcpy(EMU_AT(lane_u32, op->list[k]) + i, p + 4 * k, 4);
    }
    return 1;
}

#endif

static inline void EMU_H(load)(unsigned char *r, const struct emu_op *op,
                               uint32_t m, uint64_t base,
                               const uint64_t address[32])
{
    /* An address register among the destinations has been read already. */
    if (m == EMU_ALL && op->x == 4 && !(op->flags & EMU_WIDE) &&
        EMU_H(load_words)(r, op, base, address))
        return;
    EMU_H(load_each)(r, op, m, base, address);
}

static void EMU_H(load_zero)(unsigned char *r, const struct emu_op *op,
                             uint32_t m)
{
    for (int k = 0; k < op->n; k++) {
        lane_u32 *d = EMU_AT(lane_u32, op->list[k]);
        lane_u64 *wide = EMU_AT(lane_u64, op->list[k]);
        for (int i = 0; i < 32; i++) {
            if (!(m >> i & 1))
                continue;
            if (op->flags & EMU_WIDE)
                wide[i] = 0;
            else
                d[i] = 0;
        }
    }
}

static inline void EMU_H(store)(unsigned char *r, const struct emu_op *op,
                                uint32_t m, uint64_t base,
                                const uint64_t address[32])
{
    int bytes = op->x;
#if EMU_ISA_LEVEL >= 4
    if (m == EMU_ALL && bytes == 4 && op->n == 1 && EMU_H(is_run)(address, 4)) {
        memcpy(HOST(base + address[0]), EMU_AT(lane_u32, op->list[0]), 128);
        return;
    }
#endif
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        unsigned char *p = HOST(base + address[i]);
        for (int k = 0; k < op->n; k++, p += bytes) {
            uint32_t v = EMU_AT(lane_u32, op->list[k])[i];
            uint16_t h = (uint16_t)v;
            if (op->flags & EMU_WIDE) {
                uint64_t l = EMU_AT(lane_u64, op->list[k])[i];
                if (bytes == 8) {
                    memcpy(p, &l, 8);
                    continue;
                }
                v = (uint32_t)l, h = (uint16_t)l;
            }
            switch (bytes) {
            case 1:
                *p = (unsigned char)v;
                break;
            case 2:
                memcpy(p, &h, 2);
                break;
            default:
                memcpy(p, &v, 4);
            }
        }
    }
}

/* Acquire after a load, release before a store, for hosts that reorder. */
static inline void EMU_H(ordered)(const struct emu_op *op)
{
    if (op->z >= EMU_ACQUIRE)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* -- handlers ------------------------------------------------------------- */

#define BYTES ((uint32_t)op->x * op->n)

void EMU_H(ld_param)(EMU_ARGUMENTS)
{
    const unsigned char *p =
        (const unsigned char *)w->block->run->launch->arguments + op->immediate;
    for (int k = 0; k < op->n; k++, p += op->x) {
        uint64_t v = EMU_H(fetch)(p, op->x, op->flags & EMU_SIGNED);
        if (op->flags & EMU_WIDE) {
            lane_u64 *d = EMU_AT(lane_u64, op->list[k]);
            EMU_EACH(d[i] = v);
        } else {
            lane_u32 *d = EMU_AT(lane_u32, op->list[k]);
            uint32_t word = op->y ? (uint16_t)v : (uint32_t)v;
            EMU_EACH(d[i] = word);
        }
    }
    if (w->block->counts) {
        uint64_t address[32];
        EMU_LANES address[i] = op->immediate;
        emu_reach_observe(w, op, PTX_SPACE_PARAM, EMU_READ, EMU_WEAK, BYTES,
                          address, m, 0);
    }
}

static inline void EMU_H(load_global)(struct emu_warp *w, unsigned char *r,
                                      const struct emu_op *op, uint32_t m,
                                      const uint64_t address[32])
{
    uint32_t good = EMU_H(reach_global)(w, op, EMU_READ, BYTES, address, m);
    if (good)
        EMU_H(load)(r, op, good, 0, address);
    if (good != m)
        EMU_H(load_zero)(r, op, m & ~good);
    EMU_H(ordered)(op);
}

static inline void EMU_H(load_shared)(struct emu_warp *w, unsigned char *r,
                                      const struct emu_op *op, uint32_t m,
                                      const uint64_t address[32])
{
    uint32_t good = EMU_H(reach_shared)(w, op, EMU_READ, BYTES, address, m);
    if (good)
        EMU_H(load)(r, op, good, BASE(w->block->shared), address);
    if (good != m)
        EMU_H(load_zero)(r, op, m & ~good);
}

static void EMU_H(load_local)(struct emu_warp *w, unsigned char *r,
                              const struct emu_op *op, uint32_t m,
                              uint64_t address[32])
{
    uint32_t good = EMU_H(reach_window)(w, op, PTX_SPACE_LOCAL, EMU_READ, BYTES,
                                        address, m);
    for (int i = 0; i < 32; i++)
        address[i] += (w->id * 32 + (uint64_t)i) * w->block->local_bytes;
    if (good)
        EMU_H(load)(r, op, good, BASE(w->block->local), address);
    EMU_H(load_zero)(r, op, m & ~good);
}

static void EMU_H(load_argument)(struct emu_warp *w, unsigned char *r,
                                 const struct emu_op *op, uint32_t m,
                                 const uint64_t address[32])
{
    uint32_t good = EMU_H(reach_window)(w, op, PTX_SPACE_PARAM, EMU_READ, BYTES,
                                        address, m);
    if (good)
        EMU_H(load_each)
    (r, op, good, BASE(w->block->run->launch->arguments), address);
    EMU_H(load_zero)(r, op, m & ~good);
}

void EMU_H(ld_global)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(load_global)(w, r, op, m, address);
}

void EMU_H(ld_shared)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(load_shared)(w, r, op, m, address);
}

void EMU_H(ld_local)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(load_local)(w, r, op, m, address);
}

void EMU_H(ld_argument)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(load_argument)(w, r, op, m, address);
}

/* Lanes of m whose address lies in `window`; theirs become offsets. */
static uint32_t EMU_H(window)(uint64_t window, const uint64_t address[32],
                              uint32_t m, uint64_t offset[32])
{
    uint32_t in = 0;
    for (int i = 0; i < 32; i++) {
        offset[i] = address[i] & ~EMU_WINDOW_MASK;
        if ((address[i] & EMU_WINDOW_MASK) == window)
            in |= UINT32_C(1) << i;
    }
    return in & m;
}

static inline int EMU_H(all_global)(const uint64_t address[32], uint32_t m)
{
    uint64_t bits = 0;
    EMU_LANES bits |= m >> i & 1 ? address[i] : 0;
    return !(bits & EMU_WINDOW_MASK);
}

void EMU_H(ld_generic)(EMU_ARGUMENTS)
{
    uint64_t address[32], offset[32];
    uint32_t in;
    EMU_H(addresses)(r, op, address);
    if (EMU_H(all_global)(address, m)) {
        EMU_H(load_global)(w, r, op, m, address);
        return;
    }
    if ((in = EMU_H(window)(EMU_WINDOW_SHARED, address, m, offset)))
        EMU_H(load_shared)(w, r, op, in, offset);
    m &= ~in;
    if ((in = EMU_H(window)(EMU_WINDOW_LOCAL, address, m, offset)))
        EMU_H(load_local)(w, r, op, in, offset);
    m &= ~in;
    if ((in = EMU_H(window)(EMU_WINDOW_PARAM, address, m, offset)))
        EMU_H(load_argument)(w, r, op, in, offset);
    m &= ~in;
    if (m)
        EMU_H(load_global)(w, r, op, m, address);
}

static inline void EMU_H(store_global)(struct emu_warp *w, unsigned char *r,
                                       const struct emu_op *op, uint32_t m,
                                       const uint64_t address[32])
{
    EMU_H(ordered)(op);
    m = EMU_H(reach_global)(w, op, EMU_WRITE, BYTES, address, m);
    if (m)
        EMU_H(store)(r, op, m, 0, address);
}

static inline void EMU_H(store_shared)(struct emu_warp *w, unsigned char *r,
                                       const struct emu_op *op, uint32_t m,
                                       const uint64_t address[32])
{
    m = EMU_H(reach_shared)(w, op, EMU_WRITE, BYTES, address, m);
    if (m)
        EMU_H(store)(r, op, m, BASE(w->block->shared), address);
}

static void EMU_H(store_local)(struct emu_warp *w, unsigned char *r,
                               const struct emu_op *op, uint32_t m,
                               uint64_t address[32])
{
    m = EMU_H(reach_window)(w, op, PTX_SPACE_LOCAL, EMU_WRITE, BYTES, address,
                            m);
    for (int i = 0; i < 32; i++)
        address[i] += (w->id * 32 + (uint64_t)i) * w->block->local_bytes;
    if (m)
        EMU_H(store)(r, op, m, BASE(w->block->local), address);
}

void EMU_H(st_global)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(store_global)(w, r, op, m, address);
}

void EMU_H(st_shared)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(store_shared)(w, r, op, m, address);
}

void EMU_H(st_local)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(store_local)(w, r, op, m, address);
}

static void EMU_H(refuse_store)(struct emu_warp *w, const struct emu_op *op,
                                uint32_t m, const uint64_t address[32])
{
    emu_hazard_report(w->block->hazards, EMU_READ_ONLY, emu_source(w, op),
                      w->id, m, address[__builtin_ctz(m)],
                      "a store to a kernel parameter");
}

void EMU_H(st_read_only)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    EMU_H(addresses)(r, op, address);
    EMU_H(refuse_store)(w, op, m, address);
}

void EMU_H(st_generic)(EMU_ARGUMENTS)
{
    uint64_t address[32], offset[32];
    uint32_t in;
    EMU_H(addresses)(r, op, address);
    if (EMU_H(all_global)(address, m)) {
        EMU_H(store_global)(w, r, op, m, address);
        return;
    }
    if ((in = EMU_H(window)(EMU_WINDOW_SHARED, address, m, offset)))
        EMU_H(store_shared)(w, r, op, in, offset);
    m &= ~in;
    if ((in = EMU_H(window)(EMU_WINDOW_LOCAL, address, m, offset)))
        EMU_H(store_local)(w, r, op, in, offset);
    m &= ~in;
    if ((in = EMU_H(window)(EMU_WINDOW_PARAM, address, m, offset)))
        EMU_H(refuse_store)(w, op, in, offset);
    m &= ~in;
    if (m)
        EMU_H(store_global)(w, r, op, m, address);
}

#endif
