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
