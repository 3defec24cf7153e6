/* package.h -- an open package: its rows in memory, its blobs on demand.
**
**   package ── rows      every kernel row, checked, read at open
**      ├────── modules   machine code loaded so far, one per (device, blob)
**      └────── kernels   (row, device) pairs found so far; handles are given
**                        out to callers and never move
**
** `lock` guards the SQLite connection and both lists; rows never change. A
** kernel is complete when it is given out and is not written again, so
** launching takes no lock.
*/
#ifndef TSR_KERNELS_PACKAGE_H
#define TSR_KERNELS_PACKAGE_H

#include <pthread.h>
#include <sqlite3.h>

#include "runtime/base/sha256.h"
#include "runtime/device/device.h"
#include "runtime/tessera.h"

enum tsr__row_kind { TSR__ROW_TUNED, TSR__ROW_DEFAULT, TSR__ROW_BASELINE };

struct tsr__row {
    struct tsr_kernel_info info; /* strings point into `text` */
    enum tsr__row_kind kind;
    int mig;
    const char *entry;
    int64_t cubin, ptx; /* blob ids, 0: none */
    char *text;
};

struct tsr__loaded_module {
    struct tsr__loaded_module *next;
    struct tsr_device *device;
    int64_t blob;
    struct tsr_module *module;
};

struct tsr_kernel {
    struct tsr_kernel *next;
    struct tsr_device *device;
    const struct tsr__row *row;
    struct tsr_kernel_info info; /* the row's, with how it was found */
    int is_gemm;
    struct tsr_function *function;
};

struct tsr_package {
    char *path;
    sqlite3 *db;
    struct tsr__row *rows;
    size_t row_count;
    pthread_mutex_t lock;
    struct tsr__loaded_module *modules;
    struct tsr_kernel *kernels;
};

/* Bytes of blob `id`, hashed; a NUL follows them. The caller frees them with
** tsr__free and holds the lock. */
int tsr__package_blob(struct tsr_package *package, int64_t id, char **bytes,
                      size_t *size, struct tsr_error *err);

/* Opens an SQLite file that nobody writes, without locks or a journal. */
int tsr__sqlite_open_immutable(sqlite3 **out, const char *path,
                               struct tsr_error *err);

#endif
