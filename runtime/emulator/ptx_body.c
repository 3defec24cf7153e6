/* ptx_body.c -- the statements of a function: scopes, labels, instructions. */
#include <string.h>

#include "runtime/emulator/ptx_parser.h"

/* -- opcodes -------------------------------------------------------------- */

/* "mad.lo.s32" into root and modifiers, once per spelling. */
static struct ptx_opcode *split_opcode(struct ptx_parser *p,
                                       struct ptx_name *name)
{
    if (name->opcode)
        return name->opcode;
    struct ptx_opcode *opcode = ptx_alloc(p, sizeof *opcode);
    char *copy = ptx_alloc(p, name->size + 1);
    memcpy(copy, name->text, name->size);
    int count = 0;
    for (size_t i = 0; i < name->size; i++)
        count += copy[i] == '.';
    opcode->root = copy;
    opcode->modifier = ptx_alloc(p, (size_t)(count + 1) * sizeof(char *));
    for (char *dot = strchr(copy, '.'); dot; dot = strchr(dot, '.')) {
        *dot++ = 0;
        opcode->modifier[opcode->modifier_count++] = dot;
    }
    name->opcode = opcode;
    return opcode;
}

/* The opcode word and the modifiers behind it, joined. */
static struct ptx_name *take_opcode(struct ptx_parser *p)
{
    char joined[512];
    size_t size = 0;
    do {
        if (size + p->token.size >= sizeof joined)
            ptx_fail(p, p->token.line, "an opcode of more than %zu characters",
                     sizeof joined - 1);
        memcpy(joined + size, p->token.text, p->token.size);
        size += p->token.size;
        ptx_next(p);
    } while (p->token.kind == PTX_TOKEN_DIRECTIVE);
    return ptx_intern(p, joined, size);
}

/* -- instructions --------------------------------------------------------- */

static void parse_guard(struct ptx_parser *p, struct ptx_instruction *in)
{
    in->guard_negated = ptx_accept(p, '!');
    int line = p->token.line;
    struct ptx_operand guard = ptx_parse_operand(p, "@");
    if (guard.kind != PTX_OPERAND_REGISTER ||
        p->function->registers[guard.reg].type != PTX_PRED)
        ptx_fail(p, line, "'@' needs a .pred register");
    in->guard = guard.reg;
}

static struct ptx_instruction *new_instruction(struct ptx_parser *p)
{
    struct ptx_function *f = p->function;
    f->instructions =
        ptx_grow(p, f->instructions, (size_t)f->instruction_count,
                 &p->instruction_capacity, sizeof *f->instructions);
    return &f->instructions[f->instruction_count++];
}

static void set_opcode(struct ptx_parser *p, struct ptx_instruction *in,
                       struct ptx_name *name)
{
    struct ptx_opcode *opcode = split_opcode(p, name);
    in->opcode = name->text;
    in->root = opcode->root;
    in->modifier = opcode->modifier;
    in->modifier_count = opcode->modifier_count;
}

/* `reg + 4` as a value: a synthetic add in front of the instruction puts it
** into a register of its own. */
static void add_offset(struct ptx_parser *p, const struct ptx_instruction *in,
                       struct ptx_operand *operand)
{
    static const char *const adds[] = {
        [2] = "add.u16", [4] = "add.u32", [8] = "add.u64"};
    int line = p->token.line;
    int64_t offset = ptx_parse_offset(p);
    enum ptx_type type = p->function->registers[operand->reg].type;
    int bytes = ptx_type_bytes(type);
    if (bytes < 2 || bytes > 8)
        ptx_fail(p, line, "an offset behind a .%s register",
                 ptx_type_name(type));
    struct ptx_operand sum = *operand;
    sum.reg = ptx_new_registers(p, p->function->registers[operand->reg].name,
                                type, 1);
    struct ptx_instruction add = *in;
    set_opcode(p, &add, ptx_intern(p, adds[bytes], strlen(adds[bytes])));
    add.synthetic = 1;
    add.operand_count = 3;
    add.operand = ptx_alloc(p, 3 * sizeof *add.operand);
    add.operand[0] = sum;
    add.operand[1] = *operand;
    add.operand[2] = (struct ptx_operand){.kind = PTX_OPERAND_IMMEDIATE,
                                          .bits = (uint64_t)offset,
                                          .immediate_type = PTX_S64};
    *new_instruction(p) = add;
    *operand = sum;
}

/* Operands up to ';' into the arena. `d|p` are two. */
static void parse_operands(struct ptx_parser *p, struct ptx_instruction *in)
{
    struct ptx_operand operand[PTX_MAX_OPERANDS];
    int count = 0;
    while (!ptx_is_punct(p, ';')) {
        if (count == PTX_MAX_OPERANDS)
            ptx_fail(p, p->token.line, "more than %d operands",
                     PTX_MAX_OPERANDS);
        struct ptx_operand *next = &operand[count++];
        *next = ptx_parse_operand(p, in->root);
        if (next->kind == PTX_OPERAND_REGISTER &&
            (ptx_is_punct(p, '+') || ptx_is_punct(p, '-')))
            add_offset(p, in, next);
        if (ptx_accept(p, '|'))
            in->pair = count;
        else if (!ptx_accept(p, ','))
            break;
    }
    if (!ptx_accept(p, ';'))
        ptx_expected(p, "',' or ';' after an operand");
    if (count == 0)
        return;
    in->operand = ptx_alloc(p, (size_t)count * sizeof *operand);
    memcpy(in->operand, operand, (size_t)count * sizeof *operand);
    in->operand_count = count;
}

/* Labels get their place when the scope closes: those of a branch, and the
** prototype of an indirect call. */
static void want_labels(struct ptx_parser *p, struct ptx_instruction *in)
{
    for (int i = 0; i < in->operand_count; i++) {
        struct ptx_operand *operand = &in->operand[i];
        if (operand->kind == PTX_OPERAND_LABEL)
            ptx_want_label(p,
                           ptx_intern(p, operand->name, strlen(operand->name)),
                           operand, in->line);
    }
}

static void parse_instruction(struct ptx_parser *p,
                              struct ptx_instruction *guarded)
{
    struct ptx_instruction in = *guarded;
    if (p->token.kind != PTX_TOKEN_WORD)
        ptx_expected(p, "an instruction");
    in.line = p->token.line;
    set_opcode(p, &in, take_opcode(p));
    in.loc_file = p->loc_file;
    in.loc_line = p->loc_line;
    parse_operands(p, &in);
    want_labels(p, &in);
    *new_instruction(p) = in;
}

/* -- labels --------------------------------------------------------------- */

/* .branchtargets A, B, C; */
static struct ptx_operand *parse_targets(struct ptx_parser *p)
{
    struct ptx_operand *list = ptx_alloc(p, sizeof *list);
    struct ptx_name *name[PTX_MAX_ELEMENTS];
    int count = 0;
    int line = p->token.line;
    do {
        if (count == PTX_MAX_ELEMENTS)
            ptx_fail(p, line, "more than %d branch targets", PTX_MAX_ELEMENTS);
        name[count++] = ptx_take_name(p, "a label");
    } while (ptx_accept(p, ','));
    ptx_expect(p, ';', "branch targets");
    list->kind = PTX_OPERAND_LIST;
    list->count = count;
    list->element = ptx_alloc(p, (size_t)count * sizeof *list->element);
    for (int i = 0; i < count; i++) {
        list->element[i].kind = PTX_OPERAND_LABEL;
        list->element[i].name = name[i]->text;
        ptx_want_label(p, name[i], &list->element[i], line);
    }
    return list;
}

static void skip_statement(struct ptx_parser *p)
{
    while (!ptx_accept(p, ';')) {
        if (p->token.kind == PTX_TOKEN_END)
            ptx_expected(p, "';'");
        ptx_next(p);
    }
}

static void bind_label(struct ptx_parser *p, struct ptx_name *name)
{
    if (ptx_accept_word(p, ".branchtargets")) {
        ptx_bind(p, name, PTX_BIND_TABLE)->table = parse_targets(p);
    } else if (ptx_is_word(p, ".callprototype") ||
               ptx_is_word(p, ".calltargets")) {
        ptx_bind(p, name, PTX_BIND_PROTO);
        skip_statement(p);
    } else {
        ptx_bind(p, name, PTX_BIND_LABEL)->target =
            p->function->instruction_count;
    }
}

/* -- statements ----------------------------------------------------------- */

static void parse_directive(struct ptx_parser *p)
{
    enum ptx_space space;
    if (ptx_space_of(&p->token, &space)) {
        ptx_next(p);
        ptx_parse_variables(p, space, 0);
    } else if (ptx_accept_word(p, ".reg")) {
        ptx_parse_registers(p);
    } else if (ptx_is_word(p, ".pragma")) {
        skip_statement(p);
    } else if (ptx_accept_word(p, ".extern")) {
        if (!ptx_space_of(&p->token, &space))
            ptx_expected(p, "a state space after .extern");
        ptx_next(p);
        ptx_parse_variables(p, space, 1);
    } else if (!ptx_parse_debug_directive(p)) {
        ptx_fail(p, p->token.line,
                 "directive '%.*s' is unknown inside a function",
                 (int)p->token.size, p->token.text);
    }
}

/* A word is a label when ':' follows, else an opcode. */
static int next_is_label(const struct ptx_parser *p)
{
    const char *at = p->at;
    while (*at == ' ' || *at == '\t')
        at++;
    return *at == ':';
}

static void parse_statement(struct ptx_parser *p)
{
    struct ptx_instruction in = {.guard = -1};
    if (ptx_accept(p, ';'))
        return;
    if (p->token.kind == PTX_TOKEN_DIRECTIVE) {
        parse_directive(p);
    } else if (p->token.kind == PTX_TOKEN_WORD && next_is_label(p)) {
        struct ptx_name *name = ptx_take_name(p, "a label");
        ptx_expect(p, ':', "a label");
        bind_label(p, name);
    } else if (ptx_is_punct(p, '@') && *p->at == '@') {
        ptx_skip_line(p); /* @@DWARF */
    } else {
        if (ptx_accept(p, '@'))
            parse_guard(p, &in);
        parse_instruction(p, &in);
    }
}

void ptx_parse_body(struct ptx_parser *p)
{
    int outermost = p->scope;
    for (;;) {
        if (ptx_accept(p, '{')) {
            ptx_scope_open(p);
        } else if (ptx_is_punct(p, '}')) {
            if (p->scope == outermost)
                break;
            ptx_scope_close(p);
            ptx_next(p);
        } else if (p->token.kind == PTX_TOKEN_END) {
            ptx_fail(p, p->token.line,
                     "the text ends inside function '%s', add '}'",
                     p->function->name);
        } else {
            parse_statement(p);
        }
    }
    ptx_scope_close(p);
    ptx_next(p);
}
