/* ptx_cfg.c -- the order in which divergent fragments of a warp run.
**
** A warp that diverged is a set of fragments {pc, lanes}. The core always runs
** the fragment whose instruction has the lowest rank and merges fragments that
** stand at one instruction. So ranks must make a fragment wait at a branch's
** immediate post-dominator P until nobody is left between the branch and P:
**
**  * Without loops any topological order does that, since P is reachable from
**    everything between the branch and P.
**  * A loop must be ordered as one node of the graph around it: then whoever
**    has left it waits for those who still iterate.
**  * Inside the loop, with the edges back to its header taken away, the same
**    holds again, if whoever goes back to the header waits for the others of
**    this iteration. With one edge back, from a block that every iteration
**    ends with, they do. Otherwise all edges back are led through one added
**    block, the latch, that comes last in the loop:
**
**        header ◄────────────┐        header ◄──── latch ◄─┐
**          │  ╲              │   ►      │  ╲         ▲     │
**          ▼   `continue' ───┤          ▼   `────────┘     │
**         body ──────────────┘         body ───────────────┘
**
** The order comes from strongly connected components (Tarjan), recursively:
** components in topological order; a component is a loop, its header is the
** block that is entered from outside. A component entered in two places has no
** such order; it is ordered from its first entry, and counted in `irregular`.
*/
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/emulator/ptx_parser.h"

enum { MAX_LOOP_DEPTH = 64 };

struct edge {
    int to;                     /* block, or -1: leaves the function */
    struct ptx_operand *target; /* label to change, NULL: falls through */
};

struct block {
    int first, last; /* instructions, last is included */
    int edge, edges; /* into graph->edge */
    int set;         /* which order_set this block belongs to now */
    int index, low;  /* Tarjan */
    int component;   /* number in the current order_set, -1: on no list yet */
    int is_entry;    /* entered from outside its component */
    int header;      /* of a latch: the block it goes to; else -1 */
    int jump_to;     /* latch that the fall-through edge must reach, or -1 */
};

struct graph {
    struct ptx_parser *p;
    struct ptx_function *f;
    struct block *block;
    int blocks;
    int latches;
    size_t block_capacity;
    struct edge *edge;
    int edges;
    size_t edge_capacity;
    int *block_of; /* instruction -> block that begins there, or -1 */
    int *order;    /* result: blocks in rank order */
    size_t order_capacity;
    int ordered;
    int sets;
};

static void *scratch(struct graph *g, size_t count, size_t size)
{
    size_t bytes;
    void *memory = NULL;
    if (!tsr__size_mul(count + 1, size, &bytes))
        memory = ptx_arena_alloc(&g->p->scratch, bytes);
    if (!memory)
        ptx_fail_memory(g->p);
    return memory;
}

/* -- building the graph --------------------------------------------------- */

static int is_root(const struct ptx_instruction *in, const char *root)
{
    return strcmp(in->root, root) == 0;
}

static int is_branch(const struct ptx_instruction *in)
{
    return in->root[0] == 'b' && (is_root(in, "bra") || is_root(in, "brx"));
}

/* Control never reaches the next instruction. */
static int ends_path(const struct ptx_instruction *in)
{
    return in->guard < 0 && (is_branch(in) || is_root(in, "ret") ||
                             is_root(in, "exit") || is_root(in, "trap"));
}

/* The label operands of a branch: one, or those of the list. */
static struct ptx_operand *targets(struct ptx_instruction *in, int *count)
{
    for (int i = 0; is_branch(in) && i < in->operand_count; i++) {
        struct ptx_operand *operand = &in->operand[i];
        if (operand->kind == PTX_OPERAND_LABEL && operand->target >= 0) {
            *count = 1;
            return operand;
        }
        if (operand->kind == PTX_OPERAND_LIST) {
            *count = operand->count;
            return operand->element;
        }
    }
    *count = 0;
    return NULL;
}

/* Two brx may share a table; each gets its own, since targets may change. */
static void own_tables(struct graph *g)
{
    struct ptx_function *f = g->f;
    for (int i = 0; i < f->instruction_count; i++) {
        struct ptx_instruction *in = &f->instructions[i];
        for (int j = 0; is_branch(in) && j < in->operand_count; j++) {
            struct ptx_operand *list = &in->operand[j];
            if (list->kind != PTX_OPERAND_LIST)
                continue;
            size_t bytes = (size_t)list->count * sizeof *list->element;
            struct ptx_operand *copy = ptx_alloc(g->p, bytes);
            memcpy(copy, list->element, bytes);
            list->element = copy;
        }
    }
}

static int add_block(struct graph *g, int first, int last)
{
    g->block = ptx_grow(g->p, g->block, (size_t)g->blocks, &g->block_capacity,
                        sizeof *g->block);
    g->block[g->blocks] = (struct block){.first = first,
                                         .last = last,
                                         .edge = g->edges,
                                         .header = -1,
                                         .jump_to = -1};
    return g->blocks++;
}

static void find_blocks(struct graph *g)
{
    struct ptx_function *f = g->f;
    int n = f->instruction_count;
    g->block_of = scratch(g, (size_t)n + 1, sizeof *g->block_of);
    g->block_of[0] = 1;
    for (int i = 0; i < n; i++) {
        int count;
        struct ptx_operand *target = targets(&f->instructions[i], &count);
        for (int j = 0; j < count; j++)
            g->block_of[target[j].target] = 1;
        if (count || ends_path(&f->instructions[i]))
            g->block_of[i + 1] = 1;
    }
    for (int i = 0; i < n;) {
        int last = i;
        while (last + 1 < n && !g->block_of[last + 1])
            last++;
        int block = add_block(g, i, last);
        for (int j = i; j <= last; j++)
            g->block_of[j] = -1;
        g->block_of[i] = block;
        i = last + 1;
    }
    g->block_of[n] = -1;
}

static void add_edge(struct graph *g, int instruction,
                     struct ptx_operand *target)
{
    g->edge = ptx_grow(g->p, g->edge, (size_t)g->edges, &g->edge_capacity,
                       sizeof *g->edge);
    g->edge[g->edges++] = (struct edge){g->block_of[instruction], target};
}

static void find_edges(struct graph *g)
{
    for (int b = 0; b < g->blocks; b++) {
        struct ptx_instruction *last = &g->f->instructions[g->block[b].last];
        int count;
        struct ptx_operand *target = targets(last, &count);
        g->block[b].edge = g->edges;
        for (int i = 0; i < count; i++)
            add_edge(g, target[i].target, &target[i]);
        if (!ends_path(last))
            add_edge(g, g->block[b].last + 1, NULL);
        g->block[b].edges = g->edges - g->block[b].edge;
    }
}

/* -- strongly connected components ---------------------------------------- */

/* One order_set call: blocks of set `id`, edges to `closed` do not count. */
struct pass {
    struct graph *g;
    int id;
    int closed;
    int next_index;
    int *path; /* blocks of unfinished components */
    int path_size;
    int *call, *cursor; /* depth-first search: block, its next edge */
    int *sorted;        /* blocks by component, last component first */
    int sorted_size;
    int *start; /* component -> first of it in sorted */
    int components;
};

static int inside(const struct pass *pass, int to)
{
    return to >= 0 && to != pass->closed && pass->g->block[to].set == pass->id;
}

static void close_component(struct pass *pass, int root)
{
    struct block *block = pass->g->block;
    int b;
    pass->start[pass->components] = pass->sorted_size;
    do {
        b = pass->path[--pass->path_size];
        block[b].component = pass->components;
        pass->sorted[pass->sorted_size++] = b;
    } while (b != root);
    pass->components++;
}

static void open_block(struct pass *pass, int depth, int b)
{
    struct block *block = &pass->g->block[b];
    block->index = block->low = ++pass->next_index;
    pass->path[pass->path_size++] = b;
    pass->call[depth] = b;
    pass->cursor[depth] = 0;
}

static void search(struct pass *pass, int root)
{
    struct graph *g = pass->g;
    int depth = 0;
    open_block(pass, 0, root);
    while (depth >= 0) {
        struct block *block = &g->block[pass->call[depth]];
        if (pass->cursor[depth] < block->edges) {
            int to = g->edge[block->edge + pass->cursor[depth]++].to;
            if (!inside(pass, to))
                continue;
            if (!g->block[to].index)
                open_block(pass, ++depth, to);
            else if (g->block[to].component < 0 &&
                     g->block[to].index < block->low)
                block->low = g->block[to].index;
            continue;
        }
        if (block->low == block->index)
            close_component(pass, pass->call[depth]);
        depth--;
        if (depth >= 0 && g->block[pass->call[depth]].low > block->low)
            g->block[pass->call[depth]].low = block->low;
    }
}

static void find_components(struct pass *pass, const int *list, int count)
{
    struct graph *g = pass->g;
    size_t n = (size_t)count;
    pass->path = scratch(g, n, sizeof(int));
    pass->call = scratch(g, n, sizeof(int));
    pass->cursor = scratch(g, n, sizeof(int));
    pass->sorted = scratch(g, n, sizeof(int));
    pass->start = scratch(g, n + 1, sizeof(int));
    for (int i = 0; i < count; i++) {
        struct block *block = &g->block[list[i]];
        block->set = pass->id;
        block->index = 0;
        block->component = -1;
        block->is_entry = 0;
    }
    for (int i = 0; i < count; i++)
        if (!g->block[list[i]].index)
            search(pass, list[i]);
    pass->start[pass->components] = pass->sorted_size;
}

/* Marks the blocks that are entered from another component. */
static void find_entries(const struct pass *pass, const int *list, int count)
{
    struct graph *g = pass->g;
    for (int i = 0; i < count; i++) {
        const struct block *from = &g->block[list[i]];
        for (int e = 0; e < from->edges; e++) {
            int to = g->edge[from->edge + e].to;
            if (inside(pass, to) && g->block[to].component != from->component)
                g->block[to].is_entry = 1;
        }
    }
    g->block[list[0]].is_entry = 1;
}

/* -- loops ---------------------------------------------------------------- */

static void emit(struct graph *g, int block)
{
    g->order = ptx_grow(g->p, g->order, (size_t)g->ordered, &g->order_capacity,
                        sizeof *g->order);
    g->order[g->ordered++] = block;
}

/* The header first. Returns how many blocks are entered from outside. */
static int move_header_first(struct graph *g, int *loop, int size)
{
    int entries = 0, header = -1;
    for (int i = 0; i < size; i++) {
        if (!g->block[loop[i]].is_entry)
            continue;
        entries++;
        if (header < 0 || loop[i] < loop[header])
            header = i;
    }
    for (int i = 0; header < 0 && i < size; i++) /* unreachable */
        header = loop[i] < loop[0] ? i : header;
    if (header > 0) {
        int other = loop[0];
        loop[0] = loop[header];
        loop[header] = other;
    }
    return entries;
}

/* Do all iterations end in one block, which only goes back? */
static int has_latch(const struct graph *g, const int *loop, int size)
{
    int back = 0, other = 0;
    int component = g->block[loop[0]].component;
    int set = g->block[loop[0]].set;
    for (int i = 0; i < size; i++) {
        const struct block *from = &g->block[loop[i]];
        int goes_back = 0, stays = 0;
        for (int e = 0; e < from->edges; e++) {
            int to = g->edge[from->edge + e].to;
            if (to == loop[0])
                goes_back = 1;
            else if (to >= 0 && g->block[to].set == set &&
                     g->block[to].component == component)
                stays = 1;
        }
        back += goes_back;
        other += goes_back && stays;
    }
    return back == 1 && other == 0;
}

/* Leads every edge back through a new block. */
static void add_latch(struct graph *g, const int *loop, int size)
{
    int latch = add_block(g, -1, -1);
    g->block[latch].header = loop[0];
    g->latches++;
    for (int i = 0; i < size; i++) {
        struct block *from = &g->block[loop[i]];
        for (int e = 0; e < from->edges; e++) {
            struct edge *edge = &g->edge[from->edge + e];
            if (edge->to != loop[0])
                continue;
            edge->to = latch;
            if (!edge->target)
                from->jump_to = latch;
        }
    }
}

static void order_set(struct graph *g, const int *list, int count, int closed,
                      int depth);

static void order_loop(struct graph *g, int *loop, int size, int depth)
{
    if (move_header_first(g, loop, size) > 1)
        g->f->irregular++;
    int *inner = scratch(g, (size_t)size + 1, sizeof *inner);
    memcpy(inner, loop, (size_t)size * sizeof *inner);
    if (!has_latch(g, loop, size)) {
        add_latch(g, loop, size);
        inner[size++] = g->blocks - 1;
    }
    order_set(g, inner, size, inner[0], depth + 1);
}

/* Appends the blocks of `list`, whose first is the entry, to the order. */
static void order_set(struct graph *g, const int *list, int count, int closed,
                      int depth)
{
    struct pass pass = {.g = g, .id = ++g->sets, .closed = closed};
    find_components(&pass, list, count);
    find_entries(&pass, list, count);
    for (int c = pass.components - 1; c >= 0; c--) {
        int *loop = pass.sorted + pass.start[c];
        int size = pass.start[c + 1] - pass.start[c];
        if (size == 1) {
            emit(g, loop[0]); /* a block that goes back to itself as well */
        } else if (depth >= MAX_LOOP_DEPTH) {
            g->f->irregular++;
            for (int i = size - 1; i >= 0; i--)
                emit(g, loop[i]);
        } else {
            order_loop(g, loop, size, depth);
        }
    }
}

/* -- putting the latches in ----------------------------------------------- */

static struct ptx_instruction synthetic(struct graph *g, const char *root,
                                        int like)
{
    struct ptx_instruction in = g->f->instructions[like];
    in.opcode = in.root = root;
    in.modifier = NULL;
    in.modifier_count = 0;
    in.guard = -1;
    in.guard_negated = 0;
    in.operand = NULL;
    in.operand_count = 0;
    in.pair = 0;
    in.synthetic = 1;
    return in;
}

static struct ptx_instruction jump(struct graph *g, int like, int target)
{
    struct ptx_instruction in = synthetic(g, "bra", like);
    in.operand = ptx_alloc(g->p, sizeof *in.operand);
    in.operand_count = 1;
    in.operand->kind = PTX_OPERAND_LABEL;
    in.operand->target = target;
    return in;
}

/* Where everything comes to stand: blocks in their old order, each followed by
** a jump where its fall-through edge goes to a latch; a `ret` where the text
** ran off its end; the latches. */
static void place_blocks(struct graph *g, int *place, int *end)
{
    int originals = g->blocks - g->latches;
    int at = 0;
    for (int b = 0; b < originals; b++) {
        place[b] = at;
        at += g->block[b].last - g->block[b].first + 1;
        at += g->block[b].jump_to >= 0;
    }
    *end = at++;
    for (int b = originals; b < g->blocks; b++)
        place[b] = at++;
}

static void move_targets(struct graph *g, const int *place, int end)
{
    for (int b = 0; b < g->blocks - g->latches; b++) {
        for (int e = 0; e < g->block[b].edges; e++) {
            struct edge *edge = &g->edge[g->block[b].edge + e];
            if (edge->target)
                edge->target->target = edge->to < 0 ? end : place[edge->to];
        }
    }
}

static void insert_latches(struct graph *g)
{
    struct ptx_function *f = g->f;
    int originals = g->blocks - g->latches;
    int *place = scratch(g, (size_t)g->blocks, sizeof *place);
    int end;
    place_blocks(g, place, &end);
    size_t count = (size_t)end + 1 + (size_t)g->latches;
    struct ptx_instruction *made = ptx_alloc(g->p, count * sizeof *made);
    move_targets(g, place, end);
    for (int b = 0; b < originals; b++) {
        struct block *block = &g->block[b];
        int size = block->last - block->first + 1;
        memcpy(made + place[b], f->instructions + block->first,
               (size_t)size * sizeof *made);
        if (block->jump_to >= 0)
            made[place[b] + size] = jump(g, block->last, place[block->jump_to]);
    }
    made[end] = synthetic(g, "ret", f->instruction_count - 1);
    for (int b = originals; b < g->blocks; b++) {
        int header = g->block[b].header;
        made[place[b]] = jump(g, g->block[header].first, place[header]);
    }
    for (int b = 0; b < g->blocks; b++) {
        struct block *block = &g->block[b];
        int size = block->header >= 0 ? 1 : block->last - block->first + 1;
        size += block->jump_to >= 0;
        block->first = place[b];
        block->last = place[b] + size - 1;
    }
    f->instructions = made;
    f->instruction_count = (int)count;
    made[end].rank = f->instruction_count - 1;
}

void ptx_rank(struct ptx_parser *p, struct ptx_function *function)
{
    struct graph g = {.p = p, .f = function};
    if (function->instruction_count == 0)
        return;
    own_tables(&g);
    find_blocks(&g);
    find_edges(&g);
    int *all = scratch(&g, (size_t)g.blocks, sizeof *all);
    for (int b = 0; b < g.blocks; b++)
        all[b] = b;
    order_set(&g, all, g.blocks, -1, 0);
    if (g.latches)
        insert_latches(&g);
    int rank = 0;
    for (int i = 0; i < g.ordered; i++) {
        const struct block *block = &g.block[g.order[i]];
        for (int j = block->first; j <= block->last; j++)
            function->instructions[j].rank = rank++;
    }
}
