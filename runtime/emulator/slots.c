/* slots.c -- gives every value of a function its place in the frame.
**
**     ┌ image: copied into every new frame ────────┐
**     │ constant predicates │ constants 32, 64, 128 │ pinned │ predicates │
**     │ 32-bit slots │ 64-bit slots │ 128-bit slots │
**
** Registers share slots by the time they live: linear scan over intervals in
** operation order, stretched over every block in which a register is live at
** an end. That is right for a warp whose lanes are in different places, since
** each lane only ever writes its own part of a slot, and for one lane the
** intervals are what any sequential program has. A destination never takes the
** slot of a source that dies in the same operation, so handlers need not care
** about the order of their reads and writes.
*/
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/flow.h"

#define NONE UINT32_MAX

static const uint32_t slot_bytes[EMU_WIDTHS] = {4, 128, 256, 512};

static void stretch(struct emu_value *v, uint32_t op)
{
    if (v->first == NONE || op < v->first)
        v->first = op;
    if (op > v->last)
        v->last = op;
}

static void find_intervals(struct emu_decoder *d, const struct emu_flow *flow)
{
    for (size_t k = 0; k < d->reference_count; k++)
        stretch(&d->value[d->reference[k].value], d->reference[k].op);
    for (uint32_t b = 0; b < flow->block_count; b++) {
        const uint64_t *in = flow->in + b * flow->words;
        const uint64_t *out = flow->out + b * flow->words;
        for (size_t word = 0; word < flow->words; word++) {
            for (uint64_t rest = in[word] | out[word]; rest; rest &= rest - 1) {
                uint32_t bit =
                    (uint32_t)(64 * word) + (uint32_t)__builtin_ctzll(rest);
                struct emu_value *v = &d->value[flow->value_of[bit]];
                if (EMU_BIT(in, bit))
                    stretch(v, flow->block[b].first);
                if (EMU_BIT(out, bit))
                    stretch(v, flow->block[b].last);
            }
        }
    }
    /* Live where the function begins: read before written on some path. */
    for (uint32_t bit = 0; bit < flow->bits; bit++)
        if (EMU_BIT(flow->in, bit))
            d->value[flow->value_of[bit]].blank = 1;
}

/* -- fixed places --------------------------------------------------------- */

static uint32_t take(uint32_t *at, enum emu_width width)
{
    uint32_t here = *at;
    *at += slot_bytes[width];
    return here;
}

static void align(uint32_t *at)
{
    *at = (*at + 63) & ~63u;
}

static void place_kind(struct emu_decoder *d, uint8_t kind, uint32_t *at)
{
    for (int width = 0; width < EMU_WIDTHS; width++) {
        for (size_t i = 0; i < d->value_count; i++)
            if (d->value[i].kind == kind && d->value[i].width == width)
                d->value[i].offset = take(at, (enum emu_width)width);
        align(at);
    }
}

static int make_image(struct emu_decoder *d, uint32_t bytes)
{
    unsigned char *r = tsr__calloc(bytes + 1, 1);
    if (!r)
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    for (size_t k = 0; k < d->value_count; k++) {
        const struct emu_value *v = &d->value[k];
        uint32_t word = (uint32_t)v->bits;
        if (v->kind != EMU_CONSTANT)
            continue;
        if (v->width == EMU_W_PRED)
            memcpy(r + v->offset, &word, 4);
        for (uint32_t i = 0; v->width != EMU_W_PRED && i < 32; i++) {
            if (v->width == EMU_W32)
                memcpy(r + v->offset + 4 * i, &word, 4);
            else
                memcpy(r + v->offset + 8 * i, &v->bits, 8);
        }
    }
    d->code->image = r;
    d->code->image_bytes = bytes;
    return 0;
}

static int list_fills(struct emu_decoder *d)
{
    struct emu_code *code = d->code;
    uint32_t blanks = 0;
    for (size_t i = 0; i < d->value_count; i++) {
        code->fill_count += d->value[i].kind == EMU_FILLED;
        blanks += d->value[i].blank;
    }
    code->fill = tsr__calloc(code->fill_count + 1, sizeof *code->fill);
    code->blank = tsr__calloc(2 * (size_t)blanks + 2, sizeof *code->blank);
    if (!code->fill || !code->blank)
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    code->fill_count = 0;
    for (size_t i = 0; i < d->value_count; i++) {
        const struct emu_value *v = &d->value[i];
        if (v->kind == EMU_FILLED)
            code->fill[code->fill_count++] =
                (struct emu_fill){.offset = v->offset,
                                  .wide = v->width == EMU_W64,
                                  .special = v->special,
                                  .value = (uint32_t)v->bits};
        if (v->blank) {
            code->blank[2 * code->blank_count] = v->offset;
            code->blank[2 * code->blank_count++ + 1] = slot_bytes[v->width];
        }
    }
    return 0;
}

/* -- linear scan ---------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
    const struct emu_value *p = *(struct emu_value *const *)a;
    const struct emu_value *q = *(struct emu_value *const *)b;
    if (p->first != q->first)
        return p->first < q->first ? -1 : 1;
    return p < q ? -1 : p > q;
}

/* A slot that may be taken again from op `until` + 1 on; a heap by `until`
** would be faster, but slots are few. */
struct slot {
    uint32_t offset, until;
};

static int scan_width(struct emu_decoder *d, enum emu_width width, uint32_t *at)
{
    size_t count = 0, slots = 0;
    struct emu_value **order =
        tsr__malloc((d->value_count + 1) * sizeof *order);
    struct slot *slot = tsr__malloc((d->value_count + 1) * sizeof *slot);
    if (!order || !slot) {
        tsr__free(order);
        tsr__free(slot);
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    }
    for (size_t i = 0; i < d->value_count; i++) {
        struct emu_value *v = &d->value[i];
        if ((v->kind == EMU_REGISTER || v->kind == EMU_SCRATCH) &&
            v->width == width && v->first != NONE)
            order[count++] = v;
    }
    qsort(order, count, sizeof *order, by_start);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < slots && slot[k].until >= order[i]->first)
            k++;
        if (k == slots)
            slot[slots++].offset = take(at, width);
        slot[k].until = order[i]->last;
        order[i]->offset = slot[k].offset;
    }
    align(at);
    tsr__free(order);
    tsr__free(slot);
    return 0;
}

static void patch(struct emu_decoder *d)
{
    for (size_t k = 0; k < d->reference_count; k++) {
        const struct emu_reference *ref = &d->reference[k];
        struct emu_op *op = &d->op[ref->op];
        uint32_t offset = d->value[ref->value].offset;
        switch ((enum emu_field)ref->field) {
        case EMU_FIELD_GUARD:
            op->guard = offset;
            break;
        case EMU_FIELD_D:
            op->d = offset;
            break;
        case EMU_FIELD_A:
            op->a = offset;
            break;
        case EMU_FIELD_B:
            op->b = offset;
            break;
        case EMU_FIELD_C:
            op->c = offset;
            break;
        case EMU_FIELD_E:
            op->e = offset;
            break;
        case EMU_FIELD_TARGET:
            op->target = offset;
            break;
        case EMU_FIELD_LIST:
            d->list[ref->list] = offset;
        }
    }
}

int emu_slots_assign(struct emu_decoder *d)
{
    struct emu_flow flow;
    uint32_t at = 0;
    int changed, rc;
    if ((rc = emu_flow_build(&flow, d)) ||
        (rc = emu_unset_track(d, &flow, &changed)))
        goto done;
    if (changed) {
        emu_flow_release(&flow);
        if ((rc = emu_flow_build(&flow, d)))
            goto done;
    }
    find_intervals(d, &flow);
    place_kind(d, EMU_CONSTANT, &at);
    if ((rc = make_image(d, at)))
        goto done;
    place_kind(d, EMU_FILLED, &at);
    place_kind(d, EMU_PINNED, &at);
    for (int width = 0; width < EMU_WIDTHS; width++)
        if ((rc = scan_width(d, (enum emu_width)width, &at)))
            goto done;
    d->code->frame_bytes = at;
    patch(d);
    rc = list_fills(d);
done:
    emu_flow_release(&flow);
    return rc;
}
