// packed_weight.cuh -- the one packed layout of 4-bit weights, as kernels see it.
// It is drawn in full in runtime/model/layout.h.
//
//   blocks  [N/64][K/64] of 2048 bytes      64 channels x 64 k, N and K padded to 64
//   block   4 tiles of 512 bytes            one m16 tile of the tensor core each
//   tile    32 lanes of 16 bytes            lane = 4 g + c
//   lane    4 words                         word 2 s + h: k-step s of 32, row half h
//
//   word of (tile t, lane 4g+c, s, h):  channel  8 g + 2 t + h  of the block
//     byte i, low nibble    code at k = 32 s + 4 c + i            register a[h]
//     byte i, high nibble   code at k = 32 s + 4 c + i + 16       register a[h + 2]
//
// So a lane's 16-byte load is the A operand of two m16n8k32 steps, and over its
// four tiles a lane owns the eight neighbouring channels 8g .. 8g+7.

constexpr int BLOCK_CHANNELS = 64;
constexpr int BLOCK_K = 64;
constexpr int BLOCK_BYTES = 2048;
constexpr int BLOCK_TILES = 4;
constexpr int TILE_BYTES = 512;
constexpr int LANE_BYTES = 16;

static_assert(BLOCK_BYTES == BLOCK_CHANNELS * BLOCK_K / 2, "two codes make a byte");
static_assert(BLOCK_BYTES == BLOCK_TILES * TILE_BYTES, "a block is its four tiles");
static_assert(TILE_BYTES == 32 * LANE_BYTES, "a tile is one 16-byte load of a warp");

constexpr u32 LOW_NIBBLES = 0x0F0F0F0Fu;

// Four codes of a word, one a byte.
__device__ __forceinline__ u32 codes_low(u32 word)
{
    return word & LOW_NIBBLES;
}

__device__ __forceinline__ u32 codes_high(u32 word)
{
    return (word >> 4) & LOW_NIBBLES;
}

// One code by its place: the layout above read backwards, one line each.
__device__ __forceinline__ u32 code_at(const u8 *packed, int k_blocks, int channel, int k)
{
    const int block = (channel / BLOCK_CHANNELS) * k_blocks + k / BLOCK_K;
    const int in_block = channel % BLOCK_CHANNELS;
    const int g = in_block / 8, t = in_block % 8 / 2, h = in_block % 2;
    const int step = k % BLOCK_K / 32;
    const int high = k % 32 / 16, c = k % 16 / 4, i = k % 4;
    const int byte = t * TILE_BYTES + (4 * g + c) * LANE_BYTES + (2 * step + h) * 4 + i;
    const u32 pair = packed[(u64)block * BLOCK_BYTES + byte];
    return high ? pair >> 4 : pair & 15;
}
