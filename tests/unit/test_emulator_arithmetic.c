/* test_emulator_arithmetic.c -- mma and half arithmetic against plain loops, in
** every instruction set this host has. */
#include <math.h>

#include "emulated.h"
#include "runtime/base/half.h"

static uint32_t seed = 1;

static uint32_t next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

/* Calls `check` with each set up to the best. */
static void in_every_isa(void (*check)(const struct emu_options *))
{
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    for (int isa = EMU_ISA_BASE; isa <= (int)emu_isa_best(); isa++) {
        options.isa = isa;
        check(&options);
    }
}

/* -- mma of bytes ------------------------------------------------------------
**
** out: per lane a0..a3, b0 b1, c0..c3, then d0..d3.
*/

struct bytes {
    int a[16][32], b[32][8];
    int64_t c[16][8];
};

static int byte_of(uint32_t word, int k, int is_signed)
{
    uint32_t byte = word >> 8 * k & 0xff;
    return is_signed ? (int8_t)byte : (int)byte;
}

static void unpack(const uint32_t *word, int a_signed, int b_signed, int k_all,
                   struct bytes *m)
{
    for (int lane = 0; lane < 32; lane++) {
        const uint32_t *w = word + 16 * lane;
        int g = lane / 4, t = lane % 4;
        for (int j = 0; j < 4; j++) {
            for (int h = 0; h < k_all / 16; h++) {
                m->a[g][16 * h + 4 * t + j] = byte_of(w[2 * h], j, a_signed);
                m->a[g + 8][16 * h + 4 * t + j] =
                    byte_of(w[2 * h + 1], j, a_signed);
                m->b[16 * h + 4 * t + j][g] = byte_of(w[4 + h], j, b_signed);
            }
            m->c[g + 8 * (j / 2)][2 * t + j % 2] = (int32_t)w[6 + j];
        }
    }
}

static void check_bytes(const uint32_t *word, int a_signed, int b_signed,
                        int k_all, int saturate)
{
    struct bytes m;
    unpack(word, a_signed, b_signed, k_all, &m);
    for (int lane = 0; lane < 32; lane++) {
        for (int j = 0; j < 4; j++) {
            int row = lane / 4 + 8 * (j / 2), n = 2 * (lane % 4) + j % 2;
            int64_t sum = m.c[row][n];
            for (int k = 0; k < k_all; k++)
                sum += m.a[row][k] * m.b[k][n];
            if (saturate && sum > INT32_MAX)
                sum = INT32_MAX;
            if (saturate && sum < INT32_MIN)
                sum = INT32_MIN;
            assert_int_equal(word[16 * lane + 10 + j], (uint32_t)sum);
        }
    }
}

static void run_bytes(int a_signed, int b_signed, int k_all, int saturate,
                      const struct emu_options *options)
{
    char body[1024];
    struct emulated e;
    snprintf(body, sizeof body,
             "mad.wide.u32 %%t1, %%i, 64, %%t0;\n"
             "ld.global.v4.u32 {%%r10,%%r11,%%r12,%%r13}, [%%t1];\n"
             "ld.global.v4.u32 {%%r14,%%r15,%%r16,%%r17}, [%%t1+16];\n"
             "ld.global.v2.u32 {%%r18,%%r19}, [%%t1+32];\n"
             "mma.sync.aligned.m16n8k%d.row.col%s.s32.%s.%s.s32 "
             "{%%r20,%%r21,%%r22,%%r23}, {%%r10,%%r11%s}, {%%r14%s}, "
             "{%%r16,%%r17,%%r18,%%r19};\n"
             "st.global.v2.u32 [%%t1+40], {%%r20,%%r21};\n"
             "st.global.v2.u32 [%%t1+48], {%%r22,%%r23}; ret; }\n",
             k_all, saturate ? ".satfinite" : "", a_signed ? "s8" : "u8",
             b_signed ? "s8" : "u8", k_all == 32 ? ",%r12,%r13" : "",
             k_all == 32 ? ",%r15" : "");
    if (emulated_load(&e, "", body, 32 * 16))
        fail_msg("%s", e.err.text);
    for (int i = 0; i < 32 * 16; i++)
        e.out[i] = next() % 3 ? next() : next() % 2 ? 0x80808080u : 0xffffffffu;
    assert_int_equal(emulated_run(&e, 1, 32, options), 0);
    emulated_clean(&e);
    check_bytes(e.out, a_signed, b_signed, k_all, saturate);
    emulated_free(&e);
}

static void check_mma_bytes(const struct emu_options *options)
{
    for (int mix = 0; mix < 32; mix++)
        run_bytes(mix & 1, mix >> 1 & 1, mix & 4 ? 16 : 32, mix >> 3 & 1,
                  options);
}

static void mma_of_bytes_is_the_plain_sum(void **state)
{
    (void)state;
    in_every_isa(check_mma_bytes);
}

/* D may be a register of A or B. */
static void check_mma_in_place(const struct emu_options *options)
{
    struct emulated e;
    emulated_do(&e, "",
                "mul.lo.u32 %r2, %i, 0x01030507; mov.u32 %r3, 0;\n"
                "mov.b32 %r4, %r2; mov.b32 %r5, %r2;\n"
                "mma.sync.aligned.m16n8k16.row.col.s32.u8.u8.s32 "
                "{%r6,%r7,%r8,%r9}, {%r2,%r4}, {%r5}, {%r3,%r3,%r3,%r3};\n"
                "mma.sync.aligned.m16n8k16.row.col.s32.u8.u8.s32 "
                "{%r2,%r4,%r5,%r3}, {%r2,%r4}, {%r5}, {%r3,%r3,%r3,%r3};\n"
                "sub.u32 %r6, %r6, %r2; sub.u32 %r7, %r7, %r4;\n"
                "sub.u32 %r8, %r8, %r5; sub.u32 %r9, %r9, %r3;\n"
                "or.b32 %r6, %r6, %r7; or.b32 %r8, %r8, %r9;\n"
                "or.b32 %r6, %r6, %r8;" EMULATED_STORE("%r6"),
                1, 32, 32, options);
    for (int i = 0; i < 32; i++)
        assert_int_equal(e.out[i], 0);
    emulated_free(&e);
}

static void mma_may_write_its_own_operands(void **state)
{
    (void)state;
    in_every_isa(check_mma_in_place);
}

/* -- halves --------------------------------------------------------------- */

/* One rounding of a*b+c in f16, from 80-bit arithmetic: the exact sum of a
** product of 22 bits and a half fits 64 bits. */
static uint16_t fused(uint16_t a, uint16_t b, uint16_t c)
{
    long double exact = (long double)tsr__half_to_float(a) *
                            (long double)tsr__half_to_float(b) +
                        (long double)tsr__half_to_float(c);
    float f = (float)exact;
    if (isnan(f))
        return 0x7fff;
    /* To odd, so that the second rounding is the only one that counts. */
    if ((long double)f != exact && !isinf(f)) {
        uint32_t bits = tsr__float_bits(f);
        if (fabsl((long double)f) > fabsl(exact))
            bits--;
        f = tsr__bits_float(bits | 1);
    }
    return tsr__float_to_half(f);
}

static void check_half_fma(const struct emu_options *options)
{
    struct emulated e;
    assert_int_equal(emulated_load(&e, "",
                                   "mad.wide.u32 %t1, %j, 16, %t0;\n"
                                   "ld.global.v2.u32 {%r2,%r3}, [%t1];\n"
                                   "ld.global.u32 %r4, [%t1+8];\n"
                                   "fma.rn.f16x2 %r5, %r2, %r3, %r4;\n"
                                   "st.global.u32 [%t1+12], %r5; ret; }\n",
                                   4 * 256 * 64),
                     0);
    for (size_t i = 0; i < e.bytes / 4; i++) {
        e.out[i] = next() ^ next() << 9;
        /* Near ties: product of short numbers against tiny addends. */
        if (i % 16 < 4)
            e.out[i] =
                i % 4 == 2 ? next() & 0x8fff8fff : (next() & 0x7fe07fe0) | 0x10;
    }
    assert_int_equal(emulated_run(&e, 64, 256, options), 0);
    for (size_t i = 0; i < e.bytes / 16; i++) {
        const uint32_t *v = e.out + 4 * i;
        uint16_t low = fused((uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2]);
        uint16_t high = fused((uint16_t)(v[0] >> 16), (uint16_t)(v[1] >> 16),
                              (uint16_t)(v[2] >> 16));
        assert_int_equal(v[3], low | (uint32_t)high << 16);
    }
    emulated_free(&e);
}

static void fma_of_halves_rounds_once(void **state)
{
    (void)state;
    in_every_isa(check_half_fma);
}

/* -- f16 mma: exact on small whole numbers, whatever the order ------------ */

static void check_mma_half(const struct emu_options *options)
{
    struct emulated e;
    int a[16][16], b[16][8];
    assert_int_equal(
        emulated_load(
            &e, "",
            "mad.wide.u32 %t1, %i, 64, %t0;\n"
            "ld.global.v4.u32 {%r10,%r11,%r12,%r13}, [%t1];\n"
            "ld.global.v2.u32 {%r14,%r15}, [%t1+16]; mov.f32 %r16, "
            "0f3F800000;\n"
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%r20,%r21,%r22,%r23}, {%r10,%r11,%r12,%r13}, {%r14,%r15}, "
            "{%r16,%r16,%r16,%r16};\n"
            "st.global.v4.u32 [%t1+32], {%r20,%r21,%r22,%r23}; ret; }\n",
            32 * 16),
        0);
    for (int i = 0; i < 256; i++)
        a[i / 16][i % 16] = (int)(next() % 33) - 16;
    for (int i = 0; i < 128; i++)
        b[i / 8][i % 8] = (int)(next() % 33) - 16;
    for (int lane = 0; lane < 32; lane++) {
        uint32_t *w = e.out + 16 * lane;
        int g = lane / 4, t = lane % 4;
        for (int j = 0; j < 2; j++) {
            for (int h = 0; h < 2; h++) {
                w[2 * h] |=
                    (uint32_t)tsr__float_to_half((float)a[g][8 * h + 2 * t + j])
                    << 16 * j;
                w[2 * h + 1] |= (uint32_t)tsr__float_to_half(
                                    (float)a[g + 8][8 * h + 2 * t + j])
                                << 16 * j;
                w[4 + h] |=
                    (uint32_t)tsr__float_to_half((float)b[8 * h + 2 * t + j][g])
                    << 16 * j;
            }
        }
    }
    assert_int_equal(emulated_run(&e, 1, 32, options), 0);
    emulated_clean(&e);
    for (int lane = 0; lane < 32; lane++) {
        for (int j = 0; j < 4; j++) {
            int row = lane / 4 + 8 * (j / 2), n = 2 * (lane % 4) + j % 2;
            int sum = 1;
            for (int k = 0; k < 16; k++)
                sum += a[row][k] * b[k][n];
            assert_int_equal(e.out[16 * lane + 8 + j],
                             tsr__float_bits((float)sum));
        }
    }
    emulated_free(&e);
}

static void mma_of_halves_has_the_documented_layout(void **state)
{
    (void)state;
    in_every_isa(check_mma_half);
}

/* -- approximate functions ------------------------------------------------ */

static void perturbing_moves_results_by_a_few_ulp(void **state)
{
    (void)state;
    struct emulated e;
    struct emu_options options = EMU_OPTIONS_DEFAULT;
    int moved = 0;
    options.perturb_ulp = 2;
    options.seed = 3;
    emulated_do(&e, "",
                "cvt.rn.f32.u32 %r2, %i; add.rn.f32 %r2, %r2, 0f3F000000;\n"
                "rsqrt.approx.f32 %r3, %r2;" EMULATED_STORE("%r3"),
                1, 256, 256, &options);
    for (uint32_t i = 0; i < 256; i++) {
        float exact = (float)(1 / sqrt((double)i + 0.5));
        int32_t by = (int32_t)(e.out[i] - tsr__float_bits(exact));
        assert_in_range(by + 2, 0, 4);
        moved += by != 0;
    }
    assert_true(moved > 50);
    emulated_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mma_of_bytes_is_the_plain_sum),
        cmocka_unit_test(mma_may_write_its_own_operands),
        cmocka_unit_test(fma_of_halves_rounds_once),
        cmocka_unit_test(mma_of_halves_has_the_documented_layout),
        cmocka_unit_test(perturbing_moves_results_by_a_few_ulp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
