// Dot product in double precision.
extern "C" __global__ void dot64(double *out, const double *a, const double *b,
                                 unsigned n)
{
    __shared__ double partial[8];
    double sum = 0;
    for (unsigned i = threadIdx.x; i < n; i += blockDim.x)
        sum = fma(a[i], b[i], sum);
    for (int step = 16; step; step >>= 1)
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if ((threadIdx.x & 31) == 0)
        partial[threadIdx.x >> 5] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (unsigned w = 1; w < blockDim.x / 32; w++)
            sum += partial[w];
        out[0] = sum;
        out[1] = sqrt(fabs(sum)) / 3.0;
    }
}
