/* exec.h -- running warps and blocks. */
#ifndef TSR_EMULATOR_EXEC_H
#define TSR_EMULATOR_EXEC_H

#include "runtime/emulator/warp.h"

/* Why a warp stopped. */
enum emu_pause {
    EMU_PAUSE_TURN,    /* its turn is over; it can go on */
    EMU_PAUSE_BLOCKED, /* all its lanes wait */
    EMU_PAUSE_DONE,    /* all its lanes have exited */
};

/* exec.c: runs `warp` for at most `*turn` operations, which it counts down. */
enum emu_pause emu_warp_run(struct emu_warp *warp, uint64_t *turn);
/* The fragment that comes first among those that can run, or -1. */
int emu_warp_first(const struct emu_warp *warp);

/* frame.c */
struct emu_frame *emu_frame_enter(struct emu_warp *warp,
                                  const struct emu_code *code,
                                  struct emu_frame *parent, uint32_t call,
                                  uint32_t local_base);
void emu_frame_leave(struct emu_warp *warp, struct emu_frame *frame);
/* Frees the frames of calls, finished or not. */
void emu_frame_leave_calls(struct emu_warp *warp);
/* Sets the slots whose value depends on block and warp. */
void emu_frame_fill(struct emu_warp *warp, struct emu_frame *frame);

/* barrier.c: the fragment arrives; *waits says whether it stops here. */
void emu_barrier_arrive(struct emu_warp *warp, struct emu_fragment *fragment,
                        const struct emu_op *op, uint32_t mask, int *waits);
/* Lanes left the block: what waits only for them goes on. */
void emu_barrier_exits(struct emu_block *block);
/* bar.warp.sync: releases the fragments whose members have all arrived. */
void emu_warp_barrier(struct emu_warp *warp);

/* block.c */
int emu_block_open(struct emu_block *block, struct emu_worker *worker);
void emu_block_close(struct emu_block *block);
int emu_block_begin(struct emu_block *block, uint64_t linear);
/* One round over all warps. 1 when the block has ended. */
int emu_block_round(struct emu_block *block, uint64_t turn);
/* Stops the block with a finding: it ran out of time. */
void emu_block_expire(struct emu_block *block);

/* A fault at `op`. */
void emu_fault(struct emu_warp *warp, const struct emu_op *op,
               enum emu_finding_kind kind, uint32_t lanes, uint64_t address,
               const char *fmt, ...) TSR_PRINTF(6, 7);
/* The same, and the block stops. */
void emu_block_stop(struct emu_block *block);

#endif
