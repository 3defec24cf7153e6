/* quantize.c -- tessera quantize: fp16 weights to packed 4-bit weights. */
#include <stdio.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "gen/quantize/quantize.h"

static const struct option_spec options[] = {
    {"model", "DIR", "folder with config.json and safetensors (needed)"},
    {"method", "NAME", "how: rtn, round to nearest (needed)"},
    {"weights", "FORMAT", "w4c, w4g128 or w4g64 (needed)"},
    {"kv", "FORMAT", "KV cache to record: kv4 (default), kv8 or kv16"},
    {"output", "DIR", "-o DIR: folder to create (needed)"},
    {"force", NULL, "replace the folder if it is there"},
    {"threads", "N", "threads (default: one per core)"},
    {"json", NULL, "print one JSON object per linear and one at the end"},
    {NULL, NULL, NULL}};

struct view {
    struct command *command;
    struct progress progress;
};

static void print_linear(void *context, const struct gen_linear_report *report)
{
    struct view *view = context;
    if (view->command->json) {
        command_print_json(json_pack(
            "{s:i, s:s, s:s, s:I, s:I, s:o}", "layer", report->layer, "linear",
            tsr__linear_word(report->kind), "name", report->name, "n",
            (json_int_t)report->n, "k", (json_int_t)report->k, "rel_error",
            command_json_real(report->rel_error)));
    } else {
        progress_end(&view->progress);
        printf("  layer %2d  %-8s %6zu x %-6zu relative error %.4f\n",
               report->layer, tsr__linear_word(report->kind), report->n,
               report->k, report->rel_error);
    }
    progress_update(&view->progress, report->done, report->total);
}

static int read_options(struct command *command,
                        struct gen_quantize_options *out)
{
    const char *method, *weights;
    long long threads = 0;
    int rc = command_require(command, "model", &out->model);
    if (!rc)
        rc = command_require(command, "method", &method);
    if (!rc)
        rc = command_require(command, "weights", &weights);
    if (!rc)
        rc = command_require(command, "output", &out->output);
    if (!rc)
        rc = command_integer(command, "threads", 1, 64, &threads);
    if (rc)
        return rc;
    if (command->word_count)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "unexpected word '%s'; see --help", command->words[0]);
    if (gen_method_parse(method, &out->method))
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "unknown method '%s'; there is %s", method,
                        gen_method_names());
    if (tsr__weight_format_parse(weights, &out->format))
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "unknown weight format '%s'; there are %s", weights,
                        tsr__weight_format_names());
    const char *kv = command_option(command, "kv");
    out->kv = kv ? kv : "kv4";
    if (strcmp(out->kv, "kv4") && strcmp(out->kv, "kv8") &&
        strcmp(out->kv, "kv16"))
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "unknown KV format '%s'; there are kv4, kv8, kv16",
                        out->kv);
    out->threads = (int)threads;
    out->force = command_option(command, "force") != NULL;
    return 0;
}

static void print_result(const struct command *command,
                         const struct gen_quantize_options *given,
                         const struct gen_quantize_result *result,
                         double seconds)
{
    const char *weights = tsr__weight_format_name(given->format);
    if (command->json)
        command_print_json(json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "output", given->output,
            "method", command_option(command, "method"), "weights", weights,
            "linears", (json_int_t)result->linears, "source_bytes",
            (json_int_t)result->source_bytes, "output_bytes",
            (json_int_t)result->output_bytes, "seconds",
            command_json_real(seconds)));
    else
        printf("%s: %zu linears in %s, %.1f MB from %.1f MB, %.1f s\n",
               given->output, result->linears, weights,
               (double)result->output_bytes / 1e6,
               (double)result->source_bytes / 1e6, seconds);
}

int command_quantize(int argc, char **argv)
{
    struct command command;
    int status = command_begin(
        &command, argc, argv, options,
        "quantize --model DIR --method rtn --weights FORMAT -o DIR",
        "Quantises a model's linears to packed 4-bit weights.");
    if (status >= 0)
        return status;
    struct view view = {.command = &command};
    struct gen_quantize_options given = {.report = print_linear,
                                         .context = &view};
    struct gen_quantize_result result;
    int rc = read_options(&command, &given);
    if (!rc) {
        double start = command_wall_seconds();
        progress_begin(&view.progress, "quantizing");
        rc = gen_quantize_folder(&given, &result, &command.err);
        progress_end(&view.progress);
        if (!rc)
            print_result(&command, &given, &result,
                         command_wall_seconds() - start);
    }
    return command_end(&command, rc);
}
