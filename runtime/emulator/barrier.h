/* barrier.h -- what a barrier operation does (op.x). */
#ifndef TSR_EMULATOR_BARRIER_H
#define TSR_EMULATOR_BARRIER_H

enum { EMU_BARRIER_SYNC, EMU_BARRIER_ARRIVE, EMU_BARRIER_RED };

#endif
