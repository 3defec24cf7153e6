/* compile.c -- gen_compile: the cache in front of the compiler.
**
** The key is the hash of the emitted text, the architecture, every flag, and
** the NVRTC in use: its version and the size of its file, which tells builds
** of one version apart. Each part is preceded by its length, so that no two
** lists of parts give one string.
*/
#include <stdio.h>
#include <string.h>

#include "gen/host/binary.h"
#include "gen/host/cache.h"
#include "gen/host/nvrtc_library.h"
#include "gen/host/nvrtc_program.h"
#include "runtime/base/memory.h"

#define KEY_VERSION "tessera-kernel-1"

static void add_part(struct tsr_sha256 *sha, const char *part)
{
    char length[32];
    size_t size = strlen(part);
    snprintf(length, sizeof length, "%zu:", size);
    tsr__sha256_add(sha, length, strlen(length));
    tsr__sha256_add(sha, part, size);
}

static void make_key(const struct gen_nvrtc *nvrtc, const char *source,
                     const char *arch, unsigned flags, char key[TSR_SHA256_HEX])
{
    static const char *const options[] = {GEN_NVRTC_FLAGS};
    unsigned char digest[TSR_SHA256_BYTES];
    struct tsr_sha256 sha;
    char version[80];
    snprintf(version, sizeof version, "%d.%d %zu", nvrtc->major, nvrtc->minor,
             nvrtc->file_size);
    tsr__sha256_init(&sha);
    add_part(&sha, KEY_VERSION);
    add_part(&sha, version);
    add_part(&sha, arch);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        add_part(&sha, options[i]);
    if (flags & GEN_LINE_INFO)
        add_part(&sha, GEN_NVRTC_LINE_FLAG);
    add_part(&sha, source);
    tsr__sha256_finish(&sha, digest);
    tsr__hex(digest, sizeof digest, key);
}

static int look_up(const char *key, struct gen_binary *out)
{
    void *payload;
    size_t size;
    if (gen_cache_get(key, &payload, &size))
        return -1;
    int rc = gen_binary_read(payload, size, out, NULL);
    tsr__free(payload);
    if (rc == 0)
        out->cached = 1;
    return rc;
}

static void keep(const char *key, const struct gen_binary *binary)
{
    struct tsr_buffer bytes = TSR_BUFFER_INIT;
    if (gen_binary_write(binary, &bytes) == 0)
        gen_cache_put(key, bytes.data, bytes.size);
    tsr__buffer_release(&bytes);
}

int gen_compile(const char *source, const char *name, const char *arch,
                unsigned flags, struct gen_binary *out, struct tsr_error *err)
{
    const struct gen_nvrtc *nvrtc;
    char key[TSR_SHA256_HEX];
    if (flags & GEN_NO_CACHE)
        return gen_nvrtc_compile(source, name, arch, flags, out, err);
    int rc = gen_nvrtc_load(&nvrtc, err);
    if (rc)
        return rc;
    make_key(nvrtc, source, arch, flags, key);
    if (look_up(key, out) == 0)
        return 0;
    rc = gen_nvrtc_compile(source, name, arch, flags, out, err);
    if (rc == 0)
        keep(key, out);
    return rc;
}
