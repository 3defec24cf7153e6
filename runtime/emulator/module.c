/* module.c -- from PTX text to kernels that can be launched. */
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/decode.h"
#include "runtime/emulator/kernel.h"
#include "runtime/emulator/memory_map.h"

/* -- variables -------------------------------------------------------------------------- */

/* All variables of a module: file scope first, then those of each body. */
static size_t count_variables(const struct ptx_module *ptx)
{
    size_t count = (size_t)ptx->variable_count;
    for (int f = 0; f < ptx->function_count; f++)
        count += (size_t)ptx->functions[f].variable_count;
    return count;
}

static int place_global(struct emu_module *module,
                        const struct ptx_variable *v, uint64_t *address,
                        struct tsr_error *err)
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

/* Static shared variables one after the other; dynamic ones, of no size, all
** begin after them. */
static int place_shared(struct emu_module *module,
                        const struct ptx_variable *v, uint64_t *address,
                        struct tsr_error *err)
{
    uint64_t align = v->align ? v->align : 1;
    uint64_t at = (module->shared_static + align - 1) & ~(align - 1);
    if (v->bytes > UINT32_MAX / 2 || at + v->bytes > UINT32_MAX / 2)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "%s:%d: shared variable %s is too large", module->name,
                        v->line, v->name);
    *address = at;
    module->shared_static = (uint32_t)(at + v->bytes);
    return 0;
}

static int place_one(struct emu_module *module, const struct ptx_variable *v,
                     int dynamic, struct tsr_error *err)
{
    struct emu_placed *placed = &module->placed[module->placed_count];
    int rc;
    if (v->space == PTX_SPACE_SHARED) {
        if ((v->bytes == 0 && v->is_extern) != dynamic)
            return 0;
        rc = place_shared(module, v, &placed->address, err);
    } else {
        if (dynamic ||
            (v->space != PTX_SPACE_GLOBAL && v->space != PTX_SPACE_CONST))
            return 0;
        if (v->is_extern)
            return TSR_FAIL(err, TSR_EUNSUPPORTED,
                            "%s:%d: variable %s is defined in another module",
                            module->name, v->line, v->name);
        rc = place_global(module, v, &placed->address, err);
    }
    if (rc)
        return rc;
    placed->variable = v;
    module->placed_count++;
    return 0;
}

static int place_variables(struct emu_module *module, struct tsr_error *err)
{
    const struct ptx_module *ptx = module->ptx;
    int rc;
    module->placed =
        tsr__calloc(count_variables(ptx) + 1, sizeof *module->placed);
    if (!module->placed)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        for (int i = 0; i < ptx->variable_count; i++)
            if ((rc = place_one(module, ptx->variables[i], dynamic, err)))
                return rc;
        for (int f = 0; f < ptx->function_count; f++)
            for (int i = 0; i < ptx->functions[f].variable_count; i++)
                if ((rc = place_one(module, ptx->functions[f].variables[i],
                                    dynamic, err)))
                    return rc;
    }
    return 0;
}

int emu_module_place(const struct emu_module *module,
                     const struct ptx_variable *variable, uint64_t *address)
{
    for (size_t i = 0; i < module->placed_count; i++) {
        if (module->placed[i].variable == variable) {
            *address = module->placed[i].address;
            return 0;
        }
    }
    return -1;
}

/* Shared variables for messages. A dynamic array ends where the launch says.
 */
static int list_windows(struct emu_module *module, struct tsr_error *err)
{
    module->window =
        tsr__calloc(module->placed_count + 1, sizeof *module->window);
    if (!module->window)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct emu_placed *placed = &module->placed[i];
        if (placed->variable->space != PTX_SPACE_SHARED)
            continue;
        module->window[module->window_count++] = (struct emu_window_variable){
            .name = placed->variable->name,
            .space = PTX_SPACE_SHARED,
            .offset = placed->address,
            .bytes = placed->variable->bytes,
        };
    }
    return 0;
}

/* -- stack ------------------------------------------------------------------------------- */

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

/* -- kernels ------------------------------------------------------------------------------ */

static int describe_parameters(struct emu_kernel *kernel,
                               struct tsr_error *err)
{
    const struct ptx_function *f = kernel->function;
    uint64_t total;
    kernel->parameter = tsr__calloc((size_t)f->parameter_count + 1,
                                    sizeof *kernel->parameter);
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

/* A module's functions share its shared variables; one that a kernel does not
** use still counts, as it may be reached through a call. */
static int make_kernel(struct emu_module *module, uint32_t index,
                       struct tsr_error *err)
{
    struct emu_kernel *kernel = &module->kernel[module->kernel_count];
    int rc;
    kernel->module = module;
    kernel->function = &module->ptx->functions[index];
    kernel->code = index;
    kernel->shared_static = module->shared_static;
    for (size_t i = 0; i < module->window_count; i++)
        kernel->uses_dynamic |= module->window[i].bytes == 0;
    for (int f = 0; f < module->ptx->function_count; f++)
        if ((uint32_t)f == index || !module->ptx->functions[f].is_entry)
            kernel->ordered |=
                emu_hazard_needs_order(&module->ptx->functions[f]);
    module->kernel_count++;
    if ((rc = describe_parameters(kernel, err)))
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
        (rc = place_variables(module, err)) ||
        (rc = list_windows(module, err)) || (rc = decode_all(module, err)))
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
    for (size_t i = 0; i < module->kernel_count; i++)
        tsr__free(module->kernel[i].parameter);
    for (size_t i = 0; i < module->placed_count; i++)
        if (module->placed[i].variable->space != PTX_SPACE_SHARED)
            emu_memory_release(module->memory, module->placed[i].address,
                               NULL);
    tsr__free(module->code);
    tsr__free(module->kernel);
    tsr__free(module->placed);
    tsr__free(module->window);
    tsr__free(module->name);
    ptx_module_free(module->ptx);
    tsr__free(module);
}

/* -- looking in ------------------------------------------------------------------------------
 */

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

int emu_module_variable(const struct emu_module *module, const char *name,
                        uint64_t *address, size_t *bytes,
                        struct tsr_error *err)
{
    for (size_t i = 0; i < module->placed_count; i++) {
        const struct emu_placed *placed = &module->placed[i];
        if (placed->variable->space == PTX_SPACE_SHARED ||
            strcmp(placed->variable->name, name) != 0)
            continue;
        *address = placed->address;
        *bytes = placed->variable->bytes;
        return 0;
    }
    return TSR_FAIL(err, TSR_ENOTFOUND, "%s has no global variable %s",
                    module->name, name);
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
