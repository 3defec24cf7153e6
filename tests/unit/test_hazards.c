/* test_hazards.c -- races, initialisation, bounds and notes of the hazard
 * module. */
#include "tests/unit/hazard_events.h"

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
        cmocka_unit_test(repeated_findings_are_counted_once_and_capped),
        cmocka_unit_test(contraction_is_noted_on_request),
        cmocka_unit_test(order_is_needed_where_blocks_can_tell),
    };
    return cmocka_run_group_tests_name("hazards", tests, NULL, NULL);
}
