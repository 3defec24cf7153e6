/* rtn.h -- round to nearest: one row of weights to 4-bit codes.
**
** w4c. The stored zero comes first, zs = fp16(-min); the scale is chosen for
** that stored zero, s = (max + zs) / 15 rounded up to fp16; each code is the
** nearest for the stored values. So the grid covers the row but for what
** rounding -min to fp16 leaves below it (nothing, when the weights are fp16).
**
** w4g, two levels. s1 = max|w| / 120 rounded up to fp16, so w8 = w / s1 lies
** within +-120 (w8 is not rounded). Per group of w8 with extremes lo and hi:
**     z1 = rint(-lo),  b = 128 - z1,
**     s2 = (hi - lo) / 15 rounded down or up, whichever gives the smaller
**          squared error, at least 1,
**     q  = rint((w8 + z1) / s2) within 0..15.
** Then 0 <= q*s2 + b <= 255 for every code. Below: z1 <= 120, so b >= 8.
** Above: q*s2 - z1 <= hi + s2/2. For s2 <= 15 that is at most 127.5, and an
** integer, hence 127. For s2 = 16 it exceeds 127 only if q = 15 and z1 <= 112
** (z1 is an integer); but q = 15 needs hi + z1 > 14.5 * 16 = 232 (a tie
** goes to the even 14), so z1 > 112; and for q <= 14, q*16 - z1 <= 224 - z1
** with z1 >= 105, as s2 = 16 needs hi - lo > 225. A test enumerates all
** this. (QServe's integer zero in code units allows 119; the offset form 120.)
**
** Rows that are zero, constant or subnormal need no special case: scales are
** at least 2^-24, the smallest fp16.
*/
#ifndef GEN_QUANTIZE_RTN_H
#define GEN_QUANTIZE_RTN_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/model/layout.h"

#define GEN_PROTECTIVE_LIMIT 120.0f

/* Why a row cannot be quantised: symbol, what to say of the weight. */
#define GEN_ROW_FAULT_LIST(X)                               \
    X(GEN_ROW_OK, "fits")                                   \
    X(GEN_ROW_NOT_FINITE, "is not a finite number")         \
    X(GEN_ROW_TOO_LARGE, "is beyond fp16's largest, 65504") \
    X(GEN_ROW_CARRY, "breaks 0 <= q*s2 + b <= 255 (a fault in Tessera)")

enum gen_row_fault {
#define GEN_ENUM(symbol, words) symbol,
    GEN_ROW_FAULT_LIST(GEN_ENUM)
#undef GEN_ENUM
};

const char *gen_row_fault_text(enum gen_row_fault fault);

/* Where the results of one row go. */
struct gen_row {
    uint8_t *codes;       /* [k] */
    uint16_t *scale;      /* s or s1 */
    uint16_t *zero_scale; /* w4c */
    uint8_t *s2, *offset; /* w4g: of group g at [g * stride] */
    size_t stride;
    double error, power; /* sums of (w - w^)^2 and of w^2, set */
    size_t at;           /* set on a fault: index of the weight */
};

/* Quantises w [k]. `scratch` has room for k floats. k obeys
** tsr__linear_check. */
enum gen_row_fault gen_rtn_row(enum tsr_weight_format format, const float *w,
                               size_t k, float *scratch, struct gen_row *row);

/* The second level alone, for its test: w8 [count] within +-120; step is
** either candidate. Returns the largest q*s2 + b. */
struct gen_group {
    int s2, offset;
};
struct gen_group gen_rtn_group(float low, float high, int round_up);
int gen_rtn_group_code(struct gen_group group, float w8);

/* The smallest positive fp16 that is at least `value` (0 <= value <= 65504).
 */
uint16_t gen_half_at_least(float value);

#endif
