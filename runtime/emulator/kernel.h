/* kernel.h -- inside emulator.h's emu_module and emu_kernel. */
#ifndef TSR_EMULATOR_KERNEL_H
#define TSR_EMULATOR_KERNEL_H

#include "runtime/emulator/emulator.h"
#include "runtime/emulator/op.h"

struct emu_kernel {
    const struct emu_module *module;
    const struct ptx_function *function;
    uint32_t code; /* index into module->code */
    struct emu_parameter *parameter;
    size_t parameter_count;
    size_t argument_bytes;
    uint32_t shared_static;
    int uses_dynamic;
    uint32_t local_bytes; /* of a thread: the deepest chain of calls */
    int ordered;
    struct emu_window_variable *window; /* shared variables, for messages */
    size_t window_count;
};

/* A .global, .const or .shared variable of the module and where it is. */
struct emu_placed {
    const struct ptx_variable *variable;
    uint64_t address; /* guest address, or offset in shared memory */
    int owner;        /* function whose body it is in, -1: file scope */
    int dynamic;      /* shared, of no size: after everything else */
};

struct emu_module {
    struct emu_memory *memory;
    struct ptx_module *ptx;
    char *name;
    struct emu_code *code; /* one per function of ptx, same order */
    struct emu_kernel *kernel;
    size_t kernel_count;
    struct emu_placed *placed;
    size_t placed_count;
    uint64_t *shared_end; /* per function: where static shared memory ends */
    uint32_t decoding;    /* function being decoded */
    enum emu_isa isa;     /* that code[].op[].run is for */
};

/* Address of a module or function variable, for the function that is being
** decoded; 0 when found. */
int emu_module_place(const struct emu_module *module,
                     const struct ptx_variable *variable, uint64_t *address);

#endif
