/* find.c -- from a key to a kernel that is loaded on a device. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/kernels/lookup.h"
#include "runtime/kernels/package.h"

const char *tsr_match_words(enum tsr_match match)
{
    switch (match) {
#define X(symbol, words) \
    case symbol:         \
        return words;
        TSR_MATCH_LIST(X)
#undef X
    }
    return "unknown";
}

static int blob_for(const struct tsr_package *package,
                    const struct tsr__row *row, const struct tsr_device *device,
                    int64_t *blob, struct tsr_error *err)
{
    int emulated = tsr__device_info(device)->emulated;
    *blob = emulated || !row->cubin ? row->ptx : row->cubin;
    if (*blob)
        return 0;
    return TSR_FAIL(err, TSR_EUNSUPPORTED,
                    "'%s' was made without PTX, which the emulator needs; make "
                    "it again without --no-ptx",
                    package->path);
}

/* The module of a blob, loaded once per device. */
static int load_module(struct tsr_package *package, struct tsr_device *device,
                       int64_t blob, struct tsr_module **out,
                       struct tsr_error *err)
{
    struct tsr__loaded_module *loaded;
    for (loaded = package->modules; loaded; loaded = loaded->next)
        if (loaded->device == device && loaded->blob == blob) {
            *out = loaded->module;
            return 0;
        }
    char *bytes = NULL;
    size_t size = 0;
    int rc = tsr__package_blob(package, blob, &bytes, &size, err);
    if (rc)
        return rc;
    loaded = tsr__calloc(1, sizeof *loaded);
    if (!loaded)
        rc = TSR_FAIL(err, TSR_EMEMORY, "out of memory loading a kernel");
    else
        rc = tsr__module_load(device, bytes, size, &loaded->module, err);
    tsr__free(bytes);
    if (rc) {
        tsr__free(loaded);
        return rc;
    }
    loaded->device = device;
    loaded->blob = blob;
    loaded->next = package->modules;
    package->modules = loaded;
    *out = loaded->module;
    return 0;
}

static int load_row(struct tsr_package *package, struct tsr_device *device,
                    size_t index, enum tsr_match match,
                    const struct tsr_kernel **out, struct tsr_error *err)
{
    const struct tsr__row *row = &package->rows[index];
    struct tsr_kernel *kernel;
    for (kernel = package->kernels; kernel; kernel = kernel->next)
        if (kernel->device == device && kernel->row == row &&
            kernel->info.match == match) {
            *out = kernel;
            return 0;
        }
    int64_t blob = 0;
    struct tsr_module *module = NULL;
    int rc = blob_for(package, row, device, &blob, err);
    if (rc == 0)
        rc = load_module(package, device, blob, &module, err);
    if (rc)
        return rc;
    kernel = tsr__calloc(1, sizeof *kernel);
    if (!kernel)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory loading a kernel");
    rc = tsr__module_function(module, row->entry, row->info.shared_bytes,
                              &kernel->function, err);
    if (rc) {
        tsr__free(kernel);
        return rc;
    }
    kernel->device = device;
    kernel->row = row;
    kernel->info = row->info;
    kernel->info.match = match;
    kernel->is_gemm = strcmp(row->info.key.family, "gemm_w4a8") == 0;
    kernel->next = package->kernels;
    package->kernels = kernel;
    *out = kernel;
    return 0;
}

static int not_found(const struct tsr_package *package,
                     const struct tsr_kernel_key *key, uint32_t m,
                     unsigned flags, const struct tsr__lookup_place *place,
                     struct tsr_error *err)
{
    char what[160];
    snprintf(what, sizeof what,
             "%.40s %s%.20s n=%" PRIu32 " k=%" PRIu32 " m=%" PRIu32
             " type=%.8s bias=%d",
             key->family, key->format ? "format=" : "",
             key->format ? key->format : "", key->n, key->k, m,
             key->type ? key->type : "f16", key->bias);
    return TSR_FAIL(err, TSR_ENOTFOUND,
                    "'%s' has no %skernel for %s on %s (%s); tune that shape "
                    "and pack again",
                    package->path, flags & TSR_FIND_STRICT ? "tuned " : "",
                    what, place->device, place->arch);
}

int tsr_kernel_find(struct tsr_package *package, struct tsr_device *device,
                    const struct tsr_kernel_key *key, uint32_t m,
                    unsigned flags, const struct tsr_kernel **out,
                    struct tsr_error *err)
{
    struct tsr__lookup_place place;
    size_t index;
    enum tsr_match match;
    if (!key->family || m == 0)
        return TSR_FAIL(err, TSR_EUSAGE,
                        "a kernel is looked up by family and m >= 1");
    tsr__lookup_place(device, &place);
    if (tsr__lookup(package->rows, package->row_count, key, m, flags, &place,
                    &index, &match))
        return not_found(package, key, m, flags, &place, err);
    pthread_mutex_lock(&package->lock);
    int rc = load_row(package, device, index, match, out, err);
    pthread_mutex_unlock(&package->lock);
    return rc;
}

int tsr_package_load(struct tsr_package *package, struct tsr_device *device,
                     size_t index, const struct tsr_kernel **out,
                     struct tsr_error *err)
{
    struct tsr__lookup_place place;
    if (index >= package->row_count)
        return TSR_FAIL(err, TSR_ENOTFOUND, "'%s' has no kernel %zu",
                        package->path, index);
    tsr__lookup_place(device, &place);
    if (!tsr__lookup_runs_on(&package->rows[index], &place))
        return TSR_FAIL(err, TSR_EUNSUPPORTED,
                        "kernel %zu of '%s' is for %s, the device is %s", index,
                        package->path, package->rows[index].info.arch,
                        place.arch);
    pthread_mutex_lock(&package->lock);
    int rc = load_row(package, device, index, package->rows[index].info.match,
                      out, err);
    pthread_mutex_unlock(&package->lock);
    return rc;
}

const struct tsr_kernel_info *tsr_kernel_info(const struct tsr_kernel *kernel)
{
    return &kernel->info;
}
