/* exchange.h -- a tuning database as JSON lines, and back.
**
** One object a line: {"table": NAME, "id": N, COLUMN: value, ...}; tables in
** an order in which every row comes after those it refers to. Ids belong to
** the file, not to the database it came from or goes to. Blobs are base64.
*/
#ifndef TUNE_EXCHANGE_H
#define TUNE_EXCHANGE_H

#include <stdio.h>

#include "autotune/store.h"

int tune_store_export(struct tune_store *store, FILE *to,
                      struct tsr_error *err);
/* All lines or none, in one transaction; rows that are there already are left
** alone. `name` is for messages. *added counts new attempts. */
int tune_store_import(struct tune_store *store, FILE *from, const char *name,
                      sqlite3_int64 *added, struct tsr_error *err);

#endif
