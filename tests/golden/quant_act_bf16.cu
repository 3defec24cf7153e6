// Emitted by Tessera 0.1.0; do not edit.
//
//   template  templates/quant_act.cu.tmpl sha256 9bf1a1b38dc0146b
//   spec      quant_act arch=sm_89 dtype=bf16 k=4096 threads=256 variant=block
//   command   tessera gen quant_act arch=sm_89 dtype=bf16 k=4096 threads=256 variant=block

#line 1 "templates/quant_act.cu.tmpl"
// quant_act, variant block -- a row of fp16 or bf16 to int8, its scale, and its exact sum.
//
//   m   = max(max_k |x[k]|, 1e-6)        sa = m / 127
//   q   = rint(x[k] * (127 / m)), within -127 .. 127
//   sum = sum_k q[k]                     every float step rounded to nearest even
//
//   A row with a NaN or an infinity is poisoned: q = 0, sum = 0, sa = NaN (0x7fffffff). All of that
//   token's outputs are then NaN, and no other token's.
//
//   blockIdx.x  one row         thread t  chunks t, t + THREADS, ... of 8 values: one 16-byte load,
//                                         kept in registers, one 8-byte store

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
#line 15 "templates/quant_act.cu.tmpl"

// ---- constants ----------------------------------------------------------------------------------

constexpr int K = 4096;
constexpr bool IN_BF16 = true;   // x is bf16, else fp16
constexpr int THREADS = 256;

constexpr int CHUNKS = K / 8;
constexpr int PASSES = ceil_div(CHUNKS, THREADS);
constexpr int WARPS = THREADS / 32;
constexpr u32 INFINITY_BITS = IN_BF16 ? 0x7F80 : 0x7C00;
constexpr u32 MAGNITUDE = 0x7FFF7FFF;  // of two packed values
constexpr u32 NAN_BITS = 0x7FFFFFFF;

static_assert(K % 8 == 0, "a chunk is 8 values, and every row starts on 16 bytes");
static_assert(THREADS % 32 == 0 && WARPS <= 32, "whole warps, and one warp adds up all of them");

// ---- shared memory: one word a warp -------------------------------------------------------------

struct block_memory {
    u32 words[WARPS];
};

static_assert(sizeof(block_memory) == WARPS * 4, "nothing else is in it");

// ---- load ---------------------------------------------------------------------------------------

__device__ __forceinline__ void load_row(uint4 (&row)[PASSES], const uint4 *x)
{
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
        const int chunk = i * THREADS + threadIdx.x;
        row[i] = chunk < CHUNKS ? x[chunk] : make_uint4(0, 0, 0, 0);
    }
}

// ---- compute ------------------------------------------------------------------------------------

// The larger magnitude of two packed values, as bits: for floats of one sign, order is bit order,
// and infinity and NaN are above every number.
__device__ __forceinline__ u32 magnitude_bits(u32 pair)
{
    const u32 bits = pair & MAGNITUDE;
    return max(bits & 0xFFFF, bits >> 16);
}

__device__ __forceinline__ u32 row_max(const uint4 (&row)[PASSES], block_memory &shared)
{
    u32 top = 0;
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
        top = max(top, max(magnitude_bits(row[i].x), magnitude_bits(row[i].y)));
        top = max(top, max(magnitude_bits(row[i].z), magnitude_bits(row[i].w)));
    }
    top = warp_max(top);
    if (threadIdx.x % 32 == 0)
        shared.words[threadIdx.x / 32] = top;
    __syncthreads();
    return warp_max(threadIdx.x % 32 < WARPS ? shared.words[threadIdx.x % 32] : 0);
}

__device__ __forceinline__ s32 row_sum(s32 sum, block_memory &shared)
{
    sum = warp_sum(sum);
    __syncthreads(); // the maxima have been read
    if (threadIdx.x % 32 == 0)
        shared.words[threadIdx.x / 32] = sum;
    __syncthreads();
    return warp_sum(threadIdx.x % 32 < WARPS ? shared.words[threadIdx.x % 32] : 0);
}

__device__ __forceinline__ float to_float(u32 bits16)
{
    return IN_BF16 ? __uint_as_float(bits16 << 16) : f16_to_float((u16)bits16);
}

__device__ __forceinline__ s32 quantise(u32 bits16, float reciprocal)
{
    const s32 q = __float2int_rn(to_float(bits16) * reciprocal);
    return min(max(q, -127), 127);
}

// Two packed values to two bytes at the bottom of a word.
__device__ __forceinline__ u32 quantise_pair(u32 pair, float reciprocal, s32 &sum)
{
    const s32 low = quantise(pair & 0xFFFF, reciprocal);
    const s32 high = quantise(pair >> 16, reciprocal);
    sum += low + high;
    return (low & 0xFF) | (high & 0xFF) << 8;
}

__device__ __forceinline__ uint2 quantise_chunk(uint4 v, float reciprocal, s32 &sum)
{
    const u32 low = quantise_pair(v.x, reciprocal, sum);
    const u32 high = quantise_pair(v.z, reciprocal, sum);
    return make_uint2(low | quantise_pair(v.y, reciprocal, sum) << 16,
                      high | quantise_pair(v.w, reciprocal, sum) << 16);
}

// ---- the kernel ---------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS)
    quant_act(s8 *__restrict__ q, float *__restrict__ scale, s32 *__restrict__ sum,
              const void *__restrict__ x, s32 m)
{
    __shared__ block_memory shared;
    const s64 token = blockIdx.x;
    uint4 row[PASSES];
    load_row(row, static_cast<const uint4 *>(x) + token * CHUNKS);

    const u32 top = row_max(row, shared);
    const bool poisoned = top >= INFINITY_BITS;
    const float largest = fmaxf(to_float(poisoned ? 0 : top), 1e-6f);
    const float reciprocal = 127.0f / largest;

    s32 total = 0;
    uint2 *to = reinterpret_cast<uint2 *>(q) + token * CHUNKS;
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
        const int chunk = i * THREADS + threadIdx.x;
        const uint4 v = poisoned ? make_uint4(0, 0, 0, 0) : row[i];
        if (chunk < CHUNKS)
            to[chunk] = quantise_chunk(v, reciprocal, total);
    }
    total = row_sum(total, shared);
    if (threadIdx.x == 0) {
        scale[token] = poisoned ? __uint_as_float(NAN_BITS) : largest / 127.0f;
        sum[token] = total;
    }
}
