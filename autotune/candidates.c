/* candidates.c -- configurations planned, rendered, compiled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/search.h"
#include "autotune/sql.h"
#include "runtime/base/memory.h"

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory planning candidates");
}

/* ---- sources ---------------------------------------------------------------
 */

/* The index of a text, added when new; takes text and entry. -1: no memory. */
static int sources_add(struct tune_sources *sources, char *text, char *entry)
{
    char sha256[TSR_SHA256_HEX];
    tsr__sha256_hex(text, strlen(text), sha256);
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->item[i].sha256, sha256) == 0) {
            tsr__free(text);
            tsr__free(entry);
            return (int)i;
        }
    if (tsr__grow((void **)&sources->item, &sources->capacity,
                  sources->count + 1, sizeof *sources->item)) {
        tsr__free(text);
        tsr__free(entry);
        return -1;
    }
    struct tune_source *source = &sources->item[sources->count];
    memset(source, 0, sizeof *source);
    source->text = text;
    source->entry = entry;
    strcpy(source->sha256, sha256);
    return (int)sources->count++;
}

int tune_sources_compile(struct tune_sources *sources, const char *arch,
                         int processes, gen_pool_progress progress,
                         void *context, struct tsr_error *err)
{
    size_t first = sources->compiled, count = sources->count - first;
    if (!count)
        return 0;
    struct gen_job *jobs = tsr__calloc(count, sizeof *jobs);
    struct gen_job_result *results = tsr__calloc(count, sizeof *results);
    int rc = jobs && results ? 0 : no_memory(err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        jobs[i] = (struct gen_job){sources->item[first + i].text,
                                   sources->item[first + i].entry, arch, 0};
    if (rc == 0)
        rc = gen_compile_pool(jobs, (int)count, processes, 0, progress, context,
                              results, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        /* No compiler is everybody's failure, not a text's. */
        if (results[i].code == TSR_ENOTFOUND) {
            rc = results[i].code;
            if (err)
                *err = results[i].error;
            gen_job_results_release(results, (int)count);
        }
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        sources->item[first + i].result = results[i];
    if (rc == 0)
        sources->compiled = sources->count;
    tsr__free(jobs);
    tsr__free(results);
    return rc;
}

void tune_sources_release(struct tune_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        tsr__free(sources->item[i].text);
        tsr__free(sources->item[i].entry);
        if (i < sources->compiled)
            gen_job_results_release(&sources->item[i].result, 1);
    }
    tsr__free(sources->item);
    memset(sources, 0, sizeof *sources);
}

/* ---- candidates ------------------------------------------------------------
 */

/* SPEC text as words; they point into *copy. */
static int split_words(const char *spec, char **copy, const char *words[64])
{
    int count = 0;
    char *save = NULL;
    *copy = tsr__strdup(spec);
    if (!*copy)
        return -1;
    for (char *word = strtok_r(*copy, " ", &save); word && count < 64;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    return count;
}

/* A configuration that cannot be rendered is a candidate with an error. */
static int render(struct tune_candidate *candidate,
                  struct tune_sources *sources, struct gen_host *host,
                  struct tsr_error *err)
{
    const char *words[64];
    char *copy = NULL;
    struct gen_kernel kernel;
    struct tsr_error why = {0};
    int count = split_words(candidate->spec, &copy, words);
    int rc = count < 0 ? no_memory(err)
                       : gen_render(host, words, count, &kernel, &why);
    tsr__free(copy);
    if (count < 0)
        return rc;
    if (rc) {
        candidate->error = tsr__strdup(why.text);
        return candidate->error ? 0 : no_memory(err);
    }
    candidate->source = sources_add(sources, kernel.source, kernel.entry);
    kernel.source = kernel.entry = NULL;
    gen_kernel_release(&kernel);
    return candidate->source < 0 ? no_memory(err) : 0;
}

static int add_candidate(struct tune_candidates *list, const json_t *record,
                         int is_default, struct tune_sources *sources,
                         struct gen_host *host, struct tsr_error *err)
{
    const char *spec = json_string_value(json_object_get(record, "spec"));
    const json_t *launch = json_object_get(record, "launch");
    if (!spec)
        return TSR_FAIL(err, TSR_EFORMAT, "plan: a candidate without a spec");
    if (tsr__grow((void **)&list->item, &list->capacity, list->count + 1,
                  sizeof *list->item))
        return no_memory(err);
    struct tune_candidate candidate = {
        .is_default = is_default,
        .source = -1,
        .raster = (int)json_integer_value(json_object_get(launch, "raster")),
        .estimate_us =
            json_number_value(json_object_get(record, "estimate_us"))};
    int rc = gen_launch_read(launch, &candidate.launch, err);
    if (rc)
        return rc;
    candidate.spec = tsr__strdup(spec);
    if (!candidate.spec)
        return no_memory(err);
    list->item[list->count++] = candidate;
    return render(&list->item[list->count - 1], sources, host, err);
}

int tune_candidates_plan(struct tune_candidates *out,
                         struct tune_sources *sources, struct gen_host *host,
                         const char *key, int limit, struct tsr_error *err)
{
    struct tune_candidates list = {0};
    json_t *all = NULL, *standard = NULL, *record;
    json_t *argument = json_pack("{s:s}", "key", key);
    size_t index;
    int rc = argument
                 ? gen_host_call(host, "plan.default", argument, &standard, err)
                 : no_memory(err);
    if (rc == 0)
        rc = gen_host_call(host, "plan.candidates", argument, &all, err);
    const char *chosen =
        rc ? NULL : json_string_value(json_object_get(standard, "spec"));
    int has_default = 0;
    json_array_foreach(all, index, record)
    {
        const char *spec = json_string_value(json_object_get(record, "spec"));
        int is_default = chosen && spec && strcmp(spec, chosen) == 0;
        if (rc || index >= (size_t)limit)
            break;
        has_default |= is_default;
        rc = add_candidate(&list, record, is_default, sources, host, err);
    }
    if (rc == 0 && !has_default)
        rc = add_candidate(&list, standard, 1, sources, host, err);
    json_decref(argument);
    json_decref(all);
    json_decref(standard);
    if (rc) {
        tune_candidates_release(&list);
        return rc;
    }
    *out = list;
    return 0;
}

/* `spec` with its word m=... saying `m`; the caller frees it. */
static char *spec_for_rows(const char *spec, uint32_t m)
{
    const char *word = strstr(spec, " m=");
    if (!word)
        return NULL;
    const char *rest = word + 3 + strspn(word + 3, "0123456789");
    size_t size = strlen(spec) + 16;
    char *text = tsr__malloc(size);
    if (text)
        snprintf(text, size, "%.*s m=%u%s", (int)(word - spec), spec,
                 (unsigned)m, rest);
    return text;
}

static int has_spec(const struct tune_candidates *list, const char *spec)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->item[i].spec, spec) == 0)
            return 1;
    return 0;
}

int tune_candidates_join(struct tune_candidates *mine, uint32_t m,
                         const struct tune_candidates *theirs, size_t best,
                         struct tune_sources *sources, struct gen_host *host,
                         struct tsr_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < best && i < theirs->count; i++) {
        char *spec = spec_for_rows(theirs->item[i].spec, m);
        json_t *argument, *record = NULL;
        if (!spec)
            return no_memory(err);
        if (!has_spec(mine, spec)) {
            /* A SPEC with every axis given is its own default: this asks for
            ** its estimate with our number of rows. */
            argument = json_pack("{s:s}", "key", spec);
            rc = argument ? gen_host_call(host, "plan.default", argument,
                                          &record, err)
                          : no_memory(err);
            json_decref(argument);
            if (rc == 0)
                rc = add_candidate(mine, record, 0, sources, host, err);
            json_decref(record);
        }
        tsr__free(spec);
    }
    return rc;
}

void tune_candidates_release(struct tune_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++) {
        tsr__free(candidates->item[i].spec);
        tsr__free(candidates->item[i].error);
    }
    tsr__free(candidates->item);
    memset(candidates, 0, sizeof *candidates);
}

/* ---- checking ---------------------------------------------------------------
 */

/* 1 and a complaint when `spec` no longer renders to `sha256`. */
static int verify_source(struct gen_host *host, const char *spec,
                         const char *sha256,
                         void (*complain)(void *context, const char *line),
                         void *context)
{
    struct tune_candidate candidate = {.source = -1};
    struct tune_sources sources = {0};
    char line[1024] = "";
    candidate.spec = tsr__strdup(spec);
    if (!candidate.spec || render(&candidate, &sources, host, NULL))
        return 0;
    if (candidate.source < 0)
        snprintf(line, sizeof line, "%s no longer renders: %s", spec,
                 candidate.error);
    else if (strcmp(sources.item[0].sha256, sha256) != 0)
        snprintf(line, sizeof line, "%s renders to %.12s, stored was %.12s",
                 spec, sources.item[0].sha256, sha256);
    if (line[0] && complain)
        complain(context, line);
    tsr__free(candidate.spec);
    tsr__free(candidate.error);
    tune_sources_release(&sources);
    return line[0] != 0;
}

int tune_sources_verify(struct tune_store *store, struct gen_host *host,
                        void (*complain)(void *context, const char *line),
                        void *context, int *checked, int *others,
                        struct tsr_error *err)
{
    sqlite3_stmt *row;
    int faults = 0;
    int status = tune_sql_prepare(
        tune_store_sql(store), &row,
        "SELECT min(configuration), source_sha256, generator FROM attempt "
        "JOIN binary ON binary.id = attempt.binary "
        "GROUP BY source_sha256, generator ORDER BY 1",
        "");
    *checked = *others = 0;
    if (status != SQLITE_OK)
        return tune_store_fail(store, err, "cannot read");
    while ((status = sqlite3_step(row)) == SQLITE_ROW) {
        if (strcmp(tune_sql_text(row, 2), gen_host_hash(host)) != 0) {
            ++*others;
            continue;
        }
        ++*checked;
        faults += verify_source(host, tune_sql_text(row, 0),
                                tune_sql_text(row, 1), complain, context);
    }
    sqlite3_finalize(row);
    return status == SQLITE_DONE ? faults
                                 : tune_store_fail(store, err, "cannot read");
}
