/* print.c -- the two functions of the device run time that kernels call without
** having them: vprintf and __assertfail.
**
** op.list: how many arguments, then where each stands in the caller's locals.
** op.target: where the result goes, or NO_RESULT. What is printed is collected
** in order of blocks, warps and lanes; a kernel that prints runs on one thread.
*/
#include <stdio.h>
#include <string.h>

#include "runtime/emulator/exec.h"
#include "runtime/emulator/handlers.h"
#include "runtime/emulator/reach.h"

#define NO_RESULT UINT32_MAX
#define MOST_TEXT (1u << 20) /* of a worker; more is dropped */
#define MOST_WORD 256
#define MOST_SPEC 32

static uint64_t argument(const struct emu_warp *w, const struct emu_op *op,
                         int lane, uint32_t index)
{
    uint64_t v = 0;
    if (index >= op->list[0])
        return 0;
    uint32_t at = w->frame->local_base + op->list[1 + index];
    uint32_t size = w->block->local_bytes;
    uint32_t bytes = at >= size ? 0 : size - at < 8 ? size - at : 8;
    memcpy(&v, emu_local(w, lane) + (bytes ? at : 0), bytes);
    return v;
}

/* Bytes at a generic address; 0 when they are not there. */
static int read_generic(struct emu_warp *w, const struct emu_op *op, int lane,
                        uint64_t address, void *out, uint32_t bytes)
{
    uint64_t offset = address & ~EMU_WINDOW_MASK;
    const unsigned char *from;
    uint64_t size;
    switch (address & EMU_WINDOW_MASK) {
    case EMU_WINDOW_SHARED:
        from = w->block->shared;
        size = w->block->shared_bytes;
        break;
    case EMU_WINDOW_LOCAL:
        from = emu_local(w, lane);
        size = w->block->local_bytes;
        break;
    default:
        if (address + bytes < address ||
            !emu_reach_hint(w->block->worker, op, address, address + bytes, 0))
            return 0;
        memcpy(out, (const void *)(uintptr_t)address, bytes);
        return 1;
    }
    if (offset > size || bytes > size - offset)
        return 0;
    memcpy(out, from + offset, bytes);
    return 1;
}

static void read_string(struct emu_warp *w, const struct emu_op *op, int lane,
                        uint64_t address, char *out, size_t room)
{
    size_t n = 0;
    while (n + 1 < room && read_generic(w, op, lane, address + n, out + n, 1) &&
           out[n])
        n++;
    out[n] = 0;
}

/* -- vprintf ------------------------------------------------------------- */

/* One lane's walk through its format and the buffer of its values. */
struct printing {
    struct emu_warp *w;
    const struct emu_op *op;
    int lane;
    uint64_t next; /* address of the next value */
    uint32_t values;
    struct tsr_buffer *out;
};

static uint64_t take(struct printing *p, uint32_t bytes)
{
    uint64_t v = 0;
    p->next = (p->next + bytes - 1) & ~(uint64_t)(bytes - 1);
    read_generic(p->w, p->op, p->lane, p->next, &v, bytes);
    p->next += bytes;
    p->values++;
    return v;
}

static int is_long(const char *spec)
{
    return strpbrk(spec, "ljzt") != NULL;
}

/* `spec` is "%-8.3l" without its conversion; the length letters go and the
** host's own take their place. */
static void print_value(struct printing *p, const char *spec, char conversion)
{
    char clean[MOST_SPEC + 4], text[MOST_WORD], word[MOST_WORD];
    size_t n = 0;
    double real;
    uint64_t v = 0;
    for (const char *s = spec; *s; s++)
        if (!strchr("hljzt", *s))
            clean[n++] = *s;
    if (strchr("diouxX", conversion)) {
        v = take(p, is_long(spec) ? 8 : 4);
        if (!is_long(spec) && strchr("di", conversion))
            v = (uint64_t)(int64_t)(int32_t)v;
        clean[n++] = 'l', clean[n++] = 'l';
    }
    clean[n++] = conversion;
    clean[n] = 0;
/* The format is the kernel's; it has been taken apart and is safe. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (strchr("diouxX", conversion)) {
        snprintf(text, sizeof text, clean, (unsigned long long)v);
    } else if (conversion == 'c') {
        snprintf(text, sizeof text, clean, (int)take(p, 4));
    } else if (conversion == 'p') {
        snprintf(text, sizeof text, "0x%llx", (unsigned long long)take(p, 8));
    } else if (conversion == 's') {
        read_string(p->w, p->op, p->lane, take(p, 8), word, sizeof word);
        snprintf(text, sizeof text, clean, word);
    } else if (strchr("eEfFgGaA", conversion)) {
        v = take(p, 8);
        memcpy(&real, &v, sizeof real);
        snprintf(text, sizeof text, clean, real);
    } else {
        snprintf(text, sizeof text, "%s%c", spec, conversion);
    }
#pragma GCC diagnostic pop
    tsr__buffer_addf(p->out, "%s", text);
}

static void print_format(struct printing *p, const char *format)
{
    while (*format) {
        size_t plain = strcspn(format, "%");
        tsr__buffer_add(p->out, format, plain);
        format += plain;
        if (!*format)
            return;
        size_t length = 1 + strspn(format + 1, "-+ #0123456789.hljzt");
        char spec[MOST_SPEC];
        if (format[length] == '%' || !format[length] || length >= sizeof spec) {
            tsr__buffer_add(p->out, "%", 1);
            format += format[length] == '%' ? length + 1 : 1;
            continue;
        }
        memcpy(spec, format, length);
        spec[length] = 0;
        print_value(p, spec, format[length]);
        format += length + 1;
    }
}

static void give_result(struct emu_warp *w, const struct emu_op *op, int lane,
                        uint32_t result)
{
    uint64_t address[32];
    uint32_t at = w->frame->local_base + op->target;
    if (op->target == NO_RESULT || at + 4 > w->block->local_bytes)
        return;
    memcpy(emu_local(w, lane) + at, &result, 4);
    if (!w->block->checks)
        return;
    address[lane] = at;
    struct emu_access access = {
        .instruction = emu_source(w, op),
        .space = PTX_SPACE_LOCAL,
        .kind = EMU_WRITE,
        .warp = w->id,
        .mask = UINT32_C(1) << lane,
        .bytes = 4,
        .address = address,
    };
    emu_hazard_local(w->block->hazards, &access);
}

void emu_h_print(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                 uint32_t m)
{
    struct tsr_buffer *out = &w->block->worker->output;
    (void)r;
    for (int i = 0; i < 32; i++) {
        char format[4096];
        if (!(m >> i & 1))
            continue;
        struct printing p = {.w = w,
                             .op = op,
                             .lane = i,
                             .next = argument(w, op, i, 1),
                             .out = out};
        read_string(w, op, i, argument(w, op, i, 0), format, sizeof format);
        if (out->size < MOST_TEXT)
            print_format(&p, format);
        give_result(w, op, i, p.values);
    }
}

/* -- assert -------------------------------------------------------------- */

/* __assertfail(message, file, line, function, character size) */
void emu_h_assert(struct emu_warp *w, unsigned char *r, const struct emu_op *op,
                  uint32_t m)
{
    char message[MOST_WORD], file[MOST_WORD], function[MOST_WORD];
    int lane = __builtin_ctz(m);
    (void)r;
    read_string(w, op, lane, argument(w, op, lane, 0), message, sizeof message);
    read_string(w, op, lane, argument(w, op, lane, 1), file, sizeof file);
    read_string(w, op, lane, argument(w, op, lane, 3), function,
                sizeof function);
    emu_fault(w, op, EMU_TRAP, m, 0, "assertion '%s' fails at %s:%u in %s",
              message, file, (uint32_t)argument(w, op, lane, 2), function);
    emu_block_stop(w->block);
}
