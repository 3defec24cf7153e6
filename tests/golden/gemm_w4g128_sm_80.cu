// Emitted by Tessera 0.1.0; do not edit.
//
//   template  templates/gemm_w4a8.cu.tmpl sha256 3da412cd0ac23e2d
//   spec      gemm_w4a8 arch=sm_80 bias=0 channel_tile=64 format=w4g128 k=4096 k_tile=128 n=4096 out=f16 raster=0 split_k=1 stages=4 token_tile=16 variant=mma warps=4
//   command   tessera gen gemm_w4a8 arch=sm_80 bias=0 channel_tile=64 format=w4g128 k=4096 k_tile=128 n=4096 out=f16 raster=0 split_k=1 stages=4 token_tile=16 variant=mma warps=4

#line 1 "templates/gemm_w4a8.cu.tmpl"
// gemm_w4a8, variant mma -- 4-bit weights times 8-bit activations on mma.sync.
//
//   w4c   y[m][n] = (s[n] * acc - zs[n] * sum[m]) * sa[m]         acc = sum_k q[n][k] * x[m][k]
//   w4g   y[m][n] = (acc - 128 * sum[m]) * s1[n] * sa[m]          acc = sum_k u[n][k] * x[m][k]
//         u[n][k] = q[n][k] * s2[k/G][n] + b[k/G][n], a byte; q is the 4-bit code
//
//   x s8 [m][K], sa and sum per token from quant_act; q packed as in packed_weight.cuh.
//   acc is exact in int32, so tiles, split-K and order never change a bit of y.
//
// The operands are swapped, Y^T = W X^T: channels are the tensor core's M, tokens its N of 8.
//
//             tokens, TILE_M             blockIdx.x  one tile of channels x tokens
//           +--------+--------+          blockIdx.z  one of SPLIT_K parts of K
//  channels | warp 0 | warp 2 |          warp        64 channels x WARP_TOKENS tokens, and
//  TILE_N   +--------+--------+                      one of WARPS_K parts of the block's K
//           | warp 1 | warp 3 |
//           +--------+--------+          Warps with the same part of K are a team: they share
//             x WARPS_K teams            a ring of STAGES stages filled by cp.async, and meet
//                                        at one barrier a stage (a team of one needs none).
//
// At the end the teams add their accumulators in shared memory, and the SPLIT_K blocks of a tile
// in global memory: integers both, so exact. The block that arrives last writes y.

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
#line 1 "templates/ptx/async.cuh"
// async.cuh -- asynchronous copies, global to shared (sm_80). One instruction a
// wrapper. TO and FROM are byte offsets that end up in the address immediates.

// PTX ISA: cp.async. 16 bytes through L2 only.
template <int TO, int FROM>
__device__ __forceinline__ void cp_async_16(u32 to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0+%2], [%1+%3], 16;"
                 :
                 : "r"(to), "l"(from), "n"(TO), "n"(FROM)
                 : "memory");
}

// PTX ISA: cp.async with src-size. Reads `bytes`, writes 16: the rest is zero.
template <int TO, int FROM>
__device__ __forceinline__ void cp_async_16_fill(u32 to, const void *from, u32 bytes)
{
    asm volatile("cp.async.cg.shared.global [%0+%3], [%1+%4], 16, %2;"
                 :
                 : "r"(to), "l"(from), "r"(bytes), "n"(TO), "n"(FROM)
                 : "memory");
}

// PTX ISA: cp.async. SIZE is 4 or 8 bytes.
template <int SIZE, int TO, int FROM>
__device__ __forceinline__ void cp_async_small(u32 to, const void *from)
{
    asm volatile("cp.async.ca.shared.global [%0+%2], [%1+%3], %4;"
                 :
                 : "r"(to), "l"(from), "n"(TO), "n"(FROM), "n"(SIZE)
                 : "memory");
}

// PTX ISA: cp.async with src-size. SIZE is 4 or 8.
template <int SIZE, int TO, int FROM>
__device__ __forceinline__ void cp_async_small_fill(u32 to, const void *from, u32 bytes)
{
    asm volatile("cp.async.ca.shared.global [%0+%3], [%1+%4], %5, %2;"
                 :
                 : "r"(to), "l"(from), "r"(bytes), "n"(TO), "n"(FROM), "n"(SIZE)
                 : "memory");
}

// PTX ISA: cp.async.commit_group.
__device__ __forceinline__ void cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// PTX ISA: cp.async.wait_group. At most PENDING of this thread's groups remain.
template <int PENDING> __device__ __forceinline__ void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
#line 1 "templates/ptx/shared.cuh"
// shared.cuh -- shared memory by 32-bit address, and barriers of some warps.
// AT is a byte offset that ends up in the address immediate.

// PTX ISA: cvta. The shared-window address of a pointer to shared memory.
__device__ __forceinline__ u32 shared_address(const void *pointer)
{
    return (u32)__cvta_generic_to_shared(pointer);
}

// PTX ISA: ld.shared.v4.
template <int AT> __device__ __forceinline__ uint4 ld_shared_v4(u32 address)
{
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4+%5];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: ld.shared.v2.
template <int AT> __device__ __forceinline__ uint2 ld_shared_v2(u32 address)
{
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2+%3];"
                 : "=r"(v.x), "=r"(v.y)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: st.shared.v4.
template <int AT> __device__ __forceinline__ void st_shared_v4(u32 address, uint4 v)
{
    asm volatile("st.shared.v4.u32 [%0+%5], {%1, %2, %3, %4};"
                 :
                 : "r"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w), "n"(AT)
                 : "memory");
}

// PTX ISA: barrier.sync / bar.sync with a name and a thread count.
template <int THREADS> __device__ __forceinline__ void bar_sync(u32 name)
{
    asm volatile("bar.sync %0, %1;" ::"r"(name), "n"(THREADS) : "memory");
}
#line 1 "templates/ptx/matrix.cuh"
// matrix.cuh -- the tensor core (sm_80).

// PTX ISA: ldmatrix. Four 8x8 matrices of 16-bit elements, which hold 8 rows of
// 16 bytes each; lane 8q+r gives the address of row r of matrix q.
template <int AT> __device__ __forceinline__ uint4 ldmatrix_x4(u32 address)
{
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4+%5];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: mma.sync m16n8k32, unsigned A, signed B, exact int32 accumulators.
__device__ __forceinline__ void mma_m16n8k32_u8s8(s32 (&d)[4], const u32 (&a)[4], u32 b0,
                                                  u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
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
#line 1 "templates/ptx/atomic.cuh"
// atomic.cuh -- read-modify-write in global memory.

// PTX ISA: red.global.add.s32. Integer addition: any order gives the same bits.
template <int AT> __device__ __forceinline__ void red_add(s32 *address, s32 v)
{
    asm volatile("red.global.add.s32 [%0+%2], %1;" ::"l"(address), "r"(v), "n"(AT)
                 : "memory");
}

// PTX ISA: atom.global.exch. Reads a word and leaves `v` there.
template <int AT> __device__ __forceinline__ s32 atom_exch(s32 *address, s32 v)
{
    s32 old;
    asm volatile("atom.global.exch.b32 %0, [%1+%3], %2;"
                 : "=r"(old)
                 : "l"(address), "r"(v), "n"(AT)
                 : "memory");
    return old;
}

// PTX ISA: atom.global.add. The word before the addition.
__device__ __forceinline__ s32 atom_add(s32 *address, s32 v)
{
    s32 old;
    asm volatile("atom.global.add.s32 %0, [%1], %2;"
                 : "=r"(old)
                 : "l"(address), "r"(v)
                 : "memory");
    return old;
}
#line 32 "templates/gemm_w4a8.cu.tmpl"

// ---- constants ----------------------------------------------------------------------------------

constexpr int N = 4096;
constexpr int K = 4096;
constexpr int GROUP = 128;           // k per s2 and b; 0 for w4c, which has none
constexpr bool OUT_BF16 = false;    // y is bf16, else fp16
constexpr bool HAS_BIAS = false;
constexpr int TILE_N = 64;   // channels of a block
constexpr int TILE_M = 16;     // tokens of a block
constexpr int TILE_K = 128;         // k of a stage
constexpr int STAGES = 4;
constexpr int WARPS = 4;
constexpr int SPLIT_K = 1;
constexpr int RASTER = 0;         // channel tiles of a strip; 0: all of them

constexpr bool GROUPED = GROUP > 0;
constexpr int GROUP_K = GROUPED ? GROUP : TILE_K; // a divisor in any case
constexpr int WARPS_N = TILE_N / BLOCK_CHANNELS;
constexpr int WARPS_M = ceil_div(TILE_M, 64);
constexpr int TEAM_WARPS = WARPS_N * WARPS_M;
constexpr int TEAM_THREADS = TEAM_WARPS * 32;
constexpr int WARPS_K = WARPS / TEAM_WARPS;
constexpr int THREADS = WARPS * 32;
constexpr int WARP_TOKENS = TILE_M / WARPS_M;
constexpr int OCTETS = WARP_TOKENS / 8;   // groups of 8 tokens of a warp
constexpr int LANE_CHANNELS = 8;          // that a lane owns
constexpr int UNITS = OCTETS * 2;         // a unit: these channels of one token, in each lane

constexpr int CHANNEL_BLOCKS = ceil_div(N, BLOCK_CHANNELS);
constexpr int K_BLOCKS = ceil_div(K, BLOCK_K);
constexpr int CHANNEL_TILES = ceil_div(N, TILE_N);
constexpr int K_TILES = ceil_div(K, TILE_K);
constexpr int K_STEPS = TILE_K / BLOCK_K; // blocks of 64 k in a stage
constexpr bool K_RAGGED = K % TILE_K != 0;
constexpr bool N_RAGGED = N % TILE_N != 0;

static_assert(N % 8 == 0, "a lane owns 8 neighbouring channels");
static_assert(K % 32 == 0 && K <= 66311, "int32 holds K products of u8 and s8");
static_assert(!GROUPED || K % GROUP == 0, "the last group is whole");
static_assert(TILE_N % BLOCK_CHANNELS == 0, "a warp owns one block of 64 channels");
static_assert(TILE_M % 8 == 0 && WARP_TOKENS <= 64, "a warp has at most 128 accumulators a lane");
static_assert(WARPS == TEAM_WARPS * WARPS_K, "the warps make whole teams");
static_assert(WARPS_K <= 15, "a team has a named barrier, and there are 15");
static_assert(STAGES >= 2, "one stage is filled while another is read");

// ---- shared memory ------------------------------------------------------------------------------
//
//   team 0                                     | team 1 ...        | flag
//   stage 0 | stage 1 ... (later: partial sums) |                   | 16
//
//   stage   codes   TILE_N/64 x K_STEPS blocks of the packed layout, as they lie in global memory
//           x       TILE_M rows of TILE_K bytes, 16-byte chunks swizzled (see x_chunk)
//           scales  per group of k: s2 of TILE_N channels, then b of TILE_N channels

constexpr int STAGE_GROUPS = GROUPED ? ceil_div(TILE_K, GROUP_K) : 0;
constexpr int CODES_BYTES = TILE_N * TILE_K / 2;
constexpr int X_BYTES = TILE_M * TILE_K;
constexpr int SCALES_BYTES = STAGE_GROUPS * 2 * TILE_N;
constexpr int X_AT = CODES_BYTES;
constexpr int SCALES_AT = X_AT + X_BYTES;
constexpr int STAGE_BYTES = SCALES_AT + SCALES_BYTES;
constexpr int RING_BYTES = STAGES * STAGE_BYTES;
constexpr int SUMS_BYTES = TILE_N * TILE_M * 4;
constexpr bool SUMS_IN_SHARED = WARPS_K > 1 || SUMS_BYTES <= RING_BYTES;
constexpr int TEAM_BYTES = SUMS_IN_SHARED ? max_of(RING_BYTES, SUMS_BYTES) : RING_BYTES;
constexpr int FLAG_AT = WARPS_K * TEAM_BYTES;
constexpr int SHARED_BYTES = FLAG_AT + (SPLIT_K > 1 ? 16 : 0);

static_assert(STAGE_BYTES % 128 == 0, "every stage starts on a line of 32 banks");
static_assert(SHARED_BYTES == 100352, "the launch record gives the block this much");

// ---- who am I -----------------------------------------------------------------------------------

struct place {
    u32 lane, g, c;        // g = lane / 4 owns channels 8g .. 8g+7, c = lane % 4 tokens 2c, 2c+1
    u32 team, member;      // which part of the block's K, which warp of its team
    u32 warp_n, warp_m;    // which 64 channels, which WARP_TOKENS tokens
    u32 channel0, token0;  // of the block
    s32 m;
};

// Tiles are walked in strips of RASTER channel tiles: down a strip's channels, then on to the next
// tokens. A strip's weights and the tokens' activations meet in L2.
__device__ __forceinline__ place find_place(s32 m)
{
    place p;
    const u32 warp = keep(threadIdx.x / 32);
    p.lane = keep(threadIdx.x % 32);
    p.g = p.lane / 4;
    p.c = p.lane % 4;
    p.team = warp / TEAM_WARPS;
    p.member = warp % TEAM_WARPS;
    p.warp_n = p.member % WARPS_N;
    p.warp_m = p.member / WARPS_N;
    p.m = m;
    const u32 tile = blockIdx.x;
    u32 channel_tile, token_tile;
    if constexpr (RASTER == 0 || RASTER >= CHANNEL_TILES) {
        channel_tile = tile % CHANNEL_TILES;
        token_tile = tile / CHANNEL_TILES;
    } else {
        const u32 token_tiles = (u32)(m - 1) / TILE_M + 1;
        const u32 strip = tile / (RASTER * token_tiles);
        const u32 in_strip = tile % (RASTER * token_tiles);
        const u32 width = min((u32)RASTER, CHANNEL_TILES - strip * RASTER);
        channel_tile = strip * RASTER + in_strip % width;
        token_tile = in_strip / width;
    }
    p.channel0 = channel_tile * TILE_N;
    p.token0 = token_tile * TILE_M;
    return p;
}

// ---- load: one stage, by the threads of a team --------------------------------------------------

// Where a 16-byte chunk of an activation row lies: chunk ^ (row % 8) within each 128 bytes of k;
// rows of 64 bytes share a line in pairs. Eight rows of one ldmatrix so fall on 32 banks.
__device__ __forceinline__ u32 x_place(u32 row, u32 line, u32 chunk)
{
    const u32 swizzled = TILE_K >= 128 ? chunk ^ (row % 8) : chunk ^ (row / 2 % 4);
    return row * TILE_K + line * 128 + swizzled * 16;
}

constexpr int CODE_CHUNKS = CODES_BYTES / 16;
constexpr int BLOCK_ROW_CHUNKS = K_STEPS * (BLOCK_BYTES / 16); // of one channel block in a stage
constexpr int CODE_PASSES = CODE_CHUNKS / TEAM_THREADS;
constexpr int BLOCK_ROW_STRIDE = K_BLOCKS * BLOCK_BYTES;

// One warp instruction copies 8 rows x 64 bytes of x: lane 8q+r takes row r, chunk q.
constexpr int X_COPIES = TILE_M / 8 * K_STEPS;
constexpr int X_PASSES = ceil_div(X_COPIES, TEAM_WARPS);
constexpr int X_STEP_WARPS = TEAM_WARPS < K_STEPS ? TEAM_WARPS : K_STEPS; // along k in a pass
constexpr int X_STEP_PASSES = K_STEPS / X_STEP_WARPS;
constexpr int X_ROW_WARPS = TEAM_WARPS / X_STEP_WARPS;
constexpr int X_ROWS = min_of(ceil_div(X_PASSES, X_STEP_PASSES), 2); // sizes kept in registers

// A row of scales is TILE_N bytes of s2 and TILE_N of b; a thread copies 4 or 8 of them.
constexpr int SCALE_CHUNK = SCALES_BYTES / TEAM_THREADS > 4 ? 8 : 4;
constexpr int SCALE_ROW_THREADS = 2 * TILE_N / SCALE_CHUNK;
constexpr int SCALE_PASS_ROWS = TEAM_THREADS / SCALE_ROW_THREADS;
constexpr int SCALE_PASSES = GROUPED ? ceil_div(STAGE_GROUPS, SCALE_PASS_ROWS) : 0;

static_assert(CODE_CHUNKS % TEAM_THREADS == 0, "every thread copies as many chunks of codes");

struct loader {
    const u8 *codes;      // this thread's first chunk of the next stage to load
    const s8 *x;
    const u8 *scales;
    u32 codes_to;         // where it goes, within its part of a stage
    u32 x_to[2];          // for k steps of even and odd number
    u32 scales_to;
    u32 tile;             // the next k tile
    u32 codes_block;      // channel block and
    u32 codes_step;       // k step of the first chunk of codes
    u32 x_k;              // k of the first chunk of x
    s32 x_rows;           // rows of x from this thread's first to the last
    u32 x_sizes[X_ROWS];  // 16 for a row of x, 0 past the last: its first few rows
    bool copies_x;        // a big team may have more warps than x has copies
    u32 scales_row;       // group of the first chunk of scales
    u32 scales_bytes;     // SCALE_CHUNK, or 0 past N
};

__device__ __forceinline__ loader loader_init(const place &p, u32 tile, const s8 *x,
                                              const u8 *qweight, const u8 *scale2,
                                              const u8 *offset)
{
    loader l;
    l.tile = tile;
    const u32 thread = p.member * 32 + p.lane;
    l.codes_block = p.channel0 / BLOCK_CHANNELS + thread / BLOCK_ROW_CHUNKS;
    l.codes_step = thread % BLOCK_ROW_CHUNKS / (BLOCK_BYTES / 16);
    l.codes_to = keep(thread * 16);
    l.codes = qweight + (u64)l.codes_block * BLOCK_ROW_STRIDE +
              tile * (K_STEPS * BLOCK_BYTES) + thread % BLOCK_ROW_CHUNKS * 16;

    const u32 row = p.member / X_STEP_WARPS * 8 + p.lane % 8;
    const u32 chunk = p.lane / 8, step = p.member % X_STEP_WARPS;
    l.x_k = step * BLOCK_K + chunk * 16;
    l.x_rows = p.m - p.token0 - row;
#pragma unroll
    for (int i = 0; i < X_ROWS; i++)
        l.x_sizes[i] = keep(i * X_ROW_WARPS * 8 < l.x_rows ? 16 : 0);
    l.copies_x = p.member < X_COPIES;
    l.x = x + (u64)(p.token0 + row) * K + tile * TILE_K + l.x_k;
    for (u32 odd = 0; odd < 2; odd++)
        l.x_to[odd] = keep(x_place(row, step / 2, (step % 2 ^ odd) * 4 + chunk));

    if constexpr (GROUPED) {
        const u32 in_row = thread % SCALE_ROW_THREADS * SCALE_CHUNK;
        const u32 channel = p.channel0 + in_row % TILE_N;
        l.scales_row = thread / SCALE_ROW_THREADS;
        l.scales_bytes = channel < N ? SCALE_CHUNK : 0;
        l.scales_to = keep(thread * SCALE_CHUNK);
        l.scales = (in_row < TILE_N ? scale2 : offset) + channel +
                   (u64)(tile * TILE_K / GROUP_K + l.scales_row) * N;
    }
    return l;
}

// Where chunk PASS * TEAM_THREADS of the codes comes from.
__host__ __device__ constexpr int codes_from(int pass)
{
    const int chunk = pass * TEAM_THREADS;
    return chunk / BLOCK_ROW_CHUNKS * BLOCK_ROW_STRIDE + chunk % BLOCK_ROW_CHUNKS * 16;
}

__device__ __forceinline__ u32 codes_bytes(const loader &l, int pass)
{
    const u32 chunk = pass * TEAM_THREADS;
    const u32 block = l.codes_block + chunk / BLOCK_ROW_CHUNKS;
    const u32 step = l.codes_step + chunk % BLOCK_ROW_CHUNKS / (BLOCK_BYTES / 16);
    return block < CHANNEL_BLOCKS && l.tile * K_STEPS + step < K_BLOCKS ? 16 : 0;
}

template <int... PASS>
__device__ __forceinline__ void load_codes(const loader &l, u32 stage, indices<PASS...>)
{
    const u32 to = stage + l.codes_to;
    if constexpr (K_RAGGED || N_RAGGED)
        (cp_async_16_fill<PASS * TEAM_THREADS * 16, codes_from(PASS)>(to, l.codes,
                                                                      codes_bytes(l, PASS)),
         ...);
    else
        (cp_async_16<PASS * TEAM_THREADS * 16, codes_from(PASS)>(to, l.codes), ...);
}

// Pass PASS copies the k step and the rows that follow x_step and x_row of the thread.
__host__ __device__ constexpr int x_pass_step(int pass)
{
    return pass % X_STEP_PASSES * X_STEP_WARPS;
}

__host__ __device__ constexpr int x_pass_row(int pass)
{
    return pass / X_STEP_PASSES * X_ROW_WARPS * 8;
}

__host__ __device__ constexpr int x_pass_to(int pass)
{
    return X_AT + x_pass_row(pass) * TILE_K + x_pass_step(pass) / 2 * 128;
}

__host__ __device__ constexpr int x_pass_from(int pass)
{
    return x_pass_row(pass) * K + x_pass_step(pass) * BLOCK_K;
}

__device__ __forceinline__ u32 x_bytes(const loader &l, int pass)
{
    const int row = pass / X_STEP_PASSES;
    const u32 bytes = row < X_ROWS ? l.x_sizes[row] : x_pass_row(pass) < l.x_rows ? 16 : 0;
    const bool inside_k =
        !K_RAGGED || l.tile * TILE_K + l.x_k + x_pass_step(pass) * BLOCK_K < K;
    return inside_k ? bytes : 0;
}

template <int... PASS>
__device__ __forceinline__ void load_x(const loader &l, u32 stage, indices<PASS...>)
{
    const u32 to[2] = {stage + l.x_to[0], stage + l.x_to[1]};
    (cp_async_16_fill<x_pass_to(PASS), x_pass_from(PASS)>(to[x_pass_step(PASS) % 2], l.x,
                                                          x_bytes(l, PASS)),
     ...);
}

// Rows PASS * SCALE_PASS_ROWS and on; the last pass may be for some threads only.
template <int PASS> __device__ __forceinline__ void load_scales(const loader &l, u32 stage)
{
    constexpr int row = PASS * SCALE_PASS_ROWS;
    constexpr int to = SCALES_AT + row * 2 * TILE_N, from = row * N;
    if (row + SCALE_PASS_ROWS > STAGE_GROUPS && l.scales_row + row >= STAGE_GROUPS)
        return;
    if constexpr (K_RAGGED || N_RAGGED) {
        const bool inside = l.tile * TILE_K / GROUP_K + l.scales_row + row < K / GROUP_K;
        cp_async_small_fill<SCALE_CHUNK, to, from>(stage + l.scales_to, l.scales,
                                                   inside ? l.scales_bytes : 0);
    } else {
        cp_async_small<SCALE_CHUNK, to, from>(stage + l.scales_to, l.scales);
    }
}

template <int... PASS>
__device__ __forceinline__ void load_all_scales(const loader &l, u32 stage, indices<PASS...>)
{
    (load_scales<PASS>(l, stage), ...);
}

// Starts the copies of one k tile, and steps to the next.
__device__ __forceinline__ void load_stage(loader &l, u32 stage)
{
    load_codes(l, stage, upto<CODE_PASSES>());
    if (X_COPIES >= TEAM_WARPS || l.copies_x)
        load_x(l, stage, upto<X_PASSES>());
    load_all_scales(l, stage, upto<SCALE_PASSES>());
    l.tile++;
    l.codes += K_STEPS * BLOCK_BYTES;
    l.x += TILE_K;
    if (GROUPED && (TILE_K >= GROUP_K || l.tile % max_of(GROUP_K / TILE_K, 1) == 0))
        l.scales += STAGE_GROUPS * N;
}

// ---- compute: one stage, by a warp --------------------------------------------------------------

struct reader {
    u32 codes_at; // where this lane reads, within its part of a stage
    u32 x_at[2];  // k steps of even and odd number
    u32 scales_at;
};

__device__ __forceinline__ reader reader_init(const place &p)
{
    reader r;
    const u32 row = p.warp_m * WARP_TOKENS + p.lane % 8;
    r.codes_at = keep(p.warp_n * (K_STEPS * BLOCK_BYTES) + p.lane * LANE_BYTES);
    for (u32 odd = 0; odd < 2; odd++)
        r.x_at[odd] = keep(x_place(row, 0, odd * 4 + p.lane / 8));
    r.scales_at = keep(p.warp_n * BLOCK_CHANNELS + p.g * LANE_CHANNELS);
    return r;
}

struct group_scales {
    u32 step[LANE_CHANNELS];   // s2 of the lane's channels
    u32 offset[LANE_CHANNELS]; // b, in each of the four bytes
};

template <int... I>
__device__ __forceinline__ void spread_scales(group_scales &s, uint2 steps, uint2 offsets,
                                              indices<I...>)
{
    ((s.step[I] = prmt<0x4440 + I>(steps.x)), ...);
    ((s.step[4 + I] = prmt<0x4440 + I>(steps.y)), ...);
    ((s.offset[I] = prmt<0x1111 * I>(offsets.x)), ...);
    ((s.offset[4 + I] = prmt<0x1111 * I>(offsets.y)), ...);
}

template <int AT> __device__ __forceinline__ void read_scales(group_scales &s, u32 scales_at)
{
    spread_scales(s, ld_shared_v2<AT>(scales_at), ld_shared_v2<AT + TILE_N>(scales_at), upto<4>());
}

// Four codes, one a byte, to four u8 weights. No byte carries: q * s2 + b <= 255.
__device__ __forceinline__ u32 dequantise(u32 codes, const group_scales &s, int channel)
{
    if constexpr (GROUPED)
        return codes * s.step[channel] + s.offset[channel];
    else
        return codes;
}

using accumulators = s32[BLOCK_TILES][OCTETS][4];

// x of one step of 64 k: b0, b1 of its first 32, then b0, b1 of its second.
template <int AT, int... OCTET>
__device__ __forceinline__ void read_x(uint4 (&x)[OCTETS], u32 x_at, indices<OCTET...>)
{
    ((x[OCTET] = ldmatrix_x4<AT + OCTET * 8 * TILE_K>(x_at)), ...);
}

template <int AT, int... TILE>
__device__ __forceinline__ void read_codes(uint4 (&words)[BLOCK_TILES], u32 codes_at,
                                           indices<TILE...>)
{
    ((words[TILE] = ld_shared_v4<AT + TILE * TILE_BYTES>(codes_at)), ...);
}

// 16 channels x 64 k of weights by all the warp's tokens. `word` is registers a0 and a1 of both
// k steps, the low nibbles; the high nibbles are a2 and a3.
__device__ __forceinline__ void multiply(s32 (&acc)[OCTETS][4], uint4 word, const group_scales &s,
                                         int channel, const uint4 (&x)[OCTETS])
{
    const u32 first[4] = {dequantise(codes_low(word.x), s, channel),
                          dequantise(codes_low(word.y), s, channel + 1),
                          dequantise(codes_high(word.x), s, channel),
                          dequantise(codes_high(word.y), s, channel + 1)};
    const u32 second[4] = {dequantise(codes_low(word.z), s, channel),
                           dequantise(codes_low(word.w), s, channel + 1),
                           dequantise(codes_high(word.z), s, channel),
                           dequantise(codes_high(word.w), s, channel + 1)};
#pragma unroll
    for (int octet = 0; octet < OCTETS; octet++) {
        mma_m16n8k32_u8s8(acc[octet], first, x[octet].x, x[octet].y);
        mma_m16n8k32_u8s8(acc[octet], second, x[octet].z, x[octet].w);
    }
}

// 64 channels x 64 k.
template <int STEP>
__device__ __forceinline__ void compute_step(accumulators &acc, group_scales &s, u32 codes_at,
                                             u32 x_at, u32 scales_at)
{
    uint4 x[OCTETS], words[BLOCK_TILES];
    if constexpr (GROUPED && STEP * BLOCK_K % GROUP_K == 0)
        read_scales<SCALES_AT + STEP * BLOCK_K / GROUP_K * 2 * TILE_N>(s, scales_at);
    read_x<X_AT + STEP / 2 * 128>(x, x_at, upto<OCTETS>());
    read_codes<STEP * BLOCK_BYTES>(words, codes_at, upto<BLOCK_TILES>());
#pragma unroll
    for (int tile = 0; tile < BLOCK_TILES; tile++)
        multiply(acc[tile], words[tile], s, 2 * tile, x);
}

template <int... STEP>
__device__ __forceinline__ void compute_stage(accumulators &acc, const reader &r, u32 stage,
                                              indices<STEP...>)
{
    const u32 codes_at = stage + r.codes_at, scales_at = stage + r.scales_at;
    const u32 x_at[2] = {stage + r.x_at[0], stage + r.x_at[1]};
    group_scales s;
    (compute_step<STEP>(acc, s, codes_at, x_at[STEP % 2], scales_at), ...);
}

// ---- reduce: teams of a block, then blocks of a tile --------------------------------------------

struct unit {
    s32 v[LANE_CHANNELS]; // channels 8g .. 8g+7 of one token
};

// Unit u of a lane is token 8 (u / 2) + 2 c + u % 2 of its warp.
__device__ __forceinline__ unit take_unit(const accumulators &acc, int u)
{
    unit r;
#pragma unroll
    for (int i = 0; i < LANE_CHANNELS; i++)
        r.v[i] = acc[i / 2][u / 2][i % 2 * 2 + u % 2];
    return r;
}

// The sums go through shared memory where it holds them, with a single team too: one unit at a
// time is then a short loop, where registers would need every unit in the text.
//
//   sums of a team   [member][unit][half of 4 channels][lane] of 16 bytes: no bank is hit twice
constexpr int SUMS_HALF = 32;
constexpr int SUMS_UNIT = 2 * SUMS_HALF;
constexpr int SUMS_WARP = UNITS * SUMS_UNIT;
constexpr int SUMS_UNROLL = WARPS_K <= 4 ? WARPS_K : 1; // longer text than it is worth
static_assert(TEAM_WARPS * SUMS_WARP * 16 == SUMS_BYTES, "one int32 an output");

__device__ __forceinline__ void put_sums(const accumulators &acc, int4 *sums)
{
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        const unit a = take_unit(acc, u);
        sums[u * SUMS_UNIT] = make_int4(a.v[0], a.v[1], a.v[2], a.v[3]);
        sums[u * SUMS_UNIT + SUMS_HALF] = make_int4(a.v[4], a.v[5], a.v[6], a.v[7]);
    }
}

__device__ __forceinline__ unit add_sums(const int4 *sums)
{
    unit r = {};
#pragma unroll SUMS_UNROLL
    for (int team = 0; team < WARPS_K; team++) {
        const int4 low = sums[0], high = sums[SUMS_HALF];
        r.v[0] += low.x, r.v[1] += low.y, r.v[2] += low.z, r.v[3] += low.w;
        r.v[4] += high.x, r.v[5] += high.y, r.v[6] += high.z, r.v[7] += high.w;
        sums += TEAM_BYTES / 16;
    }
    return r;
}

//   workspace   counters[round_up(tiles, 64)] | partial[tiles][TILE_N * TILE_M]
//   partial     [member][unit][channel of 8][lane]: a warp adds to 32 neighbouring words
constexpr int PARTIAL_UNIT_WORDS = LANE_CHANNELS * 32;

__device__ __forceinline__ s32 *find_partial(s32 *workspace, const place &p)
{
    const u64 counters = (gridDim.x + 63) / 64 * 64;
    return workspace + counters + (u64)blockIdx.x * (TILE_N * TILE_M) +
           p.member * (UNITS * PARTIAL_UNIT_WORDS) + p.lane;
}

template <int... I>
__device__ __forceinline__ void publish_unit(s32 *partial, const unit &a, indices<I...>)
{
    (red_add<I * 128>(partial, a.v[I]), ...);
}

// Reads a sum of all SPLIT_K blocks and leaves the workspace zero for the next launch.
template <int... I>
__device__ __forceinline__ void collect_unit(unit &a, s32 *partial, indices<I...>)
{
    ((a.v[I] = atom_exch<I * 128>(partial, 0)), ...);
}

// Whether every other block of this tile has published its sums.
__device__ __forceinline__ bool arrive_last(s32 *workspace, s32 *flag)
{
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        const s32 before = atom_add(workspace + blockIdx.x, 1);
        if (before == SPLIT_K - 1)
            atom_exch<0>(workspace + blockIdx.x, 0);
        *flag = before;
    }
    __syncthreads();
    __threadfence();
    return *flag == SPLIT_K - 1;
}

// ---- store: eight channels of one token, 16 bytes -----------------------------------------------

struct channel_scales {
    float scale[LANE_CHANNELS]; // s or s1
    float zero[LANE_CHANNELS];  // zs, w4c
    float bias[LANE_CHANNELS];
};

struct output {
    void *y;
    const float *x_scale;
    const s32 *x_sum;
    channel_scales channels;
    u32 channel, token; // the lane's first
    u32 m;
};

__device__ __forceinline__ void read_f16x8(float (&to)[LANE_CHANNELS], const f16 *from)
{
    const uint4 v = *reinterpret_cast<const uint4 *>(from);
    const u32 words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        u16 low, high;
        halves(words[i], low, high);
        to[2 * i] = f16_to_float(low);
        to[2 * i + 1] = f16_to_float(high);
    }
}

__device__ __forceinline__ output output_init(const place &p, void *y, const float *x_scale,
                                              const s32 *x_sum, const f16 *scale,
                                              const f16 *zero, const f16 *bias)
{
    output o;
    o.y = y;
    o.x_scale = x_scale;
    o.x_sum = x_sum;
    o.channel = p.channel0 + p.warp_n * BLOCK_CHANNELS + p.g * LANE_CHANNELS;
    o.token = p.token0 + p.warp_m * WARP_TOKENS + p.c * 2;
    o.m = p.m;
    if (N_RAGGED && o.channel >= N)
        return o;
    read_f16x8(o.channels.scale, scale + o.channel);
    if constexpr (!GROUPED)
        read_f16x8(o.channels.zero, zero + o.channel);
    if constexpr (HAS_BIAS)
        read_f16x8(o.channels.bias, bias + o.channel);
    return o;
}

__device__ __forceinline__ u32 unit_token(const output &o, u32 u)
{
    return o.token + u / 2 * 8 + u % 2;
}

__device__ __forceinline__ bool is_output(const output &o, u32 token)
{
    return token < o.m && (!N_RAGGED || o.channel < N);
}

__device__ __forceinline__ float finish(const output &o, s32 acc, int i, float sa, s32 sum)
{
    const channel_scales &s = o.channels;
    float v;
    if constexpr (GROUPED)
        v = finish_group(acc, sum, s.scale[i], sa);
    else
        v = finish_channel(acc, sum, s.scale[i], s.zero[i], sa);
    if constexpr (HAS_BIAS)
        v = v + s.bias[i];
    return v;
}

__device__ __forceinline__ void store_unit(const output &o, const unit &a, u32 token)
{
    const float sa = o.x_scale[token];
    const s32 sum = o.x_sum[token];
    u32 words[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float low = finish(o, a.v[2 * i], 2 * i, sa, sum);
        const float high = finish(o, a.v[2 * i + 1], 2 * i + 1, sa, sum);
        words[i] = OUT_BF16 ? floats_to_bf16x2(low, high) : floats_to_f16x2(low, high);
    }
    u16 *to = static_cast<u16 *>(o.y) + (u64)token * N + o.channel;
    *reinterpret_cast<uint4 *>(to) = make_uint4(words[0], words[1], words[2], words[3]);
}

// ---- the kernel ---------------------------------------------------------------------------------

// Every thread of the team has got so far, and sees what the others' copies brought.
__device__ __forceinline__ void meet_team(const place &p)
{
    if constexpr (TEAM_WARPS == 1)
        __syncwarp();
    else
        bar_sync<TEAM_THREADS>(1 + p.team);
}

// Every team has written its sums; a team of its own reads none but its warps' own.
__device__ __forceinline__ void meet_teams()
{
    if constexpr (WARPS_K == 1)
        __syncwarp();
    else
        __syncthreads();
}

// The team's part of K, stage by stage. A stage is filled again right after the barrier that ends
// its reading, so the copies of STAGES - 1 stages are under way while one is computed.
__device__ __forceinline__ void main_loop(accumulators &acc, const place &p, loader &l, int tiles,
                                          const u32 ring)
{
    const reader r = reader_init(p);
    const u32 end = keep(ring + RING_BYTES);
    u32 full = ring, spent = ring;
#pragma unroll 1
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < tiles)
            load_stage(l, spent);
        cp_async_commit();
        spent += STAGE_BYTES;
    }
#pragma unroll 1
    for (; tiles > 0; tiles--) {
        cp_async_wait<STAGES - 2>();
        meet_team(p);
        if (tiles >= STAGES)
            load_stage(l, spent);
        cp_async_commit();
        compute_stage(acc, r, full, upto<K_STEPS>());
        spent = full;
        full += STAGE_BYTES;
        if (full == end)
            full = ring;
    }
}

// One unit of finished or, with SPLIT_K, of partial sums.
__device__ __forceinline__ void emit_unit(const output &o, const unit &a, u32 u, s32 *partial)
{
    const u32 token = unit_token(o, u);
    if (!is_output(o, token))
        return;
    if constexpr (SPLIT_K > 1)
        publish_unit(partial + u * PARTIAL_UNIT_WORDS, a, upto<LANE_CHANNELS>());
    else
        store_unit(o, a, token);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    gemm_w4a8(void *__restrict__ y, const s8 *__restrict__ x, const float *__restrict__ x_scale,
              const s32 *__restrict__ x_sum, const u8 *__restrict__ qweight,
              const f16 *__restrict__ scale, const void *__restrict__ scale2,
              const u8 *__restrict__ offset, const f16 *__restrict__ bias,
              s32 *__restrict__ workspace, s32 m)
{
    extern __shared__ __align__(128) u8 shared[];
    const place p = find_place(m);
    constexpr int PARTS = SPLIT_K * WARPS_K;
    const u32 part = blockIdx.z * WARPS_K + p.team;
    const u32 tile = K_TILES * part / PARTS, tiles = K_TILES * (part + 1) / PARTS - tile;
    const u32 ring = keep(shared_address(shared) + p.team * TEAM_BYTES);

    accumulators acc = {};
    loader l = loader_init(p, tile, x, qweight, static_cast<const u8 *>(scale2), offset);
    main_loop(acc, p, l, tiles, ring);

    const output o = output_init(p, y, x_scale, x_sum, scale, static_cast<const f16 *>(scale2),
                                 bias);
    s32 *partial = SPLIT_K > 1 ? find_partial(workspace, p) : nullptr;
    if constexpr (!SUMS_IN_SHARED) {
#pragma unroll
        for (int u = 0; u < UNITS; u++)
            emit_unit(o, take_unit(acc, u), u, partial);
    } else {
        int4 *sums = reinterpret_cast<int4 *>(shared) + p.member * SUMS_WARP + p.lane;
        meet_team(p);
        put_sums(acc, sums + p.team * (TEAM_BYTES / 16));
        meet_teams();
#pragma unroll 1
        for (u32 u = p.team; u < UNITS; u += WARPS_K)
            emit_unit(o, add_sums(sums + u * SUMS_UNIT), u, partial);
    }

    if constexpr (SPLIT_K > 1) {
        if (!arrive_last(workspace, reinterpret_cast<s32 *>(shared + FLAG_AT)))
            return;
#pragma unroll 1
        for (u32 u = p.team; u < UNITS; u += WARPS_K) {
            const u32 token = unit_token(o, u);
            unit a;
            if (!is_output(o, token))
                continue;
            collect_unit(a, partial + u * PARTIAL_UNIT_WORDS, upto<LANE_CHANNELS>());
            store_unit(o, a, token);
        }
    }
}
