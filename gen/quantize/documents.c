/* documents.c -- token files: JSON lines, one document a line. */
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "gen/quantize/capture.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

#define FILE_LIMIT ((size_t)1 << 30)

struct growing {
    struct gen_documents documents;
    size_t token_room, start_room;
    size_t limit; /* of tokens; 0: none */
};

static size_t token_count(const struct growing *growing)
{
    return growing->documents.count
               ? growing->documents.starts[growing->documents.count]
               : 0;
}

/* Appends a line's tokens, cut at the limit. */
static int add_line(struct growing *growing, const json_t *tokens,
                    const char *path, size_t line, struct tsr_error *err)
{
    struct gen_documents *to = &growing->documents;
    size_t have = token_count(growing), more = json_array_size(tokens);
    if (!json_is_array(tokens) || more == 0)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' line %zu has no list of tokens; each line must "
                        "be {\"tokens\": [ids]}",
                        path, line);
    if (growing->limit && more > growing->limit - have)
        more = growing->limit - have;
    if (tsr__grow((void **)&to->tokens, &growing->token_room, have + more,
                  sizeof *to->tokens) ||
        tsr__grow((void **)&to->starts, &growing->start_room, to->count + 2,
                  sizeof *to->starts))
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'", path);
    for (size_t i = 0; i < more; i++) {
        const json_t *id = json_array_get(tokens, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT_MAX)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s' line %zu: token %zu is not an id", path, line,
                            i);
        to->tokens[have + i] = (int)json_integer_value(id);
    }
    to->starts[to->count] = have;
    to->starts[++to->count] = have + more;
    return 0;
}

static int read_line(struct growing *growing, const char *text, size_t size,
                     const char *path, size_t line, struct tsr_error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' line %zu is not JSON (column %d); each line "
                        "must be {\"tokens\": [ids]}",
                        path, line, why.column);
    int rc =
        add_line(growing, json_object_get(json, "tokens"), path, line, err);
    json_decref(json);
    return rc;
}

int gen_documents_read(struct gen_documents *out, const char *path,
                       size_t limit, struct tsr_error *err)
{
    struct growing growing = {.limit = limit};
    char *text;
    size_t size, line = 0;
    int rc = tsr__file_read(path, FILE_LIMIT, &text, &size, err);
    if (rc)
        return rc;
    for (size_t at = 0; !rc && at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        line++;
        if (length && strspn(text + at, " \t\r") < length)
            rc = read_line(&growing, text + at, length, path, line, err);
        at += length + 1;
        if (limit && token_count(&growing) >= limit)
            break;
    }
    if (!rc && !growing.documents.count)
        rc = TSR_FAIL(err, TSR_EFORMAT,
                      "'%s' has no documents; each line must be {\"tokens\": "
                      "[ids]}",
                      path);
    tsr__free(text);
    if (rc)
        gen_documents_release(&growing.documents);
    else
        *out = growing.documents;
    return rc;
}

void gen_documents_release(struct gen_documents *documents)
{
    tsr__free(documents->tokens);
    tsr__free(documents->starts);
    memset(documents, 0, sizeof *documents);
}
