/* lookup.h -- which row of a package serves a call: a pure function.
**
** Order: rows tuned on this very device, on one of the same architecture and
** SM count, on one of the same architecture. Within such a tier the smallest
** bucket >= m, else the largest; a bucket more than GUARD times away from m
** is not taken, and the next tier is asked. Then the default configurations
** of this architecture (same rule of buckets, no guard), then baseline PTX.
** Between rows of one bucket: measured before predicted, the faster, the
** earlier row.
*/
#ifndef TSR_KERNELS_LOOKUP_H
#define TSR_KERNELS_LOOKUP_H

#include "runtime/kernels/package.h"

enum { TSR__LOOKUP_GUARD = 4 };

/* Where the kernel is to run. */
struct tsr__lookup_place {
    const char *device, *arch;
    int sm_count;
    int mig;
    int capability; /* 90 for 9.0 */
};

void tsr__lookup_place(const struct tsr_device *device,
                       struct tsr__lookup_place *out);

/* Returns 0 and the row with the way it was found, or TSR_ENOTFOUND. */
int tsr__lookup(const struct tsr__row *rows, size_t count,
                const struct tsr_kernel_key *key, uint32_t m, unsigned flags,
                const struct tsr__lookup_place *place, size_t *index,
                enum tsr_match *match);

/* 1 when a row can run at `place` at all. */
int tsr__lookup_runs_on(const struct tsr__row *row,
                        const struct tsr__lookup_place *place);

/* Same computation, whatever the bucket, device and configuration. */
int tsr__key_equal(const struct tsr_kernel_key *a,
                   const struct tsr_kernel_key *b);

#endif
