/* results.h -- the results file of the GPU bundle: JSON written piece by piece.
**
** The bundle must run where nothing but libc and the driver is installed, so
** this is a writer of objects and arrays, no library.
*/
#ifndef TESTS_GPU_RESULTS_H
#define TESTS_GPU_RESULTS_H

#include <stdint.h>

#include "runtime/base/buffer.h"

struct results {
    struct tsr_buffer text;
    int depth;
    int comma; /* the next value needs one before it */
};

void results_release(struct results *r);
/* `key` NULL inside an array. */
void results_open(struct results *r, const char *key, char bracket);
void results_close(struct results *r, char bracket);
void results_text(struct results *r, const char *key, const char *value);
void results_integer(struct results *r, const char *key, long long value);
void results_real(struct results *r, const char *key, double value);

#endif
