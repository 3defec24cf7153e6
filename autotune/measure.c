/* measure.c -- the time of a verified kernel on a GPU. */
#include "autotune/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"

enum { GRAPH_LAUNCHES = 20, WARM_UP = 3, SAMPLES = 15, COPIES_MAX = 64 };

/* A stage with everything a measurement holds, released in one place. */
struct stage {
    struct tune_trial *trial;
    struct tsr_device *device;
    struct tune_rows rows;
    tsr_device_ptr workspace;
    tsr_device_ptr copy[COPIES_MAX]; /* of qweight */
    int copies;
    struct tsr_stream *stream;
    struct tsr_graph *graph;
    struct tsr_event *start, *stop;
};

static void stage_release(struct stage *stage)
{
    if (stage->graph)
        tsr__graph_free(stage->graph);
    if (stage->start)
        tsr__event_free(stage->start);
    if (stage->stop)
        tsr__event_free(stage->stop);
    if (stage->stream)
        tsr__stream_free(stage->stream);
    for (int i = 0; i < stage->copies; i++)
        tsr__device_release(stage->device, stage->copy[i], NULL);
    if (stage->workspace)
        tsr__device_release(stage->device, stage->workspace, NULL);
    tune_rows_release(&stage->rows);
}

/* Copies of the weights beyond L2; quant_act has none and needs none. */
static int copy_weights(struct stage *stage, struct tsr_error *err)
{
    struct tune_operands *o = stage->trial->operands;
    size_t l2 = tsr__device_info(stage->device)->l2_bytes;
    if (!o->is_gemm)
        return 0;
    size_t wanted = 2 * l2 / o->linear.qweight_bytes + 2;
    while (stage->copies < COPIES_MAX && (size_t)stage->copies < wanted) {
        tsr_device_ptr at;
        int rc = tsr__device_alloc(stage->device, o->linear.qweight_bytes,
                                   "qweight copy", &at, err);
        if (rc)
            return rc;
        stage->copy[stage->copies++] = at;
        rc = tsr__device_write(stage->device, at, o->linear.qweight,
                               o->linear.qweight_bytes, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int capture(struct stage *stage, struct tsr_error *err)
{
    struct tune_operands *o = stage->trial->operands;
    tsr_device_ptr original = o->qweight;
    int rc = tsr__graph_begin(stage->stream, err);
    for (int i = 0; rc == 0 && i < GRAPH_LAUNCHES; i++) {
        if (stage->copies)
            o->qweight = stage->copy[i % stage->copies];
        rc = tune_trial_launch(stage->trial, &stage->rows, stage->workspace,
                               stage->stream, err);
    }
    o->qweight = original;
    struct tsr_graph *graph = NULL;
    int ended = tsr__graph_end(stage->stream, &graph, rc ? NULL : err);
    if (ended == 0)
        stage->graph = graph;
    return rc ? rc : ended;
}

static int stage_open(struct stage *stage, struct tune_trial *trial, size_t m,
                      struct tsr_error *err)
{
    size_t bytes;
    *stage = (struct stage){.trial = trial, .device = trial->operands->device};
    int rc = tune_rows_create(&stage->rows, trial->operands, m, err);
    if (rc == 0)
        rc = tune_workspace_alloc(trial, m, &stage->workspace, &bytes, err);
    if (rc == 0)
        rc = copy_weights(stage, err);
    if (rc == 0)
        rc = tsr__stream_create(stage->device, &stage->stream, err);
    if (rc == 0)
        rc = tsr__event_create(stage->device, &stage->start, err);
    if (rc == 0)
        rc = tsr__event_create(stage->device, &stage->stop, err);
    if (rc == 0)
        rc = capture(stage, err);
    return rc;
}

static int replay(struct stage *stage, double *microseconds,
                  struct tsr_error *err)
{
    double milliseconds;
    int rc = tsr__event_record(stage->start, stage->stream, err);
    if (rc == 0)
        rc = tsr__graph_launch(stage->graph, stage->stream, err);
    if (rc == 0)
        rc = tsr__event_record(stage->stop, stage->stream, err);
    if (rc == 0)
        rc = tsr__device_synchronize(stage->device, err);
    if (rc == 0)
        rc = tsr__event_elapsed(stage->start, stage->stop, &milliseconds, err);
    if (rc == 0)
        *microseconds = milliseconds * 1e3 / GRAPH_LAUNCHES;
    return rc;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct tune_timing *timing)
{
    double sorted[SAMPLES];
    memcpy(sorted, timing->times, sizeof sorted);
    qsort(sorted, SAMPLES, sizeof *sorted, compare_doubles);
    timing->samples = SAMPLES;
    timing->median_us = sorted[SAMPLES / 2];
    timing->spread_us = (sorted[3 * SAMPLES / 4] - sorted[SAMPLES / 4]) / 2 /
                        sqrt((double)SAMPLES);
}

int tune_trial_time(struct tune_trial *trial, size_t m, struct tune_timing *out,
                    struct tsr_error *err)
{
    struct stage stage;
    struct tune_timing timing = {0};
    double ignored;
    if (tsr__device_info(trial->operands->device)->emulated)
        return TSR_FAIL(err, TSR_EUNSUPPORTED, "the emulator has no times");
    int rc = stage_open(&stage, trial, m, err);
    timing.times = tsr__calloc(SAMPLES, sizeof *timing.times);
    if (rc == 0 && !timing.times)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    for (int i = 0; rc == 0 && i < WARM_UP; i++)
        rc = replay(&stage, &ignored, err);
    for (int i = 0; rc == 0 && i < SAMPLES; i++)
        rc = replay(&stage, &timing.times[i], err);
    stage_release(&stage);
    if (rc) {
        tune_timing_release(&timing);
        return rc;
    }
    summarise(&timing);
    *out = timing;
    return 0;
}

void tune_timing_release(struct tune_timing *timing)
{
    tsr__free(timing->times);
    memset(timing, 0, sizeof *timing);
}
