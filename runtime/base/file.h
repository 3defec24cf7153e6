/* file.h -- whole files: mapped, read, and written all or nothing. */
#ifndef TSR_BASE_FILE_H
#define TSR_BASE_FILE_H

#include <stddef.h>

#include "runtime/base/error.h"

/* A read-only mapping. An empty file maps to size 0 and a non-NULL pointer. */
struct tsr_map {
    const unsigned char *data;
    size_t size;
    int mapped; /* 0 for the empty file, which has no pages */
};

int tsr__map_open(struct tsr_map *map, const char *path, struct tsr_error *err);
void tsr__map_release(struct tsr_map *map);

/* Reads at most `limit` bytes of a file; longer is TSR_EFORMAT. The caller
** frees *text (NUL-terminated) with tsr__free. */
int tsr__file_read(const char *path, size_t limit, char **text, size_t *size,
                   struct tsr_error *err);

/* Writes to PATH.tmp.PID, fsyncs and renames over PATH: a reader sees the old
** file or the new one, a full disk leaves the old one. */
int tsr__file_write(const char *path, const void *bytes, size_t size,
                    struct tsr_error *err);

/* The same for a stream of pieces (a 5 GB safetensors file). */
struct tsr_writer {
    int fd;
    char *path;      /* final name */
    char *temporary; /* name while it is written */
};

int tsr__writer_open(struct tsr_writer *writer, const char *path,
                     struct tsr_error *err);
int tsr__writer_add(struct tsr_writer *writer, const void *bytes, size_t size,
                    struct tsr_error *err);
/* Makes it visible under its name and releases the writer. */
int tsr__writer_commit(struct tsr_writer *writer, struct tsr_error *err);
/* Forgets it, leaving no file behind. Safe after commit or a failed open. */
void tsr__writer_abort(struct tsr_writer *writer);

/* mkdir -p. */
int tsr__make_directories(const char *path, struct tsr_error *err);

/* $XDG_CACHE_HOME/tessera/NAME or ~/.cache/tessera/NAME into `out`; -1 when it
** does not fit or there is no home. */
int tsr__cache_path(char *out, size_t size, const char *name);

#endif
