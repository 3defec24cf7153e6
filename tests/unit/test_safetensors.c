/* test_safetensors.c -- the reader takes what is right and refuses every lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/model/safetensors.h"
#include "tests/unit/scratch.h"

#define TINY "tests/data/models/tessera-tiny"

/* Opens header + data_size bytes; returns the code. */
static int open_text(const char *header, size_t data_size,
                     struct tsr_safetensors **out, struct tsr_error *err)
{
    /* The store reads from these bytes, so they stay until the next call. */
    static unsigned char *bytes;
    free(bytes);
    size_t size = scratch_safetensors(header, data_size, &bytes);
    return tsr__safetensors_open_bytes(out, bytes, size, "x.safetensors", err);
}

static void reader_finds_tensors_by_name(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    assert_int_equal(open_text("{\"__metadata__\":{\"format\":\"pt\"},"
                               "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],"
                               "\"data_offsets\":[4,16]},"
                               "\"a\":{\"dtype\":\"I32\",\"shape\":[],"
                               "\"data_offsets\":[0,4]},"
                               "\"empty\":{\"dtype\":\"BF16\",\"shape\":[0,7],"
                               "\"data_offsets\":[16,16]}}   ",
                               16, &store, &err),
                     0);
    assert_int_equal(tsr__safetensors_count(store), 3);
    assert_string_equal(tsr__safetensors_at(store, 0)->name, "a");
    const struct tsr_tensor *b = tsr__safetensors_find(store, "b");
    assert_non_null(b);
    assert_int_equal(b->dtype, TSR_F16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->count, 6);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(b->data[0], 4);
    const struct tsr_tensor *a = tsr__safetensors_find(store, "a");
    assert_int_equal(a->rank, 0);
    assert_int_equal(a->count, 1);
    assert_int_equal(tsr__safetensors_find(store, "empty")->count, 0);
    assert_null(tsr__safetensors_find(store, "c"));
    tsr__safetensors_free(store);
}

/* A header, how many bytes of data, what the message must say. */
static const struct {
    const char *header;
    size_t data;
    const char *says;
} lies[] = {
    {"", 0, "bad JSON"},
    {"[]", 0, "no object"},
    {"{\"a\":", 0, "bad JSON"},
    {"{} {}", 0, "bad JSON"},
    {"{\"a\":1}", 0, "not described by an object"},
    {"{\"__metadata__\":7}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
    {"{}", 3, "last 3 bytes belong to no tensor"},
    /* wrong or absent fields */
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "'dtype'"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "'shape'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "'data_offsets'"},
    {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "'dtype'"},
    {"{\"a\":{\"dtype\":\"F12\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "unknown dtype 'F12'"},
    /* dtype, shape and bytes disagree */
    {"{\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
     "has 4 bytes but its dtype and shape need 8"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1,
     "whole byte"},
    /* dimensions */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1,
     "dimension 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1,
     "dimension 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1,
     "dimension 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":7,\"data_offsets\":[0,1]}}", 1,
     "'shape'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
     "\"data_offsets\":[0,1]}}",
     1, "9 dimensions"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
     "\"data_offsets\":[0,0]}}",
     0, "overflow"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],"
     "\"data_offsets\":[0,0]}}",
     0, "overflow"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],"
     "\"data_offsets\":[0,0]}}",
     0, "bad JSON"},
    /* offsets */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
     "'data_offsets'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1,
     "'data_offsets'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1,
     "after its end"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 8,
     "truncated"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
     "\"data_offsets\":[9223372036854775806,9223372036854775807]}}",
     1, "truncated"},
    /* overlap, gap, rest */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
     7, "'b' overlaps tensor 'a'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
     4, "overlaps"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}",
     8, "2 bytes before tensor 'b'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5,
     "last 1 bytes"},
    /* names */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
     2, "bad JSON"},
    {"{\"a\\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "control characters"},
    {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
     1, "bad JSON"},
    {"{\"\xff\xfe\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
     1, "bad JSON"},
};

static void reader_refuses_every_lie_of_a_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct tsr_safetensors *store = NULL;
        struct tsr_error err = {0};
        int rc = open_text(lies[i].header, lies[i].data, &store, &err);
        if (rc != TSR_EFORMAT || !strstr(err.text, lies[i].says) ||
            !strstr(err.text, "x.safetensors") || strchr(err.text, '\n'))
            fail_msg("lie %zu (%s): %d '%s', wanted '%s'", i, lies[i].header,
                     rc, err.text, lies[i].says);
        assert_null(store);
    }
}

static void reader_refuses_a_header_longer_than_the_file(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    unsigned char bytes[16] = {9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    assert_int_equal(
        tsr__safetensors_open_bytes(&store, bytes, sizeof bytes, "x", &err),
        TSR_EFORMAT);
    memset(bytes, 0xff, 8);
    assert_int_equal(
        tsr__safetensors_open_bytes(&store, bytes, sizeof bytes, "x", &err),
        TSR_EFORMAT);
    assert_non_null(strstr(err.text, "18446744073709551615"));
    for (size_t size = 0; size < 8; size++) {
        assert_int_equal(
            tsr__safetensors_open_bytes(&store, bytes, size, "x", &err),
            TSR_EFORMAT);
        assert_non_null(strstr(err.text, "too few"));
    }
}

static void reader_refuses_deep_and_huge_headers(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    enum { DEPTH = 100000 };
    char *deep = malloc(DEPTH + 6);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', DEPTH);
    deep[DEPTH + 5] = 0;
    assert_int_equal(open_text(deep, 0, &store, &err), TSR_EFORMAT);
    assert_non_null(strstr(err.text, "depth"));
    free(deep);

    enum { HUGE_HEADER = (32 << 20) + 1 };
    char *huge = malloc(HUGE_HEADER + 1);
    memset(huge, ' ', HUGE_HEADER);
    huge[HUGE_HEADER] = 0;
    memcpy(huge, "{}", 2);
    assert_int_equal(open_text(huge, 0, &store, &err), TSR_EFORMAT);
    assert_non_null(strstr(err.text, "more than"));
    free(huge);
}

static void reader_says_what_a_foreign_file_is(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    static const struct {
        const char *bytes, *says;
    } files[] = {
        {"PK\3\4xxxxxxxx", "pickle"},
        {"\x80\2}q\0xxxx", "pickle"},
        {"GGUF\3\0\0\0xx", "GGUF"},
        {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(
            tsr__safetensors_open_bytes(&store, files[i].bytes, 24, "x", &err),
            TSR_EFORMAT);
        assert_non_null(strstr(err.text, files[i].says));
    }
}

#define A_TENSOR "{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}"

/* A folder with two shards a.safetensors {a}, b.safetensors {b} and this
** index. */
static const char *sharded(const char *index)
{
    const char *folder = scratch_folder();
    scratch_write_safetensors(scratch_path(folder, "a.safetensors"),
                              "{\"a\":" A_TENSOR "}", 4);
    scratch_write_safetensors(scratch_path(folder, "b.safetensors"),
                              "{\"b\":" A_TENSOR "}", 4);
    scratch_write_safetensors(scratch_path(folder, "a2.safetensors"),
                              "{\"a\":" A_TENSOR "}", 4);
    scratch_write(scratch_path(folder, "model.safetensors.index.json"), index,
                  strlen(index));
    return folder;
}

static void reader_opens_shards_through_their_index(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    const char *folder =
        sharded("{\"metadata\":{},\"weight_map\":"
                "{\"b\":\"b.safetensors\",\"a\":\"a.safetensors\"}}");
    assert_int_equal(tsr__safetensors_open(&store, folder, &err), 0);
    assert_int_equal(tsr__safetensors_count(store), 2);
    assert_non_null(strstr(tsr__safetensors_find(store, "b")->file, "b.saf"));
    tsr__safetensors_free(store);
}

static void reader_refuses_an_index_that_lies(void **state)
{
    (void)state;
    static const struct {
        const char *index, *says;
        int code;
    } bad[] = {
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", "same folder",
         TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "same folder",
         TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"..\"}}", "same folder", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"\"}}", "file name", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":7}}", "file name", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"x\\n\"}}", "file name", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"pytorch_model.bin\"}}", "pickle",
         TSR_EUNSUPPORTED},
        {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", "cannot open",
         TSR_EIO},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"c\":\"b.safetensors\"}}",
         "tensor 'c' is in 'b.safetensors', but it is not", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"b.safetensors\",\"b\":\"a.safetensors\"}}",
         "but it is in", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"a2.safetensors\"}}",
         "tensor 'a' is in", TSR_EFORMAT},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"a\":\"a.safetensors\"}}",
         "bad JSON", TSR_EFORMAT},
        {"{\"weight_map\":{}}", "no weight_map", TSR_EFORMAT},
        {"{\"weight_map\":[]}", "no weight_map", TSR_EFORMAT},
        {"[]", "no weight_map", TSR_EFORMAT},
        {"not json", "bad JSON", TSR_EFORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tsr_safetensors *store = NULL;
        struct tsr_error err = {0};
        int rc = tsr__safetensors_open(&store, sharded(bad[i].index), &err);
        if (rc != bad[i].code || !strstr(err.text, bad[i].says) ||
            strchr(err.text, '\n'))
            fail_msg("index %zu: %d '%s', wanted '%s'", i, rc, err.text,
                     bad[i].says);
        assert_null(store);
    }
}

static void reader_refuses_pickles_and_says_how_to_convert(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    const char *folder = scratch_folder();
    scratch_write(scratch_path(folder, "pytorch_model.bin"), "PK", 2);
    assert_int_equal(tsr__safetensors_open(&store, folder, &err),
                     TSR_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "pytorch_model.bin"));
    assert_non_null(strstr(err.text, "save_pretrained"));
    assert_int_equal(
        tsr__safetensors_open(&store, scratch_path(folder, "pytorch_model.bin"),
                              &err),
        TSR_EUNSUPPORTED);
}

static void reader_says_what_is_missing(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    struct tsr_error err = {0};
    assert_int_equal(tsr__safetensors_open(&store, scratch_folder(), &err),
                     TSR_ENOTFOUND);
    assert_non_null(strstr(err.text, "neither model.safetensors nor"));
    assert_int_equal(tsr__safetensors_open(&store, "no/such/file", &err),
                     TSR_EIO);
    assert_non_null(strstr(err.text, "no/such/file"));
}

static void required_tensor_of_another_shape_is_named(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    const struct tsr_tensor *tensor;
    struct tsr_error err = {0};
    size_t wanted[2] = {256, 255};
    assert_int_equal(tsr__safetensors_open(&store, TINY, &err), 0);
    assert_int_equal(tsr__safetensors_require(
                         store, "model.layers.0.self_attn.k_proj.weight", 2,
                         wanted, &tensor, &err),
                     TSR_EFORMAT);
    assert_non_null(strstr(err.text, "[256, 256], not [256, 255]"));
    wanted[1] = 256;
    assert_int_equal(tsr__safetensors_require(
                         store, "model.layers.0.self_attn.k_proj.weight", 2,
                         wanted, &tensor, &err),
                     0);
    assert_int_equal(
        tsr__safetensors_require(store, "nothing", -1, NULL, &tensor, &err),
        TSR_EFORMAT);
    assert_non_null(strstr(err.text, "no tensor 'nothing'"));
    tsr__safetensors_free(store);
}

static void floats_of_three_types_are_exact(void **state)
{
    (void)state;
    struct tsr_safetensors *store;
    float out[2];
    /* The one-byte tensor puts the others at odd addresses. */
    unsigned char *bytes;
    size_t size = scratch_safetensors(
        "{\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[1,5]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[5,9]},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9,17]}}",
        17, &bytes);
    static const unsigned char data[17] = {
        0,    0x00, 0x3c, 0x01, 0x80,             /* 1, -2^-24 */
        0xc0, 0x3f, 0x80, 0xff,                   /* 1.5, -inf */
        0x00, 0x00, 0x20, 0x41, 0,    0, 0, 0x80, /* 10, -0 */
    };
    memcpy(bytes + size - 17, data, 17);
    assert_int_equal(
        tsr__safetensors_open_bytes(&store, bytes, size, "x", NULL), 0);
    assert_int_equal(
        tsr__tensor_floats(tsr__safetensors_find(store, "h"), 0, 2, out), 0);
    assert_true(out[0] == 1.0f && out[1] == -0x1p-24f);
    assert_int_equal(
        tsr__tensor_floats(tsr__safetensors_find(store, "b"), 0, 2, out), 0);
    assert_true(out[0] == 1.5f && out[1] < -1e38f);
    assert_int_equal(
        tsr__tensor_floats(tsr__safetensors_find(store, "f"), 0, 2, out), 0);
    assert_true(out[0] == 10.0f && out[1] == 0.0f);
    assert_int_equal(
        tsr__tensor_floats(tsr__safetensors_find(store, "u"), 0, 1, out), -1);
    tsr__safetensors_free(store);
    free(bytes);
}

static void reader_survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *folder = sharded("{\"weight_map\":{\"b\":\"b.safetensors\","
                                 "\"a\":\"a.safetensors\"}}");
    for (long n = 1;; n++) {
        struct tsr_safetensors *store = NULL;
        tsr__memory_fail_after(n, 1);
        int rc = tsr__safetensors_open(&store, folder, NULL);
        tsr__memory_fail_after(0, 0);
        if (!rc) {
            assert_true(n > 4);
            tsr__safetensors_free(store);
            break;
        }
        assert_null(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_finds_tensors_by_name),
        cmocka_unit_test(reader_refuses_every_lie_of_a_header),
        cmocka_unit_test(reader_refuses_a_header_longer_than_the_file),
        cmocka_unit_test(reader_refuses_deep_and_huge_headers),
        cmocka_unit_test(reader_says_what_a_foreign_file_is),
        cmocka_unit_test(reader_opens_shards_through_their_index),
        cmocka_unit_test(reader_refuses_an_index_that_lies),
        cmocka_unit_test(reader_refuses_pickles_and_says_how_to_convert),
        cmocka_unit_test(reader_says_what_is_missing),
        cmocka_unit_test(required_tensor_of_another_shape_is_named),
        cmocka_unit_test(floats_of_three_types_are_exact),
        cmocka_unit_test(reader_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
