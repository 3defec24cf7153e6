/* ptx_parse.c -- a module: its directives, its functions. */
#include "runtime/emulator/ptx_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/memory.h"

/* -- memory --------------------------------------------------------------- */

void *ptx_alloc(struct ptx_parser *p, size_t size)
{
    void *memory = ptx_arena_alloc(p->arena, size);
    if (!memory)
        ptx_fail_memory(p);
    return memory;
}

void *ptx_grow(struct ptx_parser *p, void *array, size_t count,
               size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity ? *capacity * 2 : 8;
    while (wanted <= count)
        wanted *= 2;
    size_t bytes;
    if (tsr__size_mul(wanted, size, &bytes))
        ptx_fail_memory(p);
    void *larger = ptx_alloc(p, bytes);
    if (count)
        memcpy(larger, array, count * size);
    *capacity = wanted;
    return larger;
}

/* -- errors --------------------------------------------------------------- */

void ptx_fail(struct ptx_parser *p, int line, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    TSR_FAIL(p->err, TSR_EFORMAT, "%s:%d: %s", p->file, line, text);
    longjmp(p->escape, TSR_EFORMAT);
}

void ptx_fail_memory(struct ptx_parser *p)
{
    TSR_FAIL(p->err, TSR_EMEMORY, "%s: out of memory", p->file);
    longjmp(p->escape, TSR_EMEMORY);
}

void ptx_expected(struct ptx_parser *p, const char *what)
{
    if (p->token.kind == PTX_TOKEN_END)
        ptx_fail(p, p->token.line, "expected %s, but the text ends here", what);
    int size = p->token.size < 60 ? (int)p->token.size : 60;
    ptx_fail(p, p->token.line, "expected %s, got '%.*s'", what, size,
             p->token.text);
}

/* -- directives that only inform ------------------------------------------ */

static int take_line_number(struct ptx_parser *p)
{
    int64_t value = ptx_parse_integer(p, "a line or file number");
    return value < 0 || value > INT32_MAX ? 0 : (int)value;
}

/* .loc file line column [, function_name label, inlined_at file line column] */
static void parse_loc(struct ptx_parser *p)
{
    int line = p->token.line;
    ptx_next(p);
    p->loc_file = take_line_number(p);
    p->loc_line = take_line_number(p);
    if (p->token.line == line)
        ptx_skip_line(p);
}

/* .file number "name" [, timestamp, size] */
static void parse_file(struct ptx_parser *p)
{
    struct ptx_module *m = p->module;
    int line = p->token.line;
    ptx_next(p);
    struct ptx_file file = {.number = take_line_number(p)};
    if (p->token.kind != PTX_TOKEN_STRING)
        ptx_expected(p, "a file name in quotes");
    file.name = ptx_intern(p, p->token.text, p->token.size)->text;
    m->files = ptx_grow(p, m->files, (size_t)m->file_count, &p->file_capacity,
                        sizeof file);
    m->files[m->file_count++] = file;
    ptx_next(p);
    if (p->token.line == line)
        ptx_skip_line(p);
}

/* .section .debug_info { ... } */
static void skip_section(struct ptx_parser *p)
{
    while (!ptx_is_punct(p, '{')) {
        if (p->token.kind == PTX_TOKEN_END)
            ptx_expected(p, "'{' after .section");
        ptx_next(p);
    }
    while (!ptx_is_punct(p, '}')) {
        if (p->token.kind == PTX_TOKEN_END)
            ptx_expected(p, "'}' after .section");
        ptx_next(p);
    }
    ptx_next(p);
}

int ptx_parse_debug_directive(struct ptx_parser *p)
{
    if (ptx_is_word(p, ".loc"))
        parse_loc(p);
    else if (ptx_is_word(p, ".file"))
        parse_file(p);
    else if (ptx_is_word(p, ".section"))
        skip_section(p);
    else
        return 0;
    return 1;
}

/* -- functions ------------------------------------------------------------ */

/* "(.param .u64 a, .reg .b32 b)"; the current token may be anything else */
static struct ptx_variable *parse_parameters(struct ptx_parser *p, int *count)
{
    struct ptx_variable *list = NULL;
    size_t capacity = 0;
    int n = 0;
    *count = 0;
    if (!ptx_accept(p, '('))
        return NULL;
    while (!ptx_is_punct(p, ')')) {
        int is_register = ptx_is_word(p, ".reg");
        if (!is_register && !ptx_is_word(p, ".param"))
            ptx_expected(p, ".param");
        if (n == PTX_MAX_PARAMS)
            ptx_fail(p, p->token.line, "more than %d parameters", n);
        ptx_next(p);
        list = ptx_grow(p, list, (size_t)n, &capacity, sizeof *list);
        memset(&list[n], 0, sizeof *list);
        ptx_parse_parameter(p, &list[n++], is_register);
        if (!ptx_accept(p, ','))
            break;
    }
    ptx_expect(p, ')', "parameters");
    *count = n;
    return list;
}

static void bind_parameters(struct ptx_parser *p, struct ptx_variable *list,
                            int count)
{
    for (int i = 0; i < count; i++)
        if (list[i].reg < 0)
            ptx_bind_variable(p, &list[i]);
}

/* Numbers behind a performance directive: 128, 1, 1 */
static int parse_numbers(struct ptx_parser *p, int *out, int limit)
{
    int count = 0;
    while (p->token.kind == PTX_TOKEN_NUMBER) {
        int line = p->token.line;
        int64_t value = ptx_parse_integer(p, "a directive's number");
        if (value < 0 || value > INT32_MAX)
            ptx_fail(p, line, "number out of range");
        if (count < limit)
            out[count] = (int)value;
        count++;
        if (!ptx_accept(p, ','))
            break;
    }
    return count;
}

static void skip_group(struct ptx_parser *p)
{
    while (!ptx_accept(p, ')')) {
        if (p->token.kind == PTX_TOKEN_END)
            ptx_expected(p, "')'");
        ptx_next(p);
    }
}

/* Directives between the parameters and the body. */
static void parse_performance(struct ptx_parser *p, struct ptx_function *f)
{
    while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
        int numbers[3] = {0};
        int is_req = ptx_is_word(p, ".reqntid");
        int is_ntid = is_req || ptx_is_word(p, ".maxntid");
        int is_pragma = ptx_is_word(p, ".pragma");
        if (ptx_parse_debug_directive(p))
            continue;
        ptx_next(p);
        if (is_pragma) {
            while (p->token.kind == PTX_TOKEN_STRING || ptx_is_punct(p, ','))
                ptx_next(p);
            ptx_accept(p, ';');
        } else if (ptx_accept(p, '(')) {
            skip_group(p);
        } else {
            parse_numbers(p, numbers, 3);
        }
        if (is_ntid && (is_req || !f->is_reqntid)) {
            memcpy(f->max_ntid, numbers, sizeof numbers);
            f->is_reqntid = is_req;
        }
    }
}

/* The module's function of that name, or a new one. */
static struct ptx_function *find_function(struct ptx_parser *p,
                                          struct ptx_name *name, int line)
{
    struct ptx_module *m = p->module;
    struct ptx_binding *binding = name->symbol;
    while (binding && binding->scope > 0)
        binding = binding->outer; /* a parameter may have the same name */
    if (binding && binding->kind == PTX_BIND_FUNCTION)
        return &m->functions[binding->target];
    if (binding)
        ptx_fail(p, line, "'%s' is already a variable", name->text);
    m->functions = ptx_grow(p, m->functions, (size_t)m->function_count,
                            &p->function_capacity, sizeof *m->functions);
    struct ptx_function *f = &m->functions[m->function_count];
    memset(f, 0, sizeof *f);
    f->name = name->text;
    f->is_declaration = 1;
    ptx_bind(p, name, PTX_BIND_FUNCTION)->target = m->function_count++;
    return f;
}

static void start_function(struct ptx_parser *p, struct ptx_function *scratch)
{
    p->function = scratch;
    p->register_capacity = 0;
    p->instruction_capacity = 0;
    p->local_capacity = 0;
    p->loc_file = 0;
    p->loc_line = 0;
    ptx_scope_open(p);
}

static void define(struct ptx_parser *p, struct ptx_name *name,
                   struct ptx_function *fresh)
{
    struct ptx_function *f = find_function(p, name, fresh->line);
    if (!f->is_declaration && !fresh->is_declaration)
        ptx_fail(p, fresh->line, "function '%s' is defined twice", f->name);
    if (f->is_declaration)
        *f = *fresh;
}

/* Behind .entry or .func. A function can call itself, so its name is bound
** before the body. */
static void parse_function(struct ptx_parser *p, int is_entry)
{
    struct ptx_function f = {.is_entry = is_entry, .is_declaration = 1};
    ptx_accept_word(p, ".noreturn");
    start_function(p, &f);
    f.returns = parse_parameters(p, &f.return_count);
    f.line = p->token.line;
    struct ptx_name *name = ptx_take_name(p, "a function name");
    f.name = name->text;
    f.parameters = parse_parameters(p, &f.parameter_count);
    bind_parameters(p, f.returns, f.return_count);
    bind_parameters(p, f.parameters, f.parameter_count);
    parse_performance(p, &f);
    if (ptx_accept(p, ';')) {
        ptx_scope_close(p);
        p->function = NULL;
        define(p, name, &f);
        return;
    }
    int inner = p->scope;
    p->scope = 0;
    define(p, name, &f);
    p->scope = inner;
    f.is_declaration = 0;
    ptx_expect(p, '{', "a function head");
    ptx_parse_body(p);
    p->function = NULL;
    ptx_rank(p, &f);
    define(p, name, &f);
}

/* -- module --------------------------------------------------------------- */

/* ".version 8.7": the lexer has made a double of it */
static void parse_version(struct ptx_parser *p)
{
    if (p->token.kind != PTX_TOKEN_NUMBER || p->token.size > 8)
        ptx_expected(p, "a version such as 8.7");
    int digits[2] = {0, 0};
    int part = 0;
    for (size_t i = 0; i < p->token.size; i++) {
        char c = p->token.text[i];
        if (c == '.')
            part = 1;
        else if (c >= '0' && c <= '9')
            digits[part] = digits[part] * 10 + (c - '0');
        else
            ptx_expected(p, "a version such as 8.7");
    }
    p->module->version = digits[0] * 10 + digits[1];
    ptx_next(p);
}

static void parse_target(struct ptx_parser *p)
{
    p->module->target = ptx_take_name(p, "a target such as sm_90a")->text;
    while (ptx_accept(p, ','))
        ptx_take_name(p, "a target option");
}

static void parse_address_size(struct ptx_parser *p)
{
    int line = p->token.line;
    int64_t size = ptx_parse_integer(p, ".address_size");
    if (size != 64)
        ptx_fail(p, line,
                 ".address_size %lld is not supported, compile for 64 bits",
                 (long long)size);
}

static void parse_pragma(struct ptx_parser *p)
{
    while (p->token.kind == PTX_TOKEN_STRING || ptx_is_punct(p, ','))
        ptx_next(p);
    ptx_expect(p, ';', ".pragma");
}

/* .alias new, old; -- calls of `new` are calls of another function */
static void refuse_alias(struct ptx_parser *p)
{
    ptx_fail(p, p->token.line,
             ".alias is not supported, call the function by its own name");
}

static void parse_top(struct ptx_parser *p)
{
    enum ptx_space space;
    int is_extern = 0;
    while ((ptx_is_word(p, ".extern") && (is_extern = 1)) ||
           ptx_is_word(p, ".visible") || ptx_is_word(p, ".weak") ||
           ptx_is_word(p, ".common"))
        ptx_next(p);
    if (ptx_space_of(&p->token, &space) && space != PTX_SPACE_PARAM) {
        ptx_next(p);
        ptx_parse_variables(p, space, is_extern);
    } else if (ptx_accept_word(p, ".entry")) {
        parse_function(p, 1);
    } else if (ptx_accept_word(p, ".func")) {
        parse_function(p, 0);
    } else if (ptx_accept_word(p, ".version")) {
        parse_version(p);
    } else if (ptx_accept_word(p, ".target")) {
        parse_target(p);
    } else if (ptx_accept_word(p, ".address_size")) {
        parse_address_size(p);
    } else if (ptx_accept_word(p, ".pragma")) {
        parse_pragma(p);
    } else if (ptx_is_word(p, ".alias")) {
        refuse_alias(p);
    } else if (ptx_is_punct(p, '@')) {
        ptx_skip_line(p);
    } else if (!ptx_accept(p, ';') && !ptx_parse_debug_directive(p)) {
        ptx_expected(p, "a directive such as .entry or .global");
    }
}

static void parse_module(struct ptx_parser *p)
{
    ptx_next(p);
    if (!ptx_is_word(p, ".version"))
        ptx_expected(p, ".version first, as in every PTX file");
    while (p->token.kind != PTX_TOKEN_END)
        parse_top(p);
    if (!p->module->target)
        ptx_fail(p, p->line, "there is no .target directive");
}

/* A private copy, so that one character past the end may be read: a NUL. */
static const char *copy_text(struct ptx_parser *p, const char *text,
                             size_t size)
{
    char *copy = ptx_alloc(p, size + 2);
    memcpy(copy, text, size);
    return copy;
}

static int run(struct ptx_parser *p, const char *text, size_t size)
{
    int escape = setjmp(p->escape);
    if (escape)
        return escape;
    p->at = copy_text(p, text, size);
    p->end = p->at + size;
    parse_module(p);
    return 0;
}

int ptx_module_parse(struct ptx_module **out, const char *text, size_t size,
                     const char *name, struct tsr_error *err)
{
    if (size > PTX_MAX_TEXT)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "%s: %zu bytes of PTX, at most %zu are taken", name,
                        size, PTX_MAX_TEXT);
    struct ptx_parser *p = tsr__calloc(1, sizeof *p);
    struct ptx_module *module = tsr__calloc(1, sizeof *module);
    struct ptx_arena *arena = tsr__calloc(1, sizeof *arena);
    int status;
    if (!p || !module || !arena) {
        tsr__free(module);
        tsr__free(arena);
        status = TSR_FAIL(err, TSR_EMEMORY, "%s: out of memory", name);
        goto done;
    }
    module->arena = arena;
    module->address_size = 64;
    p->err = err;
    p->file = name;
    p->module = module;
    p->arena = arena;
    p->line = 1;
    status = run(p, text, size);
    if (status)
        ptx_module_free(module);
    else
        *out = module;
done:
    if (p)
        ptx_arena_release(&p->scratch);
    tsr__free(p);
    return status;
}

void ptx_module_free(struct ptx_module *module)
{
    if (!module)
        return;
    ptx_arena_release(module->arena);
    tsr__free(module->arena);
    tsr__free(module);
}
