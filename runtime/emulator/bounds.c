/* bounds.c -- what is wrong with an address.
**
** Runs only after the core's quick test failed, so it may take its time: it
** looks at each lane, and at the allocation or variable nearest to it.
*/
#include <stdio.h>

#include "runtime/emulator/hazard_state.h"

static const char *verb(const struct emu_access *access)
{
    static const char *const verbs[] = {"reads", "writes", "updates"};
    return verbs[access->kind];
}

/* What is wrong with the bytes at `address`: a kind, or -1 for nothing. */
static int global_fault(const struct emu_hazard_setup *setup,
                        const struct emu_access *access, uint64_t address,
                        struct emu_region *region)
{
    region->name = NULL;
    if (!setup->find_region ||
        !setup->find_region(setup->context, address, region)) {
        region->name = NULL;
        return EMU_OUT_OF_BOUNDS;
    }
    uint64_t offset = address - region->base;
    if (address < region->base || offset >= region->bytes ||
        access->bytes > region->bytes - offset)
        return EMU_OUT_OF_BOUNDS;
    if (region->freed)
        return EMU_USE_AFTER_FREE;
    if (region->read_only && access->kind != EMU_READ)
        return EMU_READ_ONLY;
    return -1;
}

static int window_fault(const struct emu_hazard_setup *setup,
                        const struct emu_access *access, uint64_t offset)
{
    uint64_t bytes = access->space == PTX_SPACE_SHARED  ? setup->shared_bytes
                     : access->space == PTX_SPACE_LOCAL ? setup->local_bytes
                                                        : setup->param_bytes;
    if (offset >= bytes || access->bytes > bytes - offset)
        return EMU_OUT_OF_BOUNDS;
    if (access->space == PTX_SPACE_PARAM && access->kind != EMU_READ)
        return EMU_READ_ONLY;
    return -1;
}

static int is_window(const struct emu_access *access)
{
    return access->space == PTX_SPACE_SHARED ||
           access->space == PTX_SPACE_LOCAL || access->space == PTX_SPACE_PARAM;
}

static int lane_fault(const struct emu_hazard_setup *setup,
                      const struct emu_access *access, uint64_t address,
                      struct emu_region *region)
{
    int fault = is_window(access)
                    ? window_fault(setup, access, address)
                    : global_fault(setup, access, address, region);
    if (fault < 0 && access->bytes && address % access->bytes)
        fault = EMU_MISALIGNED;
    return fault;
}

/* -- texts ---------------------------------------------------------------- */

static void say_beyond(struct emu_hazard_block *block,
                       const struct emu_access *access, uint32_t lanes,
                       uint64_t address, const struct emu_region *region)
{
    uint64_t end = region->base + region->bytes;
    unsigned long long size = (unsigned long long)region->bytes;
    if (address < region->base)
        emu_hazard_find(block, EMU_OUT_OF_BOUNDS, access, lanes, address,
                        "%s %u bytes that begin %llu bytes before '%s' (%llu "
                        "bytes%s)",
                        verb(access), access->bytes,
                        (unsigned long long)(region->base - address),
                        region->name, size, region->freed ? ", freed" : "");
    else if (address >= end)
        emu_hazard_find(
            block, EMU_OUT_OF_BOUNDS, access, lanes, address,
            "%s %u bytes that begin %llu bytes past the end of '%s' "
            "(%llu bytes%s)",
            verb(access), access->bytes, (unsigned long long)(address - end),
            region->name, size, region->freed ? ", freed" : "");
    else
        emu_hazard_find(
            block, EMU_OUT_OF_BOUNDS, access, lanes, address,
            "%s %u bytes at '%s'+%llu, of which only the first %llu "
            "are inside (%llu bytes)",
            verb(access), access->bytes, region->name,
            (unsigned long long)(address - region->base),
            (unsigned long long)(end - address), size);
}

/* The variable of the window that ends closest below `offset`. */
static const struct emu_window_variable *nearest_variable(
    const struct emu_hazard_setup *setup, enum ptx_space space, uint64_t offset)
{
    const struct emu_window_variable *best = NULL;
    for (size_t i = 0; i < setup->variable_count; i++) {
        const struct emu_window_variable *v = &setup->variables[i];
        if (v->space == space && v->offset <= offset &&
            (!best || v->offset > best->offset))
            best = v;
    }
    return best;
}

static void say_window(struct emu_hazard_block *block,
                       const struct emu_access *access, uint32_t lanes,
                       uint64_t offset)
{
    static const char *const spaces[] = {"global", "const", "shared", "local",
                                         "parameter"};
    const struct emu_hazard_setup *setup = &block->worker->owner->setup;
    uint64_t bytes = access->space == PTX_SPACE_SHARED  ? setup->shared_bytes
                     : access->space == PTX_SPACE_LOCAL ? setup->local_bytes
                                                        : setup->param_bytes;
    const struct emu_window_variable *v =
        nearest_variable(setup, access->space, offset);
    char near[256] = "";
    if (v && offset < bytes + (1u << 20))
        snprintf(near, sizeof near, ", %llu bytes past the start of '%s'",
                 (unsigned long long)(offset - v->offset), v->name);
    emu_hazard_find(block, EMU_OUT_OF_BOUNDS, access, lanes, offset,
                    "%s %u bytes at %s offset 0x%llx%s; the %s memory has %llu "
                    "bytes",
                    verb(access), access->bytes, spaces[access->space],
                    (unsigned long long)offset, near, spaces[access->space],
                    (unsigned long long)bytes);
}

static void say_out_of_bounds(struct emu_hazard_block *block,
                              const struct emu_access *access, uint32_t lanes,
                              uint64_t address, const struct emu_region *region)
{
    if (is_window(access))
        say_window(block, access, lanes, address);
    else if (region->name)
        say_beyond(block, access, lanes, address, region);
    else
        emu_hazard_find(block, EMU_OUT_OF_BOUNDS, access, lanes, address,
                        "%s %u bytes at 0x%llx; nothing is allocated",
                        verb(access), access->bytes,
                        (unsigned long long)address);
}

static void say_in_region(struct emu_hazard_block *block,
                          enum emu_finding_kind kind,
                          const struct emu_access *access, uint32_t lanes,
                          uint64_t address, const struct emu_region *region)
{
    char place[256];
    if (is_window(access))
        emu_hazard_place(block, access->space, address, place, sizeof place);
    else
        snprintf(place, sizeof place, "'%s'+%llu", region->name,
                 (unsigned long long)(address - region->base));
    if (kind == EMU_MISALIGNED)
        emu_hazard_find(block, kind, access, lanes, address,
                        "%s %u bytes at %s, address 0x%llx, which is not a "
                        "multiple of %u",
                        verb(access), access->bytes, place,
                        (unsigned long long)address, access->bytes);
    else
        emu_hazard_find(block, kind, access, lanes, address,
                        "%s %u bytes at %s, %s", verb(access), access->bytes,
                        place,
                        kind == EMU_USE_AFTER_FREE ? "which was freed"
                                                   : "which is read-only");
}

static void say(struct emu_hazard_block *block, enum emu_finding_kind kind,
                const struct emu_access *access, uint32_t lanes,
                uint64_t address, const struct emu_region *region)
{
    if (kind == EMU_OUT_OF_BOUNDS)
        say_out_of_bounds(block, access, lanes, address, region);
    else
        say_in_region(block, kind, access, lanes, address, region);
}

/* One finding for each kind of fault among the lanes. */
uint32_t emu_hazard_bad_access(struct emu_hazard_block *block,
                               const struct emu_access *access)
{
    const struct emu_hazard_setup *setup = &block->worker->owner->setup;
    struct emu_region first[EMU_FINDING_KINDS] = {0};
    uint32_t lanes[EMU_FINDING_KINDS] = {0};
    uint32_t bad = 0;
    for (uint32_t lane = 0; lane < 32; lane++) {
        if (!(access->mask >> lane & 1))
            continue;
        struct emu_region region = {0};
        int fault = lane_fault(setup, access, access->address[lane], &region);
        if (fault < 0)
            continue;
        if (!lanes[fault])
            first[fault] = region;
        lanes[fault] |= 1u << lane;
        bad |= 1u << lane;
    }
    for (int kind = 0; kind < EMU_FINDING_KINDS; kind++)
        if (lanes[kind])
            say(block, (enum emu_finding_kind)kind, access, lanes[kind],
                access->address[__builtin_ctz(lanes[kind])], &first[kind]);
    return bad;
}
