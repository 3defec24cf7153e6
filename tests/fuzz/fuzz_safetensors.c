/* fuzz_safetensors.c -- any bytes as a safetensors file: refused, or every
** tensor's data readable over its whole size.
*/
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsr_safetensors *store;
    struct tsr_error err;
    int rc = tsr__safetensors_open_bytes(&store, data, size, "fuzz", &err);
    if (rc) {
        /* One line, and a code that says whose fault it is. */
        if (rc != TSR_EFORMAT || strchr(err.text, '\n'))
            abort();
        return 0;
    }
    unsigned total = 0;
    for (size_t i = 0; i < tsr__safetensors_count(store); i++) {
        const struct tsr_tensor *tensor = tsr__safetensors_at(store, i);
        for (size_t at = 0; at < tensor->bytes; at++)
            total += tensor->data[at];
        if (tsr__safetensors_find(store, tensor->name) != tensor)
            abort();
        float first;
        if (tensor->count)
            tsr__tensor_floats(tensor, tensor->count - 1, 1, &first);
    }
    tsr__safetensors_free(store);
    volatile unsigned keep = total;
    (void)keep;
    return 0;
}
