/* public_device.c -- tessera.h's devices and memory, on device.h. */
#include "runtime/device/device.h"

int tsr_device_open(struct tsr_device **out, const char *name,
                    struct tsr_error *err)
{
    return tsr__device_open(out, name, err);
}

void tsr_device_free(struct tsr_device *device)
{
    if (device)
        tsr__device_free(device);
}

const char *tsr_device_name(const struct tsr_device *device)
{
    return tsr__device_info(device)->name;
}

const char *tsr_device_arch(const struct tsr_device *device)
{
    return tsr__device_info(device)->arch;
}

int tsr_device_emulated(const struct tsr_device *device)
{
    return tsr__device_info(device)->emulated;
}

int tsr_device_synchronize(struct tsr_device *device, struct tsr_error *err)
{
    return tsr__device_synchronize(device, err);
}

int tsr_stream_create(struct tsr_device *device, struct tsr_stream **out,
                      struct tsr_error *err)
{
    return tsr__stream_create(device, out, err);
}

void tsr_stream_free(struct tsr_stream *stream)
{
    if (stream)
        tsr__stream_free(stream);
}

int tsr_memory_alloc(struct tsr_device *device, size_t bytes, const char *label,
                     tsr_device_ptr *out, struct tsr_error *err)
{
    return tsr__device_alloc(device, bytes, label, out, err);
}

int tsr_memory_free(struct tsr_device *device, tsr_device_ptr pointer,
                    struct tsr_error *err)
{
    return pointer ? tsr__device_release(device, pointer, err) : 0;
}

int tsr_memory_write(struct tsr_device *device, tsr_device_ptr to,
                     const void *from, size_t bytes, struct tsr_error *err)
{
    return tsr__device_write(device, to, from, bytes, err);
}

int tsr_memory_read(struct tsr_device *device, void *to, tsr_device_ptr from,
                    size_t bytes, struct tsr_error *err)
{
    return tsr__device_read(device, to, from, bytes, err);
}

int tsr_memory_fill(struct tsr_device *device, tsr_device_ptr to,
                    unsigned char value, size_t bytes, struct tsr_error *err)
{
    return tsr__device_fill(device, to, value, bytes, err);
}
