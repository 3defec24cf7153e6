/* alu_float.c -- f32 and f64 arithmetic, IEEE and with PTX's modifiers.
**
** The plain handlers do round-to-nearest without modifiers, in vector code.
** Those with _x take the rounding mode from op.x and .ftz .sat from op.flags.
** min and max: a NaN gives way to a number unless .NaN; -0 < +0.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_float.c"
#include "runtime/emulator/isa.h"
#else

#define F32_3 lane_f32, lane_f32, lane_f32
#define F64_3 lane_f64, lane_f64, lane_f64

EMU_BINARY_OF(add_f32, F32_3, emu_canonical(x + y))
EMU_BINARY_OF(sub_f32, F32_3, emu_canonical(x - y))
EMU_BINARY_OF(mul_f32, F32_3, emu_canonical(x *y))
EMU_TERNARY_OF(fma_f32, F32_3, lane_f32, emu_canonical(fmaf(x, y, z)))
EMU_BINARY_OF(div_f32, F32_3, emu_canonical(x / y))
EMU_UNARY(sqrt_f32, lane_f32, lane_f32, emu_canonical(sqrtf(x)))

EMU_BINARY_OF(add_f64, F64_3, x + y)
EMU_BINARY_OF(sub_f64, F64_3, x - y)
EMU_BINARY_OF(mul_f64, F64_3, x *y)
EMU_TERNARY_OF(fma_f64, F64_3, lane_f64, fma(x, y, z))

/* -- with modifiers ------------------------------------------------------- */

#define ROUNDED(name, type, in, out, expression)                       \
    __attribute__((noinline)) static void EMU_H(loop_##name)(          \
        unsigned char *r, const struct emu_op *op, uint32_t m)         \
    {                                                                  \
        type *d = EMU_AT(type, op->d);                                 \
        const type *a = EMU_AT(type, op->a), *b = EMU_AT(type, op->b), \
                   *c = EMU_AT(type, op->c);                           \
        int flags = op->flags;                                         \
        (void)b, (void)c;                                              \
        for (int i = 0; i < 32; i++) {                                 \
            if (m >> i & 1) {                                          \
                type x = in(a[i], flags), y = in(b[i], flags),         \
                     z = in(c[i], flags);                              \
                (void)y, (void)z;                                      \
                d[i] = out(expression, flags);                         \
            }                                                          \
        }                                                              \
    }                                                                  \
    void EMU_H(name)(EMU_ARGUMENTS)                                    \
    {                                                                  \
        (void)w;                                                       \
        if (op->x == EMU_RN) {                                         \
            EMU_H(loop_##name)(r, op, m);                              \
            return;                                                    \
        }                                                              \
        fesetround(emu_host_rounding(op->x));                          \
        EMU_H(loop_##name)(r, op, m);                                  \
        fesetround(FE_TONEAREST);                                      \
    }

#define SAME(v, flags) ((void)(flags), (v))
#define ROUNDED_F32(name, E) \
    ROUNDED(name, lane_f32, emu_flush_if, emu_finish, E)
#define ROUNDED_F64(name, E) ROUNDED(name, lane_f64, SAME, SAME, E)

/* A multiply-add whose rounding follows the mode: libm's honours it where the
** host has no instruction. */
ROUNDED_F32(add_f32_x, x + y)
ROUNDED_F32(sub_f32_x, x - y)
ROUNDED_F32(mul_f32_x, x *y)
ROUNDED_F32(fma_f32_x, fmaf(x, y, z))
ROUNDED_F32(div_f32_x, x / y)
ROUNDED_F32(rcp_f32_x, 1.0f / x)
ROUNDED_F32(sqrt_f32_x, sqrtf(x))
ROUNDED_F64(add_f64_x, x + y)
ROUNDED_F64(sub_f64_x, x - y)
ROUNDED_F64(mul_f64_x, x *y)
ROUNDED_F64(fma_f64_x, fma(x, y, z))
ROUNDED_F64(div_f64_x, x / y)
ROUNDED_F64(rcp_f64_x, 1.0 / x)
ROUNDED_F64(sqrt_f64_x, sqrt(x))

/* -- minimum, maximum, sign ----------------------------------------------- */

static inline float EMU_H(order_f32)(float x, float y, int flags, int larger)
{
    uint32_t sign = 0;
    x = emu_flush_if(x, flags);
    y = emu_flush_if(y, flags);
    if (flags & EMU_XORSIGN) {
        sign = (tsr__float_bits(x) ^ tsr__float_bits(y)) & 0x80000000;
        x = fabsf(x), y = fabsf(y);
    }
    float result;
    if (x != x || y != y) {
        if ((flags & EMU_NAN) || (x != x && y != y))
            return tsr__bits_float(EMU_NAN_F32);
        result = x != x ? y : x;
    } else if (x == y) { /* equal, or zeros of different sign */
        uint32_t p = tsr__float_bits(x), q = tsr__float_bits(y);
        result = tsr__bits_float(larger ? p & q : p | q);
    } else {
        result = (x < y) != larger ? x : y;
    }
    return tsr__bits_float(tsr__float_bits(result) ^ sign);
}

EMU_BINARY_OF(min_f32, F32_3, EMU_H(order_f32)(x, y, op->flags, 0))
EMU_BINARY_OF(max_f32, F32_3, EMU_H(order_f32)(x, y, op->flags, 1))

static inline double EMU_H(order_f64)(double x, double y, int larger)
{
    if (x != x)
        return y;
    if (y != y)
        return x;
    if (x == y)
        return larger == (signbit(x) != 0) ? y : x;
    return (x < y) != larger ? x : y;
}

EMU_BINARY_OF(min_f64, F64_3, EMU_H(order_f64)(x, y, 0))
EMU_BINARY_OF(max_f64, F64_3, EMU_H(order_f64)(x, y, 1))

#define SIGN32 UINT32_C(0x80000000)
#define SIGN64 (UINT64_C(1) << 63)

static inline uint32_t EMU_H(sign_f32)(uint32_t v, int flags, int negate)
{
    float f = emu_flush_if(tsr__bits_float(v), flags);
    if (f != f)
        return EMU_NAN_F32;
    uint32_t bits = tsr__float_bits(f);
    return negate ? bits ^ SIGN32 : bits & ~SIGN32;
}

EMU_UNARY(abs_f32, lane_u32, lane_u32, EMU_H(sign_f32)(x, op->flags, 0))
EMU_UNARY(neg_f32, lane_u32, lane_u32, EMU_H(sign_f32)(x, op->flags, 1))
EMU_UNARY(abs_f64, lane_u64, lane_u64, x & ~SIGN64)
EMU_UNARY(neg_f64, lane_u64, lane_u64, x ^ SIGN64)
/* copysign d, a, b: the sign of a on the magnitude of b. */
EMU_BINARY(copysign_f32, lane_u32, lane_u32, lane_u32,
           (x & SIGN32) | (y & ~SIGN32))
EMU_BINARY(copysign_f64, lane_u64, lane_u64, lane_u64,
           (x & SIGN64) | (y & ~SIGN64))

#endif
