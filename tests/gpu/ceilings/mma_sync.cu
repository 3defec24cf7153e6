// mma_sync.cu -- the rate of mma.sync m16n8k32 on int8, with both signs of A.
//
// Eight warps a block, two blocks an SM; a warp keeps eight accumulators going,
// so that no instruction waits for the one before. Operands are not zero: the
// power an SM draws, and with it the clock, depends on the data.
//
// An operation is a multiplication or an addition: 2 * 16 * 8 * 32 = 8192 an
// instruction, and 8 warps * 64 * 8 of them a block and round.
//
// ceiling: entry=mma_s8 archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=2 block=256 shared=0
// ceiling: bytes=0 ops=33554432 rounds=64
// ceiling: entry=mma_u8s8 archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=2 block=256 shared=0
// ceiling: bytes=0 ops=33554432 rounds=64

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int CHAINS = 8;
constexpr int PASSES = 64;

// PTX ISA: mma.sync m16n8k32, s8 by s8.
struct signed_a {
    static __device__ void mma(int (&d)[4], const u32 (&a)[4], const u32 (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

// PTX ISA: mma.sync m16n8k32, u8 by s8.
struct unsigned_a {
    static __device__ void mma(int (&d)[4], const u32 (&a)[4], const u32 (&b)[2])
    {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

__device__ u32 noise(u32 seed)
{
    return (seed + 1) * 2654435761u ^ seed * 40503u << 7;
}

template <typename KIND> __device__ void run(int *out, int rounds)
{
    int d[CHAINS][4] = {};
    u32 a[4], b[2];
    for (int i = 0; i < 4; i++)
        a[i] = noise(threadIdx.x * 8 + i);
    for (int i = 0; i < 2; i++)
        b[i] = noise(threadIdx.x * 8 + 4 + i);
#pragma unroll 1
    for (int pass = 0; pass < rounds * PASSES; pass++)
#pragma unroll
        for (int i = 0; i < CHAINS; i++)
            KIND::mma(d[i], a, b);
    int sum = 0;
    for (int i = 0; i < CHAINS; i++)
        sum += d[i][0] ^ d[i][1] ^ d[i][2] ^ d[i][3];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256)
    mma_s8(void *out, const void *in, u64 bytes, int rounds)
{
    run<signed_a>((int *)out, rounds);
}

extern "C" __global__ void __launch_bounds__(256)
    mma_u8s8(void *out, const void *in, u64 bytes, int rounds)
{
    run<unsigned_a>((int *)out, rounds);
}
