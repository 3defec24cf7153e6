/* mma_float.c -- mma.sync of f16, bf16 and tf32.
**
** x: element type; y: k; z: bit 0 D is f16, bit 1 C is f16. list: D, A, B, C.
** A slot holds, per lane, two 16-bit elements or one tf32. With g = lane/4,
** t = lane%4 and w elements a slot and lane (2 or 1):
**
**     A  slot 2j + h: row g + 8h, k = 4wj + wt ...
**     B  slot j:      column g,   k = 4wj + wt ...
**     C  as in mma_int.c; f16: c0 (g; 2t, 2t+1), c1 (g+8; 2t, 2t+1)
**
** The order of the sums is in mma.h.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/mma_float.c"
#include "runtime/emulator/isa.h"
#else

static inline float EMU_H(element)(const struct emu_op *op, uint32_t v,
                                   int which)
{
    if (op->x == PTX_TF32) /* the low 13 bits are not looked at */
        return tsr__bits_float(v & 0xffffe000);
    uint16_t half = (uint16_t)(v >> 16 * which);
    return op->x == PTX_F16 ? tsr__half_to_float(half)
                            : tsr__bfloat_to_float(half);
}

/* Rows (or columns) of a fragment: `stride` slots between k-groups. */
static void EMU_H(gather)(const unsigned char *r, const struct emu_op *op,
                          const uint32_t *slot, int stride, int row0,
                          float to[][16])
{
    int each = op->x == PTX_TF32 ? 1 : 2, groups = op->y / (4 * each);
    for (int j = 0; j < groups; j++) {
        const lane_u32 *v = EMU_AT(const lane_u32, slot[stride * j]);
        for (int i = 0; i < 32; i++)
            for (int e = 0; e < each; e++)
                to[row0 + i / 4][4 * each * j + each * (i % 4) + e] =
                    EMU_H(element)(op, v[i], e);
    }
}

static double EMU_H(accumulator)(const unsigned char *r,
                                 const struct emu_op *op, const uint32_t *c,
                                 int row, int n)
{
    int half = row / 8, i = 4 * (row % 8) + n / 2;
    if (op->z & 2) {
        uint32_t pair = EMU_AT(const lane_u32, c[half])[i];
        return (double)tsr__half_to_float((uint16_t)(pair >> 16 * (n % 2)));
    }
    return (double)EMU_AT(const lane_f32, c[2 * half + n % 2])[i];
}

static void EMU_H(result)(unsigned char *r, const struct emu_op *op,
                          double sum[16][8], uint32_t m)
{
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 32; i++) {
            const double *v = &sum[8 * half + i / 4][2 * (i % 4)];
            if (!(m >> i & 1))
                continue;
            if (op->z & 1) {
                EMU_AT(lane_u32, op->list[half])
                [i] = emu_double_to_half(v[0]) |
                      (uint32_t)emu_double_to_half(v[1]) << 16;
                continue;
            }
            EMU_AT(lane_f32, op->list[2 * half])
            [i] = emu_canonical((float)v[0]);
            EMU_AT(lane_f32, op->list[2 * half + 1])
            [i] = emu_canonical((float)v[1]);
        }
    }
}

void EMU_H(mma_float)(EMU_ARGUMENTS)
{
    int bytes = op->x == PTX_TF32 ? 4 : 2, slots = op->y * bytes / 16;
    const uint32_t *a = op->list + (op->z & 1 ? 2 : 4), *b = a + 2 * slots,
                   *c = b + slots;
    _Alignas(64) float row[16][16], column[8][16];
    double sum[16][8];
    emu_check_warp(w, op, m);
    EMU_H(gather)(r, op, a, 2, 0, row);
    EMU_H(gather)(r, op, a + 1, 2, 8, row);
    EMU_H(gather)(r, op, b, 1, 0, column);
    for (int i = 0; i < 16; i++) {
        for (int n = 0; n < 8; n++) {
            double t = EMU_H(accumulator)(r, op, c, i, n);
            for (int k = 0; k < op->y; k++)
                t += (double)row[i][k] * (double)column[n][k];
            sum[i][n] = t;
        }
    }
    EMU_H(result)(r, op, sum, m);
}

#endif
