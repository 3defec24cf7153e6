/* test_pool.c -- compiling in worker processes: one job's misfortune is that
** job's alone. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/buffer.h"
#include "runtime/base/memory.h"
#include "tests/unit/compiler.h"

#define JOBS 6

static const char good[] = "extern \"C\" __global__ void k(int *x)\n"
                           "{ x[threadIdx.x] += 1; }\n";
static const char bad[] = "#line 3 \"templates/p.cu.tmpl\"\n"
                          "extern \"C\" __global__ void k(int *x) { wibble; }";

static const char *const archs[JOBS] = {"sm_80",  "sm_86",   "sm_89",
                                        "sm_90a", "sm_100a", "sm_120a"};

static void fill(struct gen_job *jobs, int count, unsigned flags)
{
    for (int i = 0; i < count; i++)
        jobs[i] = (struct gen_job){good, "k", archs[i % JOBS], flags};
}

struct record {
    int calls, last_done, seen[JOBS], stop_at;
    int kill_after; /* kill our workers after this many jobs */
};

/* Kills the child processes of this process: only the pool's, here. */
static void kill_workers(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    for (char *at = strtok(text, " \n"); at; at = strtok(NULL, " \n"))
        kill((pid_t)atoi(at), SIGKILL);
}

static int on_progress(void *context, int done, int count, int index)
{
    struct record *record = context;
    assert_true(index >= 0 && index < count);
    assert_int_equal(done, record->last_done + 1);
    record->last_done = done;
    record->calls++;
    record->seen[index]++;
    if (record->kill_after && done == record->kill_after)
        kill_workers();
    return record->stop_at && done >= record->stop_at;
}

static void all_jobs_are_compiled_once_and_reported_once(void **state)
{
    struct gen_job jobs[JOBS];
    struct gen_job_result results[JOBS];
    (void)state;
    NEED_NVRTC();
    fill(jobs, JOBS, GEN_NO_CACHE);
    for (int processes = 0; processes <= 3; processes++) {
        struct record record = {0};
        assert_int_equal(gen_compile_pool(jobs, JOBS, processes, 0, on_progress,
                                          &record, results, NULL),
                         0);
        assert_int_equal(record.calls, JOBS);
        for (int i = 0; i < JOBS; i++) {
            char target[32];
            assert_int_equal(record.seen[i], 1);
            assert_int_equal(results[i].code, 0);
            snprintf(target, sizeof target, ".target %s", archs[i]);
            assert_non_null(strstr(results[i].binary.ptx, target));
            assert_true(results[i].binary.registers > 0);
            assert_int_equal(results[i].binary.cached, 0);
        }
        gen_job_results_release(results, JOBS);
    }
}

static void pool_and_single_compile_give_the_same_bytes(void **state)
{
    struct gen_job job = {good, "k", "sm_90a", GEN_NO_CACHE};
    struct gen_job_result result;
    struct gen_binary binary;
    (void)state;
    NEED_NVRTC();
    assert_int_equal(
        gen_compile(good, "k", "sm_90a", GEN_NO_CACHE, &binary, NULL), 0);
    assert_int_equal(gen_compile_pool(&job, 1, 1, 0, NULL, NULL, &result, NULL),
                     0);
    assert_string_equal(result.binary.cubin_sha256, binary.cubin_sha256);
    assert_string_equal(result.binary.ptx, binary.ptx);
    assert_string_equal(result.binary.log, binary.log);
    gen_binary_release(&binary);
    gen_job_results_release(&result, 1);
}

static void a_job_that_does_not_compile_fails_alone_with_its_line(void **state)
{
    struct gen_job jobs[3];
    struct gen_job_result results[3];
    (void)state;
    NEED_NVRTC();
    fill(jobs, 3, GEN_NO_CACHE);
    jobs[1].source = bad;
    assert_int_equal(gen_compile_pool(jobs, 3, 2, 0, NULL, NULL, results, NULL),
                     0);
    assert_int_equal(results[0].code, 0);
    assert_int_equal(results[1].code, TSR_EFORMAT);
    assert_non_null(strstr(results[1].error.text,
                           "templates/p.cu.tmpl(3): error: identifier"));
    assert_int_equal(results[2].code, 0);
    gen_job_results_release(results, 3);
}

static void a_compiler_that_dies_costs_one_job(void **state)
{
    struct gen_job jobs[4];
    struct gen_job_result results[4];
    struct record record = {.kill_after = 1};
    (void)state;
    NEED_NVRTC();
    fill(jobs, 4, GEN_NO_CACHE);
    assert_int_equal(
        gen_compile_pool(jobs, 4, 1, 0, on_progress, &record, results, NULL),
        0);
    assert_int_equal(results[0].code, 0);
    assert_int_equal(results[1].code, TSR_EIO);
    assert_non_null(strstr(results[1].error.text, "signal 9"));
    assert_non_null(strstr(results[1].error.text, archs[1]));
    assert_int_equal(results[2].code, 0);
    assert_int_equal(results[3].code, 0);
    assert_int_equal(record.calls, 4);
    gen_job_results_release(results, 4);
}

/* Tens of seconds of work for any compiler, a second allowed. */
static char *endless_source(void)
{
    struct tsr_buffer text = TSR_BUFFER_INIT;
    tsr__buffer_addf(&text, "extern \"C\" __global__ void k(int *x)\n"
                            "{ int a = x[0], b = x[1];\n");
    for (int i = 0; i < 20000; i++)
        tsr__buffer_addf(&text,
                         "if (x[a & 255] > b) { a ^= x[b & 255] * %d; "
                         "b += a; }\n",
                         i);
    tsr__buffer_addf(&text, "x[2] = a + b; }\n");
    assert_false(text.failed);
    return tsr__buffer_detach(&text, NULL);
}

static void a_compile_that_never_ends_is_stopped(void **state)
{
    struct gen_job jobs[3];
    struct gen_job_result results[3];
    char *endless = endless_source();
    (void)state;
    NEED_NVRTC();
    fill(jobs, 3, GEN_NO_CACHE);
    jobs[0].source = endless;
    assert_int_equal(gen_compile_pool(jobs, 3, 1, 1, NULL, NULL, results, NULL),
                     0);
    assert_int_equal(results[0].code, TSR_EIO);
    assert_non_null(strstr(results[0].error.text, "longer than 1 s"));
    tsr__free(endless);
    gen_job_results_release(results, 3);
}

static void stopping_leaves_every_result_defined(void **state)
{
    struct gen_job jobs[JOBS];
    struct gen_job_result results[JOBS];
    (void)state;
    NEED_NVRTC();
    fill(jobs, JOBS, GEN_NO_CACHE);
    for (int processes = 1; processes <= 3; processes++) {
        struct record record = {.stop_at = 2};
        int done = 0;
        assert_int_equal(gen_compile_pool(jobs, JOBS, processes, 0, on_progress,
                                          &record, results, NULL),
                         0);
        for (int i = 0; i < JOBS; i++) {
            done += results[i].code == 0;
            assert_true(results[i].code == 0 || results[i].code == TSR_EUSAGE);
            assert_int_equal(results[i].binary.ptx != NULL,
                             results[i].code == 0);
        }
        assert_true(done >= 2 && done < JOBS);
        assert_int_equal(done, record.calls);
        gen_job_results_release(results, JOBS);
    }
}

static void the_cache_is_shared_between_pool_and_caller(void **state)
{
    struct gen_job jobs[2];
    struct gen_job_result results[2];
    struct gen_binary binary;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fill(jobs, 2, 0);
    assert_int_equal(gen_compile_pool(jobs, 2, 2, 0, NULL, NULL, results, NULL),
                     0);
    assert_int_equal(results[0].binary.cached, 0);
    gen_job_results_release(results, 2);
    assert_int_equal(gen_compile(good, "k", archs[0], 0, &binary, NULL), 0);
    assert_int_equal(binary.cached, 1);
    gen_binary_release(&binary);
    assert_int_equal(gen_compile_pool(jobs, 2, 1, 0, NULL, NULL, results, NULL),
                     0);
    assert_int_equal(results[0].binary.cached, 1);
    assert_int_equal(results[1].binary.cached, 1);
    gen_job_results_release(results, 2);
}

static void no_jobs_and_no_processes_are_fine(void **state)
{
    struct gen_job_result results[1];
    (void)state;
    NEED_NVRTC();
    assert_int_equal(gen_compile_pool(NULL, 0, 4, 0, NULL, NULL, results, NULL),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_jobs_are_compiled_once_and_reported_once),
        cmocka_unit_test(pool_and_single_compile_give_the_same_bytes),
        cmocka_unit_test(a_job_that_does_not_compile_fails_alone_with_its_line),
        cmocka_unit_test(a_compiler_that_dies_costs_one_job),
        cmocka_unit_test(a_compile_that_never_ends_is_stopped),
        cmocka_unit_test(stopping_leaves_every_result_defined),
        cmocka_unit_test(the_cache_is_shared_between_pool_and_caller),
        cmocka_unit_test(no_jobs_and_no_processes_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
