/* tessera.h -- the public interface of the Tessera runtime.
**
** libtessera loads packages of tuned kernels (*.tpk), finds the kernel for a
** call and launches it, on a GPU through the CUDA driver or on the built-in
** PTX emulator. It never compiles and never tunes.
**
** Conventions. Functions return 0 (TSR_OK) or a negative status. The last
** parameter, `err`, may be NULL; when given it receives one line of text that
** says what happened, where, and what to do. Out-parameters are written only
** on success. What you create you free; what you pass in is not kept unless
** the name says `take`. No C++ and no varargs cross this line.
*/
#ifndef TESSERA_H
#define TESSERA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_VERSION "0.1.0"

#define TSR_STATUS_LIST(X)                            \
    X(TSR_OK, 0, "success")                           \
    X(TSR_EIO, -1, "input or output failed")          \
    X(TSR_EMEMORY, -2, "out of memory")               \
    X(TSR_EFORMAT, -3, "malformed or damaged data")   \
    X(TSR_EUSAGE, -4, "bad usage")                    \
    X(TSR_EUNSUPPORTED, -5, "not supported")          \
    X(TSR_EDEVICE, -6, "device error")                \
    X(TSR_ENOTFOUND, -7, "not found")                 \
    X(TSR_EFINDING, -8, "the emulator found a fault") \
    X(TSR_EMISMATCH, -9, "a result differs from its reference")

enum tsr_status {
#define TSR_ENUM(symbol, value, words) symbol = (value),
    TSR_STATUS_LIST(TSR_ENUM)
#undef TSR_ENUM
};

struct tsr_error {
    int code;         /* enum tsr_status */
    const char *file; /* our source file that noticed, static storage */
    int line;
    char text[1024]; /* one line, no newline */
};

const char *tsr_status_name(int code);

/* ---- Devices and device memory -------------------------------------------
**
** "cuda:0" is a GPU, "emulator:sm_90a" the emulator standing for one; NULL is
** cuda:0 where there is one, else emulator:sm_90a. A device may be used by
** several threads. Free packages and memory before their device.
*/
struct tsr_device;
struct tsr_stream;               /* NULL is the default stream */
typedef uint64_t tsr_device_ptr; /* an address in device memory; 0 is none */

int tsr_device_open(struct tsr_device **out, const char *name,
                    struct tsr_error *err);
void tsr_device_free(struct tsr_device *device);
const char *tsr_device_name(const struct tsr_device *device);
const char *tsr_device_arch(const struct tsr_device *device); /* "sm_90a" */
int tsr_device_emulated(const struct tsr_device *device);
/* Waits for everything launched; reports what went wrong meanwhile. */
int tsr_device_synchronize(struct tsr_device *device, struct tsr_error *err);

int tsr_stream_create(struct tsr_device *device, struct tsr_stream **out,
                      struct tsr_error *err);
void tsr_stream_free(struct tsr_stream *stream);

/* `label` names the memory in the emulator's findings ("x", "qweight"). */
int tsr_memory_alloc(struct tsr_device *device, size_t bytes, const char *label,
                     tsr_device_ptr *out, struct tsr_error *err);
int tsr_memory_free(struct tsr_device *device, tsr_device_ptr pointer,
                    struct tsr_error *err);
int tsr_memory_write(struct tsr_device *device, tsr_device_ptr to,
                     const void *from, size_t bytes, struct tsr_error *err);
int tsr_memory_read(struct tsr_device *device, void *to, tsr_device_ptr from,
                    size_t bytes, struct tsr_error *err);
int tsr_memory_fill(struct tsr_device *device, tsr_device_ptr to,
                    unsigned char value, size_t bytes, struct tsr_error *err);

/* ---- Packages ------------------------------------------------------------
**
** A package (*.tpk) holds kernels for the shapes of a model on several GPUs.
** It opens read-only, needs no compiler, and is refused with a reason when it
** is damaged, truncated, foreign or of another version. Opening checks the
** index and the list of hashes; each piece of machine code is hashed when it
** is first used, so damaged code never runs.
**
** Threads: one package and the kernels found in it may be used by several
** threads at once.
*/
struct tsr_package;
struct tsr_kernel; /* loaded on one device; owned by its package */

int tsr_package_open(struct tsr_package **out, const char *path,
                     struct tsr_error *err);
void tsr_package_free(struct tsr_package *package);
/* Hashes every blob: what `tessera pack verify` does. */
int tsr_package_verify(struct tsr_package *package, struct tsr_error *err);

/* What a call computes. `m`, the number of rows of this call, is not part of
** it: it is a run-time argument that only steers the choice of a kernel. */
struct tsr_kernel_key {
    const char *family; /* "gemm_w4a8", "quant_act" */
    const char *format; /* "w4c", "w4g128", "w4g64"; NULL for quant_act */
    const char *type;   /* "f16", "bf16": of y (gemm) or of x (quant_act);
                           NULL is "f16" */
    uint32_t n;         /* output channels; 0 for quant_act */
    uint32_t k;
    int bias;
};

/* How a kernel was found; earlier is better. */
#define TSR_MATCH_LIST(X)                                                   \
    X(TSR_MATCH_DEVICE, "tuned on this device")                             \
    X(TSR_MATCH_SM_COUNT, "tuned on a device of the same architecture and " \
                          "number of SMs")                                  \
    X(TSR_MATCH_ARCH, "tuned on a device of the same architecture")         \
    X(TSR_MATCH_DEFAULT, "default configuration, not tuned")                \
    X(TSR_MATCH_BASELINE, "baseline PTX, not tuned, compiled by the driver")

enum tsr_match {
#define TSR_ENUM(symbol, words) symbol,
    TSR_MATCH_LIST(TSR_ENUM)
#undef TSR_ENUM
};

const char *tsr_match_words(enum tsr_match match);

/* A row of the package. Strings live as long as the package. */
struct tsr_kernel_info {
    struct tsr_kernel_key key;
    uint32_t m;             /* bucket: the number of rows it was tuned for */
    const char *arch;       /* "sm_90a"; a baseline's virtual "compute_80" */
    const char *device;     /* tuned on; "" for a default or a baseline */
    int sm_count;           /* of that device, else 0 */
    int measured;           /* 0: predicted by the cost model, or not tuned */
    double microseconds;    /* 0 when not tuned */
    enum tsr_match match;   /* of a listed row: its kind, not a match */
    const char *spec;       /* `tessera gen SPEC` prints its source */
    const char *provenance; /* JSON object: toolkit, generator, device, time */
    uint32_t threads, shared_bytes, tile_n, tile_m, split_k;
};

enum {
    /* Only a kernel tuned for this architecture within the guard (4x) of m
    ** will do; anything less is TSR_ENOTFOUND. */
    TSR_FIND_STRICT = 1
};

/* Finds and loads the kernel for `m` rows: exact device, same architecture
** and SM count, same architecture; in each the smallest bucket >= m, else the
** largest, unless it is more than 4x away; then the default configuration of
** this architecture, then baseline PTX. The emulator runs the PTX that
** belongs to the machine code, a GPU the machine code. Finding again returns
** the same kernel. Not for the launch path: it searches, allocates, loads. */
int tsr_kernel_find(struct tsr_package *package, struct tsr_device *device,
                    const struct tsr_kernel_key *key, uint32_t m,
                    unsigned flags, const struct tsr_kernel **out,
                    struct tsr_error *err);
/* Row and way it was found. */
const struct tsr_kernel_info *tsr_kernel_info(const struct tsr_kernel *kernel);

/* Every row of a package, in a fixed order; NULL past the end. */
const struct tsr_kernel_info *tsr_package_row(const struct tsr_package *package,
                                              size_t index);
/* Loads exactly that row; TSR_EUNSUPPORTED on another architecture. */
int tsr_package_load(struct tsr_package *package, struct tsr_device *device,
                     size_t index, const struct tsr_kernel **out,
                     struct tsr_error *err);

/* ---- Launching -----------------------------------------------------------
**
** No allocation, no lock, no look-up, no synchronisation; may be captured in
** a CUDA graph. Asynchronous on a GPU. On the emulator it runs now, and a
** fault it finds is TSR_EFINDING.
*/

/* y[m,n] = x[m,k] . w[n,k]^T, dequantised. The arrays of weights are those of
** a quantised folder: w4c has scale = s, scale2 = zs; w4g* scale = s1,
** scale2 = s2, offset = b. */
struct tsr_gemm {
    tsr_device_ptr y;       /* [m,n] f16 or bf16 */
    tsr_device_ptr x;       /* [m,k] s8 */
    tsr_device_ptr x_scale; /* [m] f32 */
    tsr_device_ptr x_sum;   /* [m] s32 */
    tsr_device_ptr qweight; /* packed codes */
    tsr_device_ptr scale, scale2, offset;
    tsr_device_ptr bias;      /* [n] f16 when the key says bias, else unused */
    tsr_device_ptr workspace; /* see tsr_kernel_workspace */
    size_t workspace_bytes;
    uint32_t m;
};

/* Bytes of workspace a launch with `m` rows needs, 0 for most kernels. It
** must be zero before its first use; each launch leaves it zero again. One
** workspace serves launches of one stream, not two streams at a time. */
size_t tsr_kernel_workspace(const struct tsr_kernel *kernel, uint32_t m);

int tsr_gemm_launch(const struct tsr_kernel *kernel,
                    const struct tsr_gemm *gemm, struct tsr_stream *stream,
                    struct tsr_error *err);

/* Rows of f16 or bf16 to s8, scale and exact sum. A row with a NaN or an
** infinity becomes q = 0, sum = 0, scale = NaN: only its outputs are lost. */
struct tsr_quant_act {
    tsr_device_ptr q;     /* [m,k] s8 */
    tsr_device_ptr scale; /* [m] f32 */
    tsr_device_ptr sum;   /* [m] s32 */
    tsr_device_ptr x;     /* [m,k] f16 or bf16 */
    uint32_t m;
};

int tsr_quant_act_launch(const struct tsr_kernel *kernel,
                         const struct tsr_quant_act *quant,
                         struct tsr_stream *stream, struct tsr_error *err);

#ifdef __cplusplus
}
#endif

#endif
