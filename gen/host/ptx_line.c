/* ptx_line.c -- which template line a line of PTX came from.
**
**     .loc    1 42 5              file 1, line 42, column 5
**     .file   1 "/somewhere/templates/x.cu.tmpl"
**
** The .file directives stand at the end of the text, so: first the .loc, then
** the file it numbers.
*/
#include "gen/host/ptx_line.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static int find_location(const char *ptx, int line, int *file, int *number)
{
    int found = -1, at = 1;
    for (const char *text = ptx; *text && at <= line; at++) {
        int f, n;
        if (sscanf(text, " .loc %d %d", &f, &n) == 2) {
            *file = f;
            *number = n;
            found = 0;
        }
        text = next_line(text);
    }
    return found;
}

static int find_file(const char *ptx, int file, char *path, size_t size)
{
    for (const char *text = ptx; *text; text = next_line(text)) {
        int number, used = 0;
        if (sscanf(text, " .file %d \"%n", &number, &used) != 1 || !used ||
            number != file)
            continue;
        size_t length = strcspn(text + used, "\"\n");
        if (length >= size)
            return -1;
        memcpy(path, text + used, length);
        path[length] = 0;
        return 0;
    }
    return -1;
}

int gen_ptx_template_line(const char *ptx, int line, char *where, size_t size)
{
    char path[1024], here[1024];
    const char *shown = path;
    int file, number;
    if (find_location(ptx, line, &file, &number) ||
        find_file(ptx, file, path, sizeof path))
        return -1;
    if (getcwd(here, sizeof here)) {
        size_t length = strlen(here);
        if (!strncmp(path, here, length) && path[length] == '/')
            shown = path + length + 1;
    }
    int used = snprintf(where, size, "%s(%d)", shown, number);
    return used < 0 || (size_t)used >= size ? -1 : 0;
}
