/* trial.c -- loading, launching, counting. */
#include "autotune/trial.h"

#include <string.h>

#include "autotune/counts.h"
#include "autotune/trial_internal.h"
#include "runtime/base/memory.h"
#include "runtime/device/emulated.h"

struct tune_kernel tune_kernel_of(const struct tsr_device *device,
                                  const char *entry,
                                  const struct gen_launch *launch, int raster,
                                  const struct gen_binary *binary)
{
    int emulated = tsr__device_info(device)->emulated;
    struct tune_kernel kernel = {entry, *launch, raster, binary->cubin,
                                 binary->cubin_size};
    if (emulated) {
        kernel.image = binary->ptx;
        kernel.size = binary->ptx_size;
    }
    return kernel;
}

int tune_trial_open(struct tune_trial *trial, struct tune_operands *operands,
                    const struct tune_kernel *kernel, struct tsr_error *err)
{
    *trial = (struct tune_trial){.operands = operands, .kernel = *kernel};
    int rc = tsr__module_load(operands->device, kernel->image, kernel->size,
                              &trial->module, err);
    if (rc == 0)
        rc = tsr__module_function(trial->module, kernel->entry,
                                  (uint32_t)kernel->launch.shared,
                                  &trial->function, err);
    if (rc)
        tune_trial_close(trial);
    return rc;
}

void tune_trial_close(struct tune_trial *trial)
{
    if (trial->module)
        tsr__module_free(trial->module);
    trial->module = NULL;
    trial->function = NULL;
}

static struct tsr__gemm_plan plan_of(const struct tune_trial *trial)
{
    return (struct tsr__gemm_plan){(uint32_t)trial->operands->n,
                                   (uint32_t)trial->kernel.launch.tile_n,
                                   (uint32_t)trial->kernel.launch.tile_m,
                                   (uint32_t)trial->kernel.launch.split_k};
}

struct tune_tiles tune__trial_tiles(const struct tune_trial *trial, size_t m)
{
    const struct gen_launch *launch = &trial->kernel.launch;
    return (struct tune_tiles){
        tsr__ceil_div(trial->operands->n, (size_t)launch->tile_n),
        tsr__ceil_div(m, (size_t)launch->tile_m),
        (uint64_t)trial->kernel.raster};
}

uint64_t tune_trial_blocks(const struct tune_trial *trial, size_t m)
{
    struct tsr__gemm_plan plan = plan_of(trial);
    if (!trial->operands->is_gemm)
        return m;
    return tsr__gemm_tiles(&plan, (uint32_t)m) * plan.split_k;
}

int tune_workspace_alloc(struct tune_trial *trial, size_t m,
                         tsr_device_ptr *out, size_t *bytes,
                         struct tsr_error *err)
{
    struct tsr__gemm_plan plan = plan_of(trial);
    struct tsr_device *device = trial->operands->device;
    size_t size = trial->operands->is_gemm
                      ? (size_t)tsr__gemm_workspace(&plan, (uint32_t)m)
                      : 0;
    tsr_device_ptr at = 0;
    int rc = 0;
    if (size) {
        rc = tsr__device_alloc(device, size, "workspace", &at, err);
        if (rc == 0)
            rc = tsr__device_fill(device, at, 0, size, err);
        if (rc && at)
            tsr__device_release(device, at, NULL);
    }
    if (rc)
        return rc;
    *out = at;
    *bytes = size;
    return 0;
}

static int launch_gemm(struct tune_trial *trial, struct tune_rows *r,
                       tsr_device_ptr workspace, struct tsr_stream *stream,
                       struct tsr_error *err)
{
    struct tune_operands *o = trial->operands;
    struct tsr__gemm_plan plan = plan_of(trial);
    int32_t m = (int32_t)r->m;
    /* ORDER KERNEL ARGUMENTS: as templates/gemm_w4a8.cu.tmpl declares them. */
    void *arguments[] = {&r->y,       &r->x,      &r->x_scale, &r->x_sum,
                         &o->qweight, &o->scale,  &o->scale2,  &o->offset,
                         &o->bias,    &workspace, &m};
    struct tsr_launch_shape shape = {
        {(uint32_t)tsr__gemm_tiles(&plan, (uint32_t)m), 1, plan.split_k},
        {(uint32_t)trial->kernel.launch.threads, 1, 1},
        (uint32_t)trial->kernel.launch.shared};
    return tsr__function_launch(trial->function, &shape, stream, arguments,
                                err);
}

static int launch_quant(struct tune_trial *trial, struct tune_rows *r,
                        struct tsr_stream *stream, struct tsr_error *err)
{
    int32_t m = (int32_t)r->m;
    void *arguments[] = {&r->x, &r->x_scale, &r->x_sum, &r->in, &m};
    struct tsr_launch_shape shape = {
        {(uint32_t)m, 1, 1},
        {(uint32_t)trial->kernel.launch.threads, 1, 1},
        (uint32_t)trial->kernel.launch.shared};
    return tsr__function_launch(trial->function, &shape, stream, arguments,
                                err);
}

int tune_trial_launch(struct tune_trial *trial, struct tune_rows *rows,
                      tsr_device_ptr workspace, struct tsr_stream *stream,
                      struct tsr_error *err)
{
    return trial->operands->is_gemm
               ? launch_gemm(trial, rows, workspace, stream, err)
               : launch_quant(trial, rows, stream, err);
}

/* The blocks along K of the first tile, unchecked and counted. */
static int count_first_tile(struct tune_trial *trial, struct tune_rows *rows,
                            tsr_device_ptr workspace, json_t **out,
                            struct tsr_error *err)
{
    struct tsr_device *device = trial->operands->device;
    struct emu_options *options = tsr__emulated_options(device);
    struct emu_options before = *options;
    struct emu_counts counts;
    uint64_t blocks[1024], count = 0;
    uint64_t slices =
        trial->operands->is_gemm ? (uint64_t)trial->kernel.launch.split_k : 1;
    uint64_t plane = tune_trial_blocks(trial, rows->m) / slices;
    for (; count < slices && count < 1024; count++)
        blocks[count] = count * plane;
    tsr__emulated_take_counts(device, &counts); /* forget older ones */
    options->checks = 0;
    options->counts = 1;
    options->threads = 1;
    options->schedules = 1;
    tsr__emulated_select(device, blocks, count);
    int rc = tune_trial_launch(trial, rows, workspace, NULL, err);
    tsr__emulated_select(device, NULL, 0);
    *options = before;
    tsr__emulated_take_counts(device, &counts);
    if (rc)
        return rc;
    json_t *object = tune_counts_json(&counts);
    if (!object)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    *out = object;
    return 0;
}

int tune_trial_counts(struct tune_trial *trial, size_t m, json_t **out,
                      struct tsr_error *err)
{
    struct tsr_device *device = trial->operands->device;
    struct tune_rows rows;
    tsr_device_ptr workspace = 0;
    size_t bytes;
    if (!tsr__emulated_options(device))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "only the emulator counts what a kernel does");
    int rc = tune_rows_create(&rows, trial->operands, m, err);
    if (rc)
        return rc;
    rc = tune_workspace_alloc(trial, m, &workspace, &bytes, err);
    if (rc == 0)
        rc = count_first_tile(trial, &rows, workspace, out, err);
    if (workspace)
        tsr__device_release(device, workspace, NULL);
    tune_rows_release(&rows);
    return rc;
}
