/* emulate_print.h -- what `tessera emulate` prints of a report. */
#ifndef TUNE_COMMANDS_EMULATE_PRINT_H
#define TUNE_COMMANDS_EMULATE_PRINT_H

#include "runtime/base/buffer.h"
#include "runtime/emulator/emulator.h"

/* Text as a JSON string, quotes included. */
void tune_json_string(struct tsr_buffer *out, const char *text);
/* The findings that are faults, or those that are notes, parted by commas. */
void tune_json_findings(struct tsr_buffer *out,
                        const struct emu_findings *findings, int notes);
/* The counts: lines of text, or the JSON member ,"counts":{...}. */
void tune_counts_print(struct tsr_buffer *out, const struct emu_counts *counts,
                       int json);

#endif
