/* launch.c -- the launch path: arithmetic, an array of pointers, one call. */
#include "runtime/kernels/launch.h"

#include <inttypes.h>

#include "runtime/kernels/package.h"

static struct tsr__gemm_plan plan_of(const struct tsr_kernel *kernel)
{
    const struct tsr_kernel_info *info = &kernel->info;
    return (struct tsr__gemm_plan){info->key.n, info->tile_n, info->tile_m,
                                   info->split_k};
}

size_t tsr_kernel_workspace(const struct tsr_kernel *kernel, uint32_t m)
{
    struct tsr__gemm_plan plan = plan_of(kernel);
    return kernel->is_gemm ? (size_t)tsr__gemm_workspace(&plan, m) : 0;
}

static int check_rows(const struct tsr_kernel *kernel, int wants_gemm,
                      uint32_t m, struct tsr_error *err)
{
    if (kernel->is_gemm != wants_gemm)
        return TSR_FAIL(err, TSR_EUSAGE, "a %s kernel cannot be launched as %s",
                        kernel->info.key.family,
                        wants_gemm ? "gemm_w4a8" : "quant_act");
    if (m == 0 || m > INT32_MAX)
        return TSR_FAIL(err, TSR_EUSAGE, "m = %" PRIu32 " rows", m);
    return 0;
}

static int check_gemm(const struct tsr_kernel *kernel,
                      const struct tsr_gemm *gemm, uint64_t tiles,
                      struct tsr_error *err)
{
    size_t workspace = tsr_kernel_workspace(kernel, gemm->m);
    if (!gemm->y || !gemm->x || !gemm->x_scale || !gemm->x_sum ||
        !gemm->qweight || !gemm->scale || !gemm->scale2 ||
        (kernel->info.key.bias && !gemm->bias))
        return TSR_FAIL(err, TSR_EUSAGE, "a GEMM operand is a null pointer");
    if (tiles > INT32_MAX)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "m = %" PRIu32 " needs %" PRIu64 " blocks", gemm->m,
                        tiles);
    if (workspace && (!gemm->workspace || gemm->workspace_bytes < workspace))
        return TSR_FAIL(err, TSR_EUSAGE,
                        "the workspace has %zu bytes, this launch needs %zu "
                        "(tsr_kernel_workspace)",
                        gemm->workspace_bytes, workspace);
    return 0;
}

int tsr_gemm_launch(const struct tsr_kernel *kernel,
                    const struct tsr_gemm *gemm, struct tsr_stream *stream,
                    struct tsr_error *err)
{
    struct tsr_gemm g = *gemm;
    struct tsr__gemm_plan plan = plan_of(kernel);
    int rc = check_rows(kernel, 1, g.m, err);
    if (rc)
        return rc;
    uint64_t tiles = tsr__gemm_tiles(&plan, g.m);
    rc = check_gemm(kernel, gemm, tiles, err);
    if (rc)
        return rc;
    int32_t m = (int32_t)g.m;
    /* ORDER KERNEL ARGUMENTS: as templates/gemm_w4a8.cu.tmpl declares them. */
    void *arguments[] = {&g.y,       &g.x,         &g.x_scale, &g.x_sum,
                         &g.qweight, &g.scale,     &g.scale2,  &g.offset,
                         &g.bias,    &g.workspace, &m};
    struct tsr_launch_shape shape = {{(uint32_t)tiles, 1, plan.split_k},
                                     {kernel->info.threads, 1, 1},
                                     kernel->info.shared_bytes};
    return tsr__function_launch(kernel->function, &shape, stream, arguments,
                                err);
}

int tsr_quant_act_launch(const struct tsr_kernel *kernel,
                         const struct tsr_quant_act *quant,
                         struct tsr_stream *stream, struct tsr_error *err)
{
    struct tsr_quant_act q = *quant;
    int rc = check_rows(kernel, 0, q.m, err);
    if (rc)
        return rc;
    if (!q.q || !q.scale || !q.sum || !q.x)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "a quant_act operand is a null pointer");
    int32_t m = (int32_t)q.m;
    void *arguments[] = {&q.q, &q.scale, &q.sum, &q.x, &m};
    struct tsr_launch_shape shape = {
        {q.m, 1, 1}, {kernel->info.threads, 1, 1}, kernel->info.shared_bytes};
    return tsr__function_launch(kernel->function, &shape, stream, arguments,
                                err);
}
