/* mma_int.c -- mma.sync of 8-bit integers.
**
** Fragments as register slots. With g = lane/4 and t = lane%4 a slot of A or B
** is 8 rows of 16 bytes, row g being row g of A or column g of B:
**
**     A  a0 rows 0-7, k 0-15    a1 rows 8-15, k 0-15
**        a2 rows 0-7, k 16-31   a3 rows 8-15, k 16-31
**     B  b0 k 0-15              b1 k 16-31            (columns 0-7)
**     C  c0 (g, 2t)  c1 (g, 2t+1)  c2 (g+8, 2t)  c3 (g+8, 2t+1)
**
** list: D, A, B, C slots. x: A is signed, y: B is. z: D shares a register with
** A or B.
**
** With VNNI one instruction multiplies sixteen groups of four bytes. A zmm
** holds four rows of a C slot: lane 4g+t of it wants the dot product of row g
** of A with column 2t (or 2t+1) of B. For each group q of four k the A operand
** is A's own zmm with word q of each row spread over the row (a shuffle inside
** 128 bits), the B operand word q of columns 0 2 4 6 (or 1 3 5 7), once per
** row. dpbusd wants unsigned times signed: a signed A is taken plus 128 and
** 128 times the sum of B's column subtracted; with B unsigned and A signed the
** operands change places; two unsigned ones bias B instead.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/mma_int.c"
#include "runtime/emulator/isa.h"
#else

/* -- plain ---------------------------------------------------------------- */

static inline int EMU_H(byte_of)(const unsigned char *p, int is_signed)
{
    return is_signed ? (int8_t)*p : *p;
}

/* rows8 groups of 8 rows, slots of 16 k. Slot order as in the list. */
static void EMU_H(plain)(unsigned char *r, const struct emu_op *op, int rows8,
                         int slots, int64_t sum[16][8])
{
    const uint32_t *a = op->list + 2 * rows8, *b = a + rows8 * slots;
    const uint32_t *c = b + slots;
    for (int row = 0; row < 8 * rows8; row++) {
        int g = row % 8, half = row / 8;
        for (int n = 0; n < 8; n++) {
            const lane_s32 *from = EMU_AT(const lane_s32, c[2 * half + n % 2]);
            int32_t t = 0;
            for (int k = 0; k < 16 * slots; k++) {
                const unsigned char *p = r + a[half + rows8 * (k / 16)];
                const unsigned char *q = r + b[k / 16];
                t += EMU_H(byte_of)(p + 16 * g + k % 16, op->x) *
                     EMU_H(byte_of)(q + 16 * n + k % 16, op->y);
            }
            sum[row][n] = (int64_t)from[4 * g + n / 2] + t;
        }
    }
}

static void EMU_H(put)(unsigned char *r, const struct emu_op *op, int rows8,
                       int64_t sum[16][8], uint32_t m)
{
    for (int half = 0; half < rows8; half++) {
        for (int odd = 0; odd < 2; odd++) {
            lane_u32 *d = EMU_AT(lane_u32, op->list[2 * half + odd]);
            for (int i = 0; i < 32; i++) {
                int64_t v = sum[8 * half + i / 4][2 * (i % 4) + odd];
                if (op->flags & EMU_SAT)
                    v = v > INT32_MAX   ? INT32_MAX
                        : v < INT32_MIN ? INT32_MIN
                                        : v;
                if (m >> i & 1)
                    d[i] = (uint32_t)v;
            }
        }
    }
}

static void EMU_H(general)(struct emu_warp *w, unsigned char *r,
                           const struct emu_op *op, int rows8, int slots,
                           uint32_t m)
{
    int64_t sum[16][8];
    (void)w;
    EMU_H(plain)(r, op, rows8, slots, sum);
    EMU_H(put)(r, op, rows8, sum, m);
}

/* -- VNNI ----------------------------------------------------------------- */

#if EMU_ISA_LEVEL >= 4

/* Word q of columns 0 2 4 6 (odd = 0) or 1 3 5 7 of a B slot, four times. */
static inline __m512i EMU_H(columns)(__m512i low, __m512i high, int q, int odd)
{
    int first = 4 * odd + q;
    __m512i index = _mm512_broadcast_i32x4(
        _mm_setr_epi32(first, first + 8, first + 16, first + 24));
    return _mm512_permutex2var_epi32(low, index, high);
}

#define SPREAD(v, q) _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)((q)*0x55))
#define LOAD(offset) _mm512_loadu_si512((const void *)(r + (offset)))

/* Adds the products of `slots` k-slots to both C slots of 8 rows. `kind`:
** 0 A unsigned B signed, 1 both signed, 2 A signed B unsigned, 3 both
** unsigned. */
static inline __attribute__((always_inline)) void EMU_H(eight_rows)(
    unsigned char *r, const uint32_t *d, const uint32_t *c, const uint32_t *a,
    int step, const __m512i (*b)[4][2], const __m512i bias[2], int slots,
    int kind)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    for (int part = 0; part < 2; part++) { /* rows 0-3, 4-7 */
        uint32_t at = 64u * (uint32_t)part;
        __m512i even = LOAD(c[0] + at), odd = LOAD(c[1] + at);
        __m512i even2 = _mm512_setzero_si512(), odd2 = even2;
        if (kind == 1) {
            even = _mm512_sub_epi32(even, bias[0]);
            odd = _mm512_sub_epi32(odd, bias[1]);
        }
        for (int s = 0; s < slots; s++) {
            __m512i v = LOAD(a[s * step] + at);
            if (kind == 1)
                v = _mm512_xor_si512(v, flip);
#define STEP(q, even, odd)                                                   \
    do {                                                                     \
        __m512i row = SPREAD(v, q);                                          \
        if (kind == 2) {                                                     \
            even = _mm512_dpbusd_epi32(even, b[s][q][0], row);               \
            odd = _mm512_dpbusd_epi32(odd, b[s][q][1], row);                 \
        } else {                                                             \
            even = _mm512_dpbusd_epi32(even, row, b[s][q][0]);               \
            odd = _mm512_dpbusd_epi32(odd, row, b[s][q][1]);                 \
        }                                                                    \
        if (kind == 3) { /* + 128 * the sum of A's row */                    \
            __m512i most = _mm512_set1_epi8(127), one = _mm512_set1_epi8(1); \
            even = _mm512_dpbusd_epi32(even, row, most);                     \
            odd = _mm512_dpbusd_epi32(odd, row, most);                       \
            even = _mm512_dpbusd_epi32(even, row, one);                      \
            odd = _mm512_dpbusd_epi32(odd, row, one);                        \
        }                                                                    \
    } while (0)
            STEP(0, even, odd);
            STEP(1, even2, odd2);
            STEP(2, even, odd);
            STEP(3, even2, odd2);
#undef STEP
        }
        _mm512_storeu_si512((void *)(r + d[0] + at),
                            _mm512_add_epi32(even, even2));
        _mm512_storeu_si512((void *)(r + d[1] + at),
                            _mm512_add_epi32(odd, odd2));
    }
}

static inline __attribute__((always_inline)) void EMU_H(vector)(
    unsigned char *r, const struct emu_op *op, int rows8, int slots, int kind)
{
    const uint32_t *d = op->list, *a = d + 2 * rows8, *b = a + rows8 * slots,
                   *c = b + slots;
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i spread[2][4][2], bias[2];
    bias[0] = bias[1] = _mm512_setzero_si512();
    for (int s = 0; s < slots; s++) {
        __m512i low = LOAD(b[s]), high = LOAD(b[s] + 64);
        if (kind == 3) {
            low = _mm512_xor_si512(low, flip);
            high = _mm512_xor_si512(high, flip);
        }
        for (int q = 0; q < 4; q++) {
            for (int odd = 0; odd < 2; odd++) {
                spread[s][q][odd] = EMU_H(columns)(low, high, q, odd);
                if (kind == 1)
                    bias[odd] =
                        _mm512_dpbusd_epi32(bias[odd], flip, spread[s][q][odd]);
            }
        }
    }
    for (int half = 0; half < rows8; half++)
        EMU_H(eight_rows)
    (r, d + 2 * half, c + 2 * half, a + half, rows8,
     (const __m512i(*)[4][2])spread, bias, slots, kind);
}

#define MMA(name, rows8, slots)                            \
    void EMU_H(name)(EMU_ARGUMENTS)                        \
    {                                                      \
        emu_check_warp(w, op, m);                          \
        if (m != EMU_ALL || op->flags & EMU_SAT || op->z)  \
            EMU_H(general)(w, r, op, rows8, slots, m);     \
        else if (op->x)                                    \
            op->y ? EMU_H(vector)(r, op, rows8, slots, 1)  \
                  : EMU_H(vector)(r, op, rows8, slots, 2); \
        else                                               \
            op->y ? EMU_H(vector)(r, op, rows8, slots, 0)  \
                  : EMU_H(vector)(r, op, rows8, slots, 3); \
    }

#else

/* Four bytes of a row times four of a column at a time, in a form compilers
** vectorise: both widened to 16 bits first. */
static inline void EMU_H(widen)(const unsigned char *p, int is_signed,
                                int16_t to[128])
{
    if (is_signed) {
        for (int i = 0; i < 128; i++)
            to[i] = (int8_t)p[i];
    } else {
        for (int i = 0; i < 128; i++)
            to[i] = p[i];
    }
}

static inline void EMU_H(blocks)(unsigned char *r, const struct emu_op *op,
                                 int rows8, int slots)
{
    const uint32_t *d = op->list, *a = d + 2 * rows8, *b = a + rows8 * slots,
                   *c = b + slots;
    _Alignas(64) int16_t column[2][128], row[128];
    int32_t sum[2][8][8];
    for (int s = 0; s < slots; s++)
        EMU_H(widen)(r + b[s], op->y, column[s]);
    for (int half = 0; half < rows8; half++) {
        for (int i = 0; i < 32; i++) {
            sum[half][i / 4][2 * (i % 4)] =
                EMU_AT(const lane_s32, c[2 * half])[i];
            sum[half][i / 4][2 * (i % 4) + 1] =
                EMU_AT(const lane_s32, c[2 * half + 1])[i];
        }
        for (int s = 0; s < slots; s++) {
            EMU_H(widen)(r + a[half + rows8 * s], op->x, row);
            for (int g = 0; g < 8; g++) {
                for (int n = 0; n < 8; n++) {
                    const int16_t *p = row + 16 * g, *q = column[s] + 16 * n;
                    int32_t t = 0;
                    for (int k = 0; k < 16; k++)
                        t += p[k] * q[k];
                    sum[half][g][n] =
                        (int32_t)((uint32_t)sum[half][g][n] + (uint32_t)t);
                }
            }
        }
    }
    for (int half = 0; half < rows8; half++) {
        for (int i = 0; i < 32; i++) {
            EMU_AT(lane_s32, d[2 * half])[i] = sum[half][i / 4][2 * (i % 4)];
            EMU_AT(lane_s32, d[2 * half + 1])
            [i] = sum[half][i / 4][2 * (i % 4) + 1];
        }
    }
}

#define MMA(name, rows8, slots)                           \
    void EMU_H(name)(EMU_ARGUMENTS)                       \
    {                                                     \
        emu_check_warp(w, op, m);                         \
        if (m != EMU_ALL || op->flags & EMU_SAT || op->z) \
            EMU_H(general)(w, r, op, rows8, slots, m);    \
        else                                              \
            EMU_H(blocks)(r, op, rows8, slots);           \
    }

#endif

MMA(mma_i8_m16n8k32, 2, 2)
MMA(mma_i8_m16n8k16, 2, 1)
MMA(mma_i8_m8n8k16, 1, 1)
#undef MMA

#endif
