/* pool.c -- compiles many kernels in worker processes.
**
** Processes rather than threads: NVRTC compiles one program at a time per
** process, and a compiler that crashes or never ends takes only its process
** with it. Workers are forked, so the jobs are in their memory already; the
** parent only sends an index and gets a result back (pool_worker.h).
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gen/host/binary.h"
#include "gen/host/nvrtc_library.h"
#include "gen/host/pool_worker.h"
#include "runtime/base/memory.h"

#define DEFAULT_SECONDS 120
#define MAXIMUM_WORKERS 256

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
        gen_pool_work(pool->jobs, pool->count, ends[1]);
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

/* Gives the worker a job, and each job it takes down with it a failure. */
static void hand_out(struct pool *pool, struct worker *worker)
{
    while (!pool->stopped && pool->next < pool->count) {
        if (!worker->pid && start_worker(pool, worker))
            return;
        int32_t index = pool->next++;
        worker->job = index;
        worker->deadline = now() + pool->seconds;
        if (gen_pool_send(worker->fd, &index, sizeof index) == 0)
            return;
        lose_worker(pool, worker, 0);
    }
}

/* A whole answer is in worker->reply: takes it. */
static void finish_job(struct pool *pool, struct worker *worker, int code)
{
    struct gen_job_result *result = &pool->results[worker->job];
    const char *body = worker->reply.data + GEN_POOL_HEADER;
    size_t size = worker->reply.size - GEN_POOL_HEADER;
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
    if (worker->reply.size < GEN_POOL_HEADER)
        return;
    memcpy(&code, worker->reply.data, 4);
    memcpy(&size, worker->reply.data + 4, 8);
    if (worker->reply.size - GEN_POOL_HEADER > size)
        lose_worker(pool, worker, 0);
    else if (worker->reply.size - GEN_POOL_HEADER == size)
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

static void fail_stopped(struct pool *pool, int job)
{
    struct gen_job_result *result = &pool->results[job];
    result->code = TSR_FAIL(&result->error, TSR_EUSAGE,
                            "%s for %s: stopped before it was compiled",
                            pool->jobs[job].name, pool->jobs[job].arch);
}

/* Jobs never handed out: stopped by the caller, or no process to be had. */
static int fail_rest(struct pool *pool, struct tsr_error *err)
{
    int rc = 0;
    if (!pool->stopped && pool->next < pool->count)
        rc = TSR_FAIL(err, TSR_EIO, "cannot start a compiler process: %s",
                      strerror(errno));
    for (int i = pool->next; i < pool->count; i++) {
        fail_stopped(pool, i);
        if (rc) {
            pool->results[i].error = *err;
            pool->results[i].code = rc;
        }
    }
    return rc;
}

static void end_workers(struct pool *pool)
{
    for (int i = 0; i < pool->worker_count; i++) {
        int job = pool->workers[i].job;
        stop_worker(&pool->workers[i], pool->stopped);
        if (job >= 0)
            fail_stopped(pool, job);
    }
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
    while (!pool.stopped && turn(&pool, polls))
        ;
    end_workers(&pool);
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
