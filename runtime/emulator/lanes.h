/* lanes.h -- how a handler walks the 32 lanes of a register.
**
** A register is a slot of the warp's frame: 32 lanes side by side.
**
**     predicate       4 bytes     bit per lane
**     8, 16, 32 bit   128 bytes   u32 lane[32]; narrow values zero-extended
**     64 bit          256 bytes   u64 lane[32]
**     128 bit         512 bytes   u64 low[32], u64 high[32]
**
** So every operand is one offset from the frame's base, and a handler is a
** loop that the compiler turns into vector code. The allocator (slots.c) gives
** a destination a slot of its own unless it is the very register of a source;
** hence lanes never overlap in part and the loops are free of dependences.
**
** EMU_UNARY, EMU_BINARY and EMU_TERNARY define a handler from an expression in
** x, y and z.
*/
#ifndef TSR_EMULATOR_LANES_H
#define TSR_EMULATOR_LANES_H

#include <stdint.h>

/* The same bytes are looked at through several types. */
typedef uint16_t __attribute__((may_alias)) lane_u16;
typedef int16_t __attribute__((may_alias)) lane_s16;
typedef uint32_t __attribute__((may_alias)) lane_u32;
typedef int32_t __attribute__((may_alias)) lane_s32;
typedef uint64_t __attribute__((may_alias)) lane_u64;
typedef int64_t __attribute__((may_alias)) lane_s64;
typedef float __attribute__((may_alias)) lane_f32;
typedef double __attribute__((may_alias)) lane_f64;

#define EMU_ALL UINT32_C(0xffffffff)

#if defined(__clang__)
/* Lanes that call libm, for one, stay scalar. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define EMU_LANES \
    _Pragma("clang loop vectorize(assume_safety)") for (int i = 0; i < 32; i++)
#else
#define EMU_LANES _Pragma("GCC ivdep") for (int i = 0; i < 32; i++)
#endif

#define EMU_AT(type, offset) ((type *)(void *)(r + (offset)))

#define EMU_CAT2(a, b, c, d) a##b##c##d
#define EMU_CAT(a, b, c, d)  EMU_CAT2(a, b, c, d)
/* The handler's name in this instruction set. */
#define EMU_H(name) EMU_CAT(emu_h_, name, _, EMU_ISA)

#define EMU_ARGUMENTS \
    struct emu_warp *w, unsigned char *r, const struct emu_op *op, uint32_t m

/* `statement` for each lane of mask m, in vector code when all are in it. */
#define EMU_EACH(statement)                      \
    do {                                         \
        if (m == EMU_ALL) {                      \
            EMU_LANES statement;                 \
        } else {                                 \
            EMU_LANES if (m >> i & 1) statement; \
        }                                        \
    } while (0)

#define EMU_UNARY(name, to, from, expression) \
    void EMU_H(name)(EMU_ARGUMENTS)           \
    {                                         \
        to *d = EMU_AT(to, op->d);            \
        const from *a = EMU_AT(from, op->a);  \
        (void)w;                              \
        EMU_EACH({                            \
            from x = a[i];                    \
            d[i] = (to)(expression);          \
        });                                   \
    }

#define EMU_BINARY(name, to, from, second, expression) \
    void EMU_H(name)(EMU_ARGUMENTS)                    \
    {                                                  \
        to *d = EMU_AT(to, op->d);                     \
        const from *a = EMU_AT(from, op->a);           \
        const second *b = EMU_AT(second, op->b);       \
        (void)w;                                       \
        EMU_EACH({                                     \
            from x = a[i];                             \
            second y = b[i];                           \
            d[i] = (to)(expression);                   \
        });                                            \
    }

/* The same with a macro for the first three types. */
#define EMU_BINARY_OF(name, types, expression) \
    EMU_BINARY(name, types, expression)
#define EMU_TERNARY_OF(name, types, third, expression) \
    EMU_TERNARY(name, types, third, expression)

#define EMU_TERNARY(name, to, from, second, third, expression) \
    void EMU_H(name)(EMU_ARGUMENTS)                            \
    {                                                          \
        to *d = EMU_AT(to, op->d);                             \
        const from *a = EMU_AT(from, op->a);                   \
        const second *b = EMU_AT(second, op->b);               \
        const third *c = EMU_AT(third, op->c);                 \
        (void)w;                                               \
        EMU_EACH({                                             \
            from x = a[i];                                     \
            second y = b[i];                                   \
            third z = c[i];                                    \
            d[i] = (to)(expression);                           \
        });                                                    \
    }

#endif
