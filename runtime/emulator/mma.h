/* mma.h -- how the tensor-core operations order their arithmetic.
**
** Integer: exact, modulo 2^32, or saturated at the end with .satfinite.
**
** Float: the hardware's order is not documented. Ours is: products exact (in
** double), added to the accumulator in ascending k, each sum rounded to double
** and the total once to the type of D. That is closer to the true value than
** any hardware; compare with a tolerance.
*/
#ifndef TSR_EMULATOR_MMA_H
#define TSR_EMULATOR_MMA_H

#include "runtime/emulator/shuffle.h"

/* mma and ldmatrix want the whole warp, exited lanes included. */
static inline void emu_check_warp(struct emu_warp *w, const struct emu_op *op,
                                  uint32_t m)
{
    if (m != w->full)
        emu_missing_lanes(w, op, w->full & ~m, m);
}

#endif
