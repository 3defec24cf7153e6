/* alu_approx.c -- approximate functions, and how far they may be trusted.
**
** The hardware computes these to a few ulp from tables that are not public. We
** compute them in double, round once, and, when options.perturb_ulp asks for
** it, move each result by a seeded amount of up to that many ulp: a test that
** still passes has an honest tolerance. Exact cases (infinities, zeros, powers
** of two for ex2 and rcp) are never moved.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_approx.c"
#include "runtime/emulator/isa.h"
#else

/* Moves `v` by -n..n ulp unless it is exact already. */
static inline float EMU_H(perturb)(struct emu_warp *w, float v, double exact)
{
    int n = emu_warp_perturb(w);
    if (n == 0 || (double)v == exact || v != v || isinf(v) || v == 0)
        return v;
    uint32_t span = 2 * (uint32_t)n + 1;
    int32_t by = (int32_t)(emu_random_next(&w->random) % span) - n;
    uint32_t bits = tsr__float_bits(v) + (uint32_t)by;
    float moved = tsr__bits_float(bits);
    return isfinite(moved) && (moved > 0) == (v > 0) ? moved : v;
}

static inline float EMU_H(round)(struct emu_warp *w, double exact, int flags)
{
    float v = (float)exact;
    return emu_finish(EMU_H(perturb)(w, v, exact), flags);
}

#define APPROX(name, expression)                           \
    void EMU_H(name)(EMU_ARGUMENTS)                        \
    {                                                      \
        lane_f32 *d = EMU_AT(lane_f32, op->d);             \
        const lane_f32 *a = EMU_AT(lane_f32, op->a),       \
                       *b = EMU_AT(lane_f32, op->b);       \
        int flags = op->flags;                             \
        (void)b;                                           \
        for (int i = 0; i < 32; i++) {                     \
            if (m >> i & 1) {                              \
                double x = emu_flush_if(a[i], flags);      \
                double y = emu_flush_if(b[i], flags);      \
                (void)y;                                   \
                d[i] = EMU_H(round)(w, expression, flags); \
            }                                              \
        }                                                  \
    }

/* div.approx is a * (1/b): for 2^126 < |b| < 2^128 the reciprocal is flushed
** and the quotient is 0 (NaN for an infinite a). div.full (x = 1) scales. */
static inline double EMU_H(quotient)(const struct emu_op *op, double x,
                                     double y)
{
    double size = fabs(y);
    if (!op->x && size > 0x1p126 && size < 0x1p128)
        return isinf(x) ? (double)NAN : copysign(0, x) * copysign(1, y);
    return x / y;
}

APPROX(div_approx, EMU_H(quotient)(op, x, y))
APPROX(rcp_approx, 1 / x)
APPROX(sqrt_approx, sqrt(x))
APPROX(rsqrt_approx, 1 / sqrt(x))
APPROX(ex2_approx, exp2(x))
APPROX(lg2_approx, log2(x))
APPROX(sin_approx, sin(x))
APPROX(cos_approx, cos(x))
APPROX(tanh_approx, tanh(x))

/* The upper 32 bits of the result carry the value; the lower are zero. */
#define APPROX64(name, expression)                              \
    void EMU_H(name)(EMU_ARGUMENTS)                             \
    {                                                           \
        lane_u64 *d = EMU_AT(lane_u64, op->d);                  \
        const lane_f64 *a = EMU_AT(lane_f64, op->a);            \
        (void)w;                                                \
        for (int i = 0; i < 32; i++) {                          \
            if (m >> i & 1) {                                   \
                double x = a[i];                                \
                if (op->flags & EMU_FTZ && fabs(x) < 0x1p-1022) \
                    x = copysign(0, x);                         \
                double v = expression;                          \
                if (op->flags & EMU_FTZ && fabs(v) < 0x1p-1022) \
                    v = copysign(0, v);                         \
                uint64_t bits;                                  \
                memcpy(&bits, &v, sizeof bits);                 \
                d[i] = v == v ? bits & ~UINT64_C(0xffffffff)    \
                              : UINT64_C(0x7fffffff00000000);   \
            }                                                   \
        }                                                       \
    }

APPROX64(rcp_approx_f64, 1 / x)
APPROX64(rsqrt_approx_f64, 1 / sqrt(x))

/* Halves. x: 0 f16, 1 f16x2, 2 bf16, 3 bf16x2. */
static inline uint32_t EMU_H(half_part)(const struct emu_op *op, uint32_t v,
                                        double (*function)(double))
{
    uint16_t bits = (uint16_t)v;
    if (op->x >= 2) {
        float in = emu_flush_if(tsr__bfloat_to_float(bits), op->flags);
        float out = (float)function(in);
        return tsr__float_to_bfloat(emu_flush_if(out, op->flags));
    }
    float in = tsr__half_to_float(bits);
    if (op->flags & EMU_FTZ && fabsf(in) < 0x1p-14f)
        in = copysignf(0, in);
    return tsr__float_to_half((float)function(in));
}

static inline void EMU_H(halves)(unsigned char *r, const struct emu_op *op,
                                 uint32_t m, double (*function)(double))
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a);
    for (int i = 0; i < 32; i++) {
        if (!(m >> i & 1))
            continue;
        uint32_t low = EMU_H(half_part)(op, a[i], function);
        uint32_t high =
            op->x & 1 ? EMU_H(half_part)(op, a[i] >> 16, function) : 0;
        d[i] = low | high << 16;
    }
}

void EMU_H(ex2_half)(EMU_ARGUMENTS)
{
    (void)w;
    EMU_H(halves)(r, op, m, exp2);
}

void EMU_H(tanh_half)(EMU_ARGUMENTS)
{
    (void)w;
    EMU_H(halves)(r, op, m, tanh);
}

#endif
