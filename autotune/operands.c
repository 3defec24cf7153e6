/* operands.c -- the data a kernel is tried on. */
#include "autotune/operands.h"

#include <string.h>

#include "gen/quantize/reference.h"
#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/device/emulated.h"

enum { SEED_WEIGHTS = 1, SEED_ROWS = 2 };

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory for a problem's data");
}

/* Allocates, fills and, on the emulator, forbids writing. */
static int upload(struct tsr_device *device, const char *label,
                  const void *bytes, size_t size, tsr_device_ptr *out,
                  struct tsr_error *err)
{
    tsr_device_ptr at = 0;
    if (!bytes)
        return 0;
    int rc = tsr__device_alloc(device, size, label, &at, err);
    if (rc)
        return rc;
    *out = at;
    rc = tsr__device_write(device, at, bytes, size, err);
    if (rc == 0 && tsr__device_info(device)->emulated)
        rc = emu_memory_set_read_only(tsr__emulated_memory(device), at, 1, err);
    return rc;
}

static void drop(struct tsr_device *device, tsr_device_ptr *pointer)
{
    if (*pointer)
        tsr__device_release(device, *pointer, NULL);
    *pointer = 0;
}

static int upload_weights(struct tune_operands *o, struct tsr_error *err)
{
    const struct gen_linear *w = &o->linear;
    size_t group = tsr__weight_group(w->format);
    int rc = upload(o->device, "qweight", w->qweight, w->qweight_bytes,
                    &o->qweight, err);
    if (rc == 0)
        rc = upload(o->device, "scale", w->scale, 2 * o->n, &o->scale, err);
    if (rc == 0 && group)
        rc = upload(o->device, "s2", w->s2, o->k / group * o->n, &o->scale2,
                    err);
    if (rc == 0 && group)
        rc = upload(o->device, "offset", w->offset, o->k / group * o->n,
                    &o->offset, err);
    if (rc == 0 && !group)
        rc = upload(o->device, "zero_scale", w->zero_scale, 2 * o->n,
                    &o->scale2, err);
    if (rc == 0)
        rc = upload(o->device, "bias", w->bias, 2 * o->n, &o->bias, err);
    return rc;
}

static int alloc_rows(struct tune_operands *o)
{
    size_t rows = o->rows_max;
    o->q = tsr__calloc(rows, o->k);
    o->q_scale = tsr__calloc(rows, sizeof *o->q_scale);
    o->q_sum = tsr__calloc(rows, sizeof *o->q_sum);
    if (o->is_gemm) {
        o->y = tsr__calloc(rows * o->n, sizeof *o->y);
        o->y_known = tsr__calloc(tsr__ceil_div(rows, TUNE_UNIT_M),
                                 tsr__ceil_div(o->n, TUNE_UNIT_N));
    } else
        o->x = tsr__calloc(rows * o->k, sizeof *o->x);
    return o->q && o->q_scale && o->q_sum && ((o->y && o->y_known) || o->x)
               ? 0
               : -1;
}

/* The rows a tuner must not be spared: a NaN, an infinity of either sign, all
** zero, and the largest finite value. Row 0 stays ordinary. */
static void plant_extremes(struct tune_operands *o)
{
    uint16_t infinity = o->bf16 ? 0x7f80 : 0x7c00;
    uint16_t largest = o->bf16 ? 0x7f7f : 0x7bff;
    const uint16_t value[] = {0x7fff, infinity, (uint16_t)(infinity | 0x8000),
                              largest};
    for (size_t i = 0; i < 4 && i + 1 < o->rows_max; i++)
        o->x[(i + 1) * o->k + (i * 37 + 5) % o->k] = value[i];
    if (o->rows_max > 5)
        memset(o->x + 5 * o->k, 0, 2 * o->k);
}

static int fill_gemm(struct tune_operands *o,
                     const struct tune_problem *problem, struct tsr_error *err)
{
    enum tsr_weight_format format;
    if (tsr__weight_format_parse(problem->format, &format))
        return TSR_FAIL(err, TSR_EUSAGE, "unknown weight format '%s'",
                        problem->format);
    int rc = gen_random_weights(&o->linear, SEED_WEIGHTS, format, o->n, o->k,
                                problem->bias, err);
    if (rc)
        return rc;
    gen_random_quantized(SEED_ROWS, o->rows_max, o->k, o->q, o->q_scale,
                         o->q_sum);
    return upload_weights(o, err);
}

static int create(struct tune_operands **out, struct tsr_device *device,
                  int is_gemm, int bf16, size_t n, size_t k, size_t rows_max,
                  struct tsr_error *err)
{
    struct tune_operands *o = tsr__calloc(1, sizeof *o);
    if (!o)
        return no_memory(err);
    o->device = device;
    o->is_gemm = is_gemm;
    o->bf16 = bf16;
    o->n = n;
    o->k = k;
    o->rows_max = rows_max;
    if (alloc_rows(o)) {
        tune_operands_free(o);
        return no_memory(err);
    }
    *out = o;
    return 0;
}

int tune_operands_create(struct tune_operands **out, struct tsr_device *device,
                         const struct tune_problem *problem, size_t rows_max,
                         struct tsr_error *err)
{
    struct tune_operands *o;
    int is_gemm = problem->n != 0;
    int rc = create(&o, device, is_gemm, strcmp(problem->type, "bf16") == 0,
                    problem->n, problem->k, rows_max, err);
    if (rc)
        return rc;
    if (is_gemm)
        rc = fill_gemm(o, problem, err);
    else {
        gen_random_activations(SEED_ROWS, o->bf16, rows_max, o->k, o->x);
        plant_extremes(o);
        gen_reference_quant_act(o->x, o->bf16, rows_max, o->k, o->q, o->q_scale,
                                o->q_sum);
    }
    if (rc) {
        tune_operands_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

int tune_operands_from_linear(struct tune_operands **out,
                              struct tsr_device *device,
                              struct gen_linear *linear, int bf16,
                              size_t rows_max, struct tsr_error *err)
{
    struct tune_operands *o;
    int rc = create(&o, device, 1, bf16, linear->n, linear->k, rows_max, err);
    if (rc)
        return rc;
    o->linear = *linear;
    memset(linear, 0, sizeof *linear);
    rc = upload_weights(o, err);
    if (rc) {
        tune_operands_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

void tune_operands_free(struct tune_operands *o)
{
    if (!o)
        return;
    drop(o->device, &o->qweight);
    drop(o->device, &o->scale);
    drop(o->device, &o->scale2);
    drop(o->device, &o->offset);
    drop(o->device, &o->bias);
    gen_linear_release(&o->linear);
    tsr__free(o->y);
    tsr__free(o->y_known);
    tsr__free(o->q);
    tsr__free(o->q_scale);
    tsr__free(o->q_sum);
    tsr__free(o->x);
    tsr__free(o);
}

static size_t unit_columns(const struct tune_operands *o)
{
    return tsr__ceil_div(o->n, TUNE_UNIT_N);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void tune_operands_expect(struct tune_operands *o, size_t m0, size_t m1,
                          size_t n0, size_t n1)
{
    struct gen_reference_weights view = gen_linear_view(&o->linear, o->bf16);
    for (size_t i = m0 / TUNE_UNIT_M; i * TUNE_UNIT_M < m1; i++)
        for (size_t j = n0 / TUNE_UNIT_N; j * TUNE_UNIT_N < n1; j++) {
            unsigned char *known = &o->y_known[i * unit_columns(o) + j];
            if (*known)
                continue;
            gen_reference_gemm(
                &view, o->q, o->q_scale, o->q_sum, i * TUNE_UNIT_M,
                least((i + 1) * TUNE_UNIT_M, o->rows_max), j * TUNE_UNIT_N,
                least((j + 1) * TUNE_UNIT_N, o->n), o->y);
            *known = 1;
        }
}

/* ---- rows -----------------------------------------------------------------
 */

/* An output lies `guard` bytes inside its allocation. */
static int alloc_output(struct tune_rows *rows, const char *label, size_t bytes,
                        tsr_device_ptr *out, struct tsr_error *err)
{
    tsr_device_ptr base;
    int rc = tsr__device_alloc(rows->operands->device, bytes + 2 * rows->guard,
                               label, &base, err);
    if (rc == 0)
        *out = base + rows->guard;
    return rc;
}

static void drop_output(struct tune_rows *rows, tsr_device_ptr *pointer)
{
    if (*pointer)
        tsr__device_release(rows->operands->device, *pointer - rows->guard,
                            NULL);
    *pointer = 0;
}

int tune_rows_create(struct tune_rows *rows, struct tune_operands *o, size_t m,
                     struct tsr_error *err)
{
    int rc;
    *rows = (struct tune_rows){.operands = o, .m = m};
    rows->guard = tsr__device_info(o->device)->emulated ? 0 : TUNE_GUARD_BYTES;
    if (o->is_gemm) {
        rc = upload(o->device, "x", o->q, m * o->k, &rows->x, err);
        if (rc == 0)
            rc = upload(o->device, "x_scale", o->q_scale, 4 * m, &rows->x_scale,
                        err);
        if (rc == 0)
            rc = upload(o->device, "x_sum", o->q_sum, 4 * m, &rows->x_sum, err);
        if (rc == 0)
            rc = alloc_output(rows, "y", 2 * m * o->n, &rows->y, err);
    } else {
        rc = upload(o->device, "x", o->x, 2 * m * o->k, &rows->in, err);
        if (rc == 0)
            rc = alloc_output(rows, "q", m * o->k, &rows->x, err);
        if (rc == 0)
            rc = alloc_output(rows, "scale", 4 * m, &rows->x_scale, err);
        if (rc == 0)
            rc = alloc_output(rows, "sum", 4 * m, &rows->x_sum, err);
    }
    if (rc)
        tune_rows_release(rows);
    return rc;
}

void tune_rows_release(struct tune_rows *rows)
{
    if (!rows->operands)
        return;
    struct tsr_device *device = rows->operands->device;
    if (rows->operands->is_gemm) {
        drop(device, &rows->x);
        drop(device, &rows->x_scale);
        drop(device, &rows->x_sum);
        drop_output(rows, &rows->y);
    } else {
        drop(device, &rows->in);
        drop_output(rows, &rows->x);
        drop_output(rows, &rows->x_scale);
        drop_output(rows, &rows->x_sum);
    }
    rows->operands = NULL;
}

int tune_rows_poison(struct tune_rows *rows, struct tsr_error *err)
{
    struct tune_operands *o = rows->operands;
    size_t g = rows->guard, m = rows->m;
    if (o->is_gemm)
        return tsr__device_fill(o->device, rows->y - g, TUNE_POISON,
                                2 * m * o->n + 2 * g, err);
    int rc = tsr__device_fill(o->device, rows->x - g, TUNE_POISON,
                              m * o->k + 2 * g, err);
    if (rc == 0)
        rc = tsr__device_fill(o->device, rows->x_scale - g, TUNE_POISON,
                              4 * m + 2 * g, err);
    if (rc == 0)
        rc = tsr__device_fill(o->device, rows->x_sum - g, TUNE_POISON,
                              4 * m + 2 * g, err);
    return rc;
}
