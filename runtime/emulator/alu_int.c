/* alu_int.c -- integer arithmetic and logic of 16, 32 and 64 bits.
**
** Wrap-around is what PTX says, so everything is computed unsigned; signed
** types appear only where the sign matters. Division by zero gives all ones,
** remainder by zero the dividend, as the hardware does; shift counts are
** clamped to the width.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_int.c"
#include "runtime/emulator/isa.h"
#else

#define BINARY3(name, expression)                                    \
    EMU_BINARY(name##_b16, lane_u32, lane_u32, lane_u32,             \
               (uint16_t)(expression))                               \
    EMU_BINARY(name##_b32, lane_u32, lane_u32, lane_u32, expression) \
    EMU_BINARY(name##_b64, lane_u64, lane_u64, lane_u64, expression)

#define UNARY3(name, expression)                                      \
    EMU_UNARY(name##_b16, lane_u32, lane_u32, (uint16_t)(expression)) \
    EMU_UNARY(name##_b32, lane_u32, lane_u32, expression)             \
    EMU_UNARY(name##_b64, lane_u64, lane_u64, expression)

EMU_UNARY(mov_b32, lane_u32, lane_u32, x)
EMU_UNARY(mov_b64, lane_u64, lane_u64, x)

void EMU_H(mov_b128)(EMU_ARGUMENTS)
{
    lane_u64 *d = EMU_AT(lane_u64, op->d), *a = EMU_AT(lane_u64, op->a);
    (void)w;
    EMU_EACH({
        d[i] = a[i];
        d[i + 32] = a[i + 32];
    });
}

BINARY3(add, x + y)
BINARY3(sub, x - y)
BINARY3(mul, x *y)
BINARY3(and, x &y)
BINARY3(or, x | y)
BINARY3(xor, x ^ y)
UNARY3(not, ~x)
UNARY3(neg, 0 - x)
UNARY3(cnot, x == 0)

EMU_TERNARY(mad_b16, lane_u32, lane_u32, lane_u32, lane_u32,
            (uint16_t)(x *y + z))
EMU_TERNARY(mad_b32, lane_u32, lane_u32, lane_u32, lane_u32, x *y + z)
EMU_TERNARY(mad_b64, lane_u64, lane_u64, lane_u64, lane_u64, x *y + z)

EMU_BINARY(shl_b16, lane_u32, lane_u32, lane_u32,
           y < 16 ? (uint16_t)(x << (y & 15)) : 0)
EMU_BINARY(shl_b32, lane_u32, lane_u32, lane_u32, y < 32 ? x << (y & 31) : 0)
EMU_BINARY(shl_b64, lane_u64, lane_u64, lane_u32, y < 64 ? x << (y & 63) : 0)
EMU_BINARY(shr_u16, lane_u32, lane_u32, lane_u32,
           y < 16 ? (uint16_t)x >> (y & 15) : 0)
EMU_BINARY(shr_u32, lane_u32, lane_u32, lane_u32, y < 32 ? x >> (y & 31) : 0)
EMU_BINARY(shr_u64, lane_u64, lane_u64, lane_u32, y < 64 ? x >> (y & 63) : 0)
EMU_BINARY(shr_s16, lane_u32, lane_u32, lane_u32,
           (uint16_t)((int16_t)x >> (y < 15 ? y : 15)))
EMU_BINARY(shr_s32, lane_s32, lane_s32, lane_u32, x >> (y < 31 ? y : 31))
EMU_BINARY(shr_s64, lane_s64, lane_s64, lane_u32, x >> (y < 63 ? y : 63))

/* One operation in six types: E sees a and b of the type; 16-bit results are
** zero-extended again. */
#define TYPED6(name, E)                                           \
    EMU_BINARY(name##_u16, lane_u32, lane_u32, lane_u32,          \
               (uint16_t)(E((uint16_t)x, (uint16_t)y)))           \
    EMU_BINARY(name##_s16, lane_u32, lane_u32, lane_u32,          \
               (uint16_t)(E((int16_t)x, (int16_t)y)))             \
    EMU_BINARY(name##_u32, lane_u32, lane_u32, lane_u32, E(x, y)) \
    EMU_BINARY(name##_s32, lane_s32, lane_s32, lane_s32, E(x, y)) \
    EMU_BINARY(name##_u64, lane_u64, lane_u64, lane_u64, E(x, y)) \
    EMU_BINARY(name##_s64, lane_s64, lane_s64, lane_s64, E(x, y))

#define LESSER(a, b)  ((a) < (b) ? (a) : (b))
#define GREATER(a, b) ((a) > (b) ? (a) : (b))
TYPED6(min, LESSER)
TYPED6(max, GREATER)

#define HALVES(E, type)                \
    ((uint16_t)(E((type)x, (type)y)) | \
     (uint32_t)(uint16_t)(E((type)(x >> 16), (type)(y >> 16))) << 16)
#define PLUS(a, b) ((a) + (b))
EMU_BINARY(add_x2, lane_u32, lane_u32, lane_u32, HALVES(PLUS, uint16_t))
EMU_BINARY(min_u16x2, lane_u32, lane_u32, lane_u32, HALVES(LESSER, uint16_t))
EMU_BINARY(min_s16x2, lane_u32, lane_u32, lane_u32, HALVES(LESSER, int16_t))
EMU_BINARY(max_u16x2, lane_u32, lane_u32, lane_u32, HALVES(GREATER, uint16_t))
EMU_BINARY(max_s16x2, lane_u32, lane_u32, lane_u32, HALVES(GREATER, int16_t))

EMU_UNARY(abs_s16, lane_u32, lane_u32, (uint16_t)((int16_t)x < 0 ? 0 - x : x))
EMU_UNARY(abs_s32, lane_u32, lane_u32, (int32_t)x < 0 ? 0 - x : x)
EMU_UNARY(abs_s64, lane_u64, lane_u64, (int64_t)x < 0 ? 0 - x : x)

/* -- products ------------------------------------------------------------- */

static inline uint64_t EMU_H(high_u64)(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

static inline int64_t EMU_H(high_s64)(int64_t a, int64_t b)
{
    return (int64_t)((__int128)a * b >> 64);
}

#define MULHI_U16(x, y) ((uint32_t)(uint16_t)(x) * (uint16_t)(y) >> 16)
#define MULHI_S16(x, y) ((uint32_t)((int32_t)(int16_t)(x) * (int16_t)(y)) >> 16)
#define MULHI_U32(x, y) (uint32_t)((uint64_t)(x) * (y) >> 32)
#define MULHI_S32(x, y) (uint32_t)((int64_t)(int32_t)(x) * (int32_t)(y) >> 32)

#define U32_3             lane_u32, lane_u32, lane_u32
#define U64_3             lane_u64, lane_u64, lane_u64
EMU_BINARY_OF(mulhi_u16, U32_3, (uint16_t)MULHI_U16(x, y))
EMU_BINARY_OF(mulhi_s16, U32_3, (uint16_t)MULHI_S16(x, y))
EMU_BINARY_OF(mulhi_u32, U32_3, MULHI_U32(x, y))
EMU_BINARY_OF(mulhi_s32, U32_3, MULHI_S32(x, y))
EMU_BINARY_OF(mulhi_u64, U64_3, EMU_H(high_u64)(x, y))
EMU_BINARY(mulhi_s64, lane_s64, lane_s64, lane_s64, EMU_H(high_s64)(x, y))
EMU_TERNARY_OF(madhi_u16, U32_3, lane_u32, (uint16_t)(MULHI_U16(x, y) + z))
EMU_TERNARY_OF(madhi_s16, U32_3, lane_u32, (uint16_t)(MULHI_S16(x, y) + z))
EMU_TERNARY_OF(madhi_u32, U32_3, lane_u32, MULHI_U32(x, y) + z)
EMU_TERNARY_OF(madhi_s32, U32_3, lane_u32, MULHI_S32(x, y) + z)
EMU_TERNARY_OF(madhi_u64, U64_3, lane_u64, EMU_H(high_u64)(x, y) + z)
EMU_TERNARY_OF(madhi_s64, U64_3, lane_u64,
               (uint64_t)EMU_H(high_s64)((int64_t)x, (int64_t)y) + z)

EMU_BINARY_OF(mulwide_u16, U32_3, (uint32_t)(uint16_t)x *(uint16_t)y)
EMU_BINARY_OF(mulwide_s16, U32_3, (int32_t)(int16_t)x *(int16_t)y)
EMU_BINARY(mulwide_u32, lane_u64, lane_u32, lane_u32, (uint64_t)x *y)
EMU_BINARY(mulwide_s32, lane_s64, lane_s32, lane_s32, (int64_t)x *y)
EMU_TERNARY_OF(madwide_u16, U32_3, lane_u32,
               (uint32_t)(uint16_t)x *(uint16_t)y + z)
EMU_TERNARY_OF(madwide_s16, U32_3, lane_u32,
               (uint32_t)((int32_t)(int16_t)x *(int16_t)y) + z)
EMU_TERNARY(madwide_u32, lane_u64, lane_u32, lane_u32, lane_u64,
            (uint64_t)x *y + z)
EMU_TERNARY(madwide_s32, lane_u64, lane_s32, lane_s32, lane_u64,
            (uint64_t)((int64_t)x *y) + z)

/* 24-bit operands: the low 24 bits count; .lo gives bits 31..0 of the 48-bit
** product, .hi bits 47..16. */
#define U24(v)            ((uint64_t)((v)&0xffffff))
#define S24(v)            ((int64_t)((int32_t)((uint32_t)(v) << 8) >> 8))
#define MUL24HI_S32(x, y) ((uint32_t)((uint64_t)(S24(x) * S24(y)) >> 16))
EMU_BINARY_OF(mul24_u32, U32_3, U24(x) * U24(y))
EMU_BINARY_OF(mul24_s32, U32_3, S24(x) * S24(y))
EMU_BINARY_OF(mul24hi_u32, U32_3, (U24(x) * U24(y)) >> 16)
EMU_BINARY_OF(mul24hi_s32, U32_3, MUL24HI_S32(x, y))
EMU_TERNARY_OF(mad24_u32, U32_3, lane_u32, U24(x) * U24(y) + z)
EMU_TERNARY_OF(mad24_s32, U32_3, lane_u32, (uint64_t)(S24(x) * S24(y)) + z)
EMU_TERNARY_OF(mad24hi_u32, U32_3, lane_u32, (U24(x) * U24(y) >> 16) + z)
EMU_TERNARY_OF(mad24hi_s32, U32_3, lane_u32, MUL24HI_S32(x, y) + z)

/* -- saturation ----------------------------------------------------------- */

#define CLAMP_S32(v) \
    (int32_t)((v) < INT32_MIN ? INT32_MIN : (v) > INT32_MAX ? INT32_MAX : (v))
#define S32_3 lane_s32, lane_s32, lane_s32
EMU_BINARY_OF(addsat_s32, S32_3, CLAMP_S32((int64_t)x + y))
EMU_BINARY_OF(subsat_s32, S32_3, CLAMP_S32((int64_t)x - y))
EMU_TERNARY_OF(madhisat_s32, S32_3, lane_s32,
               CLAMP_S32(((int64_t)x * y >> 32) + z))
EMU_TERNARY_OF(mad24hisat_s32, S32_3, lane_s32,
               CLAMP_S32((int64_t)(int32_t)MUL24HI_S32(x, y) + z))

/* -- sum of absolute differences, division -------------------------------- */

#define FAR(a, b, unsigned_type)                         \
    ((a) > (b) ? (unsigned_type)(a) - (unsigned_type)(b) \
               : (unsigned_type)(b) - (unsigned_type)(a))
EMU_TERNARY_OF(sad_u16, U32_3, lane_u32,
               (uint16_t)(z + FAR((uint16_t)x, (uint16_t)y, uint32_t)))
EMU_TERNARY_OF(sad_s16, U32_3, lane_u32,
               (uint16_t)(z + FAR((int16_t)x, (int16_t)y, uint32_t)))
EMU_TERNARY_OF(sad_u32, U32_3, lane_u32, z + FAR(x, y, uint32_t))
EMU_TERNARY(sad_s32, lane_u32, lane_s32, lane_s32, lane_u32,
            z + FAR(x, y, uint32_t))
EMU_TERNARY_OF(sad_u64, U64_3, lane_u64, z + FAR(x, y, uint64_t))
EMU_TERNARY(sad_s64, lane_u64, lane_s64, lane_s64, lane_u64,
            z + FAR(x, y, uint64_t))

#define QUOTIENT(a, b)    ((b) ? (a) / (b) : (uint64_t)-1)
#define REMAINDER(a, b)   ((b) ? (a) % (b) : (a))
/* The most negative number divided by -1 overflows; PTX wraps. */
#define QUOTIENT_S(a, b)  ((b) == 0 ? -1 : (b) == -1 ? 0 - (a) : (a) / (b))
#define REMAINDER_S(a, b) ((b) == 0 ? (a) : (b) == -1 ? 0 : (a) % (b))

#define DIVISION(name, type, cast, read, E)                            \
    void EMU_H(name)(EMU_ARGUMENTS)                                    \
    {                                                                  \
        type *d = EMU_AT(type, op->d);                                 \
        const type *a = EMU_AT(type, op->a), *b = EMU_AT(type, op->b); \
        (void)w;                                                       \
        for (int i = 0; i < 32; i++) {                                 \
            if (m >> i & 1) {                                          \
                read x = (read)a[i], y = (read)b[i];                   \
                d[i] = (cast)(E(x, y));                                \
            }                                                          \
        }                                                              \
    }

/* Negating through unsigned keeps the wrap defined. */
static inline int64_t EMU_H(divide_s64)(int64_t a, int64_t b)
{
    if (b == 0)
        return -1;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

DIVISION(div_u16, lane_u32, uint16_t, uint16_t, QUOTIENT)
DIVISION(div_s16, lane_u32, uint16_t, int16_t, QUOTIENT_S)
DIVISION(div_u32, lane_u32, uint32_t, uint32_t, QUOTIENT)
DIVISION(div_s32, lane_u32, uint32_t, int32_t, EMU_H(divide_s64))
DIVISION(div_u64, lane_u64, uint64_t, uint64_t, QUOTIENT)
DIVISION(div_s64, lane_u64, uint64_t, int64_t, EMU_H(divide_s64))
DIVISION(rem_u16, lane_u32, uint16_t, uint16_t, REMAINDER)
DIVISION(rem_s16, lane_u32, uint16_t, int16_t, REMAINDER_S)
DIVISION(rem_u32, lane_u32, uint32_t, uint32_t, REMAINDER)
DIVISION(rem_s32, lane_u32, uint32_t, int32_t, REMAINDER_S)
DIVISION(rem_u64, lane_u64, uint64_t, uint64_t, REMAINDER)
DIVISION(rem_s64, lane_u64, uint64_t, int64_t, REMAINDER_S)

/* -- extended precision ------------------------------------------------------
**
** c: addend of mad; e: the carry flag, a predicate register of its own.
** x: take the carry in; y: write it out; z (mad): high half of the product.
** The flag of sub is the borrow: a - b - borrow is a + ~b + !borrow.
*/

#define CARRY(name, type, double_type, bits, A, B, INVERT)             \
    void EMU_H(name)(EMU_ARGUMENTS)                                    \
    {                                                                  \
        type *d = EMU_AT(type, op->d);                                 \
        const type *a = EMU_AT(type, op->a), *b = EMU_AT(type, op->b), \
                   *c = EMU_AT(type, op->c);                           \
        uint32_t in = *EMU_AT(lane_u32, op->e), out = 0;               \
        (void)w, (void)c;                                              \
        for (int i = 0; i < 32; i++) {                                 \
            if (m >> i & 1) {                                          \
                double_type sum = (double_type)(type)(A) + (type)(B);  \
                sum += op->x ? (in >> i & 1) ^ INVERT : INVERT;        \
                d[i] = (type)sum;                                      \
                out |= ((uint32_t)(sum >> bits) ^ INVERT) << i;        \
            }                                                          \
        }                                                              \
        if (op->y)                                                     \
            *EMU_AT(lane_u32, op->e) = (in & ~m) | out;                \
    }

static inline uint64_t EMU_H(product)(const struct emu_op *op, uint64_t a,
                                      uint64_t b, int bits)
{
    int is_signed = op->flags & EMU_SIGNED;
    if (bits == 64) {
        if (!op->z)
            return a * b;
        return is_signed ? (uint64_t)EMU_H(high_s64)((int64_t)a, (int64_t)b)
                         : EMU_H(high_u64)(a, b);
    }
    if (!op->z)
        return (uint32_t)(a * b);
    return is_signed ? MULHI_S32(a, b) : a * b >> 32;
}

typedef unsigned __int128 EMU_H(wide);
CARRY(addcarry_b32, lane_u32, uint64_t, 32, a[i], b[i], 0)
CARRY(addcarry_b64, lane_u64, EMU_H(wide), 64, a[i], b[i], 0)
CARRY(subborrow_b32, lane_u32, uint64_t, 32, a[i], ~b[i], 1)
CARRY(subborrow_b64, lane_u64, EMU_H(wide), 64, a[i], ~b[i], 1)
CARRY(madcarry_b32, lane_u32, uint64_t, 32, EMU_H(product)(op, a[i], b[i], 32),
      c[i], 0)
CARRY(madcarry_b64, lane_u64, EMU_H(wide), 64,
      EMU_H(product)(op, a[i], b[i], 64), c[i], 0)

#endif
