/* guard.h -- a call in a child process, under process limits.
**
** Scripts from --scripts DIR are a user's. The sandbox holds for them as for
** our own; this is the second wall: CPU seconds (RLIMIT_CPU), address space
** (RLIMIT_AS, not under AddressSanitizer) and an alarm end the child, never
** the caller. The result comes back as JSON through a pipe.
*/
#ifndef GEN_HOST_GUARD_H
#define GEN_HOST_GUARD_H

#include <jansson.h>

#include "runtime/base/error.h"

struct gen_guard {
    int seconds;   /* of CPU time; the alarm rings at twice that */
    size_t memory; /* bytes the child may map on top of what is mapped */
    int (*call)(void *context, json_t **result, struct tsr_error *err);
    void *context;
};

/* Runs guard->call in a child. The caller owns *result. */
int gen_guard_run(const struct gen_guard *guard, json_t **result,
                  struct tsr_error *err);

#endif
