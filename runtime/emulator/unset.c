/* unset.c -- registers that some path reads before it writes them.
**
** Such a register is live where the function begins. Most functions have none
** and pay nothing. For each that there is, a mask of the lanes that have
** written it is kept: a mark follows every write, a check stands before every
** read. A plain mov is no use of a value, it spreads it: compilers copy
** undefined values about when they merge paths. Selecting and packing are
** exempt for the same reason.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/flow.h"

#define NONE UINT32_MAX

struct tracker {
    struct emu_decoder *d;
    uint32_t *mask; /* value -> value of its mask, NONE: not tracked */
    uint32_t tracked;
    uint32_t always; /* the predicate that is true */
};

static int is_move(const struct emu_decoder *d, uint32_t op)
{
    uint16_t id = d->handler[op];
    return (id == EMU_H_mov_b32 || id == EMU_H_mov_b64) &&
           d->op[op].y == EMU_IS_MOVE;
}

static int is_exempt(const struct emu_decoder *d, uint32_t op)
{
    switch (d->handler[op]) {
    case EMU_H_selp_b32:
    case EMU_H_selp_b64:
    case EMU_H_pack_b32:
    case EMU_H_pack_b64:
    case EMU_H_pack_list:
        return 1;
    }
    return 0;
}

static const struct emu_reference *field_of(const struct emu_decoder *d,
                                            const struct emu_flow *flow,
                                            uint32_t op, enum emu_field field)
{
    for (uint32_t k = flow->first_reference[op];
         k < flow->first_reference[op + 1]; k++)
        if (d->reference[k].field == field)
            return &d->reference[k];
    return NULL;
}

/* Registers that may be unset: live at the start, and copies of such. */
static void find_tracked(struct tracker *t, const struct emu_flow *flow)
{
    struct emu_decoder *d = t->d;
    for (uint32_t bit = 0; bit < flow->bits; bit++) {
        uint32_t v = flow->value_of[bit];
        if (v < (uint32_t)d->function->register_count &&
            EMU_BIT(flow->in, bit)) {
            t->mask[v] = 0;
            t->tracked++;
        }
    }
    for (int changed = t->tracked != 0; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < d->op_count; i++) {
            if (!is_move(d, i))
                continue;
            const struct emu_reference *to =
                field_of(d, flow, i, EMU_FIELD_D);
            const struct emu_reference *from =
                field_of(d, flow, i, EMU_FIELD_A);
            if (t->mask[from->value] != NONE && t->mask[to->value] == NONE) {
                t->mask[to->value] = 0;
                t->tracked++;
                changed = 1;
            }
        }
    }
}

/* -- inserting ------------------------------------------------------------------------ */

/* The decoder's arrays, being written again with more in them. */
struct rewrite {
    struct emu_op *op;
    uint16_t *handler;
    const struct ptx_instruction **source;
    uint32_t *list_of;
    size_t count;
};

static struct emu_op *append(struct rewrite *to, const struct emu_decoder *d,
                             uint32_t like, enum emu_handler_id handler)
{
    struct emu_op *op = &to->op[to->count];
    *op = (struct emu_op){.flip = d->op[like].flip,
                          .flags = EMU_HIDDEN,
                          .rank = d->op[like].rank};
    to->handler[to->count] = (uint16_t)handler;
    to->source[to->count] = d->source[like];
    to->list_of[to->count] = NONE;
    to->count++;
    return op;
}

static int refer(struct emu_decoder *d, size_t op, enum emu_field field,
                 uint32_t value, int reads)
{
    if (tsr__grow((void **)&d->reference, &d->reference_capacity,
                  d->reference_count + 1, sizeof *d->reference))
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    d->reference[d->reference_count++] = (struct emu_reference){
        .op = (uint32_t)op,
        .value = value,
        .field = (uint8_t)field,
        .reads = (uint8_t)reads,
        .writes = (uint8_t)!reads,
    };
    return 0;
}

/* A hidden op with the guard of op `like`. */
static int hidden(struct tracker *t, struct rewrite *to,
                  const struct emu_flow *flow, uint32_t like,
                  enum emu_handler_id id, uint32_t about)
{
    const struct emu_reference *guard =
        field_of(t->d, flow, like, EMU_FIELD_GUARD);
    append(to, t->d, like, id)->immediate = about;
    return refer(t->d, to->count - 1, EMU_FIELD_GUARD, guard->value, 1);
}

static int put_checks(struct tracker *t, struct rewrite *to,
                      const struct emu_flow *flow, uint32_t i)
{
    struct emu_decoder *d = t->d;
    if (is_move(d, i) || is_exempt(d, i))
        return 0;
    for (uint32_t k = flow->first_reference[i];
         k < flow->first_reference[i + 1]; k++) {
        struct emu_reference ref = d->reference[k];
        if (!ref.reads || t->mask[ref.value] == NONE)
            continue;
        int rc = hidden(t, to, flow, i, EMU_H_register_check, ref.value);
        if (!rc)
            rc = refer(d, to->count - 1, EMU_FIELD_A, t->mask[ref.value], 1);
        if (rc)
            return rc;
        /* The guard is evaluated by all lanes. */
        if (ref.field == EMU_FIELD_GUARD) {
            to->op[to->count - 1].flip = 0;
            d->reference[d->reference_count - 2].value = t->always;
        }
    }
    return 0;
}

static int put_marks(struct tracker *t, struct rewrite *to,
                     const struct emu_flow *flow, uint32_t i)
{
    struct emu_decoder *d = t->d;
    for (uint32_t k = flow->first_reference[i];
         k < flow->first_reference[i + 1]; k++) {
        struct emu_reference ref = d->reference[k];
        if (!ref.writes || t->mask[ref.value] == NONE)
            continue;
        const struct emu_reference *from =
            is_move(d, i) ? field_of(d, flow, i, EMU_FIELD_A) : NULL;
        int copies = from && t->mask[from->value] != NONE;
        uint32_t source = copies ? t->mask[from->value] : 0;
        int rc = hidden(t, to, flow, i,
                        copies ? EMU_H_register_copy : EMU_H_register_mark, 0);
        if (!rc)
            rc = refer(d, to->count - 1, EMU_FIELD_D, t->mask[ref.value], 0);
        if (!rc && copies)
            rc = refer(d, to->count - 1, EMU_FIELD_A, source, 1);
        if (rc)
            return rc;
    }
    return 0;
}

/* How many operations may come in at most. */
static size_t most(const struct tracker *t)
{
    size_t n = t->d->op_count;
    for (size_t k = 0; k < t->d->reference_count; k++)
        n += t->mask[t->d->reference[k].value] != NONE ? 2 : 0;
    return n;
}

static int insert(struct tracker *t, const struct emu_flow *flow)
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
    int rc = TSR_EMEMORY;
    if (!start || !self || !to.op || !to.handler || !to.source || !to.list_of)
        goto done;
    for (uint32_t i = 0; i < d->op_count; i++) {
        start[i] = (uint32_t)to.count;
        if ((rc = put_checks(t, &to, flow, i)))
            goto done;
        self[i] = (uint32_t)to.count;
        to.op[to.count] = d->op[i];
        to.handler[to.count] = d->handler[i];
        to.source[to.count] = d->source[i];
        to.list_of[to.count++] = d->list_of[i];
        if ((rc = put_marks(t, &to, flow, i)))
            goto done;
    }
    for (size_t i = 0; i < to.count; i++)
        if (to.op[i].control == EMU_DO_BRANCH)
            to.op[i].target = start[to.op[i].target];
    for (size_t k = 0; k < old_references; k++)
        d->reference[k].op = self[d->reference[k].op];
    tsr__free(d->op);
    tsr__free(d->handler);
    tsr__free(d->source);
    tsr__free(d->list_of);
    d->op = to.op, d->handler = to.handler, d->source = to.source;
    d->list_of = to.list_of, d->op_count = to.count;
    to = (struct rewrite){0};
    rc = 0;
done:
    tsr__free(start);
    tsr__free(self);
    tsr__free(to.op);
    tsr__free(to.handler);
    tsr__free(to.source);
    tsr__free(to.list_of);
    return rc ? TSR_FAIL(d->err, rc, "out of memory") : 0;
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
    struct tracker t = {.d = d};
    int rc = 0;
    *changed = 0;
    /* make_masks adds values: room for them. */
    size_t room = 2 * d->value_count + 2;
    t.mask = tsr__malloc(room * sizeof *t.mask);
    if (!t.mask)
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < room; i++)
        t.mask[i] = NONE;
    find_tracked(&t, flow);
    if (t.tracked) {
        *changed = 1;
        if (!(rc = make_masks(&t)))
            rc = insert(&t, flow);
    }
    tsr__free(t.mask);
    return rc;
}
