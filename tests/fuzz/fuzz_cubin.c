/* fuzz_cubin.c -- the cubin and SASS readers on any bytes. */
#include <stdint.h>

#include "gen/host/cubin.h"
#include "gen/host/sass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gen_cubin cubin;
    if (gen_cubin_parse(data, size, &cubin, NULL))
        return 0;
    for (size_t i = 0; i < cubin.kernel_count; i++) {
        struct gen_sass sass;
        if (gen_sass_inspect(cubin.kernels[i].code, cubin.kernels[i].code_size,
                             cubin.sm, &sass, NULL) == 0)
            gen_sass_release(&sass);
    }
    gen_cubin_release(&cubin);
    return 0;
}
