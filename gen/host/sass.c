/* sass.c -- what the machine code of a kernel is made of. */
#include "gen/host/sass.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/host/flow.h"
#include "runtime/base/memory.h"

#define OPERATIONS 512
/* Longer code is no kernel of ours: its loops are not looked for. */
#define LOOP_LIMIT 65536

/* Operations that matter here. IADD is HFMA2's code from sm_100 on. */
enum {
    OP_HFMA2 = 0x035,
    OP_NOP = 0x118,
    OP_BRA = 0x147,
    OP_BRX = 0x149,
    OP_EXIT = 0x14d,
    OP_RET = 0x150,
};

/* By the low nine bits. */
static const char *const operation_names[OPERATIONS] = {
    [0x002] = "MOV",        [0x005] = "CS2R",          [0x006] = "VOTE",
    [0x007] = "SEL",        [0x008] = "FSEL",          [0x009] = "FMNMX",
    [0x00a] = "FSET",       [0x00b] = "FSETP",         [0x00c] = "ISETP",
    [0x010] = "IADD3",      [0x011] = "LEA",           [0x012] = "LOP3",
    [0x013] = "IABS",       [0x015] = "VABSDIFF4",     [0x016] = "PRMT",
    [0x017] = "IMNMX",      [0x019] = "SHF",           [0x01a] = "SGXT",
    [0x01c] = "PLOP3",      [0x020] = "FMUL",          [0x021] = "FADD",
    [0x023] = "FFMA",       [0x024] = "IMAD",          [0x025] = "IMAD",
    [0x026] = "IDP",        [0x027] = "IMAD",          [0x028] = "DMUL",
    [0x029] = "DADD",       [0x02a] = "DSETP",         [0x02b] = "DFMA",
    [0x02f] = "ELECT",      [0x030] = "HADD2",         [0x031] = "HFMA2",
    [0x032] = "HMUL2",      [0x035] = "HFMA2",         [0x036] = "VIADD",
    [0x037] = "IMMA",       [0x03b] = "LDSM",          [0x03c] = "HMMA",
    [0x03e] = "F2FP",       [0x03f] = "DMMA",          [0x040] = "HMNMX2",
    [0x045] = "I2FP",       [0x046] = "VIADDMNMX",     [0x048] = "VIMNMX",
    [0x055] = "UFFMA",      [0x05e] = "UI2FP",         [0x076] = "FMNMX3",
    [0x082] = "UMOV",       [0x086] = "VOTEU",         [0x087] = "USEL",
    [0x08c] = "UISETP",     [0x090] = "UIADD3",        [0x091] = "ULEA",
    [0x092] = "ULOP3",      [0x099] = "USHF",          [0x09c] = "UPLOP3",
    [0x0a4] = "UIMAD",      [0x0a5] = "UIMAD",         [0x0b9] = "ULDC",
    [0x0bd] = "UFLO",       [0x0bf] = "UPOPC",         [0x0ca] = "R2UR",
    [0x0cb] = "CS2UR",      [0x0cc] = "CREDUX",        [0x100] = "FLO",
    [0x101] = "BREV",       [0x102] = "FCHK",          [0x105] = "F2I",
    [0x106] = "I2F",        [0x107] = "FRND",          [0x108] = "MUFU",
    [0x109] = "POPC",       [0x110] = "F2F",           [0x111] = "F2I",
    [0x112] = "I2F",        [0x118] = "NOP",           [0x119] = "S2R",
    [0x11a] = "DEPBAR",     [0x11b] = "ENDCOLLECTIVE", [0x11c] = "B2R",
    [0x11d] = "BAR",        [0x141] = "BSYNC",         [0x142] = "BREAK",
    [0x143] = "CALL",       [0x144] = "CALL",          [0x145] = "BSSY",
    [0x146] = "YIELD",      [0x147] = "BRA",           [0x148] = "WARPSYNC",
    [0x149] = "BRX",        [0x14d] = "EXIT",          [0x14e] = "LEPC",
    [0x150] = "RET",        [0x15c] = "BPT",           [0x15d] = "NANOSLEEP",
    [0x180] = "LD",         [0x181] = "LDG",           [0x182] = "LDC",
    [0x183] = "LDL",        [0x184] = "LDS",           [0x185] = "ST",
    [0x186] = "STG",        [0x187] = "STL",           [0x188] = "STS",
    [0x189] = "SHFL",       [0x18a] = "ATOM",          [0x18c] = "ATOMS",
    [0x18e] = "RED",        [0x18f] = "CCTL",          [0x192] = "MEMBAR",
    [0x1a1] = "MATCH",      [0x1a3] = "ATOMG",         [0x1a6] = "REDG",
    [0x1a7] = "SYNCS",      [0x1a8] = "ATOMG",         [0x1a9] = "ATOMG",
    [0x1ab] = "ERRBAR",     [0x1ac] = "LDCU",          [0x1ae] = "LDGSTS",
    [0x1af] = "LDGDEPBAR",  [0x1b2] = "SYNCS",         [0x1b4] = "UTMALDG",
    [0x1b9] = "UTMACCTL",   [0x1ba] = "UBLKCP",        [0x1c3] = "S2UR",
    [0x1c4] = "REDUX",      [0x1c5] = "WARPGROUP",     [0x1c6] = "FENCE",
    [0x1c8] = "USETMAXREG", [0x1f1] = "IGMMA"};

/* Names of matrix operations: HMMA, IMMA, DMMA, BMMA, QMMA, xGMMA. */
static int is_mma(const char *name)
{
    size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 3, "MMA") == 0;
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static unsigned operation(const unsigned char *instruction)
{
    return (unsigned)get64(instruction) & (OPERATIONS - 1);
}

static const char *operation_name(unsigned code, int sm)
{
    return code == OP_HFMA2 && sm >= 100 ? "IADD" : operation_names[code];
}

/* Where the branch `at` instructions into the code goes, or -1. The distance
** counts from the next instruction in units of 4 bytes, in bits 34 to 81; from
** sm_90 on its low eight bits are in bits 16 to 23.
**
**      127            81                    34        23   16      11      0
**     |      ...     |      distance       | ...     | low  | ... | opcode |
*/
static long branch_target(const unsigned char *code, size_t at, int sm)
{
    uint64_t low = get64(code + at * GEN_SASS_BYTES);
    uint64_t high = get64(code + at * GEN_SASS_BYTES + 8);
    uint64_t field = low >> 34 | (high & 0x3ffff) << 30; /* 48 bits */
    int64_t distance = (int64_t)(field << 16) >> 16;
    if (sm >= 90)
        distance = (int64_t)((uint64_t)distance << 8 | (low >> 16 & 0xff));
    if (distance > 1 << 28 || distance < -(1 << 28))
        return -1;
    int64_t target = (int64_t)(at + 1) + distance * 4 / GEN_SASS_BYTES;
    return target < 0 ? -1 : (long)target;
}

static int by_count(const void *left, const void *right)
{
    const struct gen_sass_opcode *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->name, b->name);
}

static struct gen_sass_opcode *find_opcode(struct gen_sass *sass,
                                           const char *name)
{
    for (size_t i = 0; i < sass->opcode_count; i++)
        if (strcmp(sass->opcodes[i].name, name) == 0)
            return &sass->opcodes[i];
    struct gen_sass_opcode *opcode = &sass->opcodes[sass->opcode_count++];
    snprintf(opcode->name, sizeof opcode->name, "%s", name);
    return opcode;
}

static void count_opcodes(const unsigned char *code, int sm,
                          struct gen_sass *sass)
{
    size_t counts[OPERATIONS] = {0};
    for (size_t i = 0; i < sass->instructions; i++)
        counts[operation(code + i * GEN_SASS_BYTES)]++;
    for (unsigned op = 0; op < OPERATIONS; op++) {
        char number[16];
        const char *name = operation_name(op, sm);
        if (!counts[op])
            continue;
        snprintf(number, sizeof number, "0x%03x", op);
        find_opcode(sass, name ? name : number)->count += counts[op];
        if (name && is_mma(name))
            sass->mma += counts[op];
    }
    qsort(sass->opcodes, sass->opcode_count, sizeof *sass->opcodes, by_count);
}

static int is_mma_instruction(const unsigned char *instruction, int sm)
{
    const char *name = operation_name(operation(instruction), sm);
    return name && is_mma(name);
}

/* Taken by every lane that gets there: guard PT, the usual form, and nothing in
** the fields where BRA.DIV and BRA.U keep a condition of their own. */
static int is_unconditional(const unsigned char *instruction)
{
    uint64_t low = get64(instruction), high = get64(instruction + 8);
    return (low & 0xff00fe00) == 0x00007800 &&
           (high & 0x0ffc0000) == 0x03800000;
}

static void find_ways(const unsigned char *code, int sm, size_t count,
                      struct gen_flow_edge *edges)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char *instruction = code + i * GEN_SASS_BYTES;
        unsigned op = operation(instruction);
        int ends =
            op == OP_BRA || op == OP_EXIT || op == OP_RET || op == OP_BRX;
        edges[i].to[0] = ends && is_unconditional(instruction) ? GEN_FLOW_NONE
                                                               : (int32_t)i + 1;
        edges[i].to[1] =
            op == OP_BRA ? (int32_t)branch_target(code, i, sm) : GEN_FLOW_NONE;
    }
}

static int find_loops(const unsigned char *code, int sm, struct gen_sass *sass)
{
    size_t count = sass->instructions > LOOP_LIMIT ? 0 : sass->instructions;
    struct gen_flow_edge *edges = tsr__calloc(count + 1, sizeof *edges);
    struct gen_flow_loop *loops = tsr__calloc(GEN_FLOW_LOOPS, sizeof *loops);
    unsigned char *weight = tsr__calloc(count + 1, 1);
    int found = -1;
    if (edges && loops && weight) {
        for (size_t i = 0; i < count; i++)
            weight[i] = (unsigned char)is_mma_instruction(
                code + i * GEN_SASS_BYTES, sm);
        find_ways(code, sm, count, edges);
        found = gen_flow_loops(edges, count, weight, loops);
    }
    if (found > 0)
        sass->loops = tsr__calloc((size_t)found, sizeof *sass->loops);
    if (found > 0 && !sass->loops)
        found = -1;
    for (int i = 0; i < found; i++)
        sass->loops[i] = (struct gen_sass_loop){
            loops[i].header, loops[i].last, loops[i].size, loops[i].weights};
    sass->loop_count = found > 0 ? (size_t)found : 0;
    tsr__free(edges);
    tsr__free(loops);
    tsr__free(weight);
    return found < 0 ? -1 : 0;
}

static int holds_another(const struct gen_sass *sass, size_t index)
{
    const struct gen_sass_loop *outer = &sass->loops[index];
    for (size_t i = 0; i < sass->loop_count; i++)
        if (i != index && sass->loops[i].first > outer->first &&
            sass->loops[i].last <= outer->last)
            return 1;
    return 0;
}

/* Without any MMA: the longest loop that holds no other. */
static const struct gen_sass_loop *pick_main(const struct gen_sass *sass)
{
    const struct gen_sass_loop *best = NULL;
    for (size_t i = 0; i < sass->loop_count; i++) {
        const struct gen_sass_loop *loop = &sass->loops[i];
        if (loop->mma == 0 && holds_another(sass, i))
            continue;
        if (!best || loop->mma > best->mma ||
            (loop->mma == best->mma &&
             (loop->mma ? loop->instructions < best->instructions
                        : loop->instructions > best->instructions)))
            best = loop;
    }
    return best;
}

int gen_sass_inspect(const void *bytes, size_t size, int sm,
                     struct gen_sass *out, struct tsr_error *err)
{
    const unsigned char *code = bytes;
    struct gen_sass sass = {0};
    if (size % GEN_SASS_BYTES != 0)
        return TSR_FAIL(err, TSR_EFORMAT,
                        "damaged machine code: %zu bytes are no multiple of 16",
                        size);
    sass.instructions = size / GEN_SASS_BYTES;
    while (sass.instructions > 0 &&
           operation(code + (sass.instructions - 1) * GEN_SASS_BYTES) == OP_NOP)
        sass.instructions--;
    sass.opcodes = tsr__calloc(OPERATIONS, sizeof *sass.opcodes);
    if (!sass.opcodes || find_loops(code, sm, &sass)) {
        gen_sass_release(&sass);
        return TSR_FAIL(err, TSR_EMEMORY, "out of memory reading machine code");
    }
    count_opcodes(code, sm, &sass);
    sass.main_loop = pick_main(&sass);
    *out = sass;
    return 0;
}

void gen_sass_release(struct gen_sass *sass)
{
    if (!sass)
        return;
    tsr__free(sass->opcodes);
    tsr__free(sass->loops);
    memset(sass, 0, sizeof *sass);
}
