/* writer.h -- writing safetensors: one file, or shards with an index.
**
** All tensors are declared first, so the header and the place of every byte
** are known; then their data may come in any order and from several threads,
** and nothing is kept in memory. Space is reserved at the start: a full disk
** is noticed before the work.
**
**   file: u64 N | header, padded with spaces so that data starts at a
**         multiple of 256 | tensors
**
** Tensors are ordered by the largest power of two (at most 256) that divides
** their size, then by name. As the format allows no gaps, that is what aligns
** them: each starts at a multiple of its own power of two.
**
** Files carry their final names: the caller writes into a folder of its own
** and renames that (folder.c).
*/
#ifndef GEN_QUANTIZE_WRITER_H
#define GEN_QUANTIZE_WRITER_H

#include <stddef.h>

#include "runtime/base/error.h"
#include "runtime/model/safetensors.h"

struct gen_writer;

int gen_writer_create(struct gen_writer **out, struct tsr_error *err);
/* Returns the tensor's number (0, 1, ...), or a negative code. The name is
** copied. Tensors fill the shards in the order of declaration. */
int gen_writer_declare(struct gen_writer *writer, const char *name,
                       enum tsr_dtype dtype, int rank, const size_t *shape,
                       struct tsr_error *err);
/* Creates the files in `folder`: model.safetensors, or when the data has more
** than `shard_bytes` (at least one tensor a shard) model-00001-of-0000X
** .safetensors and model.safetensors.index.json. */
int gen_writer_begin(struct gen_writer *writer, const char *folder,
                     size_t shard_bytes, struct tsr_error *err);
/* Writes bytes offset .. offset + size of a tensor. Thread-safe. */
int gen_writer_put(struct gen_writer *writer, int tensor, size_t offset,
                   const void *bytes, size_t size, struct tsr_error *err);
/* Every byte has been put (else an error); flushes to disk. */
int gen_writer_finish(struct gen_writer *writer, struct tsr_error *err);
/* Bytes of tensor data declared. */
size_t gen_writer_bytes(const struct gen_writer *writer);
/* Closes and forgets; the files stay for the caller to remove. */
void gen_writer_free(struct gen_writer *writer);

#endif
