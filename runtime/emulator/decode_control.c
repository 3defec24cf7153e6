/* decode_control.c -- rows of branches, calls, barriers and odds and ends. */
#include <string.h>

#include "runtime/emulator/barrier.h"
#include "runtime/emulator/decode.h"

static int build_bra(struct emu_decoder *d, const struct emu_row *row)
{
    int rc = emu_expect(d, 1, 1);
    (void)row;
    if (rc)
        return rc;
    if (d->in->operand[0].kind != PTX_OPERAND_LABEL)
        return emu_bad(d, "the target is not a label");
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_BRANCH;
    op->target = (uint32_t)d->in->operand[0].target;
    return 0;
}

/* Results that are registers go to the locals before the function returns. */
int emu_put_results(struct emu_decoder *d)
{
    const struct ptx_function *f = d->function;
    for (int i = 0; !f->is_entry && i < f->return_count; i++) {
        int rc = emu_move_formal(d, &f->returns[i], 0);
        if (rc)
            return rc;
    }
    return 0;
}

/* extra: enum emu_control; guards hold for all of them. */
static int build_leave(struct emu_decoder *d, const struct emu_row *row)
{
    int rc = emu_expect(d, 0, 1);
    if (rc)
        return rc;
    if (row->extra == EMU_DO_RETURN && (rc = emu_put_results(d)))
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = (uint8_t)row->extra;
    op->x = (uint8_t)(strcmp(row->root, "brkpt") == 0);
    return 0;
}

/* Where an argument or result stands in the caller's locals: a .param variable
** does already, a register or constant gets a place. */
static int stage(struct emu_decoder *d, const struct ptx_operand *operand,
                 const struct ptx_variable *formal, uint32_t *at)
{
    if (operand->kind == PTX_OPERAND_VARIABLE) {
        int64_t local = emu_local_layout(d->function, operand->variable, NULL);
        if (local < 0)
            return emu_refuse(d, "%s is not a .param variable of this body",
                              operand->variable->name);
        if (operand->variable->bytes < formal->bytes)
            return emu_bad(d, "%s is smaller than parameter %s",
                           operand->variable->name, formal->name);
        *at = (uint32_t)local;
        return 0;
    }
    if (formal->bytes > 8)
        return emu_bad(d, "a register cannot be passed as %s", formal->name);
    *at = (d->local_bytes + 7) & ~7u;
    d->local_bytes = *at + 8;
    return 0;
}

static int count_passed(struct emu_decoder *d, const struct ptx_operand *list,
                        int formals, const char *what)
{
    int given = list ? list->count : 0;
    if (given == formals)
        return 0;
    return emu_bad(d, "passes %d %s where %d are declared", given, what,
                   formals);
}

/* Places of all; registers that are arguments are stored to theirs. */
static int stage_all(struct emu_decoder *d, const struct ptx_operand *list,
                     const struct ptx_variable *formal, int is_result,
                     uint32_t *at)
{
    for (int i = 0; list && i < list->count; i++) {
        const struct ptx_operand *operand = &list->element[i];
        int rc = stage(d, operand, &formal[i], &at[i]);
        if (!rc && !is_result && operand->kind != PTX_OPERAND_VARIABLE)
            rc = emu_move_local(d, at[i], operand, formal[i].type, 0);
        if (rc)
            return rc;
    }
    return 0;
}

static int put_passed(struct emu_decoder *d, const struct ptx_function *callee,
                      const struct ptx_variable *formal, int count,
                      int is_result, const uint32_t *at)
{
    int rc = emu_put_number(d, (uint32_t)count);
    for (int i = 0; !rc && i < count; i++) {
        uint32_t inside = (uint32_t)emu_local_layout(callee, &formal[i], NULL);
        rc = emu_put_number(d, is_result ? inside : at[i]);
        if (!rc)
            rc = emu_put_number(d, is_result ? at[i] : inside);
        if (!rc)
            rc = emu_put_number(d, (uint32_t)formal[i].bytes);
    }
    return rc;
}

static int fetch_results(struct emu_decoder *d, const struct ptx_operand *list,
                         const struct ptx_variable *formal, const uint32_t *at)
{
    for (int i = 0; list && i < list->count; i++) {
        const struct ptx_operand *operand = &list->element[i];
        if (operand->kind == PTX_OPERAND_VARIABLE)
            continue;
        int rc = emu_move_local(d, at[i], operand, formal[i].type, 1);
        if (rc)
            return rc;
    }
    return 0;
}

#define MAX_PASSED 64

static int put_call(struct emu_decoder *d, const struct ptx_function *callee,
                    const struct ptx_operand *arguments,
                    const struct ptx_operand *results)
{
    uint32_t in[MAX_PASSED], out[MAX_PASSED];
    int rc;
    if (callee->parameter_count > MAX_PASSED ||
        callee->return_count > MAX_PASSED)
        return emu_refuse(d, "%s has more than %d parameters", callee->name,
                          MAX_PASSED);
    if ((rc = count_passed(d, arguments, callee->parameter_count,
                           "arguments")) ||
        (rc = count_passed(d, results, callee->return_count, "results")) ||
        (rc = stage_all(d, arguments, callee->parameters, 0, in)) ||
        (rc = stage_all(d, results, callee->returns, 1, out)))
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_CALL;
    op->target = (uint32_t)(callee - d->module->ptx->functions);
    emu_begin_list(d);
    if ((rc = put_passed(d, callee, callee->parameters, callee->parameter_count,
                         0, in)) ||
        (rc = put_passed(d, callee, callee->returns, callee->return_count, 1,
                         out)))
        return rc;
    return fetch_results(d, results, callee->returns, out);
}

/* vprintf and __assertfail have no body; they are operations. */
static int put_builtin(struct emu_decoder *d, const struct ptx_function *callee,
                       enum emu_handler_id id,
                       const struct ptx_operand *arguments,
                       const struct ptx_operand *results)
{
    uint32_t in[MAX_PASSED], out[MAX_PASSED];
    int rc, count = callee->parameter_count;
    if (count < (id == EMU_H_print ? 2 : 4) || count > MAX_PASSED ||
        callee->return_count > 1)
        return emu_refuse(d, "%s is declared in an unknown way", callee->name);
    if ((rc = count_passed(d, arguments, count, "arguments")) ||
        (rc = count_passed(d, results, callee->return_count, "results")) ||
        (rc = stage_all(d, arguments, callee->parameters, 0, in)) ||
        (rc = stage_all(d, results, callee->returns, 1, out)))
        return rc;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    op->target = results ? out[0] : UINT32_MAX;
    emu_begin_list(d);
    rc = emu_put_number(d, (uint32_t)count);
    for (int i = 0; !rc && i < count; i++)
        rc = emu_put_number(d, in[i]);
    return rc ? rc : fetch_results(d, results, callee->returns, out);
}

/* call{.uni} {(results),} name {, (arguments)} */
static int build_call(struct emu_decoder *d, const struct emu_row *row)
{
    const struct ptx_instruction *in = d->in;
    const struct ptx_operand *results = NULL, *arguments = NULL;
    const struct ptx_module *ptx = d->module->ptx;
    int at = 0;
    (void)row;
    if (at < in->operand_count && in->operand[at].kind == PTX_OPERAND_LIST)
        results = &in->operand[at++];
    if (at >= in->operand_count || in->operand[at].kind != PTX_OPERAND_FUNCTION)
        return emu_refuse(d, "calls through a pointer are not taken");
    const char *name = in->operand[at++].name;
    if (at < in->operand_count && in->operand[at].kind == PTX_OPERAND_LIST)
        arguments = &in->operand[at++];
    const struct ptx_function *callee = ptx_module_function(ptx, name);
    for (int i = 0; i < ptx->function_count; i++)
        if (!ptx->functions[i].is_declaration &&
            strcmp(ptx->functions[i].name, name) == 0)
            callee = &ptx->functions[i];
    if (callee && callee->is_declaration && strcmp(name, "vprintf") == 0)
        return put_builtin(d, callee, EMU_H_print, arguments, results);
    if (callee && callee->is_declaration && strcmp(name, "__assertfail") == 0)
        return put_builtin(d, callee, EMU_H_assert, arguments, results);
    if (!callee || callee->is_declaration)
        return emu_refuse(d, "function %s has no body in this module", name);
    if (callee->is_entry)
        return emu_refuse(d, "%s is an entry; it cannot be called", name);
    return put_call(d, callee, arguments, results);
}

/* bar and barrier. extra: EMU_BARRIER_SYNC, _ARRIVE. Operands a{, b}. */
static int put_barrier(struct emu_decoder *d, int at, int given)
{
    int rc = emu_source_of(d, EMU_FIELD_A, at, PTX_U32);
    if (rc)
        return rc;
    EMU_OP(d)->n = (uint8_t)given;
    if (given)
        return emu_source_of(d, EMU_FIELD_B, at + 1, PTX_U32);
    return emu_put_constant(d, EMU_FIELD_B, 0, EMU_W32);
}

static int begin_barrier(struct emu_decoder *d, int what)
{
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_BARRIER;
    op->x = (uint8_t)what;
    op->z = (uint8_t)(strcmp(d->in->root, "bar") == 0 || emu_has(d, "aligned"));
    return 0;
}

static int build_bar(struct emu_decoder *d, const struct emu_row *row)
{
    int arrive = row->extra == EMU_BARRIER_ARRIVE, rc;
    if ((rc = emu_expect(d, 1 + arrive, 2)) ||
        (rc = begin_barrier(d, row->extra)))
        return rc;
    return put_barrier(d, 0, d->in->operand_count == 2);
}

/* bar.red.op d, a{, b}, {!}c */
static int build_bar_red(struct emu_decoder *d, const struct emu_row *row)
{
    uint8_t negated;
    int rc;
    if ((rc = emu_expect(d, 3, 4)) || (rc = begin_barrier(d, EMU_BARRIER_RED)))
        return rc;
    EMU_OP(d)->y = (uint8_t)(emu_has(d, "popc")  ? 0
                             : emu_has(d, "and") ? 1
                                                 : 2);
    int given = d->in->operand_count == 4;
    (void)row;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0,
                       EMU_OP(d)->y == 0 ? PTX_U32 : PTX_PRED)) ||
        (rc = put_barrier(d, 1, given)) ||
        (rc = emu_predicate(d, EMU_FIELD_C, 2 + given, &negated)))
        return rc;
    EMU_OP(d)->immediate = negated;
    return 0;
}

static int build_warp_barrier(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_WARP_BARRIER;
    int rc = emu_expect(d, 1, 1);
    return rc ? rc : emu_source_of(d, EMU_FIELD_A, 0, PTX_U32);
}

static int build_sleep(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_YIELD;
    return 0;
}

static int build_hint(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    return emu_emit(d, EMU_H_nothing) ? 0 : TSR_EMEMORY;
}

static const struct emu_row rows[] = {
    {"bra", "uni?", "", NULL, NULL, build_bra, 0},
    {"call", "uni?", "", NULL, NULL, build_call, 0},
    {"ret", "uni?", "", NULL, NULL, build_leave, EMU_DO_RETURN},
    {"exit", "", "", NULL, NULL, build_leave, EMU_DO_EXIT},
    {"trap", "", "", NULL, NULL, build_leave, EMU_DO_TRAP},
    {"brkpt", "", "", NULL, NULL, build_leave, EMU_DO_TRAP},
    {"nanosleep", "u32", "", NULL, NULL, build_sleep, 0},
    {"pmevent", "mask?", "", NULL, NULL, build_hint, 0},
    {"griddepcontrol", "launch_dependents|wait", "", NULL, NULL, build_hint, 0},
    {"bar", "cta? sync", "", NULL, NULL, build_bar, EMU_BARRIER_SYNC},
    {"bar", "cta? arrive", "", NULL, NULL, build_bar, EMU_BARRIER_ARRIVE},
    {"bar", "cta? red popc u32", "", NULL, NULL, build_bar_red, 0},
    {"bar", "cta? red and|or pred", "", NULL, NULL, build_bar_red, 0},
    {"bar", "warp sync", "", NULL, NULL, build_warp_barrier, 0},
    {"barrier", "cta? sync aligned?", "", NULL, NULL, build_bar,
     EMU_BARRIER_SYNC},
    {"barrier", "cta? arrive aligned?", "", NULL, NULL, build_bar,
     EMU_BARRIER_ARRIVE},
    {"barrier", "cta? red popc aligned? u32", "", NULL, NULL, build_bar_red, 0},
    {"barrier", "cta? red and|or aligned? pred", "", NULL, NULL, build_bar_red,
     0},
};

const struct emu_table emu_table_control = {rows, sizeof rows / sizeof *rows};
