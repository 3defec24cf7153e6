/* cuda_driver.h -- the loaded driver, and its results as errors. */
#ifndef TSR_DEVICE_CUDA_DRIVER_H
#define TSR_DEVICE_CUDA_DRIVER_H

#include "runtime/base/error.h"
#include "runtime/device/cuda_api.h"

/* Loads and initialises the driver on the first call that succeeds; later
** calls return the same table. Thread-safe. */
int tsr__cuda_api(const struct cuda_api **out, struct tsr_error *err);

/* The file the driver was loaded from; "" before. */
const char *tsr__cuda_path(void);

/* Ends `what`, a clause with its own format ("cannot allocate %zu bytes"),
** with the name of the result and what to do. Returns TSR_EMEMORY for
** OUT_OF_MEMORY, TSR_ENOTFOUND for NOT_FOUND and NO_DEVICE, TSR_EFORMAT for a
** bad image, else TSR_EDEVICE. */
int tsr__cuda_fail(struct tsr_error *err, cuda_result result, const char *what,
                   ...) TSR_PRINTF(3, 4);

/* "CUDA_ERROR_NAME (number): what to do" in a static table or in `text`. */
void tsr__cuda_describe(cuda_result result, char *text, size_t size);

/* The context cannot be used after this result. */
int tsr__cuda_is_sticky(cuda_result result);

#endif
