/* exec.c -- the loop that runs a warp.
**
** A warp's live lanes are spread over fragments {frame, pc, mask}. The loop
** takes the fragment that comes first, runs it until it reaches the place
** where the next one stands, merges when they meet, and picks again. "First"
** is the rank of the operation, which ptx_cfg.c gives out so that lanes meet
** at the post-dominator of the branch that split them; over calls, the ranks
** of the call sites decide, outermost first.
*/
#include "runtime/emulator/exec.h"

#include <string.h>

#include "runtime/emulator/reach.h"

#define NEVER UINT32_MAX

/* The rank at which `frame`'s ancestor at `depth` stands: its call site. */
static uint32_t rank_at(const struct emu_fragment *f, uint32_t depth,
                        const struct emu_frame **at)
{
    const struct emu_frame *frame = f->frame;
    uint32_t pc = f->pc;
    while (frame->depth > depth) {
        pc = frame->call;
        frame = frame->parent;
    }
    *at = frame;
    return frame->code->op[pc].rank;
}

/* Negative when `a` comes before `b`. */
static int compare(const struct emu_fragment *a, const struct emu_fragment *b)
{
    uint32_t depth =
        a->frame->depth < b->frame->depth ? a->frame->depth : b->frame->depth;
    for (uint32_t d = 0; d <= depth; d++) {
        const struct emu_frame *at;
        uint32_t p = rank_at(a, d, &at), q = rank_at(b, d, &at);
        if (p != q)
            return p < q ? -1 : 1;
    }
    /* Same place so far: the one inside the call finishes it first. */
    if (a->frame->depth != b->frame->depth)
        return a->frame->depth > b->frame->depth ? -1 : 1;
    return 0;
}

static int first_in_state(const struct emu_warp *warp, uint8_t state)
{
    int best = -1;
    for (uint32_t i = 0; i < warp->fragment_count; i++) {
        const struct emu_fragment *f = &warp->fragment[i];
        if (f->state != state)
            continue;
        if (best < 0 || compare(f, &warp->fragment[best]) < 0)
            best = (int)i;
    }
    return best;
}

int emu_warp_first(const struct emu_warp *warp)
{
    int first = first_in_state(warp, EMU_RUNNABLE);
    return first >= 0 ? first : first_in_state(warp, EMU_PARKED);
}

static void remove_fragment(struct emu_warp *warp, uint32_t at)
{
    warp->fragment[at] = warp->fragment[--warp->fragment_count];
}

/* Puts lanes down at a place, with those that stand there already. */
static void put(struct emu_warp *warp, struct emu_frame *frame, uint32_t pc,
                uint32_t mask)
{
    for (uint32_t i = 0; i < warp->fragment_count; i++) {
        struct emu_fragment *f = &warp->fragment[i];
        if (f->state == EMU_RUNNABLE && f->frame == frame && f->pc == pc) {
            f->mask |= mask;
            return;
        }
    }
    warp->fragment[warp->fragment_count++] =
        (struct emu_fragment){.frame = frame, .pc = pc, .mask = mask};
}

/* The lowest rank in `frame` at which another fragment has a say. */
static uint32_t next_stop(const struct emu_warp *warp,
                          const struct emu_frame *frame)
{
    uint32_t stop = NEVER;
    for (uint32_t i = 0; i < warp->fragment_count; i++) {
        const struct emu_fragment *f = &warp->fragment[i];
        const struct emu_frame *at;
        if (f->state != EMU_RUNNABLE || f->frame->depth < frame->depth)
            continue;
        uint32_t rank = rank_at(f, frame->depth, &at);
        if (at == frame && rank < stop)
            stop = rank;
    }
    return stop;
}

/* -- operations that move the program counter ----------------------------- */

static void exit_lanes(struct emu_warp *warp, const struct emu_op *op,
                       uint32_t mask)
{
    struct emu_block *block = warp->block;
    warp->live &= ~mask;
    block->progress++;
    if (block->checks)
        emu_hazard_exit(block->hazards, emu_source(warp, op), warp->id, mask,
                        emu_async_pending(&warp->async, mask));
}

/* Frames that no fragment stands in any more. */
static void leave_frames(struct emu_warp *warp, struct emu_frame *frame)
{
    while (frame != warp->bottom) {
        struct emu_frame *parent = frame->parent;
        for (uint32_t i = 0; i < warp->fragment_count; i++) {
            const struct emu_frame *f = warp->fragment[i].frame;
            for (; f; f = f->parent)
                if (f == frame)
                    return;
        }
        emu_frame_leave(warp, frame);
        frame = parent;
    }
}

/* Copies the bytes of parameters between a caller's and a callee's locals. */
static void copy_locals(struct emu_warp *warp, uint32_t to, uint32_t from,
                        uint32_t bytes, uint32_t mask)
{
    uint32_t size = warp->block->local_bytes;
    if (to > size || from > size || bytes > size - to || bytes > size - from)
        return;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1)
            memmove(emu_local(warp, i) + to, emu_local(warp, i) + from, bytes);
    if (!warp->block->checks || !bytes)
        return;
    uint64_t address[32];
    EMU_LANES address[i] = to;
    struct emu_access access = {
        .space = PTX_SPACE_LOCAL,
        .kind = EMU_WRITE,
        .warp = warp->id,
        .mask = mask,
        .bytes = bytes,
        .address = address,
    };
    emu_hazard_local(warp->block->hazards, &access);
}

/* list of a call: count of arguments, then {from, to, bytes} each; count of
** results, then the same. Offsets are within the two frames' locals. */
static const uint32_t *pass(struct emu_warp *warp, const uint32_t *list,
                            uint32_t from, uint32_t to, uint32_t mask)
{
    uint32_t count = *list++;
    for (uint32_t i = 0; i < count; i++, list += 3)
        copy_locals(warp, to + list[1], from + list[0], list[2], mask);
    return list;
}

static struct emu_frame *call(struct emu_warp *warp, struct emu_frame *frame,
                              const struct emu_op *op, uint32_t mask)
{
    const struct emu_code *callee = &warp->block->run->codes[op->target];
    uint32_t base = frame->local_base + frame->code->local_bytes;
    if (frame->depth + 1 >= EMU_CALL_DEPTH ||
        base + callee->local_bytes > warp->block->local_bytes) {
        emu_fault(warp, op, EMU_INVALID, mask, 0,
                  "stack overflow: calls nest %u deep", frame->depth + 1);
        emu_block_stop(warp->block);
        return NULL;
    }
    struct emu_frame *inner = emu_frame_enter(
        warp, callee, frame, (uint32_t)(op - frame->code->op), base);
    if (!inner) {
        warp->block->worker->failed = 1;
        emu_block_stop(warp->block);
        return NULL;
    }
    pass(warp, op->list, frame->local_base, base, mask);
    return inner;
}

/* Results go back; returns the caller's frame. */
static struct emu_frame *give_back(struct emu_warp *warp,
                                   struct emu_frame *frame, uint32_t mask)
{
    struct emu_frame *parent = frame->parent;
    const struct emu_op *site = &parent->code->op[frame->call];
    const uint32_t *list = site->list;
    list += 1 + 3 * list[0];
    pass(warp, list, frame->local_base, parent->local_base, mask);
    return parent;
}

static void trap(struct emu_warp *warp, const struct emu_op *op, uint32_t mask)
{
    if (op->x) /* brkpt: nobody is there to look */
        return;
    emu_fault(warp, op, EMU_TRAP, mask, 0, "the kernel executed trap");
    emu_block_stop(warp->block);
}

/* -- the loop ------------------------------------------------------------- */

/* State of the running fragment, kept in registers by inlining. */
struct cursor {
    struct emu_frame *frame;
    unsigned char *r;
    const struct emu_op *code;
    uint32_t pc, mask, stop;
    int forced;
    uint32_t waited; /* lanes it waited for when it was parked */
};

static int take_first(struct emu_warp *warp, struct cursor *c)
{
    int first = emu_warp_first(warp);
    if (first < 0)
        return 0;
    struct emu_fragment *f = &warp->fragment[first];
    c->frame = warp->frame = f->frame;
    c->r = f->frame->r;
    c->code = f->frame->code->op;
    c->pc = f->pc;
    c->mask = f->mask;
    c->forced = f->state == EMU_PARKED;
    c->waited = c->forced ? f->members : 0;
    remove_fragment(warp, (uint32_t)first);
    c->stop = warp->fragment_count ? next_stop(warp, c->frame) : NEVER;
    return 1;
}

enum step { GO_ON, PICK_AGAIN, BLOCK_STOPPED };

/* Lanes in `taken` go to the target, the rest go on. */
static enum step branch(struct emu_warp *warp, struct cursor *c,
                        const struct emu_op *op, uint32_t taken)
{
    if (taken == c->mask) {
        c->pc = op->target;
        return GO_ON;
    }
    put(warp, c->frame, c->pc, c->mask & ~taken);
    put(warp, c->frame, op->target, taken);
    return PICK_AGAIN;
}

static enum step leave(struct emu_warp *warp, struct cursor *c,
                       const struct emu_op *op, uint32_t m)
{
    int returns = op->control == EMU_DO_RETURN && c->frame != warp->bottom;
    struct emu_frame *frame = c->frame;
    if (c->mask != m)
        put(warp, frame, c->pc, c->mask & ~m);
    if (returns) {
        struct emu_frame *parent = give_back(warp, frame, m);
        put(warp, parent, frame->call + 1, m);
    } else {
        exit_lanes(warp, op, m);
    }
    leave_frames(warp, frame);
    if (!returns) {
        emu_warp_barrier(warp);
        emu_barrier_exits(warp->block);
    }
    return PICK_AGAIN;
}

static enum step wait_at_barrier(struct emu_warp *warp, struct cursor *c,
                                 const struct emu_op *op, uint32_t m)
{
    struct emu_fragment f = {.frame = c->frame, .pc = c->pc, .mask = m};
    int waits = 0;
    if (c->mask != m)
        put(warp, c->frame, c->pc, c->mask & ~m);
    /* It stands among the fragments before it arrives, since arriving may
    ** release it at once. */
    f.state = EMU_AT_BARRIER;
    f.barrier = 0;
    warp->fragment[warp->fragment_count++] = f;
    emu_barrier_arrive(warp, &warp->fragment[warp->fragment_count - 1], op, m,
                       &waits);
    return warp->block->stopped ? BLOCK_STOPPED : PICK_AGAIN;
}

static enum step wait_for_lanes(struct emu_warp *warp, struct cursor *c,
                                const struct emu_op *op, uint32_t m)
{
    const unsigned char *r = c->r;
    uint32_t members = EMU_AT(const lane_u32, op->a)[__builtin_ctz(m)];
    if (m & ~members)
        emu_fault(warp, op, EMU_DIVERGENT_SYNC, m, 0,
                  "bar.warp.sync by lanes 0x%08x that its mask 0x%08x does "
                  "not name",
                  m & ~members, members);
    if ((members & warp->live & ~m) == 0) { /* all here */
        if (warp->block->checks)
            emu_hazard_warp_sync(warp->block->hazards, warp->id, m);
        return GO_ON;
    }
    if (c->mask != m)
        put(warp, c->frame, c->pc, c->mask & ~m);
    warp->fragment[warp->fragment_count++] =
        (struct emu_fragment){.frame = c->frame,
                              .pc = c->pc,
                              .mask = m,
                              .members = members,
                              .state = EMU_AT_WARP_BARRIER};
    emu_warp_barrier(warp);
    return PICK_AGAIN;
}

/* Lanes that are parked where the cursor stands come along. */
static uint32_t absorb(struct emu_warp *warp, struct cursor *c)
{
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < warp->fragment_count;) {
        const struct emu_fragment *f = &warp->fragment[i];
        if (f->state == EMU_PARKED && f->frame == c->frame &&
            f->pc == c->pc - 1) {
            lanes |= f->mask;
            c->waited |= f->members;
            remove_fragment(warp, i);
        } else {
            i++;
        }
    }
    c->mask |= lanes;
    return lanes;
}

/* Lanes whose very next step is to leave the kernel. */
static uint32_t leaving(const struct emu_warp *warp)
{
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < warp->fragment_count; i++) {
        const struct emu_fragment *f = &warp->fragment[i];
        const struct emu_code *code = f->frame->code;
        uint32_t pc = f->pc;
        for (int k = 0; k < 4 && code->op[pc].control == EMU_DO_BRANCH &&
                        code->source[pc]->guard < 0;
             k++)
            pc = code->op[pc].target;
        uint8_t control = code->op[pc].control;
        int leaves = control == EMU_DO_EXIT ||
                     (control == EMU_DO_RETURN && f->frame == warp->bottom);
        int always = !code->source[pc] || code->source[pc]->guard < 0 ||
                     code->op[pc].flags & EMU_HIDDEN;
        if (f->state == EMU_RUNNABLE && leaves && always)
            lanes |= f->mask;
    }
    return lanes;
}

/* A warp-synchronous operation. Lanes it names that can still come are waited
** for: loops with `continue' have no order in which all meet by themselves.
** When nobody else can run, it goes on without them, and that is a finding of
** the handler's. Lanes that exit instead of coming need not be waited for;
** but if they did anything else before they left, they ran past it. */
static enum step together(struct emu_warp *warp, struct cursor *c,
                          const struct emu_op *op, uint32_t m)
{
    unsigned char *r = c->r;
    uint32_t members = EMU_AT(const lane_u32, op->target)[__builtin_ctz(m)];
    m |= absorb(warp, c);
    if (members & warp->live & ~m && !c->forced) {
        if (c->mask != m)
            put(warp, c->frame, c->pc, c->mask & ~m);
        warp->fragment[warp->fragment_count++] = (struct emu_fragment){
            .frame = c->frame,
            .pc = c->pc - 1,
            .mask = m,
            .members = (members & warp->live & ~m & ~leaving(warp)) | c->waited,
            .state = EMU_PARKED};
        c->waited = 0;
        return PICK_AGAIN;
    }
    uint32_t lost = c->waited & members & ~warp->live & ~m;
    if (lost)
        emu_fault(warp, op, EMU_DIVERGENT_SYNC, lost, 0,
                  "%s waits for lanes 0x%08x, which go round it and exit",
                  emu_source(warp, op)->root, lost);
    c->forced = 0;
    c->waited = 0;
    op->run(warp, r, op, m);
    return GO_ON;
}

static enum step control(struct emu_warp *warp, struct cursor *c,
                         const struct emu_op *op, uint32_t m)
{
    switch (op->control) {
    case EMU_DO_BRANCH:
        return branch(warp, c, op, m);
    case EMU_DO_CALL: {
        struct emu_frame *inner = call(warp, c->frame, op, m);
        if (!inner)
            return BLOCK_STOPPED;
        if (c->mask != m)
            put(warp, c->frame, c->pc, c->mask & ~m);
        put(warp, inner, 0, m);
        return PICK_AGAIN;
    }
    case EMU_DO_RETURN:
    case EMU_DO_EXIT:
        return leave(warp, c, op, m);
    case EMU_DO_BARRIER:
        return wait_at_barrier(warp, c, op, m);
    case EMU_DO_WARP_BARRIER:
        return wait_for_lanes(warp, c, op, m);
    case EMU_DO_TRAP:
        trap(warp, op, m);
        return warp->block->stopped ? BLOCK_STOPPED : GO_ON;
    case EMU_DO_TOGETHER:
        return together(warp, c, op, m);
    default: /* EMU_DO_YIELD is the caller's */
        return GO_ON;
    }
}

static void count(struct emu_warp *warp, const struct emu_frame *frame,
                  uint32_t pc, uint32_t m)
{
    const struct emu_run *run = warp->block->run;
    size_t code = (size_t)(frame->code - run->codes);
    const struct ptx_instruction *source = frame->code->source[pc];
    if (!source || frame->code->op[pc].flags & EMU_HIDDEN)
        return;
    size_t at = run->count_base[code] +
                (size_t)(source - frame->code->function->instructions);
    warp->block->worker->executions[at]++;
    warp->block->worker->lanes[at] += (uint32_t)__builtin_popcount(m);
}

static inline __attribute__((always_inline)) enum emu_pause run(
    struct emu_warp *warp, uint64_t *turn, int counting)
{
    struct cursor c;
    uint64_t left = *turn;
    enum emu_pause pause = EMU_PAUSE_TURN;
    while (take_first(warp, &c)) {
        for (;;) {
            const struct emu_op *op = &c.code[c.pc];
            if (__builtin_expect(op->rank >= c.stop, 0)) {
                put(warp, c.frame, c.pc, c.mask);
                break;
            }
            if (__builtin_expect(left == 0, 0)) {
                put(warp, c.frame, c.pc, c.mask);
                goto done;
            }
            left--;
            const unsigned char *r = c.r;
            uint32_t guard = *EMU_AT(const lane_u32, op->guard);
            uint32_t m = c.mask & (guard ^ (uint32_t)(int32_t)op->flip);
            if (counting)
                count(warp, c.frame, c.pc, m);
            c.pc++;
            if (m == 0)
                continue;
            if (__builtin_expect(op->control == EMU_DO_PLAIN, 1) ||
                (op->control == EMU_DO_TOGETHER && m == EMU_ALL)) {
                op->run(warp, c.r, op, m);
                continue;
            }
            if (op->control == EMU_DO_YIELD) {
                put(warp, c.frame, c.pc, c.mask);
                goto done;
            }
            enum step step = control(warp, &c, op, m);
            if (step == GO_ON)
                continue;
            if (step == BLOCK_STOPPED)
                goto done;
            break;
        }
    }
    pause = warp->live ? EMU_PAUSE_BLOCKED : EMU_PAUSE_DONE;
done:
    *turn = left;
    return pause;
}

enum emu_pause emu_warp_run(struct emu_warp *warp, uint64_t *turn)
{
    if (warp->block->counts)
        return run(warp, turn, 1);
    return run(warp, turn, 0);
}
