/* cache.c -- the content-addressed cache of compiled kernels.
**
** Use is recorded in the modification time: a hit touches its file, trimming
** removes the oldest. Concurrent trims may race to remove one file; losing
** that race is no error.
*/
#include "gen/host/cache.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"

#define MAGIC          "TSRCACH1"
#define HEADER_SIZE    (8 + 8 + TSR_SHA256_BYTES)
#define ENTRY_LIMIT    ((size_t)256 << 20)
#define DEFAULT_LIMIT  ((uint64_t)1 << 30)
#define PUTS_PER_TRIM  64
#define STALE_SECONDS  3600 /* a temporary file this old has no writer left */
#define PATH_ROOM      1280
#define TEMPORARY_MARK ".tmp."

static int cache_root(char *out, size_t size)
{
    const char *folder = getenv("TESSERA_CACHE_DIR");
    if (!folder || !folder[0])
        return tsr__cache_path(out, size, "kernels");
    int used = snprintf(out, size, "%s/kernels", folder);
    return used < 0 || (size_t)used >= size ? -1 : 0;
}

static uint64_t cache_limit(void)
{
    const char *text = getenv("TESSERA_CACHE_LIMIT");
    char *end;
    if (!text || !isdigit((unsigned char)text[0]))
        return DEFAULT_LIMIT;
    uint64_t value = strtoull(text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    return value > UINT64_MAX >> shift ? UINT64_MAX : value << shift;
}

/* PATH of an entry; `folder_length` gets the length of its folder part. */
static int entry_path(const char *key, char path[PATH_ROOM],
                      size_t *folder_length)
{
    char root[1024];
    if (strlen(key) != TSR_SHA256_HEX - 1 || cache_root(root, sizeof root))
        return -1;
    int used = snprintf(path, PATH_ROOM, "%s/%.2s/%s", root, key, key);
    if (used < 0 || used >= PATH_ROOM)
        return -1;
    *folder_length = (size_t)used - (TSR_SHA256_HEX - 1) - 1;
    return 0;
}

static void put64(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static void make_header(unsigned char header[HEADER_SIZE], const void *payload,
                        size_t size)
{
    struct tsr_sha256 sha;
    memcpy(header, MAGIC, 8);
    put64(header + 8, size);
    tsr__sha256_init(&sha);
    tsr__sha256_add(&sha, payload, size);
    tsr__sha256_finish(&sha, header + 16);
}

int gen_cache_get(const char key[TSR_SHA256_HEX], void **payload, size_t *size)
{
    char path[PATH_ROOM], *file;
    unsigned char header[HEADER_SIZE] = {0};
    size_t folder_length, file_size;
    if (entry_path(key, path, &folder_length) ||
        tsr__file_read(path, ENTRY_LIMIT, &file, &file_size, NULL))
        return -1;
    if (file_size >= HEADER_SIZE)
        make_header(header, file + HEADER_SIZE, file_size - HEADER_SIZE);
    if (file_size < HEADER_SIZE || memcmp(file, header, HEADER_SIZE) != 0) {
        tsr__free(file);
        unlink(path);
        return -1;
    }
    utimensat(AT_FDCWD, path, NULL, 0);
    *size = file_size - HEADER_SIZE;
    memmove(file, file + HEADER_SIZE, *size);
    *payload = file;
    return 0;
}

static int write_all(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size) {
        ssize_t done = write(fd, from, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        from += done;
        size -= (size_t)done;
    }
    return 0;
}

/* No fsync: after a power cut a torn entry fails its hash, and goes. */
static void write_entry(const char *path, const void *payload, size_t size)
{
    char temporary[PATH_ROOM + 16];
    unsigned char header[HEADER_SIZE];
    snprintf(temporary, sizeof temporary, "%s" TEMPORARY_MARK "XXXXXX", path);
    int fd = mkstemp(temporary);
    if (fd < 0)
        return;
    make_header(header, payload, size);
    int failed =
        write_all(fd, header, sizeof header) || write_all(fd, payload, size);
    if (close(fd) || failed || rename(temporary, path))
        unlink(temporary);
}

void gen_cache_put(const char key[TSR_SHA256_HEX], const void *payload,
                   size_t size)
{
    static atomic_uint puts; /* no lock: workers fork at any moment */
    char path[PATH_ROOM];
    size_t folder_length;
    if (size > ENTRY_LIMIT - HEADER_SIZE ||
        entry_path(key, path, &folder_length))
        return;
    path[folder_length] = 0;
    if (tsr__make_directories(path, NULL))
        return;
    path[folder_length] = '/';
    write_entry(path, payload, size);
    if (puts++ % PUTS_PER_TRIM == 0)
        gen_cache_trim(cache_limit());
}

struct entry {
    char *path;
    uint64_t bytes;
    struct timespec used;
};

struct entries {
    struct entry *items;
    size_t count, capacity;
};

static void entries_release(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        tsr__free(entries->items[i].path);
    tsr__free(entries->items);
    memset(entries, 0, sizeof *entries);
}

static int add_entry(struct entries *entries, const char *path,
                     const struct stat *status)
{
    void *items = entries->items;
    if (tsr__grow(&items, &entries->capacity, entries->count + 1,
                  sizeof *entries->items))
        return -1;
    entries->items = items;
    struct entry *entry = &entries->items[entries->count];
    entry->path = tsr__strdup(path);
    if (!entry->path)
        return -1;
    entry->bytes = (uint64_t)status->st_size;
    entry->used = status->st_mtim;
    entries->count++;
    return 0;
}

static int is_key_prefix(const char *name)
{
    return isxdigit((unsigned char)name[0]) &&
           isxdigit((unsigned char)name[1]) && !name[2];
}

/* Ours are the files that begin with a key; anything else stays untouched. */
static int is_entry_name(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    return digits == TSR_SHA256_HEX - 1 &&
           (!name[digits] || strncmp(name + digits, TEMPORARY_MARK,
                                     strlen(TEMPORARY_MARK)) == 0);
}

static int list_folder(const char *folder, struct entries *entries)
{
    char path[PATH_ROOM];
    struct dirent *item;
    struct stat status;
    int rc = 0;
    DIR *directory = opendir(folder);
    if (!directory)
        return 0;
    while (rc == 0 && (item = readdir(directory))) {
        int used = snprintf(path, sizeof path, "%s/%s", folder, item->d_name);
        if (is_entry_name(item->d_name) && (size_t)used < sizeof path &&
            lstat(path, &status) == 0 && S_ISREG(status.st_mode))
            rc = add_entry(entries, path, &status);
    }
    closedir(directory);
    return rc;
}

static int list_entries(const char *root, struct entries *entries)
{
    char folder[PATH_ROOM];
    struct dirent *item;
    int rc = 0;
    DIR *directory = opendir(root);
    if (!directory)
        return errno == ENOENT ? 0 : -1;
    while (rc == 0 && (item = readdir(directory))) {
        int used = snprintf(folder, sizeof folder, "%s/%s", root, item->d_name);
        if (is_key_prefix(item->d_name) && (size_t)used < sizeof folder)
            rc = list_folder(folder, entries);
    }
    closedir(directory);
    return rc;
}

static int by_age(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->used.tv_sec != b->used.tv_sec)
        return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    if (a->used.tv_nsec != b->used.tv_nsec)
        return a->used.tv_nsec < b->used.tv_nsec ? -1 : 1;
    return strcmp(a->path, b->path);
}

static int is_abandoned(const struct entry *entry)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return strstr(strrchr(entry->path, '/'), TEMPORARY_MARK) &&
           now.tv_sec - entry->used.tv_sec > STALE_SECONDS;
}

void gen_cache_trim(uint64_t limit)
{
    char root[1024];
    struct entries entries = {0};
    uint64_t total = 0;
    if (cache_root(root, sizeof root) || list_entries(root, &entries))
        goto done;
    for (size_t i = 0; i < entries.count; i++)
        total += entries.items[i].bytes;
    if (entries.count)
        qsort(entries.items, entries.count, sizeof *entries.items, by_age);
    for (size_t i = 0; i < entries.count; i++)
        if (total > limit || is_abandoned(&entries.items[i])) {
            unlink(entries.items[i].path);
            total -= entries.items[i].bytes;
        }
done:
    entries_release(&entries);
}

static int open_usage(struct gen_cache_usage *usage, struct entries *entries,
                      struct tsr_error *err)
{
    memset(usage, 0, sizeof *usage);
    if (cache_root(usage->path, sizeof usage->path))
        return TSR_FAIL(err, TSR_ENOTFOUND,
                        "no place for a cache: set TESSERA_CACHE_DIR, "
                        "XDG_CACHE_HOME or HOME");
    if (list_entries(usage->path, entries))
        return TSR_FAIL(err, TSR_EIO, "cannot read the cache in '%s': %s",
                        usage->path, strerror(errno));
    usage->limit = cache_limit();
    return 0;
}

int gen_cache_measure(struct gen_cache_usage *out, struct tsr_error *err)
{
    struct entries entries = {0};
    struct gen_cache_usage usage;
    int rc = open_usage(&usage, &entries, err);
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        usage.bytes += entries.items[i].bytes;
        usage.entries++;
    }
    entries_release(&entries);
    if (rc == 0)
        *out = usage;
    return rc;
}

int gen_cache_clear(struct gen_cache_usage *removed, struct tsr_error *err)
{
    struct entries entries = {0};
    struct gen_cache_usage usage;
    int rc = open_usage(&usage, &entries, err);
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        if (unlink(entries.items[i].path) == 0) {
            usage.bytes += entries.items[i].bytes;
            usage.entries++;
        } else if (errno != ENOENT) {
            rc = TSR_FAIL(err, TSR_EIO, "cannot remove '%s': %s",
                          entries.items[i].path, strerror(errno));
        }
    }
    entries_release(&entries);
    if (rc == 0)
        *removed = usage;
    return rc;
}
