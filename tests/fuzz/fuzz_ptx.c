/* fuzz_ptx.c -- any text as a PTX module: parsed, ranked, walked, freed; then
** decoded for the emulator. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/emulator/counts.h"
#include "runtime/emulator/emulator.h"
#include "runtime/emulator/hazards.h"
#include "runtime/emulator/ptx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_operand(const struct ptx_function *f,
                          const struct ptx_operand *operand)
{
    if (operand->kind == PTX_OPERAND_REGISTER)
        require(operand->reg >= 0 && operand->reg < f->register_count);
    if (operand->kind == PTX_OPERAND_LABEL)
        require(operand->target >= -1 &&
                operand->target <= f->instruction_count);
    for (int i = 0; i < operand->count; i++)
        check_operand(f, &operand->element[i]);
}

/* Every index is in range, every rank is there once. */
static void check_function(const struct ptx_function *f)
{
    char *seen = calloc((size_t)f->instruction_count + 1, 1);
    require(seen != NULL);
    for (int i = 0; i < f->instruction_count; i++) {
        const struct ptx_instruction *in = &f->instructions[i];
        require(in->guard >= -1 && in->guard < f->register_count);
        require(in->rank >= 0 && in->rank < f->instruction_count);
        require(!seen[in->rank]);
        seen[in->rank] = 1;
        require(emu_class_of(in) < EMU_CLASSES);
        for (int j = 0; j < in->operand_count; j++)
            check_operand(f, &in->operand[j]);
    }
    free(seen);
    emu_hazard_needs_order(f);
}

static void decode(const uint8_t *data, size_t size)
{
    struct emu_memory *memory;
    struct emu_module *module;
    struct tsr_error err;
    if (emu_memory_create(&memory, &err))
        return;
    if (emu_module_load(&module, memory, (const char *)data, size, "fuzz.ptx",
                        &err) == 0)
        emu_module_free(module);
    emu_memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ptx_module *module;
    if (ptx_module_parse(&module, (const char *)data, size, "fuzz.ptx", NULL))
        return 0;
    for (int i = 0; i < module->function_count; i++)
        check_function(&module->functions[i]);
    ptx_module_free(module);
    decode(data, size);
    return 0;
}
