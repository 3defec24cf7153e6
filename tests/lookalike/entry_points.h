/* entry_points.h -- declares the functions of the look-alike.
**
** As in NVIDIA's header, macros give some of them the names that libcuda
** exports them under: cuMemAlloc is the function cuMemAlloc_v2, which
** cuGetProcAddress hands out for "cuMemAlloc".
*/
#ifndef TESTS_LOOKALIKE_ENTRY_POINTS_H
#define TESTS_LOOKALIKE_ENTRY_POINTS_H

#include "tests/lookalike/lookalike.h"

#define cuDeviceTotalMem          cuDeviceTotalMem_v2
#define cuDeviceGetUuid           cuDeviceGetUuid_v2
#define cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2
#define cuCtxPushCurrent          cuCtxPushCurrent_v2
#define cuCtxPopCurrent           cuCtxPopCurrent_v2
#define cuMemAlloc                cuMemAlloc_v2
#define cuMemFree                 cuMemFree_v2
#define cuMemcpyHtoD              cuMemcpyHtoD_v2
#define cuMemcpyDtoH              cuMemcpyDtoH_v2
#define cuMemsetD8                cuMemsetD8_v2
#define cuStreamDestroy           cuStreamDestroy_v2
#define cuEventDestroy            cuEventDestroy_v2
#define cuStreamBeginCapture      cuStreamBeginCapture_v2

#define DECLARE(name, arguments) \
    LOOKALIKE_EXPORT cuda_result cu##name arguments;
CUDA_API_LIST(DECLARE)
#undef DECLARE

#define LOOKALIKE_SHARED_OPTIN  (227 << 10)
#define LOOKALIKE_SHARED_USUAL  (48 << 10)
#define LOOKALIKE_BLOCK_THREADS 1024

#endif
