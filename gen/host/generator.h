/* generator.h -- from a SPEC to the text of a kernel.
**
** Policy is in Lua (gen/lua), kernels are in templates/; both are embedded in
** the binary and run in a sandbox. This header is the only door: what goes in
** and what comes out are JSON values, so no caller ever sees a Lua state.
**
**     function           argument -> result
**     "spec.parse"       {words} -> {family, key, spec, fields, axes}
**     "spec.model"       {config, weights, arch?, out?}
**                            -> [{name, key, ...}]; keys without m
**     "spec.left_out"    the same -> [{name, reason}]: what stays fp16
**     "plan.candidates"  {key} -> [{spec, launch, estimate_us}], best first
**     "plan.default"     {key} -> {spec, launch, estimate_us}
**     "plan.cost"        {spec, counts, blocks, resources}
**                            -> {microseconds, bound, occupancy, ...}
**     "render.lua"       {words} -> {chunk}   the template as the Lua it became
**     "render.kernel"    {words} -> {source, entry, spec, key, launch}
**     "devices.list"     {} -> [device]
**     "devices.get"      {arch} or {name} -> device
**
** `words` are SPEC words: ["gemm_w4a8", "n=4096", ...], the family first.
** gen/lua/main.lua is the list of these functions, with every field.
**
** Errors of a script or a template name its file and line, and TSR_EUSAGE says
** that the caller's words are at fault.
**
** Threads: a host belongs to one thread at a time; open one for each thread.
** Two hosts share nothing. A call leaves no state behind in its host.
*/
#ifndef GEN_HOST_GENERATOR_H
#define GEN_HOST_GENERATOR_H

#include <jansson.h>

#include "runtime/base/error.h"

struct gen_host;

/* `scripts_dir` (NULL: none) is a directory laid out like the project:
** gen/lua/X.lua and templates/X in it stand in front of the embedded files of
** the same name. Scripts from there are a user's, so they run under process
** limits as well (host/guard.h). */
int gen_host_open(struct gen_host **out, const char *scripts_dir,
                  struct tsr_error *err);
void gen_host_free(struct gen_host *host);

/* Calls one of the functions above. The caller owns *result (json_decref). */
int gen_host_call(struct gen_host *host, const char *function,
                  const json_t *argument, json_t **result,
                  struct tsr_error *err);

struct gen_launch {
    int threads;        /* a block is (threads, 1, 1) */
    int shared;         /* dynamic shared memory, bytes */
    int tile_n, tile_m; /* channels and tokens of a block's tile */
    int split_k;        /* blocks along K; > 1 needs the workspace */
};

struct gen_kernel {
    char *source; /* CUDA, no #include */
    char *entry;  /* extern "C" name */
    char *spec;   /* canonical, with every axis */
    char *key;    /* canonical, without the axes */
    struct gen_launch launch;
};

/* render.kernel with `count` SPEC words; release with gen_kernel_release. */
int gen_render(struct gen_host *host, const char *const *words, int count,
               struct gen_kernel *out, struct tsr_error *err);
/* Frees the strings and zeroes the struct; a zeroed struct is fine. */
void gen_kernel_release(struct gen_kernel *kernel);

/* Reads a launch record ({"threads", "shared", ...}) out of a JSON object. */
int gen_launch_read(const json_t *object, struct gen_launch *out,
                    struct tsr_error *err);

/* The hash of every script and template this host reads (64 hex digits):
** provenance of what it renders. Valid as long as the host. */
const char *gen_host_hash(const struct gen_host *host);

#endif
