/* decode.c -- walks a function and turns instructions into operations. */
#include "runtime/emulator/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"

/* -- finding the row ------------------------------------------------------ */

static const struct emu_table *const tables[] = {
    &emu_table_integer, &emu_table_float,   &emu_table_convert,
    &emu_table_memory,  &emu_table_control, &emu_table_warp,
};

#define TABLES (sizeof tables / sizeof *tables)

int emu_print_opcodes(struct tsr_buffer *out)
{
    for (size_t t = 0; t < TABLES; t++)
        for (size_t i = 0; i < tables[t]->count; i++)
            emu_print_row(&tables[t]->row[i], out);
    return out->failed ? TSR_EMEMORY : 0;
}

/* *known: some row has this root. */
static const struct emu_row *find_row(struct emu_decoder *d, int *known)
{
    *known = 0;
    for (size_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct emu_row *row = &tables[t]->row[i];
            if (strcmp(row->root, d->in->root) != 0)
                continue;
            *known = 1;
            if (emu_pattern_match(d, row->pattern))
                return row;
        }
    }
    return NULL;
}

/* Rows by opcode text; what matched before matches again. */
#define CACHE 256
struct row_cache {
    const char *opcode[CACHE];
    const struct emu_row *row[CACHE];
};

static const struct emu_row *look_up(struct emu_decoder *d,
                                     struct row_cache *cache, int *known)
{
    uint32_t hash = 2166136261u;
    for (const char *p = d->in->opcode; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    uint32_t slot = hash % CACHE;
    *known = 1;
    if (cache->opcode[slot] &&
        strcmp(cache->opcode[slot], d->in->opcode) == 0 &&
        emu_pattern_match(d, cache->row[slot]->pattern))
        return cache->row[slot];
    const struct emu_row *row = find_row(d, known);
    if (row) {
        cache->opcode[slot] = d->in->opcode;
        cache->row[slot] = row;
    }
    return row;
}

/* -- errors --------------------------------------------------------------- */

static int fail_at(struct emu_decoder *d, int code, const char *fmt,
                   va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, fmt, args);
    return TSR_FAIL(d->err, code, "%s:%d: %s: %s", d->module->name, d->in->line,
                    d->in->opcode, text);
}

int emu_refuse(struct emu_decoder *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(d, TSR_EUNSUPPORTED, fmt, args);
    va_end(args);
    return rc;
}

int emu_bad(struct emu_decoder *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(d, TSR_EFORMAT, fmt, args);
    va_end(args);
    return rc;
}

static int no_memory(struct emu_decoder *d)
{
    return TSR_FAIL(d->err, TSR_EMEMORY, "%s: out of memory", d->module->name);
}

int emu_has(const struct emu_decoder *d, const char *word)
{
    return ptx_has(d->in, word);
}

int emu_expect(struct emu_decoder *d, int least, int most)
{
    int count = d->in->operand_count;
    if (count >= least && count <= most)
        return 0;
    if (least == most)
        return emu_bad(d, "has %d operands, wants %d", count, least);
    return emu_bad(d, "has %d operands, wants %d to %d", count, least, most);
}

/* -- values --------------------------------------------------------------- */

enum emu_width emu_width_of(enum ptx_type type)
{
    if (type == PTX_PRED)
        return EMU_W_PRED;
    int bytes = ptx_type_bytes(type);
    return bytes <= 4 ? EMU_W32 : bytes == 8 ? EMU_W64 : EMU_W128;
}

static int new_value(struct emu_decoder *d, struct emu_value value,
                     uint32_t *out)
{
    if (tsr__grow((void **)&d->value, &d->value_capacity, d->value_count + 1,
                  sizeof *d->value))
        return no_memory(d);
    value.first = UINT32_MAX;
    d->value[d->value_count] = value;
    *out = (uint32_t)d->value_count++;
    return 0;
}

static uint64_t value_hash(const struct emu_value *v)
{
    uint64_t h = v->bits + v->kind * 31 + v->width * 131 + v->special * 977u;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static int same_value(const struct emu_value *a, const struct emu_value *b)
{
    return a->bits == b->bits && a->kind == b->kind && a->width == b->width &&
           a->special == b->special;
}

static int rehash(struct emu_decoder *d)
{
    size_t slots = d->constant_slots ? 2 * d->constant_slots : 64;
    uint32_t *table = tsr__calloc(slots, sizeof *table);
    if (!table)
        return no_memory(d);
    for (size_t i = 0; i < d->constant_slots; i++) {
        if (!d->constant[i])
            continue;
        size_t at = value_hash(&d->value[d->constant[i] - 1]) % slots;
        while (table[at])
            at = (at + 1) % slots;
        table[at] = d->constant[i];
    }
    tsr__free(d->constant);
    d->constant = table;
    d->constant_slots = slots;
    return 0;
}

/* A constant or special value, the same one for equal wants. */
static int shared_value(struct emu_decoder *d, struct emu_value want,
                        uint32_t *out)
{
    int rc;
    if (2 * d->constant_used >= d->constant_slots && (rc = rehash(d)))
        return rc;
    size_t at = value_hash(&want) % d->constant_slots;
    while (d->constant[at]) {
        if (same_value(&d->value[d->constant[at] - 1], &want)) {
            *out = d->constant[at] - 1;
            return 0;
        }
        at = (at + 1) % d->constant_slots;
    }
    if ((rc = new_value(d, want, out)))
        return rc;
    d->constant[at] = *out + 1;
    d->constant_used++;
    return 0;
}

int emu_put_value(struct emu_decoder *d, enum emu_field field, uint32_t value,
                  int reads, int writes)
{
    if (tsr__grow((void **)&d->reference, &d->reference_capacity,
                  d->reference_count + 1, sizeof *d->reference))
        return no_memory(d);
    struct emu_reference *reference = &d->reference[d->reference_count++];
    *reference = (struct emu_reference){
        .op = (uint32_t)(d->op_count - 1),
        .value = value,
        .field = (uint8_t)field,
        .reads = (uint8_t)reads,
        .writes = (uint8_t)writes,
        .whole = (uint8_t)(d->in->guard < 0),
    };
    if (field == EMU_FIELD_LIST) {
        reference->list = (uint32_t)d->list_count;
        return emu_put_number(d, 0);
    }
    return 0;
}

int emu_put_number(struct emu_decoder *d, uint32_t number)
{
    if (tsr__grow((void **)&d->list, &d->list_capacity, d->list_count + 1,
                  sizeof *d->list))
        return no_memory(d);
    d->list[d->list_count++] = number;
    return 0;
}

/* Until the list has its final place, op.list holds index + 1. */
void emu_begin_list(struct emu_decoder *d)
{
    d->list_of[d->op_count - 1] = (uint32_t)d->list_count;
}

int emu_constant_value(struct emu_decoder *d, uint64_t bits,
                       enum emu_width width, uint32_t *out)
{
    struct emu_value want = {
        .kind = EMU_CONSTANT, .width = (uint8_t)width, .bits = bits};
    return shared_value(d, want, out);
}

int emu_new_pinned(struct emu_decoder *d, enum emu_width width, uint32_t *out)
{
    struct emu_value want = {
        .kind = EMU_PINNED, .width = (uint8_t)width, .blank = 1};
    return new_value(d, want, out);
}

int emu_put_constant(struct emu_decoder *d, enum emu_field field, uint64_t bits,
                     enum emu_width width)
{
    uint32_t value;
    int rc = emu_constant_value(d, bits, width, &value);
    return rc ? rc : emu_put_value(d, field, value, 1, 0);
}

int emu_put_special(struct emu_decoder *d, enum emu_field field,
                    enum emu_special special, enum emu_width width,
                    uint64_t bits)
{
    uint32_t value;
    struct emu_value want = {.kind = EMU_FILLED,
                             .width = (uint8_t)width,
                             .special = (uint8_t)special,
                             .bits = bits};
    int rc = shared_value(d, want, &value);
    return rc ? rc : emu_put_value(d, field, value, 1, 0);
}

int emu_put_scratch(struct emu_decoder *d, enum emu_field field,
                    enum emu_width width)
{
    uint32_t value;
    struct emu_value want = {.kind = EMU_SCRATCH, .width = (uint8_t)width};
    int rc = new_value(d, want, &value);
    return rc ? rc : emu_put_value(d, field, value, 0, 1);
}

/* The carry flag, a predicate of the function. */
int emu_put_carry(struct emu_decoder *d, enum emu_field field, int reads,
                  int writes)
{
    if (d->carry == UINT32_MAX) {
        struct emu_value want = {.kind = EMU_REGISTER, .width = EMU_W_PRED};
        int rc = new_value(d, want, &d->carry);
        if (rc)
            return rc;
    }
    return emu_put_value(d, field, d->carry, reads, writes);
}

/* -- operations ----------------------------------------------------------- */

static int grow_ops(struct emu_decoder *d)
{
    size_t n = d->op_count + 1;
    return tsr__grow((void **)&d->op, &d->op_capacity[0], n, sizeof *d->op) ||
           tsr__grow((void **)&d->handler, &d->op_capacity[1], n,
                     sizeof *d->handler) ||
           tsr__grow((void **)&d->source, &d->op_capacity[2], n,
                     sizeof *d->source) ||
           tsr__grow((void **)&d->list_of, &d->op_capacity[3], n,
                     sizeof *d->list_of);
}

struct emu_op *emu_emit(struct emu_decoder *d, enum emu_handler_id handler)
{
    if (grow_ops(d)) {
        no_memory(d);
        return NULL;
    }
    struct emu_op *op = &d->op[d->op_count];
    *op = (struct emu_op){.flip = d->in->guard_negated ? -1 : 0};
    if (d->in->guard < 0)
        op->flip = 0;
    d->handler[d->op_count] = (uint16_t)handler;
    d->source[d->op_count] = d->in;
    d->list_of[d->op_count] = UINT32_MAX;
    d->op_count++;
    int rc =
        d->in->guard < 0
            ? emu_put_constant(d, EMU_FIELD_GUARD, EMU_ALL_LANES, EMU_W_PRED)
            : emu_put_value(d, EMU_FIELD_GUARD, (uint32_t)d->in->guard, 1, 0);
    return rc ? NULL : EMU_OP(d);
}

/* -- the function --------------------------------------------------------- */

static int decode_instruction(struct emu_decoder *d, struct row_cache *cache)
{
    int known;
    const struct emu_row *row = look_up(d, cache, &known);
    if (!row && known)
        return emu_refuse(d, "the emulator does not take these modifiers");
    if (!row)
        return emu_refuse(d, "the emulator does not know this opcode");
    if (d->in->guard >= 0 &&
        d->function->registers[d->in->guard].type != PTX_PRED)
        return emu_bad(d, "the guard is not a predicate");
    return row->build ? row->build(d, row) : emu_build_simple(d, row);
}

/* Stands for operations that no instruction asked for. */
static const struct ptx_instruction nothing_in = {
    .opcode = "ret", .root = "ret", .guard = -1};

static void set_source(struct emu_decoder *d, size_t from,
                       const struct ptx_instruction *in)
{
    for (size_t i = from; i < d->op_count; i++)
        d->source[i] = in;
}

/* Every function ends in an operation that leaves it. */
static int add_end(struct emu_decoder *d)
{
    const struct ptx_function *f = d->function;
    size_t from = d->op_count;
    d->in = &nothing_in;
    int rc = emu_put_results(d);
    if (rc)
        return rc;
    if (!emu_emit(d, EMU_H_nothing))
        return TSR_EMEMORY;
    EMU_OP(d)->control = EMU_DO_RETURN;
    EMU_OP(d)->flags = EMU_HIDDEN;
    set_source(d, from,
               f->instruction_count ? &f->instructions[f->instruction_count - 1]
                                    : NULL);
    return 0;
}

/* Parameters that are registers come out of the locals first. */
static int add_beginning(struct emu_decoder *d)
{
    const struct ptx_function *f = d->function;
    d->in = &nothing_in;
    for (int i = 0; !f->is_entry && i < f->parameter_count; i++) {
        int rc = emu_move_formal(d, &f->parameters[i], 1);
        if (rc)
            return rc;
    }
    set_source(d, 0, f->instruction_count ? &f->instructions[0] : NULL);
    return 0;
}

static void resolve_targets(struct emu_decoder *d)
{
    for (size_t i = 0; i < d->op_count; i++)
        if (d->op[i].control == EMU_DO_BRANCH)
            d->op[i].target = d->op_of[d->op[i].target];
}

static int layout_locals(struct emu_decoder *d)
{
    uint64_t bytes;
    emu_local_layout(d->function, NULL, &bytes);
    if (bytes > EMU_LOCAL_LIMIT)
        return TSR_FAIL(d->err, TSR_EUNSUPPORTED,
                        "%s:%d: %s: needs more than %d bytes of local memory "
                        "per thread",
                        d->module->name, d->function->line, d->function->name,
                        EMU_LOCAL_LIMIT);
    d->local_bytes = (uint32_t)bytes;
    return 0;
}

/* Operations that one instruction may become, with checks and moves. */
#define RANKS 256

static void copy_ranks(struct emu_decoder *d)
{
    const struct ptx_function *f = d->function;
    for (size_t i = 0; i < d->op_count; i++) {
        const struct ptx_instruction *in = d->source[i];
        int last = i >= d->op_of[f->instruction_count];
        uint32_t rank =
            last || !in ? (uint32_t)f->instruction_count : (uint32_t)in->rank;
        uint32_t part = 0; /* operations of one instruction stay in order */
        if (i > 0 && d->op[i - 1].rank / RANKS == rank)
            part = d->op[i - 1].rank % RANKS + 1;
        d->op[i].rank = rank * RANKS + (part < RANKS ? part : RANKS - 1);
    }
}

static int walk(struct emu_decoder *d)
{
    static struct row_cache empty;
    struct row_cache cache = empty;
    const struct ptx_function *f = d->function;
    int rc;
    d->op_of = tsr__calloc((size_t)f->instruction_count + 1, sizeof *d->op_of);
    d->value_count = 0;
    if (!d->op_of)
        return no_memory(d);
    for (int i = 0; i < f->register_count; i++) {
        uint32_t ignored;
        struct emu_value v = {.kind = EMU_REGISTER,
                              .width =
                                  (uint8_t)emu_width_of(f->registers[i].type)};
        if ((rc = new_value(d, v, &ignored)))
            return rc;
    }
    if ((rc = add_beginning(d)))
        return rc;
    for (int i = 0; i < f->instruction_count; i++) {
        d->in = &f->instructions[i];
        d->op_of[i] = (uint32_t)d->op_count;
        if ((rc = decode_instruction(d, &cache)))
            return rc;
    }
    d->op_of[f->instruction_count] = (uint32_t)d->op_count;
    return add_end(d);
}

static int move_lists(struct emu_decoder *d)
{
    struct emu_code *code = d->code;
    for (size_t i = 0; i < d->op_count; i++)
        if (d->list_of[i] < d->list_count)
            d->op[i].list = d->list + d->list_of[i];
    code->function = d->function;
    code->op = d->op;
    code->handler = d->handler;
    code->source = d->source;
    code->op_count = (uint32_t)d->op_count;
    code->list = d->list;
    code->local_bytes = (d->local_bytes + 15) & ~15u;
    return 0;
}

int emu_decode_function(struct emu_module *module, uint32_t index,
                        struct tsr_error *err)
{
    struct emu_decoder *d = tsr__calloc(1, sizeof *d);
    int rc = TSR_EMEMORY;
    if (!d)
        return TSR_FAIL(err, rc, "out of memory");
    d->module = module;
    d->function = &module->ptx->functions[index];
    d->code = &module->code[index];
    d->carry = UINT32_MAX;
    d->err = err;
    if ((rc = layout_locals(d)) || (rc = walk(d)))
        goto done;
    resolve_targets(d);
    if ((rc = emu_slots_assign(d)))
        goto done;
    copy_ranks(d);
    rc = move_lists(d);
    d->op = NULL, d->handler = NULL, d->source = NULL, d->list = NULL;
done:
    tsr__free(d->op);
    tsr__free(d->handler);
    tsr__free(d->source);
    tsr__free(d->list);
    tsr__free(d->list_of);
    tsr__free(d->value);
    tsr__free(d->reference);
    tsr__free(d->constant);
    tsr__free(d->op_of);
    tsr__free(d);
    return rc;
}

void emu_code_release(struct emu_code *code)
{
    tsr__free(code->op);
    tsr__free(code->handler);
    tsr__free(code->source);
    tsr__free(code->list);
    tsr__free(code->fill);
    tsr__free(code->blank);
    tsr__free(code->image);
    *code = (struct emu_code){0};
}
