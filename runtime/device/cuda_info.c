/* cuda_info.c -- what the driver says about its devices.
**
** No context is made here, so that asking is cheap and leaves no trace on the
** GPU.
*/
#include <stdio.h>
#include <string.h>

#include "runtime/device/cuda.h"
#include "runtime/device/cuda_driver.h"

/* From compute capability 9.0 on the architecture-specific target ("a") is
** what Tessera compiles for: wgmma and its kin exist nowhere else. */
static void name_arch(struct tsr_device_info *info)
{
    snprintf(info->arch, sizeof info->arch, "sm_%d%d%s", info->capability_major,
             info->capability_minor, info->capability_major >= 9 ? "a" : "");
}

static void print_uuid(const cuda_uuid *uuid, char *out, size_t size)
{
    static const char dash_before[16] = {[4] = 1, [6] = 1, [8] = 1, [10] = 1};
    size_t used = 0;
    for (int i = 0; i < 16 && used + 4 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%02x",
                                 dash_before[i] ? "-" : "", uuid->bytes[i]);
}

static int read_attributes(const struct cuda_api *cuda, cuda_device device,
                           struct tsr_device_info *info)
{
    int l2 = 0, shared_block = 0, shared_sm = 0;
    const struct {
        int attribute;
        int *value;
    } wanted[] = {
        {CUDA_ATTRIBUTE_CAPABILITY_MAJOR, &info->capability_major},
        {CUDA_ATTRIBUTE_CAPABILITY_MINOR, &info->capability_minor},
        {CUDA_ATTRIBUTE_SM_COUNT, &info->sm_count},
        {CUDA_ATTRIBUTE_CLOCK_RATE, &info->clock_khz},
        {CUDA_ATTRIBUTE_MEMORY_CLOCK_RATE, &info->memory_clock_khz},
        {CUDA_ATTRIBUTE_REGISTERS_PER_SM, &info->registers_per_sm},
        {CUDA_ATTRIBUTE_L2_BYTES, &l2},
        {CUDA_ATTRIBUTE_SHARED_PER_BLOCK_OPTIN, &shared_block},
        {CUDA_ATTRIBUTE_SHARED_PER_SM, &shared_sm},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cuda_result result = cuda->DeviceGetAttribute(
            wanted[i].value, wanted[i].attribute, device);
        if (result)
            return result;
    }
    info->l2_bytes = (size_t)l2;
    info->shared_per_block = (size_t)shared_block;
    info->shared_per_sm = (size_t)shared_sm;
    return CUDA_SUCCESS;
}

/* A MIG slice is told by its name: "NVIDIA A100-SXM4-40GB MIG 1g.5gb". */
static cuda_result read_info(const struct cuda_api *cuda, int index,
                             struct tsr_device_info *info)
{
    cuda_device device;
    cuda_uuid uuid = {{0}};
    cuda_result result = cuda->DeviceGet(&device, index);
    if (!result)
        result = cuda->DeviceGetName(info->name, sizeof info->name, device);
    if (!result)
        result = cuda->DeviceTotalMem(&info->memory_bytes, device);
    if (!result)
        result = cuda->DeviceGetUuid(&uuid, device);
    if (!result)
        result = cuda->DriverGetVersion(&info->driver_version);
    if (!result)
        result = read_attributes(cuda, device, info);
    info->name[sizeof info->name - 1] = 0;
    info->mig = strstr(info->name, " MIG ") != NULL;
    print_uuid(&uuid, info->uuid, sizeof info->uuid);
    name_arch(info);
    return result;
}

int tsr__cuda_device_info(int index, struct tsr_device_info *out,
                          struct tsr_error *err)
{
    const struct cuda_api *cuda;
    struct tsr_device_info info;
    int count;
    int rc = tsr__cuda_api(&cuda, err);
    if (rc)
        return rc;
    memset(&info, 0, sizeof info);
    cuda_result result = cuda->DeviceGetCount(&count);
    if (!result && (index < 0 || index >= count))
        return TSR_FAIL(err, TSR_ENOTFOUND,
                        "there is no cuda:%d; this machine has %d CUDA "
                        "device%s ('tessera doctor' lists them)",
                        index, count, count == 1 ? "" : "s");
    if (!result)
        result = read_info(cuda, index, &info);
    if (result)
        return tsr__cuda_fail(err, result, "cannot read about cuda:%d", index);
    *out = info;
    return 0;
}

int tsr__cuda_count(struct tsr_error *err)
{
    const struct cuda_api *cuda;
    int count = 0;
    if (tsr__cuda_api(&cuda, err))
        return 0;
    cuda_result result = cuda->DeviceGetCount(&count);
    if (!result && count == 0)
        result = CUDA_NO_DEVICE;
    if (result) {
        tsr__cuda_fail(err, result, "no CUDA device");
        return 0;
    }
    return count;
}

int tsr__cuda_driver_info(struct tsr_cuda_driver_info *out,
                          struct tsr_error *err)
{
    const struct cuda_api *cuda;
    struct tsr_cuda_driver_info info;
    int rc = tsr__cuda_api(&cuda, err);
    if (rc)
        return rc;
    memset(&info, 0, sizeof info);
    snprintf(info.path, sizeof info.path, "%s", tsr__cuda_path());
    cuda_result result = cuda->DriverGetVersion(&info.version);
    if (!result)
        result = cuda->DeviceGetCount(&info.device_count);
    if (result)
        return tsr__cuda_fail(err, result, "cannot ask the CUDA driver");
    *out = info;
    return 0;
}
