/* cache.h -- the content-addressed cache of compiled kernels.
**
** One file per entry, named by the SHA-256 of everything that decides its
** contents, in 256 folders:
**
**     $TESSERA_CACHE_DIR/kernels/ab/abcdef...      or, without the variable,
**     $XDG_CACHE_HOME/tessera/kernels/...          or ~/.cache/tessera/...
**
**     "TSRCACH1" | u64 payload size | SHA-256 of the payload | payload
**
** Many processes may use it at once, on network file systems too: an entry
** appears by rename, and is believed only when its hash is right; a damaged
** one is removed and counts as absent. Least recently used entries go when
** the whole is larger than the cap ($TESSERA_CACHE_LIMIT, in bytes or with
** K, M, G; 1G by default).
**
** A cache that cannot be read or written is slow, never wrong and never
** fatal: there is no error to handle here.
*/
#ifndef GEN_HOST_CACHE_H
#define GEN_HOST_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"
#include "runtime/base/sha256.h"

/* The payload stored under `key` (tsr__free it); -1 when there is none. */
int gen_cache_get(const char key[TSR_SHA256_HEX], void **payload, size_t *size);
void gen_cache_put(const char key[TSR_SHA256_HEX], const void *payload,
                   size_t size);

struct gen_cache_usage {
    char path[1024];
    size_t entries;
    uint64_t bytes;
    uint64_t limit;
};

/* These two are for people, so they say what went wrong. */
int gen_cache_measure(struct gen_cache_usage *out, struct tsr_error *err);
int gen_cache_clear(struct gen_cache_usage *removed, struct tsr_error *err);

/* Removes oldest entries until at most `limit` bytes are left. gen_cache_put
** calls it now and then. */
void gen_cache_trim(uint64_t limit);

#endif
