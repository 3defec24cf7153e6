/* float.h -- what every float handler does around the operation itself.
**
** A NaN result of 32 bits or less is the canonical quiet NaN of the hardware
** (0x7fffffff, 0x7fff); doubles keep the payload. Subnormals are kept unless
** the instruction says .ftz. Directed rounding changes the host's mode for the
** length of a loop; operands come from memory and results go there, so the
** compiler cannot move the arithmetic out of it.
*/
#ifndef TSR_EMULATOR_FLOAT_H
#define TSR_EMULATOR_FLOAT_H

#include <fenv.h>
#include <math.h>
#include <stdint.h>

#include "runtime/base/half.h"
#include "runtime/emulator/op.h"

#define EMU_NAN_F32 UINT32_C(0x7fffffff)

static inline float emu_canonical(float v)
{
    return v == v ? v : tsr__bits_float(EMU_NAN_F32);
}

/* Subnormal to zero of the same sign. */
static inline float emu_flush(float v)
{
    uint32_t bits = tsr__float_bits(v);
    return bits & 0x7f800000 ? v : tsr__bits_float(bits & 0x80000000);
}

static inline float emu_flush_if(float v, int flags)
{
    return flags & EMU_FTZ ? emu_flush(v) : v;
}

/* To [0, 1]; NaN to 0. */
static inline float emu_saturate(float v)
{
    return v > 0 ? v < 1 ? v : 1 : 0;
}

static inline float emu_finish(float v, int flags)
{
    if (flags & EMU_FTZ)
        v = emu_flush(v);
    if (flags & EMU_SAT)
        v = emu_saturate(v);
    return emu_canonical(v);
}

static inline int emu_host_rounding(enum emu_rounding mode)
{
    switch (mode) {
    case EMU_RZ:
        return FE_TOWARDZERO;
    case EMU_RM:
        return FE_DOWNWARD;
    case EMU_RP:
        return FE_UPWARD;
    default:
        return FE_TONEAREST;
    }
}

#endif
