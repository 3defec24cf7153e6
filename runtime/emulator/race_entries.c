/* race_entries.c -- many entries of a shadow at once.
**
** A warp access covers 32 to 512 entries, and looking at each by itself costs
** more than emulating the access. So first all are looked at together: the
** earliest, the latest, and which warps. Nearly always that settles it. Most
** accesses are rows, lane after lane without a gap; those go by vectors, of
** eight where the host has AVX2, of four elsewhere.
**
** Entries are below 2^31, so that they compare as signed numbers.
*/
#include <string.h>

#include "runtime/emulator/hazard_state.h"

typedef int32_t quad __attribute__((vector_size(16)));

static inline quad load_quad(const uint32_t *at)
{
    quad q;
    memcpy(&q, at, sizeof q);
    return q;
}

static inline void store_quad(uint32_t *at, quad q)
{
    memcpy(at, &q, sizeof q);
}

static inline quad quad_of(uint32_t value)
{
    int32_t v = (int32_t)value;
    return (quad){v, v, v, v};
}

static inline quad choose(quad mask, quad yes, quad no)
{
    return (yes & mask) | (no & ~mask);
}

/* -- shape ----------------------------------------------------------------- */

static size_t first_of(const struct hazard_shape *shape, uint32_t lane)
{
    return (size_t)(shape->access->address[lane] >> shape->shift);
}

int hazard_shape_of(const struct hazard_races *races,
                    const struct emu_access *access, struct hazard_shape *shape)
{
    const uint64_t *address = access->address;
    uint64_t low = UINT64_MAX, high = 0;
    shape->is_row = hazard_is_row(access);
    if (shape->is_row) {
        low = address[0];
        high = address[31];
    }
    for (uint32_t rest = shape->is_row ? 0 : access->mask; rest;
         rest &= rest - 1) {
        uint64_t at = address[hazard_lowest(rest)];
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    shape->access = access;
    shape->shift = races->shift;
    shape->count = access->bytes >> races->shift;
    shape->low = (size_t)(low >> races->shift);
    shape->high = (size_t)((high + access->bytes - 1) >> races->shift);
    return shape->count > 0 && shape->high < races->granules;
}

/* -- rows, by eight -------------------------------------------------------- */

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_WIDE 1
#define WIDE      __attribute__((target("avx2")))

typedef int32_t octet __attribute__((vector_size(32)));

WIDE static void look_row_wide(const uint32_t *entry, size_t count,
                               struct hazard_extremes *e)
{
    octet most = {0}, any = {0}, least = ~most, all = ~most;
    least = (octet)((least >> 1) & INT32_MAX);
    for (size_t i = 0; i < count; i += 8) {
        octet q, mask;
        memcpy(&q, entry + i, sizeof q);
        mask = q < least;
        least = (q & mask) | (least & ~mask);
        mask = q > most;
        most = (q & mask) | (most & ~mask);
        any |= q;
        all &= q;
    }
    for (int i = 0; i < 8; i++) {
        uint32_t low = (uint32_t)least[i], high = (uint32_t)most[i];
        e->least = low < e->least ? low : e->least;
        e->most = high > e->most ? high : e->most;
        e->any |= (uint32_t)any[i];
        e->all &= (uint32_t)all[i];
    }
}

/* `per_lane` is 1, 2 or 4. */
WIDE static void fill_row_wide(uint32_t *entry, size_t per_lane, uint32_t fresh,
                               uint32_t step)
{
    static const octet lane_of[5] = {[1] = {0, 1, 2, 3, 4, 5, 6, 7},
                                     [2] = {0, 0, 1, 1, 2, 2, 3, 3},
                                     [4] = {0, 0, 0, 0, 1, 1, 1, 1}};
    octet q = lane_of[per_lane] * (int32_t)step + (int32_t)fresh;
    int32_t next = (int32_t)(8 / per_lane * step);
    for (size_t i = 0; i < per_lane * 32; i += 8) {
        memcpy(entry + i, &q, sizeof q);
        q += next;
    }
}

static int is_wide(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define HAVE_WIDE 0
#endif

/* -- looking --------------------------------------------------------------- */

struct quads {
    quad least, most, any, all;
};

/* `count` entries, a multiple of four. */
static inline void look(struct quads *found, const uint32_t *entry,
                        size_t count)
{
    for (size_t i = 0; i < count; i += 4) {
        quad q = load_quad(entry + i);
        found->least = choose(q < found->least, q, found->least);
        found->most = choose(q > found->most, q, found->most);
        found->any |= q;
        found->all &= q;
    }
}

static void fold(const struct quads *found, struct hazard_extremes *e)
{
    for (int i = 0; i < 4; i++) {
        uint32_t low = (uint32_t)found->least[i];
        uint32_t high = (uint32_t)found->most[i];
        e->least = low < e->least ? low : e->least;
        e->most = high > e->most ? high : e->most;
        e->any |= (uint32_t)found->any[i];
        e->all &= (uint32_t)found->all[i];
    }
}

static inline void look_one(struct hazard_extremes *e, uint32_t entry)
{
    e->least = entry < e->least ? entry : e->least;
    e->most = entry > e->most ? entry : e->most;
    e->any |= entry;
    e->all &= entry;
}

/* One or two granules a lane. */
static void look_narrow(const struct hazard_shape *shape, const uint32_t *entry,
                        struct hazard_extremes *out)
{
    struct hazard_extremes e = *out;
    size_t second = shape->count - 1;
    for (uint32_t rest = shape->access->mask; rest; rest &= rest - 1) {
        const uint32_t *at = entry + first_of(shape, hazard_lowest(rest));
        look_one(&e, at[0]);
        look_one(&e, at[second]);
    }
    *out = e;
}

static void look_quads(const struct hazard_shape *shape, const uint32_t *entry,
                       struct hazard_extremes *e)
{
    struct quads found = {.least = quad_of(INT32_MAX),
                          .all = quad_of(UINT32_MAX)};
    uint32_t rest = shape->access->mask;
    if (shape->is_row)
        look(&found, entry + shape->low, shape->count * 32);
    else if (shape->count == 4)
        for (; rest; rest &= rest - 1)
            look(&found, entry + first_of(shape, hazard_lowest(rest)), 4);
    else
        for (; rest; rest &= rest - 1)
            look(&found, entry + first_of(shape, hazard_lowest(rest)),
                 shape->count);
    fold(&found, e);
}

struct hazard_extremes hazard_find_extremes(const struct hazard_shape *shape,
                                            const uint32_t *entry)
{
    struct hazard_extremes e = {INT32_MAX, 0, 0, UINT32_MAX};
#if HAVE_WIDE
    if (shape->is_row && is_wide()) {
        look_row_wide(entry + shape->low, shape->count * 32, &e);
        return e;
    }
#endif
    if (shape->is_row || shape->count >= 4)
        look_quads(shape, entry, &e);
    else
        look_narrow(shape, entry, &e);
    return e;
}

/* -- filling --------------------------------------------------------------- */

/* Rows of one, two or four granules a lane: no address need be looked at. */
static void fill_row(const struct hazard_shape *shape, uint32_t *entry,
                     uint32_t fresh, uint32_t step)
{
    entry += shape->low;
#if HAVE_WIDE
    if (is_wide()) {
        fill_row_wide(entry, shape->count, fresh, step);
        return;
    }
#endif
    for (size_t lane = 0; lane < 32; lane++, fresh += step)
        for (size_t i = 0; i < shape->count; i++)
            *entry++ = fresh;
}

void hazard_fill(const struct hazard_shape *shape, uint32_t *entry,
                 uint32_t fresh, uint32_t step)
{
    if (shape->is_row && shape->count <= 4) {
        fill_row(shape, entry, fresh, step);
        return;
    }
    for (uint32_t rest = shape->access->mask; rest; rest &= rest - 1) {
        uint32_t lane = hazard_lowest(rest);
        uint32_t *at = entry + first_of(shape, lane);
        uint32_t value = fresh + lane * step;
        if (shape->count < 4) {
            at[0] = value;
            at[shape->count - 1] = value;
            continue;
        }
        for (size_t i = 0; i < shape->count; i += 4)
            store_quad(at + i, quad_of(value));
    }
}
