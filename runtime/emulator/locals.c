/* locals.c -- which bytes of their local memory the threads have written.
**
** One word per warp and byte of the window, a bit for each lane: the lanes of
** a warp mostly use the same offsets. A read is at fault when none of its
** bytes was written: compilers copy structures with their padding, so a read
** of some unwritten bytes is ordinary.
*/
#include "runtime/base/checked.h"
#include "runtime/base/memory.h"
#include "runtime/emulator/hazard_state.h"

/* Made at the first access, since few kernels use local memory. */
static uint32_t *local_bits(struct emu_hazard_block *block, uint32_t warp)
{
    const struct emu_hazards *owner = block->worker->owner;
    size_t bytes = owner->setup.local_bytes;
    size_t words;
    if (!block->local) {
        if (tsr__size_mul(bytes, owner->warps, &words) ||
            !(block->local = tsr__calloc(words, sizeof *block->local))) {
            block->worker->findings.failed = 1;
            return NULL;
        }
        block->local_words = words;
    }
    return block->local + bytes * warp;
}

void emu_hazard_local(struct emu_hazard_block *block,
                      const struct emu_access *access)
{
    uint32_t *bits = local_bits(block, access->warp);
    uint32_t unwritten = 0;
    if (!bits)
        return;
    for (uint32_t rest = access->mask; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        uint32_t written = 0;
        for (uint32_t i = 0; i < access->bytes; i++) {
            uint32_t *byte = &bits[access->address[lane] + i];
            written |= *byte;
            if (access->kind != EMU_READ)
                *byte |= 1u << lane;
        }
        if (!(written >> lane & 1))
            unwritten |= 1u << lane;
    }
    if (!unwritten || access->kind == EMU_WRITE)
        return;
    uint64_t offset = access->address[__builtin_ctz(unwritten)];
    char place[160];
    emu_hazard_place(block, PTX_SPACE_LOCAL, offset, place, sizeof place);
    emu_hazard_find(
        block, EMU_UNINITIALIZED_LOCAL, access, unwritten, offset,
        "reads %u bytes at %s, none of which the thread has written",
        access->bytes, place);
}
