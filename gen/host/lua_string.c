/* lua_string.c -- string functions whose cost is bounded or counted.
**
** byte, char, len, lower, reverse, sub and upper are Lua's own: linear, and
** the strings they make are paid for by the allocator. rep is ours, since
** rep("", 1 << 62) loops for ever in Lua's. format is Lua's behind a check.
*/
#include <lualib.h>
#include <string.h>

#include "gen/host/lua_host.h"

static int string_rep(lua_State *L) /* (text, count [, separator]) -> string */
{
    size_t size, gap, total;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &gap);
    size_t limit = gen_host_of(L)->limits.text;
    if (count <= 0 || size + gap == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)count > limit / (size + gap))
        return luaL_error(L, "rep: the result has more than %d bytes",
                          (int)limit);
    total = (size + gap) * (size_t)count - gap;
    luaL_Buffer buffer;
    char *at = luaL_buffinitsize(L, &buffer, total);
    for (lua_Integer i = 0; i < count; i++) {
        memcpy(at, text, size);
        at += size;
        if (i + 1 < count)
            memcpy(at, separator, gap);
        at += i + 1 < count ? gap : 0;
    }
    luaL_pushresultsize(&buffer, total);
    gen_work_spend(L, (size_t)count);
    return 1;
}

/* Upvalue: Lua's format. %p and %s of a table print addresses, which differ
** from run to run. */
static int string_format(lua_State *L) /* (format, ...) -> string */
{
    const char *format = luaL_checkstring(L, 1);
    int count = lua_gettop(L);
    for (const char *at = format; (at = strchr(at, '%')) && at[1]; at += 2)
        if (at[1 + strspn(at + 1, "-+ #0123456789.")] == 'p')
            return luaL_error(L, "format: %%p is not the same in every run");
    for (int i = 2; i <= count; i++) {
        int type = lua_type(L, i);
        if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TNUMBER &&
            type != LUA_TSTRING)
            return luaL_error(L, "format: argument %d is a %s", i - 1,
                              lua_typename(L, type));
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, 1);
    return 1;
}

void gen_string_open(lua_State *L)
{
    static const char *const kept[] = {"byte",    "char", "len",   "lower",
                                       "reverse", "sub",  "upper", NULL};
    int library = lua_gettop(L);
    luaL_requiref(L, "string", luaopen_string, 0);
    for (const char *const *name = kept; *name; name++) {
        lua_getfield(L, -1, *name);
        lua_setfield(L, library, *name);
    }
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, string_format, 1);
    lua_setfield(L, library, "format");
    lua_pushcfunction(L, string_rep);
    lua_setfield(L, library, "rep");
    lua_settop(L, library);
}
