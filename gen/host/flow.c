/* flow.c -- the natural loops of a control-flow graph.
**
** Nodes are instructions 0 .. count-1 and a root, `count`, from which every
** entry is reached. Arrays are indexed by node; `order` is reverse postorder.
*/
#include "gen/host/flow.h"

#include <string.h>

#include "runtime/base/memory.h"

struct flow {
    const struct gen_flow_edge *edges;
    size_t count;
    int32_t *order;     /* place -> node */
    int32_t *place;     /* node -> place in order */
    int32_t *dominator; /* immediate, as a place */
    int32_t *first;     /* node -> its first entry in `sources` */
    int32_t *sources;   /* predecessors of all nodes, one after the other */
    int32_t *stack;
    unsigned char *mark;
    size_t ordered;
};

static void *array(size_t count, size_t size)
{
    return tsr__calloc(count + 2, size);
}

static int flow_init(struct flow *flow, const struct gen_flow_edge *edges,
                     size_t count)
{
    memset(flow, 0, sizeof *flow);
    flow->edges = edges;
    flow->count = count;
    flow->order = array(count, sizeof(int32_t));
    flow->place = array(count, sizeof(int32_t));
    flow->dominator = array(count, sizeof(int32_t));
    flow->first = array(count, sizeof(int32_t));
    flow->sources = array(count * 3, sizeof(int32_t));
    flow->stack = array(count, sizeof(int32_t));
    flow->mark = array(count, 1);
    return flow->order && flow->place && flow->dominator && flow->first &&
                   flow->sources && flow->stack && flow->mark
               ? 0
               : -1;
}

static void flow_release(struct flow *flow)
{
    tsr__free(flow->order);
    tsr__free(flow->place);
    tsr__free(flow->dominator);
    tsr__free(flow->first);
    tsr__free(flow->sources);
    tsr__free(flow->stack);
    tsr__free(flow->mark);
}

static int is_node(const struct flow *flow, int32_t node)
{
    return node >= 0 && (size_t)node < flow->count;
}

/* Depth first from one entry; nodes are put into `order` as they are left, so
** that it holds postorder until it is turned round. mark: 0 not seen, 1 + the
** number of ways already followed, 4 an entry. */
static void visit(struct flow *flow, int32_t entry)
{
    size_t depth = 0;
    flow->stack[depth++] = entry;
    flow->mark[entry] = 1;
    while (depth) {
        int32_t node = flow->stack[depth - 1];
        if (flow->mark[node] == 3) {
            flow->order[flow->ordered++] = node;
            depth--;
            continue;
        }
        int32_t next = flow->edges[node].to[flow->mark[node]++ - 1];
        if (is_node(flow, next) && !flow->mark[next]) {
            flow->mark[next] = 1;
            flow->stack[depth++] = next;
        }
    }
}

/* Entries are instruction 0 and whatever else nothing led to; `entry` marks
** them, for the edges from the root. */
static void number_nodes(struct flow *flow, unsigned char *entry)
{
    for (size_t i = 0; i < flow->count; i++)
        if (!flow->mark[i]) {
            entry[i] = 1;
            visit(flow, (int32_t)i);
        }
    flow->order[flow->ordered++] = (int32_t)flow->count; /* the root */
    for (size_t i = 0; i < flow->ordered / 2; i++) {
        int32_t other = flow->order[flow->ordered - 1 - i];
        flow->order[flow->ordered - 1 - i] = flow->order[i];
        flow->order[i] = other;
    }
    for (size_t i = 0; i < flow->ordered; i++)
        flow->place[flow->order[i]] = (int32_t)i;
}

/* Lists of predecessors by counting sort; the root precedes every entry. */
static void list_sources(struct flow *flow, const unsigned char *entry)
{
    for (size_t i = 0; i < flow->count; i++) {
        flow->first[i + 1] += entry[i];
        for (int way = 0; way < 2; way++)
            if (is_node(flow, flow->edges[i].to[way]))
                flow->first[flow->edges[i].to[way] + 1]++;
    }
    for (size_t i = 0; i < flow->count; i++)
        flow->first[i + 1] += flow->first[i];
    /* `stack` is free now: where the next source of a node goes. */
    memcpy(flow->stack, flow->first, flow->count * sizeof *flow->stack);
    for (size_t i = 0; i < flow->count; i++) {
        if (entry[i])
            flow->sources[flow->stack[i]++] = (int32_t)flow->count;
        for (int way = 0; way < 2; way++) {
            int32_t to = flow->edges[i].to[way];
            if (is_node(flow, to))
                flow->sources[flow->stack[to]++] = (int32_t)i;
        }
    }
}

static int32_t common_dominator(const struct flow *flow, int32_t a, int32_t b)
{
    while (a != b)
        if (a > b)
            a = flow->dominator[a];
        else
            b = flow->dominator[b];
    return a;
}

static void find_dominators(struct flow *flow)
{
    int changed = 1;
    for (size_t i = 1; i < flow->ordered; i++)
        flow->dominator[i] = GEN_FLOW_NONE;
    flow->dominator[0] = 0;
    while (changed) {
        changed = 0;
        for (size_t i = 1; i < flow->ordered; i++) {
            int32_t node = flow->order[i], best = GEN_FLOW_NONE;
            for (int32_t s = flow->first[node]; s < flow->first[node + 1];
                 s++) {
                int32_t place = flow->place[flow->sources[s]];
                if (flow->dominator[place] == GEN_FLOW_NONE)
                    continue;
                best = best == GEN_FLOW_NONE
                           ? place
                           : common_dominator(flow, best, place);
            }
            if (flow->dominator[i] != best) {
                flow->dominator[i] = best;
                changed = 1;
            }
        }
    }
}

static int dominates(const struct flow *flow, int32_t over, int32_t under)
{
    int32_t target = flow->place[over], place = flow->place[under];
    while (place > target)
        place = flow->dominator[place];
    return place == target;
}

/* Everything that reaches a back edge of `header` without passing it; what lies
** outside [header, last] was moved out of line, and is walked but not counted.
*/
static void measure(struct flow *flow, int32_t header,
                    const unsigned char *weight, struct gen_flow_loop *loop)
{
    size_t depth = 0;
    memset(flow->mark, 0, flow->count);
    flow->mark[header] = 1;
    loop->size = 1;
    loop->weights = weight[header];
    for (int32_t s = flow->first[header]; s < flow->first[header + 1]; s++) {
        int32_t source = flow->sources[s];
        if (!is_node(flow, source) || flow->mark[source] ||
            !dominates(flow, header, source))
            continue;
        flow->mark[source] = 1;
        flow->stack[depth++] = source;
    }
    while (depth) {
        int32_t node = flow->stack[--depth];
        if (node > header && (size_t)node <= loop->last) {
            loop->size++;
            loop->weights += weight[node];
        }
        for (int32_t s = flow->first[node]; s < flow->first[node + 1]; s++) {
            int32_t source = flow->sources[s];
            if (is_node(flow, source) && !flow->mark[source]) {
                flow->mark[source] = 1;
                flow->stack[depth++] = source;
            }
        }
    }
}

static int collect(struct flow *flow, const unsigned char *weight,
                   struct gen_flow_loop *loops)
{
    int found = 0;
    for (size_t i = 0; i < flow->count && found < GEN_FLOW_LOOPS; i++) {
        int32_t header = (int32_t)i, last = GEN_FLOW_NONE;
        for (int32_t s = flow->first[i]; s < flow->first[i + 1]; s++) {
            int32_t source = flow->sources[s];
            /* An instruction that jumps to itself is a trap, no loop. */
            if (is_node(flow, source) && source != header && source > last &&
                dominates(flow, header, source))
                last = source;
        }
        if (last == GEN_FLOW_NONE)
            continue;
        loops[found].header = i;
        loops[found].last = (size_t)last;
        measure(flow, header, weight, &loops[found]);
        found++;
    }
    return found;
}

int gen_flow_loops(const struct gen_flow_edge *edges, size_t count,
                   const unsigned char *weight,
                   struct gen_flow_loop loops[GEN_FLOW_LOOPS])
{
    struct flow flow;
    unsigned char *entry = array(count, 1);
    int found = entry && count < INT32_MAX / 4 ? 0 : -1;
    if (flow_init(&flow, edges, count))
        found = -1;
    if (found == 0 && count) {
        number_nodes(&flow, entry);
        list_sources(&flow, entry);
        find_dominators(&flow);
        found = collect(&flow, weight, loops);
    }
    flow_release(&flow);
    tsr__free(entry);
    return found;
}
