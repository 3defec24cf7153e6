/* nvrtc.c -- one compile: source in, PTX and cubin and their numbers out.
**
** ptxas names lines of PTX, which nobody wrote. When it refuses a kernel the
** source is compiled once more with line information, and the nearest .loc
** above the line it named leads back to the template.
*/
#include "gen/host/nvrtc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gen/host/cubin.h"
#include "gen/host/nvrtc_library.h"
#include "gen/host/nvrtc_log.h"
#include "gen/host/nvrtc_program.h"
#include "gen/host/ptx_line.h"
#include "runtime/base/memory.h"
#include "runtime/base/sha256.h"

struct run {
    const struct gen_nvrtc *nvrtc;
    nvrtc_program program;
    int result; /* of CompileProgram */
    char *log;  /* "" when there is none */
    double milliseconds;
};

int gen_arch_is_valid(const char *arch)
{
    if (strncmp(arch, "sm_", 3) != 0)
        return 0;
    size_t digits = strspn(arch + 3, "0123456789");
    const char *rest = arch + 3 + digits;
    return (digits == 2 || digits == 3) &&
           (!*rest || ((*rest == 'a' || *rest == 'f') && !rest[1]));
}

void gen_binary_release(struct gen_binary *binary)
{
    if (!binary)
        return;
    tsr__free(binary->ptx);
    tsr__free(binary->cubin);
    tsr__free(binary->log);
    memset(binary, 0, sizeof *binary);
}

int gen_nvrtc_version(char version[16], const char **path,
                      struct tsr_error *err)
{
    const struct gen_nvrtc *nvrtc;
    int rc = gen_nvrtc_load(&nvrtc, err);
    if (rc)
        return rc;
    snprintf(version, 16, "%d.%d", nvrtc->major, nvrtc->minor);
    if (path)
        *path = nvrtc->path;
    return 0;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void run_release(struct run *run)
{
    if (run->program)
        run->nvrtc->DestroyProgram(&run->program);
    tsr__free(run->log);
    memset(run, 0, sizeof *run);
}

static int fail_nvrtc(const struct gen_nvrtc *nvrtc, const char *call,
                      int result, struct tsr_error *err)
{
    return TSR_FAIL(err, result == 1 ? TSR_EMEMORY : TSR_EUNSUPPORTED,
                    "nvrtc%s failed: %s (NVRTC %d.%d, '%s')", call,
                    nvrtc->GetErrorString(result), nvrtc->major, nvrtc->minor,
                    nvrtc->path);
}

typedef int (*size_call)(nvrtc_program, size_t *);
typedef int (*bytes_call)(nvrtc_program, char *);

/* NVRTC's pair "size, then bytes" into one allocation with a NUL behind. */
static int fetch(const struct run *run, size_call get_size,
                 bytes_call get_bytes, const char *what, char **out,
                 size_t *out_size, struct tsr_error *err)
{
    size_t size = 0;
    int result = get_size(run->program, &size);
    if (result)
        return fail_nvrtc(run->nvrtc, what, result, err);
    char *bytes = tsr__malloc(size + 1);
    if (!bytes)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory compiling a kernel");
    bytes[0] = bytes[size] = 0;
    result = size ? get_bytes(run->program, bytes) : 0;
    if (result) {
        tsr__free(bytes);
        return fail_nvrtc(run->nvrtc, what, result, err);
    }
    *out = bytes;
    *out_size = size;
    return 0;
}

/* Compiles; a source that does not compile is a `result`, not a failure. */
static int run_start(struct run *run, const struct gen_nvrtc *nvrtc,
                     const char *source, const char *name, const char *arch,
                     unsigned flags, struct tsr_error *err)
{
    char target[48];
    const char *options[] = {target, GEN_NVRTC_FLAGS, GEN_NVRTC_LINE_FLAG};
    int count = (int)(sizeof options / sizeof *options);
    size_t log_size;
    memset(run, 0, sizeof *run);
    run->nvrtc = nvrtc;
    snprintf(target, sizeof target, "--gpu-architecture=%s", arch);
    double start = now_ms();
    int result =
        nvrtc->CreateProgram(&run->program, source, name, 0, NULL, NULL);
    if (result) {
        run->program = NULL;
        return fail_nvrtc(nvrtc, "CreateProgram", result, err);
    }
    run->result = nvrtc->CompileProgram(
        run->program, flags & GEN_LINE_INFO ? count : count - 1, options);
    run->milliseconds = now_ms() - start;
    int rc = fetch(run, nvrtc->GetProgramLogSize, nvrtc->GetProgramLog,
                   "GetProgramLog", &run->log, &log_size, err);
    if (rc)
        return rc;
    /* What ptxas found at the end stands behind a NUL of its own. */
    for (size_t i = 0; i + 1 < log_size; i++)
        if (!run->log[i])
            run->log[i] = '\n';
    gen_nvrtc_log_settle(run->log);
    return 0;
}

/* Template file and line of the PTX line ptxas complained about. */
static int locate(const struct gen_nvrtc *nvrtc, const char *source,
                  const char *name, const char *arch, char *where, size_t size)
{
    struct run machine = {0}, text = {0};
    struct gen_nvrtc_log log;
    char virtual_arch[32], *ptx = NULL;
    size_t ptx_size;
    int rc =
        run_start(&machine, nvrtc, source, name, arch, GEN_LINE_INFO, NULL);
    if (rc)
        goto done;
    gen_nvrtc_log_read(machine.log, &log);
    snprintf(virtual_arch, sizeof virtual_arch, "compute_%s", arch + 3);
    rc = run_start(&text, nvrtc, source, name, virtual_arch, GEN_LINE_INFO,
                   NULL);
    if (rc == 0)
        rc = fetch(&text, nvrtc->GetPTXSize, nvrtc->GetPTX, "GetPTX", &ptx,
                   &ptx_size, NULL);
    if (rc == 0)
        rc = gen_ptx_template_line(ptx, log.ptxas_line, where, size);
done:
    tsr__free(ptx);
    run_release(&text);
    run_release(&machine);
    return rc;
}

static int fail_arch(const struct gen_nvrtc *nvrtc, const char *arch,
                     struct tsr_error *err)
{
    char list[256] = "";
    int archs[64], count = 0;
    if (nvrtc->GetNumSupportedArchs(&count) == 0 && count > 0 && count <= 64 &&
        nvrtc->GetSupportedArchs(archs) == 0)
        for (int i = 0; i < count; i++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, " sm_%d", archs[i]);
        }
    return TSR_FAIL(err, TSR_EUNSUPPORTED,
                    "NVRTC %d.%d cannot compile for '%s'; it knows%s (and the "
                    "variants with an 'a')",
                    nvrtc->major, nvrtc->minor, arch, list);
}

/* Turns a compile that did not succeed into one line. */
static int fail_compile(const struct run *run, const char *source,
                        const char *name, const char *arch,
                        struct tsr_error *err)
{
    struct gen_nvrtc_log log;
    char first[640], where[256], more[48] = "";
    const struct gen_nvrtc *nvrtc = run->nvrtc;
    if (run->result == 5 && strstr(run->log, "gpu-architecture"))
        return fail_arch(nvrtc, arch, err);
    gen_nvrtc_log_read(run->log, &log);
    gen_nvrtc_log_first_error(run->log, first, sizeof first);
    if (!first[0])
        return fail_nvrtc(nvrtc, "CompileProgram", run->result, err);
    if (log.ptxas_line > 0) {
        const char *words = strstr(first, "error   : ");
        words = words ? words + 10 : first;
        if (locate(nvrtc, source, name, arch, where, sizeof where) == 0)
            return TSR_FAIL(err, TSR_EFORMAT, "%s: error: ptxas: %s", where,
                            words);
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' for %s: %s", name, arch, first);
    }
    if (log.errors > 1)
        snprintf(more, sizeof more, " (and %d more)", log.errors - 1);
    return TSR_FAIL(err, TSR_EFORMAT, "%s%s", first, more);
}

/* "V13.0.88" in the banner of the PTX; else what the library says. */
static void read_version(const struct gen_nvrtc *nvrtc, const char *ptx,
                         char version[16])
{
    const char *at = strstr(ptx, ", V");
    size_t length = at ? strspn(at + 3, "0123456789.") : 0;
    if (length >= 4 && length < 16)
        snprintf(version, 16, "%.*s", (int)length, at + 3);
    else
        snprintf(version, 16, "%d.%d", nvrtc->major, nvrtc->minor);
}

static int max(int a, int b)
{
    return a > b ? a : b;
}

/* Registers and memory from the cubin, which is what runs; spills from the
** log, which alone knows their bytes. */
static int inspect(struct gen_binary *binary, struct tsr_error *err)
{
    struct gen_cubin cubin;
    struct gen_nvrtc_log log;
    int rc = gen_cubin_parse(binary->cubin, binary->cubin_size, &cubin, err);
    if (rc)
        return rc;
    gen_nvrtc_log_read(binary->log, &log);
    binary->spill_bytes = log.spill_bytes;
    binary->c75xx = log.c75xx;
    for (size_t i = 0; i < cubin.kernel_count; i++) {
        const struct gen_cubin_kernel *kernel = &cubin.kernels[i];
        binary->registers = max(binary->registers, kernel->registers);
        binary->stack_bytes = max(binary->stack_bytes, kernel->stack_bytes);
        binary->barriers = max(binary->barriers, kernel->barriers);
        binary->shared_static =
            max(binary->shared_static, kernel->shared_bytes);
        binary->code_bytes += (int)kernel->code_size;
    }
    gen_cubin_release(&cubin);
    tsr__sha256_hex(binary->cubin, binary->cubin_size, binary->cubin_sha256);
    return 0;
}

static int collect(struct run *run, struct gen_binary *binary,
                   struct tsr_error *err)
{
    const struct gen_nvrtc *nvrtc = run->nvrtc;
    char *cubin;
    int rc = fetch(run, nvrtc->GetPTXSize, nvrtc->GetPTX, "GetPTX",
                   &binary->ptx, &binary->ptx_size, err);
    if (rc)
        return rc;
    binary->ptx_size = strlen(binary->ptx); /* NVRTC counts the NUL */
    rc = fetch(run, nvrtc->GetCUBINSize, nvrtc->GetCUBIN, "GetCUBIN", &cubin,
               &binary->cubin_size, err);
    if (rc)
        return rc;
    binary->cubin = cubin;
    binary->log = run->log;
    run->log = NULL;
    binary->compile_ms = run->milliseconds;
    read_version(nvrtc, binary->ptx, binary->nvrtc_version);
    return inspect(binary, err);
}

int gen_nvrtc_compile(const char *source, const char *name, const char *arch,
                      unsigned flags, struct gen_binary *out,
                      struct tsr_error *err)
{
    const struct gen_nvrtc *nvrtc;
    struct gen_binary binary = {0};
    struct run run = {0};
    if (!gen_arch_is_valid(arch))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' is no architecture; write it as sm_80 or sm_90a",
                        arch);
    int rc = gen_nvrtc_load(&nvrtc, err);
    if (rc)
        return rc;
    gen_nvrtc_lock();
    rc = run_start(&run, nvrtc, source, name, arch, flags, err);
    if (rc == 0 && run.result != 0)
        rc = fail_compile(&run, source, name, arch, err);
    else if (rc == 0)
        rc = collect(&run, &binary, err);
    run_release(&run);
    gen_nvrtc_unlock();
    if (rc)
        gen_binary_release(&binary);
    else
        *out = binary;
    return rc;
}
