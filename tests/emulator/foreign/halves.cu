// Half precision pairs from cuda_fp16.h.
#include <cuda_fp16.h>
extern "C" __global__ void halves(__half *out, const __half *a, const __half *b,
                                 int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (2 * i + 1 >= n)
        return;
    __half2 x = ((const __half2 *)a)[i], y = ((const __half2 *)b)[i];
    __half2 z = __hfma2(x, y, __float2half2_rn(0.5f));
    z = __hadd2(z, __hmul2(x, x));
    if (__hgt(__low2half(z), __float2half(4.0f)))
        z = __hsub2(z, y);
    out[2 * i] = __low2half(z);
    out[2 * i + 1] = __hmax(__high2half(z), __float2half(-3.0f));
}
