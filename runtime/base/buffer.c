/* buffer.c -- a growing byte string. */
#include "runtime/base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"

void tsr__buffer_release(struct tsr_buffer *buffer)
{
    tsr__free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

void tsr__buffer_clear(struct tsr_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = 0;
    if (buffer->data)
        buffer->data[0] = 0;
}

static int reserve(struct tsr_buffer *buffer, size_t more)
{
    if (more > (size_t)-1 - buffer->size - 1 ||
        tsr__grow((void **)&buffer->data, &buffer->capacity,
                  buffer->size + more + 1, 1)) {
        buffer->failed = 1;
        return -1;
    }
    return 0;
}

int tsr__buffer_add(struct tsr_buffer *buffer, const void *bytes, size_t size)
{
    if (reserve(buffer, size))
        return -1;
    if (size)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
    return 0;
}

int tsr__buffer_addf(struct tsr_buffer *buffer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size < 0 || reserve(buffer, (size_t)size)) {
        buffer->failed = 1;
        return -1;
    }
    va_start(args, fmt);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, fmt, args);
    va_end(args);
    buffer->size += (size_t)size;
    return 0;
}

char *tsr__buffer_detach(struct tsr_buffer *buffer, size_t *size)
{
    if (!buffer->data && reserve(buffer, 0) == 0)
        buffer->data[0] = 0;
    char *data = buffer->data;
    if (size)
        *size = buffer->size;
    memset(buffer, 0, sizeof *buffer);
    return data;
}
