/* capture.c -- a model's linears over a token file. */
#include "gen/quantize/capture.h"

int gen_capture(const char *folder, const char *token_file, size_t limit,
                gen_capture_sink *sink, void *context, struct tsr_error *err)
{
    struct gen_documents documents;
    struct gen_forward *forward = NULL;
    int rc = gen_documents_read(&documents, token_file, limit, err);
    if (rc)
        return rc;
    rc = gen_forward_open(&forward, folder, err);
    for (size_t i = 0; !rc && i < documents.count; i++) {
        size_t start = documents.starts[i];
        rc = gen_forward_run(forward, documents.tokens + start,
                             documents.starts[i + 1] - start, NULL, sink,
                             context, err);
        if (rc && rc == TSR_EUSAGE)
            tsr__fail_context(err, rc, "'%s' document %zu", token_file, i + 1);
    }
    gen_forward_free(forward);
    gen_documents_release(&documents);
    return rc;
}
