/* test_quantized.c -- the loader of quantised folders: what it maps is what
** the quantiser meant, and damaged folders are refused.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "gen/quantize/capture.h"
#include "gen/quantize/pack.h"
#include "gen/quantize/quantize.h"
#include "gen/quantize/reference.h"
#include "gen/quantize/rtn.h"
#include "runtime/model/quantized.h"
#include "tests/unit/scratch.h"
#include "tests/unit/toy_model.h"

#define TINY "tests/data/models/tessera-tiny"

static const char *quantise(const char *model, enum tsr_weight_format format)
{
    const char *to = scratch_path(scratch_folder(), "out");
    struct tsr_error err = {0};
    struct gen_quantize_result result;
    struct gen_quantize_options options = {
        .model = model, .output = to, .format = format, .kv = "kv4"};
    if (gen_quantize_folder(&options, &result, &err))
        fail_msg("%s", err.text);
    return to;
}

static struct tsr_quantized_model *open_model(const char *folder)
{
    struct tsr_quantized_model *model;
    struct tsr_error err = {0};
    if (tsr__quantized_open(&model, folder, &err))
        fail_msg("%s", err.text);
    return model;
}

static struct gen_reference_weights view_of(
    const struct tsr_quantized_linear *linear, const uint8_t *codes)
{
    struct gen_reference_weights view = {.format = linear->format,
                                         .n = linear->n,
                                         .k = linear->k,
                                         .codes = codes,
                                         .scale = linear->scale,
                                         .zero_scale = linear->zero_scale,
                                         .s2 = linear->s2,
                                         .offset = linear->offset,
                                         .bias = linear->bias};
    return view;
}

/* One source row against row n of the fused linear. K is 256. */
static void same_row(const struct tsr_quantized_linear *linear,
                     const uint8_t *codes, size_t n, const float *w)
{
    float scratch[256];
    uint8_t wanted[256], s2[4] = {0}, offset[4] = {0};
    uint16_t s, zs = 0;
    struct gen_row row = {.codes = wanted,
                          .scale = &s,
                          .zero_scale = &zs,
                          .s2 = s2,
                          .offset = offset,
                          .stride = 1};
    assert_int_equal(gen_rtn_row(linear->format, w, 256, scratch, &row),
                     GEN_ROW_OK);
    assert_memory_equal(codes + n * 256, wanted, 256);
    assert_int_equal(linear->scale[n], s);
    if (linear->format == TSR_W4C)
        assert_int_equal(linear->zero_scale[n], zs);
    size_t group = tsr__weight_group(linear->format);
    for (size_t g = 0; group && g < 256 / group; g++) {
        assert_int_equal(linear->s2[g * linear->n + n], s2[g]);
        assert_int_equal(linear->offset[g * linear->n + n], offset[g]);
    }
}

/* Row by row against gen_rtn_row on the source's own tensors: q, k, v stacked
** in that order, and gate above up. */
static void folder_holds_what_rounding_to_nearest_gives(void **state)
{
    (void)state;
    static const struct {
        enum tsr_linear_kind kind;
        const char *name;
        size_t first, rows;
    } parts[] = {{TSR_QKV, "self_attn.q_proj", 0, 512},
                 {TSR_QKV, "self_attn.k_proj", 512, 256},
                 {TSR_QKV, "self_attn.v_proj", 768, 256},
                 {TSR_GATE_UP, "mlp.gate_proj", 0, 1024},
                 {TSR_GATE_UP, "mlp.up_proj", 1024, 1024}};
    struct tsr_safetensors *source;
    assert_int_equal(tsr__safetensors_open(&source, TINY, NULL), 0);
    uint8_t *codes = malloc(2048 * 256);
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        struct tsr_quantized_model *model =
            open_model(quantise(TINY, (enum tsr_weight_format)format));
        for (int part = 0; part < 5; part++) {
            char name[64];
            const struct tsr_quantized_linear *linear =
                tsr__quantized_linear(model, 2, parts[part].kind);
            assert_int_equal(linear->k, 256);
            gen_unpack_codes(linear->qweight, linear->n, 256, codes);
            snprintf(name, sizeof name, "model.layers.2.%s.weight",
                     parts[part].name);
            const struct tsr_tensor *tensor =
                tsr__safetensors_find(source, name);
            for (size_t i = 0; i < parts[part].rows; i++) {
                float w[256];
                tsr__tensor_floats(tensor, i * 256, 256, w);
                same_row(linear, codes, parts[part].first + i, w);
            }
        }
        tsr__quantized_free(model);
    }
    free(codes);
    tsr__safetensors_free(source);
}

static void padding_is_zero_in_a_folder_with_odd_shapes(void **state)
{
    (void)state;
    struct toy_model toy = TOY_MODEL;
    const char *from = scratch_folder();
    toy.hidden = 96; /* K = 96 and N = 96: half a block of padding */
    toy.heads = toy.kv_heads = 4;
    toy.head_dim = 8;
    toy.inner = 160;
    toy.more = ",\"attention_bias\": true";
    toy.qkv_bias = toy.o_bias = 1;
    toy_write(&toy, from);
    struct tsr_quantized_model *model = open_model(quantise(from, TSR_W4C));
    for (int kind = 0; kind < TSR_LINEAR_KINDS; kind++) {
        const struct tsr_quantized_linear *linear =
            tsr__quantized_linear(model, 1, (enum tsr_linear_kind)kind);
        assert_true(
            gen_packed_padding_is_zero(linear->qweight, linear->n, linear->k));
        assert_int_equal(linear->bias != NULL,
                         kind == TSR_QKV || kind == TSR_O);
    }
    tsr__quantized_free(model);
}

struct comparison {
    const struct tsr_quantized_model *model;
    const struct tsr_safetensors *source;
    double error, power;
};

/* down_proj of layer 0: the reference on the quantised weights and quantised
** activations against the fp16 weights on the same activations. */
static int compare(void *context, int layer, enum tsr_linear_kind kind,
                   const uint16_t *rows, size_t count, size_t k,
                   struct tsr_error *err)
{
    (void)err;
    struct comparison *comparison = context;
    if (layer != 0 || kind != TSR_DOWN)
        return 0;
    const struct tsr_quantized_linear *linear =
        tsr__quantized_linear(comparison->model, layer, kind);
    const struct tsr_tensor *weight = tsr__safetensors_find(
        comparison->source, "model.layers.0.mlp.down_proj.weight");
    uint8_t *codes = malloc(linear->n * k);
    int8_t *q = malloc(count * k);
    float *scale = malloc(count * sizeof *scale), *w = malloc(k * sizeof *w);
    int32_t *sum = malloc(count * sizeof *sum);
    uint16_t *y = malloc(count * linear->n * sizeof *y);
    gen_unpack_codes(linear->qweight, linear->n, k, codes);
    struct gen_reference_weights view = view_of(linear, codes);
    gen_reference_quant_act(rows, 0, count, k, q, scale, sum);
    gen_reference_gemm(&view, q, scale, sum, 0, count, 0, linear->n, y);
    for (size_t n = 0; n < linear->n; n++) {
        tsr__tensor_floats(weight, n * k, k, w);
        for (size_t t = 0; t < count; t++) {
            double exact = 0;
            for (size_t i = 0; i < k; i++)
                exact +=
                    (double)w[i] * (double)tsr__half_to_float(rows[t * k + i]);
            double off =
                (double)tsr__half_to_float(y[t * linear->n + n]) - exact;
            comparison->error += off * off;
            comparison->power += exact * exact;
        }
    }
    free(codes);
    free(q);
    free(scale);
    free(w);
    free(sum);
    free(y);
    return 0;
}

static void quantised_linear_is_near_the_fp16_one(void **state)
{
    (void)state;
    struct tsr_safetensors *source;
    assert_int_equal(tsr__safetensors_open(&source, TINY, NULL), 0);
    for (int format = TSR_W4C; format <= TSR_W4G64; format++) {
        struct comparison comparison = {
            .model = open_model(quantise(TINY, (enum tsr_weight_format)format)),
            .source = source};
        assert_int_equal(gen_capture(TINY, TINY "/calibration.jsonl", 32,
                                     compare, &comparison, NULL),
                         0);
        double error = sqrt(comparison.error / comparison.power);
        /* Weights err by 0.09 to 0.13 and activations by 0.01. */
        assert_true(error > 0.03 && error < 0.2);
        tsr__quantized_free((struct tsr_quantized_model *)comparison.model);
    }
    tsr__safetensors_free(source);
}

/* Overwrites one byte of a tensor in the file. */
static void damage(const char *folder, const char *name, size_t offset,
                   unsigned char value)
{
    struct tsr_safetensors *store;
    const char *path = scratch_path(folder, "model.safetensors");
    assert_int_equal(tsr__safetensors_open(&store, folder, NULL), 0);
    const struct tsr_tensor *tensor = tsr__safetensors_find(store, name);
    assert_non_null(tensor);
    /* Tensors end where the file ends, so distances from the last one give
    ** the place in the file. */
    const unsigned char *end = NULL;
    for (size_t i = 0; i < tsr__safetensors_count(store); i++) {
        const struct tsr_tensor *each = tsr__safetensors_at(store, i);
        if (!end || each->data + each->bytes > end)
            end = each->data + each->bytes;
    }
    long back = (long)(end - tensor->data) - (long)offset;
    tsr__safetensors_free(store);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -back, SEEK_END), 0);
    fputc(value, file);
    fclose(file);
}

static void refused(const char *folder, const char *says)
{
    struct tsr_quantized_model *model = NULL;
    struct tsr_error err = {0};
    int rc = tsr__quantized_open(&model, folder, &err);
    if (rc >= 0 || !strstr(err.text, says))
        fail_msg("%d '%s', wanted '%s'", rc, err.text, says);
    assert_null(model);
}

static void damaged_folders_are_refused(void **state)
{
    (void)state;
    const char *folder = quantise(TINY, TSR_W4G128);
    damage(folder, "model.layers.1.mlp.down_proj.s2", 5, 0);
    refused(folder, "'model.layers.1.mlp.down_proj.s2' holds the step 0 at 5");
    damage(folder, "model.layers.1.mlp.down_proj.s2", 5, 17);
    refused(folder, "holds the step 17 at 5");

    folder = quantise(TINY, TSR_W4C);
    damage(folder, "model.layers.0.self_attn.o_proj.zs", 7, 0x7e);
    refused(folder, "'model.layers.0.self_attn.o_proj.zs' [3] is not a finite");

    refused(TINY, "run 'tessera quantize' on it");
    refused("no/such", "no/such");
}

static void folder_that_is_not_as_configured_is_refused(void **state)
{
    (void)state;
    struct toy_model toy = TOY_MODEL;
    const char *from = scratch_folder();
    toy_write(&toy, from);
    const char *folder = quantise(from, TSR_W4G64);
    char text[512];
    toy.more = text;
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text,
                 ",\"quantization_config\": {\"quant_method\": \"rtn\", "
                 "\"version\": 1, \"layout\": \"m16n8k32\", \"weights\": "
                 "\"%s\", \"kv\": \"kv4\"}",
                 i == 1   ? "w4c"
                 : i == 2 ? "w4g128"
                          : "w4g64");
        toy.layers = i == 3 ? 3 : 2;
        toy_write_config(&toy, folder);
        if (i == 0)
            tsr__quantized_free(open_model(folder));
        else
            refused(folder, i == 1   ? "no tensor 'model.layers.0.self_attn."
                                       "qkv_proj.s'"
                            : i == 2 ? "has the shape [2, 256], not [1, 256]"
                                     : "no tensor 'model.layers.2.self_attn");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_holds_what_rounding_to_nearest_gives),
        cmocka_unit_test(padding_is_zero_in_a_folder_with_odd_shapes),
        cmocka_unit_test(quantised_linear_is_near_the_fp16_one),
        cmocka_unit_test(damaged_folders_are_refused),
        cmocka_unit_test(folder_that_is_not_as_configured_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
