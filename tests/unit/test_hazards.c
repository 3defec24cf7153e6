/* test_hazards.c -- the hazard module, fed with events by hand. */
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

static int find_region(void *context, uint64_t address, struct emu_region *out)
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

static struct emu_hazard_setup setup_of(const struct ptx_module *module,
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

static struct emu_hazard_block *begin(struct launch *l, uint64_t linear)
{
    struct emu_hazard_block *block = NULL;
    uint32_t id[3] = {(uint32_t)linear % 4, (uint32_t)linear / 4, 0};
    assert_int_equal(
        emu_hazard_block_begin(l->worker, linear, id, &block, NULL), 0);
    return block;
}

static void open_launch(struct launch *l, int ordered)
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

static void finish(struct launch *l)
{
    if (l->block)
        emu_hazard_block_end(l->block);
    assert_int_equal(emu_hazards_finish(l->hazards, &l->findings, NULL), 0);
    emu_findings_sort(&l->findings, 100);
}

static void close_launch(struct launch *l)
{
    emu_hazards_free(l->hazards);
    emu_findings_release(&l->findings);
    ptx_module_free(l->module);
}

/* No finding may be there. */
static void close_clean(struct launch *l)
{
    finish(l);
    if (l->findings.count)
        fail_msg("%s: %s", emu_finding_name(l->findings.item[0].kind),
                 l->findings.item[0].message);
    close_launch(l);
}

/* Exactly one finding, of this kind, with `part` in its message. */
static void close_with(struct launch *l, enum emu_finding_kind kind,
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
static struct emu_access access_of(struct launch *l, int instruction,
                                   uint32_t warp, uint32_t mask, uint64_t base,
                                   uint64_t stride, uint32_t bytes)
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

static void shared(struct launch *l, int instruction, uint32_t warp,
                   uint64_t base)
{
    struct emu_access a =
        access_of(l, instruction, warp, 0xffffffff, base, 4, 4);
    emu_hazard_shared(l->block, &a);
}

static void shared_lane(struct launch *l, int instruction, uint32_t warp,
                        uint32_t lane, uint64_t offset, uint32_t bytes)
{
    struct emu_access a =
        access_of(l, instruction, warp, 1u << lane, offset, 0, bytes);
    emu_hazard_shared(l->block, &a);
}

static void barrier(struct launch *l, uint32_t id, uint32_t warps)
{
    for (uint32_t w = 0; w < 4; w++)
        if (warps >> w & 1)
            emu_hazard_barrier_arrive(l->block, id, w);
    emu_hazard_barrier_complete(l->block, id, warps);
}

static void copy(struct launch *l, uint32_t warp, uint64_t base, int land)
{
    struct emu_access a = access_of(l, STORE, warp, 0xffffffff, base, 16, 16);
    if (land)
        emu_hazard_async_land(l->block, &a);
    else
        emu_hazard_async_issue(l->block, &a);
}

/* -- races ---------------------------------------------------------------- */

static void warps_on_their_own_bytes_do_not_race(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    for (uint32_t w = 0; w < 4; w++)
        shared(&l, STORE, w, w * 128);
    for (uint32_t w = 0; w < 4; w++)
        shared(&l, LOAD, w, w * 128);
    close_clean(&l);
}

static void a_read_without_barrier_is_a_race(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    shared(&l, LOAD, 1, 0);
    close_with(&l, EMU_SHARED_RACE,
               "reads 'tile'+0, which warp 0 wrote at ptx line 8");
}

static void a_barrier_orders_all_who_take_part(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    for (int round = 0; round < 3; round++) {
        for (uint32_t w = 0; w < 4; w++)
            shared(&l, STORE, w, w * 128);
        barrier(&l, 0, 15);
        for (uint32_t w = 0; w < 4; w++)
            shared(&l, LOAD, w, (w + 1) % 4 * 128);
        barrier(&l, 0, 15);
    }
    close_clean(&l);
}

static void overwriting_what_another_warp_still_reads_is_a_race(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    barrier(&l, 0, 15);
    shared(&l, LOAD, 1, 0);
    shared(&l, STORE, 0, 0);
    close_with(&l, EMU_SHARED_RACE,
               "writes 'tile'+0, which warp 1 read at ptx line 9");
}

static void a_named_barrier_orders_its_warps_only(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    barrier(&l, 1, 3);
    shared(&l, LOAD, 1, 0);
    barrier(&l, 2, 6); /* warp 2 hears of it through warp 1 */
    shared(&l, LOAD, 2, 0);
    shared(&l, LOAD, 3, 0);
    finish(&l);
    assert_int_equal(l.findings.count, 1);
    assert_int_equal(l.findings.item[0].warp, 3);
    close_launch(&l);
}

static void bar_arrive_gives_but_does_not_take(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    shared(&l, STORE, 1, 128);
    emu_hazard_barrier_arrive(l.block, 1, 0); /* producer goes on */
    emu_hazard_barrier_arrive(l.block, 1, 1);
    emu_hazard_barrier_complete(l.block, 1, 2);
    shared(&l, LOAD, 1, 0);
    shared(&l, LOAD, 0, 128);
    close_with(&l, EMU_SHARED_RACE, "which warp 1 wrote");
}

static void what_follows_bar_arrive_is_not_given(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    emu_hazard_barrier_arrive(l.block, 1, 0);
    shared(&l, STORE, 0, 0);
    emu_hazard_barrier_arrive(l.block, 1, 1);
    emu_hazard_barrier_complete(l.block, 1, 2);
    shared(&l, LOAD, 1, 0);
    close_with(&l, EMU_SHARED_RACE, "which warp 0 wrote");
}

static void a_barrier_forgets_who_used_it_before(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    barrier(&l, 1, 3);
    barrier(&l, 1, 12);
    shared(&l, LOAD, 2, 0);
    close_with(&l, EMU_SHARED_RACE, "which warp 0 wrote");
}

static void neighbouring_halves_do_not_race(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared_lane(&l, 2, 0, 0, 0, 2);
    shared_lane(&l, 2, 1, 0, 2, 2);
    close_clean(&l);
}

static void strong_accesses_do_not_race_with_each_other(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared_lane(&l, STORE, 0, 0, 0, 4);
    barrier(&l, 0, 15);
    for (uint32_t w = 0; w < 4; w++) {
        struct emu_access a = access_of(&l, STORE, w, 1, 0, 0, 4);
        a.kind = EMU_READ_WRITE;
        a.order = EMU_STRONG;
        emu_hazard_shared(l.block, &a);
    }
    shared_lane(&l, LOAD, 0, 0, 0, 4); /* but a plain load does */
    close_with(&l, EMU_SHARED_RACE, "which warp 3 wrote");
}

static void an_atomic_does_not_hide_a_plain_store(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared_lane(&l, STORE, 0, 0, 0, 4);
    for (uint32_t w = 0; w < 2; w++) {
        struct emu_access a = access_of(&l, STORE, w, 1, 0, 0, 4);
        a.kind = EMU_READ_WRITE;
        a.order = EMU_STRONG;
        emu_hazard_shared(l.block, &a);
    }
    close_with(&l, EMU_SHARED_RACE, "which warp 0 wrote");
}

/* data; fence; flag  ->  flag; data */
static void a_flag_with_a_fence_orders_two_warps(void **state)
{
    (void)state;
    for (int fenced = 0; fenced < 2; fenced++) {
        struct launch l;
        open_launch(&l, 0);
        shared_lane(&l, STORE, 0, 0, 0, 4);
        shared_lane(&l, STORE, 0, 0, 64, 4);
        barrier(&l, 0, 15);
        shared_lane(&l, STORE, 0, 0, 0, 4);
        if (fenced)
            emu_hazard_fence(l.block, 0, 0);
        struct emu_access flag = access_of(&l, STORE, 0, 1, 64, 0, 4);
        flag.order = EMU_STRONG;
        emu_hazard_shared(l.block, &flag);
        flag = access_of(&l, LOAD, 1, 1, 64, 0, 4);
        flag.order = EMU_STRONG;
        emu_hazard_shared(l.block, &flag);
        shared_lane(&l, LOAD, 1, 0, 0, 4);
        if (fenced)
            close_clean(&l);
        else
            close_with(&l, EMU_SHARED_RACE, "which warp 0 wrote");
    }
}

static void lanes_need_a_warp_barrier(void **state)
{
    (void)state;
    for (int synced = 0; synced < 2; synced++) {
        struct launch l;
        open_launch(&l, 0);
        shared_lane(&l, STORE, 0, 0, 0, 4);
        shared_lane(&l, LOAD, 0, 0, 0, 4); /* its own: fine */
        if (synced)
            emu_hazard_warp_sync(l.block, 0, 0xffffffff);
        shared_lane(&l, LOAD, 0, 5, 0, 4);
        if (synced)
            close_clean(&l);
        else
            close_with(&l, EMU_LANE_RACE, "no bar.warp.sync between");
    }
}

static void lanes_that_read_before_another_writes_need_one_too(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared_lane(&l, STORE, 0, 0, 0, 4);
    barrier(&l, 0, 15);
    shared_lane(&l, LOAD, 0, 0, 0, 4);
    shared_lane(&l, LOAD, 0, 1, 0, 4);
    shared_lane(&l, STORE, 0, 1, 0, 4);
    close_with(&l, EMU_LANE_RACE, "which another lane of this warp read");
}

static void ldmatrix_reads_for_all_lanes(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    struct emu_access row = access_of(&l, STORE, 0, 1, 0, 16, 16);
    emu_hazard_shared(l.block, &row);
    row = access_of(&l, LOAD, 0, 1, 0, 16, 16);
    row.collective = 1;
    emu_hazard_shared(l.block, &row);
    close_with(&l, EMU_LANE_RACE, "reads 'tile'+0");
}

static void an_exited_warp_counts_as_arrived(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 3, 0);
    emu_hazard_exit(l.block, &l.in[STORE], 3, 0xffffffff, 0);
    barrier(&l, 0, 7);
    shared(&l, LOAD, 0, 0);
    close_clean(&l);
}

/* A random program of stores, loads and barriers, judged by the module and by
** the definition: two accesses of a word race when one writes and the later
** one's warp has not seen the earlier. Lane and word belong together, so that
** lanes of one warp never race. */
struct step {
    uint32_t warp, lanes;
    int is_store;
};

static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void random_access(struct launch *l, struct step *step, uint32_t twist,
                          uint32_t bytes)
{
    uint64_t address[32];
    *step = (struct step){next_random(4), 0xffffffff, next_random(4) == 0};
    if (next_random(6))
        step->lanes = 1u << next_random(32) | 1u << next_random(32);
    struct emu_access a = access_of(l, step->is_store ? STORE : LOAD,
                                    step->warp, step->lanes, 0, 0, bytes);
    for (uint32_t lane = 0; lane < 32; lane++)
        address[lane] = (lane ^ twist) * bytes;
    a.address = address;
    emu_hazard_shared(l->block, &a);
}

static int races_by_definition(const struct step *steps, int count,
                               const uint64_t *seen)
{
    const struct step *last = &steps[count];
    for (int i = 0; i < count; i++)
        if (steps[i].warp != last->warp && (steps[i].lanes & last->lanes) &&
            (steps[i].is_store || last->is_store) &&
            !(seen[last->warp] >> i & 1))
            return 1;
    return 0;
}

static void random_barrier(struct launch *l, uint64_t *seen)
{
    static const uint32_t parties[] = {15, 15, 3, 12, 6, 9, 7};
    uint32_t warps = parties[next_random(7)];
    uint64_t all = 0;
    barrier(l, next_random(16), warps);
    for (uint32_t w = 0; w < 4; w++)
        all |= warps >> w & 1 ? seen[w] : 0;
    for (uint32_t w = 0; w < 4; w++)
        seen[w] = warps >> w & 1 ? all : seen[w];
}

static int has_race(const struct emu_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->item[i].kind == EMU_SHARED_RACE)
            return 1;
    return 0;
}

static void races_are_found_as_defined(void **state)
{
    static const uint32_t sizes[] = {2, 4, 8, 16};
    int racy = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct launch l;
        struct step steps[24];
        uint64_t seen[4] = {0};
        int count = 0, expected = 0;
        random_state = seed;
        uint32_t bytes = sizes[seed % 4], twist = next_random(3) ? 0 : 5;
        open_launch(&l, 0);
        for (int i = 0; i < 24; i++) {
            if (next_random(2)) {
                random_barrier(&l, seen);
                continue;
            }
            random_access(&l, &steps[count], twist, bytes);
            expected |= races_by_definition(steps, count, seen);
            seen[steps[count].warp] |= UINT64_C(1) << count;
            count++;
            if (expected)
                break; /* what follows a race means little */
        }
        finish(&l);
        if (has_race(&l.findings) != expected)
            fail_msg("seed %d: expected %d", (int)seed, expected);
        racy += expected;
        close_launch(&l);
    }
    assert_in_range(racy, 500, 2500);
}

/* -- initialisation and cp.async ------------------------------------------ */

static void unwritten_shared_memory_is_found_in_each_block(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    shared(&l, STORE, 0, 0);
    barrier(&l, 0, 15);
    shared(&l, LOAD, 0, 0);
    emu_hazard_block_end(l.block);
    l.block = begin(&l, 1); /* what block 0 wrote is not there */
    shared(&l, LOAD, 0, 0);
    close_with(&l, EMU_UNINITIALIZED_SHARED, "reads 'tile'+0");
}

static void a_copy_that_is_waited_for_is_fine(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    for (int round = 0; round < 3; round++) {
        copy(&l, 0, 0, 0);
        copy(&l, 0, 0, 1);
        barrier(&l, 0, 15);
        shared(&l, LOAD, 1, 0);
        barrier(&l, 0, 15);
    }
    close_clean(&l);
}

static void reading_before_the_wait_is_found(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    copy(&l, 0, 0, 0);
    barrier(&l, 0, 15);
    shared(&l, LOAD, 0, 0);
    copy(&l, 0, 0, 1);
    close_with(&l, EMU_ASYNC_PENDING, "cp.async of warp 0 at ptx line 8");
}

static void a_barrier_before_the_wait_is_found(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    copy(&l, 0, 0, 0);
    barrier(&l, 0, 15);
    copy(&l, 0, 0, 1); /* waited too late */
    shared(&l, LOAD, 1, 0);
    close_with(&l, EMU_SHARED_RACE, "which warp 0 wrote");
}

static void copying_over_what_is_still_read_is_found(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    copy(&l, 0, 0, 0);
    copy(&l, 0, 0, 1);
    barrier(&l, 0, 15);
    shared(&l, LOAD, 1, 0);
    copy(&l, 0, 0, 0);
    copy(&l, 0, 0, 1);
    close_with(&l, EMU_SHARED_RACE, "which warp 1 read");
}

static void pending_copies_do_not_leak_into_the_next_block(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    copy(&l, 0, 0, 0);
    emu_hazard_exit(l.block, &l.in[STORE], 0, 0xffffffff, 0xff);
    emu_hazard_block_end(l.block);
    l.block = begin(&l, 1);
    shared(&l, STORE, 1, 0);
    close_with(&l, EMU_ASYNC_EXIT, "never waited for");
}

/* -- bounds --------------------------------------------------------------- */

static void check_fault(int instruction, uint64_t address, uint32_t bytes,
                        enum emu_finding_kind kind, const char *part)
{
    struct launch l;
    open_launch(&l, 0);
    struct emu_access a =
        access_of(&l, instruction, 0, 1u << 7, address, 0, bytes);
    assert_int_equal(emu_hazard_bad_access(l.block, &a), 1u << 7);
    close_with(&l, kind, part);
}

static void bad_addresses_are_named_with_distance(void **state)
{
    (void)state;
    uint64_t x = (uint64_t)(uintptr_t)memory;
    check_fault(GLOBAL_LOAD, x + 4096 + 48, 4, EMU_OUT_OF_BOUNDS,
                "reads 4 bytes that begin 48 bytes past the end of 'x' (4096");
    check_fault(GLOBAL_LOAD, x - 32, 4, EMU_OUT_OF_BOUNDS,
                "begin 32 bytes before 'x'");
    check_fault(GLOBAL_LOAD, x + 4088, 16, EMU_OUT_OF_BOUNDS,
                "at 'x'+4088, of which only the first 8 are inside");
    check_fault(GLOBAL_LOAD, x + 6, 4, EMU_MISALIGNED, "at 'x'+6");
    check_fault(GLOBAL_STORE, x + 8, 4, EMU_READ_ONLY, "which is read-only");
    check_fault(GLOBAL_LOAD, x + 16384, 4, EMU_USE_AFTER_FREE, "freed");
    check_fault(LOAD, 2048, 4, EMU_OUT_OF_BOUNDS,
                "reads 4 bytes at shared offset 0x800, 1024 bytes past the "
                "start of 'rest'; the shared memory has 2048 bytes");
    check_fault(LOAD, 1030, 8, EMU_MISALIGNED, "at 'rest'+6");
    check_fault(STORE, UINT64_MAX - 3, 4, EMU_OUT_OF_BOUNDS, "shared offset");
}

static void only_the_lanes_at_fault_are_masked(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    struct emu_access a = access_of(&l, LOAD, 0, 0xffffffff, 1984, 4, 4);
    assert_int_equal(emu_hazard_bad_access(l.block, &a), 0xffff0000);
    a = access_of(&l, LOAD, 0, 0xffffffff, 0, 4, 4);
    assert_int_equal(emu_hazard_bad_access(l.block, &a), 0);
    finish(&l);
    assert_int_equal(l.findings.count, 1);
    assert_int_equal(l.findings.item[0].lanes, 0xffff0000);
    assert_int_equal(l.findings.item[0].ptx_line, 9);
    close_launch(&l);
}

/* -- local memory ------------------------------------------------------------
 */

static void local(struct launch *l, int instruction, uint32_t lane,
                  uint64_t offset, uint32_t bytes)
{
    struct emu_access a =
        access_of(l, instruction, 1, 1u << lane, offset, 0, bytes);
    a.space = PTX_SPACE_LOCAL;
    emu_hazard_local(l->block, &a);
}

static void local_memory_belongs_to_its_thread_and_block(void **state)
{
    (void)state;
    for (int fault = 0; fault < 3; fault++) {
        struct launch l;
        open_launch(&l, 0);
        local(&l, STORE, 3, 8, 4);
        local(&l, LOAD, 3, 8, 8); /* half of it is padding */
        if (fault == 1)
            local(&l, LOAD, 4, 8, 4);
        if (fault == 2) {
            emu_hazard_block_end(l.block);
            l.block = begin(&l, 1);
            local(&l, LOAD, 3, 8, 4);
        }
        if (fault)
            close_with(&l, EMU_UNINITIALIZED_LOCAL, "none of which");
        else
            close_clean(&l);
    }
}

/* -- conflicts between blocks --------------------------------------------- */

static void global(struct launch *l, struct emu_hazard_block *block,
                   int instruction, uint64_t offset, uint32_t bytes)
{
    uint64_t y = (uint64_t)(uintptr_t)memory + 8192;
    struct emu_access a = access_of(l, instruction, 0, 1, y + offset, 0, bytes);
    emu_hazard_global(block, &a);
}

static void blocks_on_their_own_bytes_do_not_conflict(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    struct emu_hazard_block *other = begin(&l, 5);
    global(&l, l.block, GLOBAL_STORE, 0, 16);
    global(&l, other, GLOBAL_STORE, 16, 2); /* splits the granules */
    global(&l, other, GLOBAL_STORE, 18, 2);
    global(&l, l.block, GLOBAL_STORE, 20, 2);
    global(&l, l.block, GLOBAL_LOAD, 64, 4);
    global(&l, other, GLOBAL_LOAD, 64, 4);
    emu_hazard_block_end(other);
    close_clean(&l);
}

/* Where lane `lane` goes: shuffled pairs; rows of four lanes; one row; a row
** and rows with a lane out of place; rows at uneven distances. */
static uint64_t pattern_offset(int pattern, uint32_t lane)
{
    switch (pattern) {
    case 0:
        return (lane * 5 % 32) / 2 * 192 + lane % 2 * 8;
    case 1:
        return lane % 8 * 256 + lane / 8 * 4;
    case 2:
        return 64 + lane * 4;
    case 3:
        return lane == 16 ? 2048 : 64 + lane * 4;
    case 4:
        return lane == 21 ? 64 : lane % 8 * 256 + lane / 8 * 4;
    default:
        return lane % 8 * 256 + (lane % 8 == 6 ? 64 : 0) + lane / 8 * 4;
    }
}

static int is_in_pattern(int pattern, uint64_t offset)
{
    for (uint32_t lane = 0; lane < 32; lane++)
        if (pattern_offset(pattern, lane) == offset)
            return 1;
    return 0;
}

/* One block touches a pattern, another one word near it, for every word: a
** conflict just where they meet. */
static void check_pattern(int pattern, int mine, int others)
{
    for (uint64_t probe = 0; probe < 3072; probe += 4) {
        struct launch l;
        uint64_t y = (uint64_t)(uintptr_t)memory + 8192;
        uint64_t address[32];
        open_launch(&l, 0);
        struct emu_hazard_block *other = begin(&l, 5);
        struct emu_access a = access_of(&l, mine, 0, 0xffffffff, 0, 0, 4);
        for (uint32_t lane = 0; lane < 32; lane++)
            address[lane] = y + pattern_offset(pattern, lane);
        a.address = address;
        emu_hazard_global(l.block, &a);
        global(&l, other, others, probe, 4);
        emu_hazard_block_end(other);
        if (is_in_pattern(pattern, probe))
            close_with(&l, EMU_GLOBAL_CONFLICT, "'y'+");
        else
            close_clean(&l);
    }
}

static void every_lane_is_seen_and_nothing_beside(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 6; pattern++) {
        check_pattern(pattern, GLOBAL_STORE, GLOBAL_LOAD);
        check_pattern(pattern, GLOBAL_LOAD, GLOBAL_STORE);
    }
}

static void two_blocks_that_write_one_byte_conflict(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct launch l;
        open_launch(&l, ordered);
        struct emu_hazard_block *other = begin(&l, 5);
        global(&l, l.block, GLOBAL_STORE, 128, 4);
        global(&l, other, GLOBAL_STORE, 131, 1);
        emu_hazard_block_end(other);
        close_with(&l, EMU_GLOBAL_CONFLICT,
                   "block (1,1,0) writes 'y'+131, which block (0,0,0) writes "
                   "at ptx line 11");
    }
}

static void a_read_of_what_another_block_writes_conflicts(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct launch l;
        open_launch(&l, ordered);
        struct emu_hazard_block *other = begin(&l, 5);
        global(&l, other, GLOBAL_LOAD, 128, 4);
        global(&l, l.block, GLOBAL_STORE, 128, 4);
        emu_hazard_block_end(other);
        close_with(&l, EMU_GLOBAL_CONFLICT, "block (0,0,0) writes 'y'+128");
    }
}

static void atomics_of_all_blocks_do_not_conflict(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct launch l;
        open_launch(&l, ordered);
        struct emu_hazard_block *other = begin(&l, 5);
        global(&l, l.block, ATOMIC, 128, 4);
        global(&l, other, ATOMIC, 128, 4);
        emu_hazard_block_end(other);
        close_clean(&l);
    }
}

/* Partials with plain stores, fence, counter; the last block reads. */
static void split_k(int fenced, int counter)
{
    struct launch l;
    open_launch(&l, 1);
    struct emu_hazard_block *blocks[4] = {l.block};
    for (uint64_t b = 1; b < 4; b++)
        blocks[b] = begin(&l, b);
    for (uint64_t b = 0; b < 4; b++) {
        global(&l, blocks[b], GLOBAL_STORE, 64 * b, 16);
        if (fenced)
            emu_hazard_fence(blocks[b], 0, 1);
        if (counter)
            global(&l, blocks[b], ATOMIC, 1024, 4);
    }
    for (uint64_t b = 0; b < 4; b++)
        global(&l, blocks[3], GLOBAL_LOAD, 64 * b, 16);
    global(&l, blocks[3], GLOBAL_STORE, 0, 16); /* and may overwrite */
    for (uint64_t b = 1; b < 4; b++)
        emu_hazard_block_end(blocks[b]);
    if (fenced && counter) {
        close_clean(&l);
        return;
    }
    finish(&l);
    assert_true(l.findings.count > 0);
    assert_int_equal(l.findings.item[0].kind, EMU_GLOBAL_CONFLICT);
    close_launch(&l);
}

static void a_fence_and_a_counter_order_blocks(void **state)
{
    (void)state;
    split_k(1, 1);
    split_k(0, 1);
    split_k(1, 0);
}

static void what_a_block_does_after_its_fence_is_not_released(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 1);
    struct emu_hazard_block *other = begin(&l, 1);
    emu_hazard_fence(l.block, 0, 1);
    global(&l, l.block, GLOBAL_STORE, 0, 4); /* too late */
    global(&l, l.block, ATOMIC, 1024, 4);
    global(&l, other, ATOMIC, 1024, 4);
    global(&l, other, GLOBAL_LOAD, 0, 4);
    emu_hazard_block_end(other);
    close_with(&l, EMU_GLOBAL_CONFLICT, "block (1,0,0) reads 'y'+0");
}

static void a_counter_read_too_early_orders_nothing(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 1);
    struct emu_hazard_block *other = begin(&l, 1);
    emu_hazard_fence(l.block, 0, 1);
    global(&l, l.block, ATOMIC, 1024, 4);
    global(&l, other, ATOMIC, 1024, 4);
    global(&l, l.block, GLOBAL_STORE, 0, 4);
    emu_hazard_fence(l.block, 0, 1);
    global(&l, l.block, ATOMIC, 1024, 4); /* after the other looked */
    global(&l, other, GLOBAL_LOAD, 0, 4);
    emu_hazard_block_end(other);
    close_with(&l, EMU_GLOBAL_CONFLICT, "block (1,0,0) reads 'y'+0");
}

/* a -> b through one word, b -> c through another: c has seen a. */
static void order_is_handed_on(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 1);
    struct emu_hazard_block *b = begin(&l, 1), *c = begin(&l, 2);
    global(&l, l.block, GLOBAL_STORE, 0, 4);
    emu_hazard_fence(l.block, 0, 1);
    global(&l, l.block, ATOMIC, 1024, 4);
    global(&l, b, ATOMIC, 1024, 4);
    emu_hazard_fence(b, 0, 1);
    global(&l, b, ATOMIC, 1028, 4);
    global(&l, c, ATOMIC, 1028, 4);
    global(&l, c, GLOBAL_LOAD, 0, 4);
    emu_hazard_block_end(b);
    emu_hazard_block_end(c);
    close_clean(&l);
}

/* The same events on one worker and on three give the same findings. */
static void workers_do_not_change_the_findings(void **state)
{
    char first[512] = "";
    uint64_t count = 0;
    (void)state;
    for (int workers = 1; workers <= 3; workers++) {
        struct launch l;
        struct emu_hazard_worker *all[3];
        open_launch(&l, 0);
        all[0] = l.worker;
        for (int w = 1; w < workers; w++)
            emu_hazards_add_worker(l.hazards, &all[w], NULL);
        for (uint64_t i = 0; i < 12; i++) {
            uint64_t b = workers == 2 ? 11 - i : i;
            l.worker = all[b % (uint64_t)workers];
            struct emu_hazard_block *block = begin(&l, b + 1);
            global(&l, block, GLOBAL_STORE, 4 * b, 8); /* into the next's */
            if (b == 3)
                global(&l, block, GLOBAL_STORE, 40, 1);
            emu_hazard_report(block, EMU_BARRIER, &l.in[0], 1, 2, 0, "block %d",
                              (int)b);
            emu_hazard_block_end(block);
        }
        finish(&l);
        assert_int_equal(l.findings.count, 2);
        assert_int_equal(l.findings.item[0].count, 12);
        assert_string_equal(l.findings.item[0].message, "block 0");
        if (workers == 1) {
            snprintf(first, sizeof first, "%s", l.findings.item[1].message);
            count = l.findings.item[1].count;
        }
        assert_string_equal(l.findings.item[1].message, first);
        assert_int_equal(l.findings.item[1].count, count);
        l.block = NULL;
        close_launch(&l);
    }
}

/* -- the rest ------------------------------------------------------------- */

static void repeated_findings_are_counted_once_and_capped(void **state)
{
    struct launch l;
    (void)state;
    open_launch(&l, 0);
    for (int i = 0; i < 50; i++)
        for (int at = 0; at < 4; at++)
            emu_hazard_report(l.block, EMU_INVALID, &l.in[at], 0, 1, 0, "%d",
                              i);
    finish(&l);
    assert_int_equal(l.findings.count, 4);
    assert_int_equal(l.findings.item[0].count, 50);
    assert_string_equal(l.findings.item[0].message, "0");
    emu_findings_sort(&l.findings, 3);
    assert_int_equal(l.findings.count, 3);
    assert_int_equal(l.findings.dropped, 1);
    close_launch(&l);
}

static void contraction_is_noted_on_request(void **state)
{
    (void)state;
    struct launch l;
    open_launch(&l, 0);
    struct emu_hazard_setup setup = setup_of(l.module, 0);
    setup.contraction_notes = 1;
    struct emu_hazards *hazards;
    struct emu_hazard_worker *worker;
    struct emu_hazard_block *block;
    assert_int_equal(emu_hazards_open(&hazards, &setup, NULL), 0);
    assert_int_equal(emu_hazards_add_worker(hazards, &worker, NULL), 0);
    uint32_t id[3] = {0, 0, 0};
    assert_int_equal(emu_hazard_block_begin(worker, 0, id, &block, NULL), 0);
    assert_int_equal(emu_hazards_finish(hazards, &l.findings, NULL), 0);
    assert_int_equal(l.findings.count, 1);
    assert_int_equal(l.findings.item[0].ptx_line, 14);
    assert_true(emu_finding_is_note(l.findings.item[0].kind));
    assert_false(emu_finding_is_note(EMU_SHARED_RACE));
    emu_hazards_free(hazards);
    emu_findings_release(&l.findings);
    close_launch(&l);
}

static int needs_order(const char *body)
{
    char full[1024];
    struct ptx_module *module = NULL;
    struct tsr_error err = {0};
    snprintf(full, sizeof full,
             ".version 8.7\n.target sm_80\n.address_size 64\n.entry k() {\n"
             ".reg .b32 r, s; .reg .f32 f; .reg .b64 a;\n%s\nret;\n}\n",
             body);
    if (ptx_module_parse(&module, full, strlen(full), "t.ptx", &err))
        fail_msg("%s", err.text);
    int ordered = emu_hazard_needs_order(&module->functions[0]);
    ptx_module_free(module);
    return ordered;
}

static void order_is_needed_where_blocks_can_tell(void **state)
{
    (void)state;
    assert_false(needs_order("st.global.u32 [a], r; ld.global.u32 r, [a];"));
    assert_false(needs_order("red.global.add.u32 [a], 1;"));
    assert_false(needs_order("atom.global.add.u32 r, [a], 1;"));
    assert_false(needs_order("atom.global.add.u32 _, [a], 1;"));
    assert_false(needs_order("atom.shared.add.u32 r, [a], 1; st.u32 [a], r;"));
    assert_true(needs_order("atom.global.add.u32 r, [a], 1; st.u32 [a], r;"));
    assert_true(needs_order("red.global.add.f32 [a], f;"));
    assert_true(needs_order("atom.global.exch.b32 r, [a], 1;"));
    assert_true(needs_order("ld.volatile.global.u32 r, [a];"));
    assert_true(needs_order("ld.acquire.gpu.u32 r, [a];"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warps_on_their_own_bytes_do_not_race),
        cmocka_unit_test(a_read_without_barrier_is_a_race),
        cmocka_unit_test(a_barrier_orders_all_who_take_part),
        cmocka_unit_test(overwriting_what_another_warp_still_reads_is_a_race),
        cmocka_unit_test(a_named_barrier_orders_its_warps_only),
        cmocka_unit_test(bar_arrive_gives_but_does_not_take),
        cmocka_unit_test(what_follows_bar_arrive_is_not_given),
        cmocka_unit_test(a_barrier_forgets_who_used_it_before),
        cmocka_unit_test(neighbouring_halves_do_not_race),
        cmocka_unit_test(strong_accesses_do_not_race_with_each_other),
        cmocka_unit_test(an_atomic_does_not_hide_a_plain_store),
        cmocka_unit_test(a_flag_with_a_fence_orders_two_warps),
        cmocka_unit_test(lanes_need_a_warp_barrier),
        cmocka_unit_test(lanes_that_read_before_another_writes_need_one_too),
        cmocka_unit_test(ldmatrix_reads_for_all_lanes),
        cmocka_unit_test(an_exited_warp_counts_as_arrived),
        cmocka_unit_test(races_are_found_as_defined),
        cmocka_unit_test(unwritten_shared_memory_is_found_in_each_block),
        cmocka_unit_test(a_copy_that_is_waited_for_is_fine),
        cmocka_unit_test(reading_before_the_wait_is_found),
        cmocka_unit_test(a_barrier_before_the_wait_is_found),
        cmocka_unit_test(copying_over_what_is_still_read_is_found),
        cmocka_unit_test(pending_copies_do_not_leak_into_the_next_block),
        cmocka_unit_test(bad_addresses_are_named_with_distance),
        cmocka_unit_test(only_the_lanes_at_fault_are_masked),
        cmocka_unit_test(local_memory_belongs_to_its_thread_and_block),
        cmocka_unit_test(blocks_on_their_own_bytes_do_not_conflict),
        cmocka_unit_test(every_lane_is_seen_and_nothing_beside),
        cmocka_unit_test(two_blocks_that_write_one_byte_conflict),
        cmocka_unit_test(a_read_of_what_another_block_writes_conflicts),
        cmocka_unit_test(atomics_of_all_blocks_do_not_conflict),
        cmocka_unit_test(a_fence_and_a_counter_order_blocks),
        cmocka_unit_test(what_a_block_does_after_its_fence_is_not_released),
        cmocka_unit_test(a_counter_read_too_early_orders_nothing),
        cmocka_unit_test(order_is_handed_on),
        cmocka_unit_test(workers_do_not_change_the_findings),
        cmocka_unit_test(repeated_findings_are_counted_once_and_capped),
        cmocka_unit_test(contraction_is_noted_on_request),
        cmocka_unit_test(order_is_needed_where_blocks_can_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
