/* trial.h -- one compiled configuration on a problem's data: counted,
** verified, timed.
**
** Verified means: every output of every row count tried equals the C
** reference bit for bit, what lies outside the outputs still holds poison,
** the workspace is zero again, and on the emulator no check found a fault. A
** problem whose work is above TUNE_WHOLE_WORK is verified on sampled blocks:
** the four corners of the grid of tiles (so both ragged edges) and random
** ones; `verified` then says which.
*/
#ifndef TUNE_TRIAL_H
#define TUNE_TRIAL_H

#include <jansson.h>

#include "autotune/operands.h"
#include "runtime/kernels/launch.h"

/* Multiply-adds of a launch that is still run whole: some tens of
** milliseconds on the emulator, some hundred in the C reference. */
#define TUNE_WHOLE_WORK (UINT64_C(1) << 27)

/* A kernel to be tried. `image` is PTX for the emulator, a cubin for CUDA. */
struct tune_kernel {
    const char *entry;
    struct gen_launch launch;
    int raster; /* of gemm_w4a8, as its launch record says; 0 for others */
    const void *image;
    size_t size;
};

/* The kernel of a binary, as this device takes it. */
struct tune_kernel tune_kernel_of(const struct tsr_device *device,
                                  const char *entry,
                                  const struct gen_launch *launch, int raster,
                                  const struct gen_binary *binary);

struct tune_trial {
    struct tune_operands *operands;
    struct tune_kernel kernel;
    struct tsr_module *module;
    struct tsr_function *function;
};

int tune_trial_open(struct tune_trial *trial, struct tune_operands *operands,
                    const struct tune_kernel *kernel, struct tsr_error *err);
void tune_trial_close(struct tune_trial *trial);

/* Blocks of the launch, and what one of them does: a JSON object of the
** emulator's counts with "blocks", how many were counted (those of the first
** tile). On a GPU: TSR_EUNSUPPORTED. */
uint64_t tune_trial_blocks(const struct tune_trial *trial, size_t m);
int tune_trial_counts(struct tune_trial *trial, size_t m, json_t **out,
                      struct tsr_error *err);

struct tune_verdict {
    enum tune_status status; /* TUNE_VERIFIED or why not */
    char text[1024];         /* what is wrong; "" when verified */
    char verified[256];      /* "m=16,13 whole" */
};

/* Verifies at m and at a ragged number of rows below it. Only trouble of our
** own (memory, a lost device) is an error; a bad kernel is a verdict. */
int tune_trial_verify(struct tune_trial *trial, size_t m,
                      struct tune_verdict *verdict, struct tsr_error *err);

/* One launch over all blocks with `rows`; workspace is 0 when none is needed.
 */
int tune_trial_launch(struct tune_trial *trial, struct tune_rows *rows,
                      tsr_device_ptr workspace, struct tsr_stream *stream,
                      struct tsr_error *err);
/* The first output that differs from the reference, as text; 0 when none. */
int tune_trial_compare(struct tune_trial *trial, struct tune_rows *rows,
                       char *text, size_t size, struct tsr_error *err);

/* Workspace of a launch with m rows, zeroed; *out = 0 when it needs none. */
int tune_workspace_alloc(struct tune_trial *trial, size_t m,
                         tsr_device_ptr *out, size_t *bytes,
                         struct tsr_error *err);

#endif
