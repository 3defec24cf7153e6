// matrix.cuh -- the tensor core (sm_80).

// PTX ISA: ldmatrix. Four 8x8 matrices of 16-bit elements, which hold 8 rows of
// 16 bytes each; lane 8q+r gives the address of row r of matrix q.
template <int AT> __device__ __forceinline__ uint4 ldmatrix_x4(u32 address)
{
    uint4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4+%5];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address), "n"(AT)
                 : "memory");
    return v;
}

// PTX ISA: mma.sync m16n8k32, unsigned A, signed B, exact int32 accumulators.
__device__ __forceinline__ void mma_m16n8k32_u8s8(s32 (&d)[4], const u32 (&a)[4], u32 b0,
                                                  u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
