/* lua_state.c -- a Lua state that cannot run away, and the one protected call.
**
** Every call gets a fresh state, so nothing a script does to a table outlives
** it, and the same input gives the same bytes whatever was asked before.
*/
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gen/host/lua_host.h"
#include "runtime/base/memory.h"

enum { HOOK_EVERY = 1000 };

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The hook looks at the budget every HOOK_EVERY instructions; a script whose
** every instruction copies megabytes is stopped here, this far below zero. */
static int is_overdrawn(const struct gen_host *host)
{
    return host->work < -(host->limits.work / 8);
}

/* Lua never expects shrinking to fail, so it keeps the old block where the
** heap has no smaller one. After a refusal Lua collects garbage and asks once
** more, so a refusal is not yet an error. */
static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
    struct gen_host *host = user;
    size_t held = old ? old_size : 0; /* without a block it is a type tag */
    if (size == 0) {
        tsr__free(old);
        host->memory -= held;
        return NULL;
    }
    if (size > held) {
        host->work -= (long long)(size / 32);
        if (is_overdrawn(host))
            return NULL;
        if (size - held > host->limits.memory - host->memory) {
            host->refused = 1;
            return NULL;
        }
    }
    void *block = tsr__realloc(old, size);
    if (!block && size <= held)
        return old;
    if (!block) {
        host->refused = 0;
        return NULL;
    }
    host->memory += size - held;
    return block;
}

/* `level` is the frame to blame: in a hook the running function is level 0,
** in a C function its caller is level 1. */
static void spend(lua_State *L, size_t steps, int level)
{
    struct gen_host *host = gen_host_of(L);
    host->work -= (long long)steps;
    if (host->work >= 0)
        return;
    luaL_where(L, level);
    lua_pushfstring(L, "script ran over its limit of %d million instructions",
                    (int)(host->limits.work / 1000000));
    lua_concat(L, 2);
    lua_error(L);
}

void gen_work_spend(lua_State *L, size_t steps)
{
    spend(L, steps, 1);
}

static void hook(lua_State *L, lua_Debug *where)
{
    (void)where;
    spend(L, HOOK_EVERY, 0);
    if (thread_seconds() <= gen_host_of(L)->deadline)
        return;
    luaL_where(L, 0);
    lua_pushfstring(L, "script ran longer than its %f seconds",
                    gen_host_of(L)->limits.seconds);
    lua_concat(L, 2);
    lua_error(L);
}

/* Adds " (from gen/lua/plan.lua:40, gen/lua/main.lua:7)": the frames of
** scripts above the one the message already names. A look at a frame walks all
** the frames before it, so only the nearest are looked at. */
static void add_trace(lua_State *L, luaL_Buffer *text, const char *message)
{
    lua_Debug frame;
    int shown = 0;
    for (int level = 1; shown < 4 && level < 32; level++) {
        if (!lua_getstack(L, level, &frame))
            break;
        char place[LUA_IDSIZE + 16];
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0)
            continue;
        snprintf(place, sizeof place, "%s:%d", frame.short_src,
                 frame.currentline);
        if (strncmp(message, place, strlen(place)) == 0)
            continue;
        luaL_addstring(text, shown++ ? ", " : " (from ");
        luaL_addstring(text, place);
    }
    if (shown)
        luaL_addchar(text, ')');
}

/* The message handler: [-1, +1]. {usage = "..."} is the caller's fault and
** needs no place; anything else says where it was. */
static int on_error(lua_State *L)
{
    struct gen_host *host = gen_host_of(L);
    host->code = TSR_EFORMAT;
    if (lua_istable(L, 1)) {
        lua_pushliteral(L, "usage");
        if (lua_rawget(L, 1) == LUA_TSTRING) {
            host->code = TSR_EUSAGE;
            return 1;
        }
        lua_pop(L, 1);
    }
    if (lua_type(L, 1) != LUA_TSTRING) {
        lua_pushfstring(L, "script raised a %s instead of a message",
                        luaL_typename(L, 1));
        lua_replace(L, 1);
    }
    luaL_Buffer text;
    const char *message = lua_tostring(L, 1);
    luaL_buffinit(L, &text);
    luaL_addstring(&text, message);
    add_trace(L, &text, message);
    luaL_pushresult(&text);
    return 1;
}

/* Looks `function` up in gen/lua/main.lua and calls it, all protected. */
static int evaluate(lua_State *L)
{
    struct gen_host *host = gen_host_of(L);
    const char *why;
    gen_sandbox_open(L);
    gen_sandbox_push_base(L);
    lua_getfield(L, -1, "require");
    lua_pushliteral(L, "main");
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "gen/lua/main.lua did not return a table");
    lua_pushstring(L, host->function);
    if (lua_rawget(L, -2) != LUA_TFUNCTION)
        return luaL_error(L, "gen/lua/main.lua has no function '%s'",
                          host->function);
    gen_json_push(L, host->argument);
    lua_call(L, 1, 1);
    host->result = gen_json_read(L, -1, &why);
    if (!host->result)
        return luaL_error(L, "the result of '%s' %s", host->function, why);
    return 0;
}

/* Errors are one line. */
static int report(struct gen_host *host, lua_State *L, int status,
                  struct tsr_error *err)
{
    char text[sizeof err->text];
    if (status == LUA_ERRMEM && is_overdrawn(host))
        return TSR_FAIL(err, TSR_EFORMAT,
                        "script ran over its limit of %lld million "
                        "instructions, moving too much memory",
                        host->limits.work / 1000000);
    if (status == LUA_ERRMEM && host->refused)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "script needs more than its limit of %zu MiB",
                        host->limits.memory >> 20);
    if (status == LUA_ERRMEM)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory running '%s'",
                        host->function);
    snprintf(text, sizeof text, "%s", lua_tostring(L, -1));
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32)
            *c = ' ';
    return TSR_FAIL(err, host->code, "%s", text);
}

static void call_begin(struct gen_host *host)
{
    host->work = host->limits.work;
    host->deadline = thread_seconds() + host->limits.seconds;
    host->memory = 0;
    host->refused = 0;
    host->result = NULL;
    host->code = TSR_EFORMAT;
}

static void call_end(struct gen_host *host)
{
    lua_close(host->lua);
    host->lua = NULL;
    gen_template_release(&host->translated);
    tsr__buffer_release(&host->emission.text);
}

int gen_lua_evaluate(struct gen_host *host, struct tsr_error *err)
{
    call_begin(host);
    host->lua = lua_newstate(allocate, host);
    if (!host->lua)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory starting Lua");
    locale_t before = uselocale(host->locale);
    lua_State *L = host->lua;
    *(struct gen_host **)lua_getextraspace(L) = host;
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_EVERY);
    lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, evaluate);
    int status = lua_pcall(L, 0, 0, 1);
    int rc = status == LUA_OK ? 0 : report(host, L, status, err);
    if (rc) {
        json_decref(host->result);
        host->result = NULL;
    }
    call_end(host);
    uselocale(before);
    return rc;
}
