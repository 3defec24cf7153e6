/* store_verify.c -- everything that can be wrong with a tuning database. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "autotune/sql.h"
#include "autotune/store_internal.h"

struct check {
    struct tune_store *store;
    void (*complain)(void *context, const char *line);
    void *context;
    int count;
};

static void complain(struct check *check, const char *fmt, ...)
    TSR_PRINTF(2, 3);

static void complain(struct check *check, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    check->count++;
    if (check->complain)
        check->complain(check->context, line);
}

/* Pages, indexes and foreign keys, as SQLite sees them. */
static int check_sqlite(struct check *check)
{
    sqlite3_stmt *row;
    int status = tune_sql_prepare(check->store->db, &row,
                                  "PRAGMA integrity_check(20)", "");
    while (status == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        if (strcmp(tune_sql_text(row, 0), "ok") != 0)
            complain(check, "integrity: %s", tune_sql_text(row, 0));
    sqlite3_finalize(row);
    if (status == SQLITE_OK)
        status = tune_sql_prepare(check->store->db, &row,
                                  "PRAGMA foreign_key_check", "");
    else
        row = NULL;
    while (status == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        complain(check, "%s row %s refers to a missing row of %s",
                 tune_sql_text(row, 0), tune_sql_text(row, 1),
                 tune_sql_text(row, 2));
    sqlite3_finalize(row);
    return status;
}

static int check_blobs(struct check *check)
{
    sqlite3_stmt *row;
    int status = tune_sql_prepare(
        check->store->db, &row,
        "SELECT id, sha256, size, bytes FROM blob ORDER BY id", "");
    if (status != SQLITE_OK)
        return status;
    while ((status = sqlite3_step(row)) == SQLITE_ROW) {
        char hex[TSR_SHA256_HEX];
        const void *bytes = sqlite3_column_blob(row, 3);
        size_t size = (size_t)sqlite3_column_bytes(row, 3);
        tsr__sha256_hex(bytes ? bytes : "", size, hex);
        if (strcmp(hex, tune_sql_text(row, 1)) != 0)
            complain(check, "blob %s: its bytes hash to %.12s, not to %.12s",
                     tune_sql_text(row, 0), hex, tune_sql_text(row, 1));
        else if (sqlite3_column_int64(row, 2) != (sqlite3_int64)size)
            complain(check, "blob %s: %zu bytes, its row says %s",
                     tune_sql_text(row, 0), size, tune_sql_text(row, 2));
    }
    sqlite3_finalize(row);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}

/* Rules that a row must keep, as a query for the rows that break them. */
static const struct {
    const char *rule, *query;
} rules[] = {
    {"has an unknown status",
     "SELECT id FROM attempt WHERE status NOT IN (SELECT name FROM status)"},
    {"is measured without a time",
     "SELECT id FROM attempt WHERE status = 'measured' AND "
     "(measured_us IS NULL OR measured_us <= 0 OR samples < 1)"},
    {"is predicted without a time",
     "SELECT id FROM attempt WHERE status = 'predicted' AND "
     "(predicted_us IS NULL OR predicted_us <= 0)"},
    {"may win but was not verified",
     "SELECT id FROM attempt WHERE status IN ('measured', 'predicted', "
     "'verified') AND verified = ''"},
    {"may win but has no machine code",
     "SELECT attempt.id FROM attempt LEFT JOIN binary "
     "ON binary.id = attempt.binary WHERE status IN ('measured', 'predicted', "
     "'verified') AND binary.cubin_sha256 IS NULL"},
    {"names other machine code than its binary",
     "SELECT attempt.id FROM attempt JOIN binary ON binary.id = attempt.binary "
     "WHERE attempt.cubin_sha256 <> coalesce(binary.cubin_sha256, '')"},
    {"was tried on another architecture than its problem's",
     "SELECT attempt.id FROM attempt JOIN problem "
     "ON problem.id = attempt.problem JOIN device "
     "ON device.id = attempt.device WHERE device.arch <> problem.arch"},
    {"is called measured on an emulator",
     "SELECT attempt.id FROM attempt JOIN device "
     "ON device.id = attempt.device WHERE emulated = 1 AND "
     "status = 'measured'"},
    {"may win but its times or launch make no sense",
     "SELECT id FROM attempt WHERE status IN ('measured', 'predicted') AND "
     "(threads < 1 OR threads > 1024 OR shared < 0 OR split_k < 1 OR "
     "spread_us < 0)"},
};

static int check_rules(struct check *check)
{
    int status = SQLITE_OK;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        sqlite3_stmt *row;
        status = tune_sql_prepare(check->store->db, &row, rules[i].query, "");
        if (status != SQLITE_OK)
            return status;
        while ((status = sqlite3_step(row)) == SQLITE_ROW)
            complain(check, "attempt %s %s", tune_sql_text(row, 0),
                     rules[i].rule);
        sqlite3_finalize(row);
        if (status != SQLITE_DONE)
            return status;
    }
    return SQLITE_OK;
}

int tune_store_verify(struct tune_store *store,
                      void (*report)(void *context, const char *line),
                      void *context, struct tsr_error *err)
{
    struct check check = {store, report, context, 0};
    int status = check_sqlite(&check);
    if (status == SQLITE_OK)
        status = check_blobs(&check);
    if (status == SQLITE_OK)
        status = check_rules(&check);
    if (status == SQLITE_OK)
        return check.count;
    return tune_store_fail(store, err, "cannot check");
}
