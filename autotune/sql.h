/* sql.h -- one statement, its values, one call. */
#ifndef TUNE_SQL_H
#define TUNE_SQL_H

#include <sqlite3.h>

/* Prepares `sql` and binds one value per letter of `types`:
**   s  const char *, NULL binds NULL
**   i  int64_t                            I  int64_t, 0 binds NULL
**   r  double                             R  double, negative binds NULL
**   b  const void *, then size_t
** Texts and blobs must live until the statement ends. Returns an SQLite
** status; on failure *out is NULL. */
int tune_sql_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql,
                     const char *types, ...);
/* The same, run to its end without rows. */
int tune_sql_run(sqlite3 *db, const char *sql, const char *types, ...);
/* The same for a query of one integer; SQLITE_ROW with *value, SQLITE_DONE
** without a row, else an error. */
int tune_sql_integer(sqlite3 *db, sqlite3_int64 *value, const char *sql,
                     const char *types, ...);
/* Column as text that is never NULL. */
const char *tune_sql_text(sqlite3_stmt *row, int column);

#endif
