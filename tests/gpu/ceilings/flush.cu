// flush.cu -- what a measurement puts around a kernel: nothing, a read of more
// than L2, a write of more than L2. Their own times say how the harness itself
// weighs.
//
// ceiling: entry=empty archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=32 shared=0
// ceiling: bytes=0 ops=0 rounds=1
// ceiling: entry=flush_read archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=4 block=512 shared=0
// ceiling: bytes=536870912 ops=0 rounds=1
// ceiling: entry=flush_zero archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=4 block=512 shared=0
// ceiling: bytes=536870912 ops=0 rounds=1

typedef unsigned long long u64;

extern "C" __global__ void empty(void *out, const void *in, u64 bytes, int rounds)
{
}

extern "C" __global__ void __launch_bounds__(512)
    flush_read(void *out, const void *in, u64 bytes, int rounds)
{
    const uint4 *from = (const uint4 *)in;
    const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 step = (u64)gridDim.x * blockDim.x;
    uint4 sum = make_uint4(0, 0, 0, 0);
    for (int round = 0; round < rounds; round++)
        for (u64 i = first; i < bytes / 16; i += step) {
            const uint4 v = __ldcs(from + i);
            sum.x ^= v.x, sum.y ^= v.y, sum.z ^= v.z, sum.w ^= v.w;
        }
    ((uint4 *)out)[first] = sum;
}

// Writes the buffer it was given to read: nobody needs what is in it.
extern "C" __global__ void __launch_bounds__(512)
    flush_zero(void *out, const void *in, u64 bytes, int rounds)
{
    uint4 *to = (uint4 *)in;
    const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 step = (u64)gridDim.x * blockDim.x;
    for (int round = 0; round < rounds; round++)
        for (u64 i = first; i < bytes / 16; i += step)
            to[i] = make_uint4(0, 0, 0, 0);
}
