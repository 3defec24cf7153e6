/* merge.h -- rows of one tuning database into another. */
#ifndef TUNE_MERGE_H
#define TUNE_MERGE_H

#include "autotune/store.h"

/* Adds every row of the database at `path` that `store` lacks, in one
** transaction; *added counts attempts. Rows keep their provenance; merging
** again adds nothing. The source is checked as tune_store_open does. */
int tune_store_merge(struct tune_store *store, const char *path,
                     sqlite3_int64 *added, struct tsr_error *err);

#endif
