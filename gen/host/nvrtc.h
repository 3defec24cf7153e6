/* nvrtc.h -- CUDA text to machine code, through NVRTC.
**
**     gen_compile        one kernel, through the content-addressed cache
**     gen_compile_pool   many kernels, in worker processes (pool.c)
**
** One compile yields the PTX and the cubin made from it, so that what the
** emulator runs is what the GPU runs. Both come without line information;
** GEN_LINE_INFO compiles again with it, to name the template line of a
** finding. The same text, architecture and NVRTC give the same bytes.
**
** NVRTC is loaded with dlopen, on first use, once per process
** (nvrtc_library.h says where it is looked for). Compiles within one process
** run one at a time; use the pool for more.
*/
#ifndef GEN_HOST_NVRTC_H
#define GEN_HOST_NVRTC_H

#include <stddef.h>

#include "runtime/base/error.h"

enum gen_compile_flag {
    GEN_LINE_INFO = 1, /* .loc lines in the PTX, line table in the cubin */
    GEN_NO_CACHE = 2,  /* neither look into the cache nor add to it */
};

/* Owned by whoever holds it; gen_binary_release frees the pointers. Numbers
** about resources are the maximum over the kernels of the source, spills and
** code their sum. */
struct gen_binary {
    char *ptx; /* NUL-terminated; ptx_size does not count the NUL */
    size_t ptx_size;
    void *cubin;
    size_t cubin_size;
    char cubin_sha256[65];
    int registers;     /* per thread */
    int spill_bytes;   /* spill stores + spill loads, from the ptxas log */
    int stack_bytes;   /* per thread; 0 when nothing lives in local memory */
    int shared_static; /* without what the driver reserves per block */
    int barriers;      /* named barriers used */
    int code_bytes;    /* machine code, padding included */
    int c75xx;         /* wgmma serialisation warnings C7500 .. C7599 */
    char *log;         /* NVRTC's and ptxas's lines, without their times */
    double compile_ms; /* of the compile that made it, cached or not */
    int cached;        /* came from the cache */
    char nvrtc_version[16]; /* "13.0.88" */
};

/* `name` stands for the source in messages when it has no #line; `arch` is
** "sm_80" ... "sm_120a". Errors: TSR_ENOTFOUND no NVRTC, TSR_EUNSUPPORTED
** arch not known to it, TSR_EFORMAT the source does not compile (the text
** is the first error, with the template's file and line). */
int gen_compile(const char *source, const char *name, const char *arch,
                unsigned flags, struct gen_binary *out, struct tsr_error *err);
void gen_binary_release(struct gen_binary *binary);

/* "13.0" of the NVRTC in use and the file it came from. */
int gen_nvrtc_version(char version[16], const char **path,
                      struct tsr_error *err);

struct gen_job {
    const char *source; /* must live until gen_compile_pool returns */
    const char *name;
    const char *arch;
    unsigned flags;
};

struct gen_job_result {
    int code; /* 0: `binary` is valid, else `error` says why */
    struct gen_binary binary;
    struct tsr_error error;
};

/* Called in the caller's thread after each job; `index` is the job that just
** ended. Non-zero stops the pool: jobs not done fail with TSR_EUSAGE. */
typedef int (*gen_pool_progress)(void *context, int done, int count, int index);

/* Compiles `count` jobs in `processes` worker processes (0: one per CPU this
** process may use). A job that fails, crashes or runs longer than
** `seconds_per_job` (0: 120) is that job's failure, never the pool's; the
** call itself fails only when no worker can be started at all or memory is
** out. results[count] is the caller's; every element is written, and released
** with gen_job_results_release. */
int gen_compile_pool(const struct gen_job *jobs, int count, int processes,
                     int seconds_per_job, gen_pool_progress progress,
                     void *context, struct gen_job_result *results,
                     struct tsr_error *err);
void gen_job_results_release(struct gen_job_result *results, int count);

#endif
