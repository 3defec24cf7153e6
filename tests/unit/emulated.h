/* emulated.h -- running a few lines of PTX in a test. */
#ifndef TESTS_UNIT_EMULATED_H
#define TESTS_UNIT_EMULATED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/emulator.h"

/* A kernel with one parameter, the address of `out`, and one allocation. */
struct emulated {
    struct emu_memory *memory;
    struct emu_module *module;
    uint64_t address;
    size_t bytes;
    uint32_t *out;
    struct emu_report report;
    struct tsr_error err;
};

/* Declarations most bodies want; %t0 holds the address of out, %i the thread's
** index in the block, %o the address of out[%i] over all blocks. */
#define EMULATED_HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"
#define EMULATED_ENTRY                                                    \
    ".visible .entry k(.param .u64 out)\n{\n"                             \
    ".reg .pred %p<16>; .reg .b16 %h<16>; .reg .b32 %r<64>;"              \
    ".reg .b64 %t<32>; .reg .b32 %i, %j; .reg .b64 %o;\n"                 \
    "ld.param.u64 %t0, [out]; mov.u32 %i, %tid.x; mov.u32 %r0, %ctaid.x;" \
    "mov.u32 %r1, %ntid.x; mad.lo.u32 %j, %r0, %r1, %i;"                  \
    "mad.wide.u32 %o, %j, 4, %t0;\n"
#define EMULATED_STORE(reg) " st.global.u32 [%o], " reg ";\n ret;\n}\n"

static inline int emulated_load(struct emulated *e, const char *before,
                                const char *body, size_t words)
{
    size_t room = strlen(before) + strlen(body) + 1024;
    char *text = malloc(room);
    *e = (struct emulated){0};
    assert_non_null(text);
    snprintf(text, room, "%s%s%s%s", EMULATED_HEAD, before, EMULATED_ENTRY,
             body);
    assert_int_equal(emu_memory_create(&e->memory, &e->err), 0);
    e->bytes = 4 * words;
    assert_int_equal(
        emu_memory_alloc(e->memory, e->bytes, "out", &e->address, &e->err), 0);
    e->out = (uint32_t *)(uintptr_t)e->address;
    memset(e->out, 0, e->bytes);
    int rc = emu_module_load(&e->module, e->memory, text, strlen(text),
                             "test.ptx", &e->err);
    free(text);
    return rc;
}

static inline int emulated_run(struct emulated *e, uint32_t blocks,
                               uint32_t threads,
                               const struct emu_options *options)
{
    struct emu_launch launch = {
        .kernel = emu_module_kernel(e->module, "k"),
        .grid = {blocks, 1, 1},
        .block = {threads, 1, 1},
        .arguments = &e->address,
        .argument_bytes = sizeof e->address,
    };
    assert_non_null(launch.kernel);
    emu_report_release(&e->report);
    return emu_launch_run(&launch, options, &e->report, &e->err);
}

static inline void emulated_free(struct emulated *e)
{
    emu_report_release(&e->report);
    emu_module_free(e->module);
    emu_memory_free(e->memory);
}

/* Loads and runs; fails the test when either does not work. */
static inline void emulated_do(struct emulated *e, const char *before,
                               const char *body, uint32_t blocks,
                               uint32_t threads, size_t words,
                               const struct emu_options *options)
{
    if (emulated_load(e, before, body, words) ||
        emulated_run(e, blocks, threads, options))
        fail_msg("%s", e->err.text);
}

static inline const struct emu_finding *emulated_finding(
    const struct emulated *e, enum emu_finding_kind kind)
{
    for (size_t i = 0; i < e->report.findings.count; i++)
        if (e->report.findings.item[i].kind == kind)
            return &e->report.findings.item[i];
    return NULL;
}

static inline void emulated_clean(const struct emulated *e)
{
    if (e->report.findings.count)
        fail_msg("unexpected finding: %s: %s",
                 emu_finding_name(e->report.findings.item[0].kind),
                 e->report.findings.item[0].message);
}

#endif
