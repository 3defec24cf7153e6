/* atomic.c -- conformance of atom and red, per operation and type.
**
** Two shapes. *own*: thread i's operation on a global word of its own gives
** back the old value and leaves the new one. *all*: every thread's red on one
** word of shared memory; they commute, so the order does not show.
*/
#include "runtime/base/half.h"
#include "tests/emulator/conformance/block.h"

#define INC(x, y) ((x) >= (y) ? 0 : (x) + 1)
#define DEC(x, y) ((x) == 0 || (x) > (y) ? (y) : (x)-1)
#define MIN(x, y) ((x) < (y) ? (x) : (y))
#define MAX(x, y) ((x) > (y) ? (x) : (y))

/* out[i] = {old, new} of a[i] with b[i]. */
#define OWN_FILL(id, ctype, expression)                        \
    static void own_##id(void *a, void *b, void *c, void *out) \
    {                                                          \
        const ctype *in = a, *with = b;                        \
        ctype *to = out;                                       \
        (void)c;                                               \
        for (size_t i = 0; i < THREADS; i++) {                 \
            ctype x = in[i], y = with[i];                      \
            to[2 * i] = x;                                     \
            to[2 * i + 1] = (ctype)(expression);               \
        }                                                      \
    }

/* out[0] = all of b folded onto `start`. */
#define ALL_FILL(id, ctype, expression)                        \
    static void all_##id(void *a, void *b, void *c, void *out) \
    {                                                          \
        const ctype *with = b;                                 \
        ctype x = *(const ctype *)a;                           \
        (void)c;                                               \
        for (size_t i = 0; i < 2 * THREADS; i++) {             \
            ctype y = with[i];                                 \
            x = (ctype)(expression);                           \
        }                                                      \
        *(ctype *)out = x;                                     \
    }

#define OWN_TEXT(op, type, bits, bytes, r)                            \
    AT(0, pa, bytes)                                                  \
    AT(1, pb, bytes)                                                  \
    " mad.wide.u32 %t9, %i, 2*" #bytes ", %po; ld.global." bits " " r \
    "2, [%t1]; atom.global." op "." type " " r "3, [%t0], " r         \
    "2; ld.global." bits " " r "4, [%t0];"                            \
    " st.global.v2." bits " [%t9], {" r "3, " r "4};"

#define OWN(op, type, bits, bytes, r, ctype, element, function)             \
    {                                                                       \
        .name = "atom.global." op "." type,                                 \
        .text = OWN_TEXT(op, type, bits, bytes, r), .threads = THREADS,     \
        .blocks = 1, .out_bytes = THREADS * 2 * sizeof(ctype),              \
        .a_bytes = THREADS * sizeof(ctype),                                 \
        .b_bytes = THREADS * sizeof(ctype), .d = element, .fill = function, \
        .target = 80                                                        \
    }

/* Starts from a[0] in shared memory, folds 128 values, writes the result. */
#define SHARED(op, type, bits, bytes, r, ctype, element, function)           \
    {                                                                        \
        .name = "red.shared." op "." type,                                   \
        .text = " .shared .align 8 .b8 word[8];" AT(                         \
            1, pb, bytes) " setp.eq.u32 %p, %i, 0; ld.global." bits " " r    \
                          "2, [%t1];"                                        \
                          " @%p ld.global." bits " " r                       \
                          "3, [%pa]; @%p st.shared." bits " [word], " r      \
                          "3; bar.sync 0; red.shared." op "." type           \
                          " [word], " r "2; bar.sync 0; @%p ld.shared." bits \
                          " " r "4, [word];"                                 \
                          " @%p st.global." bits " [%po], " r "4;",          \
        .threads = 2 * THREADS, .blocks = 1, .out_bytes = sizeof(ctype),     \
        .a_bytes = sizeof(ctype), .b_bytes = 2 * THREADS * sizeof(ctype),    \
        .d = element, .fill = function, .target = 80                         \
    }

/* Every integer operation that has both shapes. */
#define INTEGERS(X)                                                         \
    X(add_u32, "add", "u32", "u32", 4, "%r", uint32_t, CONF_U32, x + y)     \
    X(add_s32, "add", "s32", "u32", 4, "%r", uint32_t, CONF_S32, x + y)     \
    X(add_u64, "add", "u64", "u64", 8, "%t", uint64_t, CONF_U64, x + y)     \
    X(min_u32, "min", "u32", "u32", 4, "%r", uint32_t, CONF_U32, MIN(x, y)) \
    X(min_s32, "min", "s32", "u32", 4, "%r", int32_t, CONF_S32, MIN(x, y))  \
    X(min_u64, "min", "u64", "u64", 8, "%t", uint64_t, CONF_U64, MIN(x, y)) \
    X(min_s64, "min", "s64", "u64", 8, "%t", int64_t, CONF_S64, MIN(x, y))  \
    X(max_u32, "max", "u32", "u32", 4, "%r", uint32_t, CONF_U32, MAX(x, y)) \
    X(max_s32, "max", "s32", "u32", 4, "%r", int32_t, CONF_S32, MAX(x, y))  \
    X(max_u64, "max", "u64", "u64", 8, "%t", uint64_t, CONF_U64, MAX(x, y)) \
    X(max_s64, "max", "s64", "u64", 8, "%t", int64_t, CONF_S64, MAX(x, y))  \
    X(and_b32, "and", "b32", "b32", 4, "%r", uint32_t, CONF_B32, (x & y))   \
    X(and_b64, "and", "b64", "b64", 8, "%t", uint64_t, CONF_B64, (x & y))   \
    X(or_b32, "or", "b32", "b32", 4, "%r", uint32_t, CONF_B32, x | y)       \
    X(or_b64, "or", "b64", "b64", 8, "%t", uint64_t, CONF_B64, x | y)       \
    X(xor_b32, "xor", "b32", "b32", 4, "%r", uint32_t, CONF_B32, x ^ y)     \
    X(xor_b64, "xor", "b64", "b64", 8, "%t", uint64_t, CONF_B64, x ^ y)

#define DEFINE(id, op, type, bits, bytes, r, ctype, element, expression) \
    OWN_FILL(id, ctype, expression)                                      \
    ALL_FILL(id, ctype, expression)
INTEGERS(DEFINE)
OWN_FILL(inc_u32, uint32_t, INC(x, y))
OWN_FILL(dec_u32, uint32_t, DEC(x, y))
OWN_FILL(exch_b32, uint32_t, y)
OWN_FILL(exch_b64, uint64_t, y)

/* inc with one limit counts modulo limit + 1, in any order. */
static void all_inc(void *a, void *b, void *c, void *out)
{
    uint32_t *limit = b;
    (void)a, (void)c;
    for (size_t i = 0; i < 2 * THREADS; i++)
        limit[i] = 36;
    *(uint32_t *)a = 5;
    *(uint32_t *)out = (5 + 2 * THREADS) % 37;
}

/* Small whole numbers add up exactly in any order. */
static void own_add_f32(void *a, void *b, void *c, void *out)
{
    float *in = a, *with = b, *to = out;
    (void)c;
    for (int i = 0; i < THREADS; i++) {
        in[i] = (float)(i * 3 - 40) / 4;
        with[i] = (float)(100 - i * i);
        to[2 * i] = in[i];
        to[2 * i + 1] = in[i] + with[i];
    }
}

static void own_add_f64(void *a, void *b, void *c, void *out)
{
    double *in = a, *with = b, *to = out;
    (void)c;
    for (int i = 0; i < THREADS; i++) {
        in[i] = i / 3.0;
        with[i] = i * 1e10;
        to[2 * i] = in[i];
        to[2 * i + 1] = in[i] + with[i];
    }
}

static void all_add_f32(void *a, void *b, void *c, void *out)
{
    float *with = b, sum = 2;
    (void)c;
    for (int i = 0; i < 2 * THREADS; i++)
        sum += with[i] = (float)(i - 50);
    *(float *)a = 2;
    *(float *)out = sum;
}

static void own_add_f16x2(void *a, void *b, void *c, void *out)
{
    uint16_t *in = a, *with = b, *to = out;
    (void)c;
    for (int i = 0; i < 2 * THREADS; i++) {
        int at = i / 2 * 4 + i % 2;
        in[i] = tsr__float_to_half((float)i);
        with[i] = tsr__float_to_half((float)(7 - i));
        to[at] = in[i];
        to[at + 2] = tsr__float_to_half(7);
    }
}

static void own_add_bf16x2(void *a, void *b, void *c, void *out)
{
    uint16_t *in = a, *with = b, *to = out;
    (void)c;
    for (int i = 0; i < 2 * THREADS; i++) {
        int at = i / 2 * 4 + i % 2;
        in[i] = tsr__float_to_bfloat((float)i);
        with[i] = tsr__float_to_bfloat((float)(7 - i));
        to[at] = in[i];
        to[at + 2] = tsr__float_to_bfloat(7);
    }
}

/* cas: every other thread expects the right old value. */
static void fill_cas32(void *a, void *b, void *c, void *out)
{
    uint32_t *in = a, *expected = b, *with = c, *to = out;
    for (size_t i = 0; i < THREADS; i++) {
        if (i & 1)
            expected[i] = in[i];
        to[2 * i] = in[i];
        to[2 * i + 1] = in[i] == expected[i] ? with[i] : in[i];
    }
}

static void fill_cas64(void *a, void *b, void *c, void *out)
{
    uint64_t *in = a, *expected = b, *with = c, *to = out;
    for (size_t i = 0; i < THREADS; i++) {
        if (i & 1)
            expected[i] = in[i];
        to[2 * i] = in[i];
        to[2 * i + 1] = in[i] == expected[i] ? with[i] : in[i];
    }
}

static void fill_cas16(void *a, void *b, void *c, void *out)
{
    uint16_t *in = a, *expected = b, *with = c, *to = out;
    for (size_t i = 0; i < THREADS; i++) {
        if (i & 1)
            expected[i] = in[i];
        to[2 * i] = in[i];
        to[2 * i + 1] = in[i] == expected[i] ? with[i] : in[i];
    }
}

static void own_add_f16(void *a, void *b, void *c, void *out)
{
    uint16_t *in = a, *with = b, *to = out;
    (void)c;
    for (int i = 0; i < THREADS; i++) {
        to[2 * i] = in[i] = tsr__float_to_half((float)i);
        with[i] = tsr__float_to_half((float)(7 - i));
        to[2 * i + 1] = tsr__float_to_half(7);
    }
}

/* Four floats a thread added to four of its own. */
static void fill_red_v4(void *a, void *b, void *c, void *out)
{
    float *in = a, *to = out;
    (void)b, (void)c;
    for (int i = 0; i < THREADS * 4; i++)
        in[i] = to[i] = (float)(i * 3 - 200);
}

/* Each thread of both blocks draws a ticket; the tickets are 0 .. 127. */
static void fill_tickets(void *a, void *b, void *c, void *out)
{
    uint32_t *to = out;
    (void)b, (void)c;
    memset(a, 0, 4);
    for (size_t i = 0; i < 2 * THREADS; i++)
        to[i] = 1;
}

#define ROW_OWN(id, op, type, bits, bytes, r, ctype, element, expression) \
    OWN(op, type, bits, bytes, r, ctype, element, own_##id),
#define ROW_ALL(id, op, type, bits, bytes, r, ctype, element, expression) \
    SHARED(op, type, bits, bytes, r, ctype, element, all_##id),

#define CAS(bits, r, bytes, ctype, element, function)                          \
    {                                                                          \
        .name = "atom.global.cas." bits,                                       \
        .text = AT(0, pa, bytes) AT(1, pb, bytes)                              \
            AT(3, pc, bytes) " mad.wide.u32 %t4, %i, 2*" #bytes                \
                             ", %po; ld.global." bits " " r                    \
                             "5, [%t1]; ld.global." bits " " r                 \
                             "6, [%t3]; atom.global.cas." bits " " r           \
                             "7, [%t0], " r "5, " r "6; ld.global." bits " " r \
                             "8, [%t0]; st.global.v2." bits " [%t4], {" r      \
                             "7, " r "8};",                                    \
        .threads = THREADS, .blocks = 1,                                       \
        .out_bytes = THREADS * 2 * sizeof(ctype),                              \
        .a_bytes = THREADS * sizeof(ctype),                                    \
        .b_bytes = THREADS * sizeof(ctype),                                    \
        .c_bytes = THREADS * sizeof(ctype), .d = element, .fill = function,    \
        .target = 80                                                           \
    }

/* Tickets through one form of atom. */
#define TICKETS(form)                                                     \
    {                                                                     \
        .name = form " draws every ticket once",                          \
        .text = " " form " %r2, [%pa], 1; mad.wide.u32 %t1, %r2, 4, %po;" \
                " mov.u32 %r3, 1; red.global.add.u32 [%t1], %r3;",        \
        .threads = THREADS, .blocks = 2, .out_bytes = 2 * THREADS * 4,    \
        .a_bytes = 4, .d = CONF_U32, .fill = fill_tickets, .target = 80   \
    }

const struct conf_block conf_atomic_cases[] = {
    INTEGERS(ROW_OWN) INTEGERS(ROW_ALL)
        OWN("inc", "u32", "u32", 4, "%r", uint32_t, CONF_U32, own_inc_u32),
    OWN("dec", "u32", "u32", 4, "%r", uint32_t, CONF_U32, own_dec_u32),
    OWN("exch", "b32", "b32", 4, "%r", uint32_t, CONF_B32, own_exch_b32),
    OWN("exch", "b64", "b64", 8, "%t", uint64_t, CONF_B64, own_exch_b64),
    OWN("add", "f32", "f32", 4, "%f", float, CONF_F32, own_add_f32),
    OWN("add", "f64", "f64", 8, "%w", double, CONF_F64, own_add_f64),
    OWN("add.noftz", "f16x2", "b32", 4, "%r", uint32_t, CONF_H2, own_add_f16x2),
    {.name = "atom.global.add.noftz.bf16x2",
     .text = OWN_TEXT("add.noftz", "bf16x2", "b32", 4, "%r"),
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 8,
     .a_bytes = THREADS * 4,
     .b_bytes = THREADS * 4,
     .d = CONF_BH2,
     .fill = own_add_bf16x2,
     .target = 90},
    SHARED("inc", "u32", "u32", 4, "%r", uint32_t, CONF_U32, all_inc),
    SHARED("add", "f32", "f32", 4, "%f", float, CONF_F32, all_add_f32),
    OWN("add.noftz", "f16", "b16", 2, "%h", uint16_t, CONF_F16, own_add_f16),
    CAS("b16", "%h", 2, uint16_t, CONF_U16, fill_cas16),
    {.name = "red.global.v4.f32.add",
     .text = AT(0, pa, 16)
         AT(1, po, 16) " ld.global.v4.f32 {%f2, %f3, %f4, %f5}, [%t0];"
                       " red.global.v4.f32.add [%t1], {%f2, %f3, %f4, %f5};",
     .threads = THREADS,
     .blocks = 1,
     .out_bytes = THREADS * 16,
     .a_bytes = THREADS * 16,
     .d = CONF_F32,
     .fill = fill_red_v4,
     .target = 90},
    CAS("b32", "%r", 4, uint32_t, CONF_B32, fill_cas32),
    CAS("b64", "%t", 8, uint64_t, CONF_B64, fill_cas64),
    TICKETS("atom.global.add.u32"),
    TICKETS("atom.global.gpu.add.u32"),
    TICKETS("atom.relaxed.gpu.global.add.u32"),
    TICKETS("atom.acq_rel.gpu.global.add.u32"),
    TICKETS("atom.acquire.sys.global.add.u32"),
    TICKETS("atom.release.gpu.global.add.u32"),
    TICKETS("atom.add.u32"),
};
CONF_BLOCKS(atomic)
