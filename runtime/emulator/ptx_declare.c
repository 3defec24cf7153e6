/* ptx_declare.c -- registers, variables, parameters.
**
**     .reg .b32 %r<10>, x;      .reg .v4 .f32 accel;
**     .shared .align 16 .b8 tile[2][1024];
**     .global .f32 table[] = {1.0, 0f3F000000};
**     .param .u64 .ptr .global .align 16 name
*/
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/emulator/ptx_parser.h"

enum { MAX_DIMENSIONS = 8 };

/* What stands between the state space and the name. */
struct declared {
    enum ptx_type type;
    size_t align; /* 0: natural */
    int vector;   /* 1, 2, 4, 8 */
};

int ptx_space_of(const struct ptx_token *token, enum ptx_space *space)
{
    static const struct {
        const char *word;
        enum ptx_space space;
    } spaces[] = {{".global", PTX_SPACE_GLOBAL},
                  {".const", PTX_SPACE_CONST},
                  {".shared", PTX_SPACE_SHARED},
                  {".local", PTX_SPACE_LOCAL},
                  {".param", PTX_SPACE_PARAM}};
    if (token->kind != PTX_TOKEN_DIRECTIVE)
        return 0;
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        if (strlen(spaces[i].word) == token->size &&
            memcmp(spaces[i].word, token->text, token->size) == 0) {
            *space = spaces[i].space;
            return 1;
        }
    }
    return 0;
}

/* -- the words in front of the name --------------------------------------- */

static size_t parse_align(struct ptx_parser *p)
{
    int line = p->token.line;
    int64_t align = ptx_parse_integer(p, ".align");
    if (align < 1 || align > 65536 || (align & (align - 1)))
        ptx_fail(p, line, ".align needs a power of two up to 65536, not %lld",
                 (long long)align);
    return (size_t)align;
}

static void skip_parentheses(struct ptx_parser *p)
{
    int depth = 0;
    do {
        if (p->token.kind == PTX_TOKEN_END)
            ptx_expected(p, "')'");
        depth += ptx_is_punct(p, '(') - ptx_is_punct(p, ')');
        ptx_next(p);
    } while (depth > 0);
}

/* .ptr .global .align 16: what a parameter points to, of no use here */
static void parse_pointer(struct ptx_parser *p)
{
    enum ptx_space space;
    ptx_next(p);
    if (ptx_space_of(&p->token, &space))
        ptx_next(p);
    if (ptx_accept_word(p, ".align"))
        parse_align(p);
}

static enum ptx_type type_of(const struct ptx_token *token)
{
    char word[16];
    if (token->size < 2 || token->size > sizeof word)
        return PTX_VOID;
    memcpy(word, token->text + 1, token->size - 1);
    word[token->size - 1] = 0;
    return ptx_type_find(word);
}

static struct declared parse_declared(struct ptx_parser *p)
{
    struct declared d = {PTX_VOID, 0, 1};
    while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
        enum ptx_type type = type_of(&p->token);
        if (type != PTX_VOID) {
            d.type = type;
            ptx_next(p);
        } else if (ptx_accept_word(p, ".align")) {
            d.align = parse_align(p);
        } else if (ptx_is_word(p, ".ptr")) {
            parse_pointer(p);
        } else if (ptx_accept_word(p, ".v2")) {
            d.vector = 2;
        } else if (ptx_accept_word(p, ".v4")) {
            d.vector = 4;
        } else if (ptx_accept_word(p, ".v8")) {
            d.vector = 8;
        } else if (ptx_accept_word(p, ".attribute")) {
            skip_parentheses(p);
        } else if (ptx_is_word(p, ".texref") || ptx_is_word(p, ".surfref") ||
                   ptx_is_word(p, ".samplerref")) {
            ptx_fail(p, p->token.line,
                     "textures and surfaces are not "
                     "supported, use ld.global");
        } else if (!ptx_accept_word(p, ".managed")) {
            ptx_fail(p, p->token.line,
                     "'%.*s' is no type that a declaration may have",
                     (int)p->token.size, p->token.text);
        }
    }
    if (d.type == PTX_VOID)
        ptx_expected(p, "a type such as .b32");
    return d;
}

/* -- registers ------------------------------------------------------------ */

static void parse_one_register(struct ptx_parser *p, const struct declared *d)
{
    struct ptx_name *name = ptx_take_name(p, "a register name");
    struct ptx_binding *binding;
    if (ptx_accept(p, '<')) {
        int line = p->token.line;
        if (p->token.kind != PTX_TOKEN_NUMBER || p->token.type == PTX_F32 ||
            p->token.type == PTX_F64 || p->token.bits > PTX_MAX_RANGE)
            ptx_fail(p, line, "a register range needs a number up to %d",
                     PTX_MAX_RANGE);
        int range = (int)p->token.bits;
        ptx_next(p);
        ptx_expect(p, '>', "a register range");
        binding = ptx_bind(p, name, PTX_BIND_RANGE);
        binding->range = range;
    } else {
        binding = ptx_bind(p, name, PTX_BIND_REGISTER);
        binding->reg = ptx_new_registers(p, name->text, d->type, d->vector);
    }
    binding->type = d->type;
    binding->width = d->vector;
}

static struct declared parse_register_type(struct ptx_parser *p)
{
    struct declared d = parse_declared(p);
    if (d.vector > 4)
        ptx_fail(p, p->token.line, "a register has at most 4 components");
    return d;
}

void ptx_parse_registers(struct ptx_parser *p)
{
    if (!p->function)
        ptx_fail(p, p->token.line, ".reg outside a function");
    struct declared d = parse_register_type(p);
    do {
        parse_one_register(p, &d);
    } while (ptx_accept(p, ','));
    ptx_expect(p, ';', "a register declaration");
}

/* -- variables ------------------------------------------------------------ */

/* "[2][1024]"; an empty first one is 0 */
static int parse_dimensions(struct ptx_parser *p, size_t *dims)
{
    int rank = 0;
    while (ptx_accept(p, '[')) {
        int line = p->token.line;
        if (rank == MAX_DIMENSIONS - 1)
            ptx_fail(p, line, "an array with more than %d dimensions", rank);
        int64_t size = 0;
        if (!ptx_is_punct(p, ']')) {
            size = ptx_parse_integer(p, "an array size");
            if (size < 0 || (size == 0 && rank > 0))
                ptx_fail(p, line, "an array size must be positive");
        } else if (rank > 0) {
            ptx_fail(p, line, "only the first array size may be missing");
        }
        ptx_expect(p, ']', "an array size");
        dims[rank++] = (size_t)size;
    }
    return rank;
}

static size_t total_bytes(struct ptx_parser *p, const struct declared *d,
                          const size_t *dims, int rank, int line)
{
    size_t bytes = (size_t)ptx_type_bytes(d->type) * (size_t)d->vector;
    for (int i = rank - 1; i >= 0; i--)
        if (tsr__size_mul(bytes, dims[i], &bytes) || bytes > PTX_MAX_VARIABLE)
            ptx_fail(p, line, "a variable of more than 2^40 bytes");
    return bytes;
}

static struct ptx_name *parse_declarator(struct ptx_parser *p,
                                         const struct declared *d,
                                         struct ptx_variable *variable,
                                         size_t *dims, int *rank)
{
    variable->line = p->token.line;
    struct ptx_name *name = ptx_take_name(p, "a variable name");
    variable->name = name->text;
    variable->type = d->type;
    variable->align = (size_t)ptx_type_bytes(d->type) * (size_t)d->vector;
    if (d->align)
        variable->align = d->align;
    variable->reg = -1;
    *rank = parse_dimensions(p, dims);
    variable->bytes = total_bytes(p, d, dims, *rank, variable->line);
    return name;
}

void ptx_bind_variable(struct ptx_parser *p, struct ptx_variable *variable)
{
    struct ptx_name *name =
        ptx_intern(p, variable->name, strlen(variable->name));
    if (strcmp(name->text, "_") == 0)
        return;
    ptx_bind(p, name, PTX_BIND_VARIABLE)->variable = variable;
}

static void add_variable(struct ptx_parser *p, struct ptx_variable *variable)
{
    struct ptx_function *function = p->function;
    struct ptx_module *module = p->module;
    if (function) {
        function->variables =
            ptx_grow(p, function->variables, (size_t)function->variable_count,
                     &p->local_capacity, sizeof variable);
        function->variables[function->variable_count++] = variable;
    } else {
        module->variables =
            ptx_grow(p, module->variables, (size_t)module->variable_count,
                     &p->variable_capacity, sizeof variable);
        module->variables[module->variable_count++] = variable;
    }
}

/* `.extern .global x;` and its definition in the same module are one. */
static struct ptx_variable *declared_extern(struct ptx_parser *p,
                                            const struct ptx_variable *fresh)
{
    struct ptx_name *name = ptx_intern(p, fresh->name, strlen(fresh->name));
    struct ptx_binding *binding = name->symbol;
    if (!binding || binding->kind != PTX_BIND_VARIABLE ||
        binding->scope != p->scope ||
        binding->variable->space != fresh->space ||
        !(binding->variable->is_extern || fresh->is_extern))
        return NULL;
    return binding->variable;
}

static void parse_one_variable(struct ptx_parser *p, const struct declared *d,
                               enum ptx_space space, int is_extern)
{
    size_t dims[MAX_DIMENSIONS];
    int rank;
    struct ptx_variable *variable = ptx_alloc(p, sizeof *variable);
    variable->space = space;
    variable->is_extern = is_extern;
    parse_declarator(p, d, variable, dims, &rank);
    struct ptx_variable *old = declared_extern(p, variable);
    if (!old) {
        ptx_bind_variable(p, variable);
        add_variable(p, variable);
    }
    if (ptx_accept(p, '=')) {
        if (space != PTX_SPACE_GLOBAL && space != PTX_SPACE_CONST)
            ptx_fail(p, variable->line,
                     "only .global and .const variables are initialised");
        if (d->vector > 1)
            dims[rank++] = (size_t)d->vector;
        ptx_parse_initializer(p, variable, dims, rank);
    }
    if (old && !is_extern)
        *old = *variable;
    if (variable->bytes == 0 && rank > 0 && !is_extern)
        ptx_fail(p, variable->line,
                 "'%s' has no size, give it one or an initialiser",
                 variable->name);
}

void ptx_parse_variables(struct ptx_parser *p, enum ptx_space space,
                         int is_extern)
{
    struct declared d = parse_declared(p);
    do {
        parse_one_variable(p, &d, space, is_extern);
    } while (ptx_accept(p, ','));
    ptx_expect(p, ';', "a variable");
}

void ptx_parse_parameter(struct ptx_parser *p, struct ptx_variable *out,
                         int is_register)
{
    size_t dims[MAX_DIMENSIONS];
    int rank;
    struct declared d =
        is_register ? parse_register_type(p) : parse_declared(p);
    out->space = PTX_SPACE_PARAM;
    struct ptx_name *name = parse_declarator(p, &d, out, dims, &rank);
    if (!is_register)
        return;
    struct ptx_binding *binding = ptx_bind(p, name, PTX_BIND_REGISTER);
    binding->type = d.type;
    binding->width = d.vector;
    binding->reg = ptx_new_registers(p, name->text, d.type, d.vector);
    out->reg = binding->reg;
}
