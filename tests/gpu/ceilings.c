/* ceilings.c -- what a GPU can do at most, measured on it. */
#include "tests/gpu/ceilings.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/device/device.h"
#include "tests/gpu/candidates.h"
#include "tests/gpu/results.h"

enum { WARM_UP = 2, TIMED = 10 };

struct ceiling {
    char file[96], entry[64], arch[16];
    unsigned blocks_per_sm, block, shared;
    unsigned long long bytes, ops;
    int rounds;
};

static int parse(struct ceiling *c, const char *line, struct tsr_error *err)
{
    memset(c, 0, sizeof *c);
    if (sscanf(line,
               "file=%95s entry=%63s arch=%15s blocks_per_sm=%u block=%u "
               "shared=%u bytes=%llu ops=%llu rounds=%d",
               c->file, c->entry, c->arch, &c->blocks_per_sm, &c->block,
               &c->shared, &c->bytes, &c->ops, &c->rounds) != 9 ||
        strchr(c->file, '/') || c->block < 1 || c->block > 1024 ||
        c->blocks_per_sm < 1 || c->blocks_per_sm > 32 || c->rounds < 1)
        return TSR_FAIL(err, TSR_EFORMAT, "ceilings.txt: bad line: %.300s",
                        line);
    return 0;
}

struct session {
    struct tsr_device *device;
    struct tsr_module *module;
    struct tsr_function *function;
    tsr_device_ptr in, out;
    struct tsr_event *start, *stop;
    struct tsr_launch_shape shape;
};

static int prepare(struct session *s, const struct ceiling *c,
                   const char *folder, const char *suffix,
                   struct tsr_error *err)
{
    char path[1024], *image = NULL;
    size_t size = 0;
    const struct tsr_device_info *info = tsr__device_info(s->device);
    uint32_t blocks = (uint32_t)info->sm_count * c->blocks_per_sm;
    snprintf(path, sizeof path, "%s/%s.%s", folder, c->file, suffix);
    s->shape =
        (struct tsr_launch_shape){{blocks, 1, 1}, {c->block, 1, 1}, c->shared};
    int rc = 0;
    (void)((rc = tsr__file_read(path, (size_t)64 << 20, &image, &size, err)) ||
           (rc = tsr__module_load(s->device, image, size, &s->module, err)) ||
           (rc = tsr__module_function(s->module, c->entry, c->shared,
                                      &s->function, err)) ||
           (rc = tsr__device_alloc(s->device, (size_t)c->bytes + 16, "in",
                                   &s->in, err)) ||
           (rc = tsr__device_fill(s->device, s->in, 1, (size_t)c->bytes + 16,
                                  err)) ||
           (rc = tsr__device_alloc(s->device, (size_t)blocks * c->block * 16,
                                   "out", &s->out, err)) ||
           (rc = tsr__event_create(s->device, &s->start, err)) ||
           (rc = tsr__event_create(s->device, &s->stop, err)));
    tsr__free(image);
    return rc;
}

static void session_release(struct session *s)
{
    struct tsr_error ignored;
    if (s->module)
        tsr__module_free(s->module);
    if (s->in)
        tsr__device_release(s->device, s->in, &ignored);
    if (s->out)
        tsr__device_release(s->device, s->out, &ignored);
    if (s->start)
        tsr__event_free(s->start);
    if (s->stop)
        tsr__event_free(s->stop);
}

/* Seconds of one launch: the best of TIMED. */
static int measure(struct session *s, const struct ceiling *c, double *seconds,
                   struct tsr_error *err)
{
    unsigned long long bytes = c->bytes;
    int rounds = c->rounds, rc = 0;
    int emulated = tsr__device_info(s->device)->emulated;
    int runs = emulated ? 1 : WARM_UP + TIMED, warm = emulated ? 0 : WARM_UP;
    void *arguments[4] = {&s->out, &s->in, &bytes, &rounds};
    double best = 1e30;
    for (int i = 0; i < runs && rc == 0; i++) {
        double milliseconds = 0;
        (void)((rc = tsr__event_record(s->start, NULL, err)) ||
               (rc = tsr__function_launch(s->function, &s->shape, NULL,
                                          arguments, err)) ||
               (rc = tsr__event_record(s->stop, NULL, err)) ||
               (rc = tsr__device_synchronize(s->device, err)) ||
               (rc =
                    tsr__event_elapsed(s->start, s->stop, &milliseconds, err)));
        if (rc == 0 && i >= warm && milliseconds * 1e-3 < best)
            best = milliseconds * 1e-3;
    }
    if (rc == 0)
        *seconds = best;
    return rc;
}

static void record(struct results *r, const struct ceiling *c,
                   const struct tsr_launch_shape *shape, int rc, double seconds,
                   const struct tsr_error *err)
{
    results_open(r, NULL, '{');
    results_text(r, "name", c->entry);
    results_text(r, "arch", c->arch);
    if (rc) {
        results_text(r, "error", err->text);
    } else {
        results_real(r, "microseconds", seconds * 1e6);
        if (c->bytes)
            results_real(r, "gb_per_s",
                         (double)c->bytes * c->rounds / seconds * 1e-9);
        if (c->ops)
            results_real(r, "tops",
                         (double)c->ops * shape->grid[0] * c->rounds / seconds *
                             1e-12);
    }
    results_close(r, '}');
}

static int run_line(struct tsr_device *device, const char *line,
                    const char *folder, size_t largest, FILE *log,
                    struct results *results, struct tsr_error *err)
{
    struct ceiling c;
    struct session s = {.device = device};
    struct gpu_candidate like = {0};
    double seconds = 0;
    int rc = parse(&c, line, err);
    if (rc)
        return rc;
    memcpy(like.arch, c.arch, sizeof like.arch);
    if (!gpu_candidate_fits(&like, device))
        return 0;
    if (largest && c.bytes > largest)
        c.bytes = largest;
    if (largest)
        c.rounds = 1;
    rc = -1; /* machine code, or PTX for a device that takes no other */
    if (!tsr__device_info(device)->emulated)
        rc = prepare(&s, &c, folder, "cubin", err);
    if (rc && rc != TSR_EDEVICE) {
        session_release(&s);
        s = (struct session){.device = device};
        rc = prepare(&s, &c, folder, "ptx", err);
    }
    if (rc == 0)
        rc = measure(&s, &c, &seconds, err);
    record(results, &c, &s.shape, rc, seconds, err);
    /* The emulator lacks opcodes of the newest architectures and says so. */
    if (rc && log && !tsr__device_info(device)->emulated)
        fprintf(log, "ceiling %s: %s\n", c.entry, err->text);
    session_release(&s);
    return rc == TSR_EDEVICE || rc == TSR_EMEMORY ? rc : 0;
}

int gpu_ceilings_run(struct tsr_device *device, const char *folder,
                     size_t largest, FILE *log, struct results *results,
                     struct tsr_error *err)
{
    char path[1024], *text = NULL, *state = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/ceilings.txt", folder);
    int rc = tsr__file_read(path, (size_t)1 << 20, &text, &size, err);
    if (rc)
        return rc;
    results_open(results, "ceilings", '[');
    for (char *line = strtok_r(text, "\n", &state); line && rc == 0;
         line = strtok_r(NULL, "\n", &state))
        if (*line != '#')
            rc = run_line(device, line, folder, largest, log, results, err);
    results_close(results, ']');
    tsr__free(text);
    return rc;
}
