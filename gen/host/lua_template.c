/* lua_template.c -- runs a translated template: emit, hole, include.
**
** The chunk of a template calls emit(line, piece, ...) for each line of text
** and hole(name, value) for each hole in it. Its environment is
**
**     {emit, hole, include}  ->  the holes  ->  what every script has
**
** where each arrow is a look-up of what was not found before; included files
** have no holes in between.
*/
#include <string.h>

#include "gen/host/lua_host.h"

enum {
    BLANK_LINES = 2, /* a gap this short is bridged by blank lines */
    INCLUDE_DEPTH = 16,
};

static const char included_key = 0; /* registry: set of included names */

/* Follows block comments through one emitted line, so that no #line lands in
** one. Strings and // comments hide their contents. */
static int comment_after(const char *at, const char *end, int inside)
{
    while (at < end) {
        if (inside) {
            int closes = at[0] == '*' && at + 1 < end && at[1] == '/';
            inside = !closes;
            at += closes ? 2 : 1;
        } else if (*at == '"' || *at == '\'') {
            char quote = *at++;
            while (at < end && *at != quote)
                at += *at == '\\' ? 2 : 1;
            at++;
        } else if (at[0] == '/' && at + 1 < end && at[1] == '/') {
            return 0;
        } else {
            inside = at[0] == '/' && at + 1 < end && at[1] == '*';
            at += inside ? 2 : 1;
        }
    }
    return inside;
}

/* Makes the compiler believe that the next line is FILE:LINE. */
static void synchronise(struct gen_emission *out, const struct gen_file *file,
                        int line)
{
    int gap = line - out->line;
    if (out->in_comment || out->continued)
        return;
    if (file == out->file && gap >= 0 && gap <= BLANK_LINES) {
        for (; gap > 0; gap--)
            tsr__buffer_add(&out->text, "\n", 1);
    } else {
        tsr__buffer_addf(&out->text, "#line %d \"%s\"\n", line, file->name);
    }
    out->file = file;
    out->line = line;
}

/* Upvalue: the file. (line, piece, ...) appends one line of output. */
static int template_emit(lua_State *L)
{
    struct gen_host *host = gen_host_of(L);
    struct gen_emission *out = &host->emission;
    int line = (int)luaL_checkinteger(L, 1);
    int pieces = lua_gettop(L);
    synchronise(out, lua_touserdata(L, lua_upvalueindex(1)), line);
    size_t start = out->text.size;
    for (int i = 2; i <= pieces; i++) {
        size_t size;
        const char *piece = luaL_checklstring(L, i, &size);
        tsr__buffer_add(&out->text, piece, size);
    }
    tsr__buffer_add(&out->text, "\n", 1);
    if (out->text.failed)
        return luaL_error(L, "out of memory for the emitted text");
    if (out->text.size > host->limits.text)
        return luaL_error(L, "the emitted text has more than %d bytes",
                          (int)host->limits.text);
    const char *text = out->text.data + start;
    const char *end = out->text.data + out->text.size - 1;
    out->in_comment = comment_after(text, end, out->in_comment);
    out->continued = end > text && end[-1] == '\\';
    out->line++;
    gen_work_spend(L, out->text.size - start);
    return 0;
}

/* (name, value) -> the text that goes into the hole. */
static int template_hole(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    int exact;
    switch (lua_type(L, 2)) {
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, 2) ? "true" : "false");
        return 1;
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(L, 2, &size);
        if (memchr(text, '\n', size) || memchr(text, 0, size))
            return luaL_error(L,
                              "hole '%s': the text for it has more than "
                              "one line; a hole takes one scalar",
                              name);
        return 1;
    }
    case LUA_TNUMBER: {
        lua_Integer integer = lua_tointegerx(L, 2, &exact);
        if (!exact)
            return luaL_error(L,
                              "hole '%s' is %f: a hole takes no fraction; "
                              "give it as text",
                              name, lua_tonumber(L, 2));
        lua_pushfstring(L, "%I", integer);
        return 1;
    }
    case LUA_TNIL:
        return luaL_error(L, "hole '%s' is nil", name);
    }
    return luaL_error(L,
                      "hole '%s' is a %s: a hole takes a string, an "
                      "integer or a boolean",
                      name, luaL_typename(L, 2));
}

/* Upvalues: the holes, what every script has. __index of the environment. */
static int template_lookup(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
        return 1;
    return luaL_error(L,
                      "nobody fills '%s': it is neither a hole of the "
                      "family, nor a local, nor a function",
                      name);
}

static int template_assign(lua_State *L) /* __newindex of the environment */
{
    return luaL_error(L, "cannot assign '%s': use a local",
                      luaL_checkstring(L, 2));
}

static int template_include(lua_State *L);

/* Gives the chunk on top its environment; `holes` is a stack index or 0. */
static void set_environment(lua_State *L, const struct gen_file *file,
                            int holes)
{
    lua_createtable(L, 0, 3);
    lua_pushlightuserdata(L, (void *)file);
    lua_pushcclosure(L, template_emit, 1);
    lua_setfield(L, -2, "emit");
    lua_pushcfunction(L, template_hole);
    lua_setfield(L, -2, "hole");
    lua_pushcfunction(L, template_include);
    lua_setfield(L, -2, "include");
    lua_createtable(L, 0, 3);
    if (holes)
        lua_pushvalue(L, holes);
    else
        lua_newtable(L);
    gen_sandbox_push_base(L);
    lua_pushcclosure(L, template_lookup, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, template_assign);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_setupvalue(L, -2, 1);
}

static void translate(lua_State *L, const struct gen_file *file,
                      enum gen_template_kind kind)
{
    struct gen_host *host = gen_host_of(L);
    struct tsr_error err = {0};
    gen_template_release(&host->translated);
    if (gen_template_translate(&host->translated, file->name, file->data,
                               file->size, kind, &err))
        luaL_error(L, "%s", err.text);
}

/* Pushes the chunk of the template just translated: [-0, +1, e]. */
static void push_chunk(lua_State *L, const struct gen_file *file, int holes)
{
    const struct tsr_buffer *lua = &gen_host_of(L)->translated.lua;
    gen_sandbox_load(L, lua->data ? lua->data : "", lua->size, file->name);
    set_environment(L, file, holes);
}

static const struct gen_file *find_template(lua_State *L, const char *name)
{
    const char *path = lua_pushfstring(L, "templates/%s", name);
    const struct gen_file *file = gen_files_find(&gen_host_of(L)->files, path);
    if (!file)
        luaL_error(L, "there is no %s", path);
    lua_pop(L, 1);
    return file;
}

/* Notes that `file` went into the output, in order of first use, and returns
** whether it had already. [-0, +0, e] */
static int note_included(lua_State *L, const struct gen_file *file)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &included_key);
    lua_pushstring(L, file->name);
    lua_pushvalue(L, -1);
    int known = lua_rawget(L, -3) != LUA_TNIL;
    lua_pop(L, 1);
    if (!known) {
        lua_Integer count = (lua_Integer)lua_rawlen(L, -2);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, count + 1);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
    return known;
}

static int template_include(lua_State *L) /* (name below templates/) */
{
    const struct gen_file *file = find_template(L, luaL_checkstring(L, 1));
    if (note_included(L, file))
        return 0;
    luaL_checkstack(L, 16, "include");
    translate(L, file, GEN_TEMPLATE_LIBRARY);
    push_chunk(L, file, 0);
    lua_call(L, 0, 0);
    return 0;
}

/* Every hole the family fills must be mentioned. [-0, +0, e] */
static void check_used(lua_State *L, const struct gen_file *file, int holes)
{
    const char *unused = NULL; /* the first by name, whatever the order */
    for (lua_pushnil(L); lua_next(L, holes); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "the holes for %s have a key that is no name",
                       file->name);
        const char *name = lua_tostring(L, -2);
        if (!gen_template_uses(&gen_host_of(L)->translated, name) &&
            (!unused || strcmp(name, unused) < 0))
            unused = name;
    }
    if (unused)
        luaL_error(L,
                   "%s:1: the family fills hole '%s', which the template "
                   "never uses",
                   file->name, unused);
}

/* The bytes of all files that went in: what the banner calls the template. */
static void push_hash(lua_State *L)
{
    struct gen_host *host = gen_host_of(L);
    struct tsr_sha256 sha;
    unsigned char digest[TSR_SHA256_BYTES];
    char hex[TSR_SHA256_HEX];
    tsr__sha256_init(&sha);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &included_key);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
        const struct gen_file *file =
            gen_files_find(&host->files, lua_tostring(L, -1));
        tsr__sha256_add(&sha, file->name, strlen(file->name) + 1);
        tsr__sha256_add(&sha, file->data, file->size);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, hex);
    lua_pushstring(L, hex);
}

static void begin(lua_State *L)
{
    struct gen_host *host = gen_host_of(L);
    tsr__buffer_release(&host->emission.text);
    memset(&host->emission, 0, sizeof host->emission);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &included_key);
}

static int host_render(lua_State *L) /* (name, holes) -> text, hash */
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct gen_host *host = gen_host_of(L);
    begin(L);
    const struct gen_file *file = find_template(L, name);
    note_included(L, file);
    translate(L, file, GEN_TEMPLATE);
    check_used(L, file, 2);
    push_chunk(L, file, 2);
    lua_call(L, 0, 0);
    lua_pushlstring(L, host->emission.text.data ? host->emission.text.data : "",
                    host->emission.text.size);
    push_hash(L);
    return 2;
}

static int host_translate(lua_State *L) /* (name) -> the template as Lua */
{
    struct gen_host *host = gen_host_of(L);
    translate(L, find_template(L, luaL_checkstring(L, 1)), GEN_TEMPLATE);
    lua_pushlstring(L, host->translated.lua.data, host->translated.lua.size);
    return 1;
}

static int host_files(lua_State *L) /* (prefix) -> sorted list of names */
{
    size_t size;
    const char *prefix = luaL_checklstring(L, 1, &size);
    const struct gen_files *files = &gen_host_of(L)->files;
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < files->count; i++) {
        if (strncmp(files->items[i].name, prefix, size) != 0)
            continue;
        lua_pushstring(L, files->items[i].name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

void gen_template_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"files", host_files},
                                         {"render", host_render},
                                         {"translate", host_translate},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, TSR_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushboolean(L, gen_host_of(L)->user_scripts);
    lua_setfield(L, -2, "user_scripts");
}
