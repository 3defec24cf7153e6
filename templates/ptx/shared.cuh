// shared.cuh -- shared memory by 32-bit address, and barriers of some warps.
// AT is a byte offset that ends up in the address immediate.

// PTX ISA: cvta. The shared-window address of a pointer to shared memory.
__device__ __forceinline__ u32 shared_address(const void *pointer)
{
    return (u32)__cvta_generic_to_shared(pointer);
}

// PTX ISA: ld.shared.v4.
template <int AT> __device__ __forceinline__ uint4 ld_shared_v4(u32 address)
{
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4+%5];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: ld.shared.v2.
template <int AT> __device__ __forceinline__ uint2 ld_shared_v2(u32 address)
{
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2+%3];"
                 : "=r"(v.x), "=r"(v.y)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: st.shared.v4.
template <int AT> __device__ __forceinline__ void st_shared_v4(u32 address, uint4 v)
{
    asm volatile("st.shared.v4.u32 [%0+%5], {%1, %2, %3, %4};"
                 :
                 : "r"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w), "n"(AT)
                 : "memory");
}

// PTX ISA: barrier.sync / bar.sync with a name and a thread count.
template <int THREADS> __device__ __forceinline__ void bar_sync(u32 name)
{
    asm volatile("bar.sync %0, %1;" ::"r"(name), "n"(THREADS) : "memory");
}
