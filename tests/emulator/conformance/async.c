/* async.c -- conformance of cp.async: sizes, zero fill, groups. */
#include "tests/emulator/conformance/block.h"

static void fill_copy(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    memcpy(out, a, THREADS * 16);
}

/* Thread i copies i % 17 bytes of its 16; the rest is zero. */
static void fill_partial(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        memcpy((char *)out + i * 16, (char *)a + i * 16, i % 17);
}

/* Four bytes a thread, i % 5 of them copied. */
static void fill_partial4(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        memcpy((char *)out + i * 16, (char *)a + i * 16, i % 5);
}

static void fill_every_other(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i += 2)
        memcpy((char *)out + i * 16, (char *)a + i * 16, 16);
}

static void fill_first(void *a, void *b, void *c, void *out, size_t bytes)
{
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++)
        memcpy((char *)out + i * 16, (char *)a + i * 16, bytes);
}

static void fill_first4(void *a, void *b, void *c, void *out)
{
    fill_first(a, b, c, out, 4);
}

static void fill_first8(void *a, void *b, void *c, void *out)
{
    fill_first(a, b, c, out, 8);
}

/* Four groups: the sum of the first two of thread i's words, then of all. */
static void fill_groups(void *a, void *b, void *c, void *out)
{
    const uint32_t *in = a;
    uint32_t *to = out;
    (void)b, (void)c;
    for (size_t i = 0; i < THREADS; i++) {
        uint32_t x = in[4 * i] + in[4 * i + 1];
        to[4 * i] = x;
        to[4 * i + 1] = x + in[4 * i + 2] + in[4 * i + 3];
    }
}

/* Before `body`: %r2 is the thread's 16 bytes of shared memory, zeroed, %t0
** its 16 bytes of a. After: they go to out. */
#define COPY(label, body, function)                                            \
    {                                                                          \
        .name = label,                                                         \
        .text = " .shared .align 16 .b8 tile[1024];" AT(0, pa, 16) AT(         \
            1, po,                                                             \
            16) " mov.u32 %r2, tile; mad.lo.u32 %r2, %i, 16, %r2; mov.u32 "    \
                "%r3, 0;"                                                      \
                " st.shared.v4.u32 [%r2], {%r3, %r3, %r3, %r3}; " body         \
                " bar.sync 0; ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2];"   \
                " st.global.v4.u32 [%t1], {%r4, %r5, %r6, %r7};",              \
        .threads = THREADS, .blocks = 1, .out_bytes = THREADS * 16,            \
        .a_bytes = THREADS * 16, .d = CONF_B32, .fill = function, .target = 80 \
    }

#define DONE " cp.async.commit_group; cp.async.wait_group 0;"

const struct conf_block conf_async_cases[] = {
    COPY("cp.async.ca 4", "cp.async.ca.shared.global [%r2], [%t0], 4;" DONE,
         fill_first4),
    COPY("cp.async.ca 8", "cp.async.ca.shared.global [%r2], [%t0], 8;" DONE,
         fill_first8),
    COPY("cp.async.ca 16", "cp.async.ca.shared.global [%r2], [%t0], 16;" DONE,
         fill_copy),
    COPY("cp.async.cg 16", "cp.async.cg.shared.global [%r2], [%t0], 16;" DONE,
         fill_copy),
    COPY("cp.async.cg.L2::128B",
         "cp.async.cg.shared.global.L2::128B [%r2], [%t0], 16;" DONE,
         fill_copy),
    COPY("cp.async.ca.L2::256B",
         "cp.async.ca.shared.global.L2::256B [%r2], [%t0], 16;" DONE,
         fill_copy),
    COPY(
        "cp.async with a cache policy",
        "createpolicy.fractional.L2::evict_first.b64 %t2, 1.0;"
        " cp.async.cg.shared.global.L2::cache_hint [%r2], [%t0], 16, %t2;" DONE,
        fill_copy),
    COPY("cp.async to shared::cta",
         "cp.async.ca.shared::cta.global [%r2], [%t0], 16;" DONE, fill_copy),
    COPY("cp.async.wait_all",
         "cp.async.cg.shared.global [%r2], [%t0], 16; cp.async.wait_all;",
         fill_copy),
    COPY("cp.async.cg with a source size",
         "rem.u32 %r4, %i, 17;"
         " cp.async.cg.shared.global [%r2], [%t0], 16, %r4;" DONE,
         fill_partial),
    COPY("cp.async.ca 4 with a source size",
         "rem.u32 %r4, %i, 5;"
         " cp.async.ca.shared.global [%r2], [%t0], 4, %r4;" DONE,
         fill_partial4),
    COPY("cp.async.cg with ignore-src",
         "and.b32 %r4, %i, 1; setp.ne.u32 %p, %r4, 0;"
         " cp.async.cg.shared.global [%r2], [%t0], 16, %p;" DONE,
         fill_every_other),
    COPY("cp.async under a predicate",
         "and.b32 %r4, %i, 1; setp.eq.u32 %p, %r4, 0;"
         " @%p cp.async.cg.shared.global [%r2], [%t0], 16;" DONE,
         fill_every_other),
    COPY("cp.async with a null source of size 0",
         "and.b32 %r4, %i, 1; setp.eq.u32 %p, %r4, 0; selp.u64 %t0, %t0, 0,"
         " %p; selp.u32 %r4, 16, 0, %p;"
         " cp.async.cg.shared.global [%r2], [%t0], 16, %r4;" DONE,
         fill_every_other),
    {.name = "cp.async.wait_group leaves the newest groups",
     .text = " .shared .align 16 .b8 tile[1024];" AT(0, pa, 16)
         AT(1, po,
            16) " mov.u32 %r2, tile; mad.lo.u32 %r2, %i, 16, %r2;"
                " cp.async.ca.shared.global [%r2], [%t0], 4; "
                "cp.async.commit_group;"
                " cp.async.ca.shared.global [%r2+4], [%t0+4], 4;"
                " cp.async.commit_group;"
                " cp.async.ca.shared.global [%r2+8], [%t0+8], 4;"
                " cp.async.commit_group;"
                " cp.async.ca.shared.global [%r2+12], [%t0+12], 4;"
                " cp.async.commit_group; cp.async.wait_group 2;"
                " ld.shared.v2.u32 {%r4, %r5}, [%r2]; add.u32 %r4, %r4, %r5;"
                " st.global.u32 [%t1], %r4; cp.async.wait_group 0;"
                " ld.shared.v2.u32 {%r5, %r6}, [%r2+8]; add.u32 %r4, %r4, %r5;"
                " add.u32 %r4, %r4, %r6; st.global.u32 [%t1+4], %r4;",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 16,
     .a_bytes = THREADS * 16,
     .d = CONF_U32,
     .fill = fill_groups,
     .target = 80},
};
CONF_BLOCKS(async)
