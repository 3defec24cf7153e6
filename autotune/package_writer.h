/* package_writer.h -- rows to a package file (runtime/kernels/format.h).
**
** The same rows and manifest give the same bytes, whatever their order: rows
** and blobs are sorted before they are numbered, the database is built in
** memory and written in one piece, under its name only when it is complete.
*/
#ifndef TUNE_PACKAGE_WRITER_H
#define TUNE_PACKAGE_WRITER_H

#include <jansson.h>
#include <stdint.h>

#include "gen/host/generator.h"
#include "runtime/base/error.h"

/* One kernel of a package; nothing is owned. */
struct tune_package_row {
    const char *family, *format, *type; /* format "" when there is none */
    uint32_t n, k, m;
    int bias;
    const char *kind; /* "tuned", "default", "baseline" */
    const char *arch; /* "sm_90a"; of a baseline "compute_80" */
    const char *device;
    int sm_count, mig, measured;
    double microseconds;
    const char *spec, *entry;
    struct gen_launch launch;
    const void *cubin; /* NULL: none */
    size_t cubin_size;
    const void *ptx; /* without the NUL; NULL: none */
    size_t ptx_size;
    const char *provenance; /* JSON object */
};

/* `manifest` is an object of strings; kernel_abi and index_sha256 are added.
** *bytes, when not NULL, receives the size of the file. */
int tune_package_write(const char *path, const struct tune_package_row *rows,
                       size_t count, const json_t *manifest, size_t *bytes,
                       struct tsr_error *err);

#endif
