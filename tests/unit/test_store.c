/* test_store.c -- the tuning database: rows, winners, resume, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "autotune/exchange.h"
#include "autotune/merge.h"
#include "autotune/sql.h"
#include "autotune/store.h"
#include "runtime/base/sha256.h"
#include "runtime/kernels/format.h"
#include "tests/unit/scratch.h"

static struct tune_provenance provenance = {"test-1", "generator", "13.0.0"};
static struct tsr_device_info h200 = {.name = "H200",
                                      .arch = "sm_90a",
                                      .emulated = 1,
                                      .capability_major = 9,
                                      .sm_count = 132};
static struct tune_problem problem = {.key = "gemm m=16",
                                      .family = "gemm_w4a8",
                                      .format = "w4c",
                                      .type = "f16",
                                      .arch = "sm_90a",
                                      .n = 64,
                                      .k = 64,
                                      .m = 16};

static struct tune_store *open_store(const char *path)
{
    struct tune_store *store;
    struct tsr_error err = {0};
    if (tune_store_open(&store, path, TUNE_STORE_WRITE, &err))
        fail_msg("%s", err.text);
    return store;
}

/* A row with code of its own: the name makes source, PTX and cubin. */
static int record(struct tune_store *store, const char *name,
                  enum tune_status status, double microseconds, int registers,
                  struct tsr_error *err)
{
    char ptx[64], cubin[64], source[64], sha256[TSR_SHA256_HEX];
    snprintf(source, sizeof source, "source %s", name);
    snprintf(ptx, sizeof ptx, "ptx %s", name);
    snprintf(cubin, sizeof cubin, "cubin %s", name);
    tsr__sha256_hex(source, strlen(source), sha256);
    struct gen_binary binary = {.ptx = ptx,
                                .ptx_size = strlen(ptx),
                                .cubin = cubin,
                                .cubin_size = strlen(cubin),
                                .registers = registers};
    tsr__sha256_hex(cubin, strlen(cubin), binary.cubin_sha256);
    double times[] = {microseconds, microseconds};
    struct tune_attempt attempt = {
        .problem = &problem,
        .device = &h200,
        .configuration = name,
        .entry = "gemm_w4a8",
        .launch = {128, 0, 64, 8, 1},
        .source = source,
        .source_sha256 = sha256,
        .binary = status == TUNE_COMPILE_FAILED ? NULL : &binary,
        .status = status,
        .estimate_us = 1,
        .predicted_us = status == TUNE_PREDICTED ? microseconds : -1,
        .measured_us = status == TUNE_MEASURED ? microseconds : -1,
        .spread_us = status == TUNE_MEASURED ? 0.5 : -1,
        .times = times,
        .samples = status == TUNE_MEASURED ? 2 : 0,
        .verified = "m=16 whole"};
    return tune_store_record(store, &provenance, &attempt, err);
}

static void must_record(struct tune_store *store, const char *name,
                        enum tune_status status, double microseconds,
                        int registers)
{
    struct tsr_error err = {0};
    if (record(store, name, status, microseconds, registers, &err))
        fail_msg("%s", err.text);
}

static const char *text_of(struct tune_store *store, const char *query)
{
    static char text[256];
    sqlite3_stmt *row;
    text[0] = 0;
    assert_int_equal(tune_sql_prepare(tune_store_sql(store), &row, query, ""),
                     SQLITE_OK);
    if (sqlite3_step(row) == SQLITE_ROW)
        snprintf(text, sizeof text, "%s", tune_sql_text(row, 0));
    sqlite3_finalize(row);
    return text;
}

static sqlite3_int64 count(struct tune_store *store, const char *table)
{
    char query[64];
    sqlite3_int64 value = -1;
    snprintf(query, sizeof query, "SELECT count(*) FROM %s", table);
    assert_int_equal(tune_sql_integer(tune_store_sql(store), &value, query, ""),
                     SQLITE_ROW);
    return value;
}

#define WINNER "SELECT configuration FROM winner"

/* ---- winners ------------------------------------------------------------ */

static void the_fastest_verified_row_wins(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "slow", TUNE_PREDICTED, 9, 32);
    must_record(store, "fast", TUNE_PREDICTED, 3, 64);
    must_record(store, "wrong", TUNE_WRONG, 1, 32);
    must_record(store, "fault", TUNE_FINDING, 1, 32);
    assert_string_equal(text_of(store, WINNER), "fast");
    tune_store_free(store);
}

static void a_measured_row_wins_over_a_faster_predicted_one(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "dreamt", TUNE_PREDICTED, 1, 32);
    must_record(store, "measured", TUNE_MEASURED, 50, 32);
    assert_string_equal(text_of(store, WINNER), "measured");
    tune_store_free(store);
}

static void a_tie_goes_to_the_smaller_footprint(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "big", TUNE_MEASURED, 10.0, 128);
    must_record(store, "small", TUNE_MEASURED, 10.4, 64); /* spread 0.5 */
    must_record(store, "smaller but slower", TUNE_MEASURED, 20, 16);
    assert_string_equal(text_of(store, WINNER), "small");
    tune_store_free(store);
}

static void the_newest_word_on_an_identity_counts(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_PREDICTED, 3, 32);
    must_record(store, "b", TUNE_PREDICTED, 9, 32);
    assert_string_equal(text_of(store, WINNER), "a");
    must_record(store, "a", TUNE_WRONG, 3, 32); /* found out later */
    assert_string_equal(text_of(store, WINNER), "b");
    assert_int_equal(count(store, "attempt"), 3);
    tune_store_free(store);
}

static void predictions_of_an_older_generator_do_not_compete(void **state)
{
    struct tune_provenance newer = provenance, older = provenance;
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "old", TUNE_PREDICTED, 1, 32);
    newer.generator = "another";
    provenance = newer;
    must_record(store, "new", TUNE_PREDICTED, 9, 32);
    assert_string_equal(text_of(store, WINNER), "new");
    provenance = older;
    must_record(store, "timed", TUNE_MEASURED, 50, 32);
    assert_string_equal(text_of(store, WINNER), "timed");
    tune_store_free(store);
}

static void each_device_has_its_own_winner(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_PREDICTED, 3, 32);
    struct tsr_device_info mine = h200;
    h200.mig = 1;
    must_record(store, "b", TUNE_PREDICTED, 9, 32);
    h200 = mine;
    assert_int_equal(count(store, "winner"), 2);
    tune_store_free(store);
}

/* ---- resuming ----------------------------------------------------------- */

static void a_known_attempt_is_recognised_by_its_identity(void **state)
{
    char sha256[TSR_SHA256_HEX];
    enum tune_status status = TUNE_ILLEGAL;
    struct tune_provenance other = provenance;
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_WRONG, 3, 32);
    tsr__sha256_hex("source a", 8, sha256);
    assert_int_equal(tune_store_known(store, &provenance, &problem, &h200, "a",
                                      sha256, &status, NULL),
                     1);
    assert_int_equal(status, TUNE_WRONG);
    assert_int_equal(tune_store_known(store, &provenance, &problem, &h200, "b",
                                      sha256, &status, NULL),
                     0);
    other.nvrtc = "13.1.0";
    assert_int_equal(tune_store_known(store, &other, &problem, &h200, "a",
                                      sha256, &status, NULL),
                     0);
    other = provenance;
    other.policy = "test-2";
    assert_int_equal(tune_store_known(store, &other, &problem, &h200, "a",
                                      sha256, &status, NULL),
                     0);
    tune_store_free(store);
}

static void a_race_is_done_when_it_was_at_least_as_long(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    assert_int_equal(
        tune_store_race_done(store, &provenance, &problem, &h200, 16, 8, NULL),
        0);
    assert_int_equal(tune_store_race_finish(store, &provenance, &problem, &h200,
                                            16, 8, NULL),
                     0);
    assert_int_equal(
        tune_store_race_done(store, &provenance, &problem, &h200, 16, 8, NULL),
        1);
    assert_int_equal(
        tune_store_race_done(store, &provenance, &problem, &h200, 4, 2, NULL),
        1);
    assert_int_equal(
        tune_store_race_done(store, &provenance, &problem, &h200, 32, 8, NULL),
        0);
    tune_store_free(store);
}

/* A child writes rows and says how many it has committed; it is killed at an
** arbitrary moment, and every row it spoke of must be there. */
static void no_committed_row_is_lost_to_kill_9(void **state)
{
    const char *folder = scratch_folder();
    (void)state;
    for (int round = 0; round < 10; round++) {
        char name[32];
        int pipes[2], said = 0, value;
        snprintf(name, sizeof name, "kill-%d.db", round);
        const char *path = scratch_path(folder, name);
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            struct tune_store *store = open_store(path);
            for (int i = 1;; i++) {
                snprintf(name, sizeof name, "row %d", i);
                if (record(store, name, TUNE_PREDICTED, i, 32, NULL))
                    _exit(1);
                if (write(pipes[1], &i, sizeof i) != sizeof i)
                    _exit(1);
            }
        }
        close(pipes[1]);
        while (said < 5 + 7 * round &&
               read(pipes[0], &value, sizeof value) == sizeof value)
            said = value;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(pipes[0], &value, sizeof value) == sizeof value)
            said = value;
        close(pipes[0]);
        struct tune_store *store = open_store(path);
        assert_true(count(store, "attempt") >= said);
        assert_int_equal(tune_store_verify(store, NULL, NULL, NULL), 0);
        tune_store_free(store);
    }
}

static void several_processes_write_one_file(void **state)
{
    const char *path = scratch_path(scratch_folder(), "shared.db");
    pid_t child[4];
    (void)state;
    for (int c = 0; c < 4; c++) {
        child[c] = fork();
        if (child[c] == 0) {
            struct tune_store *store = open_store(path);
            for (int i = 0; i < 25; i++) {
                char name[48];
                snprintf(name, sizeof name, "writer %d row %d", c, i);
                if (record(store, name, TUNE_PREDICTED, i + 1, 32, NULL))
                    _exit(1);
            }
            tune_store_free(store);
            _exit(0);
        }
    }
    for (int c = 0; c < 4; c++) {
        int status;
        waitpid(child[c], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct tune_store *store = open_store(path);
    assert_int_equal(count(store, "attempt"), 100);
    tune_store_free(store);
}

/* ---- checking ----------------------------------------------------------- */

static void keep_line(void *context, const char *line)
{
    snprintf(context, 1024, "%s", line);
}

static void verify_finds_a_changed_blob_and_a_broken_rule(void **state)
{
    char line[1024] = "";
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_PREDICTED, 3, 32);
    assert_int_equal(tune_store_verify(store, keep_line, line, NULL), 0);
    sqlite3 *db = tune_store_sql(store);
    sqlite3_exec(db, "UPDATE blob SET bytes = x'00' WHERE kind = 'cubin'", NULL,
                 NULL, NULL);
    assert_int_equal(tune_store_verify(store, keep_line, line, NULL), 1);
    assert_non_null(strstr(line, "hash"));
    sqlite3_exec(db, "UPDATE attempt SET verified = ''", NULL, NULL, NULL);
    assert_int_equal(tune_store_verify(store, keep_line, line, NULL), 2);
    assert_non_null(strstr(line, "not verified"));
    tune_store_free(store);
}

static void verify_finds_a_missing_reference(void **state)
{
    char line[1024] = "";
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_PREDICTED, 3, 32);
    sqlite3_exec(tune_store_sql(store),
                 "PRAGMA foreign_keys = OFF; DELETE FROM device", NULL, NULL,
                 NULL);
    assert_true(tune_store_verify(store, keep_line, line, NULL) > 0);
    tune_store_free(store);
}

/* ---- merging and exchanging --------------------------------------------- */

static void merging_twice_adds_nothing(void **state)
{
    const char *folder = scratch_folder();
    const char *first = scratch_path(folder, "first.db");
    sqlite3_int64 added = -1;
    (void)state;
    struct tune_store *store = open_store(first);
    must_record(store, "a", TUNE_PREDICTED, 3, 32);
    must_record(store, "failed", TUNE_COMPILE_FAILED, 3, 32);
    tune_store_free(store);
    store = open_store(scratch_path(folder, "second.db"));
    must_record(store, "b", TUNE_PREDICTED, 2, 32);
    assert_int_equal(tune_store_merge(store, first, &added, NULL), 0);
    assert_int_equal(added, 2);
    assert_int_equal(tune_store_merge(store, first, &added, NULL), 0);
    assert_int_equal(added, 0);
    assert_int_equal(count(store, "attempt"), 3);
    assert_int_equal(count(store, "device"), 1);
    assert_string_equal(text_of(store, WINNER), "b");
    assert_int_equal(tune_store_verify(store, NULL, NULL, NULL), 0);
    tune_store_free(store);
}

static void an_export_imports_to_the_same_rows(void **state)
{
    const char *lines = scratch_path(scratch_folder(), "lines.jsonl");
    sqlite3_int64 added = 0;
    (void)state;
    struct tune_store *store = open_store(":memory:");
    must_record(store, "a", TUNE_PREDICTED, 1.0 / 3, 32);
    must_record(store, "b", TUNE_PREDICTED, 2, 32);
    FILE *file = fopen(lines, "w+");
    assert_non_null(file);
    assert_int_equal(tune_store_export(store, file, NULL), 0);
    rewind(file);
    struct tune_store *copy = open_store(":memory:");
    assert_int_equal(tune_store_import(copy, file, lines, &added, NULL), 0);
    assert_int_equal(added, 2);
    assert_int_equal(tune_store_verify(copy, NULL, NULL, NULL), 0);
    const char *query = "SELECT group_concat(uid || predicted_us, ',') FROM "
                        "(SELECT * FROM attempt WHERE configuration = 'a')";
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s", text_of(store, query));
    assert_string_equal(text_of(copy, query), wanted);
    fclose(file);
    tune_store_free(copy);
    tune_store_free(store);
}

static void a_bad_line_imports_nothing(void **state)
{
    const char *lines = scratch_path(scratch_folder(), "lines.jsonl");
    static const char *const bad[] = {
        "{\"table\": \"device\"}\n", "not json\n", "{\"table\": \"nope\"}\n",
        "{\"table\": \"blob\", \"id\": 1, \"sha256\": \"x\", \"kind\": "
        "\"ptx\", \"size\": 1, \"bytes\": \"not base64!\"}\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tsr_error err = {0};
        sqlite3_int64 added = 0;
        scratch_write(lines, bad[i], strlen(bad[i]));
        FILE *file = fopen(lines, "r");
        struct tune_store *store = open_store(":memory:");
        assert_int_equal(tune_store_import(store, file, lines, &added, &err),
                         TSR_EFORMAT);
        assert_non_null(strstr(err.text, "line 1"));
        assert_int_equal(count(store, "device"), 0);
        tune_store_free(store);
        fclose(file);
    }
}

/* ---- files that are not what they should be ----------------------------- */

static void refuse(const char *path, enum tune_store_mode mode, int code,
                   const char *part)
{
    struct tune_store *store = NULL;
    struct tsr_error err = {0};
    int rc = tune_store_open(&store, path, mode, &err);
    if (rc == 0)
        tune_store_free(store);
    assert_int_equal(rc, code);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void a_foreign_database_is_refused_and_not_touched(void **state)
{
    const char *path = scratch_path(scratch_folder(), "foreign.db");
    sqlite3 *db;
    sqlite3_int64 tables = 0;
    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE diary(day TEXT)", NULL, NULL, NULL);
    sqlite3_close(db);
    refuse(path, TUNE_STORE_WRITE, TSR_EFORMAT, "another program");
    refuse(path, TUNE_STORE_READ, TSR_EFORMAT, "another program");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    tune_sql_integer(db, &tables, "SELECT count(*) FROM sqlite_schema", "");
    assert_int_equal(tables, 1);
    sqlite3_close(db);
}

static void a_newer_database_is_refused_and_not_touched(void **state)
{
    const char *path = scratch_path(scratch_folder(), "newer.db");
    (void)state;
    struct tune_store *store = open_store(path);
    sqlite3_exec(tune_store_sql(store), "PRAGMA user_version = 999", NULL, NULL,
                 NULL);
    tune_store_free(store);
    refuse(path, TUNE_STORE_WRITE, TSR_EUNSUPPORTED, "newer tessera");
}

static void text_and_packages_are_refused_by_name(void **state)
{
    const char *folder = scratch_folder();
    const char *text = scratch_path(folder, "text.db");
    const char *package = scratch_path(folder, "a.tpk");
    char sql[64];
    sqlite3 *db;
    (void)state;
    scratch_write(text, "this is not a database, just some words", 39);
    refuse(text, TUNE_STORE_WRITE, TSR_EFORMAT, "not a tuning database");
    refuse(text, TUNE_STORE_READ, TSR_EFORMAT, "not a tuning database");
    sqlite3_open(package, &db);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; CREATE TABLE x(y)",
             TSR_PACKAGE_APPLICATION);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    refuse(package, TUNE_STORE_WRITE, TSR_EFORMAT, "package");
    refuse(scratch_path(folder, "absent.db"), TUNE_STORE_READ, TSR_EIO,
           "no such database");
    refuse(scratch_path(folder, "no/such/folder.db"), TUNE_STORE_WRITE, TSR_EIO,
           "directory");
}

static void damage_is_reported_not_survived_in_silence(void **state)
{
    const char *path = scratch_path(scratch_folder(), "damaged.db");
    (void)state;
    struct tune_store *store = open_store(path);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "row %d", i);
        must_record(store, name, TUNE_PREDICTED, 3, 32);
    }
    tune_store_free(store);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 4096; at + 64 < size; at += 4096) {
        fseek(file, at, SEEK_SET);
        for (int i = 0; i < 64; i++)
            fputc(0xaa, file);
    }
    fclose(file);
    struct tsr_error err = {0};
    int rc = tune_store_open(&store, path, TUNE_STORE_WRITE, &err);
    if (rc == 0) {
        rc = tune_store_verify(store, NULL, NULL, &err);
        assert_int_not_equal(rc, 0);
        tune_store_free(store);
    } else
        assert_non_null(strstr(err.text, "damaged"));
}

static void a_full_disk_is_said_and_keeps_what_was_committed(void **state)
{
    struct tsr_error err = {0};
    int rows = 0, rc = 0;
    (void)state;
    struct tune_store *store = open_store(":memory:");
    sqlite3_exec(tune_store_sql(store), "PRAGMA max_page_count = 60", NULL,
                 NULL, NULL);
    for (; rc == 0 && rows < 10000; rows++) {
        char name[32];
        snprintf(name, sizeof name, "row %d", rows);
        rc = record(store, name, TUNE_PREDICTED, 3, 32, &err);
    }
    assert_int_equal(rc, TSR_EIO);
    assert_non_null(strstr(err.text, "disk is full"));
    assert_int_equal(count(store, "attempt"), rows - 1);
    tune_store_free(store);
}

static void a_read_only_file_is_said(void **state)
{
    const char *path = scratch_path(scratch_folder(), "fixed.db");
    struct tsr_error err = {0};
    (void)state;
    struct tune_store *store = open_store(path);
    sqlite3_exec(tune_store_sql(store), "PRAGMA query_only = ON", NULL, NULL,
                 NULL);
    assert_int_equal(record(store, "a", TUNE_PREDICTED, 3, 32, &err), TSR_EIO);
    assert_non_null(strstr(err.text, "read-only"));
    tune_store_free(store);
}

/* ---- migration ---------------------------------------------------------- */

static void sections_are_applied_in_order_and_once(void **state)
{
    static const char *const first = "\n-- version 1\nCREATE TABLE a(x);\n";
    static const char *const both =
        "\n-- version 1\nCREATE TABLE a(x);\n"
        "\n-- version 2\nALTER TABLE a ADD COLUMN y DEFAULT 7;\n"
        "\n-- version 3\nUPDATE a SET y = y + 1;\n";
    sqlite3 *db;
    sqlite3_int64 value = 0;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(tune_schema_apply(db, first, NULL), 0);
    sqlite3_exec(db, "INSERT INTO a VALUES(1)", NULL, NULL, NULL);
    assert_int_equal(tune_schema_apply(db, both, NULL), 0);
    assert_int_equal(tune_schema_apply(db, both, NULL), 0);
    tune_sql_integer(db, &value, "SELECT y FROM a", "");
    assert_int_equal(value, 8);
    tune_sql_integer(db, &value, "PRAGMA user_version", "");
    assert_int_equal(value, 3);
    sqlite3_close(db);
}

static void a_failing_section_leaves_the_version_before_it(void **state)
{
    static const char *const schema =
        "\n-- version 1\nCREATE TABLE a(x);\n"
        "\n-- version 2\nCREATE TABLE b(x); CREATE TABLE a(x);\n";
    struct tsr_error err = {0};
    sqlite3 *db;
    sqlite3_int64 value = 0;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_not_equal(tune_schema_apply(db, schema, &err), 0);
    tune_sql_integer(db, &value, "PRAGMA user_version", "");
    assert_int_equal(value, 1);
    tune_sql_integer(db, &value, "SELECT count(*) FROM sqlite_schema", "");
    assert_int_equal(value, 1);
    sqlite3_close(db);
}

static void every_status_has_a_row(void **state)
{
    (void)state;
    struct tune_store *store = open_store(":memory:");
    assert_int_equal(count(store, "status"), TUNE_STATUSES);
    for (int i = 0; i < TUNE_STATUSES; i++) {
        enum tune_status back;
        assert_int_equal(
            tune_status_parse(tune_status_name((enum tune_status)i), &back), 0);
        assert_int_equal(back, i);
    }
    tune_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fastest_verified_row_wins),
        cmocka_unit_test(a_measured_row_wins_over_a_faster_predicted_one),
        cmocka_unit_test(a_tie_goes_to_the_smaller_footprint),
        cmocka_unit_test(the_newest_word_on_an_identity_counts),
        cmocka_unit_test(predictions_of_an_older_generator_do_not_compete),
        cmocka_unit_test(each_device_has_its_own_winner),
        cmocka_unit_test(a_known_attempt_is_recognised_by_its_identity),
        cmocka_unit_test(a_race_is_done_when_it_was_at_least_as_long),
        cmocka_unit_test(no_committed_row_is_lost_to_kill_9),
        cmocka_unit_test(several_processes_write_one_file),
        cmocka_unit_test(verify_finds_a_changed_blob_and_a_broken_rule),
        cmocka_unit_test(verify_finds_a_missing_reference),
        cmocka_unit_test(merging_twice_adds_nothing),
        cmocka_unit_test(an_export_imports_to_the_same_rows),
        cmocka_unit_test(a_bad_line_imports_nothing),
        cmocka_unit_test(a_foreign_database_is_refused_and_not_touched),
        cmocka_unit_test(a_newer_database_is_refused_and_not_touched),
        cmocka_unit_test(text_and_packages_are_refused_by_name),
        cmocka_unit_test(damage_is_reported_not_survived_in_silence),
        cmocka_unit_test(a_full_disk_is_said_and_keeps_what_was_committed),
        cmocka_unit_test(a_read_only_file_is_said),
        cmocka_unit_test(sections_are_applied_in_order_and_once),
        cmocka_unit_test(a_failing_section_leaves_the_version_before_it),
        cmocka_unit_test(every_status_has_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
