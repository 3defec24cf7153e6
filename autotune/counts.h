/* counts.h -- the emulator's counts as JSON, as plan.cost reads them. */
#ifndef TUNE_COUNTS_H
#define TUNE_COUNTS_H

#include <jansson.h>

#include "runtime/emulator/counts.h"

/* {"warp_instructions": {class: n}, "lane_instructions": {class: n},
** "mma": {shape: n}, and every field of EMU_COUNT_LIST}; zeroes left out.
** NULL when out of memory. */
json_t *tune_counts_json(const struct emu_counts *counts);

#endif
