/* emulate_argument.h -- the arguments of `tessera emulate`, from and to text.
**
**     TYPE:VALUE                  a scalar
**     in:TYPE:v,v,...             a buffer with contents
**     in:@FILE  in:TYPE:@FILE     the same from a file, raw little-endian
**     out:TYPE:COUNT              a zeroed buffer, printed after the run
**     inout:...                   a buffer with contents, printed after the run
**
** TYPE is one of u8 s8 u16 s16 u32 s32 u64 s64 f16 bf16 f32 f64; a file without
** a type is bytes (u8). A value outside its type's range is an error, as are
** characters that belong to no number; floats also take inf, -inf and nan.
*/
#ifndef TUNE_COMMANDS_EMULATE_ARGUMENT_H
#define TUNE_COMMANDS_EMULATE_ARGUMENT_H

#include "runtime/base/buffer.h"
#include "runtime/base/error.h"
#include "runtime/emulator/ptx.h"

enum tune_role { TUNE_SCALAR, TUNE_IN, TUNE_OUT, TUNE_INOUT };

struct tune_argument {
    const char *text; /* as given; not owned */
    enum tune_role role;
    enum ptx_type type;
    size_t count;
    size_t bytes;            /* count elements */
    unsigned char *contents; /* NULL for out */
    uint64_t address;        /* of the buffer, once it has one */
};

/* `limit` is the largest buffer in bytes. TSR_EUSAGE for text, values and
** files that cannot be taken. */
int tune_argument_parse(struct tune_argument *out, const char *text,
                        size_t limit, struct tsr_error *err);
void tune_argument_release(struct tune_argument *argument);

/* The `count` elements at `bytes`, parted by `separator`. In JSON infinities
** and NaN are strings and every value is exact; else floats have the digits
** that identify them in their type. */
void tune_values_print(struct tsr_buffer *out, enum ptx_type type,
                       const unsigned char *bytes, size_t count,
                       const char *separator, int json);

#endif
