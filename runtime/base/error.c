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

/* As much of `more` as fits behind `text`. */
static void append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text), length = strlen(more);
    size_t room = size - 1 - used;
    if (length > room)
        length = room;
    memcpy(text + used, more, length);
    text[used + length] = 0;
}

int tsr__fail_context(struct tsr_error *err, int code, const char *fmt, ...)
{
    if (err) {
        char inner[sizeof err->text];
        memcpy(inner, err->text, sizeof inner);
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        append(err->text, sizeof err->text, ": ");
        append(err->text, sizeof err->text, inner);
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
