/* decode.h -- from parsed instructions to operations.
**
** decode.c walks a function and looks every instruction up in tables of
** patterns (decode_*.c). A row says which modifiers it takes, what the
** operands are, and which handler does it:
**
**     {"add", "rn|rz|rm|rp? ftz? sat? f32", "dT aT bT", ...}
**
** A pattern is a list of places; each is a word or several alternatives with
** | between, optional with ? at its end. Modifiers match in this order. So the
** tables are also the complete list of what is taken (emu_print_opcodes).
**
** Operands: a letter for the field (d a b c e), one for the kind:
**
**     T  the row's type, which is the last type among the modifiers
**     W  twice its width        I  u32        P  predicate
** A '?' after it: may be missing. Rows that need more have a build function.
**
** Operands become numbers of values first; slots.c then gives the values
** their slots and patches them into the operations.
*/
#ifndef TSR_EMULATOR_DECODE_H
#define TSR_EMULATOR_DECODE_H

#include "runtime/emulator/handlers.h"
#include "runtime/emulator/kernel.h"
#include "runtime/emulator/special.h"

#define EMU_PLACES      12
#define EMU_ALL_LANES   UINT32_C(0xffffffff)
#define EMU_LOCAL_LIMIT (512 * 1024)

struct emu_decoder;
struct emu_row;

/* Makes the operations of the current instruction. */
typedef int (*emu_build)(struct emu_decoder *d, const struct emu_row *row);

struct emu_row {
    const char *root;
    const char *pattern;
    const char *operands;
    /* Handlers by the index of the alternative chosen at the last place; with
    ** modifiers that need the slow form, `slow` instead. */
    const uint16_t *fast;
    const uint16_t *slow;
    emu_build build; /* NULL: emu_build_simple */
    int extra;       /* for build */
};

#define EMU_IDS(...)   \
    (const uint16_t[]) \
    {                  \
        __VA_ARGS__    \
    }

struct emu_table {
    const struct emu_row *row;
    size_t count;
};

extern const struct emu_table emu_table_integer, emu_table_float,
    emu_table_convert, emu_table_memory, emu_table_control, emu_table_warp;

/* -- values --------------------------------------------------------------- */

enum emu_value_kind {
    EMU_REGISTER,
    EMU_CONSTANT,
    EMU_FILLED,  /* by emu_frame_fill */
    EMU_SCRATCH, /* written and not looked at */
    EMU_PINNED   /* has a slot to itself, zero at first */
};

/* Width classes of slots. */
enum emu_width { EMU_W_PRED, EMU_W32, EMU_W64, EMU_W128, EMU_WIDTHS };

struct emu_value {
    uint8_t kind;
    uint8_t width;
    uint8_t special;
    uint8_t blank;        /* must be zero when a frame is made */
    uint64_t bits;        /* CONSTANT; FILLED with SPECIAL_LOCAL: offset */
    uint32_t offset;      /* in the frame, once slots are given */
    uint32_t first, last; /* REGISTER, SCRATCH: life in op indices */
};

enum emu_field {
    EMU_FIELD_GUARD,
    EMU_FIELD_D,
    EMU_FIELD_A,
    EMU_FIELD_B,
    EMU_FIELD_C,
    EMU_FIELD_E,
    EMU_FIELD_TARGET,
    EMU_FIELD_LIST
};

/* One operand of one op refers to one value. */
struct emu_reference {
    uint32_t op;
    uint32_t value;
    uint32_t list; /* FIELD_LIST: index in the list pool */
    uint8_t field;
    uint8_t writes;
    uint8_t reads;
    uint8_t whole; /* writes: every lane that gets here (not guarded) */
};

struct emu_decoder {
    struct emu_module *module;
    const struct ptx_function *function;
    struct emu_code *code;
    const struct ptx_instruction *in;
    const char *word[EMU_PLACES]; /* what matched each place; NULL: absent */
    int choice[EMU_PLACES];       /* index of the alternative */
    int places;
    enum ptx_type type; /* the last type among the modifiers */
    int type_choice;    /* its index among the alternatives */

    struct emu_op *op;
    uint16_t *handler;
    const struct ptx_instruction **source;
    uint32_t *list_of; /* per op: where its list begins, or UINT32_MAX */
    size_t op_count, op_capacity[4];
    struct emu_value *value;
    size_t value_count, value_capacity;
    struct emu_reference *reference;
    size_t reference_count, reference_capacity;
    uint32_t *list;
    size_t list_count, list_capacity;
    uint32_t *constant; /* hash of constants and specials: value + 1 */
    size_t constant_slots, constant_used;
    uint32_t *op_of; /* instruction -> first op */
    uint32_t carry;  /* value of the carry flag, or UINT32_MAX */
    uint32_t local_bytes;
    struct tsr_error *err;
};

/* -- pattern.c ------------------------------------------------------------ */

/* Does the pattern take the modifiers? Fills word[], choice[], places. */
int emu_pattern_match(struct emu_decoder *d, const char *pattern);
int emu_print_row(const struct emu_row *row, struct tsr_buffer *out);

/* -- for build functions -------------------------------------------------- */

/* "name:line: opcode: ..."; returns TSR_EUNSUPPORTED. */
int emu_refuse(struct emu_decoder *d, const char *fmt, ...) TSR_PRINTF(2, 3);
/* The same for wrong operands: TSR_EFORMAT. */
int emu_bad(struct emu_decoder *d, const char *fmt, ...) TSR_PRINTF(2, 3);

/* 1 if the word is among the modifiers of the instruction. */
int emu_has(const struct emu_decoder *d, const char *word);

/* A new operation with the instruction's guard; NULL: out of memory. Valid
** until the next one. */
struct emu_op *emu_emit(struct emu_decoder *d, enum emu_handler_id handler);
#define EMU_OP(d) (&(d)->op[(d)->op_count - 1])

/* Operands of the last operation. `index` counts the instruction's operands. */
int emu_dest(struct emu_decoder *d, enum emu_field field, int index,
             enum ptx_type type);
int emu_source_of(struct emu_decoder *d, enum emu_field field, int index,
                  enum ptx_type type);
/* A predicate source; *negated says that it is to be inverted. */
int emu_predicate(struct emu_decoder *d, enum emu_field field, int index,
                  uint8_t *negated);
/* The same for an operand itself, in a field or at the end of the list. */
int emu_put_dest(struct emu_decoder *d, enum emu_field field,
                 const struct ptx_operand *operand, enum ptx_type type);
int emu_put_source(struct emu_decoder *d, enum emu_field field,
                   const struct ptx_operand *operand, enum ptx_type type);
int emu_put_constant(struct emu_decoder *d, enum emu_field field, uint64_t bits,
                     enum emu_width width);
/* `bits`: of EMU_SPECIAL_LOCAL, the offset in the function's locals. */
int emu_put_special(struct emu_decoder *d, enum emu_field field,
                    enum emu_special special, enum emu_width width,
                    uint64_t bits);
int emu_new_pinned(struct emu_decoder *d, enum emu_width width, uint32_t *out);
int emu_constant_value(struct emu_decoder *d, uint64_t bits,
                       enum emu_width width, uint32_t *out);
int emu_put_scratch(struct emu_decoder *d, enum emu_field field,
                    enum emu_width width);
int emu_put_value(struct emu_decoder *d, enum emu_field field, uint32_t value,
                  int reads, int writes);
/* Appends a number, not an operand, to the list. */
int emu_put_number(struct emu_decoder *d, uint32_t number);
/* Starts the list of the last op: call before its first FIELD_LIST. */
void emu_begin_list(struct emu_decoder *d);
int emu_put_carry(struct emu_decoder *d, enum emu_field field, int reads,
                  int writes);

/* Register type of an operand, PTX_VOID when it is not a register. */
enum ptx_type emu_register_type(const struct emu_decoder *d,
                                const struct ptx_operand *operand);
enum emu_width emu_width_of(enum ptx_type type);
/* An immediate operand as the bits of `type`; 0 when it is one. */
int emu_immediate(struct emu_decoder *d, const struct ptx_operand *operand,
                  enum ptx_type type, uint64_t *bits);
int emu_expect(struct emu_decoder *d, int least, int most);
/* An address operand: base into `field`, offset into *offset. *wide: the base
** has 64 bits. *variable: the base is this variable (or NULL). */
struct emu_address {
    const struct ptx_variable *variable;
    int64_t offset;
    int wide;
};
int emu_put_address(struct emu_decoder *d, enum emu_field field,
                    const struct ptx_operand *operand, struct emu_address *out);
/* Locals of a function: its results, parameters (of a .func), .param and
** .local variables. Offset of `want` in them, or -1; all their bytes. */
int64_t emu_local_layout(const struct ptx_function *f,
                         const struct ptx_variable *want, uint64_t *bytes);
/* Offset of an entry's parameter in the argument block, or -1. */
int64_t emu_argument_offset(const struct ptx_function *f,
                            const struct ptx_variable *want, uint64_t *bytes);
/* Sets rounding (x) and ftz, sat ... from the modifiers; 1: the plain handler
** will not do. */
int emu_float_modifiers(struct emu_decoder *d, struct emu_op *op);
/* An operation that moves a register from (loads) or to the locals. */
int emu_move_local(struct emu_decoder *d, uint64_t offset,
                   const struct ptx_operand *reg, enum ptx_type type,
                   int loads);
/* The same for a parameter or result that is declared a register. */
int emu_move_formal(struct emu_decoder *d, const struct ptx_variable *formal,
                    int loads);
/* Makes the last op warp-synchronous; its members are operand `index`, or the
** whole warp when that is negative. */
int emu_together(struct emu_decoder *d, int index);
/* All operands by a row's `operands`. */
int emu_put_operands(struct emu_decoder *d, const char *operands);
int emu_build_simple(struct emu_decoder *d, const struct emu_row *row);

/* -- slots.c -------------------------------------------------------------- */

/* Marks registers that may be read unset: inserts checks. Then gives values
** slots, patches operations, fills in code->image, fill, blank, frame_bytes. */
int emu_slots_assign(struct emu_decoder *d);

/* decode_control.c */
int emu_put_results(struct emu_decoder *d);

/* decode.c */
int emu_decode_function(struct emu_module *module, uint32_t index,
                        struct tsr_error *err);
void emu_code_release(struct emu_code *code);

#endif
