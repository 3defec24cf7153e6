/* unset.c -- registers that some path reads before it writes them.
**
** Such a register is live where the function begins. Most functions have none
** and pay nothing. For each that there is, a mask of the lanes that have
** written it is kept in a predicate of its own.
**
** Compilers let undefined values travel: they copy, select and add them, and
** throw the result away. So an operation only passes the mask on, and an unset
** value is a finding where it decides something: as an address, as a guard, as
** data stored or given to an atomic, in a barrier. Loads and operations that
** take values from other lanes give values that count as set.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/flow.h"

#define NONE UINT32_MAX

struct tracker {
    struct emu_decoder *d;
    const struct emu_flow *flow;
    uint32_t *mask; /* value -> value of its mask, NONE: not tracked */
    uint32_t tracked;
    uint32_t always; /* the predicate that is true */
};

/* How an operation handles an unset operand. */
enum manner {
    SPREADS,  /* result is unset where an operand is */
    SELECTS,  /* selp: where the chosen operand is */
    RENEWS,   /* result is set */
    CONSUMES, /* a finding; result, if any, is set */
    ADDRESSES /* the same, but only of the address */
};

static enum manner manner_of(const struct emu_decoder *d, uint32_t op)
{
    switch (d->handler[op]) {
    case EMU_H_selp_b32:
    case EMU_H_selp_b64:
        return SELECTS;
    case EMU_H_ld_global:
    case EMU_H_ld_shared:
    case EMU_H_ld_generic:
    case EMU_H_ld_local:
    case EMU_H_ld_argument:
    case EMU_H_ldmatrix:
    case EMU_H_st_local:
        return ADDRESSES;
    case EMU_H_st_global:
    case EMU_H_st_shared:
    case EMU_H_st_generic:
    case EMU_H_stmatrix:
    case EMU_H_atom:
    case EMU_H_cp_async:
    case EMU_H_vote:
    case EMU_H_vote_ballot:
    case EMU_H_nothing: /* barriers */
        return CONSUMES;
    case EMU_H_shfl:
    case EMU_H_match:
    case EMU_H_redux:
    case EMU_H_elect:
    case EMU_H_movmatrix:
    case EMU_H_ld_param:
        return RENEWS;
    }
    return SPREADS;
}

static int is_tracked(const struct tracker *t, const struct emu_reference *ref)
{
    return t->mask[ref->value] != NONE;
}

/* Operands proper: not the guard, which is always looked at. */
static int is_source(const struct emu_reference *ref)
{
    return ref->reads && ref->field != EMU_FIELD_GUARD;
}

static int spreads_unset(const struct tracker *t, uint32_t op)
{
    enum manner manner = manner_of(t->d, op);
    uint32_t k = t->flow->first_reference[op];
    if (manner != SPREADS && manner != SELECTS)
        return 0;
    for (; k < t->flow->first_reference[op + 1]; k++)
        if (is_source(&t->d->reference[k]) &&
            is_tracked(t, &t->d->reference[k]))
            return 1;
    return 0;
}

/* Registers that may be unset: live at the start, and what is made of such. */
static void find_tracked(struct tracker *t)
{
    struct emu_decoder *d = t->d;
    uint32_t registers = (uint32_t)d->function->register_count;
    for (uint32_t bit = 0; bit < t->flow->bits; bit++) {
        uint32_t v = t->flow->value_of[bit];
        if (v < registers && EMU_BIT(t->flow->in, bit)) {
            t->mask[v] = 0;
            t->tracked++;
        }
    }
    for (int changed = t->tracked != 0; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < d->op_count; i++) {
            if (!spreads_unset(t, i))
                continue;
            for (uint32_t k = t->flow->first_reference[i];
                 k < t->flow->first_reference[i + 1]; k++) {
                const struct emu_reference *ref = &d->reference[k];
                if (!ref->writes || is_tracked(t, ref) ||
                    ref->value >= registers)
                    continue;
                t->mask[ref->value] = 0;
                t->tracked++;
                changed = 1;
            }
        }
    }
}

/* -- inserting ------------------------------------------------------------ */

/* The decoder's arrays, being written again with more in them. */
struct rewrite {
    struct emu_op *op;
    uint16_t *handler;
    const struct ptx_instruction **source;
    uint32_t *list_of;
    size_t count;
};

static int refer(struct tracker *t, const struct rewrite *to,
                 enum emu_field field, uint32_t value, int reads)
{
    struct emu_decoder *d = t->d;
    if (tsr__grow((void **)&d->reference, &d->reference_capacity,
                  d->reference_count + 1, sizeof *d->reference))
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    d->reference[d->reference_count++] = (struct emu_reference){
        .op = (uint32_t)(to->count - 1),
        .value = value,
        .list = (uint32_t)d->list_count,
        .field = (uint8_t)field,
        .reads = (uint8_t)reads,
        .writes = (uint8_t)!reads,
    };
    return field == EMU_FIELD_LIST ? emu_put_number(d, 0) : 0;
}

/* A hidden op, guarded as op `like` is, or not at all. */
static int hidden(struct tracker *t, struct rewrite *to, uint32_t like,
                  enum emu_handler_id id, int guarded)
{
    struct emu_decoder *d = t->d;
    uint32_t guard = t->always;
    for (uint32_t k = t->flow->first_reference[like];
         guarded && k < t->flow->first_reference[like + 1]; k++)
        if (d->reference[k].field == EMU_FIELD_GUARD)
            guard = d->reference[k].value;
    to->op[to->count] = (struct emu_op){.flip = guarded ? d->op[like].flip : 0,
                                        .flags = EMU_HIDDEN};
    to->handler[to->count] = (uint16_t)id;
    to->source[to->count] = d->source[like];
    to->list_of[to->count] = (uint32_t)d->list_count;
    to->count++;
    return refer(t, to, EMU_FIELD_GUARD, guard, 1);
}

static int must_be_set(const struct tracker *t, uint32_t op,
                       const struct emu_reference *ref)
{
    if (!ref->reads || !is_tracked(t, ref))
        return 0;
    if (ref->field == EMU_FIELD_GUARD)
        return 1;
    enum manner manner = manner_of(t->d, op);
    return manner == CONSUMES ||
           (manner == ADDRESSES && ref->field == EMU_FIELD_A);
}

static int put_checks(struct tracker *t, struct rewrite *to, uint32_t i)
{
    for (uint32_t k = t->flow->first_reference[i];
         k < t->flow->first_reference[i + 1]; k++) {
        struct emu_reference ref = t->d->reference[k];
        if (!must_be_set(t, i, &ref))
            continue;
        /* The guard itself is looked at by every lane. */
        int rc = hidden(t, to, i, EMU_H_register_check,
                        ref.field != EMU_FIELD_GUARD);
        if (rc || (rc = refer(t, to, EMU_FIELD_A, t->mask[ref.value], 1)))
            return rc;
        to->op[to->count - 1].immediate = ref.value;
    }
    return 0;
}

/* Masks of the operands of op i, into the list of the last hidden op. */
static int put_sources(struct tracker *t, struct rewrite *to, uint32_t i)
{
    int count = 0;
    for (uint32_t k = t->flow->first_reference[i];
         k < t->flow->first_reference[i + 1]; k++) {
        struct emu_reference ref = t->d->reference[k];
        if (!is_source(&ref) || !is_tracked(t, &ref) || count == 255)
            continue;
        int rc = refer(t, to, EMU_FIELD_LIST, t->mask[ref.value], 1);
        if (rc)
            return rc;
        count++;
    }
    to->op[to->count - 1].n = (uint8_t)count;
    return 0;
}

/* selp: the masks of a, b and the predicate, then the predicate itself. */
static int put_selection(struct tracker *t, struct rewrite *to, uint32_t i)
{
    uint32_t value[3] = {t->always, t->always, t->always}, predicate = 0;
    int rc;
    for (uint32_t k = t->flow->first_reference[i];
         k < t->flow->first_reference[i + 1]; k++) {
        const struct emu_reference *ref = &t->d->reference[k];
        uint32_t mask = is_tracked(t, ref) ? t->mask[ref->value] : t->always;
        if (ref->field == EMU_FIELD_A)
            value[0] = mask;
        if (ref->field == EMU_FIELD_B)
            value[1] = mask;
        if (ref->field == EMU_FIELD_C)
            value[2] = mask, predicate = ref->value;
    }
    for (int k = 0; k < 3; k++)
        if ((rc = refer(t, to, EMU_FIELD_LIST, value[k], 1)))
            return rc;
    to->op[to->count - 1].z = t->d->op[i].z;
    return refer(t, to, EMU_FIELD_C, predicate, 1);
}

static int put_marks(struct tracker *t, struct rewrite *to, uint32_t i)
{
    enum manner manner = manner_of(t->d, i);
    for (uint32_t k = t->flow->first_reference[i];
         k < t->flow->first_reference[i + 1]; k++) {
        struct emu_reference ref = t->d->reference[k];
        if (!ref.writes || !is_tracked(t, &ref))
            continue;
        int rc = hidden(t, to, i,
                        manner == SELECTS ? EMU_H_register_select
                                          : EMU_H_register_merge,
                        1);
        if (!rc)
            rc = refer(t, to, EMU_FIELD_D, t->mask[ref.value], 0);
        if (!rc && manner == SELECTS)
            rc = put_selection(t, to, i);
        if (!rc && manner == SPREADS)
            rc = put_sources(t, to, i);
        if (rc)
            return rc;
    }
    return 0;
}

/* How many operations there may be in the end. */
static size_t most(const struct tracker *t)
{
    size_t n = t->d->op_count;
    for (size_t k = 0; k < t->d->reference_count; k++)
        n += t->mask[t->d->reference[k].value] != NONE ? 2 : 0;
    return n;
}

static void adopt(struct tracker *t, struct rewrite *to, const uint32_t *start,
                  const uint32_t *self, size_t old_references)
{
    struct emu_decoder *d = t->d;
    for (size_t i = 0; i < to->count; i++)
        if (to->op[i].control == EMU_DO_BRANCH)
            to->op[i].target = start[to->op[i].target];
    for (int i = 0; i <= d->function->instruction_count; i++)
        d->op_of[i] = start[d->op_of[i]];
    for (size_t k = 0; k < old_references; k++)
        d->reference[k].op = self[d->reference[k].op];
    tsr__free(d->op);
    tsr__free(d->handler);
    tsr__free(d->source);
    tsr__free(d->list_of);
    d->op = to->op;
    d->handler = to->handler;
    d->source = to->source;
    d->list_of = to->list_of;
    d->op_count = to->count;
    *to = (struct rewrite){0};
}

static int insert(struct tracker *t)
{
    struct emu_decoder *d = t->d;
    size_t n = most(t), old_references = d->reference_count;
    uint32_t *start = tsr__malloc((d->op_count + 1) * sizeof *start);
    uint32_t *self = tsr__malloc((d->op_count + 1) * sizeof *self);
    struct rewrite to = {
        .op = tsr__malloc(n * sizeof *to.op),
        .handler = tsr__malloc(n * sizeof *to.handler),
        .source = tsr__malloc(n * sizeof *to.source),
        .list_of = tsr__malloc(n * sizeof *to.list_of),
    };
    int rc = 0;
    if (!start || !self || !to.op || !to.handler || !to.source || !to.list_of) {
        rc = TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < d->op_count; i++) {
        start[i] = (uint32_t)to.count;
        if ((rc = put_checks(t, &to, i)))
            goto done;
        self[i] = (uint32_t)to.count;
        to.op[to.count] = d->op[i];
        to.handler[to.count] = d->handler[i];
        to.source[to.count] = d->source[i];
        to.list_of[to.count++] = d->list_of[i];
        if ((rc = put_marks(t, &to, i)))
            goto done;
    }
    adopt(t, &to, start, self, old_references);
done:
    tsr__free(start);
    tsr__free(self);
    tsr__free(to.op);
    tsr__free(to.handler);
    tsr__free(to.source);
    tsr__free(to.list_of);
    return rc;
}

static int make_masks(struct tracker *t)
{
    struct emu_decoder *d = t->d;
    uint32_t registers = (uint32_t)d->function->register_count;
    for (uint32_t v = 0; v < registers; v++) {
        if (t->mask[v] == NONE)
            continue;
        int rc = emu_new_pinned(d, EMU_W_PRED, &t->mask[v]);
        if (rc)
            return rc;
    }
    return emu_constant_value(d, EMU_ALL_LANES, EMU_W_PRED, &t->always);
}

int emu_unset_track(struct emu_decoder *d, const struct emu_flow *flow,
                    int *changed)
{
    struct tracker t = {.d = d, .flow = flow};
    int rc = 0;
    *changed = 0;
    /* make_masks adds values: room for them. */
    size_t room = 2 * d->value_count + 2;
    t.mask = tsr__malloc(room * sizeof *t.mask);
    if (!t.mask)
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < room; i++)
        t.mask[i] = NONE;
    find_tracked(&t);
    if (t.tracked) {
        *changed = 1;
        if (!(rc = make_masks(&t)))
            rc = insert(&t);
    }
    tsr__free(t.mask);
    return rc;
}
