/* flow.h -- the natural loops of a control-flow graph.
**
** A back edge goes to an instruction that dominates the one it leaves: every
** way there leads through it. The loop of that header is the header and all
** that reaches one of its back edges without passing it. So a wait loop that
** the compiler moved behind the kernel's end, and that jumps back into its
** middle, is no loop around everything between.
**
** Dominators by the algorithm of Cooper, Harvey and Kennedy, "A Simple, Fast
** Dominance Algorithm".
*/
#ifndef GEN_HOST_FLOW_H
#define GEN_HOST_FLOW_H

#include <stddef.h>
#include <stdint.h>

#define GEN_FLOW_NONE  (-1)
#define GEN_FLOW_LOOPS 1024 /* more are not looked for */

/* Where control goes from an instruction; GEN_FLOW_NONE for no second, or no
** first, way. */
struct gen_flow_edge {
    int32_t to[2];
};

struct gen_flow_loop {
    size_t header;
    size_t last;    /* the furthest source of a back edge */
    size_t size;    /* instructions in it from header to last: what a compiler
                       moved out of line is seldom run */
    size_t weights; /* sum of their weights */
};

/* Writes at most GEN_FLOW_LOOPS loops, by header, and returns their number, or
** -1 when out of memory. Entry is instruction 0; what is not reached from there
** is entered at its first instruction. `weight` has one byte for each. */
int gen_flow_loops(const struct gen_flow_edge *edges, size_t count,
                   const unsigned char *weight,
                   struct gen_flow_loop loops[GEN_FLOW_LOOPS]);

#endif
