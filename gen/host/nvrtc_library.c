/* nvrtc_library.c -- finds and loads libnvrtc.
**
** A place is a glob pattern or a bare name for the dynamic linker. Matches of
** a pattern are tried newest first. Each refusal leaves a line in the report,
** so "not found" can say what was found and why it did not do.
*/
#include "gen/host/nvrtc_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINIMUM_MAJOR 12
#define MINIMUM_MINOR 8

static struct gen_nvrtc library;
static int loaded;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void gen_nvrtc_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void gen_nvrtc_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static void note(struct tsr_buffer *report, const char *place, const char *why)
{
    size_t length = strlen(place);
    if (!strncmp(why, place, length) && why[length] == ':')
        tsr__buffer_addf(report, "%s\n", why); /* dlerror says the place */
    else
        tsr__buffer_addf(report, "%s: %s\n", place, why);
}

static int is_new_enough(int major, int minor)
{
    return major > MINIMUM_MAJOR ||
           (major == MINIMUM_MAJOR && minor >= MINIMUM_MINOR);
}

/* The builtins library must be in memory before libnvrtc asks for it by its
** soname. Its absence is no error here: the linker may still find it. */
static void load_builtins(const char *path, int major, int minor)
{
    char name[1200];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return;
    snprintf(name, sizeof name, "%.*s/libnvrtc-builtins.so.%d.%d",
             (int)(slash - path), path, major, minor);
    dlopen(name, RTLD_NOW | RTLD_GLOBAL);
}

static void remember_file(struct gen_nvrtc *nvrtc, const char *name)
{
    Dl_info where;
    struct stat status;
    void *symbol;
    memcpy(&symbol, &nvrtc->Version, sizeof symbol);
    if (dladdr(symbol, &where) && where.dli_fname)
        name = where.dli_fname;
    snprintf(nvrtc->path, sizeof nvrtc->path, "%s", name);
    if (stat(nvrtc->path, &status) == 0)
        nvrtc->file_size = (size_t)status.st_size;
}

/* Fills `nvrtc` from the library called `name`; 0 when it will do. */
static int try_library(const char *name, struct gen_nvrtc *nvrtc,
                       struct tsr_buffer *report)
{
    char why[512];
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(why, sizeof why, "%s", dlerror());
        note(report, name, why);
        return -1;
    }
    const char *missing = NULL;
#define LOOK_UP(type, symbol, arguments)                  \
    {                                                     \
        void *address = dlsym(handle, "nvrtc" #symbol);   \
        memcpy(&nvrtc->symbol, &address, sizeof address); \
        if (!address && !missing)                         \
            missing = "nvrtc" #symbol;                    \
    }
    GEN_NVRTC_LIST(LOOK_UP)
#undef LOOK_UP
    if (missing) {
        snprintf(why, sizeof why, "has no %s; is it NVRTC 12.8 or newer?",
                 missing);
    } else if (nvrtc->Version(&nvrtc->major, &nvrtc->minor) != 0) {
        snprintf(why, sizeof why, "does not tell its version");
    } else if (!is_new_enough(nvrtc->major, nvrtc->minor)) {
        snprintf(why, sizeof why, "is version %d.%d; 12.8 is the oldest",
                 nvrtc->major, nvrtc->minor);
    } else {
        remember_file(nvrtc, name);
        load_builtins(nvrtc->path, nvrtc->major, nvrtc->minor);
        snprintf(why, sizeof why, "version %d.%d, in use", nvrtc->major,
                 nvrtc->minor);
        note(report, nvrtc->path, why);
        return 0;
    }
    note(report, name, why);
    dlclose(handle);
    return -1;
}

static int try_pattern(const char *pattern, struct gen_nvrtc *nvrtc,
                       struct tsr_buffer *report)
{
    glob_t found;
    int rc = -1;
    if (glob(pattern, 0, NULL, &found) != 0)
        return -1;
    for (size_t i = found.gl_pathc; i-- > 0 && rc != 0;)
        rc = try_library(found.gl_pathv[i], nvrtc, report);
    globfree(&found);
    return rc;
}

/* A folder: the library's own, a toolkit's root, or a pip target. */
static int try_folder(const char *folder, struct gen_nvrtc *nvrtc,
                      struct tsr_buffer *report)
{
    static const char *const inside[] = {
        "libnvrtc.so.[0-9]*",
        "lib64/libnvrtc.so.[0-9]*",
        "lib/libnvrtc.so.[0-9]*",
        "targets/*/lib/libnvrtc.so.[0-9]*",
        "nvidia/*/lib/libnvrtc.so.[0-9]*",
        "lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.[0-9]*",
    };
    char pattern[1200];
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        int used =
            snprintf(pattern, sizeof pattern, "%s/%s", folder, inside[i]);
        if (used > 0 && (size_t)used < sizeof pattern &&
            try_pattern(pattern, nvrtc, report) == 0)
            return 0;
    }
    note(report, folder, "no usable libnvrtc.so here");
    return -1;
}

/* build/nvrtc above the running program: build/tessera finds build/nvrtc,
** build/release/tests/test_x finds the same. */
static int try_beside_program(struct gen_nvrtc *nvrtc,
                              struct tsr_buffer *report)
{
    char folder[1024], program[900];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0)
        return -1;
    program[size] = 0;
    for (int level = 0; level < 4; level++) {
        char *slash = strrchr(program, '/');
        if (!slash || slash == program)
            break;
        *slash = 0;
        snprintf(folder, sizeof folder, "%s/nvrtc", program);
        if (access(folder, R_OK) == 0 && try_folder(folder, nvrtc, report) == 0)
            return 0;
    }
    return -1;
}

static int try_variable(const char *variable, struct gen_nvrtc *nvrtc,
                        struct tsr_buffer *report)
{
    const char *folder = getenv(variable);
    if (!folder || !folder[0])
        return -1;
    return try_folder(folder, nvrtc, report);
}

static int try_toolkits(struct gen_nvrtc *nvrtc, struct tsr_buffer *report)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12",
                                        "libnvrtc.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (try_library(names[i], nvrtc, report) == 0)
            return 0;
    if (try_variable("CUDA_HOME", nvrtc, report) == 0 ||
        try_variable("CUDA_PATH", nvrtc, report) == 0 ||
        try_folder("/usr/local/cuda", nvrtc, report) == 0)
        return 0;
    if (try_pattern("/usr/local/cuda-*/lib64/libnvrtc.so.[0-9]*", nvrtc,
                    report) == 0)
        return 0;
    return try_folder("/opt/cuda", nvrtc, report);
}

static int search(struct gen_nvrtc *nvrtc, struct tsr_buffer *report)
{
    struct stat status;
    const char *named = getenv("TESSERA_NVRTC");
    memset(nvrtc, 0, sizeof *nvrtc);
    if (named && named[0]) {
        if (stat(named, &status) == 0 && S_ISDIR(status.st_mode))
            return try_folder(named, nvrtc, report);
        return try_library(named, nvrtc, report);
    }
    if (access("build/nvrtc", R_OK) == 0 &&
        try_folder("build/nvrtc", nvrtc, report) == 0)
        return 0;
    if (try_beside_program(nvrtc, report) == 0)
        return 0;
    return try_toolkits(nvrtc, report);
}

/* The last line of the report is the nearest to a reason. */
static int not_found(struct tsr_buffer *report, struct tsr_error *err)
{
    const char *named = getenv("TESSERA_NVRTC");
    if (named && named[0])
        return TSR_FAIL(err, TSR_ENOTFOUND,
                        "TESSERA_NVRTC is '%s', which does not work (%.*s); "
                        "point it at libnvrtc.so of CUDA 12.8 or newer, or "
                        "unset it and run 'make deps'",
                        named,
                        report->data ? (int)strcspn(report->data, "\n") : 0,
                        report->data ? report->data : "");
    return TSR_FAIL(err, TSR_ENOTFOUND,
                    "no NVRTC 12.8 or newer here; run 'make deps', or 'pip "
                    "install --target build/nvrtc nvidia-cuda-nvrtc', or set "
                    "TESSERA_NVRTC to the libnvrtc.so of a CUDA toolkit "
                    "('tessera doctor' lists where it was looked for)");
}

int gen_nvrtc_load(const struct gen_nvrtc **out, struct tsr_error *err)
{
    struct tsr_buffer report = TSR_BUFFER_INIT;
    int rc = 0;
    gen_nvrtc_lock();
    if (!loaded) {
        struct gen_nvrtc candidate;
        if (search(&candidate, &report) == 0) {
            library = candidate;
            loaded = 1;
        } else {
            rc = not_found(&report, err);
        }
    }
    gen_nvrtc_unlock();
    tsr__buffer_release(&report);
    if (rc == 0)
        *out = &library;
    return rc;
}

int gen_nvrtc_search_report(struct tsr_buffer *out)
{
    struct gen_nvrtc nvrtc;
    gen_nvrtc_lock();
    int rc = search(&nvrtc, out);
    gen_nvrtc_unlock();
    return rc || out->failed ? -1 : 0;
}
