/* run.c -- a tuning run: the keys of a model, shape by shape. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/search.h"
#include "runtime/base/memory.h"

const char *tune_policy(const struct tsr_device *device)
{
    return tsr__device_info(device)->emulated ? TUNE_POLICY_EMULATOR
                                              : TUNE_POLICY_CUDA;
}

/* ---- the keys of a model ----------------------------------------------------
 */

int tune_same_shape(const struct tune_problem *a, const struct tune_problem *b)
{
    return strcmp(a->family, b->family) == 0 &&
           strcmp(a->format, b->format) == 0 && strcmp(a->type, b->type) == 0 &&
           strcmp(a->arch, b->arch) == 0 && a->n == b->n && a->k == b->k &&
           a->bias == b->bias;
}

void tune_problems_free(struct tune_problem *problems, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tune_problem_release(&problems[i]);
    tsr__free(problems);
}

struct problem_list {
    struct tune_problem *item;
    size_t count, capacity;
};

/* `key` with m as one problem, unless the list has it. */
static int add_problem(struct problem_list *list, struct gen_host *host,
                       const char *key, uint32_t m, struct tsr_error *err)
{
    const char *words[65];
    char bucket[24], *save = NULL, *copy = tsr__strdup(key);
    int count = 0;
    if (!copy || tsr__grow((void **)&list->item, &list->capacity,
                           list->count + 1, sizeof *list->item)) {
        tsr__free(copy);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    for (char *word = strtok_r(copy, " ", &save); word && count < 64;
         word = strtok_r(NULL, " ", &save))
        if (strncmp(word, "m=", 2) != 0)
            words[count++] = word;
    snprintf(bucket, sizeof bucket, "m=%u", (unsigned)m);
    words[count++] = bucket;
    struct tune_problem problem;
    int rc = tune_problem_parse(host, words, count, &problem, err);
    tsr__free(copy);
    if (rc)
        return rc;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->item[i].key, problem.key) == 0) {
            tune_problem_release(&problem);
            return 0;
        }
    list->item[list->count++] = problem;
    return 0;
}

int tune_model_problems(struct gen_host *host, const json_t *config,
                        const char *weights, const char *arch,
                        const uint32_t *buckets, size_t bucket_count,
                        struct tune_problem **out, size_t *count,
                        struct tsr_error *err)
{
    struct problem_list list = {0};
    json_t *keys = NULL, *entry;
    size_t index;
    json_t *argument = json_pack("{s:O, s:s, s:s}", "config", config, "weights",
                                 weights, "arch", arch);
    int rc = argument ? gen_host_call(host, "spec.model", argument, &keys, err)
                      : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    json_decref(argument);
    json_array_foreach(keys, index, entry)
    {
        const char *key = json_string_value(json_object_get(entry, "key"));
        for (size_t b = 0; rc == 0 && b < bucket_count; b++)
            rc = key ? add_problem(&list, host, key, buckets[b], err)
                     : TSR_FAIL(err, TSR_EFORMAT, "spec.model: no key");
    }
    json_decref(keys);
    if (rc) {
        tune_problems_free(list.item, list.count);
        return rc;
    }
    *out = list.item;
    *count = list.count;
    return 0;
}

/* ---- one shape ---------------------------------------------------------- */

/* The buckets of a shape that are not done yet, planned. */
struct shape {
    struct tune_run *run;
    const struct tune_problem *problems;
    size_t count;
    unsigned char *done;
    struct tune_candidates *candidates;
    struct tune_sources sources;
    size_t planned; /* candidates of a whole bucket times buckets to run */
};

static void report(struct tune_run *run, const struct tune_result *result)
{
    if (run->finished)
        run->finished(run->context, result);
}

static int plan_shape(struct shape *shape, size_t *rows_max,
                      struct tsr_error *err)
{
    struct tune_run *run = shape->run;
    const struct tsr_device_info *info = tsr__device_info(run->device);
    *rows_max = 0;
    for (size_t i = 0; i < shape->count; i++) {
        const struct tune_problem *problem = &shape->problems[i];
        int done =
            tune_store_race_done(run->store, &run->provenance, problem, info,
                                 run->candidates, run->finalists, err);
        if (done < 0)
            return done;
        shape->done[i] = (unsigned char)done;
        if (done) {
            run->done += 2 * (size_t)run->candidates;
            continue;
        }
        shape->planned += (size_t)run->candidates;
        int rc =
            tune_candidates_plan(&shape->candidates[i], &shape->sources,
                                 run->host, problem->key, run->candidates, err);
        if (rc)
            return tsr__fail_context(err, rc, "%s", problem->key);
        if (problem->m > *rows_max)
            *rows_max = problem->m;
    }
    return 0;
}

/* Lets the buckets of a shape try each other's best. */
static int share_candidates(struct shape *shape, struct tsr_error *err)
{
    struct tune_run *run = shape->run;
    size_t *own = tsr__calloc(shape->count, sizeof *own);
    int rc = own ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; own && i < shape->count; i++)
        own[i] = shape->candidates[i].count;
    for (size_t i = 0; rc == 0 && i < shape->count; i++)
        for (size_t j = 0; rc == 0 && j < shape->count; j++) {
            size_t best = own[j] < TUNE_NEIGHBOURS ? own[j] : TUNE_NEIGHBOURS;
            if (i == j || shape->done[i])
                continue;
            rc = tune_candidates_join(
                &shape->candidates[i], shape->problems[i].m,
                &shape->candidates[j], best, &shape->sources, run->host, err);
        }
    tsr__free(own);
    return rc;
}

static int race_bucket(struct shape *shape, size_t index,
                       struct tune_operands *operands, struct tsr_error *err)
{
    struct tune_run *run = shape->run;
    const struct tune_problem *problem = &shape->problems[index];
    struct tune_result result = {
        .problem = problem, .microseconds = -1, .default_us = -1};
    size_t after = run->done + (size_t)run->candidates;
    int found, rc;
    if (shape->done[index])
        rc = tune_winner(run->store, problem, tsr__device_info(run->device),
                         &result, &found, err);
    else {
        rc = tune_race(run, operands, problem, &shape->candidates[index],
                       &shape->sources, &result, err);
        run->done = after;
    }
    if (rc)
        return tsr__fail_context(err, rc, "%s", problem->key);
    report(run, &result);
    return 0;
}

/* Compiling is half of the way. */
static int while_compiling(void *context, int done, int count, int index)
{
    struct shape *shape = context;
    struct tune_run *run = shape->run;
    (void)index;
    if (run->step)
        run->step(run->context,
                  run->done + shape->planned * (size_t)done / (size_t)count,
                  run->total);
    return 0;
}

int tune_run_shape(struct tune_run *run, const struct tune_problem *problems,
                   size_t count, struct tsr_error *err)
{
    struct shape shape = {.run = run, .problems = problems, .count = count};
    struct tune_operands *operands = NULL;
    size_t rows_max = 0;
    int rc = 0;
    shape.done = tsr__calloc(count, 1);
    shape.candidates = tsr__calloc(count, sizeof *shape.candidates);
    if (!shape.done || !shape.candidates)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    if (rc == 0)
        rc = plan_shape(&shape, &rows_max, err);
    if (rc == 0 && rows_max)
        rc = share_candidates(&shape, err);
    if (rc == 0 && rows_max)
        rc = tune_sources_compile(&shape.sources, problems[0].arch,
                                  run->processes, while_compiling, &shape, err);
    run->done += shape.planned;
    if (rc == 0 && rows_max)
        rc = tune_operands_create(&operands, run->device, &problems[0],
                                  rows_max, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = race_bucket(&shape, i, operands, err);
    tune_operands_free(operands);
    for (size_t i = 0; shape.candidates && i < count; i++)
        tune_candidates_release(&shape.candidates[i]);
    tune_sources_release(&shape.sources);
    tsr__free(shape.candidates);
    tsr__free(shape.done);
    return rc;
}
