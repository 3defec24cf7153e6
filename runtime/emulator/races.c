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

/* The granules of the whole access as one range, where that is not much more
** than the access itself: most are rows of a tile. Anything that holds for the
** range holds for the lanes. Returns 0 where the lanes are scattered. */
static int range_of(const struct hazard_races *races,
                    const struct emu_access *access, struct span *range)
{
    uint64_t low = UINT64_MAX, high = 0;
    EACH_LANE(lane, access->mask)
    {
        uint64_t address = access->address[lane];
        low = address < low ? address : low;
        high = address > high ? address : high;
    }
    uint64_t bytes = (uint64_t)__builtin_popcount(access->mask) * access->bytes;
    if (high - low > 4 * bytes)
        return 0;
    range->first = (size_t)(low >> races->shift);
    range->last = (size_t)((high + access->bytes - 1) >> races->shift);
    return range->last < races->granules;
}

/* The latest and the earliest entry of a range; four at a time, so that the
** comparisons do not wait for each other. */
static void find_extremes(const uint32_t *entry, struct span range,
                          uint32_t *least, uint32_t *most)
{
    uint32_t low[4], high[4];
    size_t g = range.first;
    for (int i = 0; i < 4; i++)
        low[i] = high[i] = entry[g];
    for (; g + 3 <= range.last; g += 4) {
        for (int i = 0; i < 4; i++) {
            low[i] = entry[g + i] < low[i] ? entry[g + i] : low[i];
            high[i] = entry[g + i] > high[i] ? entry[g + i] : high[i];
        }
    }
    for (; g <= range.last; g++) {
        low[0] = entry[g] < low[0] ? entry[g] : low[0];
        high[0] = entry[g] > high[0] ? entry[g] : high[0];
    }
    for (int i = 1; i < 4; i++) {
        low[0] = low[i] < low[0] ? low[i] : low[0];
        high[0] = high[i] > high[0] ? high[i] : high[0];
    }
    *least = low[0];
    *most = high[0];
}

/* Was all of the range written in this block and not after `limit`? */
static int all_written_until(const struct hazard_races *races,
                             struct span range, uint32_t limit)
{
    uint32_t least, most;
    find_extremes(races->write, range, &least, &most);
    return hazard_time(least) >= races->start && hazard_time(most) <= limit;
}

/* Everything written up to `limit` in this block, and by whomever, is before
** the access: one unsigned comparison. */
static void check_writes(struct emu_hazard_block *block,
                         const struct emu_access *access,
                         const struct span *range)
{
    const struct hazard_races *races = &block->races;
    uint32_t w = access->warp;
    uint32_t limit = races->ordered[w] < races->together[w]
                         ? races->ordered[w]
                         : races->together[w];
    int certain = limit >= races->start;
    uint32_t width = certain ? limit - races->start : 0;
    if (certain && range && all_written_until(races, *range, limit))
        return;
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            uint32_t time = hazard_time(races->write[g]);
            if (!certain || time - races->start > width)
                check_write_entry(block, access, lane, g);
        }
    }
}

static void check_reads_of(struct emu_hazard_block *block,
                           const struct emu_access *access,
                           const struct span *range, uint32_t v, uint32_t known)
{
    const struct hazard_races *races = &block->races;
    if (range) {
        uint32_t least, most;
        find_extremes(races->read[v], *range, &least, &most);
        if (hazard_time(most) <= known)
            return;
    }
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++)
            if (hazard_time(races->read[v][g]) > known)
                check_read_entry(block, access, lane, g, v);
    }
}

static void check_reads(struct emu_hazard_block *block,
                        const struct emu_access *access,
                        const struct span *range)
{
    const struct hazard_races *races = &block->races;
    const uint32_t *seen = races->clock[access->warp].seen;
    for (uint32_t v = 0; v < races->warps; v++) {
        uint32_t known = v == access->warp ? races->together[v] : seen[v];
        if (races->read[v] && races->last_read[v] > known)
            check_reads_of(block, access, range, v, known);
    }
}

/* Puts `fresh` with the lane at `lane_shift` into every granule. */
static void fill(const struct hazard_races *races,
                 const struct emu_access *access, uint32_t *entry,
                 uint32_t *lines, uint32_t fresh, uint32_t lane_shift)
{
    uint32_t line = (uint32_t)access->instruction->line;
    if (access->bytes >> races->shift == 1) {
        EACH_LANE(lane, access->mask)
        {
            size_t g = span_of(races, access, lane).first;
            entry[g] = fresh | lane << lane_shift;
            lines[g] = line;
        }
        return;
    }
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++) {
            entry[g] = fresh | lane << lane_shift;
            lines[g] = line;
        }
    }
}

/* Reads that meet reads of the same warp since its lanes were last in order:
** several lanes then, and weak if any was. */
static void merge_reads(struct hazard_races *races,
                        const struct emu_access *access, uint32_t fresh)
{
    uint32_t *read = races->read[access->warp];
    uint32_t *lines = races->read_line[access->warp];
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
            lines[g] = (uint32_t)access->instruction->line;
        }
    }
}

/* Does every lane read at an address of its own? In order, as rows are. */
static int is_ascending(const struct emu_access *access)
{
    uint64_t last = 0;
    for (int lane = 0; lane < 32; lane++) {
        if (!(access->mask >> lane & 1))
            continue;
        if (access->address[lane] < last)
            return 0;
        last = access->address[lane] + access->bytes;
    }
    return 1;
}

static void mark_reads(struct emu_hazard_block *block,
                       const struct emu_access *access,
                       const struct span *range)
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
    if (range && (access->collective || is_ascending(access))) {
        uint32_t least, most;
        find_extremes(races->read[w], *range, &least, &most);
        if (hazard_time(most) <= races->together[w]) {
            fill(races, access, races->read[w], races->read_line[w], fresh, 0);
            return;
        }
    }
    merge_reads(races, access, fresh);
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
    fill(races, access, races->write, races->write_line,
         time << HAZARD_TIME_SHIFT | access->warp, 5);
}

void emu_hazard_shared(struct emu_hazard_block *block,
                       const struct emu_access *access)
{
    struct hazard_races *races = &block->races;
    struct span all;
    const struct span *range = range_of(races, access, &all) ? &all : NULL;
    if (access->order != EMU_WEAK)
        EACH_LANE(lane, access->mask)
    hazard_handshake(races, access, access->address[lane]);
    check_writes(block, access, range);
    if (access->kind == EMU_READ) {
        mark_reads(block, access, range);
        return;
    }
    check_reads(block, access, range);
    if (access->order == EMU_WEAK)
        mark_writes(races, access, races->now);
    else
        mark_strong_writes(races, access);
}

void emu_hazard_async_issue(struct emu_hazard_block *block,
                            const struct emu_access *to)
{
    struct span all;
    const struct span *range = range_of(&block->races, to, &all) ? &all : NULL;
    check_writes(block, to, range);
    check_reads(block, to, range);
    mark_writes(&block->races, to, HAZARD_PENDING);
    block->races.pending += (uint32_t)__builtin_popcount(to->mask);
}

void emu_hazard_async_land(struct emu_hazard_block *block,
                           const struct emu_access *to)
{
    mark_writes(&block->races, to, block->races.now);
    block->races.pending -= (uint32_t)__builtin_popcount(to->mask);
}
