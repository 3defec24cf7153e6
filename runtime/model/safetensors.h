/* safetensors.h -- reading weights: one file, or a folder with
** model.safetensors or a sharded model.safetensors.index.json.
**
**   file:  u64 little-endian N | N bytes of JSON | data
**   JSON:  {"__metadata__": {..}, NAME: {"dtype": "F16", "shape": [n, k],
**           "data_offsets": [begin, end]}, ...}        offsets from the data
**
** Every statement of the header is checked against the file before a tensor
** is handed out: sizes multiply without overflow to end - begin, the tensors
** cover the data from 0 to its end without gap or overlap, names are unique
** over all shards, shards are plain names in the folder, and what the index
** names is in the shard it names.
** So a tensor's `data` may be read over `bytes` whoever wrote the file. A
** file must not be shortened while it is open (it is mapped).
**
** Pickles (.bin, .pt, .pth) run code when they are loaded and are refused.
**
** Threads: an open store is read-only and may be shared.
*/
#ifndef TSR_MODEL_SAFETENSORS_H
#define TSR_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"

/* Type name in the file, bits of an element. */
#define TSR_DTYPE_LIST(X)        \
    X(TSR_BOOL, "BOOL", 8)       \
    X(TSR_U8, "U8", 8)           \
    X(TSR_I8, "I8", 8)           \
    X(TSR_F8_E5M2, "F8_E5M2", 8) \
    X(TSR_F8_E4M3, "F8_E4M3", 8) \
    X(TSR_F8_E8M0, "F8_E8M0", 8) \
    X(TSR_F4, "F4", 4)           \
    X(TSR_F6_E2M3, "F6_E2M3", 6) \
    X(TSR_F6_E3M2, "F6_E3M2", 6) \
    X(TSR_I16, "I16", 16)        \
    X(TSR_U16, "U16", 16)        \
    X(TSR_F16, "F16", 16)        \
    X(TSR_BF16, "BF16", 16)      \
    X(TSR_I32, "I32", 32)        \
    X(TSR_U32, "U32", 32)        \
    X(TSR_F32, "F32", 32)        \
    X(TSR_C64, "C64", 64)        \
    X(TSR_F64, "F64", 64)        \
    X(TSR_I64, "I64", 64)        \
    X(TSR_U64, "U64", 64)

enum tsr_dtype {
#define TSR_ENUM(symbol, name, bits) symbol,
    TSR_DTYPE_LIST(TSR_ENUM)
#undef TSR_ENUM
};

enum { TSR_RANK_MAX = 8 };

struct tsr_tensor {
    const char *name; /* UTF-8, owned by the store */
    enum tsr_dtype dtype;
    int rank;
    size_t shape[TSR_RANK_MAX];
    size_t count; /* elements */
    size_t bytes;
    const unsigned char *data; /* in the mapping; any alignment */
    const char *file;          /* path of its shard, for messages */
};

struct tsr_safetensors;

/* `path` is a .safetensors file or a folder. */
int tsr__safetensors_open(struct tsr_safetensors **out, const char *path,
                          struct tsr_error *err);
void tsr__safetensors_free(struct tsr_safetensors *store);

/* NULL when there is none of that name. */
const struct tsr_tensor *tsr__safetensors_find(
    const struct tsr_safetensors *store, const char *name);
/* As find, and an absence or another shape is an error that names the tensor;
** rank -1 takes any shape. */
int tsr__safetensors_require(const struct tsr_safetensors *store,
                             const char *name, int rank, const size_t *shape,
                             const struct tsr_tensor **out,
                             struct tsr_error *err);
/* The tensors of all shards, sorted by name. */
size_t tsr__safetensors_count(const struct tsr_safetensors *store);
const struct tsr_tensor *tsr__safetensors_at(
    const struct tsr_safetensors *store, size_t index);
/* Gives the memory of a tensor's pages back; reading it again reads the file.
** For passes over models larger than memory. */
void tsr__safetensors_forget(const struct tsr_safetensors *store,
                             const struct tsr_tensor *tensor);

/* Parses `size` bytes as one file that is called `name` in messages; the
** bytes must outlive the store. */
int tsr__safetensors_open_bytes(struct tsr_safetensors **out, const void *bytes,
                                size_t size, const char *name,
                                struct tsr_error *err);

const char *tsr__dtype_name(enum tsr_dtype dtype);
unsigned tsr__dtype_bits(enum tsr_dtype dtype);
/* 0, or -1 for a name this reader does not know. */
int tsr__dtype_parse(const char *name, enum tsr_dtype *out);

/* Converts elements first .. first + count of an F16, BF16 or F32 tensor; -1
** for any other type. Exact. */
int tsr__tensor_floats(const struct tsr_tensor *tensor, size_t first,
                       size_t count, float *out);

#endif
