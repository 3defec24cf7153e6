/* lua_json.c -- JSON in, JSON out.
**
**     object  <-> table with string keys       integer <-> integer
**     array   <-> table 1..n, host.list(t)     real    <-> float
**     null     -> nil (the key is absent)      string  <-> string
**
** An empty table is an object unless host.list marked it. Numbers are finite,
** strings UTF-8.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/lua_host.h"
#include "runtime/base/memory.h"

enum { DEPTH_LIMIT = 32 };

static const char list_key = 0; /* registry: set of tables marked as lists */

static void push_value(lua_State *L, const json_t *value, int depth);

static void push_array(lua_State *L, const json_t *value, int depth)
{
    size_t count = json_array_size(value);
    lua_createtable(L, count < 4096 ? (int)count : 4096, 0);
    for (size_t i = 0; i < count; i++) {
        push_value(L, json_array_get(value, i), depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_object(lua_State *L, const json_t *value, int depth)
{
    const char *key;
    json_t *field;
    lua_newtable(L);
    json_object_foreach((json_t *)value, key, field)
    {
        lua_pushstring(L, key);
        push_value(L, field, depth + 1);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, const json_t *value, int depth)
{
    if (depth > DEPTH_LIMIT)
        luaL_error(L, "JSON nested deeper than %d", DEPTH_LIMIT);
    luaL_checkstack(L, 4, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value, depth);
        break;
    case JSON_ARRAY:
        push_array(L, value, depth);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    case JSON_NULL:
        lua_pushnil(L);
        break;
    }
}

void gen_json_push(lua_State *L, const json_t *value)
{
    if (value)
        push_value(L, value, 0);
    else
        lua_newtable(L);
}

static json_t *read_value(lua_State *L, int index, const char **why, int depth);

static int is_marked_list(lua_State *L, int index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    int marked = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return marked;
}

static json_t *read_list(lua_State *L, int index, const char **why, int depth)
{
    json_t *array = json_array();
    lua_Unsigned count = lua_rawlen(L, index);
    for (lua_Unsigned i = 1; array && i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        json_t *item = read_value(L, lua_gettop(L), why, depth + 1);
        lua_pop(L, 1);
        if (!item || json_array_append_new(array, item)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same object with its keys in order; takes `object`. */
static json_t *sort_keys(json_t *object)
{
    size_t count = object ? json_object_size(object) : 0, used = 0;
    const char *key, **keys = tsr__malloc(count * sizeof *keys);
    json_t *field, *sorted = keys ? json_object() : NULL;
    if (sorted) {
        json_object_foreach(object, key, field)
        {
            keys[used++] = key;
        }
        qsort(keys, used, sizeof *keys, compare_keys);
        for (size_t i = 0; i < used; i++)
            json_object_set(sorted, keys[i], json_object_get(object, keys[i]));
    }
    tsr__free(keys);
    json_decref(object);
    return sorted;
}

/* Lua's order differs from run to run, so the keys are sorted at the end. */
static json_t *read_object(lua_State *L, int index, const char **why, int depth)
{
    json_t *object = json_object();
    lua_pushnil(L);
    while (object && lua_next(L, index)) {
        json_t *item = NULL;
        if (lua_type(L, -2) == LUA_TSTRING)
            item = read_value(L, lua_gettop(L), why, depth + 1);
        else
            *why = "holds a table with keys that are neither 1..n nor strings";
        lua_pop(L, 1);
        if (!item || json_object_set_new(object, lua_tostring(L, -1), item)) {
            json_decref(object);
            lua_pop(L, 1);
            return NULL;
        }
    }
    return sort_keys(object);
}

static json_t *read_number(lua_State *L, int index, const char **why)
{
    if (lua_isinteger(L, index))
        return json_integer(lua_tointeger(L, index));
    double number = lua_tonumber(L, index);
    if (isfinite(number))
        return json_real(number);
    *why = "holds a number that is not finite";
    return NULL;
}

static json_t *read_text(lua_State *L, int index, const char **why)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    json_t *string = json_stringn(text, size);
    if (!string)
        *why = "holds text that is not UTF-8";
    return string;
}

/* `index` is absolute. */
static json_t *read_value(lua_State *L, int index, const char **why, int depth)
{
    if (depth > DEPTH_LIMIT || !lua_checkstack(L, 8)) {
        *why = "is nested too deep";
        return NULL;
    }
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return read_number(L, index, why);
    case LUA_TSTRING:
        return read_text(L, index, why);
    case LUA_TTABLE:
        if (lua_rawlen(L, index) || is_marked_list(L, index))
            return read_list(L, index, why, depth);
        return read_object(L, index, why, depth);
    }
    *why = "holds a value that is neither text, number, boolean nor table";
    return NULL;
}

json_t *gen_json_read(lua_State *L, int index, const char **why)
{
    *why = "does not fit into memory";
    return read_value(L, lua_absindex(L, index), why, 0);
}

static int host_list(lua_State *L) /* (table) -> table, a JSON array */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_settop(L, 1);
    return 1;
}

void gen_json_open(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_pushcfunction(L, host_list);
    lua_setfield(L, -2, "list");
}
