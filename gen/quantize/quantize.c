/* quantize.c -- an fp16 model folder to a quantised one.
**
** First a plan: every output tensor with the source tensors it comes from, so
** that whatever is missing, has another shape or is left over is found before
** anything is written. Then the plan is carried out in order.
*/
#include "gen/quantize/quantize.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/quantize/folder.h"
#include "gen/quantize/linear.h"
#include "gen/quantize/writer.h"
#include "runtime/base/buffer.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/model/safetensors.h"

enum { NAME_ROOM = 160, PATH_ROOM = 4200, CONFIG_LIMIT = 4 << 20 };
#define SHARD_BYTES ((size_t)4 << 30)

static const char *const METHODS[] = {
#define NAME(symbol, name, words) name,
    GEN_METHOD_LIST(NAME)
#undef NAME
};

int gen_method_parse(const char *name, enum gen_method *out)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
        if (strcmp(name, METHODS[i]) == 0) {
            *out = (enum gen_method)i;
            return 0;
        }
    return -1;
}

const char *gen_method_names(void)
{
#define NAME(symbol, name, words) ", " name
    return (GEN_METHOD_LIST(NAME)) + 2;
#undef NAME
}

/* One step of the plan: a copy, or a linear. */
struct step {
    const struct tsr_tensor *copy; /* NULL: a linear */
    int to;
    int layer;
    enum tsr_linear_kind kind;
    char name[NAME_ROOM];
    struct gen_linear_job job;
};

struct plan {
    const struct gen_quantize_options *options;
    struct tsr_model_config config;
    struct tsr_safetensors *source;
    struct gen_writer *writer;
    unsigned char *used; /* per source tensor */
    struct step *steps;
    size_t count, capacity;
    size_t linears;
};

static struct step *add_step(struct plan *plan, struct tsr_error *err)
{
    if (tsr__grow((void **)&plan->steps, &plan->capacity, plan->count + 1,
                  sizeof *plan->steps)) {
        TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        return NULL;
    }
    struct step *step = &plan->steps[plan->count++];
    memset(step, 0, sizeof *step);
    return step;
}

/* A source tensor of that shape and a float type, marked as used. */
static int take(struct plan *plan, const char *name, int rank,
                const size_t *shape, const struct tsr_tensor **out,
                struct tsr_error *err)
{
    int rc =
        tsr__safetensors_require(plan->source, name, rank, shape, out, err);
    if (!rc)
        rc = gen_check_float(*out, err);
    if (!rc)
        plan->used[*out - tsr__safetensors_at(plan->source, 0)] = 1;
    return rc;
}

static int plan_copy(struct plan *plan, const char *name, int rank, size_t rows,
                     size_t columns, struct tsr_error *err)
{
    size_t shape[2] = {rows, columns};
    const struct tsr_tensor *from;
    int rc = take(plan, name, rank, shape, &from, err);
    if (rc)
        return rc;
    int to = gen_writer_declare(plan->writer, name, TSR_F16, rank, shape, err);
    if (to < 0)
        return to;
    struct step *step = add_step(plan, err);
    if (!step)
        return TSR_EMEMORY;
    step->copy = from;
    step->to = to;
    return 0;
}

/* The source linears that a fused one consists of. */
static void list_parts(const struct tsr_model_config *config,
                       enum tsr_linear_kind kind,
                       const char *names[GEN_PARTS_MAX],
                       size_t rows[GEN_PARTS_MAX], int *count)
{
    size_t query = (size_t)config->heads * (size_t)config->head_dim;
    size_t key = (size_t)config->kv_heads * (size_t)config->head_dim;
    size_t inner = (size_t)config->intermediate;
    *count = 1;
    rows[0] = (size_t)config->hidden;
    names[0] = tsr__linear_name(kind);
    if (kind == TSR_QKV) {
        names[0] = "self_attn.q_proj", rows[0] = query;
        names[1] = "self_attn.k_proj", rows[1] = key;
        names[2] = "self_attn.v_proj", rows[2] = key;
        *count = 3;
    } else if (kind == TSR_GATE_UP) {
        names[0] = "mlp.gate_proj", rows[0] = inner;
        names[1] = "mlp.up_proj", rows[1] = inner;
        *count = 2;
    }
}

static int plan_linear(struct plan *plan, int layer, enum tsr_linear_kind kind,
                       struct tsr_error *err)
{
    struct tsr_linear_shape shape = tsr__config_linear(&plan->config, kind);
    const char *names[GEN_PARTS_MAX], *rule;
    size_t rows[GEN_PARTS_MAX];
    struct step *step = add_step(plan, err);
    if (!step)
        return TSR_EMEMORY;
    struct gen_linear_job *job = &step->job;
    step->layer = layer;
    step->kind = kind;
    snprintf(step->name, NAME_ROOM, "model.layers.%d.%s", layer,
             tsr__linear_name(kind));
    job->format = plan->options->format;
    job->n = shape.n;
    job->k = shape.k;
    list_parts(&plan->config, kind, names, rows, &job->parts);
    rule = tsr__linear_check(job->format, job->n, job->k);
    if (rule)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' (N %zu, K %zu) cannot be %s: %s", step->name,
                        job->n, job->k, tsr__weight_format_name(job->format),
                        rule);
    for (int i = 0; i < job->parts; i++) {
        char name[NAME_ROOM];
        size_t full[2] = {rows[i], job->k};
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer,
                 names[i]);
        int rc = take(plan, name, 2, full, &job->weights[i], err);
        snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer, names[i]);
        if (!rc && shape.bias)
            rc = take(plan, name, 1, full, &job->biases[i], err);
        if (rc)
            return rc;
    }
    plan->linears++;
    return gen_linear_declare(job, plan->writer, step->name, err);
}

static int plan_layer(struct plan *plan, int layer, struct tsr_error *err)
{
    char name[NAME_ROOM];
    size_t hidden = (size_t)plan->config.hidden;
    size_t head = (size_t)plan->config.head_dim;
    static const char *const norms[] = {"input_layernorm",
                                        "post_attention_layernorm",
                                        "self_attn.q_norm", "self_attn.k_norm"};
    int rc = 0;
    for (int i = 0; !rc && i < (plan->config.qk_norm ? 4 : 2); i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer,
                 norms[i]);
        rc = plan_copy(plan, name, 1, i < 2 ? hidden : head, 0, err);
    }
    for (int kind = 0; !rc && kind < TSR_LINEAR_KINDS; kind++)
        rc = plan_linear(plan, layer, (enum tsr_linear_kind)kind, err);
    return rc;
}

/* A tensor that nothing takes means that the model is not what config.json
** says (a bias, an adapter): quantising it would lose something. */
static int check_leftovers(const struct plan *plan, struct tsr_error *err)
{
    for (size_t i = 0; i < tsr__safetensors_count(plan->source); i++) {
        const struct tsr_tensor *tensor = tsr__safetensors_at(plan->source, i);
        int known = plan->used[i] ||
                    strstr(tensor->name, "rotary_emb.inv_freq") != NULL ||
                    (plan->config.tied_embeddings &&
                     strcmp(tensor->name, "lm_head.weight") == 0);
        if (!known)
            return TSR_FAIL(err, TSR_EUNSUPPORTED,
                            "'%s': tensor '%s' has no place in the %s that "
                            "config.json describes",
                            tensor->file, tensor->name,
                            tsr__architecture_name(plan->config.architecture));
    }
    return 0;
}

static int make_plan(struct plan *plan, struct tsr_error *err)
{
    const struct tsr_model_config *config = &plan->config;
    size_t hidden = (size_t)config->hidden, vocab = (size_t)config->vocab;
    plan->used = tsr__calloc(tsr__safetensors_count(plan->source) + 1, 1);
    if (!plan->used)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    int rc = gen_writer_create(&plan->writer, err);
    if (!rc)
        rc =
            plan_copy(plan, "model.embed_tokens.weight", 2, vocab, hidden, err);
    for (int layer = 0; !rc && layer < config->layers; layer++)
        rc = plan_layer(plan, layer, err);
    if (!rc)
        rc = plan_copy(plan, "model.norm.weight", 1, hidden, 0, err);
    if (!rc && !config->tied_embeddings)
        rc = plan_copy(plan, "lm_head.weight", 2, vocab, hidden, err);
    return rc ? rc : check_leftovers(plan, err);
}

static int thread_count(int wanted)
{
    long cores = wanted > 0 ? wanted : sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}

static int run_plan(struct plan *plan, struct tsr_error *err)
{
    int threads = thread_count(plan->options->threads), rc = 0;
    size_t done = 0;
    for (size_t i = 0; !rc && i < plan->count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->copy) {
            rc = gen_copy_half(step->copy, plan->writer, step->to, 0, err);
            tsr__safetensors_forget(plan->source, step->copy);
            continue;
        }
        done++;
        struct gen_linear_report report = {.layer = step->layer,
                                           .kind = step->kind,
                                           .name = step->name,
                                           .n = step->job.n,
                                           .k = step->job.k,
                                           .done = done,
                                           .total = plan->linears};
        rc = gen_linear_quantize(&step->job, plan->writer, threads,
                                 &report.rel_error, err);
        for (int part = 0; part < step->job.parts; part++)
            tsr__safetensors_forget(plan->source, step->job.weights[part]);
        if (!rc && plan->options->report)
            plan->options->report(plan->options->context, &report);
    }
    return rc ? rc : gen_writer_finish(plan->writer, err);
}

/* `to` as seen from the folder `from`, both absolute and without links; the
** caller frees it. NULL when out of memory. */
static char *relative_path(const char *from, const char *to)
{
    size_t same = 0;
    struct tsr_buffer path = TSR_BUFFER_INIT;
    for (size_t i = 0;; i++) {
        int ends =
            (from[i] == 0 || from[i] == '/') && (to[i] == 0 || to[i] == '/');
        if (ends && i)
            same = i;
        if (from[i] != to[i] || from[i] == 0)
            break;
    }
    for (const char *at = from + same; *at; at++)
        if (*at == '/' && at[1])
            tsr__buffer_addf(&path, "../");
    if (to[same] == '/' && to[same + 1])
        tsr__buffer_addf(&path, "%s", to + same + 1);
    else
        tsr__buffer_addf(&path, ".");
    if (path.failed) {
        tsr__buffer_release(&path);
        return NULL;
    }
    return tsr__buffer_detach(&path, NULL);
}

/* Where the fp16 model is, for `tessera verify`; relative, so that a folder
** that holds both can be moved. */
static json_t *source_path(const char *model, const char *folder)
{
    char *to = realpath(model, NULL), *from = realpath(folder, NULL);
    char *path = to && from ? relative_path(from, to) : NULL;
    json_t *json = path ? json_string(path) : NULL; /* NULL: not UTF-8 */
    tsr__free(path);
    free(to);
    free(from);
    return json;
}

/* The source's config.json plus quantization_config. */
static int write_config(const struct plan *plan, const char *folder,
                        struct tsr_error *err)
{
    const struct gen_quantize_options *options = plan->options;
    char path[PATH_ROOM], *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "%.4096s/config.json", options->model);
    int rc = tsr__file_read(path, CONFIG_LIMIT, &text, &size, err);
    if (rc)
        return rc;
    json_t *config = json_loadb(text, size, 0, NULL);
    tsr__free(text);
    size_t group = tsr__weight_group(options->format);
    json_t *ours = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:I}", "quant_method",
        METHODS[options->method], "version", 1, "layout", TSR_LAYOUT_NAME,
        "weights", tsr__weight_format_name(options->format), "kv", options->kv,
        "group_size", group ? (json_int_t)group : (json_int_t)-1);
    json_t *source = source_path(options->model, folder);
    if (source)
        json_object_set_new(ours, "source", source);
    int bad = json_object_set_new(config, "quantization_config", ours) < 0;
    json_object_del(config, "dtype");
    bad |=
        json_object_set_new(config, "torch_dtype", json_string("float16")) < 0;
    /* 15 digits give every number back as it was written. */
    char *out =
        bad ? NULL
            : json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    snprintf(path, sizeof path, "%.4096s/config.json", folder);
    if (out)
        rc = tsr__file_write(path, out, strlen(out), err);
    else
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory writing '%s'", path);
    free(out);
    json_decref(config);
    return rc;
}

static int write_folder(struct plan *plan, struct tsr_error *err)
{
    const struct gen_quantize_options *options = plan->options;
    struct gen_folder folder;
    size_t shard = options->shard_bytes ? options->shard_bytes : SHARD_BYTES;
    int rc = gen_folder_begin(&folder, options->output, options->model,
                              options->force, err);
    if (rc)
        return rc;
    rc = gen_writer_begin(plan->writer, folder.temporary, shard, err);
    if (!rc)
        rc = run_plan(plan, err);
    if (!rc)
        rc = write_config(plan, folder.temporary, err);
    if (!rc)
        rc = gen_folder_copy_companions(&folder, options->model, err);
    if (!rc)
        rc = gen_folder_commit(&folder, err);
    gen_folder_abort(&folder);
    return rc;
}

int gen_quantize_folder(const struct gen_quantize_options *options,
                        struct gen_quantize_result *out, struct tsr_error *err)
{
    struct plan plan = {.options = options};
    int rc = tsr__config_read(&plan.config, options->model, err);
    if (!rc && plan.config.quantized)
        rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                      "'%s' is quantised already; give the fp16 model",
                      options->model);
    if (!rc)
        rc = tsr__safetensors_open(&plan.source, options->model, err);
    if (!rc)
        rc = make_plan(&plan, err);
    if (!rc)
        rc = write_folder(&plan, err);
    if (!rc) {
        struct gen_quantize_result result = {.linears = plan.linears,
                                             .tensors = plan.count,
                                             .output_bytes =
                                                 gen_writer_bytes(plan.writer)};
        for (size_t i = 0; i < tsr__safetensors_count(plan.source); i++)
            result.source_bytes += tsr__safetensors_at(plan.source, i)->bytes;
        *out = result;
    }
    gen_writer_free(plan.writer);
    tsr__safetensors_free(plan.source);
    tsr__free(plan.used);
    tsr__free(plan.steps);
    return rc;
}
