/* nvrtc_program.h -- one compile, with no cache around it. */
#ifndef GEN_HOST_NVRTC_PROGRAM_H
#define GEN_HOST_NVRTC_PROGRAM_H

#include "gen/host/nvrtc.h"

/* What every kernel is compiled with, besides --gpu-architecture. Part of the
** cache key. --fmad=false keeps PTX arithmetic IEEE: ptxas would contract a
** mul and an add again even where the front end did not. --minimal leaves out
** declarations that no kernel of ours uses (textures, the runtime's functions)
** and saves a seventh of an empty compile. */
#define GEN_NVRTC_FLAGS \
    "--fmad=false", "--std=c++17", "--minimal", "--ptxas-options=-v"
#define GEN_NVRTC_LINE_FLAG "--generate-line-info"

/* Fills everything but `cached`. Same errors as gen_compile. */
int gen_nvrtc_compile(const char *source, const char *name, const char *arch,
                      unsigned flags, struct gen_binary *out,
                      struct tsr_error *err);

/* "sm_90a" is well formed: sm_, two or three digits, at most a letter a or f.
 */
int gen_arch_is_valid(const char *arch);

#endif
