/* cuda_device.h -- the CUDA device as its parts see it.
**
** Every call to the driver stands between tsr__cuda_enter and tsr__cuda_leave:
**
**     int rc = tsr__cuda_enter(device, err);
**     if (rc)
**         return rc;
**     return tsr__cuda_leave(device, cuda->MemFree(pointer), err, "cannot
*...");
**
** tsr__cuda_enter makes our context the calling thread's current one,
*tsr__cuda_leave
** puts back what was there, so that we can live in a process that uses CUDA
** for itself. A sticky result is remembered for the GPU, not for the struct:
** the context is shared by all who open it, and lost for all.
*/
#ifndef TSR_DEVICE_CUDA_DEVICE_H
#define TSR_DEVICE_CUDA_DEVICE_H

#include "runtime/device/cuda_driver.h"
#include "runtime/device/implementation.h"

struct cuda_state {
    struct tsr_device base;
    const struct cuda_api *cuda;
    int index;
    cuda_device handle;
    cuda_context context;
};

struct cuda_stream_state {
    struct tsr_stream base;
    cuda_stream handle;
};

static inline struct cuda_state *cuda_state(struct tsr_device *device)
{
    return (struct cuda_state *)device;
}

/* NULL is the default stream. */
static inline cuda_stream cuda_stream_handle(struct tsr_stream *stream)
{
    return stream ? ((struct cuda_stream_state *)stream)->handle : NULL;
}

int tsr__cuda_enter(struct cuda_state *device, struct tsr_error *err);
int tsr__cuda_leave(struct cuda_state *device, cuda_result result,
                    struct tsr_error *err, const char *what, ...)
    TSR_PRINTF(4, 5);

/* Parts of the table, in cuda_module.c and cuda_stream.c. */
int tsr__cuda_module_load(struct tsr_device *device, const void *image,
                          size_t size, struct tsr_module **out,
                          struct tsr_error *err);
void tsr__cuda_module_free(struct tsr_module *module);
int tsr__cuda_module_function(struct tsr_module *module, const char *name,
                              uint32_t shared_bytes, struct tsr_function **out,
                              struct tsr_error *err);
int tsr__cuda_launch(struct tsr_function *function,
                     const struct tsr_launch_shape *shape,
                     struct tsr_stream *stream, void **arguments,
                     struct tsr_error *err);

int tsr__cuda_stream_create(struct tsr_device *device, struct tsr_stream **out,
                            struct tsr_error *err);
void tsr__cuda_stream_free(struct tsr_stream *stream);
int tsr__cuda_event_create(struct tsr_device *device, struct tsr_event **out,
                           struct tsr_error *err);
void tsr__cuda_event_free(struct tsr_event *event);
int tsr__cuda_event_record(struct tsr_event *event, struct tsr_stream *stream,
                           struct tsr_error *err);
int tsr__cuda_event_elapsed(struct tsr_event *start, struct tsr_event *stop,
                            double *milliseconds, struct tsr_error *err);
int tsr__cuda_graph_begin(struct tsr_stream *stream, struct tsr_error *err);
int tsr__cuda_graph_end(struct tsr_stream *stream, struct tsr_graph **out,
                        struct tsr_error *err);
int tsr__cuda_graph_launch(struct tsr_graph *graph, struct tsr_stream *stream,
                           struct tsr_error *err);
void tsr__cuda_graph_free(struct tsr_graph *graph);

#endif
