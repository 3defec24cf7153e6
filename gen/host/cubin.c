/* cubin.c -- reads what ptxas wrote about its kernels in a cubin.
**
** Nothing is trusted: `span` is the only way to reach into the file and it
** refuses what does not lie wholly inside. Kernels are found as .text.K
** sections; a symbol of the same name joins them to their attributes.
*/
#include "gen/host/cubin.h"

#include <string.h>

#include "runtime/base/memory.h"

#define ELF_HEADER_SIZE 64
#define SECTION_SIZE    64
#define SYMBOL_SIZE     24
#define MACHINE_CUDA    190
#define SECTION_SYMBOLS 2 /* SHT_SYMTAB */
#define SECTION_NOBITS  8
#define MAXIMUM_KERNELS 1024
#define RESERVED_SHARED 1024 /* per block on sm_90+, counted by ptxas */

/* Attributes of .nv.info, by the names nvdisasm prints. */
enum {
    EIATTR_MAX_THREADS = 0x05,
    EIATTR_FRAME_SIZE = 0x11,
    EIATTR_MIN_STACK_SIZE = 0x12,
    EIATTR_CBANK_PARAM_SIZE = 0x19,
    EIATTR_REGCOUNT = 0x2f,
    EIATTR_NUM_BARRIERS = 0x4c,
};

/* The format byte in front of an attribute. */
enum { FORMAT_NONE = 1, FORMAT_BYTE = 2, FORMAT_HALF = 3, FORMAT_SIZED = 4 };

struct section {
    const char *name;
    uint32_t type;
    uint32_t link;
    uint64_t flags;
    uint64_t offset, size;
};

struct reader {
    const unsigned char *bytes;
    size_t size;
    struct section *sections;
    size_t section_count;
};

static uint16_t get16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const unsigned char *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint64_t get64(const unsigned char *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* `size` bytes at `offset`, or NULL when they are not all in the file. */
static const unsigned char *span(const struct reader *reader, uint64_t offset,
                                 uint64_t size)
{
    if (offset > reader->size || size > reader->size - offset)
        return NULL;
    return reader->bytes + offset;
}

/* The NUL-terminated string `offset` bytes into a string section. */
static const char *string_at(const struct reader *reader,
                             const struct section *strings, uint32_t offset)
{
    const unsigned char *base = span(reader, strings->offset, strings->size);
    if (!base || offset >= strings->size ||
        !memchr(base + offset, 0, (size_t)(strings->size - offset)))
        return NULL;
    return (const char *)base + offset;
}

static int fail_damaged(struct tsr_error *err, const char *what)
{
    return TSR_FAIL(err, TSR_EFORMAT, "damaged cubin: %s", what);
}

static int read_header(const struct reader *reader, int *sm,
                       struct tsr_error *err)
{
    const unsigned char *header = span(reader, 0, ELF_HEADER_SIZE);
    if (!header || memcmp(header, "\177ELF\2\1", 6) != 0)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "not a cubin: it does not begin as a 64-bit ELF file");
    if (get16(header + 18) != MACHINE_CUDA)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "not a cubin: an ELF file for machine %d, not for "
                        "CUDA (190)",
                        get16(header + 18));
    /* CUDA 13 (ABI version 8) keeps the architecture in the second byte of
    ** the flags, CUDA 12 in the first. */
    uint32_t flags = get32(header + 48);
    *sm = header[8] >= 8 ? flags >> 8 & 0xff : flags & 0xff;
    return 0;
}

static int read_section(const struct reader *reader, uint64_t table, size_t i,
                        struct section *out, uint32_t *name)
{
    const unsigned char *at =
        span(reader, table + i * SECTION_SIZE, SECTION_SIZE);
    if (!at)
        return -1;
    *name = get32(at);
    out->type = get32(at + 4);
    out->flags = get64(at + 8);
    out->offset = get64(at + 24);
    out->size = get64(at + 32);
    out->link = get32(at + 40);
    return out->type == SECTION_NOBITS || span(reader, out->offset, out->size)
               ? 0
               : -1;
}

static int read_sections(struct reader *reader, struct tsr_error *err)
{
    uint64_t table = get64(reader->bytes + 40);
    size_t count = get16(reader->bytes + 60);
    size_t names = get16(reader->bytes + 62);
    struct section string_section;
    uint32_t unused;
    if (get16(reader->bytes + 58) != SECTION_SIZE || count == 0 ||
        names >= count || table > reader->size ||
        !span(reader, table, (uint64_t)count * SECTION_SIZE))
        return fail_damaged(err, "its section table lies outside the file");
    if (read_section(reader, table, names, &string_section, &unused) ||
        string_section.type == SECTION_NOBITS)
        return fail_damaged(err, "its section names lie outside the file");
    reader->sections = tsr__calloc(count, sizeof *reader->sections);
    if (!reader->sections)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading a cubin");
    for (size_t i = 0; i < count; i++) {
        struct section *section = &reader->sections[i];
        uint32_t name = 0;
        if (read_section(reader, table, i, section, &name))
            return fail_damaged(err, "a section lies outside the file");
        section->name = string_at(reader, &string_section, name);
        if (!section->name)
            return fail_damaged(err, "a section has no name");
    }
    reader->section_count = count;
    return 0;
}

static struct gen_cubin_kernel *find_kernel(const struct gen_cubin *cubin,
                                            const char *name)
{
    for (size_t i = 0; i < cubin->kernel_count; i++)
        if (strcmp(cubin->kernels[i].name, name) == 0)
            return &cubin->kernels[i];
    return NULL;
}

/* The kernel whose function symbol has this index in the symbol table. */
static struct gen_cubin_kernel *symbol_kernel(const struct reader *reader,
                                              const struct gen_cubin *cubin,
                                              uint32_t index)
{
    for (size_t i = 0; i < reader->section_count; i++) {
        const struct section *symbols = &reader->sections[i];
        if (symbols->type != SECTION_SYMBOLS)
            continue;
        if (index >= symbols->size / SYMBOL_SIZE ||
            symbols->link >= reader->section_count)
            return NULL;
        const unsigned char *symbol =
            span(reader, symbols->offset + (uint64_t)index * SYMBOL_SIZE,
                 SYMBOL_SIZE);
        const char *name =
            symbol ? string_at(reader, &reader->sections[symbols->link],
                               get32(symbol))
                   : NULL;
        return name ? find_kernel(cubin, name) : NULL;
    }
    return NULL;
}

/* What follows the name of a section of kernel K: ".text." -> "K". */
static const char *after(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 && name[length] ? name + length
                                                              : NULL;
}

static int add_kernels(const struct reader *reader, struct gen_cubin *cubin,
                       struct tsr_error *err)
{
    cubin->kernels = tsr__calloc(MAXIMUM_KERNELS, sizeof *cubin->kernels);
    if (!cubin->kernels)
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading a cubin");
    for (size_t i = 0; i < reader->section_count; i++) {
        const struct section *section = &reader->sections[i];
        const char *name = after(section->name, ".text.");
        if (!name || section->type == SECTION_NOBITS)
            continue;
        if (cubin->kernel_count == MAXIMUM_KERNELS)
            return fail_damaged(err, "it has more than 1024 kernels");
        if (find_kernel(cubin, name))
            return fail_damaged(err, "it has a kernel twice");
        struct gen_cubin_kernel *kernel = &cubin->kernels[cubin->kernel_count];
        kernel->name = tsr__strdup(name);
        if (!kernel->name)
            return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading a cubin");
        kernel->code = reader->bytes + section->offset;
        kernel->code_size = (size_t)section->size;
        kernel->barriers = (int)(section->flags >> 20 & 0x7f);
        cubin->kernel_count++;
    }
    return 0;
}

static int clamp_int(uint32_t value)
{
    return value > 0x7fffffff ? 0x7fffffff : (int)value;
}

/* Attributes of .nv.info: {symbol, value} pairs of 8 bytes. */
static void take_pair(const struct reader *reader, struct gen_cubin *cubin,
                      int attribute, const unsigned char *data, size_t size)
{
    if (size < 8)
        return;
    struct gen_cubin_kernel *kernel = symbol_kernel(reader, cubin, get32(data));
    int value = clamp_int(get32(data + 4));
    if (!kernel)
        return;
    if (attribute == EIATTR_REGCOUNT)
        kernel->registers = value;
    if ((attribute == EIATTR_FRAME_SIZE ||
         attribute == EIATTR_MIN_STACK_SIZE) &&
        value > kernel->stack_bytes)
        kernel->stack_bytes = value;
}

static void take_value(struct gen_cubin_kernel *kernel, int attribute,
                       int format, uint16_t value)
{
    if (attribute == EIATTR_NUM_BARRIERS)
        kernel->barriers = format == FORMAT_BYTE ? value & 0xff : value;
    if (attribute == EIATTR_CBANK_PARAM_SIZE)
        kernel->parameter_bytes = value;
}

static int read_attributes(const struct reader *reader, struct gen_cubin *cubin,
                           const struct section *section,
                           struct gen_cubin_kernel *kernel,
                           struct tsr_error *err)
{
    const unsigned char *at = reader->bytes + section->offset;
    const unsigned char *end = at + section->size;
    while (end - at >= 4) {
        int format = at[0], attribute = at[1];
        uint16_t value = get16(at + 2);
        size_t size = format == FORMAT_SIZED ? value : 0;
        if (format < FORMAT_NONE || format > FORMAT_SIZED ||
            size > (size_t)(end - at) - 4)
            return fail_damaged(err, "an attribute is longer than its section");
        if (size && !kernel)
            take_pair(reader, cubin, attribute, at + 4, size);
        else if (!size && kernel)
            take_value(kernel, attribute, format, value);
        else if (kernel && attribute == EIATTR_MAX_THREADS && size >= 4)
            kernel->max_threads = clamp_int(get32(at + 4));
        at += 4 + size;
    }
    return 0;
}

static void take_shared(const struct section *section, int sm,
                        struct gen_cubin_kernel *kernel)
{
    uint64_t bytes = section->size;
    if (sm >= 90)
        bytes = bytes > RESERVED_SHARED ? bytes - RESERVED_SHARED : 0;
    kernel->shared_bytes = bytes > 0x7fffffff ? 0x7fffffff : (int)bytes;
}

static int read_details(const struct reader *reader, struct gen_cubin *cubin,
                        struct tsr_error *err)
{
    for (size_t i = 0; i < reader->section_count; i++) {
        const struct section *section = &reader->sections[i];
        const char *name = after(section->name, ".nv.info.");
        struct gen_cubin_kernel *kernel = name ? find_kernel(cubin, name) : 0;
        int bytes = section->type != SECTION_NOBITS;
        int rc = 0;
        if (bytes && (kernel || strcmp(section->name, ".nv.info") == 0))
            rc = read_attributes(reader, cubin, section, kernel, err);
        if (rc)
            return rc;
        name = after(section->name, ".nv.shared.");
        kernel = name ? find_kernel(cubin, name) : NULL;
        if (kernel)
            take_shared(section, cubin->sm, kernel);
    }
    return 0;
}

int gen_cubin_parse(const void *bytes, size_t size, struct gen_cubin *out,
                    struct tsr_error *err)
{
    struct reader reader = {.bytes = bytes, .size = size};
    struct gen_cubin cubin = {0};
    int rc = read_header(&reader, &cubin.sm, err);
    if (rc == 0)
        rc = read_sections(&reader, err);
    if (rc == 0)
        rc = add_kernels(&reader, &cubin, err);
    if (rc == 0)
        rc = read_details(&reader, &cubin, err);
    if (rc == 0 && cubin.kernel_count == 0)
        rc = fail_damaged(err, "it has no kernel");
    tsr__free(reader.sections);
    if (rc)
        gen_cubin_release(&cubin);
    else
        *out = cubin;
    return rc;
}

void gen_cubin_release(struct gen_cubin *cubin)
{
    if (!cubin)
        return;
    for (size_t i = 0; i < cubin->kernel_count; i++)
        tsr__free(cubin->kernels[i].name);
    tsr__free(cubin->kernels);
    memset(cubin, 0, sizeof *cubin);
}
