/* implementation.h -- what a device implementation fills in.
**
** device.c holds no knowledge of CUDA or of the emulator: each call of
** device.h is one call through this table. An implementation embeds
** struct tsr_device, tsr_module, tsr_function, ... as the FIRST member of its
** own structs, so that a pointer to one is a pointer to the other:
**
**     struct cuda_module { struct tsr_module base; void *handle; };
**
** device.c guarantees to every operation: pointers that device.h does not
** allow to be NULL are not NULL, and `free` operations are never given NULL.
** `err` may be NULL. Operations that take a stream but no device find the
** device through the object they are given.
*/
#ifndef TSR_DEVICE_IMPLEMENTATION_H
#define TSR_DEVICE_IMPLEMENTATION_H

#include "runtime/device/device.h"

struct tsr_device_ops {
    void (*device_free)(struct tsr_device *device);
    int (*alloc)(struct tsr_device *device, size_t bytes, const char *label,
                 tsr_device_ptr *out, struct tsr_error *err);
    int (*release)(struct tsr_device *device, tsr_device_ptr pointer,
                   struct tsr_error *err);
    int (*write)(struct tsr_device *device, tsr_device_ptr to, const void *from,
                 size_t bytes, struct tsr_error *err);
    int (*read)(struct tsr_device *device, void *to, tsr_device_ptr from,
                size_t bytes, struct tsr_error *err);
    int (*fill)(struct tsr_device *device, tsr_device_ptr to,
                unsigned char value, size_t bytes, struct tsr_error *err);
    int (*synchronize)(struct tsr_device *device, struct tsr_error *err);

    int (*module_load)(struct tsr_device *device, const void *image,
                       size_t size, struct tsr_module **out,
                       struct tsr_error *err);
    void (*module_free)(struct tsr_module *module);
    int (*module_function)(struct tsr_module *module, const char *name,
                           uint32_t shared_bytes, struct tsr_function **out,
                           struct tsr_error *err);
    int (*launch)(struct tsr_function *function,
                  const struct tsr_launch_shape *shape,
                  struct tsr_stream *stream, void **arguments,
                  struct tsr_error *err);

    int (*stream_create)(struct tsr_device *device, struct tsr_stream **out,
                         struct tsr_error *err);
    void (*stream_free)(struct tsr_stream *stream);

    int (*event_create)(struct tsr_device *device, struct tsr_event **out,
                        struct tsr_error *err);
    void (*event_free)(struct tsr_event *event);
    int (*event_record)(struct tsr_event *event, struct tsr_stream *stream,
                        struct tsr_error *err);
    int (*event_elapsed)(struct tsr_event *start, struct tsr_event *stop,
                         double *milliseconds, struct tsr_error *err);

    int (*graph_begin)(struct tsr_stream *stream, struct tsr_error *err);
    int (*graph_end)(struct tsr_stream *stream, struct tsr_graph **out,
                     struct tsr_error *err);
    int (*graph_launch)(struct tsr_graph *graph, struct tsr_stream *stream,
                        struct tsr_error *err);
    void (*graph_free)(struct tsr_graph *graph);
};

struct tsr_device {
    const struct tsr_device_ops *ops;
    struct tsr_device_info info;
};

/* Everything else points back at its device, so device.c finds the table. */
struct tsr_module {
    struct tsr_device *device;
};

struct tsr_function {
    struct tsr_device *device;
};

struct tsr_stream {
    struct tsr_device *device;
};

struct tsr_event {
    struct tsr_device *device;
};

struct tsr_graph {
    struct tsr_device *device;
};

/* Constructors. `index` counts CUDA devices from 0; `arch` is "sm_90a". */
int tsr__cuda_open(int index, struct tsr_device **out, struct tsr_error *err);
int tsr__emulated_open(const char *arch, struct tsr_device **out,
                       struct tsr_error *err);

/* Number of CUDA devices; 0 with the reason in `err` without a driver. */
int tsr__cuda_count(struct tsr_error *err);

#endif
