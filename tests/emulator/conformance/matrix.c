/* matrix.c -- conformance of ldmatrix and mma.sync.
**
** A lane loads its registers of A, B and C as they lie in memory (lane-major),
** so a kernel is four vector loads, the instruction and a store. Where the
** elements of a register belong in the matrices is computed here:
**
**     g = lane / 4, t = lane % 4, e elements in a register
**     A register r, element j   row g + 8 (r & 1)   k (r >> 1) 4e + t e + j
**     B register r, element j   k r 4e + t e + j    column g
**     C element i               row g + 8 (i >> 1)  column 2t + (i & 1)
**
** One warp. Floats are small whole numbers: every order of summation gives
** the same.
*/
#include "runtime/base/half.h"
#include "tests/emulator/conformance/block.h"

/* ---- ldmatrix -------------------------------------------------------------*/

/* Shared memory holds 32 rows of 16 bytes; lane l names row 5l + 3 mod 32. */
static void load_matrices(const uint16_t *in, uint32_t *out, unsigned count,
                          int transposed)
{
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned q = 0; q < count; q++) {
            unsigned g = lane / 4, t = lane % 4, half[2];
            for (unsigned h = 0; h < 2; h++) {
                unsigned row = transposed ? 2 * t + h : g;
                unsigned column = transposed ? g : 2 * t + h;
                unsigned stored = (5 * (8 * q + row) + 3) % 32;
                half[h] = in[8 * stored + column];
            }
            out[lane * count + q] = half[0] | half[1] << 16;
        }
}

#define LDMATRIX(X)                                                    \
    X(x1, 1, "x1", "", 0, "{%r4}", "u32", "%r4")                       \
    X(x2, 2, "x2", "", 0, "{%r4, %r5}", "v2.u32", "{%r4, %r5}")        \
    X(x4, 4, "x4", "", 0, "{%r4, %r5, %r6, %r7}", "v4.u32",            \
      "{%r4, %r5, %r6, %r7}")                                          \
    X(x1t, 1, "x1", ".trans", 1, "{%r4}", "u32", "%r4")                \
    X(x2t, 2, "x2", ".trans", 1, "{%r4, %r5}", "v2.u32", "{%r4, %r5}") \
    X(x4t, 4, "x4", ".trans", 1, "{%r4, %r5, %r6, %r7}", "v4.u32",     \
      "{%r4, %r5, %r6, %r7}")

#define DEFINE_LDMATRIX(id, count, ...)                             \
    static void ldmatrix_##id(void *a, void *b, void *c, void *out) \
    {                                                               \
        (void)b, (void)c;                                           \
        load_matrices(a, out, count, sizeof #id == sizeof "x1t");   \
    }
LDMATRIX(DEFINE_LDMATRIX)

#define ROW_LDMATRIX(id, count, shape, trans, transposed, to, store, from)  \
    {.name = "ldmatrix." shape trans,                                       \
     .text = " .shared .align 16 .b8 tile[512];" AT(                        \
         0, pa,                                                             \
         16) " mad.wide.u32 %t1, %i, 4*" #count ", %po;"                    \
             " ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%t0]; mov.u32 %r2, " \
             "tile;"                                                        \
             " mad.lo.u32 %r3, %i, 16, %r2;"                                \
             " st.shared.v4.u32 [%r3], {%r4, %r5, %r6, %r7}; bar.sync 0;"   \
             " mad.lo.u32 %r3, %i, 5, 3; and.b32 %r3, %r3, 31;"             \
             " mad.lo.u32 %r3, %r3, 16, %r2;"                               \
             " ldmatrix.sync.aligned.m8n8." shape trans ".shared.b16 " to   \
             ", [%r3]; st.global." store " [%t1], " from ";",               \
     .threads = 32,                                                         \
     .blocks = 1,                                                           \
     .out_bytes = 128 * (count),                                            \
     .a_bytes = 512,                                                        \
     .d = CONF_B32,                                                         \
     .fill = ldmatrix_##id,                                                 \
     .target = 80},

/* stmatrix: the opposite; row l of shared memory is what lane l addressed. */
static void store_matrices(const uint32_t *in, uint16_t *out, int transposed)
{
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned q = 0; q < 4; q++)
            for (unsigned h = 0; h < 2; h++) {
                unsigned g = lane / 4, t = lane % 4;
                unsigned row = transposed ? 2 * t + h : g;
                unsigned column = transposed ? g : 2 * t + h;
                unsigned stored = (5 * (8 * q + row) + 3) % 32;
                out[8 * stored + column] =
                    (uint16_t)(in[4 * lane + q] >> (16 * h));
            }
}

static void stmatrix_x4(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    store_matrices(a, out, 0);
}

static void stmatrix_x4t(void *a, void *b, void *c, void *out)
{
    (void)b, (void)c;
    store_matrices(a, out, 1);
}

#define STMATRIX(trans, function)                                             \
    {                                                                         \
        .name = "stmatrix.x4" trans,                                          \
        .text = " .shared .align 16 .b8 tile[512];" AT(0, pa, 16) AT(         \
            1, po, 16) " ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%t0]; "      \
                       "mov.u32 %r2, tile;"                                   \
                       " mad.lo.u32 %r3, %i, 5, 3; and.b32 %r3, %r3, 31;"     \
                       " mad.lo.u32 %r3, %r3, 16, %r2;"                       \
                       " stmatrix.sync.aligned.m8n8.x4" trans                 \
                       ".shared.b16 [%r3], {%r4, %r5, %r6, %r7}; bar.sync 0;" \
                       " mad.lo.u32 %r3, %i, 16, %r2;"                        \
                       " ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r3];"       \
                       " st.global.v4.u32 [%t1], {%r4, %r5, %r6, %r7};",      \
        .threads = 32, .blocks = 1, .out_bytes = 512, .a_bytes = 512,         \
        .d = CONF_U16, .fill = function, .target = 90                         \
    }

/* movmatrix: an 8 x 8 matrix of halves, transposed in registers. */
static void fill_movmatrix(void *a, void *b, void *c, void *out)
{
    const uint16_t *in = a; /* lane 4 r + c / 2 holds (r, c) */
    uint16_t *to = out;
    (void)b, (void)c;
    for (unsigned row = 0; row < 8; row++)
        for (unsigned column = 0; column < 8; column++)
            to[8 * row + column] = in[8 * column + row];
}

/* ---- mma ----------------------------------------------------------------- */

enum { ROWS = 16, COLUMNS = 8, DEEPEST = 64 };

struct matrices {
    double a[ROWS][DEEPEST], b[DEEPEST][COLUMNS];
};

/* An element kind: bits and how to read them. */
enum element { SIGNED8, UNSIGNED8, HALF, BFLOAT, TFLOAT };

static unsigned element_bits(enum element e)
{
    return e <= UNSIGNED8 ? 8 : e <= BFLOAT ? 16 : 32;
}

static double element_value(enum element e, const unsigned char *at)
{
    uint16_t half;
    float word;
    memcpy(&half, at, e >= HALF ? 2 : 1);
    switch (e) {
    case SIGNED8:
        return (int8_t)*at;
    case UNSIGNED8:
        return *at;
    case HALF:
        return tsr__half_to_float(half);
    case BFLOAT:
        return tsr__bfloat_to_float(half);
    case TFLOAT:
        memcpy(&word, at, 4);
        return word;
    }
    return 0;
}

/* Floats become whole numbers from -8 to 7; bytes stay as they are. */
static void make_small(unsigned char *at, size_t bytes, enum element e)
{
    size_t size = element_bits(e) / 8;
    for (size_t i = 0; e >= HALF && i < bytes / size; i++) {
        float value = (float)((at[i * size] & 15) - 8);
        uint16_t half =
            e == HALF ? tsr__float_to_half(value) : tsr__float_to_bfloat(value);
        if (e == TFLOAT)
            memcpy(at + i * size, &value, 4);
        else
            memcpy(at + i * size, &half, 2);
    }
}

static void place(struct matrices *m, const unsigned char *a, enum element ea,
                  const unsigned char *b, enum element eb, unsigned depth)
{
    unsigned per = 32 / element_bits(ea), bytes = element_bits(ea) / 8;
    unsigned b_registers = depth / (4 * per), a_registers = 2 * b_registers;
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4;
        for (unsigned r = 0; r < a_registers; r++)
            for (unsigned j = 0; j < per; j++)
                m->a[g + 8 * (r & 1)][(r >> 1) * 4 * per + t * per + j] =
                    element_value(ea,
                                  a + (lane * a_registers + r) * 4 + j * bytes);
        for (unsigned r = 0; r < b_registers; r++)
            for (unsigned j = 0; j < per; j++)
                m->b[r * 4 * per + t * per + j][g] = element_value(
                    eb, b + (lane * b_registers + r) * 4 + j * bytes);
    }
}

static double dot(const struct matrices *m, unsigned row, unsigned column,
                  unsigned depth)
{
    double sum = 0; /* exact: whole numbers far below 2^53 */
    for (unsigned k = 0; k < depth; k++)
        sum += m->a[row][k] * m->b[k][column];
    return sum;
}

static void integer_mma(void *a, enum element ea, void *b, enum element eb,
                        int32_t *c, int32_t *out, unsigned depth, int saturate)
{
    struct matrices m;
    place(&m, a, ea, b, eb, depth);
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned i = 0; i < 4; i++) {
            unsigned row = lane / 4 + 8 * (i >> 1);
            unsigned column = 2 * (lane % 4) + (i & 1);
            if (saturate) /* close enough to the ends to run over */
                c[lane * 4 + i] = i & 1 ? INT32_MIN + 9 : INT32_MAX - 9;
            int64_t sum =
                c[lane * 4 + i] + (int64_t)dot(&m, row, column, depth);
            if (saturate)
                sum = sum > INT32_MAX   ? INT32_MAX
                      : sum < INT32_MIN ? INT32_MIN
                                        : sum;
            out[lane * 4 + i] = (int32_t)(uint32_t)(uint64_t)sum;
        }
}

static void float_mma(void *a, void *b, enum element e, unsigned depth,
                      size_t a_bytes, size_t b_bytes, float *c, float *out)
{
    struct matrices m;
    make_small(a, a_bytes, e);
    make_small(b, b_bytes, e);
    place(&m, a, e, b, e, depth);
    for (unsigned i = 0; i < 128; i++) {
        unsigned lane = i / 4, row = lane / 4 + 8 * (i % 4 >> 1);
        unsigned column = 2 * (lane % 4) + (i & 1);
        c[i] = (float)((int)(i * 37 % 100) - 50);
        out[i] = c[i] + (float)dot(&m, row, column, depth);
    }
}

/* Accumulators in f16: two elements a register, sums kept below 2048. */
static void half_mma(void *a, void *b, uint16_t *c, uint16_t *out)
{
    struct matrices m;
    make_small(a, 512, HALF);
    make_small(b, 256, HALF);
    place(&m, a, HALF, b, HALF, 16);
    for (unsigned i = 0; i < 128; i++) {
        unsigned lane = i / 4, row = lane / 4 + 8 * (i % 4 >> 1);
        unsigned column = 2 * (lane % 4) + (i & 1);
        float start = (float)((int)(i * 37 % 100) - 50);
        c[i] = tsr__float_to_half(start);
        out[i] = tsr__float_to_half(start + (float)dot(&m, row, column, 16));
    }
}

#define INTEGER_MMA(X)                                           \
    X(k32_s8_s8, 32, "s8.s8", SIGNED8, SIGNED8, "", 0)           \
    X(k32_u8_s8, 32, "u8.s8", UNSIGNED8, SIGNED8, "", 0)         \
    X(k32_s8_u8, 32, "s8.u8", SIGNED8, UNSIGNED8, "", 0)         \
    X(k32_u8_u8, 32, "u8.u8", UNSIGNED8, UNSIGNED8, "", 0)       \
    X(k16_s8_s8, 16, "s8.s8", SIGNED8, SIGNED8, "", 0)           \
    X(k16_u8_s8, 16, "u8.s8", UNSIGNED8, SIGNED8, "", 0)         \
    X(k16_s8_u8, 16, "s8.u8", SIGNED8, UNSIGNED8, "", 0)         \
    X(k16_u8_u8, 16, "u8.u8", UNSIGNED8, UNSIGNED8, "", 0)       \
    X(sat_s8_s8, 32, "s8.s8", SIGNED8, SIGNED8, ".satfinite", 1) \
    X(sat_u8_s8, 32, "u8.s8", UNSIGNED8, SIGNED8, ".satfinite", 1)

#define DEFINE_INTEGER_MMA(id, depth, types, ea, eb, word, saturate) \
    static void mma_##id(void *a, void *b, void *c, void *out)       \
    {                                                                \
        integer_mma(a, ea, b, eb, c, out, depth, saturate);          \
    }
INTEGER_MMA(DEFINE_INTEGER_MMA)

static void mma_f16(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, HALF, 16, 512, 256, c, out);
}

static void mma_bf16(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, BFLOAT, 16, 512, 256, c, out);
}

static void mma_f16_k8(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, HALF, 8, 256, 128, c, out);
}

static void mma_bf16_k8(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, BFLOAT, 8, 256, 128, c, out);
}

static void mma_tf32(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, TFLOAT, 8, 512, 256, c, out);
}

static void mma_f16_f16(void *a, void *b, void *c, void *out)
{
    half_mma(a, b, c, out);
}

/* Registers of A, B: 4 and 2 (deep), or 2 and 1. */
#define DEEP_LOADS                                   \
    AT(0, pa, 16)                                    \
    AT(1, pb, 8)                                     \
    " ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%t0];" \
    " ld.global.v2.u32 {%r6, %r7}, [%t1];"
#define DEEP_OPERANDS " {%r2, %r3, %r4, %r5}, {%r6, %r7},"
#define FLAT_LOADS                         \
    AT(0, pa, 8)                           \
    AT(1, pb, 4)                           \
    " ld.global.v2.u32 {%r2, %r3}, [%t0];" \
    " ld.global.u32 %r6, [%t1];"
#define FLAT_OPERANDS " {%r2, %r3}, {%r6},"

#define MMA(label, loads, opcode, operands, r, type, registers, element,   \
            function)                                                      \
    {                                                                      \
        .name = label,                                                     \
        .text = loads AT(2, pc, 16)                                        \
            AT(3, po, 16) " ld.global.v4." type " {" r "8, " r "9, " r     \
                          "10, " r "11}, [%t2]; " opcode " {" r "12, " r   \
                          "13, " r "14, " r "15}," operands " {" r "8, " r \
                          "9, " r "10, " r "11}; st.global.v4." type       \
                          " [%t3], {" r "12, " r "13, " r "14, " r "15};", \
        .threads = 32, .blocks = 1, .out_bytes = 512,                      \
        .a_bytes = 128 * (registers), .b_bytes = 64 * (registers),         \
        .c_bytes = 512, .d = element, .fill = function, .target = 80       \
    }

#define DEEP_INTEGER(id, depth, types, ea, eb, word, saturate)                 \
    MMA("mma.m16n8k" #depth "." types word, DEPTH_##depth##_LOADS,             \
        "mma.sync.aligned.m16n8k" #depth ".row.col" word ".s32." types ".s32", \
        DEPTH_##depth##_OPERANDS, "%r", "u32", (depth) / 8, CONF_S32,          \
        mma_##id),
#define DEPTH_32_LOADS    DEEP_LOADS
#define DEPTH_16_LOADS    FLAT_LOADS
#define DEPTH_32_OPERANDS DEEP_OPERANDS
#define DEPTH_16_OPERANDS FLAT_OPERANDS

/* m8n8k16: one register of A (row g, k 4t + j) and B, two of C (g, 2t + i). */
static void mma_m8n8k16(void *a, void *b, void *c, void *out)
{
    const int8_t *ia = a;
    const uint8_t *ib = b;
    const uint32_t *ic = c;
    uint32_t *to = out;
    for (unsigned i = 0; i < 64; i++) {
        unsigned row = i / 8, column = i % 8;
        uint32_t sum = ic[i];
        for (unsigned k = 0; k < 16; k++)
            sum += (uint32_t)(ia[16 * row + k] * ib[16 * column + k]);
        to[i] = sum;
    }
}

static void mma_tf32_k4(void *a, void *b, void *c, void *out)
{
    float_mma(a, b, TFLOAT, 4, 256, 128, c, out);
}

/* Accumulating in place, as kernels do: c += A B three times. */
static void mma_chain(void *a, void *b, void *c, void *out)
{
    int32_t next[128];
    integer_mma(a, SIGNED8, b, SIGNED8, c, next, 32, 0);
    for (int i = 0; i < 128; i++) {
        int32_t start = ((int32_t *)c)[i];
        ((int32_t *)out)[i] =
            (int32_t)((uint32_t)start +
                      3 * ((uint32_t)next[i] - (uint32_t)start));
    }
}

#define IN_PLACE                                                               \
    " mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r8, %r9, %r10, %r11}," \
    " {%r2, %r3, %r4, %r5}, {%r6, %r7}, {%r8, %r9, %r10, %r11};"

const struct conf_block conf_matrix_cases[] = {
    LDMATRIX(ROW_LDMATRIX) INTEGER_MMA(DEEP_INTEGER) STMATRIX("", stmatrix_x4),
    STMATRIX(".trans", stmatrix_x4t),
    {.name = "movmatrix",
     .text = AT(0, pa, 4)
         AT(1, po, 4) " ld.global.u32 %r2, [%t0];"
                      " movmatrix.sync.aligned.m8n8.trans.b16 %r3, %r2;"
                      " st.global.u32 [%t1], %r3;",
     .threads = 32,
     .blocks = 1,
     .out_bytes = 128,
     .a_bytes = 128,
     .d = CONF_U16,
     .fill = fill_movmatrix,
     .target = 80},
    {.name = "mma.m8n8k16.s8.u8",
     .text = AT(0, pa, 4) AT(1, pb, 4) AT(2, pc, 8) AT(
         3, po,
         8) " ld.global.u32 %r2, [%t0]; ld.global.u32 %r3, [%t1];"
            " ld.global.v2.u32 {%r4, %r5}, [%t2];"
            " mma.sync.aligned.m8n8k16.row.col.s32.s8.u8.s32 {%r6, %r7}, {%r2},"
            " {%r3}, {%r4, %r5}; st.global.v2.u32 [%t3], {%r6, %r7};",
     .threads = 32,
     .blocks = 1,
     .out_bytes = 256,
     .a_bytes = 128,
     .b_bytes = 128,
     .c_bytes = 256,
     .d = CONF_S32,
     .fill = mma_m8n8k16,
     .target = 80},
    MMA("mma.m16n8k4.f32.tf32", FLAT_LOADS,
        "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", FLAT_OPERANDS,
        "%f", "f32", 2, CONF_F32, mma_tf32_k4),
    MMA("mma.m16n8k16.f32.f16", DEEP_LOADS,
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", DEEP_OPERANDS,
        "%f", "f32", 4, CONF_F32, mma_f16),
    MMA("mma.m16n8k16.f32.bf16", DEEP_LOADS,
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", DEEP_OPERANDS,
        "%f", "f32", 4, CONF_F32, mma_bf16),
    MMA("mma.m16n8k8.f32.f16", FLAT_LOADS,
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", FLAT_OPERANDS, "%f",
        "f32", 2, CONF_F32, mma_f16_k8),
    MMA("mma.m16n8k8.f32.bf16", FLAT_LOADS,
        "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", FLAT_OPERANDS,
        "%f", "f32", 2, CONF_F32, mma_bf16_k8),
    MMA("mma.m16n8k8.f32.tf32", DEEP_LOADS,
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", DEEP_OPERANDS,
        "%f", "f32", 4, CONF_F32, mma_tf32),
    {.name = "mma.m16n8k16.f16.f16",
     .text = DEEP_LOADS AT(2, pc, 8) AT(
         3, po,
         8) " ld.global.v2.u32 {%r8, %r9}, [%t2];"
            " mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r10, %r11},"
            " {%r2, %r3, %r4, %r5}, {%r6, %r7}, {%r8, %r9};"
            " st.global.v2.u32 [%t3], {%r10, %r11};",
     .threads = 32,
     .blocks = 1,
     .out_bytes = 256,
     .a_bytes = 512,
     .b_bytes = 256,
     .c_bytes = 256,
     .d = CONF_H2,
     .fill = mma_f16_f16,
     .target = 80},
    {.name = "mma accumulating in place",
     .text = DEEP_LOADS AT(2, pc, 16) AT(
         3, po, 16) " ld.global.v4.u32 {%r8, %r9, %r10, %r11}, [%t2];" IN_PLACE
         IN_PLACE IN_PLACE " st.global.v4.u32 [%t3], {%r8, %r9, %r10, %r11};",
     .threads = 32,
     .blocks = 1,
     .out_bytes = 512,
     .a_bytes = 512,
     .b_bytes = 256,
     .c_bytes = 512,
     .d = CONF_S32,
     .fill = mma_chain,
     .target = 80},
};
CONF_BLOCKS(matrix)
