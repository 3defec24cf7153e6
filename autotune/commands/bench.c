/* bench.c -- `tessera bench gemm`: one kernel against its limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "autotune/measure.h"
#include "autotune/search.h"
#include "runtime/base/memory.h"
#include "runtime/device/emulated.h"

static const struct option_spec options[] = {
    {"device", "NAME",
     "cuda:N or emulator:sm_XX (default: cuda:0, or the "
     "emulator where there is none)"},
    {"db", "FILE", "take the winner of this database instead of searching"},
    {"limit", "N", "candidates to compile in a search (default 16)"},
    {"repeat", "N", "timed runs, of which the median counts (default 5)"},
    {"processes", "N", "compiler processes (default: one per CPU)"},
    {"scripts", "DIR", "gen/lua and templates to use before the built-in ones"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL}};

enum { WORDS_MAX = 64, REPEAT_MAX = 1000 };

struct session {
    struct command command;
    struct gen_host *host;
    struct tsr_device *device;
    struct tune_problem problem;
    struct tune_operands *operands;
    struct tune_candidates candidates;
    struct tune_sources sources;
    int chosen;
    struct tune_prediction prediction;
    char *text; /* the SPEC's words lie here */
    const char *words[WORDS_MAX];
    int word_count;
    long long repeat;
};

/* What is reported. */
struct figures {
    double cpu_ms, cpu_ms_checked, instructions_per_weight;
    double microseconds, spread_us; /* a GPU's; negative without */
    double roofline_us;
    int exact, findings;
    char fault[1024];
};

/* ---- which kernel ------------------------------------------------------- */

/* The SPEC's words, whether quoted together or not, with the device's arch. */
static int take_words(struct session *session)
{
    struct command *command = &session->command;
    const char *arch = tsr__device_info(session->device)->arch;
    size_t room = 64;
    char *save = NULL;
    if (!command->word_count)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "say what: tessera bench gemm n=4096 k=4096 m=16");
    if (strcmp(command->words[0], "gemm") != 0 &&
        strcmp(command->words[0], "gemm_w4a8") != 0)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "cannot bench '%s'; there is: gemm", command->words[0]);
    for (int i = 1; i < command->word_count; i++)
        room += strlen(command->words[i]) + 1;
    session->text = tsr__calloc(room, 1);
    if (!session->text)
        return TSR_FAIL(&command->err, TSR_EMEMORY, "out of memory");
    snprintf(session->text, room, "gemm_w4a8 arch=%s", arch);
    int has_format = 0;
    for (int i = 1; i < command->word_count; i++) {
        strcat(session->text, " ");
        strcat(session->text, command->words[i]);
        has_format |= strstr(command->words[i], "format=") != NULL;
    }
    if (!has_format)
        strcat(session->text, " format=w4g128");
    for (char *word = strtok_r(session->text, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        if (session->word_count == WORDS_MAX)
            return TSR_FAIL(&command->err, TSR_EUSAGE, "too many words");
        session->words[session->word_count++] = word;
    }
    return tune_problem_parse(session->host, session->words,
                              session->word_count, &session->problem,
                              &command->err);
}

/* The words as one text; axes that were given narrow the search. */
static char *join(const char *const *words, int count)
{
    size_t room = 1;
    for (int i = 0; i < count; i++)
        room += strlen(words[i]) + 1;
    char *text = tsr__calloc(room, 1);
    for (int i = 0; text && i < count; i++) {
        if (i)
            strcat(text, " ");
        strcat(text, words[i]);
    }
    return text;
}

/* The winner of a database, as a SPEC that leaves nothing to search. */
static int spec_of_database(struct session *session, char **spec)
{
    struct tsr_error *err = &session->command.err;
    struct tune_store *store;
    struct tune_result result;
    int found = 0;
    int rc = tune_store_open(&store, command_option(&session->command, "db"),
                             TUNE_STORE_READ, err);
    if (rc)
        return rc;
    rc = tune_winner(store, &session->problem,
                     tsr__device_info(session->device), &result, &found, err);
    if (rc == 0 && !found)
        rc = TSR_FAIL(err, TSR_ENOTFOUND,
                      "'%s' has no winner for %s on %s; tune it, or leave "
                      "--db away",
                      tune_store_path(store), session->problem.key,
                      tsr__device_info(session->device)->name);
    tune_store_free(store);
    if (rc)
        return rc;
    *spec = tsr__strdup(result.winner);
    return *spec ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
}

static int open_candidate(struct session *session, int index,
                          struct tune_trial *trial)
{
    const struct tune_candidate *c = &session->candidates.item[index];
    const struct tune_source *source = &session->sources.item[c->source];
    struct tune_kernel kernel =
        tune_kernel_of(session->device, source->entry, &c->launch, c->raster,
                       &source->result.binary);
    return tune_trial_open(trial, session->operands, &kernel,
                           &session->command.err);
}

static int predict(struct session *session, int index,
                   struct tune_prediction *out)
{
    const struct tune_candidate *c = &session->candidates.item[index];
    struct tsr_error *err = &session->command.err;
    struct tune_trial trial;
    json_t *counts = NULL;
    int rc = open_candidate(session, index, &trial);
    if (rc)
        return rc;
    rc = tune_trial_counts(&trial, session->problem.m, &counts, err);
    if (rc == 0)
        rc = tune_predict(session->host, c->spec, &c->launch,
                          &session->sources.item[c->source].result.binary,
                          counts, tune_trial_blocks(&trial, session->problem.m),
                          out, err);
    json_decref(counts);
    tune_trial_close(&trial);
    return rc;
}

/* The candidate that the cost model prefers; spills lose. */
static int choose(struct session *session)
{
    int emulated = tsr__device_info(session->device)->emulated, rc = 0;
    session->chosen = -1;
    for (int i = 0; rc == 0 && i < (int)session->candidates.count; i++) {
        const struct tune_candidate *c = &session->candidates.item[i];
        struct tune_prediction prediction = {.microseconds = c->estimate_us};
        if (c->source < 0)
            continue;
        const struct gen_job_result *result =
            &session->sources.item[c->source].result;
        if (result->code || (result->binary.spill_bytes && !c->is_default))
            continue;
        if (emulated)
            rc = predict(session, i, &prediction);
        if (session->chosen < 0 ||
            prediction.microseconds < session->prediction.microseconds) {
            session->chosen = i;
            session->prediction = prediction;
        }
    }
    if (rc == 0 && session->chosen < 0)
        rc = TSR_FAIL(&session->command.err, TSR_EFORMAT,
                      "no candidate of %s compiles", session->problem.key);
    return rc;
}

static int search(struct session *session)
{
    struct tsr_error *err = &session->command.err;
    long long limit = TUNE_CANDIDATES, workers = 0;
    char *spec = NULL;
    int rc = command_integer(&session->command, "limit", 1, 10000, &limit);
    if (rc == 0)
        rc = command_integer(&session->command, "processes", 0, 1024, &workers);
    if (rc == 0 && command_option(&session->command, "db"))
        rc = spec_of_database(session, &spec);
    else if (rc == 0) {
        spec = join(session->words, session->word_count);
        rc = spec ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    if (rc == 0)
        rc = tune_candidates_plan(&session->candidates, &session->sources,
                                  session->host, spec, (int)limit, err);
    tsr__free(spec);
    if (rc == 0)
        rc = tune_sources_compile(&session->sources, session->problem.arch,
                                  (int)workers, NULL, NULL, err);
    if (rc == 0)
        rc = tune_operands_create(&session->operands, session->device,
                                  &session->problem, session->problem.m, err);
    return rc ? rc : choose(session);
}

/* ---- figures ------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median CPU milliseconds of a launch on one thread. */
static int time_launches(struct session *session, struct tune_trial *trial,
                         struct tune_rows *rows, tsr_device_ptr workspace,
                         int checks, double *milliseconds,
                         struct tsr_error *err)
{
    struct emu_options *options = tsr__emulated_options(session->device);
    double times[REPEAT_MAX];
    options->checks = checks;
    options->threads = 1;
    for (long long i = 0; i < session->repeat; i++) {
        double started = command_cpu_seconds();
        int rc = tune_trial_launch(trial, rows, workspace, NULL, err);
        if (rc)
            return rc;
        times[i] = 1e3 * (command_cpu_seconds() - started);
    }
    qsort(times, (size_t)session->repeat, sizeof *times, compare_doubles);
    *milliseconds = times[session->repeat / 2];
    return 0;
}

static int count_instructions(struct session *session, struct tune_trial *trial,
                              struct tune_rows *rows, tsr_device_ptr workspace,
                              double *per_weight)
{
    struct emu_options *options = tsr__emulated_options(session->device);
    struct emu_counts counts;
    tsr__emulated_take_counts(session->device, &counts);
    options->checks = 0;
    options->counts = 1;
    int rc =
        tune_trial_launch(trial, rows, workspace, NULL, &session->command.err);
    options->counts = 0;
    tsr__emulated_take_counts(session->device, &counts);
    if (rc == 0)
        *per_weight = (double)emu_counts_lane_outside_mma(&counts) /
                      ((double)session->problem.n * (double)session->problem.k);
    return rc;
}

static int emulate(struct session *session, struct tune_trial *trial,
                   struct tune_rows *rows, tsr_device_ptr workspace,
                   struct figures *f)
{
    struct tsr_error *err = &session->command.err, why = {0};
    int rc = tune_rows_poison(rows, err);
    if (rc == 0)
        rc = time_launches(session, trial, rows, workspace, 1,
                           &f->cpu_ms_checked, &why);
    if (rc == TSR_EFINDING) {
        f->findings = 1;
        snprintf(f->fault, sizeof f->fault, "%s", why.text);
        rc = 0;
    } else if (rc)
        *err = why;
    if (rc == 0) {
        int differs =
            tune_trial_compare(trial, rows, f->findings ? why.text : f->fault,
                               sizeof f->fault, err);
        f->exact = differs == 0;
        rc = differs < 0 ? differs : 0;
    }
    if (rc == 0 && !f->findings)
        rc = time_launches(session, trial, rows, workspace, 0, &f->cpu_ms, err);
    if (rc == 0 && !f->findings)
        rc = count_instructions(session, trial, rows, workspace,
                                &f->instructions_per_weight);
    return rc;
}

static int measure(struct session *session, struct tune_trial *trial,
                   struct figures *f)
{
    struct tune_verdict verdict;
    struct tune_timing timing = {0};
    int rc = tune_trial_verify(trial, session->problem.m, &verdict,
                               &session->command.err);
    if (rc)
        return rc;
    f->exact = verdict.status == TUNE_VERIFIED;
    snprintf(f->fault, sizeof f->fault, "%s", verdict.text);
    rc = tune_trial_time(trial, session->problem.m, &timing,
                         &session->command.err);
    if (rc == 0) {
        f->microseconds = timing.median_us;
        f->spread_us = timing.spread_us;
    }
    tune_timing_release(&timing);
    return rc;
}

/* The time that memory or the tensor cores need at least, by data sheet. */
static int roofline(struct session *session, double *microseconds)
{
    const struct tune_problem *p = &session->problem;
    json_t *device = NULL;
    json_t *argument = json_pack("{s:s}", "arch", p->arch);
    int rc = gen_host_call(session->host, "devices.get", argument, &device,
                           &session->command.err);
    json_decref(argument);
    if (rc)
        return rc;
    double n = p->n, k = p->k, m = p->m;
    double group = (double)tsr__weight_group(session->operands->linear.format);
    double bytes = n * k / 2 + 4 * n + (group > 0 ? 2 * n * k / group : 0) +
                   m * k + 8 * m + 2 * m * n;
    double gigabytes = json_number_value(json_object_get(device, "bandwidth"));
    double tops = json_number_value(json_object_get(device, "int8_tops"));
    double memory = bytes / (gigabytes * 1e3);
    double compute = 2 * m * n * k / (tops * 1e6);
    *microseconds = memory > compute ? memory : compute;
    json_decref(device);
    return 0;
}

static int take_figures(struct session *session, struct figures *f)
{
    struct tsr_error *err = &session->command.err;
    struct tune_trial trial;
    struct tune_rows rows;
    tsr_device_ptr workspace = 0;
    size_t bytes;
    *f = (struct figures){.microseconds = -1};
    int rc = roofline(session, &f->roofline_us);
    if (rc == 0)
        rc = open_candidate(session, session->chosen, &trial);
    if (rc)
        return rc;
    if (!tsr__device_info(session->device)->emulated) {
        rc = measure(session, &trial, f);
        tune_trial_close(&trial);
        return rc;
    }
    rc = tune_rows_create(&rows, session->operands, session->problem.m, err);
    if (rc == 0) {
        rc = tune_workspace_alloc(&trial, session->problem.m, &workspace,
                                  &bytes, err);
        if (rc == 0)
            rc = emulate(session, &trial, &rows, workspace, f);
        if (workspace)
            tsr__device_release(session->device, workspace, NULL);
        tune_rows_release(&rows);
    }
    tune_trial_close(&trial);
    return rc;
}

/* ---- output ------------------------------------------------------------- */

static json_t *real_or_null(int given, double value)
{
    return given ? command_json_real(value) : json_null();
}

static void print_json(const struct session *session, const struct figures *f)
{
    const struct tune_candidate *c = &session->candidates.item[session->chosen];
    const struct gen_binary *binary =
        &session->sources.item[c->source].result.binary;
    const struct tsr_device_info *info = tsr__device_info(session->device);
    int emulated = info->emulated;
    command_print_json(json_pack(
        "{s:s, s:s, s:b, s:o, s:o, s:b, s:i, s:o, s:o, s:o, s:s, s:f, s:i, "
        "s:i, s:s}",
        "kernel", c->spec, "device", info->name, "emulated", emulated, "cpu_ms",
        real_or_null(emulated, f->cpu_ms), "cpu_ms_checked",
        real_or_null(emulated, f->cpu_ms_checked), "exact", f->exact,
        "findings", f->findings, "instructions_per_weight",
        real_or_null(emulated, f->instructions_per_weight), "microseconds",
        real_or_null(f->microseconds >= 0, f->microseconds), "predicted_us",
        real_or_null(emulated, session->prediction.microseconds), "bound",
        session->prediction.bound, "roofline_us", f->roofline_us, "registers",
        binary->registers, "spill_bytes", binary->spill_bytes, "fault",
        f->fault));
}

static void print_words(const struct session *session, const struct figures *f)
{
    const struct tune_candidate *c = &session->candidates.item[session->chosen];
    const struct tsr_device_info *info = tsr__device_info(session->device);
    printf("%s\n", c->spec);
    if (info->emulated) {
        printf("  emulator: %.2f ms of CPU, %.2f ms with checks\n", f->cpu_ms,
               f->cpu_ms_checked);
        printf("  %.3f lane instructions outside the MMA per weight\n",
               f->instructions_per_weight);
        printf("  predicted on %s: %.2f us, bound by %s; roofline %.2f us "
               "(%.0f %%)\n",
               info->name, session->prediction.microseconds,
               session->prediction.bound, f->roofline_us,
               100 * f->roofline_us / session->prediction.microseconds);
        puts("  no GPU: no time was measured");
    } else {
        printf("  %s: %.2f us +- %.2f; roofline %.2f us (%.0f %%)\n",
               info->name, f->microseconds, f->spread_us, f->roofline_us,
               100 * f->roofline_us / f->microseconds);
    }
    printf("  %s%s%s\n", f->exact ? "exact" : "NOT EXACT",
           f->fault[0] ? ": " : "", f->fault);
}

static int bench(struct session *session)
{
    struct tsr_error *err = &session->command.err;
    struct figures figures;
    session->repeat = 5;
    int rc = command_integer(&session->command, "repeat", 1, REPEAT_MAX,
                             &session->repeat);
    if (rc == 0)
        rc = tsr__device_open(&session->device,
                              command_option(&session->command, "device"), err);
    if (rc == 0)
        rc = gen_host_open(&session->host,
                           command_option(&session->command, "scripts"), err);
    if (rc == 0)
        rc = take_words(session);
    if (rc == 0)
        rc = search(session);
    if (rc == 0)
        rc = take_figures(session, &figures);
    if (rc)
        return rc;
    if (session->command.json)
        print_json(session, &figures);
    else
        print_words(session, &figures);
    if (!figures.exact || figures.findings)
        return TSR_FAIL(err, TSR_EMISMATCH, "%s", figures.fault);
    return 0;
}

int command_bench(int argc, char **argv)
{
    struct session session = {0};
    int status = command_begin(
        &session.command, argc, argv, options,
        "bench gemm n=N k=K m=M [format=w4g128] [AXIS=VALUE ...]",
        "Times one GEMM kernel: the winner of --db, or the best of a short "
        "search by the cost model. On the emulator it reports CPU time, "
        "exactness, findings and instructions; GPU times need a GPU.");
    if (status >= 0)
        return status;
    int rc = bench(&session);
    tune_operands_free(session.operands);
    tune_candidates_release(&session.candidates);
    tune_sources_release(&session.sources);
    tune_problem_release(&session.problem);
    if (session.host)
        gen_host_free(session.host);
    if (session.device)
        tsr__device_free(session.device);
    tsr__free(session.text);
    return command_end(&session.command, rc);
}
