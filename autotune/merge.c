/* merge.c -- rows of one tuning database into another.
**
** Row numbers differ between the files, so each row is carried over by what
** identifies it: a device by its identity, a problem by its key, a blob by its
** hash, a binary by source, architecture and toolkit, an attempt by its uid.
*/
#include "autotune/merge.h"

#include <stdio.h>
#include <string.h>

#include "autotune/sql.h"
#include "runtime/base/buffer.h"

/* ORDER SCHEMA COLUMNS: as autotune/schema.sql declares them. */
#define DEVICE                                                \
    "identity, name, arch, capability, sm_count, clock_khz, " \
    "memory_clock_khz, memory_bytes, l2_bytes, driver_version, emulated, mig"
#define PROBLEM "key, family, format, type, n, k, bias, m, arch"
#define BINARY                                                          \
    "source_sha256, arch, nvrtc, ptx_sha256, cubin_sha256, registers, " \
    "spill_bytes, stack_bytes, shared_static, code_bytes, c75xx, compile_ms"
#define ATTEMPT_HEAD "uid, configuration, cubin_sha256, is_default, status, "
#define ATTEMPT_TAIL                                                        \
    "error, entry, threads, shared, tile_n, tile_m, split_k, estimate_us, " \
    "predicted_us, measured_us, spread_us, samples, times, bound, counts, " \
    "verified, policy, generator, a.nvrtc, tessera, host, time, seconds"
#define ATTEMPT_TAIL_NAMES                                                  \
    "error, entry, threads, shared, tile_n, tile_m, split_k, estimate_us, " \
    "predicted_us, measured_us, spread_us, samples, times, bound, counts, " \
    "verified, policy, generator, nvrtc, tessera, host, time, seconds"

static const char *const steps[] = {
    "INSERT INTO main.blob(sha256, kind, size, bytes) "
    "SELECT sha256, kind, size, bytes FROM other.blob WHERE sha256 NOT IN "
    "(SELECT sha256 FROM main.blob) ORDER BY id",
    "INSERT INTO main.device(" DEVICE ") SELECT " DEVICE
    " FROM other.device WHERE true ORDER BY id ON CONFLICT DO NOTHING",
    "INSERT INTO main.problem(" PROBLEM ") SELECT " PROBLEM
    " FROM other.problem WHERE true ORDER BY id ON CONFLICT DO NOTHING",
    "INSERT INTO main.binary(" BINARY ") SELECT " BINARY
    " FROM other.binary WHERE true ORDER BY id ON CONFLICT DO NOTHING",
    "INSERT INTO main.attempt(problem, device, binary, " ATTEMPT_HEAD
        ATTEMPT_TAIL_NAMES ") SELECT mp.id, md.id, mb.id, "
    "uid, configuration, a.cubin_sha256, is_default, status, " ATTEMPT_TAIL
    " FROM other.attempt a "
    "JOIN other.problem op ON op.id = a.problem "
    "JOIN main.problem mp ON mp.key = op.key "
    "JOIN other.device od ON od.id = a.device "
    "JOIN main.device md ON md.identity = od.identity "
    "LEFT JOIN other.binary ob ON ob.id = a.binary "
    "LEFT JOIN main.binary mb ON mb.source_sha256 = ob.source_sha256 "
    "AND mb.arch = ob.arch AND mb.nvrtc = ob.nvrtc "
    "WHERE true ORDER BY a.id ON CONFLICT(uid) DO NOTHING",
    "INSERT INTO main.race(problem, device, policy, generator, nvrtc, "
    "candidates, finalists) SELECT mp.id, md.id, policy, generator, nvrtc, "
    "candidates, finalists FROM other.race r "
    "JOIN other.problem op ON op.id = r.problem "
    "JOIN main.problem mp ON mp.key = op.key "
    "JOIN other.device od ON od.id = r.device "
    "JOIN main.device md ON md.identity = od.identity "
    "WHERE true ORDER BY r.id ON CONFLICT DO NOTHING",
};

static int copy_rows(sqlite3 *db, sqlite3_int64 *added)
{
    sqlite3_int64 before = 0, after = 0;
    int status = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (status == SQLITE_OK &&
        tune_sql_integer(db, &before, "SELECT count(*) FROM main.attempt",
                         "") != SQLITE_ROW)
        status = sqlite3_errcode(db);
    for (size_t i = 0; status == SQLITE_OK && i < sizeof steps / sizeof *steps;
         i++)
        status = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
    if (status == SQLITE_OK &&
        tune_sql_integer(db, &after, "SELECT count(*) FROM main.attempt", "") !=
            SQLITE_ROW)
        status = sqlite3_errcode(db);
    if (status == SQLITE_OK)
        status = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        *added = after - before;
    return status;
}

int tune_store_merge(struct tune_store *store, const char *path,
                     sqlite3_int64 *added, struct tsr_error *err)
{
    struct tune_store *source;
    sqlite3 *db = tune_store_sql(store);
    /* Opening it as a store says in words what is wrong with it. */
    int rc = tune_store_open(&source, path, TUNE_STORE_READ, err);
    if (rc)
        return rc;
    tune_store_free(source);
    if (tune_sql_run(db, "ATTACH ? AS other", "s", path) != SQLITE_OK)
        return tune_store_fail(store, err, "cannot attach to");
    if (copy_rows(db, added) != SQLITE_OK) {
        rc = tune_store_fail(store, err, "cannot merge into");
        if (!sqlite3_get_autocommit(db))
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite3_exec(db, "DETACH other", NULL, NULL, NULL);
    return rc ? tsr__fail_context(err, rc, "merging '%s'", path) : 0;
}
