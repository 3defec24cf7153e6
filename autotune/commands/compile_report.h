/* compile_report.h -- what `tessera compile` says about machine code. */
#ifndef TUNE_COMMANDS_COMPILE_REPORT_H
#define TUNE_COMMANDS_COMPILE_REPORT_H

#include "gen/host/cubin.h"
#include "gen/host/generator.h"
#include "gen/host/nvrtc.h"
#include "gen/host/sass.h"

struct compile_report {
    const char *spec; /* of a SPEC, else NULL */
    const char *file; /* of a .cu file, else NULL */
    const char *arch;
    const struct gen_launch *launch; /* of a SPEC, else NULL */
    const struct gen_binary *binary;
    const struct gen_cubin *cubin;
    const struct gen_sass *sass; /* one for each kernel of the cubin */
    double compile_ms;           /* median */
    int repeat;
};

/* One object for the whole, as --json prints it; the caller owns it. */
json_t *compile_report_json(const struct compile_report *report);
void compile_report_print(const struct compile_report *report);

/* Lane instructions other than MMA that the main loop spends on one weight,
** or a negative number where that means nothing. An m16n8k32 MMA covers
** 16 x 32 weights for 8 tokens; a tile of `tile_m` tokens meets each weight
** tile_m / 8 times, however its warps divide it:
**
**     32 (instructions - mma) / (mma 16 32 8 / tile_m)
*/
double compile_instructions_per_weight(const struct gen_sass *sass,
                                       const struct gen_launch *launch);

#endif
