/* bits.c -- conformance of logic, shifts, bit fields and permutes. */
#include "tests/emulator/conformance/element.h"

/* Shifts clamp: a count at or above the width shifts everything out. */
static uint64_t left(uint64_t x, uint64_t n, unsigned width)
{
    return n >= width ? 0 : x << n;
}

static uint64_t right(uint64_t x, uint64_t n, unsigned width)
{
    return n >= width ? 0 : x >> n;
}

static int64_t arithmetic(int64_t x, uint64_t n, unsigned width)
{
    return x >> (n >= width ? width - 1 : n);
}

/* shf: the 64 bits b:a shifted, and the half that stays. */
static uint64_t funnel_left(uint64_t a, uint64_t b, uint64_t n)
{
    uint64_t both = b << 32 | a;
    return n >= 32 ? a : both << n >> 32;
}

static uint64_t funnel_right(uint64_t a, uint64_t b, uint64_t n)
{
    uint64_t both = b << 32 | a;
    return n >= 32 ? b : both >> n;
}

static uint64_t lop3(uint64_t a, uint64_t b, uint64_t c, unsigned table)
{
    uint64_t result = 0;
    for (int i = 0; i < 32; i++) {
        uint64_t row = (a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1);
        result |= (uint64_t)(table >> row & 1) << i;
    }
    return result;
}

/* prmt: byte i of the result is the byte of b:a that nibble i of `selector`
** names; its top bit asks for that byte's sign in all eight bits. */
static uint64_t permute(uint64_t a, uint64_t b, uint64_t selector)
{
    uint64_t both = b << 32 | a, result = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t nibble = selector >> (4 * i) & 15;
        uint64_t byte = both >> (8 * (nibble & 7)) & 255;
        if (nibble & 8)
            byte = byte & 128 ? 255 : 0;
        result |= byte << (8 * i);
    }
    return result;
}

/* The selectors that the modes of prmt stand for, by c & 3. */
static const uint16_t forward4[4] = {0x3210, 0x4321, 0x5432, 0x6543};
static const uint16_t backward4[4] = {0x5670, 0x6701, 0x7012, 0x0123};
static const uint16_t copy8[4] = {0x0000, 0x1111, 0x2222, 0x3333};
static const uint16_t clamp_left[4] = {0x3210, 0x3211, 0x3222, 0x3333};
static const uint16_t clamp_right[4] = {0x0000, 0x1110, 0x2210, 0x3210};
static const uint16_t copy16[4] = {0x1010, 0x3232, 0x1010, 0x3232};

/* bfe: the low byte of position and length count; the sign is that of the
** field's last bit, or the word's if the field runs over its end. */
static uint64_t extract(uint64_t x, uint64_t position, uint64_t length,
                        unsigned width, int is_signed)
{
    uint64_t result = 0, sign = 0;
    position &= 255;
    length &= 255;
    if (is_signed && length) {
        uint64_t last = position + length - 1;
        sign = x >> (last >= width ? width - 1 : last) & 1;
    }
    for (unsigned i = 0; i < width; i++) {
        uint64_t at = position + i;
        uint64_t bit = i < length && at < width ? x >> at & 1 : sign;
        result |= bit << i;
    }
    return result;
}

/* bfi: the low `length` bits of a over those of b at `position`. */
static uint64_t insert(uint64_t a, uint64_t b, uint64_t position,
                       uint64_t length, unsigned width)
{
    for (uint64_t i = 0; i < length && position + i < width; i++) {
        uint64_t mask = UINT64_C(1) << (position + i);
        b = (b & ~mask) | (a >> i & 1) << (position + i);
    }
    return b;
}

static uint64_t ones(uint64_t x)
{
    uint64_t count = 0;
    for (; x; x &= x - 1)
        count++;
    return count;
}

static uint64_t leading_zeros(uint64_t x, unsigned width)
{
    uint64_t count = 0;
    while (count < width && !(x >> (width - 1 - count) & 1))
        count++;
    return count;
}

static uint64_t reversed(uint64_t x, unsigned width)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < width; i++)
        result |= (x >> i & 1) << (width - 1 - i);
    return result;
}

/* Position of the highest bit that differs from the sign; -1 for none. */
static uint64_t highest(uint64_t x, unsigned width, int is_signed)
{
    if (is_signed && x >> (width - 1) & 1)
        x = ~x;
    if (width == 32)
        x &= 0xffffffff;
    return x ? width - 1 - leading_zeros(x, width) : 0xffffffff;
}

static uint64_t highest_shift(uint64_t x, unsigned width, int is_signed)
{
    uint64_t at = highest(x, width, is_signed);
    return at == 0xffffffff ? at : width - 1 - at;
}

/* bmsk: a mask of `length` ones from `position` up. */
static uint64_t mask_clamp(uint64_t position, uint64_t length)
{
    uint64_t end = position + length;
    return position >= 32 || length == 0
               ? 0
               : (end >= 32 ? 0xffffffff : (UINT64_C(1) << end) - 1) &
                     ~((UINT64_C(1) << position) - 1);
}

#define LOP3(X, table)                                                     \
    X(lop3_##table, "lop3.b32 %d, %a, %b, %c, " #table ";", B32, B32, B32, \
      B32, lop3(a, b, c, table))

#define PRMT(X, mode, table)                                                 \
    X(prmt_##mode, "prmt.b32." #mode " %d, %a, %b, %c;", B32, B32, B32, B32, \
      permute(a, b, table[c & 3]))

#define CASES(X, W)                                                            \
    X(and_b16, "and.b16 %d, %a, %b;", U16, U16, U16, NONE, (a & b))            \
    X(and_b32, "and.b32 %d, %a, %b;", B32, B32, B32, NONE, (a & b))            \
    X(and_b64, "and.b64 %d, %a, %b;", B64, B64, B64, NONE, (a & b))            \
    X(or_b16, "or.b16 %d, %a, %b;", U16, U16, U16, NONE, a | b)                \
    X(or_b32, "or.b32 %d, %a, %b;", B32, B32, B32, NONE, a | b)                \
    X(or_b64, "or.b64 %d, %a, %b;", B64, B64, B64, NONE, a | b)                \
    X(xor_b16, "xor.b16 %d, %a, %b;", U16, U16, U16, NONE, a ^ b)              \
    X(xor_b32, "xor.b32 %d, %a, %b;", B32, B32, B32, NONE, a ^ b)              \
    X(xor_b64, "xor.b64 %d, %a, %b;", B64, B64, B64, NONE, a ^ b)              \
    X(not_b16, "not.b16 %d, %a;", U16, U16, NONE, NONE, ~a)                    \
    X(not_b32, "not.b32 %d, %a;", B32, B32, NONE, NONE, ~a)                    \
    X(not_b64, "not.b64 %d, %a;", B64, B64, NONE, NONE, ~a)                    \
    X(cnot_b16, "cnot.b16 %d, %a;", U16, U16, NONE, NONE, !a)                  \
    X(cnot_b32, "cnot.b32 %d, %a;", B32, B32, NONE, NONE, !a)                  \
    X(cnot_b64, "cnot.b64 %d, %a;", B64, B64, NONE, NONE, !a)                  \
    X(shl_b16, "shl.b16 %d, %a, %b;", U16, U16, SMALL, NONE, left(a, b, 16))   \
    X(shl_b32, "shl.b32 %d, %a, %b;", B32, B32, SMALL, NONE, left(a, b, 32))   \
    X(shl_b64, "shl.b64 %d, %a, %b;", B64, B64, SMALL, NONE, left(a, b, 64))   \
    X(shl_huge, "shl.b32 %d, %a, %b;", B32, B32, U32, NONE, left(a, b, 32))    \
    X(shr_b32, "shr.b32 %d, %a, %b;", B32, B32, SMALL, NONE, right(a, b, 32))  \
    X(shr_u16, "shr.u16 %d, %a, %b;", U16, U16, SMALL, NONE, right(a, b, 16))  \
    X(shr_u32, "shr.u32 %d, %a, %b;", U32, U32, SMALL, NONE, right(a, b, 32))  \
    X(shr_u64, "shr.u64 %d, %a, %b;", U64, U64, SMALL, NONE, right(a, b, 64))  \
    X(shr_s16, "shr.s16 %d, %a, %b;", S16, S16, SMALL, NONE,                   \
      arithmetic(S16(a), b, 16))                                               \
    X(shr_s32, "shr.s32 %d, %a, %b;", S32, S32, SMALL, NONE,                   \
      arithmetic(S32(a), b, 32))                                               \
    X(shr_s64, "shr.s64 %d, %a, %b;", S64, S64, SMALL, NONE,                   \
      arithmetic(S64(a), b, 64))                                               \
    X(shr_huge, "shr.s32 %d, %a, %b;", S32, S32, U32, NONE,                    \
      arithmetic(S32(a), b, 32))                                               \
    X(shf_l_wrap, "shf.l.wrap.b32 %d, %a, %b, %c;", B32, B32, B32, SMALL,      \
      funnel_left(a, b, c & 31) & 0xffffffff)                                  \
    X(shf_l_clamp, "shf.l.clamp.b32 %d, %a, %b, %c;", B32, B32, B32, SMALL,    \
      funnel_left(a, b, c))                                                    \
    X(shf_r_wrap, "shf.r.wrap.b32 %d, %a, %b, %c;", B32, B32, B32, SMALL,      \
      funnel_right(a, b, c & 31))                                              \
    X(shf_r_clamp, "shf.r.clamp.b32 %d, %a, %b, %c;", B32, B32, B32, SMALL,    \
      funnel_right(a, b, c))                                                   \
    LOP3(X, 0x00)                                                              \
    LOP3(X, 0xEA)                                                              \
    LOP3(X, 0x96)                                                              \
    LOP3(X, 0xE8)                                                              \
    LOP3(X, 0xCA)                                                              \
    LOP3(X, 0x1B)                                                              \
    LOP3(X, 0xFF)                                                              \
    W(lop3_or, 80, EXACT, 0,                                                   \
      "setp.gt.s32 %q, %c, 0; lop3.or.b32 %d|%p, %a, %b, %c, 0x96, %q; "       \
      "selp.u32 %r2, 0x10, 0, %p; xor.b32 %d, %d, %r2;",                       \
      B32, B32, B32, B32,                                                      \
      lop3(a, b, c, 0x96) ^ (S32(c) > 0 || lop3(a, b, c, 0x96) ? 0x10 : 0))    \
    W(lop3_and, 80, EXACT, 0,                                                  \
      "setp.gt.s32 %q, %c, 0; lop3.and.b32 %d|%p, %a, %b, %c, 0xE8, %q; "      \
      "selp.u32 %r2, 0x10, 0, %p; xor.b32 %d, %d, %r2;",                       \
      B32, B32, B32, B32,                                                      \
      lop3(a, b, c, 0xE8) ^ (S32(c) > 0 && lop3(a, b, c, 0xE8) ? 0x10 : 0))    \
    W(mov_b128, 90, EXACT, 0,                                                  \
      "{ .reg .b128 %x; mov.b128 %x, {%a, %b}; mov.b128 {%t0, %d}, %x; "       \
      "sub.u64 %d, %d, %t0; }",                                                \
      B64, B64, B64, NONE, b - a)                                              \
    X(prmt, "prmt.b32 %d, %a, %b, %c;", B32, B32, B32, B32, permute(a, b, c))  \
    X(prmt_constant, "prmt.b32 %d, %a, %b, 0x9176;", B32, B32, B32, NONE,      \
      permute(a, b, 0x9176))                                                   \
    PRMT(X, f4e, forward4)                                                     \
    PRMT(X, b4e, backward4)                                                    \
    PRMT(X, rc8, copy8)                                                        \
    PRMT(X, ecl, clamp_left)                                                   \
    PRMT(X, ecr, clamp_right)                                                  \
    PRMT(X, rc16, copy16)                                                      \
    X(bfe_u32, "bfe.u32 %d, %a, %b, %c;", U32, U32, SMALL, SMALL,              \
      extract(a, b, c, 32, 0))                                                 \
    X(bfe_s32, "bfe.s32 %d, %a, %b, %c;", S32, S32, SMALL, SMALL,              \
      extract(a, b, c, 32, 1))                                                 \
    X(bfe_u64, "bfe.u64 %d, %a, %b, %c;", U64, U64, SMALL, SMALL,              \
      extract(a, b, c, 64, 0))                                                 \
    X(bfe_s64, "bfe.s64 %d, %a, %b, %c;", S64, S64, SMALL, SMALL,              \
      extract(a, b, c, 64, 1))                                                 \
    X(bfi_b32, "bfi.b32 %d, %a, %c, %b, 9;", B32, B32, SMALL, B32,             \
      insert(a, c, b, 9, 32))                                                  \
    X(bfi_b32_length, "bfi.b32 %d, %a, %c, 5, %b;", B32, B32, SMALL, B32,      \
      insert(a, c, 5, b, 32))                                                  \
    X(bfi_b64, "bfi.b64 %d, %a, %c, %b, 17;", B64, B64, SMALL, B64,            \
      insert(a, c, b, 17, 64))                                                 \
    X(bmsk_clamp, "bmsk.clamp.b32 %d, %a, %b;", B32, SMALL, SMALL, NONE,       \
      mask_clamp(a, b))                                                        \
    X(bmsk_wrap, "bmsk.wrap.b32 %d, %a, %b;", B32, SMALL, SMALL, NONE,         \
      mask_clamp(a & 31, b & 31))                                              \
    X(popc_b32, "popc.b32 %d, %a;", U32, B32, NONE, NONE, ones(a))             \
    X(popc_b64, "popc.b64 %d, %a;", U32, B64, NONE, NONE, ones(a))             \
    X(clz_b32, "clz.b32 %d, %a;", U32, B32, NONE, NONE, leading_zeros(a, 32))  \
    X(clz_b64, "clz.b64 %d, %a;", U32, B64, NONE, NONE, leading_zeros(a, 64))  \
    X(brev_b32, "brev.b32 %d, %a;", B32, B32, NONE, NONE, reversed(a, 32))     \
    X(brev_b64, "brev.b64 %d, %a;", B64, B64, NONE, NONE, reversed(a, 64))     \
    X(bfind_u32, "bfind.u32 %d, %a;", U32, U32, NONE, NONE, highest(a, 32, 0)) \
    X(bfind_s32, "bfind.s32 %d, %a;", U32, S32, NONE, NONE, highest(a, 32, 1)) \
    X(bfind_u64, "bfind.u64 %d, %a;", U32, U64, NONE, NONE, highest(a, 64, 0)) \
    X(bfind_s64, "bfind.s64 %d, %a;", U32, S64, NONE, NONE, highest(a, 64, 1)) \
    X(bfind_shift_u32, "bfind.shiftamt.u32 %d, %a;", U32, U32, NONE, NONE,     \
      highest_shift(a, 32, 0))                                                 \
    X(bfind_shift_s64, "bfind.shiftamt.s64 %d, %a;", U32, S64, NONE, NONE,     \
      highest_shift(a, 64, 1))                                                 \
    X(mov_split32, "mov.b32 {%h0, %h1}, %a; mov.b32 %d, {%h1, %h0};", B32,     \
      B32, NONE, NONE, a << 16 | a >> 16)                                      \
    X(mov_split64, "mov.b64 {%r2, %r3}, %a; mov.b64 %d, {%r3, %r2};", B64,     \
      B64, NONE, NONE, a << 32 | a >> 32)                                      \
    X(mov_split_quarters,                                                      \
      "mov.b64 {%h0, %h1, %h2, %h3}, %a;"                                      \
      " mov.b64 %d, {%h3, %h0, %h2, %h1};",                                    \
      B64, B64, NONE, NONE,                                                    \
      a >> 48 | (a & 0xffff) << 16 | (a >> 32 & 0xffff) << 32 |                \
          (a >> 16 & 0xffff) << 48)                                            \
    X(mov_immediates,                                                          \
      "mov.u32 %r2, 0x80000000; mov.b64 %t0, -1; mov.f32 %f0, 0f3F800000;"     \
      " mov.b32 %r3, %f0; cvt.u32.u64 %r4, %t0; xor.b32 %r2, %r2, %r3;"        \
      " xor.b32 %r2, %r2, %r4; xor.b32 %r2, %r2, 0777; xor.b32 %r2, %r2,"      \
      " 0b1011; xor.b32 %r2, %r2, 4294967295; xor.b32 %d, %r2, %a;",           \
      B32, B32, NONE, NONE,                                                    \
      0x80000000 ^ 0x3f800000 ^ 0xffffffff ^ 0777 ^ 11 ^ 0xffffffff ^ a)

CONF_ELEMENTS(bits, CASES)
