/* entry_points.h -- the functions of the look-alike, under the names that
** libcuda exports, and the names cuGetProcAddress knows them by. */
#ifndef TESTS_LOOKALIKE_ENTRY_POINTS_H
#define TESTS_LOOKALIKE_ENTRY_POINTS_H

#include "tests/lookalike/lookalike.h"

#define LOOKALIKE_SHARED_OPTIN  (227 << 10)
#define LOOKALIKE_SHARED_USUAL  (48 << 10)
#define LOOKALIKE_BLOCK_THREADS 1024

/* cuda_api.h says the arguments; only names that end in _v2 differ. */
#define REAL_NAMES(X)                                                          \
    X(DeviceTotalMem, cuDeviceTotalMem_v2)                                     \
    X(DeviceGetUuid, cuDeviceGetUuid_v2)

/* Name for cuGetProcAddress, function, arguments. */
#define LOOKALIKE_ENTRY_POINTS(X) CUDA_API_LIST_WITH_NAMES(X)

#endif
