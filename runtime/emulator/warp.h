/* warp.h -- the state of a running launch. All of it is data: no host stack
** belongs to a warp, so any warp can stop anywhere and go on later.
**
**     emu_run       one launch under one seed, shared by the workers
**      └ emu_worker   one per host thread
**         └ emu_block   a resident block: shared memory, barriers
**            └ emu_warp   32 lanes
**               ├ emu_fragment   lanes that stand at one pc of one frame
**               └ emu_frame      registers of one activation of a function
**
** A warp's lanes are split over fragments. The one that comes first in rank
** order runs until it meets another at the same place and merges with it.
*/
#ifndef TSR_EMULATOR_WARP_H
#define TSR_EMULATOR_WARP_H

#include "runtime/emulator/async.h"
#include "runtime/emulator/emulator.h"
#include "runtime/emulator/hazards.h"
#include "runtime/emulator/memory_map.h"
#include "runtime/emulator/op.h"

#define EMU_BARRIERS   16
#define EMU_MAX_WARPS  32
#define EMU_CALL_DEPTH 256
#define EMU_HINTS      64

/* Generic windows. Host addresses stay below 2^56. */
#define EMU_WINDOW_MASK   (UINT64_C(0xff) << 56)
#define EMU_WINDOW_SHARED (UINT64_C(0x10) << 56)
#define EMU_WINDOW_LOCAL  (UINT64_C(0x20) << 56)
#define EMU_WINDOW_PARAM  (UINT64_C(0x30) << 56)

struct emu_frame {
    unsigned char *r; /* slots */
    const struct emu_code *code;
    struct emu_frame *parent;
    struct emu_frame *next; /* of the warp's calls */
    uint32_t call;          /* op index of the call in the parent */
    uint32_t local_base;    /* where its locals begin, per thread */
    uint32_t depth;
};

enum emu_fragment_state {
    EMU_RUNNABLE,
    EMU_AT_BARRIER,
    EMU_AT_WARP_BARRIER,
    EMU_PARKED, /* at a warp-synchronous op, for lanes that may yet come */
};

struct emu_fragment {
    struct emu_frame *frame;
    uint32_t pc; /* next op; of a waiting fragment: after the barrier */
    uint32_t mask;
    uint32_t members; /* AT_WARP_BARRIER: whom it waits for */
    uint8_t state;
    uint8_t barrier; /* AT_BARRIER: which */
    uint8_t forced;  /* was PARKED and nobody came: goes on as it is */
};

struct emu_warp {
    struct emu_block *block;
    uint32_t id;
    uint32_t live; /* lanes that have not exited */
    uint32_t full; /* lanes that ever were */
    uint32_t fragment_count;
    struct emu_fragment fragment[32];
    struct emu_frame *frame;  /* where the running fragment stands */
    struct emu_frame *bottom; /* of the entry */
    struct emu_frame *calls;  /* all others */
    struct emu_async async;
    uint64_t random; /* state of the seeded generator, never 0 */
};

struct emu_barrier {
    int active;        /* somebody arrived */
    uint32_t expected; /* threads; 0: all that have not exited */
    uint32_t arrived;
    uint32_t waiting;              /* bit per warp */
    uint32_t lanes[EMU_MAX_WARPS]; /* who arrived */
    uint32_t votes, voters;        /* bar.red */
};

struct emu_block {
    struct emu_worker *worker;
    struct emu_run *run;
    unsigned char *shared;
    uint32_t shared_bytes;
    unsigned char *local; /* [warp][lane][local_bytes] */
    uint32_t local_bytes;
    struct emu_hazard_block *hazards;
    int checks; /* hazards want to see memory and order */
    int counts;
    uint32_t warp_count;
    struct emu_warp *warp;
    struct emu_barrier barrier[EMU_BARRIERS];
    uint32_t ctaid[3];
    uint64_t linear;
    uint64_t executed; /* warp instructions */
    uint32_t visits;   /* of its worker, that did not bring it to its end */
    uint64_t progress; /* ticks when something was released or ended */
    int stopped;       /* trap, deadlock, limit: no warp goes on */
    int running;
    uint64_t random;
};

/* One launch under one seed. Constant while workers run, but for the fields
** that say they are atomic. */
struct emu_run {
    const struct emu_launch *launch;
    const struct emu_kernel *kernel;
    const struct emu_code *code;  /* the entry's, for the chosen isa */
    const struct emu_code *codes; /* all functions of the module */
    const size_t *count_base;     /* per function: its part of the counters */
    size_t count_total;
    struct emu_options options;
    const struct emu_span *span; /* living allocations, ascending */
    size_t span_count;
    struct emu_hazards *hazards;
    uint64_t seed;
    uint64_t limit; /* warp instructions of a block */
    uint64_t block_total;
    const uint64_t *order; /* block numbers in running order, or NULL */
    uint32_t shared_bytes, shared_static, local_bytes;
    uint64_t next;    /* atomic: next entry of the order */
    uint64_t stop_at; /* atomic: no block after this one need run */
    uint64_t started; /* nanoseconds, for globaltimer */
};

struct emu_worker {
    struct emu_run *run;
    struct emu_hazard_worker *hazards;
    struct emu_counts counts;
    uint64_t *executions; /* per function and instruction, with counts */
    uint64_t *lanes;
    struct emu_block *block; /* resident ones */
    uint32_t block_count;
    uint64_t executed;
    struct tsr_buffer output;
    struct emu_span hint[EMU_HINTS]; /* allocations found last: reach.h */
    int failed;                      /* ran out of memory */
};

/* options.perturb_ulp, for alu_approx.c. */
int emu_warp_perturb(const struct emu_warp *warp);

#endif
