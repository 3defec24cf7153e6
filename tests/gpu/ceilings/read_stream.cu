// read_stream.cu -- how fast a GPU reads memory in order, once.
// ceiling: archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=4 block=256 shared=0
// ceiling: bytes=1073741824 ops=0 rounds=1
//
// Every thread reads 16-byte words a grid apart, eight in flight, and keeps
// their exclusive or, so that nothing is optimised away.
struct words {
    unsigned x, y, z, w;
};

__device__ __forceinline__ words read(const char *from)
{
    words v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from));
    return v;
}

extern "C" __global__ void __launch_bounds__(256)
    read_stream(unsigned *out, const char *in, unsigned long long bytes,
                int rounds)
{
    const unsigned long long step = 16ull * gridDim.x * blockDim.x;
    const unsigned long long start =
        16ull * (blockIdx.x * blockDim.x + threadIdx.x);
    unsigned sum = 0;
    for (int round = 0; round < rounds; round++) {
        unsigned long long at = start;
        for (; at + 7 * step + 16 <= bytes; at += 8 * step) {
            words v[8];
#pragma unroll
            for (int i = 0; i < 8; i++)
                v[i] = read(in + at + i * step);
#pragma unroll
            for (int i = 0; i < 8; i++)
                sum ^= v[i].x ^ v[i].y ^ v[i].z ^ v[i].w;
        }
        for (; at + 16 <= bytes; at += step) {
            words v = read(in + at);
            sum ^= v.x ^ v.y ^ v.z ^ v.w;
        }
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
