/* pool_worker.c -- the process that compiles for the pool. */
#include "gen/host/pool_worker.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gen/host/binary.h"

#define MEMORY_ALLOWANCE ((rlim_t)4 << 30) /* NVRTC needs well under one */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY 1 /* a sanitizer maps terabytes: no limit then */
#else
#define SHADOW_MEMORY 0
#endif

/* Reads exactly `size` bytes; 0, or -1 at the end or on failure. */
static int read_all(int fd, void *bytes, size_t size)
{
    char *to = bytes;
    while (size) {
        ssize_t got = read(fd, to, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        to += got;
        size -= (size_t)got;
    }
    return 0;
}

int gen_pool_send(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size) {
        ssize_t sent = send(fd, from, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        from += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static void limit_memory(void)
{
    unsigned long pages = 0;
    FILE *file = SHADOW_MEMORY ? NULL : fopen("/proc/self/statm", "r");
    if (!file)
        return;
    if (fscanf(file, "%lu", &pages) == 1) {
        rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
        struct rlimit limit;
        if (getrlimit(RLIMIT_AS, &limit) == 0 &&
            limit.rlim_cur > bytes + MEMORY_ALLOWANCE) {
            limit.rlim_cur = bytes + MEMORY_ALLOWANCE;
            setrlimit(RLIMIT_AS, &limit);
        }
    }
    fclose(file);
}

static int answer(int fd, int code, const void *bytes, uint64_t size)
{
    unsigned char header[GEN_POOL_HEADER];
    int32_t wide = code;
    memcpy(header, &wide, 4);
    memcpy(header + 4, &size, 8);
    return gen_pool_send(fd, header, sizeof header) ||
           gen_pool_send(fd, bytes, (size_t)size);
}

static int work_one(const struct gen_job *job, int fd)
{
    struct gen_binary binary = {0};
    struct tsr_buffer bytes = TSR_BUFFER_INIT;
    struct tsr_error error = {0};
    int rc = gen_compile(job->source, job->name, job->arch, job->flags, &binary,
                         &error);
    /* Whether it came from the cache travels in front of the record. */
    unsigned char cached = (unsigned char)binary.cached;
    if (rc == 0 && (tsr__buffer_add(&bytes, &cached, 1) ||
                    gen_binary_write(&binary, &bytes)))
        rc = TSR_FAIL(&error, TSR_EMEMORY, "out of memory in a worker");
    if (rc)
        rc = answer(fd, rc, error.text, strlen(error.text));
    else
        rc = answer(fd, 0, bytes.data, bytes.size);
    tsr__buffer_release(&bytes);
    gen_binary_release(&binary);
    return rc;
}

void gen_pool_work(const struct gen_job *jobs, int count, int fd)
{
    static const struct rlimit no_core;
    int32_t index;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core);
    limit_memory();
    while (read_all(fd, &index, sizeof index) == 0)
        if (index < 0 || index >= count || work_one(&jobs[index], fd))
            break;
    _exit(0); /* no atexit handlers: they are the parent's */
}
