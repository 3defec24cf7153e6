/* package_writer.c -- rows to a package file, byte for byte reproducible. */
#include "autotune/package_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/sql.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/kernels/format.h"

struct blob {
    char sha256[TSR_SHA256_HEX];
    const char *kind;
    const void *bytes;
    size_t size;
};

struct writer {
    sqlite3 *db;
    const struct tune_package_row **rows; /* sorted */
    size_t row_count;
    struct blob *blobs; /* sorted, distinct; id = index + 1 */
    size_t blob_count;
};

/* ---- order -------------------------------------------------------------- */

static int compare_number(double a, double b)
{
    return (a > b) - (a < b);
}

/* ORDER PACKAGE ROWS: everything that tells two rows apart. */
static int compare_rows(const void *left, const void *right)
{
    const struct tune_package_row *a =
        *(const struct tune_package_row *const *)left;
    const struct tune_package_row *b =
        *(const struct tune_package_row *const *)right;
    const struct {
        const char *a, *b;
    } texts[] = {{a->family, b->family}, {a->format, b->format},
                 {a->type, b->type},     {a->arch, b->arch},
                 {b->kind, a->kind},     {a->device, b->device}};
    const struct {
        double a, b;
    } numbers[] = {{a->n, b->n},       {a->k, b->k},
                   {a->bias, b->bias}, {a->sm_count, b->sm_count},
                   {a->mig, b->mig},   {a->m, b->m}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int order = strcmp(texts[i].a, texts[i].b);
        if (order)
            return order;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int order = compare_number(numbers[i].a, numbers[i].b);
        if (order)
            return order;
    }
    return strcmp(a->spec, b->spec);
}

static int compare_blobs(const void *left, const void *right)
{
    const struct blob *a = left, *b = right;
    int order = strcmp(a->kind, b->kind);
    return order ? order : strcmp(a->sha256, b->sha256);
}

/* ---- collecting --------------------------------------------------------- */

static void add_blob(struct writer *writer, const char *kind, const void *bytes,
                     size_t size)
{
    struct blob *blob = &writer->blobs[writer->blob_count];
    if (!bytes)
        return;
    blob->kind = kind;
    blob->bytes = bytes;
    blob->size = size;
    tsr__sha256_hex(bytes, size, blob->sha256);
    writer->blob_count++;
}

static int collect(struct writer *writer, const struct tune_package_row *rows,
                   size_t count)
{
    writer->rows = tsr__calloc(count, sizeof *writer->rows);
    writer->blobs = tsr__calloc(2 * count, sizeof *writer->blobs);
    if (!writer->rows || !writer->blobs)
        return -1;
    for (size_t i = 0; i < count; i++) {
        writer->rows[i] = &rows[i];
        add_blob(writer, "cubin", rows[i].cubin, rows[i].cubin_size);
        add_blob(writer, "ptx", rows[i].ptx, rows[i].ptx_size);
    }
    writer->row_count = count;
    qsort(writer->rows, count, sizeof *writer->rows, compare_rows);
    qsort(writer->blobs, writer->blob_count, sizeof *writer->blobs,
          compare_blobs);
    size_t kept = 0;
    for (size_t i = 0; i < writer->blob_count; i++)
        if (!kept ||
            compare_blobs(&writer->blobs[kept - 1], &writer->blobs[i]) != 0)
            writer->blobs[kept++] = writer->blobs[i];
    writer->blob_count = kept;
    return 0;
}

static int64_t blob_id(const struct writer *writer, const char *kind,
                       const void *bytes, size_t size)
{
    struct blob wanted = {.kind = kind};
    if (!bytes)
        return 0;
    tsr__sha256_hex(bytes, size, wanted.sha256);
    const struct blob *found =
        bsearch(&wanted, writer->blobs, writer->blob_count, sizeof wanted,
                compare_blobs);
    return found - writer->blobs + 1;
}

/* ---- writing ------------------------------------------------------------ */

static int write_schema(struct writer *writer)
{
    char pragma[192];
    snprintf(pragma, sizeof pragma,
             "PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8'; "
             "PRAGMA temp_store = MEMORY; "
             "PRAGMA application_id = %d; PRAGMA user_version = %d",
             TSR_PACKAGE_APPLICATION, TSR_PACKAGE_VERSION);
    int status = sqlite3_exec(writer->db, pragma, NULL, NULL, NULL);
#define X(name, sql)         \
    if (status == SQLITE_OK) \
        status = sqlite3_exec(writer->db, sql, NULL, NULL, NULL);
    TSR_PACKAGE_TABLE_LIST(X)
#undef X
    return status;
}

static int write_blobs(struct writer *writer)
{
    int status = SQLITE_OK;
    for (size_t i = 0; status == SQLITE_OK && i < writer->blob_count; i++) {
        const struct blob *blob = &writer->blobs[i];
        status = tune_sql_run(writer->db, "INSERT INTO blob VALUES(?,?,?,?,?)",
                              "issib", (int64_t)i + 1, blob->sha256, blob->kind,
                              (int64_t)blob->size, blob->bytes, blob->size);
    }
    return status;
}

static int write_row(struct writer *writer, size_t index)
{
    const struct tune_package_row *row = writer->rows[index];
    return tune_sql_run(
        writer->db,
        "INSERT INTO kernel(id, family, format, type, n, k, bias, m, kind, "
        "arch, device, sm_count, mig, measured, microseconds, spec, entry, "
        "threads, shared, tile_n, tile_m, split_k, cubin, ptx, provenance) "
        "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "isssiiiisssiiirssiiiiiIIs", (int64_t)index + 1, row->family,
        row->format, row->type, (int64_t)row->n, (int64_t)row->k,
        (int64_t) !!row->bias, (int64_t)row->m, row->kind, row->arch,
        row->device, (int64_t)row->sm_count, (int64_t) !!row->mig,
        (int64_t) !!row->measured, row->microseconds, row->spec, row->entry,
        (int64_t)row->launch.threads, (int64_t)row->launch.shared,
        (int64_t)row->launch.tile_n, (int64_t)row->launch.tile_m,
        (int64_t)row->launch.split_k,
        blob_id(writer, "cubin", row->cubin, row->cubin_size),
        blob_id(writer, "ptx", row->ptx, row->ptx_size), row->provenance);
}

static int write_manifest(struct writer *writer, const json_t *manifest)
{
    const char *name;
    json_t *value;
    char number[16];
    snprintf(number, sizeof number, "%d", TSR_KERNEL_ABI);
    int status = tune_sql_run(writer->db, "INSERT INTO manifest VALUES(?, ?)",
                              "ss", "kernel_abi", number);
    json_object_foreach((json_t *)manifest, name, value)
    {
        if (status == SQLITE_OK)
            status =
                tune_sql_run(writer->db, "INSERT INTO manifest VALUES(?, ?)",
                             "ss", name, json_string_value(value));
    }
    return status;
}

static int write_all(struct writer *writer, const json_t *manifest,
                     struct tsr_error *err)
{
    char hex[TSR_SHA256_HEX];
    int status = write_schema(writer);
    if (status == SQLITE_OK)
        status = sqlite3_exec(writer->db, "BEGIN", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        status = write_blobs(writer);
    for (size_t i = 0; status == SQLITE_OK && i < writer->row_count; i++)
        status = write_row(writer, i);
    if (status == SQLITE_OK)
        status = write_manifest(writer, manifest);
    if (status == SQLITE_OK &&
        tsr__package_index_hash(writer->db, hex, err) == 0)
        status = tune_sql_run(
            writer->db,
            "INSERT INTO manifest VALUES('index_sha256', ?), ('file_sha256', "
            "printf('%064d', 0))",
            "s", hex);
    if (status == SQLITE_OK)
        status = sqlite3_exec(writer->db, "COMMIT", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_exec(writer->db, "VACUUM", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        return 0;
    return TSR_FAIL(err, TSR_EIO, "cannot build the package: %s",
                    sqlite3_errmsg(writer->db));
}

/* Puts the hash of the bytes where their hash is looked for. */
static int seal(unsigned char *image, size_t size, struct tsr_error *err)
{
    char hex[TSR_SHA256_HEX];
    size_t place = tsr__package_file_hash_place(image, size);
    if (!place)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "cannot build the package: some text in it looks like "
                        "its hash");
    tsr__package_file_hash(image, size, place, hex);
    memcpy(image + place, hex, TSR_SHA256_HEX - 1);
    return 0;
}

int tune_package_write(const char *path, const struct tune_package_row *rows,
                       size_t count, const json_t *manifest, size_t *bytes,
                       struct tsr_error *err)
{
    struct writer writer = {0};
    sqlite3_int64 size = 0;
    unsigned char *image = NULL;
    int rc = 0;
    if (collect(&writer, rows, count) ||
        sqlite3_open(":memory:", &writer.db) != SQLITE_OK) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory building a package");
        goto done;
    }
    rc = write_all(&writer, manifest, err);
    if (rc)
        goto done;
    image = sqlite3_serialize(writer.db, "main", &size, 0);
    if (!image) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory building a package");
        goto done;
    }
    rc = seal(image, (size_t)size, err);
    if (rc == 0)
        rc = tsr__file_write(path, image, (size_t)size, err);
    if (rc == 0 && bytes)
        *bytes = (size_t)size;
done:
    sqlite3_free(image);
    sqlite3_close(writer.db);
    tsr__free(writer.rows);
    tsr__free(writer.blobs);
    return rc;
}
