/* handshakes.c -- order between blocks, made by fence + atomic.
**
**     block A                         block B
**     st.global [data]                atom.inc [counter]      acquires
**     membar.gl          releases     membar.gl
**     atom.inc [counter]              ld.global [data]        after A's store
**
** Every word to which a block released something has a log of who did, and up
** to which of its fences ("epoch"). A strong read of the word acquires the
** log as it is then: log and position. So what block B has seen of block A is
** one look into the logs that B acquired, and memory grows with the number of
** releases, not with the square of the number of blocks.
**
** A log also links to what its releasers had acquired themselves; links are
** followed a few steps deep. Where the search gives up it answers "before":
** a missed conflict is better than a false one.
**
** Blocks count as one thread here: a fence by any warp releases what the whole
** block did so far, as after a bar.sync.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

enum {
    MAX_STEPS = 64,  /* logs looked at for one question */
    MAX_LINKS = 256, /* of one log */
    FLAG_LANES = 4,  /* a warp that writes more words at once writes data */
};

struct record {
    uint32_t block;
    uint32_t epoch;    /* accesses of epochs below this are released */
    uint32_t previous; /* record of the same block + 1, 0: none */
};

struct link {
    struct hazard_acquired to;
    uint32_t at; /* in force for positions above this */
};

struct hazard_log {
    uint64_t address;
    struct record *record;
    size_t records, record_capacity;
    uint32_t *slot; /* hash by block -> its last record + 1 */
    size_t slots;
    struct link *link;
    size_t links, link_capacity;
};

void emu_hazard_handshakes_begin(struct emu_hazard_block *block)
{
    block->epoch = 0;
    block->acquired_count = 0;
    block->known_key = UINT64_MAX;
}

void emu_hazard_handshakes_release(struct hazard_shadow *shadow)
{
    for (size_t i = 0; i < shadow->logs; i++) {
        tsr__free(shadow->log[i].record);
        tsr__free(shadow->log[i].slot);
        tsr__free(shadow->log[i].link);
    }
    tsr__free(shadow->log);
    tsr__free(shadow->log_slot);
    shadow->log = NULL;
    shadow->log_slot = NULL;
    shadow->logs = shadow->log_slots = shadow->log_capacity = 0;
}

static size_t hash_of(uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 24);
}

/* -- logs by address ------------------------------------------------------ */

static uint32_t *find_log_slot(const struct hazard_shadow *shadow,
                               uint64_t address)
{
    size_t mask = shadow->log_slots - 1;
    size_t at = hash_of(address) & mask;
    while (shadow->log_slot[at] &&
           shadow->log[shadow->log_slot[at] - 1].address != address)
        at = (at + 1) & mask;
    return &shadow->log_slot[at];
}

static int grow_logs(struct hazard_shadow *shadow)
{
    if (tsr__grow((void **)&shadow->log, &shadow->log_capacity,
                  shadow->logs + 1, sizeof *shadow->log))
        return -1;
    if (shadow->log_slots >= 2 * (shadow->logs + 1))
        return 0;
    size_t slots = shadow->log_slots ? shadow->log_slots * 2 : 64;
    uint32_t *fresh = tsr__calloc(slots, sizeof *fresh);
    if (!fresh)
        return -1;
    tsr__free(shadow->log_slot);
    shadow->log_slot = fresh;
    shadow->log_slots = slots;
    for (size_t i = 0; i < shadow->logs; i++)
        *find_log_slot(shadow, shadow->log[i].address) = (uint32_t)i + 1;
    return 0;
}

/* Index of the log of `address`; with `make` it is made. -1: none. */
static int64_t find_log(struct hazard_shadow *shadow, uint64_t address,
                        int make)
{
    if (shadow->log_slots) {
        uint32_t found = *find_log_slot(shadow, address);
        if (found)
            return (int64_t)found - 1;
    }
    if (!make)
        return -1;
    if (grow_logs(shadow)) {
        shadow->failed = 1;
        return -1;
    }
    struct hazard_log *log = &shadow->log[shadow->logs];
    memset(log, 0, sizeof *log);
    log->address = address;
    *find_log_slot(shadow, address) = (uint32_t)++shadow->logs;
    return (int64_t)shadow->logs - 1;
}

/* -- records -------------------------------------------------------------- */

static uint32_t *find_record_slot(const struct hazard_log *log, uint32_t block)
{
    size_t mask = log->slots - 1;
    size_t at = hash_of(block) & mask;
    while (log->slot[at] && log->record[log->slot[at] - 1].block != block)
        at = (at + 1) & mask;
    return &log->slot[at];
}

static int grow_records(struct hazard_log *log)
{
    if (tsr__grow((void **)&log->record, &log->record_capacity,
                  log->records + 1, sizeof *log->record))
        return -1;
    if (log->slots >= 2 * (log->records + 1))
        return 0;
    size_t slots = log->slots ? log->slots * 2 : 4;
    uint32_t *fresh = tsr__calloc(slots, sizeof *fresh);
    if (!fresh)
        return -1;
    tsr__free(log->slot);
    log->slot = fresh;
    log->slots = slots;
    for (size_t i = 0; i < log->records; i++)
        *find_record_slot(log, log->record[i].block) = (uint32_t)i + 1;
    return 0;
}

static void add_record(struct hazard_shadow *shadow, struct hazard_log *log,
                       uint32_t block, uint32_t epoch)
{
    if (grow_records(log)) {
        shadow->failed = 1;
        return;
    }
    uint32_t *slot = find_record_slot(log, block);
    if (*slot && log->record[*slot - 1].epoch >= epoch)
        return;
    log->record[log->records] = (struct record){block, epoch, *slot};
    *slot = (uint32_t)++log->records;
}

static void add_link(struct hazard_shadow *shadow, struct hazard_log *log,
                     struct hazard_acquired to)
{
    for (size_t i = log->links; i-- > 0;)
        if (log->link[i].to.log == to.log &&
            log->link[i].to.position >= to.position)
            return;
    if (log->links >= MAX_LINKS)
        return;
    if (tsr__grow((void **)&log->link, &log->link_capacity, log->links + 1,
                  sizeof *log->link)) {
        shadow->failed = 1;
        return;
    }
    log->link[log->links++] = (struct link){to, (uint32_t)log->records};
}

/* -- questions ------------------------------------------------------------ */

static int record_covers(const struct hazard_log *log, uint32_t position,
                         uint32_t other, uint32_t epoch)
{
    uint32_t at = log->slots ? *find_record_slot(log, other) : 0;
    while (at > position)
        at = log->record[at - 1].previous;
    return at && log->record[at - 1].epoch > epoch;
}

static int search(const struct hazard_shadow *shadow,
                  struct hazard_acquired from, uint32_t other, uint32_t epoch,
                  int *steps)
{
    const struct hazard_log *log = &shadow->log[from.log];
    if (--*steps < 0)
        return 1;
    if (record_covers(log, from.position, other, epoch))
        return 1;
    if (log->links >= MAX_LINKS)
        return 1;
    for (size_t i = 0; i < log->links; i++)
        if (log->link[i].at <= from.position &&
            log->link[i].to.log != from.log &&
            search(shadow, log->link[i].to, other, epoch, steps))
            return 1;
    return 0;
}

int emu_hazard_is_before(struct emu_hazard_block *block, uint32_t other,
                         uint32_t epoch)
{
    uint64_t key = (uint64_t)other << 32 | epoch;
    if (block->known_key == key)
        return block->known_answer;
    int steps = MAX_STEPS;
    int answer = 0;
    for (size_t i = block->acquired_count; i-- > 0 && !answer;)
        answer = search(&block->worker->shadow, block->acquired[i], other,
                        epoch, &steps);
    block->known_key = key;
    block->known_answer = answer;
    return answer;
}

/* -- events --------------------------------------------------------------- */

void emu_hazard_fence(struct emu_hazard_block *block, uint32_t warp, int gpu)
{
    emu_hazard_races_fence(&block->races, warp);
    if (gpu)
        block->epoch++;
}

static void acquire(struct emu_hazard_block *block, uint64_t address)
{
    struct hazard_shadow *shadow = &block->worker->shadow;
    int64_t found = find_log(shadow, address, 0);
    if (found < 0)
        return;
    struct hazard_acquired fresh = {(uint32_t)found,
                                    (uint32_t)shadow->log[found].records};
    block->known_key = UINT64_MAX;
    for (size_t i = 0; i < block->acquired_count; i++) {
        if (block->acquired[i].log == fresh.log) {
            block->acquired[i] = fresh;
            return;
        }
    }
    if (tsr__grow((void **)&block->acquired, &block->acquired_capacity,
                  block->acquired_count + 1, sizeof fresh)) {
        shadow->failed = 1;
        return;
    }
    block->acquired[block->acquired_count++] = fresh;
}

static void release(struct emu_hazard_block *block, uint64_t address)
{
    struct hazard_shadow *shadow = &block->worker->shadow;
    int64_t found = find_log(shadow, address, 1);
    if (found < 0)
        return;
    struct hazard_log *log = &shadow->log[found];
    for (size_t i = 0; i < block->acquired_count; i++)
        if (block->acquired[i].log != (uint32_t)found)
            add_link(shadow, log, block->acquired[i]);
    add_record(shadow, log, (uint32_t)block->linear, block->epoch);
}

/* Words that a warp writes many of at once are data rather than flags; they
** share one log (address 0), so that a tile of atomics costs one record. */
void emu_hazard_global_handshake(struct emu_hazard_block *block,
                                 const struct emu_access *access)
{
    int is_data = __builtin_popcount(access->mask) > FLAG_LANES;
    int reads = access->kind != EMU_WRITE;
    int writes = access->kind != EMU_READ;
    if (access->order >= EMU_RELEASE && writes)
        block->epoch++;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint64_t address = access->address[__builtin_ctz(rest)];
        emu_hazard_handshake(&block->races, access, address);
        if (!block->worker->owner->setup.ordered)
            continue;
        if (reads)
            acquire(block, address);
        if (reads && (is_data ? rest == access->mask : 1))
            acquire(block, 0);
        if (writes && block->epoch > 0)
            release(block, is_data ? 0 : address);
    }
}
