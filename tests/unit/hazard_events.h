/* hazard_events.h -- feeds the hazard module with events by hand: what
** test_hazards.c and test_conflicts.c share. */
#ifndef TESTS_UNIT_HAZARD_EVENTS_H
#define TESTS_UNIT_HAZARD_EVENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/emulator/hazards.h"

/* One instruction of each kind a test may name, by its line. The module's
** narrowest shared access decides the granule: 2 bytes here. */
static const char text[] = ".version 8.7\n.target sm_90a\n.address_size 64\n"
                           ".entry k() {\n.reg .b32 %r<9>; .reg .b16 h;\n"
                           ".reg .f32 f; .reg .b64 %rd<3>;\n"
                           ".shared .align 16 .b8 tile[1024];\n" /* line 7 */
                           "st.shared.u32 [tile], %r1;\n"        /* line 8 */
                           "ld.shared.u32 %r1, [tile];\n"        /* line 9 */
                           "st.shared.u16 [tile], h;\n"          /* line 10 */
                           "st.global.u32 [%rd1], %r1;\n"        /* line 11 */
                           "ld.global.u32 %r1, [%rd1];\n"        /* line 12 */
                           "atom.global.inc.u32 %r1, [%rd1], %r2;\n" /* 13 */
                           "add.f32 f, f, f;\n"                      /* 14 */
                           "add.rn.f32 f, f, f;\nret;\n}\n";

enum { STORE = 0, LOAD = 1, GLOBAL_STORE = 3, GLOBAL_LOAD = 4, ATOMIC = 5 };

static char memory[1 << 16];

static inline int find_region(void *context, uint64_t address,
                              struct emu_region *out)
{
    uint64_t base = (uint64_t)(uintptr_t)memory;
    (void)context;
    if (address < base + 8192)
        *out = (struct emu_region){"x", base, 4096, 0, 1};
    else if (address < base + 16384)
        *out = (struct emu_region){"y", base + 8192, 4096, 0, 0};
    else
        *out = (struct emu_region){"old", base + 16384, 4096, 1, 0};
    return 1;
}

static const struct emu_window_variable variables[] = {
    {"tile", PTX_SPACE_SHARED, 0, 1024},
    {"rest", PTX_SPACE_SHARED, 1024, 1024},
};

/* A launch under test. */
struct launch {
    struct ptx_module *module;
    const struct ptx_instruction *in;
    struct emu_hazards *hazards;
    struct emu_hazard_worker *worker;
    struct emu_hazard_block *block;
    struct emu_findings findings;
};

static inline struct emu_hazard_setup setup_of(const struct ptx_module *module,
                                               int ordered)
{
    return (struct emu_hazard_setup){.module = module,
                                     .function = &module->functions[0],
                                     .checks = 1,
                                     .ordered = ordered,
                                     .grid = {4, 4, 1},
                                     .block_threads = 128,
                                     .shared_bytes = 2048,
                                     .local_bytes = 64,
                                     .param_bytes = 16,
                                     .variables = variables,
                                     .variable_count = 2,
                                     .find_region = find_region};
}

static inline struct emu_hazard_block *begin(struct launch *l, uint64_t linear)
{
    struct emu_hazard_block *block = NULL;
    uint32_t id[3] = {(uint32_t)linear % 4, (uint32_t)linear / 4, 0};
    assert_int_equal(
        emu_hazard_block_begin(l->worker, linear, id, &block, NULL), 0);
    return block;
}

static inline void open_launch(struct launch *l, int ordered)
{
    memset(l, 0, sizeof *l);
    assert_int_equal(
        ptx_module_parse(&l->module, text, strlen(text), "t.ptx", NULL), 0);
    l->in = l->module->functions[0].instructions;
    struct emu_hazard_setup setup = setup_of(l->module, ordered);
    assert_int_equal(emu_hazards_open(&l->hazards, &setup, NULL), 0);
    assert_int_equal(emu_hazards_add_worker(l->hazards, &l->worker, NULL), 0);
    l->block = begin(l, 0);
}

static inline void finish(struct launch *l)
{
    if (l->block)
        emu_hazard_block_end(l->block);
    assert_int_equal(emu_hazards_finish(l->hazards, &l->findings, NULL), 0);
    emu_findings_sort(&l->findings, 100);
}

static inline void close_launch(struct launch *l)
{
    emu_hazards_free(l->hazards);
    emu_findings_release(&l->findings);
    ptx_module_free(l->module);
}

/* No finding may be there. */
static inline void close_clean(struct launch *l)
{
    finish(l);
    if (l->findings.count)
        fail_msg("%s: %s", emu_finding_name(l->findings.item[0].kind),
                 l->findings.item[0].message);
    close_launch(l);
}

/* Exactly one finding, of this kind, with `part` in its message. */
static inline void close_with(struct launch *l, enum emu_finding_kind kind,
                              const char *part)
{
    finish(l);
    for (size_t i = 1; i < l->findings.count; i++)
        print_message("also: %s\n", l->findings.item[i].message);
    assert_int_equal(l->findings.count, 1);
    assert_string_equal(emu_finding_name(l->findings.item[0].kind),
                        emu_finding_name(kind));
    if (!strstr(l->findings.item[0].message, part))
        fail_msg("'%s' lacks '%s'", l->findings.item[0].message, part);
    close_launch(l);
}

/* -- events --------------------------------------------------------------- */

/* `mask` lanes access base + lane * stride. */
static inline struct emu_access access_of(struct launch *l, int instruction,
                                          uint32_t warp, uint32_t mask,
                                          uint64_t base, uint64_t stride,
                                          uint32_t bytes)
{
    static uint64_t address[32];
    for (uint64_t lane = 0; lane < 32; lane++)
        address[lane] = base + lane * stride;
    int is_read = instruction == LOAD || instruction == GLOBAL_LOAD;
    return (struct emu_access){
        .instruction = &l->in[instruction],
        .space =
            instruction < GLOBAL_STORE ? PTX_SPACE_SHARED : PTX_SPACE_GLOBAL,
        .kind = is_read                 ? EMU_READ
                : instruction == ATOMIC ? EMU_READ_WRITE
                                        : EMU_WRITE,
        .order = instruction == ATOMIC ? EMU_STRONG : EMU_WEAK,
        .warp = warp,
        .mask = mask,
        .bytes = bytes,
        .address = address};
}

static inline void shared(struct launch *l, int instruction, uint32_t warp,
                          uint64_t base)
{
    struct emu_access a =
        access_of(l, instruction, warp, 0xffffffff, base, 4, 4);
    emu_hazard_shared(l->block, &a);
}

static inline void shared_lane(struct launch *l, int instruction, uint32_t warp,
                               uint32_t lane, uint64_t offset, uint32_t bytes)
{
    struct emu_access a =
        access_of(l, instruction, warp, 1u << lane, offset, 0, bytes);
    emu_hazard_shared(l->block, &a);
}

static inline void barrier(struct launch *l, uint32_t id, uint32_t warps)
{
    for (uint32_t w = 0; w < 4; w++)
        if (warps >> w & 1)
            emu_hazard_barrier_arrive(l->block, id, w);
    emu_hazard_barrier_complete(l->block, id, warps);
}

static inline void copy(struct launch *l, uint32_t warp, uint64_t base,
                        int land)
{
    struct emu_access a = access_of(l, STORE, warp, 0xffffffff, base, 16, 16);
    if (land)
        emu_hazard_async_land(l->block, &a);
    else
        emu_hazard_async_issue(l->block, &a);
}

#endif
