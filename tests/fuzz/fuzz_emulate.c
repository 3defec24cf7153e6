/* fuzz_emulate.c -- any text as PTX, decoded and run: nothing it computes may
** touch memory of ours, and it ends. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/emulator/emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUFFER = 1024, MOST_ARGUMENTS = 4096 };

static void run_kernel(struct emu_memory *memory,
                       const struct emu_kernel *kernel, int checks)
{
    unsigned char arguments[MOST_ARGUMENTS] = {0};
    struct emu_kernel_info info;
    struct emu_report report = {0};
    emu_kernel_info(kernel, &info);
    if (info.argument_bytes > sizeof arguments)
        return;
    for (size_t i = 0; i < info.parameter_count; i++) {
        const struct emu_parameter *p = &info.parameters[i];
        uint64_t value = 21;
        if (p->bytes == 8 &&
            emu_memory_alloc(memory, BUFFER, p->name, &value, NULL) != 0)
            return;
        if (p->bytes <= 8)
            memcpy(arguments + p->offset, &value, p->bytes);
    }
    struct emu_launch launch = {.kernel = kernel,
                                .grid = {2, 1, 1},
                                .block = {48, 1, 1},
                                .shared = 256,
                                .arguments = arguments,
                                .argument_bytes = info.argument_bytes};
    struct emu_options options = {.checks = checks,
                                  .counts = checks,
                                  .threads = 1,
                                  .schedules = 1,
                                  .instruction_limit = 20000,
                                  .finding_limit = 20};
    emu_launch_run(&launch, &options, &report, NULL);
    emu_report_release(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emu_memory *memory = NULL;
    struct emu_module *module = NULL;
    if (emu_memory_create(&memory, NULL) != 0)
        return 0;
    if (emu_module_load(&module, memory, (const char *)data, size, "fuzz.ptx",
                        NULL) == 0) {
        const struct emu_kernel *kernel = emu_module_entry(module, 0);
        if (kernel) {
            run_kernel(memory, kernel, 1);
            run_kernel(memory, kernel, 0);
        }
    }
    emu_module_free(module);
    emu_memory_free(memory);
    return 0;
}
