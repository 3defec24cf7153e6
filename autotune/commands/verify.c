/* verify.c -- `tessera verify`: packed kernels on a model's own weights. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "autotune/commands/command.h"
#include "autotune/commands/model_keys.h"
#include "autotune/model_check.h"

static const struct option_spec options[] = {
    {"model", "DIR", "quantised folder (needed)"},
    {"package", "FILE", "package of kernels, from 'tessera pack' (needed)"},
    {"device", "NAME",
     "cuda:N or emulator:sm_XX (default: cuda:0, or the "
     "emulator where there is none)"},
    {"reference", "DIR",
     "fp16 folder the model was quantised from (default: "
     "the one quantize recorded; without either, rows are "
     "random and rel_error is null)"},
    {"tokens", "FILE",
     "JSON lines {\"tokens\": [ids]} whose activations are "
     "used (default: evaluation.jsonl of the fp16 folder, "
     "else random ids)"},
    {"rows", "N", "most rows of a launch (default 64)"},
    {"all", NULL, "a line for every launch, not one for every linear"},
    {"json", NULL, "print one JSON object per kernel and layer"},
    {NULL, NULL, NULL}};

/* The launches of one linear of one layer. */
struct tally {
    int layer;
    enum tsr_linear_kind kind;
    size_t launches, gemms;
    double rel_error; /* of the GEMM that is furthest from fp16; negative: no
                         reference */
};

struct session {
    struct command command;
    struct tally tally;
    int all;
    struct progress progress;
    struct tune_check check;
    json_t *config;
    char reference[4096], tokens[4200];
};

static json_t *result_json(const struct tune_check_result *r)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:I, s:b, s:o, s:s}", "layer",
                     r->layer, "linear", tsr__linear_word(r->kind), "kernel",
                     r->kernel->spec, "kind", tsr_match_words(r->kernel->match),
                     "m", (json_int_t)r->rows, "exact", r->exact, "rel_error",
                     r->rel_error < 0 ? json_null()
                                      : command_json_real(r->rel_error),
                     "fault", r->fault);
}

static void show_tally(struct session *session)
{
    const struct tally *tally = &session->tally;
    if (!tally->launches)
        return;
    printf("layer %2d  %-8s %3zu kernels launched, %zu of them GEMMs: exact",
           tally->layer, tsr__linear_word(tally->kind), tally->launches,
           tally->gemms);
    if (tally->rel_error >= 0)
        printf("; %.5f from fp16", tally->rel_error);
    printf("\n");
    session->tally.launches = 0;
}

static void add_to_tally(struct session *session,
                         const struct tune_check_result *r)
{
    struct tally *tally = &session->tally;
    if (tally->launches && (tally->layer != r->layer || tally->kind != r->kind))
        show_tally(session);
    if (!tally->launches)
        *tally =
            (struct tally){.layer = r->layer, .kind = r->kind, .rel_error = -1};
    tally->launches++;
    if (strcmp(r->kernel->key.family, "gemm_w4a8") != 0)
        return;
    tally->gemms++;
    if (r->rel_error > tally->rel_error)
        tally->rel_error = r->rel_error;
}

static void show_result(void *context, const struct tune_check_result *r)
{
    struct session *session = context;
    if (session->command.json) {
        command_print_json(result_json(r));
        return;
    }
    progress_end(&session->progress);
    if (!session->all && r->exact) {
        add_to_tally(session, r);
        return;
    }
    printf("layer %2d  %-8s %-10s m=%-5zu %-7s", r->layer,
           tsr__linear_word(r->kind), r->kernel->key.family, r->rows,
           r->exact ? "exact" : "WRONG");
    if (r->rel_error >= 0)
        printf(" rel_error %.5f", r->rel_error);
    printf("  %s%s%s\n", r->kernel->spec, r->fault[0] ? "  " : "", r->fault);
}

static void show_progress(void *context, size_t done, size_t total)
{
    struct session *session = context;
    progress_update(&session->progress, done, total);
}

/* The path recorded by quantize, relative to the quantised folder. */
static void recorded_reference(struct session *session, const char *model)
{
    const json_t *ours =
        json_object_get(session->config, "quantization_config");
    const char *source = json_string_value(json_object_get(ours, "source"));
    char path[4300];
    if (!source)
        return;
    if (source[0] == '/')
        snprintf(session->reference, sizeof session->reference, "%s", source);
    else
        snprintf(session->reference, sizeof session->reference,
                 "%.2000s/%.2000s", model, source);
    snprintf(path, sizeof path, "%s/config.json", session->reference);
    if (access(path, R_OK) != 0)
        session->reference[0] = 0;
}

static int choose_inputs(struct session *session, const char *model)
{
    struct command *command = &session->command;
    struct tune_check *check = &session->check;
    const char *given = command_option(command, "reference");
    if (given)
        snprintf(session->reference, sizeof session->reference, "%s", given);
    else
        recorded_reference(session, model);
    check->reference = session->reference[0] ? session->reference : NULL;
    check->tokens = command_option(command, "tokens");
    if (check->tokens && !check->reference)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--tokens needs --reference: activations are those of "
                        "the fp16 model");
    if (!check->tokens && check->reference) {
        snprintf(session->tokens, sizeof session->tokens, "%s/evaluation.jsonl",
                 check->reference);
        if (access(session->tokens, R_OK) == 0)
            check->tokens = session->tokens;
    }
    return 0;
}

static int prepare(struct session *session)
{
    struct command *command = &session->command;
    struct tune_check *check = &session->check;
    const char *package;
    long long rows = 64;
    int rc = command_require(command, "model", &check->model);
    if (rc == 0)
        rc = command_require(command, "package", &package);
    if (rc == 0)
        rc = command_integer(command, "rows", 1, 65536, &rows);
    if (rc == 0 && command->word_count)
        rc = TSR_FAIL(&command->err, TSR_EUSAGE, "unknown word '%s'",
                      command->words[0]);
    if (rc == 0)
        rc = model_config_load(check->model, &session->config, &command->err);
    if (rc == 0)
        rc = choose_inputs(session, check->model);
    if (rc == 0)
        rc = tsr_package_open(&check->package, package, &command->err);
    if (rc == 0)
        rc = tsr_device_open(&check->device, command_option(command, "device"),
                             &command->err);
    check->rows = (size_t)rows;
    check->report = show_result;
    check->step = show_progress;
    check->context = session;
    return rc;
}

static int verify(struct session *session)
{
    struct command *command = &session->command;
    size_t checked = 0, inexact = 0;
    if (!session->check.reference && !command->json)
        fprintf(stderr, "no fp16 model (--reference): rows are random\n");
    progress_begin(&session->progress, "verifying");
    int rc =
        tune_check_model(&session->check, &checked, &inexact, &command->err);
    progress_end(&session->progress);
    show_tally(session);
    if (rc)
        return rc;
    if (inexact)
        return TSR_FAIL(&command->err, TSR_EMISMATCH,
                        "%zu of %zu launches are not exact; tune and pack "
                        "again, and report it",
                        inexact, checked);
    if (!command->json)
        printf("%zu launches on %s, all exact\n", checked,
               tsr_device_name(session->check.device));
    return 0;
}

int command_verify(int argc, char **argv)
{
    struct session session = {0};
    int status = command_begin(
        &session.command, argc, argv, options,
        "verify --model DIR --package FILE [OPTION ...]",
        "Launches every kernel of a package that runs on the device, on the "
        "model's own weights and real activations, and compares each result "
        "bit for bit with the C reference. rel_error is the distance to the "
        "fp16 linear: what quantising costs, not what the kernel does.");
    if (status >= 0)
        return status;
    session.all = command_option(&session.command, "all") != NULL;
    int rc = prepare(&session);
    if (rc == 0)
        rc = verify(&session);
    tsr_package_free(session.check.package);
    tsr_device_free(session.check.device);
    json_decref(session.config);
    return command_end(&session.command, rc);
}
