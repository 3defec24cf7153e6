/* ptx_name.c -- interned words, scopes, and what a name means in them. */
#include <stdio.h>
#include <string.h>

#include "runtime/emulator/ptx_parser.h"

/* -- interning ------------------------------------------------------------ */

static uint32_t hash_of(const char *text, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static void rehash(struct ptx_parser *p)
{
    size_t slots = p->name_slots ? p->name_slots * 2 : 1024;
    struct ptx_name **table = ptx_alloc(p, slots * sizeof *table);
    for (size_t i = 0; i < p->name_slots; i++) {
        struct ptx_name *name = p->names[i];
        while (name) {
            struct ptx_name *next = name->chain;
            name->chain = table[name->hash & (slots - 1)];
            table[name->hash & (slots - 1)] = name;
            name = next;
        }
    }
    p->names = table;
    p->name_slots = slots;
}

/* "%r12" is number 12 of "%r"; "%r01" and "%r" are plain. */
static void split_number(struct ptx_parser *p, struct ptx_name *name)
{
    size_t digits = 0;
    while (digits < name->size && digits < 8 &&
           name->text[name->size - digits - 1] >= '0' &&
           name->text[name->size - digits - 1] <= '9')
        digits++;
    size_t start = name->size - digits;
    if (digits == 0 || start == 0 || (digits > 1 && name->text[start] == '0'))
        return;
    for (size_t i = start; i < name->size; i++)
        name->number = name->number * 10 + (uint32_t)(name->text[i] - '0');
    name->prefix = ptx_intern(p, name->text, start);
}

struct ptx_name *ptx_intern(struct ptx_parser *p, const char *text, size_t size)
{
    if (p->name_count >= p->name_slots)
        rehash(p);
    uint32_t hash = hash_of(text, size);
    struct ptx_name **slot = &p->names[hash & (p->name_slots - 1)];
    for (struct ptx_name *name = *slot; name; name = name->chain)
        if (name->hash == hash && name->size == size &&
            memcmp(name->text, text, size) == 0)
            return name;
    struct ptx_name *name = ptx_alloc(p, sizeof *name + size + 1);
    char *copy = (char *)(name + 1);
    memcpy(copy, text, size);
    name->text = copy;
    name->size = size;
    name->hash = hash;
    name->chain = *slot;
    *slot = name;
    p->name_count++;
    return name;
}

struct ptx_name *ptx_take_name(struct ptx_parser *p, const char *what)
{
    if (p->token.kind != PTX_TOKEN_WORD)
        ptx_expected(p, what);
    struct ptx_name *name = ptx_intern(p, p->token.text, p->token.size);
    ptx_next(p);
    return name;
}

/* -- scopes --------------------------------------------------------------- */

void ptx_scope_open(struct ptx_parser *p)
{
    if (p->scope + 1 >= PTX_MAX_SCOPES)
        ptx_fail(p, p->token.line, "'{' is nested deeper than %d",
                 PTX_MAX_SCOPES);
    p->scopes[++p->scope] = (struct ptx_scope){0};
}

static int is_label_kind(enum ptx_binding_kind kind)
{
    return kind == PTX_BIND_LABEL || kind == PTX_BIND_TABLE ||
           kind == PTX_BIND_PROTO;
}

static struct ptx_binding **stack_of(struct ptx_name *name,
                                     enum ptx_binding_kind kind)
{
    if (is_label_kind(kind))
        return &name->label;
    return kind == PTX_BIND_RANGE ? &name->range : &name->symbol;
}

static void resolve(struct ptx_fixup *fixup, const struct ptx_binding *label)
{
    struct ptx_operand *operand = fixup->operand;
    if (label->kind == PTX_BIND_TABLE) {
        *operand = *label->table;
        return;
    }
    operand->kind = PTX_OPERAND_LABEL;
    operand->name = label->name->text;
    operand->target = label->kind == PTX_BIND_LABEL ? label->target : -1;
}

/* Labels used in the scope that it does not define go to the scope around it;
** a function's outermost scope must find them all. */
void ptx_scope_close(struct ptx_parser *p)
{
    struct ptx_scope *scope = &p->scopes[p->scope];
    struct ptx_fixup *fixup = scope->fixups;
    while (fixup) {
        struct ptx_fixup *next = fixup->next;
        struct ptx_binding *label = fixup->name->label;
        if (label && label->scope == p->scope) {
            resolve(fixup, label);
        } else if (p->scope == 1) {
            ptx_fail(p, fixup->line,
                     "label '%s' is not defined in the function or in a "
                     "scope around the branch",
                     fixup->name->text);
        } else {
            fixup->next = p->scopes[p->scope - 1].fixups;
            p->scopes[p->scope - 1].fixups = fixup;
        }
        fixup = next;
    }
    for (struct ptx_binding *b = scope->bindings; b; b = b->next)
        *stack_of(b->name, b->kind) = b->outer;
    p->scope--;
}

static struct ptx_binding *push(struct ptx_parser *p, struct ptx_name *name,
                                enum ptx_binding_kind kind, int scope)
{
    struct ptx_binding **top = stack_of(name, kind);
    while (*top && (*top)->scope > scope)
        top = &(*top)->outer; /* below what inner scopes say */
    struct ptx_binding *binding = ptx_alloc(p, sizeof *binding);
    binding->kind = kind;
    binding->name = name;
    binding->scope = scope;
    binding->outer = *top;
    binding->next = p->scopes[scope].bindings;
    binding->width = 1;
    *top = binding;
    p->scopes[scope].bindings = binding;
    return binding;
}

struct ptx_binding *ptx_bind(struct ptx_parser *p, struct ptx_name *name,
                             enum ptx_binding_kind kind)
{
    struct ptx_binding *old = *stack_of(name, kind);
    if (old && old->scope == p->scope)
        ptx_fail(p, p->token.line, "'%s' is declared twice in one scope",
                 name->text);
    return push(p, name, kind, p->scope);
}

/* -- registers ------------------------------------------------------------ */

int ptx_new_registers(struct ptx_parser *p, const char *name,
                      enum ptx_type type, int width)
{
    static const char component[4] = {'x', 'y', 'z', 'w'};
    struct ptx_function *function = p->function;
    int first = function->register_count;
    for (int i = 0; i < width; i++) {
        const char *text = name;
        if (width > 1) {
            size_t size = strlen(name);
            char *copy = ptx_alloc(p, size + 3);
            memcpy(copy, name, size);
            copy[size] = '.';
            copy[size + 1] = component[i];
            text = copy;
        }
        function->registers =
            ptx_grow(p, function->registers, (size_t)function->register_count,
                     &p->register_capacity, sizeof *function->registers);
        function->registers[function->register_count++] =
            (struct ptx_register){text, type};
    }
    return first;
}

/* The innermost range `.reg .type prefix<range>` that has this number. */
static struct ptx_binding *find_range(const struct ptx_name *name)
{
    struct ptx_binding *range = name->prefix ? name->prefix->range : NULL;
    while (range && name->number >= (uint32_t)range->range)
        range = range->outer;
    return range;
}

struct ptx_binding *ptx_lookup(struct ptx_parser *p, struct ptx_name *name)
{
    struct ptx_binding *own = name->symbol;
    if (!name->is_split) {
        name->is_split = 1;
        split_number(p, name);
    }
    struct ptx_binding *range = find_range(name);
    if (!range || (own && own->scope >= range->scope))
        return own;
    struct ptx_binding *made = push(p, name, PTX_BIND_REGISTER, range->scope);
    made->type = range->type;
    made->width = range->width;
    made->reg = ptx_new_registers(p, name->text, range->type, range->width);
    return made;
}

/* -- labels and special registers ----------------------------------------- */

void ptx_want_label(struct ptx_parser *p, struct ptx_name *name,
                    struct ptx_operand *operand, int line)
{
    struct ptx_fixup *fixup = ptx_alloc(p, sizeof *fixup);
    *fixup =
        (struct ptx_fixup){name, operand, line, p->scopes[p->scope].fixups};
    p->scopes[p->scope].fixups = fixup;
}

/* Predefined registers of the PTX ISA, without their components. */
static const char *const special_names[] = {
    "%tid",
    "%ntid",
    "%ctaid",
    "%nctaid",
    "%laneid",
    "%warpid",
    "%nwarpid",
    "%smid",
    "%nsmid",
    "%gridid",
    "%clusterid",
    "%nclusterid",
    "%cluster_ctaid",
    "%cluster_nctaid",
    "%cluster_ctarank",
    "%cluster_nctarank",
    "%is_explicit_cluster",
    "%lanemask_eq",
    "%lanemask_le",
    "%lanemask_lt",
    "%lanemask_ge",
    "%lanemask_gt",
    "%clock",
    "%clock_hi",
    "%clock64",
    "%globaltimer",
    "%globaltimer_lo",
    "%globaltimer_hi",
    "%total_smem_size",
    "%aggr_smem_size",
    "%dynamic_smem_size",
    "%current_graph_exec",
    "%reserved_smem_offset_begin",
    "%reserved_smem_offset_end",
    "%reserved_smem_offset_cap",
    "%reserved_smem_offset_0",
    "%reserved_smem_offset_1",
};

static int is_numbered(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(text, prefix, size) == 0 && text[size] >= '0' &&
           text[size] <= '9';
}

int ptx_is_special(struct ptx_name *name)
{
    if (name->special)
        return name->special == 1;
    int found =
        is_numbered(name->text, "%pm") || is_numbered(name->text, "%envreg");
    for (size_t i = 0;
         !found && i < sizeof special_names / sizeof special_names[0]; i++)
        found = strcmp(name->text, special_names[i]) == 0;
    name->special = found ? 1 : -1;
    return found;
}
