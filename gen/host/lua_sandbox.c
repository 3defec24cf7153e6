/* lua_sandbox.c -- what a script can see.
**
** `base` holds every function a script may use. A chunk's environment is an
** empty table in front of it: reading an unknown name and assigning a global
** are errors, and libraries cannot be changed, since scripts only ever hold
** empty tables in front of the real ones and there is no rawset. table.sort
** and usage are Lua: gen/lua/prelude.lua.
*/
#include <lualib.h>
#include <string.h>

#include "gen/host/lua_host.h"

static const char base_key = 0, loaded_key = 0; /* registry keys: addresses */

void gen_sandbox_push_base(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
}

/* __newindex of libraries and environments. */
static int refuse_assignment(lua_State *L) /* (table, name, value) -> error */
{
    return luaL_error(L,
                      "cannot assign '%s': libraries and globals are "
                      "read-only, use a local",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2)
                                                    : luaL_typename(L, 2));
}

/* __index of the base table: the name is not there either. */
static int refuse_unknown(lua_State *L) /* (table, name) -> error */
{
    return luaL_error(L, "undefined variable '%s'",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2)
                                                    : luaL_typename(L, 2));
}

/* Replaces the table on top by an empty one in front of it: [-1, +1, e]. */
static void protect(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_assignment);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

void gen_sandbox_load(lua_State *L, const char *text, size_t size,
                      const char *chunkname)
{
    lua_pushfstring(L, "@%s", chunkname);
    if (luaL_loadbufferx(L, text, size, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
    gen_sandbox_push_base(L);
    protect(L); /* Stack: chunk, environment */
    lua_setupvalue(L, -2, 1);
}

/* (name) -> what gen/lua/NAME.lua returned; dots are directories. */
static int sandbox_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct gen_host *host = gen_host_of(L);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_pushvalue(L, 1);
    int type = lua_rawget(L, 2); /* Stack: name, loaded, module */
    if (type == LUA_TBOOLEAN)
        return luaL_error(L, "module '%s' requires itself", name);
    if (type != LUA_TNIL)
        return 1;
    const char *inner = luaL_gsub(L, name, ".", "/");
    const char *path = lua_pushfstring(L, "gen/lua/%s.lua", inner);
    const struct gen_file *file = gen_files_find(&host->files, path);
    if (!file)
        return luaL_error(L, "no module '%s': there is no %s", name, path);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, 2); /* under way */
    gen_sandbox_load(L, (const char *)file->data, file->size, path);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "%s must return a table", path);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

/* No metamethods in a sandbox, and an address would differ from run to run. */
static int sandbox_tostring(lua_State *L) /* (value) -> string */
{
    luaL_checkany(L, 1);
    switch (lua_type(L, 1)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
        luaL_tolstring(L, 1, NULL);
        return 1;
    }
    return luaL_error(L, "a %s has no text that is the same in every run",
                      luaL_typename(L, 1));
}

static void copy_fields(lua_State *L, int from, int to,
                        const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, to, *names);
    }
}

static void open_base(lua_State *L, int base)
{
    static const char *const names[] = {"assert",   "error", "ipairs", "select",
                                        "tonumber", "type",  NULL};
    luaL_requiref(L, "_G", luaopen_base, 0);
    copy_fields(L, lua_gettop(L), base, names);
    lua_pop(L, 1);
    lua_pushcfunction(L, sandbox_tostring);
    lua_setfield(L, base, "tostring");
    lua_pushcfunction(L, sandbox_require);
    lua_setfield(L, base, "require");
}

static void open_math(lua_State *L, int base)
{
    static const char *const names[] = {
        "abs",  "ceil", "exp", "floor",      "fmod",      "huge",
        "log",  "max",  "min", "pi",         "tointeger", "maxinteger",
        "sqrt", "type", "ult", "mininteger", NULL};
    lua_newtable(L);
    luaL_requiref(L, "math", luaopen_math, 0);
    copy_fields(L, lua_gettop(L), lua_gettop(L) - 1, names);
    lua_pop(L, 1);
    protect(L);
    lua_setfield(L, base, "math");
}

/* Counts elements by the border, without metamethods. */
static lua_Integer list_length(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, index);
}

static int table_concat(lua_State *L) /* (list [, separator]) -> string */
{
    luaL_Buffer text;
    size_t size;
    lua_Integer count = list_length(L, 1);
    const char *separator = luaL_optlstring(L, 2, "", &size);
    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; i <= count; i++) {
        int type = lua_rawgeti(L, 1, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            return luaL_error(L, "concat: element %I is a %s", i,
                              luaL_typename(L, -1));
        luaL_addvalue(&text);
        if (i < count)
            luaL_addlstring(&text, separator, size);
    }
    gen_work_spend(L, (size_t)count);
    luaL_pushresult(&text);
    return 1;
}

static int table_insert(lua_State *L) /* (list, [position,] value) */
{
    lua_Integer count = list_length(L, 1), at = count + 1;
    if (lua_gettop(L) > 2)
        at = luaL_checkinteger(L, 2);
    luaL_argcheck(L, at >= 1 && at <= count + 1, 2, "not a position");
    luaL_checkany(L, lua_gettop(L) > 2 ? 3 : 2);
    lua_settop(L, lua_gettop(L) > 2 ? 3 : 2);
    for (lua_Integer i = count; i >= at; i--) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, 1, i + 1);
    }
    gen_work_spend(L, (size_t)(count + 1 - at));
    lua_rawseti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L) /* (list [, position]) -> value */
{
    lua_Integer count = list_length(L, 1);
    lua_Integer at = luaL_optinteger(L, 2, count);
    if (count == 0)
        return 0;
    luaL_argcheck(L, at >= 1 && at <= count, 2, "not a position");
    lua_rawgeti(L, 1, at);
    for (lua_Integer i = at; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, count);
    gen_work_spend(L, (size_t)(count - at));
    return 1;
}

static int table_unpack(lua_State *L) /* (list) -> its elements */
{
    lua_Integer count = list_length(L, 1);
    if (count > 1000)
        return luaL_error(L, "unpack: %I elements are too many", count);
    luaL_checkstack(L, (int)count, "unpack");
    for (lua_Integer i = 1; i <= count; i++)
        lua_rawgeti(L, 1, i);
    return (int)count;
}

/* Leaves the unprotected table library on the stack: prelude adds sort. */
static void push_table_library(lua_State *L)
{
    static const luaL_Reg functions[] = {{"concat", table_concat},
                                         {"insert", table_insert},
                                         {"remove", table_remove},
                                         {"unpack", table_unpack},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
}

/* Runs gen/lua/prelude.lua(table), which returns {usage=, ...} and adds sort
** to table. */
static void open_prelude(lua_State *L, int base)
{
    static const char name[] = "gen/lua/prelude.lua";
    const struct gen_file *file = gen_files_find(&gen_host_of(L)->files, name);
    if (!file)
        luaL_error(L, "there is no %s", name);
    push_table_library(L);
    gen_sandbox_load(L, (const char *)file->data, file->size, name);
    lua_pushvalue(L, -2); /* Stack: table, chunk, table */
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1))
        luaL_error(L, "%s must return a table", name);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, base);
    }
    lua_pop(L, 1);
    protect(L);
    lua_setfield(L, base, "table");
}

static void open_host(lua_State *L, int loaded)
{
    lua_newtable(L);
    gen_template_open(L);
    gen_json_open(L);
    protect(L);
    lua_setfield(L, loaded, "host");
}

void gen_sandbox_open(lua_State *L)
{
    lua_newtable(L);
    int base = lua_gettop(L);
    lua_newtable(L);
    int loaded = lua_gettop(L);
    lua_pushvalue(L, base);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &base_key);
    lua_pushvalue(L, loaded);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, refuse_unknown);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, base);
    open_base(L, base);
    lua_pushvalue(L, base);
    gen_pairs_open(L);
    lua_pop(L, 1);
    open_math(L, base);
    lua_newtable(L);
    gen_string_open(L);
    gen_match_open(L);
    protect(L);
    lua_setfield(L, base, "string");
    open_prelude(L, base);
    open_host(L, loaded);
    /* ("x"):upper() looks here: the same functions, and no way to the
    ** metatable itself. */
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_getfield(L, base, "string");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_settop(L, base - 1);
}
