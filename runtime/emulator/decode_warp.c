/* decode_warp.c -- rows of shuffles, votes, matrices and mma. */
#include <string.h>

#include "runtime/emulator/decode.h"
#include "runtime/emulator/mma.h"
#include "runtime/emulator/shuffle.h"

/* -- lanes together ------------------------------------------------------- */

/* shfl.sync.mode.b32 d{|p}, a, b, c, members */
static int build_shfl(struct emu_decoder *d, const struct emu_row *row)
{
    int pair = d->in->pair == 1, rc;
    (void)row;
    if ((rc = emu_expect(d, 5 + pair, 5 + pair)))
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_shfl);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)d->choice[1];
    op->n = (uint8_t)pair;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B32)) ||
        (pair && (rc = emu_dest(d, EMU_FIELD_E, 1, PTX_PRED))) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1 + pair, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_B, 2 + pair, PTX_B32)) ||
        (rc = emu_source_of(d, EMU_FIELD_C, 3 + pair, PTX_B32)))
        return rc;
    return emu_together(d, 4 + pair);
}

/* vote.sync.mode d, {!}a, members */
static int build_vote(struct emu_decoder *d, const struct emu_row *row)
{
    uint8_t negated;
    int ballot = row->extra, rc;
    if ((rc = emu_expect(d, 3, 3)))
        return rc;
    struct emu_op *op = emu_emit(d, ballot ? EMU_H_vote_ballot : EMU_H_vote);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)d->choice[1];
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, ballot ? PTX_B32 : PTX_PRED)) ||
        (rc = emu_predicate(d, EMU_FIELD_A, 1, &negated)))
        return rc;
    EMU_OP(d)->y = negated;
    return emu_together(d, 2);
}

static int build_match(struct emu_decoder *d, const struct emu_row *row)
{
    int pair = d->in->pair == 1, rc;
    if ((rc = emu_expect(d, 3 + pair, 3 + pair)))
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_match);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)row->extra;
    op->y = (uint8_t)(ptx_type_bytes(d->type) == 8);
    op->n = (uint8_t)pair;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B32)) ||
        (pair && (rc = emu_dest(d, EMU_FIELD_E, 1, PTX_PRED))) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1 + pair, d->type)))
        return rc;
    return emu_together(d, 2 + pair);
}

static int build_redux(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_op *op = emu_emit(d, EMU_H_redux);
    (void)row;
    if (!op)
        return TSR_EMEMORY;
    static const uint8_t arithmetic[] = {EMU_REDUX_ADD, EMU_REDUX_MIN,
                                         EMU_REDUX_MAX};
    static const uint8_t logic[] = {EMU_REDUX_AND, EMU_REDUX_OR, EMU_REDUX_XOR};
    op->x = row->extra ? logic[d->choice[1]] : arithmetic[d->choice[1]];
    if (ptx_type_class(d->type) == 's')
        op->flags |= EMU_SIGNED;
    int rc = emu_expect(d, 3, 3);
    if (rc || (rc = emu_dest(d, EMU_FIELD_D, 0, d->type)) ||
        (rc = emu_source_of(d, EMU_FIELD_A, 1, d->type)))
        return rc;
    return emu_together(d, 2);
}

static int build_activemask(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    if (!emu_emit(d, EMU_H_activemask))
        return TSR_EMEMORY;
    return emu_put_operands(d, "dT");
}

/* elect.sync d|p, members */
static int build_elect(struct emu_decoder *d, const struct emu_row *row)
{
    int rc = emu_expect(d, 3, 3);
    (void)row;
    if (rc)
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_elect);
    if (!op)
        return TSR_EMEMORY;
    op->n = d->in->operand[0].kind != PTX_OPERAND_SINK;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B32)) ||
        (rc = emu_dest(d, EMU_FIELD_E, 1, PTX_PRED)))
        return rc;
    return emu_together(d, 2);
}

/* -- ldmatrix, stmatrix, movmatrix ---------------------------------------- */

static int matrices(const struct emu_decoder *d)
{
    return emu_has(d, "x4") ? 4 : emu_has(d, "x2") ? 2 : 1;
}

static int put_fragment(struct emu_decoder *d,
                        const struct ptx_operand *operand, int count,
                        enum ptx_type type, int is_dest)
{
    int given = operand->kind == PTX_OPERAND_VECTOR ? operand->count : 1, rc;
    if (given != count)
        return emu_bad(d, "a fragment has %d registers, wants %d", given,
                       count);
    for (int k = 0; k < count; k++) {
        const struct ptx_operand *one = operand->kind == PTX_OPERAND_VECTOR
                                            ? &operand->element[k]
                                            : operand;
        rc = is_dest ? emu_put_dest(d, EMU_FIELD_LIST, one, type)
                     : emu_put_source(d, EMU_FIELD_LIST, one, type);
        if (rc)
            return rc;
    }
    return 0;
}

/* extra: 1 stmatrix. */
static int build_matrix(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_address address;
    int count = matrices(d), is_store = row->extra, rc;
    if ((rc = emu_expect(d, 2, 2)))
        return rc;
    struct emu_op *op = emu_emit(d, is_store ? EMU_H_stmatrix : EMU_H_ldmatrix);
    if (!op)
        return TSR_EMEMORY;
    op->n = (uint8_t)count;
    op->x = (uint8_t)emu_has(d, "trans");
    if ((rc = emu_put_address(d, EMU_FIELD_A, &d->in->operand[!is_store],
                              &address)))
        return rc;
    EMU_OP(d)->immediate = (uint64_t)address.offset;
    EMU_OP(d)->flags |= address.wide ? EMU_WIDE_BASE : 0;
    /* Without a space the address is generic. */
    EMU_OP(d)->y = !emu_has(d, "shared") && !emu_has(d, "shared::cta");
    emu_begin_list(d);
    if ((rc = put_fragment(d, &d->in->operand[is_store], count, PTX_B32,
                           !is_store)))
        return rc;
    return emu_together(d, -1);
}

static int build_movmatrix(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    if (!emu_emit(d, EMU_H_movmatrix))
        return TSR_EMEMORY;
    int rc = emu_put_operands(d, "dI aI");
    return rc ? rc : emu_together(d, -1);
}

/* -- mma ------------------------------------------------------------------ */

static int put_mma(struct emu_decoder *d, const int count[4],
                   const enum ptx_type type[4])
{
    int rc = emu_expect(d, 4, 4);
    if (rc)
        return rc;
    emu_begin_list(d);
    for (int k = 0; k < 4; k++)
        if ((rc = put_fragment(d, &d->in->operand[k], count[k], type[k],
                               k == 0)))
            return rc;
    return emu_together(d, -1);
}

/* Does a register of D occur in A or B? Then D must not be written early. */
static int overlaps(const struct emu_decoder *d)
{
    const struct ptx_operand *to = &d->in->operand[0];
    for (int k = 1; k < 3; k++) {
        const struct ptx_operand *from = &d->in->operand[k];
        for (int i = 0; i < to->count; i++)
            for (int j = 0; j < from->count; j++)
                if (to->element[i].kind == PTX_OPERAND_REGISTER &&
                    from->element[j].kind == PTX_OPERAND_REGISTER &&
                    to->element[i].reg == from->element[j].reg)
                    return 1;
    }
    return 0;
}

/* mma.sync.aligned.shape.row.col{.satfinite}.s32.atype.btype.s32. extra: k and
** the number of rows in the form m * 100 + k. */
static int build_mma_integer(struct emu_decoder *d, const struct emu_row *row)
{
    int rows = row->extra / 100, k = row->extra % 100;
    int cd = rows * 8 / 32, a = rows * k / 128, b = k / 16;
    static const enum ptx_type type[4] = {PTX_S32, PTX_B32, PTX_B32, PTX_S32};
    const int count[4] = {cd, a, b, cd};
    enum emu_handler_id id = rows == 8 ? EMU_H_mma_i8_m8n8k16
                             : k == 16 ? EMU_H_mma_i8_m16n8k16
                                       : EMU_H_mma_i8_m16n8k32;
    struct emu_op *op = emu_emit(d, id);
    if (!op)
        return TSR_EMEMORY;
    op->x = d->choice[7] == 1; /* s8 */
    op->y = d->choice[8] == 1;
    op->flags |= emu_has(d, "satfinite") ? EMU_SAT : 0;
    int rc = put_mma(d, count, type);
    if (!rc)
        EMU_OP(d)->z = (uint8_t)overlaps(d);
    return rc;
}

/* mma.sync.aligned.shape.row.col.dtype.atype.btype.ctype. extra as above. */
static int build_mma_float(struct emu_decoder *d, const struct emu_row *row)
{
    int k = row->extra % 100;
    const char *d_word = d->word[5], *a_word = d->word[6], *c_word = d->word[8];
    if (strcmp(a_word, d->word[7]) != 0)
        return emu_refuse(d, "A and B are of different types");
    enum ptx_type element = ptx_type_find(a_word);
    int bytes = element == PTX_TF32 ? 4 : 2;
    enum ptx_type part = element == PTX_TF32  ? PTX_B32
                         : element == PTX_F16 ? PTX_F16X2
                                              : PTX_B32;
    int half_d = strcmp(d_word, "f16") == 0,
        half_c = strcmp(c_word, "f16") == 0;
    const int count[4] = {half_d ? 2 : 4, 16 * k * bytes / 128,
                          8 * k * bytes / 128, half_c ? 2 : 4};
    const enum ptx_type type[4] = {half_d ? PTX_F16X2 : PTX_F32, part, part,
                                   half_c ? PTX_F16X2 : PTX_F32};
    if ((half_d || half_c) && element != PTX_F16)
        return emu_refuse(d, "only f16 accumulates in f16");
    struct emu_op *op = emu_emit(d, EMU_H_mma_float);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)element;
    op->y = (uint8_t)k;
    op->z = (uint8_t)(half_d | half_c << 1);
    return put_mma(d, count, type);
}

#define INT8(shape, code)                                                    \
    {                                                                        \
        "mma",                                                               \
            "sync aligned " shape " row col satfinite? s32 u8|s8 u8|s8 s32", \
            "", NULL, NULL, build_mma_integer, code                          \
    }
#define FLOAT(shape, types, code)                                       \
    {                                                                   \
        "mma", "sync aligned " shape " row col " types, "", NULL, NULL, \
            build_mma_float, code                                       \
    }

static const struct emu_row rows[] = {
    {"shfl", "sync up|down|bfly|idx b32", "", NULL, NULL, build_shfl, 0},
    {"vote", "sync all|any|uni pred", "", NULL, NULL, build_vote, 0},
    {"vote", "sync ballot b32", "", NULL, NULL, build_vote, 1},
    {"match", "any sync b32|b64", "", NULL, NULL, build_match, 0},
    {"match", "all sync b32|b64", "", NULL, NULL, build_match, 1},
    {"redux", "sync add|min|max u32|s32", "", NULL, NULL, build_redux, 0},
    {"redux", "sync and|or|xor b32", "", NULL, NULL, build_redux, 1},
    {"activemask", "b32", "", NULL, NULL, build_activemask, 0},
    {"elect", "sync", "", NULL, NULL, build_elect, 0},
    {"ldmatrix", "sync aligned m8n8 x1|x2|x4 trans? shared|shared::cta? b16",
     "", NULL, NULL, build_matrix, 0},
    {"stmatrix", "sync aligned m8n8 x1|x2|x4 trans? shared|shared::cta? b16",
     "", NULL, NULL, build_matrix, 1},
    {"movmatrix", "sync aligned m8n8 trans b16", "", NULL, NULL,
     build_movmatrix, 0},
    INT8("m16n8k32", 1632),
    INT8("m16n8k16", 1616),
    INT8("m8n8k16", 816),
    FLOAT("m16n8k16", "f16|f32 f16|bf16 f16|bf16 f16|f32", 1616),
    FLOAT("m16n8k8", "f16|f32 f16|bf16|tf32 f16|bf16|tf32 f16|f32", 1608),
    FLOAT("m16n8k4", "f32 tf32 tf32 f32", 1604),
};

const struct emu_table emu_table_warp = {rows, sizeof rows / sizeof *rows};
