/* frame.c -- registers of one activation of a function, and what fills them. */
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/emulator/exec.h"
#include "runtime/emulator/lanes.h"
#include "runtime/emulator/special.h"

/* Slots are read as whole vectors. */
#define FRAME_ALIGN 64

static uint32_t thread_index(const struct emu_warp *warp, int lane, int axis)
{
    const uint32_t *ntid = warp->block->run->launch->block;
    uint32_t linear = warp->id * 32 + (uint32_t)lane;
    if (axis == 0)
        return linear % ntid[0];
    linear /= ntid[0];
    return axis == 1 ? linear % ntid[1] : linear / ntid[1];
}

static uint64_t special_value(const struct emu_warp *warp,
                              const struct emu_frame *frame,
                              const struct emu_fill *fill, int lane)
{
    const struct emu_block *block = warp->block;
    const struct emu_launch *launch = block->run->launch;
    uint32_t bit = UINT32_C(1) << lane;
    switch (fill->special) {
    case EMU_SPECIAL_TID_X:
    case EMU_SPECIAL_TID_Y:
    case EMU_SPECIAL_TID_Z:
        return thread_index(warp, lane, fill->special - EMU_SPECIAL_TID_X);
    case EMU_SPECIAL_NTID_X:
    case EMU_SPECIAL_NTID_Y:
    case EMU_SPECIAL_NTID_Z:
        return launch->block[fill->special - EMU_SPECIAL_NTID_X];
    case EMU_SPECIAL_CTAID_X:
    case EMU_SPECIAL_CTAID_Y:
    case EMU_SPECIAL_CTAID_Z:
        return block->ctaid[fill->special - EMU_SPECIAL_CTAID_X];
    case EMU_SPECIAL_NCTAID_X:
    case EMU_SPECIAL_NCTAID_Y:
    case EMU_SPECIAL_NCTAID_Z:
        return launch->grid[fill->special - EMU_SPECIAL_NCTAID_X];
    case EMU_SPECIAL_LANEID:
        return (uint32_t)lane;
    case EMU_SPECIAL_WARPID:
        return warp->id;
    case EMU_SPECIAL_NWARPID:
        return block->warp_count;
    case EMU_SPECIAL_SMID:
        return 0;
    case EMU_SPECIAL_NSMID:
        return 1;
    case EMU_SPECIAL_GRIDID:
        return 1;
    case EMU_SPECIAL_LANEMASK_EQ:
        return bit;
    case EMU_SPECIAL_LANEMASK_LE:
        return bit | (bit - 1);
    case EMU_SPECIAL_LANEMASK_LT:
        return bit - 1;
    case EMU_SPECIAL_LANEMASK_GE:
        return ~(bit - 1);
    case EMU_SPECIAL_LANEMASK_GT:
        return ~(bit | (bit - 1));
    case EMU_SPECIAL_DYNAMIC_SMEM_SIZE:
        return launch->shared;
    case EMU_SPECIAL_TOTAL_SMEM_SIZE:
        return block->shared_bytes;
    default: /* EMU_SPECIAL_LOCAL */
        return (uint64_t)frame->local_base + fill->value;
    }
}

void emu_frame_fill(struct emu_warp *warp, struct emu_frame *frame)
{
    const struct emu_code *code = frame->code;
    unsigned char *r = frame->r;
    for (uint32_t k = 0; k < code->fill_count; k++) {
        const struct emu_fill *fill = &code->fill[k];
        for (int i = 0; i < 32; i++) {
            uint64_t v = special_value(warp, frame, fill, i);
            if (fill->wide)
                EMU_AT(lane_u64, fill->offset)[i] = v;
            else
                EMU_AT(lane_u32, fill->offset)[i] = (uint32_t)v;
        }
    }
    /* Registers that may be read before they are written are zero, so that
    ** even a faulty kernel gives the same result on any number of threads. */
    for (uint32_t k = 0; k + 1 < 2 * code->blank_count; k += 2)
        memset(r + code->blank[k], 0, code->blank[k + 1]);
}

struct emu_frame *emu_frame_enter(struct emu_warp *warp,
                                  const struct emu_code *code,
                                  struct emu_frame *parent, uint32_t call,
                                  uint32_t local_base)
{
    size_t head = (sizeof(struct emu_frame) + FRAME_ALIGN - 1) / FRAME_ALIGN *
                  FRAME_ALIGN;
    struct emu_frame *frame =
        tsr__malloc(head + code->frame_bytes + FRAME_ALIGN);
    if (!frame)
        return NULL;
    uintptr_t start = (uintptr_t)frame + head;
    start = (start + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
    *frame = (struct emu_frame){
        .r = (unsigned char *)start,
        .code = code,
        .parent = parent,
        .call = call,
        .local_base = local_base,
        .depth = parent ? parent->depth + 1 : 0,
    };
    if (parent) {
        frame->next = warp->calls;
        warp->calls = frame;
    }
    memset(frame->r, 0, code->frame_bytes);
    memcpy(frame->r, code->image, code->image_bytes);
    emu_frame_fill(warp, frame);
    return frame;
}

void emu_frame_leave(struct emu_warp *warp, struct emu_frame *frame)
{
    struct emu_frame **at = &warp->calls;
    while (*at && *at != frame)
        at = &(*at)->next;
    if (*at)
        *at = frame->next;
    tsr__free(frame);
}

void emu_frame_leave_calls(struct emu_warp *warp)
{
    while (warp->calls)
        emu_frame_leave(warp, warp->calls);
}
