/* hazards.c -- life of the hazard module, and its findings. */
#include "runtime/emulator/hazards.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

/* -- findings ------------------------------------------------------------- */

static void fill_place(const struct emu_hazard_block *block,
                       struct emu_finding *finding,
                       const struct ptx_instruction *instruction)
{
    finding->instruction = instruction;
    finding->block = block->linear;
    memcpy(finding->block_id, block->ctaid, sizeof finding->block_id);
    if (!instruction)
        return;
    finding->ptx_line = instruction->line;
    if (instruction->loc_file) {
        finding->file = ptx_module_file(block->worker->owner->setup.module,
                                        instruction->loc_file);
        finding->line = instruction->loc_line;
    }
}

static void add_finding(struct emu_hazard_block *block,
                        enum emu_finding_kind kind,
                        const struct ptx_instruction *instruction,
                        uint32_t warp, uint32_t lanes, uint64_t address,
                        const char *fmt, va_list args)
{
    struct emu_finding finding = {.kind = kind,
                                  .warp = warp,
                                  .lanes = lanes,
                                  .address = address,
                                  .sequence = block->sequence++};
    fill_place(block, &finding, instruction);
    emu_findings_addv(&block->worker->findings, &finding, fmt, args);
}

void emu_hazard_find(struct emu_hazard_block *block, enum emu_finding_kind kind,
                     const struct emu_access *access, uint32_t lanes,
                     uint64_t address, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_finding(block, kind, access->instruction, access->warp, lanes, address,
                fmt, args);
    va_end(args);
}

void emu_hazard_report(struct emu_hazard_block *block,
                       enum emu_finding_kind kind,
                       const struct ptx_instruction *instruction, uint32_t warp,
                       uint32_t lanes, uint64_t address, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_finding(block, kind, instruction, warp, lanes, address, fmt, args);
    va_end(args);
}

const char *emu_hazard_place(const struct emu_hazard_block *block,
                             enum ptx_space space, uint64_t offset, char *text,
                             size_t size)
{
    static const char *const spaces[] = {"global", "const", "shared", "local",
                                         "param"};
    const struct emu_hazard_setup *setup = &block->worker->owner->setup;
    for (size_t i = 0; i < setup->variable_count; i++) {
        const struct emu_window_variable *v = &setup->variables[i];
        if (v->space != space || offset < v->offset ||
            offset - v->offset >= v->bytes)
            continue;
        snprintf(text, size, "'%s'+%llu", v->name,
                 (unsigned long long)(offset - v->offset));
        return text;
    }
    snprintf(text, size, "%s offset %llu", spaces[space],
             (unsigned long long)offset);
    return text;
}

/* -- notes that the code alone gives -------------------------------------- */

static int is_float_type(const char *word)
{
    enum ptx_type type = ptx_type_find(word);
    return type != PTX_VOID && ptx_type_class(type) == 'f';
}

/* add.f32 and the like without a rounding mode: ptxas may fuse it. */
static int may_contract(const struct ptx_instruction *in)
{
    static const char *const roots[] = {"add", "sub", "mul"};
    static const char *const modes[] = {"rn", "rz", "rm", "rp", "rna"};
    int found = 0;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        found |= strcmp(in->root, roots[i]) == 0;
    if (!found || in->modifier_count == 0 ||
        !is_float_type(in->modifier[in->modifier_count - 1]))
        return 0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (ptx_has(in, modes[i]))
            return 0;
    return 1;
}

static void note_code(struct emu_hazard_block *block)
{
    const struct emu_hazard_setup *setup = &block->worker->owner->setup;
    const struct ptx_function *f = setup->function;
    for (int i = 0; setup->contraction_notes && i < f->instruction_count; i++) {
        const struct ptx_instruction *in = &f->instructions[i];
        if (may_contract(in))
            emu_hazard_report(block, EMU_CONTRACTION, in, 0, 0, 0,
                              "%s has no rounding mode, so ptxas may fuse it "
                              "into an fma; compile with --fmad=false or "
                              "write .rn",
                              in->opcode);
    }
    if (setup->contraction_notes && f->irregular)
        emu_hazard_report(block, EMU_IRREGULAR, NULL, 0, 0, 0,
                          "'%s' has %d loops with several entries; warps that "
                          "diverge in them may reconverge late",
                          f->name, f->irregular);
}

/* -- launches ------------------------------------------------------------- */

int emu_hazards_open(struct emu_hazards **out,
                     const struct emu_hazard_setup *setup,
                     struct tsr_error *err)
{
    struct emu_hazards *hazards = tsr__calloc(1, sizeof *hazards);
    if (!hazards)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory for the hazard checks");
    hazards->setup = *setup;
    hazards->warps = (setup->block_threads + 31) / 32;
    if (hazards->warps > HAZARD_WARPS)
        hazards->warps = HAZARD_WARPS;
    if (setup->checks)
        hazards->shared_shift = emu_hazard_granule_shift(setup->module);
    *out = hazards;
    return 0;
}

int emu_hazards_add_worker(struct emu_hazards *hazards,
                           struct emu_hazard_worker **out,
                           struct tsr_error *err)
{
    struct emu_hazard_worker *worker = tsr__calloc(1, sizeof *worker);
    if (!worker)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory for the hazard checks");
    worker->owner = hazards;
    struct emu_hazard_worker **end = &hazards->workers;
    while (*end)
        end = &(*end)->next;
    *end = worker;
    *out = worker;
    return 0;
}

int emu_hazards_finish(struct emu_hazards *hazards,
                       struct emu_findings *findings, struct tsr_error *err)
{
    if (hazards->setup.checks)
        emu_hazard_conflicts_finish(hazards);
    for (struct emu_hazard_worker *w = hazards->workers; w; w = w->next) {
        findings->failed |= w->shadow.failed;
        emu_findings_merge(findings, &w->findings);
    }
    if (findings->failed)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory for the hazard checks; run smaller or "
                        "without checks");
    return 0;
}

static void free_worker(struct emu_hazard_worker *worker)
{
    struct emu_hazard_block *block = worker->all;
    while (block) {
        struct emu_hazard_block *next = block->next_all;
        emu_hazard_races_release(&block->races);
        tsr__free(block->acquired);
        tsr__free(block->local);
        tsr__free(block);
        block = next;
    }
    emu_hazard_shadow_release(&worker->shadow);
    emu_findings_release(&worker->findings);
    tsr__free(worker);
}

void emu_hazards_free(struct emu_hazards *hazards)
{
    if (!hazards)
        return;
    struct emu_hazard_worker *worker = hazards->workers;
    while (worker) {
        struct emu_hazard_worker *next = worker->next;
        free_worker(worker);
        worker = next;
    }
    tsr__free(hazards);
}

/* -- blocks --------------------------------------------------------------- */

static struct emu_hazard_block *take_block(struct emu_hazard_worker *worker)
{
    struct emu_hazard_block *block = worker->free;
    if (block) {
        worker->free = block->next;
        return block;
    }
    block = tsr__calloc(1, sizeof *block);
    if (block) {
        block->worker = worker;
        block->next_all = worker->all;
        worker->all = block;
    }
    return block;
}

int emu_hazard_block_begin(struct emu_hazard_worker *worker, uint64_t linear,
                           const uint32_t ctaid[3],
                           struct emu_hazard_block **out, struct tsr_error *err)
{
    const struct emu_hazards *owner = worker->owner;
    struct emu_hazard_block *block = take_block(worker);
    if (!block)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory for the hazard checks");
    block->linear = linear;
    memcpy(block->ctaid, ctaid, sizeof block->ctaid);
    block->sequence = 0;
    if (owner->setup.checks) {
        emu_hazard_handshakes_begin(block);
        if (block->local)
            memset(block->local, 0, block->local_words * sizeof(uint32_t));
        if (emu_hazard_races_begin(&block->races, owner->setup.shared_bytes,
                                   owner->shared_shift, owner->warps)) {
            emu_hazard_block_end(block);
            return TSR_FAIL(err, TSR_EMEMORY,
                            "out of memory for the hazard checks");
        }
        if (linear == 0)
            note_code(block);
    }
    *out = block;
    return 0;
}

void emu_hazard_block_end(struct emu_hazard_block *block)
{
    block->next = block->worker->free;
    block->worker->free = block;
}
