/* cuda.h -- what `tessera doctor` asks of the CUDA driver beyond device.h.
**
** The driver is libcuda.so.1, found by the dynamic linker, or the file that
** TESSERA_CUDA_LIBRARY names (tests put a look-alike there). It is loaded once
** per process and never unloaded.
*/
#ifndef TSR_DEVICE_CUDA_H
#define TSR_DEVICE_CUDA_H

#include "runtime/device/implementation.h"

struct tsr_cuda_driver_info {
    char path[512]; /* the file that was loaded */
    int version;    /* 13000 for CUDA 13.0 */
    int device_count;
};

/* TSR_ENOTFOUND without a driver, TSR_EUNSUPPORTED when it is too old,
** TSR_EDEVICE when it refuses to start; each text says what to do. */
int tsr__cuda_driver_info(struct tsr_cuda_driver_info *out,
                          struct tsr_error *err);

/* Details of one device without making a context on it. */
int tsr__cuda_device_info(int index, struct tsr_device_info *out,
                          struct tsr_error *err);

#endif
