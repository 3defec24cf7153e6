/* safetensors.c -- folders, shards and look-up (the header of one file is read
** by safetensors_header.c). */
#include "runtime/model/safetensors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buffer.h"
#include "runtime/base/half.h"
#include "runtime/base/memory.h"
#include "runtime/model/safetensors_private.h"

#define SINGLE_NAME "model.safetensors"
#define INDEX_NAME  "model.safetensors.index.json"
#define RESAVE \
    "save the model again with save_pretrained(DIR, safe_serialization=True)"

/* Index files of the largest models have some MB. */
enum { INDEX_LIMIT = 64 << 20 };

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int is_pickle_name(const char *name)
{
    return ends_with(name, ".bin") || ends_with(name, ".pt") ||
           ends_with(name, ".pth") || ends_with(name, ".pkl");
}

static char *join(const char *folder, const char *name)
{
    struct tsr_buffer path = TSR_BUFFER_INIT;
    tsr__buffer_addf(&path, "%s/%s", folder, name);
    if (path.failed) {
        tsr__buffer_release(&path);
        return NULL;
    }
    return tsr__buffer_detach(&path, NULL);
}

/* Maps a shard and appends its tensors. Takes `path`. */
static int add_shard(struct tsr_safetensors *store, char *path,
                     struct tsr_error *err)
{
    struct tsr_shard shard = {.path = path};
    struct tsr_shard *more =
        path ? tsr__realloc(store->shards,
                            (store->shard_count + 1) * sizeof *more)
             : NULL;
    if (!more) {
        tsr__free(path);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'",
                        store->path);
    }
    store->shards = more;
    int rc = tsr__map_open(&shard.map, path, err);
    store->shards[store->shard_count++] = shard;
    if (rc)
        return rc;
    return tsr__safetensors_add(store, shard.map.data, shard.map.size, path,
                                err);
}

static int by_name(const void *a, const void *b)
{
    const struct tsr_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int sort_names(struct tsr_safetensors *store, struct tsr_error *err)
{
    if (store->count)
        qsort(store->tensors, store->count, sizeof *store->tensors, by_name);
    for (size_t i = 1; i < store->count; i++) {
        const struct tsr_tensor *a = &store->tensors[i - 1];
        const struct tsr_tensor *b = &store->tensors[i];
        if (strcmp(a->name, b->name) == 0)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "tensor '%s' is in '%s' and in '%s'", a->name,
                            a->file, b->file);
    }
    return 0;
}

/* A shard's name comes from the index, that is, from a stranger: it must be a
** plain name in the folder. (A symbolic link there is the user's own doing;
** the Hugging Face cache consists of them.) */
static int check_shard_name(const char *index, const char *tensor,
                            const json_t *value, struct tsr_error *err)
{
    const char *name = json_string_value(value);
    if (!name || !*name || tsr__text_has_control(name))
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': tensor '%s' is not mapped to a file name", index,
                        tensor);
    if (strchr(name, '/') || strchr(name, '\\') || name[0] == '.')
        return TSR_FAIL(err, TSR_EFORMAT,
                        "'%s': tensor '%s' is mapped to '%s', which is not a "
                        "file in the same folder",
                        index, tensor, name);
    if (is_pickle_name(name))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' names the pickle '%s', which may run code when "
                        "it is loaded; " RESAVE,
                        index, name);
    return 0;
}

/* Each distinct file of the map once, in order of first mention. */
static int open_shards(struct tsr_safetensors *store, const char *index,
                       const json_t *map, struct tsr_error *err)
{
    const char *tensor;
    json_t *value, *seen = json_object();
    int rc = seen ? 0 : TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    json_object_foreach((json_t *)map, tensor, value)
    {
        if (rc)
            break;
        if (tsr__text_has_control(tensor)) {
            rc =
                TSR_FAIL(err, TSR_EFORMAT,
                         "'%s': a tensor's name has control characters", index);
            break;
        }
        rc = check_shard_name(index, tensor, value, err);
        if (rc || json_object_get(seen, json_string_value(value)))
            continue;
        json_object_set_new(seen, json_string_value(value), json_true());
        rc = add_shard(store, join(store->path, json_string_value(value)), err);
        if (rc)
            tsr__fail_context(err, rc, "shard of '%s'", index);
    }
    json_decref(seen);
    return rc;
}

/* Every tensor of the index is in the shard that the index names. */
static int check_index(const struct tsr_safetensors *store, const char *index,
                       const json_t *map, struct tsr_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value)
    {
        const struct tsr_tensor *tensor = tsr__safetensors_find(store, name);
        const char *file = json_string_value(value);
        if (!tensor)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s' says tensor '%s' is in '%s', but it is not",
                            index, name, file);
        if (strcmp(strrchr(tensor->file, '/') + 1, file) != 0)
            return TSR_FAIL(err, TSR_EFORMAT,
                            "'%s' says tensor '%s' is in '%s', but it is in "
                            "'%s'",
                            index, name, file, tensor->file);
    }
    return 0;
}

static int open_index(struct tsr_safetensors *store, const char *index,
                      struct tsr_error *err)
{
    char *text = NULL;
    size_t size;
    json_t *json = NULL;
    int rc = tsr__file_read(index, INDEX_LIMIT, &text, &size, err);
    if (rc)
        return rc;
    json = tsr__json_parse(text, size, index, err);
    rc = json ? 0 : TSR_EFORMAT;
    const json_t *map = json_object_get(json, "weight_map");
    if (!rc && (!json_is_object(map) || !json_object_size(map)))
        rc = TSR_FAIL(err, TSR_EFORMAT, "'%s' has no weight_map", index);
    if (!rc)
        rc = open_shards(store, index, map, err);
    if (!rc)
        rc = sort_names(store, err);
    if (!rc)
        rc = check_index(store, index, map, err);
    json_decref(json);
    tsr__free(text);
    return rc;
}

/* The folder has neither file: says what it has instead. */
static int explain_folder(const char *folder, struct tsr_error *err)
{
    char pickle[256] = "";
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (is_pickle_name(entry->d_name))
            snprintf(pickle, sizeof pickle, "%s", entry->d_name);
    if (dir)
        closedir(dir);
    if (pickle[0] && !tsr__text_has_control(pickle))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' has its weights in the pickle '%s', which may "
                        "run code when it is loaded; " RESAVE,
                        folder, pickle);
    return TSR_FAIL(err, TSR_ENOTFOUND,
                    "'%s' has neither " SINGLE_NAME " nor " INDEX_NAME
                    "; give a model folder or a .safetensors file",
                    folder);
}

static int open_folder(struct tsr_safetensors *store, struct tsr_error *err)
{
    struct stat st;
    char *single = join(store->path, SINGLE_NAME);
    char *index = join(store->path, INDEX_NAME);
    int rc;
    if (!single || !index) {
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    } else if (stat(single, &st) == 0) {
        rc = add_shard(store, single, err);
        single = NULL;
        if (!rc)
            rc = sort_names(store, err);
    } else if (stat(index, &st) == 0) {
        rc = open_index(store, index, err);
    } else {
        rc = explain_folder(store->path, err);
    }
    tsr__free(single);
    tsr__free(index);
    return rc;
}

static struct tsr_safetensors *new_store(const char *path,
                                         struct tsr_error *err)
{
    struct tsr_safetensors *store = tsr__calloc(1, sizeof *store);
    if (store)
        store->path = tsr__strdup(path);
    if (!store || !store->path) {
        tsr__free(store);
        TSR_FAIL(err, TSR_EMEMORY, "out of memory opening '%s'", path);
        return NULL;
    }
    return store;
}

static int open_file(struct tsr_safetensors *store, struct tsr_error *err)
{
    if (is_pickle_name(store->path))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "'%s' is a pickle, which may run code when it is "
                        "loaded; " RESAVE,
                        store->path);
    int rc = add_shard(store, tsr__strdup(store->path), err);
    return rc ? rc : sort_names(store, err);
}

int tsr__safetensors_open(struct tsr_safetensors **out, const char *path,
                          struct tsr_error *err)
{
    struct tsr_safetensors *store = new_store(path, err);
    struct stat st;
    if (!store)
        return TSR_EMEMORY;
    int folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int rc = folder ? open_folder(store, err) : open_file(store, err);
    if (rc) {
        tsr__safetensors_free(store);
        return rc;
    }
    *out = store;
    return 0;
}

int tsr__safetensors_open_bytes(struct tsr_safetensors **out, const void *bytes,
                                size_t size, const char *name,
                                struct tsr_error *err)
{
    struct tsr_safetensors *store = new_store(name, err);
    if (!store)
        return TSR_EMEMORY;
    int rc = tsr__safetensors_add(store, bytes, size, store->path, err);
    if (!rc)
        rc = sort_names(store, err);
    if (rc) {
        tsr__safetensors_free(store);
        return rc;
    }
    *out = store;
    return 0;
}

void tsr__safetensors_free(struct tsr_safetensors *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        tsr__free((char *)store->tensors[i].name);
    for (size_t i = 0; i < store->shard_count; i++) {
        tsr__map_release(&store->shards[i].map);
        tsr__free(store->shards[i].path);
    }
    tsr__free(store->tensors);
    tsr__free(store->shards);
    tsr__free(store->path);
    tsr__free(store);
}

const struct tsr_tensor *tsr__safetensors_find(
    const struct tsr_safetensors *store, const char *name)
{
    struct tsr_tensor key = {.name = name};
    if (!store->count)
        return NULL;
    return bsearch(&key, store->tensors, store->count, sizeof key, by_name);
}

static void add_shape(struct tsr_buffer *text, int rank, const size_t *shape)
{
    tsr__buffer_add(text, "[", 1);
    for (int i = 0; i < rank; i++)
        tsr__buffer_addf(text, i ? ", %zu" : "%zu", shape[i]);
    tsr__buffer_add(text, "]", 1);
}

int tsr__safetensors_require(const struct tsr_safetensors *store,
                             const char *name, int rank, const size_t *shape,
                             const struct tsr_tensor **out,
                             struct tsr_error *err)
{
    const struct tsr_tensor *tensor = tsr__safetensors_find(store, name);
    if (!tensor)
        return TSR_FAIL(err, TSR_EFORMAT, "'%s' has no tensor '%s'",
                        store->path, name);
    size_t bytes = (size_t)(rank < 0 ? 0 : rank) * sizeof *shape;
    if (rank >= 0 && (tensor->rank != rank ||
                      (bytes && memcmp(tensor->shape, shape, bytes) != 0))) {
        struct tsr_buffer is = TSR_BUFFER_INIT, wanted = TSR_BUFFER_INIT;
        add_shape(&is, tensor->rank, tensor->shape);
        add_shape(&wanted, rank, shape);
        int rc = TSR_FAIL(err, TSR_EFORMAT,
                          "'%s': tensor '%s' has the shape %s, not %s as "
                          "config.json says",
                          tensor->file, name, is.data ? is.data : "?",
                          wanted.data ? wanted.data : "?");
        tsr__buffer_release(&is);
        tsr__buffer_release(&wanted);
        return rc;
    }
    *out = tensor;
    return 0;
}

size_t tsr__safetensors_count(const struct tsr_safetensors *store)
{
    return store->count;
}

const struct tsr_tensor *tsr__safetensors_at(
    const struct tsr_safetensors *store, size_t index)
{
    return &store->tensors[index];
}

void tsr__safetensors_forget(const struct tsr_safetensors *store,
                             const struct tsr_tensor *tensor)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)tensor->data / page * page;
    uintptr_t last = (uintptr_t)tensor->data + tensor->bytes;
    /* Only pages of a file come back by themselves. */
    for (size_t i = 0; i < store->shard_count; i++)
        if (store->shards[i].path == tensor->file &&
            store->shards[i].map.mapped && last > first)
            madvise((void *)first, last - first, MADV_DONTNEED);
}

int tsr__tensor_floats(const struct tsr_tensor *tensor, size_t first,
                       size_t count, float *out)
{
    /* The file may place a tensor at an odd address, hence memcpy. */
    if (tensor->dtype == TSR_F32) {
        if (count)
            memcpy(out, tensor->data + 4 * first, 4 * count);
        return 0;
    }
    if (tensor->dtype != TSR_F16 && tensor->dtype != TSR_BF16)
        return -1;
    const unsigned char *from = tensor->data + 2 * first;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, sizeof bits);
        out[i] = tensor->dtype == TSR_F16 ? tsr__half_to_float(bits)
                                          : tsr__bfloat_to_float(bits);
    }
    return 0;
}
