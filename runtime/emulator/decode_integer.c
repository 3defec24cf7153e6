/* decode_integer.c -- rows of integer, bit, comparison and selection opcodes.
 */
#include <string.h>

#include "runtime/emulator/compare.h"
#include "runtime/emulator/decode.h"

#define B3(n) EMU_IDS(EMU_H_##n##_b16, EMU_H_##n##_b32, EMU_H_##n##_b64)
#define I6(n)                                                  \
    EMU_IDS(EMU_H_##n##_u16, EMU_H_##n##_s16, EMU_H_##n##_u32, \
            EMU_H_##n##_s32, EMU_H_##n##_u64, EMU_H_##n##_s64)
#define BY_SIZE(n)                                             \
    EMU_IDS(EMU_H_##n##_b16, EMU_H_##n##_b16, EMU_H_##n##_b32, \
            EMU_H_##n##_b32, EMU_H_##n##_b64, EMU_H_##n##_b64)
#define I4(n) \
    EMU_IDS(EMU_H_##n##_u16, EMU_H_##n##_s16, EMU_H_##n##_u32, EMU_H_##n##_s32)
#define W4(n) \
    EMU_IDS(EMU_H_##n##_u32, EMU_H_##n##_s32, EMU_H_##n##_u64, EMU_H_##n##_s64)
#define ONE(n) EMU_IDS(EMU_H_##n)

#define SIX  "u16|s16|u32|s32|u64|s64"
#define FOUR "u16|s16|u32|s32"

/* -- extended precision --------------------------------------------------- */

/* extra: 1 takes the carry in. */
static int build_carry(struct emu_decoder *d, const struct emu_row *row)
{
    int wide = ptx_type_bytes(d->type) == 8;
    int is_mad = row->root[0] == 'm', rc;
    int out = emu_has(d, "cc");
    struct emu_op *op = emu_emit(d, (enum emu_handler_id)row->fast[wide]);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)row->extra;
    op->y = (uint8_t)out;
    op->z = (uint8_t)emu_has(d, "hi");
    if (ptx_type_class(d->type) == 's')
        op->flags |= EMU_SIGNED;
    rc = emu_put_operands(d, is_mad ? "dT aT bT cT" : "dT aT bT");
    if (!rc && !is_mad)
        rc = emu_put_constant(d, EMU_FIELD_C, 0, emu_width_of(d->type));
    if (!rc)
        rc = emu_put_carry(d, EMU_FIELD_E, 1, out);
    return rc;
}

#define CARRY(n) EMU_IDS(EMU_H_##n##_b32, EMU_H_##n##_b64)
#define WIDTHS   "u32|s32|u64|s64|b32|b64"

/* -- rows with a number from a modifier ----------------------------------- */

/* The mode's number goes to x. */
static int build_mode(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[d->type_choice]);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)(d->choice[row->extra] + 1);
    return emu_put_operands(d, row->operands);
}

/* u16x2 and s16x2, which are no types of registers. */
static int build_pairs(struct emu_decoder *d, const struct emu_row *row)
{
    if (!emu_emit(d, (enum emu_handler_id)row->fast[d->choice[0]]))
        return TSR_EMEMORY;
    return emu_put_operands(d, row->operands);
}

/* prmt.b32{.mode}: a constant selector is the immediate of a faster form. */
static int build_prmt(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op = emu_emit(d, d->word[1] ? EMU_H_prmt_mode : EMU_H_prmt);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)(d->word[1] ? d->choice[1] : 0);
    if (!d->word[1] && d->in->operand_count == 4 &&
        d->in->operand[3].kind == PTX_OPERAND_IMMEDIATE) {
        d->handler[d->op_count - 1] = EMU_H_prmt_const;
        op->immediate = d->in->operand[3].bits & 0xffff;
    }
    return emu_put_operands(d, row->operands);
}

/* lop3{.and|.or}.b32 d{|p}, a, b, c, table{, q} */
static int build_lop3(struct emu_decoder *d, const struct emu_row *row)
{
    int with = d->places == 2, rc;
    const struct ptx_instruction *in = d->in;
    int at = with && in->pair == 1 ? 2 : 1;
    (void)row;
    if ((rc = emu_expect(d, at + 4, at + 5)))
        return rc;
    struct emu_op *op = emu_emit(d, with ? EMU_H_lop3_p : EMU_H_lop3);
    if (!op)
        return TSR_EMEMORY;
    if ((rc = emu_immediate(d, &in->operand[at + 3], PTX_U32, &op->immediate)))
        return rc;
    if (op->immediate > 255)
        return emu_bad(d, "the table %llu is not a byte",
                       (unsigned long long)op->immediate);
    op->y = (uint8_t)(with && d->choice[0] == 1);
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, at, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, at + 1, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_C, at + 2, PTX_B32)))
        return rc;
    if (!with)
        return emu_expect(d, at + 4, at + 4);
    uint8_t negated;
    if ((rc = emu_dest(d, EMU_FIELD_E, 1, PTX_PRED)))
        return rc;
    emu_begin_list(d);
    rc = emu_predicate(d, EMU_FIELD_LIST, at + 4, &negated);
    EMU_OP(d)->z = negated;
    return rc;
}

/* dp4a.atype.btype, dp2a.{lo,hi}.atype.btype: signs to x and y. */
static int build_dot(struct emu_decoder *d, const struct emu_row *row)
{
    int at = row->extra;
    struct emu_op *op = emu_emit(d, (enum emu_handler_id)row->fast[0]);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)(d->choice[at] == 1);
    op->y = (uint8_t)(d->choice[at + 1] == 1);
    op->z = (uint8_t)emu_has(d, "hi");
    return emu_put_operands(d, "dI aI bI cI");
}

/* bfind{.shiftamt}: the result has 32 bits whatever the source. */
static int build_bfind(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[d->type_choice]);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)emu_has(d, "shiftamt");
    return emu_put_operands(d, "dI aT");
}

/* -- comparisons ---------------------------------------------------------- */

#define INTEGER_OPS "eq|ne|lt|le|gt|ge|lo|ls|hi|hs"
#define FLOAT_OPS   "eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan"
#define BOOL        "and|or|xor?"

static uint8_t compare_code(const char *word)
{
    static const struct {
        const char *word;
        uint8_t code;
    } codes[] = {
        {"eq", EMU_EQ},   {"ne", EMU_NE},   {"lt", EMU_LT},
        {"le", EMU_LE},   {"gt", EMU_GT},   {"ge", EMU_GE},
        {"lo", EMU_LT},   {"ls", EMU_LE},   {"hi", EMU_GT},
        {"hs", EMU_GE},   {"equ", EMU_EQU}, {"neu", EMU_NEU},
        {"ltu", EMU_LTU}, {"leu", EMU_LEU}, {"gtu", EMU_GTU},
        {"geu", EMU_GEU}, {"num", EMU_NUM}, {"nan", EMU_ISNAN},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].word, word) == 0)
            return codes[i].code;
    return 0;
}

/* Comparison, combination, flush; then sources a and b from operand `at`, and
** the predicate that follows. */
static int put_comparison(struct emu_decoder *d, int at)
{
    struct emu_op *op = EMU_OP(d);
    uint8_t negated = 0;
    int rc;
    op->x = compare_code(d->word[0]);
    op->y = (uint8_t)(d->choice[1] + 1);
    if (emu_has(d, "ftz"))
        op->flags |= EMU_FTZ;
    if ((rc = emu_source_of(d, EMU_FIELD_A, at, d->type)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, at + 1, d->type)))
        return rc;
    if (op->y == 0)
        rc = emu_put_constant(d, EMU_FIELD_C, 0, EMU_W_PRED);
    else
        rc = emu_predicate(d, EMU_FIELD_C, at + 2, &negated);
    if (rc)
        return rc;
    EMU_OP(d)->z = negated;
    return emu_expect(d, at + 2 + (EMU_OP(d)->y != 0),
                      at + 2 + (EMU_OP(d)->y != 0));
}

static int build_setp(struct emu_decoder *d, const struct emu_row *row)
{
    int pair = d->in->pair == 1, rc;
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[d->type_choice]);
    if (!op)
        return TSR_EMEMORY;
    op->n = (uint8_t)pair;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_PRED)))
        return rc;
    if (pair && (rc = emu_dest(d, EMU_FIELD_E, 1, PTX_PRED)))
        return rc;
    return put_comparison(d, 1 + pair);
}

/* set.op{.bool}{.ftz}.dtype.stype; n: what "true" is written as. */
static int build_set(struct emu_decoder *d, const struct emu_row *row)
{
    static const struct {
        const char *word;
        uint8_t one;
    } ones[] = {{"u32", 0}, {"s32", 0}, {"f32", 1},   {"f16", 2},   {"bf16", 3},
                {"u16", 4}, {"s16", 4}, {"f16x2", 2}, {"bf16x2", 3}};
    int rc;
    enum ptx_type to = ptx_type_find(d->word[3]);
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[d->type_choice]);
    if (!op)
        return TSR_EMEMORY;
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        if (strcmp(ones[i].word, d->word[3]) == 0)
            op->n = ones[i].one;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, to)))
        return rc;
    return put_comparison(d, 1);
}

static int build_selp(struct emu_decoder *d, const struct emu_row *row)
{
    uint8_t negated;
    int wide = ptx_type_bytes(d->type) == 8, rc;
    (void)row;
    if (!emu_emit(d, wide ? EMU_H_selp_b64 : EMU_H_selp_b32))
        return TSR_EMEMORY;
    if ((rc = emu_expect(d, 4, 4)) ||
        (rc = emu_dest(d, EMU_FIELD_D, 0, d->type)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1, d->type)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, 2, d->type)) ||
        (rc = emu_predicate(d, EMU_FIELD_C, 3, &negated)))
        return rc;
    EMU_OP(d)->z = negated;
    return 0;
}

static int build_slct(struct emu_decoder *d, const struct emu_row *row)
{
    enum ptx_type type = ptx_type_find(d->word[1]);
    int wide = ptx_type_bytes(type) == 8, rc;
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[row->extra * 2 + wide]);
    if (!op)
        return TSR_EMEMORY;
    op->flags |= emu_has(d, "ftz") ? EMU_FTZ : 0;
    if ((rc = emu_expect(d, 4, 4)) ||
        (rc = emu_dest(d, EMU_FIELD_D, 0, type)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1, type)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, 2, type)))
        return rc;
    return emu_source_of(d, EMU_FIELD_C, 3, d->type);
}

static int build_testp(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op =
        emu_emit(d, (enum emu_handler_id)row->fast[d->type_choice]);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)d->choice[0];
    return emu_put_operands(d, "dP aT");
}

/* and, or, xor, not of predicates; mov.pred is with mov. */
static int build_predicate(struct emu_decoder *d, const struct emu_row *row)
{
    uint8_t first, second = 0;
    int one = row->fast[0] == EMU_H_not_pred, rc;
    if (!emu_emit(d, (enum emu_handler_id)row->fast[0]))
        return TSR_EMEMORY;
    if ((rc = emu_expect(d, 3 - one, 3 - one)) ||
        (rc = emu_dest(d, EMU_FIELD_D, 0, PTX_PRED)) ||
        (rc = emu_predicate(d, EMU_FIELD_A, 1, &first)) ||
        (rc = one ? emu_put_constant(d, EMU_FIELD_B, 0, EMU_W_PRED)
                  : emu_predicate(d, EMU_FIELD_B, 2, &second)))
        return rc;
    EMU_OP(d)->x = first;
    EMU_OP(d)->y = second;
    return 0;
}

/* -- SIMD video: vadd4.dtype.atype.btype{.sat}{.add} d{.mask}, a, b, c ---- */

static int build_video(struct emu_decoder *d, const struct emu_row *row)
{
    int is_set = row->extra == 6;
    struct emu_op *op = emu_emit(d, EMU_H_video);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)row->extra;
    op->n = row->root[strlen(row->root) - 1] == '4' ? 4 : 2;
    op->y = (uint8_t)((d->choice[is_set ? 0 : 1] == 1) |
                      (d->choice[is_set ? 1 : 2] == 1) << 1 |
                      (!is_set && d->choice[0] == 1) << 2);
    op->z = is_set ? compare_code(d->word[2]) : 0;
    op->immediate = (op->n == 4 ? 0xf : 3) | (emu_has(d, "add") ? 0x100 : 0);
    op->flags |= emu_has(d, "sat") ? EMU_SAT : 0;
    return emu_put_operands(d, "dI aI bI cI");
}

#define VIDEO(name, code)                                              \
    {                                                                  \
        name "2", "u32|s32 u32|s32 u32|s32 sat? add?",                 \
        "",       NULL,                                                \
        NULL,     build_video,                                         \
        code},                                                         \
    {                                                                  \
        name "4", "u32|s32 u32|s32 u32|s32 sat? add?", "", NULL, NULL, \
            build_video, code                                          \
    }

#define SHIFT_BITS EMU_IDS(EMU_H_shl_b16, EMU_H_shl_b32, EMU_H_shl_b64)

static const struct emu_row rows[] = {
    {"add", SIX, "dT aT bT", BY_SIZE(add), NULL, NULL, 0},
    {"sub", SIX, "dT aT bT", BY_SIZE(sub), NULL, NULL, 0},
    {"add", "sat s32", "dT aT bT", ONE(addsat_s32), NULL, NULL, 0},
    {"sub", "sat s32", "dT aT bT", ONE(subsat_s32), NULL, NULL, 0},
    {"add", "u16x2|s16x2", "dI aI bI", EMU_IDS(EMU_H_add_x2, EMU_H_add_x2),
     NULL, build_pairs, 0},
    {"mul", "lo " SIX, "dT aT bT", BY_SIZE(mul), NULL, NULL, 0},
    {"mul", "hi " SIX, "dT aT bT", I6(mulhi), NULL, NULL, 0},
    {"mul", "wide " FOUR, "dW aT bT", I4(mulwide), NULL, NULL, 0},
    {"mad", "lo " SIX, "dT aT bT cT", BY_SIZE(mad), NULL, NULL, 0},
    {"mad", "hi " SIX, "dT aT bT cT", I6(madhi), NULL, NULL, 0},
    {"mad", "hi sat s32", "dT aT bT cT", ONE(madhisat_s32), NULL, NULL, 0},
    {"mad", "wide " FOUR, "dW aT bT cW", I4(madwide), NULL, NULL, 0},
    {"mul24", "lo u32|s32", "dT aT bT",
     EMU_IDS(EMU_H_mul24_u32, EMU_H_mul24_s32), NULL, NULL, 0},
    {"mul24", "hi u32|s32", "dT aT bT",
     EMU_IDS(EMU_H_mul24hi_u32, EMU_H_mul24hi_s32), NULL, NULL, 0},
    {"mad24", "lo u32|s32", "dT aT bT cT",
     EMU_IDS(EMU_H_mad24_u32, EMU_H_mad24_s32), NULL, NULL, 0},
    {"mad24", "hi u32|s32", "dT aT bT cT",
     EMU_IDS(EMU_H_mad24hi_u32, EMU_H_mad24hi_s32), NULL, NULL, 0},
    {"mad24", "hi sat s32", "dT aT bT cT", ONE(mad24hisat_s32), NULL, NULL, 0},
    {"sad", SIX, "dT aT bT cT", I6(sad), NULL, NULL, 0},
    {"div", SIX, "dT aT bT", I6(div), NULL, NULL, 0},
    {"rem", SIX, "dT aT bT", I6(rem), NULL, NULL, 0},
    {"abs", "s16|s32|s64", "dT aT",
     EMU_IDS(EMU_H_abs_s16, EMU_H_abs_s32, EMU_H_abs_s64), NULL, NULL, 0},
    {"neg", "s16|s32|s64", "dT aT", B3(neg), NULL, NULL, 0},
    {"min", SIX, "dT aT bT", I6(min), NULL, NULL, 0},
    {"max", SIX, "dT aT bT", I6(max), NULL, NULL, 0},
    {"min", "u16x2|s16x2", "dI aI bI",
     EMU_IDS(EMU_H_min_u16x2, EMU_H_min_s16x2), NULL, build_pairs, 0},
    {"max", "u16x2|s16x2", "dI aI bI",
     EMU_IDS(EMU_H_max_u16x2, EMU_H_max_s16x2), NULL, build_pairs, 0},

    {"add", "cc " WIDTHS, "", CARRY(addcarry), NULL, build_carry, 0},
    {"addc", "cc? " WIDTHS, "", CARRY(addcarry), NULL, build_carry, 1},
    {"sub", "cc " WIDTHS, "", CARRY(subborrow), NULL, build_carry, 0},
    {"subc", "cc? " WIDTHS, "", CARRY(subborrow), NULL, build_carry, 1},
    {"mad", "lo|hi cc " WIDTHS, "", CARRY(madcarry), NULL, build_carry, 0},
    {"madc", "lo|hi cc? " WIDTHS, "", CARRY(madcarry), NULL, build_carry, 1},

    {"and", "b16|b32|b64", "dT aT bT", B3(and), NULL, NULL, 0},
    {"or", "b16|b32|b64", "dT aT bT", B3(or), NULL, NULL, 0},
    {"xor", "b16|b32|b64", "dT aT bT", B3(xor), NULL, NULL, 0},
    {"not", "b16|b32|b64", "dT aT", B3(not ), NULL, NULL, 0},
    {"cnot", "b16|b32|b64", "dT aT", B3(cnot), NULL, NULL, 0},
    {"and", "pred", "", ONE(and_pred), NULL, build_predicate, 0},
    {"or", "pred", "", ONE(or_pred), NULL, build_predicate, 0},
    {"xor", "pred", "", ONE(xor_pred), NULL, build_predicate, 0},
    {"not", "pred", "", ONE(not_pred), NULL, build_predicate, 0},
    {"shl", "b16|b32|b64", "dT aT bI", SHIFT_BITS, NULL, NULL, 0},
    {"shr", SIX, "dT aT bI", I6(shr), NULL, NULL, 0},
    {"shr", "b16|b32|b64", "dT aT bI",
     EMU_IDS(EMU_H_shr_u16, EMU_H_shr_u32, EMU_H_shr_u64), NULL, NULL, 0},
    {"shf", "l clamp b32", "dT aT bT cI", ONE(shf_l_clamp), NULL, NULL, 0},
    {"shf", "l wrap b32", "dT aT bT cI", ONE(shf_l_wrap), NULL, NULL, 0},
    {"shf", "r clamp b32", "dT aT bT cI", ONE(shf_r_clamp), NULL, NULL, 0},
    {"shf", "r wrap b32", "dT aT bT cI", ONE(shf_r_wrap), NULL, NULL, 0},
    {"lop3", "b32", "", NULL, NULL, build_lop3, 0},
    {"lop3", "or|and b32", "", NULL, NULL, build_lop3, 0},
    {"prmt", "b32 f4e|b4e|rc8|ecl|ecr|rc16?", "dI aI bI cI", NULL, NULL,
     build_prmt, 0},
    {"bfe", "u32|s32|u64|s64", "dT aT bI cI", W4(bfe), NULL, NULL, 0},
    {"bfi", "b32|b64", "dT aT bT cI eI", EMU_IDS(EMU_H_bfi_b32, EMU_H_bfi_b64),
     NULL, NULL, 0},
    {"bfind", "shiftamt? u32|s32|u64|s64", "", W4(bfind), NULL, build_bfind, 0},
    {"clz", "b32|b64", "dI aT", EMU_IDS(EMU_H_clz_b32, EMU_H_clz_b64), NULL,
     NULL, 0},
    {"popc", "b32|b64", "dI aT", EMU_IDS(EMU_H_popc_b32, EMU_H_popc_b64), NULL,
     NULL, 0},
    {"brev", "b32|b64", "dT aT", EMU_IDS(EMU_H_brev_b32, EMU_H_brev_b64), NULL,
     NULL, 0},
    {"fns", "b32", "dT aT bI cI", ONE(fns), NULL, NULL, 0},
    {"bmsk", "clamp b32", "dT aT bT", ONE(bmsk_clamp), NULL, NULL, 0},
    {"bmsk", "wrap b32", "dT aT bT", ONE(bmsk_wrap), NULL, NULL, 0},
    {"szext", "clamp u32|s32", "dT aT bI",
     EMU_IDS(EMU_H_szext_u32, EMU_H_szext_s32), NULL, NULL, 0},
    {"szext", "wrap u32|s32", "dT aT bI",
     EMU_IDS(EMU_H_szext_u32, EMU_H_szext_s32), NULL, build_mode, 0},
    {"dp4a", "u32|s32 u32|s32", "", ONE(dp4a), NULL, build_dot, 0},
    {"dp2a", "lo|hi u32|s32 u32|s32", "", ONE(dp2a), NULL, build_dot, 1},

    VIDEO("vadd", 0),
    VIDEO("vsub", 1),
    VIDEO("vavrg", 2),
    VIDEO("vabsdiff", 3),
    VIDEO("vmin", 4),
    VIDEO("vmax", 5),
    {"vset2", "u32|s32 u32|s32 eq|ne|lt|le|gt|ge add?", "", NULL, NULL,
     build_video, 6},
    {"vset4", "u32|s32 u32|s32 eq|ne|lt|le|gt|ge add?", "", NULL, NULL,
     build_video, 6},

    {"setp", INTEGER_OPS " " BOOL " " SIX, "", I6(setp), NULL, build_setp, 0},
    {"setp", "eq|ne " BOOL " b16|b32|b64", "",
     EMU_IDS(EMU_H_setp_u16, EMU_H_setp_u32, EMU_H_setp_u64), NULL, build_setp,
     0},
    {"setp", FLOAT_OPS " " BOOL " ftz? f32|f64|f16|bf16|f16x2|bf16x2", "",
     EMU_IDS(EMU_H_setp_f32, EMU_H_setp_f64, EMU_H_setp_f16, EMU_H_setp_bf16,
             EMU_H_setp_f16x2, EMU_H_setp_bf16x2),
     NULL, build_setp, 0},
    {"set", INTEGER_OPS " " BOOL " ftz? u32|s32|f32|f16|bf16|u16|s16 " SIX, "",
     I6(set), NULL, build_set, 0},
    {"set", "eq|ne " BOOL " ftz? u32|s32|f32|f16|bf16|u16|s16 b16|b32|b64", "",
     EMU_IDS(EMU_H_set_u16, EMU_H_set_u32, EMU_H_set_u64), NULL, build_set, 0},
    {"set",
     FLOAT_OPS " " BOOL " ftz? u32|s32|f32|f16|bf16|u16|s16|f16x2|bf16x2 "
               "f32|f64|f16|bf16|f16x2|bf16x2",
     "",
     EMU_IDS(EMU_H_set_f32, EMU_H_set_f64, EMU_H_set_f16, EMU_H_set_bf16,
             EMU_H_set_f16x2, EMU_H_set_bf16x2),
     NULL, build_set, 0},
    {"selp",
     "b16|b32|b64|u16|u32|u64|s16|s32|s64|f16|f32|f64|f16x2|bf16|"
     "bf16x2",
     "", NULL, NULL, build_selp, 0},
    {"slct", "ftz? b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64 s32", "",
     EMU_IDS(EMU_H_slct_b32_s32, EMU_H_slct_b64_s32), NULL, build_slct, 0},
    {"slct", "ftz? b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64 f32", "",
     EMU_IDS(0, 0, EMU_H_slct_b32_f32, EMU_H_slct_b64_f32), NULL, build_slct,
     1},
    {"testp", "finite|infinite|number|notanumber|normal|subnormal f32|f64", "",
     EMU_IDS(EMU_H_testp_f32, EMU_H_testp_f64), NULL, build_testp, 0},
};

const struct emu_table emu_table_integer = {rows, sizeof rows / sizeof *rows};
