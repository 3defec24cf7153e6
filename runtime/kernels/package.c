/* package.c -- opening a package: everything is checked before it is used.
**
** Order of checks, so that each damage gets its own sentence: the header page
** (is it SQLite, ours, of this version, as long as it says), the schema (the
** very text of format.h, no view, trigger or index of somebody else), the
** index hash, the manifest, each row's ranges, each blob's declared size.
** Blobs are hashed when they are fetched.
*/
#include "runtime/kernels/package.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buffer.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/kernels/format.h"

enum {
    HEADER_BYTES = 100, /* of an SQLite file; offsets below are documented */
    OFFSET_PAGE_SIZE = 16,
    OFFSET_JOURNAL = 18, /* 1 1: no write-ahead log */
    OFFSET_PAGES = 28,
    OFFSET_VERSION = 60,
    OFFSET_APPLICATION = 68,
    ROWS_MAX = 1 << 20,
    BLOB_MAX = 256 << 20
};

static uint32_t big_endian(const unsigned char *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* What the header page says, before SQLite is asked to believe it. */
static int check_header(const char *path, struct tsr_error *err)
{
    struct tsr_map map;
    int rc = tsr__map_open(&map, path, err);
    if (rc)
        return rc;
    const unsigned char *head = map.data;
    if (map.size < HEADER_BYTES || memcmp(head, "SQLite format 3", 16) != 0) {
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' is not a Tessera package; 'tessera pack' makes one",
                      path);
        goto done;
    }
    uint32_t application = big_endian(head + OFFSET_APPLICATION, 4);
    uint32_t version = big_endian(head + OFFSET_VERSION, 4);
    uint32_t page = big_endian(head + OFFSET_PAGE_SIZE, 2);
    uint64_t size = (uint64_t)(page == 1 ? 65536 : page) *
                    big_endian(head + OFFSET_PAGES, 4);
    if (application == TSR_DATABASE_APPLICATION)
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' is a tuning database, not a package; make one with "
                      "'tessera pack --db %s'",
                      path, path);
    else if (application != TSR_PACKAGE_APPLICATION)
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' is a database of another program, not a Tessera "
                      "package",
                      path);
    else if (version != TSR_PACKAGE_VERSION)
        rc = TSR_FAIL(err, TSR_EUNSUPPORTED,
                      "'%s' has package version %" PRIu32
                      ", this program reads version %d; %s",
                      path, version, TSR_PACKAGE_VERSION,
                      version > TSR_PACKAGE_VERSION
                          ? "use a newer tessera"
                          : "make it again with 'tessera pack'");
    else if (size != map.size)
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' is damaged: %zu bytes, its header says %" PRIu64
                      "; copy or make it again",
                      path, map.size, size);
    else if (head[OFFSET_JOURNAL] != 1 || head[OFFSET_JOURNAL + 1] != 1)
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' is damaged: it wants a write-ahead log", path);
done:
    tsr__map_release(&map);
    return rc;
}

int tsr__sqlite_open_immutable(sqlite3 **out, const char *path,
                               struct tsr_error *err)
{
    struct tsr_buffer uri = TSR_BUFFER_INIT;
    sqlite3 *db = NULL;
    tsr__buffer_addf(&uri, "file:");
    for (const char *at = path; *at; at++) {
        if (strchr("%?#", *at))
            tsr__buffer_addf(&uri, "%%%02x", (unsigned char)*at);
        else
            tsr__buffer_add(&uri, at, 1);
    }
    tsr__buffer_addf(&uri, "?immutable=1");
    if (uri.failed) {
        tsr__buffer_release(&uri);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", path);
    }
    int status = sqlite3_open_v2(
        uri.data, &db,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX, NULL);
    tsr__buffer_release(&uri);
    if (status != SQLITE_OK) {
        int rc = TSR_FAIL(err, TSR_EIO, "cannot open '%s': %s", path,
                          db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        return rc;
    }
    /* The file may come from a stranger: none of its SQL may run. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    *out = db;
    return 0;
}

static int damaged(const struct tsr_package *package, struct tsr_error *err,
                   const char *fmt, ...) TSR_PRINTF(3, 4);

static int damaged(const struct tsr_package *package, struct tsr_error *err,
                   const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return TSR_FAIL(err, TSR_EFORMAT,
                    "'%s' is damaged: %s; copy or make it again", package->path,
                    what);
}

static int check_schema(struct tsr_package *package, struct tsr_error *err)
{
    static const struct {
        const char *name, *sql;
    } wanted[] = {
#define X(name, sql) {#name, sql},
        TSR_PACKAGE_TABLE_LIST(X)
#undef X
    };
    sqlite3_stmt *row = NULL;
    size_t seen = 0, count = sizeof wanted / sizeof *wanted;
    int status = sqlite3_prepare_v2(
        package->db, "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
        -1, &row, NULL);
    while (status == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(row, 0);
        const char *name = (const char *)sqlite3_column_text(row, 1);
        const char *sql = (const char *)sqlite3_column_text(row, 2);
        if (seen == count || !type || !name || !sql || strcmp(type, "table") ||
            strcmp(name, wanted[seen].name) || strcmp(sql, wanted[seen].sql)) {
            seen = count + 1;
            break;
        }
        seen++;
    }
    sqlite3_finalize(row);
    if (status != SQLITE_OK)
        return damaged(package, err, "%s", sqlite3_errmsg(package->db));
    if (seen != count)
        return damaged(package, err, "its tables are not those of a package");
    return 0;
}

/* The value of one manifest entry into text[size]. */
static int read_manifest(struct tsr_package *package, const char *name,
                         char *text, size_t size, struct tsr_error *err)
{
    sqlite3_stmt *row = NULL;
    int found = 0;
    if (sqlite3_prepare_v2(package->db,
                           "SELECT value FROM manifest WHERE name = ?", -1,
                           &row, NULL) == SQLITE_OK) {
        sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(row) == SQLITE_ROW) {
            const char *value = (const char *)sqlite3_column_text(row, 0);
            found = value && strlen(value) < size;
            if (found)
                strcpy(text, value);
        }
    }
    sqlite3_finalize(row);
    if (!found)
        return damaged(package, err, "its manifest has no valid '%s'", name);
    return 0;
}

static int check_index(struct tsr_package *package, struct tsr_error *err)
{
    char wanted[TSR_SHA256_HEX], found[TSR_SHA256_HEX], abi[16];
    struct tsr_error why = {0};
    int rc = read_manifest(package, "index_sha256", wanted, sizeof wanted, err);
    if (rc)
        return rc;
    if (tsr__package_index_hash(package->db, found, &why))
        return damaged(package, err, "%s", why.text);
    if (strcmp(wanted, found) != 0)
        return damaged(package, err, "its index does not match its hash");
    rc = read_manifest(package, "kernel_abi", abi, sizeof abi, err);
    if (rc)
        return rc;
    if (atoi(abi) != TSR_KERNEL_ABI)
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' has kernels with argument ABI %s, this program "
                        "launches ABI %d; make it again with 'tessera pack'",
                        package->path, abi, TSR_KERNEL_ABI);
    return 0;
}

/* ORDER ROW COLUMNS: text columns first, as fill_row takes them. */
#define ROW_QUERY                                                             \
    "SELECT family, format, type, arch, device, spec, entry, provenance, "    \
    "kind, n, k, bias, m, sm_count, mig, measured, threads, shared, tile_n, " \
    "tile_m, split_k, cubin, ptx, microseconds FROM kernel ORDER BY id"

enum { TEXT_COLUMNS = 8, COLUMN_KIND = 8, COLUMN_NUMBERS = 9, NUMBERS = 14 };

static const struct {
    const char *name;
    int64_t low, high;
} number_range[NUMBERS] = {
    {"n", 0, INT32_MAX},     {"k", 1, INT32_MAX},    {"bias", 0, 1},
    {"m", 1, INT32_MAX},     {"sm_count", 0, 65535}, {"mig", 0, 1},
    {"measured", 0, 1},      {"threads", 1, 1024},   {"shared", 0, 1 << 20},
    {"tile_n", 1, 65536},    {"tile_m", 1, 65536},   {"split_k", 1, 65535},
    {"cubin", 0, INT32_MAX}, {"ptx", 0, INT32_MAX},
};

/* One allocation holds all strings of a row. */
static int copy_texts(sqlite3_stmt *from, struct tsr__row *row,
                      const char *texts[TEXT_COLUMNS])
{
    size_t total = 0;
    for (int i = 0; i < TEXT_COLUMNS; i++)
        total += (size_t)sqlite3_column_bytes(from, i) + 1;
    char *at = row->text = tsr__malloc(total);
    if (!at)
        return -1;
    for (int i = 0; i < TEXT_COLUMNS; i++) {
        const void *text = sqlite3_column_text(from, i);
        size_t size = (size_t)sqlite3_column_bytes(from, i);
        texts[i] = at;
        if (text)
            memcpy(at, text, size);
        at[size] = 0;
        at += size + 1;
    }
    return 0;
}

static int parse_kind(const char *text, enum tsr__row_kind *kind)
{
    static const char *const names[] = {"tuned", "default", "baseline"};
    for (int i = 0; text && i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *kind = (enum tsr__row_kind)i;
            return 0;
        }
    return -1;
}

static int fill_row(struct tsr_package *package, sqlite3_stmt *from,
                    struct tsr__row *row, struct tsr_error *err)
{
    static const enum tsr_match matches[] = {
        TSR_MATCH_DEVICE, TSR_MATCH_DEFAULT, TSR_MATCH_BASELINE};
    const char *text[TEXT_COLUMNS];
    int64_t number[NUMBERS];
    if (copy_texts(from, row, text))
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'",
                        package->path);
    if (parse_kind((const char *)sqlite3_column_text(from, COLUMN_KIND),
                   &row->kind))
        return damaged(package, err, "a kernel is of an unknown kind");
    for (int i = 0; i < NUMBERS; i++) {
        number[i] = sqlite3_column_int64(from, COLUMN_NUMBERS + i);
        if (number[i] < number_range[i].low || number[i] > number_range[i].high)
            return damaged(package, err, "%s = %" PRId64 " of a kernel",
                           number_range[i].name, number[i]);
    }
    row->info = (struct tsr_kernel_info){
        .key = {text[0], text[1][0] ? text[1] : NULL, text[2],
                (uint32_t)number[0], (uint32_t)number[1], (int)number[2]},
        .m = (uint32_t)number[3],
        .arch = text[3],
        .device = text[4],
        .sm_count = (int)number[4],
        .measured = (int)number[6],
        .microseconds = sqlite3_column_double(from, COLUMN_NUMBERS + NUMBERS),
        .match = matches[row->kind],
        .spec = text[5],
        .provenance = text[7],
        .threads = (uint32_t)number[7],
        .shared_bytes = (uint32_t)number[8],
        .tile_n = (uint32_t)number[9],
        .tile_m = (uint32_t)number[10],
        .split_k = (uint32_t)number[11]};
    row->mig = (int)number[5];
    row->entry = text[6];
    row->cubin = number[12];
    row->ptx = number[13];
    return 0;
}

static int read_rows(struct tsr_package *package, struct tsr_error *err)
{
    sqlite3_stmt *from = NULL;
    size_t capacity = 0;
    int rc = 0, status;
    if (sqlite3_prepare_v2(package->db, ROW_QUERY, -1, &from, NULL))
        return damaged(package, err, "%s", sqlite3_errmsg(package->db));
    while (rc == 0 && (status = sqlite3_step(from)) == SQLITE_ROW) {
        if (package->row_count == ROWS_MAX)
            rc = damaged(package, err, "more than %d kernels", ROWS_MAX);
        else if (tsr__grow((void **)&package->rows, &capacity,
                           package->row_count + 1, sizeof *package->rows))
            rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'",
                          package->path);
        else {
            struct tsr__row *row = &package->rows[package->row_count++];
            memset(row, 0, sizeof *row);
            rc = fill_row(package, from, row, err);
        }
    }
    if (rc == 0 && status != SQLITE_DONE)
        rc = damaged(package, err, "%s", sqlite3_errmsg(package->db));
    sqlite3_finalize(from);
    return rc;
}

/* Sizes, without reading the bytes. */
static int check_blob_sizes(struct tsr_package *package, struct tsr_error *err)
{
    sqlite3_stmt *row = NULL;
    int status = sqlite3_prepare_v2(
        package->db,
        "SELECT id FROM blob WHERE typeof(bytes) <> 'blob' OR "
        "length(bytes) <> size OR kind NOT IN ('cubin', 'ptx') LIMIT 1",
        -1, &row, NULL);
    int64_t bad = 0;
    if (status == SQLITE_OK) {
        status = sqlite3_step(row);
        if (status == SQLITE_ROW)
            bad = sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    if (status == SQLITE_ROW)
        return damaged(package, err, "blob %" PRId64 " has another size", bad);
    if (status != SQLITE_DONE)
        return damaged(package, err, "%s", sqlite3_errmsg(package->db));
    return 0;
}

int tsr_package_open(struct tsr_package **out, const char *path,
                     struct tsr_error *err)
{
    int rc = check_header(path, err);
    if (rc)
        return rc;
    struct tsr_package *package = tsr__calloc(1, sizeof *package);
    if (!package)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", path);
    pthread_mutex_init(&package->lock, NULL);
    package->path = tsr__strdup(path);
    if (!package->path)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", path);
    if (rc == 0)
        rc = tsr__sqlite_open_immutable(&package->db, path, err);
    if (rc == 0)
        rc = check_schema(package, err);
    if (rc == 0)
        rc = check_index(package, err);
    if (rc == 0)
        rc = read_rows(package, err);
    if (rc == 0)
        rc = check_blob_sizes(package, err);
    if (rc) {
        tsr_package_free(package);
        return rc;
    }
    *out = package;
    return 0;
}

void tsr_package_free(struct tsr_package *package)
{
    if (!package)
        return;
    while (package->kernels) {
        struct tsr_kernel *kernel = package->kernels;
        package->kernels = kernel->next;
        tsr__free(kernel);
    }
    while (package->modules) {
        struct tsr__loaded_module *loaded = package->modules;
        package->modules = loaded->next;
        tsr__module_free(loaded->module);
        tsr__free(loaded);
    }
    for (size_t i = 0; i < package->row_count; i++)
        tsr__free(package->rows[i].text);
    tsr__free(package->rows);
    sqlite3_close(package->db);
    tsr__free(package->path);
    pthread_mutex_destroy(&package->lock);
    tsr__free(package);
}

/* Copies the bytes of the current row and compares their hash. */
static int take_blob(struct tsr_package *package, sqlite3_stmt *row, int64_t id,
                     char **bytes, size_t *size, struct tsr_error *err)
{
    char hex[TSR_SHA256_HEX];
    const char *wanted = (const char *)sqlite3_column_text(row, 0);
    const void *from = sqlite3_column_blob(row, 1);
    size_t length = (size_t)sqlite3_column_bytes(row, 1);
    if (!from || !wanted || length > BLOB_MAX)
        return damaged(package, err, "blob %" PRId64 " cannot be read", id);
    tsr__sha256_hex(from, length, hex);
    if (strcmp(hex, wanted) != 0)
        return damaged(package, err,
                       "blob %" PRId64 " does not match its hash %.12s", id,
                       wanted);
    if (!bytes)
        return 0;
    char *copy = tsr__malloc(length + 1);
    if (!copy)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'",
                        package->path);
    memcpy(copy, from, length);
    copy[length] = 0;
    *bytes = copy;
    *size = length;
    return 0;
}

int tsr__package_blob(struct tsr_package *package, int64_t id, char **bytes,
                      size_t *size, struct tsr_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc;
    if (sqlite3_prepare_v2(package->db,
                           "SELECT sha256, bytes FROM blob WHERE id = ?", -1,
                           &row, NULL))
        return damaged(package, err, "%s", sqlite3_errmsg(package->db));
    sqlite3_bind_int64(row, 1, id);
    if (sqlite3_step(row) == SQLITE_ROW)
        rc = take_blob(package, row, id, bytes, size, err);
    else
        rc = damaged(package, err, "blob %" PRId64 " is missing", id);
    sqlite3_finalize(row);
    return rc;
}

/* Every byte of the file, as it is on disk now. */
static int check_file(struct tsr_package *package, struct tsr_error *err)
{
    struct tsr_map map;
    char hex[TSR_SHA256_HEX];
    int rc = tsr__map_open(&map, package->path, err);
    if (rc)
        return rc;
    size_t place = tsr__package_file_hash_place(map.data, map.size);
    if (place)
        tsr__package_file_hash(map.data, map.size, place, hex);
    if (!place || memcmp(hex, map.data + place, TSR_SHA256_HEX - 1) != 0)
        rc = damaged(package, err, "its bytes do not match their hash");
    tsr__map_release(&map);
    return rc;
}

int tsr_package_verify(struct tsr_package *package, struct tsr_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc = 0, status;
    pthread_mutex_lock(&package->lock);
    if (sqlite3_prepare_v2(package->db,
                           "SELECT sha256, bytes, id FROM blob ORDER BY id", -1,
                           &row, NULL)) {
        rc = damaged(package, err, "%s", sqlite3_errmsg(package->db));
        goto done;
    }
    while (rc == 0 && (status = sqlite3_step(row)) == SQLITE_ROW)
        rc = take_blob(package, row, sqlite3_column_int64(row, 2), NULL, NULL,
                       err);
    if (rc == 0 && status != SQLITE_DONE)
        rc = damaged(package, err, "%s", sqlite3_errmsg(package->db));
done:
    sqlite3_finalize(row);
    pthread_mutex_unlock(&package->lock);
    return rc ? rc : check_file(package, err);
}

const struct tsr_kernel_info *tsr_package_row(const struct tsr_package *package,
                                              size_t index)
{
    return index < package->row_count ? &package->rows[index].info : NULL;
}
