/* candidates.c -- GEMM kernels that were compiled elsewhere, checked here. */
#include "tests/gpu/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "gen/quantize/random.h"
#include "gen/quantize/reference.h"
#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/device/device.h"
#include "tests/gpu/results.h"

enum { SEED = 4, WARM_UP = 3, TIMED = 50, COPIES = 64 };

/* ---- the list ------------------------------------------------------------ */

static const struct {
    const char *name;
    enum tsr_weight_format format;
} formats[] = {
#define X(symbol, name, group) {name, symbol},
    TSR_WEIGHT_FORMAT_LIST(X)
#undef X
};

/* Copies the value of " KEY=" in `line` up to the next space; 0 or -1. */
static int word(const char *line, const char *key, char *out, size_t size)
{
    size_t length = strlen(key);
    for (const char *at = line; (at = strstr(at, key)); at++) {
        if ((at != line && at[-1] != ' ') || at[length] != '=')
            continue;
        const char *value = at + length + 1;
        size_t n = strcspn(value, " \n");
        if (n == 0 || n >= size)
            return -1;
        memcpy(out, value, n);
        out[n] = 0;
        return 0;
    }
    return -1;
}

static int number(const char *line, const char *key, long low, long high,
                  long *out)
{
    char text[32], *end;
    if (word(line, key, text, sizeof text))
        return -1;
    long value = strtol(text, &end, 10);
    if (*end || value < low || value > high)
        return -1;
    *out = value;
    return 0;
}

int gpu_candidate_parse(struct gpu_candidate *out, const char *line,
                        struct tsr_error *err)
{
    struct gpu_candidate c = {0};
    char format[16], kind[8], estimate[32];
    long bias = 0;
    const char *spec = strstr(line, " spec=");
    if (word(line, "file", c.file, sizeof c.file) || strchr(c.file, '/') ||
        word(line, "entry", c.entry, sizeof c.entry) ||
        word(line, "arch", c.arch, sizeof c.arch) ||
        word(line, "format", format, sizeof format) ||
        word(line, "out", kind, sizeof kind) ||
        number(line, "n", 8, 1 << 20, &c.n) ||
        number(line, "k", 32, TSR_K_MAX, &c.k) ||
        number(line, "m", 1, 1 << 16, &c.m) ||
        number(line, "bias", 0, 1, &bias) ||
        number(line, "threads", 1, 1024, &c.threads) ||
        number(line, "shared", 0, 1 << 20, &c.shared) ||
        number(line, "tile_n", 1, 4096, &c.tile_n) ||
        number(line, "tile_m", 1, 4096, &c.tile_m) ||
        number(line, "split_k", 1, 256, &c.split_k))
        return TSR_FAIL(err, TSR_EFORMAT,
                        "candidates.txt: a word is missing or out of range: "
                        "%.300s",
                        line);
    size_t f = 0;
    while (f < sizeof formats / sizeof *formats &&
           strcmp(formats[f].name, format) != 0)
        f++;
    if (f == sizeof formats / sizeof *formats)
        return TSR_FAIL(err, TSR_EFORMAT, "candidates.txt: unknown format %s",
                        format);
    c.format = formats[f].format;
    c.bf16 = strcmp(kind, "bf16") == 0;
    c.bias = (int)bias;
    if (word(line, "estimate_us", estimate, sizeof estimate) == 0)
        c.estimate_us = atof(estimate);
    if (spec)
        snprintf(c.spec, sizeof c.spec, "%.*s", (int)strcspn(spec + 6, "\n"),
                 spec + 6);
    *out = c;
    return 0;
}

/* Machine code runs on its own major version, at or above its minor one; with
** a suffix on exactly its own. */
int gpu_candidate_fits(const struct gpu_candidate *c, struct tsr_device *d)
{
    const struct tsr_device_info *info = tsr__device_info(d);
    char *suffix;
    if (strcmp(c->arch, info->arch) == 0)
        return 1;
    if (info->emulated || strncmp(c->arch, "sm_", 3) != 0)
        return 0;
    long number = strtol(c->arch + 3, &suffix, 10);
    if (*suffix)
        return *suffix == 'a' &&
               number == info->capability_major * 10 + info->capability_minor;
    return number / 10 == info->capability_major &&
           number % 10 <= info->capability_minor;
}

/* ---- a problem: weights, activations, right answer ------------------------
 */

/* Kept from one candidate to the next as long as the key is the same. */
struct problem {
    struct gpu_candidate key;
    struct gen_linear linear;
    int8_t *x;
    float *x_scale;
    int32_t *x_sum;
    uint16_t *y;
};

static void problem_release(struct problem *p)
{
    gen_linear_release(&p->linear);
    tsr__free(p->x);
    tsr__free(p->x_scale);
    tsr__free(p->x_sum);
    tsr__free(p->y);
    memset(p, 0, sizeof *p);
}

static int same_problem(const struct gpu_candidate *a,
                        const struct gpu_candidate *b)
{
    return a->format == b->format && a->n == b->n && a->k == b->k &&
           a->m == b->m && a->bf16 == b->bf16 && a->bias == b->bias;
}

static int problem_make(struct problem *p, const struct gpu_candidate *c,
                        struct tsr_error *err)
{
    size_t n = (size_t)c->n, k = (size_t)c->k, m = (size_t)c->m;
    if (p->y && same_problem(&p->key, c))
        return 0;
    problem_release(p);
    int rc =
        gen_random_weights(&p->linear, SEED, c->format, n, k, c->bias, err);
    if (rc)
        return rc;
    p->x = tsr__malloc(m * k);
    p->x_scale = tsr__malloc(m * sizeof *p->x_scale);
    p->x_sum = tsr__malloc(m * sizeof *p->x_sum);
    p->y = tsr__malloc(m * n * sizeof *p->y);
    if (!p->x || !p->x_scale || !p->x_sum || !p->y) {
        problem_release(p);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    gen_random_quantized(SEED + 1, m, k, p->x, p->x_scale, p->x_sum);
    struct gen_reference_weights view = gen_linear_view(&p->linear, c->bf16);
    gen_reference_gemm(&view, p->x, p->x_scale, p->x_sum, 0, m, 0, n, p->y);
    p->key = *c;
    return 0;
}

/* ---- one kernel ---------------------------------------------------------- */

/* The kernel's parameters, in order (the argument list of gemm_w4a8). */
enum {
    Y,
    X,
    X_SCALE,
    X_SUM,
    QWEIGHT,
    SCALE,
    SCALE2,
    OFFSET,
    BIAS,
    WORKSPACE,
    BUFFERS
};

struct launch {
    struct tsr_device *device;
    struct tsr_module *module;
    struct tsr_function *function;
    struct tsr_launch_shape shape;
    tsr_device_ptr buffer[BUFFERS];
    size_t bytes[BUFFERS];
    tsr_device_ptr copy[COPIES]; /* of the weights, for timing */
    int copies;
    int32_t m;
};

static int upload(struct launch *l, int which, const char *label,
                  const void *from, size_t bytes, struct tsr_error *err)
{
    if (bytes == 0)
        return 0;
    l->bytes[which] = bytes;
    int rc = tsr__device_alloc(l->device, bytes, label, &l->buffer[which], err);
    if (rc == 0 && from)
        rc = tsr__device_write(l->device, l->buffer[which], from, bytes, err);
    return rc;
}

static size_t workspace_bytes(const struct gpu_candidate *c, size_t tiles)
{
    if (c->split_k == 1)
        return 0;
    return 4 * (tsr__round_up(tiles, 64) +
                tiles * (size_t)c->tile_n * (size_t)c->tile_m);
}

static int upload_all(struct launch *l, const struct gpu_candidate *c,
                      const struct problem *p, struct tsr_error *err)
{
    size_t n = (size_t)c->n, k = (size_t)c->k, m = (size_t)c->m;
    const struct gen_linear *w = &p->linear;
    size_t group = c->format == TSR_W4C ? 0 : c->format == TSR_W4G64 ? 64 : 128;
    size_t groups = group ? k / group : 0;
    size_t tiles = tsr__ceil_div(n, (size_t)c->tile_n) *
                   tsr__ceil_div(m, (size_t)c->tile_m);
    const void *scale2 = group ? (const void *)w->s2 : w->zero_scale;
    int rc = 0;
    (void)((rc = upload(l, Y, "y", NULL, m * n * 2, err)) ||
           (rc = upload(l, X, "x", p->x, m * k, err)) ||
           (rc = upload(l, X_SCALE, "x_scale", p->x_scale, m * 4, err)) ||
           (rc = upload(l, X_SUM, "x_sum", p->x_sum, m * 4, err)) ||
           (rc = upload(l, QWEIGHT, "qweight", w->qweight, w->qweight_bytes,
                        err)) ||
           (rc = upload(l, SCALE, "scale", w->scale, n * 2, err)) ||
           (rc = upload(l, SCALE2, "scale2", scale2, group ? groups * n : n * 2,
                        err)) ||
           (rc = upload(l, OFFSET, "offset", w->offset, groups * n, err)) ||
           (rc = upload(l, BIAS, "bias", w->bias, c->bias ? n * 2 : 0, err)) ||
           (rc = upload(l, WORKSPACE, "workspace", NULL,
                        workspace_bytes(c, tiles), err)));
    if (rc == 0) /* poison: a cell that is not written must show */
        rc = tsr__device_fill(l->device, l->buffer[Y], 0xff, l->bytes[Y], err);
    if (rc == 0 && l->bytes[WORKSPACE])
        rc = tsr__device_fill(l->device, l->buffer[WORKSPACE], 0,
                              l->bytes[WORKSPACE], err);
    l->m = (int32_t)c->m;
    l->shape =
        (struct tsr_launch_shape){{(uint32_t)tiles, 1, (uint32_t)c->split_k},
                                  {(uint32_t)c->threads, 1, 1},
                                  (uint32_t)c->shared};
    return rc;
}

static int load_file(struct launch *l, const char *folder, const char *file,
                     const char *suffix, struct tsr_error *err)
{
    char path[1024], *image = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s.%s", folder, file, suffix);
    int rc = tsr__file_read(path, (size_t)64 << 20, &image, &size, err);
    if (rc == 0)
        rc = tsr__module_load(l->device, image, size, &l->module, err);
    tsr__free(image);
    return rc;
}

/* Machine code, or PTX for a device that takes no other. */
static int load_kernel(struct launch *l, const struct gpu_candidate *c,
                       const char *folder, struct tsr_error *err)
{
    int rc = -1;
    if (!tsr__device_info(l->device)->emulated)
        rc = load_file(l, folder, c->file, "cubin", err);
    if (rc && rc != TSR_EDEVICE)
        rc = load_file(l, folder, c->file, "ptx", err);
    if (rc == 0)
        rc = tsr__module_function(l->module, c->entry, (uint32_t)c->shared,
                                  &l->function, err);
    return rc;
}

static void launch_release(struct launch *l)
{
    struct tsr_error ignored;
    if (l->module)
        tsr__module_free(l->module);
    for (int i = 0; i < BUFFERS; i++)
        if (l->buffer[i])
            tsr__device_release(l->device, l->buffer[i], &ignored);
    for (int i = 0; i < l->copies; i++)
        tsr__device_release(l->device, l->copy[i], &ignored);
}

static int launch_once(struct launch *l, tsr_device_ptr qweight,
                       struct tsr_stream *stream, struct tsr_error *err)
{
    void *arguments[BUFFERS + 1];
    for (int i = 0; i < BUFFERS; i++)
        arguments[i] = &l->buffer[i];
    arguments[QWEIGHT] = &qweight;
    arguments[BUFFERS] = &l->m;
    return tsr__function_launch(l->function, &l->shape, stream, arguments, err);
}

/* TSR_EMISMATCH when a cell differs or the workspace is not left zero. */
static int check_output(struct launch *l, const struct problem *p,
                        struct tsr_error *err)
{
    size_t cells = l->bytes[Y] / 2, words = l->bytes[WORKSPACE] / 4;
    uint16_t *got = tsr__malloc(l->bytes[Y]);
    uint32_t *left = tsr__malloc(l->bytes[WORKSPACE]);
    int rc = got && left ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    if (rc == 0)
        rc = tsr__device_read(l->device, got, l->buffer[Y], l->bytes[Y], err);
    if (rc == 0 && words)
        rc = tsr__device_read(l->device, left, l->buffer[WORKSPACE],
                              l->bytes[WORKSPACE], err);
    for (size_t i = 0; i < cells && rc == 0; i++)
        if (got[i] != p->y[i])
            rc = TSR_FAIL(err, TSR_EMISMATCH,
                          "y[%zu][%zu] is %04x, the reference says %04x",
                          i / (size_t)p->key.n, i % (size_t)p->key.n, got[i],
                          p->y[i]);
    for (size_t i = 0; i < words && rc == 0; i++)
        if (left[i])
            rc = TSR_FAIL(err, TSR_EMISMATCH,
                          "workspace word %zu is %08x after the launch", i,
                          left[i]);
    tsr__free(got);
    tsr__free(left);
    return rc;
}

/* Copies of the weights, so that together they exceed twice the L2 cache. */
static int make_copies(struct launch *l, const struct problem *p,
                       struct tsr_error *err)
{
    size_t l2 = tsr__device_info(l->device)->l2_bytes,
           bytes = l->bytes[QWEIGHT];
    int wanted = (int)(2 * l2 / bytes) + 1, rc = 0;
    if (wanted > COPIES)
        wanted = COPIES;
    for (int i = 0; i < wanted && rc == 0; i++) {
        rc = tsr__device_alloc(l->device, bytes, "qweight", &l->copy[i], err);
        if (rc)
            break;
        l->copies = i + 1;
        rc = tsr__device_write(l->device, l->copy[i], p->linear.qweight, bytes,
                               err);
    }
    return rc;
}

static int measure(struct launch *l, const struct problem *p,
                   double *microseconds, struct tsr_error *err)
{
    struct tsr_event *start = NULL, *stop = NULL;
    double milliseconds = 0;
    int rc = make_copies(l, p, err);
    if (rc == 0)
        rc = tsr__event_create(l->device, &start, err);
    if (rc == 0)
        rc = tsr__event_create(l->device, &stop, err);
    for (int i = 0; i < WARM_UP + TIMED && rc == 0; i++) {
        if (i == WARM_UP)
            rc = tsr__event_record(start, NULL, err);
        if (rc == 0)
            rc = launch_once(l, l->copy[i % l->copies], NULL, err);
    }
    if (rc == 0)
        rc = tsr__event_record(stop, NULL, err);
    if (rc == 0)
        rc = tsr__device_synchronize(l->device, err);
    if (rc == 0)
        rc = tsr__event_elapsed(start, stop, &milliseconds, err);
    if (rc == 0)
        *microseconds = milliseconds * 1000 / TIMED;
    if (start)
        tsr__event_free(start);
    if (stop)
        tsr__event_free(stop);
    return rc;
}

static int run_one(struct tsr_device *device, const struct gpu_candidate *c,
                   const struct problem *p, const char *folder,
                   double *microseconds, struct tsr_error *err)
{
    struct launch l = {.device = device};
    int rc = load_kernel(&l, c, folder, err);
    if (rc == 0)
        rc = upload_all(&l, c, p, err);
    if (rc == 0)
        rc = launch_once(&l, l.buffer[QWEIGHT], NULL, err);
    if (rc == 0)
        rc = tsr__device_synchronize(device, err);
    if (rc == 0)
        rc = check_output(&l, p, err);
    if (rc == 0 && !tsr__device_info(device)->emulated)
        rc = measure(&l, p, microseconds, err);
    launch_release(&l);
    return rc;
}

/* ---- all of them ----------------------------------------------------------
 */

static void record(struct results *r, const struct gpu_candidate *c,
                   const struct problem *p, int rc, double microseconds,
                   const struct tsr_error *err)
{
    results_open(r, NULL, '{');
    results_text(r, "spec", c->spec[0] ? c->spec : c->file);
    results_text(r, "verdict",
                 rc == 0               ? "exact"
                 : rc == TSR_EMISMATCH ? "wrong"
                                       : "failed");
    if (rc)
        results_text(r, "error", err->text);
    if (microseconds > 0) {
        double seconds = microseconds * 1e-6;
        results_real(r, "microseconds", microseconds);
        results_real(r, "estimate_us", c->estimate_us);
        results_real(r, "weight_gb_per_s",
                     (double)p->linear.qweight_bytes / seconds * 1e-9);
        results_real(r, "tops",
                     2.0 * (double)c->n * (double)c->k * (double)c->m /
                         seconds * 1e-12);
    }
    results_close(r, '}');
}

static int run_line(struct tsr_device *device, const char *line,
                    const char *folder, double largest, struct problem *p,
                    FILE *log, struct results *results, struct gpu_tally *tally,
                    struct tsr_error *err)
{
    struct gpu_candidate c;
    double microseconds = 0;
    int rc = gpu_candidate_parse(&c, line, err);
    if (rc)
        return rc;
    if (!gpu_candidate_fits(&c, device)) {
        tally->other_arch++;
        return 0;
    }
    if (largest > 0 && (double)c.n * (double)c.k * (double)c.m > largest)
        return 0;
    rc = problem_make(p, &c, err);
    if (rc)
        return rc;
    rc = run_one(device, &c, p, folder, &microseconds, err);
    tally->checked++;
    tally->exact += rc == 0;
    tally->failed += rc != 0;
    record(results, &c, p, rc, microseconds, err);
    if (rc && log)
        fprintf(log, "%s: %s\n", c.spec[0] ? c.spec : c.file, err->text);
    /* Only a lost device ends the run. */
    return rc == TSR_EDEVICE || rc == TSR_EMEMORY ? rc : 0;
}

int gpu_candidates_run(struct tsr_device *device, const char *folder,
                       double largest, FILE *log, struct results *results,
                       struct gpu_tally *tally, struct tsr_error *err)
{
    char path[1024], *text = NULL, *state = NULL;
    size_t size;
    struct problem p = {0};
    snprintf(path, sizeof path, "%s/candidates.txt", folder);
    int rc = tsr__file_read(path, (size_t)16 << 20, &text, &size, err);
    if (rc)
        return rc;
    results_open(results, "candidates", '[');
    for (char *line = strtok_r(text, "\n", &state); line && rc == 0;
         line = strtok_r(NULL, "\n", &state))
        if (*line != '#')
            rc = run_line(device, line, folder, largest, &p, log, results,
                          tally, err);
    results_close(results, ']');
    problem_release(&p);
    tsr__free(text);
    return rc;
}
