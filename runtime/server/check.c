/* check.c -- will this model, package and device serve together? */
#include "runtime/server/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/memory.h"
#include "runtime/model/quantized.h"

/* A ragged number of tokens: no tile is full, so guards are exercised too. */
enum { TOKENS = 17 };

struct session {
    const struct tsr_check *check;
    struct tsr_device *device;
    struct tsr_package *package;
    struct tsr_quantized_model *model;
    size_t kernels; /* launched or loaded */
    double load_ms; /* opening the package */
};

/* Everything of one linear that lives on the device. */
struct workplace {
    tsr_device_ptr x, q, q_scale, q_sum, y;
    tsr_device_ptr qweight, scale, scale2, offset, bias;
};

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void print_json(FILE *out, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER |
                                        JSON_REAL_PRECISION(6));
    if (text)
        fprintf(out, "%s\n", text);
    free(text);
    json_decref(object);
}

/* Machine code of this architecture, or baseline PTX, which all run. */
static int for_this_device(const struct session *session,
                           const struct tsr_kernel_info *row)
{
    return strcmp(row->arch, tsr_device_arch(session->device)) == 0 ||
           row->match == TSR_MATCH_BASELINE;
}

/* Same linear: everything of the key but the bucket. */
static int same_key(const struct tsr_kernel_key *a,
                    const struct tsr_kernel_key *b)
{
    const char *format_a = a->format ? a->format : "";
    const char *format_b = b->format ? b->format : "";
    const char *type_a = a->type ? a->type : "f16";
    const char *type_b = b->type ? b->type : "f16";
    return strcmp(a->family, b->family) == 0 &&
           strcmp(format_a, format_b) == 0 && strcmp(type_a, type_b) == 0 &&
           a->n == b->n && a->k == b->k && a->bias == b->bias;
}

static int upload(struct session *session, const void *bytes, size_t size,
                  const char *label, tsr_device_ptr *out, struct tsr_error *err)
{
    if (!bytes)
        return 0;
    int rc = tsr_memory_alloc(session->device, size, label, out, err);
    if (rc == 0)
        rc = tsr_memory_write(session->device, *out, bytes, size, err);
    return rc;
}

static int reserve(struct session *session, size_t size, const char *label,
                   tsr_device_ptr *out, struct tsr_error *err)
{
    return tsr_memory_alloc(session->device, size, label, out, err);
}

static void release(struct session *session, struct workplace *at)
{
    tsr_device_ptr all[] = {at->x,      at->q,       at->q_scale, at->q_sum,
                            at->y,      at->qweight, at->scale,   at->scale2,
                            at->offset, at->bias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tsr_memory_free(session->device, all[i], NULL);
}

/* Tokens that reach every code: a ramp with a different stride a row, fp16
** values between -8 and 8 (0x0000..0x47ff, either sign). */
static int make_tokens(struct session *session, size_t k, tsr_device_ptr *out,
                       struct tsr_error *err)
{
    uint16_t *x = tsr__malloc(TOKENS * k * sizeof *x);
    if (!x)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < TOKENS * k; i++) {
        uint32_t mixed = (uint32_t)i * 2654435761u >> 15;
        x[i] = (uint16_t)((mixed & 1) << 15 | (mixed >> 1) % 0x4800);
    }
    int rc = upload(session, x, TOKENS * k * sizeof *x, "x", out, err);
    tsr__free(x);
    return rc;
}

static int set_up(struct session *session,
                  const struct tsr_quantized_linear *linear,
                  struct workplace *at, struct tsr_error *err)
{
    size_t n = linear->n, k = linear->k, rows = 0;
    size_t group = tsr__weight_group(linear->format);
    if (group)
        rows = k / group;
    int rc = make_tokens(session, k, &at->x, err);
    if (rc == 0)
        rc = reserve(session, TOKENS * k, "q", &at->q, err);
    if (rc == 0)
        rc = reserve(session, TOKENS * 4, "q_scale", &at->q_scale, err);
    if (rc == 0)
        rc = reserve(session, TOKENS * 4, "q_sum", &at->q_sum, err);
    if (rc == 0)
        rc = reserve(session, TOKENS * n * 2, "y", &at->y, err);
    if (rc == 0)
        rc = upload(session, linear->qweight, tsr__packed_bytes(n, k),
                    "qweight", &at->qweight, err);
    if (rc == 0)
        rc = upload(session, linear->scale, n * 2, "scale", &at->scale, err);
    if (rc == 0)
        rc = group
                 ? upload(session, linear->s2, rows * n, "s2", &at->scale2, err)
                 : upload(session, linear->zero_scale, n * 2, "zs", &at->scale2,
                          err);
    if (rc == 0 && group)
        rc = upload(session, linear->offset, rows * n, "b", &at->offset, err);
    if (rc == 0)
        rc = upload(session, linear->bias, n * 2, "bias", &at->bias, err);
    return rc;
}

static int quantize_tokens(struct session *session, struct workplace *at,
                           const struct tsr_kernel_key *gemm,
                           struct tsr_error *err)
{
    struct tsr_kernel_key key = {
        .family = "quant_act", .type = gemm->type, .k = gemm->k};
    const struct tsr_kernel *kernel;
    int rc = tsr_kernel_find(session->package, session->device, &key, TOKENS, 0,
                             &kernel, err);
    struct tsr_quant_act quant = {.q = at->q,
                                  .scale = at->q_scale,
                                  .sum = at->q_sum,
                                  .x = at->x,
                                  .m = TOKENS};
    if (rc == 0)
        rc = tsr_quant_act_launch(kernel, &quant, NULL, err);
    return rc;
}

/* Launches one kernel and reads y. */
static int launch(struct session *session, const struct tsr_kernel *kernel,
                  const struct workplace *at, uint16_t *y, size_t bytes,
                  struct tsr_error *err)
{
    struct tsr_gemm gemm = {.y = at->y,
                            .x = at->q,
                            .x_scale = at->q_scale,
                            .x_sum = at->q_sum,
                            .qweight = at->qweight,
                            .scale = at->scale,
                            .scale2 = at->scale2,
                            .offset = at->offset,
                            .bias = at->bias,
                            .m = TOKENS};
    int rc = tsr_memory_fill(session->device, at->y, 0xff, bytes, err);
    gemm.workspace_bytes = tsr_kernel_workspace(kernel, TOKENS);
    if (rc == 0 && gemm.workspace_bytes) {
        rc = reserve(session, gemm.workspace_bytes, "workspace",
                     &gemm.workspace, err);
        if (rc == 0)
            rc = tsr_memory_fill(session->device, gemm.workspace, 0,
                                 gemm.workspace_bytes, err);
    }
    if (rc == 0)
        rc = tsr_gemm_launch(kernel, &gemm, NULL, err);
    if (rc == 0)
        rc = tsr_device_synchronize(session->device, err);
    if (rc == 0)
        rc = tsr_memory_read(session->device, y, at->y, bytes, err);
    tsr_memory_free(session->device, gemm.workspace, NULL);
    return rc;
}

/* Launches every kernel the package has for `key` on this architecture and
** compares it with the first. */
static int compare_kernels(struct session *session, const char *word,
                           const struct tsr_kernel_key *key,
                           const struct workplace *at, size_t *count,
                           struct tsr_error *err)
{
    size_t bytes = (size_t)TOKENS * key->n * sizeof(uint16_t);
    uint16_t *first = tsr__malloc(bytes), *other = tsr__malloc(bytes);
    const struct tsr_kernel_info *row;
    int rc = first && other ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    *count = 0;
    for (size_t i = 0; rc == 0 && (row = tsr_package_row(session->package, i));
         i++) {
        const struct tsr_kernel *kernel;
        if (!same_key(&row->key, key) || !for_this_device(session, row))
            continue;
        rc = tsr_package_load(session->package, session->device, i, &kernel,
                              err);
        if (rc == 0)
            rc =
                launch(session, kernel, at, *count ? other : first, bytes, err);
        if (rc == 0 && *count && memcmp(first, other, bytes) != 0)
            rc = TSR_FAIL(err, TSR_EMISMATCH,
                          "gives other bits than the first kernel; do not "
                          "serve with this package, build it anew");
        if (rc)
            rc = tsr__fail_context(err, rc, "%s, %s", word, row->spec);
        ++*count;
    }
    tsr__free(first);
    tsr__free(other);
    return rc;
}

static void report_linear(const struct session *session, const char *word,
                          const struct tsr_kernel_key *key, size_t count)
{
    FILE *out = session->check->out;
    if (session->check->json)
        print_json(out, json_pack("{s:s,s:s,s:i,s:i,s:i,s:b}", "linear", word,
                                  "format", key->format, "n", (int)key->n, "k",
                                  (int)key->k, "kernels", (int)count,
                                  "same_bits", 1));
    else
        fprintf(out, "%-8s %s n=%u k=%u: %zu kernels, the same bits\n", word,
                key->format, key->n, key->k, count);
}

static int check_linear(struct session *session, enum tsr_linear_kind kind,
                        struct tsr_error *err)
{
    const struct tsr_quantized_linear *linear =
        tsr__quantized_linear(session->model, 0, kind);
    const char *word = tsr__linear_word(kind);
    struct tsr_kernel_key key = {
        .family = "gemm_w4a8",
        .format = tsr__weight_format_name(linear->format),
        .type = "f16",
        .n = (uint32_t)linear->n,
        .k = (uint32_t)linear->k,
        .bias = linear->bias != NULL,
    };
    struct workplace at;
    size_t count = 0;
    memset(&at, 0, sizeof at);
    int rc = set_up(session, linear, &at, err);
    if (rc == 0)
        rc = quantize_tokens(session, &at, &key, err);
    if (rc == 0)
        rc = compare_kernels(session, word, &key, &at, &count, err);
    if (rc == 0 && count == 0)
        rc = TSR_FAIL(err, TSR_ENOTFOUND,
                      "no kernel for %s (gemm_w4a8 %s n=%u k=%u) on %s: tune "
                      "this model for that architecture and pack again",
                      word, key.format, key.n, key.k,
                      tsr_device_arch(session->device));
    if (rc == 0)
        report_linear(session, word, &key, count);
    session->kernels += count;
    release(session, &at);
    return rc;
}

/* Without a model: every kernel for this architecture loads. */
static int load_all(struct session *session, struct tsr_error *err)
{
    const struct tsr_kernel_info *row;
    for (size_t i = 0; (row = tsr_package_row(session->package, i)); i++) {
        const struct tsr_kernel *kernel;
        if (!for_this_device(session, row))
            continue;
        int rc = tsr_package_load(session->package, session->device, i, &kernel,
                                  err);
        if (rc)
            return rc;
        session->kernels++;
    }
    if (session->kernels == 0)
        return TSR_FAIL(err, TSR_ENOTFOUND,
                        "'%s' has no kernel for %s: pack it with --arch %s",
                        session->check->package,
                        tsr_device_arch(session->device),
                        tsr_device_arch(session->device));
    return 0;
}

static void report(const struct session *session)
{
    const char *device = tsr_device_name(session->device);
    const char *arch = tsr_device_arch(session->device);
    FILE *out = session->check->out;
    if (session->check->json)
        print_json(out,
                   json_pack("{s:b,s:s,s:s,s:i,s:f}", "ok", 1, "device", device,
                             "arch", arch, "kernels", (int)session->kernels,
                             "open_ms", session->load_ms));
    else
        fprintf(out, "ok: %zu kernels %s on %s (%s), package open in %.1f ms\n",
                session->kernels, session->model ? "agree" : "load", device,
                arch, session->load_ms);
}

int tsr__server_check(const struct tsr_check *check, struct tsr_error *err)
{
    struct session session;
    memset(&session, 0, sizeof session);
    session.check = check;
    int rc = tsr_device_open(&session.device, check->device, err);
    double start = milliseconds();
    if (rc == 0)
        rc = tsr_package_open(&session.package, check->package, err);
    session.load_ms = milliseconds() - start;
    if (rc == 0 && check->model)
        rc = tsr__quantized_open(&session.model, check->model, err);
    if (rc == 0 && !check->model)
        rc = load_all(&session, err);
    for (int kind = 0; rc == 0 && check->model && kind < TSR_LINEAR_KINDS;
         kind++)
        rc = check_linear(&session, (enum tsr_linear_kind)kind, err);
    if (rc == 0)
        report(&session);
    tsr__quantized_free(session.model);
    tsr_package_free(session.package);
    tsr_device_free(session.device);
    return rc;
}
