/* emulate_print.c -- what `tessera emulate` prints of a report. */
#include "autotune/commands/emulate_print.h"

#include <jansson.h>
#include <stdlib.h>

void tune_json_string(struct tsr_buffer *out, const char *text)
{
    json_t *string = json_string(text);
    if (!string) /* not UTF-8: kernel names of foreign PTX may be anything */
        string = json_string("(not UTF-8)");
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    tsr__buffer_addf(out, "%s", quoted ? quoted : "null");
    free(quoted);
    json_decref(string);
}

static void add_json_finding(struct tsr_buffer *out,
                             const struct emu_finding *f)
{
    tsr__buffer_addf(
        out, "{\"kind\":\"%s\",\"message\":", emu_finding_name(f->kind));
    tune_json_string(out, f->message ? f->message : "");
    tsr__buffer_addf(out, ",\"ptx_line\":%d", f->ptx_line);
    if (f->file) {
        tsr__buffer_addf(out, ",\"file\":");
        tune_json_string(out, f->file);
        tsr__buffer_addf(out, ",\"line\":%d", f->line);
    }
    tsr__buffer_addf(out,
                     ",\"block\":[%u,%u,%u],\"warp\":%u,\"lanes\":\"0x%08x\","
                     "\"address\":\"0x%llx\",\"count\":%llu}",
                     f->block_id[0], f->block_id[1], f->block_id[2], f->warp,
                     f->lanes, (unsigned long long)f->address,
                     (unsigned long long)f->count);
}

void tune_json_findings(struct tsr_buffer *out,
                        const struct emu_findings *findings, int notes)
{
    int first = 1;
    for (size_t i = 0; i < findings->count; i++) {
        if (emu_finding_is_note(findings->item[i].kind) != notes)
            continue;
        if (!first)
            tsr__buffer_addf(out, ",");
        add_json_finding(out, &findings->item[i]);
        first = 0;
    }
}

void tune_counts_print(struct tsr_buffer *out, const struct emu_counts *counts,
                       int json)
{
    const char *form = json ? ",\"%s\":%llu" : "%s %llu\n";
    uint64_t value;
    const char *name;
    tsr__buffer_addf(out,
                     json ? ",\"counts\":{\"warp_instructions\":%llu"
                          : "warp_instructions %llu\n",
                     (unsigned long long)emu_counts_warp_total(counts));
    tsr__buffer_addf(out, form, "lane_instructions",
                     (unsigned long long)emu_counts_lane_total(counts));
    for (int i = 0; i < EMU_CLASSES; i++)
        if (counts->warp_instructions[i])
            tsr__buffer_addf(out, form, emu_class_name((enum emu_class)i),
                             (unsigned long long)counts->warp_instructions[i]);
    for (int i = 0; (name = emu_counts_field(counts, i, &value)); i++)
        tsr__buffer_addf(out, form, name, (unsigned long long)value);
    for (int i = 0; i < counts->mma_shapes; i++)
        tsr__buffer_addf(out, form, counts->mma[i].name,
                         (unsigned long long)counts->mma[i].count);
    if (json)
        tsr__buffer_addf(out, "}");
}
