/* writer.c -- writing safetensors (writer.h has the design). */
#include "gen/quantize/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buffer.h"
#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"

enum { ALIGNMENT = 256, PATH_ROOM = 4096 };

struct declared {
    char *name;
    enum tsr_dtype dtype;
    int rank;
    size_t shape[TSR_RANK_MAX];
    size_t bytes;
    int shard;
    size_t place; /* from the start of its file */
    atomic_size_t put;
};

struct output {
    int fd;
    char path[PATH_ROOM];
    size_t bytes; /* of tensor data */
};

struct gen_writer {
    struct declared *tensors;
    size_t count, capacity;
    size_t bytes;
    struct output *files;
    size_t file_count;
};

int gen_writer_create(struct gen_writer **out, struct tsr_error *err)
{
    struct gen_writer *writer = tsr__calloc(1, sizeof *writer);
    if (!writer)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    *out = writer;
    return 0;
}

int gen_writer_declare(struct gen_writer *writer, const char *name,
                       enum tsr_dtype dtype, int rank, const size_t *shape,
                       struct tsr_error *err)
{
    struct declared tensor = {.dtype = dtype, .rank = rank};
    size_t bits = tsr__dtype_bits(dtype), total;
    int bad = rank < 0 || rank > TSR_RANK_MAX || writer->count >= INT_MAX;
    for (int i = 0; !bad && i < rank; i++) {
        tensor.shape[i] = shape[i];
        bad = tsr__size_mul(bits, shape[i], &bits);
    }
    tensor.bytes = bits / 8;
    if (bad || bits % 8 || tsr__size_add(writer->bytes, tensor.bytes, &total))
        return TSR_FAIL(err, TSR_EUSAGE, "tensor '%s' cannot have this shape",
                        name);
    tensor.name = tsr__strdup(name);
    if (!tensor.name || tsr__grow((void **)&writer->tensors, &writer->capacity,
                                  writer->count + 1, sizeof *writer->tensors)) {
        tsr__free(tensor.name);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    }
    writer->bytes = total;
    writer->tensors[writer->count] = tensor;
    return (int)writer->count++;
}

/* Assigns shards in order of declaration; returns how many. */
static size_t assign_shards(struct gen_writer *writer, size_t limit)
{
    size_t shard = 0, filled = 0;
    for (size_t i = 0; i < writer->count; i++) {
        struct declared *tensor = &writer->tensors[i];
        if (filled && filled + tensor->bytes > limit) {
            shard++;
            filled = 0;
        }
        filled += tensor->bytes;
        tensor->shard = (int)shard;
    }
    return shard + 1;
}

static size_t alignment_of(size_t bytes)
{
    size_t power = bytes & -bytes; /* 0 for an empty tensor */
    return power == 0 || power > ALIGNMENT ? ALIGNMENT : power;
}

static int by_alignment(const void *a, const void *b)
{
    const struct declared *x = *(struct declared *const *)a;
    const struct declared *y = *(struct declared *const *)b;
    size_t p = alignment_of(x->bytes), q = alignment_of(y->bytes);
    return p != q ? (p > q ? -1 : 1) : strcmp(x->name, y->name);
}

static void add_entry(struct tsr_buffer *text, const struct declared *tensor,
                      size_t begin)
{
    json_t *name = json_string(tensor->name);
    char *quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    if (!quoted)
        text->failed = 1; /* out of memory, or a name that is not UTF-8 */
    tsr__buffer_addf(text, ",%s:{\"dtype\":\"%s\",\"shape\":[",
                     quoted ? quoted : "", tsr__dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++)
        tsr__buffer_addf(text, i ? ",%zu" : "%zu", tensor->shape[i]);
    tsr__buffer_addf(text, "],\"data_offsets\":[%zu,%zu]}", begin,
                     begin + tensor->bytes);
    free(quoted);
    json_decref(name);
}

/* The header of a shard, with its length in front; sets its tensors' places.
 */
static int build_header(struct gen_writer *writer, size_t shard,
                        struct tsr_buffer *text, struct tsr_error *err)
{
    struct declared **order = tsr__malloc(writer->count * sizeof *order);
    if (!order)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    size_t count = 0, at = 0;
    for (size_t i = 0; i < writer->count; i++)
        if ((size_t)writer->tensors[i].shard == shard)
            order[count++] = &writer->tensors[i];
    qsort(order, count, sizeof *order, by_alignment);
    tsr__buffer_add(text, "\0\0\0\0\0\0\0", 8);
    tsr__buffer_addf(text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        order[i]->place = at;
        add_entry(text, order[i], at);
        at += order[i]->bytes;
    }
    tsr__buffer_add(text, "}", 1);
    while (!text->failed && text->size % ALIGNMENT)
        tsr__buffer_add(text, " ", 1);
    if (text->failed) {
        tsr__free(order);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory building a header");
    }
    uint64_t length = text->size - 8;
    for (int i = 0; i < 8; i++)
        text->data[i] = (char)(length >> 8 * i);
    for (size_t i = 0; i < count; i++)
        order[i]->place += text->size;
    writer->files[shard].bytes = at;
    tsr__free(order);
    return 0;
}

static int write_at(const struct output *file, const void *bytes, size_t size,
                    size_t place, struct tsr_error *err)
{
    const char *from = bytes;
    while (size) {
        ssize_t done = pwrite(file->fd, from, size, (off_t)place);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", file->path,
                            strerror(errno));
        from += done;
        place += (size_t)done;
        size -= (size_t)done;
    }
    return 0;
}

static int create_file(struct gen_writer *writer, size_t shard,
                       const char *folder, struct tsr_error *err)
{
    struct output *file = &writer->files[shard];
    struct tsr_buffer header = TSR_BUFFER_INIT;
    int used =
        writer->file_count == 1
            ? snprintf(file->path, PATH_ROOM, "%s/model.safetensors", folder)
            : snprintf(file->path, PATH_ROOM,
                       "%s/model-%05zu-of-%05zu.safetensors", folder, shard + 1,
                       writer->file_count);
    if (used < 0 || used >= PATH_ROOM)
        return TSR_FAIL(err, TSR_EUSAGE, "the path '%.100s...' is too long",
                        folder);
    int rc = build_header(writer, shard, &header, err);
    if (rc)
        goto done;
    file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->fd < 0) {
        rc = TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", file->path,
                      strerror(errno));
        goto done;
    }
    int reason =
        posix_fallocate(file->fd, 0, (off_t)(header.size + file->bytes));
    if (reason) {
        rc = TSR_FAIL(err, TSR_EIO,
                      "cannot write '%s', which needs %zu bytes: %s",
                      file->path, header.size + file->bytes, strerror(reason));
        goto done;
    }
    rc = write_at(file, header.data, header.size, 0, err);
done:
    tsr__buffer_release(&header);
    return rc;
}

static int write_index(const struct gen_writer *writer, const char *folder,
                       struct tsr_error *err)
{
    char path[PATH_ROOM];
    json_t *map = json_object();
    for (size_t i = 0; i < writer->count; i++) {
        const struct declared *tensor = &writer->tensors[i];
        const char *file = strrchr(writer->files[tensor->shard].path, '/');
        json_object_set_new(map, tensor->name, json_string(file + 1));
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size",
                              (json_int_t)writer->bytes, "weight_map", map);
    char *text =
        index ? json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    int rc;
    snprintf(path, sizeof path, "%.4000s/model.safetensors.index.json", folder);
    if (text)
        rc = tsr__file_write(path, text, strlen(text), err);
    else
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory writing '%s'", path);
    free(text);
    json_decref(index);
    return rc;
}

int gen_writer_begin(struct gen_writer *writer, const char *folder,
                     size_t shard_bytes, struct tsr_error *err)
{
    size_t count = assign_shards(writer, shard_bytes);
    writer->files = tsr__calloc(count, sizeof *writer->files);
    if (!writer->files)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory");
    writer->file_count = count;
    for (size_t i = 0; i < count; i++)
        writer->files[i].fd = -1;
    int rc = 0;
    for (size_t i = 0; !rc && i < count; i++)
        rc = create_file(writer, i, folder, err);
    if (!rc && count > 1)
        rc = write_index(writer, folder, err);
    return rc;
}

int gen_writer_put(struct gen_writer *writer, int tensor, size_t offset,
                   const void *bytes, size_t size, struct tsr_error *err)
{
    struct declared *to = &writer->tensors[tensor];
    if (offset > to->bytes || size > to->bytes - offset)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "writing %zu bytes at %zu of tensor '%s', which has "
                        "%zu",
                        size, offset, to->name, to->bytes);
    int rc = write_at(&writer->files[to->shard], bytes, size,
                      to->place + offset, err);
    if (!rc)
        atomic_fetch_add(&to->put, size);
    return rc;
}

int gen_writer_finish(struct gen_writer *writer, struct tsr_error *err)
{
    for (size_t i = 0; i < writer->count; i++) {
        struct declared *tensor = &writer->tensors[i];
        if (atomic_load(&tensor->put) != tensor->bytes)
            return TSR_FAIL(
                err, TSR_EFORMAT, "tensor '%s' got %zu of its %zu bytes",
                tensor->name, atomic_load(&tensor->put), tensor->bytes);
    }
    for (size_t i = 0; i < writer->file_count; i++) {
        struct output *file = &writer->files[i];
        int failed = fsync(file->fd) < 0;
        failed |= close(file->fd) < 0;
        file->fd = -1;
        if (failed)
            return TSR_FAIL(err, TSR_EIO, "cannot write '%s': %s", file->path,
                            strerror(errno));
    }
    return 0;
}

size_t gen_writer_bytes(const struct gen_writer *writer)
{
    return writer->bytes;
}

void gen_writer_free(struct gen_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->file_count; i++)
        if (writer->files[i].fd >= 0)
            close(writer->files[i].fd);
    for (size_t i = 0; i < writer->count; i++)
        tsr__free(writer->tensors[i].name);
    tsr__free(writer->tensors);
    tsr__free(writer->files);
    tsr__free(writer);
}
