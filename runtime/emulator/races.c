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
#include <stdint.h>

#include "runtime/emulator/hazard_state.h"

/* -- findings ------------------------------------------------------------- */

static void say_race(struct emu_hazard_block *block,
                     const struct emu_access *access, uint32_t lane,
                     uint64_t offset, uint32_t warp, const char *did,
                     uint32_t line)
{
    char place[160];
    emu_hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    emu_hazard_find(
        block, EMU_SHARED_RACE, access, 1u << lane, offset,
        "%s %s, which warp %u %s at ptx line %u with nothing to order "
        "the two (bar.sync)",
        access->kind == EMU_READ ? "reads" : "writes", place, warp, did, line);
}

static void say_lane_race(struct emu_hazard_block *block,
                          const struct emu_access *access, uint32_t lane,
                          uint64_t offset, const char *did, uint32_t line)
{
    char place[160];
    emu_hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    emu_hazard_find(block, EMU_LANE_RACE, access, 1u << lane, offset,
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
    emu_hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    emu_hazard_find(
        block, EMU_ASYNC_PENDING, access, 1u << lane, offset,
        "%s %s while the cp.async of warp %u at ptx line %u may still "
        "write it; wait for the copy first",
        access->kind == EMU_READ ? "reads" : "writes", place, warp, line);
}

static void say_unwritten(struct emu_hazard_block *block,
                          const struct emu_access *access, uint32_t lane,
                          uint64_t offset)
{
    char place[160];
    emu_hazard_place(block, PTX_SPACE_SHARED, offset, place, sizeof place);
    emu_hazard_find(block, EMU_UNINITIALIZED_SHARED, access, 1u << lane, offset,
                    "reads %s, which this block has not written", place);
}

/* -- accesses ------------------------------------------------------------- */

/* An access against the last write of a granule; the slow way. */
static void check_write_entry(struct emu_hazard_block *block,
                              const struct emu_access *access, uint32_t lane,
                              size_t granule)
{
    const struct hazard_races *races = &block->races;
    uint32_t entry = races->write[granule].entry;
    uint32_t time = emu_hazard_time(entry);
    uint32_t warp = entry & 31;
    uint32_t writer = entry >> 5 & 31;
    uint64_t offset = (uint64_t)granule << races->shift;
    uint32_t line = races->write[granule].line;
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
    uint32_t entry = races->read[v][granule].entry;
    uint32_t time = emu_hazard_time(entry);
    uint64_t offset = (uint64_t)granule << races->shift;
    if (access->order != EMU_WEAK && (entry & HAZARD_STRONG))
        return;
    if (v != access->warp) {
        if (time > races->clock[access->warp].seen[v])
            say_race(block, access, lane, offset, v, "read",
                     races->read[v][granule].line);
    } else if (time > races->together[v] &&
               ((entry & HAZARD_SEVERAL) || (entry & 31) != lane)) {
        say_lane_race(block, access, lane, offset, "read",
                      races->read[v][granule].line);
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

/* -- checks --------------------------------------------------------------- */

/* Up to when the accesses of warp `v` are known to be before those that warp
** `w` makes now; of its own, as far as other lanes made them. */
static uint32_t known_of(const struct hazard_races *races, uint32_t w,
                         uint32_t v)
{
    return v == w ? races->together[w] : races->clock[w].seen[v];
}

/* The common cases by one look at all entries: everything covered was written
** before a barrier of the whole block, or by one warp that `w` has seen since.
** A write may also come upon what was never written. */
static int writes_are_before(const struct hazard_races *races,
                             const struct hazard_shape *shape)
{
    uint32_t w = shape->access->warp;
    uint32_t together = races->together[w];
    uint32_t known =
        races->ordered[w] < together ? races->ordered[w] : together;
    struct hazard_extremes e = emu_hazard_find_extremes(shape, races->write);
    if (((e.any ^ e.all) & 31) == 0) {
        uint32_t of_one = known_of(races, w, e.any & 31);
        known = of_one > known ? of_one : known;
    }
    return emu_hazard_time(e.most) <= known &&
           (shape->access->kind == EMU_WRITE ||
            emu_hazard_time(e.least) >= races->start);
}

static void check_writes(struct emu_hazard_block *block,
                         const struct hazard_shape *shape)
{
    const struct hazard_races *races = &block->races;
    const struct emu_access *access = shape->access;
    if (writes_are_before(races, shape))
        return;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = emu_hazard_lowest(rest);
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t entry = races->write[g].entry;
            if (emu_hazard_time(entry) < races->start ||
                emu_hazard_time(entry) >
                    known_of(races, access->warp, entry & 31))
                check_write_entry(block, access, lane, g);
        }
    }
}

static void check_reads_of(struct emu_hazard_block *block,
                           const struct hazard_shape *shape, uint32_t v,
                           uint32_t known)
{
    const struct hazard_races *races = &block->races;
    const struct emu_access *access = shape->access;
    struct hazard_extremes e = emu_hazard_find_extremes(shape, races->read[v]);
    if (emu_hazard_time(e.most) <= known)
        return;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = emu_hazard_lowest(rest);
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++)
            if (emu_hazard_time(races->read[v][g].entry) > known)
                check_read_entry(block, access, lane, g, v);
    }
}

static void check_reads(struct emu_hazard_block *block,
                        const struct hazard_shape *shape)
{
    const struct hazard_races *races = &block->races;
    uint32_t w = shape->access->warp;
    for (uint32_t v = 0; v < races->warps; v++) {
        uint32_t known = known_of(races, w, v);
        if (races->last_read[v] > known && shape->low <= races->read_high[v] &&
            shape->high >= races->read_low[v])
            check_reads_of(block, shape, v, known);
    }
}

/* -- marks ---------------------------------------------------------------- */

/* Reads that meet reads of the same warp since its lanes were last in order:
** several lanes then, and weak if any was. */
static void merge_reads(struct hazard_races *races,
                        const struct emu_access *access, uint32_t fresh)
{
    struct hazard_mark *read = races->read[access->warp];
    uint32_t line = (uint32_t)access->instruction->line;
    uint32_t together = races->together[access->warp];
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = emu_hazard_lowest(rest);
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t old = read[g].entry, entry = fresh | lane;
            if (emu_hazard_time(old) > together) {
                if ((old & 31) != lane)
                    entry |= HAZARD_SEVERAL;
                entry |= old & HAZARD_SEVERAL;
                if (!(old & HAZARD_STRONG))
                    entry &= ~(uint32_t)HAZARD_STRONG;
            }
            read[g] = (struct hazard_mark){entry, line};
        }
    }
}

/* Does every lane read at an address of its own? In order, as rows are. */
static int is_ascending(const struct emu_access *access)
{
    uint64_t last = 0;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = emu_hazard_lowest(rest);
        if (access->address[lane] < last)
            return 0;
        last = access->address[lane] + access->bytes;
    }
    return 1;
}

/* Has this warp not read these bytes since its lanes were last in order? What
** all lanes read, plainly, needs no look. */
static int no_reads_to_merge(const struct hazard_races *races,
                             const struct hazard_shape *shape)
{
    const struct emu_access *access = shape->access;
    uint32_t w = access->warp;
    if (access->collective && access->order == EMU_WEAK)
        return 1;
    if (!shape->is_row && !is_ascending(access))
        return 0;
    return races->last_read[w] <= races->together[w] ||
           shape->low > races->since_high[w] ||
           shape->high < races->since_low[w] ||
           emu_hazard_time(
               emu_hazard_find_extremes(shape, races->read[w]).most) <=
               races->together[w];
}

static void widen(size_t *low, size_t *high, const struct hazard_shape *shape)
{
    *low = shape->low < *low ? shape->low : *low;
    *high = shape->high > *high ? shape->high : *high;
}

static void mark_reads(struct emu_hazard_block *block,
                       const struct hazard_shape *shape)
{
    struct hazard_races *races = &block->races;
    const struct emu_access *access = shape->access;
    uint32_t w = access->warp;
    if (emu_hazard_races_reader(races, w)) {
        block->worker->findings.failed = 1;
        return;
    }
    uint32_t fresh = races->now << HAZARD_TIME_SHIFT;
    fresh |= access->order != EMU_WEAK ? HAZARD_STRONG : 0;
    fresh |= access->collective ? HAZARD_SEVERAL : 0;
    if (no_reads_to_merge(races, shape))
        emu_hazard_fill(shape, races->read[w], fresh, 1);
    else
        merge_reads(races, access, fresh);
    if (races->last_read[w] <= races->together[w]) {
        races->since_low[w] = SIZE_MAX;
        races->since_high[w] = 0;
    }
    races->last_read[w] = races->now;
    widen(&races->read_low[w], &races->read_high[w], shape);
    widen(&races->since_low[w], &races->since_high[w], shape);
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
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = emu_hazard_lowest(rest);
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t old = races->write[g].entry, time = emu_hazard_time(old);
            if (!(old & HAZARD_STRONG) && time >= races->start &&
                time != HAZARD_PENDING && !is_published(races, old & 31, time))
                continue;
            races->write[g] = (struct hazard_mark){
                fresh | lane << 5, (uint32_t)access->instruction->line};
        }
    }
}

static void mark_writes(struct hazard_races *races,
                        const struct hazard_shape *shape, uint32_t time)
{
    emu_hazard_fill(shape, races->write,
                    time << HAZARD_TIME_SHIFT | shape->access->warp, 32);
}

/* -- events --------------------------------------------------------------- */

void emu_hazard_shared(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    struct hazard_races *races = &block->races;
    struct hazard_shape shape;
    if (!emu_hazard_shape_of(races, access, &shape))
        return;
    if (access->order != EMU_WEAK)
        for (uint32_t rest = access->mask; rest; rest &= rest - 1)
            emu_hazard_handshake(races, access,
                                 access->address[emu_hazard_lowest(rest)]);
    check_writes(block, &shape);
    if (access->kind == EMU_READ) {
        mark_reads(block, &shape);
        return;
    }
    check_reads(block, &shape);
    if (access->order != EMU_WEAK) {
        mark_strong_writes(races, access);
        return;
    }
    mark_writes(races, &shape, races->now);
}

void emu_hazard_async_issue(struct emu_hazard_block *block,
                            const struct emu_access *to)
{
    struct hazard_races *races = &block->races;
    struct hazard_shape shape;
    if (!emu_hazard_shape_of(races, to, &shape))
        return;
    check_writes(block, &shape);
    check_reads(block, &shape);
    mark_writes(races, &shape, HAZARD_PENDING);
    races->pending += (uint32_t)__builtin_popcount(to->mask);
}

void emu_hazard_async_land(struct emu_hazard_block *block,
                           const struct emu_access *to)
{
    struct hazard_races *races = &block->races;
    struct hazard_shape shape;
    if (!emu_hazard_shape_of(races, to, &shape))
        return;
    mark_writes(races, &shape, races->now);
    races->pending -= (uint32_t)__builtin_popcount(to->mask);
}
