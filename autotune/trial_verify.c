/* trial_verify.c -- is this kernel right? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autotune/trial_internal.h"
#include "runtime/base/memory.h"
#include "runtime/device/emulated.h"

enum { SAMPLES_MAX = 8, SAMPLE_SEED = 17, RAGGED_SEED = 7 };

/* The tiles that are run and compared; count 0 is all of them. */
struct sample {
    struct tune_tile tile[SAMPLES_MAX];
    size_t count;
};

static void sample_add(struct sample *sample, uint64_t channel, uint64_t token)
{
    for (size_t i = 0; i < sample->count; i++)
        if (sample->tile[i].channel == channel &&
            sample->tile[i].token == token)
            return;
    sample->tile[sample->count++] = (struct tune_tile){channel, token};
}

/* Corners, then tiles round places that are the same for every configuration,
** so that the reference of one serves the next. */
static void choose_sample(const struct tune_trial *trial, size_t m,
                          struct sample *sample)
{
    const struct gen_launch *launch = &trial->kernel.launch;
    struct tune_tiles tiles = tune__trial_tiles(trial, m);
    uint64_t state = SAMPLE_SEED, n = trial->operands->n;
    uint64_t last_n = tiles.channels - 1, last_m = tiles.tokens - 1;
    sample_add(sample, 0, 0);
    sample_add(sample, last_n, 0);
    sample_add(sample, 0, last_m);
    sample_add(sample, last_n, last_m);
    while (sample->count < 6 && sample->count < tiles.channels * tiles.tokens) {
        uint64_t channel = gen_random_next(&state) % n;
        uint64_t token = gen_random_next(&state) % m;
        sample_add(sample, channel / (uint64_t)launch->tile_n,
                   token / (uint64_t)launch->tile_m);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* All blocks along K of the sampled tiles, ascending. */
static uint64_t *sample_blocks(const struct tune_trial *trial, size_t m,
                               const struct sample *sample, size_t *count)
{
    struct tune_tiles tiles = tune__trial_tiles(trial, m);
    uint64_t plane = tiles.channels * tiles.tokens;
    size_t slices = (size_t)trial->kernel.launch.split_k;
    uint64_t *blocks = tsr__calloc(sample->count * slices, sizeof *blocks);
    if (!blocks)
        return NULL;
    *count = 0;
    for (size_t i = 0; i < sample->count; i++)
        for (size_t z = 0; z < slices; z++)
            blocks[(*count)++] =
                tune_tile_block(&tiles, sample->tile[i]) + z * plane;
    qsort(blocks, *count, sizeof *blocks, compare_u64);
    return blocks;
}

/* ---- comparing ------------------------------------------------------------
 */

struct difference {
    size_t count, row, column;
    unsigned got, wanted;
};

static void note_difference(struct difference *difference, size_t row,
                            size_t column, unsigned got, unsigned wanted)
{
    if (difference->count++ == 0) {
        difference->row = row;
        difference->column = column;
        difference->got = got;
        difference->wanted = wanted;
    }
}

static int describe(const struct difference *difference, const char *name,
                    char *text, size_t size)
{
    if (difference->count)
        snprintf(text, size,
                 "%s[%zu][%zu] is 0x%x, the reference says 0x%x (%zu values "
                 "differ)",
                 name, difference->row, difference->column, difference->got,
                 difference->wanted, difference->count);
    return difference->count != 0;
}

/* One tile of y; what was compared becomes poison, so that in the end only
** what nobody should have written is left. */
static void compare_tile(const struct tune_operands *o, uint16_t *y, size_t m0,
                         size_t m1, size_t n0, size_t n1,
                         struct difference *difference)
{
    for (size_t row = m0; row < m1; row++)
        for (size_t n = n0; n < n1; n++) {
            uint16_t *got = &y[row * o->n + n];
            if (*got != o->y[row * o->n + n])
                note_difference(difference, row, n, *got, o->y[row * o->n + n]);
            *got = TUNE_POISON << 8 | TUNE_POISON;
        }
}

static int is_poison(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != TUNE_POISON)
            return 0;
    return 1;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* `image` is the whole allocation of y, guards included. */
static int compare_gemm_image(struct tune_trial *trial, struct tune_rows *rows,
                              const struct sample *sample, unsigned char *image,
                              char *text, size_t size)
{
    struct tune_operands *o = rows->operands;
    struct difference difference = {0};
    uint16_t *y = (uint16_t *)(image + rows->guard);
    size_t tile_n = (size_t)trial->kernel.launch.tile_n;
    size_t tile_m = (size_t)trial->kernel.launch.tile_m;
    if (!sample->count) {
        tune_operands_expect(o, 0, rows->m, 0, o->n);
        compare_tile(o, y, 0, rows->m, 0, o->n, &difference);
    }
    for (size_t i = 0; i < sample->count; i++) {
        size_t m0 = sample->tile[i].token * tile_m;
        size_t n0 = sample->tile[i].channel * tile_n;
        size_t m1 = least(m0 + tile_m, rows->m), n1 = least(n0 + tile_n, o->n);
        tune_operands_expect(o, m0, m1, n0, n1);
        compare_tile(o, y, m0, m1, n0, n1, &difference);
    }
    if (describe(&difference, "y", text, size))
        return 1;
    /* A GPU runs all blocks, so there the rest is written, rightly. */
    int alone = !sample->count || tsr__device_info(o->device)->emulated;
    size_t whole = 2 * rows->m * o->n + 2 * rows->guard;
    if (alone ? is_poison(image, whole)
              : is_poison(image, rows->guard) &&
                    is_poison(image + whole - rows->guard, rows->guard))
        return 0;
    snprintf(text, size, "the kernel wrote outside its outputs");
    return 1;
}

static int compare_gemm(struct tune_trial *trial, struct tune_rows *rows,
                        const struct sample *sample, char *text, size_t size,
                        struct tsr_error *err)
{
    size_t whole = 2 * rows->m * rows->operands->n + 2 * rows->guard;
    unsigned char *image = tsr__malloc(whole);
    if (!image)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory comparing outputs");
    int rc = tsr__device_read(rows->operands->device, image,
                              rows->y - rows->guard, whole, err);
    if (rc == 0)
        rc = compare_gemm_image(trial, rows, sample, image, text, size);
    tsr__free(image);
    return rc;
}

/* One output array of quant_act: `row` bytes a row, `element` bytes each. */
static int compare_array(struct tune_rows *rows, const char *name,
                         tsr_device_ptr at, const void *wanted, size_t row,
                         size_t element, char *text, size_t size,
                         struct tsr_error *err)
{
    size_t bytes = rows->m * row, guard = rows->guard;
    struct difference difference = {0};
    unsigned char *image = tsr__malloc(bytes + 2 * guard);
    if (!image)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory comparing outputs");
    int rc = tsr__device_read(rows->operands->device, image, at - guard,
                              bytes + 2 * guard, err);
    if (rc)
        goto done;
    const unsigned char *want = wanted, *got = image + guard;
    for (size_t i = 0; i < bytes; i += element)
        if (memcmp(got + i, want + i, element) != 0) {
            unsigned a = 0, b = 0;
            memcpy(&a, got + i, element);
            memcpy(&b, want + i, element);
            note_difference(&difference, i / row, i % row / element, a, b);
        }
    rc = describe(&difference, name, text, size);
    if (rc == 0 &&
        !(is_poison(image, guard) && is_poison(image + guard + bytes, guard))) {
        snprintf(text, size, "the kernel wrote outside its outputs");
        rc = 1;
    }
done:
    tsr__free(image);
    return rc;
}

static int compare_quant(struct tune_rows *rows, char *text, size_t size,
                         struct tsr_error *err)
{
    struct tune_operands *o = rows->operands;
    int rc = compare_array(rows, "q", rows->x, o->q, o->k, 1, text, size, err);
    if (rc == 0)
        rc = compare_array(rows, "scale", rows->x_scale, o->q_scale, 4, 4, text,
                           size, err);
    if (rc == 0)
        rc = compare_array(rows, "sum", rows->x_sum, o->q_sum, 4, 4, text, size,
                           err);
    return rc;
}

int tune_trial_compare(struct tune_trial *trial, struct tune_rows *rows,
                       char *text, size_t size, struct tsr_error *err)
{
    static const struct sample all = {.count = 0};
    return trial->operands->is_gemm
               ? compare_gemm(trial, rows, &all, text, size, err)
               : compare_quant(rows, text, size, err);
}

static int workspace_is_zero(struct tune_trial *trial, tsr_device_ptr workspace,
                             size_t bytes, int *zero, struct tsr_error *err)
{
    unsigned char *image = tsr__malloc(bytes);
    if (!image)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory comparing outputs");
    int rc =
        tsr__device_read(trial->operands->device, image, workspace, bytes, err);
    *zero = 1;
    for (size_t i = 0; rc == 0 && i < bytes; i++)
        if (image[i])
            *zero = 0;
    tsr__free(image);
    return rc;
}

/* ---- one verification ------------------------------------------------------
 */

/* The launch's own failure as a verdict, or an error that is ours. */
static int judge_failure(int rc, struct tune_verdict *verdict,
                         struct tsr_error *why, struct tsr_error *err)
{
    switch (rc) {
    case TSR_EFINDING:
        verdict->status = TUNE_FINDING;
        break;
    case TSR_EUNSUPPORTED:
    case TSR_EUSAGE:
        verdict->status = TUNE_UNSUPPORTED;
        break;
    case TSR_EDEVICE:
        verdict->status = TUNE_CRASHED;
        break;
    default:
        if (err)
            *err = *why;
        return rc;
    }
    snprintf(verdict->text, sizeof verdict->text, "%s", why->text);
    return 0;
}

static int launch_sample(struct tune_trial *trial, struct tune_rows *rows,
                         const struct sample *sample, uint64_t seed,
                         tsr_device_ptr workspace, struct tsr_error *err)
{
    struct tsr_device *device = trial->operands->device;
    struct emu_options *options = tsr__emulated_options(device);
    uint64_t *blocks = NULL;
    size_t count = 0;
    if (options) {
        struct emu_options before = *options;
        if (sample->count) {
            blocks = sample_blocks(trial, rows->m, sample, &count);
            if (!blocks)
                return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
        }
        options->checks = 1;
        options->seed = seed;
        tsr__emulated_select(device, blocks, count);
        int rc = tune_trial_launch(trial, rows, workspace, NULL, err);
        tsr__emulated_select(device, NULL, 0);
        *options = before;
        tsr__free(blocks);
        return rc;
    }
    int rc = tune_trial_launch(trial, rows, workspace, NULL, err);
    return rc ? rc : tsr__device_synchronize(device, err);
}

/* Launch, compare, look at what must not have changed. */
static int run_and_compare(struct tune_trial *trial, struct tune_rows *rows,
                           const struct sample *sample, uint64_t seed,
                           struct tune_verdict *verdict, struct tsr_error *err)
{
    struct tsr_error why = {0};
    struct tsr_device *device = trial->operands->device;
    tsr_device_ptr workspace = 0;
    size_t bytes = 0;
    int zero = 1;
    int rc = tune_rows_poison(rows, err);
    if (rc == 0)
        rc = tune_workspace_alloc(trial, rows->m, &workspace, &bytes, err);
    if (rc)
        return rc;
    rc = launch_sample(trial, rows, sample, seed, workspace, &why);
    if (rc) {
        rc = judge_failure(rc, verdict, &why, err);
        goto done;
    }
    rc = trial->operands->is_gemm
             ? compare_gemm(trial, rows, sample, verdict->text,
                            sizeof verdict->text, err)
             : compare_quant(rows, verdict->text, sizeof verdict->text, err);
    if (rc == 0 && bytes)
        rc = workspace_is_zero(trial, workspace, bytes, &zero, err);
    if (rc == 0 && !zero) {
        snprintf(verdict->text, sizeof verdict->text,
                 "the kernel leaves its workspace not zero");
        rc = 1;
    }
    if (rc > 0) {
        verdict->status = TUNE_WRONG;
        rc = 0;
    }
done:
    if (workspace)
        tsr__device_release(device, workspace, NULL);
    return rc;
}

static void describe_extent(const struct tune_trial *trial, size_t m,
                            const struct sample *sample,
                            struct tune_verdict *verdict)
{
    size_t used = strlen(verdict->verified);
    char *at = verdict->verified + used;
    size_t room = sizeof verdict->verified - used;
    if (!sample->count) {
        snprintf(at, room, "%sm=%zu whole", used ? ", " : "", m);
        return;
    }
    struct tune_tiles tiles = tune__trial_tiles(trial, m);
    int wrote = snprintf(at, room, "%sm=%zu tiles", used ? ", " : "", m);
    for (size_t i = 0; i < sample->count && wrote > 0 && (size_t)wrote < room;
         i++)
        wrote +=
            snprintf(at + wrote, room - (size_t)wrote, "%s%" PRIu64,
                     i ? "," : " ", tune_tile_block(&tiles, sample->tile[i]));
    if (wrote > 0 && (size_t)wrote < room)
        snprintf(at + wrote, room - (size_t)wrote, " of %" PRIu64,
                 tiles.channels * tiles.tokens);
}

static int verify_rows(struct tune_trial *trial, size_t m, uint64_t seed,
                       struct tune_verdict *verdict, struct tsr_error *err)
{
    struct tune_operands *o = trial->operands;
    struct tune_rows rows;
    struct sample sample = {.count = 0};
    if (o->is_gemm && (uint64_t)m * o->n * o->k > TUNE_WHOLE_WORK)
        choose_sample(trial, m, &sample);
    int rc = tune_rows_create(&rows, o, m, err);
    if (rc)
        return rc;
    rc = run_and_compare(trial, &rows, &sample, seed, verdict, err);
    if (rc == 0 && verdict->status == TUNE_VERIFIED)
        describe_extent(trial, m, &sample, verdict);
    tune_rows_release(&rows);
    return rc;
}

/* Fewer rows than the bucket, and an odd number of them. */
static size_t ragged_rows(size_t m)
{
    return m < 2 ? m : ((m - m / 8 - 1) | 1) < m ? (m - m / 8 - 1) | 1 : m - 1;
}

int tune_trial_verify(struct tune_trial *trial, size_t m,
                      struct tune_verdict *verdict, struct tsr_error *err)
{
    struct tune_verdict result = {.status = TUNE_VERIFIED};
    size_t ragged = ragged_rows(m);
    int rc = verify_rows(trial, m, 0, &result, err);
    if (rc == 0 && result.status == TUNE_VERIFIED && ragged != m)
        rc = verify_rows(trial, ragged, RAGGED_SEED, &result, err);
    if (rc)
        return rc;
    if (result.status != TUNE_VERIFIED)
        result.verified[0] = 0;
    *verdict = result;
    return 0;
}
