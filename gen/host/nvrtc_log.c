/* nvrtc_log.c -- reads what NVRTC and ptxas print. */
#include "gen/host/nvrtc_log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number in front of `words` on the line, as in "8 bytes spill stores". */
static int number_before(const char *line, const char *end, const char *words)
{
    const char *at = memmem(line, (size_t)(end - line), words, strlen(words));
    if (!at)
        return 0;
    while (at > line && at[-1] == ' ')
        at--;
    while (at > line && isdigit((unsigned char)at[-1]))
        at--;
    long value = strtol(at, NULL, 10);
    return value < 0 || value > 1 << 30 ? 0 : (int)value;
}

static int has(const char *line, const char *end, const char *words)
{
    return memmem(line, (size_t)(end - line), words, strlen(words)) != NULL;
}

static int has_c75xx(const char *line, const char *end)
{
    for (const char *at = line; end - at >= 5; at++)
        if (at[0] == 'C' && at[1] == '7' && at[2] == '5' &&
            isdigit((unsigned char)at[3]) && isdigit((unsigned char)at[4]) &&
            (at == line || !isalnum((unsigned char)at[-1])))
            return 1;
    return 0;
}

/* "x.tmpl(3): error: ...", "x.tmpl(3): catastrophic error: ...",
** "ptxas ..., line 25; error   : ...", "ptxas error   : Entry function 'k' uses
** too much shared data", "ptxas fatal   : ...". */
static int is_error(const char *line, const char *end)
{
    return has(line, end, "error: ") || has(line, end, "; error ") ||
           has(line, end, "ptxas fatal") || has(line, end, "ptxas error");
}

static int max(int a, int b)
{
    return a > b ? a : b;
}

static void read_line(const char *line, const char *end,
                      struct gen_nvrtc_log *out)
{
    out->registers = max(out->registers, number_before(line, end, "registers"));
    out->barriers = max(out->barriers, number_before(line, end, "barriers"));
    out->stack_bytes =
        max(out->stack_bytes, number_before(line, end, "bytes stack frame"));
    out->spill_bytes += number_before(line, end, "bytes spill stores") +
                        number_before(line, end, "bytes spill loads");
    out->c75xx += has_c75xx(line, end);
    if (is_error(line, end)) {
        const char *at = memmem(line, (size_t)(end - line), ", line ", 7);
        if (!out->errors && at && has(line, end, "ptxas"))
            out->ptxas_line = atoi(at + 7);
        out->errors++;
    }
}

static const char *line_end(const char *line)
{
    return line + strcspn(line, "\n");
}

void gen_nvrtc_log_read(const char *log, struct gen_nvrtc_log *out)
{
    memset(out, 0, sizeof *out);
    for (const char *line = log; *line;) {
        const char *end = line_end(line);
        read_line(line, end, out);
        line = *end ? end + 1 : end;
    }
}

void gen_nvrtc_log_first_error(const char *log, char *out, size_t size)
{
    if (size)
        out[0] = 0;
    for (const char *line = log; *line;) {
        const char *end = line_end(line);
        if (is_error(line, end)) {
            while (end > line && isspace((unsigned char)end[-1]))
                end--;
            snprintf(out, size, "%.*s", (int)(end - line), line);
            return;
        }
        line = *end ? end + 1 : end;
    }
}

void gen_nvrtc_log_settle(char *log)
{
    char *to = log;
    for (const char *line = log; *line;) {
        const char *end = line_end(line);
        size_t length = (size_t)(end - line) + (*end == '\n');
        if (!has(line, end, "Compile time = ")) {
            memmove(to, line, length);
            to += length;
        }
        line += length;
    }
    *to = 0;
}
