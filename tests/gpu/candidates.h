/* candidates.h -- GEMM kernels that were compiled elsewhere, checked here.
**
** A folder holds candidates.txt and the machine code it names. Each line of
** candidates.txt is one kernel as key=value words:
**
**     file=0001 entry=gemm_w4a8 arch=sm_90a format=w4g128 n=4096 k=4096 m=16
**     out=f16 bias=0 threads=128 shared=49152 tile_n=64 tile_m=16 split_k=1
**     [estimate_us=...] [spec=...]        spec is last and runs to the line's
*end
**
** A device runs FILE.cubin, the emulator FILE.ptx. Each kernel of the device's
** architecture runs on random weights and activations into a poisoned output
** and must equal the C reference bit for bit; a GPU then times it on copies of
** its weights larger than the L2 cache.
*/
#ifndef TESTS_GPU_CANDIDATES_H
#define TESTS_GPU_CANDIDATES_H

#include <stdint.h>
#include <stdio.h>

#include "runtime/base/error.h"
#include "runtime/model/layout.h"

struct tsr_device;
struct results;

struct gpu_candidate {
    char file[64], entry[64], arch[16], spec[512];
    enum tsr_weight_format format;
    long n, k, m;
    int bf16, bias;
    long threads, shared, tile_n, tile_m, split_k;
    double estimate_us;
};

/* One line; TSR_EFORMAT says what is wrong with it. */
int gpu_candidate_parse(struct gpu_candidate *out, const char *line,
                        struct tsr_error *err);
/* Does the device run this architecture's machine code? */
int gpu_candidate_fits(const struct gpu_candidate *c, struct tsr_device *d);

struct gpu_tally {
    size_t checked, exact, failed, other_arch;
};

/* Runs the whole folder, adds an array "candidates" to `results` and a line
** per failure to `log`. Problems with more than `largest` multiply-adds are
** left out (0: none). A kernel that fails is counted, not an error. */
int gpu_candidates_run(struct tsr_device *device, const char *folder,
                       double largest, FILE *log, struct results *results,
                       struct gpu_tally *tally, struct tsr_error *err);

#endif
