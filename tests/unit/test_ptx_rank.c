/* test_ptx_rank.c -- the order of divergent fragments.
**
** Two warps run the same control flow with the same decisions. One follows the
** ranks: the fragment with the lowest rank runs, fragments at one instruction
** merge. The other keeps the textbook stack of immediate post-dominators. On
** structured programs the first must reconverge at least as well as the second,
** that is, issue no more instructions. With break, continue and goto neither is
** always better (whether lanes that `continue' wait for the others or go ahead
** is a choice), so there only the sum counts.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buffer.h"
#include "runtime/emulator/ptx.h"

enum {
    LANES = 8,
    ALL = (1 << LANES) - 1,
    MAX_INSTRUCTIONS = 256,
    MAX_STEPS = 4000,
};

static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static struct ptx_module *parse(const char *body)
{
    struct ptx_module *module = NULL;
    struct tsr_error err = {0};
    struct tsr_buffer text = TSR_BUFFER_INIT;
    tsr__buffer_addf(&text,
                     ".version 8.0\n.target sm_80\n.address_size 64\n"
                     ".entry k() {\n.reg .b32 r; .reg .pred p;\n%s\n}\n",
                     body);
    int status =
        ptx_module_parse(&module, text.data, text.size, "rank.ptx", &err);
    if (status)
        fail_msg("%s\n%s", err.text, body);
    tsr__buffer_release(&text);
    return module;
}

/* -- one warp, two ways to run it ----------------------------------------- */

struct run {
    const struct ptx_function *f;
    uint32_t seed;
    unsigned visits[LANES][MAX_INSTRUCTIONS];
    int steps;       /* issued instructions, synthetic ones not counted */
    int lane_steps;  /* the same for all lanes alone */
    int interrupted; /* ran into MAX_STEPS */
};

/* Does lane take the branch? It depends on lane, branch and visit only, and
** after a few visits lanes tend to fall through, so that loops end. */
static int takes(struct run *run, int lane, int pc)
{
    unsigned visit = run->visits[lane][pc]++;
    uint32_t hash = run->seed * 2654435761u + (uint32_t)lane * 40503u +
                    (uint32_t)run->f->instructions[pc].line * 9176u +
                    visit * 69069u;
    hash ^= hash >> 13;
    hash *= 2246822519u;
    hash ^= hash >> 16;
    return hash % 4 < (visit < 4 ? 2u : 1u);
}

static int is(const struct ptx_instruction *in, const char *root)
{
    return strcmp(in->root, root) == 0;
}

/* Executes one instruction for `mask`: who goes to *target, who falls through;
** the rest has left. */
static void step(struct run *run, int pc, int mask, int *taken, int *falls,
                 int *target)
{
    const struct ptx_instruction *in = &run->f->instructions[pc];
    *taken = *falls = 0;
    *target = pc + 1;
    if (!in->synthetic) {
        run->steps++;
        run->lane_steps += __builtin_popcount((unsigned)mask);
    }
    if (is(in, "ret"))
        return;
    if (!is(in, "bra")) {
        *falls = mask;
        return;
    }
    *target = in->operand[0].target;
    for (int lane = 0; lane < LANES; lane++)
        if (mask >> lane & 1 && (in->guard < 0 || takes(run, lane, pc)))
            *taken |= 1 << lane;
    *falls = mask & ~*taken;
}

static void run_by_rank(struct run *run)
{
    int at[MAX_INSTRUCTIONS + 1] = {ALL}; /* lanes that stand at a pc */
    int end = run->f->instruction_count;
    for (int n = 0; n < MAX_STEPS; n++) {
        int pc = -1;
        for (int i = 0; i < end; i++)
            if (at[i] && (pc < 0 || run->f->instructions[i].rank <
                                        run->f->instructions[pc].rank))
                pc = i;
        if (pc < 0)
            return;
        int taken, falls, target, mask = at[pc];
        at[pc] = 0;
        step(run, pc, mask, &taken, &falls, &target);
        at[target] |= taken;
        at[pc + 1] |= falls;
        at[end] = 0;
    }
    run->interrupted = 1;
}

/* Immediate post-dominator of each instruction; `end` is the exit. */
static void find_postdominators(const struct ptx_function *f, int *out)
{
    static unsigned char dom[MAX_INSTRUCTIONS + 1][MAX_INSTRUCTIONS + 1];
    int end = f->instruction_count;
    memset(dom, 1, sizeof dom);
    memset(dom[end], 0, sizeof dom[end]);
    dom[end][end] = 1;
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = end - 1; i >= 0; i--) {
            const struct ptx_instruction *in = &f->instructions[i];
            int a = is(in, "ret") ? end : i + 1, b = a;
            if (is(in, "bra"))
                b = in->operand[0].target;
            if (is(in, "bra") && in->guard < 0)
                a = b;
            for (int j = 0; j <= end; j++) {
                int both = j == i || (dom[a][j] && dom[b][j]);
                changed |= both != dom[i][j];
                dom[i][j] = (unsigned char)both;
            }
        }
    }
    for (int i = 0; i < end; i++) {
        int best = end, most = -1;
        for (int j = 0; j <= end; j++) {
            int count = 0;
            for (int k = 0; k <= end; k++)
                count += dom[j][k];
            if (j != i && dom[i][j] && count > most) {
                most = count;
                best = j;
            }
        }
        out[i] = best;
    }
}

static void run_by_stack(struct run *run)
{
    struct {
        int pc, join, mask;
    } stack[512];
    int depth = 0, end = run->f->instruction_count;
    int join[MAX_INSTRUCTIONS];
    find_postdominators(run->f, join);
    stack[depth].pc = 0;
    stack[depth].join = end;
    stack[depth++].mask = ALL;
    for (int n = 0; n < MAX_STEPS && depth > 0; n++) {
        int pc = stack[depth - 1].pc, mask = stack[depth - 1].mask;
        int taken, falls, target;
        if (pc == stack[depth - 1].join || pc == end || !mask) {
            depth--;
            continue;
        }
        step(run, pc, mask, &taken, &falls, &target);
        if (!taken || !falls) {
            stack[depth - 1].pc = taken ? target : pc + 1;
            if (!taken && !falls)
                for (int i = 0; i < depth; i++)
                    stack[i].mask &= ~mask;
            continue;
        }
        assert_true(depth + 2 < 512);
        stack[depth - 1].pc = join[pc];
        stack[depth].pc = pc + 1;
        stack[depth].join = join[pc];
        stack[depth++].mask = falls;
        stack[depth].pc = target;
        stack[depth].join = join[pc];
        stack[depth++].mask = taken;
    }
    run->interrupted |= depth > 0;
}

/* -- checks --------------------------------------------------------------- */

struct totals {
    int rank, stack, programs;
};

static void compare(const char *body, struct totals *totals, int strict)
{
    struct ptx_module *module = parse(body);
    const struct ptx_function *f = ptx_module_function(module, "k");
    static struct run rank, stack;
    if (f->irregular || f->instruction_count >= MAX_INSTRUCTIONS) {
        ptx_module_free(module);
        return;
    }
    for (uint32_t seed = 0; seed < 8; seed++) {
        memset(&rank, 0, sizeof rank);
        memset(&stack, 0, sizeof stack);
        rank.f = stack.f = f;
        rank.seed = stack.seed = seed;
        run_by_rank(&rank);
        run_by_stack(&stack);
        if (rank.interrupted || stack.interrupted)
            continue;
        assert_int_equal(rank.lane_steps, stack.lane_steps);
        if (strict && rank.steps > stack.steps)
            fail_msg("by rank %d, by stack %d instructions, seed %u:\n%s",
                     rank.steps, stack.steps, seed, body);
        totals->rank += rank.steps;
        totals->stack += stack.steps;
        totals->programs++;
    }
    ptx_module_free(module);
}

static void check_ranks_are_a_permutation(const struct ptx_function *f)
{
    char seen[MAX_INSTRUCTIONS] = {0};
    assert_true(f->instruction_count < MAX_INSTRUCTIONS);
    for (int i = 0; i < f->instruction_count; i++) {
        int rank = f->instructions[i].rank;
        assert_in_range(rank, 0, f->instruction_count - 1);
        assert_false(seen[rank]);
        seen[rank] = 1;
    }
}

/* -- programs ------------------------------------------------------------- */

/* Blocks in a row; edges mostly forward, some back. */
static void random_graph(struct tsr_buffer *out)
{
    int blocks = 3 + (int)next_random(12);
    for (int b = 0; b < blocks; b++) {
        int target = next_random(4) ? b + 1 + (int)next_random(4)
                                    : (int)next_random((uint32_t)b + 1);
        if (target > blocks)
            target = blocks;
        tsr__buffer_addf(out, "L%d: mov.u32 r, %d;\n", b, b);
        switch (next_random(4)) {
        case 0:
            tsr__buffer_addf(out, "bra L%d;\n", target);
            break;
        case 1:
            break;
        default:
            tsr__buffer_addf(out, "@p bra L%d;\n", target);
            break;
        }
    }
    tsr__buffer_addf(out, "L%d: ret;\n", blocks);
}

static int labels;

/* Nested if, if/else, while, do-while; break and continue of the inner or
** outer loop unless `inner` is -2. */
static void random_structure(struct tsr_buffer *out, int depth, int inner,
                             int outer)
{
    int statements = 1 + (int)next_random(3);
    for (int s = 0; s < statements; s++) {
        int id = labels++;
        tsr__buffer_addf(out, "mov.u32 r, %d;\n", id);
        switch (depth > 0 ? next_random(6) : next_random(2) * 5) {
        case 1:
            tsr__buffer_addf(out, "@p bra E%d;\n", id);
            random_structure(out, depth - 1, inner, outer);
            tsr__buffer_addf(out, "E%d:\n", id);
            break;
        case 2:
            tsr__buffer_addf(out, "@p bra T%d;\n", id);
            random_structure(out, depth - 1, inner, outer);
            tsr__buffer_addf(out, "bra E%d;\nT%d:\n", id, id);
            random_structure(out, depth - 1, inner, outer);
            tsr__buffer_addf(out, "E%d:\n", id);
            break;
        case 3:
            tsr__buffer_addf(out, "C%d: @p bra E%d;\n", id, id);
            random_structure(out, depth - 1, inner == -2 ? -2 : id, inner);
            tsr__buffer_addf(out, "bra C%d;\nE%d:\n", id, id);
            break;
        case 4:
            tsr__buffer_addf(out, "C%d:\n", id);
            random_structure(out, depth - 1, inner == -2 ? -2 : id, inner);
            tsr__buffer_addf(out, "@p bra C%d;\nE%d:\n", id, id);
            break;
        case 5:
            if (inner >= 0) {
                int to = outer >= 0 && next_random(3) == 0 ? outer : inner;
                tsr__buffer_addf(out, "@p bra %c%d;\n",
                                 next_random(2) ? 'C' : 'E', to);
            }
            break;
        default:
            break;
        }
    }
}

/* -- tests ---------------------------------------------------------------- */

static void ranks_reconverge_random_graphs(void **state)
{
    (void)state;
    struct totals totals = {0, 0, 0};
    for (uint64_t seed = 1; seed <= 700; seed++) {
        struct tsr_buffer body = TSR_BUFFER_INIT;
        random_state = seed * 77;
        random_graph(&body);
        compare(body.data, &totals, 0);
        tsr__buffer_release(&body);
    }
    assert_true(totals.programs > 2000);
    assert_true(totals.rank <= totals.stack);
}

static void run_structured(int jumps, struct totals *totals)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct tsr_buffer body = TSR_BUFFER_INIT;
        random_state = seed * 1299721;
        labels = 0;
        random_structure(&body, 3, jumps ? -1 : -2, -1);
        tsr__buffer_addf(&body, "ret;\n");
        compare(body.data, totals, !jumps);
        tsr__buffer_release(&body);
    }
}

static void ranks_reconverge_structured_programs(void **state)
{
    (void)state;
    struct totals totals = {0, 0, 0};
    run_structured(0, &totals);
    assert_true(totals.programs > 1000);
}

static void ranks_reconverge_breaks_and_continues(void **state)
{
    (void)state;
    struct totals totals = {0, 0, 0};
    run_structured(1, &totals);
    assert_true(totals.programs > 1000);
    assert_true(totals.rank <= totals.stack);
}

static void continues_meet_in_a_latch(void **state)
{
    (void)state;
    struct ptx_module *module = parse("H: mov.u32 r, 0;\n@p bra H;\n"
                                      "mov.u32 r, 1;\n@p bra H;\nret;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    int synthetic = 0;
    check_ranks_are_a_permutation(f);
    for (int i = 0; i < f->instruction_count; i++)
        synthetic += f->instructions[i].synthetic;
    /* the latch, and a ret between the text's end and it */
    assert_int_equal(synthetic, 2);
    int latch = f->instructions[1].operand[0].target;
    assert_int_equal(latch, f->instructions[3].operand[0].target);
    assert_true(f->instructions[latch].synthetic);
    assert_int_equal(f->instructions[latch].operand[0].target, 0);
    assert_true(f->instructions[latch].rank > f->instructions[3].rank);
    assert_true(f->instructions[latch].rank < f->instructions[4].rank);
    ptx_module_free(module);
}

static void a_back_edge_out_of_an_inner_loop_gets_a_latch(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("H: mov.u32 r, 0;\nX: mov.u32 r, 1;\n@p bra H;\n"
              "mov.u32 r, 2;\n@p bra X;\nret;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    int latch = f->instructions[2].operand[0].target;
    assert_true(f->instructions[latch].synthetic);
    assert_true(f->instructions[latch].rank > f->instructions[4].rank);
    ptx_module_free(module);
}

static void a_label_at_the_end_survives_the_latches(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("H: @p bra H;\nmov.u32 r, 1;\n@p bra H;\n@p bra END;\n"
              "mov.u32 r, 2;\nEND:\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    int end = f->instructions[3].operand[0].target;
    assert_string_equal(f->instructions[end].root, "ret");
    assert_true(f->instructions[end].synthetic);
    assert_int_equal(end, 5);
    check_ranks_are_a_permutation(f);
    ptx_module_free(module);
}

static void a_plain_loop_gets_no_latch(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("H: mov.u32 r, 0;\n@p bra X;\nmov.u32 r, 1;\nX: mov.u32 r, 2;\n"
              "@p bra H;\nret;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    assert_int_equal(f->instruction_count, 6);
    for (int i = 0; i < f->instruction_count; i++)
        assert_int_equal(f->instructions[i].rank, i);
    ptx_module_free(module);
}

static void a_loop_laid_out_after_its_exit_still_runs_first(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("bra H;\nX: mov.u32 r, 9;\nret;\nH: mov.u32 r, 0;\n@p bra X;\n"
              "mov.u32 r, 1;\nbra H;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    assert_true(f->instructions[1].rank > f->instructions[6].rank);
    ptx_module_free(module);
}

static void a_fall_through_back_edge_reaches_the_latch(void **state)
{
    (void)state;
    struct totals totals = {0, 0, 0};
    const char *body = "bra H;\nB: mov.u32 r, 1;\n@p bra H;\nmov.u32 r, 2;\n"
                       "H: mov.u32 r, 3;\n@p bra B;\nret;\n";
    compare(body, &totals, 1);
    assert_int_equal(totals.programs, 8);
}

static void several_entries_are_counted_as_irregular(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("@p bra B;\nA: mov.u32 r, 0;\nB: mov.u32 r, 1;\n@p bra A;\n"
              "ret;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    assert_int_equal(f->irregular, 1);
    check_ranks_are_a_permutation(f);
    ptx_module_free(module);
}

static void branch_tables_take_part(void **state)
{
    (void)state;
    struct ptx_module *module =
        parse("T: .branchtargets A, B, C;\nbrx.idx r, T;\n"
              "J: mov.u32 r, 9;\nret;\nA: mov.u32 r, 1;\nbra J;\n"
              "B: mov.u32 r, 2;\nbra J;\nC: mov.u32 r, 3;\nbra J;\n");
    const struct ptx_function *f = ptx_module_function(module, "k");
    check_ranks_are_a_permutation(f);
    for (int i = 3; i < f->instruction_count; i++)
        assert_true(f->instructions[i].rank < f->instructions[1].rank);
    ptx_module_free(module);
}

static void deep_loops_do_not_hang(void **state)
{
    (void)state;
    struct tsr_buffer body = TSR_BUFFER_INIT;
    for (int i = 0; i < 3000; i++)
        tsr__buffer_addf(&body, "L%d: mov.u32 r, 0;\n", i);
    for (int i = 2999; i >= 0; i--)
        tsr__buffer_addf(&body, "@p bra L%d;\n", i);
    struct ptx_module *module = parse(body.data);
    assert_true(ptx_module_function(module, "k")->irregular > 0);
    ptx_module_free(module);
    tsr__buffer_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_reconverge_random_graphs),
        cmocka_unit_test(ranks_reconverge_structured_programs),
        cmocka_unit_test(ranks_reconverge_breaks_and_continues),
        cmocka_unit_test(continues_meet_in_a_latch),
        cmocka_unit_test(a_back_edge_out_of_an_inner_loop_gets_a_latch),
        cmocka_unit_test(a_label_at_the_end_survives_the_latches),
        cmocka_unit_test(a_plain_loop_gets_no_latch),
        cmocka_unit_test(a_loop_laid_out_after_its_exit_still_runs_first),
        cmocka_unit_test(a_fall_through_back_edge_reaches_the_latch),
        cmocka_unit_test(several_entries_are_counted_as_irregular),
        cmocka_unit_test(branch_tables_take_part),
        cmocka_unit_test(deep_loops_do_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
