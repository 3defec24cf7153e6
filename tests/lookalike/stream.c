/* stream.c -- the look-alike's streams, events and graphs. */
#include <stdlib.h>
#include <time.h>

#include "tests/lookalike/entry_points.h"

static void count(long *what, long by)
{
    __atomic_add_fetch(what, by, __ATOMIC_SEQ_CST);
}

cuda_result cuStreamCreate(cuda_stream *out, unsigned flags)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (flags > 1)
        return CUDA_INVALID_VALUE;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CUDA_OUT_OF_MEMORY;
    (*out)->context = context;
    count(&lookalike_live.streams, 1);
    return CUDA_SUCCESS;
}

void lookalike_free_launches(struct lookalike_launch *first)
{
    while (first) {
        struct lookalike_launch *next = first->next;
        free(first);
        first = next;
    }
}

cuda_result cuStreamDestroy(cuda_stream stream)
{
    if (!stream)
        return CUDA_INVALID_HANDLE;
    if (stream->recording) {
        lookalike_free_launches(stream->recording->first);
        stream->context->recordings--;
    }
    free(stream->recording);
    free(stream);
    count(&lookalike_live.streams, -1);
    return CUDA_SUCCESS;
}

cuda_result cuEventCreate(cuda_event *out, unsigned flags)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (flags)
        return CUDA_INVALID_VALUE;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return CUDA_OUT_OF_MEMORY;
    (*out)->context = context;
    count(&lookalike_live.events, 1);
    return CUDA_SUCCESS;
}

cuda_result cuEventDestroy(cuda_event event)
{
    free(event);
    count(&lookalike_live.events, -1);
    return CUDA_SUCCESS;
}

cuda_result cuEventRecord(cuda_event event, cuda_stream stream)
{
    cuda_context context;
    struct timespec now;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (stream && stream->recording)
        return CUDA_STREAM_CAPTURE_UNSUPPORTED;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->milliseconds = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
    event->recorded = 1;
    return CUDA_SUCCESS;
}

cuda_result cuEventSynchronize(cuda_event event)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    (void)event;
    return result ? result : lookalike_wait(context);
}

cuda_result cuEventElapsedTime(float *ms, cuda_event start, cuda_event stop)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (!start->recorded || !stop->recorded)
        return CUDA_INVALID_HANDLE;
    *ms = (float)(stop->milliseconds - start->milliseconds);
    return CUDA_SUCCESS;
}

cuda_result cuStreamBeginCapture(cuda_stream stream, int mode)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (!stream) /* the default stream cannot be captured */
        return CUDA_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->recording || mode < 0 || mode > 2)
        return CUDA_INVALID_VALUE;
    stream->recording = calloc(1, sizeof *stream->recording);
    if (!stream->recording)
        return CUDA_OUT_OF_MEMORY;
    stream->recording->last = &stream->recording->first;
    stream->context->recordings++;
    return CUDA_SUCCESS;
}

cuda_result cuStreamEndCapture(cuda_stream stream, cuda_graph *graph)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (!stream || !stream->recording)
        return CUDA_INVALID_VALUE;
    *graph = stream->recording;
    stream->recording = NULL;
    stream->context->recordings--;
    count(&lookalike_live.graphs, 1);
    return CUDA_SUCCESS;
}

/* The launches move into the executable graph; what is left may be destroyed
** before it. */
cuda_result cuGraphInstantiateWithFlags(cuda_graph_exec *executable,
                                        cuda_graph graph, uint64_t flags)
{
    if (flags)
        return CUDA_INVALID_VALUE;
    *executable = calloc(1, sizeof **executable);
    if (!*executable)
        return CUDA_OUT_OF_MEMORY;
    (*executable)->first = graph->first;
    graph->first = NULL;
    graph->last = &graph->first;
    count(&lookalike_live.graphs, 1);
    return CUDA_SUCCESS;
}

cuda_result cuGraphLaunch(cuda_graph_exec executable, cuda_stream stream)
{
    cuda_context context;
    cuda_result result = lookalike_current(&context);
    if (result)
        return result;
    if (stream && stream->recording)
        return CUDA_STREAM_CAPTURE_UNSUPPORTED;
    struct lookalike_launch *launch = executable->first;
    for (; launch && !result; launch = launch->next)
        result = lookalike_run(launch->function, launch);
    return result;
}

cuda_result cuGraphExecDestroy(cuda_graph_exec executable)
{
    lookalike_free_launches(executable->first);
    free(executable);
    count(&lookalike_live.graphs, -1);
    return CUDA_SUCCESS;
}

cuda_result cuGraphDestroy(cuda_graph graph)
{
    lookalike_free_launches(graph->first);
    free(graph);
    count(&lookalike_live.graphs, -1);
    return CUDA_SUCCESS;
}
