/* counts.h -- what a kernel does, in numbers that do not vary.
**
** The core keeps two arrays per worker, indexed by instruction: how often a
** warp executed it and in how many lanes. Memory accesses are counted here,
** event by event, since only addresses tell bank conflicts and sectors.
** Counts of workers add up, so they do not depend on the number of threads.
**
** Shared memory: 32 banks of 4 bytes. One wavefront serves all lanes whose
** words fall into different banks, or into the same word. 8-byte accesses go
** by half warps, 16-byte ones by quarter warps, ldmatrix by its 8-row phases.
** `ideal` is the number of wavefronts that the distinct bytes need at 128
** bytes a wavefront. Global memory goes by sectors of 32 bytes; `ideal` is
** the distinct bytes / 32, rounded up per instruction.
*/
#ifndef TSR_EMULATOR_COUNTS_H
#define TSR_EMULATOR_COUNTS_H

#include "runtime/emulator/hazards.h"

/* symbol, name, which instructions */
#define EMU_CLASS_LIST(X)                                                   \
    X(INTEGER, "integer", "add mul mad shl and lop3 prmt min bfe dp4a ...") \
    X(FLOAT, "float", "f32 arithmetic")                                     \
    X(HALF, "half", "f16, f16x2, bf16, bf16x2 arithmetic")                  \
    X(DOUBLE, "double", "f64 arithmetic")                                   \
    X(SPECIAL, "special", "rcp sqrt rsqrt ex2 lg2 sin cos tanh div")        \
    X(CONVERT, "convert", "cvt")                                            \
    X(MOVE, "move", "mov cvta, packing and unpacking")                      \
    X(PREDICATE, "predicate", "setp set selp slct, logic on predicates")    \
    X(BRANCH, "branch", "bra call ret exit")                                \
    X(PARAM, "param", "ld.param st.param")                                  \
    X(GLOBAL_LOAD, "global_load", "ld.global, generic loads")               \
    X(GLOBAL_STORE, "global_store", "st.global, generic stores")            \
    X(SHARED_LOAD, "shared_load", "ld.shared ldmatrix")                     \
    X(SHARED_STORE, "shared_store", "st.shared stmatrix")                   \
    X(LOCAL, "local", "ld.local st.local")                                  \
    X(CONSTANT, "constant", "ld.const")                                     \
    X(ATOMIC, "atomic", "atom red")                                         \
    X(ASYNC, "async", "cp.async and its commits and waits")                 \
    X(SHUFFLE, "shuffle", "shfl vote match redux activemask elect")         \
    X(MMA, "mma", "mma wmma wgmma")                                         \
    X(SYNC, "sync", "bar barrier membar fence mbarrier")                    \
    X(OTHER, "other", "prefetch nanosleep and what is in no other class")

enum emu_class {
#define X(symbol, name, text) EMU_CLASS_##symbol,
    EMU_CLASS_LIST(X)
#undef X
        EMU_CLASSES
};

const char *emu_class_name(enum emu_class class);
enum emu_class emu_class_of(const struct ptx_instruction *instruction);

#define EMU_MMA_SHAPES 16

struct emu_mma_count {
    char name[40];          /* "m16n8k32.s32.u8.s8.s32" */
    uint64_t count;         /* warp instructions */
    uint64_t multiply_adds; /* per warp instruction */
};

/* Plain sums; every field listed by EMU_COUNT_LIST is printed under its name.
 */
#define EMU_COUNT_LIST(X)                                             \
    X(shared_wavefronts) /* loads and stores, ldmatrix, cp.async */   \
    X(shared_wavefronts_ideal)                                        \
    X(shared_load_bytes) /* lane bytes */                             \
    X(shared_store_bytes)                                             \
    X(global_sectors) /* requested, 32 bytes each */                  \
    X(global_sectors_ideal)                                           \
    X(global_load_sectors) /* of global_sectors: loads, cp.async */   \
    X(global_store_sectors)                                           \
    X(global_load_bytes) /* lane bytes; cp.async included */          \
    X(global_store_bytes)                                             \
    X(global_atomic_bytes)                                            \
    X(shared_atomic_bytes)                                            \
    X(local_bytes)                                                    \
    X(constant_bytes)                                                 \
    X(async_copies)      /* lane cp.async operations */               \
    X(mma_multiply_adds) /* all shapes */                             \
    X(barriers)          /* warp arrivals at bar.sync and the like */ \
    X(blocks)            /* the core adds one for each block that ran */

struct emu_counts {
    uint64_t warp_instructions[EMU_CLASSES];
    uint64_t lane_instructions[EMU_CLASSES];
#define X(name) uint64_t name;
    EMU_COUNT_LIST(X)
#undef X
    struct emu_mma_count mma[EMU_MMA_SHAPES];
    int mma_shapes;
};

/* One memory access (any space). Call before or after executing it. For
** cp.async call it twice: READ of global, WRITE of shared; `async` is set then
** (it counts async_copies on the shared side). */
void emu_count_access(struct emu_counts *counts,
                      const struct emu_access *access, int async);
/* Folds the per-instruction counters of `function` in: warps[i] executions of
** instruction i, lanes[i] lanes in them. */
void emu_count_instructions(struct emu_counts *counts,
                            const struct ptx_function *function,
                            const uint64_t *warps, const uint64_t *lanes);
void emu_counts_add(struct emu_counts *into, const struct emu_counts *more);
/* All classes together. */
uint64_t emu_counts_warp_total(const struct emu_counts *counts);
uint64_t emu_counts_lane_total(const struct emu_counts *counts);
/* Lane instructions of all classes but MMA: what the work per weight is
** measured with. */
uint64_t emu_counts_lane_outside_mma(const struct emu_counts *counts);
/* The field with this index in EMU_COUNT_LIST order: its name, or NULL past
** the end. */
const char *emu_counts_field(const struct emu_counts *counts, int index,
                             uint64_t *value);

#endif
