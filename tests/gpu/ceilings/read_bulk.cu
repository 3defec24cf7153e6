// read_bulk.cu -- how fast an SM array reads DRAM with cp.async.bulk, by the
// bytes that a block keeps under way. L2 is told not to keep them.
//
// One thread a block issues 4 KB copies round a ring; each stage has an
// mbarrier that counts its bytes. Nothing looks at the data. `bytes` is a
// multiple of 4096.
//
// ceiling: entry=read_bulk_16k archs=sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=32 shared=16384
// ceiling: bytes=536870912 ops=0 rounds=2
// ceiling: entry=read_bulk_32k archs=sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=32 shared=32768
// ceiling: bytes=536870912 ops=0 rounds=2
// ceiling: entry=read_bulk_64k archs=sm_90a,sm_100a,sm_120a blocks_per_sm=1 block=32 shared=65536
// ceiling: bytes=536870912 ops=0 rounds=2
// ceiling: entry=read_bulk_128k archs=sm_90a,sm_100a blocks_per_sm=1 block=32 shared=131072
// ceiling: bytes=536870912 ops=0 rounds=2

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int PIECE = 4096;

// PTX ISA: mbarrier.init.
__device__ void mbarrier_init(u32 barrier)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier) : "memory");
}

// PTX ISA: fence.mbarrier_init.
__device__ void fence_mbarrier_init()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// PTX ISA: mbarrier.arrive.expect_tx.
__device__ void mbarrier_expect(u32 barrier, u32 bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                 "r"(bytes)
                 : "memory");
}

// PTX ISA: mbarrier.try_wait.parity.
__device__ bool mbarrier_try_wait(u32 barrier, u32 parity)
{
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
    return done;
}

// PTX ISA: createpolicy.fractional.
__device__ u64 policy_evict_first()
{
    u64 policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

// PTX ISA: cp.async.bulk, global to shared, with a cache hint.
__device__ void cp_async_bulk(u32 to, const void *from, u32 bytes, u32 barrier, u64 policy)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier), "l"(policy)
                 : "memory");
}

template <int STAGES> __device__ void run(const char *in, u64 bytes, int rounds)
{
    extern __shared__ __align__(128) char ring[];
    __shared__ __align__(8) u64 full[STAGES];
    if (threadIdx.x != 0)
        return;
    const u32 base = (u32)__cvta_generic_to_shared(ring);
    const u32 barriers = (u32)__cvta_generic_to_shared(full);
    const u64 policy = policy_evict_first();
    const u64 pieces = bytes / PIECE;
    const u64 first = pieces * blockIdx.x / gridDim.x;
    const u64 run = pieces * (blockIdx.x + 1) / gridDim.x - first;
    const u64 total = run * rounds;
    for (int s = 0; s < STAGES; s++)
        mbarrier_init(barriers + 8 * s);
    fence_mbarrier_init();
    u64 at = 0;
    for (u64 i = 0; i < total + STAGES; i++) {
        const u32 stage = i % STAGES, barrier = barriers + 8 * stage;
        const u32 lap = (u32)(i / STAGES);
        if (lap > 0 && i - STAGES < total)
            while (!mbarrier_try_wait(barrier, (lap - 1) & 1))
                ;
        if (i < total) {
            mbarrier_expect(barrier, PIECE);
            cp_async_bulk(base + stage * PIECE, in + (first + at) * PIECE, PIECE, barrier,
                          policy);
            at = at + 1 == run ? 0 : at + 1;
        }
    }
}

extern "C" __global__ void __launch_bounds__(32)
    read_bulk_16k(void *out, const void *in, u64 bytes, int rounds)
{
    run<4>((const char *)in, bytes, rounds);
}

extern "C" __global__ void __launch_bounds__(32)
    read_bulk_32k(void *out, const void *in, u64 bytes, int rounds)
{
    run<8>((const char *)in, bytes, rounds);
}

extern "C" __global__ void __launch_bounds__(32)
    read_bulk_64k(void *out, const void *in, u64 bytes, int rounds)
{
    run<16>((const char *)in, bytes, rounds);
}

#if __CUDA_ARCH__ < 1200
extern "C" __global__ void __launch_bounds__(32)
    read_bulk_128k(void *out, const void *in, u64 bytes, int rounds)
{
    run<32>((const char *)in, bytes, rounds);
}
#endif
