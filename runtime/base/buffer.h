/* buffer.h -- a growing byte string.
**
** Invariant: data[size] is always a NUL once anything was added, so text needs
** no copy. After a failed add the buffer is unchanged and `failed` is set: a
** caller may add many pieces and look once.
*/
#ifndef TSR_BASE_BUFFER_H
#define TSR_BASE_BUFFER_H

#include <stddef.h>

#include "runtime/base/error.h"

struct tsr_buffer {
    char *data;
    size_t size;
    size_t capacity;
    int failed;
};

#define TSR_BUFFER_INIT \
    {                   \
        0               \
    }

void tsr__buffer_release(struct tsr_buffer *buffer);
void tsr__buffer_clear(struct tsr_buffer *buffer);
int tsr__buffer_add(struct tsr_buffer *buffer, const void *bytes, size_t size);
int tsr__buffer_addf(struct tsr_buffer *buffer, const char *fmt, ...)
    TSR_PRINTF(2, 3);
/* Hands the bytes (malloc'ed, NUL-terminated) to the caller. */
char *tsr__buffer_detach(struct tsr_buffer *buffer, size_t *size);

#endif
