/* cuda_api.h -- the part of the CUDA driver's binary interface that we use.
**
** Written from NVIDIA's driver API reference, so that no toolkit is needed to
** build. Entry points are asked for at API version 12.0 (cuGetProcAddress),
** which fixes each signature whatever driver answers; 12.0 is the oldest
** driver that will do.
*/
#ifndef TSR_DEVICE_CUDA_API_H
#define TSR_DEVICE_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

#define CUDA_API_VERSION 12000

typedef int cuda_result;
typedef int cuda_device;
typedef uint64_t cuda_pointer;
typedef struct cuda_context_opaque *cuda_context;
typedef struct cuda_module_opaque *cuda_module;
typedef struct cuda_function_opaque *cuda_function;
typedef struct cuda_stream_opaque *cuda_stream;
typedef struct cuda_event_opaque *cuda_event;
typedef struct cuda_graph_opaque *cuda_graph;
typedef struct cuda_graph_exec_opaque *cuda_graph_exec;

typedef struct {
    unsigned char bytes[16];
} cuda_uuid;

typedef cuda_result (*cuda_get_proc_address)(const char *symbol, void **out,
                                             int version, uint64_t flags,
                                             int *status);

/* Name without the "cu" in front, arguments. All return a cuda_result. */
#define CUDA_API_LIST(X)                                                      \
    X(Init, (unsigned flags))                                                 \
    X(DriverGetVersion, (int *version))                                       \
    X(GetErrorName, (cuda_result result, const char **name))                  \
    X(DeviceGetCount, (int *count))                                           \
    X(DeviceGet, (cuda_device * device, int ordinal))                         \
    X(DeviceGetName, (char *name, int size, cuda_device device))              \
    X(DeviceGetAttribute, (int *value, int attribute, cuda_device device))    \
    X(DeviceTotalMem, (size_t * bytes, cuda_device device))                   \
    X(DeviceGetUuid, (cuda_uuid * uuid, cuda_device device))                  \
    X(DevicePrimaryCtxRetain, (cuda_context * context, cuda_device device))   \
    X(DevicePrimaryCtxRelease, (cuda_device device))                          \
    X(CtxPushCurrent, (cuda_context context))                                 \
    X(CtxPopCurrent, (cuda_context * context))                                \
    X(CtxSynchronize, (void))                                                 \
    X(MemAlloc, (cuda_pointer * pointer, size_t bytes))                       \
    X(MemFree, (cuda_pointer pointer))                                        \
    X(MemcpyHtoD, (cuda_pointer to, const void *from, size_t bytes))          \
    X(MemcpyDtoH, (void *to, cuda_pointer from, size_t bytes))                \
    X(MemsetD8, (cuda_pointer to, unsigned char value, size_t bytes))         \
    X(ModuleLoadDataEx, (cuda_module * module, const void *image,             \
                         unsigned count, int *options, void **values))        \
    X(ModuleUnload, (cuda_module module))                                     \
    X(ModuleGetFunction,                                                      \
      (cuda_function * function, cuda_module module, const char *name))       \
    X(FuncGetAttribute, (int *value, int attribute, cuda_function function))  \
    X(FuncSetAttribute, (cuda_function function, int attribute, int value))   \
    X(LaunchKernel,                                                           \
      (cuda_function function, unsigned grid_x, unsigned grid_y,              \
       unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, \
       unsigned shared, cuda_stream stream, void **arguments, void **extra))  \
    X(StreamCreate, (cuda_stream * stream, unsigned flags))                   \
    X(StreamDestroy, (cuda_stream stream))                                    \
    X(EventCreate, (cuda_event * event, unsigned flags))                      \
    X(EventDestroy, (cuda_event event))                                       \
    X(EventRecord, (cuda_event event, cuda_stream stream))                    \
    X(EventSynchronize, (cuda_event event))                                   \
    X(EventElapsedTime, (float *ms, cuda_event start, cuda_event stop))       \
    X(StreamBeginCapture, (cuda_stream stream, int mode))                     \
    X(StreamEndCapture, (cuda_stream stream, cuda_graph * graph))             \
    X(GraphInstantiateWithFlags,                                              \
      (cuda_graph_exec * executable, cuda_graph graph, uint64_t flags))       \
    X(GraphLaunch, (cuda_graph_exec executable, cuda_stream stream))          \
    X(GraphExecDestroy, (cuda_graph_exec executable))                         \
    X(GraphDestroy, (cuda_graph graph))

struct cuda_api {
#define CUDA_API_MEMBER(name, arguments) cuda_result(*name) arguments;
    CUDA_API_LIST(CUDA_API_MEMBER)
#undef CUDA_API_MEMBER
};

/* CUdevice_attribute */
enum {
    CUDA_ATTRIBUTE_CLOCK_RATE = 13,
    CUDA_ATTRIBUTE_SM_COUNT = 16,
    CUDA_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,
    CUDA_ATTRIBUTE_L2_BYTES = 38,
    CUDA_ATTRIBUTE_CAPABILITY_MAJOR = 75,
    CUDA_ATTRIBUTE_CAPABILITY_MINOR = 76,
    CUDA_ATTRIBUTE_SHARED_PER_SM = 81,
    CUDA_ATTRIBUTE_REGISTERS_PER_SM = 82,
    CUDA_ATTRIBUTE_SHARED_PER_BLOCK_OPTIN = 97,
};

/* CUfunction_attribute */
enum {
    CUDA_FUNCTION_SHARED_STATIC = 1,
    CUDA_FUNCTION_MAX_DYNAMIC_SHARED = 8,
};

/* CUjit_option */
enum {
    CUDA_JIT_ERROR_LOG = 5,
    CUDA_JIT_ERROR_LOG_SIZE = 6,
};

#define CUDA_CAPTURE_THREAD_LOCAL 1
#define CUDA_SYMBOL_FOUND         0 /* CUdriverProcAddressQueryResult */

/* What a result means to whoever reads it: name, value, does it destroy the
** context ("sticky"), the sentence that says what to do. Others keep the name
** the driver gives them. */
#define CUDA_RESULT_LIST(X)                                                    \
    X(SUCCESS, 0, 0, "success")                                                \
    X(INVALID_VALUE, 1, 0,                                                     \
      "an argument is out of range; for a launch, check grid and block")       \
    X(OUT_OF_MEMORY, 2, 0,                                                     \
      "the GPU has not that much free memory; close other programs on it or "  \
      "ask for less")                                                          \
    X(NOT_INITIALIZED, 3, 0, "the driver is not initialised")                  \
    X(DEINITIALIZED, 4, 0, "the driver is shutting down with the process")     \
    X(STUB_LIBRARY, 34, 0,                                                     \
      "this libcuda is the toolkit's stub; install the NVIDIA driver, and "    \
      "take the stubs folder out of LD_LIBRARY_PATH")                          \
    X(CALL_REQUIRES_NEWER_DRIVER, 36, 0, "update the NVIDIA driver")           \
    X(DEVICE_UNAVAILABLE, 46, 0,                                               \
      "another process has the GPU for itself; wait or use another GPU")       \
    X(NO_DEVICE, 100, 0,                                                       \
      "the driver sees no GPU; check nvidia-smi, CUDA_VISIBLE_DEVICES and "    \
      "the container's GPU option")                                            \
    X(INVALID_DEVICE, 101, 0, "there is no such GPU; see 'tessera doctor'")    \
    X(INVALID_IMAGE, 200, 0, "the kernel image is damaged; compile it again")  \
    X(INVALID_CONTEXT, 201, 0, "the GPU context is gone; end the process")     \
    X(NO_BINARY_FOR_GPU, 209, 0,                                               \
      "the kernel was compiled for another architecture; compile it for this " \
      "GPU's")                                                                 \
    X(ECC_UNCORRECTABLE, 214, 1,                                               \
      "GPU memory failed; end the process and check the GPU")                  \
    X(INVALID_PTX, 218, 0, "the driver cannot compile this PTX")               \
    X(NVLINK_UNCORRECTABLE, 220, 1,                                            \
      "an NVLink failed; end the process and check the GPU")                   \
    X(JIT_COMPILER_NOT_FOUND, 221, 0,                                          \
      "libnvidia-ptxjitcompiler is missing; reinstall the driver, or use "     \
      "cubins")                                                                \
    X(UNSUPPORTED_PTX_VERSION, 222, 0,                                         \
      "the PTX is newer than the driver; update the driver, or use cubins")    \
    X(CONTAINED, 226, 1, "GPU memory failed; end the process")                 \
    X(OPERATING_SYSTEM, 304, 0, "the operating system refused a call")         \
    X(INVALID_HANDLE, 400, 0, "the object was freed or belongs elsewhere")     \
    X(NOT_FOUND, 500, 0, "there is nothing of that name in the module")        \
    X(NOT_READY, 600, 0, "the work before it has not ended")                   \
    X(ILLEGAL_ADDRESS, 700, 1,                                                 \
      "a kernel reached outside its memory; run it on the emulator to see "    \
      "where, and end this process")                                           \
    X(LAUNCH_OUT_OF_RESOURCES, 701, 0,                                         \
      "the kernel needs more registers or shared memory than a block may "     \
      "have")                                                                  \
    X(LAUNCH_TIMEOUT, 702, 1,                                                  \
      "the kernel ran longer than the display driver allows; end the process") \
    X(CONTEXT_IS_DESTROYED, 709, 1,                                            \
      "the GPU context is gone; end the process")                              \
    X(ASSERT, 710, 1, "an assertion failed in a kernel; end the process")      \
    X(HARDWARE_STACK_ERROR, 714, 1,                                            \
      "a kernel overran its stack; end the process")                           \
    X(ILLEGAL_INSTRUCTION, 715, 1,                                             \
      "a kernel met an illegal instruction; end the process")                  \
    X(MISALIGNED_ADDRESS, 716, 1,                                              \
      "a kernel made a misaligned access; run it on the emulator to see "      \
      "where, and end this process")                                           \
    X(INVALID_ADDRESS_SPACE, 717, 1,                                           \
      "a kernel mixed up memory spaces; run it on the emulator, and end this " \
      "process")                                                               \
    X(INVALID_PC, 718, 1, "a kernel jumped into nowhere; end the process")     \
    X(LAUNCH_FAILED, 719, 1,                                                   \
      "the kernel died; run it on the emulator to see why, and end this "      \
      "process")                                                               \
    X(NOT_PERMITTED, 800, 0, "the operation is not permitted")                 \
    X(NOT_SUPPORTED, 801, 0, "this GPU or driver cannot do that")              \
    X(SYSTEM_NOT_READY, 802, 0,                                                \
      "the machine is not ready for CUDA; is the fabric manager running?")     \
    X(SYSTEM_DRIVER_MISMATCH, 803, 0,                                          \
      "kernel module and driver library differ; reboot, or reinstall one")     \
    X(COMPAT_NOT_SUPPORTED_ON_DEVICE, 804, 0,                                  \
      "the forward-compatibility package does not support this GPU")           \
    X(STREAM_CAPTURE_UNSUPPORTED, 900, 0,                                      \
      "that cannot be recorded into a graph")                                  \
    X(STREAM_CAPTURE_INVALIDATED, 901, 0,                                      \
      "an earlier call spoilt the recording; begin it again")                  \
    X(STREAM_CAPTURE_IMPLICIT, 906, 0,                                         \
      "the default stream was used while another records a graph")             \
    X(UNKNOWN, 999, 1, "the driver does not say why; end the process")

enum {
#define CUDA_RESULT_ENUM(name, value, sticky, advice) CUDA_##name = (value),
    CUDA_RESULT_LIST(CUDA_RESULT_ENUM)
#undef CUDA_RESULT_ENUM
};

#endif
