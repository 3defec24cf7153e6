// wgmma_s8.cu -- the rate of wgmma m64nNk32 on int8, by N, with A from shared
// memory (ss) and from registers (rs).
//
// Two warpgroups a block, one block an SM. Each has one accumulator tile; a
// group is four k steps along a 128-byte swizzled row, and one group is always
// under way while the next is issued.
//
// An operation is a multiplication or an addition: 2 * 64 * N * 32 an
// instruction, and 2 warpgroups * 64 of them a block and round.
//
// ceiling: entry=wgmma_ss_n8 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=4194304 rounds=512
// ceiling: entry=wgmma_ss_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=wgmma_ss_n32 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=16777216 rounds=128
// ceiling: entry=wgmma_ss_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=wgmma_ss_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=67108864 rounds=64
// ceiling: entry=wgmma_ss_n256 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=134217728 rounds=64
// ceiling: entry=wgmma_rs_n8 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=4194304 rounds=512
// ceiling: entry=wgmma_rs_n16 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=8388608 rounds=256
// ceiling: entry=wgmma_rs_n32 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=16777216 rounds=128
// ceiling: entry=wgmma_rs_n64 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=wgmma_rs_n128 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=67108864 rounds=64
// ceiling: entry=wgmma_rs_n256 archs=sm_90a blocks_per_sm=1 block=256 shared=50176
// ceiling: bytes=0 ops=134217728 rounds=64

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

template <int N> struct ss;
template <int N> struct rs;

// PTX ISA: wgmma.mma_async, A and B from shared memory.
template <> struct ss<8> {
    static __device__ __forceinline__ void mma(int (&d)[4], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {" D4 "}, %4, %5, p; }"
                     : R4(0)
                     : "l"(a), "l"(b));
    }
};

template <> struct ss<16> {
    static __device__ __forceinline__ void mma(int (&d)[8], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {" D8 "}, %8, %9, p; }"
                     : R8(0)
                     : "l"(a), "l"(b));
    }
};

template <> struct ss<32> {
    static __device__ __forceinline__ void mma(int (&d)[16], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n32k32.s32.s8.s8 {" D16 "}, %16, %17, p; }"
                     : R16(0)
                     : "l"(a), "l"(b));
    }
};

template <> struct ss<64> {
    static __device__ __forceinline__ void mma(int (&d)[32], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8 {" D32 "}, %32, %33, p; }"
                     : R32(0)
                     : "l"(a), "l"(b));
    }
};

template <> struct ss<128> {
    static __device__ __forceinline__ void mma(int (&d)[64], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {" D64 "}, %64, %65, p; }"
                     : R64(0)
                     : "l"(a), "l"(b));
    }
};

template <> struct ss<256> {
    static __device__ __forceinline__ void mma(int (&d)[128], u64 a, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {" D128 "}, %128, %129, p; }"
                     : R128(0)
                     : "l"(a), "l"(b));
    }
};

// PTX ISA: wgmma.mma_async, A from registers.
template <> struct rs<8> {
    static __device__ __forceinline__ void mma(int (&d)[4], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 {" D4 "}, "
                     "{%4, %5, %6, %7}, %8, p; }"
                     : R4(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<16> {
    static __device__ __forceinline__ void mma(int (&d)[8], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {" D8 "}, "
                     "{%8, %9, %10, %11}, %12, p; }"
                     : R8(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<32> {
    static __device__ __forceinline__ void mma(int (&d)[16], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n32k32.s32.s8.s8 {" D16 "}, "
                     "{%16, %17, %18, %19}, %20, p; }"
                     : R16(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<64> {
    static __device__ __forceinline__ void mma(int (&d)[32], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8 {" D32 "}, "
                     "{%32, %33, %34, %35}, %36, p; }"
                     : R32(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<128> {
    static __device__ __forceinline__ void mma(int (&d)[64], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {" D64 "}, "
                     "{%64, %65, %66, %67}, %68, p; }"
                     : R64(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

template <> struct rs<256> {
    static __device__ __forceinline__ void mma(int (&d)[128], u32 a0, u32 a1, u32 a2, u32 a3, u64 b)
    {
        asm volatile("{ .reg .pred p; setp.eq.u32 p, 0, 0; "
                     "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {" D128 "}, "
                     "{%128, %129, %130, %131}, %132, p; }"
                     : R128(0)
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));
    }
};

// Shared memory, from the first multiple of 1024:
//     A of warpgroup 0, 64 rows of 128 bytes | A of warpgroup 1 | B, 256 rows of 128 bytes
constexpr int A_BYTES = 64 * 128;
constexpr int B_BYTES = 256 * 128;
constexpr int SHARED_BYTES = 1024 + 2 * A_BYTES + B_BYTES;
static_assert(SHARED_BYTES == 50176, "as the launch says");

constexpr int STEPS = 4; // of 32 k in a row of 128 bytes
constexpr int GROUPS = 16;

__device__ u32 noise(u32 seed)
{
    return (seed + 1) * 2654435761u ^ seed * 40503u << 7;
}

// Bits 0-13 address / 16, 32-45 stride of 8 rows / 16, 62-63 swizzle of 128 bytes.
__device__ u64 descriptor(u32 address)
{
    return (u64)(address >> 4 & 0x3FFF) | (u64)1 << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

__device__ u32 fill_shared()
{
    extern __shared__ char memory[];
    const u32 start = (u32)__cvta_generic_to_shared(memory);
    const u32 skip = (1024 - start % 1024) % 1024;
    for (u32 i = threadIdx.x * 4; i < 2 * A_BYTES + B_BYTES; i += blockDim.x * 4)
        *(u32 *)(memory + skip + i) = noise(i);
    fence_proxy_async();
    __syncthreads();
    return start + skip;
}

template <int N> __device__ void store(int *out, const int (&d)[N / 2])
{
    int sum = 0;
    for (int i = 0; i < N / 2; i++)
        sum ^= d[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

template <int N> __device__ void run_ss(int *out, int rounds)
{
    const u32 base = fill_shared();
    const u64 a = descriptor(base + threadIdx.x / 128 * A_BYTES);
    const u64 b = descriptor(base + 2 * A_BYTES);
    int d[N / 2] = {};
#pragma unroll 1
    for (int group = 0; group < rounds * GROUPS; group++) {
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < STEPS; step++)
            ss<N>::mma(d, a + 2 * step, b + 2 * step);
        wgmma_commit();
        wgmma_wait<1>();
    }
    wgmma_wait<0>();
    store<N>(out, d);
}

template <int N> __device__ void run_rs(int *out, int rounds)
{
    const u32 base = fill_shared();
    const u64 b = descriptor(base + 2 * A_BYTES);
    u32 a[4];
    for (int i = 0; i < 4; i++)
        a[i] = noise(threadIdx.x * 4 + i);
    int d[N / 2] = {};
#pragma unroll 1
    for (int group = 0; group < rounds * GROUPS; group++) {
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < STEPS; step++)
            rs<N>::mma(d, a[0], a[1], a[2], a[3], b + 2 * step);
        wgmma_commit();
        wgmma_wait<1>();
    }
    wgmma_wait<0>();
    store<N>(out, d);
}

#define ENTRY(KIND, N)                                                                             \
    extern "C" __global__ void __launch_bounds__(256, 1)                                           \
        wgmma_##KIND##_n##N(void *out, const void *in, u64 bytes, int rounds)                      \
    {                                                                                              \
        run_##KIND<N>((int *)out, rounds);                                                         \
    }

ENTRY(ss, 8)
ENTRY(ss, 16)
ENTRY(ss, 32)
ENTRY(ss, 64)
ENTRY(ss, 128)
ENTRY(ss, 256)
ENTRY(rs, 8)
ENTRY(rs, 16)
ENTRY(rs, 32)
ENTRY(rs, 64)
ENTRY(rs, 128)
ENTRY(rs, 256)
