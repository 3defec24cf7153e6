// Emitted by Tessera 0.1.0; do not edit.
//
//   template  templates/gemm_w4a8_naive.cu.tmpl sha256 6d0645885b1debcb
//   spec      gemm_w4a8 arch=sm_120a bias=0 format=w4g64 k=128 n=64 out=f16 variant=naive
//   command   tessera gen gemm_w4a8 arch=sm_120a bias=0 format=w4g64 k=128 n=64 out=f16 variant=naive

#line 1 "templates/gemm_w4a8_naive.cu.tmpl"
// gemm_w4a8, variant naive -- the readable truth on a device: one thread, one output.
//
//   w4c   y[m][n] = (s[n] * acc - zs[n] * sum[m]) * sa[m]         acc = sum_k q[n][k] * x[m][k]
//   w4g   y[m][n] = (acc - 128 * sum[m]) * s1[n] * sa[m]          acc = sum_k u[n][k] * x[m][k]
//         u[n][k] = q[n][k] * s2[k/G][n] + b[k/G][n], a byte; q is the 4-bit code
//
//   x s8 [m][K], sa and sum per token from quant_act; q packed as in packed_weight.cuh.
//
//            TILE_N channels
//          +-----------------+      blockIdx.x  one tile of channels x tokens, channels first
//   TILE_M | thread 0, 1 ... |      thread      one output: channel thread % TILE_N
//   tokens |                 |
//          +-----------------+
//
// It reads the same packed weights as the fast variant, but one code at a time by its coordinates,
// and shares with it nothing but that description and the epilogue.

#line 1 "templates/lib/types.cuh"
// types.cuh -- the integer names of every kernel, and compile-time arithmetic.
//
// Emitted source includes no header: NVRTC then compiles a kernel in tens of
// milliseconds. f16 is storage only; arithmetic is done in float.

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned short f16;

// upto<4>() carries 0, 1, 2, 3 as template arguments: a loop whose index must be
// a constant, such as the address immediate of a PTX instruction, is a fold over
// them. (A template that calls itself would be inlined level by level, and the
// compile time grow with the square.)
template <int... I> struct indices {
};

template <int COUNT, int... I> struct indices_upto {
    using type = typename indices_upto<COUNT - 1, COUNT - 1, I...>::type;
};

template <int... I> struct indices_upto<0, I...> {
    using type = indices<I...>;
};

template <int COUNT> using upto = typename indices_upto<COUNT>::type;

__host__ __device__ constexpr int max_of(int a, int b)
{
    return a > b ? a : b;
}

__host__ __device__ constexpr int min_of(int a, int b)
{
    return a < b ? a : b;
}

__host__ __device__ constexpr int ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

__host__ __device__ constexpr int round_up(int a, int b)
{
    return ceil_div(a, b) * b;
}
#line 1 "templates/lib/packed_weight.cuh"
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
#line 1 "templates/lib/epilogue.cuh"
// epilogue.cuh -- from exact integer sums to one output, in the order of float
// operations that the reference has (gen/quantize/reference.h). Every step is
// rounded to nearest even: kernels are compiled with --fmad=false.

// w4c: acc = sum_k q x. The zero point comes off through the row sum.
__device__ __forceinline__ float finish_channel(s32 acc, s32 sum, float scale, float zero_scale,
                                                float x_scale)
{
    return fmaf(scale, (float)acc, -(zero_scale * (float)sum)) * x_scale;
}

// w4g: acc = sum_k u x with u = w8 + 128, a byte.
__device__ __forceinline__ float finish_group(s32 acc, s32 sum, float scale, float x_scale)
{
    return (float)(acc - 128 * sum) * scale * x_scale;
}
#line 1 "templates/ptx/arith.cuh"
// arith.cuh -- bytes, integers, and conversions between number formats.

// PTX ISA: mov. A value the compiler cannot see through: it stays in its register
// instead of being computed again in every pass of a loop.
__device__ __forceinline__ u32 keep(u32 v)
{
    u32 r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(v));
    return r;
}

// PTX ISA: prmt. Byte i of the result is the byte of `v` that nibble i of SELECT
// names; 4 names a zero.
template <u32 SELECT> __device__ __forceinline__ u32 prmt(u32 v)
{
    u32 r;
    asm("prmt.b32 %0, %1, 0, %2;" : "=r"(r) : "r"(v), "n"(SELECT));
    return r;
}

// PTX ISA: cvt. fp16 to float, exact.
__device__ __forceinline__ float f16_to_float(u16 h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

// PTX ISA: mov, unpacking. The halves of a word.
__device__ __forceinline__ void halves(u32 v, u16 &low, u16 &high)
{
    asm("mov.b32 {%0, %1}, %2;" : "=h"(low), "=h"(high) : "r"(v));
}

// PTX ISA: cvt.rn.f16x2. Two floats to fp16, to nearest even; NaN is 0x7fff.
__device__ __forceinline__ u32 floats_to_f16x2(float low, float high)
{
    u32 r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

// PTX ISA: cvt.rn.bf16x2. Two floats to bf16, to nearest even; NaN is 0x7fff.
__device__ __forceinline__ u32 floats_to_bf16x2(float low, float high)
{
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

// PTX ISA: redux.sync. The largest of the warp's 32 values.
__device__ __forceinline__ u32 warp_max(u32 v)
{
    u32 r;
    asm volatile("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v));
    return r;
}

// PTX ISA: redux.sync. The sum of the warp's 32 values.
__device__ __forceinline__ s32 warp_sum(s32 v)
{
    s32 r;
    asm volatile("redux.sync.add.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v));
    return r;
}
#line 22 "templates/gemm_w4a8_naive.cu.tmpl"

// ---- constants ----------------------------------------------------------------------------------

constexpr int N = 64;
constexpr int K = 128;
constexpr int GROUP = 64;         // k per s2 and b; 0 for w4c, which has none
constexpr bool OUT_BF16 = false;  // y is bf16, else fp16
constexpr bool HAS_BIAS = false;
constexpr int TILE_N = 64;
constexpr int TILE_M = 4;

constexpr bool GROUPED = GROUP > 0;
constexpr int GROUP_K = GROUPED ? GROUP : K;
constexpr int THREADS = TILE_N * TILE_M;
constexpr int CHANNEL_TILES = ceil_div(N, TILE_N);
constexpr int K_BLOCKS = ceil_div(K, BLOCK_K);

static_assert(K <= 66311, "int32 holds K products of u8 and s8");
static_assert(K % GROUP_K == 0, "the last group is whole");
static_assert(THREADS <= 1024, "a block has at most 1024 threads");

// ---- one output ---------------------------------------------------------------------------------

// q, or u of a grouped format.
__device__ u32 weight_at(const u8 *qweight, const u8 *step, const u8 *offset, int channel, int k)
{
    const u32 code = code_at(qweight, K_BLOCKS, channel, k);
    if constexpr (!GROUPED)
        return code;
    const s64 at = (s64)(k / GROUP_K) * N + channel;
    return code * step[at] + offset[at];
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gemm_w4a8(void *__restrict__ y, const s8 *__restrict__ x, const float *__restrict__ x_scale,
              const s32 *__restrict__ x_sum, const u8 *__restrict__ qweight,
              const f16 *__restrict__ scale, const void *__restrict__ scale2,
              const u8 *__restrict__ offset, const f16 *__restrict__ bias,
              s32 *__restrict__ workspace, s32 m)
{
    const int channel = blockIdx.x % CHANNEL_TILES * TILE_N + threadIdx.x % TILE_N;
    const s64 token = (s64)(blockIdx.x / CHANNEL_TILES) * TILE_M + threadIdx.x / TILE_N;
    if (channel >= N || token >= m)
        return;

    const u8 *step = static_cast<const u8 *>(scale2);
    s32 acc = 0;
#pragma unroll 1
    for (int k = 0; k < K; k++)
        acc += (s32)weight_at(qweight, step, offset, channel, k) * x[token * K + k];

    const float s = f16_to_float(scale[channel]);
    float v;
    if constexpr (GROUPED)
        v = finish_group(acc, x_sum[token], s, x_scale[token]);
    else
        v = finish_channel(acc, x_sum[token], s,
                           f16_to_float(static_cast<const f16 *>(scale2)[channel]),
                           x_scale[token]);
    if constexpr (HAS_BIAS)
        v = v + f16_to_float(bias[channel]);
    static_cast<u16 *>(y)[token * N + channel] =
        (u16)(OUT_BF16 ? floats_to_bf16x2(v, 0) : floats_to_f16x2(v, 0));
}
