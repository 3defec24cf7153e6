/* model_check.h -- every packed kernel on a model's own weights.
**
** For each linear of each layer: the rows that reach it in the fp16 model
** (capture.h) go through the package's quant_act kernel, then through every
** GEMM kernel the package holds for that shape, launched as the runtime
** launches them. Each result is compared bit for bit with the C reference,
** and by relative error with the fp16 linear.
*/
#ifndef TUNE_MODEL_CHECK_H
#define TUNE_MODEL_CHECK_H

#include "runtime/base/error.h"
#include "runtime/model/config.h"
#include "runtime/tessera.h"

/* One kernel on one linear. */
struct tune_check_result {
    int layer;
    enum tsr_linear_kind kind;
    const struct tsr_kernel_info *kernel;
    size_t rows; /* m of the launch */
    int exact;
    double rel_error;  /* against fp16; negative: no fp16 model */
    const char *fault; /* a finding or the first difference; "" when exact */
};

struct tune_check {
    struct tsr_device *device;
    struct tsr_package *package;
    const char *model;     /* quantised folder */
    const char *reference; /* fp16 folder; NULL: random rows, no rel_error */
    const char *tokens;    /* token file; NULL: ids of our own */
    size_t rows;
    void (*report)(void *context, const struct tune_check_result *result);
    void (*step)(void *context, size_t done, size_t total);
    void *context;
};

/* *checked and *inexact count launches. TSR_ENOTFOUND when the package has no
** kernel for a linear on this device. */
int tune_check_model(const struct tune_check *check, size_t *checked,
                     size_t *inexact, struct tsr_error *err);

#endif
