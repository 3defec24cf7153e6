/* fuzz_package.c -- any bytes as a package: refused in one line, or every row
** of it found, looked at and hashed.
**
** The index hash stops nearly every mutation, so each input is tried twice:
** as it is, and with the hash made to fit, which is what a malicious author
** would do.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/kernels/format.h"
#include "runtime/kernels/lookup.h"

static const char *input_path(void)
{
    static char path[4096];
    const char *base = getenv("TSR_TEST_TMP");
    snprintf(path, sizeof path, "%s/fuzz-package-%ld.tpk", base ? base : "/tmp",
             (long)getpid());
    return path;
}

static void write_input(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file))
        exit(1);
}

/* Every number an author can choose reaches the arithmetic that uses it. */
static void use_row(const struct tsr_package *package, size_t index)
{
    static const struct tsr__lookup_place places[] = {
        {"H200", "sm_90a", 132, 0, 90}, {"A10", "sm_86", 72, 0, 86}};
    const struct tsr_kernel_info *info = tsr_package_row(package, index);
    struct tsr_kernel kernel = {.info = *info, .is_gemm = info->key.n != 0};
    volatile size_t bytes = tsr_kernel_workspace(&kernel, 4096);
    (void)bytes;
    if (info->threads < 1 || info->threads > 1024 || info->split_k < 1 ||
        info->tile_n < 1 || info->tile_m < 1 || !info->spec ||
        !info->provenance || !tsr_match_words(info->match)[0])
        abort();
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        size_t found;
        enum tsr_match match;
        if (tsr__lookup(package->rows, package->row_count, &info->key, info->m,
                        0, &places[p], &found, &match) == 0 &&
            !tsr__key_equal(&package->rows[found].info.key, &info->key))
            abort();
    }
}

static void try_open(const char *path)
{
    struct tsr_package *package;
    struct tsr_error err = {0};
    int rc = tsr_package_open(&package, path, &err);
    if (rc) {
        if (!err.text[0] || strchr(err.text, '\n'))
            abort();
        return;
    }
    for (size_t i = 0; tsr_package_row(package, i); i++)
        use_row(package, i);
    tsr_package_verify(package, &err);
    for (int64_t id = -1; id < 4; id++) {
        char *bytes;
        size_t size;
        if (tsr__package_blob(package, id, &bytes, &size, &err) == 0)
            free(bytes);
    }
    tsr_package_free(package);
}

/* 0 when the file is a database whose index hash now fits. */
static int repair(const char *path)
{
    sqlite3 *db = NULL;
    char hex[TSR_SHA256_HEX], sql[160];
    int rc = -1;
    if (sqlite3_open(path, &db) == SQLITE_OK &&
        tsr__package_index_hash(db, hex, NULL) == 0) {
        snprintf(sql, sizeof sql,
                 "UPDATE manifest SET value = '%s' WHERE name = "
                 "'index_sha256'",
                 hex);
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_close(db);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const more[] = {"-journal", "-wal", "-shm"};
    const char *path = input_path();
    char beside[4200];
    write_input(path, data, size);
    try_open(path);
    if (repair(path) == 0)
        try_open(path);
    for (int i = 0; i < 3; i++) {
        snprintf(beside, sizeof beside, "%s%s", path, more[i]);
        unlink(beside);
    }
    unlink(path);
    return 0;
}
