/* linear.h -- quantising one fused linear from tensors to packed bytes.
**
** 64 channels are one row of blocks, whose packed bytes are contiguous: they
** are read, quantised, packed and written as one piece of work, by several
** threads, so memory holds some rows and never a tensor.
*/
#ifndef GEN_QUANTIZE_LINEAR_H
#define GEN_QUANTIZE_LINEAR_H

#include "gen/quantize/writer.h"
#include "runtime/model/layout.h"
#include "runtime/model/safetensors.h"

enum { GEN_PARTS_MAX = 3 }; /* q, k, v */

struct gen_linear_job {
    enum tsr_weight_format format;
    size_t n, k;
    /* Stacked along n: [rows][k] in F16, BF16 or F32; biases or NULL. */
    const struct tsr_tensor *weights[GEN_PARTS_MAX];
    const struct tsr_tensor *biases[GEN_PARTS_MAX];
    int parts;
    /* Tensors of the writer; -1 where the format has none. */
    int qweight, scale, zero_scale, s2, offset, bias;
};

/* Declares NAME.qweight and so on, and remembers their numbers. */
int gen_linear_declare(struct gen_linear_job *job, struct gen_writer *writer,
                       const char *name, struct tsr_error *err);
/* *rel_error: root of sum (w - w^)^2 / sum w^2. The same whatever
** `threads`. */
int gen_linear_quantize(const struct gen_linear_job *job,
                        struct gen_writer *writer, int threads,
                        double *rel_error, struct tsr_error *err);

/* Converts a whole tensor to fp16 into tensor `to` of the writer at
** `offset` bytes; refuses what fp16 cannot hold, by name. */
int gen_copy_half(const struct tsr_tensor *from, struct gen_writer *writer,
                  int to, size_t offset, struct tsr_error *err);
/* TSR_EUNSUPPORTED unless F16, BF16 or F32. */
int gen_check_float(const struct tsr_tensor *tensor, struct tsr_error *err);

#endif
