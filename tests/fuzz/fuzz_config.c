/* fuzz_config.c -- any bytes as a config.json: refused in one line, or shapes
** that keep their promises.
*/
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsr_model_config config;
    struct tsr_error err;
    int rc = tsr__config_parse(&config, (const char *)data, size, "fuzz", &err);
    if (rc) {
        if ((rc != TSR_EFORMAT && rc != TSR_EUNSUPPORTED) ||
            strchr(err.text, '\n'))
            abort();
        return 0;
    }
    if (config.layers < 1 || config.heads % config.kv_heads ||
        config.head_dim % 2 || config.eos_count > TSR_EOS_MAX ||
        !(config.norm_eps > 0) || !(config.rope.theta > 0))
        abort();
    for (int kind = 0; kind < TSR_LINEAR_KINDS; kind++) {
        struct tsr_linear_shape shape =
            tsr__config_linear(&config, (enum tsr_linear_kind)kind);
        if (shape.n == 0 || shape.k == 0 || shape.k > TSR_K_MAX)
            abort();
        if (!tsr__linear_check(TSR_W4C, shape.n, shape.k) &&
            tsr__packed_bytes(shape.n, shape.k) < shape.n * shape.k / 2)
            abort();
    }
    return 0;
}
