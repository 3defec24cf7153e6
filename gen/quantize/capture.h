/* capture.h -- the fp16 model in fp32 arithmetic, and what its linears see.
**
** A plain forward pass (RMSNorm, half-split RoPE, grouped-query attention,
** SiLU MLP) over token files, for calibration and for `tessera verify`. It
** is the model as its authors run it, so it also serves as the answer that a
** quantised model is compared to. Weights stay fp16 in the mapped file and
** are widened row by row.
*/
#ifndef GEN_QUANTIZE_CAPTURE_H
#define GEN_QUANTIZE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"
#include "runtime/model/config.h"
#include "runtime/model/safetensors.h"

/* Receives the input of one linear: `rows` [count][k] in fp16, as the runtime
** would feed quant_act, valid during the call. Non-zero stops the pass and is
** returned by it. */
typedef int gen_capture_sink(void *context, int layer,
                             enum tsr_linear_kind kind, const uint16_t *rows,
                             size_t count, size_t k, struct tsr_error *err);

struct gen_forward;

/* `folder` holds an fp16, bf16 or fp32 model (config.json, safetensors). */
int gen_forward_open(struct gen_forward **out, const char *folder,
                     struct tsr_error *err);
void gen_forward_free(struct gen_forward *forward);

/* One document from position 0. `logits` [count][vocab] or NULL; sink may be
** NULL. Ids are checked against the vocabulary. */
int gen_forward_run(struct gen_forward *forward, const int *tokens,
                    size_t count, float *logits, gen_capture_sink *sink,
                    void *context, struct tsr_error *err);

/* The first `limit` tokens of a token file (JSON lines {"tokens": [ids]}),
** document by document; limit 0 takes all. The caller releases it. */
struct gen_documents {
    int *tokens;    /* all documents, one after the other */
    size_t *starts; /* count + 1 positions in tokens */
    size_t count;
};

int gen_documents_read(struct gen_documents *out, const char *path,
                       size_t limit, struct tsr_error *err);
void gen_documents_release(struct gen_documents *documents);

/* Open, read, run every document, close. */
int gen_capture(const char *folder, const char *token_file, size_t limit,
                gen_capture_sink *sink, void *context, struct tsr_error *err);

#endif
