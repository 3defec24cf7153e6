/* inputs.c -- what conformance cases are fed: extremes first, then random. */
#include <string.h>

#include "runtime/base/half.h"
#include "tests/emulator/conformance/conformance.h"

uint64_t conf_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Integers of any width: their low bits are what counts. */
static const uint64_t integers[] = {
    0,
    1,
    2,
    7,
    UINT64_MAX, /* -1 */
    UINT64_MAX - 1,
    UINT64_C(0x8000000000000000), /* the least 64-bit one */
    UINT64_C(0x7fffffffffffffff),
    UINT64_C(0xffffffff80000000), /* the least 32-bit one */
    0x7fffffff,
    0xffffffff,
    0x80000000,
    0xffffffffffff8000, /* the least 16-bit one */
    0x7fff,
    0xffff,
    0x10000,
    UINT64_C(0x0123456789abcdef),
    UINT64_C(0xfedcba9876543210),
};

static const uint32_t floats[] = {
    0x00000000, 0x80000000, /* zeros */
    0x3f800000, 0xbf800000, /* ones */
    0x7f800000, 0xff800000, /* infinities */
    0x7fc00000, 0xffa12345, /* a quiet NaN, a signalling one with a sign */
    0x7f7fffff, 0xff7fffff, /* largest */
    0x00800000, 0x80800000, /* smallest normal */
    0x007fffff, 0x80000001, /* subnormals */
    0x3f000000, 0x3fc00000, /* halves, for rounding to whole numbers */
    0xc0200000, 0x4b000001, /* -2.5, 2^23 + 1 */
    0x3f7fffff, 0x40490fdb, /* just below one, pi */
};

static const uint64_t doubles[] = {
    0,
    UINT64_C(0x8000000000000000),
    UINT64_C(0x3ff0000000000000),
    UINT64_C(0xbff0000000000000),
    UINT64_C(0x7ff0000000000000),
    UINT64_C(0xfff0000000000000),
    UINT64_C(0x7ff8000000000000),
    UINT64_C(0x7fefffffffffffff),
    UINT64_C(0x0010000000000000),
    UINT64_C(0x800fffffffffffff),
    1,
    UINT64_C(0x3fe0000000000000),
    UINT64_C(0xc004000000000000), /* -2.5 */
    UINT64_C(0x4330000000000001), /* 2^52 + 1 */
    UINT64_C(0x41dfffffffc00000), /* 2^31 - 1 */
    UINT64_C(0xc1e0000000000000), /* -2^31 */
    UINT64_C(0x43e0000000000000), /* 2^63 */
    UINT64_C(0x47efffffe0000000), /* the largest float */
    UINT64_C(0x3ff0000010000000), /* half way between two floats */
};

static const uint16_t halves[] = {
    0x0000, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0xfd23,
    0x7bff, 0xfbff, 0x0400, 0x83ff, 0x0001, 0x3800, 0xc100, 0x6400,
};

static const uint16_t bfloats[] = {
    0x0000, 0x8000, 0x3f80, 0xbf80, 0x7f80, 0xff80, 0x7fc0, 0xffa1,
    0x7f7f, 0xff7f, 0x0080, 0x807f, 0x0001, 0x3f00, 0xc020, 0x4300,
};

/* Element i of operand k runs through the table at k's own pace, so that all
** pairs of extremes of two operands meet. */
static size_t turn(size_t i, int operand, size_t count)
{
    if (operand == 0)
        return i % count;
    if (operand == 1)
        return i / count % count;
    return (i * 7 + i / count * 3) % count;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Random floats: every other one moderate, so that sums do not all overflow. */
static uint64_t random_float(uint64_t random, size_t i)
{
    if (i & 1)
        return (uint32_t)random;
    float value = (float)((double)(int32_t)random * 0x1p-24);
    return tsr__float_bits(value);
}

static uint64_t random_double(uint64_t random, size_t i)
{
    double value = (double)(int64_t)random * 0x1p-52;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return i & 1 ? random : bits;
}

static uint64_t extreme(enum conf_type type, size_t i, int operand)
{
    switch (type) {
    case CONF_F32:
        return floats[turn(i, operand, COUNT(floats))];
    case CONF_F64:
        return doubles[turn(i, operand, COUNT(doubles))];
    case CONF_F16:
        return halves[turn(i, operand, COUNT(halves))];
    case CONF_BF16:
        return bfloats[turn(i, operand, COUNT(bfloats))];
    case CONF_H2:
        return halves[turn(i, operand, COUNT(halves))] |
               (uint32_t)halves[turn(i + 5, operand, COUNT(halves))] << 16;
    case CONF_BH2:
        return bfloats[turn(i, operand, COUNT(bfloats))] |
               (uint32_t)bfloats[turn(i + 5, operand, COUNT(bfloats))] << 16;
    default:
        return integers[turn(i, operand, COUNT(integers))];
    }
}

static uint64_t random_input(enum conf_type type, uint64_t random, size_t i)
{
    switch (type) {
    case CONF_F32:
        return random_float(random, i);
    case CONF_F64:
        return random_double(random, i);
    case CONF_F16:
        return i & 1 ? random : tsr__float_to_half((float)(int8_t)random / 8);
    case CONF_BF16:
        return i & 1 ? random : tsr__float_to_bfloat((float)(int8_t)random / 8);
    default:
        return i % 3 ? random : (uint64_t)(int64_t)(int16_t)random;
    }
}

uint64_t conf_input(enum conf_type type, size_t i, int operand)
{
    uint64_t state = i * 3 + (uint64_t)operand + 1;
    uint64_t random = conf_random(&state), bits;
    int bytes = conf_type_bytes(type);
    if (type == CONF_SMALL || type == CONF_SMALL64)
        bits = i < 400 ? i / 5 % 71 : random % 71;
    else
        bits =
            i < 400 ? extreme(type, i, operand) : random_input(type, random, i);
    if (bytes == 0)
        return 0;
    return bytes == 8 ? bits : bits & ((UINT64_C(1) << (8 * bytes)) - 1);
}
