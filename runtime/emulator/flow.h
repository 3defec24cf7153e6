/* flow.h -- control flow of a decoded function and which registers live where.
** Used by slots.c and unset.c, thrown away after decoding. */
#ifndef TSR_EMULATOR_FLOW_H
#define TSR_EMULATOR_FLOW_H

#include "runtime/emulator/decode.h"

struct emu_span_of_ops {
    uint32_t first, last; /* ops, last included */
    uint32_t next[2];     /* blocks, or UINT32_MAX */
};

struct emu_flow {
    struct emu_span_of_ops *block;
    uint32_t block_count;
    uint32_t *block_of; /* op -> block */
    uint32_t *dense;    /* value -> bit, UINT32_MAX: not a register */
    uint32_t *value_of; /* bit -> value */
    uint32_t bits;
    size_t words;
    uint64_t *uses, *defines; /* per block; upward exposed, killed */
    uint64_t *in, *out;       /* per block: live registers */
    /* references sorted by op */
    uint32_t *first_reference; /* op -> index, [op_count] is the end */
};

/* Fills `flow` for the decoder's operations; call emu_flow_release after. */
int emu_flow_build(struct emu_flow *flow, struct emu_decoder *d);
void emu_flow_release(struct emu_flow *flow);

#define EMU_BIT(set, i) ((set)[(i) / 64] >> ((i) % 64) & 1)

/* unset.c: inserts marks and checks for registers that may be read before they
** are written. *changed: operations were inserted; build the flow anew. */
int emu_unset_track(struct emu_decoder *d, const struct emu_flow *flow,
                    int *changed);

#endif
