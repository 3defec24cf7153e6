/* safetensors_private.h -- between safetensors.c (folders, shards, look-up)
** and safetensors_header.c (one file's header). */
#ifndef TSR_MODEL_SAFETENSORS_PRIVATE_H
#define TSR_MODEL_SAFETENSORS_PRIVATE_H

#include <jansson.h>

#include "runtime/base/file.h"
#include "runtime/model/safetensors.h"

struct tsr_shard {
    char *path;
    struct tsr_map map; /* released with the store; empty for caller's bytes */
};

struct tsr_safetensors {
    char *path;
    struct tsr_shard *shards;
    size_t shard_count;
    struct tsr_tensor *tensors; /* sorted by name once open has succeeded */
    size_t count, capacity;
};

/* Checks the file `size` bytes at `bytes` and appends its tensors, in the
** order of their data. `file` must outlive the store. */
int tsr__safetensors_add(struct tsr_safetensors *store, const void *bytes,
                         size_t size, const char *file, struct tsr_error *err);

/* json_loadb with duplicates refused and an error of one printable line. */
json_t *tsr__json_parse(const char *text, size_t size, const char *name,
                        struct tsr_error *err);

/* Whether text holds a control character: such names would garble messages. */
int tsr__text_has_control(const char *text);

#endif
