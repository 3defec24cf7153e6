/* safetensors_header.c -- one file's header, every statement checked.
**
** The header decides where we read, so nothing in it is believed: the rules
** are those of the format's reference reader (sizes multiply without
** overflow, data covered from end to end, no duplicate names), plus a limit
** on rank and on the header's own size.
*/
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/model/safetensors_private.h"

/* A 70B model's header has 0.1 MB; a parsed header takes some 15 times its
** size. */
enum { HEADER_LIMIT = 32 << 20 };

static const struct {
    const char *name;
    unsigned bits;
} DTYPES[] = {
#define DTYPE(symbol, name, bits) {name, bits},
    TSR_DTYPE_LIST(DTYPE)
#undef DTYPE
};

enum { DTYPE_COUNT = sizeof DTYPES / sizeof DTYPES[0] };

const char *tsr__dtype_name(enum tsr_dtype dtype)
{
    return (unsigned)dtype < DTYPE_COUNT ? DTYPES[dtype].name : "?";
}

unsigned tsr__dtype_bits(enum tsr_dtype dtype)
{
    return (unsigned)dtype < DTYPE_COUNT ? DTYPES[dtype].bits : 0;
}

int tsr__dtype_parse(const char *name, enum tsr_dtype *out)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(name, DTYPES[i].name) == 0) {
            *out = (enum tsr_dtype)i;
            return 0;
        }
    return -1;
}

int tsr__text_has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return 1;
    return 0;
}

json_t *tsr__json_parse(const char *text, size_t size, const char *name,
                        struct tsr_error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (json)
        return json;
    for (char *c = why.text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    TSR_FAIL(err, TSR_EFORMAT, "'%s': bad JSON at line %d, column %d: %s", name,
             why.line, why.column, why.text);
    return NULL;
}

/* What a file that is no safetensors file may be instead. */
static const char *foreign(const unsigned char *bytes, size_t size)
{
    static const struct {
        const char *magic, *advice;
        size_t length;
    } known[] = {
        {"PK\3\4",
         "is a PyTorch pickle, which may run code when it is loaded; save the "
         "model again with save_pretrained(DIR, safe_serialization=True)",
         4},
        {"\x80\2",
         "is a Python pickle, which may run code when it is loaded; save the "
         "model again with save_pretrained(DIR, safe_serialization=True)",
         2},
        {"GGUF", "is a GGUF file; take the model's safetensors instead", 4},
        {"version https://git-lfs",
         "is a Git LFS pointer; fetch the weights with 'git lfs pull'", 23},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (size >= known[i].length &&
            memcmp(bytes, known[i].magic, known[i].length) == 0)
            return known[i].advice;
    return NULL;
}

/* A JSON integer that is a size. */
static int size_of(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -1;
    *out = (size_t)json_integer_value(value);
    return 0;
}

static int read_shape(struct tsr_tensor *tensor, const json_t *shape,
                      struct tsr_error *err)
{
    if (!json_is_array(shape))
        return TSR_FAIL(err, TSR_EFORMAT, "'shape' is not a list");
    if (json_array_size(shape) > TSR_RANK_MAX)
        return TSR_FAIL(err, TSR_EFORMAT, "has %zu dimensions, more than %d",
                        json_array_size(shape), TSR_RANK_MAX);
    tensor->rank = (int)json_array_size(shape);
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        if (size_of(json_array_get(shape, (size_t)i), &tensor->shape[i]))
            return TSR_FAIL(err, TSR_EFORMAT,
                            "dimension %d is not an integer of at least 0", i);
        if (tsr__size_mul(tensor->count, tensor->shape[i], &tensor->count))
            return TSR_FAIL(err, TSR_EFORMAT, "its dimensions overflow");
    }
    return 0;
}

static int read_dtype(struct tsr_tensor *tensor, const json_t *dtype,
                      struct tsr_error *err)
{
    size_t bits;
    if (!json_is_string(dtype))
        return TSR_FAIL(err, TSR_EFORMAT, "'dtype' is not a string");
    if (tsr__dtype_parse(json_string_value(dtype), &tensor->dtype))
        return TSR_FAIL(err, TSR_EFORMAT, "has the unknown dtype '%.20s'",
                        tsr__text_has_control(json_string_value(dtype))
                            ? "?"
                            : json_string_value(dtype));
    if (tsr__size_mul(tensor->count, tsr__dtype_bits(tensor->dtype), &bits))
        return TSR_FAIL(err, TSR_EFORMAT, "its dimensions overflow");
    if (bits % 8)
        return TSR_FAIL(err, TSR_EFORMAT, "does not end on a whole byte");
    tensor->bytes = bits / 8;
    return 0;
}

/* Data offsets against the shape and the file; data is set relative to the
** start of the data. */
static int read_offsets(struct tsr_tensor *tensor, const json_t *offsets,
                        const unsigned char *data, size_t data_size,
                        struct tsr_error *err)
{
    size_t begin, end;
    if (json_array_size(offsets) != 2 ||
        size_of(json_array_get(offsets, 0), &begin) ||
        size_of(json_array_get(offsets, 1), &end))
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'data_offsets' is not a pair of integers of at "
                        "least 0");
    if (begin > end)
        return TSR_FAIL(err, TSR_EFORMAT, "begins at %zu after its end, %zu",
                        begin, end);
    if (end > data_size)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "ends at byte %zu but the file has %zu bytes of data "
                        "(is it truncated? fetch it again)",
                        end, data_size);
    if (end - begin != tensor->bytes)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "has %zu bytes but its dtype and shape need %zu",
                        end - begin, tensor->bytes);
    tensor->data = data + begin;
    return 0;
}

static int read_tensor(struct tsr_tensor *tensor, const char *name,
                       const json_t *entry, const unsigned char *data,
                       size_t data_size, struct tsr_error *err)
{
    if (!json_is_object(entry))
        return TSR_FAIL(err, TSR_EFORMAT, "is not described by an object");
    int rc = read_shape(tensor, json_object_get(entry, "shape"), err);
    if (!rc)
        rc = read_dtype(tensor, json_object_get(entry, "dtype"), err);
    if (!rc)
        rc = read_offsets(tensor, json_object_get(entry, "data_offsets"), data,
                          data_size, err);
    if (rc)
        return rc;
    char *copy = tsr__strdup(name);
    if (!copy)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    tensor->name = copy;
    return 0;
}

static int read_metadata(const json_t *metadata, const char *file,
                         struct tsr_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return TSR_FAIL(err, TSR_EFORMAT, "'%s': __metadata__ is no object",
                        file);
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': __metadata__ holds something other than "
                            "strings",
                            file);
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct tsr_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The tensors of one file must cover its data: no gap, no overlap. */
static int check_cover(struct tsr_tensor *tensors, size_t count,
                       const unsigned char *data, size_t data_size,
                       const char *file, struct tsr_error *err)
{
    const unsigned char *at = data;
    if (count)
        qsort(tensors, count, sizeof *tensors, by_place);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].data < at)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': tensor '%s' overlaps tensor '%s'", file,
                            tensors[i].name, tensors[i - 1].name);
        if (tensors[i].data > at)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': %zu bytes before tensor '%s' belong to no "
                            "tensor",
                            file, (size_t)(tensors[i].data - at),
                            tensors[i].name);
        at = tensors[i].data + tensors[i].bytes;
    }
    if (at != data + data_size)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': the last %zu bytes belong to no tensor", file,
                        (size_t)(data + data_size - at));
    return 0;
}

static int read_entries(struct tsr_safetensors *store, const json_t *header,
                        const unsigned char *data, size_t data_size,
                        const char *file, struct tsr_error *err)
{
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            int rc = read_metadata(entry, file, err);
            if (rc)
                return rc;
            continue;
        }
        if (tsr__text_has_control(name))
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s': a tensor's name has control characters",
                            file);
        struct tsr_tensor tensor = {.file = file};
        int rc = read_tensor(&tensor, name, entry, data, data_size, err);
        if (rc)
            return tsr__fail_context(err, rc, "'%s': tensor '%s'", file, name);
        if (tsr__grow((void **)&store->tensors, &store->capacity,
                      store->count + 1, sizeof *store->tensors)) {
            tsr__free((char *)tensor.name);
            return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'",
                            file);
        }
        store->tensors[store->count++] = tensor;
    }
    return 0;
}

int tsr__safetensors_add(struct tsr_safetensors *store, const void *bytes,
                         size_t size, const char *file, struct tsr_error *err)
{
    const unsigned char *from = bytes;
    const char *advice = foreign(from, size);
    if (advice)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' %s", file, advice);
    if (size < 8)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' has %zu bytes, too few for a safetensors file",
                        file, size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | from[i];
    if (length > size - 8)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': the header should have %llu bytes but the file "
                        "has %zu (truncated, or no safetensors file)",
                        file, (unsigned long long)length, size);
    if (length > HEADER_LIMIT)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': the header has %llu bytes, more than %d", file,
                        (unsigned long long)length, HEADER_LIMIT);
    const unsigned char *data = from + 8 + length;
    size_t data_size = size - 8 - (size_t)length, first = store->count;
    json_t *header =
        tsr__json_parse((const char *)from + 8, (size_t)length, file, err);
    if (!header)
        return TSR_EFORMAT;
    int rc;
    if (!json_is_object(header))
        rc = TSR_FAIL(err, TSR_EFORMAT, "'%s': the header is no object", file);
    else
        rc = read_entries(store, header, data, data_size, file, err);
    if (!rc)
        rc = check_cover(store->count > first ? store->tensors + first : NULL,
                         store->count - first, data, data_size, file, err);
    json_decref(header);
    return rc;
}
