/* device.h -- one interface to a GPU and to the emulator.
**
** A device owns memory, modules and streams. Two implementations stand behind
** the table of functions: cuda.c (the driver API, found by dlopen) and
** emulated.c (the PTX emulator). Everything above this line is the same on
** both, so what CI runs is what a GPU runs.
**
** Names: "emulator:sm_90a", "cuda:0". NULL means cuda:0 where there is one,
** else emulator:sm_90a.
**
** Threads: a device may be used by several threads; launches on one stream
** are ordered. No call on the launch path allocates.
**
** Errors of the device that cannot be recovered (CUDA's "sticky" ones) come
** back as TSR_EDEVICE from every later call; the process must end.
*/
#ifndef TSR_DEVICE_DEVICE_H
#define TSR_DEVICE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"

struct tsr_device;
struct tsr_module;
struct tsr_function;
struct tsr_stream; /* NULL is the default stream */
struct tsr_event;
struct tsr_graph; /* an instantiated graph */

typedef uint64_t tsr_device_ptr; /* an address in device memory; 0 is none */

struct tsr_device_info {
    char name[128]; /* "NVIDIA H200", or the GPU the emulator stands for */
    char arch[16];  /* "sm_90a": what to compile for */
    int emulated;
    int mig; /* a MIG slice is a device of its own */
    int capability_major, capability_minor;
    int sm_count;
    int clock_khz, memory_clock_khz;
    size_t memory_bytes;
    size_t l2_bytes;
    size_t shared_per_block; /* opt-in maximum, bytes */
    size_t shared_per_sm;
    int registers_per_sm;
    int driver_version; /* 13000 for 13.0; 0 when emulated */
    char uuid[40];
};

struct tsr_launch_shape {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared_bytes; /* dynamic */
};

int tsr__device_open(struct tsr_device **out, const char *name,
                     struct tsr_error *err);
void tsr__device_free(struct tsr_device *device);
const struct tsr_device_info *tsr__device_info(const struct tsr_device *device);
/* Number of CUDA devices; 0 without a driver (why: in err). */
int tsr__device_count(struct tsr_error *err);

/* `label` names the buffer in findings ("x", "qweight"); it is copied. */
int tsr__device_alloc(struct tsr_device *device, size_t bytes,
                      const char *label, tsr_device_ptr *out,
                      struct tsr_error *err);
int tsr__device_release(struct tsr_device *device, tsr_device_ptr pointer,
                        struct tsr_error *err);
int tsr__device_write(struct tsr_device *device, tsr_device_ptr to,
                      const void *from, size_t bytes, struct tsr_error *err);
int tsr__device_read(struct tsr_device *device, void *to, tsr_device_ptr from,
                     size_t bytes, struct tsr_error *err);
int tsr__device_fill(struct tsr_device *device, tsr_device_ptr to,
                     unsigned char value, size_t bytes, struct tsr_error *err);

/* `image` is a cubin or NUL-terminated PTX; the emulator takes PTX only. */
int tsr__module_load(struct tsr_device *device, const void *image, size_t size,
                     struct tsr_module **out, struct tsr_error *err);
void tsr__module_free(struct tsr_module *module);
/* Owned by its module. Raises the dynamic shared-memory limit of the kernel
** to `shared_bytes` so that a launch needs no further call. */
int tsr__module_function(struct tsr_module *module, const char *name,
                         uint32_t shared_bytes, struct tsr_function **out,
                         struct tsr_error *err);

/* `arguments[i]` points at the i-th kernel parameter. Asynchronous on a GPU.
** On the emulator it runs now; findings make it fail with TSR_EFINDING. */
int tsr__function_launch(struct tsr_function *function,
                         const struct tsr_launch_shape *shape,
                         struct tsr_stream *stream, void **arguments,
                         struct tsr_error *err);

int tsr__stream_create(struct tsr_device *device, struct tsr_stream **out,
                       struct tsr_error *err);
void tsr__stream_free(struct tsr_stream *stream);
int tsr__device_synchronize(struct tsr_device *device, struct tsr_error *err);

/* Events and graphs, for measuring. On the emulator an event holds CPU time
** and a graph replays its list of launches. */
int tsr__event_create(struct tsr_device *device, struct tsr_event **out,
                      struct tsr_error *err);
void tsr__event_free(struct tsr_event *event);
int tsr__event_record(struct tsr_event *event, struct tsr_stream *stream,
                      struct tsr_error *err);
int tsr__event_elapsed(struct tsr_event *start, struct tsr_event *stop,
                       double *milliseconds, struct tsr_error *err);
int tsr__graph_begin(struct tsr_stream *stream, struct tsr_error *err);
int tsr__graph_end(struct tsr_stream *stream, struct tsr_graph **out,
                   struct tsr_error *err);
int tsr__graph_launch(struct tsr_graph *graph, struct tsr_stream *stream,
                      struct tsr_error *err);
void tsr__graph_free(struct tsr_graph *graph);

#endif
