/* race.c -- one problem: candidates judged, ranked, verified, recorded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "autotune/counts.h"
#include "autotune/measure.h"
#include "autotune/search.h"
#include "autotune/sql.h"
#include "runtime/base/memory.h"
#include "runtime/device/emulated.h"

/* What the race knows of one candidate. */
struct entrant {
    const struct tune_candidate *candidate;
    const struct tune_source *source; /* NULL: not rendered */
    enum tune_status status;          /* meaningful once `settled` */
    int settled;
    int known; /* settled by an earlier run: nothing to record */
    char error[1024];
    double predicted_us; /* negative: none */
    char bound[16];
    char *counts; /* JSON */
    struct tune_verdict verdict;
    struct tune_timing timing;
    double seconds;
};

struct race {
    struct tune_run *run;
    struct tune_operands *operands;
    const struct tune_problem *problem;
    const struct tsr_device_info *info;
    struct entrant *entrant;
    size_t count;
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void settle(struct entrant *entrant, enum tune_status status,
                   const char *error)
{
    entrant->settled = 1;
    entrant->status = status;
    snprintf(entrant->error, sizeof entrant->error, "%s", error);
}

static int record(struct race *race, const struct entrant *e,
                  struct tsr_error *err)
{
    const struct tune_candidate *c = e->candidate;
    int compiled = e->source && e->source->result.code == 0;
    struct tune_attempt attempt = {
        .problem = race->problem,
        .device = race->info,
        .configuration = c->spec,
        .entry = e->source ? e->source->entry : "",
        .launch = c->launch,
        .is_default = c->is_default,
        .source = e->source ? e->source->text : NULL,
        .source_sha256 = e->source ? e->source->sha256 : NULL,
        .binary = compiled ? &e->source->result.binary : NULL,
        .status = e->status,
        .error = e->error,
        .estimate_us = c->estimate_us,
        .predicted_us = e->predicted_us,
        .measured_us = e->status == TUNE_MEASURED ? e->timing.median_us : -1,
        .spread_us = e->status == TUNE_MEASURED ? e->timing.spread_us : -1,
        .times = e->timing.times,
        .samples = e->status == TUNE_MEASURED ? e->timing.samples : 0,
        .bound = e->bound,
        .counts = e->counts,
        .verified = e->verdict.verified,
        .seconds = e->seconds};
    return tune_store_record(race->run->store, &race->run->provenance, &attempt,
                             err);
}

/* ---- before anything runs ---------------------------------------------------
 */

/* 1 when an earlier entrant has the same machine code and launch. */
static int is_duplicate(const struct race *race, size_t index)
{
    const struct entrant *mine = &race->entrant[index];
    for (size_t i = 0; i < index; i++) {
        const struct entrant *other = &race->entrant[i];
        if (!other->source || other->source->result.code)
            continue;
        if (strcmp(other->source->result.binary.cubin_sha256,
                   mine->source->result.binary.cubin_sha256) == 0 &&
            memcmp(&other->candidate->launch, &mine->candidate->launch,
                   sizeof mine->candidate->launch) == 0)
            return 1;
    }
    return 0;
}

/* What the compiler said is enough to drop it; the default stays. */
static void judge_binary(struct race *race, size_t index)
{
    struct entrant *e = &race->entrant[index];
    char text[128];
    if (!e->source) {
        settle(e, TUNE_ILLEGAL, e->candidate->error);
        return;
    }
    const struct gen_job_result *result = &e->source->result;
    if (result->code) {
        settle(e, TUNE_COMPILE_FAILED, result->error.text);
    } else if (!e->candidate->is_default && is_duplicate(race, index)) {
        settle(e, TUNE_DUPLICATE, "same machine code as a better estimate's");
    } else if (result->binary.spill_bytes && !e->candidate->is_default) {
        snprintf(text, sizeof text, "%d bytes of spills",
                 result->binary.spill_bytes);
        settle(e, TUNE_SPILLED, text);
    } else if (result->binary.c75xx && !e->candidate->is_default) {
        snprintf(text, sizeof text, "%d C75xx warnings", result->binary.c75xx);
        settle(e, TUNE_WARNED, text);
    }
}

/* An attempt of an earlier run under the same policy stands. */
static int recall(struct race *race, struct entrant *e, struct tsr_error *err)
{
    enum tune_status status;
    if (!e->source)
        return 0;
    int known = tune_store_known(race->run->store, &race->run->provenance,
                                 race->problem, race->info, e->candidate->spec,
                                 e->source->sha256, &status, err);
    if (known <= 0)
        return known;
    /* Dropped for its rank alone: a longer race may want it now. */
    if (status == TUNE_OUTRANKED || status == TUNE_DUPLICATE)
        return 0;
    settle(e, status, "");
    e->known = 1;
    return 0;
}

/* ---- ranking ------------------------------------------------------------ */

/* Trouble with a kernel settles it, trouble of our own is an error. */
static int blame(struct entrant *e, int rc, const struct tsr_error *why,
                 struct tsr_error *err)
{
    if (rc == TSR_EFINDING)
        settle(e, TUNE_FINDING, why->text);
    else if (rc == TSR_EFORMAT || rc == TSR_EUNSUPPORTED ||
             rc == TSR_ENOTFOUND || rc == TSR_EDEVICE || rc == TSR_EUSAGE)
        settle(e, TUNE_UNSUPPORTED, why->text);
    else {
        if (err)
            *err = *why;
        return rc;
    }
    return 0;
}

static int open_trial(struct race *race, const struct entrant *e,
                      struct tune_trial *trial, struct tsr_error *err)
{
    struct tune_kernel kernel = tune_kernel_of(
        race->run->device, e->source->entry, &e->candidate->launch,
        e->candidate->raster, &e->source->result.binary);
    return tune_trial_open(trial, race->operands, &kernel, err);
}

static int count_and_predict(struct race *race, struct entrant *e,
                             struct tsr_error *err)
{
    struct tsr_error why = {0};
    struct tune_trial trial;
    json_t *counts = NULL;
    struct tune_prediction prediction;
    if (!race->info->emulated) {
        e->predicted_us = e->candidate->estimate_us;
        return 0;
    }
    int rc = open_trial(race, e, &trial, &why);
    if (rc)
        return blame(e, rc, &why, err);
    rc = tune_trial_counts(&trial, race->problem->m, &counts, &why);
    if (rc) {
        rc = blame(e, rc, &why, err);
        goto done;
    }
    rc = tune_predict(race->run->host, e->candidate->spec,
                      &e->candidate->launch, &e->source->result.binary, counts,
                      tune_trial_blocks(&trial, race->problem->m), &prediction,
                      err);
    if (rc == 0) {
        e->predicted_us = prediction.microseconds;
        strcpy(e->bound, prediction.bound);
        e->counts = json_dumps(counts, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (!e->counts)
            rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
done:
    json_decref(counts);
    tune_trial_close(&trial);
    return rc;
}

static int compare_entrants(const void *left, const void *right)
{
    const struct entrant *a = *(struct entrant *const *)left;
    const struct entrant *b = *(struct entrant *const *)right;
    if (a->predicted_us != b->predicted_us)
        return a->predicted_us < b->predicted_us ? -1 : 1;
    return strcmp(a->candidate->spec, b->candidate->spec);
}

/* ---- the race itself ---------------------------------------------------- */

/* Compiles again with line information, so that a finding names the line of
** the template. Keeps the first text when that does not work out. */
static void name_template_line(struct race *race, struct entrant *e)
{
    struct gen_binary binary;
    struct tune_trial trial;
    struct tune_verdict verdict;
    if (gen_compile(e->source->text, e->source->entry, race->problem->arch,
                    GEN_LINE_INFO, &binary, NULL))
        return;
    struct tune_kernel kernel =
        tune_kernel_of(race->run->device, e->source->entry,
                       &e->candidate->launch, e->candidate->raster, &binary);
    if (tune_trial_open(&trial, race->operands, &kernel, NULL) == 0) {
        if (tune_trial_verify(&trial, race->problem->m, &verdict, NULL) == 0 &&
            verdict.status == TUNE_FINDING)
            e->verdict = verdict;
        tune_trial_close(&trial);
    }
    gen_binary_release(&binary);
}

static int verify_and_time(struct race *race, struct entrant *e,
                           struct tsr_error *err)
{
    struct tsr_error why = {0};
    struct tune_trial trial;
    int rc = open_trial(race, e, &trial, &why);
    if (rc)
        return blame(e, rc, &why, err);
    rc = tune_trial_verify(&trial, race->problem->m, &e->verdict, err);
    if (rc == 0 && e->verdict.status == TUNE_FINDING)
        name_template_line(race, e);
    if (rc == 0 && e->verdict.status != TUNE_VERIFIED)
        settle(e, e->verdict.status, e->verdict.text);
    else if (rc == 0 && race->info->emulated)
        settle(e, TUNE_PREDICTED, "");
    else if (rc == 0) {
        rc = tune_trial_time(&trial, race->problem->m, &e->timing, &why);
        if (rc)
            rc = blame(e, rc, &why, err);
        else
            settle(e, TUNE_MEASURED, "");
    }
    tune_trial_close(&trial);
    return rc;
}

/* Orders the unsettled, verifies the best and the default. */
static int run_finalists(struct race *race, struct tsr_error *err)
{
    struct entrant **order = tsr__calloc(race->count, sizeof *order);
    size_t open = 0;
    int rc = 0;
    if (!order)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < race->count; i++)
        if (!race->entrant[i].settled)
            order[open++] = &race->entrant[i];
    qsort(order, open, sizeof *order, compare_entrants);
    int places = race->run->finalists;
    for (size_t i = 0; i < race->count; i++)
        if (race->entrant[i].known &&
            (race->entrant[i].status == TUNE_PREDICTED ||
             race->entrant[i].status == TUNE_MEASURED))
            places--;
    for (size_t i = 0; rc == 0 && i < open; i++) {
        struct entrant *e = order[i];
        double started = now_seconds();
        if (places <= 0 && !e->candidate->is_default)
            settle(e, TUNE_OUTRANKED, "");
        else {
            rc = verify_and_time(race, e, err);
            places--;
        }
        e->seconds += now_seconds() - started;
        if (rc == 0)
            rc = record(race, e, err);
    }
    tsr__free(order);
    return rc;
}

static int judge_all(struct race *race, struct tsr_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < race->count; i++) {
        struct entrant *e = &race->entrant[i];
        double started = now_seconds();
        rc = recall(race, e, err);
        if (rc == 0 && !e->settled)
            judge_binary(race, i);
        if (rc == 0 && !e->settled)
            rc = count_and_predict(race, e, err);
        e->seconds = now_seconds() - started;
        if (rc == 0 && e->settled && !e->known)
            rc = record(race, e, err);
        if (race->run->step)
            race->run->step(race->run->context, ++race->run->done,
                            race->run->total);
    }
    return rc;
}

static void summarise(const struct race *race, struct tune_result *result)
{
    for (size_t i = 0; i < race->count; i++) {
        const struct entrant *e = &race->entrant[i];
        result->tried++;
        result->fresh |= !e->known;
        result->verified +=
            e->status == TUNE_PREDICTED || e->status == TUNE_MEASURED;
        result->failed += e->status == TUNE_WRONG ||
                          e->status == TUNE_FINDING ||
                          e->status == TUNE_CRASHED || e->status == TUNE_HANG;
    }
}

int tune_race(struct tune_run *run, struct tune_operands *operands,
              const struct tune_problem *problem,
              const struct tune_candidates *candidates,
              const struct tune_sources *sources, struct tune_result *result,
              struct tsr_error *err)
{
    struct race race = {run,     operands,
                        problem, tsr__device_info(run->device),
                        NULL,    candidates->count};
    struct tune_result made = {
        .problem = problem, .microseconds = -1, .default_us = -1};
    int found;
    race.entrant = tsr__calloc(race.count, sizeof *race.entrant);
    if (!race.entrant)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < race.count; i++) {
        struct entrant *e = &race.entrant[i];
        e->candidate = &candidates->item[i];
        e->predicted_us = -1;
        if (e->candidate->source >= 0)
            e->source = &sources->item[e->candidate->source];
    }
    int rc = judge_all(&race, err);
    if (rc == 0)
        rc = run_finalists(&race, err);
    if (rc == 0)
        rc = tune_store_race_finish(run->store, &run->provenance, problem,
                                    race.info, run->candidates, run->finalists,
                                    err);
    if (rc == 0) {
        summarise(&race, &made);
        rc = tune_winner(run->store, problem, race.info, &made, &found, err);
    }
    for (size_t i = 0; i < race.count; i++) {
        free(race.entrant[i].counts);
        tune_timing_release(&race.entrant[i].timing);
    }
    tsr__free(race.entrant);
    if (rc == 0)
        *result = made;
    return rc;
}

int tune_winner(struct tune_store *store, const struct tune_problem *problem,
                const struct tsr_device_info *device,
                struct tune_result *result, int *found, struct tsr_error *err)
{
    sqlite3_stmt *row;
    int status = tune_sql_prepare(
        tune_store_sql(store), &row,
        "SELECT configuration, microseconds, measured, verified, "
        "(SELECT microseconds FROM candidate d WHERE d.key = w.key AND "
        "d.device_name = w.device_name AND d.sm_count = w.sm_count AND "
        "d.mig = w.mig AND d.measured = w.measured AND d.is_default = 1 "
        "ORDER BY attempt DESC LIMIT 1) "
        "FROM winner w WHERE key = ? AND device_name = ? AND sm_count = ? "
        "AND mig = ?",
        "ssii", problem->key, device->name, (int64_t)device->sm_count,
        (int64_t) !!device->mig);
    if (status == SQLITE_OK)
        status = sqlite3_step(row);
    *found = status == SQLITE_ROW;
    if (*found) {
        result->problem = problem;
        snprintf(result->winner, sizeof result->winner, "%s",
                 tune_sql_text(row, 0));
        result->microseconds = sqlite3_column_double(row, 1);
        result->measured = sqlite3_column_int(row, 2);
        snprintf(result->extent, sizeof result->extent, "%s",
                 tune_sql_text(row, 3));
        result->default_us = sqlite3_column_type(row, 4) == SQLITE_NULL
                                 ? -1
                                 : sqlite3_column_double(row, 4);
    }
    sqlite3_finalize(row);
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        return tune_store_fail(store, err, "cannot read");
    return 0;
}
