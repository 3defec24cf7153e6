/* ptx_lex.c -- text to tokens.
**
** A token is a slice of the text. White space, comments and lines that begin
** with '#' (preprocessor line marks) separate tokens. Modifiers are tokens of
** their own (".s32"), with "::" inside them; the parser joins an opcode and
** its modifiers again.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/emulator/ptx_parser.h"

enum { SPACE = 1, DIGIT = 2, LETTER = 4, HEX = 8 };

static const unsigned char class_of[256] = {
    [' '] = SPACE,
    ['\t'] = SPACE,
    ['\r'] = SPACE,
    ['\v'] = SPACE,
    ['\f'] = SPACE,
    ['0' ... '9'] = DIGIT | HEX,
    ['a' ... 'f'] = LETTER | HEX,
    ['g' ... 'z'] = LETTER,
    ['A' ... 'F'] = LETTER | HEX,
    ['G' ... 'Z'] = LETTER,
    ['_'] = LETTER,
    ['$'] = LETTER,
};

static int is(char c, int class)
{
    return class_of[(unsigned char)c] & class;
}

/* The text is followed by a NUL in our copy, so at[0] and, after any other
** character, at[1] may always be looked at. */
static void skip_comment(struct ptx_parser *p)
{
    int line = p->line;
    const char *at = p->at + 2;
    while (at < p->end && !(at[0] == '*' && at[1] == '/')) {
        if (*at == '\n')
            p->line++;
        at++;
    }
    if (at >= p->end)
        ptx_fail(p, line, "comment is not closed, add '*/'");
    p->at = at + 2;
}

static void skip_to_newline(struct ptx_parser *p)
{
    const char *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
    p->at = newline ? newline : p->end;
}

/* Returns 1 if anything was skipped. */
static int skip_space(struct ptx_parser *p)
{
    const char *start = p->at;
    for (;;) {
        char c = *p->at;
        if (is(c, SPACE)) {
            p->at++;
        } else if (c == '\n') {
            p->at++;
            p->line++;
            if (*p->at == '#')
                skip_to_newline(p);
        } else if (c == '/' && p->at[1] == '/') {
            skip_to_newline(p);
        } else if (c == '/' && p->at[1] == '*') {
            skip_comment(p);
        } else if (c == '#' && p->line == 1) {
            skip_to_newline(p);
        } else {
            return p->at != start;
        }
    }
}

/* -- numbers -------------------------------------------------------------- */

static void take_hex_float(struct ptx_parser *p, int digits)
{
    struct ptx_token *token = &p->token;
    const char *at = p->at + 2;
    for (int i = 0; i < digits; i++, at++) {
        if (!is(*at, HEX))
            ptx_fail(p, p->line, "0%c needs %d hexadecimal digits", p->at[1],
                     digits);
        int digit = is(*at, DIGIT) ? *at - '0' : (*at | 32) - 'a' + 10;
        token->bits = token->bits << 4 | (uint64_t)digit;
    }
    token->type = digits == 8 ? PTX_F32 : PTX_F64;
    p->at = at;
}

static void take_integer(struct ptx_parser *p, int base)
{
    struct ptx_token *token = &p->token;
    const char *at = p->at + (base == 16 || base == 2 ? 2 : 0);
    const char *first = at;
    for (; is(*at, HEX); at++) {
        int digit = is(*at, DIGIT) ? *at - '0' : (*at | 32) - 'a' + 10;
        if (digit >= base)
            break;
        uint64_t shifted;
        if (__builtin_mul_overflow(token->bits, (uint64_t)base, &shifted) ||
            __builtin_add_overflow(shifted, (uint64_t)digit, &token->bits))
            ptx_fail(p, p->line, "number does not fit in 64 bits");
    }
    if (at == first)
        ptx_fail(p, p->line, "number without digits");
    token->type = token->bits > INT64_MAX ? PTX_U64 : PTX_S64;
    if (*at == 'U' || *at == 'u') {
        token->type = PTX_U64;
        at++;
    }
    p->at = at;
}

static void take_decimal_float(struct ptx_parser *p, size_t size)
{
    char digits[64];
    if (size >= sizeof digits)
        ptx_fail(p, p->line, "number of %zu characters is too long", size);
    memcpy(digits, p->at, size);
    digits[size] = 0;
    char *end;
    double value = strtod(digits, &end);
    if (*end)
        ptx_fail(p, p->line, "'%s' is not a number", digits);
    memcpy(&p->token.bits, &value, sizeof value);
    p->token.type = PTX_F64;
    p->at += size;
}

/* Length of "12.5e-3"; 0 when it is an integer. */
static size_t decimal_float_size(const char *at)
{
    const char *c = at;
    int is_float = 0;
    while (is(*c, DIGIT))
        c++;
    if (*c == '.' && is(c[1], DIGIT)) {
        is_float = 1;
        c++;
        while (is(*c, DIGIT))
            c++;
    } else if (*c == '.' && !is(c[1], LETTER)) {
        is_float = 1; /* "1." */
        c++;
    }
    if ((*c == 'e' || *c == 'E') &&
        (is(c[1], DIGIT) ||
         ((c[1] == '-' || c[1] == '+') && is(c[2], DIGIT)))) {
        is_float = 1;
        c += 2;
        while (is(*c, DIGIT))
            c++;
    }
    return is_float ? (size_t)(c - at) : 0;
}

static void take_number(struct ptx_parser *p)
{
    const char *at = p->at;
    char second = at[0] == '0' ? (char)(at[1] | 32) : 0;
    p->token.bits = 0;
    if (second == 'f' && is(at[2], HEX)) {
        take_hex_float(p, 8);
    } else if (second == 'd' && is(at[2], HEX)) {
        take_hex_float(p, 16);
    } else if (second == 'x') {
        take_integer(p, 16);
    } else if (second == 'b') {
        take_integer(p, 2);
    } else {
        size_t size = decimal_float_size(at);
        if (size)
            take_decimal_float(p, size);
        else
            take_integer(p, at[0] == '0' && is(at[1], DIGIT) ? 8 : 10);
    }
    if (is(*p->at, DIGIT | LETTER))
        ptx_fail(p, p->line, "number is followed by '%c'", *p->at);
    p->token.kind = PTX_TOKEN_NUMBER;
}

/* -- the rest ------------------------------------------------------------- */

static void take_word(struct ptx_parser *p)
{
    const char *at = p->at + 1;
    while (is(*at, LETTER | DIGIT))
        at++;
    p->at = at;
    p->token.kind = PTX_TOKEN_WORD;
}

static void take_directive(struct ptx_parser *p)
{
    const char *at = p->at + 1;
    for (;;) {
        while (is(*at, LETTER | DIGIT))
            at++;
        if (at[0] != ':' || at[1] != ':')
            break;
        at += 2;
    }
    p->at = at;
    p->token.kind = PTX_TOKEN_DIRECTIVE;
}

static void take_string(struct ptx_parser *p)
{
    const char *at = p->at + 1;
    while (at < p->end && *at != '"' && *at != '\n')
        at += at[0] == '\\' && at[1] && at[1] != '\n' ? 2 : 1;
    if (at >= p->end || *at != '"')
        ptx_fail(p, p->line, "string is not closed on its line");
    p->at = at + 1;
    p->token.kind = PTX_TOKEN_STRING;
}

static void take_punct(struct ptx_parser *p)
{
    static const char pairs[][2] = {{'<', '<'}, {'>', '>'}, {'&', '&'},
                                    {'|', '|'}, {'=', '='}, {'!', '='},
                                    {'<', '='}, {'>', '='}};
    char c = *p->at;
    if (!c || !strchr("{}()[]<>,;:+-*/%!~|&^=?@", c))
        ptx_fail(p, p->line, "unexpected character 0x%02x, not PTX text",
                 (unsigned)(unsigned char)c);
    p->token.kind = PTX_TOKEN_PUNCT;
    p->token.punct = c;
    p->at++;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][0] == c && pairs[i][1] == *p->at) {
            p->token.punct = PTX_SIGN(c, *p->at);
            p->at++;
            return;
        }
    }
}

void ptx_next(struct ptx_parser *p)
{
    struct ptx_token *token = &p->token;
    token->joined = !skip_space(p);
    token->line = p->line;
    token->text = p->at;
    char c = *p->at;
    if (p->at >= p->end)
        token->kind = PTX_TOKEN_END;
    else if (is(c, DIGIT))
        take_number(p);
    else if (is(c, LETTER) || (c == '%' && is(p->at[1], LETTER | DIGIT)))
        take_word(p);
    else if (c == '.' && is(p->at[1], LETTER | DIGIT))
        take_directive(p);
    else if (c == '"')
        take_string(p);
    else
        take_punct(p);
    token->size = (size_t)(p->at - token->text);
    if (token->size > PTX_MAX_WORD)
        ptx_fail(p, token->line, "a word of %zu characters is too long",
                 token->size);
    if (token->kind == PTX_TOKEN_STRING) {
        token->text++;
        token->size -= 2;
    }
}

int ptx_is_punct(const struct ptx_parser *p, int punct)
{
    return p->token.kind == PTX_TOKEN_PUNCT && p->token.punct == punct;
}

int ptx_is_word(const struct ptx_parser *p, const char *word)
{
    size_t size = strlen(word);
    return (p->token.kind == PTX_TOKEN_WORD ||
            p->token.kind == PTX_TOKEN_DIRECTIVE) &&
           p->token.size == size && memcmp(p->token.text, word, size) == 0;
}

int ptx_accept(struct ptx_parser *p, int punct)
{
    if (!ptx_is_punct(p, punct))
        return 0;
    ptx_next(p);
    return 1;
}

int ptx_accept_word(struct ptx_parser *p, const char *word)
{
    if (!ptx_is_word(p, word))
        return 0;
    ptx_next(p);
    return 1;
}

void ptx_expect(struct ptx_parser *p, int punct, const char *after)
{
    if (!ptx_accept(p, punct)) {
        char what[96];
        snprintf(what, sizeof what, "'%c' after %s", punct, after);
        ptx_expected(p, what);
    }
}

/* Drops the rest of the line of the current token. */
void ptx_skip_line(struct ptx_parser *p)
{
    if (p->token.kind == PTX_TOKEN_END || p->line != p->token.line)
        return;
    skip_to_newline(p);
    ptx_next(p);
}
