/* ptx_init.c -- initialisers of .global and .const variables.
**
**     = 7;   = {1, 2, 3};   = {{1, 2}, {3, 4}};   = {0f3F800000, 1.5};
**     = symbol + 8;   = generic(symbol);   = {0xFF(symbol), 0xFF00(symbol)};
**
** Braces one level down start at the next element of that dimension, missing
** elements are zero.
*/
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/half.h"
#include "runtime/emulator/ptx_parser.h"

struct filling {
    struct ptx_variable *variable;
    const size_t *dims;
    int rank;
    size_t element; /* bytes */
    size_t limit;   /* bytes the variable may have */
    size_t capacity;
    size_t relocations;
    size_t end; /* one past the last byte set */
};

/* The bytes at `offset`, the image grown to hold them. */
static unsigned char *reserve(struct ptx_parser *p, struct filling *f,
                              size_t offset)
{
    size_t end = offset + f->element;
    if (end > f->limit)
        ptx_fail(p, p->token.line, "more initialisers than '%s' has elements",
                 f->variable->name);
    if (end > f->capacity) {
        size_t capacity = f->capacity ? f->capacity : 64;
        while (capacity < end)
            capacity *= 2;
        p->image_bytes += capacity;
        if (p->image_bytes > PTX_MAX_IMAGE)
            ptx_fail(p, p->token.line, "more than %zu bytes of initialisers",
                     PTX_MAX_IMAGE);
        unsigned char *image = ptx_alloc(p, capacity);
        if (f->capacity)
            memcpy(image, f->variable->image, f->capacity);
        f->variable->image = image;
        f->capacity = capacity;
    }
    if (end > f->end)
        f->end = end;
    return f->variable->image + offset;
}

static double as_double(uint64_t bits, enum ptx_type type)
{
    float single;
    double value;
    if (type == PTX_F32) {
        uint32_t low = (uint32_t)bits;
        memcpy(&single, &low, sizeof single);
        return (double)single;
    }
    if (type == PTX_F64) {
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return type == PTX_U64 ? (double)bits : (double)(int64_t)bits;
}

static uint64_t double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A constant as the bits of an element of type `to`. */
static uint64_t convert(struct ptx_parser *p, int line, uint64_t bits,
                        enum ptx_type from, enum ptx_type to)
{
    int is_float = from == PTX_F32 || from == PTX_F64;
    int natural = ptx_type_bytes(from) == ptx_type_bytes(to);
    switch (to) {
    case PTX_F64:
        return from == PTX_F64 ? bits : double_bits(as_double(bits, from));
    case PTX_F32:
        return from == PTX_F32 ? bits
                               : tsr__float_bits((float)as_double(bits, from));
    case PTX_F16:
        return is_float ? tsr__float_to_half((float)as_double(bits, from))
                        : bits;
    case PTX_BF16:
        return is_float ? tsr__float_to_bfloat((float)as_double(bits, from))
                        : bits;
    default:
        if (is_float && !(ptx_type_class(to) == 'b' && natural))
            ptx_fail(p, line, "a floating-point value for an element of .%s",
                     ptx_type_name(to));
        return bits;
    }
}

static void store(unsigned char *at, uint64_t bits, size_t bytes)
{
    for (size_t i = 0; i < bytes && i < 8; i++)
        at[i] = (unsigned char)(bits >> (8 * i));
}

/* -- addresses ------------------------------------------------------------ */

/* symbol [+ n], or generic(symbol) [+ n], or, behind a mask, (symbol) */
static void parse_symbol(struct ptx_parser *p, struct ptx_relocation *r)
{
    int closing = 0;
    if (ptx_accept_word(p, "generic")) {
        r->generic = 1;
        ptx_expect(p, '(', "generic");
        closing = 1;
    }
    int line = p->token.line;
    struct ptx_name *name = ptx_take_name(p, "a symbol");
    struct ptx_binding *binding = ptx_lookup(p, name);
    if (!binding || (binding->kind != PTX_BIND_VARIABLE &&
                     binding->kind != PTX_BIND_FUNCTION))
        ptx_fail(p, line, "'%s' is not declared before this initialiser",
                 name->text);
    r->variable = binding->variable;
    r->name = name->text;
    if (closing)
        ptx_expect(p, ')', "a symbol");
    if (ptx_is_punct(p, '+') || ptx_is_punct(p, '-'))
        r->addend = ptx_parse_integer(p, "an offset");
}

static void add_relocation(struct ptx_parser *p, struct filling *f,
                           const struct ptx_relocation *relocation)
{
    struct ptx_variable *v = f->variable;
    v->relocation = ptx_grow(p, v->relocation, (size_t)v->relocation_count,
                             &f->relocations, sizeof *relocation);
    v->relocation[v->relocation_count++] = *relocation;
}

static void parse_address(struct ptx_parser *p, struct filling *f,
                          size_t offset)
{
    struct ptx_relocation r = {.offset = offset, .bytes = (int)f->element};
    reserve(p, f, offset);
    parse_symbol(p, &r);
    add_relocation(p, f, &r);
}

/* 0xFF00(symbol): `mask` was read, '(' is next */
static void parse_masked_address(struct ptx_parser *p, struct filling *f,
                                 size_t offset, uint64_t mask)
{
    struct ptx_relocation r = {.offset = offset, .bytes = (int)f->element};
    if (mask == 0 || mask >> __builtin_ctzll(mask) != 0xff)
        ptx_fail(p, p->token.line, "an address mask must be one byte of ones");
    r.shift = __builtin_ctzll(mask);
    ptx_expect(p, '(', "an address mask");
    parse_symbol(p, &r);
    ptx_expect(p, ')', "a symbol");
    add_relocation(p, f, &r);
}

/* -- values and braces ---------------------------------------------------- */

static void parse_value(struct ptx_parser *p, struct filling *f, size_t offset)
{
    int line = p->token.line;
    if (p->token.kind == PTX_TOKEN_WORD && !ptx_is_word(p, "WARP_SZ")) {
        parse_address(p, f, offset);
        return;
    }
    enum ptx_type type;
    unsigned char *at = reserve(p, f, offset);
    uint64_t bits = ptx_parse_constant(p, &type);
    if (ptx_is_punct(p, '('))
        parse_masked_address(p, f, offset, bits);
    else
        store(at, convert(p, line, bits, type, f->variable->type), f->element);
}

static size_t stride_below(const struct filling *f, int level)
{
    size_t stride = f->element;
    for (int i = level + 1; i < f->rank; i++)
        stride *= f->dims[i];
    return stride;
}

/* Behind '{' of dimension `level`, which begins at `offset`. */
static void parse_braces(struct ptx_parser *p, struct filling *f, int level,
                         size_t offset)
{
    if (level >= f->rank)
        ptx_fail(p, p->token.line, "more braces than '%s' has dimensions",
                 f->variable->name);
    size_t stride = stride_below(f, level);
    while (!ptx_is_punct(p, '}')) {
        if (offset > f->limit)
            ptx_fail(p, p->token.line, "more initialisers than '%s' has rows",
                     f->variable->name);
        if (ptx_accept(p, '{')) {
            parse_braces(p, f, level + 1, offset);
            offset += stride;
        } else {
            parse_value(p, f, offset);
            offset += f->element;
        }
        if (!ptx_accept(p, ','))
            break;
    }
    ptx_expect(p, '}', "initialisers");
}

void ptx_parse_initializer(struct ptx_parser *p, struct ptx_variable *variable,
                           size_t *dims, int rank)
{
    struct filling f = {.variable = variable, .dims = dims, .rank = rank};
    int unsized = rank > 0 && dims[0] == 0;
    f.element = (size_t)ptx_type_bytes(variable->type);
    f.limit = unsized ? PTX_MAX_IMAGE : variable->bytes;
    if (ptx_accept(p, '{'))
        parse_braces(p, &f, 0, 0);
    else
        parse_value(p, &f, 0);
    if (unsized) {
        size_t row = stride_below(&f, 0);
        dims[0] = tsr__ceil_div(f.end, row);
        variable->bytes = dims[0] * row;
    }
    if (f.capacity == 0 || f.capacity >= variable->bytes)
        return;
    f.limit = variable->bytes;
    reserve(p, &f, variable->bytes - f.element);
}
