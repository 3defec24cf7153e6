/* pack.c -- `tessera pack`: winners into a package; `tessera pack verify`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/commands/command.h"
#include "autotune/commands/model_keys.h"
#include "autotune/merge.h"
#include "autotune/pack.h"

static const struct option_spec options[] = {
    {"db", "FILE", "tuning database; may be given several times"},
    {"model", "DIR", "folder with config.json, quantised or not (needed)"},
    {"arch", "LIST",
     "architectures: sm_90a,sm_80 (default: those in the "
     "databases)"},
    {"output", "FILE", "the package to write, also -o (needed)"},
    {"weights", "FORMAT",
     "w4c, w4g128 or w4g64 (default: the model's own, "
     "else w4g128)"},
    {"no-ptx", NULL,
     "leave out each kernel's PTX: smaller, but the emulator "
     "cannot run it"},
    {"processes", "N", "compiler processes (default: one per CPU)"},
    {"scripts", "DIR", "gen/lua and templates to use before the built-in ones"},
    {"json", NULL, "print one JSON object per line"},
    {NULL, NULL, NULL}};

struct session {
    struct command command;
    struct gen_host *host;
    struct tune_store *store;
    json_t *config;
    char archs[512]; /* text that pack.archs points into */
    struct tune_pack pack;
};

/* ---- verify ----------------------------------------------------------------
 */

static int verify(struct command *command)
{
    struct tsr_package *package;
    size_t count = 0, tuned = 0;
    if (command->word_count != 2)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "usage: tessera pack verify FILE.tpk");
    const char *path = command->words[1];
    int rc = tsr_package_open(&package, path, &command->err);
    if (rc)
        return rc;
    rc = tsr_package_verify(package, &command->err);
    const struct tsr_kernel_info *row;
    for (; (row = tsr_package_row(package, count)) != NULL; count++)
        tuned += row->device[0] != 0;
    tsr_package_free(package);
    if (rc)
        return rc;
    if (command->json)
        command_print_json(json_pack("{s:s, s:b, s:I, s:I}", "package", path,
                                     "ok", 1, "kernels", (json_int_t)count,
                                     "tuned", (json_int_t)tuned));
    else
        printf("%s: %zu kernels, %zu tuned; every hash matches\n", path, count,
               tuned);
    return 0;
}

/* ---- pack -------------------------------------------------------------------
 */

/* All databases as one; a single one is read where it is. */
static int open_stores(struct session *session)
{
    struct command *command = &session->command;
    const char *first = command_option_at(command, "db", 0), *path;
    sqlite3_int64 added;
    if (!first)
        return TSR_FAIL(&command->err, TSR_EUSAGE,
                        "--db is needed: a database that 'tessera tune' made");
    if (!command_option_at(command, "db", 1))
        return tune_store_open(&session->store, first, TUNE_STORE_READ,
                               &command->err);
    int rc = tune_store_open(&session->store, ":memory:", TUNE_STORE_WRITE,
                             &command->err);
    for (int i = 0;
         rc == 0 && (path = command_option_at(command, "db", i)) != NULL; i++)
        rc = tune_store_merge(session->store, path, &added, &command->err);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The architectures with rows, as "sm_80,sm_90a". */
static int archs_of_store(struct session *session)
{
    sqlite3_stmt *row = NULL;
    sqlite3 *db = tune_store_sql(session->store);
    size_t used = 0;
    int status = sqlite3_prepare_v2(
        db, "SELECT DISTINCT arch FROM winner ORDER BY arch", -1, &row, NULL);
    while (status == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW &&
           used < sizeof session->archs)
        used += (size_t)snprintf(
            session->archs + used, sizeof session->archs - used, "%s%s",
            used ? "," : "", (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    if (!used)
        return TSR_FAIL(&session->command.err, TSR_ENOTFOUND,
                        "'%s' has no winner; tune first, or name --arch",
                        tune_store_path(session->store));
    return 0;
}

static int choose_archs(struct session *session)
{
    struct tune_pack *pack = &session->pack;
    const char *given = command_option(&session->command, "arch");
    char *save = NULL;
    int rc = 0;
    if (given)
        snprintf(session->archs, sizeof session->archs, "%s", given);
    else
        rc = archs_of_store(session);
    if (rc)
        return rc;
    for (char *word = strtok_r(session->archs, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        if (pack->arch_count == TUNE_PACK_ARCHS)
            return TSR_FAIL(&session->command.err, TSR_EUSAGE,
                            "--arch: more than %d architectures",
                            TUNE_PACK_ARCHS);
        pack->archs[pack->arch_count++] = word;
    }
    qsort(pack->archs, pack->arch_count, sizeof *pack->archs, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < pack->arch_count; i++)
        if (!kept || strcmp(pack->archs[kept - 1], pack->archs[i]) != 0)
            pack->archs[kept++] = pack->archs[i];
    pack->arch_count = kept;
    return kept ? 0
                : TSR_FAIL(&session->command.err, TSR_EUSAGE,
                           "--arch names no architecture");
}

/* The last component of a path, without trailing slashes. */
static const char *base_name(const char *path, char *copy, size_t size)
{
    snprintf(copy, size, "%s", path);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = 0;
    const char *slash = strrchr(copy, '/');
    return slash && slash[1] ? slash + 1 : copy;
}

static int prepare(struct session *session, const char **output)
{
    struct command *command = &session->command;
    const char *model, *weights = NULL;
    long long workers = 0;
    int rc = command_require(command, "model", &model);
    if (rc == 0)
        rc = command_require(command, "output", output);
    if (rc == 0 && command->word_count)
        rc = TSR_FAIL(&command->err, TSR_EUSAGE, "unknown word '%s'",
                      command->words[0]);
    if (rc == 0)
        rc = command_integer(command, "processes", 0, 1024, &workers);
    if (rc == 0)
        rc = model_config_load(model, &session->config, &command->err);
    if (rc == 0)
        rc = model_weights(session->config, command_option(command, "weights"),
                           &weights, &command->err);
    if (rc == 0)
        rc = gen_host_open(&session->host, command_option(command, "scripts"),
                           &command->err);
    if (rc == 0)
        rc = open_stores(session);
    if (rc == 0)
        rc = choose_archs(session);
    session->pack.host = session->host;
    session->pack.store = session->store;
    session->pack.config = session->config;
    session->pack.weights = weights;
    session->pack.processes = (int)workers;
    session->pack.no_ptx = command_option(command, "no-ptx") != NULL;
    return rc;
}

static int pack(struct session *session)
{
    struct tune_pack_summary made;
    const char *output = NULL;
    char name[256];
    int rc = prepare(session, &output);
    if (rc)
        return rc;
    session->pack.output = output;
    session->pack.model_name = base_name(
        command_option(&session->command, "model"), name, sizeof name);
    rc = tune_pack_write(&session->pack, &made, &session->command.err);
    if (rc)
        return rc;
    if (session->command.json)
        command_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "package", output, "tuned",
            (json_int_t)made.tuned, "defaults", (json_int_t)made.defaults,
            "baselines", (json_int_t)made.baselines, "shapes",
            (json_int_t)made.shapes, "covered", (json_int_t)made.covered,
            "bytes", (json_int_t)made.bytes));
    else
        printf("%s: %zu tuned kernels, %zu defaults, %zu baselines for %zu "
               "architecture%s; %zu of %zu shapes have a tuned kernel; %.1f "
               "KiB\n",
               output, made.tuned, made.defaults, made.baselines,
               session->pack.arch_count,
               session->pack.arch_count == 1 ? "" : "s", made.covered,
               made.shapes, (double)made.bytes / 1024);
    return 0;
}

int command_pack(int argc, char **argv)
{
    struct session session = {0};
    int status = command_begin(
        &session.command, argc, argv, options,
        "pack --db FILE --model DIR -o FILE.tpk | pack verify FILE.tpk",
        "Puts the winners of tuning databases, a default configuration for "
        "every shape and baseline PTX into one file that the runtime loads "
        "without a compiler. The same inputs give the same bytes. 'pack "
        "verify' checks every hash in a package.");
    if (status >= 0)
        return status;
    struct command *command = &session.command;
    int rc = command->word_count && strcmp(command->words[0], "verify") == 0
                 ? verify(command)
                 : pack(&session);
    tune_store_free(session.store);
    if (session.host)
        gen_host_free(session.host);
    json_decref(session.config);
    return command_end(command, rc);
}
