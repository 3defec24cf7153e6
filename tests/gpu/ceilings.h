/* ceilings.h -- what a GPU can do at most, measured on it.
**
** A folder holds ceilings.txt and a cubin for each line of it:
**
**     file=read_stream.sm_90a entry=read_stream arch=sm_90a blocks_per_sm=2
**     block=256 shared=0 bytes=134217728 ops=0 rounds=4
**
** An entry is `name(void *out, const void *in, u64 bytes, int rounds)`: it
*reads
** `in` once a round, or computes `ops` operations per block and round. The
** result is bytes * rounds / time, or ops * blocks * rounds / time.
*/
#ifndef TESTS_GPU_CEILINGS_H
#define TESTS_GPU_CEILINGS_H

#include <stdio.h>

#include "runtime/base/error.h"

struct tsr_device;
struct results;

/* Adds an array "ceilings" to `results`. A kernel that cannot run is a line in
** `log` and an entry with its error. `largest` limits the bytes of a buffer
** (0: as the list says), for the emulator. */
int gpu_ceilings_run(struct tsr_device *device, const char *folder,
                     size_t largest, FILE *log, struct results *results,
                     struct tsr_error *err);

#endif
