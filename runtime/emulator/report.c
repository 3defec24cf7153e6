/* report.c -- what a launch gives back. */
#include "runtime/emulator/emulator.h"

size_t emu_report_faults(const struct emu_report *report)
{
    size_t faults = 0;
    for (size_t i = 0; i < report->findings.count; i++)
        faults += !emu_finding_is_note(report->findings.item[i].kind);
    return faults;
}

void emu_report_release(struct emu_report *report)
{
    emu_findings_release(&report->findings);
    tsr__buffer_release(&report->output);
    *report = (struct emu_report){0};
}

int emu_finding_print(const struct emu_finding *f, struct tsr_buffer *out)
{
    tsr__buffer_addf(out, "%s", emu_finding_name(f->kind));
    if (f->file && f->line)
        tsr__buffer_addf(out, " at %s:%d", f->file, f->line);
    if (f->ptx_line)
        tsr__buffer_addf(out, " (ptx line %d)", f->ptx_line);
    tsr__buffer_addf(out, ", block (%u,%u,%u) warp %u", f->block_id[0],
                     f->block_id[1], f->block_id[2], f->warp);
    if (f->lanes)
        tsr__buffer_addf(out, " lanes 0x%08x", f->lanes);
    if (f->address)
        tsr__buffer_addf(out, " address 0x%llx",
                         (unsigned long long)f->address);
    tsr__buffer_addf(out, ": %s", f->message ? f->message : "");
    if (f->count > 1)
        tsr__buffer_addf(out, " (%llu times)", (unsigned long long)f->count);
    return out->failed ? TSR_EMEMORY : 0;
}
