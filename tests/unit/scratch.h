/* scratch.h -- temporary folders and hand-made safetensors files for tests.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Paths live in this many buffers in turn. */
enum { SCRATCH_PATHS = 64, SCRATCH_ROOM = 4096 };

/* FOLDER/NAME, good for the next SCRATCH_PATHS calls. */
static inline const char *scratch_path(const char *folder, const char *name)
{
    static char *paths[SCRATCH_PATHS];
    static int next;
    char *path = malloc(SCRATCH_ROOM);
    if (!path ||
        snprintf(path, SCRATCH_ROOM, "%s/%s", folder, name) >= SCRATCH_ROOM)
        abort();
    free(paths[next % SCRATCH_PATHS]);
    paths[next++ % SCRATCH_PATHS] = path;
    return path;
}

/* A new folder; the process leaves it behind in the test folder, which
** tests/run empties. */
static inline const char *scratch_folder(void)
{
    const char *base = getenv("TSR_TEST_TMP");
    char *path = (char *)scratch_path(base ? base : "/tmp", "scratch.XXXXXX");
    if (!mkdtemp(path))
        abort();
    return path;
}

static inline void scratch_write(const char *path, const void *bytes,
                                 size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || (size && fwrite(bytes, 1, size, file) != size) || fclose(file))
        abort();
}

/* A safetensors file: the header text with its length, then `data_size` bytes
** counting up. Returns its size; the caller frees *out. */
static inline size_t scratch_safetensors(const char *header, size_t data_size,
                                         unsigned char **out)
{
    size_t length = strlen(header), size = 8 + length + data_size;
    unsigned char *bytes = malloc(size);
    if (!bytes)
        abort();
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data_size; i++)
        bytes[8 + length + i] = (unsigned char)i;
    *out = bytes;
    return size;
}

static inline void scratch_write_safetensors(const char *path,
                                             const char *header,
                                             size_t data_size)
{
    unsigned char *bytes;
    size_t size = scratch_safetensors(header, data_size, &bytes);
    scratch_write(path, bytes, size);
    free(bytes);
}

#endif
