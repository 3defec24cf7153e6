/* lookup.c -- which row of a package serves a call. */
#include "runtime/kernels/lookup.h"

#include <stdlib.h>
#include <string.h>

static int text_equal(const char *a, const char *b, const char *missing)
{
    return strcmp(a ? a : missing, b ? b : missing) == 0;
}

int tsr__key_equal(const struct tsr_kernel_key *a,
                   const struct tsr_kernel_key *b)
{
    return text_equal(a->family, b->family, "") &&
           text_equal(a->format, b->format, "") &&
           text_equal(a->type, b->type, "f16") && a->n == b->n &&
           a->k == b->k && !a->bias == !b->bias;
}

void tsr__lookup_place(const struct tsr_device *device,
                       struct tsr__lookup_place *out)
{
    const struct tsr_device_info *info = tsr__device_info(device);
    *out = (struct tsr__lookup_place){
        info->name, info->arch, info->sm_count, info->mig,
        info->capability_major * 10 + info->capability_minor};
}

int tsr__lookup_runs_on(const struct tsr__row *row,
                        const struct tsr__lookup_place *place)
{
    if (row->kind != TSR__ROW_BASELINE)
        return strcmp(row->info.arch, place->arch) == 0;
    const char *number = strchr(row->info.arch, '_');
    return number && place->capability >= atoi(number + 1);
}

static int in_tier(const struct tsr__row *row, enum tsr_match tier,
                   const struct tsr__lookup_place *place)
{
    if (!tsr__lookup_runs_on(row, place))
        return 0;
    switch (tier) {
    case TSR_MATCH_DEVICE:
        return row->kind == TSR__ROW_TUNED && row->mig == place->mig &&
               row->info.sm_count == place->sm_count &&
               strcmp(row->info.device, place->device) == 0;
    case TSR_MATCH_SM_COUNT:
        return row->kind == TSR__ROW_TUNED &&
               row->info.sm_count == place->sm_count;
    case TSR_MATCH_ARCH:
        return row->kind == TSR__ROW_TUNED;
    case TSR_MATCH_DEFAULT:
        return row->kind == TSR__ROW_DEFAULT;
    case TSR_MATCH_BASELINE:
        return row->kind == TSR__ROW_BASELINE;
    }
    return 0;
}

/* 1 when bucket `a` serves m rows better than bucket `b`. */
static int better_bucket(uint32_t a, uint32_t b, uint32_t m)
{
    if ((a >= m) != (b >= m))
        return a >= m;
    return a >= m ? a < b : a > b;
}

static int better_row(const struct tsr__row *a, const struct tsr__row *b,
                      uint32_t m)
{
    if (a->info.m != b->info.m)
        return better_bucket(a->info.m, b->info.m, m);
    if (a->info.measured != b->info.measured)
        return a->info.measured;
    return a->info.microseconds < b->info.microseconds;
}

static int within_guard(uint32_t bucket, uint32_t m)
{
    return bucket <= (uint64_t)m * TSR__LOOKUP_GUARD &&
           m <= (uint64_t)bucket * TSR__LOOKUP_GUARD;
}

int tsr__lookup(const struct tsr__row *rows, size_t count,
                const struct tsr_kernel_key *key, uint32_t m, unsigned flags,
                const struct tsr__lookup_place *place, size_t *index,
                enum tsr_match *match)
{
    enum tsr_match last =
        flags & TSR_FIND_STRICT ? TSR_MATCH_ARCH : TSR_MATCH_BASELINE;
    for (enum tsr_match tier = TSR_MATCH_DEVICE; tier <= last; tier++) {
        const struct tsr__row *best = NULL;
        for (const struct tsr__row *row = rows; row < rows + count; row++)
            if (in_tier(row, tier, place) &&
                tsr__key_equal(&row->info.key, key) &&
                (!best || better_row(row, best, m)))
                best = row;
        if (!best || (tier <= TSR_MATCH_ARCH && !within_guard(best->info.m, m)))
            continue;
        *index = (size_t)(best - rows);
        *match = tier;
        return 0;
    }
    return TSR_ENOTFOUND;
}
