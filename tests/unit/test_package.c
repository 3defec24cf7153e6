/* test_package.c -- packages: reproducible, refused when damaged, found,
** launched, shared by threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/kernels/format.h"
#include "runtime/tessera.h"
#include "tests/unit/package_rows.h"
#include "tests/unit/scratch.h"

static const struct tsr_kernel_key gemm_key = {"gemm_w4a8", "w4c", NULL,
                                               64,          64,    0};
static const struct tsr_kernel_key quant_key = {"quant_act", NULL, NULL,
                                                0,           64,   0};

static const char *write_package(void)
{
    const char *path = scratch_path(scratch_folder(), "a.tpk");
    struct tsr_error err = {0};
    if (package_write(path, &err))
        fail_msg("%s", err.text);
    return path;
}

static struct tsr_package *open_package(const char *path)
{
    struct tsr_package *package;
    struct tsr_error err = {0};
    if (tsr_package_open(&package, path, &err))
        fail_msg("%s", err.text);
    return package;
}

static struct tsr_device *open_device(const char *name)
{
    struct tsr_device *device;
    struct tsr_error err = {0};
    if (tsr_device_open(&device, name, &err))
        fail_msg("%s", err.text);
    return device;
}

static const struct tsr_kernel *find(struct tsr_package *package,
                                     struct tsr_device *device,
                                     const struct tsr_kernel_key *key,
                                     uint32_t m)
{
    const struct tsr_kernel *kernel;
    struct tsr_error err = {0};
    if (tsr_kernel_find(package, device, key, m, 0, &kernel, &err))
        fail_msg("%s", err.text);
    return kernel;
}

/* ---- the file ----------------------------------------------------------- */

static void the_same_rows_give_the_same_bytes_in_any_order(void **state)
{
    const char *folder = scratch_folder();
    const char *first = scratch_path(folder, "first.tpk");
    const char *second = scratch_path(folder, "second.tpk");
    struct tune_package_row rows[] = {package_gemm(1), package_gemm(16),
                                      package_quant()};
    struct tune_package_row turned[] = {rows[2], rows[0], rows[1]};
    json_t *manifest = json_pack("{s:s, s:s}", "model", "toy", "b", "c");
    json_t *other = json_pack("{s:s, s:s}", "b", "c", "model", "toy");
    struct tsr_map a, b;
    (void)state;
    assert_int_equal(tune_package_write(first, rows, 3, manifest, NULL, NULL),
                     0);
    assert_int_equal(tune_package_write(second, turned, 3, other, NULL, NULL),
                     0);
    assert_int_equal(tsr__map_open(&a, first, NULL), 0);
    assert_int_equal(tsr__map_open(&b, second, NULL), 0);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    tsr__map_release(&a);
    tsr__map_release(&b);
    json_decref(manifest);
    json_decref(other);
}

static void rows_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    size_t count = 0, tuned = 0;
    const struct tsr_kernel_info *row;
    for (; (row = tsr_package_row(package, count)) != NULL; count++) {
        tuned += row->device[0] != 0;
        assert_int_equal(row->key.k, 64);
        assert_string_equal(row->key.type, "f16");
        assert_int_equal(row->threads, 32);
    }
    assert_int_equal(count, 6);
    assert_int_equal(tuned, 4);
    assert_int_equal(tsr_package_verify(package, NULL), 0);
    tsr_package_free(package);
}

static void opening_writes_nothing_beside_the_file(void **state)
{
    const char *path = write_package();
    char side[4200];
    (void)state;
    tsr_package_free(open_package(path));
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    for (int i = 0; i < 3; i++) {
        snprintf(side, sizeof side, "%s%s", path, ends[i]);
        assert_int_not_equal(access(side, F_OK), 0);
    }
}

static void a_path_with_odd_characters_opens(void **state)
{
    const char *path =
        scratch_path(scratch_folder(), "a b%20?immutable=0#c.tpk");
    (void)state;
    assert_int_equal(package_write(path, NULL), 0);
    tsr_package_free(open_package(path));
}

static void a_full_folder_leaves_no_half_package(void **state)
{
    struct tune_package_row row = package_gemm(1);
    struct tsr_error err = {0};
    (void)state;
    assert_int_not_equal(tune_package_write("/nonexistent/folder/a.tpk", &row,
                                            1, NULL, NULL, &err),
                         0);
    assert_non_null(strstr(err.text, "/nonexistent/folder/a.tpk"));
}

/* ---- damage ------------------------------------------------------------- */

/* Writes a copy whose bytes were changed, opens it, and when it opens checks
** and loads everything. 0 when all of that works. */
static int try_bytes(const char *path, const unsigned char *bytes, size_t size,
                     struct tsr_error *err)
{
    struct tsr_package *package;
    scratch_write(path, bytes, size);
    int rc = tsr_package_open(&package, path, err);
    if (rc)
        return rc;
    rc = tsr_package_verify(package, err);
    tsr_package_free(package);
    return rc;
}

static void every_flipped_byte_is_noticed(void **state)
{
    const char *folder = scratch_folder();
    const char *whole = scratch_path(folder, "whole.tpk");
    const char *copy = scratch_path(folder, "copy.tpk");
    char *bytes;
    size_t size;
    (void)state;
    assert_int_equal(package_write(whole, NULL), 0);
    assert_int_equal(tsr__file_read(whole, 1 << 30, &bytes, &size, NULL), 0);
    for (size_t at = 0; at < size; at += at < 200 ? 1 : 37) {
        struct tsr_error err = {0};
        bytes[at] ^= 0x5a;
        int rc = try_bytes(copy, (unsigned char *)bytes, size, &err);
        bytes[at] ^= 0x5a;
        if (!rc || !err.text[0])
            fail_msg("byte %zu: %s", at, rc ? "no word" : "not noticed");
    }
    tsr__free(bytes);
}

static void what_is_hashed_cannot_be_changed(void **state)
{
    static const char *const changes[] = {
        "UPDATE kernel SET tile_n = 32",
        "UPDATE kernel SET microseconds = 1",
        "UPDATE kernel SET ptx = 1 WHERE id = 1",
        "DELETE FROM kernel WHERE id = 2",
        "UPDATE manifest SET value = 'other' WHERE name = 'model'",
        "UPDATE manifest SET value = '2' WHERE name = 'kernel_abi'",
        "UPDATE blob SET sha256 = replace(sha256, 'a', 'b')",
        "UPDATE blob SET bytes = x'00' || bytes",
        "CREATE TABLE more(x)",
        "CREATE VIEW winner AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON blob BEGIN SELECT 1; END",
    };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = write_package();
        struct tsr_package *package;
        struct tsr_error err = {0};
        sqlite3 *db;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_close(db);
        int rc = tsr_package_open(&package, path, &err);
        if (rc == 0)
            tsr_package_free(package);
        if (rc != TSR_EFORMAT)
            fail_msg("'%s' was not noticed", changes[i]);
        assert_non_null(strstr(err.text, "damaged"));
    }
}

static void changed_code_is_never_run(void **state)
{
    const char *path = write_package();
    struct tsr_error err = {0};
    const struct tsr_kernel *kernel;
    sqlite3 *db;
    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db,
                 "UPDATE blob SET bytes = cast(replace(cast(bytes AS TEXT), "
                 "'mov.u16', 'MOV.u16') AS BLOB) WHERE kind = 'ptx'",
                 NULL, NULL, NULL);
    sqlite3_close(db);
    struct tsr_package *package = open_package(path);
    struct tsr_device *device = open_device("emulator:sm_90a");
    assert_int_equal(tsr_package_verify(package, NULL), TSR_EFORMAT);
    assert_int_equal(
        tsr_kernel_find(package, device, &quant_key, 16, 0, &kernel, &err),
        TSR_EFORMAT);
    assert_non_null(strstr(err.text, "does not match its hash"));
    tsr_package_free(package);
    tsr_device_free(device);
}

static void truncated_files_are_refused(void **state)
{
    const char *folder = scratch_folder();
    const char *whole = scratch_path(folder, "whole.tpk");
    const char *copy = scratch_path(folder, "copy.tpk");
    char *bytes;
    size_t size;
    (void)state;
    assert_int_equal(package_write(whole, NULL), 0);
    assert_int_equal(tsr__file_read(whole, 1 << 30, &bytes, &size, NULL), 0);
    for (size_t keep = 0; keep < size; keep += 511)
        assert_int_not_equal(
            try_bytes(copy, (unsigned char *)bytes, keep, NULL), 0);
    tsr__free(bytes);
}

static void refuse(const char *path, int code, const char *part)
{
    struct tsr_package *package;
    struct tsr_error err = {0};
    int rc = tsr_package_open(&package, path, &err);
    if (rc == 0)
        tsr_package_free(package);
    assert_int_equal(rc, code);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void change_header(const char *path, const char *pragma)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void foreign_and_newer_files_are_refused_by_name(void **state)
{
    const char *folder = scratch_folder();
    const char *text = scratch_path(folder, "text.tpk");
    const char *path = scratch_path(folder, "a.tpk");
    char pragma[64];
    (void)state;
    scratch_write(text, "just some words", 15);
    refuse(text, TSR_EFORMAT, "not a Tessera package");
    refuse(scratch_path(folder, "absent.tpk"), TSR_EIO, "No such file");
    refuse(folder, TSR_EIO, "not a regular file");
    assert_int_equal(package_write(path, NULL), 0);
    change_header(path, "PRAGMA user_version = 2");
    refuse(path, TSR_EUNSUPPORTED, "newer tessera");
    change_header(path, "PRAGMA user_version = 0");
    refuse(path, TSR_EUNSUPPORTED, "make it again");
    change_header(path, "PRAGMA application_id = 1");
    refuse(path, TSR_EFORMAT, "another program");
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d",
             TSR_DATABASE_APPLICATION);
    change_header(path, pragma);
    refuse(path, TSR_EFORMAT, "tuning database");
}

/* ---- finding and launching ---------------------------------------------- */

static void a_kernel_is_found_once_and_says_how(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    const struct tsr_kernel *kernel = find(package, device, &gemm_key, 5);
    const struct tsr_kernel_info *info = tsr_kernel_info(kernel);
    assert_int_equal(info->match, TSR_MATCH_DEVICE);
    assert_int_equal(info->m, 16);
    assert_ptr_equal(find(package, device, &gemm_key, 16), kernel);
    assert_ptr_not_equal(find(package, device, &gemm_key, 40), kernel);
    info = tsr_kernel_info(find(package, device, &gemm_key, 4000));
    assert_int_equal(info->match, TSR_MATCH_DEFAULT);
    tsr_package_free(package);
    tsr_device_free(device);
}

static void a_missing_kernel_is_named(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    struct tsr_kernel_key key = gemm_key;
    const struct tsr_kernel *kernel;
    struct tsr_error err = {0};
    key.n = 128;
    assert_int_equal(
        tsr_kernel_find(package, device, &key, 16, 0, &kernel, &err),
        TSR_ENOTFOUND);
    assert_non_null(strstr(err.text, "n=128 k=64 m=16"));
    assert_int_equal(tsr_kernel_find(package, device, &gemm_key, 1000,
                                     TSR_FIND_STRICT, &kernel, &err),
                     TSR_ENOTFOUND);
    assert_non_null(strstr(err.text, "no tuned kernel"));
    tsr_package_free(package);
    tsr_device_free(device);
}

static void another_architecture_gets_the_baseline(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_89");
    const struct tsr_kernel *kernel;
    struct tsr_error err = {0};
    kernel = find(package, device, &gemm_key, 16);
    assert_int_equal(tsr_kernel_info(kernel)->match, TSR_MATCH_BASELINE);
    assert_int_equal(tsr_package_load(package, device, 0, &kernel, &err),
                     tsr_package_row(package, 0)->match == TSR_MATCH_BASELINE
                         ? 0
                         : TSR_EUNSUPPORTED);
    tsr_package_free(package);
    tsr_device_free(device);
}

/* Buffers of a launch of the toy GEMM with m rows. */
struct call {
    struct tsr_gemm gemm;
    tsr_device_ptr any;
    size_t blocks;
};

static void prepare(struct tsr_device *device, const struct tsr_kernel *kernel,
                    uint32_t m, struct call *call)
{
    const struct tsr_kernel_info *info = tsr_kernel_info(kernel);
    call->blocks = (size_t)(64 / info->tile_n) * ((m + 7) / 8);
    assert_int_equal(tsr_memory_alloc(device, 4096, "any", &call->any, NULL),
                     0);
    call->gemm = (struct tsr_gemm){.x = call->any,
                                   .x_scale = call->any,
                                   .x_sum = call->any,
                                   .qweight = call->any,
                                   .scale = call->any,
                                   .scale2 = call->any,
                                   .m = m};
    assert_int_equal(
        tsr_memory_alloc(device, 2 * call->blocks, "y", &call->gemm.y, NULL),
        0);
    call->gemm.workspace_bytes = tsr_kernel_workspace(kernel, m);
    if (call->gemm.workspace_bytes)
        assert_int_equal(tsr_memory_alloc(device, call->gemm.workspace_bytes,
                                          "workspace", &call->gemm.workspace,
                                          NULL),
                         0);
}

static void release(struct tsr_device *device, struct call *call)
{
    tsr_memory_free(device, call->any, NULL);
    tsr_memory_free(device, call->gemm.y, NULL);
    tsr_memory_free(device, call->gemm.workspace, NULL);
}

static void a_launch_covers_the_grid_with_its_m(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    const struct tsr_kernel *kernel = find(package, device, &gemm_key, 40);
    struct tsr_error err = {0};
    struct call call;
    uint16_t y[64];
    prepare(device, kernel, 40, &call);
    if (tsr_gemm_launch(kernel, &call.gemm, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(tsr_device_synchronize(device, NULL), 0);
    assert_int_equal(call.blocks, 20);
    assert_int_equal(
        tsr_memory_read(device, y, call.gemm.y, 2 * call.blocks, NULL), 0);
    for (size_t i = 0; i < call.blocks; i++)
        assert_int_equal(y[i], 40);
    release(device, &call);
    tsr_package_free(package);
    tsr_device_free(device);
}

static void quant_act_is_launched_once_a_row(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    const struct tsr_kernel *kernel = find(package, device, &quant_key, 9);
    struct tsr_error err = {0};
    struct tsr_quant_act call = {.m = 9};
    unsigned char q[9];
    assert_int_equal(tsr_memory_alloc(device, 9, "q", &call.q, NULL), 0);
    call.scale = call.sum = call.x = call.q;
    if (tsr_quant_act_launch(kernel, &call, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(tsr_memory_read(device, q, call.q, 9, NULL), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(q[i], 7);
    assert_int_equal(tsr_kernel_workspace(kernel, 9), 0);
    tsr_memory_free(device, call.q, NULL);
    tsr_package_free(package);
    tsr_device_free(device);
}

static void the_workspace_is_sized_by_m_and_checked(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    const struct tsr_kernel *split = find(package, device, &gemm_key, 16);
    const struct tsr_kernel *whole = find(package, device, &gemm_key, 64);
    struct tsr_error err = {0};
    struct call call;
    assert_int_equal(tsr_kernel_workspace(whole, 64), 0);
    /* 4 x 2 tiles: 64 counters, 8 partial tiles of 16 x 8 */
    assert_int_equal(tsr_kernel_workspace(split, 16), 4 * (64 + 8 * 128));
    /* 4 x 20 tiles: 128 counters */
    assert_int_equal(tsr_kernel_workspace(split, 160), 4 * (128 + 80 * 128));
    prepare(device, split, 16, &call);
    call.gemm.workspace_bytes--;
    assert_int_equal(tsr_gemm_launch(split, &call.gemm, NULL, &err),
                     TSR_EUSAGE);
    assert_non_null(strstr(err.text, "workspace"));
    release(device, &call);
    tsr_package_free(package);
    tsr_device_free(device);
}

static void a_wrong_call_is_refused_before_it_is_launched(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    const struct tsr_kernel *kernel = find(package, device, &gemm_key, 64);
    struct tsr_gemm gemm = {.m = 64};
    struct tsr_quant_act quant = {.m = 64};
    assert_int_equal(tsr_gemm_launch(kernel, &gemm, NULL, NULL), TSR_EUSAGE);
    assert_int_equal(tsr_quant_act_launch(kernel, &quant, NULL, NULL),
                     TSR_EUSAGE);
    gemm.m = 0;
    assert_int_equal(tsr_gemm_launch(kernel, &gemm, NULL, NULL), TSR_EUSAGE);
    tsr_package_free(package);
    tsr_device_free(device);
}

/* ---- threads ------------------------------------------------------------ */

struct worker {
    struct tsr_package *package;
    struct tsr_device *device;
    uint32_t m;
    pthread_barrier_t *start;
    const struct tsr_kernel *first; /* all look for the same at once */
    int failures;
};

static void *find_and_launch(void *context)
{
    struct worker *worker = context;
    pthread_barrier_wait(worker->start);
    if (tsr_kernel_find(worker->package, worker->device, &gemm_key, 16, 0,
                        &worker->first, NULL))
        worker->failures++;
    for (int i = 0; i < 50; i++) {
        const struct tsr_kernel *kernel;
        struct call call;
        uint32_t m = worker->m + (uint32_t)(i % 40);
        uint16_t y[64];
        if (tsr_kernel_find(worker->package, worker->device, &gemm_key, m, 0,
                            &kernel, NULL)) {
            worker->failures++;
            continue;
        }
        prepare(worker->device, kernel, m, &call);
        if (tsr_gemm_launch(kernel, &call.gemm, NULL, NULL) ||
            tsr_memory_read(worker->device, y, call.gemm.y, 2 * call.blocks,
                            NULL))
            worker->failures++;
        for (size_t b = 0; b < call.blocks; b++)
            worker->failures += y[b] != m;
        release(worker->device, &call);
    }
    return NULL;
}

static void threads_share_a_package_and_its_kernels(void **state)
{
    (void)state;
    struct tsr_package *package = open_package(write_package());
    struct tsr_device *device = open_device("emulator:sm_90a");
    struct worker workers[4];
    pthread_t threads[4];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 4);
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){package, device, (uint32_t)(1 + 10 * i),
                                     &start,  NULL,   0};
        assert_int_equal(
            pthread_create(&threads[i], NULL, find_and_launch, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
        assert_ptr_equal(workers[i].first, workers[0].first);
    }
    pthread_barrier_destroy(&start);
    tsr_package_free(package);
    tsr_device_free(device);
}

static void out_of_memory_is_an_error_at_every_allocation(void **state)
{
    const char *path = write_package();
    int done = 0;
    (void)state;
    for (long n = 1; !done && n < 200; n++) {
        struct tsr_package *package;
        tsr__memory_fail_after(n, 0);
        int rc = tsr_package_open(&package, path, NULL);
        tsr__memory_fail_after(0, 0);
        if (rc == 0) {
            tsr_package_free(package);
            done = 1;
        } else
            assert_int_equal(rc, TSR_EMEMORY);
    }
    assert_true(done);
}

int main(void)
{
    struct tsr_device *device = NULL;
    if (tsr_device_open(&device, "emulator:sm_90a", NULL) == 0)
        package_device = tsr_device_name(device);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_rows_give_the_same_bytes_in_any_order),
        cmocka_unit_test(rows_come_back_as_they_were_written),
        cmocka_unit_test(opening_writes_nothing_beside_the_file),
        cmocka_unit_test(a_path_with_odd_characters_opens),
        cmocka_unit_test(a_full_folder_leaves_no_half_package),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(what_is_hashed_cannot_be_changed),
        cmocka_unit_test(changed_code_is_never_run),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(foreign_and_newer_files_are_refused_by_name),
        cmocka_unit_test(a_kernel_is_found_once_and_says_how),
        cmocka_unit_test(a_missing_kernel_is_named),
        cmocka_unit_test(another_architecture_gets_the_baseline),
        cmocka_unit_test(a_launch_covers_the_grid_with_its_m),
        cmocka_unit_test(quant_act_is_launched_once_a_row),
        cmocka_unit_test(the_workspace_is_sized_by_m_and_checked),
        cmocka_unit_test(a_wrong_call_is_refused_before_it_is_launched),
        cmocka_unit_test(threads_share_a_package_and_its_kernels),
        cmocka_unit_test(out_of_memory_is_an_error_at_every_allocation),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tsr_device_free(device);
    return failed;
}
