/* db.c -- `tessera db show | verify | stats | merge | export | import`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "autotune/exchange.h"
#include "autotune/merge.h"
#include "autotune/search.h"
#include "autotune/sql.h"
#include "autotune/store.h"

static const struct option_spec options[] = {
    {"db", "FILE", "the tuning database (needed)"},
    {"all", NULL, "show: every attempt, not the winners alone"},
    {"json", NULL, "print one JSON object per line"},
    {NULL, NULL, NULL}};

/* A column of a row as JSON. */
static json_t *column_json(sqlite3_stmt *row, int column)
{
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(row, column));
    case SQLITE_FLOAT:
        return command_json_real(sqlite3_column_double(row, column));
    case SQLITE_NULL:
        return json_null();
    }
    return json_string(tune_sql_text(row, column));
}

static json_t *row_json(sqlite3_stmt *row)
{
    json_t *object = json_object();
    for (int c = 0; c < sqlite3_column_count(row); c++)
        json_object_set_new(object, sqlite3_column_name(row, c),
                            column_json(row, c));
    return object;
}

/* ---- show --------------------------------------------------------------- */

#define SHOW_WINNERS                                                           \
    "SELECT key, device_name AS device, emulated, status, microseconds, "      \
    "configuration, is_default, registers, footprint, code_bytes, bound, "     \
    "verified, policy, cubin_sha256, time FROM winner ORDER BY family, n, k, " \
    "m, arch, device"
#define SHOW_ALL                                                           \
    "SELECT problem.key, device.name AS device, emulated, status, "        \
    "coalesce(measured_us, predicted_us) AS microseconds, configuration, " \
    "is_default, binary.registers, spill_bytes, estimate_us, bound, "      \
    "verified, policy, attempt.cubin_sha256, time, error FROM attempt "    \
    "JOIN problem ON problem.id = attempt.problem "                        \
    "JOIN device ON device.id = attempt.device "                           \
    "LEFT JOIN binary ON binary.id = attempt.binary "                      \
    "ORDER BY family, n, k, m, problem.arch, device.name, attempt.id"

static void show_row(sqlite3_stmt *row, int all)
{
    printf("%-10s", tune_sql_text(row, 3));
    if (sqlite3_column_type(row, 4) == SQLITE_NULL)
        printf("%10s   ", "-");
    else
        printf("%10.2f us", sqlite3_column_double(row, 4));
    printf("  %s  [%s]", tune_sql_text(row, 5), tune_sql_text(row, 1));
    if (all && tune_sql_text(row, 15)[0])
        printf("  %s", tune_sql_text(row, 15));
    putchar('\n');
}

static int show(struct command *command, struct tune_store *store)
{
    sqlite3_stmt *row;
    int all = command_option(command, "all") != NULL, status;
    if (tune_sql_prepare(tune_store_sql(store), &row,
                         all ? SHOW_ALL : SHOW_WINNERS, "") != SQLITE_OK)
        return tune_store_fail(store, &command->err, "cannot read");
    while ((status = sqlite3_step(row)) == SQLITE_ROW) {
        if (command->json)
            command_print_json(row_json(row));
        else
            show_row(row, all);
    }
    sqlite3_finalize(row);
    return status == SQLITE_DONE
               ? 0
               : tune_store_fail(store, &command->err, "cannot read");
}

/* ---- verify ------------------------------------------------------------- */

static void complain(void *context, const char *line)
{
    struct command *command = context;
    if (command->json)
        command_print_json(json_pack("{s:s}", "fault", line));
    else
        printf("%s\n", line);
}

/* Texts that this very generator made must come out the same again. */
static int verify_sources(struct command *command, struct tune_store *store,
                          int *checked, int *others)
{
    struct gen_host *host;
    int rc = gen_host_open(&host, NULL, &command->err);
    if (rc)
        return rc;
    rc = tune_sources_verify(store, host, complain, command, checked, others,
                             &command->err);
    gen_host_free(host);
    return rc;
}

static int verify(struct command *command, struct tune_store *store)
{
    sqlite3_int64 attempts = 0, blobs = 0;
    int checked = 0, others = 0, more = 0;
    int faults = tune_store_verify(store, complain, command, &command->err);
    if (faults >= 0)
        more = verify_sources(command, store, &checked, &others);
    if (faults < 0 || more < 0)
        return faults < 0 ? faults : more;
    faults += more;
    if (faults)
        return TSR_FAIL(&command->err, TSR_EFORMAT,
                        "'%s' has %d fault%s; restore a copy, or tune again "
                        "into a new file",
                        tune_store_path(store), faults, faults > 1 ? "s" : "");
    sqlite3 *db = tune_store_sql(store);
    tune_sql_integer(db, &attempts, "SELECT count(*) FROM attempt", "");
    tune_sql_integer(db, &blobs, "SELECT count(*) FROM blob", "");
    if (command->json)
        command_print_json(json_pack("{s:b, s:I, s:I, s:i, s:i}", "ok", 1,
                                     "attempts", (json_int_t)attempts, "blobs",
                                     (json_int_t)blobs, "rendered_again",
                                     checked, "of_other_generators", others));
    else
        printf("%s: %lld attempts, %lld blobs, %d texts rendered again; "
               "everything matches%s\n",
               tune_store_path(store), (long long)attempts, (long long)blobs,
               checked,
               others ? " (texts of other generators were not rendered)" : "");
    return 0;
}

/* ---- stats -------------------------------------------------------------- */

static int stats(struct command *command, struct tune_store *store)
{
    sqlite3_stmt *row;
    sqlite3_int64 measured = 0;
    sqlite3 *db = tune_store_sql(store);
    int status = tune_sql_prepare(
        db, &row,
        "SELECT device.name AS device, emulated, family, status, count(*) AS "
        "attempts, sum(seconds) AS seconds FROM attempt "
        "JOIN problem ON problem.id = attempt.problem "
        "JOIN device ON device.id = attempt.device "
        "GROUP BY device.name, emulated, family, status "
        "ORDER BY device.name, emulated, family, status",
        "");
    if (status != SQLITE_OK)
        return tune_store_fail(store, &command->err, "cannot read");
    while ((status = sqlite3_step(row)) == SQLITE_ROW) {
        if (command->json)
            command_print_json(row_json(row));
        else
            printf("%-16s %-12s %-16s %6s attempts %8.1f s\n",
                   tune_sql_text(row, 0), tune_sql_text(row, 2),
                   tune_sql_text(row, 3), tune_sql_text(row, 4),
                   sqlite3_column_double(row, 5));
    }
    sqlite3_finalize(row);
    if (status != SQLITE_DONE)
        return tune_store_fail(store, &command->err, "cannot read");
    tune_sql_integer(db, &measured,
                     "SELECT count(*) FROM candidate WHERE measured", "");
    if (!measured && !command->json)
        puts("no measured row: how well the cost model predicts cannot be "
             "said");
    return 0;
}

/* ---- merge, export, import ---------------------------------------------- */

static int merge(struct command *command, struct tune_store *store)
{
    for (int i = 1; i < command->word_count; i++) {
        sqlite3_int64 added = 0;
        int rc =
            tune_store_merge(store, command->words[i], &added, &command->err);
        if (rc)
            return rc;
        if (command->json)
            command_print_json(json_pack("{s:s, s:I}", "merged",
                                         command->words[i], "added",
                                         (json_int_t)added));
        else
            printf("%s: %lld new attempts\n", command->words[i],
                   (long long)added);
    }
    return 0;
}

static int export_lines(struct command *command, struct tune_store *store)
{
    return tune_store_export(store, stdout, &command->err);
}

static int import_lines(struct command *command, struct tune_store *store)
{
    sqlite3_int64 added = 0;
    FILE *from = fopen(command->words[1], "r");
    if (!from)
        return TSR_FAIL(&command->err, TSR_EIO, "cannot open '%s'",
                        command->words[1]);
    int rc = tune_store_import(store, from, command->words[1], &added,
                               &command->err);
    fclose(from);
    if (rc == 0)
        printf(command->json ? "{\"added\": %lld}\n" : "%lld new rows\n",
               (long long)added);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(struct command *command, struct tune_store *store);
    enum tune_store_mode mode;
    int words_low, words_high; /* after the name */
} actions[] = {
    {"show", show, TUNE_STORE_READ, 0, 0},
    {"verify", verify, TUNE_STORE_READ, 0, 0},
    {"stats", stats, TUNE_STORE_READ, 0, 0},
    {"merge", merge, TUNE_STORE_WRITE, 1, 1000},
    {"export", export_lines, TUNE_STORE_READ, 0, 0},
    {"import", import_lines, TUNE_STORE_WRITE, 1, 1},
};

static int act(struct command *command, struct tune_store **store)
{
    const char *path;
    const char *name = command->word_count ? command->words[0] : "";
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        int words = command->word_count - 1;
        if (strcmp(actions[i].name, name) != 0)
            continue;
        if (words < actions[i].words_low || words > actions[i].words_high)
            return TSR_FAIL(&command->err, TSR_EUSAGE,
                            "db %s takes %s; see 'tessera db --help'", name,
                            actions[i].words_low ? "a file" : "no more words");
        int rc = command_require(command, "db", &path);
        if (rc == 0)
            rc = tune_store_open(store, path, actions[i].mode, &command->err);
        return rc ? rc : actions[i].run(command, *store);
    }
    return TSR_FAIL(&command->err, TSR_EUSAGE,
                    "%s%s%s; say one of show, verify, stats, merge, export, "
                    "import",
                    *name ? "unknown action '" : "no action", name,
                    *name ? "'" : "");
}

int command_db(int argc, char **argv)
{
    struct command command;
    struct tune_store *store = NULL;
    int status = command_begin(
        &command, argc, argv, options,
        "db show [--all] | verify | stats | merge FILE ... | export | import "
        "FILE  --db FILE",
        "Shows the winners of a tuning database or every attempt, checks "
        "every row and hash, adds another database's rows, or exchanges "
        "everything as JSON lines.");
    if (status >= 0)
        return status;
    int rc = act(&command, &store);
    tune_store_free(store);
    return command_end(&command, rc);
}
