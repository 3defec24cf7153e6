/* memory_map.h -- inside emulator.h's emu_memory. */
#ifndef TSR_EMULATOR_MEMORY_MAP_H
#define TSR_EMULATOR_MEMORY_MAP_H

#include "runtime/emulator/emulator.h"

/* A living allocation: [base, end). */
struct emu_span {
    uint64_t base, end;
    int read_only;
};

/* The living allocations, ascending; the caller frees the array. */
int emu_memory_spans(struct emu_memory *memory, struct emu_span **out,
                     size_t *count, struct tsr_error *err);
/* emu_hazard_setup.find_region: `context` is the emu_memory. */
int emu_memory_find_region(void *context, uint64_t address,
                           struct emu_region *out);

/* All bytes of all living allocations that kernels may write: to put them
** back between schedules, and to compare what schedules leave. */
struct emu_snapshot;
int emu_snapshot_take(struct emu_snapshot **out, struct emu_memory *memory,
                      struct tsr_error *err);
void emu_snapshot_restore(const struct emu_snapshot *snapshot);
/* Address of the first byte that differs from memory now, or 0. */
uint64_t emu_snapshot_compare(const struct emu_snapshot *snapshot);
void emu_snapshot_free(struct emu_snapshot *snapshot);

#endif
