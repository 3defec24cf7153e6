/* emulate_argument.c -- the arguments of `tessera emulate`. */
#include "autotune/commands/emulate_argument.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"

/* type, digits that identify a float in text */
static const struct {
    enum ptx_type type;
    int digits;
} types[] = {
    {PTX_U8, 0},  {PTX_S8, 0},   {PTX_U16, 0}, {PTX_S16, 0},
    {PTX_U32, 0}, {PTX_S32, 0},  {PTX_U64, 0}, {PTX_S64, 0},
    {PTX_F16, 5}, {PTX_BF16, 4}, {PTX_F32, 9}, {PTX_F64, 17},
};

#define TYPE_WORDS "u8 s8 u16 s16 u32 s32 u64 s64 f16 bf16 f32 f64"

static int digits_of(enum ptx_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].digits;
    return -1;
}

/* The type before ':' at *text, which then moves past it. */
static int parse_type(const char **text, enum ptx_type *type,
                      const char *argument, struct tsr_error *err)
{
    char word[8];
    size_t size = strcspn(*text, ":");
    if (size < sizeof word && (*text)[size] == ':') {
        memcpy(word, *text, size);
        word[size] = 0;
        enum ptx_type found = ptx_type_find(word);
        if (found != PTX_VOID && digits_of(found) >= 0) {
            *type = found;
            *text += size + 1;
            return 0;
        }
    }
    return TSR_FAIL(err, TSR_EUSAGE,
                    "--arg %.200s: expected TYPE: with TYPE one of " TYPE_WORDS,
                    argument);
}

/* ---- numbers ------------------------------------------------------------- */

/* A whole number that fits the type, as its low bytes. */
static int parse_integer(const char *text, char **end, enum ptx_type type,
                         uint64_t *bits)
{
    int width = 8 * ptx_type_bytes(type);
    int base =
        text[*text == '-'] == '0' && text[(*text == '-') + 1] == 'x' ? 16 : 10;
    if (!isdigit((unsigned char)text[*text == '-']))
        return -1;
    errno = 0;
    if (ptx_type_class(type) == 'u') {
        if (*text == '-')
            return -1;
        *bits = strtoull(text, end, base);
        return errno || (width < 64 && *bits >> width) ? -1 : 0;
    }
    long long value = strtoll(text, end, base);
    long long high = (long long)((UINT64_C(1) << (width - 1)) - 1);
    *bits = (uint64_t)value;
    return errno || value > high || value < -high - 1 ? -1 : 0;
}

/* A float that rounds into the type; overflow to infinity is an error, the
** word inf is not. */
static int parse_float(const char *text, char **end, enum ptx_type type,
                       uint64_t *bits)
{
    if (isspace((unsigned char)*text))
        return -1;
    double value = strtod(text, end);
    if (*end == text)
        return -1;
    int word = isinf(value) && isalpha((unsigned char)text[strspn(text, "+-")]);
    float narrow = (float)value;
    uint16_t half;
    switch (type) {
    case PTX_F64:
        memcpy(bits, &value, sizeof value);
        return isinf(value) && !word ? -1 : 0;
    case PTX_F32:
        *bits = tsr__float_bits(narrow);
        return isinf(narrow) && !word ? -1 : 0;
    case PTX_F16:
        half = tsr__float_to_half(narrow);
        *bits = half;
        return (half & 0x7fff) == 0x7c00 && !word ? -1 : 0;
    default:
        half = tsr__float_to_bfloat(narrow);
        *bits = half;
        return (half & 0x7fff) == 0x7f80 && !word ? -1 : 0;
    }
}

/* The value at `text`, which must end at ',' (in a list) or at the end. */
static int parse_value(const char *text, const char **next, enum ptx_type type,
                       unsigned char *to, struct tsr_error *err)
{
    char *end = NULL;
    uint64_t bits = 0;
    int failed = ptx_type_class(type) == 'f'
                     ? parse_float(text, &end, type, &bits)
                     : parse_integer(text, &end, type, &bits);
    if (failed || (*end && *end != ','))
        return TSR_FAIL(
            err, TSR_EUSAGE, "--arg: '%.*s' is no %s",
            (int)(strcspn(text, ",") < 100 ? strcspn(text, ",") : 100), text,
            ptx_type_name(type));
    memcpy(to, &bits, (size_t)ptx_type_bytes(type));
    *next = end;
    return 0;
}

/* ---- the forms ----------------------------------------------------------- */

static int parse_list(struct tune_argument *a, const char *text, size_t limit,
                      struct tsr_error *err)
{
    size_t bytes = (size_t)ptx_type_bytes(a->type);
    a->count = 1;
    for (const char *at = text; *at; at++)
        a->count += *at == ',';
    a->bytes = a->count * bytes; /* at most 8 a character: no overflow */
    if (a->bytes > limit)
        return TSR_FAIL(err, TSR_EUSAGE, "--arg: %zu bytes are too many",
                        a->bytes);
    a->contents = tsr__malloc(a->bytes);
    if (!a->contents)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < a->count; i++) {
        const char *next;
        int rc =
            parse_value(text, &next, a->type, a->contents + i * bytes, err);
        if (rc)
            return rc;
        text = next + (*next == ',');
    }
    return 0;
}

static int parse_file(struct tune_argument *a, const char *path, size_t limit,
                      struct tsr_error *err)
{
    char *text = NULL;
    size_t unit = (size_t)ptx_type_bytes(a->type);
    int rc = tsr__file_read(path, limit, &text, &a->bytes, err);
    if (rc) /* a file that cannot be read is an argument that cannot */
        return rc == TSR_EMEMORY ? rc
                                 : tsr__fail_context(err, TSR_EUSAGE,
                                                     "--arg %.200s", a->text);
    a->contents = (unsigned char *)text;
    a->count = a->bytes / unit;
    if (a->bytes % unit)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arg %.200s: %zu bytes are no whole number of %s",
                        a->text, a->bytes, ptx_type_name(a->type));
    return 0;
}

static int parse_count(struct tune_argument *a, const char *text, size_t limit,
                       struct tsr_error *err)
{
    char *end;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arg %.200s: '%.100s' is no number of elements",
                        a->text, text);
    if (count > SIZE_MAX ||
        tsr__size_mul((size_t)count, (size_t)ptx_type_bytes(a->type),
                      &a->bytes) ||
        a->bytes > limit)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "--arg %.200s: more than the %zu bytes that this "
                        "machine can give",
                        a->text, limit);
    a->count = (size_t)count;
    return 0;
}

static int parse_buffer(struct tune_argument *a, const char *text, size_t limit,
                        struct tsr_error *err)
{
    a->type = PTX_U8;
    int typed = *text != '@';
    int rc = typed ? parse_type(&text, &a->type, a->text, err) : 0;
    if (rc)
        return rc;
    if (a->role == TUNE_OUT)
        return parse_count(a, text, limit, err);
    if (*text == '@')
        return parse_file(a, text + 1, limit, err);
    return parse_list(a, text, limit, err);
}

int tune_argument_parse(struct tune_argument *out, const char *text,
                        size_t limit, struct tsr_error *err)
{
    static const struct {
        const char *word;
        enum tune_role role;
    } roles[] = {{"in:", TUNE_IN}, {"out:", TUNE_OUT}, {"inout:", TUNE_INOUT}};
    struct tune_argument a = {.text = text};
    const char *rest = text;
    int rc;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strncmp(text, roles[i].word, strlen(roles[i].word)) == 0) {
            a.role = roles[i].role;
            rest = text + strlen(roles[i].word);
        }
    if (a.role == TUNE_SCALAR) {
        rc = parse_type(&rest, &a.type, text, err);
        if (rc == 0)
            rc = parse_list(&a, rest, limit, err);
        if (rc == 0 && a.count != 1)
            rc = TSR_FAIL(err, TSR_EUSAGE,
                          "--arg %.200s: a scalar has one value; a buffer "
                          "begins with in:, out: or inout:",
                          text);
    } else {
        rc = parse_buffer(&a, rest, limit, err);
    }
    if (rc) {
        tune_argument_release(&a);
        return rc;
    }
    *out = a;
    return 0;
}

void tune_argument_release(struct tune_argument *argument)
{
    tsr__free(argument->contents);
    argument->contents = NULL;
}

/* ---- printing ------------------------------------------------------------ */

static double float_value(enum ptx_type type, uint64_t bits)
{
    double value;
    switch (type) {
    case PTX_F16:
        return tsr__half_to_float((uint16_t)bits);
    case PTX_BF16:
        return tsr__bfloat_to_float((uint16_t)bits);
    case PTX_F32:
        return tsr__bits_float((uint32_t)bits);
    default:
        memcpy(&value, &bits, sizeof value);
        return value;
    }
}

static void print_float(struct tsr_buffer *out, enum ptx_type type,
                        double value, int json)
{
    char text[40];
    if (isnan(value) || isinf(value)) {
        const char *word = isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
        tsr__buffer_addf(out, json ? "\"%s\"" : "%s", word);
        return;
    }
    snprintf(text, sizeof text, "%.*g", json ? 17 : digits_of(type), value);
    /* A float stays one for whoever reads the JSON, and -0 keeps its sign. */
    const char *tail = json && !strpbrk(text, ".e") ? ".0" : "";
    tsr__buffer_addf(out, "%s%s", text, tail);
}

void tune_values_print(struct tsr_buffer *out, enum ptx_type type,
                       const unsigned char *bytes, size_t count,
                       const char *separator, int json)
{
    size_t unit = (size_t)ptx_type_bytes(type);
    char class = ptx_type_class(type);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        memcpy(&bits, bytes + i * unit, unit);
        if (i)
            tsr__buffer_add(out, separator, strlen(separator));
        if (class == 'f')
            print_float(out, type, float_value(type, bits), json);
        else if (class == 'u')
            tsr__buffer_addf(out, "%llu", (unsigned long long)bits);
        else
            tsr__buffer_addf(out, "%lld",
                             (long long)(int64_t)(bits << (64 - 8 * unit)) >>
                                 (64 - 8 * unit));
    }
}
