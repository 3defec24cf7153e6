/* race_entries.c -- many entries of a shadow at once.
**
** A warp access covers 32 to 512 entries, and looking at each by itself costs
** more than emulating the access. So first all are looked at together: the
** earliest, the latest, and which warps. Nearly always that settles it. Most
** accesses are rows, lane after lane without a gap; those go by vectors, of
** eight words where the host has AVX2.
**
** Entries are below 2^31, so that they compare as signed numbers. In a vector
** of marks the even words are entries, the odd ones lines:
**
**     ├─entry─┼─line──┼─entry─┼─line──┤
*/
#include <stdint.h>
#include <string.h>

#include "runtime/emulator/hazard_state.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_WIDE 1
#define WIDE      __attribute__((target("avx2")))
#else
#define HAVE_WIDE 0
#endif

enum { ALL_LANES = -1 };

static int is_full(const struct emu_access *access)
{
    return access->mask == (uint32_t)ALL_LANES;
}

static size_t first_of(const struct hazard_shape *shape, uint32_t lane)
{
    return (size_t)(shape->access->address[lane] >> shape->shift);
}

/* -- by eight words ------------------------------------------------------- */

#if HAVE_WIDE
static int is_wide(void)
{
    return __builtin_cpu_supports("avx2");
}

static inline WIDE __m256i load_wide(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

/* Addresses in a row? Four at a time. */
WIDE static int is_row_wide(const uint64_t *address, uint64_t step)
{
    __m256i expected = _mm256_setr_epi64x(
        (long long)address[0], (long long)(address[0] + step),
        (long long)(address[0] + 2 * step), (long long)(address[0] + 3 * step));
    __m256i next = _mm256_set1_epi64x((long long)(4 * step));
    __m256i gaps = _mm256_setzero_si256();
    for (int lane = 0; lane < 32; lane += 4) {
        __m256i off = _mm256_xor_si256(load_wide(address + lane), expected);
        gaps = _mm256_or_si256(gaps, off);
        expected = _mm256_add_epi64(expected, next);
    }
    return _mm256_testz_si256(gaps, gaps);
}

/* Shared addresses are below 2^32, so that the low words tell. */
WIDE static void find_range_wide(const uint64_t *address, uint64_t *low,
                                 uint64_t *high)
{
    __m256i least = load_wide(address), most = least;
    uint64_t l[4], h[4];
    for (int lane = 4; lane < 32; lane += 4) {
        __m256i at = load_wide(address + lane);
        least = _mm256_blendv_epi8(least, at, _mm256_cmpgt_epi64(least, at));
        most = _mm256_blendv_epi8(most, at, _mm256_cmpgt_epi64(at, most));
    }
    _mm256_storeu_si256((__m256i *)l, least);
    _mm256_storeu_si256((__m256i *)h, most);
    *low = l[0];
    *high = h[0];
    for (int i = 1; i < 4; i++) {
        *low = l[i] < *low ? l[i] : *low;
        *high = h[i] > *high ? h[i] : *high;
    }
}

struct wide_extremes {
    __m256i least, most, any, all;
};

static inline WIDE void look_wide(struct wide_extremes *e, __m256i q)
{
    e->least = _mm256_min_epi32(e->least, q);
    e->most = _mm256_max_epi32(e->most, q);
    e->any = _mm256_or_si256(e->any, q);
    e->all = _mm256_and_si256(e->all, q);
}

/* All lanes, in a row or with two or more granules each. */
WIDE static struct hazard_extremes look_all_wide(
    const struct hazard_shape *shape, const struct hazard_mark *mark)
{
    struct wide_extremes e = {_mm256_set1_epi32(INT32_MAX),
                              _mm256_setzero_si256(), _mm256_setzero_si256(),
                              _mm256_set1_epi32(-1)};
    int32_t word[4][8];
    if (shape->is_row) {
        const struct hazard_mark *at = mark + shape->low;
        for (size_t i = 0; i < shape->count * 32; i += 4)
            look_wide(&e, load_wide(at + i));
    } else if (shape->count == 2) {
        for (uint32_t lane = 0; lane < 32; lane++)
            look_wide(&e, _mm256_broadcastsi128_si256(_mm_loadu_si128((
                              const __m128i *)(mark + first_of(shape, lane)))));
    } else {
        for (uint32_t lane = 0; lane < 32; lane++)
            for (size_t i = 0; i < shape->count; i += 4)
                look_wide(&e, load_wide(mark + first_of(shape, lane) + i));
    }
    _mm256_storeu_si256((__m256i *)word[0], e.least);
    _mm256_storeu_si256((__m256i *)word[1], e.most);
    _mm256_storeu_si256((__m256i *)word[2], e.any);
    _mm256_storeu_si256((__m256i *)word[3], e.all);
    struct hazard_extremes found = {INT32_MAX, 0, 0, UINT32_MAX};
    for (int i = 0; i < 8; i += 2) {
        uint32_t low = (uint32_t)word[0][i], high = (uint32_t)word[1][i];
        found.least = low < found.least ? low : found.least;
        found.most = high > found.most ? high : found.most;
        found.any |= (uint32_t)word[2][i];
        found.all &= (uint32_t)word[3][i];
    }
    return found;
}

/* All lanes, in a row, with one, two or four granules each. */
WIDE static void fill_row_wide(struct hazard_mark *mark, size_t per_lane,
                               uint32_t fresh, uint32_t step, uint32_t line)
{
    int f = (int)fresh, l = (int)line, s = (int)step;
    int b = per_lane == 1 ? s : 0, c = per_lane == 1 ? 2 * s : b;
    int d = per_lane == 1 ? 3 * s : c;
    if (per_lane == 2)
        c = d = s;
    int n = (int)(4 / per_lane * step);
    __m256i q = _mm256_setr_epi32(f, l, f + b, l, f + c, l, f + d, l);
    __m256i next = _mm256_setr_epi32(n, 0, n, 0, n, 0, n, 0);
    for (size_t i = 0; i < per_lane * 32; i += 4) {
        _mm256_storeu_si256((__m256i *)(mark + i), q);
        q = _mm256_add_epi32(q, next);
    }
}
#endif

/* -- shape ---------------------------------------------------------------- */

int emu_hazard_is_row(const struct emu_access *access)
{
    const uint64_t *address = access->address;
    uint64_t step = access->bytes, base = address[0], gaps = 0;
    if (!is_full(access) || address[1] != base + step ||
        address[31] != base + 31 * step)
        return 0;
#if HAVE_WIDE
    if (is_wide())
        return is_row_wide(address, step);
#endif
    for (uint64_t lane = 0; lane < 32; lane++)
        gaps |= address[lane] ^ (base + lane * step);
    return gaps == 0;
}

static void find_range(struct hazard_shape *shape)
{
    const struct emu_access *access = shape->access;
    uint64_t low = UINT64_MAX, high = 0;
    uint32_t rest = access->mask;
#if HAVE_WIDE
    if (is_full(access) && is_wide()) {
        find_range_wide(access->address, &low, &high);
        rest = 0;
    }
#endif
    for (; rest; rest &= rest - 1) {
        uint64_t at = access->address[emu_hazard_lowest(rest)];
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    shape->low = (size_t)(low >> shape->shift);
    shape->high = (size_t)((high + access->bytes - 1) >> shape->shift);
}

int emu_hazard_shape_of(const struct hazard_races *races,
                        const struct emu_access *access,
                        struct hazard_shape *shape)
{
    shape->access = access;
    shape->shift = races->shift;
    shape->count = access->bytes >> races->shift;
    shape->is_row = emu_hazard_is_row(access);
    if (shape->is_row) {
        shape->low = first_of(shape, 0);
        shape->high = shape->low + 32 * shape->count - 1;
    } else {
        find_range(shape);
    }
    return shape->count > 0 && shape->high < races->granules;
}

/* -- looking -------------------------------------------------------------- */

typedef int32_t quad __attribute__((vector_size(16)));

struct quads {
    quad least, most, any, all;
};

static inline quad choose(quad mask, quad yes, quad no)
{
    return (yes & mask) | (no & ~mask);
}

/* `count` marks, an even number. */
static inline void look(struct quads *found, const struct hazard_mark *mark,
                        size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        quad q;
        memcpy(&q, mark + i, sizeof q);
        found->least = choose(q < found->least, q, found->least);
        found->most = choose(q > found->most, q, found->most);
        found->any |= q;
        found->all &= q;
    }
}

static void look_quads(const struct hazard_shape *shape,
                       const struct hazard_mark *mark,
                       struct hazard_extremes *e)
{
    struct quads found = {.least = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
                          .all = {-1, -1, -1, -1}};
    if (shape->is_row)
        look(&found, mark + shape->low, shape->count * 32);
    for (uint32_t rest = shape->is_row ? 0 : shape->access->mask; rest;
         rest &= rest - 1)
        look(&found, mark + first_of(shape, emu_hazard_lowest(rest)),
             shape->count);
    for (int i = 0; i < 4; i += 2) {
        uint32_t low = (uint32_t)found.least[i];
        uint32_t high = (uint32_t)found.most[i];
        e->least = low < e->least ? low : e->least;
        e->most = high > e->most ? high : e->most;
        e->any |= (uint32_t)found.any[i];
        e->all &= (uint32_t)found.all[i];
    }
}

/* One granule a lane. */
static void look_narrow(const struct hazard_shape *shape,
                        const struct hazard_mark *mark,
                        struct hazard_extremes *out)
{
    struct hazard_extremes e = *out;
    for (uint32_t rest = shape->access->mask; rest; rest &= rest - 1) {
        uint32_t entry = mark[first_of(shape, emu_hazard_lowest(rest))].entry;
        e.least = entry < e.least ? entry : e.least;
        e.most = entry > e.most ? entry : e.most;
        e.any |= entry;
        e.all &= entry;
    }
    *out = e;
}

struct hazard_extremes emu_hazard_find_extremes(
    const struct hazard_shape *shape, const struct hazard_mark *mark)
{
    struct hazard_extremes e = {INT32_MAX, 0, 0, UINT32_MAX};
#if HAVE_WIDE
    if (is_full(shape->access) && (shape->is_row || shape->count > 1) &&
        is_wide())
        return look_all_wide(shape, mark);
#endif
    if (shape->is_row || shape->count > 1)
        look_quads(shape, mark, &e);
    else
        look_narrow(shape, mark, &e);
    return e;
}

/* -- filling -------------------------------------------------------------- */

void emu_hazard_fill(const struct hazard_shape *shape, struct hazard_mark *mark,
                     uint32_t fresh, uint32_t step)
{
    uint32_t line = (uint32_t)shape->access->instruction->line;
#if HAVE_WIDE
    if (shape->is_row && shape->count <= 4 && is_wide()) {
        fill_row_wide(mark + shape->low, shape->count, fresh, step, line);
        return;
    }
#endif
    quad step_of = {(int32_t)step, 0, (int32_t)step, 0};
    quad two = {(int32_t)fresh, (int32_t)line, (int32_t)fresh, (int32_t)line};
    for (uint32_t lane = 0; lane < 32; lane++, two += step_of) {
        struct hazard_mark *at = mark + first_of(shape, lane);
        if (!(shape->access->mask >> lane & 1))
            continue;
        if (shape->count == 1)
            memcpy(at, &two, sizeof *at);
        else if (shape->count == 2)
            memcpy(at, &two, sizeof two);
        else
            for (size_t i = 0; i < shape->count; i += 2)
                memcpy(at + i, &two, sizeof two);
    }
}
