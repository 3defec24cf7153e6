/* shuffle.h -- warp-synchronous operations: what they share. */
#ifndef TSR_EMULATOR_SHUFFLE_H
#define TSR_EMULATOR_SHUFFLE_H

#include "runtime/emulator/exec.h"
#include "runtime/emulator/random.h"

enum emu_redux {
    EMU_REDUX_ADD,
    EMU_REDUX_AND,
    EMU_REDUX_OR,
    EMU_REDUX_XOR,
    EMU_REDUX_MIN,
    EMU_REDUX_MAX
};

/* A finding unless exactly the living lanes of `members` execute. */
void emu_check_members(struct emu_warp *w, const struct emu_op *op,
                       uint32_t members, uint32_t m);

/* The member mask of an operation, after that check. */
uint32_t emu_members_of(struct emu_warp *w, const unsigned char *r,
                        const struct emu_op *op, uint32_t m);
/* The finding of an operation that wants the whole warp. */
void emu_missing_lanes(struct emu_warp *w, const struct emu_op *op,
                       uint32_t missing, uint32_t m);

#endif
