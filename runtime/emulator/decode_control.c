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

/* extra: enum emu_control; guards hold for all of them. */
static int build_leave(struct emu_decoder *d, const struct emu_row *row)
{
    int rc = emu_expect(d, 0, 1);
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (rc || !op)
        return rc ? rc : TSR_EMEMORY;
    op->control = (uint8_t)row->extra;
    op->x = (uint8_t)(strcmp(row->root, "brkpt") == 0);
    return 0;
}

/* Where the j-th parameter or result of a function is among its locals. */
static int put_passed(struct emu_decoder *d, const struct ptx_operand *operand,
                      const struct ptx_function *callee,
                      const struct ptx_variable *formal, int is_result)
{
    int64_t inside = emu_local_layout(callee, formal, NULL), outside = -1;
    int rc;
    if (operand->kind == PTX_OPERAND_VARIABLE)
        outside = emu_local_layout(d->function, operand->variable, NULL);
    if (inside < 0 || outside < 0)
        return emu_refuse(d, "arguments of a call must be .param variables");
    if (operand->variable->bytes < formal->bytes)
        return emu_bad(d, "%s is smaller than parameter %s of %s",
                       operand->variable->name, formal->name, callee->name);
    if ((rc = emu_put_number(d, (uint32_t)(is_result ? inside : outside))) ||
        (rc = emu_put_number(d, (uint32_t)(is_result ? outside : inside))))
        return rc;
    return emu_put_number(d, (uint32_t)formal->bytes);
}

static int put_all(struct emu_decoder *d, const struct ptx_operand *list,
                   const struct ptx_function *callee,
                   const struct ptx_variable *formal, int formals,
                   int is_result)
{
    int given = list ? list->count : 0, rc;
    if (given != formals)
        return emu_bad(d, "passes %d %s to %s, which has %d", given,
                       is_result ? "results" : "arguments", callee->name,
                       formals);
    if ((rc = emu_put_number(d, (uint32_t)given)))
        return rc;
    for (int i = 0; i < given; i++)
        if ((rc = put_passed(d, &list->element[i], callee, &formal[i],
                             is_result)))
            return rc;
    return 0;
}

/* call{.uni} {(results),} name {, (arguments)} */
static int build_call(struct emu_decoder *d, const struct emu_row *row)
{
    const struct ptx_instruction *in = d->in;
    const struct ptx_operand *results = NULL, *arguments = NULL;
    const struct ptx_module *ptx = d->module->ptx;
    int at = 0, rc;
    (void)row;
    if (at < in->operand_count && in->operand[at].kind == PTX_OPERAND_LIST)
        results = &in->operand[at++];
    if (at >= in->operand_count ||
        in->operand[at].kind != PTX_OPERAND_FUNCTION)
        return emu_refuse(d, "calls through a pointer are not taken");
    const char *name = in->operand[at++].name;
    if (at < in->operand_count && in->operand[at].kind == PTX_OPERAND_LIST)
        arguments = &in->operand[at++];
    const struct ptx_function *callee = ptx_module_function(ptx, name);
    for (int i = 0; i < ptx->function_count; i++)
        if (!ptx->functions[i].is_declaration &&
            strcmp(ptx->functions[i].name, name) == 0)
            callee = &ptx->functions[i];
    if (!callee || callee->is_declaration)
        return emu_refuse(d, "function %s has no body in this module", name);
    if (callee->is_entry)
        return emu_refuse(d, "%s is an entry; it cannot be called", name);
    struct emu_op *op = emu_emit(d, EMU_H_nothing);
    if (!op)
        return TSR_EMEMORY;
    op->control = EMU_DO_CALL;
    op->target = (uint32_t)(callee - ptx->functions);
    emu_begin_list(d);
    if ((rc = put_all(d, arguments, callee, callee->parameters,
                      callee->parameter_count, 0)))
        return rc;
    return put_all(d, results, callee, callee->returns, callee->return_count,
                   1);
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
    op->z = (uint8_t)(strcmp(d->in->root, "bar") == 0 ||
                      emu_has(d, "aligned"));
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
    if ((rc = emu_expect(d, 3, 4)) ||
        (rc = begin_barrier(d, EMU_BARRIER_RED)))
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
    {"griddepcontrol", "launch_dependents|wait", "", NULL, NULL, build_hint,
     0},
    {"bar", "cta? sync", "", NULL, NULL, build_bar, EMU_BARRIER_SYNC},
    {"bar", "cta? arrive", "", NULL, NULL, build_bar, EMU_BARRIER_ARRIVE},
    {"bar", "cta? red popc u32", "", NULL, NULL, build_bar_red, 0},
    {"bar", "cta? red and|or pred", "", NULL, NULL, build_bar_red, 0},
    {"bar", "warp sync", "", NULL, NULL, build_warp_barrier, 0},
    {"barrier", "cta? sync aligned?", "", NULL, NULL, build_bar,
     EMU_BARRIER_SYNC},
    {"barrier", "cta? arrive aligned?", "", NULL, NULL, build_bar,
     EMU_BARRIER_ARRIVE},
    {"barrier", "cta? red popc aligned? u32", "", NULL, NULL, build_bar_red,
     0},
    {"barrier", "cta? red and|or aligned? pred", "", NULL, NULL, build_bar_red,
     0},
};

const struct emu_table emu_table_control = {rows, sizeof rows / sizeof *rows};
