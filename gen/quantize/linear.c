/* linear.c -- quantising one fused linear (linear.h has the design). */
#include "gen/quantize/linear.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "gen/quantize/pack.h"
#include "gen/quantize/rtn.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"

enum { STRIPE = TSR_BLOCK_N, THREADS_MAX = 64, COPY_STRIP = 1 << 14 };

int gen_linear_declare(struct gen_linear_job *job, struct gen_writer *writer,
                       const char *name, struct tsr_error *err)
{
    size_t group = tsr__weight_group(job->format);
    size_t packed[3] = {tsr__packed_blocks(job->n), tsr__packed_blocks(job->k),
                        TSR_BLOCK_BYTES};
    size_t row[1] = {job->n};
    size_t grid[2] = {group ? job->k / group : 0, job->n};
    struct {
        int *number;
        const char *suffix;
        enum tsr_dtype dtype;
        int wanted, rank;
        const size_t *shape;
    } list[] = {
        {&job->qweight, "qweight", TSR_U8, 1, 3, packed},
        {&job->scale, group ? "s1" : "s", TSR_F16, 1, 1, row},
        {&job->zero_scale, "zs", TSR_F16, !group, 1, row},
        {&job->s2, "s2", TSR_U8, group != 0, 2, grid},
        {&job->offset, "b", TSR_U8, group != 0, 2, grid},
        {&job->bias, "bias", TSR_F16, job->biases[0] != NULL, 1, row},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char full[256];
        *list[i].number = -1;
        if (!list[i].wanted)
            continue;
        snprintf(full, sizeof full, "%s.%s", name, list[i].suffix);
        int number = gen_writer_declare(writer, full, list[i].dtype,
                                        list[i].rank, list[i].shape, err);
        if (number < 0)
            return number;
        *list[i].number = number;
    }
    return 0;
}

/* What the threads share. */
struct work {
    const struct gen_linear_job *job;
    struct gen_writer *writer;
    uint16_t *scale, *zero_scale; /* [n] */
    uint8_t *s2, *offset;         /* [k / group][n] */
    double *error, *power;        /* [n] */
    size_t stripes;
    atomic_size_t next;
    atomic_int stop;
    pthread_mutex_t lock; /* of what follows */
    int rc;
    struct tsr_error err;
};

/* Each thread's own memory. */
struct desk {
    float *row, *scratch; /* [k] */
    uint8_t *codes;       /* [STRIPE][k] */
    uint8_t *packed;
};

static void fail(struct work *work, const struct tsr_error *err)
{
    pthread_mutex_lock(&work->lock);
    if (!work->rc) {
        work->rc = err->code;
        work->err = *err;
    }
    atomic_store(&work->stop, 1);
    pthread_mutex_unlock(&work->lock);
}

/* The tensor that row `*n` of the stack lies in; *n becomes its row there. */
static const struct tsr_tensor *find_part(const struct gen_linear_job *job,
                                          size_t *n)
{
    int part = 0;
    while (*n >= job->weights[part]->shape[0])
        *n -= job->weights[part++]->shape[0];
    return job->weights[part];
}

static int quantize_row(struct work *work, struct desk *desk, size_t n,
                        uint8_t *codes, struct tsr_error *err)
{
    const struct gen_linear_job *job = work->job;
    size_t local = n;
    const struct tsr_tensor *part = find_part(job, &local);
    struct gen_row row = {
        .codes = codes,
        .scale = work->scale + n,
        .zero_scale = work->zero_scale + n,
        .s2 = work->s2 ? work->s2 + n : NULL,
        .offset = work->offset ? work->offset + n : NULL,
        .stride = job->n,
    };
    tsr__tensor_floats(part, local * job->k, job->k, desk->row);
    enum gen_row_fault fault =
        gen_rtn_row(job->format, desk->row, job->k, desk->scratch, &row);
    if (fault)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s': tensor '%s' [%zu, %zu] %s",
                        part->file, part->name, local, row.at,
                        gen_row_fault_text(fault));
    work->error[n] = row.error;
    work->power[n] = row.power;
    return 0;
}

static int quantize_stripe(struct work *work, struct desk *desk, size_t stripe,
                           struct tsr_error *err)
{
    const struct gen_linear_job *job = work->job;
    size_t first = stripe * STRIPE, k = job->k;
    size_t rows = job->n - first < STRIPE ? job->n - first : STRIPE;
    for (size_t i = 0; i < rows; i++) {
        int rc = quantize_row(work, desk, first + i, desk->codes + i * k, err);
        if (rc)
            return rc;
    }
    size_t bytes = tsr__packed_bytes(STRIPE, k);
    gen_pack_codes(desk->codes, rows, k, desk->packed);
    return gen_writer_put(work->writer, job->qweight, stripe * bytes,
                          desk->packed, bytes, err);
}

static void *worker(void *argument)
{
    struct work *work = argument;
    struct tsr_error err;
    size_t k = work->job->k;
    struct desk desk = {.row = tsr__malloc(k * sizeof(float)),
                        .scratch = tsr__malloc(k * sizeof(float)),
                        .codes = tsr__malloc(STRIPE * k),
                        .packed = tsr__malloc(tsr__packed_bytes(STRIPE, k))};
    if (!desk.row || !desk.scratch || !desk.codes || !desk.packed) {
        TSR_FAIL(&err, TSR_EMEMORY, "out of memory");
        fail(work, &err);
    }
    while (!atomic_load(&work->stop)) {
        size_t stripe = atomic_fetch_add(&work->next, 1);
        if (stripe >= work->stripes)
            break;
        if (quantize_stripe(work, &desk, stripe, &err))
            fail(work, &err);
    }
    tsr__free(desk.row);
    tsr__free(desk.scratch);
    tsr__free(desk.codes);
    tsr__free(desk.packed);
    return NULL;
}

static void run_workers(struct work *work, int threads)
{
    pthread_t others[THREADS_MAX];
    int started = 0, wanted = threads < THREADS_MAX ? threads : THREADS_MAX;
    while (started + 1 < wanted && (size_t)started + 1 < work->stripes &&
           pthread_create(&others[started], NULL, worker, work) == 0)
        started++;
    worker(work);
    for (int i = 0; i < started; i++)
        pthread_join(others[i], NULL);
}

/* The small arrays, once all stripes are done. */
static int write_scales(struct work *work, struct tsr_error *err)
{
    const struct gen_linear_job *job = work->job;
    size_t n = job->n, group = tsr__weight_group(job->format);
    size_t cells = group ? job->k / group * n : 0;
    struct {
        int number;
        const void *bytes;
        size_t size;
    } list[] = {{job->scale, work->scale, 2 * n},
                {job->zero_scale, work->zero_scale, 2 * n},
                {job->s2, work->s2, cells},
                {job->offset, work->offset, cells}};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof list / sizeof list[0]; i++)
        if (list[i].number >= 0)
            rc = gen_writer_put(work->writer, list[i].number, 0, list[i].bytes,
                                list[i].size, err);
    size_t at = 0;
    for (int i = 0; !rc && job->bias >= 0 && i < job->parts; i++) {
        rc = gen_copy_half(job->biases[i], work->writer, job->bias, at, err);
        at += 2 * job->biases[i]->count;
    }
    return rc;
}

static int allocate(struct work *work)
{
    const struct gen_linear_job *job = work->job;
    size_t n = job->n, group = tsr__weight_group(job->format);
    work->scale = tsr__calloc(n, sizeof *work->scale);
    work->zero_scale = tsr__calloc(n, sizeof *work->zero_scale);
    work->error = tsr__calloc(n, sizeof *work->error);
    work->power = tsr__calloc(n, sizeof *work->power);
    int missing =
        !work->scale || !work->zero_scale || !work->error || !work->power;
    if (group) {
        work->s2 = tsr__calloc(job->k / group, n);
        work->offset = tsr__calloc(job->k / group, n);
        missing |= !work->s2 || !work->offset;
    }
    return missing;
}

int gen_linear_quantize(const struct gen_linear_job *job,
                        struct gen_writer *writer, int threads,
                        double *rel_error, struct tsr_error *err)
{
    struct work work = {.job = job,
                        .writer = writer,
                        .stripes = tsr__packed_blocks(job->n),
                        .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc;
    if (allocate(&work)) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    } else {
        run_workers(&work, threads);
        rc = work.rc;
        if (rc && err)
            *err = work.err;
        if (!rc)
            rc = write_scales(&work, err);
    }
    if (!rc) {
        double error = 0, power = 0;
        for (size_t i = 0; i < job->n; i++) {
            error += work.error[i];
            power += work.power[i];
        }
        *rel_error = power > 0 ? sqrt(error / power) : 0;
    }
    tsr__free(work.scale);
    tsr__free(work.zero_scale);
    tsr__free(work.s2);
    tsr__free(work.offset);
    tsr__free(work.error);
    tsr__free(work.power);
    return rc;
}

int gen_check_float(const struct tsr_tensor *tensor, struct tsr_error *err)
{
    if (tensor->dtype == TSR_F16 || tensor->dtype == TSR_BF16 ||
        tensor->dtype == TSR_F32)
        return 0;
    return TSR_FAIL(err, TSR_EUNSUPPORTED,
                    "'%s': tensor '%s' is %s; weights must be F16, BF16 or F32",
                    tensor->file, tensor->name, tsr__dtype_name(tensor->dtype));
}

int gen_copy_half(const struct tsr_tensor *from, struct gen_writer *writer,
                  int to, size_t offset, struct tsr_error *err)
{
    float *strip = tsr__malloc(COPY_STRIP * sizeof *strip);
    uint16_t *halves = tsr__malloc(COPY_STRIP * sizeof *halves);
    int rc = strip && halves ? gen_check_float(from, err)
                             : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (size_t at = 0; !rc && at < from->count; at += COPY_STRIP) {
        size_t count =
            from->count - at < COPY_STRIP ? from->count - at : COPY_STRIP;
        tsr__tensor_floats(from, at, count, strip);
        for (size_t i = 0; !rc && i < count; i++) {
            halves[i] = tsr__float_to_half(strip[i]);
            if ((halves[i] & 0x7c00) == 0x7c00)
                rc = TSR_FAIL(err, TSR_EFORMAT, "'%s': tensor '%s' [%zu] %s",
                              from->file, from->name, at + i,
                              gen_row_fault_text(isfinite(strip[i])
                                                     ? GEN_ROW_TOO_LARGE
                                                     : GEN_ROW_NOT_FINITE));
        }
        if (!rc)
            rc = gen_writer_put(writer, to, offset + 2 * at, halves, 2 * count,
                                err);
    }
    tsr__free(strip);
    tsr__free(halves);
    return rc;
}
