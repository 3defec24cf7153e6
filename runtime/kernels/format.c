/* format.c -- the hashes over a package: over what it says, over its bytes. */
#include "runtime/kernels/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ORDER INDEX HASH: columns by name, so the text does not depend on how a
** table happens to be laid out. */
static const char *const index_queries[] = {
    "SELECT name, value FROM manifest WHERE name NOT IN ('index_sha256', "
    "'file_sha256') ORDER BY name",
    "SELECT id, sha256, kind, size FROM blob ORDER BY id",
    "SELECT id, family, format, type, n, k, bias, m, kind, arch, device, "
    "sm_count, mig, measured, microseconds, spec, entry, threads, shared, "
    "tile_n, tile_m, split_k, cubin, ptx, provenance FROM kernel ORDER BY id",
};

/* Each value is its type, its length and its bytes: no two rows that differ
** give the same text. */
static void add_value(struct tsr_sha256 *sha, sqlite3_stmt *row, int column)
{
    char text[64];
    int type = sqlite3_column_type(row, column), used = 0;
    if (type == SQLITE_INTEGER)
        used = snprintf(text, sizeof text, "i%" PRId64 ";",
                        (int64_t)sqlite3_column_int64(row, column));
    else if (type == SQLITE_FLOAT)
        used = snprintf(text, sizeof text, "r%a;",
                        sqlite3_column_double(row, column));
    else if (type == SQLITE_NULL)
        used = snprintf(text, sizeof text, "n;");
    if (used) {
        tsr__sha256_add(sha, text, (size_t)used);
        return;
    }
    const void *bytes = type == SQLITE_TEXT
                            ? (const void *)sqlite3_column_text(row, column)
                            : sqlite3_column_blob(row, column);
    size_t size = (size_t)sqlite3_column_bytes(row, column);
    used = snprintf(text, sizeof text,
                    "%c%zu:", type == SQLITE_TEXT ? 't' : 'b', size);
    tsr__sha256_add(sha, text, (size_t)used);
    if (bytes)
        tsr__sha256_add(sha, bytes, size);
}

int tsr__package_index_hash(sqlite3 *db, char hex[TSR_SHA256_HEX],
                            struct tsr_error *err)
{
    struct tsr_sha256 sha;
    tsr__sha256_init(&sha);
    for (size_t q = 0; q < sizeof index_queries / sizeof *index_queries; q++) {
        sqlite3_stmt *row = NULL;
        int status = sqlite3_prepare_v2(db, index_queries[q], -1, &row, NULL);
        while (status == SQLITE_OK || status == SQLITE_ROW) {
            status = sqlite3_step(row);
            if (status != SQLITE_ROW)
                break;
            for (int c = 0; c < sqlite3_column_count(row); c++)
                add_value(&sha, row, c);
            tsr__sha256_add(&sha, "\n", 1);
        }
        sqlite3_finalize(row);
        if (status != SQLITE_DONE)
            return TSR_FAIL(err, TSR_EFORMAT, "%s", sqlite3_errmsg(db));
        tsr__sha256_add(&sha, "\f", 1);
    }
    unsigned char digest[TSR_SHA256_BYTES];
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, hex);
    return 0;
}

enum { DIGITS = TSR_SHA256_HEX - 1 };

/* In the record of a WITHOUT ROWID table the key and the value are
** neighbours, so the digits follow the name. */
size_t tsr__package_file_hash_place(const unsigned char *bytes, size_t size)
{
    static const char name[] = "file_sha256";
    size_t length = sizeof name - 1, place = 0;
    for (size_t at = 0; at + length + DIGITS <= size; at++) {
        const unsigned char *found =
            memchr(bytes + at, name[0], size - length - DIGITS - at + 1);
        if (!found)
            break;
        at = (size_t)(found - bytes);
        if (memcmp(found, name, length) != 0)
            continue;
        size_t digits = 0;
        while (digits < DIGITS && isxdigit(found[length + digits]))
            digits++;
        if (digits < DIGITS)
            continue;
        if (place)
            return 0;
        place = at + length;
    }
    return place;
}

void tsr__package_file_hash(const unsigned char *bytes, size_t size,
                            size_t place, char hex[TSR_SHA256_HEX])
{
    static const char zeroes[] = "0000000000000000000000000000000000000000"
                                 "000000000000000000000000";
    unsigned char digest[TSR_SHA256_BYTES];
    struct tsr_sha256 sha;
    _Static_assert(sizeof zeroes == TSR_SHA256_HEX, "64 zeroes");
    tsr__sha256_init(&sha);
    tsr__sha256_add(&sha, bytes, place);
    tsr__sha256_add(&sha, zeroes, DIGITS);
    tsr__sha256_add(&sha, bytes + place + DIGITS, size - place - DIGITS);
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, hex);
}
