// wgmma_dequant.cu -- what unpacking 4-bit weights costs in front of wgmma: A
// from registers, four ways to make it, two and three warpgroups, by N.
//
//   mask  q as it is                 u8    and; shift, and
//   mad   q * s + b                  u8    the same, then one multiply-add for four weights
//   lqq   q * s + b, then - 128      s8    the same, then one xor for four weights
//   lop   (q ^ 8) - 8                s8    and-xor, subtraction in lanes of bytes, xor
//
// A lane reads 16 bytes from shared memory, unpacks them to the A fragments of
// two k steps, and issues two wgmma, while the two before are under way. The
// unpacking of one warpgroup overlaps the tensor work of another.
//
// An operation is a multiplication or an addition: 2 * 64 * N * 32 an
// instruction, and 64 of them a warpgroup and round.
//
// ceiling: entry=dequant_mask_2wg_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=dequant_mask_2wg_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=dequant_mask_2wg_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=67108864 rounds=32
// ceiling: entry=dequant_mask_3wg_n16 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=12582912 rounds=256
// ceiling: entry=dequant_mask_3wg_n64 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=50331648 rounds=64
// ceiling: entry=dequant_mask_3wg_n128 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=100663296 rounds=32
// ceiling: entry=dequant_mad_2wg_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=dequant_mad_2wg_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=dequant_mad_2wg_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=67108864 rounds=32
// ceiling: entry=dequant_mad_3wg_n16 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=12582912 rounds=256
// ceiling: entry=dequant_mad_3wg_n64 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=50331648 rounds=64
// ceiling: entry=dequant_mad_3wg_n128 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=100663296 rounds=32
// ceiling: entry=dequant_lqq_2wg_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=dequant_lqq_2wg_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=dequant_lqq_2wg_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=67108864 rounds=32
// ceiling: entry=dequant_lqq_3wg_n16 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=12582912 rounds=256
// ceiling: entry=dequant_lqq_3wg_n64 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=50331648 rounds=64
// ceiling: entry=dequant_lqq_3wg_n128 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=100663296 rounds=32
// ceiling: entry=dequant_lop_2wg_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=dequant_lop_2wg_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=dequant_lop_2wg_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=33792
// ceiling: bytes=0 ops=67108864 rounds=32
// ceiling: entry=dequant_lop_3wg_n16 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=12582912 rounds=256
// ceiling: entry=dequant_lop_3wg_n64 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=50331648 rounds=64
// ceiling: entry=dequant_lop_3wg_n128 archs=sm_90a blocks_per_sm=1 block=384 shared=41984
// ceiling: bytes=0 ops=100663296 rounds=32

typedef unsigned int u32;
typedef unsigned long long u64;

// PTX ISA: wgmma.fence. Registers touched before are ordered before wgmma.
__device__ __forceinline__ void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// PTX ISA: wgmma.commit_group.
__device__ __forceinline__ void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// PTX ISA: wgmma.wait_group.
template <int PENDING> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// PTX ISA: fence.proxy.async. Ordinary stores before it are seen by wgmma.
__device__ __forceinline__ void fence_proxy_async()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// The operands of m64nNk32: N / 2 accumulators.
#define TEN(t) "%" #t "0, %" #t "1, %" #t "2, %" #t "3, %" #t "4, %" #t "5, %" #t "6, %" #t "7, %" #t "8, %" #t "9"
#define D4 "%0, %1, %2, %3"
#define D8 D4 ", %4, %5, %6, %7"
#define D10 D8 ", %8, %9"
#define D16 D10 ", %10, %11, %12, %13, %14, %15"
#define D32 D10 ", " TEN(1) ", " TEN(2) ", %30, %31"
#define D64 D10 ", " TEN(1) ", " TEN(2) ", " TEN(3) ", " TEN(4) ", " TEN(5) ", %60, %61, %62, %63"
#define D128                                                                                       \
    D10 ", " TEN(1) ", " TEN(2) ", " TEN(3) ", " TEN(4) ", " TEN(5) ", " TEN(6) ", " TEN(7) ", "     \
    TEN(8) ", " TEN(9) ", " TEN(10) ", " TEN(11) ", %120, %121, %122, %123, %124, %125, %126, %127"
#define R4(i) "+r"(d[i]), "+r"(d[i + 1]), "+r"(d[i + 2]), "+r"(d[i + 3])
#define R8(i) R4(i), R4(i + 4)
#define R16(i) R8(i), R8(i + 8)
#define R32(i) R16(i), R16(i + 16)
#define R64(i) R32(i), R32(i + 32)
#define R128(i) R64(i), R64(i + 64)

template <int N, bool IS_UNSIGNED> struct rs;

// PTX ISA: wgmma.mma_async, A from registers.
template <> struct rs<16, true> {
    static __device__ __forceinline__ void mma(int (&d)[8], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n16k32.s32.u8.s8 {" D8 "}, "
                     "{%8, %9, %10, %11}, %12, p; }"
                     : R8(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<16, false> {
    static __device__ __forceinline__ void mma(int (&d)[8], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {" D8 "}, "
                     "{%8, %9, %10, %11}, %12, p; }"
                     : R8(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<64, true> {
    static __device__ __forceinline__ void mma(int (&d)[32], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n64k32.s32.u8.s8 {" D32 "}, "
                     "{%32, %33, %34, %35}, %36, p; }"
                     : R32(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<64, false> {
    static __device__ __forceinline__ void mma(int (&d)[32], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8 {" D32 "}, "
                     "{%32, %33, %34, %35}, %36, p; }"
                     : R32(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<128, true> {
    static __device__ __forceinline__ void mma(int (&d)[64], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n128k32.s32.u8.s8 {" D64 "}, "
                     "{%64, %65, %66, %67}, %68, p; }"
                     : R64(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<128, false> {
    static __device__ __forceinline__ void mma(int (&d)[64], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {" D64 "}, "
                     "{%64, %65, %66, %67}, %68, p; }"
                     : R64(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

// ---- four weights, from a word with a code in each byte ------------------------------------------

struct mask {
    static constexpr bool IS_UNSIGNED = true;
    static __device__ __forceinline__ u32 unpack(u32 codes, u32 step, u32 offset)
    {
        return codes;
    }
};

struct mad {
    static constexpr bool IS_UNSIGNED = true;
    static __device__ __forceinline__ u32 unpack(u32 codes, u32 step, u32 offset)
    {
        return codes * step + offset;
    }
};

struct lqq {
    static constexpr bool IS_UNSIGNED = false;
    static __device__ __forceinline__ u32 unpack(u32 codes, u32 step, u32 offset)
    {
        return (codes * step + offset) ^ 0x80808080u;
    }
};

// Bytes stay apart: 0x80 keeps each subtraction from borrowing of its neighbour.
struct lop {
    static constexpr bool IS_UNSIGNED = false;
    static __device__ __forceinline__ u32 unpack(u32 codes, u32 step, u32 offset)
    {
        return ((codes ^ 0x88888888u) - 0x08080808u) ^ 0x80808080u;
    }
};

// ---- the loop ------------------------------------------------------------------------------------

// Shared memory, from the first multiple of 1024:
//     B, 128 rows of 128 bytes | codes, 8192 bytes for each warpgroup
constexpr int B_BYTES = 128 * 128;
constexpr int CODES_BYTES = 8192;
constexpr int STEPS = 32; // of 64 k in a round

__device__ u32 noise(u32 seed)
{
    return (seed + 1) * 2654435761u ^ seed * 40503u << 7;
}

// Bits 0-13 address / 16, 32-45 stride of 8 rows / 16, 62-63 swizzle of 128 bytes.
__device__ u64 descriptor(u32 address)
{
    return (u64)(address >> 4 & 0x3FFF) | (u64)1 << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

__device__ char *fill_shared(int warpgroups)
{
    extern __shared__ char memory[];
    const u32 start = (u32)__cvta_generic_to_shared(memory);
    char *base = memory + (1024 - start % 1024) % 1024;
    for (u32 i = threadIdx.x * 4; i < B_BYTES + warpgroups * CODES_BYTES; i += blockDim.x * 4)
        *(u32 *)(base + i) = noise(i);
    fence_proxy_async();
    __syncthreads();
    return base;
}

// The A fragments of two k steps.
struct fragments {
    u32 first[4], second[4];
};

template <typename KIND>
__device__ __forceinline__ fragments unpack(uint4 word, const u32 (&step)[2],
                                            const u32 (&offset)[2])
{
    const u32 low = 0x0F0F0F0Fu;
    return {{KIND::unpack(word.x & low, step[0], offset[0]),
             KIND::unpack(word.y & low, step[1], offset[1]),
             KIND::unpack(word.x >> 4 & low, step[0], offset[0]),
             KIND::unpack(word.y >> 4 & low, step[1], offset[1])},
            {KIND::unpack(word.z & low, step[0], offset[0]),
             KIND::unpack(word.w & low, step[1], offset[1]),
             KIND::unpack(word.z >> 4 & low, step[0], offset[0]),
             KIND::unpack(word.w >> 4 & low, step[1], offset[1])}};
}

template <int N, bool IS_UNSIGNED>
__device__ __forceinline__ void issue(int (&d)[N / 2], const fragments &a, u64 b)
{
    wgmma_fence();
    rs<N, IS_UNSIGNED>::mma(d, a.first[0], a.first[1], a.first[2], a.first[3], b);
    rs<N, IS_UNSIGNED>::mma(d, a.second[0], a.second[1], a.second[2], a.second[3], b + 2);
    wgmma_commit();
}

template <typename KIND, int WARPGROUPS, int N> __device__ void run(int *out, int rounds)
{
    const char *base = fill_shared(WARPGROUPS);
    const u64 b = descriptor((u32)__cvta_generic_to_shared(base));
    const uint4 *codes = (const uint4 *)(base + B_BYTES) + threadIdx.x / 128 * (CODES_BYTES / 16) +
                         threadIdx.x % 128;
    const u32 step[2] = {threadIdx.x % 16 + 1, threadIdx.x % 7 + 1};
    const u32 offset[2] = {threadIdx.x % 15 * 0x01010101u, threadIdx.x % 13 * 0x01010101u};
    int d[N / 2] = {};
    // Two sets of fragments by name: one is unpacked while wgmma reads the other.
    fragments even, odd;
#pragma unroll 1
    for (int i = 0; i < rounds * (STEPS / 2); i++) {
        even = unpack<KIND>(codes[i % 2 * 256], step, offset);
        issue<N, KIND::IS_UNSIGNED>(d, even, b);
        wgmma_wait<1>();
        odd = unpack<KIND>(codes[i % 2 * 256 + 128], step, offset);
        issue<N, KIND::IS_UNSIGNED>(d, odd, b + 4);
        wgmma_wait<1>();
    }
    wgmma_wait<0>();
    int sum = 0;
    for (int i = 0; i < N / 2; i++)
        sum ^= d[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

#define ENTRY(KIND, WARPGROUPS, N)                                                                 \
    extern "C" __global__ void __launch_bounds__(WARPGROUPS * 128, 1)                              \
        dequant_##KIND##_##WARPGROUPS##wg_n##N(void *out, const void *in, u64 bytes, int rounds)   \
    {                                                                                              \
        run<KIND, WARPGROUPS, N>((int *)out, rounds);                                              \
    }

ENTRY(mask, 2, 16)
ENTRY(mask, 2, 64)
ENTRY(mask, 2, 128)
ENTRY(mask, 3, 16)
ENTRY(mask, 3, 64)
ENTRY(mask, 3, 128)
ENTRY(mad, 2, 16)
ENTRY(mad, 2, 64)
ENTRY(mad, 2, 128)
ENTRY(mad, 3, 16)
ENTRY(mad, 3, 64)
ENTRY(mad, 3, 128)
ENTRY(lqq, 2, 16)
ENTRY(lqq, 2, 64)
ENTRY(lqq, 2, 128)
ENTRY(lqq, 3, 16)
ENTRY(lqq, 3, 64)
ENTRY(lqq, 3, 128)
ENTRY(lop, 2, 16)
ENTRY(lop, 2, 64)
ENTRY(lop, 2, 128)
ENTRY(lop, 3, 16)
ENTRY(lop, 3, 64)
ENTRY(lop, 3, 128)
