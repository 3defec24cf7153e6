/* ordering.c -- must blocks of a kernel run one after the other?
**
** A result can depend on the order of blocks only where a block learns
** something from another: the old value of an atomic, a strong load, or the
** rounding of floating-point sums. Such kernels run on one thread, in an order
** that the seed decides; all others may use every core.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazards.h"

static int is_shared(const struct ptx_instruction *in)
{
    return ptx_has(in, "shared") || ptx_has(in, "shared::cta");
}

static int is_root(const struct ptx_instruction *in, const char *root)
{
    return strcmp(in->root, root) == 0;
}

static int has_float_type(const struct ptx_instruction *in)
{
    for (int i = 0; i < in->modifier_count; i++) {
        enum ptx_type type = ptx_type_find(in->modifier[i]);
        if (type != PTX_VOID && ptx_type_class(type) == 'f')
            return 1;
    }
    return 0;
}

static int is_strong_load(const struct ptx_instruction *in)
{
    return is_root(in, "ld") && !is_shared(in) &&
           (ptx_has(in, "volatile") || ptx_has(in, "relaxed") ||
            ptx_has(in, "acquire") || ptx_has(in, "mmio"));
}

static void mark_operand(const struct ptx_operand *operand, char *used)
{
    if (operand->kind == PTX_OPERAND_REGISTER)
        used[operand->reg] = 1;
    for (int i = 0; i < operand->count; i++)
        mark_operand(&operand->element[i], used);
}

/* Registers that anything reads. The first operand is a destination, except
** where nothing is written (stores, reductions, branches): those are marked
** whole, which errs on the safe side. */
static void mark_uses(const struct ptx_function *function, char *used)
{
    for (int i = 0; i < function->instruction_count; i++) {
        const struct ptx_instruction *in = &function->instructions[i];
        int writes =
            !(is_root(in, "st") || is_root(in, "red") || is_root(in, "call") ||
              is_root(in, "bar") || is_root(in, "barrier") ||
              is_root(in, "cp") || is_root(in, "brx"));
        for (int j = 0; j < in->operand_count; j++) {
            const struct ptx_operand *operand = &in->operand[j];
            if (j == 0 && writes && operand->kind != PTX_OPERAND_ADDRESS)
                continue;
            mark_operand(operand, used);
        }
    }
}

static int result_is_used(const struct ptx_instruction *in, const char *used)
{
    if (in->operand_count == 0)
        return 0;
    const struct ptx_operand *result = &in->operand[0];
    if (result->kind == PTX_OPERAND_REGISTER)
        return used[result->reg];
    return result->kind != PTX_OPERAND_SINK;
}

static int is_ordering(const struct ptx_instruction *in, const char *used)
{
    if (is_strong_load(in))
        return 1;
    if ((!is_root(in, "atom") && !is_root(in, "red")) || is_shared(in))
        return 0;
    if (has_float_type(in) || ptx_has(in, "exch") || ptx_has(in, "cas"))
        return 1;
    return is_root(in, "atom") && result_is_used(in, used);
}

int emu_hazard_needs_order(const struct ptx_function *function)
{
    char *used = tsr__calloc((size_t)function->register_count + 1, 1);
    int ordered = 0;
    if (!used)
        return 1;
    mark_uses(function, used);
    for (int i = 0; i < function->instruction_count && !ordered; i++)
        ordered = is_ordering(&function->instructions[i], used);
    tsr__free(used);
    return ordered;
}
