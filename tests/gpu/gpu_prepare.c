/* gpu_prepare.c -- fills the GPU bundle: renders and compiles, here, what
** gpu_check runs there.
**
**     gpu_prepare [--small] DEST [ARCH ...]      (default: every architecture)
**
** DEST/candidates   candidates.txt and NNNN.cubin, .ptx, .cu: for each format
**                   and problem of the table below the best configurations
** DEST/ceilings     ceilings.txt and a .cubin, .ptx for each architecture of
**                   tests/gpu/ceilings/NAME.cu, whose first lines say
**     // ceiling: archs=sm_80,sm_90a blocks_per_sm=2 block=256 shared=0
**     // ceiling: bytes=134217728 ops=0 rounds=4
**                   A file with several entries has a pair of lines for each,
**                   the first with entry=NAME in front of archs=.
*/
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/generator.h"
#include "gen/host/nvrtc.h"
#include "runtime/base/buffer.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

static const char *const all_archs[] = {"sm_80",  "sm_86",   "sm_89",
                                        "sm_90a", "sm_100a", "sm_120a"};
static const char *const formats[] = {"w4c", "w4g128", "w4g64"};

/* Problems, and how many of the best configurations of each. The small ones
** are for machines without a GPU. */
static const struct {
    int n, k, m, count;
    const char *more;
} problems[] = {
    {4096, 4096, 1, 4, ""},      {4096, 4096, 16, 4, ""},
    {4096, 4096, 64, 3, ""},     {4096, 4096, 256, 2, ""},
    {6144, 4096, 16, 1, ""},     {28672, 4096, 16, 1, ""},
    {4096, 14336, 16, 1, ""},    {4096, 4096, 2048, 1, ""},
    {264, 512, 5, 2, " bias=1"}, {256, 384, 33, 2, " out=bf16"},
};

/* With --small, problems of fewer multiply-adds only. */
#define SMALL 10000000.0

enum { MOST = 2048 };

struct kernel {
    struct gen_kernel rendered;
    char arch[16];
    char line[1024]; /* for the list, without file= */
};

struct preparation {
    const char *folder;
    struct gen_host *host;
    struct kernel kernels[MOST];
    int count;
    int small;
    struct tsr_buffer list;
};

static long long field(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* Renders one candidate and remembers it. */
static int add_candidate(struct preparation *p, const json_t *candidate,
                         const char *arch, const char *format, int n, int k,
                         int m, const char *more, struct tsr_error *err)
{
    struct kernel *kernel = &p->kernels[p->count];
    const char *spec = json_string_value(json_object_get(candidate, "spec"));
    const json_t *launch = json_object_get(candidate, "launch");
    if (p->count == MOST || !spec)
        return TSR_FAIL(err, TSR_EFORMAT, "too many candidates, or no spec");
    int rc = gen_render(p->host, &spec, 1, &kernel->rendered, err);
    if (rc)
        return rc;
    snprintf(kernel->arch, sizeof kernel->arch, "%s", arch);
    snprintf(kernel->line, sizeof kernel->line,
             "entry=%s arch=%s format=%s n=%d k=%d m=%d out=%s bias=%d "
             "threads=%lld shared=%lld tile_n=%lld tile_m=%lld split_k=%lld "
             "estimate_us=%.3f spec=%s",
             kernel->rendered.entry, arch, format, n, k, m,
             strstr(more, "bf16") ? "bf16" : "f16", strstr(more, "bias=1") != 0,
             field(launch, "threads"), field(launch, "shared"),
             field(launch, "tile_n"), field(launch, "tile_m"),
             field(launch, "split_k"),
             json_number_value(json_object_get(candidate, "estimate_us")),
             spec);
    p->count++;
    return 0;
}

static int add_problem(struct preparation *p, const char *arch,
                       const char *format, int n, int k, int m, int count,
                       const char *more, struct tsr_error *err)
{
    char key[256];
    json_t *list = NULL;
    snprintf(key, sizeof key, "gemm_w4a8 arch=%s format=%s k=%d m=%d n=%d%s",
             arch, format, k, m, n, more);
    json_t *argument = json_pack("{s:s}", "key", key);
    int rc = argument ? gen_host_call(p->host, "plan.candidates", argument,
                                      &list, err)
                      : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (int i = 0; rc == 0 && i < count && i < (int)json_array_size(list); i++)
        rc = add_candidate(p, json_array_get(list, (size_t)i), arch, format, n,
                           k, m, more, err);
    json_decref(argument);
    json_decref(list);
    return rc;
}

static int write_piece(const struct preparation *p, const char *file,
                       const char *suffix, const void *bytes, size_t size,
                       struct tsr_error *err)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", p->folder, file, suffix);
    return tsr__file_write(path, bytes, size, err);
}

static int write_binary(const struct preparation *p, const char *file,
                        const struct gen_binary *binary, const char *source,
                        struct tsr_error *err)
{
    int rc =
        write_piece(p, file, "cubin", binary->cubin, binary->cubin_size, err);
    if (rc == 0)
        rc = write_piece(p, file, "ptx", binary->ptx, binary->ptx_size, err);
    if (rc == 0)
        rc = write_piece(p, file, "cu", source, strlen(source), err);
    return rc;
}

/* The kernel before `index` with the same source and architecture. */
static int same_as(const struct preparation *p, int index)
{
    for (int i = 0; i < index; i++)
        if (strcmp(p->kernels[i].arch, p->kernels[index].arch) == 0 &&
            strcmp(p->kernels[i].rendered.source,
                   p->kernels[index].rendered.source) == 0)
            return i;
    return index;
}

static int compile_candidates(struct preparation *p, struct tsr_error *err)
{
    size_t count = (size_t)p->count;
    struct gen_job *jobs = tsr__calloc(count, sizeof *jobs);
    struct gen_job_result *results = tsr__calloc(count, sizeof *results);
    int rc = jobs && results ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++)
        jobs[i] = (struct gen_job){p->kernels[i].rendered.source, "candidate",
                                   p->kernels[i].arch, 0};
    if (rc == 0)
        rc = gen_compile_pool(jobs, p->count, 0, 0, NULL, NULL, results, err);
    int done = rc == 0;
    for (int i = 0; i < p->count && rc == 0; i++) {
        char file[16];
        int first = same_as(p, i);
        snprintf(file, sizeof file, "%04d", first);
        if (results[i].code) {
            *err = results[i].error;
            rc = results[i].code;
        } else if (first == i) {
            rc = write_binary(p, file, &results[i].binary, jobs[i].source, err);
        }
        tsr__buffer_addf(&p->list, "file=%s %s\n", file, p->kernels[i].line);
    }
    if (done)
        gen_job_results_release(results, p->count);
    tsr__free(jobs);
    tsr__free(results);
    return rc;
}

static int wants(const struct preparation *p, int n, int k, int m)
{
    return !p->small || (double)n * k * m < SMALL;
}

static int prepare_candidates(struct preparation *p, const char *const *archs,
                              int arch_count, struct tsr_error *err)
{
    int rc = tsr__make_directories(p->folder, err);
    for (int a = 0; a < arch_count; a++)
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
            for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
                if (rc == 0 &&
                    wants(p, problems[i].n, problems[i].k, problems[i].m))
                    rc = add_problem(p, archs[a], formats[f], problems[i].n,
                                     problems[i].k, problems[i].m,
                                     problems[i].count, problems[i].more, err);
    if (rc == 0)
        rc = compile_candidates(p, err);
    if (rc == 0)
        rc = write_piece(p, "candidates", "txt", p->list.data, p->list.size,
                         err);
    printf("%d candidates\n", p->count);
    return rc;
}

/* ---- ceilings ------------------------------------------------------------ */

/* One pair of "// ceiling:" lines. */
struct ceiling {
    char entry[64];
    char archs[256]; /* ",sm_80,sm_90a," */
    char rest[512];  /* the values of both lines but entry= and archs= */
};

/* Reads the first pair behind *at and moves *at past it: 1, 0 when there is
** none, -1 when it is no good. Without entry= the entry is `name`. */
static int next_ceiling(const char **at, const char *name,
                        struct ceiling *ceiling)
{
    const char *one = strstr(*at, "// ceiling: ");
    const char *two = one ? strstr(one + 1, "// ceiling: ") : NULL;
    if (!one)
        return 0;
    if (!two)
        return -1;
    memset(ceiling, 0, sizeof *ceiling);
    snprintf(ceiling->entry, sizeof ceiling->entry, "%s", name);
    one += strlen("// ceiling: ");
    two += strlen("// ceiling: ");
    if (sscanf(one, "entry=%63s", ceiling->entry) == 1)
        one += strcspn(one, " \n") + 1;
    if (sscanf(one, "archs=%253s", ceiling->archs + 1) != 1)
        return -1;
    one += strcspn(one, " \n");
    ceiling->archs[0] = ',';
    ceiling->archs[strlen(ceiling->archs)] = ',';
    snprintf(ceiling->rest, sizeof ceiling->rest, "%.*s %.*s",
             (int)strcspn(one + 1, "\n"), one + 1, (int)strcspn(two, "\n"),
             two);
    *at = two;
    return 1;
}

/* Adds a line for each ceiling of the file that `arch` has, and a binary if
** there is one. */
static int add_ceilings_of(struct preparation *p, const char *source,
                           const char *path, const char *name, const char *arch,
                           struct tsr_error *err)
{
    struct gen_binary binary;
    struct ceiling ceiling;
    const char *at = source;
    char file[128], listed[32];
    int more, compiled = 0, rc = 0;
    snprintf(file, sizeof file, "%s.%s", name, arch);
    snprintf(listed, sizeof listed, ",%s,", arch);
    while (rc == 0 && (more = next_ceiling(&at, name, &ceiling)) != 0) {
        if (more < 0)
            return TSR_FAIL(err, TSR_EFORMAT, "%s: bad '// ceiling:' lines",
                            path);
        if (!strstr(ceiling.archs, listed))
            continue;
        if (!compiled) {
            rc = gen_compile(source, name, arch, 0, &binary, err);
            if (rc)
                break;
            compiled = 1;
            rc = write_binary(p, file, &binary, source, err);
            gen_binary_release(&binary);
        }
        tsr__buffer_addf(&p->list, "file=%s entry=%s arch=%s %s\n", file,
                         ceiling.entry, arch, ceiling.rest);
    }
    return rc;
}

static int add_ceiling(struct preparation *p, const char *path,
                       const char *name, const char *const *wanted,
                       int wanted_count, struct tsr_error *err)
{
    char *source = NULL;
    size_t size;
    int rc = tsr__file_read(path, 1 << 20, &source, &size, err);
    if (rc)
        return rc;
    if (!strstr(source, "// ceiling: "))
        rc = TSR_FAIL(err, TSR_EFORMAT, "%s: no '// ceiling:' lines", path);
    for (int i = 0; i < wanted_count && rc == 0; i++)
        rc = add_ceilings_of(p, source, path, name, wanted[i], err);
    tsr__free(source);
    return rc;
}

static int prepare_ceilings(struct preparation *p, const char *from,
                            const char *const *archs, int arch_count,
                            struct tsr_error *err)
{
    struct dirent **entries;
    int rc = tsr__make_directories(p->folder, err);
    int count = rc ? 0 : scandir(from, &entries, NULL, alphasort);
    if (count < 0)
        return TSR_FAIL(err, TSR_EIO, "cannot read '%s'", from);
    for (int i = 0; i < count; i++) {
        char path[512], name[64];
        const char *dot = strrchr(entries[i]->d_name, '.');
        if (rc == 0 && dot && strcmp(dot, ".cu") == 0) {
            snprintf(name, sizeof name, "%.*s", (int)(dot - entries[i]->d_name),
                     entries[i]->d_name);
            snprintf(path, sizeof path, "%s/%s", from, entries[i]->d_name);
            rc = add_ceiling(p, path, name, archs, arch_count, err);
        }
        free(entries[i]);
    }
    if (count > 0)
        free(entries);
    if (rc == 0)
        rc = write_piece(p, "ceilings", "txt", p->list.data ? p->list.data : "",
                         p->list.size, err);
    return rc;
}

static void clear(struct preparation *p)
{
    for (int i = 0; i < p->count; i++)
        gen_kernel_release(&p->kernels[i].rendered);
    p->count = 0;
    tsr__buffer_clear(&p->list);
}

int main(int argc, char **argv)
{
    static struct preparation p;
    struct tsr_error err = {0};
    char folder[1024];
    if (argc > 1 && strcmp(argv[1], "--small") == 0) {
        p.small = 1;
        argc--, argv++;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: gpu_prepare [--small] DEST [ARCH ...]\n");
        return 2;
    }
    const char *const *archs = all_archs;
    int arch_count = (int)(sizeof all_archs / sizeof *all_archs);
    if (argc > 2) {
        archs = (const char *const *)argv + 2;
        arch_count = argc - 2;
    }
    p.folder = folder;
    snprintf(folder, sizeof folder, "%s/candidates", argv[1]);
    int rc = gen_host_open(&p.host, NULL, &err);
    if (rc == 0)
        rc = prepare_candidates(&p, archs, arch_count, &err);
    clear(&p);
    snprintf(folder, sizeof folder, "%s/ceilings", argv[1]);
    if (rc == 0)
        rc =
            prepare_ceilings(&p, "tests/gpu/ceilings", archs, arch_count, &err);
    clear(&p);
    tsr__buffer_release(&p.list);
    gen_host_free(p.host);
    if (rc)
        fprintf(stderr, "gpu_prepare: %s\n", err.text);
    return rc ? 1 : 0;
}
