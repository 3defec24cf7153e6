/* lookalike.h -- a CUDA driver for tests: libcuda's entry points, on the PTX
** emulator, with failures on demand.
**
** Built as a shared library with the soname libcuda.so.1 and loaded by
** runtime/device/cuda_driver.c through TESSERA_CUDA_LIBRARY. It is strict
** where the real driver is: a call without a current context, a block of 2000
** threads or more dynamic shared memory than was asked for are errors; a
** kernel that faults is found out by the next call that waits, and the context
** is lost from then on.
**
** Images: PTX runs as it is. A cubin cannot run here; it stands for the PTX in
** $TSR_LOOKALIKE_PTX/<sha-256 of the cubin>.ptx, and without that file is for
** another GPU (CUDA_ERROR_NO_BINARY_FOR_GPU).
**
** Settings: in the environment, TSR_LOOKALIKE_SET="alloc=3,devices=2", read
** when a process begins to use the driver, or through lookalike_set.
**
**     devices=N        how many GPUs (1)
**     capability=90    compute capability, major * 10 + minor (90)
**     driver=13000     what cuDriverGetVersion says
**     mig=1            devices are MIG slices
**     memory=BYTES     memory of a device (1 GiB)
**     init=CODE        cuInit fails with CODE
**     alloc=N          the N-th allocation from now: out of memory
**     module=N         the N-th module load from now: invalid image
**     launch=N         the N-th launch from now: out of resources, not sticky
**     sticky=N         the N-th launch from now succeeds, but its kernel dies
*of
**                      an illegal address
**     missing=NAME     cuGetProcAddress does not know NAME (environment only)
*/
#ifndef TESTS_LOOKALIKE_LOOKALIKE_H
#define TESTS_LOOKALIKE_LOOKALIKE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/device/cuda_api.h"
#include "runtime/emulator/emulator.h"

#define LOOKALIKE_EXPORT __attribute__((visibility("default")))

/* Both are exported under these names; tests find them with dlsym. */
int lookalike_set(const char *name, long value); /* -1: no such setting */
/* Living objects: "contexts", "allocations", "modules", "streams", "events",
** "graphs", and "depth" of the calling thread's stack of contexts. */
long lookalike_count(const char *name);

#define LOOKALIKE_SETTINGS(X) \
    X(devices, 1)             \
    X(capability, 90)         \
    X(driver, 13000)          \
    X(mig, 0)                 \
    X(memory, 1L << 30)       \
    X(init, 0)                \
    X(alloc, 0)               \
    X(module, 0)              \
    X(launch, 0)              \
    X(sticky, 0)

struct lookalike_settings {
#define LOOKALIKE_MEMBER(name, value) long name;
    LOOKALIKE_SETTINGS(LOOKALIKE_MEMBER)
#undef LOOKALIKE_MEMBER
    char missing[64];
};

struct lookalike_counts {
    long contexts, allocations, modules, streams, events, graphs;
};

/* ---- inside the library ---------------------------------------------------*/

#define LOOKALIKE_DEVICES 4
#define ALLOCATIONS       4096

struct cuda_context_opaque {
    int device;
    int references;
    struct emu_memory *memory;
    cuda_result sticky; /* what every call answers from now on */
    cuda_result died;   /* found out by the next call that waits */
    int recordings;     /* streams that record a graph */
    size_t used;
    struct {
        uint64_t address;
        size_t bytes;
    } allocations[ALLOCATIONS];
};

struct cuda_module_opaque {
    cuda_context context;
    struct emu_module *module;
    struct cuda_function_opaque *functions;
};

struct cuda_function_opaque {
    cuda_context context;
    const struct emu_kernel *kernel;
    struct emu_kernel_info info;
    int dynamic_limit;
    struct cuda_function_opaque *next;
};

/* A launch in a graph; its arguments follow it. */
struct lookalike_launch {
    cuda_function function;
    uint32_t grid[3], block[3], shared;
    struct lookalike_launch *next;
    unsigned char arguments[];
};

struct cuda_graph_opaque {
    struct lookalike_launch *first, **last;
};

struct cuda_graph_exec_opaque {
    struct lookalike_launch *first, **last;
};

struct cuda_stream_opaque {
    cuda_context context;
    cuda_graph recording;
};

struct cuda_event_opaque {
    cuda_context context;
    double milliseconds;
    int recorded;
};

extern struct lookalike_settings lookalike;
extern struct lookalike_counts lookalike_live;
extern pthread_mutex_t lookalike_mutex;

/* Counts `*setting` down; 1 when that call is the one to fail. */
int lookalike_due(long *setting);
/* The current context of this thread, or why there is none. */
cuda_result lookalike_current(cuda_context *out);
/* What a call that waits for the GPU answers; makes a death known. */
cuda_result lookalike_wait(cuda_context context);
cuda_result lookalike_run(cuda_function function,
                          const struct lookalike_launch *launch);
void lookalike_free_launches(struct lookalike_launch *first);

#endif
