/* host.h -- what the tests of the generator share: calls with JSON literals,
** and hosts with a script of the test's own.
*/
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/host/generator.h"
#include "gen/host/lua_host.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

#define FIXTURE "tests/data/scripts" /* the family "tiny" */

static inline struct gen_host *open_host(const char *scripts)
{
    struct gen_host *host;
    struct tsr_error err;
    if (gen_host_open(&host, scripts, &err))
        fail_msg("%s", err.text);
    return host;
}

/* The result of a call that must succeed; the caller owns it. */
static inline json_t *call(struct gen_host *host, const char *function,
                           const char *argument)
{
    struct tsr_error err;
    json_t *json = json_loads(argument, 0, NULL), *result;
    assert_non_null(json);
    if (gen_host_call(host, function, json, &result, &err))
        fail_msg("%s: %s", function, err.text);
    json_decref(json);
    return result;
}

/* The error of a call that must fail. The text lives until the next one. */
static inline const struct tsr_error *refusal(struct gen_host *host,
                                              const char *function,
                                              const char *argument)
{
    static struct tsr_error err;
    json_t *json = json_loads(argument, 0, NULL), *result;
    assert_non_null(json);
    if (gen_host_call(host, function, json, &result, &err) == 0)
        fail_msg("%s %s: was not refused", function, argument);
    json_decref(json);
    return &err;
}

static inline const char *text_field(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

/* A fresh directory; remove_directory ends it. */
static inline void make_directory(char path[256])
{
    const char *parent = getenv("TSR_TEST_TMP");
    snprintf(path, 256, "%s/hostXXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline void remove_directory(const char *path)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

/* Writes DIR/NAME, making the directories it lies in. */
static inline void put_file(const char *dir, const char *name, const char *text)
{
    char path[600];
    struct tsr_error err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(tsr__make_directories(path, &err), 0);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(tsr__file_write(path, text, strlen(text), &err), 0);
}

/* A host whose gen/lua/main.lua offers one function "run", with the body given
** (its argument is `a`). It runs in this process, so that what stops it is the
** sandbox alone, under limits small enough to be hit fast. */
static inline struct gen_host *host_running(const char *body)
{
    char dir[256], *script;
    make_directory(dir);
    assert_true(
        asprintf(&script, "return { run = function(a)\n%s\nend }", body) > 0);
    put_file(dir, "gen/lua/main.lua", script);
    free(script);
    struct gen_host *host = open_host(dir);
    remove_directory(dir);
    host->user_scripts = 0;
    host->limits.memory = 16 << 20;
    host->limits.work = 20 * 1000 * 1000;
    host->limits.text = 1 << 20;
    return host;
}

#endif
