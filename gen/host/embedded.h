/* embedded.h -- the scripts and templates inside the binary.
**
** build/$(CONFIG)/embedded.c, written by embed.c, defines this table. Names
** are paths from the project root ("gen/lua/spec.lua",
** "templates/gemm_w4a8.cu.tmpl"), sorted bytewise; data is the file byte for
** byte, so line numbers in errors are those of the file on disk.
*/
#ifndef GEN_HOST_EMBEDDED_H
#define GEN_HOST_EMBEDDED_H

#include <stddef.h>

extern const struct gen_embedded {
    const char *name;
    const unsigned char *data;
    size_t size;
} gen_embedded_files[];
extern const size_t gen_embedded_count;

#endif
