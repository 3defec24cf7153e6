/* hazards.h -- faults that a GPU would not report.
**
** The core tells this module, warp instruction by warp instruction, what a
** block does to memory and how its warps synchronise. The module keeps the
** shadow state and writes findings.
**
**     emu_hazards           one per launch: what all workers share
**      └── emu_hazard_worker  one per thread: shadow memory, findings
**           └── emu_hazard_block  one per resident block: clocks, pending
*copies
**
** The core does bounds and alignment itself, always, since it must not touch
** host memory that is not there. Its test is coarse (lowest and highest
** address of the warp); when it fails it calls emu_hazard_bad_access, which
** finds the lanes at fault, says what lies nearest, and returns their mask.
** The other emu_hazard_* event functions are called only while checks are on
** (setup.checks).
**
** Order between warps is happens-before. Time is one counter per worker that
** ticks at each release; vc[w][v] is the time up to which warp w has seen warp
** v's accesses. See races.c.
**
** Global conflicts between blocks are found two ways. Where blocks run on
** several threads the kernel cannot depend on their order (no atomic result is
** used, no strong load), so it is enough to keep for each byte the lowest and
** the highest block that wrote and that read it; those do not depend on the
** order, and workers' shadows fold together at the end. With `ordered` (one
** thread) accesses ordered by fence + atomic hand-shakes are let pass. See
** conflicts.c.
*/
#ifndef TSR_EMULATOR_HAZARDS_H
#define TSR_EMULATOR_HAZARDS_H

#include "runtime/emulator/findings.h"

enum emu_access_kind {
    EMU_READ,
    EMU_WRITE,
    EMU_READ_WRITE, /* atom, red */
};

/* How an access takes part in the memory model. volatile, relaxed and mmio are
** EMU_STRONG, atom/red without a qualifier too (PTX: .relaxed). */
enum emu_access_order {
    EMU_WEAK,
    EMU_STRONG,
    EMU_ACQUIRE,
    EMU_RELEASE,
    EMU_ACQ_REL,
};

/* One memory access of one warp instruction. */
struct emu_access {
    const struct ptx_instruction *instruction;
    enum ptx_space space; /* SHARED, GLOBAL, LOCAL, CONST or PARAM */
    enum emu_access_kind kind;
    enum emu_access_order order;
    uint32_t warp;
    uint32_t mask;           /* lanes that take part */
    uint32_t bytes;          /* of each lane, vectors included */
    const uint64_t *address; /* [32]; SHARED, LOCAL, PARAM: offset from the
                                start of the window; GLOBAL: guest address */
    int collective; /* ldmatrix, mma: every lane sees what any lane reads */
};

/* Memory that findings can name. */
struct emu_region {
    const char *name;
    uint64_t base;
    uint64_t bytes;
    int freed;
    int read_only;
};

/* A variable in the shared (or local, param, const) window of a block. */
struct emu_window_variable {
    const char *name;
    enum ptx_space space;
    uint64_t offset;
    uint64_t bytes;
};

struct emu_hazard_setup {
    const struct ptx_module *module;
    const struct ptx_function *function; /* the entry */
    int checks;  /* 0: only emu_hazard_bad_access and emu_hazard_report */
    int ordered; /* blocks run on one thread, interleaved in a seeded order */
    int contraction_notes; /* report float add/sub/mul without .rn */
    uint32_t grid[3];
    uint32_t block_threads;
    uint64_t shared_bytes; /* window: static and dynamic */
    uint64_t local_bytes;  /* window of a thread */
    uint64_t param_bytes;
    const struct emu_window_variable *variables; /* kept, not copied */
    size_t variable_count;
    /* The allocation that contains `address`, else the nearest; freed ones
    ** count. Returns 0 when there is none. Called for messages only. */
    int (*find_region)(void *context, uint64_t address, struct emu_region *out);
    void *context;
};

struct emu_hazards;
struct emu_hazard_worker;
struct emu_hazard_block;

int emu_hazards_open(struct emu_hazards **out,
                     const struct emu_hazard_setup *setup,
                     struct tsr_error *err);
/* Call from one thread, before the threads start, as often as there will be
** threads. The hazards object owns the workers. */
int emu_hazards_add_worker(struct emu_hazards *hazards,
                           struct emu_hazard_worker **out,
                           struct tsr_error *err);
/* After all threads have ended: finds the conflicts between blocks, moves all
** findings into `*findings` (which may already hold some from earlier
** launches or schedules). TSR_EMEMORY when something is missing from it. */
int emu_hazards_finish(struct emu_hazards *hazards,
                       struct emu_findings *findings, struct tsr_error *err);
void emu_hazards_free(struct emu_hazards *hazards);

/* A block begins and ends on one worker; several may be resident at once.
** `linear` is x + y*grid.x + z*grid.x*grid.y. */
int emu_hazard_block_begin(struct emu_hazard_worker *worker, uint64_t linear,
                           const uint32_t ctaid[3],
                           struct emu_hazard_block **out,
                           struct tsr_error *err);
void emu_hazard_block_end(struct emu_hazard_block *block);

/* -- always --------------------------------------------------------------- */

/* The core's bounds or alignment test failed. Returns the lanes at fault,
** after a finding; they must not be executed (a load gives them zero). 0 when
** the access is in order after all (e.g. lanes in different allocations).
** Alignment required is access->bytes. */
uint32_t emu_hazard_bad_access(struct emu_hazard_block *block,
                               const struct emu_access *access);
/* A fault that the core itself noticed. `instruction` may be NULL. */
void emu_hazard_report(struct emu_hazard_block *block,
                       enum emu_finding_kind kind,
                       const struct ptx_instruction *instruction, uint32_t warp,
                       uint32_t lanes, uint64_t address, const char *fmt, ...)
    TSR_PRINTF(7, 8);

/* -- memory, checks on ---------------------------------------------------- */

/* ld, st, atom, red, ldmatrix on shared memory, after the bounds test. */
void emu_hazard_shared(struct emu_hazard_block *block,
                       const struct emu_access *access);
/* The same for global memory. */
void emu_hazard_global(struct emu_hazard_block *block,
                       const struct emu_access *access);
/* The same for local memory (ld.local, st.local and generic accesses that go
** there); addresses are offsets in the lane's own window. */
void emu_hazard_local(struct emu_hazard_block *block,
                      const struct emu_access *access);

/* cp.async: `to` is the shared destination (kind WRITE). The bytes are pending
** from now on. (The global source: call emu_hazard_global with kind READ.)
** The module copies what it needs. */
void emu_hazard_async_issue(struct emu_hazard_block *block,
                            const struct emu_access *to);
/* The wait of the issuing warp has delivered these bytes: same addresses and
** mask as at the issue, `instruction` that of the issue. */
void emu_hazard_async_land(struct emu_hazard_block *block,
                           const struct emu_access *to);

/* -- order, checks on ----------------------------------------------------- */

/* Warp arrives at barrier `id` (bar.sync, bar.red, bar.arrive). */
void emu_hazard_barrier_arrive(struct emu_hazard_block *block, uint32_t id,
                               uint32_t warp);
/* The barrier is complete: `waiting` warps (bit per warp) go on. */
void emu_hazard_barrier_complete(struct emu_hazard_block *block, uint32_t id,
                                 uint32_t waiting);
/* bar.warp.sync of the lanes in `mask`. */
void emu_hazard_warp_sync(struct emu_hazard_block *block, uint32_t warp,
                          uint32_t mask);
/* membar, fence. `gpu`: scope .gpu, .gl, .sys, .cluster; 0: .cta. */
void emu_hazard_fence(struct emu_hazard_block *block, uint32_t warp, int gpu);
/* Lanes of a warp exit. `pending`: lanes that have cp.async copies which were
** never waited for; reported against `instruction`. */
void emu_hazard_exit(struct emu_hazard_block *block,
                     const struct ptx_instruction *instruction, uint32_t warp,
                     uint32_t lanes, uint32_t pending);

/* -- load time ------------------------------------------------------------ */

/* Does a launch of this function need `ordered`: is the result of an atomic
** used, is there a float atomic, a strong global load? */
int emu_hazard_needs_order(const struct ptx_function *function);

#endif
