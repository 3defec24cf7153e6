/* conformance.c -- turns rows of the tables into kernels and runs them. */
#include "tests/emulator/conformance/conformance.h"

#include <math.h>
#include <string.h>

#include "runtime/base/buffer.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"
#include "runtime/device/device.h"

enum {
    ELEMENT_THREADS = 128,
    ELEMENT_BLOCKS = 8,
    ELEMENTS = ELEMENT_THREADS * ELEMENT_BLOCKS
};

static const struct {
    const char *name;
    const struct conf_element *elements;
    const struct conf_block *blocks;
    const size_t *count;
} tables[] = {
#define X(name) {#name, conf_##name##_cases, NULL, &conf_##name##_count},
    CONF_TABLE_LIST(X)
#undef X
#define X(name) {#name, NULL, conf_##name##_cases, &conf_##name##_count},
        CONF_BLOCK_LIST(X)
#undef X
};

static const struct {
    int bytes;
    const char *reg, *load;
} types[] = {
#define X(name, bytes, reg, load) {bytes, reg, load},
    CONF_TYPE_LIST(X)
#undef X
};

int conf_type_bytes(enum conf_type type)
{
    return types[type].bytes;
}

size_t conf_case_count(void)
{
    size_t count = 0;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        count += *tables[t].count;
    return count;
}

/* ---- kernels ------------------------------------------------------------- */

static void add_head(struct tsr_buffer *ptx, int target, const char *file_scope)
{
    /* The first PTX version that has all our opcodes. */
    tsr__buffer_addf(ptx,
                     ".version 8.6\n.target sm_%d\n.address_size 64\n%s\n"
                     ".visible .entry kernel(.param .u64 out, .param .u64 a,\n"
                     "    .param .u64 b, .param .u64 c)\n{\n"
                     "    .reg .u64 %%po, %%pa, %%pb, %%pc;\n"
                     "    .reg .u32 %%i, %%lane;\n"
                     "    .reg .pred %%p, %%q, %%z;\n"
                     "    .reg .b16 %%h<16>;\n    .reg .b32 %%r<32>;\n"
                     "    .reg .b64 %%t<16>;\n    .reg .f32 %%f<16>;\n"
                     "    .reg .f64 %%w<8>;\n",
                     target, file_scope ? file_scope : "");
    tsr__buffer_addf(ptx, "    ld.param.u64 %%po, [out];\n"
                          "    ld.param.u64 %%pa, [a];\n"
                          "    ld.param.u64 %%pb, [b];\n"
                          "    ld.param.u64 %%pc, [c];\n"
                          "    cvta.to.global.u64 %%po, %%po;\n"
                          "    cvta.to.global.u64 %%pa, %%pa;\n"
                          "    cvta.to.global.u64 %%pb, %%pb;\n"
                          "    cvta.to.global.u64 %%pc, %%pc;\n"
                          "    mov.u32 %%r0, %%ctaid.x;\n"
                          "    mov.u32 %%r1, %%ntid.x;\n"
                          "    mov.u32 %%i, %%tid.x;\n"
                          "    and.b32 %%lane, %%i, 31;\n"
                          "    mad.lo.u32 %%i, %%r0, %%r1, %%i;\n");
}

static void add_load(struct tsr_buffer *ptx, char operand, enum conf_type type)
{
    tsr__buffer_addf(ptx, "    .reg .%s %%%c;\n", types[type].reg, operand);
    if (type != CONF_NONE)
        tsr__buffer_addf(ptx,
                         "    mad.wide.u32 %%p%c, %%i, %d, %%p%c;\n"
                         "    ld.global.%s %%%c, [%%p%c];\n",
                         operand, types[type].bytes, operand, types[type].load,
                         operand, operand);
}

static void element_ptx(struct tsr_buffer *ptx, const struct conf_element *row)
{
    add_head(ptx, row->target, NULL);
    add_load(ptx, 'a', row->a);
    add_load(ptx, 'b', row->b);
    add_load(ptx, 'c', row->c);
    tsr__buffer_addf(ptx,
                     "    .reg .%s %%d;\n"
                     "    mad.wide.u32 %%po, %%i, %d, %%po;\n"
                     "    %s\n"
                     "    st.global.%s [%%po], %%d;\n    ret;\n}\n",
                     types[row->d].reg, types[row->d].bytes, row->text,
                     types[row->d].load);
}

static void block_ptx(struct tsr_buffer *ptx, const struct conf_block *row)
{
    add_head(ptx, row->target, row->file_scope);
    tsr__buffer_addf(ptx, "%s\n    ret;\n}\n", row->text);
}

/* ---- vectors ------------------------------------------------------------- */

static uint64_t load_bits(const unsigned char *at, int bytes)
{
    uint64_t bits = 0;
    memcpy(&bits, at, (size_t)bytes); /* little-endian, as the device is */
    return bits;
}

static void element_vectors(struct conf_case *c, const struct conf_element *row)
{
    const enum conf_type operand[3] = {row->a, row->b, row->c};
    for (size_t i = 0; i < ELEMENTS; i++) {
        uint64_t bits[3] = {0, 0, 0};
        for (int k = 0; k < 3; k++) {
            size_t bytes = (size_t)types[operand[k]].bytes;
            bits[k] = conf_input(operand[k], i, k);
            memcpy(c->input[k] + i * bytes, &bits[k], bytes);
        }
        uint64_t result = row->expect(bits[0], bits[1], bits[2]);
        size_t bytes = (size_t)types[row->d].bytes;
        memcpy(c->expected + i * bytes, &result, bytes);
    }
}

static int case_alloc(struct conf_case *c)
{
    c->expected = tsr__calloc(c->bytes[0], 1);
    int failed = c->expected == NULL;
    for (int k = 0; k < 3; k++) {
        c->input[k] = tsr__calloc(c->bytes[k + 1], 1);
        failed |= c->input[k] == NULL;
    }
    return failed ? -1 : 0;
}

static void element_build(struct conf_case *c, struct tsr_buffer *ptx,
                          const struct conf_element *row)
{
    element_ptx(ptx, row);
    c->name = row->text;
    c->threads = ELEMENT_THREADS;
    c->blocks = ELEMENT_BLOCKS;
    c->d = row->d;
    c->compare = row->compare;
    c->tolerance = row->tolerance;
    c->target = row->target;
    const enum conf_type type[4] = {row->d, row->a, row->b, row->c};
    for (int k = 0; k < 4; k++)
        c->bytes[k] = (size_t)types[type[k]].bytes * ELEMENTS;
    if (case_alloc(c) == 0)
        element_vectors(c, row);
}

static void block_build(struct conf_case *c, struct tsr_buffer *ptx,
                        const struct conf_block *row)
{
    block_ptx(ptx, row);
    c->name = row->name;
    c->threads = row->threads;
    c->blocks = row->blocks;
    c->d = row->d;
    c->compare = row->compare;
    c->tolerance = row->tolerance;
    c->target = row->target;
    c->bytes[0] = row->out_bytes;
    c->bytes[1] = row->a_bytes;
    c->bytes[2] = row->b_bytes;
    c->bytes[3] = row->c_bytes;
    if (case_alloc(c) != 0)
        return;
    uint64_t state = 20;
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < c->bytes[k + 1]; i++)
            c->input[k][i] = (unsigned char)(conf_random(&state) >> 40);
    row->fill(c->input[0], c->input[1], c->input[2], c->expected);
}

int conf_case_build(struct conf_case *out, size_t index, struct tsr_error *err)
{
    struct tsr_buffer ptx = TSR_BUFFER_INIT;
    struct conf_case c = {0};
    size_t t = 0;
    while (t < sizeof tables / sizeof *tables && index >= *tables[t].count)
        index -= *tables[t++].count;
    if (t == sizeof tables / sizeof *tables)
        return TSR_FAIL(err, TSR_ENOTFOUND, "no such conformance case");
    if (tables[t].elements)
        element_build(&c, &ptx, &tables[t].elements[index]);
    else
        block_build(&c, &ptx, &tables[t].blocks[index]);
    c.group = tables[t].name;
    int failed = ptx.failed || !c.expected;
    c.ptx = tsr__buffer_detach(&ptx, NULL);
    if (failed || !c.ptx || !c.input[0] || !c.input[1] || !c.input[2]) {
        conf_case_release(&c);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    *out = c;
    return 0;
}

void conf_case_release(struct conf_case *c)
{
    tsr__free(c->ptx);
    tsr__free(c->expected);
    for (int k = 0; k < 3; k++)
        tsr__free(c->input[k]);
    memset(c, 0, sizeof *c);
}

/* ---- comparing ----------------------------------------------------------- */

/* The value of a float element; NaN for types that are not floats. */
static double float_value(enum conf_type type, uint64_t bits)
{
    double value = NAN;
    if (type == CONF_F32)
        value = tsr__bits_float((uint32_t)bits);
    else if (type == CONF_F64)
        memcpy(&value, &bits, sizeof value);
    else if (type == CONF_F16 || type == CONF_H2)
        value = tsr__half_to_float((uint16_t)bits);
    else if (type == CONF_BF16 || type == CONF_BH2)
        value = tsr__bfloat_to_float((uint16_t)bits);
    return value;
}

/* Floats in order as integers, so that neighbours differ by one. */
static int64_t ordinal(enum conf_type type, uint64_t bits)
{
    int width = types[type].bytes * 8;
    uint64_t sign = UINT64_C(1) << (width - 1);
    return bits & sign ? -(int64_t)(bits & (sign - 1)) : (int64_t)bits;
}

static int equal_lane(const struct conf_case *c, enum conf_type type,
                      uint64_t got, uint64_t want)
{
    if (got == want)
        return 1;
    if (c->compare == CONF_EXACT)
        return 0;
    double g = float_value(type, got), w = float_value(type, want);
    if (isnan(g) || isnan(w))
        return isnan(g) && isnan(w);
    if (c->compare == CONF_ULP) {
        double apart = (double)ordinal(type, got) - (double)ordinal(type, want);
        return fabs(apart) <= c->tolerance;
    }
    return c->compare == CONF_ABSOLUTE && fabs(g - w) <= c->tolerance;
}

static int equal_element(const struct conf_case *c, uint64_t got, uint64_t want)
{
    if (c->d != CONF_H2 && c->d != CONF_BH2)
        return equal_lane(c, c->d, got, want);
    enum conf_type half = c->d == CONF_H2 ? CONF_F16 : CONF_BF16;
    return equal_lane(c, half, got & 0xffff, want & 0xffff) &&
           equal_lane(c, half, got >> 16, want >> 16);
}

size_t conf_case_compare(const struct conf_case *c, const unsigned char *got,
                         size_t *first)
{
    int bytes = types[c->d].bytes;
    size_t wrong = 0, count = c->bytes[0] / (size_t)bytes;
    for (size_t i = count; i-- > 0;) {
        size_t at = i * (size_t)bytes;
        if (!equal_element(c, load_bits(got + at, bytes),
                           load_bits(c->expected + at, bytes))) {
            wrong++;
            if (first)
                *first = i;
        }
    }
    return wrong;
}

static void log_wrong(FILE *log, const struct conf_case *c,
                      const unsigned char *got, size_t wrong, size_t i)
{
    int bytes = types[c->d].bytes, digits = 2 * bytes;
    fprintf(
        log, "%s %s: %zu wrong, out[%zu] is %0*llx, wanted %0*llx", c->group,
        c->name, wrong, i, digits,
        (unsigned long long)load_bits(got + i * (size_t)bytes, bytes), digits,
        (unsigned long long)load_bits(c->expected + i * (size_t)bytes, bytes));
    for (int k = 1; k < 4 && c->threads * c->blocks == ELEMENTS; k++) {
        size_t size = c->bytes[k] / ELEMENTS;
        if (size)
            fprintf(log, ", %c = %0*llx", 'a' + k - 1, (int)(2 * size),
                    (unsigned long long)load_bits(c->input[k - 1] + i * size,
                                                  (int)size));
    }
    fputc('\n', log);
}

/* ---- running ------------------------------------------------------------- */

static int launch(struct tsr_device *device, const struct conf_case *c,
                  unsigned char *got, struct tsr_error *err)
{
    static const char *const labels[4] = {"out", "a", "b", "c"};
    struct tsr_module *module = NULL;
    struct tsr_function *function;
    struct tsr_error ignored;
    tsr_device_ptr at[4] = {0, 0, 0, 0};
    void *arguments[4] = {&at[0], &at[1], &at[2], &at[3]};
    struct tsr_launch_shape shape = {{c->blocks, 1, 1}, {c->threads, 1, 1}, 0};
    int rc = 0;
    for (int k = 0; k < 4 && rc == 0; k++) {
        size_t bytes = c->bytes[k] ? c->bytes[k] : 1;
        rc = tsr__device_alloc(device, bytes, labels[k], &at[k], err);
        if (rc == 0 && k && c->bytes[k])
            rc = tsr__device_write(device, at[k], c->input[k - 1], c->bytes[k],
                                   err);
        if (rc == 0 && k == 0)
            rc = tsr__device_fill(device, at[0], 0, bytes, err);
    }
    if (rc == 0)
        rc = tsr__module_load(device, c->ptx, strlen(c->ptx), &module, err);
    if (rc == 0)
        rc = tsr__module_function(module, "kernel", 0, &function, err);
    if (rc == 0)
        rc = tsr__function_launch(function, &shape, NULL, arguments, err);
    if (rc == 0)
        rc = tsr__device_synchronize(device, err);
    if (rc == 0)
        rc = tsr__device_read(device, got, at[0], c->bytes[0], err);
    if (module)
        tsr__module_free(module);
    for (int k = 0; k < 4; k++)
        if (at[k])
            tsr__device_release(device, at[k], &ignored);
    return rc;
}

/* One case: 1 passed, 0 failed, -1 skipped; negative statuses in *rc only for
** errors that end the run. */
static int run_case(struct tsr_device *device, const struct conf_case *c,
                    FILE *log, struct tsr_error *err, int *rc)
{
    const struct tsr_device_info *info = tsr__device_info(device);
    int capability = info->capability_major * 10 + info->capability_minor;
    if (capability && capability < c->target)
        return -1;
    unsigned char *got = tsr__calloc(c->bytes[0], 1);
    if (!got) {
        *rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        return 0;
    }
    int passed = 0;
    int status = launch(device, c, got, err);
    if (status == 0) {
        size_t first = 0, wrong = conf_case_compare(c, got, &first);
        passed = wrong == 0;
        if (wrong && log)
            log_wrong(log, c, got, wrong, first);
    } else if (log) {
        fprintf(log, "%s %s: %s\n", c->group, c->name,
                err ? err->text : tsr_status_name(status));
    }
    if (status == TSR_EDEVICE || status == TSR_EMEMORY)
        *rc = status;
    tsr__free(got);
    return passed;
}

static void log_json(FILE *json, const struct conf_case *c, int verdict)
{
    static const char *const words[] = {"skipped", "failed", "passed"};
    if (json)
        fprintf(json, "{\"case\":\"%s\",\"group\":\"%s\",\"verdict\":\"%s\"}\n",
                c->name, c->group, words[verdict + 1]);
}

int conformance_run(struct tsr_device *device, const char *only, FILE *log,
                    FILE *json, struct conformance_result *out,
                    struct tsr_error *err)
{
    struct conformance_result result = {0};
    int rc = 0;
    for (size_t i = 0; i < conf_case_count() && rc == 0; i++) {
        struct conf_case c;
        rc = conf_case_build(&c, i, err);
        if (rc)
            break;
        if (!only || strstr(c.name, only) || strcmp(c.group, only) == 0) {
            int verdict = run_case(device, &c, log, err, &rc);
            result.cases++;
            result.passed += verdict == 1;
            result.failed += verdict == 0;
            result.skipped += verdict < 0;
            log_json(json, &c, verdict);
        }
        conf_case_release(&c);
    }
    *out = result;
    return rc;
}
