/* async.h -- copies under way: issued, not yet waited for.
**
** A cp.async does nothing when it is issued but stand in its warp's queue. The
** bytes move at the last legal moment, which is the wait of the thread that
** issued it, so a missing or lax wait shows in the result. Groups are counted
** per lane: a commit closes the group of the lanes that execute it. While all
** lanes commit together (`even`) one number does for them.
**
** Version 2 puts bulk copies and wgmma beside it: they are entries with
** another way to end (an mbarrier's transaction count, a wgmma group).
*/
#ifndef TSR_EMULATOR_ASYNC_H
#define TSR_EMULATOR_ASYNC_H

#include <stddef.h>
#include <stdint.h>

struct ptx_instruction;

struct emu_copy {
    uint64_t from[32];
    uint32_t to[32];    /* offset in shared memory */
    uint32_t group[32]; /* unless even: the lane's group it belongs to */
    uint8_t bytes[32];  /* unless whole: to read; the rest of size is zero */
    uint32_t mask;      /* lanes still pending */
    uint32_t even_group;
    uint8_t size;
    uint8_t even;
    uint8_t whole; /* every lane reads all of size */
    uint8_t run;   /* lanes follow one another, at both ends */
    const struct ptx_instruction *source;
};

/* Entries [first, count) are in order of issue; those with mask 0 are done. */
struct emu_async {
    struct emu_copy *copy;
    size_t first, count, capacity;
    int even;
    uint32_t even_commits;
    uint32_t commits[32]; /* unless even: groups closed by each lane */
};

/* A new entry at the end, not counted yet; NULL: out of memory. */
struct emu_copy *emu_async_push(struct emu_async *async);
/* Lanes of `mask` that have copies nobody waited for. */
uint32_t emu_async_pending(const struct emu_async *async, uint32_t mask);
void emu_async_clear(struct emu_async *async);
void emu_async_release(struct emu_async *async);

#endif
