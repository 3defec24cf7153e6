/* op.h -- a decoded operation: one cache line, no name left in it.
**
** decode.c makes one (now and then two) of each PTX instruction. Operands are
** byte offsets from the frame's base; immediates, addresses of variables and
** special registers that do not change have slots of their own, so a handler
** never asks what kind of operand it has.
*/
#ifndef TSR_EMULATOR_OP_H
#define TSR_EMULATOR_OP_H

#include <stdint.h>

#include "runtime/emulator/ptx.h"

struct emu_warp;
struct emu_op;

/* Does `op` for the lanes in `mask` (never 0). `r` is the frame's base. */
typedef void (*emu_handler)(struct emu_warp *w, unsigned char *r,
                            const struct emu_op *op, uint32_t mask);

/* What the loop in exec.c does with an operation. Everything but PLAIN moves
** the program counter or may stop the warp. */
enum emu_control {
    EMU_DO_PLAIN,
    EMU_DO_BRANCH,       /* to target */
    EMU_DO_CALL,         /* callee number target */
    EMU_DO_RETURN,       /* of a function; of an entry: exit */
    EMU_DO_EXIT,         /* of the thread */
    EMU_DO_BARRIER,      /* bar, barrier */
    EMU_DO_WARP_BARRIER, /* bar.warp.sync */
    EMU_DO_YIELD,        /* nanosleep: ends the warp's turn */
    EMU_DO_TRAP,
    EMU_DO_TOGETHER, /* warp-synchronous: first wait for the named lanes */
};

/* op.flags. The low bits say how a float result is finished. */
enum {
    EMU_FTZ = 1,
    EMU_SAT = 2,
    EMU_RELU = 4,
    EMU_NAN = 8,      /* min.NaN, max.NaN */
    EMU_XORSIGN = 16, /* min.xorsign.abs */
    EMU_ABS = 32,
    EMU_HIDDEN = 64,     /* not a PTX instruction of its own: not counted */
    EMU_WIDE_BASE = 128, /* address register has 64 bits */
    EMU_SIGNED = 256,
    EMU_WIDE = 512, /* destination or data slots have 64 bits */
};

/* op.x, op.y of cvt_pair besides enum ptx_type: eight-bit floats. */
enum { EMU_E4M3 = 240, EMU_E5M2 };

enum emu_rounding { EMU_RN, EMU_RZ, EMU_RM, EMU_RP, EMU_RNA };

struct emu_op {
    emu_handler run;
    uint64_t immediate;   /* address offset, lop3 table, ... */
    const uint32_t *list; /* further operand offsets */
    uint32_t guard;       /* predicate slot; always there */
    uint32_t d, a, b, c, e;
    uint32_t target; /* of EMU_DO_TOGETHER: slot of the member mask */
    uint32_t rank;   /* order of fragments; distinct, ascending with layout */
    uint16_t flags;
    int8_t flip; /* -1: guard negated, else 0 */
    uint8_t control;
    uint8_t x, y, z, n; /* modifiers; meaning belongs to the handler */
};

_Static_assert(sizeof(struct emu_op) == 64, "one operation, one cache line");

/* Where slots of the frame get their value when a frame is made. */
struct emu_fill {
    uint32_t offset;
    uint8_t wide;    /* 64-bit slot */
    uint8_t special; /* enum emu_special */
    uint32_t value;  /* of EMU_SPECIAL_LOCAL: offset in the frame's locals */
};

/* A function, decoded. */
struct emu_code {
    const struct ptx_function *function;
    struct emu_op *op;
    uint16_t *handler;                     /* id per op, handlers.h */
    const struct ptx_instruction **source; /* per op */
    uint32_t op_count;
    uint32_t *list;
    struct emu_fill *fill;
    uint32_t fill_count;
    uint32_t *blank; /* slots of registers that may be read unset: zeroed */
    uint32_t blank_count;
    unsigned char *image; /* first image_bytes of a new frame: constants */
    uint32_t image_bytes;
    uint32_t frame_bytes;
    uint32_t local_bytes; /* of this function alone, per thread */
    int recursive;
};

#endif
