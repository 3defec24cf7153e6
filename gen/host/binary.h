/* binary.h -- a struct gen_binary as bytes, for the cache and for pipes.
**
**     u32 version | 7 x s32 numbers | u64 double bits of compile_ms
**     char nvrtc_version[16] | u64 sizes of ptx, cubin, log | those bytes
**
** Little-endian. The hash of the cubin is computed anew when it is read.
*/
#ifndef GEN_HOST_BINARY_H
#define GEN_HOST_BINARY_H

#include "gen/host/nvrtc.h"
#include "runtime/base/buffer.h"

int gen_binary_write(const struct gen_binary *binary, struct tsr_buffer *out);

/* TSR_EFORMAT for bytes that gen_binary_write did not write. */
int gen_binary_read(const void *bytes, size_t size, struct gen_binary *out,
                    struct tsr_error *err);

#endif
