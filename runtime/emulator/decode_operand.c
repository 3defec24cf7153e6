/* decode_operand.c -- operands: registers, immediates, addresses. */
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/emulator/decode.h"

/* -- where variables are -------------------------------------------------- */

static uint64_t place(const struct ptx_variable *v, uint64_t *at)
{
    uint64_t align = v->align ? v->align : 1;
    *at = (*at + align - 1) & ~(align - 1);
    uint64_t here = *at;
    *at += v->bytes;
    return here;
}

int64_t emu_local_layout(const struct ptx_function *f,
                         const struct ptx_variable *want, uint64_t *bytes)
{
    uint64_t at = 0;
    int64_t found = -1;
    for (int i = 0; !f->is_entry && i < f->return_count; i++) {
        uint64_t here = place(&f->returns[i], &at);
        if (&f->returns[i] == want)
            found = (int64_t)here;
    }
    for (int i = 0; !f->is_entry && i < f->parameter_count; i++) {
        uint64_t here = place(&f->parameters[i], &at);
        if (&f->parameters[i] == want)
            found = (int64_t)here;
    }
    for (int i = 0; i < f->variable_count; i++) {
        const struct ptx_variable *v = f->variables[i];
        if (v->space != PTX_SPACE_LOCAL && v->space != PTX_SPACE_PARAM)
            continue;
        uint64_t here = place(v, &at);
        if (v == want)
            found = (int64_t)here;
    }
    if (bytes)
        *bytes = at;
    return found;
}

int64_t emu_argument_offset(const struct ptx_function *f,
                            const struct ptx_variable *want, uint64_t *bytes)
{
    uint64_t at = 0;
    int64_t found = -1;
    for (int i = 0; f->is_entry && i < f->parameter_count; i++) {
        uint64_t here = place(&f->parameters[i], &at);
        if (&f->parameters[i] == want)
            found = (int64_t)here;
    }
    if (bytes)
        *bytes = at;
    return found;
}

/* -- registers as parameters ----------------------------------------------
**
** A .func may declare parameters and results as registers; they travel through
** its locals like the others. */

int emu_move_local(struct emu_decoder *d, uint64_t offset,
                   const struct ptx_operand *reg, enum ptx_type type, int loads)
{
    int rc;
    if (type == PTX_PRED)
        return emu_refuse(d, "predicates cannot be passed to a function");
    struct emu_op *op = emu_emit(d, loads ? EMU_H_ld_local : EMU_H_st_local);
    if (!op)
        return TSR_EMEMORY;
    op->flags |= EMU_HIDDEN | EMU_WIDE_BASE;
    op->flags |= ptx_type_bytes(type) == 8 ? EMU_WIDE : 0;
    op->x = (uint8_t)ptx_type_bytes(type);
    op->n = 1;
    if ((rc = emu_put_special(d, EMU_FIELD_A, EMU_SPECIAL_LOCAL, EMU_W64,
                              offset)))
        return rc;
    emu_begin_list(d);
    return loads ? emu_put_dest(d, EMU_FIELD_LIST, reg, type)
                 : emu_put_source(d, EMU_FIELD_LIST, reg, type);
}

int emu_move_formal(struct emu_decoder *d, const struct ptx_variable *formal,
                    int loads)
{
    struct ptx_operand reg = {.kind = PTX_OPERAND_REGISTER, .reg = formal->reg};
    if (formal->reg < 0)
        return 0;
    return emu_move_local(d,
                          (uint64_t)emu_local_layout(d->function, formal, NULL),
                          &reg, formal->type, loads);
}

/* -- registers ------------------------------------------------------------ */

enum ptx_type emu_register_type(const struct emu_decoder *d,
                                const struct ptx_operand *operand)
{
    if (operand->kind != PTX_OPERAND_REGISTER)
        return PTX_VOID;
    return d->function->registers[operand->reg].type;
}

static const char *register_name(const struct emu_decoder *d,
                                 const struct ptx_operand *operand)
{
    return d->function->registers[operand->reg].name;
}

static int fits(struct emu_decoder *d, const struct ptx_operand *operand,
                enum ptx_type type)
{
    enum ptx_type has = emu_register_type(d, operand);
    int predicate = has == PTX_PRED || type == PTX_PRED;
    if (predicate ? has == type : ptx_type_bytes(has) == ptx_type_bytes(type))
        return 0;
    return emu_bad(d, "register %s is .%s where .%s is wanted",
                   register_name(d, operand), ptx_type_name(has),
                   ptx_type_name(type));
}

/* -- immediates ----------------------------------------------------------- */

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double immediate_double(const struct ptx_operand *operand)
{
    if (operand->immediate_type == PTX_F32)
        return (double)tsr__bits_float((uint32_t)operand->bits);
    double v;
    memcpy(&v, &operand->bits, sizeof v);
    return v;
}

static uint64_t float_bits(const struct ptx_operand *operand,
                           enum ptx_type type)
{
    double v = immediate_double(operand);
    uint32_t half;
    switch (type) {
    case PTX_F16:
    case PTX_F16X2:
        half = tsr__float_to_half((float)v);
        return type == PTX_F16X2 ? half | half << 16 : half;
    case PTX_BF16:
    case PTX_BF16X2:
        half = tsr__float_to_bfloat((float)v);
        return type == PTX_BF16X2 ? half | half << 16 : half;
    case PTX_F64:
        return double_bits(v);
    default:
        if (operand->immediate_type == PTX_F32)
            return (uint32_t)operand->bits;
        return tsr__float_bits((float)v);
    }
}

int emu_immediate(struct emu_decoder *d, const struct ptx_operand *operand,
                  enum ptx_type type, uint64_t *bits)
{
    if (operand->kind != PTX_OPERAND_IMMEDIATE)
        return emu_bad(d, "an operand must be a constant");
    int is_float = operand->immediate_type == PTX_F32 ||
                   operand->immediate_type == PTX_F64;
    int width = type == PTX_PRED ? 0 : ptx_type_bytes(type);
    uint64_t v = operand->bits;
    if (type == PTX_PRED) {
        *bits = v ? EMU_ALL_LANES : 0;
        return 0;
    }
    if (is_float && ptx_type_class(type) == 'f')
        v = float_bits(operand, type);
    else if (is_float && ptx_type_class(type) != 'b')
        return emu_bad(d, "a floating-point constant where .%s is wanted",
                       ptx_type_name(type));
    else if (is_float && width == 4 && operand->immediate_type == PTX_F64)
        v = tsr__float_bits((float)immediate_double(operand));
    if (width < 8)
        v &= (UINT64_C(1) << 8 * width) - 1;
    *bits = v;
    return 0;
}

/* -- special registers, addresses of variables ---------------------------- */

static int put_special(struct emu_decoder *d, enum emu_field field,
                       const char *name, enum ptx_type type)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        EMU_SPECIAL_LIST(X)
#undef X
    };
    for (int i = 0; i < EMU_SPECIAL_LOCAL; i++)
        if (strcmp(names[i], name) == 0)
            return emu_put_special(d, field, (enum emu_special)i,
                                   emu_width_of(type), 0);
    if (strcmp(name, "WARP_SZ") == 0)
        return emu_put_constant(d, field, 32, emu_width_of(type));
    return emu_refuse(d, "the emulator does not have %s here", name);
}

static int put_variable(struct emu_decoder *d, enum emu_field field,
                        const struct ptx_operand *operand, enum ptx_type type)
{
    const struct ptx_variable *v = operand->variable;
    enum emu_width width = emu_width_of(type);
    uint64_t offset = (uint64_t)operand->offset, address;
    int64_t local = emu_local_layout(d->function, v, NULL);
    if (local >= 0)
        return emu_put_special(d, field, EMU_SPECIAL_LOCAL, width,
                               (uint64_t)local + offset);
    int64_t argument = emu_argument_offset(d->function, v, NULL);
    if (argument >= 0)
        return emu_put_constant(d, field, (uint64_t)argument + offset, width);
    if (emu_module_place(d->module, v, &address))
        return emu_bad(d, "variable %s has no address", v->name);
    return emu_put_constant(d, field, address + offset, width);
}

/* -- the common ways in --------------------------------------------------- */

int emu_put_source(struct emu_decoder *d, enum emu_field field,
                   const struct ptx_operand *operand, enum ptx_type type)
{
    uint64_t bits;
    int rc;
    switch (operand->kind) {
    case PTX_OPERAND_REGISTER:
        if ((rc = fits(d, operand, type)))
            return rc;
        if (operand->negated)
            return emu_bad(d, "a negated predicate is not taken here");
        return emu_put_value(d, field, (uint32_t)operand->reg, 1, 0);
    case PTX_OPERAND_IMMEDIATE:
        if ((rc = emu_immediate(d, operand, type, &bits)))
            return rc;
        return emu_put_constant(d, field, bits, emu_width_of(type));
    case PTX_OPERAND_SPECIAL:
        return put_special(d, field, operand->name, type);
    case PTX_OPERAND_VARIABLE:
        return put_variable(d, field, operand, type);
    default:
        return emu_bad(d, "an operand is of the wrong kind");
    }
}

int emu_put_dest(struct emu_decoder *d, enum emu_field field,
                 const struct ptx_operand *operand, enum ptx_type type)
{
    int rc;
    if (operand->kind == PTX_OPERAND_SINK)
        return emu_put_scratch(d, field, emu_width_of(type));
    if (operand->kind != PTX_OPERAND_REGISTER)
        return emu_bad(d, "the destination is not a register");
    if ((rc = fits(d, operand, type)))
        return rc;
    return emu_put_value(d, field, (uint32_t)operand->reg, 0, 1);
}

static const struct ptx_operand *operand_at(struct emu_decoder *d, int index)
{
    return index < d->in->operand_count ? &d->in->operand[index] : NULL;
}

int emu_dest(struct emu_decoder *d, enum emu_field field, int index,
             enum ptx_type type)
{
    const struct ptx_operand *operand = operand_at(d, index);
    if (!operand)
        return emu_bad(d, "operand %d is missing", index + 1);
    return emu_put_dest(d, field, operand, type);
}

int emu_source_of(struct emu_decoder *d, enum emu_field field, int index,
                  enum ptx_type type)
{
    const struct ptx_operand *operand = operand_at(d, index);
    if (!operand)
        return emu_bad(d, "operand %d is missing", index + 1);
    return emu_put_source(d, field, operand, type);
}

int emu_predicate(struct emu_decoder *d, enum emu_field field, int index,
                  uint8_t *negated)
{
    const struct ptx_operand *operand = operand_at(d, index);
    if (!operand)
        return emu_bad(d, "operand %d is missing", index + 1);
    struct ptx_operand plain = *operand;
    *negated = (uint8_t)(operand->negated != 0);
    plain.negated = 0;
    return emu_put_source(d, field, &plain, PTX_PRED);
}

int emu_put_address(struct emu_decoder *d, enum emu_field field,
                    const struct ptx_operand *operand, struct emu_address *out)
{
    *out = (struct emu_address){0};
    if (operand->kind != PTX_OPERAND_ADDRESS || operand->count < 1)
        return emu_bad(d, "an operand must be an address in brackets");
    const struct ptx_operand *base = &operand->element[0];
    enum ptx_type type = PTX_U64;
    out->offset = operand->offset;
    if (base->kind == PTX_OPERAND_REGISTER) {
        type = emu_register_type(d, base);
        if (type == PTX_PRED ||
            (ptx_type_bytes(type) != 4 && ptx_type_bytes(type) != 8))
            return emu_bad(d, "register %s cannot hold an address",
                           register_name(d, base));
    } else if (base->kind == PTX_OPERAND_VARIABLE) {
        out->variable = base->variable;
    }
    out->wide = emu_width_of(type) == EMU_W64;
    return emu_put_source(d, field, base, type);
}

/* -- modifiers of float operations, and rows that need nothing else ------- */

int emu_float_modifiers(struct emu_decoder *d, struct emu_op *op)
{
    static const struct {
        const char *word;
        int rounding; /* -1: a flag */
        uint16_t flag;
    } known[] = {
        {"rn", EMU_RN, 0},    {"rz", EMU_RZ, 0},          {"rm", EMU_RM, 0},
        {"rp", EMU_RP, 0},    {"rna", EMU_RNA, 0},        {"ftz", -1, EMU_FTZ},
        {"sat", -1, EMU_SAT}, {"relu", -1, EMU_RELU},     {"NaN", -1, EMU_NAN},
        {"abs", -1, EMU_ABS}, {"satfinite", -1, EMU_SAT},
    };
    int slow = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!emu_has(d, known[i].word))
            continue;
        if (known[i].rounding < 0)
            op->flags |= known[i].flag;
        else
            op->x = (uint8_t)known[i].rounding;
        slow |= known[i].rounding != EMU_RN;
    }
    if (emu_has(d, "xorsign"))
        op->flags |= EMU_XORSIGN;
    return slow;
}

int emu_together(struct emu_decoder *d, int index)
{
    EMU_OP(d)->control = EMU_DO_TOGETHER;
    if (index < 0)
        return emu_put_constant(d, EMU_FIELD_TARGET, EMU_ALL_LANES, EMU_W32);
    return emu_source_of(d, EMU_FIELD_TARGET, index, PTX_B32);
}

static enum ptx_type kind_type(const struct emu_decoder *d, char kind)
{
    switch (kind) {
    case 'T':
        return d->type;
    case 'W':
        return ptx_type_bytes(d->type) == 2 ? PTX_B32 : PTX_B64;
    case 'I':
        return PTX_U32;
    default:
        return PTX_PRED;
    }
}

static enum emu_field field_of(char letter)
{
    switch (letter) {
    case 'd':
        return EMU_FIELD_D;
    case 'a':
        return EMU_FIELD_A;
    case 'b':
        return EMU_FIELD_B;
    case 'c':
        return EMU_FIELD_C;
    default:
        return EMU_FIELD_E;
    }
}

int emu_put_operands(struct emu_decoder *d, const char *operands)
{
    int index = 0, rc;
    for (const char *p = operands; *p; index++) {
        enum ptx_type type = kind_type(d, p[1]);
        if (*p == 'd')
            rc = emu_dest(d, field_of(*p), index, type);
        else
            rc = emu_source_of(d, field_of(*p), index, type);
        if (rc)
            return rc;
        p += 2;
        p += *p == ' ';
    }
    return emu_expect(d, index, index);
}

int emu_build_simple(struct emu_decoder *d, const struct emu_row *row)
{
    int at = d->type_choice;
    struct emu_op *op = emu_emit(d, (enum emu_handler_id)row->fast[at]);
    if (!op)
        return TSR_EMEMORY;
    if (emu_float_modifiers(d, op) && row->slow)
        d->handler[d->op_count - 1] = row->slow[at];
    return emu_put_operands(d, row->operands);
}
