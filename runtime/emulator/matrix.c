/* matrix.c -- ldmatrix, stmatrix, movmatrix: 8x8 matrices of 16-bit elements.
**
** Row k of matrix q is the 16 bytes at lane 8q+k's address. Lane i holds
** elements 2(i%4) and 2(i%4)+1 of row i/4, so a register slot *is* the matrix,
** row after row, 16 bytes a row:
**
**     slot bytes   0 ............ 15 │ 16 ........... 31 │ ...
**     lanes        0   1   2   3     │  4   5   6   7    │ ...
**                  row 0             │ row 1             │
**
** n  matrices; x  transpose; y  generic address; a, immediate  address; list.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/matrix.c"
#include "runtime/emulator/isa.h"
#else

static inline void EMU_H(transpose)(const uint16_t from[64], uint16_t to[64])
{
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++)
            to[8 * i + k] = from[8 * k + i];
}

/* Shared offsets of the rows, and the lanes whose rows may be touched. */
static inline uint32_t EMU_H(rows)(struct emu_warp *w, unsigned char *r,
                                   const struct emu_op *op,
                                   enum emu_access_kind kind,
                                   uint64_t address[32], uint32_t m)
{
    uint32_t used = op->n == 4 ? EMU_ALL : (UINT32_C(1) << 8 * op->n) - 1;
    uint64_t bits = 0, high = 0, size = w->block->shared_bytes;
    emu_check_warp(w, op, m);
    if (op->flags & EMU_WIDE_BASE) {
        const lane_u64 *a = EMU_AT(const lane_u64, op->a);
        EMU_LANES address[i] = a[i] + op->immediate;
    } else {
        const lane_u32 *a = EMU_AT(const lane_u32, op->a);
        EMU_LANES address[i] = (uint32_t)(a[i] + (uint32_t)op->immediate);
    }
    if (op->y)
        EMU_LANES address[i] -= EMU_WINDOW_SHARED;
    used &= m;
    for (int i = 0; i < 8 * op->n; i++) {
        bits |= address[i];
        high = address[i] > high ? address[i] : high;
    }
    if (bits & 15 || size < 16 || high > size - 16)
        used = emu_reach_slow(w, op, PTX_SPACE_SHARED, kind, 16, 16, address,
                              used);
    if (used && (w->block->checks | w->block->counts))
        emu_reach_observe(w, op, PTX_SPACE_SHARED, kind, EMU_WEAK, 16, address,
                          used, 1);
    return used;
}

void EMU_H(ldmatrix)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    uint32_t used = EMU_H(rows)(w, r, op, EMU_READ, address, m);
    const unsigned char *shared = w->block->shared;
    for (int q = 0; q < op->n; q++) {
        _Alignas(64) uint16_t matrix[64], turned[64];
        for (int k = 0; k < 8; k++) {
            if (used >> (8 * q + k) & 1)
                memcpy(matrix + 8 * k, shared + address[8 * q + k], 16);
            else
                memset(matrix + 8 * k, 0, 16);
        }
        const uint16_t *from = matrix;
        if (op->x) {
            EMU_H(transpose)(matrix, turned);
            from = turned;
        }
        lane_u32 *d = EMU_AT(lane_u32, op->list[q]);
        if (m == EMU_ALL) {
            memcpy(d, from, 128);
            continue;
        }
        uint32_t words[32];
        memcpy(words, from, 128);
        EMU_EACH(d[i] = words[i]);
    }
}

void EMU_H(stmatrix)(EMU_ARGUMENTS)
{
    uint64_t address[32];
    uint32_t used = EMU_H(rows)(w, r, op, EMU_WRITE, address, m);
    for (int q = 0; q < op->n; q++) {
        uint16_t matrix[64], turned[64];
        memcpy(matrix, EMU_AT(lane_u32, op->list[q]), 128);
        const uint16_t *from = matrix;
        if (op->x) {
            EMU_H(transpose)(matrix, turned);
            from = turned;
        }
        for (int k = 0; k < 8; k++)
            if (used >> (8 * q + k) & 1)
                memcpy(w->block->shared + address[8 * q + k], from + 8 * k, 16);
    }
}

void EMU_H(movmatrix)(EMU_ARGUMENTS)
{
    uint16_t matrix[64], turned[64];
    emu_check_warp(w, op, m);
    memcpy(matrix, EMU_AT(lane_u32, op->a), 128);
    EMU_H(transpose)(matrix, turned);
    uint32_t words[32];
    memcpy(words, turned, 128);
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    EMU_EACH(d[i] = words[i]);
}

#endif
