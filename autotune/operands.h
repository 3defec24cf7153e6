/* operands.h -- the data a kernel is tried on: random weights and activations
** of one shape on a device, and what must come out.
**
** Rows are independent, so one shape serves every M bucket: bucket m reads
** the first m rows, and a row of the expected output is computed once. A
** problem's buffers are exactly as long as its m, so that on the emulator a
** step outside is a finding; on a GPU guard zones lie round the outputs.
**
** Outputs are filled with POISON before each launch, a value no kernel
** writes: NaN results are canonical (0x7fff).
*/
#ifndef TUNE_OPERANDS_H
#define TUNE_OPERANDS_H

#include "autotune/store.h"
#include "gen/quantize/random.h"
#include "runtime/device/device.h"

enum {
    TUNE_POISON = 0xff,
    TUNE_GUARD_BYTES = 4096,
    TUNE_UNIT_M = 8, /* the reference is computed in units of this size */
    TUNE_UNIT_N = 64
};

struct tune_operands {
    struct tsr_device *device;
    int is_gemm, bf16;
    size_t n, k, rows_max;
    /* gemm: weights on both sides, inputs, outputs as far as computed */
    struct gen_linear linear;
    tsr_device_ptr qweight, scale, scale2, offset, bias;
    uint16_t *y;
    unsigned char *y_known; /* [rows / UNIT_M][n / UNIT_N], rounded up */
    /* quantised rows: inputs of gemm, expected outputs of quant_act */
    int8_t *q;
    float *q_scale;
    int32_t *q_sum;
    uint16_t *x; /* quant_act: input rows */
};

/* For every bucket of `problem`'s shape up to `rows_max` rows. */
int tune_operands_create(struct tune_operands **out, struct tsr_device *device,
                         const struct tune_problem *problem, size_t rows_max,
                         struct tsr_error *err);
void tune_operands_free(struct tune_operands *operands);
/* The same for weights that exist (a model's); `linear` is taken. Inputs are
** set by the caller, rows_max of them. */
int tune_operands_from_linear(struct tune_operands **out,
                              struct tsr_device *device,
                              struct gen_linear *linear, int bf16,
                              size_t rows_max, struct tsr_error *err);
/* Makes y[m0 .. m1)[n0 .. n1) valid; what is known is not computed again. */
void tune_operands_expect(struct tune_operands *operands, size_t m0, size_t m1,
                          size_t n0, size_t n1);

/* The device buffers of one m. */
struct tune_rows {
    struct tune_operands *operands;
    size_t m;
    size_t guard; /* bytes on either side of each output */
    /* gemm: y = f(x, x_scale, x_sum); quant_act: x, x_scale, x_sum = f(in) */
    tsr_device_ptr y, x, x_scale, x_sum, in;
};

int tune_rows_create(struct tune_rows *rows, struct tune_operands *operands,
                     size_t m, struct tsr_error *err);
void tune_rows_release(struct tune_rows *rows);
/* Poison over every output and its guards. */
int tune_rows_poison(struct tune_rows *rows, struct tsr_error *err);

#endif
