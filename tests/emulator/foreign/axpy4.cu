// y = a x + y by float4 vectors, restrict pointers, launch bounds.
extern "C" __global__ void __launch_bounds__(64, 4)
    axpy4(float4 *__restrict__ y, const float4 *__restrict__ x, float a, long n)
{
    long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    float4 u = x[i], v = y[i];
    v.x = a * u.x + v.x;
    v.y = a * u.y + v.y;
    v.z = a * u.z + v.z;
    v.w = a * u.w + v.w;
    y[i] = v;
}
