/* lua_pairs.c -- pairs in order of keys.
**
** Lua's own order differs from run to run, and emitted text must not. Keys are
** numbers, strings and booleans, in this order; strings go bytewise. A key
** removed on the way is skipped, one added on the way is not seen.
*/
#include <stdlib.h>
#include <string.h>

#include "gen/host/lua_host.h"

struct key {
    int type; /* LUA_T...; numbers before strings before booleans */
    int at;   /* its place in the list of keys */
    lua_Number number;
    const char *text; /* owned by the table that is walked */
    size_t size;
};

/* Numbers 0, strings 1, booleans 2, the rest -1. */
static int rank(int type)
{
    return type == LUA_TNUMBER    ? 0
           : type == LUA_TSTRING  ? 1
           : type == LUA_TBOOLEAN ? 2
                                  : -1;
}

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    if (a->type != b->type)
        return rank(a->type) - rank(b->type);
    if (a->type != LUA_TSTRING)
        return (a->number > b->number) - (a->number < b->number);
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->text, b->text, size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* The key at the top of the stack. [-0, +0, e] */
static struct key read_key(lua_State *L, int at)
{
    struct key key = {.type = lua_type(L, -1), .at = at};
    if (key.type == LUA_TNUMBER)
        key.number = lua_tonumber(L, -1);
    else if (key.type == LUA_TSTRING)
        key.text = lua_tolstring(L, -1, &key.size);
    else if (key.type == LUA_TBOOLEAN)
        key.number = lua_toboolean(L, -1);
    else
        luaL_error(L, "pairs: a %s has no place in order",
                   luaL_typename(L, -1));
    return key;
}

/* Upvalues: the table, its keys, their order, how far we are. */
static int pairs_next(lua_State *L) /* () -> key, value */
{
    const struct key *order = lua_touserdata(L, lua_upvalueindex(3));
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(4));
    lua_Integer count = (lua_Integer)lua_rawlen(L, lua_upvalueindex(2));
    lua_settop(L, 0);
    for (; at < count; at++) {
        lua_rawgeti(L, lua_upvalueindex(2), order[at].at);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushinteger(L, at + 1);
            lua_replace(L, lua_upvalueindex(4));
            return 2;
        }
        lua_settop(L, 0);
    }
    return 0;
}

static int sandbox_pairs(lua_State *L) /* (table) -> iterator */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    int count = 0;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1); count++) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, 2, count + 1);
    }
    gen_work_spend(L, (size_t)count);
    struct key *order =
        lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *order, 0);
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, 2, i + 1);
        order[i] = read_key(L, i + 1);
        lua_pop(L, 1);
    }
    qsort(order, (size_t)count, sizeof *order, compare_keys);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_next, 4);
    return 1;
}

void gen_pairs_open(lua_State *L)
{
    lua_pushcfunction(L, sandbox_pairs);
    lua_setfield(L, -2, "pairs");
}
