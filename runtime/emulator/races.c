/* races.c -- races on shared memory, by happens-before.
**
** Time is one counter per block (it runs on from block to block, so that the
** shadow need not be cleared). It ticks whenever a warp gives others something
** to see: at a barrier arrival, a fence, a bar.warp.sync. clock[w].seen[v] is
** the time up to which warp w knows warp v's accesses; a barrier joins the
** clocks of all who arrived. Two accesses race when one writes, not both are
** strong, and the later one's warp has not seen the time of the earlier.
**
** ordered[w] is the least of w's clock: anything up to that time is known to
** be before w, whoever did it. After a barrier of the whole block that is
** everything, so nearly all accesses pass with one comparison per granule.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

static uint32_t time_of(uint32_t entry)
{
    return entry >> HAZARD_TIME_SHIFT;
}

static uint32_t max_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* -- begin and end
 * -------------------------------------------------------------- */

static uint32_t access_bytes(const struct ptx_instruction *in)
{
    int bytes = 0, vector = 1;
    if (strncmp(in->root, "ldmatrix", 8) == 0 ||
        strncmp(in->root, "stmatrix", 8) == 0)
        return 16;
    for (int i = 0; i < in->modifier_count; i++) {
        const char *m = in->modifier[i];
        enum ptx_type type = ptx_type_find(m);
        if (type != PTX_VOID)
            bytes = ptx_type_bytes(type);
        else if (m[0] == 'v' && m[1] >= '2' && m[1] <= '8' && !m[2])
            vector = m[1] - '0';
    }
    return bytes ? (uint32_t)(bytes * vector) : 1;
}

/* Bytes of a copy: the operand behind the two addresses. */
static uint32_t copy_bytes(const struct ptx_instruction *in)
{
    if (in->operand_count < 3 || in->operand[2].kind != PTX_OPERAND_IMMEDIATE)
        return 1;
    return (uint32_t)in->operand[2].bits;
}

/* The bytes of an access that may reach shared memory, 0 for none. */
static uint32_t shared_bytes_of(const struct ptx_instruction *in)
{
    static const char *const roots[] = {
        "ld", "st", "atom", "red", "cp", "ldmatrix", "stmatrix", "ldu", "wmma"};
    static const char *const elsewhere[] = {"global", "local", "const",
                                            "param"};
    int found = 0;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        found |= strcmp(in->root, roots[i]) == 0;
    if (!found)
        return 0;
    if (strcmp(in->root, "cp") == 0)
        return in->operand_count >= 3 ? copy_bytes(in) : 0;
    if (strcmp(in->root, "wmma") == 0)
        return 1;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (ptx_has(in, elsewhere[i]))
            return 0;
    return access_bytes(in);
}

uint32_t hazard_granule_shift(const struct ptx_module *module)
{
    uint32_t all = 16;
    for (int f = 0; f < module->function_count; f++) {
        const struct ptx_function *function = &module->functions[f];
        for (int i = 0; i < function->instruction_count; i++)
            all |= shared_bytes_of(&function->instructions[i]);
    }
    return (uint32_t)__builtin_ctz(all);
}

static int allocate(struct hazard_races *races, size_t granules)
{
    races->write = tsr__calloc(granules, sizeof *races->write);
    races->write_line = tsr__calloc(granules, sizeof *races->write_line);
    races->granules = granules;
    races->now = 1;
    return races->write && races->write_line ? 0 : -1;
}

static void forget(struct hazard_races *races)
{
    memset(races->write, 0, races->granules * sizeof *races->write);
    for (int w = 0; w < HAZARD_WARPS; w++)
        if (races->read[w])
            memset(races->read[w], 0, races->granules * sizeof(uint32_t));
    races->now = 1;
    races->pending = 0;
}

int hazard_races_begin(struct hazard_races *races, size_t shared_bytes,
                       uint32_t shift, uint32_t warps)
{
    size_t granules = (shared_bytes >> shift) + 2;
    if (races->granules < granules) {
        hazard_races_release(races);
        if (allocate(races, granules))
            return -1;
    } else if (races->pending || races->now > HAZARD_PENDING / 2) {
        forget(races);
    }
    races->start = ++races->now;
    races->warps = warps;
    races->shift = shift;
    races->exited = 0;
    races->fenced = 0;
    races->sync_used = 0;
    memset(races->exited_lanes, 0, sizeof races->exited_lanes);
    memset(races->barrier, 0, sizeof races->barrier);
    for (uint32_t w = 0; w < HAZARD_WARPS; w++) {
        for (uint32_t v = 0; v < HAZARD_WARPS; v++)
            races->clock[w].seen[v] = races->start - 1;
        races->ordered[w] = races->start - 1;
        races->together[w] = races->start - 1;
        races->last_read[w] = 0;
    }
    return 0;
}

void hazard_races_release(struct hazard_races *races)
{
    tsr__free(races->write);
    tsr__free(races->write_line);
    for (int w = 0; w < HAZARD_WARPS; w++) {
        tsr__free(races->read[w]);
        tsr__free(races->read_line[w]);
    }
    memset(races, 0, sizeof *races);
}

/* -- order
 * ---------------------------------------------------------------------- */

static void tick(struct hazard_races *races)
{
    if (races->now < HAZARD_PENDING - 1)
        races->now++;
}

static void join(struct hazard_clock *into, const struct hazard_clock *more,
                 uint32_t warps)
{
    for (uint32_t v = 0; v < warps; v++)
        into->seen[v] = max_of(into->seen[v], more->seen[v]);
}

static void find_ordered(struct hazard_races *races, uint32_t warp)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t v = 0; v < races->warps; v++)
        if (v != warp && races->clock[warp].seen[v] < least)
            least = races->clock[warp].seen[v];
    races->ordered[warp] = least;
}

/* What `warp` has to give: what it saw, and its own accesses up to now. */
static void give(struct hazard_races *races, uint32_t warp,
                 struct hazard_clock *into)
{
    join(into, &races->clock[warp], races->warps);
    into->seen[warp] = races->now;
    tick(races);
}

void emu_hazard_barrier_arrive(struct emu_hazard_block *block, uint32_t id,
                               uint32_t warp)
{
    give(&block->races, warp, &block->races.barrier[id % HAZARD_BARRIERS]);
}

void emu_hazard_barrier_complete(struct emu_hazard_block *block, uint32_t id,
                                 uint32_t waiting)
{
    struct hazard_races *races = &block->races;
    struct hazard_clock *barrier = &races->barrier[id % HAZARD_BARRIERS];
    /* an exited warp counts as arrived */
    for (uint32_t v = 0; v < races->warps; v++)
        if (races->exited >> v & 1)
            barrier->seen[v] = races->now;
    for (uint32_t w = 0; w < races->warps; w++) {
        if (!(waiting >> w & 1))
            continue;
        join(&races->clock[w], barrier, races->warps);
        races->together[w] = max_of(races->together[w], barrier->seen[w]);
        find_ordered(races, w);
    }
    memset(barrier, 0, sizeof *barrier);
    tick(races);
}

void emu_hazard_warp_sync(struct emu_hazard_block *block, uint32_t warp,
                          uint32_t mask)
{
    struct hazard_races *races = &block->races;
    if ((mask & (mask - 1)) == 0)
        return; /* one lane has nobody to be ordered with */
    races->together[warp] = races->now;
    tick(races);
}

void emu_hazard_exit(struct emu_hazard_block *block,
                     const struct ptx_instruction *instruction, uint32_t warp,
                     uint32_t lanes, uint32_t pending)
{
    struct hazard_races *races = &block->races;
    uint32_t threads = block->worker->owner->setup.block_threads;
    uint32_t first = warp * 32;
    uint32_t all =
        threads >= first + 32 ? 0xffffffffu : (1u << (threads - first)) - 1;
    if (pending)
        emu_hazard_report(block, EMU_ASYNC_EXIT, instruction, warp, pending, 0,
                          "threads exit with cp.async copies that were never "
                          "waited for; add cp.async.wait_all");
    races->exited_lanes[warp] |= lanes;
    if ((races->exited_lanes[warp] & all) == all)
        races->exited |= 1u << warp;
    tick(races);
}

void hazard_races_fence(struct hazard_races *races, uint32_t warp)
{
    races->fence[warp] = races->clock[warp];
    races->fence[warp].seen[warp] = races->now;
    races->fenced |= 1u << warp;
    tick(races);
}

/* Hand-shakes through memory. A release (a fence, then a strong write, or a
** .release access) leaves the clock at the word; a strong read takes it up.
** Words that share a slot share order: too much order, never too little. */
void hazard_handshake(struct hazard_races *races,
                      const struct emu_access *access, uint64_t address)
{
    uint32_t w = access->warp;
    uint64_t hash = (address >> 2) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t slot = (uint32_t)(hash >> 58);
    struct hazard_clock *word = &races->sync[slot];
    int used = (int)(races->sync_used >> slot & 1);
    if (access->kind != EMU_WRITE && used) {
        join(&races->clock[w], word, races->warps);
        find_ordered(races, w);
    }
    int releases = access->order >= EMU_RELEASE || races->fenced >> w & 1;
    if (access->kind == EMU_READ || !releases)
        return;
    if (!used)
        memset(word, 0, sizeof *word);
    races->sync_used |= UINT64_C(1) << slot;
    if (access->order >= EMU_RELEASE)
        give(races, w, word);
    else
        join(word, &races->fence[w], races->warps);
}

/* -- findings
 * -------------------------------------------------------------------- */

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

/* -- accesses
 * --------------------------------------------------------------------- */

/* An access against the last write of a granule; the slow way. */
static void check_write_entry(struct emu_hazard_block *block,
                              const struct emu_access *access, uint32_t lane,
                              size_t granule)
{
    const struct hazard_races *races = &block->races;
    uint32_t entry = races->write[granule];
    uint32_t time = time_of(entry);
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
    uint32_t time = time_of(entry);
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
    return time_of(least) >= races->start && time_of(most) <= limit;
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
            uint32_t time = time_of(races->write[g]);
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
        if (time_of(most) <= known)
            return;
    }
    EACH_LANE(lane, access->mask)
    {
        struct span span = span_of(races, access, lane);
        for (size_t g = span.first; g <= span.last; g++)
            if (time_of(races->read[v][g]) > known)
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

static int read_arrays(struct hazard_races *races, uint32_t w)
{
    if (races->read[w])
        return 0;
    races->read[w] = tsr__calloc(races->granules, sizeof(uint32_t));
    races->read_line[w] = tsr__calloc(races->granules, sizeof(uint32_t));
    if (races->read[w] && races->read_line[w])
        return 0;
    tsr__free(races->read[w]);
    tsr__free(races->read_line[w]);
    races->read[w] = races->read_line[w] = NULL;
    return -1;
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
            if (time_of(old) > together) {
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
    if (read_arrays(races, w)) {
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
        if (time_of(most) <= races->together[w]) {
            fill(races, access, races->read[w], races->read_line[w], fresh, 0);
            return;
        }
    }
    merge_reads(races, access, fresh);
}

static void mark_writes(struct hazard_races *races,
                        const struct emu_access *access, uint32_t time)
{
    uint32_t fresh = time << HAZARD_TIME_SHIFT | access->warp;
    fresh |= access->order != EMU_WEAK ? HAZARD_STRONG : 0;
    fill(races, access, races->write, races->write_line, fresh, 5);
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
    mark_writes(races, access, races->now);
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
