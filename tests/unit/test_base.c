/* test_base.c -- errors, memory, buffers, files, SHA-256, half floats. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buffer.h"
#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"
#include "runtime/base/sha256.h"

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TSR_TEST_TMP");
    snprintf(folder, sizeof folder, "%s/base.XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static void context_is_put_in_front_of_an_error(void **state)
{
    (void)state;
    struct tsr_error err;
    assert_int_equal(TSR_FAIL(&err, TSR_EIO, "disk %d is full", 3), TSR_EIO);
    assert_int_equal(tsr__fail_context(&err, TSR_EIO, "writing '%s'", "a"),
                     TSR_EIO);
    assert_string_equal(err.text, "writing 'a': disk 3 is full");
    assert_int_equal(err.code, TSR_EIO);
    assert_int_equal(TSR_FAIL(NULL, TSR_EIO, "nobody listens"), TSR_EIO);
}

static void an_error_text_is_cut_not_overrun(void **state)
{
    (void)state;
    struct tsr_error err;
    char big[4000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = 0;
    TSR_FAIL(&err, TSR_EIO, "%s", big);
    tsr__fail_context(&err, TSR_EIO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void the_nth_allocation_fails_when_asked(void **state)
{
    (void)state;
    tsr__memory_fail_after(2, 0);
    void *first = tsr__malloc(1), *second = tsr__malloc(1),
         *third = tsr__malloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    tsr__free(first);
    tsr__free(third);
    tsr__memory_fail_after(1, 1);
    assert_null(tsr__calloc(1, 1));
    assert_null(tsr__strdup("x"));
    tsr__memory_fail_after(0, 0);
}

static void a_failed_growth_leaves_the_buffer_alone(void **state)
{
    (void)state;
    struct tsr_buffer buffer = TSR_BUFFER_INIT;
    assert_int_equal(tsr__buffer_addf(&buffer, "%s-%d", "sm", 90), 0);
    tsr__memory_fail_after(1, 1);
    char big[1000] = {0};
    assert_int_equal(tsr__buffer_add(&buffer, big, sizeof big), -1);
    tsr__memory_fail_after(0, 0);
    assert_true(buffer.failed);
    assert_string_equal(buffer.data, "sm-90");
    tsr__buffer_release(&buffer);
}

static void sizes_that_overflow_are_noticed(void **state)
{
    (void)state;
    size_t out = 7;
    assert_int_equal(tsr__size_mul(SIZE_MAX / 2, 3, &out), -1);
    assert_int_equal(tsr__size_add(SIZE_MAX, 1, &out), -1);
    assert_int_equal(out, 7);
    assert_int_equal(tsr__size_mul(6, 7, &out), 0);
    assert_int_equal(out, 42);
}

/* FIPS 180-4's own examples, and a length that crosses two blocks. */
static void sha256_agrees_with_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b"
             "855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20"
                "015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[TSR_SHA256_HEX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tsr__sha256_hex(cases[i].text, strlen(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
    }
    /* One million 'a', fed in uneven pieces. */
    char piece[997];
    memset(piece, 'a', sizeof piece);
    struct tsr_sha256 sha;
    unsigned char digest[TSR_SHA256_BYTES];
    tsr__sha256_init(&sha);
    for (size_t left = 1000000; left;) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        tsr__sha256_add(&sha, piece, n);
        left -= n;
    }
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a49720"
                             "0e046d39ccc7112cd0");
}

static void a_written_file_is_whole_or_absent(void **state)
{
    (void)state;
    char path[300], temporary[340];
    snprintf(path, sizeof path, "%s/a", folder);
    struct tsr_writer writer;
    assert_int_equal(tsr__writer_open(&writer, path, NULL), 0);
    assert_int_equal(tsr__writer_add(&writer, "half", 4, NULL), 0);
    snprintf(temporary, sizeof temporary, "%s", writer.temporary);
    assert_int_equal(access(path, F_OK), -1);
    tsr__writer_abort(&writer);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(temporary, F_OK), -1);

    assert_int_equal(tsr__file_write(path, "whole", 5, NULL), 0);
    char *text;
    size_t size;
    assert_int_equal(tsr__file_read(path, 100, &text, &size, NULL), 0);
    assert_int_equal(size, 5);
    assert_string_equal(text, "whole");
    tsr__free(text);
    struct tsr_error err;
    assert_int_equal(tsr__file_read(path, 4, &text, &size, &err), TSR_EFORMAT);
}

static void an_empty_file_maps_and_a_folder_does_not(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/empty", folder);
    assert_int_equal(tsr__file_write(path, "", 0, NULL), 0);
    struct tsr_map map;
    struct tsr_error err;
    assert_int_equal(tsr__map_open(&map, path, &err), 0);
    assert_int_equal(map.size, 0);
    tsr__map_release(&map);
    assert_int_equal(tsr__map_open(&map, folder, &err), TSR_EIO);
    assert_non_null(strstr(err.text, "not a regular file"));
}

static void writing_into_a_missing_folder_says_so(void **state)
{
    (void)state;
    char path[300];
    struct tsr_error err;
    snprintf(path, sizeof path, "%s/none/such/file", folder);
    assert_int_equal(tsr__file_write(path, "x", 1, &err), TSR_EIO);
    assert_non_null(strstr(err.text, "No such file"));
    snprintf(path, sizeof path, "%s/none/such", folder);
    assert_int_equal(tsr__make_directories(path, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
}

/* Every half goes through float and back unchanged (NaNs become canonical). */
static void every_half_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int nan = (h & 0x7c00) == 0x7c00 && (h & 0x3ff);
        uint16_t back = tsr__float_to_half(tsr__half_to_float((uint16_t)h));
        assert_int_equal(back, nan ? 0x7fff : h);
        nan = (h & 0x7f80) == 0x7f80 && (h & 0x7f);
        back = tsr__float_to_bfloat(tsr__bfloat_to_float((uint16_t)h));
        assert_int_equal(back, nan ? 0x7fff : h);
    }
}

/* The midpoint between two neighbours goes to the even one; one ulp of float
** to either side goes to the nearer. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = tsr__half_to_float((uint16_t)h);
        float high = tsr__half_to_float((uint16_t)(h + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(tsr__float_to_half(middle), h + (h & 1));
        assert_int_equal(tsr__float_to_half(nextafterf(middle, 0)), h);
        assert_int_equal(tsr__float_to_half(nextafterf(middle, 1e9f)), h + 1);
        assert_int_equal(tsr__float_to_half(-middle), 0x8000 | (h + (h & 1)));
    }
    assert_int_equal(tsr__float_to_half(65519.996f), 0x7bff);
    assert_int_equal(tsr__float_to_half(65520.0f), 0x7c00);
    assert_int_equal(tsr__float_to_half(1e30f), 0x7c00);
    assert_int_equal(tsr__float_to_bfloat(3.4e38f), 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_is_put_in_front_of_an_error),
        cmocka_unit_test(an_error_text_is_cut_not_overrun),
        cmocka_unit_test(the_nth_allocation_fails_when_asked),
        cmocka_unit_test(a_failed_growth_leaves_the_buffer_alone),
        cmocka_unit_test(sizes_that_overflow_are_noticed),
        cmocka_unit_test(sha256_agrees_with_the_standard),
        cmocka_unit_test(a_written_file_is_whole_or_absent),
        cmocka_unit_test(an_empty_file_maps_and_a_folder_does_not),
        cmocka_unit_test(writing_into_a_missing_folder_says_so),
        cmocka_unit_test(every_half_survives_a_round_trip),
        cmocka_unit_test(halves_round_to_nearest_even),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, NULL);
}
