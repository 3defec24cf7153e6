/* checked.h -- arithmetic on sizes that somebody else chose.
**
** Each returns 0 and writes `*out`, or returns -1 and leaves it alone.
*/
#ifndef TSR_BASE_CHECKED_H
#define TSR_BASE_CHECKED_H

#include <stddef.h>

static inline int tsr__size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return -1;
    *out = sum;
    return 0;
}

static inline int tsr__size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return -1;
    *out = product;
    return 0;
}

/* Smallest multiple of `step` (> 0) that is at least `n`; for sizes that
** cannot overflow. */
static inline size_t tsr__round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static inline size_t tsr__ceil_div(size_t n, size_t step)
{
    return (n + step - 1) / step;
}

#endif
