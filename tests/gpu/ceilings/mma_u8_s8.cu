// mma_u8_s8.cu -- the rate of mma.sync m16n8k32 u8 x s8 with operands in
// registers.
// ceiling: archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=2 block=256 shared=0
// ceiling: bytes=0 ops=67108864 rounds=64
//
// A round is 128 times eight independent products a warp: 2 * 16 * 8 * 32
// operations each, 8 warps a block.
enum { STEPS = 128, CHAINS = 8, WARPS = 8 };
static_assert(2 * 16 * 8 * 32 * CHAINS * STEPS * WARPS == 67108864,
              "operations of a block and round, as the ceiling line says");

extern "C" __global__ void __launch_bounds__(256)
    mma_u8_s8(int *out, const int *in, unsigned long long bytes, int rounds)
{
    int c[CHAINS][4] = {};
    unsigned a[4], b[2];
    for (int i = 0; i < 4; i++)
        a[i] = in[0] * (threadIdx.x + i);
    for (int i = 0; i < 2; i++)
        b[i] = in[0] * (threadIdx.x - i);
    for (int round = 0; round < rounds; round++)
#pragma unroll 4
        for (int step = 0; step < STEPS; step++)
#pragma unroll
            for (int i = 0; i < CHAINS; i++)
                asm volatile(
                    "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                    : "+r"(c[i][0]), "+r"(c[i][1]), "+r"(c[i][2]),
                      "+r"(c[i][3])
                    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
                      "r"(b[1]));
    int sum = 0;
    for (int i = 0; i < CHAINS; i++)
        sum += c[i][0] + c[i][1] + c[i][2] + c[i][3];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum + (int)bytes;
}
