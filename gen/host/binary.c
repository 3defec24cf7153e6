/* binary.c -- a struct gen_binary as bytes, for the cache and for pipes. */
#include "gen/host/binary.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/base/sha256.h"

#define VERSION 1

/* The integers of struct gen_binary that travel, in their order. */
#define NUMBER_LIST(X) \
    X(registers)       \
    X(spill_bytes)     \
    X(stack_bytes)     \
    X(shared_static)   \
    X(barriers)        \
    X(code_bytes)      \
    X(c75xx)

struct cursor {
    const unsigned char *at;
    size_t left;
    int failed;
};

static void add_number(struct tsr_buffer *out, uint64_t value, int bytes)
{
    unsigned char text[8];
    for (int i = 0; i < bytes; i++)
        text[i] = (unsigned char)(value >> 8 * i);
    tsr__buffer_add(out, text, (size_t)bytes);
}

int gen_binary_write(const struct gen_binary *binary, struct tsr_buffer *out)
{
    uint64_t time_bits;
    size_t log_size = binary->log ? strlen(binary->log) : 0;
    memcpy(&time_bits, &binary->compile_ms, sizeof time_bits);
    add_number(out, VERSION, 4);
#define ADD(name) add_number(out, (uint32_t)binary->name, 4);
    NUMBER_LIST(ADD)
#undef ADD
    add_number(out, time_bits, 8);
    tsr__buffer_add(out, binary->nvrtc_version, sizeof binary->nvrtc_version);
    add_number(out, binary->ptx_size, 8);
    add_number(out, binary->cubin_size, 8);
    add_number(out, log_size, 8);
    tsr__buffer_add(out, binary->ptx, binary->ptx_size);
    tsr__buffer_add(out, binary->cubin, binary->cubin_size);
    if (log_size)
        tsr__buffer_add(out, binary->log, log_size);
    return out->failed ? -1 : 0;
}

static const unsigned char *take(struct cursor *cursor, size_t size)
{
    const unsigned char *at = cursor->at;
    if (cursor->failed || size > cursor->left) {
        cursor->failed = 1;
        return NULL;
    }
    cursor->at += size;
    cursor->left -= size;
    return at;
}

static uint64_t take_number(struct cursor *cursor, int bytes)
{
    const unsigned char *at = take(cursor, (size_t)bytes);
    uint64_t value = 0;
    for (int i = 0; at && i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* A copy with a NUL behind it; NULL when the bytes are not there. */
static char *take_copy(struct cursor *cursor, uint64_t size)
{
    const unsigned char *at =
        size > cursor->left ? NULL : take(cursor, (size_t)size);
    char *copy = at ? tsr__malloc((size_t)size + 1) : NULL;
    if (!copy) {
        cursor->failed = 1;
        return NULL;
    }
    memcpy(copy, at, (size_t)size);
    copy[size] = 0;
    return copy;
}

int gen_binary_read(const void *bytes, size_t size, struct gen_binary *out,
                    struct tsr_error *err)
{
    struct cursor cursor = {.at = bytes, .left = size};
    struct gen_binary binary = {0};
    uint64_t version = take_number(&cursor, 4);
#define TAKE(name) binary.name = (int)(uint32_t)take_number(&cursor, 4);
    NUMBER_LIST(TAKE)
#undef TAKE
    uint64_t time_bits = take_number(&cursor, 8);
    memcpy(&binary.compile_ms, &time_bits, sizeof time_bits);
    const unsigned char *words = take(&cursor, sizeof binary.nvrtc_version);
    if (words)
        memcpy(binary.nvrtc_version, words, sizeof binary.nvrtc_version - 1);
    uint64_t ptx_size = take_number(&cursor, 8);
    uint64_t cubin_size = take_number(&cursor, 8);
    uint64_t log_size = take_number(&cursor, 8);
    binary.ptx = take_copy(&cursor, ptx_size);
    binary.cubin = take_copy(&cursor, cubin_size);
    binary.log = take_copy(&cursor, log_size);
    binary.ptx_size = (size_t)ptx_size;
    binary.cubin_size = (size_t)cubin_size;
    if (cursor.failed || cursor.left || version != VERSION) {
        gen_binary_release(&binary);
        return TSR_FAIL(err, TSR_EFORMAT,
                        "damaged record of a compiled kernel");
    }
    tsr__sha256_hex(binary.cubin, binary.cubin_size, binary.cubin_sha256);
    *out = binary;
    return 0;
}
