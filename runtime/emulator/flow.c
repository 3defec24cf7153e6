/* flow.c -- blocks and liveness, the textbook way: bit sets, iterated. */
#include "runtime/emulator/flow.h"

#include <string.h>

#include "runtime/base/memory.h"

#define NONE UINT32_MAX

void emu_flow_release(struct emu_flow *flow)
{
    tsr__free(flow->block);
    tsr__free(flow->block_of);
    tsr__free(flow->dense);
    tsr__free(flow->value_of);
    tsr__free(flow->uses);
    tsr__free(flow->in);
    tsr__free(flow->first_reference);
    *flow = (struct emu_flow){0};
}

static int falls_through(const struct emu_decoder *d, uint32_t i)
{
    const struct emu_op *op = &d->op[i];
    int guarded = d->source[i] && d->source[i]->guard >= 0;
    if (i + 1 >= d->op_count)
        return 0;
    if (op->control == EMU_DO_BRANCH || op->control == EMU_DO_RETURN ||
        op->control == EMU_DO_EXIT)
        return guarded;
    return 1;
}

static void mark_leaders(const struct emu_decoder *d, unsigned char *leader)
{
    leader[0] = 1;
    for (uint32_t i = 0; i < d->op_count; i++) {
        if (d->op[i].control == EMU_DO_BRANCH)
            leader[d->op[i].target] = 1;
        if ((d->op[i].control == EMU_DO_BRANCH ||
             d->op[i].control == EMU_DO_RETURN ||
             d->op[i].control == EMU_DO_EXIT) &&
            i + 1 < d->op_count)
            leader[i + 1] = 1;
    }
}

static int build_blocks(struct emu_flow *flow, const struct emu_decoder *d)
{
    unsigned char *leader = tsr__calloc(d->op_count, 1);
    flow->block_of = tsr__malloc(d->op_count * sizeof *flow->block_of);
    if (!leader || !flow->block_of) {
        tsr__free(leader);
        return -1;
    }
    mark_leaders(d, leader);
    for (uint32_t i = 0; i < d->op_count; i++) {
        flow->block_count += leader[i];
        flow->block_of[i] = flow->block_count - 1;
    }
    tsr__free(leader);
    flow->block = tsr__calloc(flow->block_count, sizeof *flow->block);
    if (!flow->block)
        return -1;
    for (uint32_t i = 0; i < d->op_count; i++) {
        struct emu_span_of_ops *block = &flow->block[flow->block_of[i]];
        if (i == 0 || flow->block_of[i - 1] != flow->block_of[i])
            block->first = i;
        block->last = i;
    }
    for (uint32_t b = 0; b < flow->block_count; b++) {
        uint32_t last = flow->block[b].last;
        flow->block[b].next[0] = falls_through(d, last) ? b + 1 : NONE;
        flow->block[b].next[1] = d->op[last].control == EMU_DO_BRANCH
                                     ? flow->block_of[d->op[last].target]
                                     : NONE;
    }
    return 0;
}

static int number_registers(struct emu_flow *flow, const struct emu_decoder *d)
{
    flow->dense = tsr__malloc((d->value_count + 1) * sizeof *flow->dense);
    flow->value_of = tsr__malloc((d->value_count + 1) * sizeof *flow->dense);
    if (!flow->dense || !flow->value_of)
        return -1;
    for (uint32_t v = 0; v < d->value_count; v++) {
        flow->dense[v] = NONE;
        if (d->value[v].kind == EMU_REGISTER) {
            flow->value_of[flow->bits] = v;
            flow->dense[v] = flow->bits++;
        }
    }
    flow->words = (flow->bits + 63) / 64;
    return 0;
}

/* References are made op by op, so they are sorted already, but for the ones
** that belong to inserted operations. */
static int index_references(struct emu_flow *flow, struct emu_decoder *d)
{
    size_t n = d->op_count + 1;
    uint32_t *first = tsr__calloc(n + 1, sizeof *first);
    struct emu_reference *sorted =
        tsr__malloc((d->reference_count + 1) * sizeof *sorted);
    flow->first_reference = first;
    if (!first || !sorted) {
        tsr__free(sorted);
        return -1;
    }
    for (size_t i = 0; i < d->reference_count; i++)
        first[d->reference[i].op + 1]++;
    for (size_t i = 0; i < d->op_count; i++)
        first[i + 1] += first[i];
    uint32_t *at = tsr__malloc(n * sizeof *at);
    if (!at) {
        tsr__free(sorted);
        return -1;
    }
    memcpy(at, first, n * sizeof *at);
    for (size_t i = 0; i < d->reference_count; i++)
        sorted[at[d->reference[i].op]++] = d->reference[i];
    tsr__free(at);
    tsr__free(d->reference);
    d->reference = sorted;
    d->reference_capacity = d->reference_count + 1;
    return 0;
}

#define SET(set, i) ((set)[(i) / 64] |= UINT64_C(1) << ((i) % 64))

static void local_sets(struct emu_flow *flow, const struct emu_decoder *d)
{
    for (uint32_t i = 0; i < d->op_count; i++) {
        uint64_t *uses = flow->uses + flow->block_of[i] * flow->words;
        uint64_t *defines = flow->defines + flow->block_of[i] * flow->words;
        uint32_t end = flow->first_reference[i + 1];
        for (uint32_t k = flow->first_reference[i]; k < end; k++) {
            const struct emu_reference *ref = &d->reference[k];
            uint32_t bit = flow->dense[ref->value];
            if (bit != NONE && ref->reads && !EMU_BIT(defines, bit))
                SET(uses, bit);
        }
        for (uint32_t k = flow->first_reference[i]; k < end; k++) {
            const struct emu_reference *ref = &d->reference[k];
            uint32_t bit = flow->dense[ref->value];
            if (bit != NONE && ref->writes && ref->whole)
                SET(defines, bit);
        }
    }
}

static int update_block(struct emu_flow *flow, uint32_t b)
{
    size_t words = flow->words;
    uint64_t *in = flow->in + b * words, *out = flow->out + b * words;
    const uint64_t *uses = flow->uses + b * words;
    const uint64_t *defines = flow->defines + b * words;
    int changed = 0;
    for (int k = 0; k < 2; k++) {
        uint32_t next = flow->block[b].next[k];
        if (next == NONE)
            continue;
        const uint64_t *from = flow->in + next * words;
        for (size_t i = 0; i < words; i++)
            out[i] |= from[i];
    }
    for (size_t i = 0; i < words; i++) {
        uint64_t live = uses[i] | (out[i] & ~defines[i]);
        changed |= live != in[i];
        in[i] = live;
    }
    return changed;
}

int emu_flow_build(struct emu_flow *flow, struct emu_decoder *d)
{
    *flow = (struct emu_flow){0};
    if (build_blocks(flow, d) || number_registers(flow, d) ||
        index_references(flow, d))
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    size_t set = flow->block_count * flow->words;
    flow->uses = tsr__calloc(2 * set + 1, sizeof *flow->uses);
    flow->in = tsr__calloc(2 * set + 1, sizeof *flow->in);
    if (!flow->uses || !flow->in)
        return TSR_FAIL(d->err, TSR_EMEMORY, "out of memory");
    flow->defines = flow->uses + set;
    flow->out = flow->in + set;
    local_sets(flow, d);
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t b = flow->block_count; b-- > 0;)
            changed |= update_block(flow, b);
    }
    return 0;
}
