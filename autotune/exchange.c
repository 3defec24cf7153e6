/* exchange.c -- a tuning database as JSON lines, and back.
**
** Importing fills a temporary database with the lines as they stand and then
** merges it: what a merge does about ids and identities is done once, there.
*/
#include "autotune/exchange.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autotune/merge.h"
#include "autotune/sql.h"
#include "runtime/base/memory.h"

/* Referred-to tables first. */
static const char *const tables[] = {"device", "problem", "blob",
                                     "binary", "attempt", "race"};
enum { TABLES = sizeof tables / sizeof *tables, COLUMNS_MAX = 64 };

/* ---- base64 (RFC 4648) -------------------------------------------------- */

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *base64_encode(const unsigned char *bytes, size_t size)
{
    char *text = tsr__malloc((size + 2) / 3 * 4 + 1), *at = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16;
        if (i + 1 < size)
            group |= (unsigned)bytes[i + 1] << 8;
        if (i + 2 < size)
            group |= bytes[i + 2];
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = i + 1 < size ? digits[group >> 6 & 63] : '=';
        *at++ = i + 2 < size ? digits[group & 63] : '=';
    }
    *at = 0;
    return text;
}

/* NULL for text that is no base64. */
static unsigned char *base64_decode(const char *text, size_t *size)
{
    size_t length = strlen(text), used = 0;
    unsigned char *bytes = tsr__malloc(length / 4 * 3 + 1);
    unsigned group = 0;
    if (!bytes || length % 4)
        goto bad;
    size_t padding =
        length && text[length - 1] == '=' ? 1 + (text[length - 2] == '=') : 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(digits, text[i]);
        int is_padding = i >= length - padding;
        if (!is_padding && !digit)
            goto bad;
        group = group << 6 | (is_padding ? 0 : (unsigned)(digit - digits));
        if (i % 4 == 3) {
            bytes[used++] = (unsigned char)(group >> 16);
            bytes[used++] = (unsigned char)(group >> 8);
            bytes[used++] = (unsigned char)group;
            group = 0;
        }
    }
    *size = used - padding;
    return bytes;
bad:
    tsr__free(bytes);
    return NULL;
}

/* ---- export ------------------------------------------------------------- */

static json_t *value_json(sqlite3_stmt *row, int column)
{
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(row, column));
    case SQLITE_FLOAT:
        return json_real(sqlite3_column_double(row, column));
    case SQLITE_NULL:
        return json_null();
    case SQLITE_BLOB: {
        char *text = base64_encode(sqlite3_column_blob(row, column),
                                   (size_t)sqlite3_column_bytes(row, column));
        json_t *value = text ? json_string(text) : NULL;
        tsr__free(text);
        return value;
    }
    }
    return json_string(tune_sql_text(row, column));
}

static int export_row(sqlite3_stmt *row, const char *table, FILE *to)
{
    json_t *object = json_pack("{s:s}", "table", table);
    int rc = object ? 0 : -1;
    for (int c = 0; rc == 0 && c < sqlite3_column_count(row); c++)
        rc = json_object_set_new(object, sqlite3_column_name(row, c),
                                 value_json(row, c));
    if (rc == 0)
        rc = json_dumpf(object, to, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(object);
    return rc == 0 && fputc('\n', to) != EOF ? 0 : -1;
}

int tune_store_export(struct tune_store *store, FILE *to, struct tsr_error *err)
{
    for (int t = 0; t < TABLES; t++) {
        char query[64];
        sqlite3_stmt *row;
        int status, failed = 0;
        snprintf(query, sizeof query, "SELECT * FROM %s ORDER BY id",
                 tables[t]);
        if (tune_sql_prepare(tune_store_sql(store), &row, query, "") !=
            SQLITE_OK)
            return tune_store_fail(store, err, "cannot read");
        while (!failed && (status = sqlite3_step(row)) == SQLITE_ROW)
            failed = export_row(row, tables[t], to);
        sqlite3_finalize(row);
        if (failed)
            return TSR_FAIL(err, TSR_EIO, "cannot write the export");
        if (status != SQLITE_DONE)
            return tune_store_fail(store, err, "cannot read");
    }
    if (fflush(to) != 0)
        return TSR_FAIL(err, TSR_EIO, "cannot write the export");
    return 0;
}

/* ---- import ------------------------------------------------------------- */

/* INSERT with one parameter per column of the table, in their order. */
struct inserter {
    sqlite3_stmt *row;
    char *column[COLUMNS_MAX];
    int is_blob[COLUMNS_MAX];
    int count;
};

static void inserter_release(struct inserter *inserter)
{
    sqlite3_finalize(inserter->row);
    for (int i = 0; i < inserter->count; i++)
        tsr__free(inserter->column[i]);
    memset(inserter, 0, sizeof *inserter);
}

static int inserter_open(struct inserter *inserter, sqlite3 *db,
                         const char *table)
{
    sqlite3_stmt *row;
    char sql[512];
    int used = snprintf(sql, sizeof sql, "INSERT INTO %s VALUES(", table);
    int status = tune_sql_prepare(
        db, &row, "SELECT name, type FROM pragma_table_info(?)", "s", table);
    while (status == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW &&
           inserter->count < COLUMNS_MAX) {
        used += snprintf(sql + used, sizeof sql - (size_t)used, "%s?",
                         inserter->count ? "," : "");
        inserter->column[inserter->count] = tsr__strdup(tune_sql_text(row, 0));
        inserter->is_blob[inserter->count++] =
            strcmp(tune_sql_text(row, 1), "BLOB") == 0;
    }
    sqlite3_finalize(row);
    snprintf(sql + used, sizeof sql - (size_t)used, ")");
    return status == SQLITE_OK
               ? sqlite3_prepare_v2(db, sql, -1, &inserter->row, NULL)
               : status;
}

static int bind_json(sqlite3_stmt *row, int at, const json_t *value,
                     int is_blob)
{
    if (json_is_integer(value))
        return sqlite3_bind_int64(row, at, json_integer_value(value));
    if (json_is_real(value))
        return sqlite3_bind_double(row, at, json_real_value(value));
    if (!json_is_string(value))
        return sqlite3_bind_null(row, at);
    if (!is_blob)
        return sqlite3_bind_text(row, at, json_string_value(value), -1,
                                 SQLITE_TRANSIENT);
    size_t size;
    unsigned char *bytes = base64_decode(json_string_value(value), &size);
    if (!bytes)
        return SQLITE_MISMATCH;
    int status = sqlite3_bind_blob64(row, at, bytes, size, SQLITE_TRANSIENT);
    tsr__free(bytes);
    return status;
}

static int insert_line(struct inserter *inserters, const json_t *object)
{
    const char *table = json_string_value(json_object_get(object, "table"));
    for (int t = 0; t < TABLES; t++) {
        struct inserter *into = &inserters[t];
        if (!table || strcmp(table, tables[t]) != 0)
            continue;
        int status = SQLITE_OK;
        for (int c = 0; status == SQLITE_OK && c < into->count; c++)
            status = bind_json(into->row, c + 1,
                               json_object_get(object, into->column[c]),
                               into->is_blob[c]);
        if (status == SQLITE_OK)
            status = sqlite3_step(into->row);
        sqlite3_reset(into->row);
        sqlite3_clear_bindings(into->row);
        return status == SQLITE_DONE ? SQLITE_OK : status;
    }
    return SQLITE_MISMATCH;
}

static int read_lines(struct tune_store *temporary, FILE *from,
                      const char *name, struct tsr_error *err)
{
    struct inserter inserters[TABLES] = {{0}};
    sqlite3 *db = tune_store_sql(temporary);
    char *line = NULL;
    size_t room = 0;
    long number = 0;
    int status = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), rc = 0;
    for (int t = 0; status == SQLITE_OK && t < TABLES; t++)
        status = inserter_open(&inserters[t], db, tables[t]);
    if (status != SQLITE_OK)
        rc = tune_store_fail(temporary, err, "cannot write");
    while (rc == 0 && getline(&line, &room, from) >= 0) {
        json_error_t why;
        json_t *object = json_loads(line, 0, &why);
        number++;
        if (!object)
            rc = TSR_FAIL(err, TSR_EFORMAT, "'%s' line %ld: %s", name, number,
                          why.text);
        else if (insert_line(inserters, object) != SQLITE_OK)
            rc = TSR_FAIL(err, TSR_EFORMAT,
                          "'%s' line %ld is not a row of a tuning database",
                          name, number);
        json_decref(object);
    }
    free(line);
    for (int t = 0; t < TABLES; t++)
        inserter_release(&inserters[t]);
    if (rc == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        rc = TSR_FAIL(err, TSR_EFORMAT, "'%s': %s", name, sqlite3_errmsg(db));
    return rc;
}

int tune_store_import(struct tune_store *store, FILE *from, const char *name,
                      sqlite3_int64 *added, struct tsr_error *err)
{
    const char *folder = getenv("TMPDIR");
    char path[4096], side[4104];
    struct tune_store *temporary = NULL;
    snprintf(path, sizeof path, "%s/tessera-import-XXXXXX",
             folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return TSR_FAIL(err, TSR_EIO, "cannot make a temporary file '%s'",
                        path);
    close(fd);
    int rc = tune_store_open(&temporary, path, TUNE_STORE_WRITE, err);
    if (rc == 0)
        rc = read_lines(temporary, from, name, err);
    tune_store_free(temporary);
    if (rc == 0)
        rc = tune_store_merge(store, path, added, err);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        snprintf(side, sizeof side, "%s%s", path, i ? "-shm" : "-wal");
        unlink(side);
    }
    return rc;
}
