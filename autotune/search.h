/* search.h -- from a model and a device to committed attempts.
**
**   problems of a shape ── plan.candidates ── render ── compile (one pool for
**   all buckets of the shape; M is a run-time argument, so buckets share most
**   texts) ── then each bucket's race:
**
**     spills, C75xx, duplicates dropped ── one block counted ── plan.cost ──
**     the best verified ── recorded
**
** The default configuration is in every race to its end, so a tuned result
** cannot lose to not tuning. Every candidate that was compiled becomes a row.
*/
#ifndef TUNE_SEARCH_H
#define TUNE_SEARCH_H

#include "autotune/store.h"
#include "autotune/trial.h"

enum { TUNE_CANDIDATES = 16, TUNE_FINALISTS = 8, TUNE_NEIGHBOURS = 3 };

/* What is verified and how a time is made; a change is another policy. */
#define TUNE_POLICY_EMULATOR "emulator-1"
#define TUNE_POLICY_CUDA     "graph-1"

const char *tune_policy(const struct tsr_device *device);

/* One configuration in a race. */
struct tune_candidate {
    char *spec;
    struct gen_launch launch;
    int raster;
    int is_default;
    double estimate_us;
    int source;  /* index into the sources; -1: could not be rendered */
    char *error; /* why not, or NULL */
};

struct tune_candidates {
    struct tune_candidate *item;
    size_t count, capacity;
};

/* Texts that several candidates share, and what came of them. */
struct tune_source {
    char *text, *entry;
    char sha256[65];
    struct gen_job_result result;
};

struct tune_sources {
    struct tune_source *item;
    size_t count, capacity;
    size_t compiled; /* item[0 .. compiled) have a result */
};

/* The best `limit` of plan.candidates, and the default; rendered. */
int tune_candidates_plan(struct tune_candidates *out,
                         struct tune_sources *sources, struct gen_host *host,
                         const char *key, int limit, struct tsr_error *err);
/* Adds the `best` first of another bucket of the same shape, as candidates
** for `m` rows. M is a run-time argument, so they cost no compile, and a
** bucket never misses a kernel that its neighbour found. */
int tune_candidates_join(struct tune_candidates *mine, uint32_t m,
                         const struct tune_candidates *theirs, size_t best,
                         struct tune_sources *sources, struct gen_host *host,
                         struct tsr_error *err);
void tune_candidates_release(struct tune_candidates *candidates);

/* Renders every configuration of `store` that this generator made again, and
** complains when the text is another than the one stored. *checked counts
** texts, *others those of another generator, which cannot be judged. Returns
** the number of complaints or an error. */
int tune_sources_verify(struct tune_store *store, struct gen_host *host,
                        void (*complain)(void *context, const char *line),
                        void *context, int *checked, int *others,
                        struct tsr_error *err);

/* Compiles the sources that have no result yet. TSR_ENOTFOUND without NVRTC;
** a text that does not compile is its own result. */
int tune_sources_compile(struct tune_sources *sources, const char *arch,
                         int processes, gen_pool_progress progress,
                         void *context, struct tsr_error *err);
void tune_sources_release(struct tune_sources *sources);

/* What the cost model makes of a compiled configuration. */
struct tune_prediction {
    double microseconds, occupancy;
    char bound[16]; /* memory, mma, issue, latency, shared */
};

/* plan.cost; `counts` as tune_trial_counts gives them. */
int tune_predict(struct gen_host *host, const char *spec,
                 const struct gen_launch *launch,
                 const struct gen_binary *binary, const json_t *counts,
                 uint64_t blocks, struct tune_prediction *out,
                 struct tsr_error *err);

/* Where a run stands, for progress and for the reader. */
struct tune_result {
    const struct tune_problem *problem;
    int tried, verified, failed;
    int fresh; /* 0: everything was in the database already */
    char winner[512];
    double microseconds, default_us; /* negative: none */
    int measured;
    char extent[256]; /* what of the winner was verified */
};

struct tune_run {
    struct gen_host *host;
    struct tsr_device *device;
    struct tune_store *store;
    struct tune_provenance provenance;
    int candidates, finalists, processes;
    /* Either may be NULL. `step` is called with parts done of `total`. */
    void (*step)(void *context, size_t done, size_t total);
    void (*finished)(void *context, const struct tune_result *result);
    void *context;
    size_t done, total; /* two for each candidate: compiled, judged */
};

/* Tunes the M buckets of one shape: problems that differ in m alone. */
int tune_run_shape(struct tune_run *run, const struct tune_problem *problems,
                   size_t count, struct tsr_error *err);

/* One problem: judges, ranks, verifies, records. */
int tune_race(struct tune_run *run, struct tune_operands *operands,
              const struct tune_problem *problem,
              const struct tune_candidates *candidates,
              const struct tune_sources *sources, struct tune_result *result,
              struct tsr_error *err);

/* The winner of a problem on a device, from the view; found 0 when none. */
int tune_winner(struct tune_store *store, const struct tune_problem *problem,
                const struct tsr_device_info *device,
                struct tune_result *result, int *found, struct tsr_error *err);

/* The keys of a model: linears and quant_act, one problem per M bucket.
** `config` is config.json; `weights` a format name. Sorted by shape, then m;
** the caller releases each and frees the array. */
int tune_model_problems(struct gen_host *host, const json_t *config,
                        const char *weights, const char *arch,
                        const uint32_t *buckets, size_t bucket_count,
                        struct tune_problem **out, size_t *count,
                        struct tsr_error *err);
void tune_problems_free(struct tune_problem *problems, size_t count);
/* 1 when two problems differ in m alone. */
int tune_same_shape(const struct tune_problem *a, const struct tune_problem *b);

#endif
