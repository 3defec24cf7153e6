/* test_conflicts.c -- conflicts between the blocks of a launch, and what orders
** them. */
#include "tests/unit/hazard_events.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
