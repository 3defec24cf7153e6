/* module.c -- from PTX text to kernels that can be launched. */
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/decode.h"
#include "runtime/emulator/kernel.h"
#include "runtime/emulator/memory_map.h"
#include "runtime/emulator/warp.h"

/* -- variables ------------------------------------------------------------ */

/* All variables of a module: file scope first, then those of each body. */
static size_t count_variables(const struct ptx_module *ptx)
{
    size_t count = (size_t)ptx->variable_count;
    for (int f = 0; f < ptx->function_count; f++)
        count += (size_t)ptx->functions[f].variable_count;
    return count;
}

static int place_global(struct emu_module *module, const struct ptx_variable *v,
                        uint64_t *address, struct tsr_error *err)
{
    int rc = emu_memory_alloc(module->memory, v->bytes, v->name, address, err);
    if (rc)
        return rc;
    void *host = (void *)(uintptr_t)*address;
    if (v->image)
        memcpy(host, v->image, v->bytes);
    else
        memset(host, 0, v->bytes);
    if (v->space == PTX_SPACE_CONST)
        rc = emu_memory_set_read_only(module->memory, *address, 1, err);
    return rc;
}

/* Shared memory of a block:
**
**     │ file scope, bodies of .func │ body of the entry │ dynamic ...
**
** Entries never run in one block, so their bodies begin at the same place. An
** array without a size is the dynamic part. Its address is baked into the
** code, so it is the entry's own end, unless a .func could want it too: then
** it is the furthest end of all. */
static int place_shared(struct emu_module *module, const struct ptx_variable *v,
                        uint64_t *at, uint64_t *address, struct tsr_error *err)
{
    uint64_t align = v->align ? v->align : 1;
    uint64_t here = (*at + align - 1) & ~(align - 1);
    if (v->bytes > UINT32_MAX / 4 || here + v->bytes > UINT32_MAX / 4)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "%s:%d: shared variable %s is too large", module->name,
                        v->line, v->name);
    *address = here;
    *at = here + v->bytes;
    return 0;
}

static int place_one(struct emu_module *module, const struct ptx_variable *v,
                     int owner, uint64_t *shared, struct tsr_error *err)
{
    struct emu_placed *placed = &module->placed[module->placed_count];
    int rc = 0;
    *placed = (struct emu_placed){.variable = v, .owner = owner};
    if (v->space == PTX_SPACE_SHARED && v->bytes == 0)
        placed->dynamic = 1;
    else if (v->space == PTX_SPACE_SHARED)
        rc = place_shared(module, v, shared, &placed->address, err);
    else if (v->space != PTX_SPACE_GLOBAL && v->space != PTX_SPACE_CONST)
        return 0;
    else if (v->is_extern)
        rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                      "%s:%d: variable %s is defined in another module",
                      module->name, v->line, v->name);
    else
        rc = place_global(module, v, &placed->address, err);
    module->placed_count += rc == 0;
    return rc;
}

static int place_body(struct emu_module *module, int f, uint64_t *shared,
                      struct tsr_error *err)
{
    const struct ptx_function *function = &module->ptx->functions[f];
    for (int i = 0; i < function->variable_count; i++) {
        int rc = place_one(module, function->variables[i], f, shared, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int place_variables(struct emu_module *module, struct tsr_error *err)
{
    const struct ptx_module *ptx = module->ptx;
    size_t functions = (size_t)ptx->function_count;
    uint64_t common = 0, furthest;
    int rc, any_func = 0;
    module->placed =
        tsr__calloc(count_variables(ptx) + 1, sizeof *module->placed);
    module->shared_end = tsr__calloc(functions + 1, sizeof *module->shared_end);
    if (!module->placed || !module->shared_end)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (int i = 0; i < ptx->variable_count; i++)
        if ((rc = place_one(module, ptx->variables[i], -1, &common, err)))
            return rc;
    for (int f = 0; f < ptx->function_count; f++) {
        any_func |=
            !ptx->functions[f].is_entry && !ptx->functions[f].is_declaration;
        if (!ptx->functions[f].is_entry &&
            (rc = place_body(module, f, &common, err)))
            return rc;
    }
    furthest = common;
    for (int f = 0; f < ptx->function_count; f++) {
        uint64_t end = common;
        if (ptx->functions[f].is_entry &&
            (rc = place_body(module, f, &end, err)))
            return rc;
        module->shared_end[f] = end;
        furthest = end > furthest ? end : furthest;
    }
    for (int f = 0; any_func && f < ptx->function_count; f++)
        module->shared_end[f] = furthest;
    return 0;
}

/* The address that an initialiser names. */
static int relocated(const struct emu_module *module,
                     const struct ptx_variable *v,
                     const struct ptx_relocation *r, uint64_t *value,
                     struct tsr_error *err)
{
    if (!r->variable || emu_module_place(module, r->variable, value))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "%s:%d: the initialiser of %s names %s, which has no "
                        "address here",
                        module->name, v->line, v->name,
                        r->name ? r->name : "a function");
    if (r->generic && r->variable->space == PTX_SPACE_SHARED)
        *value += EMU_WINDOW_SHARED;
    *value = (*value + (uint64_t)r->addend) >> r->shift;
    return 0;
}

static int relocate(struct emu_module *module, struct tsr_error *err)
{
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct emu_placed *placed = &module->placed[i];
        const struct ptx_variable *v = placed->variable;
        for (int k = 0; k < v->relocation_count; k++) {
            const struct ptx_relocation *r = &v->relocation[k];
            uint64_t value;
            int rc = relocated(module, v, r, &value, err);
            if (rc)
                return rc;
            /* The host is little-endian, as the guest is. */
            memcpy((unsigned char *)(uintptr_t)placed->address + r->offset,
                   &value, (size_t)r->bytes);
        }
    }
    return 0;
}

static uint64_t dynamic_address(const struct emu_module *module,
                                const struct ptx_variable *v)
{
    uint64_t align = v->align ? v->align : 1;
    /* All dynamic arrays begin at one place, so at the strictest alignment. */
    for (size_t i = 0; i < module->placed_count; i++)
        if (module->placed[i].dynamic &&
            module->placed[i].variable->align > align)
            align = module->placed[i].variable->align;
    return (module->shared_end[module->decoding] + align - 1) & ~(align - 1);
}

int emu_module_place(const struct emu_module *module,
                     const struct ptx_variable *variable, uint64_t *address)
{
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct emu_placed *placed = &module->placed[i];
        if (placed->variable != variable)
            continue;
        *address = placed->dynamic ? dynamic_address(module, variable)
                                   : placed->address;
        return 0;
    }
    return -1;
}

/* Shared variables that blocks of the kernel have, for messages. Needs
** module->decoding. */
static int list_windows(struct emu_kernel *kernel, struct tsr_error *err)
{
    const struct emu_module *module = kernel->module;
    kernel->window =
        tsr__calloc(module->placed_count + 1, sizeof *kernel->window);
    if (!kernel->window)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    kernel->shared_static = (uint32_t)module->shared_end[kernel->code];
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct emu_placed *placed = &module->placed[i];
        const struct ptx_variable *v = placed->variable;
        int other = placed->owner >= 0 &&
                    (uint32_t)placed->owner != kernel->code &&
                    module->ptx->functions[placed->owner].is_entry;
        uint64_t address;
        if (v->space != PTX_SPACE_SHARED || other ||
            emu_module_place(module, v, &address))
            continue;
        if (placed->dynamic) {
            kernel->uses_dynamic = 1;
            kernel->shared_static = (uint32_t)address;
        }
        kernel->window[kernel->window_count++] = (struct emu_window_variable){
            .name = v->name,
            .space = PTX_SPACE_SHARED,
            .offset = address,
            .bytes = v->bytes,
        };
    }
    return 0;
}

/* -- stack ---------------------------------------------------------------- */

/* Deepest chain of calls from function `f`; a recursion counts as -1. */
struct depth {
    const struct emu_module *module;
    unsigned char *state; /* 0 new, 1 on the way, 2 done */
    uint64_t *bytes;
    int recursive;
};

#define RECURSION_BYTES (64 * 1024)

static uint64_t stack_of(struct depth *d, uint32_t f, uint32_t nesting)
{
    const struct emu_code *code = &d->module->code[f];
    uint64_t deepest = 0;
    if (d->state[f] == 2)
        return d->bytes[f];
    if (d->state[f] == 1 || nesting > 256) {
        d->recursive = 1;
        return 0;
    }
    d->state[f] = 1;
    for (uint32_t i = 0; i < code->op_count; i++) {
        if (code->op[i].control != EMU_DO_CALL)
            continue;
        uint64_t inner = stack_of(d, code->op[i].target, nesting + 1);
        deepest = inner > deepest ? inner : deepest;
    }
    d->state[f] = 2;
    d->bytes[f] = code->local_bytes + deepest;
    return d->bytes[f];
}

static int measure_stack(struct emu_kernel *kernel, struct tsr_error *err)
{
    const struct emu_module *module = kernel->module;
    size_t count = (size_t)module->ptx->function_count;
    struct depth d = {.module = module,
                      .state = tsr__calloc(count + 1, 1),
                      .bytes = tsr__calloc(count + 1, sizeof *d.bytes)};
    int rc = 0;
    if (!d.state || !d.bytes) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        goto done;
    }
    uint64_t bytes = stack_of(&d, kernel->code, 0);
    if (d.recursive)
        bytes += RECURSION_BYTES;
    if (bytes > EMU_LOCAL_LIMIT)
        rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                      "%s: %s needs more than %d bytes of stack per thread",
                      module->name, kernel->function->name, EMU_LOCAL_LIMIT);
    kernel->local_bytes = (uint32_t)bytes;
done:
    tsr__free(d.state);
    tsr__free(d.bytes);
    return rc;
}

/* -- kernels -------------------------------------------------------------- */

static int describe_parameters(struct emu_kernel *kernel, struct tsr_error *err)
{
    const struct ptx_function *f = kernel->function;
    uint64_t total;
    kernel->parameter =
        tsr__calloc((size_t)f->parameter_count + 1, sizeof *kernel->parameter);
    if (!kernel->parameter)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (int i = 0; i < f->parameter_count; i++) {
        const struct ptx_variable *v = &f->parameters[i];
        kernel->parameter[i] = (struct emu_parameter){
            .name = v->name,
            .type = v->type,
            .offset = (size_t)emu_argument_offset(f, v, NULL),
            .bytes = v->bytes,
        };
    }
    emu_argument_offset(f, NULL, &total);
    kernel->parameter_count = (size_t)f->parameter_count;
    kernel->argument_bytes = (size_t)total;
    return 0;
}

/* What is printed comes in the order of blocks. */
static int prints(const struct emu_code *code)
{
    for (uint32_t i = 0; i < code->op_count; i++)
        if (code->handler[i] == EMU_H_print)
            return 1;
    return 0;
}

static int make_kernel(struct emu_module *module, uint32_t index,
                       struct tsr_error *err)
{
    struct emu_kernel *kernel = &module->kernel[module->kernel_count];
    int rc;
    kernel->module = module;
    kernel->function = &module->ptx->functions[index];
    kernel->code = index;
    for (int f = 0; f < module->ptx->function_count; f++)
        if ((uint32_t)f == index || !module->ptx->functions[f].is_entry)
            kernel->ordered |=
                emu_hazard_needs_order(&module->ptx->functions[f]) ||
                prints(&module->code[f]);
    module->kernel_count++;
    module->decoding = index;
    if ((rc = list_windows(kernel, err)) ||
        (rc = describe_parameters(kernel, err)))
        return rc;
    return measure_stack(kernel, err);
}

static void resolve_handlers(struct emu_code *code, enum emu_isa isa)
{
    for (uint32_t i = 0; i < code->op_count; i++)
        code->op[i].run =
            emu_handler_find((enum emu_handler_id)code->handler[i], isa);
}

static int decode_all(struct emu_module *module, struct tsr_error *err)
{
    const struct ptx_module *ptx = module->ptx;
    size_t count = (size_t)ptx->function_count;
    int rc;
    module->code = tsr__calloc(count + 1, sizeof *module->code);
    module->kernel = tsr__calloc(count + 1, sizeof *module->kernel);
    if (!module->code || !module->kernel)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    module->isa = emu_isa_best();
    for (uint32_t f = 0; f < count; f++) {
        if (ptx->functions[f].is_declaration)
            continue;
        module->decoding = f;
        if ((rc = emu_decode_function(module, f, err)))
            return rc;
        resolve_handlers(&module->code[f], module->isa);
    }
    for (uint32_t f = 0; f < count; f++)
        if (ptx->functions[f].is_entry && !ptx->functions[f].is_declaration &&
            (rc = make_kernel(module, f, err)))
            return rc;
    return 0;
}

int emu_module_load(struct emu_module **out, struct emu_memory *memory,
                    const char *text, size_t size, const char *name,
                    struct tsr_error *err)
{
    struct emu_module *module = tsr__calloc(1, sizeof *module);
    int rc;
    if (!module)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    module->memory = memory;
    module->name = tsr__strdup(name ? name : "ptx");
    if (!module->name) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        goto done;
    }
    if ((rc = ptx_module_parse(&module->ptx, text, size, module->name, err)) ||
        (rc = place_variables(module, err)) || (rc = relocate(module, err)) ||
        (rc = decode_all(module, err)))
        goto done;
    *out = module;
    return 0;
done:
    emu_module_free(module);
    return rc;
}

void emu_module_free(struct emu_module *module)
{
    if (!module)
        return;
    for (int f = 0; module->code && f < module->ptx->function_count; f++)
        emu_code_release(&module->code[f]);
    for (size_t i = 0; i < module->kernel_count; i++) {
        tsr__free(module->kernel[i].parameter);
        tsr__free(module->kernel[i].window);
    }
    for (size_t i = 0; i < module->placed_count; i++)
        if (module->placed[i].variable->space != PTX_SPACE_SHARED)
            emu_memory_release(module->memory, module->placed[i].address, NULL);
    tsr__free(module->code);
    tsr__free(module->kernel);
    tsr__free(module->placed);
    tsr__free(module->shared_end);
    tsr__free(module->name);
    ptx_module_free(module->ptx);
    tsr__free(module);
}

/* -- looking in ----------------------------------------------------------- */

const struct emu_kernel *emu_module_entry(const struct emu_module *module,
                                          size_t index)
{
    return index < module->kernel_count ? &module->kernel[index] : NULL;
}

const struct emu_kernel *emu_module_kernel(const struct emu_module *module,
                                           const char *name)
{
    if (!name)
        return module->kernel_count == 1 ? &module->kernel[0] : NULL;
    for (size_t i = 0; i < module->kernel_count; i++)
        if (strcmp(module->kernel[i].function->name, name) == 0)
            return &module->kernel[i];
    return NULL;
}

const struct ptx_module *emu_module_ptx(const struct emu_module *module)
{
    return module->ptx;
}

void emu_kernel_info(const struct emu_kernel *kernel,
                     struct emu_kernel_info *out)
{
    const struct ptx_function *f = kernel->function;
    const struct emu_code *code = &kernel->module->code[kernel->code];
    uint32_t threads = 1;
    for (int i = 0; i < 3; i++)
        threads *= f->max_ntid[i] > 0 ? (uint32_t)f->max_ntid[i] : 1;
    *out = (struct emu_kernel_info){
        .name = f->name,
        .parameters = kernel->parameter,
        .parameter_count = kernel->parameter_count,
        .argument_bytes = kernel->argument_bytes,
        .shared_static = kernel->shared_static,
        .uses_dynamic = kernel->uses_dynamic,
        .local_bytes = kernel->local_bytes,
        .frame_bytes = code->frame_bytes,
        .max_threads = f->max_ntid[0] > 0 ? threads : 0,
        .ordered = kernel->ordered,
        .operations = (int)code->op_count,
    };
}
