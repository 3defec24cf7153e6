// epilogue.cuh -- from exact integer sums to one output, in the order of float
// operations that the reference has (gen/quantize/reference.h). Every step is
// rounded to nearest even: kernels are compiled with --fmad=false.

// w4c: acc = sum_k q x. The zero point comes off through the row sum.
__device__ __forceinline__ float finish_channel(s32 acc, s32 sum, float scale, float zero_scale,
                                                float x_scale)
{
    return fmaf(scale, (float)acc, -(zero_scale * (float)sum)) * x_scale;
}

// w4g: acc = sum_k u x with u = w8 + 128, a byte.
__device__ __forceinline__ float finish_group(s32 acc, s32 sum, float scale, float x_scale)
{
    return (float)(acc - 128 * sum) * scale * x_scale;
}
