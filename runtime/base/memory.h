/* memory.h -- the one door to the heap.
**
** All allocation goes through tsr__realloc so that a test can fail the n-th
** call and a leak has one place to be counted. Callers own what they get and
** release it with tsr__free. Sizes that come from a file or the network are
** multiplied with tsr__size_mul first (checked.h).
*/
#ifndef TSR_BASE_MEMORY_H
#define TSR_BASE_MEMORY_H

#include <stddef.h>

/* NULL when out of memory (never for size 0: that yields a unique pointer). */
void *tsr__malloc(size_t size);
void *tsr__calloc(size_t count, size_t size);
void *tsr__realloc(void *old, size_t size);
void tsr__free(void *pointer);
char *tsr__strdup(const char *text);

/* Grows `*array` of `*capacity` elements of `size` bytes so that index
** `needed - 1` exists; doubles. Returns 0 or -1 (array unchanged). */
int tsr__grow(void **array, size_t *capacity, size_t needed, size_t size);

/* Test hook: the `n`-th allocation from now fails, and every one after it
** while `sticky`. n = 0 disarms. */
void tsr__memory_fail_after(long n, int sticky);

#endif
