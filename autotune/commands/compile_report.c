/* compile_report.c -- what `tessera compile` says about machine code. */
#include "autotune/commands/compile_report.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "autotune/commands/command.h"

#define MMA_WEIGHTS (16 * 32)
#define MMA_TOKENS  8
#define SHOWN       12 /* opcodes in the text; --json has all */

double compile_instructions_per_weight(const struct gen_sass *sass,
                                       const struct gen_launch *launch)
{
    const struct gen_sass_loop *loop = sass->main_loop;
    if (!loop || !loop->mma || !launch || launch->tile_m < MMA_TOKENS)
        return -1;
    double others = (double)(loop->instructions - loop->mma);
    double weights =
        (double)loop->mma * MMA_WEIGHTS * MMA_TOKENS / (double)launch->tile_m;
    return 32 * others / weights;
}

/* Lines of the log that warn: ptxas puts a code such as (C7511) in front. */
static json_t *warnings_of(const char *log)
{
    json_t *warnings = json_array();
    for (const char *line = log; line && *line;) {
        size_t length = strcspn(line, "\n");
        const char *code = memmem(line, length, "(C7", 3);
        int warns = (code && isdigit((unsigned char)code[3])) ||
                    memmem(line, length, "warning", 7);
        if (warns)
            json_array_append_new(warnings, json_stringn(line, length));
        line += length + (line[length] == '\n');
    }
    return warnings;
}

static json_t *histogram_of(const struct gen_sass *sass)
{
    json_t *histogram = json_object();
    for (size_t i = 0; i < sass->opcode_count; i++)
        json_object_set_new(histogram, sass->opcodes[i].name,
                            json_integer((json_int_t)sass->opcodes[i].count));
    return histogram;
}

static json_t *kernel_json(const struct compile_report *report, size_t index)
{
    const struct gen_cubin_kernel *kernel = &report->cubin->kernels[index];
    const struct gen_sass *sass = &report->sass[index];
    const struct gen_sass_loop *loop = sass->main_loop;
    double per_weight = compile_instructions_per_weight(sass, report->launch);
    json_t *object = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:o}", "name",
        kernel->name, "registers", kernel->registers, "stack_bytes",
        kernel->stack_bytes, "shared_static", kernel->shared_bytes, "barriers",
        kernel->barriers, "code_bytes", (json_int_t)kernel->code_size,
        "instructions", (json_int_t)sass->instructions, "mma_instructions",
        (json_int_t)sass->mma, "loops", (json_int_t)sass->loop_count, "sass",
        histogram_of(sass));
    if (loop)
        json_object_set_new(object, "main_loop",
                            json_pack("{s:I, s:I}", "instructions",
                                      (json_int_t)loop->instructions,
                                      "mma_instructions",
                                      (json_int_t)loop->mma));
    if (per_weight >= 0)
        json_object_set_new(object, "instructions_per_weight",
                            command_json_real(per_weight));
    return object;
}

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text)
        json_object_set_new(object, name, json_string(text));
}

static void set_number(json_t *object, const char *name, long long value)
{
    json_object_set_new(object, name, json_integer(value));
}

json_t *compile_report_json(const struct compile_report *report)
{
    const struct gen_binary *binary = report->binary;
    json_t *object = json_object(), *kernels = json_array();
    set_text(object, "spec", report->spec);
    set_text(object, "file", report->file);
    set_text(object, "arch", report->arch);
    set_number(object, "registers", binary->registers);
    set_number(object, "spill_bytes", binary->spill_bytes);
    set_number(object, "stack_bytes", binary->stack_bytes);
    set_number(object, "shared_static", binary->shared_static);
    if (report->launch) {
        set_number(object, "shared_dynamic", report->launch->shared);
        set_number(object, "threads", report->launch->threads);
    }
    set_number(object, "barriers", binary->barriers);
    set_number(object, "code_bytes", binary->code_bytes);
    set_number(object, "ptx_bytes", (long long)binary->ptx_size);
    set_number(object, "cubin_bytes", (long long)binary->cubin_size);
    set_text(object, "cubin_sha256", binary->cubin_sha256);
    json_object_set_new(object, "compile_ms",
                        command_json_real(report->compile_ms));
    set_number(object, "repeat", report->repeat);
    json_object_set_new(object, "cached", json_boolean(binary->cached));
    set_text(object, "nvrtc", binary->nvrtc_version);
    json_object_set_new(object, "warnings", warnings_of(binary->log));
    for (size_t i = 0; i < report->cubin->kernel_count; i++)
        json_array_append_new(kernels, kernel_json(report, i));
    json_object_set_new(object, "kernels", kernels);
    return object;
}

static void print_opcodes(const struct gen_sass *sass)
{
    size_t rest = 0;
    printf("  sass        ");
    for (size_t i = 0; i < sass->opcode_count; i++) {
        if (i < SHOWN)
            printf(" %s %zu", sass->opcodes[i].name, sass->opcodes[i].count);
        else
            rest += sass->opcodes[i].count;
    }
    if (rest)
        printf(" others %zu", rest);
    printf("\n");
}

static void print_kernel(const struct compile_report *report, size_t index)
{
    const struct gen_cubin_kernel *kernel = &report->cubin->kernels[index];
    const struct gen_sass *sass = &report->sass[index];
    const struct gen_sass_loop *loop = sass->main_loop;
    double per_weight = compile_instructions_per_weight(sass, report->launch);
    printf("%s\n", kernel->name);
    printf("  registers    %d, stack %d bytes, barriers %d\n",
           kernel->registers, kernel->stack_bytes, kernel->barriers);
    printf("  shared       %d bytes static", kernel->shared_bytes);
    if (report->launch)
        printf(", %d dynamic", report->launch->shared);
    printf("\n  code         %zu bytes, %zu instructions, %zu of them MMA\n",
           kernel->code_size, sass->instructions, sass->mma);
    if (loop)
        printf("  main loop    %zu instructions, %zu of them MMA\n",
               loop->instructions, loop->mma);
    if (per_weight >= 0)
        printf("  per weight   %.3f lane instructions besides MMA\n",
               per_weight);
    print_opcodes(sass);
}

void compile_report_print(const struct compile_report *report)
{
    const struct gen_binary *binary = report->binary;
    json_t *warnings = warnings_of(binary->log);
    printf("%s, %s, NVRTC %s\n", report->spec ? report->spec : report->file,
           report->arch, binary->nvrtc_version);
    for (size_t i = 0; i < report->cubin->kernel_count; i++)
        print_kernel(report, i);
    printf("spills %d bytes, PTX %zu bytes, cubin %zu bytes, compiled in "
           "%.1f ms%s\n",
           binary->spill_bytes, binary->ptx_size, binary->cubin_size,
           report->compile_ms, binary->cached ? " (from the cache)" : "");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        printf("warning: %s\n", json_string_value(json_array_get(warnings, i)));
    json_decref(warnings);
}
