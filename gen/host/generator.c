/* generator.c -- from a SPEC to the text of a kernel: the host's public face.
 */
#include "gen/host/generator.h"

#include <string.h>

#include "gen/host/guard.h"
#include "gen/host/lua_host.h"
#include "runtime/base/memory.h"

int gen_host_open(struct gen_host **out, const char *scripts_dir,
                  struct tsr_error *err)
{
    struct gen_host *host = tsr__calloc(1, sizeof *host);
    int rc;
    if (!host)
        return TSR_FAIL(err, TSR_EMEMORY,
                        "out of memory opening the generator");
    host->limits = (struct gen_limits)GEN_DEFAULT_LIMITS;
    host->user_scripts = scripts_dir != NULL;
    host->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    rc = gen_files_open(&host->files, scripts_dir, err);
    if (!rc && !host->locale)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory opening the generator");
    if (rc)
        gen_host_free(host);
    else
        *out = host;
    return rc;
}

void gen_host_free(struct gen_host *host)
{
    if (!host)
        return;
    gen_files_release(&host->files);
    if (host->locale)
        freelocale(host->locale);
    tsr__free(host);
}

const char *gen_host_hash(const struct gen_host *host)
{
    return host->files.hash;
}

static int call_here(void *context, json_t **result, struct tsr_error *err)
{
    struct gen_host *host = context;
    int rc = gen_lua_evaluate(host, err);
    if (!rc)
        *result = host->result;
    host->result = NULL;
    return rc;
}

int gen_host_call(struct gen_host *host, const char *function,
                  const json_t *argument, json_t **result,
                  struct tsr_error *err)
{
    struct gen_guard guard = {host->limits.process_seconds,
                              host->limits.process_memory, call_here, host};
    host->function = function;
    host->argument = argument;
    return host->user_scripts ? gen_guard_run(&guard, result, err)
                              : call_here(host, result, err);
}

int gen_launch_read(const json_t *object, struct gen_launch *out,
                    struct tsr_error *err)
{
    struct gen_launch launch;
    json_error_t why;
    if (json_unpack_ex((json_t *)object, &why, 0, "{s:i, s:i, s:i, s:i, s:i}",
                       "threads", &launch.threads, "shared", &launch.shared,
                       "tile_n", &launch.tile_n, "tile_m", &launch.tile_m,
                       "split_k", &launch.split_k))
        return TSR_FAIL(err, TSR_EFORMAT, "launch record: %s", why.text);
    if (launch.threads < 1 || launch.threads > 1024 || launch.shared < 0 ||
        launch.tile_n < 1 || launch.tile_m < 1 || launch.split_k < 1)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "launch record: a value is out of range");
    *out = launch;
    return 0;
}

static int read_kernel(const json_t *result, struct gen_kernel *kernel,
                       struct tsr_error *err)
{
    const char *source, *entry, *spec, *key;
    json_t *launch;
    json_error_t why;
    if (json_unpack_ex((json_t *)result, &why, 0, "{s:s, s:s, s:s, s:s, s:o}",
                       "source", &source, "entry", &entry, "spec", &spec, "key",
                       &key, "launch", &launch))
        return TSR_FAIL(err, TSR_EFORMAT, "render.kernel: %s", why.text);
    int rc = gen_launch_read(launch, &kernel->launch, err);
    if (rc)
        return rc;
    kernel->source = tsr__strdup(source);
    kernel->entry = tsr__strdup(entry);
    kernel->spec = tsr__strdup(spec);
    kernel->key = tsr__strdup(key);
    if (!kernel->source || !kernel->entry || !kernel->spec || !kernel->key)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory rendering a kernel");
    return 0;
}

int gen_render(struct gen_host *host, const char *const *words, int count,
               struct gen_kernel *out, struct tsr_error *err)
{
    struct gen_kernel kernel = {0};
    json_t *list = json_array(), *argument, *result = NULL;
    for (int i = 0; i < count; i++)
        if (json_array_append_new(list, json_string(words[i]))) {
            json_decref(list);
            return TSR_FAIL(err, TSR_EUSAGE, "word %d of the SPEC is not UTF-8",
                            i + 1);
        }
    argument = json_pack("{s:o}", "words", list);
    if (!argument)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory rendering a kernel");
    int rc = gen_host_call(host, "render.kernel", argument, &result, err);
    if (!rc)
        rc = read_kernel(result, &kernel, err);
    if (rc)
        gen_kernel_release(&kernel);
    else
        *out = kernel;
    json_decref(result);
    json_decref(argument);
    return rc;
}

void gen_kernel_release(struct gen_kernel *kernel)
{
    tsr__free(kernel->source);
    tsr__free(kernel->entry);
    tsr__free(kernel->spec);
    tsr__free(kernel->key);
    memset(kernel, 0, sizeof *kernel);
}
