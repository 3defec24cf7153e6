/* race_shadow.c -- the shadow of a block's shared memory: size, life.
**
** The time runs on from block to block, so that the shadow need not be
** cleared: an entry older than the block is as good as none.
*/
#include <stdint.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

/* -- granule -------------------------------------------------------------- */

static uint32_t access_bytes(const struct ptx_instruction *in)
{
    int bytes = 0, vector = 1;
    if (strncmp(in->root, "ldmatrix", 8) == 0 ||
        strncmp(in->root, "stmatrix", 8) == 0)
        return 16;
    for (int i = 0; i < in->modifier_count; i++) {
        const char *m = in->modifier[i];
        enum ptx_type type = ptx_type_find(m);
        if (type != PTX_VOID)
            bytes = ptx_type_bytes(type);
        else if (m[0] == 'v' && m[1] >= '2' && m[1] <= '8' && !m[2])
            vector = m[1] - '0';
    }
    return bytes ? (uint32_t)(bytes * vector) : 1;
}

/* Bytes of a copy: the operand behind the two addresses. */
static uint32_t copy_bytes(const struct ptx_instruction *in)
{
    if (in->operand_count < 3 || in->operand[2].kind != PTX_OPERAND_IMMEDIATE)
        return 1;
    return (uint32_t)in->operand[2].bits;
}

/* The bytes of an access that may reach shared memory, 0 for none. */
static uint32_t shared_bytes_of(const struct ptx_instruction *in)
{
    static const char *const roots[] = {
        "ld", "st", "atom", "red", "cp", "ldmatrix", "stmatrix", "ldu", "wmma"};
    static const char *const elsewhere[] = {"global", "local", "const",
                                            "param"};
    int found = 0;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        found |= strcmp(in->root, roots[i]) == 0;
    if (!found)
        return 0;
    if (strcmp(in->root, "cp") == 0)
        return in->operand_count >= 3 ? copy_bytes(in) : 0;
    if (strcmp(in->root, "wmma") == 0)
        return 1;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (ptx_has(in, elsewhere[i]))
            return 0;
    return access_bytes(in);
}

uint32_t emu_hazard_granule_shift(const struct ptx_module *module)
{
    uint32_t all = 16;
    for (int f = 0; f < module->function_count; f++) {
        const struct ptx_function *function = &module->functions[f];
        for (int i = 0; i < function->instruction_count; i++)
            all |= shared_bytes_of(&function->instructions[i]);
    }
    return (uint32_t)__builtin_ctz(all);
}

/* -- begin and end -------------------------------------------------------- */

static int allocate(struct hazard_races *races, size_t granules)
{
    races->write = tsr__calloc(granules, sizeof *races->write);
    races->granules = granules;
    races->now = 1;
    return races->write ? 0 : -1;
}

static void forget(struct hazard_races *races)
{
    memset(races->write, 0, races->granules * sizeof *races->write);
    for (int w = 0; w < HAZARD_WARPS; w++)
        if (races->read[w])
            memset(races->read[w], 0, races->granules * sizeof *races->read[w]);
    races->now = 1;
    races->pending = 0;
}

int emu_hazard_races_begin(struct hazard_races *races, size_t shared_bytes,
                           uint32_t shift, uint32_t warps)
{
    size_t granules = (shared_bytes >> shift) + 2;
    if (races->granules < granules) {
        emu_hazard_races_release(races);
        if (allocate(races, granules))
            return -1;
    } else if (races->pending || races->now > HAZARD_PENDING / 2) {
        forget(races);
    }
    races->start = ++races->now;
    races->warps = warps;
    races->shift = shift;
    races->exited = 0;
    races->fenced = 0;
    races->sync_used = 0;
    memset(races->exited_lanes, 0, sizeof races->exited_lanes);
    memset(races->barrier, 0, sizeof races->barrier);
    for (uint32_t w = 0; w < HAZARD_WARPS; w++) {
        for (uint32_t v = 0; v < HAZARD_WARPS; v++)
            races->clock[w].seen[v] = races->start - 1;
        races->ordered[w] = races->start - 1;
        races->together[w] = races->start - 1;
        races->last_read[w] = 0;
        races->read_low[w] = SIZE_MAX;
        races->read_high[w] = 0;
    }
    return 0;
}

void emu_hazard_races_release(struct hazard_races *races)
{
    tsr__free(races->write);
    for (int w = 0; w < HAZARD_WARPS; w++)
        tsr__free(races->read[w]);
    memset(races, 0, sizeof *races);
}

int emu_hazard_races_reader(struct hazard_races *races, uint32_t warp)
{
    if (!races->read[warp])
        races->read[warp] =
            tsr__calloc(races->granules, sizeof *races->read[warp]);
    return races->read[warp] ? 0 : -1;
}
