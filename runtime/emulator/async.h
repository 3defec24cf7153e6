/* async.h -- copies under way: issued, not yet waited for.
**
** A cp.async does nothing when it is issued but stand in its warp's queue. The
** bytes move at the last legal moment, which is the wait of the thread that
** issued it, so a missing or lax wait shows in the result. Groups are counted
** per lane: a commit closes the group of the lanes that execute it.
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
    uint32_t group[32]; /* number of the lane's group it belongs to */
    uint8_t bytes[32];  /* to read; the rest of size is zero */
    uint32_t mask;      /* lanes still pending */
    uint8_t size;
    const struct ptx_instruction *source;
};

struct emu_async {
    struct emu_copy *copy;
    size_t count, capacity;
    uint32_t commits[32]; /* groups closed by each lane */
};

/* Lanes of `mask` that have copies nobody waited for. */
uint32_t emu_async_pending(const struct emu_async *async, uint32_t mask);
void emu_async_clear(struct emu_async *async);
void emu_async_release(struct emu_async *async);

#endif
