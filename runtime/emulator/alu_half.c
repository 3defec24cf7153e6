/* alu_half.c -- f16, f16x2, bf16 and bf16x2 arithmetic.
**
** A pair is two halves in 32 bits; the single forms are the same with a zero
** upper half. f16 without modifiers is vector code where the host converts
** halves in hardware; the rest goes lane by lane.
*/
#ifndef EMU_ISA
#define EMU_SELF "runtime/emulator/alu_half.c"
#include "runtime/emulator/isa.h"
#else

/* -- one half ------------------------------------------------------------- */

enum { EMU_H(ADD), EMU_H(SUB), EMU_H(MUL), EMU_H(FMA) };

static inline uint16_t EMU_H(flush_half)(uint16_t v, int flags)
{
    return flags & EMU_FTZ && !(v & 0x7c00) ? v & 0x8000 : v;
}

static inline uint16_t EMU_H(finish)(uint16_t v, int flags, int bf)
{
    uint16_t infinity = bf ? 0x7f80 : 0x7c00, one = bf ? 0x3f80 : 0x3c00;
    int is_nan = (v & 0x7fff) > infinity;
    v = bf ? v : EMU_H(flush_half)(v, flags);
    if (flags & EMU_SAT) {
        if (is_nan || v & 0x8000)
            return 0;
        return v > one ? one : v;
    }
    if (flags & EMU_RELU && !is_nan && v & 0x8000)
        return 0;
    return v;
}

static inline uint16_t EMU_H(one_half)(int what, uint16_t a, uint16_t b,
                                       uint16_t c, int flags)
{
    a = EMU_H(flush_half)(a, flags);
    b = EMU_H(flush_half)(b, flags);
    c = EMU_H(flush_half)(c, flags);
    float x = tsr__half_to_float(a), y = tsr__half_to_float(b);
    uint16_t v;
    switch (what) {
    case EMU_H(ADD):
        v = tsr__float_to_half(x + y);
        break;
    case EMU_H(SUB):
        v = tsr__float_to_half(x - y);
        break;
    case EMU_H(MUL):
        v = tsr__float_to_half(x * y);
        break;
    default:
        v = emu_half_fma(a, b, c);
    }
    return EMU_H(finish)(v, flags, 0);
}

static inline uint16_t EMU_H(one_bfloat)(int what, uint16_t a, uint16_t b,
                                         uint16_t c, int flags)
{
    float x = tsr__bfloat_to_float(a), y = tsr__bfloat_to_float(b);
    uint16_t v;
    switch (what) {
    case EMU_H(ADD):
        v = tsr__float_to_bfloat(x + y);
        break;
    case EMU_H(SUB):
        v = tsr__float_to_bfloat(x - y);
        break;
    case EMU_H(MUL):
        v = tsr__float_to_bfloat(x * y);
        break;
    default:
        v = emu_bfloat_fma(a, b, c);
    }
    return EMU_H(finish)(v, flags, 1);
}

#define LANE_BY_LANE(name, one, what, is_pair)                               \
    void EMU_H(name)(EMU_ARGUMENTS)                                          \
    {                                                                        \
        lane_u32 *d = EMU_AT(lane_u32, op->d);                               \
        const lane_u32 *a = EMU_AT(lane_u32, op->a),                         \
                       *b = EMU_AT(lane_u32, op->b),                         \
                       *c = EMU_AT(lane_u32, op->c);                         \
        int flags = op->flags;                                               \
        (void)w;                                                             \
        for (int i = 0; i < 32; i++) {                                       \
            if (!(m >> i & 1))                                               \
                continue;                                                    \
            uint32_t x = a[i], y = b[i], z = c[i];                           \
            uint32_t low = EMU_H(one)(EMU_H(what), (uint16_t)x, (uint16_t)y, \
                                      (uint16_t)z, flags);                   \
            uint32_t high = 0;                                               \
            if (is_pair)                                                     \
                high = EMU_H(one)(EMU_H(what), (uint16_t)(x >> 16),          \
                                  (uint16_t)(y >> 16), (uint16_t)(z >> 16),  \
                                  flags);                                    \
            d[i] = low | high << 16;                                         \
        }                                                                    \
    }

#define FOUR(name, what)                               \
    LANE_BY_LANE(name##_x_f16, one_half, what, 0)      \
    LANE_BY_LANE(name##_x_f16x2, one_half, what, 1)    \
    LANE_BY_LANE(name##_x_bf16, one_bfloat, what, 0)   \
    LANE_BY_LANE(name##_x_bf16x2, one_bfloat, what, 1) \
    LANE_BY_LANE(name##_bf16, one_bfloat, what, 0)     \
    LANE_BY_LANE(name##_bf16x2, one_bfloat, what, 1)

FOUR(hadd, ADD)
FOUR(hsub, SUB)
FOUR(hmul, MUL)
FOUR(hfma, FMA)

/* -- vectors of f16 ------------------------------------------------------- */

#if EMU_ISA_LEVEL >= 4

static inline __m256i EMU_H(narrow)(__m512 v)
{
    __mmask16 none = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    v = _mm512_mask_mov_ps(v, none,
                           _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff)));
    return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}

/* Eight products and sums with a result rounded to odd. The sum is exact in
** double unless it is far from any tie of a half: see half_math.h. */
static inline __m256 EMU_H(odd_fma)(__m256 x, __m256 y, __m256 z)
{
    __m512d exact = _mm512_fmadd_pd(_mm512_cvtps_pd(x), _mm512_cvtps_pd(y),
                                    _mm512_cvtps_pd(z));
    __m256 f =
        _mm512_cvt_roundpd_ps(exact, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __mmask8 inexact =
        _mm512_cmp_pd_mask(_mm512_cvtps_pd(f), exact, _CMP_NEQ_OQ);
    __m256i bits = _mm256_castps_si256(f);
    bits = _mm256_mask_or_epi32(bits, inexact, bits, _mm256_set1_epi32(1));
    return _mm256_castsi256_ps(bits);
}

static inline __m256i EMU_H(sixteen)(int what, __m256i a, __m256i b, __m256i c)
{
    __m512 x = _mm512_cvtph_ps(a), y = _mm512_cvtph_ps(b);
    if (what == EMU_H(ADD))
        return EMU_H(narrow)(_mm512_add_ps(x, y));
    if (what == EMU_H(SUB))
        return EMU_H(narrow)(_mm512_sub_ps(x, y));
    if (what == EMU_H(MUL))
        return EMU_H(narrow)(_mm512_mul_ps(x, y));
    __m512 z = _mm512_cvtph_ps(c);
    __m256 low =
        EMU_H(odd_fma)(_mm512_castps512_ps256(x), _mm512_castps512_ps256(y),
                       _mm512_castps512_ps256(z));
    __m256 high = EMU_H(odd_fma)(_mm512_extractf32x8_ps(x, 1),
                                 _mm512_extractf32x8_ps(y, 1),
                                 _mm512_extractf32x8_ps(z, 1));
    return EMU_H(narrow)(
        _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1));
}

#define VECTOR_HALF(name, what)                                         \
    void EMU_H(name)(EMU_ARGUMENTS)                                     \
    {                                                                   \
        lane_u32 *d = EMU_AT(lane_u32, op->d);                          \
        const lane_u32 *a = EMU_AT(lane_u32, op->a),                    \
                       *b = EMU_AT(lane_u32, op->b),                    \
                       *c = EMU_AT(lane_u32, op->c);                    \
        (void)w;                                                        \
        for (int i = 0; i < 32; i += 8) {                               \
            __m256i v = EMU_H(sixteen)(                                 \
                EMU_H(what), _mm256_loadu_si256((const void *)(a + i)), \
                _mm256_loadu_si256((const void *)(b + i)),              \
                _mm256_loadu_si256((const void *)(c + i)));             \
            _mm256_mask_storeu_epi32(d + i, (__mmask8)(m >> i), v);     \
        }                                                               \
    }

/* Single halves: only the low ones are worth the work of a fused one. */
static inline __m512i EMU_H(lower_fma)(const lane_u32 *a, const lane_u32 *b,
                                       const lane_u32 *c)
{
    __m512 x = _mm512_cvtph_ps(
        _mm512_cvtepi32_epi16(_mm512_loadu_si512((const void *)a)));
    __m512 y = _mm512_cvtph_ps(
        _mm512_cvtepi32_epi16(_mm512_loadu_si512((const void *)b)));
    __m512 z = _mm512_cvtph_ps(
        _mm512_cvtepi32_epi16(_mm512_loadu_si512((const void *)c)));
    __m256 low =
        EMU_H(odd_fma)(_mm512_castps512_ps256(x), _mm512_castps512_ps256(y),
                       _mm512_castps512_ps256(z));
    __m256 high = EMU_H(odd_fma)(_mm512_extractf32x8_ps(x, 1),
                                 _mm512_extractf32x8_ps(y, 1),
                                 _mm512_extractf32x8_ps(z, 1));
    return _mm512_cvtepu16_epi32(EMU_H(narrow)(
        _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)));
}

void EMU_H(hfma_f16)(EMU_ARGUMENTS)
{
    lane_u32 *d = EMU_AT(lane_u32, op->d);
    const lane_u32 *a = EMU_AT(lane_u32, op->a), *b = EMU_AT(lane_u32, op->b),
                   *c = EMU_AT(lane_u32, op->c);
    (void)w;
    for (int i = 0; i < 32; i += 16)
        _mm512_mask_storeu_epi32(d + i, (__mmask16)(m >> i),
                                 EMU_H(lower_fma)(a + i, b + i, c + i));
}

#elif EMU_ISA_LEVEL >= 3

static inline __m128i EMU_H(narrow)(__m256 v)
{
    __m256 none = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    v = _mm256_blendv_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)),
                         none);
    return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}

#define VECTOR_HALF(name, what)                                               \
    void EMU_H(name)(EMU_ARGUMENTS)                                           \
    {                                                                         \
        lane_u32 *d = EMU_AT(lane_u32, op->d);                                \
        const lane_u32 *a = EMU_AT(lane_u32, op->a),                          \
                       *b = EMU_AT(lane_u32, op->b),                          \
                       *c = EMU_AT(lane_u32, op->c);                          \
        uint32_t t[32];                                                       \
        (void)w;                                                              \
        if (EMU_H(what) == EMU_H(FMA)) {                                      \
            for (int i = 0; i < 32; i++)                                      \
                t[i] = EMU_H(pair_fma)(a[i], b[i], c[i]);                     \
        } else {                                                              \
            for (int i = 0; i < 32; i += 4) {                                 \
                __m256 x =                                                    \
                    _mm256_cvtph_ps(_mm_loadu_si128((const void *)(a + i)));  \
                __m256 y =                                                    \
                    _mm256_cvtph_ps(_mm_loadu_si128((const void *)(b + i)));  \
                __m256 v = EMU_H(what) == EMU_H(ADD)   ? _mm256_add_ps(x, y)  \
                           : EMU_H(what) == EMU_H(SUB) ? _mm256_sub_ps(x, y)  \
                                                       : _mm256_mul_ps(x, y); \
                _mm_storeu_si128((void *)(t + i), EMU_H(narrow)(v));          \
            }                                                                 \
        }                                                                     \
        EMU_EACH(d[i] = t[i]);                                                \
    }

static inline uint32_t EMU_H(pair_fma)(uint32_t a, uint32_t b, uint32_t c)
{
    __m128 x = _mm_cvtph_ps(_mm_cvtsi32_si128((int)a)),
           y = _mm_cvtph_ps(_mm_cvtsi32_si128((int)b)),
           z = _mm_cvtph_ps(_mm_cvtsi32_si128((int)c));
    __m128d exact =
        _mm_fmadd_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y), _mm_cvtps_pd(z));
    float low = emu_odd_float(_mm_cvtsd_f64(exact));
    float high = emu_odd_float(_mm_cvtsd_f64(_mm_unpackhi_pd(exact, exact)));
    return tsr__float_to_half(low) | (uint32_t)tsr__float_to_half(high) << 16;
}

#else

#define VECTOR_HALF(name, what) LANE_BY_LANE(name, one_half, what, 1)

#endif

VECTOR_HALF(hadd_f16, ADD)
VECTOR_HALF(hadd_f16x2, ADD)
VECTOR_HALF(hsub_f16, SUB)
VECTOR_HALF(hsub_f16x2, SUB)
VECTOR_HALF(hmul_f16, MUL)
VECTOR_HALF(hmul_f16x2, MUL)
#if EMU_ISA_LEVEL < 4
VECTOR_HALF(hfma_f16, FMA)
#endif
VECTOR_HALF(hfma_f16x2, FMA)
#undef VECTOR_HALF

/* -- minimum, maximum, sign ----------------------------------------------- */

/* Sign and magnitude to an integer in the order of the floats. */
static inline int32_t EMU_H(rank)(uint16_t v)
{
    return v & 0x8000 ? -(int32_t)(v & 0x7fff) - 1 : (int32_t)v;
}

static inline uint16_t EMU_H(order)(uint16_t a, uint16_t b, int flags,
                                    int larger, int bf)
{
    uint16_t infinity = bf ? 0x7f80 : 0x7c00, sign = 0;
    if (!bf) {
        a = EMU_H(flush_half)(a, flags);
        b = EMU_H(flush_half)(b, flags);
    }
    if (flags & EMU_XORSIGN) {
        sign = (a ^ b) & 0x8000;
        a &= 0x7fff, b &= 0x7fff;
    }
    int a_nan = (a & 0x7fff) > infinity, b_nan = (b & 0x7fff) > infinity;
    if ((a_nan && b_nan) || ((a_nan || b_nan) && flags & EMU_NAN))
        return 0x7fff;
    if (a_nan || b_nan)
        return (uint16_t)((a_nan ? b : a) ^ sign);
    int first = EMU_H(rank)(a) < EMU_H(rank)(b) ? !larger : larger;
    return (uint16_t)((first ? a : b) ^ sign);
}

static inline uint16_t EMU_H(sign)(uint16_t v, int flags, int negate, int bf)
{
    if ((v & 0x7fff) > (bf ? 0x7f80 : 0x7c00))
        return 0x7fff;
    if (!bf)
        v = EMU_H(flush_half)(v, flags);
    return (uint16_t)(negate ? v ^ 0x8000 : v & 0x7fff);
}

#define ORDERED(name, bf, is_pair, larger)                                     \
    EMU_BINARY(name, lane_u32, lane_u32, lane_u32,                             \
               EMU_H(order)((uint16_t)x, (uint16_t)y, op->flags, larger, bf) | \
                   (is_pair ? (uint32_t)EMU_H(order)((uint16_t)(x >> 16),      \
                                                     (uint16_t)(y >> 16),      \
                                                     op->flags, larger, bf)    \
                                  << 16                                        \
                            : 0))

ORDERED(hmin_f16, 0, 0, 0)
ORDERED(hmin_f16x2, 0, 1, 0)
ORDERED(hmin_bf16, 1, 0, 0)
ORDERED(hmin_bf16x2, 1, 1, 0)
ORDERED(hmax_f16, 0, 0, 1)
ORDERED(hmax_f16x2, 0, 1, 1)
ORDERED(hmax_bf16, 1, 0, 1)
ORDERED(hmax_bf16x2, 1, 1, 1)

#define SIGNED(name, bf, is_pair, negate)                                 \
    EMU_UNARY(name, lane_u32, lane_u32,                                   \
              EMU_H(sign)((uint16_t)x, op->flags, negate, bf) |           \
                  (is_pair ? (uint32_t)EMU_H(sign)((uint16_t)(x >> 16),   \
                                                   op->flags, negate, bf) \
                                 << 16                                    \
                           : 0))

SIGNED(habs_f16, 0, 0, 0)
SIGNED(habs_f16x2, 0, 1, 0)
SIGNED(habs_bf16, 1, 0, 0)
SIGNED(habs_bf16x2, 1, 1, 0)
SIGNED(hneg_f16, 0, 0, 1)
SIGNED(hneg_f16x2, 0, 1, 1)
SIGNED(hneg_bf16, 1, 0, 1)
SIGNED(hneg_bf16x2, 1, 1, 1)

#endif
