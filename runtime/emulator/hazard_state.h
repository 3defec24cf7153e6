/* hazard_state.h -- inside the hazard module, for nobody else: hazards.c,
** bounds.c, races.c, race_entries.c, race_shadow.c, clocks.c, locals.c,
** conflicts.c, handshakes.c.
**
** The shadow of shared memory has one entry per granule. A granule is the
** narrowest shared access that the kernel's code contains (1 to 16 bytes);
** since accesses are aligned to their size, each covers whole granules, so the
** shadow is exact and no larger than it must be.
**
**     write entry   30        11 10  9     5 4     0
**                   ├──time────┼──┼───lane─┼─warp──┤   last write
**                               └ strong (volatile, atomic)
**     read entry    ├──time────┼──┼─┬──────┼─lane──┤   last read of one warp
**                               │  └ several lanes
**                               └ strong
**
** Time 0xfffff marks bytes that a cp.async is still going to write. Times
** before block->start belong to an earlier block: not written yet.
*/
#ifndef TSR_EMULATOR_HAZARD_STATE_H
#define TSR_EMULATOR_HAZARD_STATE_H

#include "runtime/emulator/hazards.h"

enum {
    HAZARD_WARPS = 32,
    HAZARD_BARRIERS = 16,
    HAZARD_SYNC_WORDS = 64,
    HAZARD_RECENT = 64,
    HAZARD_TIME_SHIFT = 11,
    HAZARD_PENDING = 0xfffff,
    HAZARD_STRONG = 1 << 10,
    HAZARD_SEVERAL = 1 << 9,
};

static inline uint32_t emu_hazard_time(uint32_t entry)
{
    return entry >> HAZARD_TIME_SHIFT;
}

/* The lowest lane of a mask that is not empty. */
static inline uint32_t emu_hazard_lowest(uint32_t mask)
{
    return (uint32_t)__builtin_ctz(mask);
}

/* An entry of the shadow, and the PTX line that made it. */
struct hazard_mark {
    uint32_t entry;
    uint32_t line;
};

struct hazard_clock {
    uint32_t seen[HAZARD_WARPS];
};

/* Shared memory of one resident block (races.c). */
struct hazard_races {
    uint32_t now;   /* of the next access */
    uint32_t start; /* when this block began */
    uint32_t warps;
    uint32_t shift; /* log2 of the granule */
    size_t granules;
    uint32_t pending; /* async issues that have not landed */
    struct hazard_clock clock[HAZARD_WARPS]; /* what a warp has seen of each */
    uint32_t ordered[HAZARD_WARPS];  /* up to here all other warps are seen */
    uint32_t together[HAZARD_WARPS]; /* up to here lanes are in order */
    uint32_t last_read[HAZARD_WARPS];
    size_t read_low[HAZARD_WARPS]; /* granules, this block's reads so far */
    size_t read_high[HAZARD_WARPS];
    size_t since_low[HAZARD_WARPS]; /* and those since lanes were in order */
    size_t since_high[HAZARD_WARPS];
    uint32_t exited; /* warps */
    uint32_t exited_lanes[HAZARD_WARPS];
    struct hazard_clock barrier[HAZARD_BARRIERS];
    struct hazard_clock fence[HAZARD_WARPS];     /* seen at the last fence */
    uint32_t fenced;                             /* warps that have one */
    struct hazard_clock sync[HAZARD_SYNC_WORDS]; /* released to a word */
    uint64_t sync_used;
    struct hazard_mark *write;
    struct hazard_mark *read[HAZARD_WARPS]; /* NULL: it never read */
};

struct hazard_page;
struct hazard_log;

/* A plain read of global memory: `rows` times `bytes`, `stride` apart. */
struct hazard_read {
    uint64_t begin, bytes, stride, rows;
    uint64_t key; /* block and line: conflicts.c */
};

/* Global memory as one worker saw it (conflicts.c), and the hand-shakes
** between blocks (handshakes.c). */
struct hazard_shadow {
    struct hazard_page **slot; /* hash by page number */
    size_t slots, pages;
    struct hazard_page *recent[HAZARD_RECENT]; /* by page number */
    size_t bytes;
    struct hazard_read *read; /* plain reads put off to the end */
    size_t reads, read_capacity;
    struct hazard_log *log; /* of words that blocks released something to */
    size_t logs, log_capacity;
    uint32_t *log_slot; /* hash by address -> log + 1 */
    size_t log_slots;
    int failed;
};

/* A block has seen the first `position` records of a log. */
struct hazard_acquired {
    uint32_t log;
    uint32_t position;
};

struct emu_hazard_block {
    struct emu_hazard_worker *worker;
    struct emu_hazard_block *next; /* of the worker's free list */
    struct emu_hazard_block *next_all;
    uint64_t linear;
    uint32_t ctaid[3];
    uint64_t sequence; /* findings so far */
    struct hazard_races races;
    /* local memory, locals.c: [warp][byte], a bit for each lane */
    uint32_t *local;
    size_t local_words;
    /* order between blocks: handshakes.c */
    uint32_t epoch; /* .gpu fences so far; accesses before them are released
                       with the next strong write */
    struct hazard_acquired *acquired;
    size_t acquired_count, acquired_capacity;
    uint64_t known_key; /* the answer that emu_hazard_is_before gave last */
    int known_answer;
};

struct emu_hazard_worker {
    struct emu_hazards *owner;
    struct emu_hazard_worker *next;
    struct emu_hazard_block *free, *all;
    struct emu_findings findings;
    struct hazard_shadow shadow;
};

struct emu_hazards {
    struct emu_hazard_setup setup;
    struct emu_hazard_worker *workers;
    uint32_t shared_shift;
    uint32_t warps;
};

/* A finding about `access`, lanes and address given. */
void emu_hazard_find(struct emu_hazard_block *block, enum emu_finding_kind kind,
                     const struct emu_access *access, uint32_t lanes,
                     uint64_t address, const char *fmt, ...) TSR_PRINTF(6, 7);
/* "'tile'+16", or "shared offset 16" outside every variable. */
const char *emu_hazard_place(const struct emu_hazard_block *block,
                             enum ptx_space space, uint64_t offset, char *text,
                             size_t size);

/* race_shadow.c */
int emu_hazard_races_begin(struct hazard_races *races, size_t shared_bytes,
                           uint32_t shift, uint32_t warps);
void emu_hazard_races_release(struct hazard_races *races);
/* log2 of the granule for the code of `module`. */
uint32_t emu_hazard_granule_shift(const struct ptx_module *module);
/* The read entries of a warp, made when it first reads; -1: no memory. */
int emu_hazard_races_reader(struct hazard_races *races, uint32_t warp);

/* race_entries.c */
/* An access in granules. */
struct hazard_shape {
    const struct emu_access *access;
    uint32_t shift;
    size_t count;     /* granules of a lane: 1, 2, 4, 8 or 16 */
    size_t low, high; /* the first and the last of all */
    int is_row;       /* lane after lane, without a gap */
};

/* Of several entries: the earliest and the latest, and which bits any of them
** has, and all. */
struct hazard_extremes {
    uint32_t least, most, any, all;
};

/* Returns 0 for an access that is not made of whole granules of the shadow:
** the core has tested bounds, and this keeps an error there from becoming one
** here. */
int emu_hazard_shape_of(const struct hazard_races *races,
                        const struct emu_access *access,
                        struct hazard_shape *shape);
struct hazard_extremes emu_hazard_find_extremes(
    const struct hazard_shape *shape, const struct hazard_mark *mark);
/* Puts `fresh` + lane * `step`, and the access's line, into every granule. */
void emu_hazard_fill(const struct hazard_shape *shape, struct hazard_mark *mark,
                     uint32_t fresh, uint32_t step);
/* Do all 32 lanes take part, one right behind the other? */
int emu_hazard_is_row(const struct emu_access *access);

/* clocks.c */
void emu_hazard_races_fence(struct hazard_races *races, uint32_t warp);
/* Order made by strong accesses to one word, shared or global. */
void emu_hazard_handshake(struct hazard_races *races,
                          const struct emu_access *access, uint64_t address);

/* conflicts.c */
void emu_hazard_shadow_release(struct hazard_shadow *shadow);
/* Conflicts of all workers, into the first worker's findings. */
void emu_hazard_conflicts_finish(struct emu_hazards *hazards);

/* handshakes.c: order between blocks */
void emu_hazard_handshakes_begin(struct emu_hazard_block *block);
void emu_hazard_handshakes_release(struct hazard_shadow *shadow);
/* A strong access to global memory by one warp. */
void emu_hazard_global_handshake(struct emu_hazard_block *block,
                                 const struct emu_access *access);
/* Has `block` seen what block `other` did before its fence number epoch+1? */
int emu_hazard_is_before(struct emu_hazard_block *block, uint32_t other,
                         uint32_t epoch);

#endif
