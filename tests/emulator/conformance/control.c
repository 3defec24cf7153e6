/* control.c -- conformance of branches, calls, barriers, special registers. */
#include "tests/emulator/conformance/block.h"

/* How many steps 3x + 1 needs from i + 1, at most 100. */
static void fill_collatz(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++) {
        uint32_t x = i + 1, steps = 0;
        while (x != 1 && steps < 100) {
            x = x & 1 ? 3 * x + 1 : x / 2;
            steps++;
        }
        to[i] = steps;
    }
}

/* Nested loops with breaks on data: primes up to 64 by trial division. */
static void fill_primes(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++) {
        uint32_t count = 0;
        for (uint32_t x = 2; x <= i; x++) {
            uint32_t d = 2;
            while (d * d <= x && x % d)
                d++;
            count += d * d > x;
        }
        to[i] = count;
    }
}

static void fill_switch(void *a, void *b, void *c, void *out)
{
    static const uint32_t base[4] = {5, 70, 900, 11};
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = base[i & 3] + (i & 3 ? i : 0);
}

static void fill_call(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = 3 * (in[i] + i) + 1;
}

/* f(n) = n < 2 ? n : f(n - 1) + f(n - 2) by a loop inside a function. */
static void fill_fibonacci(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++) {
        uint32_t x = 0, y = 1;
        for (uint32_t n = 0; n < (i & 15); n++) {
            uint32_t z = x + y;
            x = y;
            y = z;
        }
        to[i] = x + i;
    }
}

static void fill_registers(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < 2 * THREADS; i++, to += 12) {
        uint32_t tid = i % THREADS, lane = tid & 31;
        uint32_t values[12] = {tid,
                               0,
                               0,
                               THREADS,
                               1,
                               i / THREADS,
                               2,
                               1,
                               lane,
                               UINT32_C(1) << lane,
                               (UINT32_C(1) << lane) - 1,
                               ~((UINT32_C(1) << lane) - 1)};
        memcpy(to, values, sizeof values);
    }
}

/* A tree sum of 64 words over six barriers. */
static void fill_tree(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out, sum = 0;
    (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        sum += in[i];
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = sum;
}

/* Warp 0 produces, warp 1 consumes. */
static void fill_producer(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = i < 32 ? 0 : in[i - 32] + 1;
}

static void fill_bar_red(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out, odd = 0;
    (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        odd += in[i] & 1;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = odd | (odd == THREADS) << 8 | (odd != 0) << 9;
}

static void fill_copy(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    memcpy(out, a, THREADS * 4);
}

/* Only the first 40 threads stay. */
static void fill_early(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    memcpy(out, a, 40 * 4);
}

static void fill_ones(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = 1;
}

static void fill_predicated(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (uint32_t i = 0; i < THREADS; i++)
        to[i] = (i & 1 ? in[i] : ~in[i]) + (i % 3 == 0 ? 9 : 0);
}

/* The last block to arrive sums what all blocks stored. */
static void fill_last_block(void *a, void *b, void *c, void *out)
{
    uint32_t *in = a, *to = out;
    memset(b, 0, 4);
    memset(c, 0, 16);
    for (uint32_t block = 0; block < 4; block++)
        to[0] += in[block] % 1000;
    for (uint32_t block = 0; block < 4; block++)
        in[block] %= 1000;
}

#define WORDS(label, scope, body, function)                                   \
    {                                                                         \
        .name = label, .file_scope = scope,                                   \
        .text = AT(0, pa, 4) AT(1, po, 4) " ld.global.u32 %r2, [%t0]; " body  \
                                          " st.global.u32 [%t1], %r3;",       \
        .threads = THREADS, .blocks = 1, .out_bytes = THREADS * 4,            \
        .a_bytes = THREADS * 4, .d = CONF_U32, .fill = function, .target = 80 \
    }

const struct conf_block conf_control_cases[] = {
    WORDS("a loop that lanes leave at different times", NULL,
          "add.u32 %r4, %i, 1; mov.u32 %r3, 0;\n"
          "LOOP: setp.eq.u32 %p, %r4, 1; @%p bra DONE;"
          " setp.ge.u32 %p, %r3, 100; @%p bra DONE; and.b32 %r5, %r4, 1;"
          " setp.eq.u32 %q, %r5, 0; @%q bra EVEN; mad.lo.u32 %r4, %r4, 3, 1;"
          " bra.uni NEXT;\nEVEN: shr.u32 %r4, %r4, 1;\n"
          "NEXT: add.u32 %r3, %r3, 1; bra LOOP;\nDONE:",
          fill_collatz),
    WORDS("nested loops with breaks", NULL,
          "mov.u32 %r3, 0; mov.u32 %r4, 2;\n"
          "OUTER: setp.gt.u32 %p, %r4, %i; @%p bra DONE; mov.u32 %r5, 2;\n"
          "INNER: mul.lo.u32 %r6, %r5, %r5; setp.gt.u32 %p, %r6, %r4;"
          " @%p bra PRIME; rem.u32 %r6, %r4, %r5; setp.eq.u32 %p, %r6, 0;"
          " @%p bra NEXT; add.u32 %r5, %r5, 1; bra INNER;\n"
          "PRIME: add.u32 %r3, %r3, 1;\n"
          "NEXT: add.u32 %r4, %r4, 1; bra OUTER;\nDONE:",
          fill_primes),
    WORDS("a switch as a tree of branches with fall through", NULL,
          "and.b32 %r4, %i, 3; mov.u32 %r3, 0; setp.eq.u32 %p, %r4, 0;"
          " @%p bra ZERO; setp.eq.u32 %p, %r4, 1; @%p bra ONE;"
          " setp.eq.u32 %p, %r4, 2; @!%p bra THREE; mov.u32 %r3, 900;"
          " bra ADD;\nTHREE: mov.u32 %r3, 11; bra ADD;\n"
          "ONE: mov.u32 %r3, 70;\nADD: add.u32 %r3, %r3, %i; bra DONE;\n"
          "ZERO: mov.u32 %r3, 5;\nDONE:",
          fill_switch),
    WORDS("predicated instructions", NULL,
          "and.b32 %r4, %i, 1; setp.ne.u32 %p, %r4, 0; @%p mov.u32 %r3, %r2;"
          " @!%p not.b32 %r3, %r2; rem.u32 %r4, %i, 3; setp.eq.u32 %q, %r4, 0;"
          " @%q add.u32 %r3, %r3, 9;",
          fill_predicated),
    WORDS("a direct call with parameters",
          ".func (.param .b32 result) twist(.param .b32 x, .param .b32 y)\n"
          "{\n .reg .u32 %x, %y;\n ld.param.u32 %x, [x];\n"
          " ld.param.u32 %y, [y];\n add.u32 %x, %x, %y;\n"
          " mad.lo.u32 %x, %x, 3, 1;\n st.param.u32 [result], %x;\n ret;\n}\n",
          "{ .param .b32 one; .param .b32 two; .param .b32 back;"
          " st.param.u32 [one], %r2; st.param.u32 [two], %i;"
          " call.uni (back), twist, (one, two); ld.param.u32 %r3, [back]; }",
          fill_call),
    WORDS("a call with register parameters",
          ".func (.reg .u32 %back) twist(.reg .u32 %x, .reg .u32 %y)\n"
          "{\n add.u32 %back, %x, %y;\n mad.lo.u32 %back, %back, 3, 1;\n"
          " ret;\n}\n",
          "call (%r3), twist, (%r2, %i);", fill_call),
    WORDS("a divergent call whose loop differs by lane",
          ".func (.param .b32 result) fibonacci(.param .b32 n)\n"
          "{\n .reg .u32 %n, %x, %y, %z;\n .reg .pred %p;\n"
          " ld.param.u32 %n, [n];\n mov.u32 %x, 0;\n mov.u32 %y, 1;\n"
          "LOOP:\n setp.eq.u32 %p, %n, 0;\n @%p bra DONE;\n"
          " add.u32 %z, %x, %y;\n mov.u32 %x, %y;\n mov.u32 %y, %z;\n"
          " sub.u32 %n, %n, 1;\n bra LOOP;\nDONE:\n"
          " st.param.u32 [result], %x;\n ret;\n}\n",
          "mov.u32 %r3, 0; and.b32 %r4, %i, 15; setp.eq.u32 %p, %r4, 0;"
          " @%p bra SKIP; { .param .b32 one; .param .b32 back;"
          " st.param.b32 [one], %r4; call (back), fibonacci, (one);"
          " ld.param.b32 %r3, [back]; }\nSKIP: add.u32 %r3, %r3, %i;",
          fill_fibonacci),
    WORDS("barriers in a loop", NULL,
          ".shared .align 4 .u32 word[64]; mov.u32 %r4, word;"
          " mad.lo.u32 %r5, %i, 4, %r4; st.shared.u32 [%r5], %r2;"
          " mov.u32 %r6, 32;\n"
          "LOOP: bar.sync 0; setp.ge.u32 %p, %i, %r6; @%p bra NEXT;"
          " mad.lo.u32 %r7, %r6, 4, %r5; ld.shared.u32 %r8, [%r7];"
          " ld.shared.u32 %r9, [%r5]; add.u32 %r8, %r8, %r9;"
          " st.shared.u32 [%r5], %r8;\n"
          "NEXT: shr.u32 %r6, %r6, 1; setp.ne.u32 %p, %r6, 0; @%p bra LOOP;"
          " barrier.sync 0; ld.shared.u32 %r3, [word];",
          fill_tree),
    WORDS("bar.arrive and bar.sync with a count", NULL,
          ".shared .align 4 .u32 word[32]; mov.u32 %r4, word;"
          " mad.lo.u32 %r5, %lane, 4, %r4; mov.u32 %r3, 0;"
          " setp.ge.u32 %p, %i, 32; @%p bra TAKE; st.shared.u32 [%r5], %r2;"
          " membar.cta; bar.arrive 3, 64; bra DONE;\n"
          "TAKE: bar.sync 3, 64; ld.shared.u32 %r3, [%r5];"
          " add.u32 %r3, %r3, 1;\nDONE:",
          fill_producer),
    WORDS("bar.red popc, and, or", NULL,
          "and.b32 %r4, %r2, 1; setp.ne.u32 %p, %r4, 0;"
          " bar.red.popc.u32 %r3, 0, %p; bar.red.and.pred %q, 0, %p;"
          " @%q or.b32 %r3, %r3, 256; bar.red.or.pred %q, 0, %p;"
          " @%q or.b32 %r3, %r3, 512;",
          fill_bar_red),
    WORDS("barrier.red popc, and, or; a barrier of its own", NULL,
          "and.b32 %r4, %r2, 1; setp.ne.u32 %p, %r4, 0;"
          " barrier.red.popc.u32 %r3, 2, %p; bar.cta.red.and.pred %q, 3, %p;"
          " @%q or.b32 %r3, %r3, 256; barrier.cta.red.or.pred %q, 4, 64, %p;"
          " @%q or.b32 %r3, %r3, 512; bar.cta.sync 5;"
          " barrier.sync.aligned 6, 64;",
          fill_bar_red),
    WORDS("threads that exit early", NULL,
          "setp.ge.u32 %p, %i, 40; @%p exit; mov.u32 %r3, %r2;", fill_early),
    WORDS("threads that return early, before a barrier of whole warps", NULL,
          "mov.u32 %r3, %r2; setp.lt.u32 %p, %i, 32; @%p bra STAY;"
          " st.global.u32 [%t1], %r2; ret;\nSTAY: bar.sync 1, 32;",
          fill_copy),
    WORDS("clocks do not run backwards", NULL,
          "mov.u64 %t2, %clock64; mov.u64 %t3, %globaltimer; mov.u32 %r4,"
          " %clock; mov.u64 %t4, %clock64; mov.u64 %t5, %globaltimer;"
          " setp.ge.u64 %p, %t4, %t2; setp.ge.u64 %q, %t5, %t3;"
          " and.pred %p, %p, %q; selp.u32 %r3, 1, 0, %p;",
          fill_ones),
    WORDS("scopes may repeat names", NULL,
          "{ .reg .u32 %x; add.u32 %x, %r2, 5; { .reg .u32 %x;"
          " mov.u32 %x, 7; bra W;\nW: mov.u32 %r4, %x; } sub.u32 %r3, %x, 5; }"
          " { .reg .pred %x; setp.eq.u32 %x, %r4, 7; @%x bra W;"
          " mov.u32 %r3, 0;\nW: }",
          fill_copy),
    {.name = "special registers",
     .text = " mad.wide.u32 %t1, %i, 48, %po;"
             " mov.u32 %r2, %tid.x; mov.u32 %r3, %tid.y; mov.u32 %r4, %tid.z;"
             " mov.u32 %r5, %ntid.x; st.global.v4.u32 [%t1],"
             " {%r2, %r3, %r4, %r5}; mov.u32 %r2, %ntid.z;"
             " mov.u32 %r3, %ctaid.x; mov.u32 %r4, %nctaid.x;"
             " mov.u32 %r5, %nctaid.y; st.global.v4.u32 [%t1+16],"
             " {%r2, %r3, %r4, %r5}; mov.u32 %r2, %laneid;"
             " mov.u32 %r3, %lanemask_eq; mov.u32 %r4, %lanemask_lt;"
             " mov.u32 %r5, %lanemask_ge; st.global.v4.u32 [%t1+32],"
             " {%r2, %r3, %r4, %r5};",
     .threads = THREADS,
     .blocks = 2,
     .out_bytes = 2 * THREADS * 48,
     .d = CONF_U32,
     .fill = fill_registers,
     .target = 80},
    {.name = "the last block sums what all blocks stored",
     .text = " mov.u32 %r2, %ctaid.x; mad.wide.u32 %t0, %r2, 4, %pa;"
             " mad.wide.u32 %t1, %r2, 4, %pc; mov.u32 %r3, %tid.x;"
             " setp.ne.u32 %p, %r3, 0; @%p ret; ld.global.u32 %r4, [%t0];"
             " st.global.u32 [%t1], %r4; membar.gl;"
             " atom.global.add.u32 %r5, [%pb], 1; setp.ne.u32 %p, %r5, 3;"
             " @%p ret; membar.gl; ld.volatile.global.v4.u32"
             " {%r6, %r7, %r8, %r9}, [%pc]; add.u32 %r6, %r6, %r7;"
             " add.u32 %r6, %r6, %r8; add.u32 %r6, %r6, %r9;"
             " st.global.u32 [%po], %r6;",
     .threads = 32,
     .blocks = 4,
     .out_bytes = 4,
     .a_bytes = 16,
     .b_bytes = 4,
     .c_bytes = 16,
     .d = CONF_U32,
     .fill = fill_last_block,
     .target = 80},
};
CONF_BLOCKS(control)
