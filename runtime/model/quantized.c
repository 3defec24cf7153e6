/* quantized.c -- opening a quantised folder, every tensor checked. */
#include "runtime/model/quantized.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"

enum { NAME_ROOM = 160 };

struct tsr_quantized_model {
    struct tsr_model_config config;
    struct tsr_safetensors *store;
    struct tsr_quantized_linear *linears; /* [layers][TSR_LINEAR_KINDS] */
};

static int find(const struct tsr_safetensors *store, const char *linear,
                const char *suffix, enum tsr_dtype dtype, int rank,
                const size_t *shape, const struct tsr_tensor **out,
                struct tsr_error *err)
{
    char name[NAME_ROOM];
    const struct tsr_tensor *tensor;
    snprintf(name, sizeof name, "%s.%s", linear, suffix);
    int rc = tsr__safetensors_require(store, name, rank, shape, &tensor, err);
    if (rc)
        return rc;
    if (tensor->dtype != dtype)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s': tensor '%s' is %s, not %s",
                        tensor->file, name, tsr__dtype_name(tensor->dtype),
                        tsr__dtype_name(dtype));
    *out = tensor;
    return 0;
}

/* [n] fp16, all finite. */
static int find_halves(const struct tsr_safetensors *store, const char *linear,
                       const char *suffix, size_t n, const uint16_t **out,
                       struct tsr_error *err)
{
    const struct tsr_tensor *tensor;
    int rc = find(store, linear, suffix, TSR_F16, 1, &n, &tensor, err);
    if (rc)
        return rc;
    if ((uintptr_t)tensor->data % sizeof **out)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': tensor '%s' lies at an odd address; quantise "
                        "the model again",
                        tensor->file, tensor->name);
    const uint16_t *halves = (const uint16_t *)(const void *)tensor->data;
    for (size_t i = 0; i < n; i++)
        if ((halves[i] & 0x7c00) == 0x7c00)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': tensor '%s' [%zu] is not a finite number",
                            tensor->file, tensor->name, i);
    *out = halves;
    return 0;
}

static int find_groups(const struct tsr_safetensors *store, const char *name,
                       struct tsr_quantized_linear *linear,
                       struct tsr_error *err)
{
    const struct tsr_tensor *s2, *offset;
    size_t shape[2] = {linear->k / tsr__weight_group(linear->format),
                       linear->n};
    int rc = find(store, name, "s2", TSR_U8, 2, shape, &s2, err);
    if (!rc)
        rc = find(store, name, "b", TSR_U8, 2, shape, &offset, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < s2->count; i++)
        if (s2->data[i] < 1 || s2->data[i] > TSR_STEP_MAX)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': tensor '%s' holds the step %d at %zu; "
                            "steps are 1 to %d",
                            s2->file, s2->name, s2->data[i], i, TSR_STEP_MAX);
    linear->s2 = s2->data;
    linear->offset = offset->data;
    return 0;
}

static int find_linear(const struct tsr_safetensors *store, const char *name,
                       struct tsr_linear_shape shape,
                       enum tsr_weight_format format,
                       struct tsr_quantized_linear *out, struct tsr_error *err)
{
    struct tsr_quantized_linear linear = {
        .format = format, .n = shape.n, .k = shape.k};
    const char *rule = tsr__linear_check(format, shape.n, shape.k);
    if (rule)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "config.json makes '%s' N %zu, K %zu, but %s", name,
                        shape.n, shape.k, rule);
    const struct tsr_tensor *qweight;
    size_t packed[3] = {tsr__packed_blocks(shape.n),
                        tsr__packed_blocks(shape.k), TSR_BLOCK_BYTES};
    int grouped = tsr__weight_group(format) != 0;
    int rc = find(store, name, "qweight", TSR_U8, 3, packed, &qweight, err);
    if (!rc)
        rc = find_halves(store, name, grouped ? "s1" : "s", shape.n,
                         &linear.scale, err);
    if (!rc && !grouped)
        rc = find_halves(store, name, "zs", shape.n, &linear.zero_scale, err);
    if (!rc && grouped)
        rc = find_groups(store, name, &linear, err);
    if (!rc && shape.bias)
        rc = find_halves(store, name, "bias", shape.n, &linear.bias, err);
    if (rc)
        return rc;
    linear.qweight = qweight->data;
    *out = linear;
    return 0;
}

static int find_linears(struct tsr_quantized_model *model,
                        struct tsr_error *err)
{
    size_t count = (size_t)model->config.layers * TSR_LINEAR_KINDS;
    model->linears = tsr__calloc(count, sizeof *model->linears);
    if (!model->linears)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    int rc = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        char name[NAME_ROOM];
        enum tsr_linear_kind kind =
            (enum tsr_linear_kind)(i % TSR_LINEAR_KINDS);
        snprintf(name, sizeof name, "model.layers.%zu.%s", i / TSR_LINEAR_KINDS,
                 tsr__linear_name(kind));
        rc = find_linear(
            model->store, name, tsr__config_linear(&model->config, kind),
            model->config.quantization.format, &model->linears[i], err);
    }
    return rc;
}

int tsr__quantized_open(struct tsr_quantized_model **out, const char *folder,
                        struct tsr_error *err)
{
    struct tsr_quantized_model *model = tsr__calloc(1, sizeof *model);
    if (!model)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", folder);
    int rc = tsr__config_read(&model->config, folder, err);
    if (!rc && !model->config.quantized)
        rc = TSR_FAIL(err, TSR_EUSAGE,
                      "'%s' is not quantised; run 'tessera quantize' on it "
                      "and give its output",
                      folder);
    if (!rc)
        rc = tsr__safetensors_open(&model->store, folder, err);
    if (!rc)
        rc = find_linears(model, err);
    if (rc) {
        tsr__quantized_free(model);
        return rc;
    }
    *out = model;
    return 0;
}

void tsr__quantized_free(struct tsr_quantized_model *model)
{
    if (!model)
        return;
    tsr__safetensors_free(model->store);
    tsr__free(model->linears);
    tsr__free(model);
}

const struct tsr_model_config *tsr__quantized_config(
    const struct tsr_quantized_model *model)
{
    return &model->config;
}

const struct tsr_quantized_linear *tsr__quantized_linear(
    const struct tsr_quantized_model *model, int layer,
    enum tsr_linear_kind kind)
{
    return &model->linears[(size_t)layer * TSR_LINEAR_KINDS + (size_t)kind];
}

const struct tsr_safetensors *tsr__quantized_tensors(
    const struct tsr_quantized_model *model)
{
    return model->store;
}
