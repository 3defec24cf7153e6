/* counts.c -- the emulator's counts as JSON. */
#include "autotune/counts.h"

static json_t *classes_json(const uint64_t counts[EMU_CLASSES])
{
    json_t *object = json_object();
    for (int c = 0; c < EMU_CLASSES; c++)
        if (counts[c])
            json_object_set_new(object, emu_class_name(c),
                                json_integer((json_int_t)counts[c]));
    return object;
}

json_t *tune_counts_json(const struct emu_counts *counts)
{
    json_t *object = json_object(), *shapes = json_object();
    json_object_set_new(object, "warp_instructions",
                        classes_json(counts->warp_instructions));
    json_object_set_new(object, "lane_instructions",
                        classes_json(counts->lane_instructions));
    for (int i = 0; i < counts->mma_shapes; i++)
        json_object_set_new(shapes, counts->mma[i].name,
                            json_integer((json_int_t)counts->mma[i].count));
    json_object_set_new(object, "mma", shapes);
    uint64_t value;
    const char *name;
    for (int i = 0; (name = emu_counts_field(counts, i, &value)) != NULL; i++)
        if (value)
            json_object_set_new(object, name, json_integer((json_int_t)value));
    return object;
}
