// Emitted by Tessera 0.1.0; do not edit.
//
//   template  templates/tiny.cu.tmpl sha256 303a13ee1c479de2
//   spec      tiny arch=sm_90a n=64 scale=2 threads=32 type=float unroll=3 variant=unrolled
//   command   tessera gen --scripts DIR tiny arch=sm_90a n=64 scale=2 threads=32 type=float unroll=3 variant=unrolled

#line 1 "templates/tiny.cu.tmpl"
// tiny.cu.tmpl -- y = x * scale, n elements.
#line 1 "templates/lib/index.cuh"
// index.cuh -- where a thread is.
__device__ inline int global_thread()
{
    return (int)(blockIdx.x * blockDim.x + threadIdx.x);
}
#line 3 "templates/tiny.cu.tmpl"
using T = float;
constexpr int N = 64;
constexpr T SCALE = 2;

extern "C" __global__ void __launch_bounds__(32)
    tiny(T *y, const T *x)
{
    int i = global_thread() * 3;

    if (i + 0 < N)
        y[i + 0] = x[i + 0] * SCALE;
#line 12 "templates/tiny.cu.tmpl"
    if (i + 1 < N)
        y[i + 1] = x[i + 1] * SCALE;
#line 12 "templates/tiny.cu.tmpl"
    if (i + 2 < N)
        y[i + 2] = x[i + 2] * SCALE;

}
