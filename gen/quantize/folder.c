/* folder.c -- an output folder that appears complete or not at all. */
#include "gen/quantize/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"

enum { PATH_ROOM = 4096, COMPANION_LIMIT = 256 << 20 };

static const char *const COMPANIONS[] = {
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.json",
    "chat_template.jinja",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
    "NOTICE.txt",
};

/* Removes the plain files of a folder and the folder, never a sub-folder. */
static int remove_flat(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0); /* fails on . and .. */
    closedir(dir);
    return rmdir(path);
}

/* Whether everything in the folder is a plain file and one is config.json, or
** there is nothing: what may be replaced without regret. */
static int is_model_folder(const char *path)
{
    int plain = 1, config = 0, count = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        config |= strcmp(entry->d_name, "config.json") == 0;
        plain &=
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode);
    }
    closedir(dir);
    return plain && (config || count == 0);
}

static int check_existing(const char *path, const char *source, int force,
                          int *replace, struct tsr_error *err)
{
    struct stat st, from;
    *replace = 0;
    if (lstat(path, &st) < 0)
        return 0;
    if (!force)
        return TSR_FAIL(err, TSR_EIO,
                        "'%s' exists; choose another name, or give --force to "
                        "replace it",
                        path);
    if (stat(source, &from) == 0 && from.st_dev == st.st_dev &&
        from.st_ino == st.st_ino)
        return TSR_FAIL(err, TSR_EIO,
                        "'%s' is the model itself; choose another name", path);
    if (!S_ISDIR(st.st_mode) || !is_model_folder(path))
        return TSR_FAIL(err, TSR_EIO,
                        "'%s' is not a model folder and is left alone, even "
                        "with --force; choose another name",
                        path);
    *replace = 1;
    return 0;
}

static int make_parent(char *path, struct tsr_error *err)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    *slash = 0;
    int rc = tsr__make_directories(path, err);
    *slash = '/';
    return rc;
}

static int make_temporary(struct gen_folder *folder, struct tsr_error *err)
{
    if (mkdir(folder->temporary, 0777) < 0 && errno != EEXIST)
        return TSR_FAIL(err, TSR_EIO, "cannot create '%s': %s",
                        folder->temporary, strerror(errno));
    folder->lock = open(folder->temporary,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->lock < 0)
        return TSR_FAIL(err, TSR_EIO, "cannot open '%s': %s", folder->temporary,
                        strerror(errno));
    if (flock(folder->lock, LOCK_EX | LOCK_NB) < 0) {
        close(folder->lock);
        folder->lock = -1;
        return TSR_FAIL(err, TSR_EIO,
                        "'%s' is being written by another process; wait for "
                        "it or choose another name",
                        folder->temporary);
    }
    /* Ours now; what it holds was left by a run that was killed. */
    DIR *dir = opendir(folder->temporary);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    return 0;
}

int gen_folder_begin(struct gen_folder *folder, const char *path,
                     const char *source, int force, struct tsr_error *err)
{
    memset(folder, 0, sizeof *folder);
    folder->lock = -1;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length > PATH_ROOM - 64)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "the output folder's name is %s; give another",
                        length ? "too long" : "empty");
    folder->path = tsr__calloc(1, length + 1);
    folder->temporary = tsr__calloc(1, length + sizeof ".tmp");
    int rc;
    if (!folder->path || !folder->temporary) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    } else {
        memcpy(folder->path, path, length);
        memcpy(folder->temporary, path, length);
        memcpy(folder->temporary + length, ".tmp", 4);
        rc = check_existing(folder->path, source, force, &folder->replace, err);
    }
    if (!rc)
        rc = make_parent(folder->path, err);
    if (!rc)
        rc = make_temporary(folder, err);
    if (rc)
        gen_folder_abort(folder);
    return rc;
}

int gen_folder_copy_companions(struct gen_folder *folder, const char *source,
                               struct tsr_error *err)
{
    for (size_t i = 0; i < sizeof COMPANIONS / sizeof COMPANIONS[0]; i++) {
        char from[PATH_ROOM], to[PATH_ROOM + 64];
        struct stat st;
        int used = snprintf(from, sizeof from, "%s/%s", source, COMPANIONS[i]);
        if (used < 0 || (size_t)used >= sizeof from || stat(from, &st) < 0)
            continue;
        snprintf(to, sizeof to, "%s/%s", folder->temporary, COMPANIONS[i]);
        char *text;
        size_t size;
        int rc = tsr__file_read(from, COMPANION_LIMIT, &text, &size, err);
        if (rc)
            return rc;
        rc = tsr__file_write(to, text, size, err);
        tsr__free(text);
        if (rc)
            return rc;
    }
    return 0;
}

int gen_folder_commit(struct gen_folder *folder, struct tsr_error *err)
{
    char old[PATH_ROOM];
    int rc = 0;
    snprintf(old, sizeof old, "%s.old", folder->path);
    if (folder->replace) {
        remove_flat(old);
        if (rename(folder->path, old) < 0)
            return TSR_FAIL(err, TSR_EIO, "cannot replace '%s': %s",
                            folder->path, strerror(errno));
    }
    if (rename(folder->temporary, folder->path) < 0) {
        rc = TSR_FAIL(err, TSR_EIO, "cannot rename '%s' to '%s': %s",
                      folder->temporary, folder->path, strerror(errno));
        if (folder->replace)
            rename(old, folder->path);
        return rc;
    }
    if (folder->replace)
        remove_flat(old);
    close(folder->lock);
    folder->lock = -1;
    gen_folder_abort(folder);
    return 0;
}

void gen_folder_abort(struct gen_folder *folder)
{
    /* Without the lock PATH.tmp is not ours. */
    if (folder->lock >= 0) {
        remove_flat(folder->temporary);
        close(folder->lock);
    }
    tsr__free(folder->path);
    tsr__free(folder->temporary);
    memset(folder, 0, sizeof *folder);
    folder->lock = -1;
}
