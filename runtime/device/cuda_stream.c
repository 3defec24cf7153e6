/* cuda_stream.c -- streams, events and graphs on a GPU.
**
** Streams wait for the default stream and it for them (the driver's default),
** so a read after a launch sees its result without a further call.
*/
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/device/cuda_device.h"

struct cuda_event_state {
    struct tsr_event base;
    cuda_event handle;
};

struct cuda_graph_state {
    struct tsr_graph base;
    cuda_graph graph;
    cuda_graph_exec executable;
};

static int no_memory(struct tsr_error *err)
{
    return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
}

int tsr__cuda_stream_create(struct tsr_device *base, struct tsr_stream **out,
                            struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    struct cuda_stream_state *stream = tsr__calloc(1, sizeof *stream);
    if (!stream)
        return no_memory(err);
    int rc = tsr__cuda_enter(device, err);
    if (rc == 0)
        rc = tsr__cuda_leave(device,
                             device->cuda->StreamCreate(&stream->handle, 0),
                             err, "cannot create a stream");
    if (rc) {
        tsr__free(stream);
        return rc;
    }
    stream->base.device = base;
    *out = &stream->base;
    return 0;
}

void tsr__cuda_stream_free(struct tsr_stream *base)
{
    struct cuda_stream_state *stream = (struct cuda_stream_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    if (tsr__cuda_enter(device, NULL) == 0)
        tsr__cuda_leave(device, device->cuda->StreamDestroy(stream->handle),
                        NULL, "cannot free a stream");
    tsr__free(stream);
}

int tsr__cuda_event_create(struct tsr_device *base, struct tsr_event **out,
                           struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(base);
    struct cuda_event_state *event = tsr__calloc(1, sizeof *event);
    if (!event)
        return no_memory(err);
    int rc = tsr__cuda_enter(device, err);
    if (rc == 0)
        rc = tsr__cuda_leave(device,
                             device->cuda->EventCreate(&event->handle, 0), err,
                             "cannot create an event");
    if (rc) {
        tsr__free(event);
        return rc;
    }
    event->base.device = base;
    *out = &event->base;
    return 0;
}

void tsr__cuda_event_free(struct tsr_event *base)
{
    struct cuda_event_state *event = (struct cuda_event_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    if (tsr__cuda_enter(device, NULL) == 0)
        tsr__cuda_leave(device, device->cuda->EventDestroy(event->handle), NULL,
                        "cannot free an event");
    tsr__free(event);
}

int tsr__cuda_event_record(struct tsr_event *base, struct tsr_stream *stream,
                           struct tsr_error *err)
{
    struct cuda_event_state *event = (struct cuda_event_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(
        device,
        device->cuda->EventRecord(event->handle, cuda_stream_handle(stream)),
        err, "cannot record an event");
}

int tsr__cuda_event_elapsed(struct tsr_event *start, struct tsr_event *stop,
                            double *milliseconds, struct tsr_error *err)
{
    struct cuda_event_state *from = (struct cuda_event_state *)start;
    struct cuda_event_state *to = (struct cuda_event_state *)stop;
    struct cuda_state *device = cuda_state(start->device);
    float elapsed = 0;
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    cuda_result result = device->cuda->EventSynchronize(to->handle);
    if (!result)
        result =
            device->cuda->EventElapsedTime(&elapsed, from->handle, to->handle);
    rc = tsr__cuda_leave(device, result, err,
                         "cannot measure between two events");
    if (rc == 0)
        *milliseconds = elapsed;
    return rc;
}

int tsr__cuda_graph_begin(struct tsr_stream *stream, struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(stream->device);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(
        device,
        device->cuda->StreamBeginCapture(cuda_stream_handle(stream),
                                         CUDA_CAPTURE_THREAD_LOCAL),
        err, "cannot record a graph");
}

static void destroy_graph(struct cuda_state *device,
                          struct cuda_graph_state *graph)
{
    if (graph->executable)
        device->cuda->GraphExecDestroy(graph->executable);
    if (graph->graph)
        device->cuda->GraphDestroy(graph->graph);
}

int tsr__cuda_graph_end(struct tsr_stream *stream, struct tsr_graph **out,
                        struct tsr_error *err)
{
    struct cuda_state *device = cuda_state(stream->device);
    struct cuda_graph_state *graph = tsr__calloc(1, sizeof *graph);
    if (!graph)
        return no_memory(err);
    int rc = tsr__cuda_enter(device, err);
    if (rc == 0) {
        cuda_result result = device->cuda->StreamEndCapture(
            cuda_stream_handle(stream), &graph->graph);
        if (!result)
            result = device->cuda->GraphInstantiateWithFlags(&graph->executable,
                                                             graph->graph, 0);
        if (result)
            destroy_graph(device, graph);
        rc = tsr__cuda_leave(device, result, err, "cannot make a graph");
    }
    if (rc) {
        tsr__free(graph);
        return rc;
    }
    graph->base.device = stream->device;
    *out = &graph->base;
    return 0;
}

int tsr__cuda_graph_launch(struct tsr_graph *base, struct tsr_stream *stream,
                           struct tsr_error *err)
{
    struct cuda_graph_state *graph = (struct cuda_graph_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    int rc = tsr__cuda_enter(device, err);
    if (rc)
        return rc;
    return tsr__cuda_leave(device,
                           device->cuda->GraphLaunch(
                               graph->executable, cuda_stream_handle(stream)),
                           err, "cannot launch a graph");
}

void tsr__cuda_graph_free(struct tsr_graph *base)
{
    struct cuda_graph_state *graph = (struct cuda_graph_state *)base;
    struct cuda_state *device = cuda_state(base->device);
    if (tsr__cuda_enter(device, NULL) == 0) {
        destroy_graph(device, graph);
        tsr__cuda_leave(device, CUDA_SUCCESS, NULL, "nothing");
    }
    tsr__free(graph);
}
