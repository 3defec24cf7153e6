/* pack.h -- what goes into a package: the winners of databases, a default
** configuration for every shape and architecture, baseline PTX.
**
** Defaults and baselines are rendered and compiled here, through the compile
** cache.
*/
#ifndef TUNE_PACK_H
#define TUNE_PACK_H

#include "autotune/search.h"

enum { TUNE_PACK_ARCHS = 16 };

struct tune_pack {
    struct gen_host *host;
    struct tune_store *store; /* all databases, merged */
    const json_t *config;
    const char *weights;
    const char *archs[TUNE_PACK_ARCHS]; /* sorted, distinct */
    size_t arch_count;
    const char *output;
    const char *model_name; /* for the manifest */
    int no_ptx;
    int processes;
};

struct tune_pack_summary {
    size_t tuned, defaults, baselines, bytes;
    size_t shapes, covered; /* (shape, arch) pairs, those with a tuned row */
};

int tune_pack_write(const struct tune_pack *pack,
                    struct tune_pack_summary *summary, struct tsr_error *err);

#endif
