/* format.h -- the package file (*.tpk): an SQLite database that is written
** once (autotune/pack.c) and opened read-only for ever (package.c).
**
**   manifest   name = value: who made it, for what, and `index_sha256`
**   blob       machine code and PTX, each with its SHA-256
**   kernel     one row per (shape, M bucket, device): which blob, how to launch
**
**              kind       arch         cubin  ptx   what
**              tuned      sm_90a       yes    yes   winner of a database
**              default    sm_90a       yes    yes   every shape has some
**              baseline   compute_80   no     yes   for any newer GPU
**
** `index_sha256` covers every value of manifest (but itself) and kernel, and
** id, hash, kind and size of every blob. A reader checks it at open and each
** blob against its own hash at first use: nothing unhashed is ever used.
** `file_sha256` covers every byte of the file, its own 64 digits taken as
** zeroes; tsr_package_verify checks it.
**
** application_id and user_version are in the header page, so a foreign or a
** newer file is told apart before SQL is spoken.
*/
#ifndef TSR_KERNELS_FORMAT_H
#define TSR_KERNELS_FORMAT_H

#include <sqlite3.h>

#include "runtime/base/error.h"
#include "runtime/base/sha256.h"

enum {
    TSR_PACKAGE_APPLICATION = 0x5473726b,  /* "Tsrk" */
    TSR_DATABASE_APPLICATION = 0x54737264, /* "Tsrd": a tuning database */
    TSR_PACKAGE_VERSION = 1,
    TSR_KERNEL_ABI = 1 /* meaning and order of kernel arguments */
};

/* One statement each, exactly as stored in sqlite_schema, sorted by name. */
#define TSR_PACKAGE_TABLE_LIST(X)                                              \
    X(blob, "CREATE TABLE blob(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, " \
            "kind TEXT NOT NULL, size INTEGER NOT NULL, bytes BLOB NOT NULL)") \
    X(kernel,                                                                  \
      "CREATE TABLE kernel(id INTEGER PRIMARY KEY, family TEXT NOT NULL, "     \
      "format TEXT NOT NULL, type TEXT NOT NULL, n INTEGER NOT NULL, "         \
      "k INTEGER NOT NULL, bias INTEGER NOT NULL, m INTEGER NOT NULL, "        \
      "kind TEXT NOT NULL, arch TEXT NOT NULL, device TEXT NOT NULL, "         \
      "sm_count INTEGER NOT NULL, mig INTEGER NOT NULL, "                      \
      "measured INTEGER NOT NULL, microseconds REAL NOT NULL, "                \
      "spec TEXT NOT NULL, entry TEXT NOT NULL, threads INTEGER NOT NULL, "    \
      "shared INTEGER NOT NULL, tile_n INTEGER NOT NULL, "                     \
      "tile_m INTEGER NOT NULL, split_k INTEGER NOT NULL, cubin INTEGER, "     \
      "ptx INTEGER, provenance TEXT NOT NULL)")                                \
    X(manifest,                                                                \
      "CREATE TABLE manifest(name TEXT PRIMARY KEY, value TEXT NOT NULL) "     \
      "WITHOUT ROWID")

/* Where the digits of file_sha256 are in the bytes of a package, 0 when they
** are not there exactly once. */
size_t tsr__package_file_hash_place(const unsigned char *bytes, size_t size);
/* The hash of the bytes, with 64 zeroes at `place`. */
void tsr__package_file_hash(const unsigned char *bytes, size_t size,
                            size_t place, char hex[TSR_SHA256_HEX]);

/* The hash that must stand in manifest under "index_sha256". */
int tsr__package_index_hash(sqlite3 *db, char hex[TSR_SHA256_HEX],
                            struct tsr_error *err);

#endif
