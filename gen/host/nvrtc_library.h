/* nvrtc_library.h -- finds and loads libnvrtc, 12.8 or newer.
**
** Looked for in this order; the first that loads and is new enough wins:
**
**     $TESSERA_NVRTC          a file or a folder; when set, nothing else
**     build/nvrtc             the wheel `make deps` fetches: under the current
**                             directory and above the running program
**     the dynamic linker      LD_LIBRARY_PATH, ld.so.conf
**     $CUDA_HOME, $CUDA_PATH  lib64, lib, targets/.../lib
**     /usr/local/cuda*, /opt/cuda
**
** A folder may be the library's own, a toolkit's root, or what
** `pip install --target` leaves. libnvrtc-builtins, which libnvrtc opens by
** name, is loaded from beside it first, so no search path need name it.
*/
#ifndef GEN_HOST_NVRTC_LIBRARY_H
#define GEN_HOST_NVRTC_LIBRARY_H

#include "runtime/base/buffer.h"
#include "runtime/base/error.h"

typedef struct nvrtc_program_opaque *nvrtc_program;

/* The entry points used: return type, name without prefix, arguments. Result
** codes are ints; 0 is success. */
#define GEN_NVRTC_LIST(X)                                             \
    X(int, Version, (int *major, int *minor))                         \
    X(const char *, GetErrorString, (int result))                     \
    X(int, GetNumSupportedArchs, (int *count))                        \
    X(int, GetSupportedArchs, (int *archs))                           \
    X(int, CreateProgram,                                             \
      (nvrtc_program * program, const char *source, const char *name, \
       int headers, const char *const *header_texts,                  \
       const char *const *header_names))                              \
    X(int, CompileProgram,                                            \
      (nvrtc_program program, int count, const char *const *options)) \
    X(int, GetPTXSize, (nvrtc_program program, size_t * size))        \
    X(int, GetPTX, (nvrtc_program program, char *ptx))                \
    X(int, GetCUBINSize, (nvrtc_program program, size_t * size))      \
    X(int, GetCUBIN, (nvrtc_program program, char *cubin))            \
    X(int, GetProgramLogSize, (nvrtc_program program, size_t * size)) \
    X(int, GetProgramLog, (nvrtc_program program, char *log))         \
    X(int, DestroyProgram, (nvrtc_program * program))

struct gen_nvrtc {
#define GEN_NVRTC_MEMBER(type, name, arguments) type(*name) arguments;
    GEN_NVRTC_LIST(GEN_NVRTC_MEMBER)
#undef GEN_NVRTC_MEMBER
    int major, minor;
    char path[1024];
    size_t file_size; /* tells builds of one version apart in the cache key */
};

/* The library of this process, loaded on the first call that succeeds. */
int gen_nvrtc_load(const struct gen_nvrtc **out, struct tsr_error *err);

/* Every place looked at, one line each ("PATH: why not"), for `doctor`. */
int gen_nvrtc_search_report(struct tsr_buffer *out);

/* Held around every use of the library and around fork, so that a worker
** never inherits NVRTC in the middle of a compile. */
void gen_nvrtc_lock(void);
void gen_nvrtc_unlock(void);

#endif
