/* results.c -- the results file of the GPU bundle. */
#include "tests/gpu/results.h"

#include <math.h>

static void add_quoted(struct results *r, const char *text)
{
    tsr__buffer_addf(&r->text, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            tsr__buffer_addf(&r->text, "\\%c", c);
        else if (c < 0x20)
            tsr__buffer_addf(&r->text, "\\u%04x", c);
        else
            tsr__buffer_add(&r->text, text, 1);
    }
    tsr__buffer_addf(&r->text, "\"");
}

/* Comma, new line, indentation and key before a value. */
static void begin(struct results *r, const char *key)
{
    tsr__buffer_addf(&r->text, "%s%s%*s", r->comma ? "," : "",
                     r->depth ? "\n" : "", r->depth, "");
    if (key) {
        add_quoted(r, key);
        tsr__buffer_addf(&r->text, ": ");
    }
    r->comma = 1;
}

void results_release(struct results *r)
{
    tsr__buffer_release(&r->text);
}

void results_open(struct results *r, const char *key, char bracket)
{
    begin(r, key);
    tsr__buffer_addf(&r->text, "%c", bracket);
    r->depth++;
    r->comma = 0;
}

void results_close(struct results *r, char bracket)
{
    r->depth--;
    tsr__buffer_addf(&r->text, "\n%*s%c%s", r->depth, "", bracket,
                     r->depth ? "" : "\n");
    r->comma = 1;
}

void results_text(struct results *r, const char *key, const char *value)
{
    begin(r, key);
    add_quoted(r, value);
}

void results_integer(struct results *r, const char *key, long long value)
{
    begin(r, key);
    tsr__buffer_addf(&r->text, "%lld", value);
}

void results_real(struct results *r, const char *key, double value)
{
    begin(r, key);
    if (isfinite(value))
        tsr__buffer_addf(&r->text, "%.9g", value);
    else
        tsr__buffer_addf(&r->text, "\"%s\"",
                         isnan(value) ? "nan"
                         : value < 0  ? "-inf"
                                      : "inf");
}
