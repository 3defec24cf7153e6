/* counts.c -- classes of instructions, bank conflicts, sectors. */
#include "runtime/emulator/counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- classes -------------------------------------------------------------- */

static const char *const class_names[] = {
#define X(symbol, name, text) name,
    EMU_CLASS_LIST(X)
#undef X
};

const char *emu_class_name(enum emu_class class)
{
    return class_names[class];
}

/* Roots whose class needs no look at the modifiers. */
static const struct {
    const char *root;
    enum emu_class class;
} plain_classes[] = {
    {"mov", EMU_CLASS_MOVE},
    {"cvta", EMU_CLASS_MOVE},
    {"isspacep", EMU_CLASS_MOVE},
    {"mapa", EMU_CLASS_MOVE},
    {"cvt", EMU_CLASS_CONVERT},
    {"setp", EMU_CLASS_PREDICATE},
    {"set", EMU_CLASS_PREDICATE},
    {"selp", EMU_CLASS_PREDICATE},
    {"slct", EMU_CLASS_PREDICATE},
    {"testp", EMU_CLASS_PREDICATE},
    {"bra", EMU_CLASS_BRANCH},
    {"brx", EMU_CLASS_BRANCH},
    {"call", EMU_CLASS_BRANCH},
    {"ret", EMU_CLASS_BRANCH},
    {"exit", EMU_CLASS_BRANCH},
    {"trap", EMU_CLASS_BRANCH},
    {"atom", EMU_CLASS_ATOMIC},
    {"red", EMU_CLASS_ATOMIC},
    {"multimem", EMU_CLASS_ATOMIC},
    {"cp", EMU_CLASS_ASYNC},
    {"shfl", EMU_CLASS_SHUFFLE},
    {"vote", EMU_CLASS_SHUFFLE},
    {"match", EMU_CLASS_SHUFFLE},
    {"redux", EMU_CLASS_SHUFFLE},
    {"elect", EMU_CLASS_SHUFFLE},
    {"activemask", EMU_CLASS_SHUFFLE},
    {"mma", EMU_CLASS_MMA},
    {"wgmma", EMU_CLASS_MMA},
    {"bar", EMU_CLASS_SYNC},
    {"barrier", EMU_CLASS_SYNC},
    {"membar", EMU_CLASS_SYNC},
    {"fence", EMU_CLASS_SYNC},
    {"mbarrier", EMU_CLASS_SYNC},
    {"griddepcontrol", EMU_CLASS_SYNC},
    {"ldmatrix", EMU_CLASS_SHARED_LOAD},
    {"stmatrix", EMU_CLASS_SHARED_STORE},
    {"rcp", EMU_CLASS_SPECIAL},
    {"sqrt", EMU_CLASS_SPECIAL},
    {"rsqrt", EMU_CLASS_SPECIAL},
    {"ex2", EMU_CLASS_SPECIAL},
    {"lg2", EMU_CLASS_SPECIAL},
    {"sin", EMU_CLASS_SPECIAL},
    {"cos", EMU_CLASS_SPECIAL},
    {"tanh", EMU_CLASS_SPECIAL},
    {"prefetch", EMU_CLASS_OTHER},
    {"prefetchu", EMU_CLASS_OTHER},
    {"nanosleep", EMU_CLASS_OTHER},
    {"pmevent", EMU_CLASS_OTHER},
    {"discard", EMU_CLASS_OTHER},
    {"applypriority", EMU_CLASS_OTHER},
    {"createpolicy", EMU_CLASS_OTHER},
    {"setmaxnreg", EMU_CLASS_OTHER},
    {"brkpt", EMU_CLASS_OTHER},
};

static enum emu_class memory_class(const struct ptx_instruction *in,
                                   int is_load)
{
    if (ptx_has(in, "param") || ptx_has(in, "param::entry") ||
        ptx_has(in, "param::func"))
        return EMU_CLASS_PARAM;
    if (ptx_has(in, "shared") || ptx_has(in, "shared::cta") ||
        ptx_has(in, "shared::cluster"))
        return is_load ? EMU_CLASS_SHARED_LOAD : EMU_CLASS_SHARED_STORE;
    if (ptx_has(in, "local"))
        return EMU_CLASS_LOCAL;
    if (ptx_has(in, "const"))
        return EMU_CLASS_CONSTANT;
    return is_load ? EMU_CLASS_GLOBAL_LOAD : EMU_CLASS_GLOBAL_STORE;
}

/* Arithmetic goes by its last type: "fma.rn.f16x2", "mad.lo.s32". */
static enum emu_class arithmetic_class(const struct ptx_instruction *in)
{
    enum ptx_type type = PTX_VOID;
    for (int i = 0; i < in->modifier_count; i++) {
        enum ptx_type found = ptx_type_find(in->modifier[i]);
        type = found != PTX_VOID ? found : type;
    }
    switch (type) {
    case PTX_PRED:
        return EMU_CLASS_PREDICATE;
    case PTX_F16:
    case PTX_F16X2:
    case PTX_BF16:
    case PTX_BF16X2:
        return EMU_CLASS_HALF;
    case PTX_F64:
        return EMU_CLASS_DOUBLE;
    case PTX_F32:
    case PTX_TF32:
        return strcmp(in->root, "div") == 0 ? EMU_CLASS_SPECIAL
                                            : EMU_CLASS_FLOAT;
    case PTX_VOID:
        return EMU_CLASS_OTHER;
    default:
        return EMU_CLASS_INTEGER;
    }
}

enum emu_class emu_class_of(const struct ptx_instruction *instruction)
{
    const char *root = instruction->root;
    if (strcmp(root, "ld") == 0 || strcmp(root, "ldu") == 0)
        return memory_class(instruction, 1);
    if (strcmp(root, "st") == 0)
        return memory_class(instruction, 0);
    if (strcmp(root, "wmma") == 0) {
        if (ptx_has(instruction, "mma"))
            return EMU_CLASS_MMA;
        return memory_class(instruction, ptx_has(instruction, "load"));
    }
    /* half-precision tanh and ex2 run in the special unit too */
    for (size_t i = 0; i < sizeof plain_classes / sizeof plain_classes[0]; i++)
        if (strcmp(root, plain_classes[i].root) == 0)
            return plain_classes[i].class;
    return arithmetic_class(instruction);
}

/* -- MMA shapes ----------------------------------------------------------- */

/* "m16n8k32": 16 * 8 * 32 multiply-adds; 0 for another word. */
static uint64_t shape_size(const char *word)
{
    unsigned m, n, k;
    int end = 0;
    if (sscanf(word, "m%3un%3uk%4u%n", &m, &n, &k, &end) != 3 || word[end])
        return 0;
    return (uint64_t)m * n * k;
}

/* "m16n8k32.s32.u8.s8.s32": shape and types, without row, col, sync. */
static uint64_t shape_name(const struct ptx_instruction *in, char *text,
                           size_t size)
{
    static const char *const types[] = {
        "s32",  "u8",  "s8",  "u4",   "s4",   "b1",   "f16",  "bf16",
        "tf32", "f32", "f64", "e4m3", "e5m2", "e2m1", "e3m2", "e2m3"};
    uint64_t work = 0;
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < in->modifier_count; i++) {
        const char *word = in->modifier[i];
        uint64_t found = shape_size(word);
        int wanted = found != 0;
        work = found ? found : work;
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            wanted |= strcmp(word, types[t]) == 0;
        size_t length = strlen(word);
        if (!wanted || used + length + 2 > size)
            continue;
        if (used)
            text[used++] = '.';
        memcpy(text + used, word, length + 1);
        used += length;
    }
    return work;
}

/* The last entry collects shapes beyond the table. */
static struct emu_mma_count *find_shape(struct emu_counts *counts,
                                        const char *name, uint64_t work)
{
    for (int i = 0; i < counts->mma_shapes; i++)
        if (strcmp(counts->mma[i].name, name) == 0)
            return &counts->mma[i];
    if (counts->mma_shapes == EMU_MMA_SHAPES) {
        struct emu_mma_count *last = &counts->mma[EMU_MMA_SHAPES - 1];
        snprintf(last->name, sizeof last->name, "other");
        return last;
    }
    struct emu_mma_count *fresh = &counts->mma[counts->mma_shapes++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    fresh->multiply_adds = work;
    return fresh;
}

static void count_mma(struct emu_counts *counts,
                      const struct ptx_instruction *in, uint64_t times)
{
    char name[sizeof counts->mma[0].name];
    uint64_t work = shape_name(in, name, sizeof name);
    if (!work)
        return; /* wgmma.fence and the like */
    find_shape(counts, name, work)->count += times;
    counts->mma_multiply_adds += work * times;
}

/* -- shared memory -------------------------------------------------------- */

enum { BANKS = 32 };

struct words {
    uint32_t word[BANKS * 4 + BANKS]; /* distinct, of one group */
    uint32_t count;
    uint8_t in_bank[BANKS];
};

/* Most groups are laid out well: each bank is asked for one word, which the
** array by bank tells at once. Only a second word in a bank is searched. */
static void add_word(struct words *words, uint32_t *of_bank, uint32_t word)
{
    uint32_t bank = word % BANKS;
    if (words->in_bank[bank]) {
        if (of_bank[bank] == word)
            return;
        for (uint32_t i = 0; i < words->count; i++)
            if (words->word[i] == word)
                return;
    }
    of_bank[bank] = word;
    words->in_bank[bank]++;
    words->word[words->count++] = word;
}

/* Wavefronts of the lanes in `mask`; adds their distinct words to *distinct. */
static uint32_t group_wavefronts(const struct emu_access *access, uint32_t mask,
                                 uint32_t *distinct)
{
    struct words words;
    uint32_t of_bank[BANKS];
    uint32_t most = 0;
    words.count = 0;
    memset(words.in_bank, 0, sizeof words.in_bank);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint64_t address = access->address[__builtin_ctz(rest)];
        uint32_t first = (uint32_t)(address / 4);
        uint32_t last = (uint32_t)((address + access->bytes - 1) / 4);
        for (uint32_t word = first; word <= last; word++)
            add_word(&words, of_bank, word);
    }
    for (int bank = 0; bank < BANKS; bank++)
        most = words.in_bank[bank] > most ? words.in_bank[bank] : most;
    *distinct += words.count;
    return most;
}

static void count_shared(struct emu_counts *counts,
                         const struct emu_access *access)
{
    int lanes = access->bytes > 8 ? 8 : access->bytes > 4 ? 16 : 32;
    uint32_t group = lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
    uint32_t wavefronts = 0, distinct = 0;
    for (int first = 0; first < 32; first += lanes)
        if (access->mask & group << first)
            wavefronts += group_wavefronts(
                access, access->mask & group << first, &distinct);
    counts->shared_wavefronts += wavefronts;
    counts->shared_wavefronts_ideal += (distinct + BANKS - 1) / BANKS;
}

/* -- global memory -------------------------------------------------------- */

enum { SECTOR = 32 };

/* Addresses of the active lanes, ascending. */
static int sorted_addresses(const struct emu_access *access, uint64_t *out)
{
    int count = 0;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint64_t address = access->address[__builtin_ctz(rest)];
        int at = count++;
        while (at > 0 && out[at - 1] > address) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = address;
    }
    return count;
}

static uint64_t count_sectors(struct emu_counts *counts,
                              const struct emu_access *access)
{
    uint64_t address[32];
    uint64_t sectors = 0, bytes = 0;
    uint64_t next_sector = 0, next_byte = 0; /* first not counted yet */
    int count = sorted_addresses(access, address);
    for (int i = 0; i < count; i++) {
        uint64_t first = address[i] / SECTOR;
        uint64_t end = address[i] + access->bytes;
        uint64_t last = (end - 1) / SECTOR;
        first = first > next_sector || i == 0 ? first : next_sector;
        if (last + 1 > first) {
            sectors += last + 1 - first;
            next_sector = last + 1;
        }
        uint64_t begin =
            address[i] > next_byte || i == 0 ? address[i] : next_byte;
        if (end > begin) {
            bytes += end - begin;
            next_byte = end;
        }
    }
    counts->global_sectors += sectors;
    counts->global_sectors_ideal += (bytes + SECTOR - 1) / SECTOR;
    return sectors;
}

static void count_global(struct emu_counts *counts,
                         const struct emu_access *access, uint64_t bytes)
{
    uint64_t sectors = count_sectors(counts, access);
    if (access->kind == EMU_READ) {
        counts->global_load_bytes += bytes;
        counts->global_load_sectors += sectors;
    } else if (access->kind == EMU_WRITE) {
        counts->global_store_bytes += bytes;
        counts->global_store_sectors += sectors;
    } else {
        counts->global_atomic_bytes += bytes;
    }
}

void emu_count_access(struct emu_counts *counts,
                      const struct emu_access *access, int async)
{
    uint64_t lanes = (uint64_t)__builtin_popcount(access->mask);
    uint64_t bytes = lanes * access->bytes;
    if (bytes == 0 || access->bytes > 16)
        return;
    switch (access->space) {
    case PTX_SPACE_SHARED:
        count_shared(counts, access);
        if (access->kind == EMU_READ)
            counts->shared_load_bytes += bytes;
        else if (access->kind == EMU_WRITE)
            counts->shared_store_bytes += bytes;
        else
            counts->shared_atomic_bytes += bytes;
        if (async)
            counts->async_copies += lanes;
        break;
    case PTX_SPACE_GLOBAL:
        count_global(counts, access, bytes);
        break;
    case PTX_SPACE_LOCAL:
        counts->local_bytes += bytes;
        break;
    default:
        counts->constant_bytes += bytes;
        break;
    }
}

/* -- sums ----------------------------------------------------------------- */

void emu_count_instructions(struct emu_counts *counts,
                            const struct ptx_function *function,
                            const uint64_t *warps, const uint64_t *lanes)
{
    for (int i = 0; i < function->instruction_count; i++) {
        const struct ptx_instruction *in = &function->instructions[i];
        if (in->synthetic || !warps[i])
            continue;
        enum emu_class class = emu_class_of(in);
        counts->warp_instructions[class] += warps[i];
        counts->lane_instructions[class] += lanes[i];
        if (class == EMU_CLASS_MMA)
            count_mma(counts, in, warps[i]);
    }
}

void emu_counts_add(struct emu_counts *into, const struct emu_counts *more)
{
    for (int i = 0; i < EMU_CLASSES; i++) {
        into->warp_instructions[i] += more->warp_instructions[i];
        into->lane_instructions[i] += more->lane_instructions[i];
    }
#define X(name) into->name += more->name;
    EMU_COUNT_LIST(X)
#undef X
    for (int i = 0; i < more->mma_shapes; i++)
        find_shape(into, more->mma[i].name, more->mma[i].multiply_adds)
            ->count += more->mma[i].count;
}

uint64_t emu_counts_warp_total(const struct emu_counts *counts)
{
    uint64_t sum = 0;
    for (int i = 0; i < EMU_CLASSES; i++)
        sum += counts->warp_instructions[i];
    return sum;
}

uint64_t emu_counts_lane_total(const struct emu_counts *counts)
{
    uint64_t sum = 0;
    for (int i = 0; i < EMU_CLASSES; i++)
        sum += counts->lane_instructions[i];
    return sum;
}

uint64_t emu_counts_lane_outside_mma(const struct emu_counts *counts)
{
    return emu_counts_lane_total(counts) -
           counts->lane_instructions[EMU_CLASS_MMA];
}

const char *emu_counts_field(const struct emu_counts *counts, int index,
                             uint64_t *value)
{
    int i = 0;
#define X(name)                \
    if (i++ == index) {        \
        *value = counts->name; \
        return #name;          \
    }
    EMU_COUNT_LIST(X)
#undef X
    return NULL;
}
