/* predict.c -- what the cost model makes of a compiled configuration. */
#include <stdio.h>

#include "autotune/search.h"

int tune_predict(struct gen_host *host, const char *spec,
                 const struct gen_launch *launch,
                 const struct gen_binary *binary, const json_t *counts,
                 uint64_t blocks, struct tune_prediction *out,
                 struct tsr_error *err)
{
    json_t *cost = NULL;
    json_t *argument = json_pack(
        "{s:s, s:O, s:I, s:{s:i, s:i, s:i}}", "spec", spec, "counts", counts,
        "blocks", (json_int_t)blocks, "resources", "registers",
        binary->registers, "shared", binary->shared_static + launch->shared,
        "spill_bytes", binary->spill_bytes);
    if (!argument)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    int rc = gen_host_call(host, "plan.cost", argument, &cost, err);
    json_decref(argument);
    if (rc)
        return rc;
    const char *bound = json_string_value(json_object_get(cost, "bound"));
    out->microseconds =
        json_number_value(json_object_get(cost, "microseconds"));
    out->occupancy = json_number_value(json_object_get(cost, "occupancy"));
    snprintf(out->bound, sizeof out->bound, "%s", bound ? bound : "");
    json_decref(cost);
    return 0;
}
