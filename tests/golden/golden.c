/* golden.c -- whole emitted files against the ones in tests/golden. */
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"

enum { SIZE_LIMIT = 16 << 20 };

static int line_size(const char *text)
{
    return (int)strcspn(text, "\n");
}

static int report(const char *path, const char *wanted, const char *text)
{
    int line = 1;
    while (line_size(wanted) == line_size(text) && *wanted &&
           memcmp(wanted, text, (size_t)line_size(text)) == 0) {
        wanted += line_size(wanted) + (wanted[line_size(wanted)] != 0);
        text += line_size(text) + (text[line_size(text)] != 0);
        line++;
    }
    fprintf(stderr,
            "%s:%d: the emitted text differs\n  golden:  %.*s\n"
            "  emitted: %.*s\n(make golden-accept takes the new text)\n",
            path, line, line_size(wanted), wanted, line_size(text), text);
    return -1;
}

int golden_compare(const char *name, const char *text)
{
    char path[512], *wanted;
    struct tsr_error err;
    const char *accept = getenv("TSR_GOLDEN_ACCEPT");
    snprintf(path, sizeof path, "tests/golden/%s", name);
    if (accept && strcmp(accept, "1") == 0) {
        if (tsr__file_write(path, text, strlen(text), &err) == 0)
            return 0;
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    if (tsr__file_read(path, SIZE_LIMIT, &wanted, NULL, &err)) {
        fprintf(stderr, "%s (make golden-accept writes it)\n", err.text);
        return -1;
    }
    int rc = strcmp(wanted, text) ? report(path, wanted, text) : 0;
    tsr__free(wanted);
    return rc;
}
