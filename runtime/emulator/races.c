/* races.c -- races on shared memory, by happens-before.
**
** Two accesses race when one writes, not both are strong, and the later one's
** warp has not seen the time of the earlier (clocks.c). Each access is held
** against the last write of every granule it covers, and a write against the
** last read of every warp too.
**
** ordered[w] is the least of w's clock: anything up to that time is known to
** be before w, whoever did it. After a barrier of the whole block that is
** everything, so nearly all accesses pass by one look at the latest and the
** earliest entry of the range they cover.
*/
#include <string.h>

#include "runtime/emulator/hazard_state.h"

/* -- findings ------------------------------------------------------------- */

static void say_race(struct emu_hazard_block *block,
                     const struct emu_access *access, uint32_t lane,
                     uint64_t offset, uint32_t warp, const char *did,
                     uint32_t line)
{
    char place[160];
    hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    hazard_find(block, EMU_SHARED_RACE, access, 1u << lane, offset,
                "%s %s, which warp %u %s at ptx line %u with nothing to order "
                "the two (bar.sync)",
                access->kind == EMU_READ ? "reads" : "writes", place, warp, did,
                line);
}

static void say_lane_race(struct emu_hazard_block *block,
                          const struct emu_access *access, uint32_t lane,
                          uint64_t offset, const char *did, uint32_t line)
{
    char place[160];
    hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    hazard_find(block, EMU_LANE_RACE, access, 1u << lane, offset,
                "%s %s, which another lane of this warp %s at ptx line %u "
                "with no bar.warp.sync between",
                access->kind == EMU_READ ? "reads" : "writes", place, did,
                line);
}

static void say_pending(struct emu_hazard_block *block,
                        const struct emu_access *access, uint32_t lane,
                        uint64_t offset, uint32_t warp, uint32_t line)
{
    char place[160];
    hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    hazard_find(block, EMU_ASYNC_PENDING, access, 1u << lane, offset,
                "%s %s while the cp.async of warp %u at ptx line %u may still "
                "write it; wait for the copy first",
                access->kind == EMU_READ ? "reads" : "writes", place, warp,
                line);
}

static void say_unwritten(struct emu_hazard_block *block,
                          const struct emu_access *access, uint32_t lane,
                          uint64_t offset)
{
    char place[160];
    hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    hazard_find(block, EMU_UNINITIALIZED_SHARED, access, 1u << lane, offset,
                "reads %s, which this block has not written", place);
}

/* -- accesses ------------------------------------------------------------- */

/* An access against the last write of a granule; the slow way. */
static void check_write_entry(struct emu_hazard_block *block,
                              const struct emu_access *access, uint32_t lane,
                              size_t granule)
{
    const struct hazard_races *races = &block->races;
    uint32_t entry = races->write[granule];
    uint32_t time = hazard_time(entry);
    uint32_t warp = entry & 31;
    uint32_t writer = entry >> 5 & 31;
    uint64_t offset = (uint64_t)granule << races->shift;
    uint32_t line = races->write_line[granule];
    int both_strong = access->order != EMU_WEAK && (entry & HAZARD_STRONG);
    if (time == HAZARD_PENDING) {
        say_pending(block, access, lane, offset, warp, line);
    } else if (time < races->start) {
        if (access->kind != EMU_WRITE)
            say_unwritten(block, access, lane, offset);
    } else if (warp == access->warp) {
        if (time > races->together[warp] && !both_strong &&
            (writer != lane || access->collective))
            say_lane_race(block, access, lane, offset, "wrote", line);
    } else if (time > races->clock[access->warp].seen[warp] && !both_strong) {
        say_race(block, access, lane, offset, warp, "wrote", line);
    }
}

/* A write against what warp `v` read there. */
static void check_read_entry(struct emu_hazard_block *block,
                             const struct emu_access *access, uint32_t lane,
                             size_t granule, uint32_t v)
{
    const struct hazard_races *races = &block->races;
    uint32_t entry = races->read[v][granule];
    uint32_t time = hazard_time(entry);
    uint64_t offset = (uint64_t)granule << races->shift;
    if (access->order != EMU_WEAK && (entry & HAZARD_STRONG))
        return;
    if (v != access->warp) {
        if (time > races->clock[access->warp].seen[v])
            say_race(block, access, lane, offset, v, "read",
                     races->read_line[v][granule]);
    } else if (time > races->together[v] &&
               ((entry & HAZARD_SEVERAL) || (entry & 31) != lane)) {
        say_lane_race(block, access, lane, offset, "read",
                      races->read_line[v][granule]);
    }
}

struct span {
    size_t first, last; /* granules, last is included */
};

static struct span span_of(const struct hazard_races *races,
                           const struct emu_access *access, uint32_t lane)
{
    uint64_t address = access->address[lane];
    uint64_t end = address + (access->bytes ? access->bytes - 1 : 0);
    size_t limit = races->granules - 1;
    struct span span = {(size_t)(address >> races->shift),
                        (size_t)(end >> races->shift)};
    if (span.last > limit)
        span.last = limit;
    return span;
}

#define EACH_LANE(lane, mask)                                 \
    for (uint32_t rest_ = (mask), lane;                       \
         rest_ && (lane = (uint32_t)__builtin_ctz(rest_), 1); \
         rest_ &= rest_ - 1)

/* -- many entries at once -----------------------------------------------------
 */

/* Entries are below 2^31, so that four compare as signed numbers at once. */
typedef int32_t quad __attribute__((vector_size(16)));

static inline quad load_quad(const uint32_t *at)
{
    quad q;
    memcpy(&q, at, sizeof q);
    return q;
}

static inline quad choose(quad mask, quad yes, quad no)
{
    return (yes & mask) | (no & ~mask);
}

struct extremes {
    uint32_t least, most;
};

static void extremes_by_quad(const struct hazard_races *races,
                             const struct emu_access *access,
                             const uint32_t *entry, struct extremes *out)
{
    size_t count = access->bytes >> races->shift;
    quad least = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX};
    quad most = {0, 0, 0, 0};
    EACH_LANE(lane, access->mask)
    {
        size_t first = (size_t)(access->address[lane] >> races->shift);
        for (size_t i = 0; i < count; i += 4) {
            quad q = load_quad(entry + first + i);
            least = choose(q < least, q, least);
            most = choose(q > most, q, most);
        }
    }
    for (int i = 0; i < 4; i++) {
        if ((uint32_t)least[i] < out->least)
            out->least = (uint32_t)least[i];
        if ((uint32_t)most[i] > out->most)
            out->most = (uint32_t)most[i];
    }
}

/* The earliest and the latest entry that the access covers. All covered
** granules are known to exist (is_inside). */
static struct extremes find_extremes(const struct hazard_races *races,
                                     const struct emu_access *access,
                                     const uint32_t *entry)
{
    struct extremes found = {INT32_MAX, 0};
    size_t count = access->bytes >> races->shift;
    if (count >= 4) {
        extremes_by_quad(races, access, entry, &found);
        return found;
    }
    EACH_LANE(lane, access->mask)
    {
        size_t first = (size_t)(access->address[lane] >> races->shift);
        for (size_t i = 0; i < count; i++) {
            uint32_t e = entry[first + i];
            found.least = e < found.least ? e : found.least;
            found.most = e > found.most ? e : found.most;
        }
    }
    return found;
}

/* Whole granules, all of the shadow? The core has tested bounds; this keeps an
** error there from becoming one here. */
static int is_inside(const struct hazard_races *races,
                     const struct emu_access *access)
{
    uint64_t high = 0;
    EACH_LANE(lane, access->mask)
    high = access->address[lane] > high ? access->address[lane] : high;
    return access->bytes >> races->shift > 0 &&
           (high + access->bytes) >> races->shift < races->granules;
}

/* Puts `fresh` + lane * `step` into every granule. */
static void fill(const struct hazard_races *races,
                 const struct emu_access *access, uint32_t *entry,
                 uint32_t fresh, uint32_t step)
{
    size_t count = access->bytes >> races->shift;
    EACH_LANE(lane, access->mask)
    {
        uint32_t *at = entry + (access->address[lane] >> races->shift);
        int32_t value = (int32_t)(fresh + lane * step);
        if (count >= 4) {
            quad q = {value, value, value, value};
            for (size_t i = 0; i < count; i += 4)
                memcpy(at + i, &q, sizeof q);
        } else {
            for (size_t i = 0; i < count; i++)
                at[i] = (uint32_t)value;
        }
    }
}

/* -- checks
 * -------------------------------------------------------------------- */

/* Everything written up to `limit` in this block, and by whomever, is before
** the access. A write may also come upon what was never written. */
static void check_writes(struct emu_hazard_block *block,
                         const struct emu_access *access)
{
    const struct hazard_races *races = &block->races;
    uint32_t w = access->warp;
    uint32_t limit = races->ordered[w] < races->together[w]
                         ? races->ordered[w]
                         : races->together[w];
    struct extremes e = find_extremes(races, access, races->write);
    if (hazard_time(e.most) <= limit &&
        (access->kind == EMU_WRITE || hazard_time(e.least) >= races->start))
        return;
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t time = hazard_time(races->write[g]);
            if (time > limit || time < races->start)
                check_write_entry(block, access, lane, g);
        }
    }
}

static void check_reads_of(struct emu_hazard_block *block,
                           const struct emu_access *access, uint32_t v,
                           uint32_t known)
{
    const struct hazard_races *races = &block->races;
    struct extremes e = find_extremes(races, access, races->read[v]);
    if (hazard_time(e.most) <= known)
        return;
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++)
            if (hazard_time(races->read[v][g]) > known)
                check_read_entry(block, access, lane, g, v);
    }
}

static void check_reads(struct emu_hazard_block *block,
                        const struct emu_access *access)
{
    const struct hazard_races *races = &block->races;
    const uint32_t *seen = races->clock[access->warp].seen;
    for (uint32_t v = 0; v < races->warps; v++) {
        uint32_t known = v == access->warp ? races->together[v] : seen[v];
        if (races->read[v] && races->last_read[v] > known)
            check_reads_of(block, access, v, known);
    }
}

/* -- marks
 * --------------------------------------------------------------------- */

/* Reads that meet reads of the same warp since its lanes were last in order:
** several lanes then, and weak if any was. */
static void merge_reads(struct hazard_races *races,
                        const struct emu_access *access, uint32_t fresh)
{
    uint32_t *read = races->read[access->warp];
    uint32_t together = races->together[access->warp];
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t old = read[g], entry = fresh | lane;
            if (hazard_time(old) > together) {
                if ((old & 31) != lane)
                    entry |= HAZARD_SEVERAL;
                entry |= old & HAZARD_SEVERAL;
                if (!(old & HAZARD_STRONG))
                    entry &= ~(uint32_t)HAZARD_STRONG;
            }
            read[g] = entry;
        }
    }
}

static void mark_lines(struct hazard_races *races,
                       const struct emu_access *access, uint32_t *lines)
{
    fill(races, access, lines, (uint32_t)access->instruction->line, 0);
}

/* Does every lane read at an address of its own? In order, as rows are. */
static int is_ascending(const struct emu_access *access)
{
    uint64_t last = 0;
    EACH_LANE(lane, access->mask)
    {
        if (access->address[lane] < last)
            return 0;
        last = access->address[lane] + access->bytes;
    }
    return 1;
}

static void mark_reads(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    struct hazard_races *races = &block->races;
    uint32_t w = access->warp;
    if (hazard_races_reader(races, w)) {
        block->worker->findings.failed = 1;
        return;
    }
    uint32_t fresh = races->now << HAZARD_TIME_SHIFT;
    fresh |= access->order != EMU_WEAK ? HAZARD_STRONG : 0;
    fresh |= access->collective ? HAZARD_SEVERAL : 0;
    races->last_read[w] = races->now;
    struct extremes e = find_extremes(races, access, races->read[w]);
    if (hazard_time(e.most) <= races->together[w] &&
        (access->collective || is_ascending(access)))
        fill(races, access, races->read[w], fresh, 1);
    else
        merge_reads(races, access, fresh);
    mark_lines(races, access, races->read_line[w]);
}

/* Has every other warp seen what `warp` did up to `time`? */
static int is_published(const struct hazard_races *races, uint32_t warp,
                        uint32_t time)
{
    for (uint32_t v = 0; v < races->warps; v++)
        if (v != warp && races->clock[v].seen[warp] < time)
            return 0;
    return 1;
}

/* A strong write must not hide a plain one that somebody may still race with:
** the plain one stays. */
static void mark_strong_writes(struct hazard_races *races,
                               const struct emu_access *access)
{
    uint32_t fresh =
        races->now << HAZARD_TIME_SHIFT | HAZARD_STRONG | access->warp;
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t old = races->write[g], time = hazard_time(old);
            if (!(old & HAZARD_STRONG) && time >= races->start &&
                time != HAZARD_PENDING && !is_published(races, old & 31, time))
                continue;
            races->write[g] = fresh | lane << 5;
            races->write_line[g] = (uint32_t)access->instruction->line;
        }
    }
}

static void mark_writes(struct hazard_races *races,
                        const struct emu_access *access, uint32_t time)
{
    fill(races, access, races->write, time << HAZARD_TIME_SHIFT | access->warp,
         32);
}

/* -- events
 * -------------------------------------------------------------------- */

void emu_hazard_shared(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    struct hazard_races *races = &block->races;
    if (!is_inside(races, access))
        return;
    if (access->order != EMU_WEAK)
        EACH_LANE(lane, access->mask)
    hazard_handshake(races, access, access->address[lane]);
    check_writes(block, access);
    if (access->kind == EMU_READ) {
        mark_reads(block, access);
        return;
    }
    check_reads(block, access);
    if (access->order != EMU_WEAK) {
        mark_strong_writes(races, access);
        return;
    }
    mark_writes(races, access, races->now);
    mark_lines(races, access, races->write_line);
}

void emu_hazard_async_issue(struct emu_hazard_block *block,
                            const struct emu_access *to)
{
    struct hazard_races *races = &block->races;
    if (!is_inside(races, to))
        return;
    check_writes(block, to);
    check_reads(block, to);
    mark_writes(races, to, HAZARD_PENDING);
    mark_lines(races, to, races->write_line);
    races->pending += (uint32_t)__builtin_popcount(to->mask);
}

void emu_hazard_async_land(struct emu_hazard_block *block,
                           const struct emu_access *to)
{
    struct hazard_races *races = &block->races;
    if (!is_inside(races, to))
        return;
    mark_writes(races, to, races->now);
    races->pending -= (uint32_t)__builtin_popcount(to->mask);
}
