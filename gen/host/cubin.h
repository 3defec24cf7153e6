/* cubin.h -- reads what ptxas wrote about its kernels in a cubin.
**
** A cubin is a 64-bit little-endian ELF file for machine 190:
**
**     ELF header | sections ... | section headers
**     .text.K          the machine code of kernel K, 16 bytes an instruction
**     .nv.info         attributes of all functions, by symbol index
**     .nv.info.K       attributes of kernel K
**     .nv.shared.K     static shared memory (no bytes in the file)
**
** An attribute is  u8 format, u8 attribute, u16 value or size [, size bytes].
** Every offset, count and size is checked against the file, so that a damaged
** cubin is TSR_EFORMAT and nothing worse.
*/
#ifndef GEN_HOST_CUBIN_H
#define GEN_HOST_CUBIN_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"

struct gen_cubin_kernel {
    char *name;                /* owned */
    const unsigned char *code; /* inside the cubin's bytes */
    size_t code_size;
    int registers;
    int stack_bytes;  /* local memory per thread */
    int shared_bytes; /* static, without the driver's 1 KiB on sm_90+ */
    int barriers;
    int max_threads; /* __launch_bounds__, 0 when not given */
    int parameter_bytes;
};

/* Points into the bytes it was parsed from, which must outlive it. */
struct gen_cubin {
    int sm; /* 90 for sm_90 and sm_90a */
    size_t kernel_count;
    struct gen_cubin_kernel *kernels; /* in the order of their sections */
};

int gen_cubin_parse(const void *bytes, size_t size, struct gen_cubin *out,
                    struct tsr_error *err);
void gen_cubin_release(struct gen_cubin *cubin);

#endif
