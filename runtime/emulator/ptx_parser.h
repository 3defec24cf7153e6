/* ptx_parser.h -- shared by the parts of the PTX parser, and by nobody else.
**
** One struct ptx_parser lives for one ptx_module_parse call. Memory comes from
** the module's arena, so nothing needs to be released on the way out, and an
** error is a longjmp to ptx_module_parse from any depth: after ptx_fail
** nothing of the parser runs again.
**
** Names. Every word of the text is interned once (struct ptx_name). A name
** carries three stacks of what it means, innermost scope on top: a symbol
** (register, variable, function), a range of registers, a label. Closing a
** scope pops them. So a look-up is one hash of the word.
**
** `.reg .b32 %r<10>` binds the prefix "%r" to a range; the register %r7 comes
** into being when it is first used. Memory therefore grows with the text, not
** with the numbers in it.
*/
#ifndef TSR_EMULATOR_PTX_PARSER_H
#define TSR_EMULATOR_PTX_PARSER_H

#include <setjmp.h>

#include "runtime/emulator/ptx.h"

/* Limits against hostile text; real modules stay far below. */
#define PTX_MAX_TEXT     ((size_t)256 << 20)
#define PTX_MAX_WORD     4096
#define PTX_MAX_SCOPES   64
#define PTX_MAX_NESTING  64
#define PTX_MAX_OPERANDS 32
#define PTX_MAX_ELEMENTS 1024
#define PTX_MAX_PARAMS   4096
#define PTX_MAX_RANGE    (1 << 20)
#define PTX_MAX_IMAGE    ((size_t)64 << 20)
#define PTX_MAX_VARIABLE ((size_t)1 << 40)

/* -- arena ---------------------------------------------------------------- */

struct ptx_arena {
    struct ptx_chunk *chunk;
};

/* Zeroed memory, aligned to 16; NULL when out of memory. */
void *ptx_arena_alloc(struct ptx_arena *arena, size_t size);
void ptx_arena_release(struct ptx_arena *arena);

/* -- lexer ---------------------------------------------------------------- */

enum ptx_token_kind {
    PTX_TOKEN_END,
    PTX_TOKEN_WORD,      /* name, %name, $name, _name */
    PTX_TOKEN_DIRECTIVE, /* .name, .a::b; text includes the dot */
    PTX_TOKEN_NUMBER,
    PTX_TOKEN_STRING, /* text without the quotes */
    PTX_TOKEN_PUNCT,  /* one character, or << >> && || == != <= >= */
};

struct ptx_token {
    enum ptx_token_kind kind;
    const char *text; /* in the source, not terminated */
    size_t size;
    int line;
    int punct;     /* character; for two-character signs PTX_SIGN */
    int joined;    /* no white space before it */
    uint64_t bits; /* NUMBER */
    enum ptx_type type;
};

#define PTX_SIGN(a, b) ((a) << 8 | (b))

/* -- names ---------------------------------------------------------------- */

enum ptx_binding_kind {
    PTX_BIND_REGISTER,
    PTX_BIND_RANGE,
    PTX_BIND_VARIABLE,
    PTX_BIND_FUNCTION,
    PTX_BIND_LABEL,
    PTX_BIND_TABLE, /* label of a .branchtargets */
    PTX_BIND_PROTO, /* label of a .callprototype or .calltargets */
};

struct ptx_binding {
    enum ptx_binding_kind kind;
    struct ptx_name *name;
    int scope;
    struct ptx_binding *outer; /* the same name further out */
    struct ptx_binding *next;  /* bound earlier in the same scope */
    enum ptx_type type;        /* REGISTER, RANGE */
    int reg;                   /* REGISTER: first of `width` */
    int width;                 /* 1, or 2, 4 for .v2, .v4 */
    int range;                 /* RANGE: how many */
    struct ptx_variable *variable;
    int target; /* LABEL: instruction; FUNCTION: index in the module */
    struct ptx_operand *table; /* TABLE: a LIST operand */
};

struct ptx_name {
    const char *text; /* terminated */
    size_t size;
    uint32_t hash;
    struct ptx_name *chain;
    struct ptx_name *prefix;    /* "%r" of "%r12", NULL: no number at the end */
    uint32_t number;            /* 12 */
    struct ptx_binding *symbol; /* innermost: register, variable, function */
    struct ptx_binding *range;  /* innermost .reg name<N> */
    struct ptx_binding *label;  /* innermost */
    int is_split;               /* prefix and number are known */
    struct ptx_opcode *opcode;  /* split once */
    int special;                /* 0 not asked, 1 a special register, -1 no */
};

struct ptx_opcode {
    const char *root;
    const char **modifier;
    int modifier_count;
};

/* A label that was used and is to be found when its scope closes. */
struct ptx_fixup {
    struct ptx_name *name;
    struct ptx_operand *operand;
    int line;
    struct ptx_fixup *next;
};

struct ptx_scope {
    struct ptx_binding *bindings;
    struct ptx_fixup *fixups;
};

/* -- parser --------------------------------------------------------------- */

struct ptx_parser {
    jmp_buf escape;
    struct tsr_error *err;
    const char *file; /* for messages */
    struct ptx_module *module;
    struct ptx_arena *arena;
    struct ptx_arena scratch; /* released after the parse */

    const char *at; /* next character */
    const char *end;
    int line;
    struct ptx_token token; /* current, not yet consumed */

    struct ptx_name **names;
    size_t name_slots;
    size_t name_count;

    struct ptx_scope scopes[PTX_MAX_SCOPES];
    int scope; /* index of the innermost; 0 is the module */

    struct ptx_function *function; /* being parsed, or NULL */
    int loc_file;
    int loc_line;
    size_t image_bytes;
    size_t variable_capacity, function_capacity, file_capacity;
    size_t instruction_capacity, register_capacity, local_capacity;
    int depth; /* of recursion */
};

_Noreturn void ptx_fail(struct ptx_parser *p, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void ptx_fail_memory(struct ptx_parser *p);
/* "expected WHAT, got 'token'" */
_Noreturn void ptx_expected(struct ptx_parser *p, const char *what);

void *ptx_alloc(struct ptx_parser *p, size_t size);
/* Room for element `count` in an arena array of elements of `size` bytes. */
void *ptx_grow(struct ptx_parser *p, void *array, size_t count,
               size_t *capacity, size_t size);

/* ptx_lex.c */
void ptx_next(struct ptx_parser *p);
int ptx_is_punct(const struct ptx_parser *p, int punct);
int ptx_is_word(const struct ptx_parser *p, const char *word);
int ptx_accept(struct ptx_parser *p, int punct);
int ptx_accept_word(struct ptx_parser *p, const char *word);
void ptx_expect(struct ptx_parser *p, int punct, const char *after);
void ptx_skip_line(struct ptx_parser *p);

/* ptx_name.c */
struct ptx_name *ptx_intern(struct ptx_parser *p, const char *text,
                            size_t size);
/* The current token as a name; consumes it. `what` for the message. */
struct ptx_name *ptx_take_name(struct ptx_parser *p, const char *what);
void ptx_scope_open(struct ptx_parser *p);
void ptx_scope_close(struct ptx_parser *p);
/* Fails when the scope already has it. */
struct ptx_binding *ptx_bind(struct ptx_parser *p, struct ptx_name *name,
                             enum ptx_binding_kind kind);
/* Innermost meaning as a symbol, registers of ranges included, or NULL. */
struct ptx_binding *ptx_lookup(struct ptx_parser *p, struct ptx_name *name);
int ptx_new_registers(struct ptx_parser *p, const char *name,
                      enum ptx_type type, int width);
void ptx_want_label(struct ptx_parser *p, struct ptx_name *name,
                    struct ptx_operand *operand, int line);
int ptx_is_special(struct ptx_name *name);

/* ptx_operand.c; `root` is that of the opcode */
struct ptx_operand ptx_parse_operand(struct ptx_parser *p, const char *root);

/* ptx_constant.c */
/* Counts p->depth up, within the limit; who enters also does p->depth--. */
void ptx_enter(struct ptx_parser *p);
/* A constant expression; type S64, U64, F32 or F64. */
uint64_t ptx_parse_constant(struct ptx_parser *p, enum ptx_type *type);
/* "+8", "-8", "+-8", "+(3*4)", or nothing: 0. */
int64_t ptx_parse_offset(struct ptx_parser *p);
/* The same, integer only; `what` for the message. */
int64_t ptx_parse_integer(struct ptx_parser *p, const char *what);

/* ptx_declare.c */
/* The state space a directive names: ".shared"; 0 if it names none. */
int ptx_space_of(const struct ptx_token *token, enum ptx_space *space);
/* Behind the state space up to and including ';'. */
void ptx_parse_variables(struct ptx_parser *p, enum ptx_space space,
                         int is_extern);
/* Behind `.param` or `.reg` in a parameter list; declares and binds it. */
void ptx_parse_parameter(struct ptx_parser *p, struct ptx_variable *out,
                         int is_register);
void ptx_bind_variable(struct ptx_parser *p, struct ptx_variable *variable);
/* Behind `.reg`, up to and including ';'. */
void ptx_parse_registers(struct ptx_parser *p);

/* ptx_init.c */
/* Behind '='. dims[0] may be 0 (unsized): then it is set. */
void ptx_parse_initializer(struct ptx_parser *p, struct ptx_variable *variable,
                           size_t *dims, int rank);

/* ptx_body.c */
/* Behind '{', up to and including the '}' that closes it. */
void ptx_parse_body(struct ptx_parser *p);

/* ptx_parse.c: directives of both levels; 0 if it is none of them */
int ptx_parse_debug_directive(struct ptx_parser *p);

/* ptx_cfg.c: reconvergence */
/* Ranks of the finished function; may add instructions. */
void ptx_rank(struct ptx_parser *p, struct ptx_function *function);

#endif
