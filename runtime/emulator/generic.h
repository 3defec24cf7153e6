/* generic.h -- generic addresses: which window an address lies in. */
#ifndef TSR_EMULATOR_GENERIC_H
#define TSR_EMULATOR_GENERIC_H

#include "runtime/emulator/warp.h"

/* op.target of an operation on generic addresses. */
#define EMU_ANYWHERE UINT32_C(0xff)

/* Lanes of m whose address lies in `window`; theirs become offsets. */
uint32_t emu_in_window(uint64_t window, const uint64_t address[32], uint32_t m,
                       uint64_t offset[32]);

#endif
