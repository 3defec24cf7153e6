/* pool.c -- compiles many kernels in worker processes.
**
** Processes rather than threads: NVRTC compiles one program at a time per
** process, and a compiler that crashes or never ends takes only its process
** with it. Workers are forked, so the jobs are in their memory already; over
** a socket pair the parent sends an index and gets a result back:
**
**     parent -> worker   s32 index of the job
**     worker -> parent   s32 code | u64 size | `size` bytes:
**                        a gen_binary (code 0) or the text of the error
**
** NVRTC is loaded before the fork, once for all, and its lock is held across
** the fork, so no worker begins inside another thread's compile.
*/
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gen/host/binary.h"
#include "gen/host/nvrtc_library.h"
#include "runtime/base/memory.h"

#define DEFAULT_SECONDS  120
#define MAXIMUM_WORKERS  256
#define HEADER_SIZE      12
#define MEMORY_ALLOWANCE ((rlim_t)8 << 30) /* NVRTC needs well under one */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_MEMORY 1 /* a sanitizer maps terabytes: no limit then */
#else
#define SHADOW_MEMORY 0
#endif

struct worker {
    pid_t pid; /* 0: no process */
    int fd;
    int job; /* -1: idle */
    double deadline;
    struct tsr_buffer reply;
};

struct pool {
    const struct gen_job *jobs;
    int count;
    int next; /* first job not handed out */
    int done;
    int seconds;
    int stopped;
    int worker_count;
    struct worker *workers;
    struct gen_job_result *results;
    gen_pool_progress progress;
    void *context;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

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

static int send_all(int fd, const void *bytes, size_t size)
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

/* ---- the worker ---- */

static int answer(int fd, int code, const void *bytes, uint64_t size)
{
    unsigned char header[HEADER_SIZE];
    int32_t wide = code;
    memcpy(header, &wide, 4);
    memcpy(header + 4, &size, 8);
    return send_all(fd, header, sizeof header) ||
           send_all(fd, bytes, (size_t)size);
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

static void work(const struct gen_job *jobs, int count, int fd)
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

/* ---- the parent ---- */

static int start_worker(struct pool *pool, struct worker *worker)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -1;
    gen_nvrtc_lock();
    pid_t pid = fork();
    gen_nvrtc_unlock();
    if (pid == 0) {
        for (int i = 0; i < pool->worker_count; i++)
            if (pool->workers[i].pid)
                close(pool->workers[i].fd);
        close(ends[0]);
        work(pool->jobs, pool->count, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -1;
    }
    worker->pid = pid;
    worker->fd = ends[0];
    worker->job = -1;
    return 0;
}

/* Ends the process and says how it ended. */
static int stop_worker(struct worker *worker, int kill_it)
{
    int status = 0;
    if (!worker->pid)
        return 0;
    close(worker->fd);
    if (kill_it)
        kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
        ;
    tsr__buffer_release(&worker->reply);
    worker->pid = 0;
    worker->job = -1;
    return status;
}

static void job_ended(struct pool *pool, int job)
{
    pool->done++;
    if (pool->progress &&
        pool->progress(pool->context, pool->done, pool->count, job))
        pool->stopped = 1;
}

static void fail_job(struct pool *pool, int job, int code, const char *reason)
{
    struct gen_job_result *result = &pool->results[job];
    result->code = TSR_FAIL(&result->error, code, "%s for %s: %s",
                            pool->jobs[job].name, pool->jobs[job].arch, reason);
    job_ended(pool, job);
}

/* The worker is gone, or has said something that is no answer. */
static void lose_worker(struct pool *pool, struct worker *worker, int overtime)
{
    char reason[160];
    int job = worker->job;
    int status = stop_worker(worker, 1);
    if (overtime)
        snprintf(reason, sizeof reason,
                 "the compiler ran longer than %d s and was stopped",
                 pool->seconds);
    else if (WIFSIGNALED(status))
        snprintf(reason, sizeof reason,
                 "the compiler process died of signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(reason, sizeof reason,
                 "the compiler process ended by itself with status %d",
                 WEXITSTATUS(status));
    if (job >= 0)
        fail_job(pool, job, TSR_EIO, reason);
}

static void hand_out(struct pool *pool, struct worker *worker)
{
    if (pool->stopped || pool->next >= pool->count)
        return;
    if (!worker->pid && start_worker(pool, worker))
        return;
    int32_t index = pool->next++;
    worker->job = index;
    worker->deadline = now() + pool->seconds;
    if (send_all(worker->fd, &index, sizeof index))
        lose_worker(pool, worker, 0);
}

/* A whole answer is in worker->reply: takes it. */
static void finish_job(struct pool *pool, struct worker *worker, int code)
{
    struct gen_job_result *result = &pool->results[worker->job];
    const char *body = worker->reply.data + HEADER_SIZE;
    size_t size = worker->reply.size - HEADER_SIZE;
    int job = worker->job;
    if (code == 0 && size > 0)
        result->code = gen_binary_read(body + 1, size - 1, &result->binary,
                                       &result->error);
    else
        result->code = TSR_FAIL(&result->error, code ? code : TSR_EFORMAT,
                                "%.*s", (int)size, body);
    if (result->code == 0)
        result->binary.cached = body[0] != 0;
    tsr__buffer_release(&worker->reply);
    worker->job = -1;
    job_ended(pool, job);
}

/* Reads what is there; finishes the job when the answer is whole. */
static void receive(struct pool *pool, struct worker *worker)
{
    char bytes[65536];
    int32_t code;
    uint64_t size;
    ssize_t got = read(worker->fd, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0 || worker->job < 0 ||
        tsr__buffer_add(&worker->reply, bytes, (size_t)got)) {
        lose_worker(pool, worker, 0);
        return;
    }
    if (worker->reply.size < HEADER_SIZE)
        return;
    memcpy(&code, worker->reply.data, 4);
    memcpy(&size, worker->reply.data + 4, 8);
    if (worker->reply.size - HEADER_SIZE > size)
        lose_worker(pool, worker, 0);
    else if (worker->reply.size - HEADER_SIZE == size)
        finish_job(pool, worker, code);
}

static int wait_milliseconds(const struct pool *pool)
{
    double nearest = now() + 3600;
    for (int i = 0; i < pool->worker_count; i++)
        if (pool->workers[i].job >= 0 && pool->workers[i].deadline < nearest)
            nearest = pool->workers[i].deadline;
    double left = (nearest - now()) * 1e3;
    return left < 0 ? 0 : (int)left + 1;
}

/* One round: hand out work, wait for answers or a deadline. Returns the
** number of workers that have a job. */
static int turn(struct pool *pool, struct pollfd *polls)
{
    int busy = 0;
    for (int i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->job < 0)
            hand_out(pool, worker);
        polls[i].fd = worker->job >= 0 ? worker->fd : -1;
        polls[i].events = POLLIN;
        polls[i].revents = 0;
        busy += worker->job >= 0;
    }
    if (!busy)
        return 0;
    if (poll(polls, (nfds_t)pool->worker_count, wait_milliseconds(pool)) < 0)
        return busy; /* EINTR: look again */
    for (int i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        if (polls[i].revents)
            receive(pool, worker);
        else if (worker->job >= 0 && now() > worker->deadline)
            lose_worker(pool, worker, 1);
    }
    return busy;
}

static int default_processes(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Jobs never handed out: stopped by the caller, or no process to be had. */
static int fail_rest(struct pool *pool, struct tsr_error *err)
{
    int rc = 0;
    if (!pool->stopped && pool->next < pool->count && pool->next == pool->done)
        rc = TSR_FAIL(err, TSR_EIO, "cannot start a compiler process: %s",
                      strerror(errno));
    for (int i = pool->next; i < pool->count; i++)
        pool->results[i].code =
            TSR_FAIL(&pool->results[i].error, rc ? rc : TSR_EUSAGE, "%s",
                     rc && err ? err->text : "stopped before it was compiled");
    return rc;
}

int gen_compile_pool(const struct gen_job *jobs, int count, int processes,
                     int seconds_per_job, gen_pool_progress progress,
                     void *context, struct gen_job_result *results,
                     struct tsr_error *err)
{
    struct pool pool = {.jobs = jobs,
                        .count = count,
                        .results = results,
                        .progress = progress,
                        .context = context};
    const struct gen_nvrtc *nvrtc;
    struct pollfd *polls = NULL;
    struct tsr_error error = {0};
    if (!err)
        err = &error;
    for (int i = 0; i < count; i++)
        memset(&results[i], 0, sizeof results[i]);
    pool.seconds = seconds_per_job > 0 ? seconds_per_job : DEFAULT_SECONDS;
    pool.worker_count = processes > 0 ? processes : default_processes();
    if (pool.worker_count > count)
        pool.worker_count = count;
    if (pool.worker_count > MAXIMUM_WORKERS)
        pool.worker_count = MAXIMUM_WORKERS;
    int rc = gen_nvrtc_load(&nvrtc, err);
    if (rc == 0) {
        size_t wanted = (size_t)pool.worker_count;
        pool.workers = tsr__calloc(wanted, sizeof *pool.workers);
        polls = tsr__calloc(wanted, sizeof *polls);
        if (!pool.workers || !polls)
            rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory compiling");
    }
    if (rc) {
        for (int i = 0; i < count; i++) {
            results[i].error = *err;
            results[i].code = rc;
        }
        goto done;
    }
    for (int i = 0; i < pool.worker_count; i++)
        pool.workers[i].job = -1;
    while (turn(&pool, polls))
        ;
    for (int i = 0; i < pool.worker_count; i++)
        stop_worker(&pool.workers[i], pool.stopped);
    rc = fail_rest(&pool, err);
done:
    tsr__free(pool.workers);
    tsr__free(polls);
    return rc;
}

void gen_job_results_release(struct gen_job_result *results, int count)
{
    for (int i = 0; results && i < count; i++)
        gen_binary_release(&results[i].binary);
}
