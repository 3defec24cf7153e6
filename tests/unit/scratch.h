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

/* A new folder; the process leaves it behind in the test folder, which
** tests/run empties. */
static inline const char *scratch_folder(void)
{
    static char path[4096];
    const char *base = getenv("TSR_TEST_TMP");
    snprintf(path, sizeof path, "%s/scratch.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path))
        abort();
    return path;
}

/* FOLDER/NAME in one of eight static buffers. */
static inline const char *scratch_path(const char *folder, const char *name)
{
    static char paths[8][4400];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
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
