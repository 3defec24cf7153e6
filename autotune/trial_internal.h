/* trial_internal.h -- shared by trial.c and trial_verify.c. */
#ifndef TUNE_TRIAL_INTERNAL_H
#define TUNE_TRIAL_INTERNAL_H

#include "autotune/tiles.h"
#include "autotune/trial.h"

struct tune_tiles tune__trial_tiles(const struct tune_trial *trial, size_t m);

#endif
