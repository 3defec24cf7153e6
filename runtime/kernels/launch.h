/* launch.h -- the grid and workspace of a GEMM, shared by the runtime and the
** tuner so that what was verified is what is launched.
**
**   grid      (ceil(N / tile_n) * ceil(m / tile_m), 1, split_k)
**   workspace s32 counters[tiles rounded up to 64], s32 partial[tiles]
**             [tile_n * tile_m]; none when split_k is 1
*/
#ifndef TSR_KERNELS_LAUNCH_H
#define TSR_KERNELS_LAUNCH_H

#include "runtime/base/checked.h"
#include "runtime/tessera.h"

struct tsr__gemm_plan {
    uint32_t n, tile_n, tile_m, split_k;
};

static inline uint64_t tsr__gemm_tiles(const struct tsr__gemm_plan *plan,
                                       uint32_t m)
{
    return (uint64_t)tsr__ceil_div(plan->n, plan->tile_n) *
           tsr__ceil_div(m, plan->tile_m);
}

static inline uint64_t tsr__gemm_workspace(const struct tsr__gemm_plan *plan,
                                           uint32_t m)
{
    if (plan->split_k <= 1)
        return 0;
    uint64_t tiles = tsr__gemm_tiles(plan, m);
    return 4 * ((tiles + 63) / 64 * 64 +
                tiles * plan->tile_n * (uint64_t)plan->tile_m);
}

#endif
