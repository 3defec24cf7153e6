/* versions.c -- versions of what only gen/host may include. */
#include "gen/host/versions.h"

#include <lua.h>

const char *gen_lua_version(void)
{
    return LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE;
}
