/* warp.c -- conformance of what the lanes of a warp do together.
**
** Expected values follow the pseudo-code of the PTX ISA, warp by warp.
*/
#include "tests/emulator/conformance/block.h"

enum shuffle { UP, DOWN, BUTTERFLY, INDEX };

/* The lane that `lane` reads from, and whether the read was in range. */
static unsigned source_lane(enum shuffle mode, unsigned lane, unsigned b,
                            unsigned c, int *in_range)
{
    unsigned segment = c >> 8 & 31, clamp = c & 31;
    unsigned last = (lane & segment) | (clamp & ~segment);
    unsigned first = lane & segment;
    int j = 0;
    b &= 31;
    switch (mode) {
    case UP:
        j = (int)lane - (int)b;
        *in_range = j >= (int)last;
        break;
    case DOWN:
        j = (int)(lane + b);
        *in_range = j <= (int)last;
        break;
    case BUTTERFLY:
        j = (int)(lane ^ b);
        *in_range = j <= (int)last;
        break;
    case INDEX:
        j = (int)(first | (b & ~segment));
        *in_range = j <= (int)last;
        break;
    }
    return *in_range ? (unsigned)j : lane;
}

/* out = {value, in range} a thread; `b` varies with the lane if negative. */
static void shuffle(const uint32_t *in, uint32_t *out, enum shuffle mode, int b,
                    unsigned c)
{
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned lane = i & 31;
        int in_range;
        unsigned operand = b >= 0 ? (unsigned)b : (lane * 7 + 3) & 31;
        unsigned from = source_lane(mode, lane, operand, c, &in_range);
        out[2 * i] = in[(i & ~31u) + from];
        out[2 * i + 1] = (unsigned)in_range;
    }
}

#define SHUFFLES(X)                              \
    X(up_1, "up", UP, 1, 0x0000)                 \
    X(up_5_of_8, "up", UP, 5, 0x1800)            \
    X(up_clamp, "up", UP, 3, 0x0004)             \
    X(down_1, "down", DOWN, 1, 0x001f)           \
    X(down_7_of_16, "down", DOWN, 7, 0x101f)     \
    X(down_clamp, "down", DOWN, 4, 0x0013)       \
    X(bfly_1, "bfly", BUTTERFLY, 1, 0x001f)      \
    X(bfly_16, "bfly", BUTTERFLY, 16, 0x001f)    \
    X(bfly_8_of_8, "bfly", BUTTERFLY, 8, 0x1807) \
    X(idx_0, "idx", INDEX, 0, 0x001f)            \
    X(idx_31, "idx", INDEX, 31, 0x001f)          \
    X(idx_3_of_4, "idx", INDEX, 3, 0x1c1f)       \
    X(idx_clamp, "idx", INDEX, 20, 0x000f)       \
    X(idx_varying, "idx", INDEX, -1, 0x001f)     \
    X(up_varying, "up", UP, -1, 0x0000)          \
    X(bfly_varying, "bfly", BUTTERFLY, -1, 0x181f)

#define DEFINE_SHUFFLE(id, word, mode, operand, clamp)          \
    static void fill_##id(void *a, void *b, void *c, void *out) \
    {                                                           \
        (void)b, (void)c;                                       \
        shuffle(a, out, mode, operand, clamp);                  \
    }
SHUFFLES(DEFINE_SHUFFLE)

/* %r3 is the second operand: constant, or (7 lane + 3) & 31 when negative. */
#define ROW_SHUFFLE(id, word, mode, operand, clamp)                            \
    {.name = "shfl.sync." word " " #operand " " #clamp,                        \
     .text = AT(0, pa, 4)                                                      \
         AT(1, po, 8) " ld.global.u32 %r2, [%t0]; mov.u32 %r3, " #operand      \
                      "; setp.lt.s32 %q, %r3, 0; mad.lo.u32 %r4, %lane, 7, 3;" \
                      " and.b32 %r4, %r4, 31; selp.u32 %r3, %r4, %r3, %q;"     \
                      " shfl.sync." word ".b32 %r5|%p, %r2, %r3, " #clamp      \
                      ", 0xffffffff; selp.u32 %r6, 1, 0, %p;"                  \
                      " st.global.v2.u32 [%t1], {%r5, %r6};",                  \
     .threads = THREADS,                                                       \
     .blocks = 1,                                                              \
     .out_bytes = THREADS * 8,                                                 \
     .a_bytes = THREADS * 4,                                                   \
     .d = CONF_B32,                                                            \
     .fill = fill_##id,                                                        \
     .target = 80},

/* Only the odd lanes of each warp swap with their odd neighbours. */
static void fill_odd_lanes(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        to[i] = i & 1 ? in[i ^ 2] : in[i];
}

/* Lane l of warp w votes whether word l of a is odd, in warp 1 always. */
static void fill_votes(void *a, void *b, void *c, void *out)
{
    uint32_t *in = a, *to = out;
    (void)b, (void)c;
    for (unsigned w = 0; w < 2; w++) {
        uint32_t ballot = 0;
        for (unsigned l = 0; l < 32; l++) {
            if (w == 1)
                in[32 + l] |= 1;
            ballot |= (in[32 * w + l] & 1) << l;
        }
        for (unsigned l = 0; l < 32; l++) {
            uint32_t *four = to + 4 * (32 * w + l);
            four[0] = ballot;
            four[1] = ballot == 0xffffffff;
            four[2] = ballot != 0;
            four[3] = ballot == 0xffffffff || ballot == 0;
        }
    }
}

/* The lower half of each warp votes alone. */
static void fill_half_ballot(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (unsigned w = 0; w < 2; w++) {
        uint32_t low = 0, high = 0;
        for (unsigned l = 0; l < 32; l++)
            *(l < 16 ? &low : &high) |= (in[32 * w + l] & 1) << l;
        for (unsigned l = 0; l < 32; l++)
            to[32 * w + l] = l < 16 ? low : high;
    }
}

/* a's low bits are made few, so that lanes match. */
static void fill_match_any(void *a, void *b, void *c, void *out)
{
    uint32_t *in = a, *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        in[i] %= 5;
    for (unsigned i = 0; i < THREADS; i++) {
        to[i] = 0;
        for (unsigned l = 0; l < 32; l++)
            to[i] |= (uint32_t)(in[(i & ~31u) + l] == in[i]) << l;
    }
}

static void fill_match_any64(void *a, void *b, void *c, void *out)
{
    uint64_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++) /* equal low words do not match */
        in[i] = (in[i] % 3 << 33) + 7;
    for (unsigned i = 0; i < THREADS; i++) {
        to[i] = 0;
        for (unsigned l = 0; l < 32; l++)
            to[i] |= (uint32_t)(in[(i & ~31u) + l] == in[i]) << l;
    }
}

/* Warp 0 agrees on a value, warp 1 does not. */
static void fill_match_all(void *a, void *b, void *c, void *out)
{
    uint32_t *in = a, *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++) {
        if (i < 32)
            in[i] = in[0];
        to[2 * i] = i < 32 ? 0xffffffff : 0;
        to[2 * i + 1] = i < 32;
    }
}

#define REDUX(X)                                   \
    X(add_u32, "add.u32", uint32_t, x + y)         \
    X(add_s32, "add.s32", uint32_t, x + y)         \
    X(min_u32, "min.u32", uint32_t, x < y ? x : y) \
    X(min_s32, "min.s32", int32_t, x < y ? x : y)  \
    X(max_u32, "max.u32", uint32_t, x > y ? x : y) \
    X(max_s32, "max.s32", int32_t, x > y ? x : y)  \
    X(and_b32, "and.b32", uint32_t, (x & y))       \
    X(or_b32, "or.b32", uint32_t, x | y)           \
    X(xor_b32, "xor.b32", uint32_t, x ^ y)

#define DEFINE_REDUX(id, word, ctype, expression)                \
    static void redux_##id(void *a, void *b, void *c, void *out) \
    {                                                            \
        ctype *in = a, *to = out;                                \
        (void)b, (void)c;                                        \
        for (unsigned w = 0; w < 2; w++) {                       \
            ctype x = in[32 * w];                                \
            for (unsigned l = 1; l < 32; l++) {                  \
                ctype y = in[32 * w + l];                        \
                x = (ctype)(expression);                         \
            }                                                    \
            for (unsigned l = 0; l < 32; l++)                    \
                to[32 * w + l] = x;                              \
        }                                                        \
    }
REDUX(DEFINE_REDUX)

#define WORDS(label, body, function, words)                                    \
    {                                                                          \
        .name = label, .text = AT(0, pa, 4) " ld.global.u32 %r2, [%t0];" body, \
        .threads = THREADS, .blocks = 1, .out_bytes = THREADS * 4 * (words),   \
        .a_bytes = THREADS * 4, .d = CONF_B32, .fill = function, .target = 80  \
    }

#define ROW_REDUX(id, word, ctype, expression)                             \
    WORDS("redux.sync." word,                                              \
          AT(1, po, 4) " redux.sync." word                                 \
                       " %r3, %r2, 0xffffffff; st.global.u32 [%t1], %r3;", \
          redux_##id, 1),

/* Lanes 8..15 alone add up; the others keep their word. */
static void fill_redux_part(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        to[i] = in[i];
    for (unsigned w = 0; w < 2; w++) {
        uint32_t sum = 0;
        for (unsigned l = 8; l < 16; l++)
            sum += in[32 * w + l];
        for (unsigned l = 8; l < 16; l++)
            to[32 * w + l] = sum;
    }
}

static void fill_active(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        to[i] = (i & 31) < 11 ? 0x7ff : 0xfffff800;
}

/* Neighbouring lanes exchange through shared memory. */
static void fill_exchange(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        to[i] = in[i ^ 3];
}

/* elect: one of the lanes named, the same for all of them. */
static void fill_elected(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (unsigned i = 0; i < THREADS; i++)
        to[i] = 1 | 1 << 4;
}

const struct conf_block conf_warp_cases[] = {
    SHUFFLES(ROW_SHUFFLE)
        WORDS("shfl.sync among half the lanes",
              AT(1, po, 4) " and.b32 %r3, %lane, 1; setp.ne.u32 %p, %r3, 0;"
                           " @!%p bra DONE; shfl.sync.bfly.b32 %r2, %r2, 2, "
                           "31, 0xaaaaaaaa;\n"
                           "DONE: st.global.u32 [%t1], %r2;",
              fill_odd_lanes, 1),
    WORDS(
        "vote.sync ballot, all, any, uni",
        AT(1, po,
           16) " and.b32 %r3, %r2, 1; setp.ne.u32 %p, %r3, 0;"
               " vote.sync.ballot.b32 %r4, %p, 0xffffffff;"
               " vote.sync.all.pred %q, %p, 0xffffffff; selp.u32 %r5, 1, 0, %q;"
               " vote.sync.any.pred %q, %p, 0xffffffff; selp.u32 %r6, 1, 0, %q;"
               " vote.sync.uni.pred %q, %p, 0xffffffff; selp.u32 %r7, 1, 0, %q;"
               " st.global.v4.u32 [%t1], {%r4, %r5, %r6, %r7};",
        fill_votes, 4),
    WORDS("vote.sync.ballot by half warps",
          AT(1, po, 4) " and.b32 %r3, %r2, 1; setp.ne.u32 %p, %r3, 0;"
                       " setp.lt.u32 %q, %lane, 16; @%q bra LOW;"
                       " vote.sync.ballot.b32 %r4, %p, 0xffff0000; bra DONE;\n"
                       "LOW: vote.sync.ballot.b32 %r4, %p, 0x0000ffff;\n"
                       "DONE: st.global.u32 [%t1], %r4;",
          fill_half_ballot, 1),
    WORDS("match.any.sync.b32",
          AT(1, po, 4) " match.any.sync.b32 %r4, %r2, 0xffffffff;"
                       " st.global.u32 [%t1], %r4;",
          fill_match_any, 1),
    {.name = "match.any.sync.b64",
     .text = AT(0, pa, 8) AT(1, po, 4) " ld.global.u64 %t2, [%t0];"
                                       " match.any.sync.b64 %r4, %t2, "
                                       "0xffffffff; st.global.u32 [%t1], %r4;",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 4,
     .a_bytes = THREADS * 8,
     .d = CONF_B32,
     .fill = fill_match_any64,
     .target = 80},
    WORDS("match.all.sync.b32",
          AT(1, po,
             8) " match.all.sync.b32 %r4|%p, %r2, 0xffffffff;"
                " selp.u32 %r5, 1, 0, %p; st.global.v2.u32 [%t1], {%r4, %r5};",
          fill_match_all, 2),
    REDUX(ROW_REDUX)
        WORDS("redux.sync among eight lanes",
              AT(1, po,
                 4) " shr.u32 %r3, %lane, 3; setp.eq.u32 %p, %r3, 1;"
                    " @!%p bra DONE; redux.sync.add.u32 %r2, %r2, 0x0000ff00;\n"
                    "DONE: st.global.u32 [%t1], %r2;",
              fill_redux_part, 1),
    WORDS("activemask on both sides of a branch",
          AT(1, po,
             4) " setp.lt.u32 %p, %lane, 11; @%p bra LOW;"
                " activemask.b32 %r4; bra DONE;\nLOW: activemask.b32 %r4;\n"
                "DONE: st.global.u32 [%t1], %r4;",
          fill_active, 1),
    {.name = "elect.sync names one lane, to all",
     .text =
         AT(1, po,
            4) " elect.sync %r3|%p, 0xffffffff;"
               " vote.sync.ballot.b32 %r4, %p, 0xffffffff; popc.b32 %r5, %r4;"
               " bfind.u32 %r6, %r4; setp.eq.u32 %q, %r6, %r3;"
               " selp.u32 %r6, 16, 0, %q; or.b32 %r5, %r5, %r6;"
               " st.global.u32 [%t1], %r5;",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 4,
     .d = CONF_U32,
     .fill = fill_elected,
     .target = 90},
    WORDS("bar.warp.sync orders lanes",
          " .shared .align 4 .u32 word[64];" AT(
              1, po, 4) " mov.u32 %r3, word; mad.lo.u32 %r4, %i, 4, %r3;"
                        " st.shared.u32 [%r4], %r2; bar.warp.sync 0xffffffff;"
                        " xor.b32 %r5, %i, 3; mad.lo.u32 %r5, %r5, 4, %r3;"
                        " ld.shared.u32 %r6, [%r5]; bar.warp.sync -1;"
                        " st.global.u32 [%t1], %r6;",
          fill_exchange, 1),
};
CONF_BLOCKS(warp)
