/* test_layout.c -- the packed layout is the one that is drawn, a bijection,
** and feeds mma.m16n8k32 as PTX defines its A fragment.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen/quantize/pack.h"
#include "gen/quantize/random.h"
#include "runtime/model/layout.h"

/* The drawing of layout.h written out the slow way: a walk over every byte
** that asks which code it holds. Shares nothing with tsr__packed_position. */
static void pack_as_drawn(const uint8_t *codes, size_t n, size_t k,
                          uint8_t *out)
{
    size_t blocks_n = (n + 63) / 64, blocks_k = (k + 63) / 64;
    for (size_t nb = 0; nb < blocks_n; nb++)
        for (size_t kb = 0; kb < blocks_k; kb++)
            for (size_t t = 0; t < 4; t++)
                for (size_t lane = 0; lane < 32; lane++)
                    for (size_t word = 0; word < 4; word++)
                        for (size_t i = 0; i < 4; i++) {
                            size_t g = lane / 4, c = lane % 4;
                            size_t s = word / 2, h = word % 2;
                            size_t row = 64 * nb + 8 * g + 2 * t + h;
                            size_t at = 64 * kb + 32 * s + 4 * c + i;
                            unsigned low = 0, high = 0;
                            if (row < n && at < k)
                                low = codes[row * k + at];
                            if (row < n && at + 16 < k)
                                high = codes[row * k + at + 16];
                            *out++ = (uint8_t)(high << 4 | low);
                        }
}

static const size_t shapes[][2] = {{64, 64},   {8, 32},   {72, 96},
                                   {128, 128}, {200, 64}, {1024, 256},
                                   {24, 1056}, {65, 33},  {1, 1}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void packing_agrees_with_the_drawing_and_comes_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < SHAPES; i++) {
        size_t n = shapes[i][0], k = shapes[i][1];
        size_t bytes = tsr__packed_bytes(n, k);
        uint8_t *codes = malloc(n * k), *back = malloc(n * k);
        uint8_t *packed = malloc(bytes), *drawn = malloc(bytes);
        for (size_t j = 0; j < n * k; j++)
            codes[j] = gen_random_next(&seed) >> 60;
        memset(packed, 0xee, bytes);
        gen_pack_codes(codes, n, k, packed);
        pack_as_drawn(codes, n, k, drawn);
        assert_memory_equal(packed, drawn, bytes);
        gen_unpack_codes(packed, n, k, back);
        assert_memory_equal(codes, back, n * k);
        for (size_t j = 0; j < n * k; j++)
            assert_int_equal(tsr__packed_code(packed, j / k, j % k, k),
                             codes[j]);
        assert_true(gen_packed_padding_is_zero(packed, n, k));
        free(codes);
        free(back);
        free(packed);
        free(drawn);
    }
}

static void every_nibble_is_the_place_of_one_code(void **state)
{
    (void)state;
    enum { N = 192, K = 128 };
    static uint8_t hits[N * K];
    for (size_t n = 0; n < N; n++)
        for (size_t k = 0; k < K; k++) {
            struct tsr_packed_position at = tsr__packed_position(n, k, K);
            assert_true(at.offset < tsr__packed_bytes(N, K));
            assert_true(at.shift == 0 || at.shift == 4);
            hits[at.offset * 2 + at.shift / 4]++;
        }
    for (size_t i = 0; i < N * K; i++)
        assert_int_equal(hits[i], 1);
}

static void dirty_padding_is_noticed(void **state)
{
    (void)state;
    enum { N = 72, K = 96 };
    static uint8_t codes[N * K], packed[2 * 2 * 2048];
    gen_pack_codes(codes, N, K, packed);
    assert_true(gen_packed_padding_is_zero(packed, N, K));
    struct tsr_packed_position at = tsr__packed_position(N, 0, K);
    packed[at.offset] |= (uint8_t)(1 << at.shift);
    assert_false(gen_packed_padding_is_zero(packed, N, K));
    packed[at.offset] = 0;
    at = tsr__packed_position(0, K, K);
    packed[at.offset] |= (uint8_t)(1 << at.shift);
    assert_false(gen_packed_padding_is_zero(packed, N, K));
}

/* PTX ISA, mma.m16n8k32 with .u8 A: register a[r] of lane 4g + c, byte i, is
** row g (r even) or g + 8 (r odd), column 4c + i (r < 2) or 4c + i + 16. */
static void lanes_load_the_a_fragments_of_the_mma(void **state)
{
    (void)state;
    enum { N = 64, K = 64 };
    static uint8_t codes[N * K], packed[2048];
    for (size_t j = 0; j < N * K; j++)
        codes[j] = (uint8_t)(j * 7 % 16);
    gen_pack_codes(codes, N, K, packed);
    for (size_t t = 0; t < 4; t++)
        for (size_t lane = 0; lane < 32; lane++)
            for (size_t s = 0; s < 2; s++)
                for (size_t r = 0; r < 4; r++) {
                    size_t g = lane / 4, c = lane % 4;
                    const uint8_t *load = packed + t * 512 + lane * 16;
                    uint32_t word;
                    memcpy(&word, load + 4 * (2 * s + r % 2), 4);
                    word = (r < 2 ? word : word >> 4) & 0x0F0F0F0F;
                    size_t mma_row = g + (r % 2 ? 8 : 0);
                    size_t channel = 8 * (mma_row % 8) + 2 * t + mma_row / 8;
                    for (size_t i = 0; i < 4; i++) {
                        size_t column = 4 * c + i + (r < 2 ? 0 : 16);
                        assert_int_equal(word >> 8 * i & 0xff,
                                         codes[channel * K + 32 * s + column]);
                    }
                }
}

static void lane_owns_eight_contiguous_channels(void **state)
{
    (void)state;
    for (size_t n = 0; n < 64; n++)
        for (size_t k = 0; k < 64; k++) {
            size_t lane = tsr__packed_position(n, k, 64).offset % 512 / 16;
            assert_int_equal(n / 8, lane / 4);
        }
}

static void formats_have_names_and_rules(void **state)
{
    (void)state;
    enum tsr_weight_format format;
    assert_int_equal(tsr__weight_format_parse("w4g64", &format), 0);
    assert_int_equal(format, TSR_W4G64);
    assert_int_equal(tsr__weight_group(format), 64);
    assert_int_equal(tsr__weight_format_parse("w4g32", &format), -1);
    assert_string_equal(tsr__weight_format_names(), "w4c, w4g128, w4g64");
    assert_null(tsr__weight_format_name((enum tsr_weight_format)3));
    assert_null(tsr__linear_check(TSR_W4C, 8, 32));
    assert_null(tsr__linear_check(TSR_W4G128, 4096, 66304 - 66304 % 128));
    assert_non_null(strstr(tsr__linear_check(TSR_W4C, 12, 32), "N must"));
    assert_non_null(strstr(tsr__linear_check(TSR_W4C, 8, 48), "32"));
    assert_non_null(strstr(tsr__linear_check(TSR_W4G128, 8, 192), "128"));
    assert_non_null(strstr(tsr__linear_check(TSR_W4G64, 8, 96), "64"));
    assert_non_null(strstr(tsr__linear_check(TSR_W4C, 8, 66336), "66311"));
    assert_non_null(tsr__linear_check(TSR_W4C, 0, 32));
    assert_non_null(tsr__linear_check(TSR_W4C, 8, 0));
    assert_non_null(tsr__linear_check(TSR_W4C, (size_t)-8, 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_agrees_with_the_drawing_and_comes_back),
        cmocka_unit_test(every_nibble_is_the_place_of_one_code),
        cmocka_unit_test(dirty_padding_is_noticed),
        cmocka_unit_test(lanes_load_the_a_fragments_of_the_mma),
        cmocka_unit_test(lane_owns_eight_contiguous_channels),
        cmocka_unit_test(formats_have_names_and_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
