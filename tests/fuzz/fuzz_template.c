/* fuzz_template.c -- template text and parameters through the engine.
**
** Input: lines NAME=VALUE (integers, true, false, else text), a line "----",
** the template. Whatever the text says, a render must end soon, within its
** limits, with text or one line of error; and the second render of the same
** input must give the same.
*/
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/lua_host.h"

static const char script[] =
    "return { fuzz = function(a)\n"
    "  local text, hash = require('host').render('zzz_fuzz', a)\n"
    "  return { text = text, hash = hash }\n"
    "end }\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The embedded scripts with our main.lua; the last file of the table, which is
** a template, makes room for the input under a name that is last too. */
static struct gen_host *open_host(struct gen_file **template)
{
    struct gen_host *host;
    if (gen_host_open(&host, NULL, NULL))
        abort();
    for (size_t i = 0; i < host->files.count; i++) {
        struct gen_file *file = &host->files.items[i];
        if (strcmp(file->name, "gen/lua/main.lua") == 0) {
            file->data = (const unsigned char *)script;
            file->size = sizeof script - 1;
        }
        if (i + 1 == host->files.count) {
            file->name = realloc(file->name, 32);
            strcpy(file->name, "templates/zzz_fuzz");
            *template = file;
        }
    }
    host->limits.memory = 8 << 20;
    host->limits.work = 1000 * 1000;
    host->limits.text = 64 << 10;
    host->limits.seconds = 5;
    return host;
}

static json_t *value_of(const char *text, size_t size)
{
    char *end, copy[64];
    if (size && size < sizeof copy) {
        memcpy(copy, text, size);
        copy[size] = 0;
        long long number = strtoll(copy, &end, 10);
        if (!*end)
            return json_integer(number);
    }
    if (size == 4 && memcmp(text, "true", 4) == 0)
        return json_true();
    if (size == 5 && memcmp(text, "false", 5) == 0)
        return json_false();
    return json_stringn(text, size);
}

/* Reads the lines before "----" and returns what follows it. */
static const char *read_holes(json_t *holes, const char *at, const char *end)
{
    while (at < end) {
        const char *line = at, *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        at = stop < end ? stop + 1 : end;
        if (stop - line == 4 && memcmp(line, "----", 4) == 0)
            return at;
        const char *equals = memchr(line, '=', (size_t)(stop - line));
        if (!equals)
            continue;
        char name[64] = {0};
        size_t size = (size_t)(equals - line);
        memcpy(name, line, size < sizeof name ? size : sizeof name - 1);
        json_object_set_new(holes, name,
                            value_of(equals + 1, (size_t)(stop - equals - 1)));
    }
    return end;
}

/* Text or error of one render; malloc'ed by jansson or strdup. */
static char *render(struct gen_host *host, const json_t *holes)
{
    json_t *result = NULL;
    struct tsr_error err = {0};
    if (gen_host_call(host, "fuzz", holes, &result, &err)) {
        if (!err.text[0] || strchr(err.text, '\n'))
            abort();
        return strdup(err.text);
    }
    char *text = strdup(json_string_value(json_object_get(result, "text")));
    json_decref(result);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gen_host *host;
    static struct gen_file *template;
    if (!host)
        host = open_host(&template);
    json_t *holes = json_object();
    const char *end = (const char *)data + size;
    const char *text = read_holes(holes, (const char *)data, end);
    template->data = (const unsigned char *)text;
    template->size = (size_t)(end - text);
    if (template->size <= GEN_FILE_LIMIT) {
        char *first = render(host, holes), *second = render(host, holes);
        if (strcmp(first, second) != 0)
            abort();
        free(first);
        free(second);
    }
    json_decref(holes);
    return 0;
}
