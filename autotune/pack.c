/* pack.c -- what goes into a package. */
#include "autotune/pack.h"

#include <stdlib.h>
#include <string.h>

#include "autotune/package_writer.h"
#include "autotune/sql.h"
#include "runtime/base/memory.h"

/* Any GPU since Ampere takes PTX of this architecture. */
#define BASELINE_ARCH    "sm_80"
#define BASELINE_VIRTUAL "compute_80"

/* Buckets that get a default: small, medium and large numbers of rows are
** different work, and an untuned kernel should still be sensible. */
static const uint32_t default_buckets[] = {16, 64, 256, 2048};
enum { DEFAULT_BUCKETS = sizeof default_buckets / sizeof *default_buckets };

/* Strings and blobs that rows point at. */
struct owned {
    void **item;
    size_t count, capacity;
};

struct packing {
    const struct tune_pack *pack;
    struct tune_pack_summary *summary;
    struct tune_package_row *rows;
    size_t row_count, row_capacity;
    struct owned owned;
    char nvrtc[16];
};

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory making a package");
}

/* Keeps a heap block until the package is written; NULL when that fails. */
static void *keep(struct packing *p, void *block)
{
    if (!block)
        return NULL;
    if (tsr__grow((void **)&p->owned.item, &p->owned.capacity,
                  p->owned.count + 1, sizeof *p->owned.item)) {
        tsr__free(block);
        return NULL;
    }
    p->owned.item[p->owned.count++] = block;
    return block;
}

static const char *keep_text(struct packing *p, const char *text)
{
    return keep(p, tsr__strdup(text));
}

static void *keep_bytes(struct packing *p, const void *bytes, size_t size)
{
    void *copy = keep(p, tsr__malloc(size));
    if (copy)
        memcpy(copy, bytes, size);
    return copy;
}

static struct tune_package_row *add_row(struct packing *p)
{
    if (tsr__grow((void **)&p->rows, &p->row_capacity, p->row_count + 1,
                  sizeof *p->rows))
        return NULL;
    struct tune_package_row *row = &p->rows[p->row_count];
    memset(row, 0, sizeof *row);
    p->row_count++;
    return row;
}

/* The shape of a problem into a row; strings live as long as `p`. */
static int fill_shape(struct packing *p, struct tune_package_row *row,
                      const struct tune_problem *problem)
{
    row->family = keep_text(p, problem->family);
    row->format = keep_text(p, problem->format);
    row->type = keep_text(p, problem->type);
    row->arch = keep_text(p, problem->arch);
    row->n = problem->n;
    row->k = problem->k;
    row->m = problem->m;
    row->bias = problem->bias;
    return row->family && row->format && row->type && row->arch ? 0 : -1;
}

/* A blob of the databases; 0 bytes when it is not there. */
static int blob_of(struct packing *p, const char *sha256, const void **bytes,
                   size_t *size, struct tsr_error *err)
{
    sqlite3_stmt *row;
    char hex[TSR_SHA256_HEX];
    int status = tune_sql_prepare(tune_store_sql(p->pack->store), &row,
                                  "SELECT bytes FROM blob WHERE sha256 = ?",
                                  "s", sha256);
    if (status == SQLITE_OK)
        status = sqlite3_step(row);
    if (status != SQLITE_ROW) {
        sqlite3_finalize(row);
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' lacks blob %.12s; 'tessera db verify' says more",
                        tune_store_path(p->pack->store), sha256);
    }
    *size = (size_t)sqlite3_column_bytes(row, 0);
    *bytes = keep_bytes(p, sqlite3_column_blob(row, 0), *size);
    sqlite3_finalize(row);
    if (!*bytes)
        return no_memory(err);
    tsr__sha256_hex(*bytes, *size, hex);
    if (strcmp(hex, sha256) != 0)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s' is damaged: blob %.12s hashes to %.12s; tune "
                        "again or restore a copy",
                        tune_store_path(p->pack->store), sha256, hex);
    return 0;
}

/* ---- winners ------------------------------------------------------------ */

static const char *winner_provenance(struct packing *p, sqlite3_stmt *w)
{
    static const char *const names[] = {"policy",  "generator", "nvrtc",
                                        "tessera", "time",      "verified"};
    json_t *object = json_object();
    for (int i = 0; i < 6; i++)
        json_object_set_new(object, names[i],
                            json_string(tune_sql_text(w, 12 + i)));
    json_object_set_new(object, "driver",
                        json_integer(sqlite3_column_int64(w, 18)));
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    const char *kept = text ? keep_text(p, text) : NULL;
    free(text);
    json_decref(object);
    return kept;
}

static int add_winner(struct packing *p, const struct tune_problem *problem,
                      sqlite3_stmt *w, struct tsr_error *err)
{
    struct tune_package_row row = {.kind = "tuned"};
    if (fill_shape(p, &row, problem))
        return no_memory(err);
    row.m = (uint32_t)sqlite3_column_int64(w, 0);
    row.device = keep_text(p, tune_sql_text(w, 1));
    row.sm_count = sqlite3_column_int(w, 2);
    row.mig = sqlite3_column_int(w, 3);
    row.measured = sqlite3_column_int(w, 4);
    row.microseconds = sqlite3_column_double(w, 5);
    row.spec = keep_text(p, tune_sql_text(w, 6));
    row.entry = keep_text(p, tune_sql_text(w, 7));
    row.launch = (struct gen_launch){
        sqlite3_column_int(w, 8), sqlite3_column_int(w, 9),
        sqlite3_column_int(w, 10), sqlite3_column_int(w, 11),
        sqlite3_column_int(w, 19)};
    row.provenance = winner_provenance(p, w);
    if (!row.device || !row.spec || !row.entry || !row.provenance)
        return no_memory(err);
    int rc = blob_of(p, tune_sql_text(w, 20), &row.cubin, &row.cubin_size, err);
    if (rc == 0 && !p->pack->no_ptx)
        rc = blob_of(p, tune_sql_text(w, 21), &row.ptx, &row.ptx_size, err);
    if (rc)
        return rc;
    struct tune_package_row *slot = add_row(p);
    if (!slot)
        return no_memory(err);
    *slot = row;
    p->summary->tuned++;
    return 0;
}

/* Winners of all buckets and devices of a shape on one architecture. */
static int add_winners(struct packing *p, const struct tune_problem *problem,
                       struct tsr_error *err)
{
    sqlite3_stmt *w;
    size_t before = p->row_count;
    int rc = 0, status;
    /* ORDER WINNER COLUMNS: add_winner reads them by number. */
    status = tune_sql_prepare(
        tune_store_sql(p->pack->store), &w,
        "SELECT m, device_name, sm_count, mig, measured, microseconds, "
        "configuration, entry, threads, shared, tile_n, tile_m, policy, "
        "generator, nvrtc, tessera, time, verified, driver_version, split_k, "
        "cubin_sha256, ptx_sha256 FROM winner WHERE family = ? AND "
        "format = ? AND type = ? AND n = ? AND k = ? AND bias = ? AND "
        "arch = ? ORDER BY m, device_name, sm_count, mig",
        "sssiiis", problem->family, problem->format, problem->type,
        (int64_t)problem->n, (int64_t)problem->k, (int64_t)problem->bias,
        problem->arch);
    if (status != SQLITE_OK)
        return tune_store_fail(p->pack->store, err, "cannot read");
    while (rc == 0 && (status = sqlite3_step(w)) == SQLITE_ROW)
        rc = add_winner(p, problem, w, err);
    if (rc == 0 && status != SQLITE_DONE)
        rc = tune_store_fail(p->pack->store, err, "cannot read");
    sqlite3_finalize(w);
    p->summary->covered += p->row_count > before;
    return rc;
}

/* ---- defaults ----------------------------------------------------------- */

/* A default that is to be compiled: which row, which source. */
struct standard {
    size_t problem;
    int source;
    char *spec;
    struct gen_launch launch;
};

struct standards {
    struct standard *item;
    size_t count;
    struct tune_sources sources;
};

static int plan_standard(const struct tune_pack *pack,
                         const struct tune_problem *problem,
                         struct standard *out, struct tune_sources *sources,
                         struct tsr_error *err)
{
    struct tune_candidates one = {0};
    /* Limit 0 plans the default alone. */
    int rc =
        tune_candidates_plan(&one, sources, pack->host, problem->key, 0, err);
    if (rc)
        return tsr__fail_context(err, rc, "%s", problem->key);
    if (one.item[0].source < 0)
        rc = TSR_FAIL(err, TSR_EFORMAT, "%s: the default configuration: %s",
                      problem->key, one.item[0].error);
    else {
        out->source = one.item[0].source;
        out->spec = one.item[0].spec;
        out->launch = one.item[0].launch;
        one.item[0].spec = NULL;
    }
    tune_candidates_release(&one);
    return rc;
}

static const char *standard_provenance(struct packing *p)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "generator", gen_host_hash(p->pack->host),
                  "nvrtc", p->nvrtc, "tessera", TSR_VERSION);
    char *text =
        object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    const char *kept = text ? keep_text(p, text) : NULL;
    free(text);
    json_decref(object);
    return kept;
}

static int add_standard(struct packing *p, const struct tune_problem *problem,
                        const struct standard *standard,
                        const struct tune_source *source, int baseline,
                        struct tsr_error *err)
{
    const struct gen_binary *binary = &source->result.binary;
    struct tune_package_row row = {.kind = baseline ? "baseline" : "default",
                                   .device = "",
                                   .launch = standard->launch};
    if (source->result.code)
        return TSR_FAIL(err, source->result.code, "%s: %s", standard->spec,
                        source->result.error.text);
    if (fill_shape(p, &row, problem))
        return no_memory(err);
    row.spec = keep_text(p, standard->spec);
    row.entry = keep_text(p, source->entry);
    row.provenance = standard_provenance(p);
    if (baseline)
        row.arch = BASELINE_VIRTUAL;
    else {
        row.cubin = keep_bytes(p, binary->cubin, binary->cubin_size);
        row.cubin_size = binary->cubin_size;
    }
    if (baseline || !p->pack->no_ptx) {
        row.ptx = keep_bytes(p, binary->ptx, binary->ptx_size);
        row.ptx_size = binary->ptx_size;
    }
    struct tune_package_row *slot = add_row(p);
    if (!row.spec || !row.entry || !row.provenance || !slot)
        return no_memory(err);
    *slot = row;
    *(baseline ? &p->summary->baselines : &p->summary->defaults) += 1;
    return 0;
}

static void standards_release(struct standards *standards)
{
    for (size_t i = 0; i < standards->count; i++)
        tsr__free(standards->item[i].spec);
    tsr__free(standards->item);
    tune_sources_release(&standards->sources);
}

/* Defaults of all shapes on one architecture, as cubins or as baseline PTX. */
static int add_standards(struct packing *p, const char *arch, int baseline,
                         struct tsr_error *err)
{
    const struct tune_pack *pack = p->pack;
    struct standards standards = {0};
    struct tune_problem *problems = NULL;
    size_t count = 0;
    int rc = tune_model_problems(pack->host, pack->config, pack->weights, arch,
                                 default_buckets, DEFAULT_BUCKETS, &problems,
                                 &count, err);
    if (rc)
        return rc;
    standards.item = tsr__calloc(count, sizeof *standards.item);
    standards.count = standards.item ? count : 0;
    if (!standards.item)
        rc = no_memory(err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = plan_standard(pack, &problems[i], &standards.item[i],
                           &standards.sources, err);
    if (rc == 0)
        rc = tune_sources_compile(&standards.sources, arch, pack->processes,
                                  NULL, NULL, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_standard(p, &problems[i], &standards.item[i],
                          &standards.sources.item[standards.item[i].source],
                          baseline, err);
    standards_release(&standards);
    tune_problems_free(problems, count);
    return rc;
}

/* ---- the package -------------------------------------------------------- */

static int add_arch(struct packing *p, const char *arch, struct tsr_error *err)
{
    static const uint32_t any_bucket[] = {1};
    struct tune_problem *shapes = NULL;
    size_t count = 0;
    int rc =
        tune_model_problems(p->pack->host, p->pack->config, p->pack->weights,
                            arch, any_bucket, 1, &shapes, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_winners(p, &shapes[i], err);
    p->summary->shapes += count;
    tune_problems_free(shapes, count);
    if (rc == 0)
        rc = add_standards(p, arch, 0, err);
    return rc;
}

static json_t *manifest_of(const struct packing *p)
{
    const struct tune_pack *pack = p->pack;
    char archs[256] = "";
    for (size_t i = 0; i < pack->arch_count; i++) {
        strncat(archs, i ? " " : "", sizeof archs - strlen(archs) - 1);
        strncat(archs, pack->archs[i], sizeof archs - strlen(archs) - 1);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "model",
                     pack->model_name, "weights", pack->weights, "archs", archs,
                     "generator", gen_host_hash(pack->host), "nvrtc", p->nvrtc,
                     "tessera", TSR_VERSION);
}

int tune_pack_write(const struct tune_pack *pack,
                    struct tune_pack_summary *summary, struct tsr_error *err)
{
    struct tune_pack_summary made = {0};
    struct packing p = {.pack = pack, .summary = &made};
    json_t *manifest = NULL;
    int rc = gen_nvrtc_version(p.nvrtc, NULL, err);
    for (size_t i = 0; rc == 0 && i < pack->arch_count; i++)
        rc = add_arch(&p, pack->archs[i], err);
    if (rc == 0)
        rc = add_standards(&p, BASELINE_ARCH, 1, err);
    if (rc == 0) {
        manifest = manifest_of(&p);
        rc = manifest ? tune_package_write(pack->output, p.rows, p.row_count,
                                           manifest, &made.bytes, err)
                      : no_memory(err);
    }
    json_decref(manifest);
    for (size_t i = 0; i < p.owned.count; i++)
        tsr__free(p.owned.item[i]);
    tsr__free(p.owned.item);
    tsr__free(p.rows);
    if (rc == 0)
        *summary = made;
    return rc;
}
