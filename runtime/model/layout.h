/* layout.h -- the packed layout of 4-bit weights, and the weight formats.
**
** One layout serves every GEMM kernel: a lane's 16-byte load holds its A
** fragments of mma.m16n8k32 (and of wgmma with A in registers) for two
** consecutive k-steps. Neither ldmatrix nor a shuffle is needed, and blocks
** are contiguous, so 16-byte and bulk copies stream them.
**
** N (channels, rows of W) and K are padded to 64; padding holds code 0.
**
**   qweight = blocks [Npad/64][Kpad/64] of 2048 bytes
**
**   block    64 channels x 64 k          tile t (m16)     512 bytes
**   +---------------------------+        +--------------------------------+
**   | tile 0  512 bytes         |        | lane 0   16 bytes              |
**   | tile 1                    |        | lane 1                         |
**   | tile 2                    |        |  ...                           |
**   | tile 3                    |        | lane 31                        |
**   +---------------------------+        +--------------------------------+
**
**   lane = 4g + c (g = 0..7, c = 0..3): four little-endian words
**
**     byte  0    4        8        12
**          +--------+--------+--------+--------+
**          | s=0 h=0| s=0 h=1| s=1 h=0| s=1 h=1|    s: k-step of 32
**          +--------+--------+--------+--------+    h: half of the m16 rows
**
**   channel = 64 nb + 8g + 2t + h
**
**   byte i of the word (i = 0..3)
**     bits 0..3: k = 64 kb + 32 s + 4c + i         MMA register a[h]
**     bits 4..7: k = 64 kb + 32 s + 4c + i + 16    MMA register a[h + 2]
**
** So `word & 0x0F0F0F0F` is register a[h] and `word >> 4 & 0x0F0F0F0F` is
** a[h + 2]. MMA row g of tile t is channel 8g + 2t of the block and row g + 8
** is channel 8g + 2t + 1: over its four tiles a lane owns the 8 contiguous
** channels 8g .. 8g + 7, hence one 16-byte store of 8 fp16 results per token,
** one 8-byte load of its s2 and of its b, one 16-byte load of its scales.
**
** The position of (n, k) does not depend on N.
*/
#ifndef TSR_MODEL_LAYOUT_H
#define TSR_MODEL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* The name in quantization_config.layout; another layout is another name. */
#define TSR_LAYOUT_NAME "m16n8k32"

enum {
    TSR_BLOCK_N = 64, /* channels of a block */
    TSR_BLOCK_K = 64, /* k of a block */
    TSR_BLOCK_BYTES = 2048,
    TSR_TILE_BYTES = 512,
    TSR_BLOCK_TILES = 4,
    TSR_LANE_BYTES = 16,
    TSR_TILE_LANES = 32,
    TSR_CODE_MAX = 15,
    TSR_WEIGHT_OFFSET = 128, /* u = w8 + 128, so b = 128 - z1 */
    TSR_STEP_MAX = 16,       /* s2 */
    TSR_K_MAX = 66311        /* 255 * 127 * K must fit an int32 */
};

_Static_assert(TSR_BLOCK_N *TSR_BLOCK_K == 2 * TSR_BLOCK_BYTES,
               "two codes a byte fill a block");
_Static_assert(TSR_BLOCK_TILES *TSR_TILE_BYTES == TSR_BLOCK_BYTES,
               "tiles fill a block");
_Static_assert(TSR_TILE_LANES *TSR_LANE_BYTES == TSR_TILE_BYTES,
               "lanes fill a tile");
_Static_assert(TSR_BLOCK_TILES * 16 == TSR_BLOCK_N, "tiles are 16 rows");
_Static_assert(255LL * 127 * TSR_K_MAX <= INT32_MAX &&
                   255LL * 127 * (TSR_K_MAX + 1) > INT32_MAX,
               "TSR_K_MAX is the largest K whose sums fit an int32");
_Static_assert(TSR_CODE_MAX *TSR_STEP_MAX < 256,
               "four codes times a step stay within their bytes");

/* Weight formats: symbol, name, group along K (0: one group, the row). */
#define TSR_WEIGHT_FORMAT_LIST(X) \
    X(TSR_W4C, "w4c", 0)          \
    X(TSR_W4G128, "w4g128", 128)  \
    X(TSR_W4G64, "w4g64", 64)

enum tsr_weight_format {
#define TSR_ENUM(symbol, name, group) symbol,
    TSR_WEIGHT_FORMAT_LIST(TSR_ENUM)
#undef TSR_ENUM
};

/* NULL for a value that is no format. */
const char *tsr__weight_format_name(enum tsr_weight_format format);
/* All names, for messages: "w4c, w4g128, w4g64". */
const char *tsr__weight_format_names(void);
/* 0, or -1 when `name` names no format. */
int tsr__weight_format_parse(const char *name, enum tsr_weight_format *out);

static inline size_t tsr__weight_group(enum tsr_weight_format format)
{
    return format == TSR_W4G128 ? 128 : format == TSR_W4G64 ? 64 : 0;
}

static inline size_t tsr__packed_blocks(size_t extent)
{
    return (extent + TSR_BLOCK_N - 1) / TSR_BLOCK_N;
}

/* Bytes of qweight for an n x k matrix; n and k are checked by the caller
** (tsr__linear_check), so this does not overflow. */
static inline size_t tsr__packed_bytes(size_t n, size_t k)
{
    return tsr__packed_blocks(n) * tsr__packed_blocks(k) * TSR_BLOCK_BYTES;
}

/* Where the code of channel n at k is: bits shift .. shift + 3 of a byte. */
struct tsr_packed_position {
    size_t offset;
    unsigned shift;
};

static inline struct tsr_packed_position tsr__packed_position(size_t n,
                                                              size_t k,
                                                              size_t K)
{
    size_t block = n / 64 * tsr__packed_blocks(K) + k / 64;
    size_t g = n % 64 / 8, t = n % 8 / 2, h = n % 2;
    size_t s = k % 64 / 32, c = k % 16 / 4, i = k % 4;
    struct tsr_packed_position at = {
        block * TSR_BLOCK_BYTES + t * TSR_TILE_BYTES +
            (4 * g + c) * TSR_LANE_BYTES + (2 * s + h) * 4 + i,
        k % 32 / 16 * 4};
    return at;
}

static inline unsigned tsr__packed_code(const uint8_t *qweight, size_t n,
                                        size_t k, size_t K)
{
    struct tsr_packed_position at = tsr__packed_position(n, k, K);
    return qweight[at.offset] >> at.shift & 15;
}

/* NULL when an n x k linear can have this format, else the rule it breaks
** ("K must be a multiple of 128"). Static storage. */
const char *tsr__linear_check(enum tsr_weight_format format, size_t n,
                              size_t k);

#endif
