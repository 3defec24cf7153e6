/* ptx.h -- a parsed PTX module: text with every name resolved.
**
** The parser (ptx_lex.c, ptx_parse.c) turns PTX of any dialect into this tree
** and knows grammar, scopes, types of registers, and nothing about what an
** opcode does. decode.c gives opcodes their meaning. So an unknown directive
** or a bad operand is reported by the parser, an unknown opcode or modifier by
** the decoder, both with the PTX line.
**
**     module ── variables (.global .const .shared at file scope)
**        ├───── files (.file N "name")
**        └───── functions (.entry and .func)
**                  ├── parameters, return parameters
**                  ├── registers (one flat table, all scopes)
**                  ├── variables (.shared .local .param inside the body)
**                  └── instructions (labels already instruction indices)
**
** Everything is owned by the module and freed with it.
*/
#ifndef TSR_EMULATOR_PTX_H
#define TSR_EMULATOR_PTX_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/error.h"

struct ptx_relocation;

/* name, bytes, class: p predicate, b bits, u unsigned, s signed, f float */
#define PTX_TYPE_LIST(X)        \
    X(PRED, "pred", 1, 'p')     \
    X(B8, "b8", 1, 'b')         \
    X(B16, "b16", 2, 'b')       \
    X(B32, "b32", 4, 'b')       \
    X(B64, "b64", 8, 'b')       \
    X(B128, "b128", 16, 'b')    \
    X(U8, "u8", 1, 'u')         \
    X(U16, "u16", 2, 'u')       \
    X(U32, "u32", 4, 'u')       \
    X(U64, "u64", 8, 'u')       \
    X(S8, "s8", 1, 's')         \
    X(S16, "s16", 2, 's')       \
    X(S32, "s32", 4, 's')       \
    X(S64, "s64", 8, 's')       \
    X(F16, "f16", 2, 'f')       \
    X(F16X2, "f16x2", 4, 'f')   \
    X(BF16, "bf16", 2, 'f')     \
    X(BF16X2, "bf16x2", 4, 'f') \
    X(TF32, "tf32", 4, 'f')     \
    X(F32, "f32", 4, 'f')       \
    X(F64, "f64", 8, 'f')

enum ptx_type {
    PTX_VOID = 0,
#define X(symbol, name, bytes, class) PTX_##symbol,
    PTX_TYPE_LIST(X)
#undef X
};

int ptx_type_bytes(enum ptx_type type);
char ptx_type_class(enum ptx_type type);
const char *ptx_type_name(enum ptx_type type);
/* PTX_VOID for a word that is no type. */
enum ptx_type ptx_type_find(const char *word);

enum ptx_space {
    PTX_SPACE_GLOBAL,
    PTX_SPACE_CONST,
    PTX_SPACE_SHARED,
    PTX_SPACE_LOCAL,
    PTX_SPACE_PARAM,
};

/* A variable or parameter. File-scope ones stand in module->variables, those
** of a body in function->variables; parameters in function->parameters. */
struct ptx_variable {
    const char *name;
    enum ptx_space space;
    enum ptx_type type;   /* of one element */
    size_t align;         /* bytes, power of two, explicit or natural */
    size_t bytes;         /* whole size; 0 for an extern unsized array */
    int is_extern;        /* extern .shared x[]: dynamic shared memory */
    unsigned char *image; /* initial bytes (.global, .const), or NULL = 0 */
    struct ptx_relocation *relocation; /* addresses to add to the image */
    int relocation_count;
    int reg; /* a .func parameter declared `.reg`: its register, else -1 */
    int line;
};

/* An initialiser that names a symbol: the `bytes` bytes at `offset` of the
** image become (address of the symbol + addend) >> shift. */
struct ptx_relocation {
    size_t offset;
    int bytes;
    int shift;   /* 0xFF00(symbol) takes the second byte: shift 8 */
    int generic; /* generic(symbol): a generic address, not one of the space */
    const struct ptx_variable *variable; /* NULL: the function `name` */
    const char *name;
    int64_t addend;
};

struct ptx_register {
    const char *name; /* "%r12" */
    enum ptx_type type;
};

enum ptx_operand_kind {
    PTX_OPERAND_REGISTER,  /* reg */
    PTX_OPERAND_IMMEDIATE, /* bits, immediate_type */
    PTX_OPERAND_SPECIAL,   /* name: "%tid.x" */
    PTX_OPERAND_VARIABLE,  /* variable [+ offset]: its address as a value */
    PTX_OPERAND_FUNCTION,  /* name: callee of a direct call */
    PTX_OPERAND_LABEL,     /* target; -1 for a .callprototype or .calltargets
                              (`name`); a .branchtargets becomes a LIST of
                              LABELs */
    PTX_OPERAND_VECTOR,    /* element[0 .. count) */
    PTX_OPERAND_ADDRESS,   /* [element[0] + offset {, element[1..count)}]; the
                              base is a register, an immediate or a variable;
                              further elements are tensor coordinates etc. */
    PTX_OPERAND_LIST,      /* (a, b): arguments of a call */
    PTX_OPERAND_SINK,      /* _ */
};

struct ptx_operand {
    enum ptx_operand_kind kind;
    int negated;                  /* !%p1 */
    int reg;                      /* index into function->registers; `name` is
                                     a video selector such as "h1", or NULL */
    uint64_t bits;                /* immediate: integer, or IEEE bits */
    enum ptx_type immediate_type; /* S64 / U64 for integers, F32 (0f...), F64 */
    const struct ptx_variable *variable;
    const char *name;
    int64_t offset;
    int target; /* instruction index; may equal instruction_count (the end) */
    struct ptx_operand *element;
    int count;
};

struct ptx_instruction {
    const char *opcode;    /* as written: "mad.lo.s32" */
    const char *root;      /* "mad" */
    const char **modifier; /* "lo", "s32"; "shared::cta" is one word */
    int modifier_count;
    int guard; /* predicate register index, or -1 */
    int guard_negated;
    struct ptx_operand *operand; /* in order; "d|p" gives two operands, and
                                    `pair` marks the second's index */
    int operand_count;
    int pair;      /* index of the operand that followed '|', or 0 */
    int line;      /* PTX line, from 1 */
    int loc_file;  /* index of .file, 0 when no .loc is in force */
    int loc_line;  /* template line */
    int rank;      /* see ptx_function */
    int synthetic; /* a latch that ptx_cfg.c put in: not in the text, costs and
                      counts nothing */
};

struct ptx_function {
    const char *name;
    int is_entry;
    int is_declaration; /* a .func without a body (vprintf, ...) */
    struct ptx_variable *parameters;
    int parameter_count;
    struct ptx_variable *returns;
    int return_count;
    struct ptx_register *registers;
    int register_count;
    struct ptx_variable **variables;
    int variable_count;
    struct ptx_instruction *instructions;
    int instruction_count;
    int max_ntid[3]; /* .maxntid / .reqntid, missing = 0 */
    int is_reqntid;
    int line;
    /* Divergent fragments of a warp run lowest rank first and merge on equal
    ** pc. Ranks are unique in a function and come from a topological order in
    ** which a whole loop precedes what follows it, so that running the lowest
    ** rank reconverges at the immediate post-dominator (ptx_cfg.c). Loops with
    ** several back edges get one synthetic `bra` as their common latch.
    ** `irregular` counts loops with several entries, where no order can. */
    int irregular;
};

struct ptx_file {
    int number;
    const char *name;
};

struct ptx_module {
    int version;        /* 8.7 is 87 */
    const char *target; /* "sm_90a" */
    int address_size;   /* 64 */
    struct ptx_variable **variables;
    int variable_count;
    struct ptx_function *functions;
    int function_count;
    struct ptx_file *files;
    int file_count;
    void *arena; /* owns every pointer above */
};

/* Parses `size` bytes of text. `name` is for messages: "x.ptx:12: ...".
** Errors are TSR_EFORMAT (grammar) or TSR_EMEMORY. */
int ptx_module_parse(struct ptx_module **out, const char *text, size_t size,
                     const char *name, struct tsr_error *err);
void ptx_module_free(struct ptx_module *module);

/* NULL when there is none. */
const struct ptx_function *ptx_module_function(const struct ptx_module *module,
                                               const char *name);
/* The name of .file `number`, or NULL. */
const char *ptx_module_file(const struct ptx_module *module, int number);
/* 1 if `word` is among the modifiers. */
int ptx_has(const struct ptx_instruction *instruction, const char *word);

#endif
