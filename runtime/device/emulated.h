/* emulated.h -- what an emulated device offers beyond device.h: how strictly
** it runs, and what it saw. For tests, the tuner and the benchmark; whoever
** only launches needs none of it.
*/
#ifndef TSR_DEVICE_EMULATED_H
#define TSR_DEVICE_EMULATED_H

#include "runtime/device/device.h"
#include "runtime/emulator/emulator.h"

/* The options of every later launch, or NULL for a device that is no emulator.
** Change them while nothing runs. Checks are on to begin with. */
struct emu_options *tsr__emulated_options(struct tsr_device *device);

/* Later launches run only these blocks (see emu_launch); the array is not
** copied. NULL runs all again. */
void tsr__emulated_select(struct tsr_device *device, const uint64_t *blocks,
                          size_t count);

/* Counts of the launches since the last call, with options.counts. */
void tsr__emulated_take_counts(struct tsr_device *device,
                               struct emu_counts *out);

/* The memory behind the device's pointers; NULL for one that is no emulator.
 */
struct emu_memory *tsr__emulated_memory(struct tsr_device *device);

#endif
