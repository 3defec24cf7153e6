/* sass.h -- what the machine code of a kernel is made of.
**
** Volta and later: an instruction is 16 bytes; its opcode is the low 12 bits,
** of which the low 9 name the operation and the upper 3 the operand form
** (register, constant, immediate, uniform register). The table of names was
** made by comparing opcodes with NVIDIA's disassembler on kernels for sm_80,
** 86, 89, 90a, 100a and 120a; an operation that is not in it is called by its
** number.
**
** Loops are natural loops (flow.h). The main loop is the one with the most MMA
** instructions, the shortest of them where several have as many: the body of
** the K loop rather than the persistent loop around it.
*/
#ifndef GEN_HOST_SASS_H
#define GEN_HOST_SASS_H

#include <stddef.h>

#include "runtime/base/error.h"

#define GEN_SASS_BYTES 16

struct gen_sass_opcode {
    char name[16]; /* "IMAD", "0x1f7" */
    size_t count;
};

struct gen_sass_loop {
    size_t first, last;  /* header, and the furthest branch back to it */
    size_t instructions; /* of the loop, not counting what is out of line */
    size_t mma;          /* of these */
};

struct gen_sass {
    size_t instructions; /* without the padding at the end */
    size_t mma;
    size_t opcode_count;
    struct gen_sass_opcode *opcodes; /* most frequent first, then by name */
    size_t loop_count;
    struct gen_sass_loop *loops;           /* by `first` */
    const struct gen_sass_loop *main_loop; /* NULL without a loop */
};

/* `sm` is 80, 90, ...: where a branch keeps its distance changed at 90. */
int gen_sass_inspect(const void *code, size_t size, int sm,
                     struct gen_sass *out, struct tsr_error *err);
void gen_sass_release(struct gen_sass *sass);

#endif
