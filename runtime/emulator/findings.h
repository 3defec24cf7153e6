/* findings.h -- what the emulator has to say about a kernel.
**
** A finding is one fault at one instruction. The same kind at the same
** instruction is kept once, with a count, and what is kept is the occurrence
** with the lowest (block, order inside the block). So the list does not depend
** on the number of threads that ran the blocks: each worker thread fills a
** list of its own, and emu_findings_merge folds them.
*/
#ifndef TSR_EMULATOR_FINDINGS_H
#define TSR_EMULATOR_FINDINGS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"
#include "runtime/emulator/ptx.h"

/* symbol, name on the command line and in JSON, what it means. Users read
** this list in `tessera emulate --help` and in the README. */
#define EMU_FINDING_LIST(X)                                                    \
    X(OUT_OF_BOUNDS, "out-of-bounds",                                          \
      "an access outside every allocation or variable")                        \
    X(USE_AFTER_FREE, "use-after-free",                                        \
      "an access to an allocation that was already freed")                     \
    X(MISALIGNED, "misaligned",                                                \
      "an address that is not a multiple of the access size")                  \
    X(READ_ONLY, "read-only-write",                                            \
      "a write to constant or parameter memory, or to an input")               \
    X(UNINITIALIZED_SHARED, "uninitialized-shared",                            \
      "a read of shared memory that this block has not written")               \
    X(UNINITIALIZED_LOCAL, "uninitialized-local",                              \
      "a read of local memory of which this thread has written no byte")       \
    X(UNINITIALIZED_REGISTER, "uninitialized-register",                        \
      "a register is used in a lane that has not written it")                  \
    X(SHARED_RACE, "shared-race",                                              \
      "two warps touch the same shared bytes, one writes, nothing orders "     \
      "them")                                                                  \
    X(LANE_RACE, "lane-race",                                                  \
      "two lanes of one warp touch the same shared bytes, one writes, with "   \
      "no bar.warp.sync between")                                              \
    X(ASYNC_PENDING, "async-pending",                                          \
      "shared bytes are touched while a cp.async to them has not been waited " \
      "for")                                                                   \
    X(ASYNC_EXIT, "async-exit",                                                \
      "threads exit with cp.async copies they never waited for")               \
    X(GLOBAL_CONFLICT, "global-conflict",                                      \
      "two blocks of one launch touch the same global bytes, one writes, not " \
      "both are atomic, and nothing orders them")                              \
    X(DIVERGENT_SYNC, "divergent-sync",                                        \
      "a warp-synchronous instruction is executed without all the lanes it "   \
      "names")                                                                 \
    X(BARRIER, "barrier-misuse",                                               \
      "a barrier is used with wrong counts, by exited threads, or under "      \
      "divergence")                                                            \
    X(DEADLOCK, "deadlock", "no warp of the block can make progress")          \
    X(TIMEOUT, "timeout", "the instruction limit was reached")                 \
    X(TRAP, "trap", "the kernel executed trap or a failing assertion")         \
    X(SCHEDULE, "schedule-dependent",                                          \
      "two schedules leave different bytes in global memory")                  \
    X(INVALID, "invalid-operation",                                            \
      "an instruction has operand values that PTX leaves undefined")           \
    X(CONTRACTION, "missing-rn",                                               \
      "note: a float add, sub or mul without a rounding mode may be fused by " \
      "ptxas and then differs from the emulator")                              \
    X(IRREGULAR, "irregular-flow",                                             \
      "note: control flow in which no order reconverges every warp at its "    \
      "post-dominator")

enum emu_finding_kind {
#define X(symbol, name, text) EMU_##symbol,
    EMU_FINDING_LIST(X)
#undef X
        EMU_FINDING_KINDS
};

const char *emu_finding_name(enum emu_finding_kind kind);
const char *emu_finding_meaning(enum emu_finding_kind kind);
/* 1 for kinds that inform and fail nothing. */
int emu_finding_is_note(enum emu_finding_kind kind);

struct emu_finding {
    enum emu_finding_kind kind;
    char *message; /* one line, the finding list owns it */
    const struct ptx_instruction *instruction; /* NULL: not at one */
    int ptx_line;                              /* 0: unknown */
    const char *file;     /* template file through .loc, or NULL */
    int line;             /* template line, 0 without .loc */
    uint64_t block;       /* linear index */
    uint32_t block_id[3]; /* %ctaid */
    uint32_t warp;        /* in the block */
    uint32_t lanes;       /* mask, 0: not about lanes */
    uint64_t address;     /* guest address or shared offset, 0: none */
    uint64_t sequence;    /* order inside the block */
    uint64_t count;       /* occurrences folded into this one */
};

/* Zero-initialise. After a failed allocation `failed` is set and findings may
** be missing; the launch must then fail with TSR_EMEMORY. */
struct emu_findings {
    struct emu_finding *item; /* in no order until emu_findings_sort */
    size_t count;
    size_t capacity;
    uint32_t *slot; /* hash of (kind, instruction) -> item + 1 */
    size_t slots;
    uint64_t dropped; /* cut off by emu_findings_sort */
    int failed;
};

/* Folds one occurrence in. All fields but `message` and `count` are read from
** `finding`; the text is made from fmt only if it is kept. */
void emu_findings_add(struct emu_findings *findings,
                      const struct emu_finding *finding, const char *fmt, ...)
    TSR_PRINTF(3, 4);
void emu_findings_addv(struct emu_findings *findings,
                       const struct emu_finding *finding, const char *fmt,
                       va_list args);
/* Moves everything out of `from`, which is then empty. */
void emu_findings_merge(struct emu_findings *into, struct emu_findings *from);
/* By block, then order inside it, then line; keeps the first `limit`. */
void emu_findings_sort(struct emu_findings *findings, size_t limit);
void emu_findings_release(struct emu_findings *findings);

#endif
