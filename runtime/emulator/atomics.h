/* atomics.h -- operations of atom and red (op.y). */
#ifndef TSR_EMULATOR_ATOMICS_H
#define TSR_EMULATOR_ATOMICS_H

enum emu_atomic {
    EMU_ATOMIC_ADD,
    EMU_ATOMIC_MIN,
    EMU_ATOMIC_MAX,
    EMU_ATOMIC_AND,
    EMU_ATOMIC_OR,
    EMU_ATOMIC_XOR,
    EMU_ATOMIC_EXCH,
    EMU_ATOMIC_CAS,
    EMU_ATOMIC_INC,
    EMU_ATOMIC_DEC
};

#endif
