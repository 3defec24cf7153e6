/* store_internal.h -- shared by the store_*.c files only. */
#ifndef TUNE_STORE_INTERNAL_H
#define TUNE_STORE_INTERNAL_H

#include "autotune/store.h"

struct tune_store {
    sqlite3 *db;
    char *path;
};

const char *tune_status_meaning(enum tune_status status);

#endif
