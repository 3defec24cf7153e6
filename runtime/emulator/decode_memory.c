/* decode_memory.c -- rows of ld, st, atom, red, cp.async, addresses, fences. */
#include <string.h>

#include "runtime/emulator/atomics.h"
#include "runtime/emulator/decode.h"
#include "runtime/emulator/generic.h"

#define STRENGTH "weak|volatile|relaxed|acquire|release|acq_rel?"
#define SCOPE    "cta|cluster|gpu|sys?"
#define L1                                                  \
    "L1::evict_normal|L1::evict_unchanged|L1::evict_first|" \
    "L1::evict_last|L1::no_allocate?"
#define L2_KEEP  "L2::evict_normal|L2::evict_first|L2::evict_last?"
#define L2_HINT  "L2::cache_hint?"
#define L2_AHEAD "L2::64B|L2::128B|L2::256B?"
#define TYPES    "b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64"

static enum emu_access_order order_of(const struct emu_decoder *d)
{
    if (emu_has(d, "acquire"))
        return EMU_ACQUIRE;
    if (emu_has(d, "release"))
        return EMU_RELEASE;
    if (emu_has(d, "acq_rel"))
        return EMU_ACQ_REL;
    if (emu_has(d, "volatile") || emu_has(d, "relaxed") || emu_has(d, "mmio"))
        return EMU_STRONG;
    return EMU_WEAK;
}

/* ptx_space of the modifiers, or EMU_ANYWHERE. */
static uint32_t space_of(const struct emu_decoder *d)
{
    if (emu_has(d, "global"))
        return PTX_SPACE_GLOBAL;
    if (emu_has(d, "shared") || emu_has(d, "shared::cta"))
        return PTX_SPACE_SHARED;
    if (emu_has(d, "local"))
        return PTX_SPACE_LOCAL;
    if (emu_has(d, "const"))
        return PTX_SPACE_CONST;
    if (emu_has(d, "param") || emu_has(d, "param::entry") ||
        emu_has(d, "param::func"))
        return PTX_SPACE_PARAM;
    return EMU_ANYWHERE;
}

static int vector_of(const struct emu_decoder *d)
{
    return emu_has(d, "v2")   ? 2
           : emu_has(d, "v4") ? 4
           : emu_has(d, "v8") ? 8
                              : 1;
}

/* -- ld and st ------------------------------------------------------------ */

/* Element k of an operand that is a vector of `count`, or itself. */
static const struct ptx_operand *element(const struct ptx_operand *operand,
                                         int k)
{
    return operand->kind == PTX_OPERAND_VECTOR ? &operand->element[k] : operand;
}

static int check_count(struct emu_decoder *d, const struct ptx_operand *data,
                       int count)
{
    int has = data->kind == PTX_OPERAND_VECTOR ? data->count : 1;
    if (has != count)
        return emu_bad(d, "moves %d elements but names %d", count, has);
    return 0;
}

/* The data registers, into the list. All have one width; it may be more than
** the type's. */
static int put_data(struct emu_decoder *d, const struct ptx_operand *data,
                    int count, int loads)
{
    int wide = ptx_type_bytes(d->type) == 8, known = 0, rc;
    if ((rc = check_count(d, data, count)))
        return rc;
    for (int k = 0; k < count; k++) {
        enum ptx_type has = emu_register_type(d, element(data, k));
        if (has == PTX_VOID)
            continue;
        int this_wide = ptx_type_bytes(has) == 8;
        if (has == PTX_PRED || ptx_type_bytes(has) < ptx_type_bytes(d->type) ||
            (known && this_wide != wide))
            return emu_bad(d, "a data register is .%s where .%s is moved",
                           ptx_type_name(has), ptx_type_name(d->type));
        wide = this_wide, known = 1;
        if (ptx_type_bytes(has) == 2)
            EMU_OP(d)->y = 1;
    }
    if (wide)
        EMU_OP(d)->flags |= EMU_WIDE;
    emu_begin_list(d);
    for (int k = 0; k < count; k++) {
        const struct ptx_operand *one = element(data, k);
        enum ptx_type type = emu_register_type(d, one);
        if (type == PTX_VOID)
            type = wide                           ? PTX_B64
                   : ptx_type_bytes(d->type) == 8 ? PTX_B64
                                                  : d->type;
        rc = loads ? emu_put_dest(d, EMU_FIELD_LIST, one, type)
                   : emu_put_source(d, EMU_FIELD_LIST, one, type);
        if (rc)
            return rc;
    }
    return 0;
}

static void fill_access(struct emu_decoder *d, int count)
{
    struct emu_op *op = EMU_OP(d);
    op->x = (uint8_t)ptx_type_bytes(d->type);
    op->n = (uint8_t)count;
    op->z = (uint8_t)order_of(d);
    if (ptx_type_class(d->type) == 's')
        op->flags |= EMU_SIGNED;
}

/* The address, into a and immediate. */
static int put_base(struct emu_decoder *d, int index)
{
    struct emu_address address;
    if (index >= d->in->operand_count)
        return emu_bad(d, "operand %d is missing", index + 1);
    int rc = emu_put_address(d, EMU_FIELD_A, &d->in->operand[index], &address);
    if (rc)
        return rc;
    EMU_OP(d)->immediate = (uint64_t)address.offset;
    if (address.wide)
        EMU_OP(d)->flags |= EMU_WIDE_BASE;
    return 0;
}

/* ld.param of an entry from a constant address: offset in the arguments. */
static int64_t argument_of(struct emu_decoder *d, int index)
{
    const struct ptx_operand *operand = &d->in->operand[index];
    if (operand->kind != PTX_OPERAND_ADDRESS || operand->count < 1 ||
        operand->element[0].kind != PTX_OPERAND_VARIABLE)
        return -1;
    int64_t at =
        emu_argument_offset(d->function, operand->element[0].variable, NULL);
    return at < 0 ? -1 : at + operand->offset + operand->element[0].offset;
}

static int build_ld_param(struct emu_decoder *d, int64_t at, int count)
{
    uint64_t total;
    int bytes = ptx_type_bytes(d->type) * count;
    emu_argument_offset(d->function, NULL, &total);
    if (at < 0 || (uint64_t)at + (uint64_t)bytes > total)
        return emu_bad(d, "reads past the end of the parameters");
    if (!emu_emit(d, EMU_H_ld_param))
        return TSR_EMEMORY;
    fill_access(d, count);
    EMU_OP(d)->immediate = (uint64_t)at;
    return put_data(d, &d->in->operand[0], count, 1);
}

/* In a .func parameters are locals; so are the .param variables of any body.
 */
static int is_argument_space(const struct emu_decoder *d, int index)
{
    const struct ptx_operand *operand = &d->in->operand[index];
    if (!d->function->is_entry || operand->count < 1)
        return 0;
    const struct ptx_operand *base = &operand->element[0];
    return base->kind != PTX_OPERAND_VARIABLE ||
           emu_argument_offset(d->function, base->variable, NULL) >= 0;
}

static int build_ld(struct emu_decoder *d, const struct emu_row *row)
{
    int count = vector_of(d), rc;
    uint32_t space = space_of(d);
    enum emu_handler_id id = EMU_H_ld_generic;
    (void)row;
    int hint = emu_has(d, "L2::cache_hint");
    if ((rc = emu_expect(d, 2 + hint, 2 + hint)))
        return rc;
    if (d->in->operand[1].kind != PTX_OPERAND_ADDRESS)
        return emu_bad(d, "operand 2 must be an address in brackets");
    if (space == PTX_SPACE_PARAM) {
        int64_t at = argument_of(d, 1);
        if (at >= 0)
            return build_ld_param(d, at, count);
        id = is_argument_space(d, 1) ? EMU_H_ld_argument : EMU_H_ld_local;
    } else if (space == PTX_SPACE_SHARED) {
        id = EMU_H_ld_shared;
    } else if (space == PTX_SPACE_LOCAL) {
        id = EMU_H_ld_local;
    } else if (space == PTX_SPACE_GLOBAL || space == PTX_SPACE_CONST) {
        id = EMU_H_ld_global;
    }
    if (!emu_emit(d, id))
        return TSR_EMEMORY;
    fill_access(d, count);
    if ((rc = put_base(d, 1)))
        return rc;
    return put_data(d, &d->in->operand[0], count, 1);
}

static int build_st(struct emu_decoder *d, const struct emu_row *row)
{
    int count = vector_of(d), rc;
    uint32_t space = space_of(d);
    enum emu_handler_id id = EMU_H_st_generic;
    (void)row;
    int hint = emu_has(d, "L2::cache_hint");
    if ((rc = emu_expect(d, 2 + hint, 2 + hint)))
        return rc;
    if (d->in->operand[0].kind != PTX_OPERAND_ADDRESS)
        return emu_bad(d, "operand 1 must be an address in brackets");
    if (space == PTX_SPACE_PARAM)
        id = is_argument_space(d, 0) ? EMU_H_st_read_only : EMU_H_st_local;
    else if (space == PTX_SPACE_SHARED)
        id = EMU_H_st_shared;
    else if (space == PTX_SPACE_LOCAL)
        id = EMU_H_st_local;
    else if (space == PTX_SPACE_GLOBAL)
        id = EMU_H_st_global;
    if (!emu_emit(d, id))
        return TSR_EMEMORY;
    fill_access(d, count);
    if ((rc = put_base(d, 0)))
        return rc;
    return put_data(d, &d->in->operand[1], count, 0);
}

/* -- atom and red --------------------------------------------------------- */

static int atomic_code(const struct emu_decoder *d)
{
    static const struct {
        const char *word;
        enum emu_atomic code;
    } known[] = {
        {"add", EMU_ATOMIC_ADD},   {"min", EMU_ATOMIC_MIN},
        {"max", EMU_ATOMIC_MAX},   {"and", EMU_ATOMIC_AND},
        {"or", EMU_ATOMIC_OR},     {"xor", EMU_ATOMIC_XOR},
        {"exch", EMU_ATOMIC_EXCH}, {"cas", EMU_ATOMIC_CAS},
        {"inc", EMU_ATOMIC_INC},   {"dec", EMU_ATOMIC_DEC},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (emu_has(d, known[i].word))
            return known[i].code;
    return EMU_ATOMIC_ADD;
}

static int put_elements(struct emu_decoder *d, const struct ptx_operand *data,
                        int count, int is_dest)
{
    int rc = check_count(d, data, count);
    for (int k = 0; !rc && k < count; k++)
        rc = is_dest
                 ? emu_put_dest(d, EMU_FIELD_LIST, element(data, k), d->type)
                 : emu_put_source(d, EMU_FIELD_LIST, element(data, k), d->type);
    return rc;
}

/* extra: 1 atom, 0 red. */
static int build_atom(struct emu_decoder *d, const struct emu_row *row)
{
    int is_atom = row->extra, count = vector_of(d), rc;
    int code = atomic_code(d), cas = code == EMU_ATOMIC_CAS;
    int hint = emu_has(d, "L2::cache_hint");
    int want = 2 + is_atom + cas + hint;
    struct emu_op *op = emu_emit(d, EMU_H_atom);
    if (!op)
        return TSR_EMEMORY;
    if ((rc = emu_expect(d, want, want)))
        return rc;
    op->x = (uint8_t)d->type;
    op->y = (uint8_t)code;
    enum emu_access_order order = order_of(d);
    op->z = (uint8_t)(order == EMU_WEAK ? EMU_STRONG : order);
    op->n = (uint8_t)count;
    op->target = space_of(d);
    if (ptx_type_bytes(d->type) == 8)
        op->flags |= EMU_WIDE;
    if ((rc = put_base(d, is_atom)))
        return rc;
    emu_begin_list(d);
    for (int k = 0; !is_atom && k < count; k++)
        if ((rc = emu_put_scratch(d, EMU_FIELD_LIST, emu_width_of(d->type))))
            return rc;
    if (is_atom && (rc = put_elements(d, &d->in->operand[0], count, 1)))
        return rc;
    if ((rc = put_elements(d, &d->in->operand[1 + is_atom], count, 0)))
        return rc;
    return cas ? put_elements(d, &d->in->operand[2 + is_atom], count, 0) : 0;
}

/* -- cp.async ------------------------------------------------------------- */

/* [to], [from], size{, source size | ignore}{, policy} */
static int build_cp_async(struct emu_decoder *d, const struct emu_row *row)
{
    struct emu_address to, from;
    const struct ptx_instruction *in = d->in;
    int hint = emu_has(d, "L2::cache_hint"), rc;
    uint64_t bytes;
    (void)row;
    if ((rc = emu_expect(d, 3 + hint, 4 + hint)) ||
        (rc = emu_immediate(d, &in->operand[2], PTX_U32, &bytes)))
        return rc;
    if (bytes != 16 && (emu_has(d, "cg") || (bytes != 4 && bytes != 8)))
        return emu_bad(d, "cannot copy %llu bytes", (unsigned long long)bytes);
    struct emu_op *op = emu_emit(d, EMU_H_cp_async);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)bytes;
    if ((rc = emu_put_address(d, EMU_FIELD_D, &in->operand[0], &to)) ||
        (rc = emu_put_address(d, EMU_FIELD_A, &in->operand[1], &from)))
        return rc;
    op = EMU_OP(d);
    op->target = (uint32_t)to.offset;
    op->immediate = (uint64_t)from.offset;
    op->flags |= (to.wide ? EMU_WIDE : 0) | (from.wide ? EMU_WIDE_BASE : 0);
    if (in->operand_count == 3 + hint)
        return 0;
    const struct ptx_operand *extra = &in->operand[3];
    if (extra->kind == PTX_OPERAND_REGISTER &&
        emu_register_type(d, extra) == PTX_PRED) {
        uint8_t negated;
        op->n = 1;
        rc = emu_predicate(d, EMU_FIELD_C, 3, &negated);
        EMU_OP(d)->z = negated;
        return rc;
    }
    op->y = 1;
    return emu_put_source(d, EMU_FIELD_B, extra, PTX_U32);
}

static int build_cp_wait(struct emu_decoder *d, const struct emu_row *row)
{
    uint64_t groups = 0;
    int rc;
    if ((rc = emu_expect(d, !row->extra, !row->extra)) ||
        (!row->extra &&
         (rc = emu_immediate(d, &d->in->operand[0], PTX_U32, &groups))))
        return rc;
    struct emu_op *op = emu_emit(d, EMU_H_cp_wait);
    if (!op)
        return TSR_EMEMORY;
    op->x = (uint8_t)(groups < 255 ? groups : 255);
    op->y = (uint8_t)row->extra;
    return 0;
}

static int build_cp_commit(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    int rc = emu_expect(d, 0, 0);
    return rc ? rc : emu_emit(d, EMU_H_cp_commit) ? 0 : TSR_EMEMORY;
}

/* -- addresses, fences, hints --------------------------------------------- */

static uint64_t window_of(const struct emu_decoder *d)
{
    switch (space_of(d)) {
    case PTX_SPACE_SHARED:
        return EMU_WINDOW_SHARED;
    case PTX_SPACE_LOCAL:
        return EMU_WINDOW_LOCAL;
    case PTX_SPACE_PARAM:
        return EMU_WINDOW_PARAM;
    default:
        return 0;
    }
}

/* extra: 1 cvta.to. The source may be the address of a variable. */
static int build_cvta(struct emu_decoder *d, const struct emu_row *row)
{
    int wide = ptx_type_bytes(d->type) == 8;
    uint64_t window = window_of(d);
    struct emu_op *op =
        emu_emit(d, row->extra ? EMU_H_cvta_to : EMU_H_cvta_from);
    if (!op)
        return TSR_EMEMORY;
    if (!window) { /* global and constant addresses are generic as they are */
        d->handler[d->op_count - 1] = wide ? EMU_H_mov_b64 : EMU_H_mov_b32;
        return emu_put_operands(d, "dT aT");
    }
    if (!wide)
        return emu_refuse(d, "generic addresses have 64 bits");
    op->immediate = window;
    op->x = op->y = (uint8_t)wide;
    return emu_put_operands(d, "dT aT");
}

static int build_isspacep(struct emu_decoder *d, const struct emu_row *row)
{
    enum ptx_type type;
    int rc;
    (void)row;
    if ((rc = emu_expect(d, 2, 2)))
        return rc;
    type = emu_register_type(d, &d->in->operand[1]);
    if (type == PTX_VOID || ptx_type_bytes(type) != 8)
        return emu_bad(d, "the address must be in a 64-bit register");
    struct emu_op *op = emu_emit(d, EMU_H_isspacep);
    if (!op)
        return TSR_EMEMORY;
    op->immediate = window_of(d);
    op->x = 1;
    if ((rc = emu_dest(d, EMU_FIELD_D, 0, PTX_PRED)))
        return rc;
    return emu_source_of(d, EMU_FIELD_A, 1, type);
}

static int build_fence(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    int rc = emu_expect(d, 0, 0);
    struct emu_op *op = emu_emit(d, EMU_H_fence);
    if (rc || !op)
        return rc ? rc : TSR_EMEMORY;
    op->x = (uint8_t)!emu_has(d, "cta");
    return 0;
}

/* Hints: operands are not looked at. */
static int build_nothing(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    return emu_emit(d, EMU_H_prefetch) ? 0 : TSR_EMEMORY;
}

/* A cache policy is opaque and has no effect here. */
static int build_policy(struct emu_decoder *d, const struct emu_row *row)
{
    (void)row;
    if (!emu_emit(d, EMU_H_mov_b64))
        return TSR_EMEMORY;
    int rc = emu_dest(d, EMU_FIELD_D, 0, PTX_B64);
    return rc ? rc : emu_put_constant(d, EMU_FIELD_A, 0, EMU_W64);
}

#define LD_SPACE \
    "global|shared|shared::cta|local|param|param::entry|param::func|const?"
#define ATOMIC STRENGTH " " SCOPE " global|shared|shared::cta? "
#define ROWS(root, extra)                                           \
    {root,                                                          \
     ATOMIC "add noftz? L2::cache_hint? v2|v4|v8? "                 \
            "u32|s32|u64|s64|f32|f64|f16|f16x2|bf16|bf16x2",        \
     "",                                                            \
     NULL,                                                          \
     NULL,                                                          \
     build_atom,                                                    \
     extra},                                                        \
        {root,                                                      \
         ATOMIC "min|max noftz? L2::cache_hint? v2|v4|v8? "         \
                "u32|s32|u64|s64|f16|f16x2|bf16|bf16x2",            \
         "",                                                        \
         NULL,                                                      \
         NULL,                                                      \
         build_atom,                                                \
         extra},                                                    \
        {root, ATOMIC "and|or|xor L2::cache_hint? b32|b64",         \
         "",   NULL,                                                \
         NULL, build_atom,                                          \
         extra},                                                    \
    {                                                               \
        root, ATOMIC "inc|dec L2::cache_hint? u32", "", NULL, NULL, \
            build_atom, extra                                       \
    }

static const struct emu_row rows[] = {
    {"ld",
     "mmio? " STRENGTH " " SCOPE " " LD_SPACE " ca|cg|cs|cv|lu? nc? " L1
     " " L2_KEEP " " L2_HINT " " L2_AHEAD " v2|v4|v8? " TYPES,
     "", NULL, NULL, build_ld, 0},
    {"ldu", "global? v2|v4? " TYPES, "", NULL, NULL, build_ld, 0},
    {"st",
     "mmio? " STRENGTH " " SCOPE " " LD_SPACE " wb|cg|cs|wt? " L1 " " L2_KEEP
     " " L2_HINT " v2|v4|v8? " TYPES,
     "", NULL, NULL, build_st, 0},
    ROWS("atom", 1),
    {"atom", ATOMIC "exch L2::cache_hint? b32|b64", "", NULL, NULL, build_atom,
     1},
    {"atom", ATOMIC "cas L2::cache_hint? b16|b32|b64", "", NULL, NULL,
     build_atom, 1},
    ROWS("red", 0),
    {"red",
     STRENGTH " " SCOPE " global? v2|v4|v8 "
              "f32|f16|f16x2|bf16|bf16x2 add|min|max noftz?",
     "", NULL, NULL, build_atom, 0},
    {"cp", "async ca|cg shared|shared::cta global " L2_HINT " " L2_AHEAD, "",
     NULL, NULL, build_cp_async, 0},
    {"cp", "async commit_group", "", NULL, NULL, build_cp_commit, 0},
    {"cp", "async wait_group", "", NULL, NULL, build_cp_wait, 0},
    {"cp", "async wait_all", "", NULL, NULL, build_cp_wait, 1},
    {"cvta", "to global|shared|shared::cta|local|const|param u32|u64", "", NULL,
     NULL, build_cvta, 1},
    {"cvta", "global|shared|shared::cta|local|const|param u32|u64", "", NULL,
     NULL, build_cvta, 0},
    {"isspacep", "global|shared|shared::cta|local|const|param", "", NULL, NULL,
     build_isspacep, 0},
    {"membar", "cta|gl|sys", "", NULL, NULL, build_fence, 0},
    {"fence", "sc|acq_rel|acquire|release? cta|cluster|gpu|sys", "", NULL, NULL,
     build_fence, 0},
    {"prefetch", "global|local? L1|L2|L2::evict_last|L2::evict_normal", "",
     NULL, NULL, build_nothing, 0},
    {"prefetchu", "L1", "", NULL, NULL, build_nothing, 0},
    {"applypriority", "global? L2::evict_normal", "", NULL, NULL, build_nothing,
     0},
    {"createpolicy",
     "fractional L2::evict_last|L2::evict_normal|L2::evict_first|"
     "L2::evict_unchanged L2::evict_first|L2::evict_unchanged? b64",
     "", NULL, NULL, build_policy, 0},
};

const struct emu_table emu_table_memory = {rows, sizeof rows / sizeof *rows};
