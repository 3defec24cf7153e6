/* memory.c -- conformance of ld, st, cvta, prefetch in every state space. */
#include "tests/emulator/conformance/block.h"

/* Copies 16 bytes a thread. */
static void fill_copy(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    memcpy(out, a, THREADS * 16);
}

/* Copies 4 bytes a thread. */
static void fill_copy4(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    memcpy(out, a, THREADS * 4);
}

/* Reverses `count` elements of `bytes` bytes within each thread's 16. */
static void reverse(const unsigned char *a, unsigned char *out, size_t bytes,
                    size_t count)
{
    for (size_t i = 0; i < THREADS; i++)
        for (size_t k = 0; k < count; k++)
            memcpy(out + i * 16 + k * bytes,
                   a + i * 16 + (count - 1 - k) * bytes, bytes);
}

#define REVERSE(name, bytes, count)                               \
    static void fill_##name(void *a, void *b, void *c, void *out) \
    {                                                             \
        (void)b, (void)c;                                         \
        reverse(a, out, bytes, count);                            \
    }
REVERSE(v2b8, 1, 2)
REVERSE(v4b8, 1, 4)
REVERSE(v2b16, 2, 2)
REVERSE(v4b16, 2, 4)
REVERSE(v2b32, 4, 2)
REVERSE(v4b32, 4, 4)
REVERSE(v2b64, 8, 2)

/* Sign and zero extension of narrow loads into wide registers. */
static void fill_extend(void *a, void *b, void *c, void *out)
{
    const unsigned char *in = a;
    int64_t *wide = out;
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++) {
        int8_t byte;
        int16_t half;
        int32_t word;
        memcpy(&byte, in + i * 4, 1);
        memcpy(&half, in + i * 4, 2);
        memcpy(&word, in + i * 4, 4);
        wide[i * 6 + 0] = byte;
        wide[i * 6 + 1] = (uint8_t)byte;
        wide[i * 6 + 2] = half;
        wide[i * 6 + 3] = (uint16_t)half;
        wide[i * 6 + 4] = word;
        wide[i * 6 + 5] = (uint32_t)word;
    }
}

/* Thread i reads what thread 63 - i wrote. */
static void fill_mirror(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        to[i] = in[THREADS - 1 - i];
}

static void fill_constants(void *a, void *b, void *c, void *out)
{
    static const uint32_t table[4] = {17, 0xdeadbeef, 0x3f800000, 42};
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        to[i] = table[i & 3] + (uint32_t)(i & 1 ? 100 : 7);
}

/* A local array indexed by data: out = sum of the first (i & 7) + 1. */
static void fill_local(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        to[i] = in[i] + (uint32_t)((i & 7) * (i & 7));
}

static void fill_spaces(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)a, (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        to[i] = 1 | 2 << 4 | 4 << 8;
}

static void fill_dynamic(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    const uint32_t *in = a;
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        to[i] = in[i ^ 1];
}

/* One 4-byte copy with the given load and store. */
#define COPY(label, load, store)                                     \
    {                                                                \
        .name = label,                                               \
        .text = AT(0, pa, 4) AT(1, po, 4) load " %r2, [%t0]; " store \
                                               " [%t1], %r2;",       \
        .threads = THREADS, .blocks = 1, .out_bytes = THREADS * 4,   \
        .a_bytes = THREADS * 4, .d = CONF_B32, .fill = fill_copy4,   \
        .target = 80                                                 \
    }

/* One vector a thread, its elements reversed. */
#define VECTOR(type, element, forward, backward, function)                    \
    {                                                                         \
        .name = "ld.global." type " reversed",                                \
        .text = AT(0, pa, 16) AT(1, po, 16) " ld.global." type " {" forward   \
                                            "}, [%t0]; st.global." type       \
                                            " [%t1], {" backward "};",        \
        .threads = THREADS, .blocks = 1, .out_bytes = THREADS * 16,           \
        .a_bytes = THREADS * 16, .d = element, .fill = function, .target = 80 \
    }

/* One 32-bit word in and out a thread, `scope` before the kernel. */
#define WORDS(label, scope, body, function)                                   \
    {                                                                         \
        .name = label, .file_scope = scope, .text = body, .threads = THREADS, \
        .blocks = 1, .out_bytes = THREADS * 4, .a_bytes = THREADS * 4,        \
        .d = CONF_B32, .fill = function, .target = 80                         \
    }

const struct conf_block conf_memory_cases[] = {
    COPY("ld.global st.global", "ld.global.u32", "st.global.u32"),
    COPY("ld.global.nc", "ld.global.nc.u32", "st.global.u32"),
    COPY("ld.global.nc.L1::no_allocate", "ld.global.nc.L1::no_allocate.u32",
         "st.global.L1::no_allocate.u32"),
    COPY("ld.global.ca st.global.wb", "ld.global.ca.u32", "st.global.wb.u32"),
    COPY("ld.global.cg st.global.cg", "ld.global.cg.u32", "st.global.cg.u32"),
    COPY("ld.global.cs st.global.cs", "ld.global.cs.u32", "st.global.cs.u32"),
    COPY("ld.global.lu st.global.wt", "ld.global.lu.u32", "st.global.wt.u32"),
    COPY("ld.global.cv", "ld.global.cv.u32", "st.global.u32"),
    COPY("ld.global.L1::evict_last", "ld.global.L1::evict_last.u32",
         "st.global.L1::evict_first.u32"),
    COPY("ld.global.L2::128B", "ld.global.L2::128B.u32", "st.global.u32"),
    COPY("ld.global.ca.L2::256B", "ld.global.ca.L2::256B.u32", "st.global.u32"),
    COPY("ld.volatile st.volatile", "ld.volatile.global.u32",
         "st.volatile.global.u32"),
    COPY("ld.relaxed.gpu st.relaxed.sys", "ld.relaxed.gpu.global.u32",
         "st.relaxed.sys.global.u32"),
    COPY("ld.acquire.gpu st.release.gpu", "ld.acquire.gpu.global.u32",
         "st.release.gpu.global.u32"),
    COPY("ld.acquire.cta st.release.cta", "ld.acquire.cta.global.u32",
         "st.release.cta.global.u32"),
    COPY("ld.weak", "ld.weak.global.u32", "st.weak.global.u32"),
    COPY("ldu", "ldu.global.u32", "st.global.u32"),
    COPY("ld.mmio st.mmio", "ld.mmio.relaxed.sys.global.u32",
         "st.mmio.relaxed.sys.global.u32"),
    COPY("generic ld and st", "ld.u32", "st.u32"),
    VECTOR("v2.b8", CONF_U8, "%h0, %h1", "%h1, %h0", fill_v2b8),
    VECTOR("v4.u8", CONF_U8, "%h0, %h1, %h2, %h3", "%h3, %h2, %h1, %h0",
           fill_v4b8),
    VECTOR("v2.u16", CONF_U16, "%h0, %h1", "%h1, %h0", fill_v2b16),
    VECTOR("v4.b16", CONF_U16, "%h0, %h1, %h2, %h3", "%h3, %h2, %h1, %h0",
           fill_v4b16),
    VECTOR("v2.u32", CONF_U32, "%r2, %r3", "%r3, %r2", fill_v2b32),
    VECTOR("v4.f32", CONF_B32, "%f2, %f3, %f4, %f5", "%f5, %f4, %f3, %f2",
           fill_v4b32),
    VECTOR("v2.b64", CONF_B64, "%t2, %t3", "%t3, %t2", fill_v2b64),
    VECTOR("v2.f64", CONF_B64, "%w2, %w3", "%w3, %w2", fill_v2b64),
    {.name = "narrow loads into wide registers",
     .text = AT(0, pa, 4) AT(
         1, po, 48) " ld.global.s8 %t2, [%t0]; st.global.u64 [%t1], %t2;"
                    " ld.global.u8 %t2, [%t0]; st.global.u64 [%t1+8], %t2;"
                    " ld.global.s16 %t2, [%t0]; st.global.u64 [%t1+16], %t2;"
                    " ld.global.u16 %t2, [%t0]; st.global.u64 [%t1+24], %t2;"
                    " ld.global.s32 %t2, [%t0]; st.global.u64 [%t1+32], %t2;"
                    " ld.global.u32 %t2, [%t0]; st.global.u64 [%t1+40], %t2;",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 48,
     .a_bytes = THREADS * 4,
     .d = CONF_S64,
     .fill = fill_extend,
     .target = 80},
    {.name = "ld.global.v4 st.shared.v4 and back",
     .text = " .shared .align 16 .b8 tile[1024];" AT(0, pa, 16) AT(
         1, po, 16) " ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%t0];"
                    " mov.u32 %r6, tile; mad.lo.u32 %r6, %i, 16, %r6;"
                    " st.shared.v4.u32 [%r6], {%r2, %r3, %r4, %r5}; bar.sync 0;"
                    " ld.shared.v2.b64 {%t2, %t3}, [%r6];"
                    " st.global.v2.u64 [%t1], {%t2, %t3};",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 16,
     .a_bytes = THREADS * 16,
     .d = CONF_B64,
     .fill = fill_copy,
     .target = 80},
    WORDS("shared memory, mirrored", NULL,
          " .shared .align 4 .u32 tile[64];" AT(0, pa, 4) AT(
              1, po, 4) " ld.global.u32 %r2, [%t0]; mov.u32 %r3, tile;"
                        " shl.b32 %r4, %i, 2; add.u32 %r5, %r3, %r4;"
                        " st.shared.u32 [%r5], %r2; bar.sync 0;"
                        " sub.u32 %r5, %r3, %r4; ld.shared.u32 %r2, [%r5+252];"
                        " st.global.u32 [%t1], %r2;",
          fill_mirror),
    WORDS(
        "shared memory through generic addresses", NULL,
        " .shared .align 4 .u32 tile[64];" AT(0, pa, 4) AT(
            1, po,
            4) " ld.global.u32 %r2, [%t0]; mov.u64 %t2, tile;"
               " cvta.shared.u64 %t2, %t2;" AT(
                   3, t2,
                   4) " st.u32 [%t3], %r2; bar.sync 0; mul.wide.u32 %t4, %i, 4;"
                      " sub.u64 %t2, %t2, %t4; ld.u32 %r2, [%t2+252];"
                      " st.global.u32 [%t1], %r2;",
        fill_mirror),
    WORDS("dynamic shared address with 64-bit register", NULL,
          " .shared .align 4 .b8 tile[256]; .reg .u64 %base;" AT(0, pa, 4)
              AT(1, po, 4) " mov.u64 %base, tile;" AT(
                  2, base, 4) " ld.global.u32 %r2, [%t0]; "
                              "st.volatile.shared.u32 [%t2], %r2;"
                              " bar.sync 0; xor.b32 %r3, %i, 1;"
                              " mad.wide.u32 %t3, %r3, 4, %base;"
                              " ld.volatile.shared.u32 %r2, [%t3]; "
                              "st.global.u32 [%t1], %r2;",
          fill_dynamic),
    WORDS(
        "const and global variables",
        ".const .align 4 .u32 table[4] = {17, 0xdeadbeef, 0x3f800000, 42};\n"
        ".global .align 4 .u32 offset[2] = {7, 100};\n",
        AT(1, po, 4) " mov.u64 %t2, table; and.b32 %r2, %i, 3;"
                     " mad.wide.u32 %t2, %r2, 4, %t2; ld.const.u32 %r3, [%t2];"
                     " and.b32 %r2, %i, 1; mov.u64 %t3, offset;"
                     " mad.wide.u32 %t3, %r2, 4, %t3; ld.global.u32 %r4, [%t3];"
                     " add.u32 %r3, %r3, %r4; st.global.u32 [%t1], %r3;",
        fill_constants),
    WORDS("const through a generic address, elements by name",
          ".const .align 4 .b8 table[16] = {17, 0, 0, 0, 0xef, 0xbe, 0xad,"
          " 0xde, 0, 0, 128, 63, 42};\n"
          ".global .align 8 .u64 pointer = generic(table);\n"
          ".global .u32 seven = 7;\n.global .u32 hundred = 100;\n",
          AT(1, po, 4) " ld.global.u64 %t2, [pointer]; and.b32 %r2, %i, 3;"
                       " mad.wide.u32 %t2, %r2, 4, %t2; ld.u32 %r3, [%t2];"
                       " and.b32 %r2, %i, 1; setp.eq.u32 %p, %r2, 0;"
                       " @%p ld.global.u32 %r4, [seven]; @!%p ld.global.u32 "
                       "%r4, [hundred];"
                       " add.u32 %r3, %r3, %r4; st.global.u32 [%t1], %r3;",
          fill_constants),
    WORDS("a local array with a varying index", NULL,
          " .local .align 16 .b8 spill[32]; .reg .u64 %base;" AT(0, pa, 4) AT(
              1, po,
              4) " ld.global.u32 %r2, [%t0]; mov.u64 %base, spill;"
                 " mov.u32 %r3, 0;\n"
                 "FILL: mul.lo.u32 %r4, %r3, %r3; add.u32 %r4, %r4, %r2;"
                 " mad.wide.u32 %t2, %r3, 4, %base; st.local.u32 [%t2], %r4;"
                 " add.u32 %r3, %r3, 1; setp.lt.u32 %p, %r3, 8; @%p bra FILL;\n"
                 " and.b32 %r3, %i, 7; cvta.local.u64 %t3, %base;"
                 " mad.wide.u32 %t3, %r3, 4, %t3; ld.u32 %r5, [%t3];"
                 " st.global.u32 [%t1], %r5;",
          fill_local),
    WORDS("a local array in vectors", NULL,
          " .local .align 16 .b8 spill[16];" AT(0, pa, 4)
              AT(1, po, 4) " ld.global.u32 %r2, [%t0];"
                           " st.local.v4.u32 [spill], {%r2, %r1, %r2, %r2};"
                           " ld.local.v2.u32 {%r3, %r4}, [spill+8];"
                           " st.global.u32 [%t1], %r4;",
          fill_copy4),
    WORDS("isspacep", ".shared .align 4 .u32 word;\n",
          " .local .align 4 .b8 mine[4];" AT(
              1, po, 4) " mov.u64 %t2, word; cvta.shared.u64 %t2, %t2; mov.u64 "
                        "%t3, mine;"
                        " cvta.local.u64 %t3, %t3; mov.u32 %r2, 0;"
                        " isspacep.global %p, %t1; @%p or.b32 %r2, %r2, 1;"
                        " isspacep.shared %p, %t1; @%p or.b32 %r2, %r2, 2;"
                        " isspacep.local %p, %t1; @%p or.b32 %r2, %r2, 4;"
                        " isspacep.global %p, %t2; @%p or.b32 %r2, %r2, 16;"
                        " isspacep.shared %p, %t2; @%p or.b32 %r2, %r2, 32;"
                        " isspacep.local %p, %t2; @%p or.b32 %r2, %r2, 64;"
                        " isspacep.global %p, %t3; @%p or.b32 %r2, %r2, 256;"
                        " isspacep.shared %p, %t3; @%p or.b32 %r2, %r2, 512;"
                        " isspacep.local %p, %t3; @%p or.b32 %r2, %r2, 1024;"
                        " st.global.u32 [%t1], %r2;",
          fill_spaces),
    WORDS("hints change nothing", NULL,
          AT(0, pa, 4)
              AT(1, po,
                 4) " createpolicy.fractional.L2::evict_last.b64 %t2, 1.0;"
                    " createpolicy.fractional.L2::evict_first.b64 %t3, 0.5;"
                    " prefetch.global.L2::evict_last [%t0]; prefetchu.L1 [%t0];"
                    " applypriority.global.L2::evict_normal [%pa], 128;"
                    " ld.global.L2::cache_hint.u32 %r2, [%t0], %t2; pmevent 3;"
                    " st.global.L2::cache_hint.u32 [%t1], %r2, %t3;",
          fill_copy4),
    WORDS("st.shared::cta and ld.shared::cta", NULL,
          " .shared .align 4 .u32 tile[64];" AT(0, pa, 4) AT(
              1, po,
              4) " ld.global.u32 %r2, [%t0]; mov.u32 %r3, tile;"
                 " mad.lo.u32 %r4, %i, 4, %r3; st.shared::cta.u32 [%r4], %r2;"
                 " barrier.cta.sync 0; xor.b32 %r5, %i, 1;"
                 " mad.lo.u32 %r5, %r5, 4, %r3; ld.shared::cta.u32 %r2, [%r5];"
                 " st.global.u32 [%t1], %r2;",
          fill_dynamic),
    WORDS("prefetch and fences change nothing", NULL,
          AT(0, pa, 4)
              AT(1, po,
                 4) " prefetch.global.L1 [%t0];"
                    " prefetch.global.L2 [%t0]; ld.global.u32 %r2, [%t0]; "
                    "membar.cta;"
                    " membar.gl; membar.sys; fence.acq_rel.gpu; fence.sc.cta;"
                    " nanosleep.u32 20; st.global.u32 [%t1], %r2;",
          fill_copy4),
};
CONF_BLOCKS(memory)
