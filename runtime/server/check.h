/* check.h -- will this model, package and device serve together?
**
** Opens all three as the server does, loads every kernel of the package that
** is for this architecture, and launches each on the first layer's weights
** with the same few made-up tokens. Integer sums are exact, so every kernel of
** a linear must give the same bits, whatever its tile, split or bucket: one
** that differs is reported, with no reference needed.
*/
#ifndef TSR_SERVER_CHECK_H
#define TSR_SERVER_CHECK_H

#include <stdio.h>

#include "runtime/base/error.h"

struct tsr_check {
    const char *package;
    const char *model;  /* a quantised folder, or NULL: only load */
    const char *device; /* NULL: cuda:0, else the emulator */
    int json;
    FILE *out;
};

/* Prints one line for each linear and one with the verdict. TSR_EMISMATCH when
** two kernels disagree, TSR_ENOTFOUND when a linear has no kernel. */
int tsr__server_check(const struct tsr_check *check, struct tsr_error *err);

#endif
