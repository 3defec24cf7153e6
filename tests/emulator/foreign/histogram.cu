// Histogram of bytes: atomics in shared memory, then in global memory.
__global__ void histogram(unsigned *bins, const unsigned char *in, int n)
{
    __shared__ unsigned counts[256];
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
         i += gridDim.x * blockDim.x)
        atomicAdd(&counts[in[i]], 1u);
    __syncthreads();
    if (counts[threadIdx.x])
        atomicAdd(&bins[threadIdx.x], counts[threadIdx.x]);
}
