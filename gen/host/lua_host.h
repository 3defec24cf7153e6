/* lua_host.h -- inside the generator host: one Lua state, its limits.
**
** Only files named lua_*.c include lua.h, and each fills one part of the
** sandbox:
**
**     lua_state.c     allocator, instruction hook, the one protected call
**     lua_sandbox.c   what a script can see; require over embedded files
**     lua_pairs.c     pairs in order of keys
**     lua_string.c    string functions whose cost is bounded or counted
**     lua_match.c     Lua patterns with a step budget
**     lua_json.c      JSON in, JSON out
**     lua_template.c  running a template that template.c turned into Lua
**
** The threat is a script that loops, hoards or reads what it should not.
** Lua's count hook alone does not stop all of it, so:
**
**     tight loop, deep recursion           count hook; Lua's own stack limits
**     pcall loop swallowing the hook       no pcall, xpcall, coroutine
**     __gc finalizer (hooks are off in it) no setmetatable at all
**     __close handler that fails for ever  the same
**     string.find with a bad pattern       own matcher, pays for each step
**     string.rep("", 1 << 62)              own rep, capped
**     table.move({}, 1, 1 << 62, 2)        not there; concat, unpack: own
**     one instruction over megabytes       allocation is paid for; CPU clock
**     hoarding                             allocator limit
**     goto and label avalanche in parsing  GEN_FILE_LIMIT
**     bytecode, files, environment, clock  no load, io, os, debug, random
**
** tests/unit/test_sandbox.c has one test for each line.
*/
#ifndef GEN_HOST_LUA_HOST_H
#define GEN_HOST_LUA_HOST_H

#include <jansson.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>

#include "gen/host/files.h"
#include "gen/host/generator.h"
#include "gen/host/template.h"
#include "runtime/base/buffer.h"

struct gen_limits {
    size_t memory;         /* bytes of Lua heap */
    long long work;        /* instructions, matcher steps, bytes / 32 */
    double seconds;        /* CPU time of the thread */
    size_t text;           /* bytes of emitted text, of one string.rep */
    int process_seconds;   /* CPU time of the evaluator of user scripts */
    size_t process_memory; /* address space it may add */
};

#define GEN_DEFAULT_LIMITS                                                    \
    {                                                                         \
        .memory = 128 << 20, .work = 400 * 1000 * 1000, .seconds = 20,        \
        .text = 4 << 20, .process_seconds = 30, .process_memory = 512u << 20, \
    }

/* Text on its way from a template to the caller (lua_template.c). */
struct gen_emission {
    struct tsr_buffer text;
    const struct gen_file *file; /* what the compiler thinks it reads ... */
    int line;                    /* ... and the line it expects next */
    int in_comment;              /* inside a block comment of the output */
    int continued;               /* the last line ended in a backslash */
};

struct gen_host {
    struct gen_files files;
    struct gen_limits limits;
    int user_scripts; /* scripts from disk: calls run in a child process */
    locale_t locale;  /* "C": output does not depend on the caller's */

    /* For the length of one call. */
    lua_State *lua;
    size_t memory;   /* bytes in use */
    long long work;  /* left */
    double deadline; /* on the thread's CPU clock */
    int refused;     /* the memory limit, not the machine, said no */
    const char *function;
    const json_t *argument;
    json_t *result;
    int code;                       /* of the error, once there is one */
    struct gen_emission emission;   /* of the render under way */
    struct gen_template translated; /* of the template being loaded */
};

static inline struct gen_host *gen_host_of(lua_State *L)
{
    return *(struct gen_host **)lua_getextraspace(L);
}

/* Takes `steps` of the work budget; an error when it is spent. */
void gen_work_spend(lua_State *L, size_t steps);

/* Runs one call in a fresh state: host->result, or the error. */
int gen_lua_evaluate(struct gen_host *host, struct tsr_error *err);

/* Builds the sandbox; leaves nothing on the stack. May raise. */
void gen_sandbox_open(lua_State *L);
/* Loads a chunk of text with a strict environment: [-0, +1, e]. `chunkname` is
** a path from the project root. */
void gen_sandbox_load(lua_State *L, const char *text, size_t size,
                      const char *chunkname);
/* Pushes the read-only table of everything a script may use: [-0, +1, -]. */
void gen_sandbox_push_base(lua_State *L);

/* Add to the table on top of the stack: [-0, +0, e]. */
void gen_pairs_open(lua_State *L);
void gen_string_open(lua_State *L);
void gen_match_open(lua_State *L);
void gen_template_open(lua_State *L);
void gen_json_open(lua_State *L);

/* [-0, +1, e] */
void gen_json_push(lua_State *L, const json_t *value);
/* The value at `index` as JSON, or NULL with *why. Never raises, so nothing
** leaks. */
json_t *gen_json_read(lua_State *L, int index, const char **why);

#endif
