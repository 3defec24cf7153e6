/* random.c -- random linears and activations, the same everywhere. */
#include "gen/quantize/random.h"

#include <math.h>
#include <string.h>

#include "gen/quantize/pack.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"

uint64_t gen_random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 .. below - 1 */
static unsigned draw(uint64_t *state, unsigned below)
{
    return (unsigned)((gen_random_next(state) >> 32) * below >> 32);
}

/* Uniform in [0, 1). */
static float uniform(uint64_t *state)
{
    return (float)(gen_random_next(state) >> 40) * 0x1p-24f;
}

/* Close to normal, by sums and products only: no libm, so no differences
** between machines. */
static float bell(uint64_t *state)
{
    float sum = -6.0f;
    for (int i = 0; i < 12; i++)
        sum += uniform(state);
    return sum;
}

/* One group's step and offset, and the largest code that they allow. Three in
** four are centred as a quantiser's are, with all codes; the rest put the
** offset anywhere. */
static unsigned draw_group(uint64_t *state, uint8_t *s2, uint8_t *offset)
{
    unsigned step = 1 + draw(state, TSR_STEP_MAX), most = 255 - 15 * step;
    if (draw(state, 4)) {
        unsigned middle = 128 - 15 * step / 2;
        unsigned low = middle > 8 ? middle - 8 : 0;
        unsigned high = middle + 8 < most ? middle + 8 : most;
        *offset = (uint8_t)(low + draw(state, high - low + 1));
    } else {
        *offset = (uint8_t)draw(state, 256);
    }
    *s2 = (uint8_t)step;
    unsigned code = (255u - *offset) / step;
    return code < TSR_CODE_MAX ? code : TSR_CODE_MAX;
}

static void fill_groups(struct gen_linear *linear, uint64_t *state)
{
    size_t group = tsr__weight_group(linear->format);
    for (size_t g = 0; g < linear->k / group; g++)
        for (size_t n = 0; n < linear->n; n++) {
            size_t at = g * linear->n + n;
            unsigned most =
                draw_group(state, &linear->s2[at], &linear->offset[at]);
            uint8_t *codes = linear->codes + n * linear->k + g * group;
            for (size_t i = 0; i < group; i++)
                codes[i] = (uint8_t)draw(state, most + 1);
        }
}

static void fill_channels(struct gen_linear *linear, uint64_t *state)
{
    for (size_t n = 0; n < linear->n; n++) {
        uint8_t *codes = linear->codes + n * linear->k;
        for (size_t i = 0; i < linear->k; i++)
            codes[i] = (uint8_t)draw(state, 16);
        float s = tsr__half_to_float(linear->scale[n]);
        float zero = 7.5f + bell(state);
        linear->zero_scale[n] = tsr__float_to_half(s * zero);
    }
}

static int allocate(struct gen_linear *linear, int bias)
{
    size_t n = linear->n, k = linear->k;
    size_t group = tsr__weight_group(linear->format);
    linear->qweight_bytes = tsr__packed_bytes(n, k);
    linear->codes = tsr__malloc(n * k);
    linear->qweight = tsr__malloc(linear->qweight_bytes);
    linear->scale = tsr__calloc(n, sizeof *linear->scale);
    int missing = !linear->codes || !linear->qweight || !linear->scale;
    if (group) {
        linear->s2 = tsr__calloc(k / group, n);
        linear->offset = tsr__calloc(k / group, n);
        missing |= !linear->s2 || !linear->offset;
    } else {
        linear->zero_scale = tsr__calloc(n, sizeof *linear->zero_scale);
        missing |= !linear->zero_scale;
    }
    if (bias) {
        linear->bias = tsr__calloc(n, sizeof *linear->bias);
        missing |= !linear->bias;
    }
    return missing ? -1 : 0;
}

int gen_random_weights(struct gen_linear *out, uint64_t seed,
                       enum tsr_weight_format format, size_t n, size_t k,
                       int bias, struct tsr_error *err)
{
    const char *rule = tsr__linear_check(format, n, k);
    if (rule)
        return TSR_FAIL(err, TSR_EUSAGE, "no %zu x %zu linear: %s", n, k, rule);
    struct gen_linear linear = {.format = format, .n = n, .k = k};
    if (allocate(&linear, bias)) {
        gen_linear_release(&linear);
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory for a %zu x %zu linear", n, k);
    }
    uint64_t state = seed ^ 0x7465737365726100u;
    float unit = format == TSR_W4C ? 0x1p-7f : 0x1p-11f;
    for (size_t i = 0; i < n; i++) {
        linear.scale[i] = tsr__float_to_half(unit * (0.5f + uniform(&state)));
        if (bias)
            linear.bias[i] = tsr__float_to_half(bell(&state));
    }
    if (format == TSR_W4C)
        fill_channels(&linear, &state);
    else
        fill_groups(&linear, &state);
    gen_pack_codes(linear.codes, n, k, linear.qweight);
    *out = linear;
    return 0;
}

void gen_linear_release(struct gen_linear *linear)
{
    tsr__free(linear->codes);
    tsr__free(linear->qweight);
    tsr__free(linear->scale);
    tsr__free(linear->zero_scale);
    tsr__free(linear->s2);
    tsr__free(linear->offset);
    tsr__free(linear->bias);
    memset(linear, 0, sizeof *linear);
}

struct gen_reference_weights gen_linear_view(const struct gen_linear *linear,
                                             int bf16_out)
{
    struct gen_reference_weights view = {
        .format = linear->format,
        .n = linear->n,
        .k = linear->k,
        .codes = linear->codes,
        .scale = linear->scale,
        .zero_scale = linear->zero_scale,
        .s2 = linear->s2,
        .offset = linear->offset,
        .bias = linear->bias,
        .bf16_out = bf16_out,
    };
    return view;
}

void gen_random_activations(uint64_t seed, int bf16, size_t m, size_t k,
                            uint16_t *x)
{
    uint64_t state = seed ^ 0x61637469766f6e00u;
    size_t outlier = k ? gen_random_next(&state) % k : 0;
    for (size_t row = 0; row < m; row++)
        for (size_t i = 0; i < k; i++) {
            float value = bell(&state);
            value *= i == outlier ? 12.0f : 1.0f;
            *x++ =
                bf16 ? tsr__float_to_bfloat(value) : tsr__float_to_half(value);
        }
}

void gen_random_quantized(uint64_t seed, size_t m, size_t k, int8_t *q,
                          float *scale, int32_t *sum)
{
    uint64_t state = seed ^ 0x7175616e74697a00u;
    for (size_t row = 0; row < m; row++) {
        int32_t total = 0;
        for (size_t i = 0; i < k; i++) {
            q[row * k + i] = (int8_t)((int)draw(&state, 255) - 127);
            total += q[row * k + i];
        }
        scale[row] = (0.5f + uniform(&state)) * 0x1p-6f;
        sum[row] = total;
    }
}
