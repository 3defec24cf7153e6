/* test_cubin.c -- the cubin and SASS readers, on cubins of sample.cu (see
** tests/data/compile) and on damaged ones. The expected numbers were read
** with NVIDIA's own disassembler.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen/host/cubin.h"
#include "gen/host/sass.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

#define CORPUS "tests/fuzz/corpus/cubin/"

struct image {
    char *bytes;
    size_t size;
};

static struct image read_image(const char *path)
{
    struct image image;
    assert_int_equal(
        tsr__file_read(path, 1 << 20, &image.bytes, &image.size, NULL), 0);
    return image;
}

static void put(struct image *image, size_t at, uint64_t value, int bytes)
{
    assert_true(at + (size_t)bytes <= image->size);
    for (int i = 0; i < bytes; i++)
        image->bytes[at + (size_t)i] = (char)(value >> 8 * i);
}

static uint64_t get(const struct image *image, size_t at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | (unsigned char)image->bytes[at + (size_t)i];
    return value;
}

/* Header of section `index`. */
static size_t section_at(const struct image *image, size_t index)
{
    return (size_t)get(image, 40, 8) + index * 64;
}

static int parse(const struct image *image, struct gen_cubin *cubin,
                 struct tsr_error *error)
{
    return gen_cubin_parse(image->bytes, image->size, cubin, error);
}

static void expect_damaged(const struct image *image, const char *words)
{
    struct gen_cubin cubin;
    struct tsr_error error = {0};
    assert_int_equal(parse(image, &cubin, &error), TSR_EFORMAT);
    assert_non_null(strstr(error.text, words));
}

static void reader_finds_what_ptxas_wrote_on_every_architecture(void **state)
{
    static const struct {
        const char *path;
        int sm, registers;
        size_t code_size;
    } cases[] = {
        {CORPUS "sm_80.cubin", 80, 20, 1152},
        {CORPUS "sm_80-cuda12.cubin", 80, 20, 1152},
        {CORPUS "sm_90a.cubin", 90, 22, 1152},
        {CORPUS "sm_120a.cubin", 120, 20, 1152},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = read_image(cases[i].path);
        struct gen_cubin cubin;
        assert_int_equal(parse(&image, &cubin, NULL), 0);
        assert_int_equal(cubin.sm, cases[i].sm);
        assert_int_equal(cubin.kernel_count, 1);
        const struct gen_cubin_kernel *kernel = &cubin.kernels[0];
        assert_string_equal(kernel->name, "sample");
        assert_int_equal(kernel->registers, cases[i].registers);
        assert_int_equal(kernel->stack_bytes, 32 * 4);
        assert_int_equal(kernel->shared_bytes, 64 * 4);
        assert_int_equal(kernel->barriers, 1);
        assert_int_equal(kernel->max_threads, 64);
        assert_int_equal(kernel->parameter_bytes, 24);
        assert_int_equal(kernel->code_size, cases[i].code_size);
        gen_cubin_release(&cubin);
        tsr__free(image.bytes);
    }
}

static void reader_refuses_what_is_no_cubin(void **state)
{
    struct image text = {.bytes = "hello", .size = 5};
    struct image machine = read_image(CORPUS "sm_80.cubin");
    (void)state;
    expect_damaged(&text, "64-bit ELF");
    text.size = 0;
    expect_damaged(&text, "64-bit ELF");
    put(&machine, 18, 62, 2); /* x86-64 */
    expect_damaged(&machine, "machine 62");
    tsr__free(machine.bytes);
}

static void reader_refuses_a_section_table_outside_the_file(void **state)
{
    struct image image = read_image(CORPUS "sm_80.cubin");
    (void)state;
    uint64_t table = get(&image, 40, 8);
    put(&image, 40, UINT64_MAX - 63, 8);
    expect_damaged(&image, "section table");
    put(&image, 40, image.size - 64, 8);
    expect_damaged(&image, "section table");
    put(&image, 40, table, 8);
    put(&image, 62, 60000, 2); /* index of the section of names */
    expect_damaged(&image, "section table");
    put(&image, 60, 0, 2); /* no sections */
    expect_damaged(&image, "section table");
    tsr__free(image.bytes);
}

static void reader_refuses_a_section_outside_the_file(void **state)
{
    struct image image = read_image(CORPUS "sm_90a.cubin");
    size_t count = (size_t)get(&image, 60, 2);
    struct gen_cubin cubin;
    (void)state;
    for (size_t i = 1; i < count; i++) {
        size_t at = section_at(&image, i);
        uint64_t size = get(&image, at + 32, 8);
        if (get(&image, at + 4, 4) == 8)
            continue; /* NOBITS has no bytes in the file */
        put(&image, at + 32, UINT64_MAX, 8);
        assert_int_equal(parse(&image, &cubin, NULL), TSR_EFORMAT);
        put(&image, at + 32, size, 8);
    }
    assert_int_equal(parse(&image, &cubin, NULL), 0);
    gen_cubin_release(&cubin);
    tsr__free(image.bytes);
}

static void reader_refuses_an_attribute_longer_than_its_section(void **state)
{
    struct image image = read_image(CORPUS "sm_80.cubin");
    size_t count = (size_t)get(&image, 60, 2);
    int found = 0;
    (void)state;
    for (size_t i = 1; i < count; i++) {
        size_t at = section_at(&image, i);
        if (get(&image, at + 4, 4) != 0x70000000) /* SHT_CUDA_INFO */
            continue;
        size_t data = (size_t)get(&image, at + 24, 8);
        uint64_t old = get(&image, data, 4);
        put(&image, data, 0xffff0004 | (old & 0xff00), 4);
        expect_damaged(&image, "attribute");
        put(&image, data, old, 4);
        found++;
    }
    assert_int_equal(found, 2); /* .nv.info and .nv.info.sample */
    tsr__free(image.bytes);
}

/* Every prefix, and every byte of the headers turned over: an answer or an
** error, and under a sanitizer no byte outside. */
static void reader_survives_any_truncation_and_any_flipped_byte(void **state)
{
    struct image image = read_image(CORPUS "sm_120a.cubin");
    struct gen_cubin cubin;
    (void)state;
    for (size_t size = 0; size < image.size; size += 7) {
        struct image part = {malloc(size ? size : 1), size};
        assert_non_null(part.bytes);
        memcpy(part.bytes, image.bytes, size);
        if (parse(&part, &cubin, NULL) == 0)
            gen_cubin_release(&cubin);
        free(part.bytes);
    }
    for (size_t at = 0; at < image.size; at++) {
        image.bytes[at] = (char)~image.bytes[at];
        if (parse(&image, &cubin, NULL) == 0)
            gen_cubin_release(&cubin);
        image.bytes[at] = (char)~image.bytes[at];
    }
    tsr__free(image.bytes);
}

static void reader_reports_failing_memory_as_an_error(void **state)
{
    struct image image = read_image(CORPUS "sm_80.cubin");
    struct gen_cubin cubin;
    int failures = 0;
    (void)state;
    for (long n = 1; n < 10; n++) {
        tsr__memory_fail_after(n, 0);
        int rc = parse(&image, &cubin, NULL);
        tsr__memory_fail_after(0, 0);
        failures += rc == TSR_EMEMORY;
        if (rc == 0)
            gen_cubin_release(&cubin);
    }
    assert_int_equal(failures, 3); /* sections, kernels, the name */
    tsr__free(image.bytes);
}

static size_t count_of(const struct gen_sass *sass, const char *name)
{
    for (size_t i = 0; i < sass->opcode_count; i++)
        if (strcmp(sass->opcodes[i].name, name) == 0)
            return sass->opcodes[i].count;
    return 0;
}

static void histogram_and_main_loop_are_what_the_disassembler_shows(
    void **state)
{
    static const struct {
        const char *path;
        size_t instructions, first, last, ldg, stl;
    } cases[] = {
        {CORPUS "sm_80.cubin", 60, 0x1f0, 0x320, 2, 9},
        {CORPUS "sm_90a.cubin", 64, 0x220, 0x360, 2, 9},
        {CORPUS "sm_120a.cubin", 61, 0x200, 0x310, 2, 9},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = read_image(cases[i].path);
        struct gen_cubin cubin;
        struct gen_sass sass;
        assert_int_equal(parse(&image, &cubin, NULL), 0);
        assert_int_equal(gen_sass_inspect(cubin.kernels[0].code,
                                          cubin.kernels[0].code_size, cubin.sm,
                                          &sass, NULL),
                         0);
        assert_int_equal(sass.instructions, cases[i].instructions);
        assert_int_equal(sass.mma, 1);
        assert_int_equal(count_of(&sass, "IMMA"), 1);
        assert_int_equal(count_of(&sass, "BAR"), 1);
        assert_int_equal(count_of(&sass, "LDG"), cases[i].ldg);
        assert_int_equal(count_of(&sass, "STL"), cases[i].stl);
        assert_int_equal(sass.loop_count, 1);
        assert_non_null(sass.main_loop);
        assert_int_equal(sass.main_loop->first * 16, cases[i].first);
        assert_int_equal(sass.main_loop->last * 16, cases[i].last);
        assert_int_equal(sass.main_loop->mma, 1);
        assert_int_equal(sass.main_loop->instructions,
                         (cases[i].last - cases[i].first) / 16 + 1);
        gen_sass_release(&sass);
        gen_cubin_release(&cubin);
        tsr__free(image.bytes);
    }
}

/* Hand-made code. The upper bits are those of a plain, unguarded branch. */
static void make(unsigned char *code, size_t at, unsigned opcode,
                 int64_t distance)
{
    uint64_t low = opcode | (uint64_t)distance << 34;
    uint64_t high = ((uint64_t)(distance >> 30) & 0x3ffff) | 0x03800000;
    for (int i = 0; i < 8; i++) {
        code[at * 16 + (size_t)i] = (unsigned char)(low >> 8 * i);
        code[at * 16 + 8 + (size_t)i] = (unsigned char)(high >> 8 * i);
    }
}

#define NOP    0x7918
#define BRA    0x7947
#define BRA_IF 0x0947 /* guarded by P0 */
#define IMMA   0x7237
#define FFMA   0x7223
#define EXIT   0x794d

static void main_loop_is_the_inner_one_with_the_most_mma(void **state)
{
    unsigned char code[12 * 16] = {0};
    struct gen_sass sass;
    (void)state;
    for (size_t i = 0; i < 12; i++)
        make(code, i, NOP, 0);
    make(code, 1, FFMA, 0);
    make(code, 2, IMMA, 0);
    make(code, 3, IMMA, 0);
    make(code, 4, BRA_IF, (2 - 5) * 4); /* K loop: 2..4 */
    make(code, 5, FFMA, 0);
    make(code, 6, BRA_IF, (5 - 7) * 4); /* epilogue loop: 5..6 */
    make(code, 7, BRA_IF, (1 - 8) * 4); /* persistent loop: 1..7 */
    make(code, 8, BRA, (8 - 9) * 4);    /* the trap: itself */
    assert_int_equal(gen_sass_inspect(code, sizeof code, 80, &sass, NULL), 0);
    assert_int_equal(sass.instructions, 9); /* three NOPs of padding */
    assert_int_equal(sass.loop_count, 3);
    assert_int_equal(sass.main_loop->first, 2);
    assert_int_equal(sass.main_loop->last, 4);
    assert_int_equal(sass.main_loop->mma, 2);
    gen_sass_release(&sass);
}

/* A wait loop behind the end jumps back into the main loop's middle; and a
** branch with a condition of its own (BRA.DIV) is no way out for all. */
static void code_moved_out_of_line_makes_no_loop(void **state)
{
    unsigned char code[12 * 16] = {0};
    struct gen_sass sass;
    (void)state;
    for (size_t i = 0; i < 12; i++)
        make(code, i, FFMA, 0);
    make(code, 2, BRA_IF, (8 - 3) * 4); /* not ready: go and wait */
    make(code, 4, IMMA, 0);
    make(code, 5, BRA_IF, (1 - 6) * 4);  /* main loop: 1..5 */
    make(code, 6, BRA_IF, (11 - 7) * 4); /* to the exit */
    make(code, 7, EXIT, 0);
    make(code, 9, BRA_IF, (8 - 10) * 4); /* wait loop: 8..9 */
    make(code, 10, BRA, (3 - 11) * 4);   /* back into the main loop */
    make(code, 11, EXIT, 0);
    assert_int_equal(gen_sass_inspect(code, sizeof code, 80, &sass, NULL), 0);
    assert_int_equal(sass.loop_count, 2);
    assert_int_equal(sass.main_loop->first, 1);
    assert_int_equal(sass.main_loop->last, 5);
    assert_int_equal(sass.main_loop->instructions, 5);
    assert_int_equal(sass.main_loop->mma, 1);
    gen_sass_release(&sass);
}

static void branches_to_nowhere_and_odd_sizes_do_no_harm(void **state)
{
    unsigned char code[3 * 16] = {0};
    struct gen_sass sass;
    (void)state;
    make(code, 0, BRA, -((int64_t)1 << 40));
    make(code, 1, BRA, (int64_t)1 << 40);
    make(code, 2, BRA, -4 * 400);
    assert_int_equal(gen_sass_inspect(code, sizeof code, 80, &sass, NULL), 0);
    assert_int_equal(sass.loop_count, 0);
    assert_null(sass.main_loop);
    gen_sass_release(&sass);
    assert_int_equal(gen_sass_inspect(code, 17, 80, &sass, NULL), TSR_EFORMAT);
    assert_int_equal(gen_sass_inspect(code, 0, 80, &sass, NULL), 0);
    assert_int_equal(sass.instructions, 0);
    gen_sass_release(&sass);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_finds_what_ptxas_wrote_on_every_architecture),
        cmocka_unit_test(reader_refuses_what_is_no_cubin),
        cmocka_unit_test(reader_refuses_a_section_table_outside_the_file),
        cmocka_unit_test(reader_refuses_a_section_outside_the_file),
        cmocka_unit_test(reader_refuses_an_attribute_longer_than_its_section),
        cmocka_unit_test(reader_survives_any_truncation_and_any_flipped_byte),
        cmocka_unit_test(reader_reports_failing_memory_as_an_error),
        cmocka_unit_test(
            histogram_and_main_loop_are_what_the_disassembler_shows),
        cmocka_unit_test(main_loop_is_the_inner_one_with_the_most_mma),
        cmocka_unit_test(code_moved_out_of_line_makes_no_loop),
        cmocka_unit_test(branches_to_nowhere_and_odd_sizes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
