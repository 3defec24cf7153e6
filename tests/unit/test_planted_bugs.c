/* test_planted_bugs.c -- bugs planted in our own template must be found.
**
** Each bug is one text of the emitted source put in place of another, which
** must occur exactly once. The kernel without it runs clean on the same
** problem; with it, the emulator has a finding of the kind that the bug is, or
** the result is wrong.
*/
#include "tests/unit/kernel.h"

#define TEAM_OF_TWO                                                     \
    "gemm_w4a8 arch=sm_80 format=w4g128 n=136 k=1152 channel_tile=128 " \
    "token_tile=32 k_tile=128 stages=3 warps=4 split_k=1 raster=0 bias=1"
#define SPLIT                                                         \
    "gemm_w4a8 arch=sm_80 format=w4g128 n=136 k=768 channel_tile=64 " \
    "token_tile=16 k_tile=128 stages=2 warps=2 split_k=3 raster=0"
#define TWO_GROUPS                                                   \
    "gemm_w4a8 arch=sm_80 format=w4g128 n=64 k=768 channel_tile=64 " \
    "token_tile=8 k_tile=256 stages=2 warps=1 split_k=1 raster=0"

enum { WRONG_RESULT = -1 };

static const struct bug {
    const char *name;
    int shows; /* enum emu_finding_kind, or WRONG_RESULT */
    const char *spec;
    size_t m;
    const char *text, *instead;
} bugs[] = {
    {"a wait one group too lax", EMU_ASYNC_PENDING, TEAM_OF_TWO, 17,
     "cp_async_wait<STAGES - 2>();", "cp_async_wait<STAGES - 1>();"},
    {"no wait at all", EMU_ASYNC_PENDING, TWO_GROUPS, 8,
     "cp_async_wait<STAGES - 2>();", ""},
    {"the barrier of a stage dropped", EMU_SHARED_RACE, TEAM_OF_TWO, 17,
     "cp_async_wait<STAGES - 2>();\n        meet_team(p);",
     "cp_async_wait<STAGES - 2>();"},
    {"the barrier before the wait", EMU_SHARED_RACE, TEAM_OF_TWO, 17,
     "cp_async_wait<STAGES - 2>();\n        meet_team(p);",
     "meet_team(p);\n        cp_async_wait<STAGES - 2>();"},
    {"a stage filled while it is read", EMU_ASYNC_PENDING, TEAM_OF_TWO, 17,
     "        if (tiles >= STAGES)\n            load_stage(l, spent);",
     "        if (tiles >= STAGES)\n            load_stage(l, full);"},
    {"the ring one stage short", EMU_SHARED_RACE, TEAM_OF_TWO, 17,
     "if (full == end)", "if (full + STAGE_BYTES == end)"},
    {"one stage loaded too few", WRONG_RESULT, TEAM_OF_TWO, 17,
     "if (tiles >= STAGES)", "if (tiles > STAGES)"},
    {"one stage loaded too many", EMU_ASYNC_EXIT, TEAM_OF_TWO, 17,
     "if (tiles >= STAGES)", "if (tiles >= STAGES - 1)"},
    {"one token too many", EMU_OUT_OF_BOUNDS, TEAM_OF_TWO, 17,
     "return token < o.m &&", "return token <= o.m &&"},
    {"channels past the last are stored", EMU_OUT_OF_BOUNDS, TEAM_OF_TWO, 17,
     "return token < o.m && (!N_RAGGED || o.channel < N);",
     "return token < o.m;"},
    {"no zero-fill past the last token", EMU_OUT_OF_BOUNDS, TEAM_OF_TWO, 5,
     "i * X_ROW_WARPS * 8 < l.x_rows ? 16 : 0", "16"},
    {"no zero-fill past the last channel", EMU_OUT_OF_BOUNDS, TEAM_OF_TWO, 17,
     "channel < N ? SCALE_CHUNK : 0", "SCALE_CHUNK"},
    {"no zero-fill past the last channel block", EMU_OUT_OF_BOUNDS, TEAM_OF_TWO,
     17, "block < CHANNEL_BLOCKS && l.tile", "l.tile"},
    {"the swizzle dropped by the reader", WRONG_RESULT, TEAM_OF_TWO, 17,
     "keep(x_place(row, 0, odd * 4 + p.lane / 8))",
     "keep(row * TILE_K + (odd * 4 + p.lane / 8) * 16)"},
    {"the scales of the first group for all", WRONG_RESULT, TWO_GROUPS, 8,
     "STEP * BLOCK_K / GROUP_K * 2 * TILE_N>(s", "0>(s"},
    {"scales that stay behind", WRONG_RESULT, TWO_GROUPS, 8,
     "l.scales += STAGE_GROUPS * N;", "l.scales += N;"},
    {"teams add up before all have written", EMU_SHARED_RACE, TEAM_OF_TWO, 17,
     "put_sums(acc, sums + p.team * (TEAM_BYTES / 16));\n"
     "        meet_teams();",
     "put_sums(acc, sums + p.team * (TEAM_BYTES / 16));"},
    {"sums over a stage that is being read", EMU_SHARED_RACE, TEAM_OF_TWO, 17,
     "meet_team(p);\n        put_sums", "put_sums"},
    {"split-K: partial sums added without an atomic", EMU_GLOBAL_CONFLICT,
     SPLIT, 20, "red_add<I * 128>(partial, a.v[I])",
     "(partial[I * 32] += a.v[I])"},
    {"split-K: the last block does not wait for the flag", EMU_SHARED_RACE,
     SPLIT, 20, "__syncthreads();\n    __threadfence();\n    return *flag",
     "return *flag"},
    {"split-K: the counter is not reset", WRONG_RESULT, SPLIT, 20,
     "            atom_exch<0>(workspace + blockIdx.x, 0);", ";"},
    {"split-K: the partial sums are not reset", WRONG_RESULT, SPLIT, 20,
     "atom_exch<I * 128>(partial, 0)", "*(partial + I * 32)"},
    {"split-K: the last but one block stores", WRONG_RESULT, SPLIT, 20,
     "return *flag == SPLIT_K - 1;", "return *flag == SPLIT_K - 2;"},
    {"split-K: parts that overlap", WRONG_RESULT, SPLIT, 20,
     "K_TILES * (part + 1) / PARTS - tile;",
     "(K_TILES * (part + 1) + PARTS - 1) / PARTS - tile + (part == 0);"},
};

/* Puts the bug into kernel->text.source. */
static void plant(struct kernel *kernel, const struct bug *bug)
{
    char *source = kernel->text.source;
    char *at = strstr(source, bug->text);
    if (!at || strstr(at + 1, bug->text))
        fail_msg("%s: '%s' must occur once in the source, occurs %s", bug->name,
                 bug->text, at ? "more often" : "nowhere");
    size_t head = (size_t)(at - source), cut = strlen(bug->text);
    size_t size = strlen(source) - cut + strlen(bug->instead) + 1;
    char *patched = malloc(size);
    snprintf(patched, size, "%.*s%s%s", (int)head, source, bug->instead,
             at + cut);
    free(source);
    kernel->text.source = patched;
}

static struct outcome run(const struct bug *bug, int with_bug)
{
    struct kernel kernel;
    kernel_render(&kernel, bug->spec);
    if (with_bug)
        plant(&kernel, bug);
    kernel_compile(&kernel, 0);
    struct outcome outcome = gemm_check(&kernel, bug->m, 11, 4);
    if (!with_bug)
        assert_clean(&kernel, bug->m, &outcome);
    kernel_close(&kernel);
    return outcome;
}

static void the_kernels_are_clean_without_a_bug(void **state)
{
    (void)state;
    need_nvrtc();
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++)
        if (i == 0 || strcmp(bugs[i].spec, bugs[i - 1].spec) != 0)
            run(&bugs[i], 0);
}

static void every_planted_bug_is_found(void **state)
{
    (void)state;
    need_nvrtc();
    size_t missed = 0;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        const struct bug *bug = &bugs[i];
        struct outcome outcome = run(bug, 1);
        int found = bug->shows == WRONG_RESULT
                        ? outcome.mismatches > 0 || outcome.dirty > 0
                        : (outcome.kinds >> bug->shows & 1) != 0;
        print_message("%-50s %s%s\n", bug->name, found ? "" : "MISSED ",
                      outcome.text);
        missed += !found;
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernels_are_clean_without_a_bug),
        cmocka_unit_test(every_planted_bug_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
