/* test_mutants.c -- planted bugs are found, sound kernels are not accused.
**
** Every tests/emulator/mutants/NAME.ptx says in its comments how it is run and
** what must come out:
**
**     // run: options of `tessera emulate`; $TMP/x ... are inputs made here
**     // finding: KIND [on WORDS]   such a finding at a PTX line with the words
**     // result: right | wrong      no finding; outputs against plain C
*/
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/emulator.h"
#include "tests/emulator/emulate.h"

#define FOLDER "tests/emulator/mutants"

enum { ROWS = 21, COLUMNS = 128, DEPTH = 320 };
enum { HEADS = 3, TOKENS = 45, DIMENSIONS = 16 };

static char folder[256];
static int8_t x[ROWS * DEPTH], w[COLUMNS * DEPTH];
static float q[HEADS * DIMENSIONS], k[HEADS * TOKENS * DIMENSIONS],
    v[HEADS * TOKENS * DIMENSIONS];

static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static void random_floats(float *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)(next_random() % 2001) / 500 - 2;
}

static int make_inputs(void **state)
{
    (void)state;
    if (emulate_folder(folder, sizeof folder, "mutants"))
        return -1;
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (int8_t)next_random();
    for (size_t i = 0; i < sizeof w; i++)
        w[i] = (int8_t)next_random();
    random_floats(q, HEADS * DIMENSIONS);
    random_floats(k, HEADS * TOKENS * DIMENSIONS);
    random_floats(v, HEADS * TOKENS * DIMENSIONS);
    emulate_file(folder, "x", x, sizeof x);
    emulate_file(folder, "w", w, sizeof w);
    emulate_file(folder, "q", q, sizeof q);
    emulate_file(folder, "k", k, sizeof k);
    emulate_file(folder, "v", v, sizeof v);
    return 0;
}

/* ---- what is right ------------------------------------------------------- */

static int product_is_right(const json_t *output)
{
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        const int8_t *row = x + i / COLUMNS * DEPTH;
        const int8_t *column = w + i % COLUMNS * DEPTH;
        int32_t sum = 0;
        for (int d = 0; d < DEPTH; d++)
            sum += row[d] * column[d];
        if (json_integer_value(json_array_get(output, i)) != sum)
            return 0;
    }
    return json_array_size(output) == ROWS * COLUMNS;
}

static int attention_is_right(const json_t *output)
{
    for (size_t h = 0; h < HEADS; h++)
        for (size_t d = 0; d < DIMENSIONS; d++) {
            double total = 0, result = 0;
            for (size_t t = 0; t < TOKENS; t++) {
                size_t at = (h * TOKENS + t) * DIMENSIONS;
                double score = 0;
                for (size_t e = 0; e < DIMENSIONS; e++)
                    score += (double)q[h * DIMENSIONS + e] * k[at + e];
                total += exp(score);
                result += exp(score) * v[at + d];
            }
            double got =
                json_number_value(json_array_get(output, h * DIMENSIONS + d));
            if (!(fabs(got - result / total) < 1e-5))
                return 0;
        }
    return json_array_size(output) == HEADS * DIMENSIONS;
}

static int output_is_right(const char *name, const json_t *json)
{
    const json_t *output = json_array_get(json_object_get(json, "outputs"), 0);
    return strncmp(name, "pipeline", 8) == 0 ? product_is_right(output)
                                             : attention_is_right(output);
}

/* ---- directives ---------------------------------------------------------- */

/* The text after "// WORD: " on its own line; the caller frees it. */
static char *directive(const char *text, const char *word)
{
    char head[32];
    snprintf(head, sizeof head, "\n// %s: ", word);
    const char *at = strstr(text, head);
    if (!at)
        return NULL;
    at += strlen(head);
    return strndup(at, strcspn(at, "\n"));
}

/* Does line `number` of the PTX hold the words? */
static int line_holds(const char *text, long long number, const char *words)
{
    for (long long i = 1; text && i < number; i++) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (!text)
        return 0;
    char *line = strndup(text, strcspn(text, "\n"));
    int holds = line && strstr(line, words);
    free(line);
    return holds;
}

static int has_finding(const char *text, const json_t *json, char *wanted)
{
    char *words = strstr(wanted, " on ");
    if (words) {
        *words = 0;
        words += 4;
    }
    const json_t *findings = json_object_get(json, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *f = json_array_get(findings, i);
        const char *kind = json_string_value(json_object_get(f, "kind"));
        long long line = json_integer_value(json_object_get(f, "ptx_line"));
        if (kind && strcmp(kind, wanted) == 0 &&
            (!words || line_holds(text, line, words)))
            return 1;
    }
    return 0;
}

/* "" when NAME does what its comments say, else what is wrong. */
static const char *verdict(const char *name, const char *text,
                           const struct emulate_result *run)
{
    char *finding = directive(text, "finding");
    char *result = directive(text, "result");
    const char *wrong = "";
    int wants_right = result && strcmp(result, "right") == 0;
    if (!finding && !result)
        wrong = "says not what is expected";
    else if (!run->json)
        wrong = "gave no JSON";
    else if (finding && run->status != 1)
        wrong = "found nothing";
    else if (finding && !has_finding(text, run->json, finding))
        wrong = "found something else, or elsewhere";
    else if (result && run->status != 0)
        wrong = "is accused";
    else if (result && output_is_right(name, run->json) != wants_right)
        wrong = wants_right ? "computes wrongly" : "shows nothing";
    free(finding);
    free(result);
    return wrong;
}

static int check_one(const char *name, const char *more)
{
    char path[512], *text, line[1024];
    size_t size;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    assert_int_equal(tsr__file_read(path, 1 << 20, &text, &size, NULL), 0);
    char *run = directive(text, "run");
    assert_non_null(run);
    snprintf(line, sizeof line, "emulate %s %s --json %s", path, run, more);
    struct emulate_result result;
    emulate_line(&result, line, folder);
    const char *wrong = verdict(name, text, &result);
    if (*wrong) {
        char *findings =
            json_dumps(json_object_get(result.json, "findings"), 0);
        print_error("%s %s (%s): %.700s %.200s\n", name, wrong, more,
                    findings ? findings : "no JSON", result.err);
        free(findings);
    }
    emulate_release(&result);
    free(run);
    tsr__free(text);
    return *wrong != 0;
}

static size_t check_all(const char *more)
{
    DIR *directory = opendir(FOLDER);
    assert_non_null(directory);
    size_t wrong = 0, seen = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".ptx") == 0) {
            wrong += (size_t)check_one(entry->d_name, more);
            seen++;
        }
    }
    closedir(directory);
    assert_true(seen >= 35);
    return wrong;
}

static void every_planted_bug_is_found(void **state)
{
    (void)state;
    assert_int_equal(check_all("--threads 1"), 0);
}

static void planted_bugs_are_found_under_any_schedule(void **state)
{
    (void)state;
    assert_int_equal(check_all("--seed 7 --threads 2"), 0);
    assert_int_equal(check_all("--seed 100 --schedules 3"), 0);
}

static void a_finding_names_the_line_of_the_source(void **state)
{
    (void)state;
    struct emulate_result result;
    emulate_line(&result,
                 "emulate " FOLDER "/pipeline-ragged-edge.ptx --json "
                 "--grid 2,2 --block 128 --arg out:s32:2688 "
                 "--arg in:@$TMP/x --arg in:@$TMP/w --arg s32:21 "
                 "--arg s32:128 --arg s32:320",
                 folder);
    const json_t *f =
        json_array_get(json_object_get(result.json, "findings"), 0);
    assert_string_equal(json_string_value(json_object_get(f, "file")),
                        "pipeline.cu");
    char *text;
    size_t size;
    assert_int_equal(
        tsr__file_read(FOLDER "/pipeline.cu", 1 << 20, &text, &size, NULL), 0);
    assert_true(line_holds(text, json_integer_value(json_object_get(f, "line")),
                           "\"r\"(bytes)")); /* of copy_chunk */
    /* It names the buffer, its parameter and the block. */
    const char *message = json_string_value(json_object_get(f, "message"));
    assert_non_null(strstr(message, "product_param_1"));
    tsr__free(text);
    emulate_release(&result);
}

/* What the command line cannot do: a buffer freed before the launch. */
static void a_freed_buffer_is_told_from_a_wild_pointer(void **state)
{
    (void)state;
    struct emu_memory *memory;
    struct emu_module *module;
    struct emu_report report = {0};
    uint64_t address;
    static const char ptx[] =
        ".version 7.8\n.target sm_80\n.address_size 64\n"
        ".entry kernel(.param .u64 in) { .reg .b64 %t; .reg .b32 %r;\n"
        "ld.param.u64 %t, [in]; ld.global.u32 %r, [%t+8]; ret; }\n";
    assert_int_equal(emu_memory_create(&memory, NULL), 0);
    assert_int_equal(emu_memory_alloc(memory, 64, "stale", &address, NULL), 0);
    assert_int_equal(emu_memory_release(memory, address, NULL), 0);
    assert_int_equal(
        emu_module_load(&module, memory, ptx, sizeof ptx - 1, "x.ptx", NULL),
        0);
    struct emu_launch launch = {.kernel = emu_module_kernel(module, NULL),
                                .grid = {1, 1, 1},
                                .block = {32, 1, 1},
                                .arguments = &address,
                                .argument_bytes = 8};
    assert_int_equal(emu_launch_run(&launch, NULL, &report, NULL), 0);
    assert_int_equal(emu_report_faults(&report), 1);
    assert_int_equal(report.findings.item[0].kind, EMU_USE_AFTER_FREE);
    assert_non_null(strstr(report.findings.item[0].message, "stale"));
    emu_report_release(&report);
    emu_module_free(module);
    emu_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_planted_bug_is_found),
        cmocka_unit_test(planted_bugs_are_found_under_any_schedule),
        cmocka_unit_test(a_finding_names_the_line_of_the_source),
        cmocka_unit_test(a_freed_buffer_is_told_from_a_wild_pointer),
    };
    return cmocka_run_group_tests(tests, make_inputs, NULL);
}
