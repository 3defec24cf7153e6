// atomic.cuh -- read-modify-write in global memory.

// PTX ISA: red.global.add.s32. Integer addition: any order gives the same bits.
template <int AT> __device__ __forceinline__ void red_add(s32 *address, s32 v)
{
    asm volatile("red.global.add.s32 [%0+%2], %1;" ::"l"(address), "r"(v), "n"(AT)
                 : "memory");
}

// PTX ISA: atom.global.exch. Reads a word and leaves `v` there.
template <int AT> __device__ __forceinline__ s32 atom_exch(s32 *address, s32 v)
{
    s32 old;
    asm volatile("atom.global.exch.b32 %0, [%1+%3], %2;"
                 : "=r"(old)
                 : "l"(address), "r"(v), "n"(AT)
                 : "memory");
    return old;
}

// PTX ISA: atom.global.add. The word before the addition.
__device__ __forceinline__ s32 atom_add(s32 *address, s32 v)
{
    s32 old;
    asm volatile("atom.global.add.s32 %0, [%1], %2;"
                 : "=r"(old)
                 : "l"(address), "r"(v)
                 : "memory");
    return old;
}
