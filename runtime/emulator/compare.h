/* compare.h -- comparison operators of set and setp, as op.x holds them. The
** unsigned spellings lo ls hi hs are lt le gt ge of an unsigned type. */
#ifndef TSR_EMULATOR_COMPARE_H
#define TSR_EMULATOR_COMPARE_H

enum emu_compare {
    EMU_EQ,
    EMU_NE,
    EMU_LT,
    EMU_LE,
    EMU_GT,
    EMU_GE,
    EMU_EQU,
    EMU_NEU,
    EMU_LTU,
    EMU_LEU,
    EMU_GTU,
    EMU_GEU,
    EMU_NUM,
    EMU_ISNAN
};

#endif
