/* decode_convert.c -- rows of mov and cvt. */
#include <string.h>

#include "runtime/emulator/decode.h"

#define INTEGERS "u8|s8|u16|s16|u32|s32|u64|s64"
#define FLOATS   "f16|bf16|f32|f64"

/* -- mov ------------------------------------------------------------------ */

static int is_moving_special(const char *name, enum emu_handler_id *handler)
{
    static const struct {
        const char *name;
        enum emu_handler_id handler;
    } known[] = {
        {"%clock", EMU_H_clock},          {"%clock_hi", EMU_H_clock_hi},
        {"%clock64", EMU_H_clock64},      {"%globaltimer", EMU_H_globaltimer},
        {"%globaltimer_lo", EMU_H_clock}, {"%globaltimer_hi", EMU_H_clock_hi}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            *handler = known[i].handler;
            return 1;
        }
    }
    return 0;
}

static int pack(struct emu_decoder *d, const struct ptx_operand *vector)
{
    int bytes = ptx_type_bytes(d->type), rc;
    int part = vector->count ? bytes / vector->count : 0;
    enum ptx_type type = part == 1   ? PTX_B8
                         : part == 2 ? PTX_B16
                         : part == 4 ? PTX_B32
                                     : PTX_B64;
    int two = vector->count == 2 && (bytes == 4 || bytes == 8);
    enum emu_handler_id id = !two         ? EMU_H_pack_list
                             : bytes == 4 ? EMU_H_pack_b32
                                          : EMU_H_pack_b64;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    if (part * vector->count != bytes || part == 0)
        return emu_bad(d, "a vector of %d does not make .%s", vector->count,
                       ptx_type_name(d->type));
    op->x = (uint8_t)part;
    op->y = (uint8_t)bytes;
    op->n = (uint8_t)vector->count;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, d->type)))
        return rc;
    if (two) {
        rc = emu_put_source(d, EMU_FIELD_A, &vector->element[0], type);
        return rc ? rc
                  : emu_put_source(d, EMU_FIELD_B, &vector->element[1], type);
    }
    emu_begin_list(d);
    for (int k = 0; k < vector->count; k++)
        if ((rc = emu_put_source(d, EMU_FIELD_LIST, &vector->element[k], type)))
            return rc;
    return 0;
}

static int unpack(struct emu_decoder *d, const struct ptx_operand *vector)
{
    int bytes = ptx_type_bytes(d->type), rc;
    int part = vector->count ? bytes / vector->count : 0;
    enum ptx_type type = part == 1   ? PTX_B8
                         : part == 2 ? PTX_B16
                         : part == 4 ? PTX_B32
                                     : PTX_B64;
    int two = vector->count == 2 && (bytes == 4 || bytes == 8);
    enum emu_handler_id id = !two         ? EMU_H_unpack_list
                             : bytes == 4 ? EMU_H_unpack_b32
                                          : EMU_H_unpack_b64;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    if (part * vector->count != bytes || part == 0)
        return emu_bad(d, "a vector of %d does not make .%s", vector->count,
                       ptx_type_name(d->type));
    op->x = (uint8_t)part;
    op->y = (uint8_t)bytes;
    op->n = (uint8_t)vector->count;
    if ((rc = emu_source_of(d, EMU_FIELD_A, 1, d->type)))
        return rc;
    if (two) {
        rc = emu_put_dest(d, EMU_FIELD_D, &vector->element[0], type);
        return rc ? rc
                  : emu_put_dest(d, EMU_FIELD_E, &vector->element[1], type);
    }
    emu_begin_list(d);
    for (int k = 0; k < vector->count; k++)
        if ((rc = emu_put_dest(d, EMU_FIELD_LIST, &vector->element[k], type)))
            return rc;
    return 0;
}

static int build_mov(struct emu_decoder *d, const struct emu_row *row)
{
    enum emu_handler_id id;
    enum emu_width width = emu_width_of(d->type);
    int rc;
    (void)row;
    if ((rc = emu_expect(d, 2, 2)))
        return rc;
    const struct ptx_operand *to = &d->in->operand[0],
                             *from = &d->in->operand[1];
    if (from->kind == PTX_OPERAND_VECTOR)
        return pack(d, from);
    if (to->kind == PTX_OPERAND_VECTOR)
        return unpack(d, to);
    if (from->kind == PTX_OPERAND_SPECIAL &&
        is_moving_special(from->name, &id)) {
        if (!emu_emit(d, id))
            return TSR_EMEMORY;
        int wide = id == EMU_H_clock64 || id == EMU_H_globaltimer;
        if (wide != (width == EMU_W64))
            return emu_bad(d, "%s does not have the width of .%s", from->name,
                           ptx_type_name(d->type));
        return emu_dest(d, EMU_FIELD_D, 0, d->type);
    }
    id = width == EMU_W32   ? EMU_H_mov_b32
         : width == EMU_W64 ? EMU_H_mov_b64
                            : EMU_H_mov_b128;
    if (!emu_emit(d, id))
        return TSR_EMEMORY;
    return emu_put_operands(d, "dT aT");
}

static int build_mov_pred(struct emu_decoder *d, const struct emu_row *row)
{
    uint8_t negated;
    int rc;
    (void)row;
    if (!emu_emit(d, EMU_H_mov_pred))
        return TSR_EMEMORY;
    if ((rc = emu_expect(d, 2, 2)) ||
        (rc = emu_dest(d, EMU_FIELD_D, 0, PTX_PRED)) ||
        (rc = emu_predicate(d, EMU_FIELD_A, 1, &negated)) ||
        (rc = emu_put_constant(d, EMU_FIELD_B, 0, EMU_W_PRED)))
        return rc;
    EMU_OP(d)->x = negated;
    return 0;
}

/* -- cvt ------------------------------------------------------------------ */

/* Mask of what a register of this type holds in its slot. */
static uint64_t register_mask(enum ptx_type type)
{
    int bytes = ptx_type_bytes(type);
    return bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1;
}

/* A destination or source register may be wider than the type; a 'b' register
** of the width will do. */
static int wide_dest(struct emu_decoder *d, enum ptx_type type)
{
    const struct ptx_operand *to = &d->in->operand[0];
    enum ptx_type has = emu_register_type(d, to);
    int floating = ptx_type_class(type) == 'f';
    if (to->kind == PTX_OPERAND_SINK)
        has = type;
    if (has == PTX_VOID || has == PTX_PRED)
        return emu_bad(d, "the destination is not a register");
    if (ptx_type_bytes(has) < ptx_type_bytes(type) ||
        (floating && ptx_type_bytes(has) != ptx_type_bytes(type)))
        return emu_bad(d, "the destination is .%s where .%s is wanted",
                       ptx_type_name(has), ptx_type_name(type));
    EMU_OP(d)->immediate = register_mask(has);
    if (ptx_type_bytes(has) == 8)
        EMU_OP(d)->flags |= EMU_WIDE;
    return emu_put_dest(d, EMU_FIELD_D, to, has);
}

static int wide_source(struct emu_decoder *d, enum emu_field field, int index,
                       enum ptx_type type)
{
    const struct ptx_operand *from = &d->in->operand[index];
    enum ptx_type has = emu_register_type(d, from);
    if (from->kind != PTX_OPERAND_REGISTER)
        return emu_put_source(d, field, from, type);
    if (has == PTX_PRED || ptx_type_bytes(has) < ptx_type_bytes(type))
        return emu_bad(d, "a source is .%s where .%s is wanted",
                       ptx_type_name(has), ptx_type_name(type));
    return emu_put_source(d, field, from, has);
}

static int is_wide_register(const struct emu_decoder *d, int index)
{
    enum ptx_type has = emu_register_type(d, &d->in->operand[index]);
    return has != PTX_VOID && ptx_type_bytes(has) == 8;
}

/* Integer to integer. A value in a 64-bit register is narrowed first. */
static enum emu_handler_id pick_integer(const struct emu_decoder *d,
                                        enum ptx_type to, enum ptx_type from)
{
    int to_wide = is_wide_register(d, 0), from_wide = is_wide_register(d, 1);
    int to_bytes = ptx_type_bytes(to), from_bytes = ptx_type_bytes(from);
    int to_register = ptx_type_bytes(emu_register_type(d, &d->in->operand[0]));
    if (emu_has(d, "sat"))
        return EMU_H_cvt_integer;
    if (to_wide && !from_wide && to_bytes == 8 && from_bytes == 4)
        return from == PTX_U32 ? EMU_H_cvt_u64_u32 : EMU_H_cvt_s64_s32;
    if (to_wide || to_register < to_bytes)
        return EMU_H_cvt_integer;
    if (from_wide)
        return to_bytes == 4 && from_bytes == 8 ? EMU_H_cvt_u32_u64
                                                : EMU_H_cvt_integer;
    if (from == PTX_U16 && to_bytes == 4)
        return EMU_H_cvt_u16_u32;
    if (from == PTX_U8 && to_bytes >= 2)
        return EMU_H_cvt_u8_u32;
    if (from_bytes == 4 && to == PTX_U16)
        return EMU_H_cvt_u16_u32;
    if (from_bytes == 4 && to == PTX_U8)
        return EMU_H_cvt_u8_u32;
    if (from == PTX_S8 && to_bytes == 4)
        return EMU_H_cvt_s32_s8;
    if (from == PTX_S16 && to_bytes == 4)
        return EMU_H_cvt_s32_s16;
    return EMU_H_cvt_integer;
}

static int put_cvt(struct emu_decoder *d, enum emu_handler_id id,
                   enum ptx_type to, enum ptx_type from, int rounding)
{
    int rc;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    emu_float_modifiers(d, op);
    op->x = (uint8_t)from;
    op->y = (uint8_t)to;
    op->z = (uint8_t)rounding;
    if ((rc = emu_expect(d, 2, 2)) || (rc = wide_dest(d, to)))
        return rc;
    return wide_source(d, EMU_FIELD_A, 1, from);
}

static int build_cvt_integer(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    int rc = emu_expect(d, 2, 2);
    if (rc)
        return rc;
    enum ptx_type to = ptx_type_find(d->word[1]), from = d->type;
    return put_cvt(d, pick_integer(d, to, from), to, from, 0);
}

static int rounding_of(const struct emu_decoder *d)
{
    static const char *const words[] = {"rz",  "rm",  "rp", "rna",
                                        "rzi", "rmi", "rpi"};
    static const int modes[] = {EMU_RZ, EMU_RM, EMU_RP, EMU_RNA,
                                EMU_RZ, EMU_RM, EMU_RP};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (emu_has(d, words[i]))
            return modes[i];
    return EMU_RN;
}

static enum emu_handler_id pick_float(const struct emu_decoder *d,
                                      enum ptx_type to, enum ptx_type from)
{
    int plain = rounding_of(d) == EMU_RN && !emu_has(d, "ftz") &&
                !emu_has(d, "sat") && !emu_has(d, "relu") &&
                !emu_has(d, "satfinite");
    int narrow = !is_wide_register(d, 0) && !is_wide_register(d, 1);
    if (!plain || !narrow)
        return EMU_H_cvt_float;
    if (from == PTX_S32 && to == PTX_F32)
        return EMU_H_cvt_f32_s32;
    if (from == PTX_U32 && to == PTX_F32)
        return EMU_H_cvt_f32_u32;
    if (from == PTX_F32 && to == PTX_S32)
        return EMU_H_cvt_s32_f32_rni;
    if (from == PTX_F16 && to == PTX_F32)
        return EMU_H_cvt_f32_f16;
    if (from == PTX_F32 && to == PTX_F16)
        return EMU_H_cvt_f16_f32;
    if (from == PTX_BF16 && to == PTX_F32)
        return EMU_H_cvt_f32_bf16;
    if (from == PTX_F32 && to == PTX_BF16)
        return EMU_H_cvt_bf16_f32;
    return EMU_H_cvt_float;
}

/* extra: place of the destination type. */
static int build_cvt_float(struct emu_decoder *d, const struct emu_row *row)
{
    int rc = emu_expect(d, 2, 2);
    if (rc)
        return rc;
    enum ptx_type to = ptx_type_find(d->word[row->extra]), from = d->type;
    int whole = emu_has(d, "rni") || emu_has(d, "rzi") || emu_has(d, "rmi") ||
                emu_has(d, "rpi");
    int from_float = ptx_type_class(from) == 'f';
    int to_float = ptx_type_class(to) == 'f';
    enum emu_handler_id id =
        from == to ? EMU_H_cvt_float : pick_float(d, to, from);
    if (from == PTX_F32 && to == PTX_F32 && emu_has(d, "sat") && !whole &&
        !emu_has(d, "ftz"))
        id = EMU_H_cvt_sat_f32;
    if (from_float && !to_float && !whole)
        return emu_bad(d, "a float becomes an integer only with a rounding "
                          "mode (.rni .rzi .rmi .rpi)");
    if ((rc = put_cvt(d, id, to, from, rounding_of(d))))
        return rc;
    EMU_OP(d)->n = (uint8_t)(whole && from_float && to_float);
    return 0;
}

/* cvt.rn.f16x2.f32 d, a, b and the like. */
static int build_cvt_pair(struct emu_decoder *d, const struct emu_row *row)
{
    int half = strcmp(d->word[row->extra], "f16x2") == 0;
    int plain = rounding_of(d) == EMU_RN && !emu_has(d, "relu") &&
                !emu_has(d, "satfinite");
    enum emu_handler_id id = !plain ? EMU_H_cvt_pair
                             : half ? EMU_H_cvt_f16x2_f32
                                    : EMU_H_cvt_bf16x2_f32;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    emu_float_modifiers(d, op);
    op->x = PTX_F32;
    op->y = half ? PTX_F16 : PTX_BF16;
    op->z = (uint8_t)rounding_of(d);
    return emu_put_operands(d, "dI aT bT");
}

/* e4m3x2 and e5m2x2. extra: 0 from f32, 1 from f16x2, 2 to f16x2. */
static int build_cvt_eight(struct emu_decoder *d, const struct emu_row *row)
{
    int rc;
    struct emu_op *op = emu_emit(d, EMU_H_cvt_pair);
    if (!op)
        return TSR_EMEMORY;
    emu_float_modifiers(d, op);
    int code = emu_has(d, "e4m3x2") ? EMU_E4M3 : EMU_E5M2;
    op->z = EMU_RN;
    op->x = row->extra == 0 ? PTX_F32 : row->extra == 1 ? PTX_F16X2 : code;
    op->y = row->extra == 2 ? PTX_F16 : (uint8_t)code;
    op->n = row->extra == 2;
    enum ptx_type to = row->extra == 2 ? PTX_B32 : PTX_B16;
    enum ptx_type from = row->extra == 0   ? PTX_F32
                         : row->extra == 1 ? PTX_B32
                                           : PTX_B16;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, to)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1, from)))
        return rc;
    if (row->extra == 0)
        return emu_source_of(d, EMU_FIELD_B, 2, from);
    return emu_put_constant(d, EMU_FIELD_B, 0, EMU_W32);
}

static int build_cvt_pack(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op = emu_emit(d, EMU_H_cvt_pack);
    int rc;
    if (!op)
        return TSR_EMEMORY;
    op->x = PTX_S32;
    op->y = (uint8_t)ptx_type_find(d->word[2]);
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1, PTX_S32)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, 2, PTX_S32)))
        return rc;
    if (row->extra)
        return emu_source_of(d, EMU_FIELD_C, 3, PTX_B32);
    return emu_put_constant(d, EMU_FIELD_C, 0, EMU_W32);
}

static const struct emu_row rows[] = {
    {"mov",
     "b16|b32|b64|b128|u16|u32|u64|s16|s32|s64|f16|f16x2|bf16|bf16x2|f32|f64",
     "", NULL, NULL, build_mov, 0},
    {"mov", "pred", "", NULL, NULL, build_mov_pred, 0},
    {"cvt", "sat? " INTEGERS " " INTEGERS, "", NULL, NULL, build_cvt_integer,
     0},
    {"cvt", "rni|rzi|rmi|rpi ftz? sat? " INTEGERS " " FLOATS, "", NULL, NULL,
     build_cvt_float, 3},
    {"cvt", "rn|rz|rm|rp ftz? sat? " FLOATS " " INTEGERS, "", NULL, NULL,
     build_cvt_float, 3},
    {"cvt", "rn|rz|rm|rp|rni|rzi|rmi|rpi? ftz? sat|relu? " FLOATS " " FLOATS,
     "", NULL, NULL, build_cvt_float, 3},
    {"cvt", "rn|rz|rna relu? satfinite? tf32 f32", "", NULL, NULL,
     build_cvt_float, 3},
    {"cvt", "rn|rz relu? satfinite? f16x2|bf16x2 f32", "", NULL, NULL,
     build_cvt_pair, 3},
    {"cvt", "rn satfinite relu? e4m3x2|e5m2x2 f32", "", NULL, NULL,
     build_cvt_eight, 0},
    {"cvt", "rn satfinite relu? e4m3x2|e5m2x2 f16x2", "", NULL, NULL,
     build_cvt_eight, 1},
    {"cvt", "rn relu? f16x2 e4m3x2|e5m2x2", "", NULL, NULL, build_cvt_eight, 2},
    {"cvt", "pack sat u16|s16 s32", "", NULL, NULL, build_cvt_pack, 0},
    {"cvt", "pack sat u8|s8 s32 b32", "", NULL, NULL, build_cvt_pack, 1},
};

const struct emu_table emu_table_convert = {rows, sizeof rows / sizeof *rows};
