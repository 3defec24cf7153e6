/* test_cache.c -- the compile cache: what goes in comes out, damage never
** does, and nothing that goes wrong with it is fatal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen/host/binary.h"
#include "gen/host/cache.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "tests/unit/compiler.h"

static void make_key(char key[TSR_SHA256_HEX], int number)
{
    tsr__sha256_hex(&number, sizeof number, key);
}

static char *path_of(const char *folder, const char *key)
{
    static char path[8192];
    snprintf(path, sizeof path, "%s/kernels/%.2s/%s", folder, key, key);
    return path;
}

static int get_equals(const char *key, const void *bytes, size_t size)
{
    void *payload;
    size_t got;
    if (gen_cache_get(key, &payload, &got))
        return 0;
    int same = got == size && (!size || memcmp(payload, bytes, size) == 0);
    tsr__free(payload);
    return same;
}

static void what_is_put_is_got_again(void **state)
{
    char key[TSR_SHA256_HEX];
    (void)state;
    compiler_fresh_cache();
    make_key(key, 1);
    assert_false(get_equals(key, "abc", 3));
    gen_cache_put(key, "abc", 3);
    assert_true(get_equals(key, "abc", 3));
    gen_cache_put(key, "longer", 6);
    assert_true(get_equals(key, "longer", 6));
    make_key(key, 2);
    gen_cache_put(key, "", 0);
    assert_true(get_equals(key, "", 0));
}

static void damaged_entries_are_absent_and_removed(void **state)
{
    const char *folder = compiler_fresh_cache();
    char key[TSR_SHA256_HEX], *bytes;
    size_t size;
    (void)state;
    make_key(key, 1);
    for (size_t at = 0; at < 54; at++) {
        gen_cache_put(key, "payload", 6);
        char *path = path_of(folder, key);
        assert_int_equal(tsr__file_read(path, 1 << 20, &bytes, &size, NULL), 0);
        assert_int_equal(size, 54);
        bytes[at] ^= 0x20;
        scratch_write(path, bytes, size);
        tsr__free(bytes);
        assert_false(get_equals(key, "payload", 6));
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void truncated_and_lengthened_entries_are_absent(void **state)
{
    const char *folder = compiler_fresh_cache();
    char key[TSR_SHA256_HEX], *bytes;
    size_t size;
    (void)state;
    make_key(key, 1);
    for (size_t cut = 0; cut < 60; cut++) {
        char longer[80] = {0};
        if (cut == 54)
            continue; /* the whole */
        gen_cache_put(key, "payload", 6);
        char *path = path_of(folder, key);
        assert_int_equal(tsr__file_read(path, 1 << 20, &bytes, &size, NULL), 0);
        memcpy(longer, bytes, size);
        scratch_write(path, longer, cut);
        tsr__free(bytes);
        assert_false(get_equals(key, "payload", 6));
    }
}

static void trimming_removes_the_least_recently_used(void **state)
{
    static char payload[1000];
    const char *folder = compiler_fresh_cache();
    char key[TSR_SHA256_HEX];
    struct gen_cache_usage usage;
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct timespec times[2] = {{1000 + i, 0}, {1000 + i, 0}};
        make_key(key, i);
        gen_cache_put(key, payload, sizeof payload);
        assert_int_equal(utimensat(AT_FDCWD, path_of(folder, key), times, 0),
                         0);
    }
    make_key(key, 0);
    assert_true(get_equals(key, payload, sizeof payload)); /* now the newest */
    gen_cache_trim(3 * 1048);
    assert_int_equal(gen_cache_measure(&usage, NULL), 0);
    assert_int_equal(usage.entries, 3);
    assert_int_equal(usage.bytes, 3 * 1048);
    for (int i = 0; i < 10; i++) {
        make_key(key, i);
        assert_int_equal(get_equals(key, payload, sizeof payload),
                         i == 0 || i >= 8);
    }
}

static void the_size_cap_comes_from_the_environment(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"4096", 4096},
                 {"8K", 8192},
                 {"3M", 3 << 20},
                 {"2G", (uint64_t)2 << 30},
                 {"wibble", (uint64_t)1 << 30},
                 {"99999999999999999999999G", UINT64_MAX},
                 {"0", 0}};
    struct gen_cache_usage usage;
    char key[TSR_SHA256_HEX];
    (void)state;
    compiler_fresh_cache();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("TESSERA_CACHE_LIMIT", cases[i].text, 1);
        assert_int_equal(gen_cache_measure(&usage, NULL), 0);
        assert_true(usage.limit == cases[i].bytes);
    }
    /* A put trims now and then; 64 in a row do it at least once. */
    for (int i = 0; i < 64; i++) {
        make_key(key, i);
        gen_cache_put(key, "x", 1);
    }
    assert_int_equal(gen_cache_measure(&usage, NULL), 0);
    assert_true(usage.entries < 64);
}

static void clearing_removes_entries_and_nothing_else(void **state)
{
    const char *folder = compiler_fresh_cache();
    struct gen_cache_usage usage;
    char key[TSR_SHA256_HEX], other[8300];
    (void)state;
    for (int i = 0; i < 5; i++) {
        make_key(key, i);
        gen_cache_put(key, "abc", 3);
    }
    snprintf(other, sizeof other, "%s.mine", path_of(folder, key));
    scratch_write(other, "keep", 4);
    assert_int_equal(gen_cache_clear(&usage, NULL), 0);
    assert_int_equal(usage.entries, 5);
    assert_int_equal(usage.bytes, 5 * 51);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(gen_cache_measure(&usage, NULL), 0);
    assert_int_equal(usage.entries, 0);
}

static void a_cache_that_cannot_be_written_is_no_error(void **state)
{
    char key[TSR_SHA256_HEX];
    struct gen_cache_usage usage;
    (void)state;
    make_key(key, 1);
    setenv("TESSERA_CACHE_DIR", "/proc/self/none", 1);
    gen_cache_put(key, "abc", 3);
    assert_false(get_equals(key, "abc", 3));
    assert_int_equal(gen_cache_measure(&usage, NULL), 0);
    assert_int_equal(usage.entries, 0);
    setenv("TESSERA_CACHE_DIR", "/dev/null", 1);
    gen_cache_put(key, "abc", 3);
    assert_false(get_equals(key, "abc", 3));
    unsetenv("TESSERA_CACHE_DIR");
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    char *xdg =
        getenv("XDG_CACHE_HOME") ? strdup(getenv("XDG_CACHE_HOME")) : NULL;
    unsetenv("HOME");
    unsetenv("XDG_CACHE_HOME");
    struct tsr_error error = {0};
    gen_cache_put(key, "abc", 3);
    assert_int_equal(gen_cache_measure(&usage, &error), TSR_ENOTFOUND);
    assert_non_null(strstr(error.text, "TESSERA_CACHE_DIR"));
    if (home)
        setenv("HOME", home, 1);
    if (xdg)
        setenv("XDG_CACHE_HOME", xdg, 1);
    free(home);
    free(xdg);
}

/* Readers beside writers of the same keys: whole entries or none. */
static void many_processes_share_it_without_a_torn_entry(void **state)
{
    static char payload[40000];
    pid_t workers[4];
    (void)state;
    compiler_fresh_cache();
    memset(payload, 'p', sizeof payload);
    for (int w = 0; w < 4; w++) {
        workers[w] = fork();
        if (workers[w] == 0) {
            int torn = 0;
            for (int i = 0; i < 200; i++) {
                char key[TSR_SHA256_HEX];
                void *got;
                size_t size;
                make_key(key, i % 7);
                if (i % 2 == w % 2)
                    gen_cache_put(key, payload, sizeof payload);
                else if (gen_cache_get(key, &got, &size) == 0) {
                    torn |= size != sizeof payload ||
                            memcmp(got, payload, size) != 0;
                    tsr__free(got);
                }
            }
            _exit(torn);
        }
    }
    for (int w = 0; w < 4; w++) {
        int status = -1;
        waitpid(workers[w], &status, 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 7; i++) {
        char key[TSR_SHA256_HEX];
        make_key(key, i);
        assert_true(get_equals(key, payload, sizeof payload));
    }
}

static struct gen_binary sample_binary(void)
{
    struct gen_binary binary = {.ptx_size = 4,
                                .cubin_size = 3,
                                .registers = 46,
                                .spill_bytes = 8,
                                .stack_bytes = 16,
                                .shared_static = 1024,
                                .barriers = 2,
                                .code_bytes = 640,
                                .c75xx = 1,
                                .compile_ms = 51.25,
                                .nvrtc_version = "13.0.88"};
    binary.ptx = tsr__strdup("ptx\n");
    binary.cubin = tsr__strdup("\177EL");
    binary.log = tsr__strdup("a log\n");
    return binary;
}

static void a_binary_is_written_and_read_whole(void **state)
{
    struct gen_binary binary = sample_binary(), copy;
    struct tsr_buffer bytes = TSR_BUFFER_INIT;
    (void)state;
    assert_int_equal(gen_binary_write(&binary, &bytes), 0);
    assert_int_equal(gen_binary_read(bytes.data, bytes.size, &copy, NULL), 0);
    assert_string_equal(copy.ptx, "ptx\n");
    assert_int_equal(copy.ptx_size, 4);
    assert_memory_equal(copy.cubin, "\177EL", 3);
    assert_string_equal(copy.log, "a log\n");
    assert_string_equal(copy.nvrtc_version, "13.0.88");
    assert_int_equal(copy.registers, 46);
    assert_int_equal(copy.spill_bytes, 8);
    assert_int_equal(copy.stack_bytes, 16);
    assert_int_equal(copy.shared_static, 1024);
    assert_int_equal(copy.barriers, 2);
    assert_int_equal(copy.code_bytes, 640);
    assert_int_equal(copy.c75xx, 1);
    assert_true(copy.compile_ms == 51.25);
    char hash[TSR_SHA256_HEX];
    tsr__sha256_hex("\177EL", 3, hash);
    assert_string_equal(copy.cubin_sha256, hash);
    gen_binary_release(&copy);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(gen_binary_read(bytes.data, size, &copy, NULL),
                         TSR_EFORMAT);
    assert_int_equal(tsr__buffer_add(&bytes, "", 1), 0); /* one too many */
    assert_int_equal(gen_binary_read(bytes.data, bytes.size, &copy, NULL),
                     TSR_EFORMAT);
    bytes.size--;
    memset(bytes.data + 4 + 7 * 4 + 8 + 16, 0xff, 8); /* size of the PTX */
    assert_int_equal(gen_binary_read(bytes.data, bytes.size, &copy, NULL),
                     TSR_EFORMAT);
    tsr__buffer_release(&bytes);
    gen_binary_release(&binary);
}

static const char kernel[] = "extern \"C\" __global__ void k(int *x)\n"
                             "{ x[threadIdx.x] += 1; }\n";

static void compiling_again_comes_from_the_cache(void **state)
{
    struct gen_binary first, second, other;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    assert_int_equal(gen_compile(kernel, "k", "sm_80", 0, &first, NULL), 0);
    assert_int_equal(gen_compile(kernel, "k", "sm_80", 0, &second, NULL), 0);
    assert_int_equal(first.cached, 0);
    assert_int_equal(second.cached, 1);
    assert_string_equal(first.cubin_sha256, second.cubin_sha256);
    assert_string_equal(first.ptx, second.ptx);
    assert_string_equal(first.log, second.log);
    assert_true(first.compile_ms == second.compile_ms);
    /* Another arch, another flag, another text: another entry. */
    assert_int_equal(gen_compile(kernel, "k", "sm_89", 0, &other, NULL), 0);
    assert_int_equal(other.cached, 0);
    gen_binary_release(&other);
    assert_int_equal(
        gen_compile(kernel, "k", "sm_80", GEN_LINE_INFO, &other, NULL), 0);
    assert_int_equal(other.cached, 0);
    assert_non_null(strstr(other.ptx, ".loc\t"));
    gen_binary_release(&other);
    gen_binary_release(&first);
    gen_binary_release(&second);
}

static void a_damaged_entry_is_compiled_again_never_used(void **state)
{
    struct gen_binary first, second;
    struct gen_cache_usage usage;
    char command[8400];
    (void)state;
    NEED_NVRTC();
    const char *folder = compiler_fresh_cache();
    assert_int_equal(gen_compile(kernel, "k", "sm_80", 0, &first, NULL), 0);
    snprintf(command, sizeof command,
             "for f in '%s'/kernels/*/*; do printf 'zzzz' | "
             "dd of=\"$f\" bs=1 seek=500 conv=notrunc 2>/dev/null; done",
             folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(gen_compile(kernel, "k", "sm_80", 0, &second, NULL), 0);
    assert_int_equal(second.cached, 0);
    assert_string_equal(first.cubin_sha256, second.cubin_sha256);
    assert_int_equal(gen_cache_measure(&usage, NULL), 0);
    assert_int_equal(usage.entries, 1);
    gen_binary_release(&first);
    gen_binary_release(&second);
}

static void compiling_works_with_no_cache_at_all(void **state)
{
    struct gen_binary binary;
    (void)state;
    NEED_NVRTC();
    setenv("TESSERA_CACHE_DIR", "/proc/self/none", 1);
    assert_int_equal(gen_compile(kernel, "k", "sm_80", 0, &binary, NULL), 0);
    assert_int_equal(binary.cached, 0);
    gen_binary_release(&binary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got_again),
        cmocka_unit_test(damaged_entries_are_absent_and_removed),
        cmocka_unit_test(truncated_and_lengthened_entries_are_absent),
        cmocka_unit_test(trimming_removes_the_least_recently_used),
        cmocka_unit_test(the_size_cap_comes_from_the_environment),
        cmocka_unit_test(clearing_removes_entries_and_nothing_else),
        cmocka_unit_test(a_cache_that_cannot_be_written_is_no_error),
        cmocka_unit_test(many_processes_share_it_without_a_torn_entry),
        cmocka_unit_test(a_binary_is_written_and_read_whole),
        cmocka_unit_test(compiling_again_comes_from_the_cache),
        cmocka_unit_test(a_damaged_entry_is_compiled_again_never_used),
        cmocka_unit_test(compiling_works_with_no_cache_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
