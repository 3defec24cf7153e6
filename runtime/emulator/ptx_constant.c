/* ptx_constant.c -- constant expressions, as in C, of 64 bits.
**
** An expression of signed constants is signed; one unsigned operand makes it
** unsigned. Floating-point constants may be negated, and no more.
*/
#include "runtime/emulator/ptx_parser.h"

struct constant {
    uint64_t bits;
    enum ptx_type type;
};

static struct constant parse_binary(struct ptx_parser *p, int lowest);
static struct constant parse_ternary(struct ptx_parser *p);

void ptx_enter(struct ptx_parser *p)
{
    if (++p->depth > PTX_MAX_NESTING)
        ptx_fail(p, p->token.line, "nested deeper than %d", PTX_MAX_NESTING);
}

static int is_float(struct constant c)
{
    return c.type == PTX_F32 || c.type == PTX_F64;
}

static struct constant negate(struct constant c)
{
    if (c.type == PTX_F32)
        c.bits ^= 0x80000000u;
    else if (c.type == PTX_F64)
        c.bits ^= (uint64_t)1 << 63;
    else
        c.bits = 0 - c.bits;
    return c;
}

/* "(.s64)" and "(.u64)" in front of a value */
static int accept_cast(struct ptx_parser *p, enum ptx_type *type)
{
    if (ptx_is_word(p, ".s64"))
        *type = PTX_S64;
    else if (ptx_is_word(p, ".u64"))
        *type = PTX_U64;
    else
        return 0;
    ptx_next(p);
    ptx_expect(p, ')', "a cast");
    return 1;
}

static struct constant parse_primary(struct ptx_parser *p)
{
    struct constant c = {0, PTX_S64};
    if (p->token.kind == PTX_TOKEN_NUMBER) {
        c = (struct constant){p->token.bits, p->token.type};
        ptx_next(p);
    } else if (ptx_accept_word(p, "WARP_SZ")) {
        c.bits = 32;
    } else if (ptx_accept(p, '(')) {
        enum ptx_type type;
        if (accept_cast(p, &type)) {
            c = parse_binary(p, 100);
            c.type = type;
        } else {
            c = parse_ternary(p);
            ptx_expect(p, ')', "a constant expression");
        }
    } else {
        ptx_expected(p, "a constant");
    }
    return c;
}

static struct constant parse_unary(struct ptx_parser *p)
{
    struct constant c;
    ptx_enter(p);
    if (ptx_accept(p, '-')) {
        c = negate(parse_unary(p));
    } else if (ptx_accept(p, '+')) {
        c = parse_unary(p);
    } else if (ptx_accept(p, '~')) {
        c = parse_unary(p);
        c.bits = ~c.bits;
    } else if (ptx_accept(p, '!')) {
        c = parse_unary(p);
        c = (struct constant){!c.bits, PTX_S64};
    } else {
        c = parse_primary(p);
    }
    p->depth--;
    return c;
}

static int precedence(int sign)
{
    switch (sign) {
    case PTX_SIGN('|', '|'):
        return 1;
    case PTX_SIGN('&', '&'):
        return 2;
    case '|':
        return 3;
    case '^':
        return 4;
    case '&':
        return 5;
    case PTX_SIGN('=', '='):
    case PTX_SIGN('!', '='):
        return 6;
    case '<':
    case '>':
    case PTX_SIGN('<', '='):
    case PTX_SIGN('>', '='):
        return 7;
    case PTX_SIGN('<', '<'):
    case PTX_SIGN('>', '>'):
        return 8;
    case '+':
    case '-':
        return 9;
    case '*':
    case '/':
    case '%':
        return 10;
    default:
        return 0;
    }
}

static uint64_t divide(struct ptx_parser *p, int sign, int is_signed,
                       uint64_t a, uint64_t b)
{
    if (b == 0)
        ptx_fail(p, p->token.line, "division by zero in a constant");
    if (!is_signed)
        return sign == '/' ? a / b : a % b;
    if ((int64_t)b == -1)
        return sign == '/' ? 0 - a : 0;
    return (uint64_t)(sign == '/' ? (int64_t)a / (int64_t)b
                                  : (int64_t)a % (int64_t)b);
}

static uint64_t apply(struct ptx_parser *p, int sign, int is_signed, uint64_t a,
                      uint64_t b)
{
    int less = is_signed ? (int64_t)a < (int64_t)b : a < b;
    switch (sign) {
    case PTX_SIGN('|', '|'):
        return a || b;
    case PTX_SIGN('&', '&'):
        return a && b;
    case '|':
        return a | b;
    case '^':
        return a ^ b;
    case '&':
        return a & b;
    case PTX_SIGN('=', '='):
        return a == b;
    case PTX_SIGN('!', '='):
        return a != b;
    case '<':
        return (uint64_t)less;
    case '>':
        return !less && a != b;
    case PTX_SIGN('<', '='):
        return less || a == b;
    case PTX_SIGN('>', '='):
        return !less;
    case PTX_SIGN('<', '<'):
        return b < 64 ? a << b : 0;
    case PTX_SIGN('>', '>'):
        if (is_signed)
            return (uint64_t)((int64_t)a >> (b < 64 ? b : 63));
        return b < 64 ? a >> b : 0;
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    default:
        return divide(p, sign, is_signed, a, b);
    }
}

static struct constant parse_binary(struct ptx_parser *p, int lowest)
{
    struct constant left = parse_unary(p);
    ptx_enter(p);
    while (p->token.kind == PTX_TOKEN_PUNCT) {
        int sign = p->token.punct;
        int level = precedence(sign);
        if (level == 0 || level < lowest)
            break;
        int line = p->token.line;
        ptx_next(p);
        struct constant right = parse_binary(p, level + 1);
        if (is_float(left) || is_float(right))
            ptx_fail(p, line,
                     "arithmetic on floating-point constants is not "
                     "supported, write the value");
        int is_signed = left.type == PTX_S64 && right.type == PTX_S64;
        left.bits = apply(p, sign, is_signed, left.bits, right.bits);
        left.type = is_signed || (level != 8 && level < 8 && level != 3 &&
                                  level != 4 && level != 5)
                        ? PTX_S64
                        : PTX_U64;
    }
    p->depth--;
    return left;
}

static struct constant parse_ternary(struct ptx_parser *p)
{
    ptx_enter(p);
    struct constant c = parse_binary(p, 1);
    if (ptx_accept(p, '?')) {
        struct constant yes = parse_ternary(p);
        ptx_expect(p, ':', "'?'");
        struct constant no = parse_ternary(p);
        c = c.bits ? yes : no;
    }
    p->depth--;
    return c;
}

uint64_t ptx_parse_constant(struct ptx_parser *p, enum ptx_type *type)
{
    struct constant c = parse_ternary(p);
    *type = c.type;
    return c.bits;
}

int64_t ptx_parse_integer(struct ptx_parser *p, const char *what)
{
    int line = p->token.line;
    struct constant c = parse_ternary(p);
    if (is_float(c))
        ptx_fail(p, line, "%s must be an integer", what);
    return (int64_t)c.bits;
}

/* "+8", "-8", "+-8", "+(3*4)" */
int64_t ptx_parse_offset(struct ptx_parser *p)
{
    uint64_t sum = 0;
    while (ptx_is_punct(p, '+') || ptx_is_punct(p, '-')) {
        int minus = ptx_is_punct(p, '-');
        ptx_next(p);
        enum ptx_type type;
        int line = p->token.line;
        struct constant c = parse_binary(p, 10);
        type = c.type;
        if (type == PTX_F32 || type == PTX_F64)
            ptx_fail(p, line, "an offset must be an integer");
        sum = minus ? sum - c.bits : sum + c.bits;
    }
    return (int64_t)sum;
}
