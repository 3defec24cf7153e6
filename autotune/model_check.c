/* model_check.c -- every packed kernel on a model's own weights. */
#include "autotune/model_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autotune/operands.h"
#include "gen/quantize/capture.h"
#include "gen/quantize/matmul.h"
#include "gen/quantize/pack.h"
#include "gen/quantize/reference.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"
#include "runtime/kernels/package.h"
#include "runtime/model/quantized.h"

enum { ROW_SEED = 5, TOKEN_SEED = 9 };

/* Rows that reach one linear, in fp16. */
struct captured {
    uint16_t *rows;
    size_t count, k;
};

struct checking {
    const struct tune_check *check;
    struct tsr_quantized_model *model;
    const struct tsr_model_config *config;
    struct tsr_safetensors *fp16; /* NULL without a reference */
    struct captured *captured;    /* [layers][TSR_LINEAR_KINDS] */
    size_t checked, inexact;
};

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory checking a model");
}

/* ---- the rows ----------------------------------------------------------- */

static struct captured *slot_of(struct checking *c, int layer,
                                enum tsr_linear_kind kind)
{
    return &c->captured[(size_t)layer * TSR_LINEAR_KINDS + (size_t)kind];
}

static int take_rows(void *context, int layer, enum tsr_linear_kind kind,
                     const uint16_t *rows, size_t count, size_t k,
                     struct tsr_error *err)
{
    struct checking *c = context;
    struct captured *into = slot_of(c, layer, kind);
    size_t wanted = c->check->rows - into->count;
    if (k != tsr__config_linear(c->config, kind).k)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "the fp16 model is not the one that was quantised: "
                        "its %s has K = %zu",
                        tsr__linear_word(kind), k);
    if (!into->rows)
        into->rows = tsr__calloc(c->check->rows * k, sizeof *into->rows);
    if (!into->rows)
        return no_memory(err);
    if (count > wanted)
        count = wanted;
    memcpy(into->rows + into->count * k, rows, count * k * sizeof *rows);
    into->count += count;
    into->k = k;
    return 0;
}

/* Ids drawn at random, when there is no token file. */
static int capture_random_tokens(struct checking *c, struct tsr_error *err)
{
    struct gen_forward *forward = NULL;
    uint64_t state = TOKEN_SEED;
    int *tokens = tsr__calloc(c->check->rows, sizeof *tokens);
    if (!tokens)
        return no_memory(err);
    for (size_t i = 0; i < c->check->rows; i++)
        tokens[i] = (int)(gen_random_next(&state) % (uint64_t)c->config->vocab);
    int rc = gen_forward_open(&forward, c->check->reference, err);
    if (rc == 0)
        rc = gen_forward_run(forward, tokens, c->check->rows, NULL, take_rows,
                             c, err);
    gen_forward_free(forward);
    tsr__free(tokens);
    return rc;
}

static int random_rows(struct checking *c, struct tsr_error *err)
{
    for (int layer = 0; layer < c->config->layers; layer++)
        for (int kind = 0; kind < TSR_LINEAR_KINDS; kind++) {
            struct captured *into =
                slot_of(c, layer, (enum tsr_linear_kind)kind);
            into->k =
                tsr__config_linear(c->config, (enum tsr_linear_kind)kind).k;
            into->count = c->check->rows;
            into->rows = tsr__calloc(into->count * into->k, sizeof *into->rows);
            if (!into->rows)
                return no_memory(err);
            gen_random_activations(
                (uint64_t)(ROW_SEED + layer * TSR_LINEAR_KINDS + kind), 0,
                into->count, into->k, into->rows);
        }
    return 0;
}

static int gather_rows(struct checking *c, struct tsr_error *err)
{
    const struct tune_check *check = c->check;
    if (!check->reference)
        return random_rows(c, err);
    int rc = tsr__safetensors_open(&c->fp16, check->reference, err);
    if (rc)
        return rc;
    return check->tokens ? gen_capture(check->reference, check->tokens,
                                       check->rows, take_rows, c, err)
                         : capture_random_tokens(c, err);
}

/* ---- the fp16 linear ---------------------------------------------------- */

static const struct {
    const char *name;
    enum tsr_linear_kind kind;
} parts[] = {
    {"self_attn.q_proj", TSR_QKV},  {"self_attn.k_proj", TSR_QKV},
    {"self_attn.v_proj", TSR_QKV},  {"self_attn.o_proj", TSR_O},
    {"mlp.gate_proj", TSR_GATE_UP}, {"mlp.up_proj", TSR_GATE_UP},
    {"mlp.down_proj", TSR_DOWN},
};

/* y[count][n] in fp32, of the unquantised weights on the captured rows. */
static int fp16_linear(struct checking *c, int layer, enum tsr_linear_kind kind,
                       const struct captured *rows, size_t n, float *y,
                       struct tsr_error *err)
{
    float *x = tsr__calloc(rows->count * rows->k, sizeof *x);
    size_t at = 0;
    int rc = 0;
    if (!x)
        return no_memory(err);
    for (size_t i = 0; i < rows->count * rows->k; i++)
        x[i] = tsr__half_to_float(rows->rows[i]);
    for (size_t p = 0; rc == 0 && p < sizeof parts / sizeof *parts; p++) {
        const struct tsr_tensor *weight, *bias;
        char name[128];
        if (parts[p].kind != kind)
            continue;
        snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer,
                 parts[p].name);
        bias = tsr__safetensors_find(c->fp16, name);
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer,
                 parts[p].name);
        rc = tsr__safetensors_require(c->fp16, name, -1, NULL, &weight, err);
        if (rc == 0 && (weight->rank != 2 || weight->shape[1] != rows->k ||
                        at + weight->shape[0] > n))
            rc = TSR_FAIL(err, TSR_EFORMAT,
                          "'%s' does not have the shape of the quantised "
                          "linear",
                          name);
        if (rc == 0)
            rc = gen_matmul(weight, bias, x, rows->count, y + at, n, err);
        if (rc == 0)
            at += weight->shape[0];
    }
    tsr__free(x);
    return rc;
}

static double relative_error(const uint16_t *y, const float *wanted,
                             size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)tsr__half_to_float(y[i]) - (double)wanted[i];
        difference += d * d;
        norm += (double)wanted[i] * (double)wanted[i];
    }
    return norm > 0 ? sqrt(difference / norm) : 0;
}

/* ---- one linear --------------------------------------------------------- */

static void *copy_of(const void *bytes, size_t size)
{
    void *copy = bytes ? tsr__malloc(size) : NULL;
    if (copy)
        memcpy(copy, bytes, size);
    return copy;
}

/* The folder's linear with its codes spread out, for the reference. */
static int linear_of(const struct tsr_quantized_linear *from,
                     struct gen_linear *out, struct tsr_error *err)
{
    size_t group = tsr__weight_group(from->format);
    size_t groups = group ? from->k / group * from->n : 0;
    struct gen_linear made = {.format = from->format,
                              .n = from->n,
                              .k = from->k,
                              .qweight_bytes =
                                  tsr__packed_bytes(from->n, from->k)};
    made.codes = tsr__malloc(from->n * from->k);
    made.qweight = copy_of(from->qweight, made.qweight_bytes);
    made.scale = copy_of(from->scale, 2 * from->n);
    made.zero_scale = copy_of(from->zero_scale, 2 * from->n);
    made.s2 = copy_of(from->s2, groups);
    made.offset = copy_of(from->offset, groups);
    made.bias = copy_of(from->bias, 2 * from->n);
    if (!made.codes || !made.qweight || !made.scale ||
        (from->zero_scale && !made.zero_scale) || (from->s2 && !made.s2) ||
        (from->offset && !made.offset) || (from->bias && !made.bias)) {
        gen_linear_release(&made);
        return no_memory(err);
    }
    gen_unpack_codes(made.qweight, made.n, made.k, made.codes);
    *out = made;
    return 0;
}

/* A linear under check: operands, device buffers, what fp16 says. */
struct subject {
    struct checking *c;
    int layer;
    enum tsr_linear_kind kind;
    struct tune_operands *operands;
    const struct captured *rows;
    tsr_device_ptr in; /* captured rows */
    float *wanted;     /* fp16 linear, or NULL */
};

static void report(struct subject *s, const struct tsr_kernel *kernel, size_t m,
                   int exact, double rel_error, const char *fault)
{
    struct tune_check_result result = {
        s->layer, s->kind, tsr_kernel_info(kernel), m, exact, rel_error, fault};
    s->c->checked++;
    s->c->inexact += !exact;
    if (s->c->check->report)
        s->c->check->report(s->c->check->context, &result);
}

/* A launch that failed: the kernel's fault is a result, ours an error. */
static int blame(struct subject *s, const struct tsr_kernel *kernel, size_t m,
                 int rc, const struct tsr_error *why, struct tsr_error *err)
{
    if (rc == TSR_EFINDING || rc == TSR_EDEVICE) {
        report(s, kernel, m, 0, -1, why->text);
        return 0;
    }
    if (err)
        *err = *why;
    return rc;
}

static int read_equal(struct tsr_device *device, tsr_device_ptr at,
                      const void *wanted, size_t bytes, int *equal,
                      struct tsr_error *err)
{
    void *got = tsr__malloc(bytes);
    if (!got)
        return no_memory(err);
    int rc = tsr__device_read(device, got, at, bytes, err);
    *equal = rc == 0 && memcmp(got, wanted, bytes) == 0;
    tsr__free(got);
    return rc;
}

static double quant_error(const struct subject *s, size_t m)
{
    const struct tune_operands *o = s->operands;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < m * o->k; i++) {
        double x = (double)tsr__half_to_float(s->rows->rows[i]);
        double d = (double)o->q[i] * (double)o->q_scale[i / o->k] - x;
        difference += d * d;
        norm += x * x;
    }
    return norm > 0 ? sqrt(difference / norm) : 0;
}

/* quant_act into the buffers the GEMM reads. */
static int check_quant(struct subject *s, const struct tsr_kernel *kernel,
                       struct tune_rows *rows, int quiet, struct tsr_error *err)
{
    struct tune_operands *o = s->operands;
    struct tsr_error why = {0};
    struct tsr_quant_act call = {rows->x, rows->x_scale, rows->x_sum, s->in,
                                 (uint32_t)rows->m};
    int q = 0, scale = 0, sum = 0;
    int rc = tsr_quant_act_launch(kernel, &call, NULL, &why);
    if (rc == 0)
        rc = tsr__device_synchronize(o->device, &why);
    if (rc)
        return blame(s, kernel, rows->m, rc, &why, err);
    rc = read_equal(o->device, rows->x, o->q, rows->m * o->k, &q, err);
    if (rc == 0)
        rc = read_equal(o->device, rows->x_scale, o->q_scale, 4 * rows->m,
                        &scale, err);
    if (rc == 0)
        rc = read_equal(o->device, rows->x_sum, o->q_sum, 4 * rows->m, &sum,
                        err);
    int exact = q && scale && sum;
    if (rc == 0 && (!quiet || !exact))
        report(s, kernel, rows->m, exact, quant_error(s, rows->m),
               exact ? "" : "its rows differ from the reference");
    return rc;
}

static int launch_gemm(struct subject *s, const struct tsr_kernel *kernel,
                       const struct tune_rows *rows, struct tsr_error *err)
{
    struct tune_operands *o = s->operands;
    struct tsr_gemm call = {rows->y,     rows->x,    rows->x_scale,
                            rows->x_sum, o->qweight, o->scale,
                            o->scale2,   o->offset,  o->bias,
                            0,           0,          (uint32_t)rows->m};
    int rc = 0;
    call.workspace_bytes = tsr_kernel_workspace(kernel, call.m);
    if (call.workspace_bytes)
        rc = tsr__device_alloc(o->device, call.workspace_bytes, "workspace",
                               &call.workspace, err);
    if (rc == 0 && call.workspace)
        rc = tsr__device_fill(o->device, call.workspace, 0,
                              call.workspace_bytes, err);
    if (rc == 0)
        rc = tsr_gemm_launch(kernel, &call, NULL, err);
    if (rc == 0)
        rc = tsr__device_synchronize(o->device, err);
    if (call.workspace)
        tsr__device_release(o->device, call.workspace, NULL);
    return rc;
}

static int check_gemm(struct subject *s, const struct tsr_kernel *kernel,
                      struct tune_rows *rows, struct tsr_error *err)
{
    struct tune_operands *o = s->operands;
    struct tsr_error why = {0};
    size_t count = rows->m * o->n;
    int rc = tsr__device_fill(o->device, rows->y, TUNE_POISON, 2 * count, err);
    if (rc)
        return rc;
    rc = launch_gemm(s, kernel, rows, &why);
    if (rc)
        return blame(s, kernel, rows->m, rc, &why, err);
    uint16_t *y = tsr__malloc(2 * count);
    if (!y)
        return no_memory(err);
    rc = tsr__device_read(o->device, y, rows->y, 2 * count, err);
    if (rc == 0) {
        tune_operands_expect(o, 0, rows->m, 0, o->n);
        int exact = memcmp(y, o->y, 2 * count) == 0;
        report(s, kernel, rows->m, exact,
               s->wanted ? relative_error(y, s->wanted, count) : -1,
               exact ? "" : "its outputs differ from the reference");
    }
    tsr__free(y);
    return rc;
}

/* Buffers that the kernels write: the inputs of the GEMM are not given but
** made by quant_act. */
static int open_rows(struct subject *s, struct tune_rows *rows, size_t m,
                     struct tsr_error *err)
{
    struct tune_operands *o = s->operands;
    *rows = (struct tune_rows){.operands = o, .m = m};
    int rc = tsr__device_alloc(o->device, m * o->k, "x", &rows->x, err);
    if (rc == 0)
        rc =
            tsr__device_alloc(o->device, 4 * m, "x_scale", &rows->x_scale, err);
    if (rc == 0)
        rc = tsr__device_alloc(o->device, 4 * m, "x_sum", &rows->x_sum, err);
    if (rc == 0)
        rc = tsr__device_alloc(o->device, 2 * m * o->n, "y", &rows->y, err);
    if (rc)
        tune_rows_release(rows);
    return rc;
}

static int is_for(const struct tsr_kernel_info *row,
                  const struct tsr_kernel_key *key)
{
    return strcmp(row->key.family, key->family) == 0 && row->key.n == key->n &&
           row->key.k == key->k && !row->key.bias == !key->bias &&
           strcmp(row->key.type, "f16") == 0 &&
           (!key->format ||
            (row->key.format && strcmp(row->key.format, key->format) == 0));
}

/* 1 when an earlier row launches the same code with as many rows. */
static int seen_before(const struct tsr_package *package, size_t index,
                       size_t m, size_t rows)
{
    const struct tsr__row *mine = &package->rows[index];
    for (size_t i = 0; i < index; i++) {
        const struct tsr__row *other = &package->rows[i];
        size_t same = other->info.m < rows ? other->info.m : rows;
        if (other->cubin == mine->cubin && other->ptx == mine->ptx &&
            same == m && strcmp(other->entry, mine->entry) == 0 &&
            is_for(&other->info, &mine->info.key) &&
            strcmp(other->info.arch, mine->info.arch) == 0)
            return 1;
    }
    return 0;
}

/* Every row of the package that fits `key` and this device. `quant` is the
** kernel that makes the GEMM's input, NULL while quant_act is checked. */
static int check_rows(struct subject *s, const struct tsr_kernel_key *key,
                      const struct tsr_kernel *quant, size_t *found,
                      struct tsr_error *err)
{
    const struct tune_check *check = s->c->check;
    const struct tsr_kernel_info *row;
    int rc = 0;
    for (size_t i = 0;
         rc == 0 && (row = tsr_package_row(check->package, i)) != NULL; i++) {
        const struct tsr_kernel *kernel;
        struct tune_rows rows;
        size_t m = row->m < s->rows->count ? row->m : s->rows->count;
        if (!is_for(row, key))
            continue;
        rc = tsr_package_load(check->package, check->device, i, &kernel, err);
        if (rc == TSR_EUNSUPPORTED) { /* another architecture's */
            rc = 0;
            continue;
        }
        ++*found;
        if (rc || seen_before(check->package, i, m, s->rows->count))
            continue;
        rc = open_rows(s, &rows, m, err);
        if (rc)
            break;
        rc = check_quant(s, quant ? quant : kernel, &rows, quant != NULL, err);
        if (rc == 0 && quant)
            rc = check_gemm(s, kernel, &rows, err);
        tune_rows_release(&rows);
    }
    return rc;
}

static int check_kernels(struct subject *s, struct tsr_error *err)
{
    const struct tune_check *check = s->c->check;
    struct tune_operands *o = s->operands;
    const struct tsr_kernel *quant;
    size_t found = 0;
    struct tsr_kernel_key quant_key = {"quant_act", NULL,           "f16",
                                       0,           (uint32_t)o->k, 0};
    struct tsr_kernel_key gemm_key = {
        "gemm_w4a8",    tsr__weight_format_name(o->linear.format),
        "f16",          (uint32_t)o->n,
        (uint32_t)o->k, o->linear.bias != NULL};
    int rc = tsr_kernel_find(check->package, check->device, &quant_key,
                             (uint32_t)s->rows->count, 0, &quant, err);
    if (rc == 0)
        rc = check_rows(s, &quant_key, NULL, &found, err);
    found = 0;
    if (rc == 0)
        rc = check_rows(s, &gemm_key, quant, &found, err);
    if (rc == 0 && !found) /* says what is missing */
        rc = tsr_kernel_find(check->package, check->device, &gemm_key, 1, 0,
                             &quant, err);
    return rc;
}

static void subject_release(struct subject *s)
{
    if (s->in)
        tsr__device_release(s->c->check->device, s->in, NULL);
    tune_operands_free(s->operands);
    tsr__free(s->wanted);
}

static int check_linear(struct checking *c, int layer,
                        enum tsr_linear_kind kind, struct tsr_error *err)
{
    const struct tsr_quantized_linear *from =
        tsr__quantized_linear(c->model, layer, kind);
    struct subject s = {
        .c = c, .layer = layer, .kind = kind, .rows = slot_of(c, layer, kind)};
    struct gen_linear linear;
    size_t m = s.rows->count;
    int rc = linear_of(from, &linear, err);
    if (rc)
        return rc;
    rc = tune_operands_from_linear(&s.operands, c->check->device, &linear, 0, m,
                                   err);
    if (rc) {
        gen_linear_release(&linear);
        return rc;
    }
    struct tune_operands *o = s.operands;
    gen_reference_quant_act(s.rows->rows, 0, m, o->k, o->q, o->q_scale,
                            o->q_sum);
    rc = tsr__device_alloc(o->device, 2 * m * o->k, "in", &s.in, err);
    if (rc == 0)
        rc =
            tsr__device_write(o->device, s.in, s.rows->rows, 2 * m * o->k, err);
    if (rc == 0 && c->fp16) {
        s.wanted = tsr__calloc(m * o->n, sizeof *s.wanted);
        rc = s.wanted ? fp16_linear(c, layer, kind, s.rows, o->n, s.wanted, err)
                      : no_memory(err);
    }
    if (rc == 0)
        rc = check_kernels(&s, err);
    subject_release(&s);
    return rc;
}

/* ---- the model ---------------------------------------------------------- */

static int check_layers(struct checking *c, struct tsr_error *err)
{
    size_t done = 0;
    size_t total = (size_t)c->config->layers * TSR_LINEAR_KINDS;
    int rc = 0;
    for (int layer = 0; rc == 0 && layer < c->config->layers; layer++)
        for (int kind = 0; rc == 0 && kind < TSR_LINEAR_KINDS; kind++) {
            rc = check_linear(c, layer, (enum tsr_linear_kind)kind, err);
            if (c->check->step)
                c->check->step(c->check->context, ++done, total);
        }
    return rc;
}

int tune_check_model(const struct tune_check *check, size_t *checked,
                     size_t *inexact, struct tsr_error *err)
{
    struct checking c = {.check = check};
    size_t slots = 0;
    int rc = tsr__quantized_open(&c.model, check->model, err);
    if (rc)
        return rc;
    c.config = tsr__quantized_config(c.model);
    slots = (size_t)c.config->layers * TSR_LINEAR_KINDS;
    c.captured = tsr__calloc(slots, sizeof *c.captured);
    rc = c.captured ? gather_rows(&c, err) : no_memory(err);
    for (size_t i = 0; rc == 0 && i < slots; i++)
        if (!c.captured[i].count)
            rc = TSR_FAIL(err, TSR_EFORMAT,
                          "no tokens reached the model; is '%s' a token file?",
                          check->tokens ? check->tokens : "");
    if (rc == 0)
        rc = check_layers(&c, err);
    for (size_t i = 0; c.captured && i < slots; i++)
        tsr__free(c.captured[i].rows);
    tsr__free(c.captured);
    tsr__safetensors_free(c.fp16);
    tsr__quantized_free(c.model);
    if (rc)
        return rc;
    *checked = c.checked;
    *inexact = c.inexact;
    return 0;
}
