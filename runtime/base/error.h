/* error.h -- errors are values.
**
** Every function that can fail returns 0 or a negative code and takes, as its
** last parameter, an optional struct tsr_error that receives the text, the
** code and the place in our source that noticed. The text says what happened,
** where, and what to do, in one line without a trailing full stop or newline:
**
**     cannot open 'x.tpk': No such file or directory
**
** Out-parameters are written only on success. A function with several exits
** has one `done:` label that releases everything.
*/
#ifndef TSR_BASE_ERROR_H
#define TSR_BASE_ERROR_H

#include <stdarg.h>

#include "runtime/tessera.h"

#if defined(__GNUC__)
#define TSR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TSR_PRINTF(fmt, args)
#endif

/* The code itself, as the compiler can see: an inline function, so that
** "return TSR_FAIL(...)" is known to return it, and not 0. */
static inline int tsr__code(int code)
{
    return code;
}

/* Writes the error and gives `code`, so that failing is one statement:
**     return TSR_FAIL(err, TSR_EFORMAT, "'%s': header is truncated", path);
** `err` may be NULL. */
#define TSR_FAIL(err, code, ...) \
    (tsr__fail((err), (code), __FILE__, __LINE__, __VA_ARGS__), tsr__code(code))

void tsr__fail(struct tsr_error *err, int code, const char *file, int line,
               const char *fmt, ...) TSR_PRINTF(5, 6);

/* Puts `fmt ...: ` in front of the text already in `err` and returns its code:
** each caller on the way up adds where, nobody loses what. */
int tsr__fail_context(struct tsr_error *err, int code, const char *fmt, ...)
    TSR_PRINTF(3, 4);

#endif
