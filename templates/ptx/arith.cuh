// arith.cuh -- bytes, integers, and conversions between number formats.

// PTX ISA: mov. A value the compiler cannot see through: it stays in its register
// instead of being computed again in every pass of a loop.
__device__ __forceinline__ u32 keep(u32 v)
{
    u32 r;
    asm volatile("mov.u32 %0, %1;" : "=r"(r) : "r"(v));
    return r;
}

// PTX ISA: prmt. Byte i of the result is the byte of `v` that nibble i of SELECT
// names; 4 names a zero.
template <u32 SELECT> __device__ __forceinline__ u32 prmt(u32 v)
{
    u32 r;
    asm("prmt.b32 %0, %1, 0, %2;" : "=r"(r) : "r"(v), "n"(SELECT));
    return r;
}

// PTX ISA: cvt. fp16 to float, exact.
__device__ __forceinline__ float f16_to_float(u16 h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

// PTX ISA: mov, unpacking. The halves of a word.
__device__ __forceinline__ void halves(u32 v, u16 &low, u16 &high)
{
    asm("mov.b32 {%0, %1}, %2;" : "=h"(low), "=h"(high) : "r"(v));
}

// PTX ISA: cvt.rn.f16x2. Two floats to fp16, to nearest even; NaN is 0x7fff.
__device__ __forceinline__ u32 floats_to_f16x2(float low, float high)
{
    u32 r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

// PTX ISA: cvt.rn.bf16x2. Two floats to bf16, to nearest even; NaN is 0x7fff.
__device__ __forceinline__ u32 floats_to_bf16x2(float low, float high)
{
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

// PTX ISA: redux.sync. The largest of the warp's 32 values.
__device__ __forceinline__ u32 warp_max(u32 v)
{
    u32 r;
    asm volatile("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v));
    return r;
}

// PTX ISA: redux.sync. The sum of the warp's 32 values.
__device__ __forceinline__ s32 warp_sum(s32 v)
{
    s32 r;
    asm volatile("redux.sync.add.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v));
    return r;
}
