/* kernel.h -- what the tests of our kernels share: SPEC to source to PTX to
** a launch on the emulator with every check on, against the reference.
**
** One kernel is the binary of one SPEC; it runs problems: random weights and
** activations of one seed. Outputs are poisoned before, inputs are read-only,
** and every buffer lies between guard zones, so a stray access is a finding.
*/
#ifndef TESTS_UNIT_KERNEL_H
#define TESTS_UNIT_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/generator.h"
#include "gen/host/nvrtc.h"
#include "gen/quantize/pack.h"
#include "gen/quantize/random.h"
#include "gen/quantize/reference.h"
#include "runtime/base/half.h"
#include "runtime/emulator/emulator.h"

struct kernel {
    struct gen_kernel text;
    struct gen_binary binary;
};

static inline struct gen_host *kernel_host(void)
{
    static struct gen_host *host;
    struct tsr_error err;
    if (!host && gen_host_open(&host, NULL, &err))
        fail_msg("%s", err.text);
    return host;
}

/* Renders the SPEC, a text with blanks between its words. */
static inline void kernel_render(struct kernel *kernel, const char *spec)
{
    struct tsr_error err;
    const char *words[32];
    char copy[512], *rest = copy;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", spec);
    for (char *word; (word = strtok_r(rest, " ", &rest)) && count < 32;)
        words[count++] = word;
    memset(kernel, 0, sizeof *kernel);
    if (gen_render(kernel_host(), words, count, &kernel->text, &err))
        fail_msg("%s: %s", spec, err.text);
}

/* The value of a word of the canonical spec: kernel_word(k, "arch=") */
static inline const char *kernel_word(const struct kernel *kernel,
                                      const char *key)
{
    const char *at = strstr(kernel->text.spec, key);
    assert_non_null(at);
    return at + strlen(key);
}

static inline long kernel_number(const struct kernel *kernel, const char *key)
{
    return strtol(kernel_word(kernel, key), NULL, 10);
}

/* Compiles kernel->text.source, patched or not. */
static inline void kernel_compile(struct kernel *kernel, unsigned flags)
{
    struct tsr_error err;
    char arch[16];
    sscanf(kernel_word(kernel, " arch="), "%15s", arch);
    if (gen_compile(kernel->text.source, kernel->text.spec, arch, flags,
                    &kernel->binary, &err))
        fail_msg("%s: %s", kernel->text.spec, err.text);
}

static inline void kernel_open(struct kernel *kernel, const char *spec)
{
    kernel_render(kernel, spec);
    kernel_compile(kernel, 0);
}

static inline void kernel_close(struct kernel *kernel)
{
    gen_binary_release(&kernel->binary);
    gen_kernel_release(&kernel->text);
}

/* ---- launching ----------------------------------------------------------- */

/* What a run showed. `text` is the first finding or mismatch. */
struct outcome {
    size_t faults;
    uint32_t kinds; /* of the faults: 1 << enum emu_finding_kind */
    size_t mismatches;
    size_t dirty;             /* workspace words that were not left zero */
    struct emu_counts counts; /* of all launches */
    char text[256];
};

static inline int outcome_is_clean(const struct outcome *outcome)
{
    return !outcome->faults && !outcome->mismatches && !outcome->dirty;
}

/* A device with one kernel and its arguments. */
struct bench {
    struct emu_memory *memory;
    struct emu_module *module;
    const struct emu_kernel *entry;
    unsigned char arguments[128];
    size_t argument_bytes;
};

static inline void bench_open(struct bench *bench, const struct kernel *kernel)
{
    struct tsr_error err;
    memset(bench, 0, sizeof *bench);
    if (emu_memory_create(&bench->memory, &err))
        fail_msg("%s", err.text);
    if (emu_module_load(&bench->module, bench->memory, kernel->binary.ptx,
                        kernel->binary.ptx_size, kernel->text.spec, &err))
        fail_msg("%s: %s", kernel->text.spec, err.text);
    bench->entry = emu_module_kernel(bench->module, kernel->text.entry);
    assert_non_null(bench->entry);
}

static inline void bench_close(struct bench *bench)
{
    emu_module_free(bench->module);
    emu_memory_free(bench->memory);
}

static inline void bench_argument(struct bench *bench, const void *value,
                                  size_t size)
{
    size_t at = (bench->argument_bytes + size - 1) / size * size;
    assert_true(at + size <= sizeof bench->arguments);
    memcpy(bench->arguments + at, value, size);
    bench->argument_bytes = at + size;
}

/* The next parameter: a buffer with a copy of `bytes`, or NULL when `bytes`
** is NULL. Returns the host's view. */
static inline void *bench_input(struct bench *bench, const char *name,
                                const void *bytes, size_t size)
{
    struct tsr_error err;
    uint64_t address = 0;
    if (bytes) {
        if (emu_memory_alloc(bench->memory, size, name, &address, &err))
            fail_msg("%s", err.text);
        memcpy((void *)(uintptr_t)address, bytes, size);
        emu_memory_set_read_only(bench->memory, address, 1, &err);
    }
    bench_argument(bench, &address, sizeof address);
    return (void *)(uintptr_t)address;
}

/* The next parameter: a buffer that the kernel writes, filled with `poison`. */
static inline void *bench_output(struct bench *bench, const char *name,
                                 int poison, size_t size)
{
    struct tsr_error err;
    uint64_t address;
    if (emu_memory_alloc(bench->memory, size, name, &address, &err))
        fail_msg("%s", err.text);
    memset((void *)(uintptr_t)address, poison, size);
    bench_argument(bench, &address, sizeof address);
    return (void *)(uintptr_t)address;
}

static inline void bench_launch(struct bench *bench, struct kernel *kernel,
                                uint32_t grid_x, int seeds,
                                struct outcome *outcome)
{
    const struct gen_launch *shape = &kernel->text.launch;
    struct emu_launch launch = {
        .kernel = bench->entry,
        .grid = {grid_x, 1, (uint32_t)shape->split_k},
        .block = {(uint32_t)shape->threads, 1, 1},
        .shared = (uint32_t)shape->shared,
        .arguments = bench->arguments,
        .argument_bytes = bench->argument_bytes,
    };
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    struct emu_report report = {0};
    struct tsr_error err;
    options.schedules = seeds;
    options.counts = 1;
    options.instruction_limit = 1 << 22;
    options.threads = 1;
    if (emu_launch_run(&launch, &options, &report, &err))
        fail_msg("%s: %s", kernel->text.spec, err.text);
    outcome->faults += emu_report_faults(&report);
    for (size_t i = 0; i < report.findings.count; i++) {
        const struct emu_finding *finding = &report.findings.item[i];
        outcome->kinds |= UINT32_C(1) << finding->kind;
        if (!finding->instruction || outcome->text[0])
            continue;
        struct tsr_buffer line = TSR_BUFFER_INIT;
        emu_finding_print(finding, &line);
        snprintf(outcome->text, sizeof outcome->text, "%s", line.data);
        tsr__buffer_release(&line);
    }
    emu_counts_add(&outcome->counts, &report.counts);
    emu_report_release(&report);
}

/* ---- gemm_w4a8 ----------------------------------------------------------- */

struct gemm_problem {
    struct gen_linear linear;
    size_t m;
    int bf16;
    int8_t *x;
    float *x_scale;
    int32_t *x_sum;
};

/* The problem that a kernel was made for, with `m` tokens. From three tokens
** on, the last but one is poisoned as quant_act does it. */
static inline void gemm_problem_init(struct gemm_problem *p,
                                     const struct kernel *kernel, size_t m,
                                     uint64_t seed)
{
    struct tsr_error err;
    enum tsr_weight_format format;
    char name[16];
    size_t n = (size_t)kernel_number(kernel, " n=");
    size_t k = (size_t)kernel_number(kernel, " k=");
    sscanf(kernel_word(kernel, " format="), "%15s", name);
    assert_int_equal(tsr__weight_format_parse(name, &format), 0);
    memset(p, 0, sizeof *p);
    if (gen_random_weights(&p->linear, seed, format, n, k,
                           (int)kernel_number(kernel, " bias="), &err))
        fail_msg("%s", err.text);
    p->m = m;
    p->bf16 = strncmp(kernel_word(kernel, " out="), "bf16", 4) == 0;
    p->x = malloc(m * k);
    p->x_scale = malloc(m * sizeof *p->x_scale);
    p->x_sum = malloc(m * sizeof *p->x_sum);
    gen_random_quantized(seed + 1, m, k, p->x, p->x_scale, p->x_sum);
    if (m >= 3) {
        memset(p->x + (m - 2) * k, 0, k);
        p->x_scale[m - 2] = tsr__bits_float(0x7fffffff);
        p->x_sum[m - 2] = 0;
    }
}

static inline void gemm_problem_release(struct gemm_problem *p)
{
    gen_linear_release(&p->linear);
    free(p->x);
    free(p->x_scale);
    free(p->x_sum);
}

static inline size_t up(size_t value, size_t to)
{
    return (value + to - 1) / to;
}

static inline void gemm_compare(const struct gemm_problem *p, const uint16_t *y,
                                struct outcome *outcome)
{
    struct gen_reference_weights view = gen_linear_view(&p->linear, p->bf16);
    size_t n = p->linear.n;
    uint16_t *want = calloc(p->m * n, sizeof *want);
    gen_reference_gemm(&view, p->x, p->x_scale, p->x_sum, 0, p->m, 0, n, want);
    for (size_t i = 0; i < p->m * n; i++) {
        if (want[i] == y[i])
            continue;
        if (!outcome->mismatches++ && !outcome->text[0])
            snprintf(outcome->text, sizeof outcome->text,
                     "y[%zu][%zu] is %04x, must be %04x", i / n, i % n, y[i],
                     want[i]);
    }
    free(want);
}

/* Runs the kernel on the problem `launches` times in the same workspace. */
static inline struct outcome gemm_run(struct kernel *kernel,
                                      const struct gemm_problem *p,
                                      int launches, int seeds)
{
    const struct gen_linear *w = &p->linear;
    const struct gen_launch *shape = &kernel->text.launch;
    size_t tile = (size_t)shape->tile_n * (size_t)shape->tile_m;
    size_t tiles =
        up(w->n, (size_t)shape->tile_n) * up(p->m, (size_t)shape->tile_m);
    size_t words = shape->split_k > 1 ? up(tiles, 64) * 64 + tiles * tile : 0;
    size_t group = tsr__weight_group(w->format);
    size_t rows = group ? w->k / group * w->n : 0;
    const void *scale2 = group ? (const void *)w->s2 : w->zero_scale;
    int32_t m = (int32_t)p->m;
    struct outcome outcome = {0};
    struct bench bench;
    bench_open(&bench, kernel);
    uint16_t *y = bench_output(&bench, "y", 0xA5, p->m * w->n * 2);
    bench_input(&bench, "x", p->x, p->m * w->k);
    bench_input(&bench, "x_scale", p->x_scale, p->m * 4);
    bench_input(&bench, "x_sum", p->x_sum, p->m * 4);
    bench_input(&bench, "qweight", w->qweight, w->qweight_bytes);
    bench_input(&bench, "scale", w->scale, w->n * 2);
    bench_input(&bench, "scale2", scale2, group ? rows : w->n * 2);
    bench_input(&bench, "offset", w->offset, rows);
    bench_input(&bench, "bias", w->bias, w->n * 2);
    int32_t *workspace = bench_output(&bench, "workspace", 0, words * 4);
    bench_argument(&bench, &m, sizeof m);
    for (int i = 0; i < launches; i++) {
        memset(y, 0xA5, p->m * w->n * 2);
        bench_launch(&bench, kernel, (uint32_t)tiles, seeds, &outcome);
        gemm_compare(p, y, &outcome);
    }
    for (size_t i = 0; i < words; i++)
        outcome.dirty += workspace[i] != 0;
    bench_close(&bench);
    return outcome;
}

static inline struct outcome gemm_check(struct kernel *kernel, size_t m,
                                        uint64_t seed, int seeds)
{
    struct gemm_problem problem;
    gemm_problem_init(&problem, kernel, m, seed);
    int launches = kernel->text.launch.split_k > 1 ? 2 : 1;
    struct outcome outcome = gemm_run(kernel, &problem, launches, seeds);
    gemm_problem_release(&problem);
    return outcome;
}

static inline void assert_clean(const struct kernel *kernel, size_t m,
                                const struct outcome *outcome)
{
    if (!outcome_is_clean(outcome))
        fail_msg("%s\nm=%zu: %zu faults, %zu mismatches, %zu dirty words: %s",
                 kernel->text.spec, m, outcome->faults, outcome->mismatches,
                 outcome->dirty, outcome->text);
}

/* Whether this machine can compile; else the test is skipped and says why. */
static inline void need_nvrtc(void)
{
    struct tsr_error err;
    char version[16];
    if (gen_nvrtc_version(version, NULL, &err)) {
        print_message("SKIPPED: %s\n", err.text);
        skip();
    }
}

#endif
