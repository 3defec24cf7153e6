/* files.c -- the scripts and templates a host may read. */
#include "gen/host/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen/host/embedded.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

enum { COUNT_LIMIT = 4096, DEPTH_LIMIT = 8 };

static int compare_files(const void *a, const void *b)
{
    const struct gen_file *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* Index of `name` among the items, or -1: linear, for use before sorting. */
static int position(const struct gen_files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Adds or replaces. Takes `owned` also when it fails. */
static int put(struct gen_files *files, const char *name,
               const unsigned char *data, size_t size, char *owned,
               struct tsr_error *err)
{
    int at = position(files, name);
    if (at < 0) {
        void *items = files->items;
        char *copy = tsr__strdup(name);
        if (!copy || tsr__grow(&items, &files->capacity, files->count + 1,
                               sizeof *files->items)) {
            tsr__free(copy);
            tsr__free(owned);
            return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading scripts");
        }
        files->items = items;
        at = (int)files->count++;
        files->items[at] = (struct gen_file){.name = copy};
    }
    tsr__free(files->items[at].owned);
    files->items[at].data = data;
    files->items[at].size = size;
    files->items[at].owned = owned;
    return 0;
}

static int put_from_disk(struct gen_files *files, const char *path,
                         const char *name, struct tsr_error *err)
{
    char *text;
    size_t size;
    if (files->count >= COUNT_LIMIT)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': more than %d scripts and templates", path,
                        COUNT_LIMIT);
    int rc = tsr__file_read(path, GEN_FILE_LIMIT, &text, &size, err);
    if (rc)
        return rc;
    return put(files, name, (const unsigned char *)text, size, text, err);
}

/* What a directory may hold for us: no hidden files, no editor's backups. */
static int wanted(const char *entry)
{
    size_t size = strlen(entry);
    return entry[0] != '.' && entry[size - 1] != '~' && entry[0] != '#';
}

/* Reads the tree at DIR/NAME. An absent one is not an error: returns 1. */
static int walk(struct gen_files *files, const char *dir, const char *name,
                int depth, struct tsr_error *err)
{
    char path[4096], inner[4096];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return TSR_FAIL(err, TSR_EUSAGE, "'%s': the path is too long", dir);
    DIR *stream = opendir(path);
    if (!stream)
        return errno == ENOENT ? 1
                               : TSR_FAIL(err, TSR_EIO, "cannot open '%s': %s",
                                          path, strerror(errno));
    int rc = 0;
    for (struct dirent *entry; !rc && (entry = readdir(stream));) {
        if (!wanted(entry->d_name))
            continue;
        if (snprintf(path, sizeof path, "%s/%s/%s", dir, name, entry->d_name) >=
                (int)sizeof path ||
            snprintf(inner, sizeof inner, "%s/%s", name, entry->d_name) >=
                (int)sizeof inner ||
            depth > DEPTH_LIMIT)
            rc = TSR_FAIL(err, TSR_EUSAGE, "'%s': too deep a directory", dir);
        else if (stat(path, &st) < 0)
            rc = TSR_FAIL(err, TSR_EIO, "cannot open '%s': %s", path,
                          strerror(errno));
        else if (S_ISDIR(st.st_mode))
            rc = walk(files, dir, inner, depth + 1, err);
        else if (!S_ISREG(st.st_mode)) /* opening a FIFO would wait */
            rc = TSR_FAIL(err, TSR_EIO, "cannot open '%s': not a file", path);
        else
            rc = put_from_disk(files, path, inner, err);
    }
    closedir(stream);
    return rc;
}

static int put_overrides(struct gen_files *files, const char *dir,
                         struct tsr_error *err)
{
    int scripts = walk(files, dir, "gen/lua", 0, err);
    if (scripts < 0)
        return scripts;
    int templates = walk(files, dir, "templates", 0, err);
    if (templates < 0)
        return templates;
    if (scripts == 1 && templates == 1)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "'%s' has neither gen/lua nor templates; --scripts "
                        "takes a directory laid out like the project",
                        dir);
    return 0;
}

/* The binary embeds files of other rooms too. */
static int is_ours(const char *name)
{
    return strncmp(name, "gen/lua/", 8) == 0 ||
           strncmp(name, "templates/", 10) == 0;
}

/* Names and sizes are hashed with the bytes, so moving a byte from one file
** to the next changes the hash. */
static void hash(struct gen_files *files)
{
    struct tsr_sha256 sha;
    unsigned char digest[TSR_SHA256_BYTES];
    char size[32];
    tsr__sha256_init(&sha);
    for (size_t i = 0; i < files->count; i++) {
        const struct gen_file *file = &files->items[i];
        snprintf(size, sizeof size, " %zu\n", file->size);
        tsr__sha256_add(&sha, file->name, strlen(file->name));
        tsr__sha256_add(&sha, size, strlen(size));
        tsr__sha256_add(&sha, file->data, file->size);
    }
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, files->hash);
}

int gen_files_open(struct gen_files *files, const char *dir,
                   struct tsr_error *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < gen_embedded_count; i++)
        if (is_ours(gen_embedded_files[i].name))
            rc = put(files, gen_embedded_files[i].name,
                     gen_embedded_files[i].data, gen_embedded_files[i].size,
                     NULL, err);
    if (!rc && dir)
        rc = put_overrides(files, dir, err);
    if (rc) {
        gen_files_release(files);
        return rc;
    }
    if (files->count)
        qsort(files->items, files->count, sizeof *files->items, compare_files);
    hash(files);
    return 0;
}

void gen_files_release(struct gen_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        tsr__free(files->items[i].name);
        tsr__free(files->items[i].owned);
    }
    tsr__free(files->items);
    memset(files, 0, sizeof *files);
}

const struct gen_file *gen_files_find(const struct gen_files *files,
                                      const char *name)
{
    struct gen_file wanted_file = {.name = (char *)name};
    if (!files->count)
        return NULL;
    return bsearch(&wanted_file, files->items, files->count,
                   sizeof *files->items, compare_files);
}
