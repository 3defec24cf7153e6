/* store_open.c -- opening a tuning database: what it is, how old it is. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "autotune/sql.h"
#include "autotune/store_internal.h"
#include "gen/host/embedded.h"
#include "runtime/base/memory.h"
#include "runtime/kernels/format.h"
#include "runtime/kernels/package.h"

enum { BUSY_MS = 60000, SCHEMA_SECTIONS_MAX = 1000 };

#define SECTION "\n-- version "

/* ---- schema ------------------------------------------------------------- */

static char *schema_copy;

static void copy_schema(void)
{
    for (size_t i = 0; i < gen_embedded_count; i++) {
        const struct gen_embedded *file = &gen_embedded_files[i];
        if (strcmp(file->name, "autotune/schema.sql") != 0)
            continue;
        schema_copy = tsr__malloc(file->size + 1);
        if (!schema_copy)
            return;
        memcpy(schema_copy, file->data, file->size);
        schema_copy[file->size] = 0;
    }
}

const char *tune_schema_text(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, copy_schema);
    return schema_copy;
}

int tune_schema_version(const char *schema)
{
    int newest = 0;
    for (const char *at = schema; (at = strstr(at, SECTION)) != NULL; at++) {
        int version = atoi(at + strlen(SECTION));
        if (version > newest)
            newest = version;
    }
    return newest;
}

/* The text of section `version`, or NULL. */
static char *schema_section(const char *schema, int version)
{
    for (const char *at = schema; (at = strstr(at, SECTION)) != NULL; at++) {
        if (atoi(at + strlen(SECTION)) != version)
            continue;
        const char *body = at + 1, *end = strstr(body, SECTION);
        size_t size = end ? (size_t)(end - body) : strlen(body);
        char *copy = tsr__malloc(size + 1);
        if (copy) {
            memcpy(copy, body, size);
            copy[size] = 0;
        }
        return copy;
    }
    return NULL;
}

static int user_version(sqlite3 *db, sqlite3_int64 *version)
{
    return tune_sql_integer(db, version, "PRAGMA user_version", "") ==
                   SQLITE_ROW
               ? SQLITE_OK
               : sqlite3_errcode(db);
}

/* One section in one transaction. Another process may have been faster, so
** the version is read again under the lock. */
static int apply_section(sqlite3 *db, const char *schema, int version)
{
    char pragma[96];
    sqlite3_int64 current = 0;
    int status = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        status = user_version(db, &current);
    if (status == SQLITE_OK && current < version) {
        char *sql = schema_section(schema, version);
        status = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
        tsr__free(sql);
        snprintf(pragma, sizeof pragma,
                 "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 TSR_DATABASE_APPLICATION, version);
        if (status == SQLITE_OK)
            status = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    }
    if (status == SQLITE_OK)
        status = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return status;
}

int tune_schema_apply(sqlite3 *db, const char *schema, struct tsr_error *err)
{
    sqlite3_int64 current = 0;
    int status = user_version(db, &current);
    int newest = tune_schema_version(schema);
    for (int v = (int)current + 1; status == SQLITE_OK && v <= newest; v++)
        status = apply_section(db, schema, v);
    if (status == SQLITE_OK)
        return 0;
    char why[256];
    snprintf(why, sizeof why, "%s", sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return TSR_FAIL(err, TSR_EIO, "cannot bring the schema to version %d: %s",
                    newest, why);
}

/* ---- opening ------------------------------------------------------------ */

/* WAL needs shared memory, which these file systems do not have between
** machines. */
static int on_network(const char *path)
{
    static const unsigned long networks[] = {0x6969 /* NFS */,
                                             0xff534d42 /* CIFS */,
                                             0xfe534d42 /* SMB2 */,
                                             0x0bd00bd0 /* Lustre */,
                                             0x19830326 /* BeeGFS */,
                                             0x47504653 /* GPFS */,
                                             0x65735546 /* FUSE */};
    struct statfs about;
    if (statfs(path, &about) != 0)
        return 0;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if ((unsigned long)about.f_type == networks[i])
            return 1;
    return 0;
}

int tune_store_fail(struct tune_store *store, struct tsr_error *err,
                    const char *doing)
{
    int status = sqlite3_extended_errcode(store->db);
    const char *why = sqlite3_errmsg(store->db);
    switch (status & 0xff) {
    case SQLITE_FULL:
        return TSR_FAIL(err, TSR_EIO,
                        "%s '%s': the disk is full; free some space and run "
                        "again, what was committed is kept",
                        doing, store->path);
    case SQLITE_READONLY:
        return TSR_FAIL(err, TSR_EIO,
                        "%s '%s': it is read-only; make it and its directory "
                        "writable or name another --db",
                        doing, store->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TSR_FAIL(err, TSR_EIO,
                        "%s '%s': another process has held it for %d seconds",
                        doing, store->path, BUSY_MS / 1000);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return TSR_FAIL(err, TSR_EFORMAT,
                        "%s '%s': it is damaged (%s); restore a copy or move "
                        "it away and tune again",
                        doing, store->path, why);
    case SQLITE_IOERR:
        return TSR_FAIL(err, TSR_EIO,
                        "%s '%s': %s (%s); is the disk full, or the file too "
                        "large? What was committed is kept",
                        doing, store->path, why,
                        strerror(sqlite3_system_errno(store->db)));
    case SQLITE_NOMEM:
        return TSR_FAIL(err, TSR_EMEMORY, "%s '%s': out of memory", doing,
                        store->path);
    }
    return TSR_FAIL(err, TSR_EIO, "%s '%s': %s", doing, store->path, why);
}

/* Whose file it is and how full, all from one snapshot: another process may be
** writing the schema at this very moment. */
static int read_identity(struct tune_store *store, sqlite3_int64 *application,
                         sqlite3_int64 *user, sqlite3_int64 *objects)
{
    int ok = sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
             tune_sql_integer(store->db, application, "PRAGMA application_id",
                              "") == SQLITE_ROW &&
             tune_sql_integer(store->db, user, "PRAGMA user_version", "") ==
                 SQLITE_ROW &&
             tune_sql_integer(store->db, objects,
                              "SELECT count(*) FROM sqlite_schema",
                              "") == SQLITE_ROW;
    int why = sqlite3_errcode(store->db) & 0xff;
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return ok ? SQLITE_OK : why;
}

/* Foreign, newer, older or ours; an empty file is a new database. */
static int check_identity(struct tune_store *store, int *version,
                          struct tsr_error *err)
{
    sqlite3_int64 application = 0, user = 0, objects = 0;
    int newest = tune_schema_version(tune_schema_text());
    int status = read_identity(store, &application, &user, &objects);
    if (status == SQLITE_NOTADB)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' is not a tuning database",
                        store->path);
    if (status != SQLITE_OK)
        return TSR_FAIL(err, TSR_EIO, "cannot read '%s': %s", store->path,
                        sqlite3_errstr(status));
    if (application == TSR_PACKAGE_APPLICATION)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' is a package, not a tuning database; packages "
                        "are checked with 'tessera pack verify'",
                        store->path);
    if (application != TSR_DATABASE_APPLICATION && (objects || application))
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' is a database of another program, not a tuning "
                        "database; name another --db",
                        store->path);
    if (user > newest)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' has schema version %lld, this program knows %d; "
                        "use a newer tessera",
                        store->path, (long long)user, newest);
    *version = (int)user;
    return 0;
}

/* Opens for reading. A WAL database in a directory we may not write to can
** only be read as an unchanging file, which it is when nobody has a log. */
static int open_reading(struct tune_store *store, struct tsr_error *err)
{
    sqlite3_int64 ignored;
    struct stat about;
    char log[4096];
    if (stat(store->path, &about) != 0)
        return TSR_FAIL(err, TSR_EIO,
                        "cannot read '%s': no such database; 'tessera tune' "
                        "makes one",
                        store->path);
    if (!S_ISREG(about.st_mode) || access(store->path, R_OK) != 0)
        return TSR_FAIL(err, TSR_EIO, "cannot read '%s': %s", store->path,
                        S_ISREG(about.st_mode) ? strerror(errno)
                                               : "not a regular file");
    int status =
        sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READONLY, NULL);
    if (status == SQLITE_OK) {
        sqlite3_busy_timeout(store->db, BUSY_MS);
        status = tune_sql_integer(store->db, &ignored,
                                  "SELECT count(*) FROM sqlite_schema", "");
    }
    if (status == SQLITE_ROW)
        return 0;
    snprintf(log, sizeof log, "%s-wal", store->path);
    int reason = store->db ? sqlite3_errcode(store->db) & 0xff : SQLITE_NOMEM;
    if ((reason == SQLITE_CANTOPEN || reason == SQLITE_READONLY) &&
        access(log, F_OK) != 0) {
        sqlite3_close(store->db);
        store->db = NULL;
        int rc = tsr__sqlite_open_immutable(&store->db, store->path, err);
        if (rc == 0)
            sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_VIEW, 1, NULL);
        return rc;
    }
    if (reason == SQLITE_NOTADB)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' is not a tuning database",
                        store->path);
    return tune_store_fail(store, err, "cannot read");
}

static int open_writing(struct tune_store *store, struct tsr_error *err)
{
    int status =
        sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (!store->db)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'",
                        store->path);
    sqlite3_busy_timeout(store->db, BUSY_MS);
    if (status != SQLITE_OK) {
        struct stat about;
        if (stat(store->path, &about) == 0 && S_ISDIR(about.st_mode))
            return TSR_FAIL(err, TSR_EIO, "cannot open '%s': it is a directory",
                            store->path);
        return TSR_FAIL(err, TSR_EIO,
                        "cannot open '%s': %s; does its directory exist and "
                        "may you write there?",
                        store->path, sqlite3_errmsg(store->db));
    }
    return 0;
}

/* Sets the journal. Where two processes do so at once, SQLite tells one of them
** "busy" at once, for waiting might be a deadlock; trying again is not. */
static int set_journal(sqlite3 *db, const char *pragma)
{
    int status = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    for (int waited = 0; (status & 0xff) == SQLITE_BUSY && waited < BUSY_MS;
         waited += 10) {
        sqlite3_sleep(10);
        status = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    }
    return status;
}

/* Journal, schema and the list of statuses. */
static int prepare_writing(struct tune_store *store, struct tsr_error *err)
{
    const char *journal = on_network(store->path)
                              ? "PRAGMA journal_mode = DELETE"
                              : "PRAGMA journal_mode = WAL";
    if (set_journal(store->db, journal) != SQLITE_OK ||
        sqlite3_exec(store->db,
                     "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
                     NULL, NULL, NULL) != SQLITE_OK)
        return tune_store_fail(store, err, "cannot write");
    int rc = tune_schema_apply(store->db, tune_schema_text(), err);
    if (rc)
        return (sqlite3_errcode(store->db) & 0xff) == SQLITE_ERROR
                   ? tsr__fail_context(err, rc, "'%s'", store->path)
                   : tune_store_fail(store, err, "cannot write");
    for (int s = 0; s < TUNE_STATUSES; s++)
        if (tune_sql_run(store->db,
                         "INSERT INTO status VALUES(?, ?) ON CONFLICT(name) "
                         "DO UPDATE SET meaning = excluded.meaning WHERE "
                         "meaning <> excluded.meaning",
                         "ss", tune_status_name(s),
                         tune_status_meaning(s)) != SQLITE_OK)
            return tune_store_fail(store, err, "cannot write");
    return 0;
}

int tune_store_open(struct tune_store **out, const char *path,
                    enum tune_store_mode mode, struct tsr_error *err)
{
    int version = 0;
    if (!tune_schema_text())
        return TSR_FAIL(err, TSR_EMEMORY,
                        "this build carries no autotune/schema.sql");
    struct tune_store *store = tsr__calloc(1, sizeof *store);
    if (!store)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", path);
    store->path = tsr__strdup(path);
    int rc = store->path ? 0
                         : TSR_FAIL(err, TSR_EMEMORY,
                                    "out of memory opening '%s'", path);
    if (rc == 0)
        rc = mode == TUNE_STORE_READ ? open_reading(store, err)
                                     : open_writing(store, err);
    if (rc == 0)
        rc = check_identity(store, &version, err);
    if (rc == 0 && mode == TUNE_STORE_WRITE)
        rc = prepare_writing(store, err);
    else if (rc == 0 && version < tune_schema_version(tune_schema_text()))
        rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                      "'%s' has schema version %d, older than this program's; "
                      "'tessera tune' on a writable copy updates it",
                      path, version);
    if (rc) {
        tune_store_free(store);
        return rc;
    }
    *out = store;
    return 0;
}

void tune_store_free(struct tune_store *store)
{
    if (!store)
        return;
    sqlite3_close(store->db);
    tsr__free(store->path);
    tsr__free(store);
}

sqlite3 *tune_store_sql(struct tune_store *store)
{
    return store->db;
}

const char *tune_store_path(const struct tune_store *store)
{
    return store->path;
}
