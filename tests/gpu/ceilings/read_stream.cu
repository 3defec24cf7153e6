// read_stream.cu -- how fast an SM array reads DRAM with cp.async, by the bytes
// that a block keeps under way.
//
// Each block walks its own run of 8 KB pieces, 16 bytes a thread and copy, in a
// ring in shared memory. Nothing looks at the data. The buffer is far larger
// than any L2. `bytes` is a multiple of 8192.
//
// ceiling: entry=read_async_16k archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=256 shared=24576
// ceiling: bytes=536870912 ops=0 rounds=2
// ceiling: entry=read_async_32k archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=256 shared=40960
// ceiling: bytes=536870912 ops=0 rounds=2
// ceiling: entry=read_async_64k archs=sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=256 shared=73728
// ceiling: bytes=536870912 ops=0 rounds=2

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int THREADS = 256;
constexpr int PIECE = 8192;
constexpr int COPIES = PIECE / 16 / THREADS;

// PTX ISA: cp.async, 16 bytes through L2 only.
__device__ void cp_async_16(u32 to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

// PTX ISA: cp.async.commit_group.
__device__ void cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// PTX ISA: cp.async.wait_group.
template <int PENDING> __device__ void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

__device__ void load_piece(u32 stage, const char *from)
{
#pragma unroll
    for (int i = 0; i < COPIES; i++) {
        const u32 at = (i * THREADS + threadIdx.x) * 16;
        cp_async_16(stage + at, from + at);
    }
}

// STAGES pieces are under way; one more stage takes the next.
template <int STAGES> __device__ void run(const char *in, u64 bytes, int rounds)
{
    extern __shared__ __align__(128) char ring[];
    const u32 base = (u32)__cvta_generic_to_shared(ring);
    const u64 pieces = bytes / PIECE;
    const u64 first = pieces * blockIdx.x / gridDim.x;
    const u64 end = pieces * (blockIdx.x + 1) / gridDim.x;
    int stage = 0;
    for (int round = 0; round < rounds; round++)
        for (u64 piece = first; piece < end; piece++) {
            load_piece(base + stage * PIECE, in + piece * PIECE);
            cp_async_commit();
            cp_async_wait<STAGES - 1>();
            stage = stage == STAGES ? 0 : stage + 1;
        }
    cp_async_wait<0>();
}

extern "C" __global__ void __launch_bounds__(THREADS)
    read_async_16k(void *out, const void *in, u64 bytes, int rounds)
{
    run<2>((const char *)in, bytes, rounds);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    read_async_32k(void *out, const void *in, u64 bytes, int rounds)
{
    run<4>((const char *)in, bytes, rounds);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    read_async_64k(void *out, const void *in, u64 bytes, int rounds)
{
    run<8>((const char *)in, bytes, rounds);
}
