/* sql.c -- one statement, its values, one call. */
#include "autotune/sql.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

static int bind_value(sqlite3_stmt *row, int at, char type, va_list *args)
{
    switch (type) {
    case 's': {
        const char *text = va_arg(*args, const char *);
        return text ? sqlite3_bind_text(row, at, text, -1, SQLITE_STATIC)
                    : sqlite3_bind_null(row, at);
    }
    case 'i':
        return sqlite3_bind_int64(row, at, va_arg(*args, int64_t));
    case 'I': {
        int64_t value = va_arg(*args, int64_t);
        return value ? sqlite3_bind_int64(row, at, value)
                     : sqlite3_bind_null(row, at);
    }
    case 'r':
        return sqlite3_bind_double(row, at, va_arg(*args, double));
    case 'R': {
        double value = va_arg(*args, double);
        return value >= 0 ? sqlite3_bind_double(row, at, value)
                          : sqlite3_bind_null(row, at);
    }
    case 'b': {
        const void *bytes = va_arg(*args, const void *);
        return sqlite3_bind_blob64(row, at, bytes, va_arg(*args, size_t),
                                   SQLITE_STATIC);
    }
    }
    return SQLITE_MISUSE;
}

static int prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql,
                   const char *types, va_list *args)
{
    sqlite3_stmt *row = NULL;
    int status = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    for (int at = 1; status == SQLITE_OK && types[at - 1]; at++)
        status = bind_value(row, at, types[at - 1], args);
    if (status != SQLITE_OK) {
        sqlite3_finalize(row);
        row = NULL;
    }
    *out = row;
    return status;
}

int tune_sql_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql,
                     const char *types, ...)
{
    va_list args;
    va_start(args, types);
    int status = prepare(db, out, sql, types, &args);
    va_end(args);
    return status;
}

int tune_sql_run(sqlite3 *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *row;
    va_list args;
    va_start(args, types);
    int status = prepare(db, &row, sql, types, &args);
    va_end(args);
    if (status != SQLITE_OK)
        return status;
    while ((status = sqlite3_step(row)) == SQLITE_ROW)
        ;
    sqlite3_finalize(row);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}

int tune_sql_integer(sqlite3 *db, sqlite3_int64 *value, const char *sql,
                     const char *types, ...)
{
    sqlite3_stmt *row;
    va_list args;
    va_start(args, types);
    int status = prepare(db, &row, sql, types, &args);
    va_end(args);
    if (status != SQLITE_OK)
        return status;
    status = sqlite3_step(row);
    if (status == SQLITE_ROW)
        *value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return status;
}

const char *tune_sql_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}
