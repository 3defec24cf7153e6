/* store.c -- writing attempts. One call, one transaction. */
#include "autotune/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "autotune/sql.h"
#include "autotune/store_internal.h"
#include "runtime/base/buffer.h"
#include "runtime/base/memory.h"

static const struct {
    const char *name, *meaning;
} statuses[TUNE_STATUSES] = {
#define X(symbol, name, meaning) {name, meaning},
    TUNE_STATUS_LIST(X)
#undef X
};

const char *tune_status_name(enum tune_status status)
{
    return (unsigned)status < TUNE_STATUSES ? statuses[status].name : "unknown";
}

const char *tune_status_meaning(enum tune_status status)
{
    return statuses[status].meaning;
}

int tune_status_parse(const char *name, enum tune_status *out)
{
    for (int i = 0; i < TUNE_STATUSES; i++)
        if (strcmp(name, statuses[i].name) == 0) {
            *out = (enum tune_status)i;
            return 0;
        }
    return -1;
}

/* ---- problems ----------------------------------------------------------- */

static char *field_text(const json_t *fields, const char *name)
{
    const char *text = json_string_value(json_object_get(fields, name));
    return tsr__strdup(text ? text : "");
}

static uint32_t field_number(const json_t *fields, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(fields, name));
    return value > 0 && value <= INT32_MAX ? (uint32_t)value : 0;
}

int tune_problem_parse(struct gen_host *host, const char *const *words,
                       int count, struct tune_problem *out,
                       struct tsr_error *err)
{
    json_t *list = json_array(), *result = NULL;
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(words[i]));
    json_t *argument = json_pack("{s:o}", "words", list);
    int rc = argument
                 ? gen_host_call(host, "spec.parse", argument, &result, err)
                 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    json_decref(argument);
    if (rc)
        return rc;
    const json_t *fields = json_object_get(result, "fields");
    int is_gemm = json_object_get(fields, "n") != NULL;
    struct tune_problem made = {
        .key = field_text(result, "key"),
        .family = field_text(result, "family"),
        .format = field_text(fields, "format"),
        .type = field_text(fields, is_gemm ? "out" : "dtype"),
        .arch = field_text(fields, "arch"),
        .n = field_number(fields, "n"),
        .k = field_number(fields, "k"),
        .m = field_number(fields, "m"),
        .bias = (int)field_number(fields, "bias")};
    json_decref(result);
    if (!made.key || !made.family || !made.format || !made.type || !made.arch) {
        tune_problem_release(&made);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    *out = made;
    return 0;
}

void tune_problem_release(struct tune_problem *problem)
{
    tsr__free(problem->key);
    tsr__free(problem->family);
    tsr__free(problem->format);
    tsr__free(problem->type);
    tsr__free(problem->arch);
    memset(problem, 0, sizeof *problem);
}

/* ---- rows that attempts refer to ---------------------------------------- */

static int device_identity(const struct tsr_device_info *info, char *text,
                           size_t size)
{
    return snprintf(text, size,
                    "%s|%s|%d.%d|sm=%d|clock=%d|memory_clock=%d|memory=%zu|"
                    "l2=%zu|driver=%d|emulated=%d|mig=%d",
                    info->name, info->arch, info->capability_major,
                    info->capability_minor, info->sm_count, info->clock_khz,
                    info->memory_clock_khz, info->memory_bytes, info->l2_bytes,
                    info->driver_version, info->emulated, info->mig);
}

static int device_id(struct tune_store *store,
                     const struct tsr_device_info *info, int write,
                     sqlite3_int64 *id)
{
    char identity[512];
    device_identity(info, identity, sizeof identity);
    int status = SQLITE_OK;
    if (write)
        status = tune_sql_run(
            store->db,
            "INSERT INTO device(identity, name, arch, capability, sm_count, "
            "clock_khz, memory_clock_khz, memory_bytes, l2_bytes, "
            "driver_version, emulated, mig) VALUES(?,?,?,?,?,?,?,?,?,?,?,?) "
            "ON CONFLICT DO NOTHING",
            "sssiiiiiiiii", identity, info->name, info->arch,
            (int64_t)(info->capability_major * 10 + info->capability_minor),
            (int64_t)info->sm_count, (int64_t)info->clock_khz,
            (int64_t)info->memory_clock_khz, (int64_t)info->memory_bytes,
            (int64_t)info->l2_bytes, (int64_t)info->driver_version,
            (int64_t) !!info->emulated, (int64_t) !!info->mig);
    if (status != SQLITE_OK)
        return status;
    return tune_sql_integer(store->db, id,
                            "SELECT id FROM device WHERE identity = ?", "s",
                            identity);
}

static int problem_id(struct tune_store *store,
                      const struct tune_problem *problem, int write,
                      sqlite3_int64 *id)
{
    int status = SQLITE_OK;
    if (write)
        status = tune_sql_run(
            store->db,
            "INSERT INTO problem(key, family, format, type, n, k, bias, m, "
            "arch) VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            "ssssiiiis", problem->key, problem->family, problem->format,
            problem->type, (int64_t)problem->n, (int64_t)problem->k,
            (int64_t)problem->bias, (int64_t)problem->m, problem->arch);
    if (status != SQLITE_OK)
        return status;
    return tune_sql_integer(store->db, id,
                            "SELECT id FROM problem WHERE key = ?", "s",
                            problem->key);
}

static int add_blob(struct tune_store *store, const char *kind,
                    const void *bytes, size_t size, const char *sha256)
{
    return tune_sql_run(store->db,
                        "INSERT INTO blob(sha256, kind, size, bytes) "
                        "VALUES(?,?,?,?) ON CONFLICT DO NOTHING",
                        "ssib", sha256, kind, (int64_t)size, bytes, size);
}

static int binary_id(struct tune_store *store,
                     const struct tune_provenance *provenance,
                     const struct tune_attempt *attempt, sqlite3_int64 *id)
{
    static const struct gen_binary none = {0};
    const struct gen_binary *binary = attempt->binary ? attempt->binary : &none;
    int compiled = attempt->binary != NULL;
    char ptx[TSR_SHA256_HEX] = "";
    int status = add_blob(store, "source", attempt->source,
                          strlen(attempt->source), attempt->source_sha256);
    if (status == SQLITE_OK && compiled) {
        tsr__sha256_hex(binary->ptx, binary->ptx_size, ptx);
        status = add_blob(store, "ptx", binary->ptx, binary->ptx_size, ptx);
    }
    if (status == SQLITE_OK && compiled)
        status = add_blob(store, "cubin", binary->cubin, binary->cubin_size,
                          binary->cubin_sha256);
    if (status == SQLITE_OK)
        status = tune_sql_run(
            store->db,
            "INSERT INTO binary(source_sha256, arch, nvrtc, ptx_sha256, "
            "cubin_sha256, registers, spill_bytes, stack_bytes, "
            "shared_static, code_bytes, c75xx, compile_ms) "
            "VALUES(?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            "sssssiiiiiir", attempt->source_sha256, attempt->problem->arch,
            provenance->nvrtc, compiled ? ptx : NULL,
            compiled ? binary->cubin_sha256 : NULL, (int64_t)binary->registers,
            (int64_t)binary->spill_bytes, (int64_t)binary->stack_bytes,
            (int64_t)binary->shared_static, (int64_t)binary->code_bytes,
            (int64_t)binary->c75xx, binary->compile_ms);
    if (status != SQLITE_OK)
        return status;
    return tune_sql_integer(store->db, id,
                            "SELECT id FROM binary WHERE source_sha256 = ? "
                            "AND arch = ? AND nvrtc = ?",
                            "sss", attempt->source_sha256,
                            attempt->problem->arch, provenance->nvrtc);
}

/* ---- attempts ----------------------------------------------------------- */

static void utc_now(char text[40])
{
    struct timeval now;
    struct tm parts;
    char micro[16];
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &parts);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(micro, sizeof micro, ".%06ldZ", (long)now.tv_usec);
    strcat(text, micro);
}

static void times_json(const struct tune_attempt *attempt,
                       struct tsr_buffer *out)
{
    tsr__buffer_addf(out, "[");
    for (int i = 0; i < attempt->samples; i++)
        tsr__buffer_addf(out, "%s%.6g", i ? "," : "", attempt->times[i]);
    tsr__buffer_addf(out, "]");
}

/* Distinguishes this row from every other that was ever written anywhere. */
static void attempt_uid(const struct tune_provenance *provenance,
                        const struct tune_attempt *attempt, const char *host,
                        const char *time, char hex[TSR_SHA256_HEX])
{
    char device[512], number[64];
    device_identity(attempt->device, device, sizeof device);
    snprintf(number, sizeof number, "%ld %a %a", (long)getpid(),
             attempt->predicted_us, attempt->measured_us);
    const char *parts[] = {attempt->problem->key,
                           attempt->configuration,
                           attempt->binary ? attempt->binary->cubin_sha256 : "",
                           device,
                           tune_status_name(attempt->status),
                           provenance->policy,
                           provenance->generator,
                           provenance->nvrtc,
                           host,
                           time,
                           number};
    unsigned char digest[TSR_SHA256_BYTES];
    struct tsr_sha256 sha;
    tsr__sha256_init(&sha);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        tsr__sha256_add(&sha, parts[i], strlen(parts[i]) + 1);
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, hex);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int insert_attempt(struct tune_store *store,
                          const struct tune_provenance *provenance,
                          const struct tune_attempt *a, sqlite3_int64 problem,
                          sqlite3_int64 device, sqlite3_int64 binary)
{
    char uid[TSR_SHA256_HEX], time[40], host[256] = "";
    struct tsr_buffer times = TSR_BUFFER_INIT;
    gethostname(host, sizeof host - 1);
    utc_now(time);
    attempt_uid(provenance, a, host, time, uid);
    times_json(a, &times);
    int status = tune_sql_run(
        store->db,
        "INSERT INTO attempt(uid, problem, configuration, cubin_sha256, "
        "device, binary, is_default, status, error, entry, "
        "threads, shared, tile_n, tile_m, split_k, "
        "estimate_us, predicted_us, measured_us, spread_us, "
        "samples, times, bound, counts, verified, "
        "policy, generator, nvrtc, tessera, host, time, seconds) "
        "VALUES(?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?, ?,?,?,?, ?,?,?,?,?, "
        "?,?,?,?,?,?,?)",
        "sissiIisss"
        "iiiii"
        "RRRR"
        "issss"
        "ssssssr",
        uid, (int64_t)problem, a->configuration,
        a->binary ? a->binary->cubin_sha256 : "", (int64_t)device,
        (int64_t)binary, (int64_t) !!a->is_default, tune_status_name(a->status),
        or_empty(a->error), or_empty(a->entry), (int64_t)a->launch.threads,
        (int64_t)a->launch.shared, (int64_t)a->launch.tile_n,
        (int64_t)a->launch.tile_m, (int64_t)a->launch.split_k, a->estimate_us,
        a->predicted_us, a->measured_us, a->spread_us, (int64_t)a->samples,
        times.data, or_empty(a->bound), or_empty(a->counts),
        or_empty(a->verified), provenance->policy, provenance->generator,
        provenance->nvrtc, TSR_VERSION, host, time, a->seconds);
    tsr__buffer_release(&times);
    return status;
}

int tune_store_record(struct tune_store *store,
                      const struct tune_provenance *provenance,
                      const struct tune_attempt *attempt, struct tsr_error *err)
{
    sqlite3_int64 problem = 0, device = 0, binary = 0;
    int status = sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        status = device_id(store, attempt->device, 1, &device);
    if (status == SQLITE_ROW)
        status = problem_id(store, attempt->problem, 1, &problem);
    if (status == SQLITE_ROW && attempt->source)
        status = binary_id(store, provenance, attempt, &binary);
    if (status == SQLITE_ROW)
        status =
            insert_attempt(store, provenance, attempt, problem, device, binary);
    if (status == SQLITE_OK)
        status = sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (status == SQLITE_OK)
        return 0;
    int rc = tune_store_fail(store, err, "cannot write");
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int tune_store_known(struct tune_store *store,
                     const struct tune_provenance *provenance,
                     const struct tune_problem *problem,
                     const struct tsr_device_info *device,
                     const char *configuration, const char *source_sha256,
                     enum tune_status *status, struct tsr_error *err)
{
    char identity[512];
    sqlite3_stmt *row;
    device_identity(device, identity, sizeof identity);
    int code = tune_sql_prepare(
        store->db, &row,
        "SELECT latest.status FROM latest "
        "JOIN problem ON problem.id = latest.problem "
        "JOIN device ON device.id = latest.device "
        "JOIN binary ON binary.id = latest.binary "
        "WHERE problem.key = ? AND device.identity = ? AND configuration = ? "
        "AND source_sha256 = ? AND latest.nvrtc = ? AND policy = ? "
        "AND (latest.status <> 'predicted' OR generator = ?)",
        "sssssss", problem->key, identity, configuration, source_sha256,
        provenance->nvrtc, provenance->policy, provenance->generator);
    int found = 0;
    if (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW)
        found = tune_status_parse(tune_sql_text(row, 0), status) == 0;
    sqlite3_finalize(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return tune_store_fail(store, err, "cannot read");
    return found;
}

/* ---- races -------------------------------------------------------------- */

int tune_store_race_done(struct tune_store *store,
                         const struct tune_provenance *provenance,
                         const struct tune_problem *problem,
                         const struct tsr_device_info *device, int candidates,
                         int finalists, struct tsr_error *err)
{
    char identity[512];
    sqlite3_int64 found = 0;
    device_identity(device, identity, sizeof identity);
    int status = tune_sql_integer(
        store->db, &found,
        "SELECT count(*) FROM race JOIN problem ON problem.id = race.problem "
        "JOIN device ON device.id = race.device WHERE problem.key = ? AND "
        "device.identity = ? AND policy = ? AND generator = ? AND nvrtc = ? "
        "AND candidates >= ? AND finalists >= ?",
        "sssssii", problem->key, identity, provenance->policy,
        provenance->generator, provenance->nvrtc, (int64_t)candidates,
        (int64_t)finalists);
    if (status != SQLITE_ROW)
        return tune_store_fail(store, err, "cannot read");
    return found > 0;
}

int tune_store_race_finish(struct tune_store *store,
                           const struct tune_provenance *provenance,
                           const struct tune_problem *problem,
                           const struct tsr_device_info *device, int candidates,
                           int finalists, struct tsr_error *err)
{
    sqlite3_int64 problem_row = 0, device_row = 0;
    int status = device_id(store, device, 1, &device_row);
    if (status == SQLITE_ROW)
        status = problem_id(store, problem, 1, &problem_row);
    if (status == SQLITE_ROW)
        status = tune_sql_run(
            store->db,
            "INSERT INTO race(problem, device, policy, generator, nvrtc, "
            "candidates, finalists) VALUES(?,?,?,?,?,?,?) ON CONFLICT DO "
            "NOTHING",
            "iisssii", (int64_t)problem_row, (int64_t)device_row,
            provenance->policy, provenance->generator, provenance->nvrtc,
            (int64_t)candidates, (int64_t)finalists);
    return status == SQLITE_OK ? 0
                               : tune_store_fail(store, err, "cannot write");
}
