// Sum of n integers: grid-stride loop, warp shuffles, shared memory, atomic.
__global__ void reduce(int *sum, const int *in, int n)
{
    __shared__ int partial[32];
    int value = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
         i += gridDim.x * blockDim.x)
        value += in[i];
    for (int step = warpSize / 2; step > 0; step /= 2)
        value += __shfl_down_sync(0xffffffff, value, step);
    if (threadIdx.x % warpSize == 0)
        partial[threadIdx.x / warpSize] = value;
    __syncthreads();
    if (threadIdx.x < warpSize) {
        value = threadIdx.x < blockDim.x / warpSize ? partial[threadIdx.x] : 0;
        for (int step = warpSize / 2; step > 0; step /= 2)
            value += __shfl_down_sync(0xffffffff, value, step);
        if (threadIdx.x == 0)
            atomicAdd(sum, value);
    }
}
