// Softmax of each row, one block a row, with the fast exponential.
__global__ void softmax(float *out, const float *in, int n)
{
    __shared__ float shared[2];
    const float *row = in + blockIdx.x * n;
    float high = -3.4e38f, sum = 0;
    if (threadIdx.x < 32) {
        for (int i = threadIdx.x; i < n; i += 32)
            high = fmaxf(high, row[i]);
        for (int m = 16; m; m >>= 1)
            high = fmaxf(high, __shfl_xor_sync(~0u, high, m));
        for (int i = threadIdx.x; i < n; i += 32)
            sum += __expf(row[i] - high);
        for (int m = 16; m; m >>= 1)
            sum += __shfl_xor_sync(~0u, sum, m);
        if (threadIdx.x == 0) {
            shared[0] = high;
            shared[1] = __fdividef(1.0f, sum);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        out[blockIdx.x * n + i] = __expf(row[i] - shared[0]) * shared[1];
}
