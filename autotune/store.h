/* store.h -- the tuning database: schema.sql, opened, written, asked.
**
** Every attempt is one committed transaction: kill -9 loses at most the
** attempt under way. Several processes may write one file (they wait for each
** other up to BUSY_MS); it lives on a local disk, in WAL mode where that works
** (a network file system gets a plain journal). A file of another program or
** of a newer tessera is refused untouched.
**
** A store belongs to one thread at a time.
*/
#ifndef TUNE_STORE_H
#define TUNE_STORE_H

#include <sqlite3.h>
#include <stdint.h>

#include "gen/host/generator.h"
#include "gen/host/nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/base/sha256.h"
#include "runtime/device/device.h"

/* Symbol, name in the database, meaning. Only `predicted` and `measured` can
** win. */
#define TUNE_STATUS_LIST(X)                                                \
    X(TUNE_ILLEGAL, "illegal",                                             \
      "the configuration breaks a rule of its family")                     \
    X(TUNE_COMPILE_FAILED, "compile_failed", "NVRTC or ptxas refused it")  \
    X(TUNE_SPILLED, "spilled", "compiled, dropped: registers spill")       \
    X(TUNE_WARNED, "warned", "compiled, dropped: a C75xx warning")         \
    X(TUNE_DUPLICATE, "duplicate",                                         \
      "compiled, dropped: same machine code as another candidate")         \
    X(TUNE_OUTRANKED, "outranked",                                         \
      "compiled, dropped: the cost model prefers others")                  \
    X(TUNE_WRONG, "wrong", "its results differ from the reference")        \
    X(TUNE_FINDING, "finding", "the emulator found a fault")               \
    X(TUNE_UNSUPPORTED, "unsupported", "the device cannot load or run it") \
    X(TUNE_VERIFIED, "verified", "right, not yet measured or predicted")   \
    X(TUNE_PREDICTED, "predicted", "right; its time is the cost model's")  \
    X(TUNE_MEASURED, "measured", "right; its time was measured")           \
    X(TUNE_HANG, "hang", "it did not end in time")                         \
    X(TUNE_CRASHED, "crashed", "it took its worker or its device down")

enum tune_status {
#define TSR_ENUM(symbol, name, meaning) symbol,
    TUNE_STATUS_LIST(TSR_ENUM)
#undef TSR_ENUM
        TUNE_STATUSES
};

const char *tune_status_name(enum tune_status status);
/* 0, or -1 when `name` names none. */
int tune_status_parse(const char *name, enum tune_status *out);

struct tune_store;

enum tune_store_mode {
    TUNE_STORE_READ, /* must exist; nothing is written, not even beside it */
    TUNE_STORE_WRITE /* made when absent, migrated when older */
};

int tune_store_open(struct tune_store **out, const char *path,
                    enum tune_store_mode mode, struct tsr_error *err);
void tune_store_free(struct tune_store *store);
/* For queries of reports and packages. */
sqlite3 *tune_store_sql(struct tune_store *store);
const char *tune_store_path(const struct tune_store *store);
/* The last SQLite error as a sentence that says what to do. */
int tune_store_fail(struct tune_store *store, struct tsr_error *err,
                    const char *doing);

/* A key with its parts: what `problem` holds. */
struct tune_problem {
    char *key; /* canonical SPEC without configuration */
    char *family, *format, *type, *arch;
    uint32_t n, k, m;
    int bias;
};

/* From SPEC words, by "spec.parse". */
int tune_problem_parse(struct gen_host *host, const char *const *words,
                       int count, struct tune_problem *out,
                       struct tsr_error *err);
void tune_problem_release(struct tune_problem *problem);

/* Provenance that all attempts of a run share. */
struct tune_provenance {
    const char *policy, *generator, *nvrtc;
};

struct tune_attempt {
    const struct tune_problem *problem;
    const struct tsr_device_info *device;
    const char *configuration;
    const char *entry;
    struct gen_launch launch;
    int is_default;
    const char *source;              /* NULL: not rendered */
    const char *source_sha256;       /* of it; NULL with it */
    const struct gen_binary *binary; /* NULL: not compiled */
    enum tune_status status;
    const char *error;  /* NULL: none */
    double estimate_us; /* negative: none, as the next three */
    double predicted_us;
    double measured_us;
    double spread_us;
    const double *times;
    int samples;
    const char *bound;  /* NULL: none, as the next two */
    const char *counts; /* JSON */
    const char *verified;
    double seconds;
};

/* Commits one attempt with all it refers to. */
int tune_store_record(struct tune_store *store,
                      const struct tune_provenance *provenance,
                      const struct tune_attempt *attempt,
                      struct tsr_error *err);

/* 1 when this configuration, with this source and toolkit, was tried on this
** device under this policy; its status in *status. 0 when not, or when its
** time was predicted by another generator's cost model. */
int tune_store_known(struct tune_store *store,
                     const struct tune_provenance *provenance,
                     const struct tune_problem *problem,
                     const struct tsr_device_info *device,
                     const char *configuration, const char *source_sha256,
                     enum tune_status *status, struct tsr_error *err);

/* A race is run once per problem, device, policy, generator, toolkit and
** size. `done` asks (1, 0 or an error), `finish` says so. */
int tune_store_race_done(struct tune_store *store,
                         const struct tune_provenance *provenance,
                         const struct tune_problem *problem,
                         const struct tsr_device_info *device, int candidates,
                         int finalists, struct tsr_error *err);
int tune_store_race_finish(struct tune_store *store,
                           const struct tune_provenance *provenance,
                           const struct tune_problem *problem,
                           const struct tsr_device_info *device, int candidates,
                           int finalists, struct tsr_error *err);

/* Everything a full check finds wrong, one line each, given to `complain`.
** Returns how many, or an error. */
int tune_store_verify(struct tune_store *store,
                      void (*complain)(void *context, const char *line),
                      void *context, struct tsr_error *err);

/* The sections of `schema` newer than the file's version, applied in order;
** for tests of migration, and for tune_store_open. */
int tune_schema_apply(sqlite3 *db, const char *schema, struct tsr_error *err);
/* The newest version in `schema`. */
int tune_schema_version(const char *schema);
/* autotune/schema.sql; NULL in a build without it. */
const char *tune_schema_text(void);

#endif
