/* files.h -- the scripts and templates a host may read.
**
** The embedded files, with those of a directory in front of them. Everything
** is read when the host opens, so no script can reach the disk and what a
** host renders does not change under it.
**
** Invariant: sorted by name, names are distinct.
*/
#ifndef GEN_HOST_FILES_H
#define GEN_HOST_FILES_H

#include <stddef.h>

#include "runtime/base/error.h"
#include "runtime/base/sha256.h"

/* A script or template may have this many bytes: Lua resolves gotos in
** quadratic time, so a bound on the text is a bound on the time to parse. */
#define GEN_FILE_LIMIT (256 * 1024)

struct gen_file {
    char *name;                /* "gen/lua/spec.lua" */
    const unsigned char *data; /* followed by a NUL */
    size_t size;
    char *owned; /* data, where it was read from disk */
};

struct gen_files {
    struct gen_file *items;
    size_t count, capacity;
    char hash[TSR_SHA256_HEX]; /* over all names and bytes */
};

/* Zero the struct first. `dir` may be NULL. A directory that has neither
** gen/lua nor templates is an error. */
int gen_files_open(struct gen_files *files, const char *dir,
                   struct tsr_error *err);
void gen_files_release(struct gen_files *files);

/* NULL when there is none of that name. */
const struct gen_file *gen_files_find(const struct gen_files *files,
                                      const char *name);

#endif
