/* ptx_operand.c -- operands and constant expressions.
**
**     %r1   !%p1   %v.x   %tid.x   12   0f3F800000   -(3+4)   name   name+8
**     {a, b, _}   [%rd1+16]   [name-4]   [map, {x, y}]   (a, b)
*/
#include <stdio.h>
#include <string.h>

#include "runtime/emulator/ptx_parser.h"

/* -- names as operands ---------------------------------------------------- */

/* ".x" right behind a register; returns the component or -1. */
static int accept_component(struct ptx_parser *p)
{
    static const char letters[] = "xyzwrgba";
    const struct ptx_token *token = &p->token;
    if (token->kind != PTX_TOKEN_DIRECTIVE || !token->joined ||
        token->size != 2)
        return -1;
    const char *found = strchr(letters, token->text[1]);
    if (!found)
        return -1;
    ptx_next(p);
    return (int)(found - letters) % 4;
}

static struct ptx_operand whole_vector(struct ptx_parser *p,
                                       const struct ptx_binding *binding)
{
    struct ptx_operand vector = {.kind = PTX_OPERAND_VECTOR};
    vector.count = binding->width;
    vector.element =
        ptx_alloc(p, (size_t)binding->width * sizeof *vector.element);
    for (int i = 0; i < binding->width; i++) {
        vector.element[i].kind = PTX_OPERAND_REGISTER;
        vector.element[i].reg = binding->reg + i;
    }
    return vector;
}

static struct ptx_operand register_operand(struct ptx_parser *p,
                                           const struct ptx_binding *binding)
{
    struct ptx_operand operand = {.kind = PTX_OPERAND_REGISTER};
    operand.reg = binding->reg;
    if (binding->width > 1) {
        int line = p->token.line;
        int component = accept_component(p);
        if (component < 0)
            return whole_vector(p, binding);
        if (component >= binding->width)
            ptx_fail(p, line, "'%s' has only %d components",
                     binding->name->text, binding->width);
        operand.reg += component;
    } else if (p->token.kind == PTX_TOKEN_DIRECTIVE && p->token.joined) {
        /* byte and half selectors of the video instructions: .b0 .h1 */
        operand.name =
            ptx_intern(p, p->token.text + 1, p->token.size - 1)->text;
        ptx_next(p);
    }
    return operand;
}

static struct ptx_operand special_operand(struct ptx_parser *p,
                                          const struct ptx_name *name)
{
    struct ptx_operand operand = {.kind = PTX_OPERAND_SPECIAL};
    operand.name = name->text;
    if (p->token.kind == PTX_TOKEN_DIRECTIVE && p->token.joined) {
        char full[64];
        int size = snprintf(full, sizeof full, "%s%.*s", name->text,
                            (int)(p->token.size < 16 ? p->token.size : 16),
                            p->token.text);
        operand.name = ptx_intern(p, full, (size_t)size)->text;
        ptx_next(p);
    }
    return operand;
}

static struct ptx_operand variable_operand(struct ptx_parser *p,
                                           const struct ptx_variable *variable)
{
    struct ptx_operand operand = {.kind = PTX_OPERAND_VARIABLE};
    operand.variable = variable;
    if (ptx_accept(p, '[')) {
        int64_t index = ptx_parse_integer(p, "an array index");
        ptx_expect(p, ']', "an array index");
        operand.offset = (int64_t)((uint64_t)index *
                                   (uint64_t)ptx_type_bytes(variable->type));
    }
    operand.offset =
        (int64_t)((uint64_t)operand.offset + (uint64_t)ptx_parse_offset(p));
    return operand;
}

static struct ptx_operand bound_operand(struct ptx_parser *p,
                                        const struct ptx_binding *binding)
{
    if (binding->kind == PTX_BIND_REGISTER)
        return register_operand(p, binding);
    if (binding->kind == PTX_BIND_VARIABLE)
        return variable_operand(p, binding->variable);
    return (struct ptx_operand){.kind = PTX_OPERAND_FUNCTION,
                                .name = binding->name->text};
}

static struct ptx_operand unbound_operand(struct ptx_parser *p,
                                          struct ptx_name *name, int line,
                                          const char *root)
{
    struct ptx_operand operand = {0};
    if (strcmp(name->text, "_") == 0) {
        operand.kind = PTX_OPERAND_SINK;
    } else if (ptx_is_special(name)) {
        operand = special_operand(p, name);
    } else if (strcmp(root, "bra") == 0 || strcmp(root, "brx") == 0 ||
               (strcmp(root, "call") == 0 && name->label)) {
        /* resolved when the scope closes; see parse_operands */
        operand.kind = PTX_OPERAND_LABEL;
        operand.name = name->text;
        operand.target = -1;
    } else if (strcmp(root, "call") == 0) {
        operand.kind = PTX_OPERAND_FUNCTION;
        operand.name = name->text;
    } else {
        ptx_fail(p, line,
                 "'%s' is not declared, declare it with .reg or as a variable",
                 name->text);
    }
    return operand;
}

static struct ptx_operand name_operand(struct ptx_parser *p, const char *root)
{
    int line = p->token.line;
    struct ptx_name *name = ptx_take_name(p, "an operand");
    struct ptx_binding *binding = ptx_lookup(p, name);
    if (binding)
        return bound_operand(p, binding);
    return unbound_operand(p, name, line, root);
}

/* -- braces, brackets ----------------------------------------------------- */

/* Elements up to `close`, which is consumed. */
static void parse_elements(struct ptx_parser *p, struct ptx_operand *into,
                           int close, const char *root, size_t used)
{
    size_t capacity = used;
    struct ptx_operand *element = into->element;
    while (!ptx_is_punct(p, close)) {
        if (used >= PTX_MAX_ELEMENTS)
            ptx_fail(p, p->token.line, "more than %d elements in a list",
                     PTX_MAX_ELEMENTS);
        if (used >= capacity)
            element = ptx_grow(p, element, used, &capacity, sizeof *element);
        element[used++] = ptx_parse_operand(p, root);
        if (!ptx_accept(p, ','))
            break;
    }
    ptx_expect(p, close, "a list of operands");
    into->element = element;
    into->count = (int)used;
}

static struct ptx_operand address_operand(struct ptx_parser *p)
{
    struct ptx_operand address = {.kind = PTX_OPERAND_ADDRESS};
    int line = p->token.line;
    struct ptx_operand base = ptx_parse_operand(p, "[");
    if (base.kind == PTX_OPERAND_VARIABLE) {
        address.offset = base.offset;
        base.offset = 0;
    } else if (base.kind == PTX_OPERAND_REGISTER) {
        address.offset = ptx_parse_offset(p);
    } else if (base.kind != PTX_OPERAND_IMMEDIATE) {
        ptx_fail(p, line,
                 "an address must be a register, a variable or a number");
    }
    address.element = ptx_alloc(p, sizeof base);
    address.element[0] = base;
    address.count = 1;
    if (ptx_accept(p, ','))
        parse_elements(p, &address, ']', "[", 1);
    else
        ptx_expect(p, ']', "an address");
    return address;
}

static struct ptx_operand immediate_operand(struct ptx_parser *p)
{
    struct ptx_operand operand = {.kind = PTX_OPERAND_IMMEDIATE};
    operand.bits = ptx_parse_constant(p, &operand.immediate_type);
    return operand;
}

static struct ptx_operand negated_operand(struct ptx_parser *p,
                                          const char *root)
{
    int line = p->token.line;
    ptx_next(p);
    if (p->token.kind == PTX_TOKEN_NUMBER) {
        struct ptx_operand operand = immediate_operand(p);
        operand.bits = !operand.bits;
        return operand;
    }
    struct ptx_operand operand = name_operand(p, root);
    if (operand.kind != PTX_OPERAND_REGISTER)
        ptx_fail(p, line, "'!' belongs in front of a predicate register");
    operand.negated = 1;
    return operand;
}

struct ptx_operand ptx_parse_operand(struct ptx_parser *p, const char *root)
{
    struct ptx_operand operand = {0};
    ptx_enter(p);
    if (p->token.kind == PTX_TOKEN_WORD && !ptx_is_word(p, "WARP_SZ")) {
        operand = name_operand(p, root);
    } else if (ptx_accept(p, '{')) {
        operand.kind = PTX_OPERAND_VECTOR;
        parse_elements(p, &operand, '}', root, 0);
    } else if (ptx_accept(p, '[')) {
        operand = address_operand(p);
    } else if (ptx_is_punct(p, '(') && strcmp(root, "call") == 0) {
        ptx_next(p);
        operand.kind = PTX_OPERAND_LIST;
        parse_elements(p, &operand, ')', root, 0);
    } else if (ptx_is_punct(p, '!')) {
        operand = negated_operand(p, root);
    } else {
        operand = immediate_operand(p);
    }
    p->depth--;
    return operand;
}
