/* test_tune.c -- the tuning flow on tiny shapes: what is verified, what a bad
** kernel becomes, what is repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "autotune/commands/model_keys.h"
#include "autotune/search.h"
#include "autotune/sql.h"
#include "autotune/tiles.h"
#include "runtime/base/memory.h"
#include "tests/unit/compiler.h"
#include "tests/unit/package_rows.h"

static struct tune_problem tiny = {.key = "gemm_w4a8 tiny",
                                   .family = "gemm_w4a8",
                                   .format = "w4c",
                                   .type = "f16",
                                   .arch = "sm_90a",
                                   .n = 64,
                                   .k = 64,
                                   .m = 16};

static struct tsr_device *open_device(void)
{
    struct tsr_device *device;
    struct tsr_error err = {0};
    if (tsr__device_open(&device, "emulator:sm_90a", &err))
        fail_msg("%s", err.text);
    return device;
}

/* ---- tiles -------------------------------------------------------------- */

static void every_tile_has_a_block_of_its_own(void **state)
{
    (void)state;
    for (uint64_t T = 1; T <= 9; T++)
        for (uint64_t U = 1; U <= 5; U++)
            for (uint64_t R = 0; R <= 16; R++) {
                struct tune_tiles tiles = {T, U, R};
                unsigned char seen[64] = {0};
                for (uint64_t c = 0; c < T; c++)
                    for (uint64_t t = 0; t < U; t++) {
                        uint64_t block =
                            tune_tile_block(&tiles, (struct tune_tile){c, t});
                        assert_true(block < T * U);
                        assert_int_equal(seen[block]++, 0);
                    }
            }
}

/* ---- verdicts ----------------------------------------------------------- */

static struct tune_verdict judge(const char *ptx, int split_k)
{
    struct tsr_device *device = open_device();
    struct tune_operands *operands;
    struct tune_trial trial;
    struct tune_verdict verdict = {.status = TUNE_ILLEGAL};
    struct tsr_error err = {0};
    struct tune_kernel kernel = {.entry = "gemm_w4a8",
                                 .launch = {32, 0, 16, 8, split_k},
                                 .image = ptx,
                                 .size = strlen(ptx)};
    if (tune_operands_create(&operands, device, &tiny, 16, &err) ||
        tune_trial_open(&trial, operands, &kernel, &err) ||
        tune_trial_verify(&trial, 16, &verdict, &err))
        fail_msg("%s", err.text);
    tune_trial_close(&trial);
    tune_operands_free(operands);
    tsr__device_free(device);
    return verdict;
}

/* The toy GEMM with one piece of its text exchanged; the caller frees it. */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(package_gemm_ptx, from);
    assert_non_null(at);
    char *ptx = malloc(sizeof package_gemm_ptx + strlen(to));
    sprintf(ptx, "%.*s%s%s", (int)(at - package_gemm_ptx), package_gemm_ptx, to,
            at + strlen(from));
    return ptx;
}

static void a_kernel_that_computes_something_else_is_wrong(void **state)
{
    (void)state;
    struct tune_verdict verdict = judge(package_gemm_ptx, 1);
    assert_int_equal(verdict.status, TUNE_WRONG);
    assert_non_null(strstr(verdict.text, "y[0]["));
    assert_non_null(strstr(verdict.text, "the reference says"));
    assert_string_equal(verdict.verified, "");
}

static void a_kernel_that_writes_outside_is_a_finding(void **state)
{
    (void)state;
    char *ptx = edited("%rd3, %r3, 2;", "%rd3, %r3, 65536;");
    struct tune_verdict verdict = judge(ptx, 1);
    free(ptx);
    assert_int_equal(verdict.status, TUNE_FINDING);
    assert_non_null(strstr(verdict.text, "out-of-bounds"));
}

static void a_kernel_that_writes_its_inputs_is_a_finding(void **state)
{
    (void)state;
    char *ptx = edited("%rd1, [p0];", "%rd1, [p1];");
    struct tune_verdict verdict = judge(ptx, 1);
    free(ptx);
    assert_int_equal(verdict.status, TUNE_FINDING);
}

/* ---- a race on real kernels --------------------------------------------- */

struct fixture {
    struct tune_run run;
    struct tsr_device *device;
    struct tune_store *store;
    struct tune_problem *problems;
    size_t count;
    int results, fresh, winners;
    char winner[512];
};

static void take_result(void *context, const struct tune_result *result)
{
    struct fixture *fixture = context;
    fixture->results++;
    fixture->fresh += result->fresh;
    fixture->winners += result->microseconds > 0;
    snprintf(fixture->winner, sizeof fixture->winner, "%s", result->winner);
}

static void fixture_open_on(struct fixture *f, struct tsr_device *device,
                            const char *db, const char *spec,
                            const uint32_t *buckets, size_t bucket_count)
{
    struct tsr_error err = {0};
    memset(f, 0, sizeof *f);
    f->device = device;
    if (gen_host_open(&f->run.host, NULL, &err) ||
        tune_store_open(&f->store, db, TUNE_STORE_WRITE, &err))
        fail_msg("%s", err.text);
    f->problems = tsr__calloc(bucket_count, sizeof *f->problems);
    for (size_t i = 0; i < bucket_count; i++) {
        char text[256], *save = NULL;
        const char *words[16];
        int count = 0;
        snprintf(text, sizeof text, "%s m=%u", spec, (unsigned)buckets[i]);
        for (char *word = strtok_r(text, " ", &save); word;
             word = strtok_r(NULL, " ", &save))
            words[count++] = word;
        if (tune_problem_parse(f->run.host, words, count, &f->problems[i],
                               &err))
            fail_msg("%s", err.text);
    }
    f->count = bucket_count;
    f->run.device = f->device;
    f->run.store = f->store;
    f->run.provenance =
        (struct tune_provenance){"test-1", gen_host_hash(f->run.host), "any"};
    f->run.candidates = 4;
    f->run.finalists = 2;
    f->run.processes = 2;
    f->run.finished = take_result;
    f->run.context = f;
}

static void fixture_open(struct fixture *f, const char *db, const char *spec,
                         const uint32_t *buckets, size_t bucket_count)
{
    fixture_open_on(f, open_device(), db, spec, buckets, bucket_count);
}

static void fixture_close(struct fixture *f)
{
    tune_problems_free(f->problems, f->count);
    tune_store_free(f->store);
    gen_host_free(f->run.host);
    tsr__device_free(f->device);
}

static sqlite3_int64 number(struct fixture *f, const char *query)
{
    sqlite3_int64 value = -1;
    assert_int_equal(
        tune_sql_integer(tune_store_sql(f->store), &value, query, ""),
        SQLITE_ROW);
    return value;
}

static void run_shape(struct fixture *f)
{
    struct tsr_error err = {0};
    f->results = f->fresh = f->winners = 0;
    if (tune_run_shape(&f->run, f->problems, f->count, &err))
        fail_msg("%s", err.text);
}

static const uint32_t two_buckets[] = {1, 16};

static void a_shape_gets_a_verified_winner_for_each_bucket(void **state)
{
    static const uint32_t close_buckets[] = {15, 16};
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fixture_open(&f,
                 ":memory:", "gemm_w4a8 format=w4g64 n=72 k=128 arch=sm_90a",
                 close_buckets, 2);
    run_shape(&f);
    assert_int_equal(f.results, 2);
    assert_int_equal(f.winners, 2);
    /* A default in every race, every winner verified, nothing went wrong. */
    assert_int_equal(number(&f, "SELECT count(DISTINCT problem) FROM attempt "
                                "WHERE is_default = 1 AND status = "
                                "'predicted'"),
                     2);
    assert_int_equal(number(&f, "SELECT count(*) FROM winner WHERE verified "
                                "LIKE '%whole%'"),
                     2);
    assert_int_equal(number(&f, "SELECT count(*) FROM attempt WHERE status IN "
                                "('wrong', 'finding', 'unsupported')"),
                     0);
    assert_int_equal(tune_store_verify(f.store, NULL, NULL, NULL), 0);
    /* Buckets share machine code. */
    assert_true(number(&f, "SELECT count(*) FROM binary") <
                number(&f, "SELECT count(*) FROM attempt"));
    fixture_close(&f);
}

static void a_second_run_repeats_nothing(void **state)
{
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fixture_open(&f, ":memory:",
                 "gemm_w4a8 format=w4c n=64 k=96 arch=sm_90a bias=1 out=bf16",
                 two_buckets, 2);
    run_shape(&f);
    sqlite3_int64 before = number(&f, "SELECT count(*) FROM attempt");
    char winner[512];
    strcpy(winner, f.winner);
    run_shape(&f);
    assert_int_equal(f.fresh, 0);
    assert_int_equal(f.winners, 2);
    assert_int_equal(number(&f, "SELECT count(*) FROM attempt"), before);
    /* Even when the races are forgotten, as after a kill. */
    sqlite3_exec(tune_store_sql(f.store), "DELETE FROM race", NULL, NULL, NULL);
    run_shape(&f);
    assert_string_equal(f.winner, winner);
    assert_int_equal(number(&f, "SELECT count(*) FROM attempt WHERE status = "
                                "'predicted'"),
                     number(&f, "SELECT count(*) FROM (SELECT DISTINCT problem,"
                                " configuration FROM attempt WHERE status = "
                                "'predicted')"));
    fixture_close(&f);
}

static void quant_act_is_tuned_too(void **state)
{
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fixture_open(&f, ":memory:", "quant_act k=96 dtype=bf16 arch=sm_90a",
                 two_buckets, 2);
    run_shape(&f);
    assert_int_equal(f.winners, 2);
    fixture_close(&f);
}

static void a_big_problem_is_verified_on_sampled_tiles(void **state)
{
    static const uint32_t bucket[] = {64};
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fixture_open(
        &f, ":memory:", "gemm_w4a8 format=w4g128 n=2056 k=2048 arch=sm_90a",
        bucket, 1);
    f.run.candidates = 2;
    f.run.finalists = 1;
    run_shape(&f);
    assert_int_equal(f.winners, 1);
    assert_int_equal(number(&f, "SELECT count(*) FROM winner WHERE verified "
                                "LIKE 'm=64 tiles 0,% of %'"),
                     1);
    fixture_close(&f);
}

/* One candidate's PTX is exchanged for a kernel that is wrong. */
static void a_wrong_candidate_is_a_row_and_not_the_end(void **state)
{
    static const uint32_t bucket[] = {16};
    struct fixture f;
    struct tune_candidates candidates;
    struct tune_sources sources = {0};
    struct tune_operands *operands;
    struct tune_result result;
    struct tsr_error err = {0};
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    fixture_open(&f, ":memory:", "gemm_w4a8 format=w4c n=64 k=64 arch=sm_90a",
                 bucket, 1);
    if (tune_candidates_plan(&candidates, &sources, f.run.host,
                             f.problems[0].key, 4, &err) ||
        tune_sources_compile(&sources, "sm_90a", 2, NULL, NULL, &err) ||
        tune_operands_create(&operands, f.device, &f.problems[0], 16, &err))
        fail_msg("%s", err.text);
    struct gen_binary *bad = &sources.item[0].result.binary;
    free(bad->ptx);
    bad->ptx = strdup(package_gemm_ptx);
    bad->ptx_size = strlen(bad->ptx);
    f.run.finalists = 10;
    if (tune_race(&f.run, operands, &f.problems[0], &candidates, &sources,
                  &result, &err))
        fail_msg("%s", err.text);
    assert_true(result.failed >= 1);
    assert_true(result.microseconds > 0);
    assert_true(number(&f, "SELECT count(*) FROM attempt WHERE status = "
                           "'wrong' AND error LIKE '%reference%'") >= 1);
    assert_int_equal(number(&f, "SELECT count(*) FROM winner WHERE status = "
                                "'predicted'"),
                     1);
    tune_operands_free(operands);
    tune_candidates_release(&candidates);
    tune_sources_release(&sources);
    fixture_close(&f);
}

static void die_after_three(void *context, size_t done, size_t total)
{
    (void)context;
    (void)total;
    if (done == 3)
        raise(SIGKILL);
}

static void a_killed_run_goes_on_where_it_stood(void **state)
{
    const char *db = scratch_path(scratch_folder(), "killed.db");
    const char *spec = "gemm_w4a8 format=w4c n=64 k=64 arch=sm_90a";
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    compiler_fresh_cache();
    pid_t child = fork();
    if (child == 0) {
        fixture_open(&f, db, spec, two_buckets, 2);
        f.run.finalists = 10;
        f.run.step = die_after_three;
        f.run.context = &f;
        run_shape(&f);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) || WIFEXITED(status));
    fixture_open(&f, db, spec, two_buckets, 2);
    f.run.finalists = 10;
    run_shape(&f);
    assert_int_equal(f.winners, 2);
    assert_int_equal(
        number(&f, "SELECT count(*) FROM attempt WHERE status = 'predicted'"),
        number(&f, "SELECT count(*) FROM (SELECT DISTINCT problem, "
                   "configuration FROM attempt WHERE status = 'predicted')"));
    assert_int_equal(tune_store_verify(f.store, NULL, NULL, NULL), 0);
    fixture_close(&f);
}

/* ---- a GPU -------------------------------------------------------------- */

/* The look-alike runs the PTX that lies under a cubin's hash. */
static void lay_out_ptx(struct fixture *f, const char *folder)
{
    sqlite3_stmt *row;
    assert_int_equal(
        tune_sql_prepare(tune_store_sql(f->store), &row,
                         "SELECT cubin_sha256, bytes FROM binary JOIN blob ON "
                         "sha256 = ptx_sha256",
                         ""),
        SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW) {
        char name[128];
        snprintf(name, sizeof name, "%s.ptx", tune_sql_text(row, 0));
        scratch_write(scratch_path(folder, name), sqlite3_column_blob(row, 1),
                      (size_t)sqlite3_column_bytes(row, 1));
    }
    sqlite3_finalize(row);
}

/* Predicted on the emulator, then verified and timed on a driver: both in one
** database, where the measured rows win. */
static void a_gpu_times_what_it_has_verified(void **state)
{
    const char *db = scratch_path(scratch_folder(), "gpu.db");
    const char *folder = scratch_folder();
    const char *spec = "gemm_w4a8 format=w4g64 n=72 k=128 arch=sm_90a";
    struct tsr_device *gpu;
    struct tsr_error err = {0};
    struct fixture f;
    (void)state;
    NEED_NVRTC();
    if (!getenv("TSR_LOOKALIKE")) {
        print_message("skipped: TSR_LOOKALIKE does not name the look-alike of "
                      "the driver\n");
        skip();
    }
    compiler_fresh_cache();
    setenv("TESSERA_CUDA_LIBRARY", getenv("TSR_LOOKALIKE"), 1);
    setenv("TSR_LOOKALIKE_PTX", folder, 1);
    fixture_open(&f, db, spec, two_buckets, 2);
    run_shape(&f);
    lay_out_ptx(&f, folder);
    fixture_close(&f);
    if (tsr__device_open(&gpu, "cuda:0", &err))
        fail_msg("%s", err.text);
    fixture_open_on(&f, gpu, db, spec, two_buckets, 2);
    f.run.finalists = 10;
    f.run.provenance.policy = tune_policy(gpu);
    run_shape(&f);
    assert_int_equal(f.winners, 2);
    assert_int_equal(number(&f, "SELECT count(*) FROM attempt WHERE status IN "
                                "('wrong', 'crashed', 'unsupported')"),
                     0);
    assert_int_equal(number(&f, "SELECT count(*) FROM winner WHERE measured "
                                "AND policy = 'graph-1'"),
                     2);
    assert_true(number(&f, "SELECT min(samples) FROM attempt WHERE status = "
                           "'measured'") >= 10);
    assert_int_equal(tune_store_verify(f.store, NULL, NULL, NULL), 0);
    fixture_close(&f);
}

/* ---- buckets ------------------------------------------------------------ */

static void buckets_are_lists_or_powers_of_two(void **state)
{
    uint32_t buckets[BUCKETS_MAX];
    size_t count;
    (void)state;
    assert_int_equal(buckets_parse("1,16,64", buckets, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_int_equal(buckets[2], 64);
    assert_int_equal(buckets_parse("1..4096", buckets, &count, NULL), 0);
    assert_int_equal(count, 13);
    assert_int_equal(buckets[12], 4096);
    assert_int_equal(buckets_parse(NULL, buckets, &count, NULL), 0);
    assert_int_equal(buckets[0], 1);
    static const char *const bad[] = {"",    "0",   "2,1",    "1,",  "1,,2",
                                      "-1",  "1..", "8..4",   "one", "1 2",
                                      "1,1", "1.5", "2000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (buckets_parse(bad[i], buckets, &count, NULL) != TSR_EUSAGE)
            fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_has_a_block_of_its_own),
        cmocka_unit_test(a_kernel_that_computes_something_else_is_wrong),
        cmocka_unit_test(a_kernel_that_writes_outside_is_a_finding),
        cmocka_unit_test(a_kernel_that_writes_its_inputs_is_a_finding),
        cmocka_unit_test(a_shape_gets_a_verified_winner_for_each_bucket),
        cmocka_unit_test(a_second_run_repeats_nothing),
        cmocka_unit_test(quant_act_is_tuned_too),
        cmocka_unit_test(a_big_problem_is_verified_on_sampled_tiles),
        cmocka_unit_test(a_wrong_candidate_is_a_row_and_not_the_end),
        cmocka_unit_test(a_killed_run_goes_on_where_it_stood),
        cmocka_unit_test(a_gpu_times_what_it_has_verified),
        cmocka_unit_test(buckets_are_lists_or_powers_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
