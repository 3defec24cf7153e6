/* error.c -- writing and extending struct tsr_error. */
#include "runtime/base/error.h"

#include <stdio.h>
#include <string.h>

void tsr__fail(struct tsr_error *err, int code, const char *file, int line,
               const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        err->code = code;
        err->file = file;
        err->line = line;
    }
}

int tsr__fail_context(struct tsr_error *err, int code, const char *fmt, ...)
{
    if (err) {
        char inner[sizeof err->text];
        memcpy(inner, err->text, sizeof inner);
        va_list args;
        va_start(args, fmt);
        int used = vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
            snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s",
                     inner);
    }
    return code;
}

const char *tsr_status_name(int code)
{
    switch (code) {
#define NAME(symbol, value, words) \
    case symbol:                   \
        return words;
        TSR_STATUS_LIST(NAME)
#undef NAME
    }
    return "unknown status";
}
