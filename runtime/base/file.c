/* file.c -- whole files: mapped, read, and written all or nothing. */
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/memory.h"

static int open_regular(const char *path, int *fd, size_t *size,
                        struct tsr_error *err)
{
    struct stat st;
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return TSR_FAIL(err, TSR_EIO, "cannot open '%s': %s", path,
                        strerror(errno));
    if (fstat(opened, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(opened);
        return TSR_FAIL(err, TSR_EIO, "cannot open '%s': not a regular file",
                        path);
    }
    *fd = opened;
    *size = (size_t)st.st_size;
    return 0;
}

int tsr__map_open(struct tsr_map *map, const char *path, struct tsr_error *err)
{
    int fd = -1;
    size_t size = 0;
    int rc = open_regular(path, &fd, &size, err);
    if (rc)
        return rc;
    struct tsr_map result = {(const unsigned char *)"", size, 0};
    if (size) {
        void *pages = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (pages == MAP_FAILED) {
            close(fd);
            return TSR_FAIL(err, TSR_EIO, "cannot map '%s': %s", path,
                            strerror(errno));
        }
        result.data = pages;
        result.mapped = 1;
    }
    close(fd);
    *map = result;
    return 0;
}

void tsr__map_release(struct tsr_map *map)
{
    if (map->mapped)
        munmap((void *)map->data, map->size);
    memset(map, 0, sizeof *map);
}

int tsr__file_read(const char *path, size_t limit, char **text, size_t *size,
                   struct tsr_error *err)
{
    struct tsr_map map;
    int rc = tsr__map_open(&map, path, err);
    if (rc)
        return rc;
    if (map.size > limit) {
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' has %zu bytes, more than the %zu "
                      "such a file may have",
                      path, map.size, limit);
        goto done;
    }
    char *copy = tsr__malloc(map.size + 1);
    if (!copy) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'", path);
        goto done;
    }
    memcpy(copy, map.data, map.size);
    copy[map.size] = 0;
    *text = copy;
    if (size)
        *size = map.size;
done:
    tsr__map_release(&map);
    return rc;
}

int tsr__writer_open(struct tsr_writer *writer, const char *path,
                     struct tsr_error *err)
{
    size_t room = strlen(path) + 32;
    writer->fd = -1;
    writer->path = tsr__strdup(path);
    writer->temporary = tsr__malloc(room);
    if (!writer->path || !writer->temporary) {
        tsr__writer_abort(writer);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory writing '%s'", path);
    }
    snprintf(writer->temporary, room, "%s.tmp.%ld", path, (long)getpid());
    writer->fd =
        open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        int reason = errno;
        tsr__free(writer->temporary);
        writer->temporary = NULL;
        tsr__writer_abort(writer);
        return TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", path,
                        strerror(reason));
    }
    return 0;
}

int tsr__writer_add(struct tsr_writer *writer, const void *bytes, size_t size,
                    struct tsr_error *err)
{
    const char *from = bytes;
    while (size) {
        ssize_t done = write(writer->fd, from, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", writer->path,
                            strerror(errno));
        from += done;
        size -= (size_t)done;
    }
    return 0;
}

int tsr__writer_commit(struct tsr_writer *writer, struct tsr_error *err)
{
    int rc = 0;
    if (fsync(writer->fd) < 0 || close(writer->fd) < 0) {
        rc = TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", writer->path,
                      strerror(errno));
        writer->fd = -1;
    } else {
        writer->fd = -1;
        if (rename(writer->temporary, writer->path) < 0)
            rc = TSR_FAIL(err, TSR_EIO, "cannot rename '%s' to '%s': %s",
                          writer->temporary, writer->path, strerror(errno));
        else {
            tsr__free(writer->temporary);
            writer->temporary = NULL;
        }
    }
    tsr__writer_abort(writer);
    return rc;
}

void tsr__writer_abort(struct tsr_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    tsr__free(writer->temporary);
    tsr__free(writer->path);
    writer->fd = -1;
    writer->temporary = NULL;
    writer->path = NULL;
}

int tsr__file_write(const char *path, const void *bytes, size_t size,
                    struct tsr_error *err)
{
    struct tsr_writer writer;
    int rc = tsr__writer_open(&writer, path, err);
    if (rc)
        return rc;
    rc = tsr__writer_add(&writer, bytes, size, err);
    if (rc) {
        tsr__writer_abort(&writer);
        return rc;
    }
    return tsr__writer_commit(&writer, err);
}

int tsr__make_directories(const char *path, struct tsr_error *err)
{
    char *copy = tsr__strdup(path);
    if (!copy)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    int rc = 0;
    for (char *at = copy + 1; rc == 0; at++) {
        if (*at != '/' && *at != 0)
            continue;
        char separator = *at;
        *at = 0;
        if (mkdir(copy, 0777) < 0 && errno != EEXIST)
            rc = TSR_FAIL(err, TSR_EIO, "cannot create directory '%s': %s",
                          copy, strerror(errno));
        *at = separator;
        if (separator == 0)
            break;
    }
    tsr__free(copy);
    return rc;
}

int tsr__cache_path(char *out, size_t size, const char *name)
{
    const char *base = getenv("XDG_CACHE_HOME");
    const char *middle = "";
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        middle = "/.cache";
    }
    if (!base || !base[0])
        return -1;
    int used = snprintf(out, size, "%s%s/tessera/%s", base, middle, name);
    return used < 0 || (size_t)used >= size ? -1 : 0;
}
