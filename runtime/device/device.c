/* device.c -- one call of device.h is one call through the table of the
** implementation behind it; here are only names and the meaning of NULL. */
#include "runtime/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/implementation.h"

#define EMULATOR     "emulator:"
#define CUDA         "cuda:"
#define DEFAULT_ARCH "sm_90a"

static int open_cuda(const char *digits, const char *name,
                     struct tsr_device **out, struct tsr_error *err)
{
    char *end;
    long index = strtol(digits, &end, 10);
    if (end == digits || *end || index < 0 || index > 1023)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "device '%s': expected cuda:N with N from 0", name);
    return tsr__cuda_open((int)index, out, err);
}

int tsr__device_open(struct tsr_device **out, const char *name,
                     struct tsr_error *err)
{
    if (!name)
        return tsr__cuda_count(NULL) > 0
                   ? tsr__cuda_open(0, out, err)
                   : tsr__emulated_open(DEFAULT_ARCH, out, err);
    if (strncmp(name, EMULATOR, strlen(EMULATOR)) == 0)
        return tsr__emulated_open(name + strlen(EMULATOR), out, err);
    if (strcmp(name, "emulator") == 0)
        return tsr__emulated_open(DEFAULT_ARCH, out, err);
    if (strcmp(name, "cuda") == 0)
        return tsr__cuda_open(0, out, err);
    if (strncmp(name, CUDA, strlen(CUDA)) == 0)
        return open_cuda(name + strlen(CUDA), name, out, err);
    return TSR_FAIL(err, TSR_EUSAGE,
                    "unknown device '%s': use cuda:N or emulator:sm_XX", name);
}

void tsr__device_free(struct tsr_device *device)
{
    if (device)
        device->ops->device_free(device);
}

const struct tsr_device_info *tsr__device_info(const struct tsr_device *device)
{
    return &device->info;
}

int tsr__device_count(struct tsr_error *err)
{
    return tsr__cuda_count(err);
}

int tsr__device_alloc(struct tsr_device *device, size_t bytes,
                      const char *label, tsr_device_ptr *out,
                      struct tsr_error *err)
{
    return device->ops->alloc(device, bytes, label, out, err);
}

int tsr__device_release(struct tsr_device *device, tsr_device_ptr pointer,
                        struct tsr_error *err)
{
    return pointer ? device->ops->release(device, pointer, err) : 0;
}

int tsr__device_write(struct tsr_device *device, tsr_device_ptr to,
                      const void *from, size_t bytes, struct tsr_error *err)
{
    return bytes ? device->ops->write(device, to, from, bytes, err) : 0;
}

int tsr__device_read(struct tsr_device *device, void *to, tsr_device_ptr from,
                     size_t bytes, struct tsr_error *err)
{
    return bytes ? device->ops->read(device, to, from, bytes, err) : 0;
}

int tsr__device_fill(struct tsr_device *device, tsr_device_ptr to,
                     unsigned char value, size_t bytes, struct tsr_error *err)
{
    return bytes ? device->ops->fill(device, to, value, bytes, err) : 0;
}

int tsr__device_synchronize(struct tsr_device *device, struct tsr_error *err)
{
    return device->ops->synchronize(device, err);
}

int tsr__module_load(struct tsr_device *device, const void *image, size_t size,
                     struct tsr_module **out, struct tsr_error *err)
{
    return device->ops->module_load(device, image, size, out, err);
}

void tsr__module_free(struct tsr_module *module)
{
    if (module)
        module->device->ops->module_free(module);
}

int tsr__module_function(struct tsr_module *module, const char *name,
                         uint32_t shared_bytes, struct tsr_function **out,
                         struct tsr_error *err)
{
    return module->device->ops->module_function(module, name, shared_bytes, out,
                                                err);
}

int tsr__function_launch(struct tsr_function *function,
                         const struct tsr_launch_shape *shape,
                         struct tsr_stream *stream, void **arguments,
                         struct tsr_error *err)
{
    return function->device->ops->launch(function, shape, stream, arguments,
                                         err);
}

int tsr__stream_create(struct tsr_device *device, struct tsr_stream **out,
                       struct tsr_error *err)
{
    return device->ops->stream_create(device, out, err);
}

void tsr__stream_free(struct tsr_stream *stream)
{
    if (stream)
        stream->device->ops->stream_free(stream);
}

int tsr__event_create(struct tsr_device *device, struct tsr_event **out,
                      struct tsr_error *err)
{
    return device->ops->event_create(device, out, err);
}

void tsr__event_free(struct tsr_event *event)
{
    if (event)
        event->device->ops->event_free(event);
}

int tsr__event_record(struct tsr_event *event, struct tsr_stream *stream,
                      struct tsr_error *err)
{
    return event->device->ops->event_record(event, stream, err);
}

int tsr__event_elapsed(struct tsr_event *start, struct tsr_event *stop,
                       double *milliseconds, struct tsr_error *err)
{
    return start->device->ops->event_elapsed(start, stop, milliseconds, err);
}

int tsr__graph_begin(struct tsr_stream *stream, struct tsr_error *err)
{
    if (!stream)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "the default stream cannot record a "
                        "graph: create a stream for it");
    return stream->device->ops->graph_begin(stream, err);
}

int tsr__graph_end(struct tsr_stream *stream, struct tsr_graph **out,
                   struct tsr_error *err)
{
    if (!stream)
        return TSR_FAIL(err, TSR_EUSAGE, "the default stream records no graph");
    return stream->device->ops->graph_end(stream, out, err);
}

int tsr__graph_launch(struct tsr_graph *graph, struct tsr_stream *stream,
                      struct tsr_error *err)
{
    return graph->device->ops->graph_launch(graph, stream, err);
}

void tsr__graph_free(struct tsr_graph *graph)
{
    if (graph)
        graph->device->ops->graph_free(graph);
}
