/* template.c -- the template language: text to Lua, line by line.
**
**     % if bias == 1 then            if bias == 1 then
**     y += ${scale};             ->  ;emit(2,"y += ",hole("scale",scale),";")
**     % end                          end
**
** The leading semicolon keeps a Lua line that does not end where it should
** ("% local x = 1 +") from swallowing the text that follows it.
*/
#include "gen/host/template.h"

#include <string.h>

/* Where we are, for messages. */
struct place {
    const char *name;
    int line;
    enum gen_template_kind kind;
    struct tsr_error *err;
};

static const char *const reserved[] = {
    "and",  "break",   "do",    "else",     "elseif", "end",   "false",
    "for",  "goto",    "if",    "function", "in",     "local", "nil",
    "not",  "or",      "while", "then",     "repeat", "true",  "until",
    "emit", "include", "hole",  "return"};

static int is_reserved(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == size && !memcmp(reserved[i], name, size))
            return 1;
    return 0;
}

static int is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static size_t name_length(const char *text, const char *end)
{
    const char *at = text;
    if (at == end || !is_letter((unsigned char)*at))
        return 0;
    while (at < end &&
           (is_letter((unsigned char)*at) || is_digit((unsigned char)*at)))
        at++;
    return (size_t)(at - text);
}

static void remember(struct gen_template *template, const char *name,
                     size_t size)
{
    if (template->names.size == 0)
        tsr__buffer_add(&template->names, "\n", 1);
    tsr__buffer_add(&template->names, name, size);
    tsr__buffer_add(&template->names, "\n", 1);
}

/* The bytes as the inside of a Lua string literal. */
static void add_quoted(struct tsr_buffer *lua, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            tsr__buffer_addf(lua, "\\%c", c);
        else if (c < 32 || c == 127)
            tsr__buffer_addf(lua, "\\%03d", c);
        else
            tsr__buffer_add(lua, text + i, 1);
    }
}

/* `at` is behind "${". Writes the call for the hole and returns what follows
** its brace, or NULL. */
static const char *add_hole(struct gen_template *template,
                            const struct place *place, const char *at,
                            const char *end)
{
    size_t size = name_length(at, end);
    if (place->kind == GEN_TEMPLATE_LIBRARY) {
        TSR_FAIL(place->err, TSR_EFORMAT,
                 "%s:%d: an included file has no holes; pass '${%.*s' in from "
                 "the template",
                 place->name, place->line, (int)(end - at < 40 ? end - at : 40),
                 at);
        return NULL;
    }
    if (!size || at + size == end || at[size] != '}') {
        TSR_FAIL(place->err, TSR_EFORMAT,
                 "%s:%d: a hole is ${name}, a name of letters, digits and "
                 "underscores",
                 place->name, place->line);
        return NULL;
    }
    if (is_reserved(at, size)) {
        TSR_FAIL(place->err, TSR_EFORMAT,
                 "%s:%d: '%.*s' is a reserved word and cannot name a hole",
                 place->name, place->line, (int)size, at);
        return NULL;
    }
    tsr__buffer_addf(&template->lua, ",hole(\"%.*s\",%.*s)", (int)size, at,
                     (int)size, at);
    remember(template, at, size);
    return at + size + 1;
}

static const char *find_hole(const char *at, const char *end)
{
    for (; at + 1 < end; at++)
        if (at[0] == '$' && at[1] == '{')
            return at;
    return end;
}

static int add_text_line(struct gen_template *template,
                         const struct place *place, const char *at,
                         const char *end)
{
    tsr__buffer_addf(&template->lua, ";emit(%d", place->line);
    while (at < end) {
        const char *hole = find_hole(at, end);
        if (hole > at) {
            tsr__buffer_add(&template->lua, ",\"", 2);
            add_quoted(&template->lua, at, (size_t)(hole - at));
            tsr__buffer_add(&template->lua, "\"", 1);
        }
        if (hole == end)
            break;
        at = add_hole(template, place, hole + 2, end);
        if (!at)
            return TSR_EFORMAT;
    }
    tsr__buffer_add(&template->lua, ")", 1);
    return 0;
}

/* Skips a quoted string of one line; `at` is on its quote. */
static const char *skip_string(const char *at, const char *end)
{
    char quote = *at++;
    while (at < end && *at != quote)
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    return at < end ? at + 1 : end;
}

/* Notes the names a line of Lua mentions, outside strings and comments, and
** not those after a dot, which are fields. */
static void remember_lua_names(struct gen_template *template, const char *at,
                               const char *end)
{
    while (at < end) {
        size_t size = name_length(at, end);
        if (size) {
            remember(template, at, size);
            at += size;
        } else if (*at == '"' || *at == '\'') {
            at = skip_string(at, end);
        } else if (at[0] == '-' && at + 1 < end && at[1] == '-') {
            return;
        } else if (is_digit((unsigned char)*at) || *at == '.') {
            int concat = at[0] == '.' && at + 1 < end && at[1] == '.';
            at += concat ? 2 : 1;
            if (!concat)
                at += name_length(at, end); /* .field, 0x1F */
        } else {
            at++;
        }
    }
}

static void add_lua_line(struct gen_template *template, const char *at,
                         const char *end)
{
    tsr__buffer_add(&template->lua, " ", 1); /* keeps the columns */
    tsr__buffer_add(&template->lua, at + 1, (size_t)(end - at - 1));
    remember_lua_names(template, at + 1, end);
}

int gen_template_translate(struct gen_template *template, const char *name,
                           const unsigned char *text, size_t size,
                           enum gen_template_kind kind, struct tsr_error *err)
{
    struct place place = {name, 0, kind, err};
    const char *at = (const char *)text, *stop = at + size;
    int rc = 0;
    while (at < stop) {
        const char *newline = memchr(at, '\n', (size_t)(stop - at));
        size_t length = (size_t)((newline ? newline : stop) - at);
        const char *next = newline ? newline + 1 : stop;
        place.line++;
        if (length && newline && at[length - 1] == '\r')
            length--;
        if (memchr(at, 0, length))
            return TSR_FAIL(err, TSR_EFORMAT, "%s:%d: a NUL byte", name,
                            place.line);
        const char *end = at + length;
        if (end > at && *at == '%')
            add_lua_line(template, at, end);
        else
            rc = add_text_line(template, &place, at, end);
        if (rc)
            return rc;
        tsr__buffer_add(&template->lua, "\n", 1);
        at = next;
    }
    if (template->lua.failed || template->names.failed)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading '%s'", name);
    return 0;
}

void gen_template_release(struct gen_template *template)
{
    tsr__buffer_release(&template->lua);
    tsr__buffer_release(&template->names);
}

int gen_template_uses(const struct gen_template *template, const char *name)
{
    size_t size = strlen(name);
    const char *at = template->names.data;
    if (!size || name_length(name, name + size) != size)
        return 0;
    while (at && (at = strstr(at, name))) {
        if (at[-1] == '\n' && at[size] == '\n')
            return 1;
        at += size;
    }
    return 0;
}
