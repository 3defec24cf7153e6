/* tune.c -- `tessera tune`: the best kernel for every shape of a model. */
#include <stdio.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "autotune/commands/model_keys.h"
#include "autotune/search.h"

static const struct option_spec options[] = {
    {"model", "DIR", "folder with config.json, quantised or not (needed)"},
    {"device", "NAME",
     "cuda:N or emulator:sm_XX (default: cuda:0, or the "
     "emulator where there is none)"},
    {"db", "FILE", "tuning database, made when absent (default tessera.db)"},
    {"weights", "FORMAT",
     "w4c, w4g128 or w4g64 (default: the model's own, "
     "else w4g128)"},
    {"buckets", "LIST",
     "numbers of rows to tune for: 1,16,64 or 1..4096 "
     "(default 1,4,16,64,256,1024)"},
    {"limit", "N", "candidates to compile for each key (default 16)"},
    {"finalists", "N", "candidates to verify for each key (default 8)"},
    {"processes", "N", "compiler processes (default: one per CPU)"},
    {"scripts", "DIR", "gen/lua and templates to use before the built-in ones"},
    {"dry-run", NULL, "print the keys and stop"},
    {"json", NULL, "print one JSON object per line"},
    {NULL, NULL, NULL}};

struct session {
    struct command command;
    struct progress progress;
    struct gen_host *host;
    struct tsr_device *device;
    struct tune_store *store;
    json_t *config;
    struct tune_problem *problems;
    size_t count, fresh, failed;
};

static void show_progress(void *context, size_t done, size_t total)
{
    struct session *session = context;
    progress_update(&session->progress, done, total);
}

/* What the configuration says beyond the key: "channel_tile=64 ...". */
static void axes_of(const char *spec, const char *key, char *out, size_t size)
{
    char copy[512], padded[512], *save = NULL;
    size_t used = 0;
    out[0] = 0;
    snprintf(copy, sizeof copy, "%s", spec);
    snprintf(padded, sizeof padded, " %s ", key);
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        char needle[128];
        snprintf(needle, sizeof needle, " %.120s ", word);
        if (!strstr(padded, needle) && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     used ? " " : "", word);
    }
}

static json_t *result_json(const struct tune_result *r)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:i, s:i, s:i, s:b, s:s}", "key",
        r->problem->key, "winner", r->winner, "microseconds",
        r->microseconds < 0 ? json_null() : json_real(r->microseconds),
        "default_us",
        r->default_us < 0 ? json_null() : json_real(r->default_us), "status",
        r->microseconds < 0 ? "none"
        : r->measured       ? "measured"
                            : "predicted",
        "tried", r->tried, "verified", r->verified, "failed", r->failed,
        "fresh", r->fresh, "extent", r->extent);
}

static void print_result(const struct tune_result *r)
{
    char axes[512];
    axes_of(r->winner, r->problem->key, axes, sizeof axes);
    printf("%-10s ", r->problem->family);
    if (r->problem->n)
        printf("n=%-6u ", (unsigned)r->problem->n);
    else
        printf("%-9s", "");
    printf("k=%-6u m=%-5u", (unsigned)r->problem->k, (unsigned)r->problem->m);
    if (r->microseconds < 0)
        printf(" no kernel passed");
    else
        printf(" %9.2f us %s", r->microseconds,
               r->measured ? "measured" : "predicted");
    if (r->microseconds > 0 && r->default_us > 0)
        printf("  %4.2fx default", r->default_us / r->microseconds);
    printf("  %s%s\n", axes, r->fresh ? "" : "  (known)");
}

static void show_result(void *context, const struct tune_result *result)
{
    struct session *session = context;
    session->fresh += (size_t)result->fresh;
    session->failed += (size_t)result->failed;
    if (session->command.json) {
        command_print_json(result_json(result));
        return;
    }
    progress_end(&session->progress);
    print_result(result);
    fflush(stdout);
}

/* Model, host, device, keys: everything a dry run shows. */
static int prepare(struct session *session)
{
    struct command *command = &session->command;
    struct tsr_error *err = &command->err;
    const char *model, *weights;
    uint32_t buckets[BUCKETS_MAX];
    size_t bucket_count;
    int rc = command_require(command, "model", &model);
    if (rc == 0 && command->word_count)
        rc = TSR_FAIL(err, TSR_EUSAGE, "unknown word '%s'", command->words[0]);
    if (rc == 0)
        rc = buckets_parse(command_option(command, "buckets"), buckets,
                           &bucket_count, err);
    if (rc == 0)
        rc = model_config_load(model, &session->config, err);
    if (rc == 0)
        rc = model_weights(session->config, command_option(command, "weights"),
                           &weights, err);
    if (rc == 0)
        rc = gen_host_open(&session->host, command_option(command, "scripts"),
                           err);
    if (rc == 0)
        rc = tsr__device_open(&session->device,
                              command_option(command, "device"), err);
    if (rc == 0)
        rc = tune_model_problems(session->host, session->config, weights,
                                 tsr__device_info(session->device)->arch,
                                 buckets, bucket_count, &session->problems,
                                 &session->count, err);
    return rc;
}

static int dry_run(const struct session *session, const struct tune_run *run)
{
    for (size_t i = 0; i < session->count; i++) {
        const struct tune_problem *problem = &session->problems[i];
        if (session->command.json)
            command_print_json(json_pack("{s:s}", "key", problem->key));
        else
            puts(problem->key);
    }
    if (!session->command.json)
        printf("%zu keys, up to %d candidates compiled and %d verified for "
               "each\n",
               session->count, run->candidates + 1, run->finalists + 1);
    return 0;
}

/* Shapes one after the other: a shape's problems stand together. */
static int run_all(struct session *session, struct tune_run *run)
{
    size_t first = 0;
    int rc = 0;
    run->total = 2 * session->count * (size_t)run->candidates;
    progress_begin(&session->progress, "tuning");
    while (rc == 0 && first < session->count) {
        size_t end = first + 1;
        while (
            end < session->count &&
            tune_same_shape(&session->problems[first], &session->problems[end]))
            end++;
        rc = tune_run_shape(run, &session->problems[first], end - first,
                            &session->command.err);
        first = end;
    }
    progress_end(&session->progress);
    return rc;
}

static int tune(struct session *session, struct tune_run *run)
{
    struct command *command = &session->command;
    const char *path = command_option(command, "db");
    char version[16];
    double started = command_wall_seconds();
    int rc = gen_nvrtc_version(version, NULL, &command->err);
    if (rc == 0)
        rc = tune_store_open(&session->store, path ? path : "tessera.db",
                             TUNE_STORE_WRITE, &command->err);
    if (rc)
        return rc;
    run->store = session->store;
    run->provenance = (struct tune_provenance){
        tune_policy(session->device), gen_host_hash(session->host), version};
    rc = run_all(session, run);
    double seconds = command_wall_seconds() - started;
    if (rc == 0 && command->json)
        command_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:f}", "db", tune_store_path(session->store),
            "keys", (json_int_t)session->count, "fresh",
            (json_int_t)session->fresh, "failed", (json_int_t)session->failed,
            "seconds", seconds));
    else if (rc == 0)
        printf("%zu keys in %s, %zu new, %.1f s; next: tessera pack --db %s\n",
               session->count, tune_store_path(session->store), session->fresh,
               seconds, tune_store_path(session->store));
    return rc;
}

int command_tune(int argc, char **argv)
{
    struct session session = {0};
    struct command *command = &session.command;
    long long limit = TUNE_CANDIDATES, finalists = TUNE_FINALISTS, workers = 0;
    int status = command_begin(
        command, argc, argv, options, "tune --model DIR [OPTION ...]",
        "Tries kernels for every linear of a model and every number of rows, "
        "verifies them against the C reference and stores every attempt. On "
        "the emulator times are predicted, not measured. May be killed and "
        "run again: what is in the database is not repeated.");
    if (status >= 0)
        return status;
    int rc = command_integer(command, "limit", 1, 10000, &limit);
    if (rc == 0)
        rc = command_integer(command, "finalists", 1, 10000, &finalists);
    if (rc == 0)
        rc = command_integer(command, "processes", 0, 1024, &workers);
    if (rc == 0)
        rc = prepare(&session);
    struct tune_run run = {.host = session.host,
                           .device = session.device,
                           .candidates = (int)limit,
                           .finalists = (int)finalists,
                           .processes = (int)workers,
                           .step = show_progress,
                           .finished = show_result,
                           .context = &session};
    if (rc == 0)
        rc = command_option(command, "dry-run") ? dry_run(&session, &run)
                                                : tune(&session, &run);
    tune_store_free(session.store);
    tune_problems_free(session.problems, session.count);
    if (session.device)
        tsr__device_free(session.device);
    if (session.host)
        gen_host_free(session.host);
    json_decref(session.config);
    return command_end(command, rc);
}
